"""The segment files that a process left when it died, and how far each can be trusted."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tracklib.errors import CorruptData
from tracklib.recording.format import HEADER_SIZE, HeaderWords, SegmentInfo, parse_header, parse_words
from tracklib.recording.segment import boot_id
from tracklib.recording.spooled import STALE_SECONDS, sweep_spooled

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Remains", "lock_orphan", "read_remains", "segments_in", "set_aside", "sweep"]

MOST_DROPPED: Final = 1 << 53
"""A higher count of lost points is damage: nobody logs that many."""

_NAME = re.compile(r"(?P<writer>.+)-(?P<number>\d+)\.journal")
_log = logging.getLogger("tracklib")


@dataclass(slots=True)
class Remains:
    """A segment file of a dead process.

    Attributes:
        base: The journal position of its first record.
        committed: File offset up to which it may be read.
        damaged: Whether its header or its size is not what it was.
    """

    path: Path
    info: SegmentInfo
    words: HeaderWords
    base: int
    committed: int
    damaged: bool

    @property
    def length(self) -> int:
        """How many bytes of records it had by its header."""
        return self.words.committed - HEADER_SIZE

    @property
    def dropped(self) -> int:
        """How many points had found no room by its header."""
        return self.words.dropped if self.words.dropped < MOST_DROPPED else 0

    def read(self, start: int, end: int) -> bytes:
        """Return the bytes between two file offsets."""
        with self.path.open("rb") as file:
            return os.pread(file.fileno(), max(0, end - start), start)


def segments_in(folder: Path) -> dict[str, list[Path]]:
    """Return a run's segment files by writer, in the order of their numbers."""
    found: dict[str, list[tuple[int, Path]]] = {}
    with contextlib.suppress(OSError):  # It is no folder, or is no more.
        for path in folder.iterdir():
            match = _NAME.fullmatch(path.name)
            if match:
                found.setdefault(match["writer"], []).append((int(match["number"]), path))
    return {writer: [path for _, path in sorted(paths)] for writer, paths in sorted(found.items())}


def lock_orphan(path: Path, *, shared: bool = False) -> int | None:
    """Lock a segment whose owner is gone and return its descriptor; None if it has an owner or is no more."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_nlink:
            return descriptor
    except OSError:
        pass  # Somebody lives, or another process recovers it.
    os.close(descriptor)
    return None


def read_remains(paths: list[Path]) -> tuple[list[Remains], list[Path]]:
    """Read the headers of a writer's segments, given in the order of their numbers.

    Returns:
        The segments in the order of their bases, and the files without a header that can be read.

    Raises:
        StoreVersion: A newer tracklib wrote them.
        OSError: A file cannot be opened.
    """
    files, unreadable = [], []
    for path in paths:
        with path.open("rb") as file:
            page, size = file.read(HEADER_SIZE), os.fstat(file.fileno()).st_size
        try:
            files.append(_remains(path, size, parse_header(page), parse_words(page)))
        except (CorruptData, TypeError, ValueError) as error:
            _log.warning("the journal segment %s cannot be read: %s", path, error)
            unreadable.append(path)
    _place(files)
    return sorted(files, key=lambda file: file.base), unreadable


def _remains(path: Path, size: int, info: SegmentInfo, words: HeaderWords) -> Remains:
    # After a crash of the machine, pages that were not synced may be missing in any order.
    trusted = words.committed if info.boot == boot_id() else min(words.committed, words.synced)
    committed = max(HEADER_SIZE, min(trusted, size))
    damaged = not HEADER_SIZE <= words.committed <= size or words.base is None
    return Remains(path, info, words, words.base or 0, committed, damaged)


def _place(files: list[Remains]) -> None:
    """Put a segment whose base is damaged behind the one before it: numbers follow the bases but for a rare race."""
    before: Remains | None = None
    for file in files:
        if file.words.base is None:
            end = before.base + before.length if before is not None and before.length >= 0 else 0
            taken = any(other.base <= end < other.base + other.length for other in files if other is not file)
            # Far behind everything: then it may be shipped twice, but is not lost.
            file.base = file.info.segment << 40 if taken else end
        before = file


def set_aside(paths: list[Path]) -> tuple[str, ...]:
    """Rename damaged files, so that somebody can look at them and nobody tries again; return their new names."""
    names = []
    for path in paths:
        target = path.with_suffix(".damaged")
        if target.exists():
            target = path.with_suffix(f".{time.time_ns()}.damaged")
        with contextlib.suppress(FileNotFoundError):
            names.append(str(path.rename(target)))
            _log.warning("the journal segment %s is damaged and is kept as %s", path, target.name)
    return tuple(names)


def sweep(folder: Path) -> None:
    """Delete what processes that were killed had begun to make, and the folder if it is empty."""
    with contextlib.suppress(OSError):  # Another process is doing the same, or it is no folder.
        for path in folder.glob("*.tmp"):
            if path.stat().st_mtime < time.time() - STALE_SECONDS:
                path.unlink()
        sweep_spooled(folder)
        folder.rmdir()
