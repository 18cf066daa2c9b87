"""A run of the SQLite store as batches that make it again elsewhere; see `Store.export`.

The batches that once came are gone: tables are left of them. What is told here folds into the same tables, though it is
not what was told first: positions, starts and ends in between are made up, and the same ones each time. What a writer
told does not depend on writers that came later, so that a copy of a run that was resumed needs only the new part.

Known trade-offs: one state of the file is read from the first batch to the last, so SQLite's log of what others write
meanwhile can not be cut back until then.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from tracklib.errors import NotFound
from tracklib.records import Batch, PointGroup, Record, RecordKind, RunStatus
from tracklib.stores.exported_points import ExportedPoints

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

    from tracklib.stores.connection import SqliteFile

__all__ = ["export_run"]

MOST_EVENTS: Final = 5_000
MOST_CHARACTERS: Final = 8_000_000
"""A batch has so many events, of so many characters together, at the most."""

_RUN_SQL: Final = """
SELECT run.key, run.id, run.name, run.status, reason, start_time, end_time, parent, run.created_by, run.created_at,
  run.archived_at, error, source, source_documents, environment, packages, resources,
  experiment.name AS experiment, project.name AS project
FROM run JOIN experiment ON experiment.id = run.experiment_id JOIN project ON project.id = experiment.project_id
WHERE run.id = ?
"""
_WRITER_SQL: Final = """
SELECT key, writer, rank, host, pid, spool, position, status, started_at, heartbeat_at, is_primary, dropped, seconds
FROM writer WHERE run_key = ? ORDER BY key
"""


class _Writer(NamedTuple):
    """A row of the table of writers."""

    key: int
    name: str
    rank: int
    host: str
    pid: int
    spool: str
    position: int
    status: str
    started_at: float
    heartbeat_at: float
    primary: int
    dropped: str
    seconds: float | None

    @property
    def ended(self) -> bool:
        """Whether it has said how it ended, and nothing after that."""
        return RunStatus(self.status).ended

    @property
    def age(self) -> tuple[float, int]:
        """What writers are ordered by: the newest has the greatest."""
        return self.started_at, self.key


class _Told(NamedTuple):
    """What a writer told without a word of another one in between.

    Attributes:
        last: The id of the last event of these.
    """

    writer: str
    records: list[Record]
    last: int = 0


@dataclass(slots=True)
class _Journal:
    """Numbers the batches of a writer: 0 to 1, 1 to 2, …, and the last one to where the store is in its true journal.

    Where that has fewer positions than there are batches, the last ones become one.

    Attributes:
        told_end: Whether the end of the writer is told already.
    """

    run: str
    writer: _Writer
    position: int = 0
    told_end: bool = False
    records: list[Record] = field(default_factory=list)
    groups: list[PointGroup] = field(default_factory=list)

    def hold(self, records: Sequence[Record]) -> None:
        """Keep records for the next batch."""
        self.records += records

    def next(
        self, records: Sequence[Record] = (), groups: Sequence[PointGroup] = (), *, time: float | None = None
    ) -> Iterator[Batch]:
        """Yield the next batch, or keep its parts for the last one.

        Args:
            time: When its newest record was written, if it is not the last sign of life.
        """
        self.records += records
        self.groups += groups
        if self.position + 1 < self.writer.position:
            yield self._batch(self.position + 1, time=time, final=False)

    def last(self, records: Sequence[Record], groups: Sequence[PointGroup]) -> Batch:
        """Return the last batch."""
        self.records += records
        self.groups += groups
        return self._batch(self.writer.position, time=None, final=self.writer.ended)

    def _batch(self, end: int, *, time: float | None, final: bool) -> Batch:
        start, self.position = self.position, end
        records, self.records = tuple(self.records), []
        groups, self.groups = tuple(_in_turn(self.groups)), []
        return Batch(
            run=self.run,
            writer=self.writer.name,
            start=start,
            end=end,
            time=self.writer.heartbeat_at if time is None else time,
            records=records,
            groups=groups,
            final=final,
        )


def _in_turn(groups: Sequence[PointGroup]) -> Iterator[PointGroup]:
    """Yield groups so placed that each comes after the one before."""
    before = 0
    for group in groups:
        count = len(group.steps)
        order = np.arange(before, before + count, dtype=np.int64)
        yield PointGroup(group.names, group.steps, group.times, group.values, order)
        before += count


def export_run(file: SqliteFile, run: str) -> Iterator[Batch]:
    """Yield the batches of a run, and close the file behind the last one.

    Raises:
        NotFound: There is no run of this id.
    """
    with contextlib.closing(file), file.reading() as connection:
        yield from _Export(connection, run).batches()


class _Export:
    """A run while it is told."""

    def __init__(self, connection: sqlite3.Connection, run: str) -> None:
        self._connection = connection
        cursor = connection.execute(_RUN_SQL, (run,))
        row = cursor.fetchone()
        if row is None:
            raise NotFound(f"the store has no run {run!r}")
        self._run: dict[str, Any] = dict(zip([column[0] for column in cursor.description], row, strict=True))
        self._writers = [_Writer(*found) for found in connection.execute(_WRITER_SQL, (self._run["key"],))]
        self._journals = {writer.name: _Journal(run, writer) for writer in self._writers}
        self._decisive = self._find_decisive()
        self._last_words = self._find_last_words()
        self._points = ExportedPoints(connection, self._run["key"])

    def _find_decisive(self) -> _Writer | None:
        """Return the writer whose end is that of the run; None where the run has not ended."""
        ended = [writer for writer in self._writers if writer.primary and writer.ended]
        return max(ended, key=lambda writer: writer.age, default=None) if self._run["end_time"] is not None else None

    def batches(self) -> Iterator[Batch]:
        """Yield what was told in turn; the points of a writer come when it begins, its end with its last word."""
        waiting = iter(self._writers)
        begun: set[str] = set()
        for told in self._events():
            while told.writer not in begun:
                newcomer = next(waiting)
                begun.add(newcomer.name)
                yield from self._begin(newcomer)
            journal = self._journals[told.writer]
            if told.last == self._last_words[told.writer]:
                yield self._close(journal, told.records)
            else:
                yield from journal.next(told.records)
        for newcomer in waiting:
            yield from self._begin(newcomer)

    # ---- writers

    def _begin(self, writer: _Writer) -> Iterator[Batch]:
        journal = self._journals[writer.name]
        if self._is_silent(writer):
            if self._decisive is not None:
                # An end that is told after a newer writer was heard of would not count.
                end = self._end(self._journals[self._decisive.name])
                yield from self._journals[self._decisive.name].next(end) if end else ()
            yield from journal.next(time=writer.started_at)
        else:
            journal.hold(self._starts(writer))
        for groups in self._points.of_writer(writer.key):
            yield from journal.next(groups=groups)
        if writer.name not in self._last_words:
            yield self._close(journal, [])
        elif journal.records:
            yield from journal.next()

    def _close(self, journal: _Journal, records: Sequence[Record]) -> Batch:
        """Return the last batch of a writer, and in that of the last writer what is not told writer by writer."""
        writer = journal.writer
        last = writer is self._writers[-1]
        whole = self._whole(writer.heartbeat_at) if last else ()
        groups = self._points.empty_series() if last else ()
        return journal.last([*records, *self._dropped(writer), *whole, *self._end(journal)], groups)

    def _is_silent(self, writer: _Writer) -> bool:
        """Tell whether a writer's start was lost: the run goes on as if ended, although the writer is heard of."""
        return (
            self._decisive is not None
            and bool(writer.primary)
            and not writer.ended
            and writer.age > self._decisive.age
            and writer is not self._writers[0]
        )

    def _starts(self, writer: _Writer) -> list[Record]:
        """Return what begins a writer, so often that start and duration of the run come out."""
        data = {
            "project": self._run["project"],
            "experiment": self._run["experiment"],
            "name": self._run["name"],
            "parent": self._run["parent"],
            "created_by": self._run["created_by"],
            "created_at": self._run["created_at"],
            "rank": writer.rank,
            "host": writer.host,
            "pid": writer.pid,
            "spool": writer.spool,
            "primary": bool(writer.primary),
        }
        records = [Record(RecordKind.START, writer.started_at, data)]
        first, began = self._writers[0], self._run["start_time"]
        counted = [first.started_at, *(each.started_at for each in self._writers if each.primary)]
        if writer is first and min(counted) != began:
            records.insert(0, Record(RecordKind.START, began, data))
        if writer.seconds is not None and not writer.ended:
            # It had ended once, and took that back.
            end = {"status": str(RunStatus.COMPLETED), "duration": writer.seconds}
            records[:0] = [records[0], Record(RecordKind.END, writer.started_at, end)]
        return records

    def _end(self, journal: _Journal) -> list[Record]:
        """Return what ends a writer, if it has ended and that was not told yet."""
        writer = journal.writer
        if journal.told_end or not writer.ended:
            return []
        journal.told_end = True
        data: dict[str, Any] = {"status": writer.status, "duration": writer.seconds or 0.0}
        if writer is self._decisive:
            error = json.loads(self._run["error"])
            data.update(reason=self._run["reason"], error=error, end_time=self._run["end_time"])
        return [Record(RecordKind.END, writer.heartbeat_at, data)]

    def _dropped(self, writer: _Writer) -> list[Record]:
        counts = json.loads(writer.dropped)
        return [Record(RecordKind.DROPPED, writer.heartbeat_at, {"counts": counts})] if counts else []

    # ---- what was told

    def _events(self) -> Iterator[_Told]:
        """Yield what a writer told before another one told something."""
        told = _Told("", [])
        characters = 0
        rows = self._connection.execute(
            "SELECT id, writer, kind, time, data FROM event WHERE run_key = ? ORDER BY id", (self._run["key"],)
        )
        for event, writer, kind, time, data in rows:
            full = len(told.records) >= MOST_EVENTS or characters + len(data) > MOST_CHARACTERS
            if told.records and (writer != told.writer or full):
                yield told
                told = _Told("", [])
            characters = len(data) + (characters if told.records else 0)
            told = _Told(writer, told.records, event)
            told.records.append(Record(kind, time, json.loads(data)))
        if told.records:
            yield told

    def _find_last_words(self) -> dict[str, int]:
        """Return by name of writer the id of the last event that it told; those who told none are left out."""
        rows = self._connection.execute(
            "SELECT writer, max(id) FROM event WHERE run_key = ? GROUP BY writer", (self._run["key"],)
        )
        return dict(rows)

    # ---- what is known of the run as a whole

    def _whole(self, at: float) -> Iterator[Record]:
        """Yield what is not told writer by writer: it stands in the last batch, which a copy that is resumed gets."""
        for kind, data in (
            (RecordKind.SOURCE, self._source()),
            (RecordKind.ENVIRONMENT, self._environment()),
            (RecordKind.RESOURCES, json.loads(self._run["resources"])),
        ):
            if data:
                yield Record(kind, at, data)
        yield from self._artifacts()

    def _source(self) -> dict[str, Any]:
        data: dict[str, Any] = json.loads(self._run["source"])
        documents = json.loads(self._run["source_documents"])
        if "diff" in documents:
            data["diff"] = self._document(documents["diff"]) or ""
        if "untracked" in documents:
            data["untracked"] = json.loads(self._document(documents["untracked"]) or "{}")
        return data

    def _environment(self) -> dict[str, Any]:
        data: dict[str, Any] = json.loads(self._run["environment"])
        packages = self._document(self._run["packages"])
        return {**data, "packages": json.loads(packages)} if packages else data

    def _document(self, key: str | None) -> str | None:
        row = self._connection.execute("SELECT text FROM document WHERE hash = ?", (key,)).fetchone()
        return str(row[0]) if row else None

    def _artifacts(self) -> Iterator[Record]:
        names = (
            *("id", "name", "type", "project", "version", "path", "size", "checksum", "metadata", "step"),
            *("created_at", "aliases", "score"),
        )
        rows = self._connection.execute(
            f"SELECT {', '.join(names)} FROM artifact WHERE run_key = ? ORDER BY created_at, id",  # noqa: S608 - our own names
            (self._run["key"],),
        ).fetchall()
        for values in rows:
            data: dict[str, Any] = dict(zip(names, values, strict=True))
            files = self._connection.execute(
                "SELECT path, size, checksum FROM artifact_file WHERE artifact_id = ? ORDER BY path", (data["id"],)
            )
            data |= {name: json.loads(data[name]) for name in ("metadata", "aliases")}
            data["files"] = [{"path": path, "size": size, "checksum": checksum} for path, size, checksum in files]
            yield Record(RecordKind.ARTIFACT, data["created_at"], data)
