"""Processes that die after they have said how their run stands, and after they have taken it back."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

Start = Callable[..., Any]

SETTLED = """
run = start()
for step in range(500):
    run.log({"x": step})
run.settle(ERROR)
for step in range(500, 700):
    run.log({"x": step})
"""

ENDS = {
    "the last line": "pass",
    "sys.exit(3)": "sys.exit(3)",
    "an exception": "raise KeyError('afterwards')",
    "KeyboardInterrupt": "raise KeyboardInterrupt",
    "SIGTERM": "os.kill(os.getpid(), signal.SIGTERM); time.sleep(100)",
    "SIGKILL": "os.kill(os.getpid(), signal.SIGKILL)",
    "SIGKILL after it was shipped": "assert run.flush(120); os.kill(os.getpid(), signal.SIGKILL)",
    "os._exit(4)": "os._exit(4)",
}

WORDLESS = "the process ended without a word (SIGKILL, out of memory or a crash)"


@pytest.mark.parametrize("failed", [False, True], ids=["completed", "failed"])
@pytest.mark.parametrize("end", ENDS)
def test_however_the_process_ends_the_run_stands_as_was_said(
    start: Start, records: Any, end: str, failed: bool
) -> None:
    """And what was logged afterwards is there."""
    before = "ValueError('diverged')" if failed else "None"
    start(SETTLED.replace("ERROR", before) + ENDS[end]).wait()

    run = records.run()
    assert records.steps("x") == list(range(700))
    assert (run.status, run.reason) == (("failed", "ValueError: diverged") if failed else ("completed", ""))
    assert (run.error is not None) is failed
    assert records.left() == []


PROCEEDED = """
run = start()
for turn in range(3):
    run.proceed()
    for step in range(turn * 100, turn * 100 + 100):
        run.log({"x": step})
    if turn < 2:
        run.settle()
        FLUSH
"""


@pytest.mark.parametrize("flushed", [False, True], ids=["at once", "after it was shipped"])
@pytest.mark.parametrize(
    ("end", "reason"),
    [("SIGKILL", WORDLESS), ("SIGTERM", "SIGTERM"), ("os._exit(4)", WORDLESS)],
    ids=["SIGKILL", "SIGTERM", "os._exit"],
)
def test_a_run_that_proceeded_is_killed_with_its_process(
    start: Start, records: Any, end: str, reason: str, flushed: bool
) -> None:
    """Nobody has said how it stands any more."""
    start(PROCEEDED.replace("FLUSH", "assert run.flush(120)" if flushed else "pass") + ENDS[end]).wait()

    run = records.run()
    assert records.steps("x") == list(range(300))
    assert (run.status, run.reason) == ("killed", reason)
    assert records.left() == []


SEVERAL_SEGMENTS = """
run = start(mode="offline")
for step in range(200_000):
    run.log({"x": step, "y": step, "z": step})
run.settle()
run.log({"x": 200_000})
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_word_is_found_in_a_later_segment(start: Start, records: Any) -> None:
    """A journal of several segments is read as one."""
    assert start(SEVERAL_SEGMENTS).wait() == -signal.SIGKILL

    assert records.run().metrics["x"].count == 200_001
    assert records.run().status == "completed"
    assert records.left() == []


TURNS = """
run = start(flush_interval=0.01)
for turn in itertools.count():
    run.log({"x": turn, "y": turn})
    told[0] = turn + 1
    run.settle(ValueError() if turn % 2 else None)
    told[1] = turn + 1
    run.proceed()
"""


@pytest.mark.slow
def test_processes_killed_while_they_settle_lose_nothing(start: Start, records: Any, chance: Random) -> None:
    """Ten kills at any moment: the run stands as was said last, or is killed."""
    for _ in range(10):
        program = start(TURNS)
        program.await_told()
        time.sleep(chance.uniform(0.0, 0.3))
        program.kill()

        returned, settled = program.told(), program.told(1)
        run = records.run()
        said = "failed" if returned % 2 == 0 else "completed"
        assert records.steps("x") in (list(range(returned)), list(range(returned + 1)))
        assert run.status in {"killed", said, "failed" if settled % 2 == 0 else "completed"}
        assert records.left() == []
        (records.folder / "told").unlink()


FORKED = """
run = start()
run.log({"x": 0})
run.settle()
if os.fork() == 0:
    run.log({"x": 1})
    os.kill(os.getpid(), signal.SIGKILL)
os.wait()
run.log({"x": 2})
"""


def test_a_child_of_a_settled_run_changes_nothing(start: Start, records: Any) -> None:
    """However it ends: it is one more writer."""
    start(FORKED).succeed()

    assert sorted(records.run().series("x", every=True).values.tolist()) == [0, 1, 2]
    assert records.run().status == "completed"
    assert sorted(str(writer.status) for writer in records.run().info.writers) == ["completed", "killed"]
