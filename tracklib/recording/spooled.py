"""The bytes of artifacts on their way to a store: a folder beside a writer's journal, each file under its SHA-256.

A program that keeps a file waits for a local copy, never for a store. The copy is whole before a record names it, and
the store has it before it gets that record; so no reader sees an artifact that cannot be read, and a process that is
killed leaves the copy to the next one.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import re
import time
from collections import deque
from threading import RLock
from typing import TYPE_CHECKING, Final, NamedTuple

from tracklib.errors import CorruptData, NotFound
from tracklib.records import RecordKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path
    from typing import BinaryIO

    from tracklib.records import Record
    from tracklib.stores.base import Store

__all__ = ["Spooled", "SpooledBlobs", "Staging", "sweep_blobs"]

STALE_SECONDS: Final = 3600.0
"""Blobs of a writer without a journal, and so old, were left by one that was killed while it deleted them."""

_CHECKSUM: Final = re.compile("[0-9a-f]{64}")
_PIECE: Final = 1 << 20
_SUFFIX: Final = ".blobs"

_log = logging.getLogger("tracklib")
_numbers = itertools.count()


class Spooled(NamedTuple):
    """A file that was copied to the spool: its SHA-256 in hexadecimal, and its bytes."""

    checksum: str
    size: int


class SpooledBlobs:
    """The blobs of one writer that no store has yet.

    Any thread of the writer's process may add some. One at a time takes them to the store: its shipper, and when the
    process is gone, whoever holds the lock of its journal.

    Attributes:
        folder: Where they are. It is made for the first one.
        damaged: Those that were not what they should be, as they are named now.
        cpu_s: Seconds of the processor that were spent on taking them to the store.
    """

    def __init__(self, directory: Path, writer: str) -> None:
        """Say whose blobs they are; nothing is touched yet.

        Args:
            directory: The folder of the writer's journal.
        """
        self.folder = directory / f"{writer}{_SUFFIX}"
        self.damaged: list[Path] = []
        self.cpu_s = 0.0
        self._writer = writer
        self._missed: set[str] = set()
        self._unsynced: deque[Path] = deque()
        # A signal handler may keep a file in the middle of another call.
        self._publishing = RLock()

    # ---- in the threads of the program

    @contextlib.contextmanager
    def staging(self) -> Iterator[Staging]:
        """Give what files are copied with; those that were not published are deleted at the end."""
        staging = Staging(self)
        try:
            yield staging
        finally:
            staging.discard()

    def create(self) -> tuple[Path, int]:
        """Make a file that has no name yet; return its path for the time being and its descriptor.

        Raises:
            OSError: It cannot be made.
        """
        path = self.folder / f"incoming-{os.getpid()}-{next(_numbers)}.tmp"
        # Each time, since somebody may have deleted the spool.
        self.folder.mkdir(parents=True, exist_ok=True)
        return path, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)

    def publish(self, staged: dict[str, Path], say: Callable[[], bool]) -> None:
        """Give files their names, and have `say` write the record that names them; without one they are deleted.

        What had its name before is left alone, since another record names it.
        """
        with self._publishing:
            fresh = [path for path in map(self.folder.joinpath, staged) if not path.exists()]
            for checksum, temporary in staged.items():
                path = self.folder / checksum
                os.replace(temporary, path)  # noqa: PTH105 - as everywhere here
                self._unsynced.append(path)
            try:
                said = say()
            except Exception:
                _delete(fresh)
                raise
            if not said:
                _delete(fresh)

    # ---- in the shipper, or whoever recovers the journal

    def sync(self) -> None:
        """Bring new ones to the disk, so that none is missing there which a synced record names.

        Raises:
            OSError: That failed.
        """
        while self._unsynced:
            with contextlib.suppress(FileNotFoundError):  # The store has it, or its record was not written.
                descriptor = os.open(self._unsynced[0], os.O_RDONLY | os.O_CLOEXEC)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
            self._unsynced.popleft()

    def bring(self, store: Store, records: Iterable[Record]) -> None:
        """Take to a store what these records name. Each file is deleted when the store has it.

        One that is damaged is set aside, and one that is missing is told: their records are worth shipping all the
        same, and so is what follows.

        Raises:
            StoreError: The store cannot take them now.
        """
        for checksum, copied in _named(records).items():
            path = self.folder / checksum
            if path.exists():
                began_s = time.thread_time()
                try:
                    self._hand_over(store, path)
                finally:
                    self.cpu_s += time.thread_time() - began_s
            elif copied:
                self._look_for(store, checksum, "it is not in the spool any more")

    def clear(self) -> None:
        """Delete what no record names, and the folder: the store has everything that was logged."""
        with contextlib.suppress(OSError):  # There never were any, or another thread is just adding one in vain.
            _delete(self.folder.iterdir())
            self.folder.rmdir()

    def _hand_over(self, store: Store, path: Path) -> None:
        try:
            store.keep_file(path, path.name)
        except CorruptData:
            if _checksum_of(path) == path.name:  # It is the store that has something against itself.
                raise
            self._set_aside(path)
            self._look_for(store, path.name, "its copy in the spool is damaged")
        else:
            path.unlink(missing_ok=True)

    def _look_for(self, store: Store, checksum: str, why: str) -> None:
        """Warn, once, of a blob that nobody has."""
        try:
            store.open_blob(checksum).close()
        except NotFound:
            if checksum not in self._missed:
                self._missed.add(checksum)
                _log.warning(
                    "a file of the run %s, with the SHA-256 %s, cannot be read from its store: %s",
                    self.folder.parent.name,
                    checksum,
                    why,
                )

    def _set_aside(self, path: Path) -> None:
        """Rename a damaged file, as damaged segments are, so that somebody can look at it and nobody tries again."""
        target = self.folder.with_name(f"{self._writer}-{path.name}.damaged")
        path.replace(target)
        self.damaged.append(target)
        _log.warning("the spooled file %s is damaged and is kept as %s", path, target)


class Staging:
    """Files that are being copied to the spool, all of which get their names together or not at all."""

    def __init__(self, blobs: SpooledBlobs) -> None:
        self._blobs = blobs
        self._staged: dict[str, Path] = {}
        self._unfinished: list[Path] = []

    def add(self, source: BinaryIO) -> Spooled:
        """Copy the bytes of `source`.

        Raises:
            OSError: They cannot be read or written.
        """
        from hashlib import sha256

        path, descriptor = self._blobs.create()
        self._unfinished.append(path)
        digest, size = sha256(), 0
        # Not synced here: the shipper does that, and then only notes that the record is safe.
        with os.fdopen(descriptor, "wb") as target:
            while piece := source.read(_PIECE):
                digest.update(piece)
                size += target.write(piece)
        checksum = digest.hexdigest()
        if checksum not in self._staged:
            self._staged[checksum] = self._unfinished.pop()
        return Spooled(checksum, size)

    def publish(self, say: Callable[[], bool]) -> None:
        """Give the files their names, and have `say` write the record that names them; it tells whether it could.

        Raises:
            OSError: The files cannot be renamed.
        """
        self._blobs.publish(self._staged, say)
        self._staged = {}

    def discard(self) -> None:
        """Delete what was not published."""
        _delete([*self._unfinished, *self._staged.values()])


def sweep_blobs(folder: Path) -> None:
    """Delete blobs of writers whose journals are gone, some time later: whoever deletes a journal deletes them first.

    Raises:
        OSError: Something cannot be deleted.
    """
    for blobs in folder.glob(f"*{_SUFFIX}"):
        # Beside a damaged journal they stay: what it says of them may still be found out.
        if any(folder.glob(f"{blobs.name.removesuffix(_SUFFIX)}-*")):
            continue
        for path in blobs.iterdir():
            if path.stat().st_mtime < time.time() - STALE_SECONDS:
                path.unlink(missing_ok=True)
        blobs.rmdir()


def _named(records: Iterable[Record]) -> dict[str, bool]:
    """Return the blobs that records name, and whether they must be somewhere.

    What an artifact only notes is not, unless somebody has noted the word of a copy.
    """
    named: dict[str, bool] = {}
    for record in records:
        if record.kind == RecordKind.ARTIFACT:
            copied = not (record.data.get("metadata") or {}).get("reference")
            found = [file.get("checksum") for file in record.data.get("files") or ()]
        elif record.kind == RecordKind.SOURCE:
            copied, found = True, [record.data.get("snapshot")]
        else:
            continue
        for checksum in found:
            if isinstance(checksum, str) and _CHECKSUM.fullmatch(checksum):
                named[checksum] = named.get(checksum, False) or copied
    return named


def _checksum_of(path: Path) -> str:
    from hashlib import file_digest

    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _delete(paths: Iterable[Path]) -> None:
    for path in paths:
        with contextlib.suppress(OSError):
            path.unlink()
