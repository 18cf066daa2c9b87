"""A run of an object store as batches; see `Store.export`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Final

import numpy as np

from tracklib.records import Batch, PointGroup, Record, RecordKind, RunStatus
from tracklib.stores.segments import Rows, joined

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracklib.stores.object_log import ToldRecord, WriterState

__all__ = ["WriterObjects", "export_batches"]

MOST_ROWS: Final = 500_000
"""Points in one batch, where they can be parted."""


@dataclass(slots=True)
class WriterObjects:
    """What one writer has in the bucket.

    Attributes:
        records: All of them, in their order.
        segments: Its points, segment by segment, read as they are needed.
    """

    writer: str
    state: WriterState
    records: list[ToldRecord]
    segments: Iterator[Rows]
    waiting: Rows = field(default_factory=Rows.none)
    position: int = 0

    def take(self, before: int) -> Iterator[tuple[Rows, int]]:
        """Yield the points of batches that began before a position, and up to where each portion goes.

        Portions end with a batch, wherever segments end: those may be put together before a copy is gone on with.
        """
        parts: list[Rows] = []
        count = 0
        while (rows := self._next()) is not None:
            inside = rows.batches < before
            self.waiting, rows = rows.chosen(~inside), rows.chosen(inside)
            while len(rows):
                starts, counts = np.unique(rows.batches, return_counts=True)
                full = np.flatnonzero(count + np.cumsum(counts) >= MOST_ROWS)
                last = int(starts[full[0] if len(full) else -1])
                taken = rows.batches <= last
                parts.append(rows.chosen(taken))
                count, rows = count + len(parts[-1]), rows.chosen(~taken)
                if len(full):
                    yield joined(parts), last + 1
                    parts, count = [], 0
            if len(self.waiting):
                break
        yield joined(parts), before

    def _next(self) -> Rows | None:
        if len(self.waiting):
            return self.waiting
        return next(self.segments, None)


def export_batches(run: str, writers: Iterable[WriterObjects]) -> Iterator[Batch]:
    """Yield the batches of a run's writers, in the order in which they were shipped."""
    by_name = {writer.writer: writer for writer in writers}
    turns = sorted(_turns(by_name.values()))
    # The first batch of a writer stays alone: what is in it says where its run goes.
    parted = groupby(turns, key=lambda turn: (turn[2], turn[0] <= by_name[turn[2]].state.shipped))
    stretches = [(name, [*turn]) for (name, _), turn in parted]
    last = {name: index for index, (name, _) in enumerate(stretches)}
    ends = _ends(stretches, by_name)
    for index, (name, turn) in enumerate(stretches):
        records = [by_name[name].records[number] for _, number, _ in turn if number >= 0]
        yield from _stretch(run, by_name[name], records, ends[index], final=last[name] == index)


def _turns(writers: Iterable[WriterObjects]) -> Iterator[tuple[float, int, str]]:
    """Yield when each writer came for the first time, and each of its records: time, number, name."""
    for writer in writers:
        latest = writer.state.shipped
        yield latest, -1, writer.writer
        for number, told in enumerate(writer.records):
            latest = max(latest, told.shipped)
            yield latest, number, writer.writer


def _ends(stretches: list[tuple[str, list[tuple[float, int, str]]]], writers: dict[str, WriterObjects]) -> list[int]:
    """Return up to which position of its writer each stretch goes: to where the next one of the same writer begins."""
    ends: list[int] = []
    following = {name: writer.state.position for name, writer in writers.items()}
    for name, turn in reversed(stretches):
        ends.append(following[name])
        numbers = [number for _, number, _ in turn if number >= 0]
        if numbers:
            following[name] = max(1, writers[name].records[numbers[0]].batch)
    return ends[::-1]


def _stretch(run: str, writer: WriterObjects, told: list[ToldRecord], end: int, *, final: bool) -> Iterator[Batch]:
    records: tuple[Record, ...] = tuple(each.record for each in told)
    state = writer.state
    ended = state.status != RunStatus.RUNNING
    portions = _with_end(writer.take(end))
    alone = writer.position == 0 and final and not any(record.kind == RecordKind.START for record in records)
    for number, (rows, upto, is_last) in enumerate(portions):
        closing = final and is_last
        stop = max(upto, writer.position + 1) if not is_last else end
        if closing and alone and state.began != state.heartbeat and end - writer.position > 1:
            # When it began is only told by its first batch, when it was last heard of by its last one.
            yield _batch(run, writer, end - 1, state.began, records if not number else (), rows)
            yield _batch(run, writer, end, state.heartbeat, (), Rows.none(), final=ended)
            return
        at = state.heartbeat if closing else state.began
        yield _batch(run, writer, stop, at, records if not number else (), rows, final=closing and ended)


def _with_end(portions: Iterator[tuple[Rows, int]]) -> Iterator[tuple[Rows, int, bool]]:
    """Yield each portion, and whether it is the last one."""
    before = next(portions)
    for portion in portions:
        yield (*before, False)
        before = portion
    yield (*before, True)


def _batch(  # noqa: PLR0913 - a batch is told by all of these
    run: str,
    writer: WriterObjects,
    end: int,
    at: float,
    records: tuple[Record, ...],
    rows: Rows,
    *,
    final: bool = False,
) -> Batch:
    start, writer.position = writer.position, end
    return Batch(
        run=run,
        writer=writer.writer,
        start=start,
        end=end,
        time=at,
        records=records,
        groups=tuple(_groups(rows)),
        final=final,
    )


def _groups(rows: Rows) -> Iterator[PointGroup]:
    """Yield points by name, those together that have the same steps and times."""
    alike: dict[bytes, list[tuple[str, Rows]]] = {}
    for index, name in enumerate(rows.names):
        mine = rows.chosen(rows.which == index)
        if len(mine):
            alike.setdefault(mine.steps.tobytes() + mine.times.tobytes(), []).append((name, mine))
    for found in alike.values():
        first = found[0][1]
        yield PointGroup(
            tuple(name for name, _ in found),
            first.steps,
            first.times,
            np.stack([mine.values for _, mine in found], axis=1),
            np.arange(len(first), dtype=np.int64),
        )
