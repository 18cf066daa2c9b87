"""Calls in the middle of calls: values, finalizers, signal handlers and threads that log."""

from __future__ import annotations

import gc
import itertools
import logging
import random
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from tracklib.recording.decode import Decoded
from tracklib.recording.format import HEADER_SIZE
from tracklib.recording.journal import Journal
from tracklib.records import RecordKind

Point = tuple[str, int, float]
Logged = Callable[[Journal], list[Point]]
Decode = Callable[[Journal], list[Decoded]]
NewJournal = Callable[..., Journal]

SMALL = 4 * 4096


class Talkative:
    """A number that logs when it is asked for its value."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal

    def __float__(self) -> float:
        self.journal.log({"inner": 1.0})
        self.journal.record(RecordKind.NOTES, {"text": "from within"})
        return 2.0


def test_a_value_may_log(journal: Journal, logged: Logged, decode: Decode) -> None:
    """What is logged in the middle of a call is written behind it, by the slow path and by the fast one."""
    for step in range(3):
        journal.log({"outer": Talkative(journal)}, 10 * step)

    assert logged(journal) == [
        *[("outer", 0, 2.0), ("inner", 1, 1.0), ("outer", 10, 2.0), ("inner", 11, 1.0)],
        *[("outer", 20, 2.0), ("inner", 21, 1.0)],
    ]
    records = [record.kind for part in decode(journal) for record in part.records]
    assert records == ["notes"] * 3


def test_what_was_logged_within_a_call_that_fails_is_kept(journal: Journal, logged: Logged) -> None:
    """The outer call raises; the inner one had returned."""

    class Step:
        def __index__(self) -> int:
            journal.log({"inner": 1.0}, 5)
            raise KeyError("no step")

    with pytest.raises(KeyError):
        journal.log({"outer": 1.0}, Step())

    assert logged(journal) == [("inner", 5, 1.0)]


def test_misuse_within_a_call_is_a_warning(journal: Journal, logged: Logged, caplog: pytest.LogCaptureFixture) -> None:
    """There is nobody left to raise to."""

    class Careless:
        def __float__(self) -> float:
            journal.log(3)
            return 1.0

    journal.log({"outer": Careless()})

    assert logged(journal) == [("outer", 0, 1.0)]
    assert "was not recorded" in caplog.text


def test_a_finalizer_may_log(journal: Journal, logged: Logged) -> None:
    """Garbage is collected at any place, also in the middle of a call."""

    class Cycle:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            journal.log({"finalized": 1.0}, 0)

    threshold = gc.get_threshold()
    gc.set_threshold(2)
    try:
        for step in range(2000):
            Cycle()
            journal.log({f"x{step % 50}": [step][0]}, step)
    finally:
        gc.set_threshold(*threshold)
    gc.collect()
    names = [name for name, _, _ in logged(journal)]

    assert names.count("finalized") == 2000
    assert [value for name, _, value in logged(journal) if name != "finalized"] == list(range(2000))


@contextmanager
def alarms(handler: Callable[[], None]) -> Iterator[None]:
    """Interrupt this thread at random moments, thousands of times a second."""
    chance = random.Random(7)  # noqa: S311 - no secret

    def on_alarm(*_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, chance.uniform(2e-5, 3e-4))
        handler()

    before = signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, 1e-4)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_signal_handler_may_log(new_journal: NewJournal, logged: Logged) -> None:
    """Thousands of signals in the middle of calls: nothing is lost, doubled or mixed up, and nothing hangs."""
    journal, count = new_journal(segment_size=SMALL), itertools.count()

    def handle() -> None:
        journal.log({"signal": next(count)}, 0)

    with alarms(handle):
        for step in range(60_000):
            journal.log({"a": step, "b": step} if step % 7 else {f"c{step % 11}": step}, step)
    points = logged(journal)

    signals = [value for name, _, value in points if name == "signal"]
    assert sorted(signals) == list(range(next(count)))
    assert len(signals) > 50
    assert [(step, value) for name, step, value in points if name in {"a", "b"}] == [
        (step, step) for step in range(60_000) if step % 7 for _ in "ab"
    ]
    assert all(step == value and name == f"c{step % 11}" for name, step, value in points if name.startswith("c"))


def test_threads_share_a_journal(new_journal: NewJournal, logged: Logged, decode: Decode) -> None:
    """Four threads log into one journal: none is lost, and each one's points keep their order."""
    journal = new_journal(segment_size=SMALL)

    def work(number: int) -> None:
        for step in range(5000):
            journal.log({f"t{number}": step, "all": number} if step % 5 else {f"t{number}/x{step % 7}": step}, step)
            if step % 500 == 0:
                journal.record(RecordKind.NOTES, {"text": str(number)})

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    points = logged(journal)

    assert sum(len(part.records) for part in decode(journal)) == 40
    for number in range(4):
        own = [step for name, step, _ in points if name == f"t{number}" or name.startswith(f"t{number}/")]
        assert own == list(range(5000))


def test_warnings_are_written_without_the_lock(journal: Journal) -> None:
    """A log handler may wait for a thread that is about to log itself; that must not be a deadlock."""
    entered, done = threading.Event(), threading.Event()

    class Waiting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            entered.set()
            assert done.wait(60), "the other thread could not log"

    def other() -> None:
        entered.wait(60)
        journal.log({"x": 1.0})
        journal.record(RecordKind.NOTES, {"text": ""})
        done.set()

    handler, thread = Waiting(), threading.Thread(target=other)
    logging.getLogger("tracklib").addHandler(handler)
    thread.start()
    try:
        journal.log({"bad": "no number"})
    finally:
        logging.getLogger("tracklib").removeHandler(handler)
        thread.join()

    assert done.is_set()


def test_a_strict_observer_raises_to_the_caller(new_journal: NewJournal, logged: Logged) -> None:
    """What the observer raises comes out of the call; the good values of it were kept, and the next call goes on."""

    class Strict:
        def skipped(self, name: str, value: object) -> str:
            raise TypeError(name)

    journal = new_journal(observer=Strict())
    with pytest.raises(TypeError, match="bad"):
        journal.log({"good": 1.0, "bad": None})
    journal.log({"good": 2.0})

    assert [value for _, _, value in logged(journal)] == [1.0, 2.0]


def test_samples_do_not_move_the_counter(journal: Journal, logged: Logged) -> None:
    """What is logged aside has a count of its own."""
    journal.log({"x": 1})
    journal.log_aside({"system/cpu": 0.5}, 1000)
    journal.log({"x": 2})

    assert logged(journal) == [("x", 0, 1.0), ("system/cpu", 1000, 0.5), ("x", 1, 2.0)]


def test_a_segment_is_full_size_on_the_disk(new_journal: NewJournal) -> None:
    """The room is reserved when the file is made, so that a full disk cannot strike in the middle of a call."""
    journal = new_journal(segment_size=1 << 20)
    status = journal.current.path.stat()

    assert status.st_size == journal.current.capacity == 1 << 20
    assert status.st_blocks * 512 >= 1 << 20
    assert journal.current.committed == HEADER_SIZE
