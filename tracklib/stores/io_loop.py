"""The event loop that file systems of ours run in.

fsspec has one loop for everybody in the process. Ours is apart from it, so that what a program loads or saves does not
keep records waiting, and it works until the very end of the interpreter, when the last records are shipped: the usual
threads of an event loop, in which for one thing names of hosts are looked up, take no work by then.
"""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["end_session", "io_loop"]

_WORKERS: Final = 4

_lock = threading.Lock()
_loops: dict[int, asyncio.AbstractEventLoop] = {}
_inherited: list[object] = []
"""Loops and sessions of the process that this one was forked from."""


def io_loop() -> asyncio.AbstractEventLoop:
    """Return the loop of this process, which runs in a thread of its own. A forked child has another one."""
    with _lock:
        loop = _loops.get(os.getpid())
        if loop is None:
            loop = _loops[os.getpid()] = asyncio.new_event_loop()
            loop.set_default_executor(_Workers())
            threading.Thread(target=loop.run_forever, name="tracklib-io", daemon=True).start()
        return loop


def end_session(loop: asyncio.AbstractEventLoop, session: Any) -> Future[Any] | None:
    """Begin to end the connections of an S3 file system that works in our loop; None where there is nothing to do.

    s3fs would do it in whatever loop runs in the thread that the garbage collector comes by in, where it fails. A
    forked child keeps what it has inherited instead: both have one selector, so closing there would leave the parent
    waiting for answers that it is no longer told of.
    """
    if _loops.get(os.getpid()) is not loop:
        _inherited.append(session)
        return None
    return asyncio.run_coroutine_threadsafe(session.__aexit__(None, None, None), loop)


class _Workers(ThreadPoolExecutor):
    """Threads that are there from the start, and that nobody stops when the interpreter ends."""

    def __init__(self) -> None:
        super().__init__(_WORKERS)
        self._tasks: SimpleQueue[tuple[Future[Any], Callable[[], Any]]] = SimpleQueue()
        for number in range(_WORKERS):
            threading.Thread(target=self._work, name=f"tracklib-io-{number}", daemon=True).start()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have a function called in one of the threads."""
        future: Future[Any] = Future()
        self._tasks.put((future, lambda: fn(*args, **kwargs)))
        return future

    def _work(self) -> None:
        while True:
            future, task = self._tasks.get()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(task())
            except BaseException as error:  # noqa: BLE001 - whoever waits for the result is told
                future.set_exception(error)


def _in_child() -> None:
    """Let a forked child begin anew: its parent's thread may have held the lock."""
    global _lock  # noqa: PLW0603 - a lock of another process cannot be let go of
    _lock = threading.Lock()
    _inherited.extend(_loops.values())
    _loops.clear()


os.register_at_fork(after_in_child=_in_child)
