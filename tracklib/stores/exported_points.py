"""The points of a run in SQLite as groups: writer by writer, in the order of arrival, so many at once and no more."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Final

import numpy as np

from tracklib.records import PointGroup
from tracklib.stores.chunks import decode_batch, decode_steps, decode_times, decode_values, merge_groups

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["MOST_POINTS", "ExportedPoints"]

MOST_POINTS: Final = 500_000
"""So many points are given out at once at the most: some 12 MB."""


class ExportedPoints:
    """The points of one run."""

    def __init__(self, connection: sqlite3.Connection, run: int) -> None:
        self._connection = connection
        self._names: dict[int, str] = dict(connection.execute("SELECT id, name FROM series WHERE run_key = ?", (run,)))
        self._chunks = _chunks_by_axis(connection, run)
        self._seen = set(self._chunks[:, 1].tolist())

    def of_writer(self, writer: int) -> Iterator[list[PointGroup]]:
        """Yield the points of a writer: those in chunks, then those of recent batches, in portions of `MOST_POINTS`.

        The order in a group is its own: whoever puts groups together places them behind each other.
        """
        gathered: list[PointGroup] = []
        count = 0
        for group in chain(self._sealed(writer), self._recent(writer)):
            if gathered and count + group.values.size > MOST_POINTS:
                yield gathered
                gathered, count = [], 0
            gathered.append(group)
            count += group.values.size
        if gathered:
            yield gathered

    def empty_series(self) -> list[PointGroup]:
        """Return a group without points of those series that have none; ask when all writers were asked."""
        names = [name for series, name in self._names.items() if series not in self._seen]
        nothing = np.empty(0, dtype=np.int64)
        return [_group(names, nothing, np.empty(0), np.empty((0, len(names))))] if names else []

    def _sealed(self, writer: int) -> Iterator[PointGroup]:
        axes = self._connection.execute("SELECT id FROM axis WHERE writer_key = ? ORDER BY id", (writer,)).fetchall()
        for (axis,) in axes:
            first, behind = np.searchsorted(self._chunks[:, 0], [axis, axis + 1]).tolist()
            packed = self._connection.execute("SELECT steps, times FROM axis WHERE id = ?", (axis,)).fetchone()
            steps, times = decode_steps(packed[0]), decode_times(packed[1])
            for part in _portions(behind - first, len(steps)):
                chunks = self._chunks[first:behind][part]
                values = np.empty((len(steps), len(chunks)))
                for column, chunk in enumerate(chunks[:, 2].tolist()):
                    data = self._connection.execute("SELECT data FROM chunk WHERE id = ?", (chunk,)).fetchone()[0]
                    values[:, column] = decode_values(data)
                yield _group([self._names[series] for series in chunks[:, 1].tolist()], steps, times, values)

    def _recent(self, writer: int) -> Iterator[PointGroup]:
        rows = self._connection.execute("SELECT data FROM batch WHERE writer_key = ? ORDER BY id", (writer,))
        # As they would be sealed. They are not many, or they would have been.
        for merged in merge_groups([decode_batch(data) for (data,) in rows]):
            self._seen.update(merged.series)
            for part in _portions(len(merged.series), len(merged.steps)):
                names = [self._names[series] for series in merged.series[part]]
                yield _group(names, merged.steps, merged.times, np.ascontiguousarray(merged.values[:, part]))


def _chunks_by_axis(connection: sqlite3.Connection, run: int) -> NDArray[np.int64]:
    """Return a row with the ids of axis, series and chunk for each chunk of a run, by axis and chunk."""
    # CROSS JOIN makes SQLite begin with the series of the run: chunks are not indexed by their axis alone.
    rows = connection.execute(
        "SELECT axis_id, series_id, chunk.id FROM series CROSS JOIN chunk ON series_id = series.id WHERE run_key = ?",
        (run,),
    )
    found = np.fromiter(chain.from_iterable(rows), dtype=np.int64).reshape(-1, 3)
    return found[np.lexsort((found[:, 2], found[:, 0]))]


def _portions(width: int, rows: int) -> Iterator[slice]:
    """Yield which of so many columns are given out at once."""
    most = max(1, MOST_POINTS // max(1, rows))
    return (slice(first, first + most) for first in range(0, width, most))


def _group(
    names: list[str], steps: NDArray[np.int64], times: NDArray[np.float64], values: NDArray[np.float64]
) -> PointGroup:
    return PointGroup(tuple(names), steps, times, values, np.arange(len(steps), dtype=np.int64))
