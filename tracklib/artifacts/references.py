"""Files that are noted and not copied: a thread finds out how large they are and what is in them."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracklib.model import ArtifactFile

__all__ = ["FoundFiles", "Reference", "ReferenceWorker", "is_url"]

PAUSE_SECONDS: Final = 0.5
"""Between looks at what is not there yet; what was changed within so long counts as still being written."""
_BLOCK: Final = 1 << 20
_URL: Final = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+://")

_log = logging.getLogger("tracklib")


class FoundFiles(NamedTuple):
    """What was found at a path.

    Attributes:
        files: With sizes and SHA-256; the latter is empty where it could not be taken.
        problem: Why something is missing; empty if nothing is.
    """

    files: tuple[ArtifactFile, ...] = ()
    problem: str = ""


class Reference(NamedTuple):
    """What is to be looked at.

    Attributes:
        path: An absolute path, or a URL.
        found: Told what is there, once.
    """

    path: str
    found: Callable[[FoundFiles], None]


def is_url(path: str) -> bool:
    """Tell whether a path is a URL.

    Example:
        >>> is_url("s3://bucket/last.ckpt"), is_url("checkpoints/last.ckpt")
        (True, False)
    """
    return _URL.match(path) is not None


class ReferenceWorker:
    """Looks at files in the background, one after the other.

    What is not there, or was changed just now or while it was read, is looked at again until it stands still or the run
    ends.
    """

    def __init__(self, run: str) -> None:
        self._waiting: deque[Reference] = deque()
        self._wake = threading.Event()
        self._closing = False
        self._deadline = float("inf")
        self._starting = threading.Lock()
        self._thread = threading.Thread(target=self._work, name=f"tracklib-references-{run}", daemon=True)

    def add(self, reference: Reference) -> None:
        """Have a path looked at."""
        self._waiting.append(reference)
        self._wake.set()
        with self._starting:
            if self._thread.ident is None:
                self._thread.start()

    def finish(self, timeout_s: float) -> None:
        """Look at what is left for so long at the most, and note without a checksum what remains then."""
        self._deadline = time.monotonic() + timeout_s
        self._closing = True
        self._wake.set()
        self._thread.join(timeout_s + 1.0)

    # ---- in the thread

    def _work(self) -> None:
        while True:
            late = self._look_at_all()
            if self._closing:
                if not self._waiting:
                    return
                continue
            self._wake.wait(PAUSE_SECONDS if late else None)
            self._wake.clear()

    def _look_at_all(self) -> bool:
        """Look at everything once; tell whether something is to be looked at again."""
        later = []
        while self._waiting:
            reference = self._waiting.popleft()
            closing = self._closing
            try:
                if (closing or not _is_fresh(reference.path)) and self._tell(reference, last=closing):
                    continue
                later.append(reference)
            except Exception as error:  # noqa: BLE001 - one odd file must not keep the others from being noted
                _log.warning("the artifact at %s could not be noted: %r", reference.path, error)
        self._waiting.extendleft(reversed(later))
        return bool(later)

    def _tell(self, reference: Reference, *, last: bool) -> bool:
        found = _look(reference.path, lambda: time.monotonic() > self._deadline)
        if found.problem and not last:
            return False
        reference.found(found)
        return True


def _is_fresh(path: str) -> bool:
    """Tell whether a file or one in a folder was changed just now: a writer may only have paused."""
    try:
        changes = [] if is_url(path) else [changed for _, changed in _listing(Path(path)).values()]
    except OSError:
        return False
    # A time to come is that of another clock.
    return any(0 <= time.time_ns() - changed < PAUSE_SECONDS * 1e9 for changed in changes)


def _look(path: str, is_late: Callable[[], bool]) -> FoundFiles:
    if is_url(path):
        return FoundFiles()
    source = Path(path)
    try:
        before = _listing(source)
        files = tuple(_file(source, place, is_late) for place in before)
        after = _listing(source)
    except OSError as error:
        return FoundFiles(problem=f"{type(error).__name__}: it was not there, or was removed meanwhile")
    if before != after:
        return FoundFiles(files, "it changed while it was read")
    if not all(file.checksum for file in files):
        return FoundFiles(files, "the run ended before it was read")
    return FoundFiles(files)


def _listing(source: Path) -> dict[str, tuple[int, int]]:
    """Return the files at a path by their place below it, each with its size and the time of its last change."""
    if source.is_dir():
        paths = {path.relative_to(source).as_posix(): path for path in sorted(source.rglob("*")) if path.is_file()}
    else:
        paths = {source.name: source}
    stats = {place: path.stat() for place, path in paths.items()}
    return {place: (stat.st_size, stat.st_mtime_ns) for place, stat in stats.items()}


def _file(source: Path, place: str, is_late: Callable[[], bool]) -> ArtifactFile:
    import hashlib

    from tracklib.model import ArtifactFile

    path = source / place if source.is_dir() else source
    digest, size = hashlib.sha256(), path.stat().st_size
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            if is_late():
                return ArtifactFile(path=place, size=size, checksum="")
    return ArtifactFile(path=place, size=size, checksum=digest.hexdigest())
