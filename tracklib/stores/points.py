"""Points in SQLite: recent ones as batches, sealed ones as chunks, and a summary of each series."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from tracklib.errors import NotFound
from tracklib.model import SeriesPoints, Summary
from tracklib.stores.chunks import (
    CHUNK_POINTS,
    ColumnGroup,
    MergedColumns,
    decode_batch,
    decode_steps,
    decode_times,
    decode_values,
    encode_batch,
    encode_steps,
    encode_times,
    encode_values,
    merge_groups,
)

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from tracklib.records import Batch, PointGroup, ScatteredPoints

__all__ = [
    "SUMMARY_COLUMNS",
    "add_points",
    "check_series",
    "folded_rows",
    "merged_points",
    "put_sums",
    "read_series",
    "read_summaries",
    "seal",
    "series_ids",
    "summary_rows",
]

DIRECT_ROWS: Final = 4096
"""A batch with a group of so many rows becomes chunks at once."""
SEAL_ROWS: Final = 4096
SEAL_POINTS: Final = 1_000_000
SEAL_BATCHES: Final = 256
"""Batches become chunks when one of these is reached: enough for good chunks, few enough to read through."""
SUMMARY_SERIES: Final = 64
"""Summaries of so many series are brought up to date with each batch; of more, when batches become chunks."""

_STAYS = "last_step > ?8 OR (last_step = ?8 AND last_start > ?11)"
"""Whether the last value of a series outlasts a new one: at a higher step, or of a writer that began later."""

_UPDATE = f"""
UPDATE series SET count = count + ?2, nan_count = nan_count + ?3, sum = sum + ?4,
  min = min(coalesce(min, ?5), coalesce(?5, min)), max = max(coalesce(max, ?6), coalesce(?6, max)),
  last = CASE WHEN {_STAYS} THEN last ELSE ?9 END,
  last_time = CASE WHEN {_STAYS} THEN last_time ELSE ?10 END,
  last_start = CASE WHEN {_STAYS} THEN last_start ELSE ?11 END,
  first_step = min(coalesce(first_step, ?7), ?7), last_step = max(coalesce(last_step, ?8), ?8)
WHERE id = ?1
"""  # noqa: S608 - our own words
SUMMARY_COLUMNS: Final = "name, last, min, max, sum, count, nan_count, first_step, last_step, last_time, last_start"


def series_ids(connection: sqlite3.Connection, run: int, names: Iterable[str], known: dict[str, int]) -> None:
    """Make sure that `known` has the ids of these series of a run, creating those that are new."""
    missing = [name for name in names if name not in known]
    if not missing:
        return
    if not known:
        known.update(connection.execute("SELECT name, id FROM series WHERE run_key = ?", (run,)))
    for name in missing:
        if name not in known:
            cursor = connection.execute(
                "INSERT INTO series (run_key, name, count, nan_count, sum) VALUES (?, ?, 0, 0, 0.0)"
                " ON CONFLICT DO UPDATE SET name = name RETURNING id",
                (run, name),
            )
            known[name] = cursor.fetchone()[0]


def add_points(connection: sqlite3.Connection, writer: int, batch: Batch, known: dict[str, int]) -> None:
    """Keep the points of one flush, as a batch or, where they are many or the last ones, as chunks."""
    columns = [_columns(group, known) for group in batch.groups if len(group.steps)]
    if batch.scattered and len(batch.scattered.steps):
        columns.append(_scattered(batch.scattered, known))
    rows = sum(map(_depth, columns))
    points = sum(group.values.size for group in columns)
    waiting, waiting_rows, waiting_points = connection.execute(
        "SELECT count(*), coalesce(sum(rows), 0), coalesce(sum(points), 0) FROM batch WHERE writer_key = ?", (writer,)
    ).fetchone()
    full = waiting >= SEAL_BATCHES or waiting_rows + rows >= SEAL_ROWS or waiting_points + points >= SEAL_POINTS
    if batch.final or full or rows >= DIRECT_ROWS:
        seal(connection, writer, columns)
    elif columns:
        cursor = connection.execute(
            "INSERT INTO batch (writer_key, rows, points, data) VALUES (?, ?, ?, ?)",
            (writer, rows, points, encode_batch(columns)),
        )
        if sum(len(group.series) for group in columns) <= SUMMARY_SERIES:
            _catch_up(connection, writer, int(cursor.lastrowid or 0), columns)


def _columns(group: PointGroup, known: dict[str, int]) -> ColumnGroup:
    series = np.array([known[name] for name in group.names], dtype=np.int64)
    return ColumnGroup(series, group.steps, group.times, group.values, group.order)


def _depth(group: ColumnGroup) -> int:
    """Return how many points a series of the group has: what a chunk of it would hold."""
    return -(-len(group.steps) // len(np.unique(group.series))) if group.scattered else len(group.steps)


def _scattered(points: ScatteredPoints, known: dict[str, int]) -> ColumnGroup:
    series = np.array([known[name] for name in points.names], dtype=np.int64)[points.which]
    return ColumnGroup(series, points.steps, points.times, points.values, points.order)


def seal(connection: sqlite3.Connection, writer: int, columns: Sequence[ColumnGroup] = ()) -> None:
    """Turn the batches of a writer, and `columns` behind them, into chunks, and bring the summaries up to date."""
    rows = connection.execute("SELECT id, data FROM batch WHERE writer_key = ? ORDER BY id", (writer,)).fetchall()
    batches = [decode_batch(data) for _, data in rows]
    known = _summarised(connection, writer)
    fresh = [batch for (key, _), batch in zip(rows, batches, strict=True) if key > known.batch]
    _summarise(connection, [*fresh, columns], known.began)
    for merged in merge_groups([*batches, columns]):
        _write_chunks(connection, writer, merged)
    connection.execute("DELETE FROM batch WHERE writer_key = ?", (writer,))
    # Ids of deleted rows are given out again.
    connection.execute("UPDATE writer SET summarised = 0 WHERE key = ?", (writer,))


def _write_chunks(connection: sqlite3.Connection, writer: int, merged: MergedColumns) -> None:
    for start in range(0, len(merged.steps), CHUNK_POINTS):
        part = slice(start, start + CHUNK_POINTS)
        steps, times, values = merged.steps[part], merged.times[part], merged.values[part]
        cursor = connection.execute(
            "INSERT INTO axis (writer_key, count, first_step, last_step, steps, times) VALUES (?, ?, ?, ?, ?, ?)",
            (writer, len(steps), int(steps.min()), int(steps.max()), encode_steps(steps), encode_times(times)),
        )
        axis = cursor.lastrowid
        count, statistics, columns = len(steps), _statistics(values), np.ascontiguousarray(values.T)
        connection.executemany(
            "INSERT INTO chunk (series_id, axis_id, count, nan_count, sum, min, max, data)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (series, axis, count, *statistic, encode_values(column))
                for series, statistic, column in zip(merged.series, statistics, columns, strict=True)
            ),
        )


def _statistics(values: NDArray[np.float64]) -> list[tuple[int, float, float | None, float | None]]:
    """Return for each column how many values are NaN, and sum, min and max of the others."""
    missing = np.isnan(values)
    with np.errstate(invalid="ignore", over="ignore"):  # ∞ - ∞ is NaN, and that is the truth about such a sum.
        sums = np.where(missing, 0.0, values).sum(axis=0)
    lows = np.where(missing, np.inf, values).min(axis=0)
    highs = np.where(missing, -np.inf, values).max(axis=0)
    counts = missing.sum(axis=0).tolist()
    return [
        (count, total, None, None) if count == len(values) else (count, total, low, high)
        for count, total, low, high in zip(counts, sums.tolist(), lows.tolist(), highs.tolist(), strict=True)
    ]


# ---- summaries


class _Summarised(NamedTuple):
    """How far the summaries are with a writer: the id of its last batch that they know of, and when it began."""

    batch: int
    began: float


def _summarised(connection: sqlite3.Connection, writer: int) -> _Summarised:
    row = connection.execute("SELECT summarised, started_at FROM writer WHERE key = ?", (writer,)).fetchone()
    return _Summarised(*row)


def _catch_up(connection: sqlite3.Connection, writer: int, batch: int, columns: Sequence[ColumnGroup]) -> None:
    """Bring the summaries up to date with a new batch, unless wide ones before it were left for later."""
    before = connection.execute(
        "SELECT max(id) FROM batch WHERE writer_key = ? AND id < ?", (writer, batch)
    ).fetchone()[0]
    known = _summarised(connection, writer)
    if before is None or before <= known.batch:
        _summarise(connection, [columns], known.began)
        connection.execute("UPDATE writer SET summarised = ? WHERE key = ?", (batch, writer))


def _summarise(connection: sqlite3.Connection, batches: Sequence[Sequence[ColumnGroup]], began: float) -> None:
    for groups in batches:
        connection.executemany(_UPDATE, summary_rows(groups, began))


def summary_rows(groups: Sequence[ColumnGroup], began: float) -> Iterable[tuple[Any, ...]]:
    """Return the arguments of `_UPDATE`, so ordered that of several points at the highest step the last one wins.

    Args:
        began: When the writer of the points began.
    """
    rows = [row for group in groups if len(group.steps) for row in _of_group(group)]
    return ((*row, began) for _, row in sorted(rows, key=lambda pair: pair[0]))


def _of_group(group: ColumnGroup) -> Iterable[tuple[int, tuple[Any, ...]]]:
    """Yield for each series of a group the place of its last point, and its row."""
    if group.scattered:
        yield from _of_scattered(group)
        return
    last = len(group.steps) - 1 - int(group.steps[::-1].argmax())
    place, count, time = int(group.order[last]), len(group.steps), float(group.times[last])
    first_step, last_step = int(group.steps.min()), int(group.steps[last])
    finals = group.values[last].tolist()
    for series, (missing, total, low, high), final in zip(
        group.series.tolist(), _statistics(group.values), finals, strict=True
    ):
        yield place, (series, count, missing, total, low, high, first_step, last_step, final, time)


def _of_scattered(group: ColumnGroup) -> Iterable[tuple[int, tuple[Any, ...]]]:
    """Do the same for points of many series at once: sorted by series, step and arrival, each has its last one last."""
    order = np.lexsort((group.order, group.steps, group.series))
    series, steps, values = group.series[order], group.steps[order], group.values[order]
    starts = np.flatnonzero(np.diff(series, prepend=series[0] - 1))
    ends = np.append(starts[1:], len(series)) - 1
    missing = np.isnan(values)
    counts, nans = ends - starts + 1, np.add.reduceat(missing.astype(np.int64), starts)
    with np.errstate(invalid="ignore", over="ignore"):  # As in `_statistics`.
        sums = np.add.reduceat(np.where(missing, 0.0, values), starts)
    lows = np.minimum.reduceat(np.where(missing, np.inf, values), starts)
    highs = np.maximum.reduceat(np.where(missing, -np.inf, values), starts)
    columns = (counts, nans, sums, lows, highs, steps[starts], steps[ends], values[ends], group.times[order][ends])
    places = group.order[order][ends].tolist()
    for place, name, row in zip(
        places, series[starts].tolist(), zip(*(c.tolist() for c in columns), strict=True), strict=True
    ):
        count, empty, total, low, high, *rest = row
        yield place, (name, count, empty, total, *((None, None) if count == empty else (low, high)), *rest)


def put_sums(connection: sqlite3.Connection, run: int, writers: Sequence[tuple[float, dict[str, list[Any]]]]) -> None:
    """Replace the summaries of a run by those that its writers made themselves.

    Args:
        writers: When each began, in this order, and its sums by name: last, min, max, sum, count, how many are NaN,
            first step, last step and time of last; numbers that are not finite may be texts.
    """
    rows: dict[str, list[Any]] = {}
    for began, sums in writers:
        for name, row in sums.items():
            final, low, high, total, count, missing, first, last, time = map(_number, row)
            folded = rows.setdefault(name, [run, name, None, None, None, 0.0, 0, 0, None, None, None, None])
            _fold(folded, (None, count, missing, total, low, high, first, last, final, time, began))
    connection.execute("DELETE FROM series WHERE run_key = ?", (run,))
    columns = f"run_key, {SUMMARY_COLUMNS}"
    connection.executemany(
        f"INSERT INTO series ({columns}) VALUES ({', '.join('?' * 12)})",  # noqa: S608 - our own names
        rows.values(),
    )


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, str) else value


def read_summaries(connection: sqlite3.Connection, runs: dict[int, str]) -> dict[str, dict[str, Summary]]:
    """Return summaries by run id and name for runs given as key to id; what is not summarised yet is folded in."""
    result: dict[str, dict[str, Summary]] = {run: {} for run in runs.values()}
    for row in folded_rows(connection, list(runs)):
        if row[6]:
            result[runs[row[0]]][row[1]] = _summary(row[1:11])
    return result


def folded_rows(connection: sqlite3.Connection, runs: list[int]) -> Iterator[list[Any]]:
    """Yield the rows of the series of runs given by key: the run, and `SUMMARY_COLUMNS` with all that was logged."""
    for keys in _portions(runs):
        marks = ",".join("?" * len(keys))
        found = connection.execute(
            f"SELECT id, run_key, {SUMMARY_COLUMNS} FROM series WHERE run_key IN ({marks})",  # noqa: S608 - only marks are put in
            keys,
        )
        rows = {row[0]: list(row[1:]) for row in found}
        pending = connection.execute(
            "SELECT batch.data, writer.started_at FROM batch JOIN writer ON writer.key = batch.writer_key"  # noqa: S608 - as above
            f" WHERE writer.run_key IN ({marks}) AND batch.id > writer.summarised ORDER BY batch.id",
            keys,
        ).fetchall()
        for data, began in pending:
            for change in summary_rows(decode_batch(data), began):
                _fold(rows[change[0]], change)
        yield from rows.values()


def _portions(keys: list[int], size: int = 500) -> Iterable[list[int]]:
    return (keys[start : start + size] for start in range(0, len(keys), size))


def _fold(row: list[Any], change: tuple[Any, ...]) -> None:
    """Do to a row in memory what `_UPDATE` does to one in the table."""
    _, count, missing, total, low, high, first, last, final, time, began = change
    row[6] += count
    row[7] += missing
    row[5] = None if row[5] is None or math.isnan(total) else row[5] + total
    row[3] = min((v for v in (row[3], low) if v is not None), default=None)
    row[4] = max((v for v in (row[4], high) if v is not None), default=None)
    if row[9] is None or (last, began) >= (row[9], row[11]):
        row[2], row[10], row[11] = final, time, began
    row[8] = first if row[8] is None else min(row[8], first)
    row[9] = last if row[9] is None else max(row[9], last)


def _summary(row: Sequence[Any]) -> Summary:
    name, last, low, high, total, count, missing, first, last_step, time = row
    numbers = count - missing
    return Summary(
        name=name,
        last=_nan(last),
        min=_nan(low),
        max=_nan(high),
        mean=_nan(total) / numbers if numbers else math.nan,
        count=count,
        first_step=first,
        last_step=last_step,
        last_time=time,
    )


def _nan(value: float | None) -> float:
    return math.nan if value is None else value


# ---- series


def read_series(connection: sqlite3.Connection, run: int, name: str, *, every: bool) -> SeriesPoints:
    """Return a series by step; of several points at a step the last to arrive, or with `every` all of them.

    Raises:
        NotFound: The run has no such series.
    """
    series = check_series(connection, run, name)
    parts: list[SeriesPoints] = []
    writers = connection.execute("SELECT key FROM writer WHERE run_key = ? ORDER BY started_at, key", (run,)).fetchall()
    for (writer,) in writers:
        parts += [_sealed(connection, series, writer), *_recent(connection, series, writer)]
    return merged_points([points for points in parts if len(points.steps)], every=every)


def check_series(connection: sqlite3.Connection, run: int, name: str) -> int:
    """Return the id of a series.

    Raises:
        NotFound: The run has no such series; the message suggests near names.
    """
    found = connection.execute("SELECT id FROM series WHERE run_key = ? AND name = ?", (run, name)).fetchone()
    if found is None:
        raise NotFound(f"the run has no metric {name!r}{_nearest(connection, run, name)}")
    return int(found[0])


def merged_points(parts: Sequence[SeriesPoints], *, every: bool) -> SeriesPoints:
    """Return points by step that are given in the order of their arrival; see `read_series`."""
    parts = parts or [_room(0)]
    whole = parts[0] if len(parts) == 1 else SeriesPoints(*map(np.concatenate, zip(*parts, strict=True)))
    steps, times, values = _by_step(whole, every=every)
    # Readers may do with them what they like.
    return SeriesPoints(*(np.require(column, requirements="W") for column in (steps, times, values)))  # type: ignore[arg-type] # zip of three types


def _room(count: int) -> SeriesPoints:
    return SeriesPoints(np.empty(count, dtype=np.int64), np.empty(count), np.empty(count))


def _sealed(connection: sqlite3.Connection, series: int, writer: int) -> SeriesPoints:
    rows = connection.execute(
        "SELECT axis.count, axis.steps, axis.times, chunk.data FROM chunk JOIN axis ON axis.id = chunk.axis_id"
        " WHERE chunk.series_id = ? AND axis.writer_key = ? ORDER BY axis.id",
        (series, writer),
    ).fetchall()
    # Decoded into their places at once: of a million points each copy counts.
    points, begin = _room(sum(row[0] for row in rows)), 0
    for count, steps, times, values in rows:
        part = slice(begin, begin + count)
        decode_steps(steps, points.steps[part])
        decode_times(times, points.times[part])
        decode_values(values, points.values[part])
        begin += count
    return points


def _recent(connection: sqlite3.Connection, series: int, writer: int) -> Iterable[SeriesPoints]:
    rows = connection.execute("SELECT data FROM batch WHERE writer_key = ? ORDER BY id", (writer,))
    return (points for (data,) in rows if (points := _of_batch(data, series)) is not None)


def _of_batch(data: bytes, series: int) -> SeriesPoints | None:
    """Return a batch's points of one series, in the order of their arrival."""
    found = [part for group in decode_batch(data) if (part := _of_series(group, series)) is not None]
    if len(found) < 2:
        return found[0][0] if found else None
    columns = (np.concatenate(column) for column in zip(*(points for points, _ in found), strict=True))
    order = np.argsort(np.concatenate([places for _, places in found]))
    steps, times, values = (column[order] for column in columns)
    return SeriesPoints(steps, times, values)


def _of_series(group: ColumnGroup, series: int) -> tuple[SeriesPoints, NDArray[np.int64]] | None:
    """Return a group's points of one series, and their places in the batch."""
    chosen = np.flatnonzero(group.series == series)
    if not len(chosen):
        return None
    if group.scattered:
        return SeriesPoints(group.steps[chosen], group.times[chosen], group.values[chosen]), group.order[chosen]
    return SeriesPoints(group.steps, group.times, group.values[:, chosen[0]]), group.order


def _by_step(points: SeriesPoints, *, every: bool) -> SeriesPoints:
    """Sort by step, keeping the order of arrival within a step."""
    steps = points.steps
    if len(steps) < 2 or bool((steps[1:] > steps[:-1]).all()):
        return points
    order = np.argsort(steps, kind="stable")
    if not every:
        ordered = steps[order]
        order = order[np.append(ordered[1:] != ordered[:-1], True)]
    return SeriesPoints(steps[order], points.times[order], points.values[order])


def _nearest(connection: sqlite3.Connection, run: int, name: str) -> str:
    import difflib

    names = [row[0] for row in connection.execute("SELECT name FROM series WHERE run_key = ?", (run,))]
    close = difflib.get_close_matches(name, names, 3)
    return f"; did you mean {' or '.join(map(repr, close))}?" if close else ""
