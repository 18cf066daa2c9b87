"""How a process ends and what its run says of it: the right status, nothing lost, nobody's signals taken away."""

from __future__ import annotations

import signal
import sqlite3
import time
from collections.abc import Callable
from typing import Any

import pytest

Start = Callable[..., Any]

OPEN = """
run = start()
for step in range(500):
    run.log({"x": step})
"""

WITHIN = """
with start() as run:
    for step in range(500):
        run.log({"x": step})
"""

UNCAUGHT = "ValueError: no more data"
WORDLESS = "the process ended without a word (SIGKILL, out of memory or a crash)"

# Whoever runs the tests may have it ignored, as nohup does.
HANG_UP = "signal.signal(signal.SIGHUP, signal.SIG_DFL); os.kill(os.getpid(), signal.SIGHUP)"

ENDS = {
    "the last line": ("pass", 0, "completed", ""),
    "sys.exit()": ("sys.exit()", 0, "completed", ""),
    "sys.exit(0)": ("sys.exit(0)", 0, "completed", ""),
    "sys.exit(3)": ("sys.exit(3)", 3, "failed", "the program exited with 3"),
    "sys.exit with text": ("sys.exit('no data')", 1, "failed", "the program exited with 'no data'"),
    "an exception": ("raise ValueError('no more data')", 1, "failed", UNCAUGHT),
    "KeyboardInterrupt": ("raise KeyboardInterrupt", -signal.SIGINT, "killed", "KeyboardInterrupt"),
    "SIGINT": ("os.kill(os.getpid(), signal.SIGINT); time.sleep(100)", -signal.SIGINT, "killed", "KeyboardInterrupt"),
    "SIGTERM": ("os.kill(os.getpid(), signal.SIGTERM); time.sleep(100)", -signal.SIGTERM, "killed", "SIGTERM"),
    "SIGKILL": ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL, "killed", WORDLESS),
    "SIGHUP": (HANG_UP, -signal.SIGHUP, "killed", WORDLESS),
    "os._exit(4)": ("os._exit(4)", 4, "killed", WORDLESS),
    "os.abort": ("os.abort()", -signal.SIGABRT, "killed", WORDLESS),
    "finish": ("run.finish('failed', 'diverged')", 0, "failed", "diverged"),
}


def indented(line: str) -> str:
    return f"    {line}\n"


@pytest.mark.parametrize("within", [False, True], ids=["open", "with"])
@pytest.mark.parametrize("end", ENDS)
def test_each_end_gives_its_status(start: Start, records: Any, end: str, *, within: bool) -> None:
    """A run that is left open ends with its process as one in a `with` block does."""
    line, status, expected, reason = ENDS[end]
    program = start(WITHIN + indented(line) if within else OPEN + line)

    assert program.wait() == status, program.errors
    assert records.steps("x") == list(range(500))
    assert (records.run().status, records.run().reason) == (expected, reason)
    assert records.left() == []


def test_an_exception_is_kept_with_its_traceback(start: Start, records: Any) -> None:
    """And still reaches the user as ever."""
    program = start(OPEN + "raise ValueError('no more data')")

    assert program.wait() == 1
    error = records.run().error
    assert (error.type, error.message) == ("ValueError", "no more data")
    assert "program0.py" in error.traceback
    assert UNCAUGHT in program.errors


def test_an_exit_that_was_caught_is_no_failure(start: Start, records: Any) -> None:
    """The program went on after somebody had called sys.exit."""
    caught = "try: sys.exit(3)\nexcept SystemExit: pass\nrun.log({'x': 500})\n"
    start(OPEN + caught).succeed()
    start("try: sys.exit(3)\nexcept SystemExit: pass\nrun = start()\n").succeed()

    assert [records.run(run).status for run in records.ids()] == ["completed", "completed"]


def test_the_exception_of_a_thread_ends_no_run(start: Start, records: Any) -> None:
    """The program went on, so its run did."""
    program = start(OPEN + "thread = threading.Thread(target=lambda: 1 / 0); thread.start(); thread.join()")

    assert program.wait() == 0
    assert records.run().status == "completed"


def test_a_thread_may_be_at_it_when_the_interpreter_ends(start: Start, records: Any) -> None:
    """Daemon threads log until the very end: calls that were taken are kept, and nothing hangs or complains."""
    source = """
def work():
    for step in itertools.count():
        run.log({"x": step})
        told[0] = step + 1

run = start()
threading.Thread(target=work, daemon=True).start()
wait_until(lambda: told[0] > 1000)
"""
    program = start(source)

    assert program.wait() == 0
    assert len(records.steps("x")) > 1000
    assert records.run().status == "completed"


@pytest.mark.parametrize("repeat", range(3))
def test_sigterm_in_the_middle_of_logging_loses_nothing(start: Start, records: Any, repeat: int) -> None:
    """What had returned when the run ended is there; the calls after that were refused, not lost."""
    program = start("run = start()\nfor step in itertools.count():\n    run.log({'x': step}); told[0] = step + 1\n")
    program.await_told(100 + 1000 * repeat)
    program.send(signal.SIGTERM)

    assert program.wait() == -signal.SIGTERM
    steps = records.steps("x")
    assert steps == list(range(len(steps)))
    assert len(steps) >= 100 + 1000 * repeat
    assert (records.run().status, records.run().reason) == ("killed", "SIGTERM")


def test_sigterm_does_not_wait_for_a_store_that_is_away(start: Start, records: Any) -> None:
    """It dies within seconds; the journal has everything, and the reason."""
    program = start(OPEN + "run.flush()\ntold[0] = 1\nrun.log({'x': 500})\ntime.sleep(100)")
    program.await_told()
    with sqlite3.connect(records.folder / "runs.db") as blocker:
        blocker.execute("BEGIN EXCLUSIVE")
        program.send(signal.SIGTERM)
        assert program.wait() == -signal.SIGTERM
    blocker.close()

    assert records.left() == [f"{records.ids()[0]}/0-0.journal"]
    assert records.steps("x") == list(range(501))
    assert (records.run().status, records.run().reason) == ("killed", "SIGTERM")


def test_a_handler_of_the_program_is_left_alone(start: Start, records: Any) -> None:
    """Whoever handles SIGTERM keeps it, before and after the run was started; an ignored one stays ignored."""
    source = """
def mine(*_):
    told[1] += 1
signal.signal(signal.SIGTERM, {before})
run = start()
{after}
told[0] = 1
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(0.2)
run.log({{"x": 0}})
"""
    for before, after, count in (
        ("mine", "", 1),
        ("signal.SIG_IGN", "", 0),
        ("signal.SIG_DFL", "signal.signal(15, mine)", 1),
    ):
        program = start(source.format(before=before, after=after))

        assert program.wait() == 0
        assert program.told(1) == count
        assert records.run().status == "completed"
        (records.folder / "told").unlink()


def test_the_default_is_put_back_after_the_last_run(start: Start) -> None:
    """A program without runs dies of SIGTERM as ever, and `sys.exit` is its own."""
    source = """
exit = sys.exit
a, b = start(), start()
a.finish()
assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
b.finish()
assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
assert sys.exit is exit
"""
    start(source).succeed()


def test_a_handler_may_finish_the_run(start: Start, records: Any) -> None:
    """As schedulers' warnings are handled: finish in the handler, in the middle of whatever the program does."""
    source = """
def on_signal(*_):
    run.finish("killed", "preempted")
    sys.exit(143)

signal.signal(signal.SIGTERM, on_signal)
run = start()
for step in itertools.count():
    run.log({"x": step}); told[0] = step + 1
"""
    for number in range(8):
        program = start(source)
        program.await_told(1 + 500 * number)
        program.send(signal.SIGTERM)

        assert program.wait() == 143, program.errors
        steps = records.steps("x")
        assert steps == list(range(len(steps)))
        assert len(steps) in {program.told(), program.told() + 1}
        assert (records.run().status, records.run().reason) == ("killed", "preempted")
        (records.folder / "told").unlink()


def test_an_impatient_ctrl_c_at_the_end_keeps_everything(start: Start, records: Any) -> None:
    """A second Ctrl-C while the end waits for a store that is away: the program ends at once, the journal stays."""
    program = start(OPEN + "run.flush()\ntold[0] = 1\nwait_until(lambda: told[1])\nrun.log({'x': 500})\n")
    program.await_told()
    with sqlite3.connect(records.folder / "runs.db") as blocker:
        blocker.execute("BEGIN EXCLUSIVE")
        program.tell(1, place=1)
        deadline = time.monotonic() + 50
        while program.process.poll() is None and time.monotonic() < deadline:
            program.send(signal.SIGINT)
            time.sleep(0.3)
        assert program.process.poll() is not None
    blocker.close()

    assert records.steps("x")[:500] == list(range(500))
    assert records.run().status in {"completed", "killed"}
