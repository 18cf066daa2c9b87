"""Points as Parquet: one object holds a stretch of what one writer logged, sorted by name and step."""

from __future__ import annotations

import io
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tracklib.errors import CorruptData
from tracklib.records import SeriesPoints
from tracklib.stores.arrow import number_column, numbers_of, parquet, text_column

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import BinaryIO

    from numpy.typing import NDArray

    from tracklib.records import Batch

__all__ = ["Rows", "decode_rows", "encode_rows", "in_order", "joined", "read_points", "rows_of"]

GROUP_ROWS: Final = 131_072
"""Rows in a row group: whoever wants one series of many reads those that have it."""

_LEVEL: Final = 3


@dataclass(frozen=True, slots=True)
class Rows:
    """Points of any series of one writer. Those of one series stand in the order of their arrival.

    Attributes:
        names: The k names that occur.
        which: `(n,)` int32, for each point the index of its name.
        steps: `(n,)` int64.
        times: `(n,)` float64, seconds since the epoch.
        values: `(n,)` float64.
        batches: `(n,)` int64, the journal position at which the batch of each point began.
    """

    names: tuple[str, ...]
    which: NDArray[np.int32]
    steps: NDArray[np.int64]
    times: NDArray[np.float64]
    values: NDArray[np.float64]
    batches: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.steps)

    @classmethod
    def none(cls) -> Rows:
        """Return no rows."""
        return cls((), np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0), np.empty(0), np.empty(0, np.int64))

    def chosen(self, mask: NDArray[Any] | slice) -> Rows:
        """Return some of the rows, by a mask, by their places or from one on."""
        columns: tuple[Any, ...] = (self.which, self.steps, self.times, self.values, self.batches)
        return Rows(self.names, *(column[mask] for column in columns))

    def of(self, name: str) -> Rows:
        """Return the rows of one series."""
        if name not in self.names:
            return self.chosen(slice(0))
        found = np.flatnonzero(self.which == self.names.index(name))
        # Where the rows are sorted they are beside each other, and need not be copied.
        beside = len(found) > 0 and found[-1] - found[0] == len(found) - 1
        return self.chosen(slice(found[0], found[-1] + 1) if beside else found)

    def before(self, position: int) -> Rows:
        """Return the rows of batches that began before a journal position."""
        kept = self.batches < position
        return self if bool(kept.all()) else self.chosen(kept)


def rows_of(batch: Batch) -> Rows:
    """Return the points of a batch."""
    names: dict[str, int] = {}
    parts: list[tuple[NDArray[Any], ...]] = []
    for group in batch.groups:
        ids = np.array([names.setdefault(name, len(names)) for name in group.names], dtype=np.int32)
        count, width = len(group.steps), len(ids)
        columns = (np.tile(column, width) for column in (group.order, group.steps, group.times))
        parts.append((np.repeat(ids, count), *columns, group.values.T.ravel()))
    if batch.scattered is not None:
        few = batch.scattered
        ids = np.array([names.setdefault(name, len(names)) for name in few.names], dtype=np.int32)
        parts.append((ids[few.which], few.order, few.steps, few.times, few.values))
    if not parts:
        return Rows.none()
    which, order, steps, times, values = (np.concatenate(column) for column in zip(*parts, strict=True))
    if len(parts) > 1:  # Else they stand in the order of their arrival already.
        place = np.argsort(order, kind="stable")
        which, steps, times, values = (column[place] for column in (which, steps, times, values))
    return Rows(tuple(names), which, steps, times, values, np.full(len(steps), batch.start, dtype=np.int64))


def joined(parts: Sequence[Rows]) -> Rows:
    """Return rows behind each other."""
    parts = [part for part in parts if len(part)]
    if len(parts) < 2:
        return parts[0] if parts else Rows.none()
    names: dict[str, int] = {}
    which = []
    for part in parts:
        ids = np.array([names.setdefault(name, len(names)) for name in part.names], dtype=np.int32)
        which.append(ids[part.which])
    columns: Any = zip(*((part.steps, part.times, part.values, part.batches) for part in parts), strict=True)
    return Rows(tuple(names), np.concatenate(which), *(np.concatenate(column) for column in columns))


def in_order(rows: Rows) -> Rows:
    """Return rows sorted by name and step; those of one name and step keep the order of their arrival."""
    places = sorted(range(len(rows.names)), key=lambda index: rows.names[index].encode())
    kind: Any = np.uint16 if len(places) < 1 << 16 else np.int64  # Short ones sort faster.
    rank = np.empty(len(places), dtype=kind)
    rank[places] = np.arange(len(places), dtype=kind)
    ranks = rank[rows.which]
    if not bool((ranks[1:] >= ranks[:-1]).all()):
        order = np.argsort(ranks, kind="stable")
        rows, ranks = rows.chosen(order), ranks[order]
    # As a rule the steps of a series come in order; those of another one may begin anew.
    if bool(((rows.steps[1:] >= rows.steps[:-1]) | (ranks[1:] != ranks[:-1])).all()):
        return rows
    return rows.chosen(np.lexsort((rows.steps, ranks)))


def encode_rows(rows: Rows, run: str) -> bytes:
    """Return rows as a Parquet file.

    The columns are run_id, name, step, time, value and batch. Encodings are those that bring float columns close to
    their entropy and that DuckDB, Polars, Arrow and Spark read: `BYTE_STREAM_SPLIT` and `DELTA_BINARY_PACKED` of the
    Parquet format.
    """
    pa, pq = parquet()
    rows = in_order(rows)
    same = number_column(np.zeros(len(rows), dtype=np.int32))
    columns = {
        "run_id": pa.DictionaryArray.from_arrays(same, text_column([run])),
        "name": pa.DictionaryArray.from_arrays(number_column(rows.which), text_column(rows.names)),
        "step": number_column(rows.steps),
        "time": number_column(rows.times),
        "value": number_column(rows.values),
        "batch": number_column(rows.batches),
    }
    target = io.BytesIO()
    pq.write_table(
        pa.table(columns),
        target,
        compression="zstd",
        compression_level=_LEVEL,
        row_group_size=GROUP_ROWS,
        use_dictionary=["run_id", "name", "batch"],
        column_encoding={"step": "DELTA_BINARY_PACKED", "time": "BYTE_STREAM_SPLIT", "value": "BYTE_STREAM_SPLIT"},
        # Readers in other languages see plain texts.
        store_schema=False,
        write_page_checksum=True,
    )
    return target.getvalue()


def decode_rows(data: bytes) -> Rows:
    """Undo `encode_rows`; the rows come sorted.

    Raises:
        CorruptData: The bytes are damaged.
    """
    with _telling():
        return _rows(_opened(io.BytesIO(data)).read(_COLUMNS, use_threads=False))


def read_points(source: bytes | BinaryIO, name: str, before: int | None = None) -> SeriesPoints:
    """Return the points of one series in a Parquet file, by step.

    Args:
        source: The file's bytes, or a file to read what is needed of it.
        before: Leave out batches that began at this journal position or behind it.

    Raises:
        CorruptData: The file is damaged.
    """
    with _telling():
        file = _opened(io.BytesIO(source) if isinstance(source, bytes) else source)
        groups = [number for number in range(file.num_row_groups) if _may_hold(file.metadata.row_group(number), name)]
        rows = _rows(file.read_row_groups(groups, _COLUMNS, use_threads=False))
    rows = rows.of(name)
    if before is not None:
        rows = rows.before(before)
    return SeriesPoints(rows.steps, rows.times, rows.values)


_COLUMNS: Final = ["name", "step", "time", "value", "batch"]


def _opened(file: BinaryIO) -> Any:
    _, pq = parquet()
    return pq.ParquetFile(file, read_dictionary=["name"], page_checksum_verification=True)


def _rows(table: Any) -> Rows:
    pa, _ = parquet()
    names = table.column("name").unify_dictionaries().combine_chunks()
    if names.type != pa.dictionary(pa.int32(), pa.string()):
        names = names.cast(pa.string()).dictionary_encode()
    steps, batches = (numbers_of(table.column(name), np.int64) for name in ("step", "batch"))
    times, values = (numbers_of(table.column(name), np.float64) for name in ("time", "value"))
    which = numbers_of(names.indices, np.int32)
    return Rows(tuple(names.dictionary.to_pylist()), which, steps, times, values, batches)


def _may_hold(group: Any, name: str) -> bool:
    """Tell whether a row group may hold points of a series, by what the file says of its names."""
    column = next(
        column for index in range(group.num_columns) if (column := group.column(index)).path_in_schema == "name"
    )
    known = column.statistics
    if known is None or not known.has_min_max:
        return True
    return bool(known.min.encode() <= name.encode() <= known.max.encode())


@contextmanager
def _telling() -> Iterator[None]:
    pa, _ = parquet()
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, StopIteration) as error:
        raise CorruptData(f"it is no Parquet file of points: {error}") from error
