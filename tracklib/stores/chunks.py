"""How points are packed: columns, batches of recent points and sealed chunks. `docs/store-format.md` is its page.

A column is `n` numbers of 8 bytes, little-endian, shuffled (all first bytes, then all second bytes, …) and compressed
by Zstandard. Steps, and times as the bits of their floats, are first replaced by the difference to the one before.
Shuffling is what HDF5 and Blosc do before compression: bytes of like weight are alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import zstandard

from tracklib.errors import CorruptData

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

__all__ = [
    "CHUNK_POINTS",
    "ColumnGroup",
    "MergedColumns",
    "decode_batch",
    "decode_steps",
    "decode_times",
    "decode_values",
    "encode_batch",
    "encode_steps",
    "encode_times",
    "encode_values",
    "merge_groups",
]

CHUNK_POINTS = 16_384
"""Most points in one chunk."""

_LEVEL = 3


class ColumnGroup(NamedTuple):
    """Points of the same series logged together, as a store knows them; or points of many series logged one at a time.

    Attributes:
        series: `(k,)` int64, ids of the series. Scattered points: `(n,)`, the series of each.
        steps: `(n,)` int64.
        times: `(n,)` float64.
        values: `(n, k)` float64. Scattered points: `(n,)`.
        order: `(n,)` int64, the place of each row among all rows that arrived together.
    """

    series: NDArray[np.int64]
    steps: NDArray[np.int64]
    times: NDArray[np.float64]
    values: NDArray[np.float64]
    order: NDArray[np.int64]

    @property
    def scattered(self) -> bool:
        """Whether each row is one point of a series of its own."""
        return self.values.ndim == 1


@dataclass(frozen=True, slots=True)
class MergedColumns:
    """Series that share their steps and times, in order of arrival.

    Attributes:
        series: Ids of the k series.
        values: `(n, k)` float64.
    """

    series: tuple[int, ...]
    steps: NDArray[np.int64]
    times: NDArray[np.float64]
    values: NDArray[np.float64]


def encode_steps(steps: NDArray[np.int64]) -> bytes:
    """Pack int64 numbers that grow evenly."""
    return _compress(_shuffled(_differences(steps)))


def encode_times(times: NDArray[np.float64]) -> bytes:
    """Pack float64 numbers that grow evenly."""
    return encode_steps(_bits(times))


def encode_values(values: NDArray[np.float64]) -> bytes:
    """Pack float64 numbers, every bit of them."""
    return _compress(_shuffled(_bits(values)))


def decode_steps(data: bytes, out: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
    """Undo `encode_steps`.

    Args:
        out: Where the numbers are to stand, contiguous and of the right length; somewhere new by default.

    Raises:
        CorruptData: The bytes are damaged, or not as many as `out` takes.
    """
    words = _unshuffled(_decompress(data), out)
    return np.cumsum(words, dtype=np.int64, out=words)


def decode_times(data: bytes, out: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """Undo `encode_times`; see `decode_steps`."""
    return decode_steps(data, None if out is None else out.view(np.int64)).view(np.float64)


def decode_values(data: bytes, out: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """Undo `encode_values`; see `decode_steps`."""
    return _unshuffled(_decompress(data), None if out is None else out.view(np.int64)).view(np.float64)


def encode_batch(groups: Sequence[ColumnGroup]) -> bytes:
    """Pack everything of one flush into one blob.

    Inside: the number m of head words; m head words (number of groups; rows and series of each; ids of all series),
    as differences and shuffled; then of each group steps, times, order and the values of one series after the other.
    Scattered points are a group of 0 series: the head has the id of each point's series instead.
    """
    head = [len(groups)]
    for group in groups:
        head += [len(group.steps), 0 if group.scattered else len(group.series)]
    words = np.concatenate([np.array(head, dtype=np.int64), *[group.series for group in groups]])
    parts = [np.array([len(words)], dtype="<i8").tobytes(), _shuffled(_differences(words))]
    for group in groups:
        parts += [
            _shuffled(_differences(group.steps)),
            _shuffled(_differences(_bits(group.times))),
            _shuffled(_differences(group.order)),
            _shuffled(_bits(group.values.T.ravel())),
        ]
    return _compress(b"".join(parts))


def decode_batch(data: bytes) -> list[ColumnGroup]:
    """Undo `encode_batch`.

    Raises:
        CorruptData: The bytes are damaged.
    """
    raw = _decompress(data)
    try:
        return _decode_batch(raw)
    except (ValueError, IndexError) as error:
        raise CorruptData(f"a batch of {len(data)} bytes does not hold what its head says: {error}") from error


def _decode_batch(raw: bytes) -> list[ColumnGroup]:
    position = 8

    def take(count: int) -> NDArray[np.int64]:
        nonlocal position
        position += 8 * count
        return _unshuffled(raw[position - 8 * count : position])

    words = np.cumsum(take(int(np.frombuffer(raw, "<i8", 1)[0])), dtype=np.int64)
    count = int(words[0])
    shapes = words[1 : 1 + 2 * count].reshape(count, 2)
    lengths = np.where(shapes[:, 1] == 0, shapes[:, 0], shapes[:, 1])
    names = np.split(words[1 + 2 * count :], np.cumsum(lengths))[:-1]
    groups = []
    for (rows, width), series in zip(shapes.tolist(), names, strict=True):
        steps, times, order = (np.cumsum(take(rows), dtype=np.int64) for _ in range(3))
        values = take(rows * (width or 1)).view(np.float64)
        if width:
            values = values.reshape(width, rows).T
        groups.append(ColumnGroup(series, steps, times.view(np.float64), values, order))
    return groups


def merge_groups(batches: Iterable[Sequence[ColumnGroup]]) -> list[MergedColumns]:
    """Put the groups of successive batches together so that each series stands in exactly one result.

    Series that were always logged together share a result, and so steps and times. Rows keep the order of arrival.
    """
    gathered: dict[bytes, list[ColumnGroup]] = {}
    before = 0
    scattered: list[ColumnGroup] = []
    for groups in batches:
        for group in groups:
            placed = group._replace(order=group.order + before)
            (scattered if group.scattered else gathered.setdefault(group.series.tobytes(), [])).append(placed)
        before += sum(len(group.steps) for group in groups)
    for group in _by_series(scattered):
        gathered.setdefault(group.series.tobytes(), []).append(group)
    joined = [_joined(groups) for groups in gathered.values()]
    if len(joined) == 1:
        return [_in_order(joined[0])]
    homes: dict[int, list[tuple[ColumnGroup, int]]] = {}
    for group in joined:
        for column, series in enumerate(group.series.tolist()):
            homes.setdefault(series, []).append((group, column))
    merged = [
        _only(group, [column for column, series in enumerate(group.series.tolist()) if len(homes[series]) == 1])
        for group in joined
    ]
    shared = [_merged_series(series, found) for series, found in homes.items() if len(found) > 1]
    return [columns for columns in merged if columns.series] + shared


def _by_series(scattered: list[ColumnGroup]) -> Iterator[ColumnGroup]:
    """Yield a group of its own for each series of scattered points."""
    columns = [np.concatenate(column) for column in zip(*scattered, strict=True)]
    if not columns or not len(columns[0]):
        return
    order = np.argsort(columns[0], kind="stable")
    series, steps, times, values, places = (column[order] for column in columns)
    starts = np.flatnonzero(np.diff(series, prepend=series[0] - 1))
    for start, end in zip(starts.tolist(), [*starts[1:].tolist(), len(series)], strict=True):
        part = slice(start, end)
        yield ColumnGroup(series[start : start + 1], steps[part], times[part], values[part, None], places[part])


def _joined(groups: list[ColumnGroup]) -> ColumnGroup:
    if len(groups) == 1:
        return groups[0]
    columns: Any = (np.concatenate(column) for column in list(zip(*groups, strict=True))[1:])
    return ColumnGroup(groups[0].series, *columns)


def _only(group: ColumnGroup, columns: list[int]) -> MergedColumns:
    return _in_order(group._replace(series=group.series[columns], values=group.values[:, columns]))


def _in_order(group: ColumnGroup) -> MergedColumns:
    steps, times, values = group.steps, group.times, group.values
    if not bool((np.diff(group.order) > 0).all()):
        order = np.argsort(group.order)
        steps, times, values = steps[order], times[order], values[order]
    return MergedColumns(tuple(group.series.tolist()), steps, times, values)


def _merged_series(series: int, found: list[tuple[ColumnGroup, int]]) -> MergedColumns:
    """Gather one series from all the groups that have it, each with its column."""
    return _in_order(
        ColumnGroup(
            np.array([series], dtype=np.int64),
            np.concatenate([group.steps for group, _ in found]),
            np.concatenate([group.times for group, _ in found]),
            np.concatenate([group.values[:, [column]] for group, column in found]),
            np.concatenate([group.order for group, _ in found]),
        )
    )


def _bits(values: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.ascontiguousarray(values, dtype="<f8").view("<i8")


def _differences(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return each number less the one before, wrapping around, so that any int64 comes back."""
    return np.diff(numbers, prepend=np.zeros(1, dtype=np.int64))


def _shuffled(numbers: NDArray[np.int64]) -> bytes:
    return np.ascontiguousarray(numbers, dtype="<i8").view(np.uint8).reshape(-1, 8).T.tobytes()


def _unshuffled(data: bytes, out: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
    count, rest = divmod(len(data), 8)
    if rest:
        raise CorruptData(f"a column of {len(data)} bytes is damaged: it is no whole number of 8-byte words")
    words = np.empty(count, dtype="<i8") if out is None else out
    if len(words) != count:
        raise CorruptData(f"a column is damaged: it holds {count} numbers, where {len(words)} are expected")
    planes, places = np.frombuffer(data, dtype=np.uint8).reshape(8, -1), words.view(np.uint8).reshape(-1, 8)
    for weight in range(8):  # Plane by plane: a third faster than a copy of the transpose.
        places[:, weight] = planes[weight]
    return words


def _compress(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compress(data)


def _decompress(data: bytes) -> bytes:
    try:
        return zstandard.ZstdDecompressor().decompress(data)
    except (zstandard.ZstdError, MemoryError) as error:  # A damaged head may claim any size.
        raise CorruptData(f"a column of {len(data)} bytes cannot be decompressed: {error}") from error
