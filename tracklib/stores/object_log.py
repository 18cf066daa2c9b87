"""What one writer has in an object store: the text of its records, and the state that it ends with."""

from __future__ import annotations

import json
import math
import os
import time
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from tracklib.errors import CorruptData
from tracklib.records import Batch, PointGroup, Record, RecordKind, RunStatus
from tracklib.stores.chunks import ColumnGroup
from tracklib.stores.points import summary_rows
from tracklib.stores.segments import Rows, in_order, joined, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "RecordsText",
    "ToldRecord",
    "WriterLog",
    "WriterState",
    "estimated_state",
    "log_of",
    "parse_records",
    "shipping_time",
]

SEGMENT_ROWS: Final = 262_144
"""A segment that has so many rows is not written to any more."""
SEGMENT_BATCHES: Final = 32
WORTH_ROWS: Final = 32_768
"""Nor is one that was written so often, once it has so many rows: each time it goes over the network as a whole."""
RECORDS_BYTES: Final = 1 << 18
"""Nor is an object of records that is so long."""

STATE: Final = "state"
"""The kind of the last line."""

_lock = Lock()
_last_time = 0.0


def shipping_time() -> float:
    """Return the time, later each time it is called in this process: the order in which things were shipped."""
    global _last_time  # noqa: PLW0603 - one clock for all stores of the process
    with _lock:
        _last_time = max(time.time(), math.nextafter(_last_time, math.inf))
        return _last_time


def _in_child() -> None:
    """Let a forked child go on: a thread of its parent may have held the lock."""
    global _lock  # noqa: PLW0603 - a lock of another process cannot be let go of
    _lock = Lock()


os.register_at_fork(after_in_child=_in_child)


class ToldRecord(NamedTuple):
    """A record as it stands in an object.

    Attributes:
        batch: The journal position at which its batch began.
        shipped: When the batch was shipped.
    """

    record: Record
    batch: int
    shipped: float

    def line(self) -> bytes:
        """Return it as a line of JSON."""
        record = self.record
        return _line(record.kind, record.time, self.batch, self.shipped, record.data)


@dataclass(frozen=True, slots=True, kw_only=True)
class WriterState:
    """How far a writer is. It ends each of its objects of records; that of the newest one counts.

    Attributes:
        position: How much of its journal is in the store.
        began: When its first batch was written, in seconds since the epoch.
        shipped: When its first batch was shipped.
        heartbeat: When its newest batch was written.
        written: When this was said: the time of the newest shipment, by the clock of who shipped.
        status: Of the writer: running, or how it ended.
        segments: How many segments of points it has; those with higher numbers do not count.
        sums: By name of series: last, min, max, sum, count, how many are NaN, first step, last step, time of last.
    """

    position: int = 0
    began: float = 0.0
    shipped: float = 0.0
    heartbeat: float = 0.0
    written: float = 0.0
    status: str = RunStatus.RUNNING.value
    segments: int = 0
    sums: dict[str, list[Any]] = field(default_factory=dict)

    def line(self) -> bytes:
        """Return it as a line of JSON."""
        data = {
            "position": self.position,
            "began": self.began,
            "first_shipped": self.shipped,
            "status": self.status,
            "segments": self.segments,
            "sums": {name: [_written(number) for number in row] for name, row in self.sums.items()},
        }
        return _line(STATE, self.heartbeat, self.position, self.written, data)

    @classmethod
    def parse(cls, line: dict[str, Any]) -> WriterState:
        """Return the state that a line says."""
        data = line["data"]
        return cls(
            position=int(data["position"]),
            began=float(data["began"]),
            shipped=float(data["first_shipped"]),
            heartbeat=float(line["time"]),
            written=float(line["shipped"]),
            status=str(data["status"]),
            segments=int(data["segments"]),
            sums={name: [_read(number) for number in row] for name, row in data["sums"].items()},
        )


class RecordsText(NamedTuple):
    """What an object of records says.

    Attributes:
        state: What its last line says; None where that cannot be read.
        problems: What is wrong with it, in words.
    """

    records: list[ToldRecord]
    state: WriterState | None
    problems: list[str]


def parse_records(data: bytes) -> RecordsText:
    """Read an object of records; lines that cannot be read are passed over and named."""
    records: list[ToldRecord] = []
    state: WriterState | None = None
    problems: list[str] = []
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line:
            continue
        try:
            said = json.loads(line)
            if said["kind"] == STATE:
                state = WriterState.parse(said)
            else:
                record = Record(str(said["kind"]), float(said["time"]), dict(said["data"]))
                records.append(ToldRecord(record, int(said["batch"]), float(said["shipped"])))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            problems.append(f"line {number} cannot be read ({type(error).__name__}: {error})"[:200])
    if state is None:
        problems.append("its last line, which says how far the writer is, is missing")
    return RecordsText(records, state, problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class WriterLog:
    """What a writer needs to know of its objects to go on with them.

    Attributes:
        number: Of the object of records that is written now.
        lines: The records in it, as lines of JSON.
        tail: The points in the last segment.
        batches: How many batches have gone into that segment, since it was looked up.
        token: Of the object of records as it was last seen; None where it is not there yet.
    """

    state: WriterState = field(default_factory=WriterState)
    number: int = 0
    lines: tuple[bytes, ...] = ()
    tail: Rows = field(default_factory=Rows.none)
    batches: int = 0
    token: str | None = None

    def rolled(self) -> WriterLog:
        """Begin the next object of records, and the next segment, where these are long enough."""
        log = self
        if sum(map(len, self.lines)) >= RECORDS_BYTES:
            log = replace(log, number=log.number + 1, lines=(), token=None)
        rows = len(log.tail)
        if rows >= SEGMENT_ROWS or (rows >= WORTH_ROWS and log.batches >= SEGMENT_BATCHES):
            log = replace(log, tail=Rows.none(), batches=0)
        return log

    def extended(self, batch: Batch, shipped: float) -> WriterLog:
        """Return the log with a batch behind it."""
        told = tuple(ToldRecord(record, batch.start, shipped).line() for record in batch.records)
        state, rows = self.state, rows_of(batch)
        begins = not state.shipped
        fresh = bool(len(rows)) and not len(self.tail)
        statuses = [_status_after(record) for record in batch.records if record.kind in _STANDING]
        state = WriterState(
            position=batch.end,
            began=batch.time if begins else state.began,
            shipped=shipped if begins else state.shipped,
            heartbeat=max(state.heartbeat, batch.time),
            written=shipped,
            status=[state.status, *statuses][-1],
            segments=state.segments + fresh,
            sums=summed(state.sums, batch) if len(rows) else state.sums,
        )
        log = replace(self, state=state, lines=self.lines + told)
        return replace(log, tail=in_order(joined([self.tail, rows])), batches=self.batches + 1) if len(rows) else log

    def text(self) -> bytes:
        """Return the object of records."""
        return b"".join([*self.lines, self.state.line()])


_STANDING: Final = frozenset({RecordKind.START, RecordKind.END})


def _status_after(record: Record) -> str:
    return RunStatus.RUNNING if record.kind == RecordKind.START else str(record.data.get("status", "completed"))


def summed(sums: dict[str, list[Any]], batch: Batch) -> dict[str, list[Any]]:
    """Return what is known of the series with the points of a batch."""
    names: dict[str, int] = {}
    result = dict(sums)
    groups = list(_column_groups(batch, names))
    by_id = list(names)
    for key, count, missing, total, low, high, first, last, final, at, _ in summary_rows(groups, 0.0):
        name = by_id[key]
        result[name] = _added(result.get(name), [final, low, high, total, count, missing, first, last, at])
    return result


def _column_groups(batch: Batch, names: dict[str, int]) -> Iterator[ColumnGroup]:
    for group in batch.groups:
        ids = np.array([names.setdefault(name, len(names)) for name in group.names], dtype=np.int64)
        yield ColumnGroup(ids, group.steps, group.times, group.values, group.order)
    if batch.scattered is not None:
        few = batch.scattered
        ids = np.array([names.setdefault(name, len(names)) for name in few.names], dtype=np.int64)[few.which]
        yield ColumnGroup(ids, few.steps, few.times, few.values, few.order)


def _added(old: list[Any] | None, new: list[Any]) -> list[Any]:
    """Return the sums of points and of points that came later."""
    if old is None:
        return new
    outlasts = new[7] >= old[7]  # Of several values at the highest step the later one is the last.
    return [
        new[0] if outlasts else old[0],
        _pick(min, old[1], new[1]),
        _pick(max, old[2], new[2]),
        old[3] + new[3],
        old[4] + new[4],
        old[5] + new[5],
        min(old[6], new[6]),
        max(old[7], new[7]),
        new[8] if outlasts else old[8],
    ]


def _pick(choose: Any, *values: float | None) -> float | None:
    known = [value for value in values if value is not None]
    return choose(known) if known else None


def _line(kind: str, at: float, batch: int, shipped: float, data: dict[str, Any]) -> bytes:
    said = {"kind": kind, "time": at, "batch": batch, "shipped": shipped, "data": data}
    try:
        return _dumped(said, ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:  # Half a character that nobody has cleaned away: JSON can say it in its own way.
        return _dumped(said, ensure_ascii=True).encode() + b"\n"


def _dumped(said: dict[str, Any], *, ensure_ascii: bool) -> str:
    try:
        return json.dumps(said, ensure_ascii=ensure_ascii, separators=(",", ":"), allow_nan=False)
    except ValueError:  # A number that JSON does not have, which should have come as a mark.
        return json.dumps(_marked(said), ensure_ascii=ensure_ascii, separators=(",", ":"))


def _marked(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _marked(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_marked(item) for item in value]
    return {"$float": str(value)} if isinstance(value, float) and not math.isfinite(value) else value


def _written(number: float | None) -> float | str | None:
    """Return a number as JSON can say it: what is no finite one is a text."""
    return number if number is None or math.isfinite(number) else str(float(number))


def _read(number: float | str | None) -> float | None:
    return float(number) if isinstance(number, str) else number


def log_of(number: int, text: RecordsText, tail: Rows, token: str) -> WriterLog:
    """Return the log that goes on with objects that were read back.

    Raises:
        CorruptData: The object of records does not say how far it is.
    """
    if text.state is None or text.problems:
        raise CorruptData(f"it is damaged: {'; '.join(text.problems)}")
    lines = tuple(record.line() for record in text.records)
    return WriterLog(state=text.state, number=number, lines=lines, tail=tail, token=token)


def estimated_state(text: RecordsText, rows: Rows) -> WriterState:
    """Return the state of a writer that cannot be read, by its records and all of its points, given in their order."""
    first = text.records[0] if text.records else None
    began, shipped = (first.record.time, first.shipped) if first else (0.0, 0.0)
    sums: dict[str, list[Any]] = {}
    for index, name in enumerate(rows.names):
        mine = rows.chosen(rows.which == index)
        count = len(mine)
        group = PointGroup((name,), mine.steps, mine.times, mine.values[:, None], np.arange(count))
        if count:
            sums = summed(sums, Batch(run="", writer="", start=0, end=1, time=0.0, groups=(group,)))
    # No point is behind it: all of them count.
    position = int(np.iinfo(np.int64).max)
    return WriterState(
        position=position, began=began, shipped=shipped, heartbeat=began, written=shipped, status="killed", sums=sums
    )
