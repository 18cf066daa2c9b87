"""Files that are noted where they are: how large they are and what is in them."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tracklib.artifacts.folders import Collected, collect
from tracklib.errors import ConfigError
from tracklib.model import ArtifactFile

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["FoundFiles", "is_fresh", "is_url", "look_at"]

FRESH_SECONDS: Final = 0.5
"""What was changed within so long counts as still being written: its writer may only have paused."""
_BLOCK: Final = 1 << 20
_URL: Final = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+://")


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundFiles:
    """What was found at a path or URL.

    Attributes:
        files: With sizes, and SHA-256 where the bytes were read.
        problem: Why something is missing; empty if nothing is.
        identity: What all of the files together are known again by, where they were not read; empty if by nothing.
        metadata: What else was found.
    """

    files: tuple[ArtifactFile, ...] = ()
    problem: str = ""
    identity: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)


def is_url(path: str) -> bool:
    """Tell whether a path is a URL.

    Example:
        >>> is_url("s3://bucket/last.ckpt"), is_url("checkpoints/last.ckpt")
        (True, False)
    """
    return _URL.match(path) is not None


def is_fresh(path: str) -> bool:
    """Tell whether a file or one in a folder was changed just now."""
    try:
        changes = [state.changed_ns for state in _states(collect(path)).values()]
    except (OSError, ConfigError):
        return False
    # A time to come is that of another clock.
    return any(0 <= time.time_ns() - changed < FRESH_SECONDS * 1e9 for changed in changes)


def look_at(path: str, is_late: Callable[[], bool] = lambda: False) -> FoundFiles:
    """Return what is at a path of this machine, with the SHA-256 of each file.

    Args:
        is_late: Asked now and then whether to give up; what was not read then has no SHA-256.
    """
    try:
        collected = collect(path)
        before = _states(collected)
        files = tuple(_file(place, source, is_late) for place, source in collected.files.items())
        after = _states(collect(path))
    except ConfigError as error:
        return FoundFiles(problem=str(error))
    except OSError as error:
        return FoundFiles(problem=f"{type(error).__name__}: it was not there, or was removed meanwhile")
    notes = {"skipped": collected.skipped, "renamed": collected.renamed}
    metadata = {name: note for name, note in notes.items() if note}
    if before != after:
        return FoundFiles(files=files, problem="it changed while it was read", metadata=metadata)
    if not all(file.checksum for file in files):
        return FoundFiles(files=files, problem="the run ended before it was read", metadata=metadata)
    return FoundFiles(files=files, metadata=metadata)


class _State(NamedTuple):
    """What changes when a file does."""

    size: int
    changed_ns: int


def _states(collected: Collected) -> dict[str, _State]:
    stats = {place: path.stat() for place, path in collected.files.items()}
    return {place: _State(stat.st_size, stat.st_mtime_ns) for place, stat in stats.items()}


def _file(place: str, path: Path, is_late: Callable[[], bool]) -> ArtifactFile:
    import hashlib

    digest, size = hashlib.sha256(), path.stat().st_size
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            if is_late():
                return ArtifactFile(path=place, size=size, checksum="")
    return ArtifactFile(path=place, size=size, checksum=digest.hexdigest())
