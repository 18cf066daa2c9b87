"""What all integrations share: the run that a framework reports to, and the guard that keeps a training safe from us.

A framework's run is the active one where there is one, and then it is its owner's to end. Where there is none, one is
begun when there is something to record, and after the training it is settled, not ended: a test that follows belongs to
it too. The next training of the process, or the end of the process, ends it.
"""

from __future__ import annotations

import functools
import logging
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, ParamSpec, TypeVar

import tracklib

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tracklib import Run

__all__ = ["Session", "guarded", "is_framework_speaking", "open_run", "speaking", "warn_once"]

P = ParamSpec("P")
R = TypeVar("R")

_log = logging.getLogger("tracklib")
_warned: set[str] = set()
_state = threading.local()


def warn_once(key: str, text: str, *arguments: object) -> None:
    """Log a warning, the first time that `key` comes."""
    if key not in _warned:
        _warned.add(key)
        _log.warning(text, *arguments)


def guarded(default: Any = None) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate a hook so that no fault of ours reaches the training: it is warned of once, and `default` returned.

    Example:
        >>> @guarded(default=0)
        ... def hook() -> int:
        ...     raise OSError("the disk is gone")
        >>> hook()
        0
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def wrapper(*arguments: P.args, **keywords: P.kwargs) -> R:
            try:
                return function(*arguments, **keywords)
            except Exception as error:  # noqa: BLE001 - the boundary that keeps trainings alive, whatever is wrong with us
                where = f"{function.__module__}.{function.__qualname__}"
                warn_once(f"{where} {type(error)}", "%s failed, and the training goes on: %r", where, error)
                result: R = default
                return result

        return wrapper

    return decorate


def open_run() -> Run | None:
    """Return the active run, or None where there is none."""
    try:
        return tracklib.active_run()
    except tracklib.TracklibError:
        return None


@contextmanager
def speaking() -> Iterator[None]:
    """Mark that a framework is reporting to its own loggers, so that what arrives there is not recorded twice."""
    before = is_framework_speaking()
    _state.speaking = True
    try:
        yield
    finally:
        _state.speaking = before


def is_framework_speaking() -> bool:
    """Tell whether a framework that reports to tracklib itself is calling its other loggers in this thread."""
    return bool(getattr(_state, "speaking", False))


class Session:
    """The run that one trainer or logger reports to.

    It can be pickled, and what comes out reports to the same run.

    Attributes:
        run_id: The id of the run, once that is known.
    """

    _idle: ClassVar[list[Session]] = []
    """Those whose run is settled: the next training ends them."""

    def __init__(self, run_id: str | None = None, **options: Any) -> None:
        """Begin nothing yet.

        Args:
            run_id: The id that the run is to have, as `tracklib.next_run_id` gives it.
            options: What `tracklib.start_run` takes.
        """
        self.run_id = run_id
        self._options = {name: value for name, value in options.items() if value is not None}
        self._run: Run | None = None
        self._owned = False

    @classmethod
    def is_idle(cls, run: Run | None) -> bool:
        """Tell whether a run is that of a training which has ended, so that the next one begins its own."""
        return run is not None and any(session.begun is run for session in cls._idle)

    @property
    def owned(self) -> bool:
        """Whether the run was begun here, and is not somebody else's."""
        return self._owned

    @property
    def run(self) -> Run:
        """The run, begun now if there is none: the active one, unless this session has another id."""
        run = self._run
        if run is None or not run.is_open:
            # Whatever is wrong, it is said once, and not tried again at each step.
            run = self._run = self._opened() or tracklib.start_run(mode="disabled", activate=False)
            self.run_id = run.id or self.run_id
        return run

    @property
    def begun(self) -> Run | None:
        """The run if it is open, without beginning one."""
        return self._run if self._run is not None and self._run.is_open else None

    @guarded()
    def _opened(self) -> Run | None:
        return self._adopted() or self._begun()

    def _adopted(self) -> Run | None:
        active = open_run()
        if active is None or "parent" in self._options:  # One within another run is never that one.
            return None
        if self.is_idle(active):  # Of a training before; this one is another.
            return None
        if self.run_id is not None and active.id not in {self.run_id, ""} and self._run is not None:
            return None
        if active.provisional:  # It takes the place and name that the program gives here.
            wanted = {name: value for name, value in self._options.items() if name in _PLACE}
            return tracklib.start_run(**wanted)
        return active

    def _begun(self) -> Run:
        for session in [session for session in self._idle if session.run_id != self.run_id]:
            session.close()
        # The second time it is the same run: its end was not the last word.
        again = {"resume": self.run_id} if self._owned and self.run_id else {"run_id": self.run_id}
        self._owned = True
        options = self._options if "run_id" in again else _without(self._options, _PLACE)
        # A store that is away when the training begins must not keep it from being recorded.
        spooling = {"on_error": "spool", **options}
        return tracklib.start_run(**{**spooling, **{name: value for name, value in again.items() if value}})

    def proceed(self) -> Run:
        """Return the run, running again if it was settled."""
        run = self.run
        if self._owned:
            run.proceed()
            if self in self._idle:
                self._idle.remove(self)
        return run

    def settle(self, error: BaseException | None = None) -> None:
        """Say how the training ended, where the run was begun here."""
        run = self.begun
        if run is not None and self._owned:
            run.settle(error)
            if self not in self._idle:
                self._idle.append(self)

    def close(self) -> None:
        """End the run where it was begun here, as it was settled."""
        if self in self._idle:
            self._idle.remove(self)
        run = self.begun
        if run is not None and self._owned:
            run.finish()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_run": self.begun}


_PLACE = ("project", "experiment", "name", "store", "tags", "notes", "params")


def _without(options: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name not in names or name == "store"}
