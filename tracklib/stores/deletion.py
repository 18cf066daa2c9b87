"""Taking a run out of the tables."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import sqlite3

__all__ = ["remove_run"]

_STATEMENTS: Final = (
    "DELETE FROM chunk WHERE series_id IN (SELECT id FROM series WHERE run_key = ?)",
    "DELETE FROM axis WHERE writer_key IN (SELECT key FROM writer WHERE run_key = ?)",
    "DELETE FROM batch WHERE writer_key IN (SELECT key FROM writer WHERE run_key = ?)",
    "DELETE FROM series WHERE run_key = ?",
    "DELETE FROM artifact_file WHERE artifact_id IN (SELECT id FROM artifact WHERE run_key = ?)",
    "DELETE FROM artifact WHERE run_key = ?",
    "DELETE FROM artifact_alias WHERE run_key = ?",
    "DELETE FROM artifact_use WHERE run_key = ?",
    "DELETE FROM event WHERE run_key = ?",
    "DELETE FROM param WHERE run_key = ?",
    "DELETE FROM tag WHERE run_key = ?",
    "DELETE FROM writer WHERE run_key = ?",
    "DELETE FROM run WHERE key = ?",
)
"""In this order: what refers to something goes before it. Each finds its rows by an index."""

_FORGET: Final = """
DELETE FROM document WHERE hash IN (SELECT value FROM json_each(?))
  AND hash NOT IN (SELECT packages FROM run WHERE packages IS NOT NULL)
  AND hash NOT IN (SELECT value FROM run, json_each(run.source_documents) WHERE value IS NOT NULL)
"""


def remove_run(connection: sqlite3.Connection, run: int) -> None:
    """Delete the rows of a run, and the long texts that no other run has.

    Args:
        run: Its key.
    """
    row = connection.execute("SELECT packages, source_documents FROM run WHERE key = ?", (run,)).fetchone()
    hashes = [row[0], *json.loads(row[1]).values()]
    for statement in _STATEMENTS:
        connection.execute(statement, (run,))
    connection.execute(_FORGET, (json.dumps([text for text in hashes if text]),))
