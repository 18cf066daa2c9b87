"""Which run is meant when none is named."""

from __future__ import annotations

import threading
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contextvars import Token

    from tracklib.run import Run

__all__ = ["Activation", "current", "find", "here", "push"]

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


def here() -> tuple[Run, ...]:
    """Return the open runs that were begun here, the outermost first; worker threads begin without any."""
    return tuple(run for run in _in_context.get() if run.is_open)


class Activation:
    """Makes a run the active one while a generator's body runs: for as long as a `with` lasts, and as often.

    Between two turns neither the run nor what the body began is active anywhere.
    """

    def __init__(self, run: Run) -> None:
        self._own: tuple[Run, ...] = (run,)
        self._outer: tuple[Run, ...] = ()
        self._token: Token[tuple[Run, ...]] | None = None

    def __enter__(self) -> None:
        self._outer = tuple(run for run in _in_context.get() if run not in self._own)
        self._token = _in_context.set((*self._outer, *self._own))
        with _lock:
            _in_process.extend(self._own)

    def __exit__(self, *_: object) -> None:
        self._own = tuple(run for run in _in_context.get() if run not in self._outer)
        with _lock:
            _in_process[:] = [run for run in _in_process if run not in self._own]
        if self._token is not None:
            _in_context.reset(self._token)
