"""Summaries of runs of which the table of series does not know everything yet, in a table beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tracklib.stores.points import SUMMARY_COLUMNS, folded_rows

if TYPE_CHECKING:
    import sqlite3

__all__ = ["FRESH", "put_fresh_sums"]

FRESH: Final = "temp.fresh_series"


def put_fresh_sums(connection: sqlite3.Connection) -> bool:
    """Put the summaries of such runs, whole, into a table of this connection alone; tell whether there are any."""
    # CROSS JOIN makes SQLite begin with the batches, which are few.
    keys = [
        row[0]
        for row in connection.execute(
            "SELECT DISTINCT run_key FROM batch INDEXED BY idx_batch_writer_key"
            " CROSS JOIN writer ON writer.key = writer_key WHERE batch.id > summarised"
        )
    ]
    if not keys:
        return False
    columns = f"run_key, {SUMMARY_COLUMNS}"
    connection.execute(f"CREATE TABLE IF NOT EXISTS {FRESH} ({columns}, PRIMARY KEY (run_key, name)) WITHOUT ROWID")
    connection.execute(f"DELETE FROM {FRESH}")  # noqa: S608 - our own name
    connection.executemany(
        f"INSERT INTO {FRESH} ({columns}) VALUES ({', '.join('?' * 12)})",  # noqa: S608 - our own names
        folded_rows(connection, keys),
    )
    return True
