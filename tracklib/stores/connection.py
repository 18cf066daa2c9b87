"""One SQLite file, opened when needed, opened anew when it was replaced, and its errors in our words."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from functools import partial
from threading import RLock
from typing import TYPE_CHECKING, Final

from tracklib.errors import CorruptData, NotFound, StoreError, StoreUnavailable, StoreVersion, TracklibError
from tracklib.stores.mounts import network_filesystem
from tracklib.stores.open_databases import FileIdentity, identity_of, open_tracked, read_head
from tracklib.stores.schema import APPLICATION_ID, VERSION, create, migrate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["SqliteFile"]

BUSY_SECONDS: Final = 5.0
"""How long one statement waits for another process before it gives up; who calls tries again."""

_MAGIC = b"SQLite format 3\0"
_PASSING = (
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_AUTH,
    sqlite3.SQLITE_PROTOCOL,
)


class SqliteFile:
    """A database file with our tables.

    Attributes:
        generation: Grows each time the file is opened: what was cached of an older one is void.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.generation = 0
        self._connection: sqlite3.Connection | None = None
        self._identity: FileIdentity | None = None
        self._process = 0
        self._lock = RLock()

    def check(self) -> None:
        """See whether the file can be written to, from its first bytes alone: no lock is waited for, nothing is made.

        Raises:
            StoreError: It cannot; the message says why and what to do.
        """
        self._refuse_network()
        try:
            head = read_head(self.path, 100)
        except OSError as error:
            raise StoreError(
                f"the store {self.path} cannot be opened: {error.strerror}; choose another with store=…"
            ) from error
        home = next(parent for parent in self.path.parents if parent.exists())
        if not home.is_dir() or not all(os.access(path, os.W_OK) for path in (home, self.path) if path.exists()):
            raise StoreError(
                f"the store {self.path} cannot be written to: change its rights or choose another with store=…"
            )
        if head is not None:  # Else it was found to be ours when it was opened.
            self._check_head(head)

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Run a transaction: all of it or nothing.

        Raises:
            StoreUnavailable: The file is locked, full or away.
            CorruptData: The file is damaged.
        """
        with self._lock, _translated(self.path):
            connection = self._open(create=True)
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                self.generation += 1
                raise

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """See one state of the file for as long as this lasts.

        Raises:
            NotFound: There is no such file yet.
        """
        with self._lock, _translated(self.path):
            connection = self._open(create=False)
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                if connection.in_transaction:
                    connection.execute("COMMIT")

    def checkpoint(self) -> None:
        """Bring all that was committed to the disk, so that a power cut cannot take it back."""
        with self._lock, _translated(self.path):
            self._open(create=True).execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def close(self) -> None:
        """Close the connection, if it is this process's."""
        with self._lock:
            connection, self._connection = self._connection, None
            if connection is not None and self._process == os.getpid():
                connection.close()

    def _open(self, *, create: bool) -> sqlite3.Connection:
        """Return a connection to the file that has the name now; an old one may be of a file that was deleted."""
        known = self._identity if self._process == os.getpid() else None
        if self._connection is not None and known is not None and known == identity_of(self.path):
            return self._connection
        self.close()
        if not create and not self.path.exists():
            raise NotFound(
                f"there is no store at {self.path} yet: a first run makes it, or give another with --store or store=…"
            )
        self._refuse_network()
        if create:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        frozen = not create and self._is_frozen()
        connection = _connect(self.path, frozen=frozen)
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        # What is frozen now may not be so the next time.
        self._identity = None if frozen else identity_of(self.path)
        self._connection, self._process = connection, os.getpid()
        self.generation += 1
        return connection

    def _is_frozen(self) -> bool:
        """Tell whether the file lies where nothing can be written and nobody has it open, as in an archive.

        SQLite can read it then only when it is told that the file does not change.
        """
        return not os.access(self.path.parent, os.W_OK) and not self.path.with_name(f"{self.path.name}-wal").exists()

    def _refuse_network(self) -> None:
        kind = network_filesystem(self.path.parent)
        if kind:
            raise StoreError(
                f"the store {self.path} is on a network file system ({kind}), where SQLite loses data: "
                f"use file://{self.path.parent.absolute()} instead, which is made for it, or a local folder"
            )

    def _prepare(self, connection: sqlite3.Connection) -> None:
        if self._version(connection) < VERSION:
            _use_wal(connection)
            connection.execute("BEGIN IMMEDIATE")
            # Another process may have been faster.
            version = self._version(connection)
            if version == 0:
                create(connection)
            elif version < VERSION:
                migrate(connection)
            connection.execute("COMMIT")
        connection.execute("PRAGMA synchronous = NORMAL")
        # The pages of batches are written again and again as batches come and go: a longer log saves most of that.
        connection.execute("PRAGMA wal_autocheckpoint = 4000")

    def _version(self, connection: sqlite3.Connection) -> int:
        """Return the version of our tables in a file; 0 where there are none yet."""
        # In this order: another process that makes the tables meanwhile makes everything at once.
        tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        version: int = connection.execute("PRAGMA user_version").fetchone()[0]
        if not tables:
            return 0
        self._check_ours(application, version)
        return version

    def _check_head(self, head: bytes) -> None:
        if not head:
            return
        if head[:16] != _MAGIC:
            raise CorruptData(f"{self.path} is no SQLite database: move it away or choose another store with store=…")
        schema, version, application = (int.from_bytes(head[at : at + 4], "big") for at in (40, 60, 68))
        if schema:  # Else nothing was ever made in it, or it is not in this file yet.
            self._check_ours(application, version)

    def _check_ours(self, application: int, version: int) -> None:
        if application != APPLICATION_ID:
            raise StoreError(f"{self.path} is a database of another program: choose another store with store=…")
        if version > VERSION:
            raise StoreVersion(
                f"the store {self.path} has version {version}, but this tracklib knows versions up to {VERSION}: "
                "upgrade with `pip install --upgrade tracklib-ml`"
            )


def _connect(path: Path, *, frozen: bool) -> sqlite3.Connection:
    target = f"{path.as_uri()}?immutable=1" if frozen else path
    connect = partial(
        sqlite3.connect, target, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False, uri=frozen
    )
    return connect() if frozen else open_tracked(path, connect)


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to write-ahead logging; SQLite does not wait by itself when two processes do this at once."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if not _is(error, sqlite3.SQLITE_BUSY) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        if _is(error, *_PASSING):
            raise StoreUnavailable(f"the store {path} cannot be used now: {error}") from error
        if _is(error, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise CorruptData(
                f"the store {path} is damaged: {error}; restore it from a copy or move it away"
            ) from error
        raise StoreError(f"the store {path} cannot be used: {error}") from error
    except TracklibError:
        raise
    except OSError as error:
        raise StoreUnavailable(f"the store {path} cannot be used: {error.strerror}") from error


def _is(error: sqlite3.Error, *codes: int) -> bool:
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF in codes
