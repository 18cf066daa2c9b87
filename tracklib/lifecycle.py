"""How processes end, and what becomes of their runs: at exit, at SIGTERM, and in forked children."""

from __future__ import annotations

import _thread
import atexit
import contextlib
import os
import signal
import sys
import threading
import time
import weakref
from typing import TYPE_CHECKING, Any, Final, Protocol

from tracklib.errors import ConfigError
from tracklib.forking import await_imports
from tracklib.recording.recovery import await_recoveries
from tracklib.records import RunStatus
from tracklib.values import clean_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracklib.model import RunError

__all__ = ["Ending", "ManagedRun", "chosen_ending", "ending_of", "manage", "managed", "release"]

_ENDS: Final = tuple(str(status) for status in RunStatus if status.ended)

SIGTERM_PATIENCE_SECONDS: Final = 5.0
"""How long a terminated process goes on at the most to ship the rest; what remains is in the journal."""

RECOVERY_PATIENCE_SECONDS: Final = 30.0
"""How long an interpreter that ends waits at the most for journals of other processes that it is shipping."""


class Ending:
    """Why a run ends: its status, the reason in words, and the exception if there was one."""

    __slots__ = ("error", "reason", "status")

    def __init__(self, status: RunStatus, reason: str = "", error: RunError | None = None) -> None:
        self.status = status
        self.reason = reason
        self.error = error


class ManagedRun(Protocol):
    """What is needed of a run to end it with the process."""

    id: str

    @property
    def settled(self) -> Ending | None:
        """How it stands, if that was said: then the end of the process changes nothing about it."""

    def finish_because(self, ending: Ending, timeout_s: float | None = None) -> bool:
        """End the run, waiting at most so long for the store."""

    def position(self) -> int:
        """Grow with everything that is logged."""

    def after_fork(self) -> None:
        """Let go, in a child process, of what belongs to the parent."""


class _Process:
    """What this process has open, and what it has changed to hear of its end."""

    def __init__(self) -> None:
        self.runs: list[ManagedRun] = []
        # Those that have ended too: one may still be shipping, and a child must let go of its files.
        self.alive: weakref.WeakSet[ManagedRun] = weakref.WeakSet()
        self.registered = False
        self.exit: Callable[..., Any] | None = None
        self.exit_code: object = None
        self.exit_positions: dict[int, int] = {}
        self.last_value: object = None
        self.terminated = ""
        self.masks: dict[int, set[signal.Signals | int]] = {}


_process = _Process()


def manage(run: ManagedRun) -> None:
    """See to it that `run` ends when the process does."""
    if not _process.registered:
        _process.registered = True
        # What was registered last is called first. Finalizers, which close the sessions of file systems that are still
        # needed to ship the rest, are registered with the first of them: here, if not before.
        weakref.finalize(_process, int).detach()
        atexit.register(_at_exit)
        os.register_at_fork(before=_before_fork, after_in_parent=_in_parent, after_in_child=_in_child)
    if not _process.runs:
        _process.last_value = getattr(sys, "last_value", None)
        _watch_exit_code()
        _handle_sigterm()
    # The program goes on, whoever had called sys.exit before.
    _process.exit_code = None
    _process.runs.append(run)
    _process.alive.add(run)


def managed(run_id: str) -> ManagedRun | None:
    """Return the run of this id that this process has open."""
    return next((run for run in _process.runs if run.id == run_id), None)


def release(run: ManagedRun) -> None:
    """Forget a run that has ended; with the last one, undo what was changed."""
    try:
        _process.runs.remove(run)
    except ValueError:  # It was the parent's.
        return
    if not _process.runs:
        if sys.exit is _noted_exit and _process.exit is not None:
            sys.exit = _process.exit
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is _on_sigterm:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def chosen_ending(status: str | RunStatus, reason: str) -> Ending:
    """Return the ending that a user asks for.

    Raises:
        ConfigError: That is no status for an end.

    Example:
        >>> chosen_ending("killed", "out of budget").status
        <RunStatus.KILLED: 'killed'>
    """
    if str(status) not in _ENDS:
        raise ConfigError(f"status is {status!r:.200}, but a run ends as {', '.join(_ENDS)}")
    return Ending(RunStatus(status), clean_text(str(reason)))


def ending_of(error: BaseException | None) -> Ending:
    """Tell how a run ends whose code ended with this exception, or without one.

    Example:
        >>> ending_of(SystemExit(0)).status, ending_of(SystemExit(3)).reason, ending_of(KeyboardInterrupt()).status
        (<RunStatus.COMPLETED: 'completed'>, 'the program exited with 3', <RunStatus.KILLED: 'killed'>)
    """
    if error is None or isinstance(error, (GeneratorExit, StopIteration, StopAsyncIteration)):
        return Ending(RunStatus.COMPLETED)
    if (
        type(error).__name__ == "SIGTERMException"
    ):  # Lightning's: a training was told to end, and does so in good order.
        return Ending(RunStatus.KILLED, "SIGTERM")
    if isinstance(error, SystemExit):
        return _ending_of_code(error.code)
    if isinstance(error, KeyboardInterrupt):
        return Ending(RunStatus.KILLED, "KeyboardInterrupt", _described(error))
    if type(error).__name__ == "CancelledError":  # asyncio's: importing that here would cost all who do not use it.
        return Ending(RunStatus.KILLED, "the task was cancelled", _described(error))
    return Ending(RunStatus.FAILED, f"{type(error).__name__}: {error}"[:500], _described(error))


def _ending_of_code(code: object) -> Ending:
    if code is None or code == 0:
        return Ending(RunStatus.COMPLETED)
    return Ending(RunStatus.FAILED, f"the program exited with {code!r}"[:500])


def _described(error: BaseException) -> RunError:
    import traceback

    from tracklib.model import RunError

    text = "".join(traceback.format_exception(error))
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return RunError(type=name, message=str(error)[:10_000], traceback=text[-100_000:])


# ---- the end of the interpreter


def _at_exit() -> None:
    ending, patience_s = _ending_of_process(), None
    for run in reversed(_process.runs.copy()):
        try:
            run.finish_because(_ending_for(run, ending), patience_s)
        except KeyboardInterrupt:  # Whoever does not want to wait need not: the journal keeps the rest.
            patience_s = 0.0
            run.finish_because(_ending_for(run, ending), patience_s)
    await_recoveries(RECOVERY_PATIENCE_SECONDS if patience_s is None else patience_s)
    if isinstance(getattr(sys, "last_value", None), KeyboardInterrupt):
        _die_of_interrupt()


def _die_of_interrupt() -> None:
    """Let the interpreter die of SIGINT, as it is about to do where a KeyboardInterrupt reached its top.

    It notes this in a flag, which any text that is executed afterwards resets, such as that of a named tuple in a
    module that shipping loads. A shell tells by it whether to go on with a loop.
    """
    with contextlib.suppress(KeyboardInterrupt):
        exec("raise KeyboardInterrupt")  # noqa: S102 - only executed text sets the flag


def _ending_of_process() -> Ending:
    error = getattr(sys, "last_value", None)
    if error is not None and error is not _process.last_value and isinstance(error, BaseException):
        return ending_of(error)
    ending = _ending_of_code(_process.exit_code)
    return Ending(RunStatus.KILLED, _process.terminated) if _process.terminated else ending


def _ending_for(run: ManagedRun, ending: Ending) -> Ending:
    """Disbelieve an exit code after which the program went on: somebody had caught the SystemExit."""
    if run.settled is not None:
        return run.settled
    went_on = run.position() != _process.exit_positions.get(id(run), run.position())
    return Ending(RunStatus.COMPLETED) if went_on and ending.error is None else ending


def _watch_exit_code() -> None:
    """Note the code that `sys.exit` is called with: an interpreter that ends does not tell it to anybody."""
    if sys.exit is not _noted_exit:
        _process.exit = sys.exit
        sys.exit = _noted_exit


def _noted_exit(status: Any = None, /) -> Any:
    if threading.current_thread() is threading.main_thread():
        _process.exit_code = status
        _process.exit_positions = {id(run): run.position() for run in _process.runs}
    raise SystemExit(status)


# ---- SIGTERM


def _handle_sigterm() -> None:
    """Take SIGTERM only where nobody else does: in the main thread, with the default disposition."""
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _on_sigterm)


def _on_sigterm(number: int, _frame: object) -> None:
    """Have a thread end the runs and then die of the same signal.

    The handler interrupts the main thread anywhere, also within a log call, so it waits for nothing itself.
    """
    if signal.getsignal(number) is not _on_sigterm:
        # Somebody has put a handler of their own around this one, as Lightning does, and decides what comes of it.
        _process.terminated = signal.Signals(number).name
        return
    signal.signal(number, signal.SIG_DFL)
    try:
        # Not threading.Thread: it takes locks that the interrupted code may hold.
        _thread.start_new_thread(_die_of, (number,))
    except RuntimeError:  # The interpreter is ending and starts no threads any more.
        os.kill(os.getpid(), number)


def _die_of(number: int) -> None:
    ending = Ending(RunStatus.KILLED, signal.Signals(number).name)
    deadline = time.monotonic() + SIGTERM_PATIENCE_SECONDS
    try:
        for run in reversed(_process.runs.copy()):
            run.finish_because(run.settled or ending, max(0.0, deadline - time.monotonic()))
    finally:
        os.kill(os.getpid(), number)


# ---- forked children


def _before_fork() -> None:
    """Wait for imports under way, and hold SIGTERM back until the child has the default handler.

    Python forgets a signal that a child gets before it is set up. The default would have ended it; with a handler it
    would live, and whoever had terminated it, as pools do, would wait for ever.
    """
    await_imports()
    if signal.getsignal(signal.SIGTERM) is _on_sigterm:
        _process.masks[threading.get_ident()] = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})


def _in_parent() -> None:
    mask = _process.masks.pop(threading.get_ident(), None)
    if mask is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _in_child() -> None:
    _process.runs = []
    if signal.getsignal(signal.SIGTERM) is _on_sigterm:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _in_parent()
    _process.masks.clear()
    for run in list(_process.alive):
        run.after_fork()
