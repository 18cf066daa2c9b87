"""The bytes of artifacts on their way to a store: folders beside a writer's journal, one for each artifact.

A program that keeps a file waits for a local copy, never for a store. The copy is whole before the call returns, and
stays until the store has the record that names it; so no reader sees an artifact that cannot be read, and a process
that is killed leaves the copy to the next one.

    <run id>/<writer>.blobs/<artifact id>/artifact.json    what is known of it, written last
    <run id>/<writer>.blobs/<artifact id>/…                its files
    <run id>/<writer>.blobs/<sha256>                       what a record of the source names
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import time
from collections import deque
from dataclasses import asdict, dataclass
from threading import RLock
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tracklib.errors import CorruptData
from tracklib.records import RecordKind, is_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from typing import BinaryIO

    from tracklib.records import Record
    from tracklib.stores.base import Store

__all__ = ["Pending", "PendingFile", "SpooledFiles", "Staging", "sweep_spooled"]

STALE_SECONDS: Final = 3600.0
"""Files of a writer without a journal, and so old, were left by one that was killed while it deleted them."""
ATTEMPTS: Final = 3
"""So often a file that changes while it is copied is copied."""

_CHECKSUM: Final = re.compile("[0-9a-f]{64}")
_PIECE: Final = 1 << 20
_SUFFIX: Final = ".blobs"
_MANIFEST: Final = "artifact.json"
_FICLONE: Final = 0x40049409
"""The ioctl by which Linux file systems share the bytes of a file with another; linux/fs.h."""
_NO_CLONE: Final = frozenset({errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS, errno.EPERM})


class PendingFile(NamedTuple):
    """A file of an artifact whose bytes are in the spool.

    Attributes:
        path: What the artifact calls it.
        spooled: What it is called in the folder of the artifact.
        size: Bytes.
    """

    path: str
    spooled: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """An artifact that was logged, and that no store knows of yet.

    Attributes:
        data: What its record will say, but for its files and what follows from them.
        files: Those whose bytes are in the spool.
        source: The path or URL where they are to be looked at; empty where they are in the spool.
        fetch: Whether what is at the URL is to be copied.
    """

    id: str
    data: dict[str, Any]
    files: tuple[PendingFile, ...] = ()
    source: str = ""
    fetch: bool = False

    @property
    def size(self) -> int:
        """Bytes in the spool."""
        return sum(file.size for file in self.files)

    def text(self) -> str:
        """Return it as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def parse(cls, text: str) -> Pending:
        """Return what `text` says.

        Raises:
            CorruptData: It is not what `text` of one returned.
        """
        try:
            known = json.loads(text)
            return cls(**{**known, "files": tuple(PendingFile(*file) for file in known["files"])})
        except (ValueError, TypeError, KeyError) as error:
            raise CorruptData(f"it says no artifact: {error!r}") from error


class SpooledFiles:
    """The files of one writer that no store has yet.

    Any thread of the writer's process may add some. Its uploader takes them to the store, and when the process is gone,
    whoever holds the lock of its journal.

    Attributes:
        folder: Where they are. It is made for the first one.
    """

    def __init__(self, directory: Path, writer: str) -> None:
        """Say whose files they are; nothing is touched yet.

        Args:
            directory: The folder of the writer's journal.
        """
        self.folder = directory / f"{writer}{_SUFFIX}"
        self._unsynced: deque[Path] = deque()
        # A signal handler may keep a file in the middle of another call.
        self._publishing = RLock()

    # ---- in the threads of the program

    @contextlib.contextmanager
    def staging(self, artifact: str) -> Iterator[Staging]:
        """Give what the files of an artifact are put with; without `publish` they are deleted at the end.

        Raises:
            OSError: There is no room, or the folder cannot be written to.
        """
        staging = Staging(self.path(artifact), self._unsynced)
        try:
            yield staging
        finally:
            if not staging.published:
                staging.discard()

    def path(self, artifact: str) -> Path:
        """Return the folder of an artifact."""
        return self.folder / artifact

    def keep(self, content: bytes) -> str:
        """Keep bytes that a record is about to name; return their SHA-256 in hexadecimal.

        Raises:
            OSError: They cannot be written.
        """
        from hashlib import sha256

        checksum = sha256(content).hexdigest()
        with self._publishing:
            self.folder.mkdir(parents=True, exist_ok=True)
            begun = self.folder / f"{checksum}.tmp"
            begun.write_bytes(content)
            begun.replace(self.folder / checksum)
        self._unsynced.append(self.folder / checksum)
        return checksum

    # ---- in the uploader, or whoever recovers the journal

    def pending(self) -> list[Pending]:
        """List what waits, in the order in which it was logged; what is damaged is left out.

        Raises:
            OSError: The folder cannot be read.
        """
        found = []
        for path in self.folder.glob(f"*/{_MANIFEST}"):
            with contextlib.suppress(CorruptData, FileNotFoundError):
                found.append(Pending.parse(path.read_text(encoding="utf-8")))
        return sorted(found, key=lambda pending: (pending.data.get("created_at", 0.0), pending.id))

    def forget(self, artifact: str) -> None:
        """Delete an artifact's files: the store has it, or nobody wants it any more."""
        folder = self.path(artifact)
        # Without it, the rest is what a copy leaves behind that was broken off.
        with contextlib.suppress(OSError):
            (folder / _MANIFEST).unlink(missing_ok=True)
        _delete(folder)

    def sync(self) -> None:
        """Bring new ones to the disk, so that a power cut does not take what a call has promised.

        Raises:
            OSError: That failed.
        """
        while self._unsynced:
            with contextlib.suppress(FileNotFoundError):  # The store has it, or its artifact was given up.
                descriptor = os.open(self._unsynced[0], os.O_RDONLY | os.O_CLOEXEC)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
            self._unsynced.popleft()

    def bring(self, store: Store, records: Iterable[Record]) -> None:
        """Take to a store what these records name of the source.

        Raises:
            StoreError: The store cannot take it now.
        """
        for record in records:
            checksum = record.data.get("snapshot") if record.kind == RecordKind.SOURCE else None
            if isinstance(checksum, str) and _CHECKSUM.fullmatch(checksum):
                path = self.folder / checksum
                with contextlib.suppress(FileNotFoundError):  # The store has it, or else a reader is told.
                    store.keep_file(path, checksum)
                    path.unlink(missing_ok=True)

    def clear(self) -> None:
        """Delete what is left and the folder: the store has everything that was logged."""
        _delete(self.folder)


class Staging:
    """The files of one artifact that are being put into the spool.

    Attributes:
        folder: Where they are put.
        files: Those that are there.
        published: Whether the artifact will get to a store whatever happens now.
    """

    def __init__(self, folder: Path, unsynced: deque[Path]) -> None:
        self.folder = folder
        self.files: list[PendingFile] = []
        self.published = False
        self._unsynced = unsynced
        # Each time, since somebody may have deleted the spool.
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, path: str, content: bytes) -> None:
        """Put bytes there, which the artifact calls `path`.

        Raises:
            OSError: They cannot be written.
        """
        name = f"{len(self.files)}"
        (self.folder / name).write_bytes(content)
        self.files.append(PendingFile(path, name, len(content)))

    def copy(self, path: str, source: Path) -> bool:
        """Put a copy of a file there; tell whether it stood still meanwhile.

        On file systems that can, the copy shares its bytes with the original, and takes no time.

        Raises:
            OSError: It cannot be read, or the copy not written.
        """
        name = f"{len(self.files)}"
        target = self.folder / name
        for _ in range(ATTEMPTS):
            with source.open("rb") as original, target.open("wb") as copy:
                before = _state(original)
                duplicate(original, copy)
                unchanged = _state(original) == before
                size = os.fstat(copy.fileno()).st_size
            if unchanged:
                break
        self.files.append(PendingFile(path, name, size))
        return unchanged

    def take(self, folder: str) -> None:
        """Take what was written to a folder of this name below `self.folder`."""
        root = self.folder / folder
        for file in sorted(root.rglob("*")):
            if file.is_file():
                spooled = file.relative_to(self.folder).as_posix()
                self.files.append(PendingFile(file.relative_to(root).as_posix(), spooled, file.stat().st_size))

    def publish(self, data: dict[str, Any], *, source: str = "", fetch: bool = False) -> Pending:
        """Promise the artifact: from now on it gets to a store.

        Args:
            data: What its record will say, but for its files.
            source: See `Pending`.
            fetch: See `Pending`.

        Raises:
            OSError: There is no room.
        """
        pending = Pending(id=self.folder.name, data=data, files=tuple(self.files), source=source, fetch=fetch)
        begun = self.folder / f"{_MANIFEST}.tmp"
        begun.write_text(pending.text(), encoding="utf-8")
        begun.replace(self.folder / _MANIFEST)
        self.published = True
        self._unsynced.extend(self.folder / file.spooled for file in self.files)
        self._unsynced.extend((self.folder / _MANIFEST, self.folder))
        return pending

    def discard(self) -> None:
        """Delete what was put there."""
        _delete(self.folder)


def duplicate(source: BinaryIO, target: BinaryIO) -> None:
    """Make an empty file the same as another: with shared bytes where the file system can, else by copying.

    Raises:
        OSError: The one cannot be read or the other not written.
    """
    try:
        import fcntl

        fcntl.ioctl(target.fileno(), _FICLONE, source.fileno())
    except ImportError:
        pass
    except OSError as error:
        if error.errno not in _NO_CLONE:
            raise
    else:
        return
    while piece := source.read(_PIECE):
        target.write(piece)
    target.flush()


def _state(file: BinaryIO) -> tuple[int, int]:
    status = os.fstat(file.fileno())
    return status.st_size, status.st_mtime_ns


def sweep_spooled(folder: Path) -> None:
    """Delete files of writers whose journals are gone, some time later: whoever deletes a journal deletes them first.

    Raises:
        OSError: Something cannot be deleted.
    """
    for spooled in folder.glob(f"*{_SUFFIX}"):
        # Beside a damaged journal they stay: what it says of them may still be found out.
        if any(folder.glob(f"{spooled.name.removesuffix(_SUFFIX)}-*")):
            continue
        for path in spooled.iterdir():
            if path.stat().st_mtime < time.time() - STALE_SECONDS:
                _delete(path) if is_id(path.name) else path.unlink(missing_ok=True)
        spooled.rmdir()


def _delete(folder: Path) -> None:
    if folder.exists():  # It takes a while to import what deletes.
        from shutil import rmtree

        rmtree(folder, ignore_errors=True)
