"""The capture of what a program prints, within one process."""

from __future__ import annotations

import contextlib
import gc
import io
import itertools
import logging
import os
import re
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from tracklib.capture.console import BURST_S, ConsoleCapture, _Budget
from tracklib.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

posix_only = pytest.mark.skipif(os.name != "posix", reason="forks, signals or a pseudo-terminal")


class Recorder:
    """Keeps what a capture reports."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, float, str]] = []

    def __call__(self, stream: str, at: float, text: str) -> None:
        self.calls.append((stream, at, text))

    @property
    def lines(self) -> list[str]:
        return [text for _, _, text in self.calls]


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def test_lines_carry_stream_and_time(recorder: Recorder) -> None:
    """Each finished line of either stream is reported once, with the time of its newline."""
    before = time.time()
    with ConsoleCapture(recorder):
        print("one")
        print("two", "three", file=sys.stderr)
        print("unfinished", end="")

    assert [(stream, text) for stream, _, text in recorder.calls] == [
        ("stdout", "one"),
        ("stderr", "two three"),
        ("stdout", "unfinished"),
    ]
    assert all(before <= at <= time.time() for _, at, _ in recorder.calls)


def test_streams_stay_the_same_objects(recorder: Recorder) -> None:
    """Nothing but `write` differs during a capture, and nothing at all after it."""
    before = sys.stdout, sys.stderr, sys.stdout.write, dict(vars(sys.stdout))
    with ConsoleCapture(recorder):
        assert (sys.stdout, sys.stderr) == before[:2]
        assert sys.stdout.write != before[2]

    assert (sys.stdout, sys.stderr, sys.stdout.write, dict(vars(sys.stdout))) == before


def test_write_returns_and_raises_as_before(recorder: Recorder) -> None:
    """A patched write gives the stream's own result and the stream's own error."""
    with pytest.raises(TypeError) as plain:
        sys.stdout.write(3)  # type: ignore[arg-type]
    with ConsoleCapture(recorder):
        assert sys.stdout.write("abc\n") == 4
        with pytest.raises(TypeError, match=re.escape(str(plain.value))):
            sys.stdout.write(3)  # type: ignore[arg-type]
        sys.stdout.writelines(["d", "e\n"])

    assert recorder.lines == ["abc", "de"]


def test_handlers_that_hold_the_stream_are_seen(recorder: Recorder) -> None:
    """A logging handler made before the start writes to the object it holds, and is seen."""
    handler = logging.StreamHandler()
    logger = logging.Logger("test")  # noqa: LOG001 - A logger of its own, which needs no cleaning up.
    logger.addHandler(handler)

    with ConsoleCapture(recorder):
        logger.warning("careful")

    assert [(stream, text) for stream, _, text in recorder.calls] == [("stderr", "careful")]


def test_a_finished_bar_comes_before_what_the_other_stream_says_next(recorder: Recorder) -> None:
    """Bars are on stderr and results on stdout, and their order is kept."""
    with ConsoleCapture(recorder):
        for epoch in range(2):
            print(f"\r{epoch}: 50%", end="", file=sys.stderr)
            print(f"\r{epoch}: 100%", file=sys.stderr)
            print("epoch", epoch)

    assert recorder.lines == ["0: 100%", "epoch 0", "1: 100%", "epoch 1"]


def test_on_line_may_print(capsys: pytest.CaptureFixture[str]) -> None:
    """What it prints reaches the user, and no capture, so that two of them cannot go on for ever."""
    lines: list[str] = []

    def on_line(_stream: str, _at: float, text: str) -> None:
        lines.append(text)
        print("seen:", text)

    with ConsoleCapture(on_line), ConsoleCapture(on_line):
        print("hello")

    assert lines == ["hello", "hello"]
    assert capsys.readouterr().out == "hello\nseen: hello\nseen: hello\n"


def test_on_line_that_raises_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """The print does not notice it, and the log says it once, not per line."""

    def on_line(_stream: str, _at: float, text: str) -> None:
        raise OSError(text)

    with caplog.at_level(logging.WARNING, "tracklib"), ConsoleCapture(on_line):
        print("one")
        print("two")

    assert [record.name for record in caplog.records] == ["tracklib"]


def test_keyboard_interrupt_passes_through(recorder: Recorder) -> None:
    """An exception that is meant for the program is not swallowed, and the capture works on after it."""

    def on_line(stream: str, at: float, text: str) -> None:
        if text == "interrupt":
            raise KeyboardInterrupt
        recorder(stream, at, text)

    with ConsoleCapture(on_line):
        with pytest.raises(KeyboardInterrupt):
            print("interrupt")
        print("after")

    assert recorder.lines == ["after"]


@posix_only
def test_signal_handlers_may_print(capsys: pytest.CaptureFixture[str], recorder: Recorder) -> None:
    """A handler that prints in the midst of a print neither hangs nor disturbs it."""
    ticks: list[int] = []

    def tick(signum: int, _frame: object) -> None:
        ticks.append(signum)
        print("tick")

    before = signal.signal(signal.SIGALRM, tick)
    try:
        with ConsoleCapture(recorder, rate_limit=10**6):
            signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
            for number in itertools.count(1):
                print("main", number)
                if number >= 5000 and len(ticks) >= 20:
                    break
            signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    shown = capsys.readouterr().out
    assert shown.count("tick") == len(ticks)
    assert "".join(recorder.lines).count("main") == shown.count("main") == number


def test_finalizers_may_print(capsys: pytest.CaptureFixture[str], recorder: Recorder) -> None:
    """Objects that print when the garbage collector finds them, which may be anywhere, do no harm."""

    class Loud:
        def __init__(self) -> None:
            self.cycle = self

        def __del__(self) -> None:
            print("gone")

    threshold = gc.get_threshold()
    gc.set_threshold(5, 5, 5)
    try:
        with ConsoleCapture(recorder, rate_limit=10**6):
            for number in range(2000):
                Loud()
                print("main", number)
    finally:
        gc.set_threshold(*threshold)

    assert "".join(recorder.lines).count("main") == capsys.readouterr().out.count("main") == 2000


@pytest.mark.usefixtures("capsys")
def test_lines_of_several_threads(recorder: Recorder) -> None:
    """Lines that were written whole come out whole, each once."""

    def work(name: str) -> None:
        for number in range(2000):
            sys.stdout.write(f"{name} {number}\n")

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    with ConsoleCapture(recorder, rate_limit=10**6):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert sorted(recorder.lines) == sorted(f"{name} {number}" for name in "abcd" for number in range(2000))


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_captures_stop_in_any_order(capsys: pytest.CaptureFixture[str], order: tuple[int, ...]) -> None:
    """Each of several captures sees what is printed while it runs, and the last one to stop restores the stream."""
    recorders = [Recorder() for _ in range(3)]
    captures = [ConsoleCapture(recorder) for recorder in recorders]
    for number, capture in enumerate(captures):
        capture.start()
        print("start", number)
    for number in order:
        captures[number].stop()
        print("stop", number)

    said = capsys.readouterr().out.splitlines()
    for number, recorder in enumerate(recorders):
        assert recorder.lines == said[number : said.index(f"stop {number}")]
    assert "write" not in vars(sys.stdout)


@pytest.mark.usefixtures("capsys")
def test_start_and_stop_twice(recorder: Recorder) -> None:
    """Starting twice is once, stopping twice too, and a capture can be used again."""
    capture = ConsoleCapture(recorder)
    capture.stop()
    for text in ("one", "two"):
        capture.start()
        capture.start()
        print(text)
        capture.stop()
        capture.stop()

    assert recorder.lines == ["one", "two"]


@pytest.mark.parametrize("outer_first", [True, False])
def test_patches_of_others_stay(capsys: pytest.CaptureFixture[str], *, outer_first: bool) -> None:
    """A patch that was laid over ours keeps working, with captures below and above it, whichever stops first."""
    below, above = Recorder(), Recorder()
    first, second = ConsoleCapture(below), ConsoleCapture(above)
    first.start()
    inner = sys.stdout.write

    def upper(text: str) -> int:
        return inner(text.upper())

    setattr(sys.stdout, "write", upper)  # noqa: B010 - mypy does not let a method be assigned to.
    second.start()
    print("both")
    for capture in (second, first) if outer_first else (first, second):
        capture.stop()
    print("none")

    assert (below.lines, above.lines) == (["BOTH"], ["both"])
    assert capsys.readouterr().out == "BOTH\nNONE\n"
    assert vars(sys.stdout)["write"] is upper


@pytest.mark.usefixtures("capsys")
def test_redirection_inside_a_capture(recorder: Recorder) -> None:
    """What goes to a buffer of the program is its own affair; afterwards the capture goes on."""
    with ConsoleCapture(recorder):
        with contextlib.redirect_stdout(io.StringIO()) as inner:
            print("inner")
        print("outer")

    assert inner.getvalue() == "inner\n"
    assert recorder.lines == ["outer"]


def test_a_capture_inside_a_redirection(recorder: Recorder) -> None:
    """Where standard output is a buffer of the program at the start, its lines are reported."""
    with contextlib.redirect_stdout(io.StringIO()) as inner, ConsoleCapture(recorder):
        print("inner")
    print("outer")

    assert inner.getvalue() == "inner\n"
    assert recorder.lines == ["inner"]


def test_stop_inside_a_redirection(recorder: Recorder) -> None:
    """The stream that was there at the start is restored wherever it is by then."""
    capture = ConsoleCapture(recorder)
    capture.start()
    print("before")
    with contextlib.redirect_stdout(io.StringIO()):
        capture.stop()
    print("after")

    assert recorder.lines == ["before"]
    assert "write" not in vars(sys.stdout)


class Slotted:
    """A stream of somebody's own, without what files have, that takes no attributes but its own."""

    __slots__ = ("colour", "written")

    def __init__(self) -> None:
        self.colour = "red"
        self.written: list[str] = []

    def write(self, text: str) -> None:
        self.written.append(text)


def test_a_stream_that_takes_no_patch(monkeypatch: pytest.MonkeyPatch, recorder: Recorder) -> None:
    """A stand-in passes on all attributes, and goes when the capture stops."""
    slotted = Slotted()
    monkeypatch.setattr(sys, "stdout", slotted)
    with ConsoleCapture(recorder):
        print("hello")
        stand_in: Any = sys.stdout
        stand_in.writelines(["more\n"])
        stand_in.colour = "blue"
        assert not hasattr(stand_in, "isatty")

    assert getattr(sys, "stdout") is slotted  # noqa: B009 - mypy takes the type for that of a file.
    assert (slotted.colour, "".join(slotted.written)) == ("blue", "hello\nmore\n")
    assert recorder.lines == ["hello", "more"]


def test_a_stand_in_that_somebody_wraps_stays(monkeypatch: pytest.MonkeyPatch, recorder: Recorder) -> None:
    """Where the program put something else in its place meanwhile, it is left below, and passes on."""
    stream: Any = Slotted()
    monkeypatch.setattr(sys, "stdout", stream)
    capture = ConsoleCapture(recorder)
    capture.start()
    with contextlib.redirect_stdout(io.StringIO()):
        capture.stop()
    print("after")

    assert "".join(stream.written) == "after\n"
    assert recorder.lines == []


def test_a_program_without_streams(monkeypatch: pytest.MonkeyPatch, recorder: Recorder) -> None:
    """Under pythonw there is nowhere to print to; the lines are reported all the same."""
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    with ConsoleCapture(recorder):
        print("hello")
        print("trouble", file=sys.stderr, flush=True)

    assert recorder.lines == ["hello", "trouble"]
    assert (sys.stdout, sys.stderr) == (None, None)


def test_one_object_for_both_streams(recorder: Recorder) -> None:
    """Where stderr was set to stdout, lines are reported once."""
    with contextlib.redirect_stderr(sys.stdout), ConsoleCapture(recorder):
        print("hello", file=sys.stderr)

    assert recorder.lines == ["hello"]


def test_a_stream_that_cannot_be_written_to(monkeypatch: pytest.MonkeyPatch, recorder: Recorder) -> None:
    """What fails without a capture fails with one, and the other stream is captured."""
    monkeypatch.setattr(sys, "stdout", object())
    with ConsoleCapture(recorder):
        with pytest.raises(AttributeError):
            print("hello")
        print("trouble", file=sys.stderr)

    assert recorder.lines == ["trouble"]


def test_a_stream_that_writes_to_the_other(capsys: pytest.CaptureFixture[str], recorder: Recorder) -> None:
    """Text that passes both streams on its way is reported where the program wrote it."""

    class Tagged(io.StringIO):
        def write(self, text: str, /) -> int:
            return sys.stdout.write(f"[{text}]")

    with contextlib.redirect_stderr(Tagged()), ConsoleCapture(recorder):
        sys.stderr.write("hello\n")

    assert [(stream, text) for stream, _, text in recorder.calls] == [("stderr", "hello")]
    assert capsys.readouterr().out == "[hello\n]"


def test_stop_within_on_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A capture may be ended by the line that it reports."""
    lines: list[str] = []

    def on_line(_stream: str, _at: float, text: str) -> None:
        lines.append(text)
        capture.stop()

    capture = ConsoleCapture(on_line)
    capture.start()
    print("one\ntwo")
    print("three")

    assert lines == ["one"]
    assert capsys.readouterr().out == "one\ntwo\nthree\n"


def test_stop_while_a_thread_reports(capsys: pytest.CaptureFixture[str]) -> None:
    """`stop` returns though another thread hangs in on_line, and nothing is reported after it."""
    entered, leave, lines = threading.Event(), threading.Event(), list[str]()

    def on_line(_stream: str, _at: float, text: str) -> None:
        lines.append(text)
        entered.set()
        leave.wait(60)

    capture = ConsoleCapture(on_line)
    capture.start()
    thread = threading.Thread(target=sys.stdout.write, args=("one\ntwo\n",))
    thread.start()
    entered.wait(60)
    print("from here")
    capture.stop()
    leave.set()
    thread.join()

    assert lines == ["one"]
    assert capsys.readouterr().out == "one\ntwo\nfrom here\n"


def test_long_lines_are_cut(capsys: pytest.CaptureFixture[str], recorder: Recorder) -> None:
    """The user sees the whole line, the report says what it leaves out."""
    with ConsoleCapture(recorder, line_limit=10):
        print("x" * 1000)

    assert recorder.lines == ["x" * 10 + " … 990 characters left out"]
    assert capsys.readouterr().out == "x" * 1000 + "\n"


def test_a_flood_is_limited(capsys: pytest.CaptureFixture[str], recorder: Recorder) -> None:
    """Beyond the burst, lines are counted instead of reported, and no line is unaccounted for."""
    with ConsoleCapture(recorder, rate_limit=1):
        for number in range(10 * BURST_S):
            print(number)

    notes = [int(text.split()[1]) for text in recorder.lines if text.startswith("…")]
    kept = [text for text in recorder.lines if not text.startswith("…")]
    assert kept[:BURST_S] == [str(number) for number in range(BURST_S)]
    assert notes
    assert len(kept) + sum(notes) == 10 * BURST_S
    assert len(capsys.readouterr().out.splitlines()) == 10 * BURST_S


def test_the_budget_refills() -> None:
    """After a flood a second's worth of lines gathers first; a long line counts as several."""
    now = [0.0]
    budget = _Budget(10, clock=lambda: now[0])

    assert sum(budget.admits(1) for _ in range(5000)) == 10 * BURST_S
    now[0] = 0.9
    assert not budget.admits(1)
    now[0] = 1.0
    assert [budget.admits(5) for _ in range(3)] == [True, True, False]
    now[0] = 10.0 * BURST_S
    assert [budget.admits(10**9), budget.admits(1)] == [True, False]


@pytest.mark.parametrize("limit", ["line_limit", "rate_limit"])
def test_limits_are_checked(limit: str, recorder: Recorder) -> None:
    """A limit that lets nothing through is a mistake."""
    make: Callable[..., ConsoleCapture] = ConsoleCapture

    with pytest.raises(ConfigError, match=limit):
        make(recorder, **{limit: 0})
