"""Which SQLite files this process has open: nobody else in it may open and close one of them by the way.

POSIX takes all locks that a process holds on a file away when the process closes any descriptor of it. Another process
then takes itself for the last one that has the database open, and deletes the write-ahead log that is still in use; the
next look at it finds a damaged database. See https://www.sqlite.org/howtocorrupt.html, "Posix advisory locks cancelled
by a separate thread doing close()".
"""

from __future__ import annotations

import os
import sqlite3
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakSet

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["FileIdentity", "TrackedConnection", "identity_of", "is_open_here", "open_tracked", "read_head"]

_SIDES = ("-wal", "-shm", "-journal")


class FileIdentity(NamedTuple):
    """Which file it is, by whatever name."""

    device: int
    inode: int


class TrackedConnection(sqlite3.Connection):
    """A connection that is known to be open for as long as it is."""

    __slots__ = ("__weakref__",)

    def close(self) -> None:
        """Close it."""
        super().close()
        for connections in list(_open.values()):
            connections.discard(self)


_open: dict[FileIdentity, WeakSet[TrackedConnection]] = {}
_lock = Lock()


def _in_child() -> None:
    """Let a forked child go on: it has no locks, and a thread of its parent may have held ours."""
    global _lock  # noqa: PLW0603 - a lock of another process cannot be let go of
    _lock = Lock()
    _open.clear()


os.register_at_fork(after_in_child=_in_child)


def identity_of(path: str | Path) -> FileIdentity | None:
    """Return which file has a name now; None if there is none."""
    try:
        status = os.stat(path)  # noqa: PTH116 - once per flush, and pathlib takes ten times as long
    except (OSError, ValueError):
        return None
    return FileIdentity(status.st_dev, status.st_ino)


def open_tracked(path: Path, connect: Callable[..., sqlite3.Connection]) -> sqlite3.Connection:
    """Open a database, which is made if it is missing.

    Args:
        connect: Opens it, with a connection of the class that it is given as `factory`.

    Raises:
        sqlite3.Error: It cannot be opened.
    """
    with _lock:
        if (identity := identity_of(path)) is None:
            # Made here and not by SQLite, so that it is known before there are locks.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644))
            identity = identity_of(path)
        connection = connect(factory=TrackedConnection)
        if identity is not None and isinstance(connection, TrackedConnection):
            _open.setdefault(identity, WeakSet()).add(connection)
        return connection


def read_head(path: Path, size: int) -> bytes | None:
    """Return the first bytes of a file; None where this process has it open as a database, and must not look.

    Raises:
        OSError: It cannot be read.
    """
    with _lock:
        identity = identity_of(path)
        if identity is not None and _open.get(identity):
            return None
        try:
            with path.open("rb") as file:
                return file.read(size)
        except FileNotFoundError:
            return b""


def is_open_here(path: str) -> bool:
    """Tell whether this process has a file open as a database, or as what goes with one.

    Example:
        >>> is_open_here("train.csv")
        False
    """
    with _lock:
        if not any(_open.values()):
            return False
    base = next((path.removesuffix(side) for side in _SIDES if path.endswith(side)), path)
    identity = identity_of(base)
    with _lock:
        return identity is not None and bool(_open.get(identity))
