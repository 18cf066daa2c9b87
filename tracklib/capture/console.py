"""What a program prints, seen while the user sees it as ever.

The `write` method of the stream *object* is patched; the object stays. So `sys.stdout` keeps its identity and every
attribute, and all who hold the object are seen: `logging.StreamHandler`s made before, `from sys import stderr`,
`sys.__stdout__`, tracebacks, warnings. Only an object that takes no attribute is replaced in `sys`, by a stand-in that
passes on everything else.

There is no thread and nothing to wait for. Text goes into a queue, and a generator empties it: Python refuses to enter
a generator that is running, so a second thread, a signal handler or a `__del__` leaves its text to the one at work.
Unlike a lock, a generator is not left locked by an exception, and nobody ever waits for it.

Known trade-offs:
    * Not seen: what C code and child processes write to the descriptors; bytes written to `sys.stdout.buffer`, since
      the text layer's own flushes arrive there too and cannot be told from them; `write` methods that were looked up
      before `start` (a tqdm bar keeps the one it found when it was made); a stream put in place of `sys.stdout` after
      `start`, unless it writes to the one that was there; in IPython, what threads print between two cells.
    * Where a stream writes to another one, the outermost write counts, so that a line is seen once.
    * What is printed by `on_line`, or by a signal handler or `__del__` that interrupts it, reaches the user only.
    * A line that was drawn over, such as a progress bar, is reported a moment late: see `Screen`.
"""

from __future__ import annotations

import atexit
import io
import logging
import os
import sys
from collections import deque
from enum import Enum
from threading import RLock, get_ident
from time import monotonic, sleep, time
from typing import TYPE_CHECKING, Any

from tracklib.capture.terminal import Screen
from tracklib.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from typing import Self

__all__ = ["ConsoleCapture"]

BURST_S = 200
"""For how many seconds' worth of lines a stream may run ahead of its rate."""
STOP_WAIT_S = 1.0
"""For how long `stop` waits for another thread that is reporting a line."""


class ConsoleCapture:
    """Calls `on_line` with each line that the program prints, from `start` to `stop`.

    Captures may overlap, each sees all lines, and they stop in any order. In a forked child a capture has ended.

    Args:
        on_line: Called as `on_line(stream, time, text)` with `"stdout"` or `"stderr"`, the seconds since the epoch at
            which the line was finished, and its text without newline and colours. It runs in the thread that printed,
            be it in a signal handler or a `__del__`, so it must not wait for a lock that the program may hold: let it
            append to a queue. What it raises is logged once and goes no further.
        line_limit: Characters of a line that are kept.
        rate_limit: Lines per second and stream, on average, that are reported; `BURST_S` seconds' worth may come at
            once, and every 1000 characters count as a line. A line says how many were left out.

    Raises:
        ConfigError: A limit is less than 1.

    Example:
        >>> lines = []
        >>> with ConsoleCapture(lambda stream, time, text: lines.append((stream, text))):
        ...     print("loss 0.3")
        loss 0.3
        >>> lines
        [('stdout', 'loss 0.3')]
    """

    def __init__(
        self, on_line: Callable[[str, float, str], None], *, line_limit: int = 10_000, rate_limit: int = 50
    ) -> None:
        for name, value in (("line_limit", line_limit), ("rate_limit", rate_limit)):
            if value < 1:
                raise ConfigError(f"{name} is {value!r}, but takes a whole number from 1 on")
        self._on_line, self._line_limit, self._rate_limit = on_line, line_limit, rate_limit
        self._warned = False

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """See what is printed from now on. Twice is once."""
        with _taps.lock:
            if self in _taps.captures:
                return
            _taps.captures[self] = lines = [self._tapped("stdout")]
            if sys.stderr is None or sys.stderr is not sys.stdout:
                lines.append(self._tapped("stderr"))
                lines[0].sibling, lines[1].sibling = lines[1], lines[0]
        shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
        if shell is not None:  # Registering twice is once, and without captures there is nothing to renew.
            shell.events.register("pre_execute", _taps.renew)

    def stop(self) -> None:
        """Report unfinished lines, then put the streams back as they were. `on_line` is not called after the return.

        Where somebody patched or wrapped a stream after `start`, the patch stays below theirs and does nothing.
        Waits for a second at the most, and only while another thread is in `on_line`.
        """
        for lines in _taps.remove(self):
            lines.close()

    def _tapped(self, stream: str) -> _Lines:
        lines = _Lines(stream, self._deliver, line_limit=self._line_limit, rate_limit=self._rate_limit)
        _taps.tap_of(stream).add(self, lines)
        return lines

    def _deliver(self, stream: str, at: float, text: str) -> None:
        try:
            self._on_line(stream, at, text)
        except Exception:  # The fault of a recorder must not come out of the program's print.
            if not self._warned:
                self._warned = True
                logging.getLogger("tracklib").warning("console lines are lost: they cannot be recorded", exc_info=True)


class _Budget:
    """How many lines may pass: `rate` a second on average, `BURST_S` seconds' worth at once.

    After the first refusal it stays shut until a second's worth has gathered, so that notes of what was left out do
    not come one by one.
    """

    def __init__(self, rate: int, clock: Callable[[], float] = monotonic) -> None:
        self._rate, self._clock = rate, clock
        self._most = self._lines = float(rate * BURST_S)
        self._since = clock()
        self._shut = False

    def admits(self, cost: int) -> bool:
        """Tell whether a line that counts as `cost` lines may pass, and charge for it."""
        cost = min(cost, int(self._most))
        if self._shut or self._lines < cost:
            now = self._clock()
            self._lines = min(self._most, self._lines + (now - self._since) * self._rate)
            self._since = now
            wanted = max(cost, self._rate) if self._shut else cost
            self._shut = self._lines < wanted
        if not self._shut:
            self._lines -= cost
        return not self._shut


class _Order(Enum):
    """What a stream's lines can be told between pieces of text."""

    SETTLE = "report what is held back"
    END = "report everything and close"


class _Lines:
    """The lines of one stream for one capture."""

    def __init__(
        self, stream: str, deliver: Callable[[str, float, str], None], *, line_limit: int, rate_limit: int
    ) -> None:
        self.closed = False
        self.sibling: _Lines | None = None
        self._stream, self._deliver = stream, deliver
        self._screen, self._budget = Screen(self._report, line_limit), _Budget(rate_limit)
        self._left_out = 0
        self._queue: deque[str | _Order] = deque()
        self._worker = self._work()

    @property
    def holds(self) -> bool:
        """Whether finished lines wait for a cursor that may come back up."""
        return self._screen.holds

    def feed(self, text: str | _Order) -> None:
        """Take text or an order. Where the worker runs, below us or in another thread, it will come to it."""
        self._queue.append(text)
        while self._queue and not self.closed:
            try:
                next(self._worker)
            except ValueError:
                return
            except StopIteration:  # An exception meant for the program, such as KeyboardInterrupt, went through it.
                self._worker = self._work()

    def close(self) -> None:
        """Report what is left. Nothing is reported after the return."""
        self.feed(_Order.END)
        deadline = monotonic() + STOP_WAIT_S
        while not self.closed and not self._is_below_us() and monotonic() < deadline:
            sleep(0.001)
        self.closed = True
        self._queue.clear()

    def _work(self) -> Generator[None]:
        queue, feed = self._queue, self._screen.feed
        while True:
            while queue:
                text = queue.popleft()
                if isinstance(text, str):
                    feed(text)
                elif text is _Order.SETTLE:
                    self._screen.settle()
                else:
                    self._end()
            yield

    def _end(self) -> None:
        self._screen.end()
        if self._left_out:
            self._note(time())
        self.closed = True

    def _is_below_us(self) -> bool:
        import inspect

        frame, worker = inspect.currentframe(), getattr(self._worker, "gi_frame", None)
        while frame is not None and frame is not worker:
            frame = frame.f_back
        return frame is not None

    def _report(self, at: float, text: str) -> None:
        if self.sibling is not None and self.sibling.holds:  # What was finished there before is to be reported before.
            self.sibling.feed(_Order.SETTLE)
        if self._budget.admits(1 + len(text) // 1000):
            if self._left_out:
                self._note(at)
            self._call(at, text)
        else:
            self._left_out += 1

    def _note(self, at: float) -> None:
        count, self._left_out = self._left_out, 0
        self._call(at, f"… {count} line{'s' if count > 1 else ''} left out")

    def _call(self, at: float, text: str) -> None:
        if self.closed:
            return
        me = get_ident()
        outer = _inside.get(me)
        try:
            _inside[me] = {}
            self._deliver(self._stream, at, text)
        finally:
            if outer is None:
                _inside.pop(me, None)
            else:
                _inside[me] = outer


class _Patch:
    """One attribute of one object, replaced until `undo`."""

    def __init__(self, target: Any, name: str, replacement: Any) -> None:
        own = getattr(target, "__dict__", {})
        self._target, self._name, self._replacement = target, name, replacement
        self._was_own, self._before = name in own, own.get(name, getattr(target, name, None))
        setattr(target, name, replacement)

    @property
    def on_top(self) -> bool:
        """Whether nobody replaced the attribute after us."""
        return getattr(self._target, self._name, None) is self._replacement

    def undo(self) -> None:
        """Put back what was there, unless somebody builds on the replacement."""
        if not self.on_top:
            return
        if not self._was_own:
            delattr(self._target, self._name)
        if self._was_own or not hasattr(self._target, self._name):
            setattr(self._target, self._name, self._before)


class _Nowhere(io.TextIOBase):
    """The stream of a program that has none, as under pythonw."""

    encoding = "utf-8"

    def writable(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        return len(text)


class _StandIn:
    """Everything is the stream's but `write`."""

    def __init__(self, stream: Any) -> None:
        object.__setattr__(self, "_stream", stream)
        object.__setattr__(self, "write", stream.write)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "write":
            object.__setattr__(self, name, value)
        else:
            setattr(self._stream, name, value)

    def __dir__(self) -> Iterable[str]:
        return dir(self._stream)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)


class _Tap:
    """The patch of one stream, shared by all captures of it."""

    def __init__(self, name: str) -> None:
        self.lines: dict[ConsoleCapture, _Lines] = {}  # Replaced, never changed: a write may be going over it.
        self.stream: Any = getattr(sys, name, None)
        self._patches: list[_Patch] = []
        if self.stream is None:
            self._replace(name, _Nowhere())
        if not hasattr(self.stream, "write"):
            return
        try:
            self._tap()
        except (AttributeError, TypeError):  # It has slots, or was not made in Python.
            self._replace(name, _StandIn(self.stream))
            self._tap()

    @property
    def on_top(self) -> bool:
        """Whether a write to the stream comes to us first."""
        return bool(self._patches) and self._patches[-1].on_top

    def add(self, capture: ConsoleCapture, lines: _Lines) -> None:
        """Let `lines` have what is written from now on."""
        self.lines = {**self.lines, capture: lines}

    def remove(self, capture: ConsoleCapture) -> None:
        """Forget a capture; after the last one put the stream back as it was."""
        self.lines = {other: lines for other, lines in self.lines.items() if other is not capture}
        if not self.lines:
            for patch in reversed(self._patches):
                patch.undo()

    def renew(self) -> None:
        """Come to the top again. Where the old patch is still below, a write that passes both counts once."""
        if self._patches and not self.on_top:
            self._patches.pop()
            self._tap()

    def _replace(self, name: str, stream: Any) -> None:
        self._patches.append(_Patch(sys, name, stream))
        self.stream = stream

    def _tap(self) -> None:
        self._patches.append(_Patch(self.stream, "write", _tapped(self, self.stream.write)))


_inside: dict[int, dict[ConsoleCapture, _Lines]] = {}
"""By thread that is in a patched `write`: who gets that text. Empty: the thread is in `on_line`, and nobody does."""


def _tapped(tap: _Tap, original: Callable[..., Any]) -> Callable[..., Any]:
    def write(*args: Any, **kwargs: Any) -> Any:
        lines = tap.lines
        if not lines:  # Before any name of the module, which may be gone when the interpreter ends.
            return original(*args, **kwargs)
        me = get_ident()
        outer = _inside.get(me)
        if outer is not None:
            lines = {capture: lines[capture] for capture in lines if outer and capture not in outer}
        try:  # Entered before the mark is made, since KeyboardInterrupt may come after any call.
            _inside[me] = lines if outer is None else {**outer, **lines}
            result = original(*args, **kwargs)
        finally:
            if outer is None:
                _inside.pop(me, None)
            else:
                _inside[me] = outer
        text = args[0] if args else next(iter(kwargs.values()), None)
        if isinstance(text, str):
            for line in lines.values():
                line.feed(str.__str__(text))
        return result

    return write


class _Taps:
    """Who captures in this process, and what is patched for it."""

    def __init__(self) -> None:
        self.lock = RLock()  # For start and stop alone; nobody prints or waits under it.
        self.captures: dict[ConsoleCapture, list[_Lines]] = {}
        self._taps: list[_Tap] = []

    def tap_of(self, name: str) -> _Tap:
        """Return the tap of `sys.stdout` or `sys.stderr`."""
        stream = getattr(sys, name, None)
        for tap in self._taps:
            if tap.stream is stream and tap.on_top:
                return tap
        self._taps.append(_Tap(name))
        return self._taps[-1]

    def renew(self) -> None:
        """Tap again what was tapped: IPython ends each cell with the `write` that was there when the cell began."""
        with self.lock:
            for tap in self._taps:
                tap.renew()

    def remove(self, capture: ConsoleCapture) -> list[_Lines]:
        """Forget a capture and return its lines, which may still hold some text."""
        with self.lock:
            for tap in self._taps:
                if capture in tap.lines:
                    tap.remove(capture)
            self._taps = [tap for tap in self._taps if tap.lines]
            return self.captures.pop(capture, [])

    def forget_parent(self) -> None:
        """In a forked child, undo everything and report nothing."""
        self.lock = RLock()
        _inside.clear()
        for capture in tuple(self.captures):
            for lines in self.remove(capture):
                lines.closed = True

    def stop(self) -> None:
        """Stop all captures, while the interpreter is still whole."""
        for capture in tuple(self.captures):
            capture.stop()


_taps = _Taps()
atexit.register(_taps.stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_taps.forget_parent)
