"""The local catalog of an object store: the tables of the SQLite store, and how far they are with the bucket."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import tempfile
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tracklib.errors import StoreError, StoreUnavailable, StoreVersion
from tracklib.settings import cache_directory
from tracklib.stores import schema
from tracklib.stores.connection import SqliteFile
from tracklib.stores.deletion import remove_run
from tracklib.stores.layout import VERSION
from tracklib.stores.mounts import network_filesystem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = [
    "LACKING",
    "Catalog",
    "CatalogDamaged",
    "Part",
    "clear",
    "damaged_part",
    "forget_run",
    "is_seen",
    "known_parts",
    "live_runs",
    "read_note",
    "write_note",
]

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS object_run (id TEXT PRIMARY KEY, live INTEGER NOT NULL, written REAL NOT NULL,
  whole INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS object_run_live ON object_run (live, written);
CREATE TABLE IF NOT EXISTS object_part (run_id TEXT NOT NULL, key TEXT NOT NULL, token TEXT NOT NULL,
  lines INTEGER NOT NULL, digest INTEGER NOT NULL, problem TEXT NOT NULL, PRIMARY KEY (run_id, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS object_writer (run_id TEXT NOT NULL, writer TEXT NOT NULL, sums TEXT NOT NULL,
  PRIMARY KEY (run_id, writer)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS object_marker (id TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS object_note (name TEXT PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;
"""

LACKING: Final = "lacking"
"""The note that says whether what is known of runs comes from a snapshot without all that is told of artifacts."""

LAYOUT: Final = 2
"""Of the tables above. A catalog of another one is not looked at: it can be made again at any time."""


class Part(NamedTuple):
    """What the catalog knows of an object of records.

    Attributes:
        token: Of the object as it was read.
        lines: How many of its records are in the tables.
        digest: CRC-32 of these.
        problem: What of it could not be read, in words.
    """

    token: str
    lines: int
    digest: int
    problem: str


class CatalogDamaged(StoreUnavailable):
    """The local catalog was damaged, and was thrown away: the next time it is made anew."""


class Catalog:
    """One SQLite file per root in the user's cache directory. It holds nothing that is not in the bucket."""

    def __init__(self, identity: str, *, volatile: bool) -> None:
        """Say where the file is.

        Args:
            identity: What tells this root from all others.
            volatile: Whether the store ends with the process, and the catalog with it.
        """
        folder = _volatile_folder(os.getpid()) if volatile else _folder()
        name = f"catalog-{VERSION}.{schema.VERSION}.{LAYOUT}.db"
        self.path = folder / hashlib.sha256(identity.encode()).hexdigest()[:24] / name
        self._file = SqliteFile(self.path)
        self._prepared = -1

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Run a transaction."""
        with self._guarded():
            self._prepare()
            with self._file.writing() as connection:
                yield connection

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """See one state of the tables."""
        with self._guarded():
            self._prepare()
            with self._file.reading() as connection:
                yield connection

    def _prepare(self) -> None:
        """Make our tables, in a transaction of their own, where the file is new or was made anew by another process."""
        if self._prepared == self._file.generation and self.path.exists():
            return
        with self._file.writing() as connection:
            for statement in _TABLES.split(";\n"):
                connection.execute(statement)
        self._prepared = self._file.generation

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Throw the file away if it is damaged, or no catalog at all: it can be made again."""
        try:
            yield
        except (StoreUnavailable, StoreVersion):
            raise
        except StoreError as error:
            if error.__cause__ is None or not isinstance(error.__cause__, sqlite3.Error):
                raise
            self._discard()
            raise CatalogDamaged(f"the catalog {self.path} was damaged, and is made anew: {error}") from error

    def _discard(self) -> None:
        self.close()
        for suffix in ("-wal", "-shm", ""):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _folder() -> Path:
    folder = cache_directory() / "catalogs"
    # As everywhere, SQLite's log does not work on network file systems, where home directories often are.
    if network_filesystem(folder):
        return Path(tempfile.gettempdir()) / f"tracklib-catalogs-{os.getuid()}"
    return folder


@cache
def _volatile_folder(_process: int) -> Path:
    import atexit
    import shutil

    folder = Path(tempfile.mkdtemp(prefix="tracklib-catalogs-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


# ---- what is known of the bucket


def read_note(connection: sqlite3.Connection, name: str) -> Any:
    """Return what was noted under a name; None if nothing was."""
    row = connection.execute("SELECT text FROM object_note WHERE name = ?", (name,)).fetchone()
    return json.loads(row[0]) if row else None


def write_note(connection: sqlite3.Connection, name: str, value: Any) -> None:
    """Note something that JSON can say."""
    connection.execute("INSERT OR REPLACE INTO object_note (name, text) VALUES (?, ?)", (name, json.dumps(value)))


def is_seen(connection: sqlite3.Connection, marker: str) -> bool:
    """Tell whether a marker was seen before."""
    return connection.execute("SELECT 1 FROM object_marker WHERE id = ?", (marker,)).fetchone() is not None


def clear(connection: sqlite3.Connection) -> None:
    """Empty all tables."""
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '%sqlite%'")
    for (table,) in rows.fetchall():
        connection.execute(f'DELETE FROM "{table}"')  # noqa: S608 - our own names


def known_parts(connection: sqlite3.Connection, runs: Iterable[str]) -> dict[str, dict[str, Part]]:
    """Return by run what is known of its objects of records; nothing of a run whose details are not in the tables."""
    found: dict[str, dict[str, Part]] = {}
    rows = connection.execute(
        "SELECT run_id, key, token, lines, digest, problem FROM object_part JOIN object_run ON id = run_id"
        " WHERE whole AND run_id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(runs)),),
    )
    for run, key, *part in rows:
        found.setdefault(run, {})[key] = Part(*part)
    return found


def damaged_part(connection: sqlite3.Connection) -> tuple[str, str] | None:
    """Return the name of an object of records that could not be read whole, and what is wrong with it."""
    row = connection.execute("SELECT key, problem FROM object_part WHERE problem != '' ORDER BY key LIMIT 1").fetchone()
    return (str(row[0]), str(row[1])) if row else None


def live_runs(connection: sqlite3.Connection, since: float) -> list[str]:
    """Return the runs of which a writer has not ended and was heard of since a moment."""
    return [row[0] for row in connection.execute("SELECT id FROM object_run WHERE live AND written >= ?", (since,))]


def forget_run(connection: sqlite3.Connection, run: str) -> None:
    """Take a run out of all tables."""
    row = connection.execute("SELECT key FROM run WHERE id = ?", (run,)).fetchone()
    if row:
        remove_run(connection, int(row[0]))
    for table, column in (("object_run", "id"), ("object_part", "run_id"), ("object_writer", "run_id")):
        connection.execute(f"DELETE FROM {table} WHERE {column} = ?", (run,))  # noqa: S608 - our own names
