"""What all integrations share that copy models into the store when a training or a run ends."""

from __future__ import annotations

import functools
import os
import tempfile
import threading
import weakref
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tracklib

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tracklib import Run, Settings

__all__ = ["claim", "claimed", "is_terminated", "part_of", "settings_for"]

_claimed: weakref.WeakKeyDictionary[Any, set[str]] = weakref.WeakKeyDictionary()
"""By run, where the checkpoints lie that a framework's own integration reports."""


def claim(run: Run, path: str) -> None:
    """Say that a framework's own integration takes care of what lies at a path."""
    _claimed.setdefault(run, set()).add(os.path.abspath(path))  # noqa: PTH100 - a link keeps its own name


def claimed(run: Run) -> set[str]:
    """Return the absolute paths that frameworks' own integrations take care of."""
    return _claimed.get(run, set())


@functools.lru_cache(maxsize=8)
def settings_for(_run_id: str) -> Settings:
    """Return the settings, read once for each run: they stand in files."""
    return tracklib.current_settings()


def is_terminated(run: Run) -> bool:
    """Tell whether a run is being ended by a signal: beside the program, which goes on as long as that takes.

    There is no time for copies then. How much there is nobody knows, and the end of the run is worth more.
    """
    return run.status == "killed" and threading.current_thread() is not threading.main_thread()


@contextmanager
def part_of(folder: str, files: Iterable[str]) -> Iterator[str]:
    """Give a folder that has some files of another one, as links: it can be logged without the rest.

    Args:
        files: Their paths within the folder; a folder stands for all that is in it.
    """
    with tempfile.TemporaryDirectory(prefix="tracklib-part-", ignore_cleanup_errors=True) as place:
        root = Path(place, Path(folder).name)
        root.mkdir()
        for file in files:
            link = root / file
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(Path(folder, file))
        yield str(root)
