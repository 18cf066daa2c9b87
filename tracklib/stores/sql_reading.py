"""Questions in SQL to a catalog file, by a connection that can do nothing but read."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from tracklib.errors import ConfigError, CorruptData, StoreUnavailable
from tracklib.model import SqlRows
from tracklib.stores.open_databases import open_tracked

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["read_rows"]

BUSY_SECONDS: Final = 5.0

_STEPS_BETWEEN_SIGNALS: Final = 20_000
"""So many steps of SQLite's machine take some hundredths of a second."""

_ALLOWED: Final = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE})
_PRAGMAS: Final = frozenset(
    {"foreign_key_list", "index_info", "index_list", "index_xinfo", "table_info", "table_list", "table_xinfo"}
)
_TABLE_FUNCTIONS: Final = ("json_each", "json_tree", *sorted(f"pragma_{name}" for name in _PRAGMAS))
_REFUSED_FUNCTIONS: Final = frozenset({"fts3_tokenizer", "load_extension"})


def read_rows(
    path: Path, sql: str, arguments: Sequence[Any] | Mapping[str, Any] = (), *, limit: int | None = None
) -> SqlRows:
    """Return what one statement selects from a file that is there.

    Args:
        arguments: What stands in the place of `?` or `:name`.
        limit: How many rows at the most.

    Raises:
        ConfigError: The statement is wrong, does more than read, or takes other arguments.
        StoreUnavailable: The file is locked or away.
        KeyboardInterrupt: The user did not want to wait any longer.
    """
    with contextlib.closing(_connect(path)) as connection, _translated(path):
        connection.execute("PRAGMA query_only = 1")
        for name in _TABLE_FUNCTIONS:
            # The first look at one defines it, and to the authorizer that is a new table.
            connection.execute(f"SELECT 1 FROM {name} LIMIT 0")  # noqa: S608 - our own names
        connection.set_authorizer(_authorize)
        # A signal is looked at only where Python code runs: without this Ctrl-C would wait for SQLite.
        connection.set_progress_handler(lambda: 0, _STEPS_BETWEEN_SIGNALS)
        cursor = connection.execute(sql, arguments)
        columns = tuple(str(each[0]) for each in cursor.description or ())
        if limit is None:
            return SqlRows(columns=columns, rows=cursor.fetchall())
        rows = cursor.fetchmany(limit + 1)
        return SqlRows(columns=columns, rows=rows[:limit], more=len(rows) > limit)


def _connect(path: Path) -> sqlite3.Connection:
    # As in an archive on a disk that cannot be written to: SQLite reads it only if it is told that it does not change.
    frozen = not os.access(path.parent, os.W_OK) and not path.with_name(f"{path.name}-wal").exists()
    target = f"{path.as_uri()}?mode=ro{'&immutable=1' if frozen else ''}"
    with _translated(path):
        return open_tracked(path, partial(sqlite3.connect, target, timeout=BUSY_SECONDS, uri=True))


def _authorize(action: int, first: str | None, second: str | None, _database: str | None, _by: str | None) -> int:
    """Say whether a statement may do something: SQLite asks before it runs."""
    allowed = (
        action in _ALLOWED
        or (action == sqlite3.SQLITE_FUNCTION and (second or "").lower() not in _REFUSED_FUNCTIONS)
        or (action == sqlite3.SQLITE_PRAGMA and (first or "").lower() in _PRAGMAS)
    )
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Turn errors of SQLite into ours: what is wrong with the statement, and what with the file."""
    try:
        yield
    except sqlite3.Error as error:
        code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
        if code == sqlite3.SQLITE_INTERRUPT:
            raise KeyboardInterrupt from error
        # Within a function that makes a table, SQLite says so in words only.
        if code in {sqlite3.SQLITE_AUTH, sqlite3.SQLITE_READONLY} or "not authorized" in str(error):
            raise ConfigError(
                f"this SQL does more than read, which is all that is allowed here: {error}; write one SELECT"
            ) from error
        if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR}:
            raise StoreUnavailable(f"the catalog {path} cannot be read now: {error}") from error
        if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
            raise CorruptData(f"the catalog {path} is damaged: {error}") from error
        text = str(error).rstrip(".")
        raise ConfigError(
            f"SQLite does not take this SQL: {text}; `tracklib sql --tables` lists tables and columns"
        ) from error
