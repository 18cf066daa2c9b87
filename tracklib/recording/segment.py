"""One segment file of a journal: reserved, mapped and locked."""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tracklib.errors import StoreError
from tracklib.recording.format import (
    BASE,
    BASE_CHECK,
    COMMITTED,
    HEADER_SIZE,
    SYNCED,
    SegmentInfo,
    render_header,
)

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Segment", "boot_id", "create_segment", "segment_path"]


def boot_id() -> str:
    """Return what tells this start of the machine from any other, or "" where the system does not say."""
    with contextlib.suppress(OSError), open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:  # noqa: PTH123 - no pathlib on the way of start_run
        return file.read().strip()
    return ""


def segment_path(directory: Path, writer: str, number: int) -> Path:
    """Return where a writer's segment of this number lives."""
    return directory / f"{writer}-{number}.journal"


@dataclass(slots=True)
class Segment:
    """A mapped segment that this process writes.

    Attributes:
        map: The file's bytes.
        words: The same as 8-byte words, for the fields of the header; of a retired segment the header's last state.
        capacity: Size of the file.
        retired: Whether the map was let go of.
        codes: The schemas that were written, by names, with their numbers.
    """

    info: SegmentInfo
    path: Path
    descriptor: int
    map: mmap.mmap
    words: memoryview
    capacity: int
    retired: bool = False
    codes: dict[tuple[str, ...], int] = field(default_factory=dict)

    @property
    def committed(self) -> int:
        """File offset behind the last committed record."""
        return int(self.words[COMMITTED])

    @property
    def position(self) -> int:
        """The journal position behind the last committed record."""
        return self.base + self.committed - HEADER_SIZE

    @property
    def base(self) -> int:
        """The journal position of the first record."""
        return int(self.words[BASE])

    def begin(self, base: int) -> None:
        """Say at which journal position the first record stands."""
        self.words[BASE_CHECK] = ~base & 0xFFFF_FFFF_FFFF_FFFF
        self.words[BASE] = base

    def append(self, body: bytes) -> None:
        """Write a framed record and commit it; there must be room."""
        offset = self.committed
        self.map[offset : offset + len(body)] = body
        self.words[COMMITTED] = offset + len(body)

    def read(self, start: int, end: int) -> bytes:
        """Return the bytes between two file offsets."""
        if self.descriptor >= 0:
            return os.pread(self.descriptor, end - start, start)
        with self.path.open("rb") as file:
            return os.pread(file.fileno(), end - start, start)

    def sync(self) -> None:
        """Bring what is committed to the disk, then note that."""
        committed = self.committed
        if self.words[SYNCED] != committed and not self.retired:
            os.fdatasync(self.descriptor)
            self.words[SYNCED] = committed

    def retire(self) -> None:
        """Let go of what a full segment does not need: it can still be read. The first one keeps the writer's lock."""
        if not self.retired:
            self.sync()
            self._unmap()
            if self.info.segment:
                self._release()

    def close(self) -> None:
        """Let go of the map and the lock; the file stays."""
        self._unmap()
        self._release()

    def delete(self) -> None:
        """Delete the file and let go of it."""
        self.path.unlink(missing_ok=True)
        self.close()

    def _unmap(self) -> None:
        if not self.retired:
            self.retired = True
            mapped, self.words = self.words, memoryview(bytearray(self.map[:HEADER_SIZE])).cast("Q")
            mapped.release()
            # A log call of a thread that did not survive a fork may hold the map for good.
            with contextlib.suppress(BufferError):
                self.map.close()

    def _release(self) -> None:
        # Forgotten before it is closed: a child forked in between must not close another file that has the number then.
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def create_segment(directory: Path, info: SegmentInfo, capacity: int) -> Segment:
    """Reserve, lock and map a new segment file. It appears under its name complete or not at all.

    Raises:
        OSError: There is no room, or the folder cannot be written to.
        StoreError: A segment of that name exists: another process writes under the same writer's name.
    """
    path = segment_path(directory, info.writer, info.segment)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        # Reserved before it is mapped: a full disk is an error here, never a SIGBUS in the training later.
        _reserve(descriptor, capacity)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.pwrite(descriptor, render_header(info), 0)
        mapped = mmap.mmap(descriptor, capacity)
        _publish(temporary, path)
    except BaseException:
        os.close(descriptor)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)  # noqa: PTH108 - as above
        raise
    return Segment(info, path, descriptor, mapped, memoryview(mapped).cast("Q"), capacity)


def _reserve(descriptor: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
    else:
        os.pwrite(descriptor, bytes(size), 0)


def _publish(temporary: Path, path: Path) -> None:
    """Give a file its name unless the name is taken."""
    try:
        os.link(temporary, path)
    except FileExistsError as error:
        raise StoreError(
            f"the journal {path} exists already: two processes write to one run as the same writer"
        ) from error
    except OSError:  # Some file systems have no hard links; their names are unique by construction anyway.
        os.rename(temporary, path)  # noqa: PTH104 - as above
        return
    os.unlink(temporary)  # noqa: PTH108 - as above
