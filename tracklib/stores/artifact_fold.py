"""What records of artifacts, of their aliases and of their uses do to the tables."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tracklib.records import RecordKind
from tracklib.stores.compact_json import dump
from tracklib.values import restore

if TYPE_CHECKING:
    import sqlite3

    from tracklib.records import Record

__all__ = ["is_deletion", "put_alias", "put_artifact", "put_use"]


def is_deletion(record: Record) -> bool:
    """Tell whether a record says that an artifact is no more."""
    return record.kind == RecordKind.ARTIFACT and bool(record.data.get("deleted"))


def put_artifact(connection: sqlite3.Connection, run: int, _writer: int, record: Record) -> None:
    """Put an artifact into the tables in place of what was told of its id, or take it out where it was deleted."""
    data = record.data
    if is_deletion(record):
        mine = (data["id"], run)
        connection.execute(
            "DELETE FROM artifact_file WHERE artifact_id IN (SELECT id FROM artifact WHERE id = ? AND run_key = ?)",
            mine,
        )
        connection.execute("DELETE FROM artifact WHERE id = ? AND run_key = ?", mine)
        return
    connection.execute(
        "INSERT OR REPLACE INTO artifact (id, run_key, name, type, project, version, path, size, checksum, metadata,"
        " step, created_at, aliases, score) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            data["id"],
            run,
            data["name"],
            data["type"],
            data.get("project", ""),
            data.get("version"),
            data.get("path", ""),
            data.get("size", 0),
            data.get("checksum", ""),
            dump(data.get("metadata", {})),
            data.get("step"),
            data.get("created_at") or record.time,
            dump(data.get("aliases", [])),
            _score(data.get("score")),
        ),
    )
    # It may have been told before its files were looked at.
    connection.execute("DELETE FROM artifact_file WHERE artifact_id = ?", (data["id"],))
    connection.executemany(
        "INSERT OR REPLACE INTO artifact_file (artifact_id, path, size, checksum) VALUES (?, ?, ?, ?)",
        ((data["id"], file["path"], file["size"], file["checksum"]) for file in data.get("files", ())),
    )


def put_alias(connection: sqlite3.Connection, run: int, _writer: int, record: Record) -> None:
    """Keep that somebody gave a version another name, or took it away."""
    data = record.data
    connection.execute(
        "INSERT INTO artifact_alias (run_key, project, name, version, checksum, alias, score, time)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            run,
            data.get("project", ""),
            data["name"],
            data.get("version"),
            data.get("checksum", ""),
            data["alias"],
            _score(data.get("score")),
            record.time,
        ),
    )


def put_use(connection: sqlite3.Connection, run: int, _writer: int, record: Record) -> None:
    """Keep that the run reads an artifact."""
    data = record.data
    connection.execute(
        "INSERT INTO artifact_use (run_key, project, name, version, checksum, artifact, time)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            run,
            data.get("project", ""),
            data["name"],
            data.get("version"),
            data.get("checksum", ""),
            data.get("artifact", ""),
            record.time,
        ),
    )


def _score(value: Any) -> float | None:
    """Return a score by which versions can be ordered: what is no finite number is none."""
    score = restore(value)
    return float(score) if isinstance(score, (int, float)) and math.isfinite(score) else None
