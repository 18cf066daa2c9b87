"""From the objects of runs to the tables of the catalog: the same fold as in the SQLite store, in order of shipping."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from tracklib.records import Batch, RunStatus
from tracklib.stores.entities import apply_entity
from tracklib.stores.fold import add_writer, apply_record, dump, find_writer
from tracklib.stores.object_catalog import Part, forget_run
from tracklib.stores.points import put_sums

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tracklib.records import Record
    from tracklib.stores.entities import EntityPut
    from tracklib.stores.object_log import ToldRecord, WriterState

__all__ = ["RunNews", "WriterNews", "apply_news", "digest_of"]


@dataclass(frozen=True, slots=True)
class WriterNews:
    """What is new of one writer: its records since the last time, in their order, and its state now."""

    writer: str
    state: WriterState
    records: list[ToldRecord]


@dataclass(frozen=True, slots=True)
class RunNews:
    """What is new of one run.

    Attributes:
        anew: Whether `writers` hold all that there is of it, so that it is to be told from the beginning.
        parts: What the catalog knows of the objects after this.
    """

    run: str
    anew: bool = False
    writers: list[WriterNews] = field(default_factory=list)
    parts: dict[str, Part] = field(default_factory=dict)


class _Step(NamedTuple):
    """Something to be done to the tables, and when it was shipped."""

    shipped: float
    action: Callable[[sqlite3.Connection], None]


def digest_of(records: Iterable[ToldRecord]) -> int:
    """Return the CRC-32 of records, by which they are known to be the same ones the next time."""
    digest = 0
    for record in records:
        digest = zlib.crc32(record.line(), digest)
    return digest


def apply_news(connection: sqlite3.Connection, runs: Sequence[RunNews], entities: Sequence[EntityPut] = ()) -> None:
    """Bring the tables up to date: everything that is new, in the order in which it was shipped."""
    for news in runs:
        if news.anew:
            forget_run(connection, news.run)
    steps = [_Step(put.shipped, partial(apply_entity, put.entity)) for put in entities]
    steps += [step for news in runs for writer in news.writers for step in _steps(news.run, writer)]
    for step in sorted(steps, key=lambda step: step.shipped):
        step.action(connection)
    for news in runs:
        _note(connection, news)


def _steps(run: str, news: WriterNews) -> Iterator[_Step]:
    """Yield a step that makes the writer, and one for each batch; a clock that was set back changes no order."""
    yield _Step(news.state.shipped, lambda connection: _ensure(connection, run, news, _first_records(news)))
    latest = news.state.shipped
    for _, told in groupby(news.records, key=lambda record: record.batch):
        batch = [*told]
        latest = max(latest, batch[0].shipped)
        yield _Step(latest, _applying(run, news.writer, [record.record for record in batch]))


def _first_records(news: WriterNews) -> tuple[Record, ...]:
    """Return the records of the first batch, if that is new: where the run goes is said there."""
    first = [told for told in news.records if told.shipped <= news.state.shipped]
    return tuple(told.record for told in first)


def _ensure(connection: sqlite3.Connection, run: str, news: WriterNews, records: tuple[Record, ...]) -> None:
    if find_writer(connection, run, news.writer) is None:
        first = Batch(run=run, writer=news.writer, start=0, end=1, time=news.state.began, records=records)
        add_writer(connection, first)


def _applying(run: str, writer: str, records: list[Record]) -> Callable[[sqlite3.Connection], None]:
    def apply(connection: sqlite3.Connection) -> None:
        found = find_writer(connection, run, writer)
        assert found is not None  # It was made by the step before.
        for record in records:
            apply_record(connection, found.run, (found.key, writer), record)

    return apply


def _note(connection: sqlite3.Connection, news: RunNews) -> None:
    """Write down what is known without records: positions, summaries, and how far the catalog is."""
    for writer in news.writers:
        found = find_writer(connection, news.run, writer.writer)
        if found is not None:
            connection.execute(
                "UPDATE writer SET position = ?, heartbeat_at = ? WHERE key = ?",
                (writer.state.position, writer.state.heartbeat, found.key),
            )
        connection.execute(
            "INSERT OR REPLACE INTO object_writer (run_id, writer, sums) VALUES (?, ?, ?)",
            (news.run, writer.writer, dump(writer.state.sums)),
        )
    connection.executemany(
        "INSERT OR REPLACE INTO object_part (run_id, key, token, lines, digest, problem) VALUES (?, ?, ?, ?, ?, ?)",
        ((news.run, key, *part) for key, part in news.parts.items()),
    )
    written = max((writer.state.written for writer in news.writers), default=0.0)
    connection.execute(
        "INSERT INTO object_run (id, live, written, whole) VALUES (?1, 0, ?2, 1)"
        " ON CONFLICT DO UPDATE SET written = max(written, ?2)",
        (news.run, written),
    )
    connection.execute(
        "UPDATE object_run SET live = EXISTS (SELECT 1 FROM run JOIN writer ON run_key = run.key"
        " WHERE run.id = ?1 AND writer.status = ?2) WHERE id = ?1",
        (news.run, RunStatus.RUNNING),
    )
    _sum_up(connection, news.run)


def _sum_up(connection: sqlite3.Connection, run: str) -> None:
    """Put the summaries of a run's writers together, those that began later over the others."""
    rows = connection.execute(
        "SELECT run.key, writer.started_at, sums FROM object_writer JOIN run ON run.id = run_id"
        " JOIN writer ON run_key = run.key AND writer.writer = object_writer.writer"
        " WHERE run_id = ? ORDER BY writer.started_at, writer.key",
        (run,),
    ).fetchall()
    if rows:
        put_sums(connection, rows[0][0], [(began, json.loads(sums)) for _, began, sums in rows])
