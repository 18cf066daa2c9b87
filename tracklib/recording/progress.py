"""What somebody who waits at a terminal for the end of a run sees of its artifacts."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["shown_progress"]

SILENT_SECONDS: Final = 1.0
"""What takes less is not worth a bar."""


@contextmanager
def shown_progress(total: int) -> Iterator[Callable[[int], None]]:
    """Give what is told how many of `total` bytes are in the store, and shows it if standard error is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    bar = _Bar(total)
    try:
        yield bar.show
    finally:
        bar.close()


class _Bar:
    """A bar that appears when the wait has lasted for a while, and goes away at its end."""

    def __init__(self, total: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            TextColumn("tracklib: artifacts go to the store"),
            BarColumn(),
            DownloadColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            # A thread of its own would have to be waited for.
            auto_refresh=False,
        )
        self._task = self._progress.add_task("", total=total)
        self._due = time.monotonic() + SILENT_SECONDS
        self._started = False

    def show(self, done: int) -> None:
        now = time.monotonic()
        if now < self._due:
            return
        self._due = now + 0.1
        if not self._started:
            self._started = True
            self._progress.start()
        self._progress.update(self._task, completed=done)
        self._progress.refresh()

    def close(self) -> None:
        if self._started:
            self._progress.stop()
