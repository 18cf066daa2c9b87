"""Which run is meant when none is named."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracklib.run import Run

__all__ = ["activated", "current", "find", "push"]

# A context variable keeps tasks and generators apart; worker threads, which begin with an empty context,
# fall back on what the process has open.
_in_context: ContextVar[tuple[Run, ...]] = ContextVar("tracklib_runs", default=())
_in_process: list[Run] = []
_lock = threading.Lock()


def push(run: Run) -> None:
    """Make `run` the active one until it ends."""
    runs = tuple(other for other in _in_context.get() if other is not run and other.is_open)
    _in_context.set((*runs, run))
    with _lock:
        _in_process[:] = [*(other for other in _in_process if other is not run and other.is_open), run]


def current() -> Run | None:
    """Return the active run: the last one begun here that is open, else the last one of the process."""
    for run in reversed(_in_context.get()):
        if run.is_open:
            return run
    for run in reversed(list(_in_process)):
        if run.is_open:
            return run
    return None


def find(run_id: str) -> Run | None:
    """Return the open run of this id that this process holds."""
    return next((run for run in _in_process if run.id == run_id and run.is_open), None)


@contextmanager
def activated(run: Run) -> Iterator[None]:
    """Make `run` the active one for as long as this lasts, and not longer."""
    token = _in_context.set((*_in_context.get(), run))
    with _lock:
        _in_process.append(run)
    try:
        yield
    finally:
        with _lock:
            if run in _in_process:
                _in_process.remove(run)
        # A generator may be closed in another context than it was begun in.
        try:
            _in_context.reset(token)
        except ValueError:
            _in_context.set(tuple(other for other in _in_context.get() if other is not run))
