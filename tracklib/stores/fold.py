"""What each kind of record does to the tables: a run is the fold over the records of its writers."""

from __future__ import annotations

import hashlib
import json
import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tracklib.model import ExperimentStatus, RecordKind, RunStatus, new_id
from tracklib.records import is_mark
from tracklib.stores.artifact_fold import is_deletion, put_alias, put_artifact, put_use
from tracklib.stores.compact_json import dump
from tracklib.stores.param_rows import param_rows

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from tracklib.records import Batch, Record

__all__ = ["WriterRow", "add_writer", "apply_record", "dump", "ensure_experiment", "ensure_project", "find_writer"]

RECOVERED: Final = {"project": "recovered", "experiment": "default"}
"""Where a run goes whose first record was lost."""

_KEPT: Final = frozenset(
    {
        RecordKind.CONSOLE,
        RecordKind.MESSAGE,
        RecordKind.PARAMS,
        RecordKind.TAGS,
        RecordKind.NOTES,
        RecordKind.NAME,
        RecordKind.PLACE,
        RecordKind.ARCHIVE,
        RecordKind.ALIAS,
        RecordKind.USE,
    }
)
"""Kinds that are also kept as events: output, the history of what can change, and what was said of artifacts."""


class WriterRow(NamedTuple):
    """A writer as the tables know it.

    Attributes:
        run: Key of its run.
        key: Its own key.
        position: How far the store is in its journal.
    """

    run: int
    key: int
    position: int


class ProjectRow(NamedTuple):
    """A project as the tables know it: its id, and what its experiments are made with."""

    id: str
    defaults: dict[str, Any]


def ensure_project(connection: sqlite3.Connection, project: str, at: float) -> ProjectRow:
    """Return a project, making it if it is missing."""
    connection.execute(
        "INSERT INTO project (id, name, description, owner, team, tags, settings, created_at, updated_at)"
        " VALUES (?, ?, '', '', '', '{}', '{}', ?, ?) ON CONFLICT (name) DO NOTHING",
        (new_id(at), project, at, at),
    )
    key, settings = connection.execute("SELECT id, settings FROM project WHERE name = ?", (project,)).fetchone()
    return ProjectRow(key, json.loads(settings).get("experiment_defaults", {}))


def ensure_experiment(connection: sqlite3.Connection, project: str, experiment: str, at: float) -> str:
    """Return the id of an experiment, making it and its project if they are missing."""
    key, defaults = ensure_project(connection, project, at)
    connection.execute(
        "INSERT INTO experiment (id, project_id, name, description, hypothesis, status, tags, created_by,"
        " created_at, updated_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, '', ?, ?) ON CONFLICT (project_id, name) DO NOTHING",
        (
            new_id(at),
            key,
            experiment,
            str(defaults.get("description", "")),
            str(defaults.get("hypothesis", "")),
            ExperimentStatus.ACTIVE,
            dump(defaults.get("tags", {})),
            at,
            at,
        ),
    )
    row = connection.execute(
        "SELECT id FROM experiment WHERE project_id = ? AND name = ?", (key, experiment)
    ).fetchone()
    return str(row[0])


def find_writer(connection: sqlite3.Connection, run: str, writer: str) -> WriterRow | None:
    """Return the writer of this name of the run of this id; None if there is none."""
    row = connection.execute(
        "SELECT run_key, writer.key, position FROM run JOIN writer ON run_key = run.key WHERE id = ? AND writer = ?",
        (run, writer),
    ).fetchone()
    return WriterRow(*row) if row else None


def add_writer(connection: sqlite3.Connection, batch: Batch) -> WriterRow:
    """Make the writer whose first batch this is, and its run if that is new."""
    start = next((record for record in batch.records if record.kind == RecordKind.START), None)
    began = start.time if start else batch.time
    # A run that was moved at once leaves no empty project behind.
    moved = [record.data for record in batch.records if record.kind == RecordKind.PLACE][-1:]
    run = _ensure_run(connection, batch.run, {**(start.data if start else {}), **dict(*moved)}, began)
    cursor = connection.execute(
        "INSERT INTO writer (run_key, writer, rank, host, pid, spool, position, summarised, status, started_at,"
        " heartbeat_at, is_primary, dropped) VALUES (?, ?, 0, '', 0, '', 0, 0, ?, ?, ?, 1, '{}')",
        (run, batch.writer, RunStatus.RUNNING, began, batch.time),
    )
    return WriterRow(run, int(cursor.lastrowid or 0), 0)


def _ensure_run(connection: sqlite3.Connection, run: str, start: dict[str, Any], at: float) -> int:
    """Return the key of a run, making it by its start record if it is missing."""
    row = connection.execute("SELECT key FROM run WHERE id = ?", (run,)).fetchone()
    if row:
        return int(row[0])
    place = {**RECOVERED, **{key: start[key] for key in RECOVERED if start.get(key)}}
    experiment = ensure_experiment(connection, place["project"], place["experiment"], at)
    cursor = connection.execute(
        "INSERT INTO run (id, experiment_id, name, status, reason, start_time, parent, created_by, created_at, notes,"
        " params, error, dropped, source, source_documents, environment, resources)"
        " VALUES (?, ?, ?, ?, '', ?, ?, ?, ?, '', '{}', 'null', '{}', '{}', '{}', '{}', '{}')",
        (
            run,
            experiment,
            start.get("name") or run,
            RunStatus.RUNNING,
            at,
            start.get("parent"),
            start.get("created_by", ""),
            start.get("created_at", at),
        ),
    )
    return int(cursor.lastrowid or 0)


def apply_record(connection: sqlite3.Connection, run: int, writer: tuple[int, str], record: Record) -> None:
    """Do to the tables what a record says. Records of unknown kinds, of later versions, are kept as events.

    Args:
        writer: Its key and its name.
    """
    action = _ACTIONS.get(record.kind)
    if action is not None:
        action(connection, run, writer[0], record)
    # A copy that is gone on with hears of deletions by their events: of what is there it is told anew.
    if action is None or record.kind in _KEPT or is_deletion(record):
        connection.execute(
            "INSERT INTO event (run_key, writer, kind, time, data) VALUES (?, ?, ?, ?, ?)",
            (run, writer[1], record.kind, record.time, dump(record.data)),
        )


def _start(connection: sqlite3.Connection, run: int, writer: int, record: Record) -> None:
    data = record.data
    primary = bool(data.get("primary", True))
    connection.execute(
        "UPDATE writer SET rank = ?, host = ?, pid = ?, spool = ?, status = ?, started_at = ?, is_primary = ?"
        " WHERE key = ?",
        (
            data.get("rank", 0),
            data.get("host", ""),
            data.get("pid", 0),
            data.get("spool", ""),
            RunStatus.RUNNING,
            record.time,
            primary,
            writer,
        ),
    )
    if not primary:
        return
    connection.execute(
        "UPDATE run SET start_time = min(start_time, ?1), created_at = min(created_at, ?1) WHERE key = ?2",
        (record.time, run),
    )
    if not _superseded(connection, run, writer):
        connection.execute(
            "UPDATE run SET status = ?, reason = '', end_time = NULL, error = 'null', hostname = ? WHERE key = ?",
            (RunStatus.RUNNING, data.get("host", ""), run),
        )


def _end(connection: sqlite3.Connection, run: int, writer: int, record: Record) -> None:
    data = record.data
    status = RunStatus(data.get("status", RunStatus.COMPLETED))
    end = float(data.get("end_time") or record.time)
    seconds = _seconds(connection, writer, end, data.get("duration"))
    connection.execute(
        "UPDATE writer SET status = ?, seconds = coalesce(seconds, 0) + ? WHERE key = ?", (status, seconds, writer)
    )
    primary = connection.execute("SELECT is_primary FROM writer WHERE key = ?", (writer,)).fetchone()[0]
    if not primary:
        return
    ran = connection.execute("SELECT seconds FROM writer WHERE run_key = ? AND is_primary AND seconds NOT NULL", (run,))
    # The sum is the same in whatever order the ends were told.
    total = math.fsum(row[0] for row in ran)
    connection.execute("UPDATE run SET duration = ? WHERE key = ?", (total, run))
    if not _superseded(connection, run, writer):
        connection.execute(
            "UPDATE run SET status = ?, reason = ?, end_time = ?, error = ? WHERE key = ?",
            (status, data.get("reason", ""), end, dump(data.get("error")), run),
        )


def _superseded(connection: sqlite3.Connection, run: int, writer: int) -> bool:
    """Tell whether the run was resumed by another process since: then this one's news are old."""
    row = connection.execute(
        "SELECT 1 FROM writer WHERE run_key = ? AND is_primary"
        " AND (started_at, key) > (SELECT started_at, key FROM writer WHERE key = ?)",
        (run, writer),
    ).fetchone()
    return row is not None


def _told(connection: sqlite3.Connection, run: int, writer: int, record: Record) -> list[dict[str, Any]]:
    """Return what is to be applied for a record: its data, or all that was told of its kind, by time, if it is late."""
    # What a single writer says comes in the order in which it was said, whatever its clock shows.
    later = connection.execute(
        "SELECT 1 FROM event WHERE run_key = ?1 AND kind = ?2 AND time > ?3"
        " AND EXISTS (SELECT 1 FROM writer WHERE run_key = ?1 AND key != ?4) LIMIT 1",
        (run, record.kind, record.time, writer),
    ).fetchone()
    if later is None:
        return [record.data]
    rows = connection.execute(
        "SELECT time, data FROM event WHERE run_key = ? AND kind = ? ORDER BY id", (run, record.kind)
    )
    told = [(time, json.loads(data)) for time, data in rows]
    return [data for _, data in sorted([*told, (record.time, record.data)], key=lambda pair: pair[0])]


def _seconds(connection: sqlite3.Connection, writer: int, end: float, measured: float | None) -> float:
    """Return how long a writer ran: as it measured itself, else by the wall clock."""
    if measured is not None:
        return float(measured)
    started = connection.execute("SELECT started_at FROM writer WHERE key = ?", (writer,)).fetchone()[0]
    return max(0.0, end - float(started))


def _params(connection: sqlite3.Connection, run: int, writer: int, record: Record) -> None:
    merged = _read_column(connection, run, "params")
    for data in _told(connection, run, writer, record):
        merged = _merged(merged, data["params"])
    connection.execute("UPDATE run SET params = ? WHERE key = ?", (dump(merged), run))
    connection.execute("DELETE FROM param WHERE run_key = ?", (run,))
    connection.executemany(
        "INSERT OR REPLACE INTO param (run_key, name, text, number, type) VALUES (?, ?, ?, ?, ?)",
        ((run, name, *row) for name, row in param_rows(merged)),
    )


def _merged(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """Return nested params with `new` over `old`; marks are leaves."""
    result = dict(old)
    for key, value in new.items():
        before = result.get(key)
        nested = all(isinstance(one, dict) and not is_mark(one) for one in (value, before))
        result[key] = _merged(before or {}, value) if nested else value
    return result


def _tags(connection: sqlite3.Connection, run: int, writer: int, record: Record) -> None:
    changes = [change for data in _told(connection, run, writer, record) for change in data["tags"].items()]
    for name, value in changes:
        if value is None:
            connection.execute("DELETE FROM tag WHERE run_key = ? AND name = ?", (run, name))
        else:
            connection.execute("INSERT OR REPLACE INTO tag (run_key, name, value) VALUES (?, ?, ?)", (run, name, value))


def _notes(connection: sqlite3.Connection, run: int, writer: int, record: Record) -> None:
    text = _told(connection, run, writer, record)[-1]["text"]
    connection.execute("UPDATE run SET notes = ? WHERE key = ?", (text, run))


def _name(connection: sqlite3.Connection, run: int, writer: int, record: Record) -> None:
    name = _told(connection, run, writer, record)[-1]["name"]
    connection.execute("UPDATE run SET name = ? WHERE key = ?", (name, run))


def _place(connection: sqlite3.Connection, run: int, writer: int, record: Record) -> None:
    told = _told(connection, run, writer, record)[-1]
    experiment = ensure_experiment(connection, told["project"], told["experiment"], record.time)
    connection.execute("UPDATE run SET experiment_id = ? WHERE key = ?", (experiment, run))


def _archive(connection: sqlite3.Connection, run: int, writer: int, record: Record) -> None:
    archived_at = _told(connection, run, writer, record)[-1]["archived_at"]
    connection.execute("UPDATE run SET archived_at = ? WHERE key = ?", (archived_at, run))


def _source(connection: sqlite3.Connection, run: int, writer: int, record: Record) -> None:
    data = dict(record.data)
    # What is empty is kept as such: a working tree that is clean now may have been dirty before.
    texts = {name: data.pop(name) for name in ("diff", "untracked") if name in data}
    documents: dict[str, Any] = {name: _document(connection, text) if text else None for name, text in texts.items()}
    late = _superseded(connection, run, writer)
    source = _merge_column(connection, run, "source", data, late=late)
    _merge_column(connection, run, "source_documents", documents, late=late)
    connection.execute(
        "UPDATE run SET git_commit = ?, git_branch = ? WHERE key = ?", (source.get("commit"), source.get("branch"), run)
    )


def _environment(connection: sqlite3.Connection, run: int, writer: int, record: Record) -> None:
    data = dict(record.data)
    late = _superseded(connection, run, writer)
    if "packages" in data:
        packages = _document(connection, data.pop("packages"))
        column = "coalesce(packages, ?)" if late else "?"
        connection.execute(f"UPDATE run SET packages = {column} WHERE key = ?", (packages, run))  # noqa: S608 - our own words
    _merge_column(connection, run, "environment", data, late=late)


def _resources(connection: sqlite3.Connection, run: int, writer: int, record: Record) -> None:
    _merge_column(connection, run, "resources", record.data, late=_superseded(connection, run, writer))


def _dropped(connection: sqlite3.Connection, run: int, writer: int, record: Record) -> None:
    connection.execute("UPDATE writer SET dropped = ? WHERE key = ?", (dump(record.data["counts"]), writer))
    total: dict[str, int] = {}
    for (counts,) in connection.execute("SELECT dropped FROM writer WHERE run_key = ?", (run,)):
        for reason, count in json.loads(counts).items():
            total[reason] = total.get(reason, 0) + int(count)
    connection.execute("UPDATE run SET dropped = ? WHERE key = ?", (dump(total), run))


def _nothing(_connection: sqlite3.Connection, _run: int, _writer: int, _record: Record) -> None:
    """Console lines, messages and heartbeats change no table but their own."""


def _read_column(connection: sqlite3.Connection, run: int, column: str) -> dict[str, Any]:
    row = connection.execute(f"SELECT {column} FROM run WHERE key = ?", (run,)).fetchone()  # noqa: S608 - our own names
    data: dict[str, Any] = json.loads(row[0])
    return data


def _merge_column(
    connection: sqlite3.Connection, run: int, column: str, data: dict[str, Any], *, late: bool
) -> dict[str, Any]:
    """Put fields over those that are there, or under them where they come late; return the result."""
    stored = _read_column(connection, run, column)
    merged = {**data, **stored} if late else {**stored, **data}
    connection.execute(f"UPDATE run SET {column} = ? WHERE key = ?", (dump(merged), run))  # noqa: S608 - our own names
    return merged


def _document(connection: sqlite3.Connection, content: Any) -> str:
    """Keep a long text once, however many runs have it; return its hash."""
    text = content if isinstance(content, str) else dump(content)
    key = hashlib.sha256(text.encode()).hexdigest()
    connection.execute("INSERT OR IGNORE INTO document (hash, text) VALUES (?, ?)", (key, text))
    return key


_ACTIONS: Final[dict[str, Callable[[sqlite3.Connection, int, int, Record], None]]] = {
    RecordKind.START: _start,
    RecordKind.PARAMS: _params,
    RecordKind.TAGS: _tags,
    RecordKind.NOTES: _notes,
    RecordKind.NAME: _name,
    RecordKind.PLACE: _place,
    RecordKind.ARCHIVE: _archive,
    RecordKind.SOURCE: _source,
    RecordKind.ENVIRONMENT: _environment,
    RecordKind.RESOURCES: _resources,
    RecordKind.ARTIFACT: put_artifact,
    RecordKind.ALIAS: put_alias,
    RecordKind.USE: put_use,
    RecordKind.CONSOLE: _nothing,
    RecordKind.MESSAGE: _nothing,
    RecordKind.DROPPED: _dropped,
    RecordKind.HEARTBEAT: _nothing,
    RecordKind.END: _end,
}
