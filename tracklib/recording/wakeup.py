"""Waking a thread from anywhere."""

from __future__ import annotations

import contextlib
from queue import Empty, SimpleQueue

__all__ = ["Wakeup"]


class Wakeup:
    """Like `threading.Event`, but may be set by a signal handler or a finalizer that interrupted another `set`.

    An event takes a lock, for which such a call would wait for ever.

    Example:
        >>> wakeup = Wakeup()
        >>> wakeup.set()
        >>> wakeup.wait(10.0), wakeup.wait(0.0)
        (True, False)
    """

    def __init__(self) -> None:
        self._queue: SimpleQueue[None] = SimpleQueue()

    def set(self) -> None:
        """Wake who waits, or who will."""
        self._queue.put(None)

    def wait(self, timeout_s: float) -> bool:
        """Wait until somebody called `set` since the last wait; tell whether that was so."""
        try:
            self._queue.get(timeout=timeout_s)
        except Empty:
            return False
        with contextlib.suppress(Empty):
            while True:  # Any number of calls before the wait are one.
                self._queue.get_nowait()
        return True
