"""SIGKILL at any moment: every call that had returned is read back, once."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

Start = Callable[..., Any]

LOGGING = """
run = start()
for step in itertools.count():
    run.log({"x": step, "y": step})
    told[0] = step + 1
"""

MIXED = """
run = start()
for step in itertools.count():
    if step % 10 == 3:
        run.log({f"z{step % 700}": step}, step)
    if step % 100 == 50:
        run.set_tag("at", step)
        told[1] = step
    run.log({"x": step, **{f"m{i}": step for i in range(9)}}, step)
    told[0] = step + 1
"""

FLUSHING = """
run = start()
for step in itertools.count():
    run.log({"x": step, "y": step})
    told[0] = step + 1
    if step % 50 == 0:
        assert run.flush(60)
"""

PACED = """
run = start(flush_interval=0.01)
for step in itertools.count():
    run.log({"x": step, "y": step})
    told[0] = step + 1
    time.sleep(0.0005)
"""

EVERYTHING_ON = """
run = tracklib.start_run("faults", "test", store=STORE, flush_interval=0.05, system_interval=0.1)
with open("ids", "a") as file:
    file.write(run.id + "\\n")
for step in itertools.count():
    run.log({"x": step, "y": step})
    told[0] = step + 1
    if step % 200 == 0:
        print("step", step)
"""

SEVERAL_RUNS = """
for number in range(8000):
    run = start(flush_interval=0.01)
    told[1] = number + 1
    for step in range(100):
        run.log({"x": step, "y": step})
        told[100 + number] = step + 1
    run.finish()
    told[2] = number + 1
"""


def killed(start: Start, source: str, chance: Random, *, longest_s: float) -> Any:
    """Kill a program some time after the first call has returned."""
    Path("told").unlink(missing_ok=True)
    program = start(source)
    program.await_told(place=0 if "told[0]" in source else 1)
    time.sleep(chance.uniform(0.0, longest_s))
    program.kill()
    return program


def check_all_read(records: Any, returned: int) -> None:
    """See to it that each call that returned is there once, and at most the one that was interrupted besides."""
    steps = records.steps("x")
    assert steps in (list(range(returned)), list(range(returned + 1)))
    assert records.run().status == "killed"
    assert records.run().reason.startswith("the process ended without a word")
    assert records.left() == []


@pytest.mark.parametrize("source", [LOGGING, MIXED, FLUSHING, PACED], ids=["logging", "mixed", "flushing", "paced"])
def test_a_killed_process_loses_nothing(start: Start, records: Any, chance: Random, source: str) -> None:
    """Once for each way of logging; the many times are below."""
    program = killed(start, source, chance, longest_s=0.2)

    check_all_read(records, program.told())


@pytest.mark.slow
@pytest.mark.parametrize("source", [LOGGING, MIXED, FLUSHING, PACED], ids=["logging", "mixed", "flushing", "paced"])
def test_processes_killed_at_random_lose_nothing(start: Start, records: Any, chance: Random, source: str) -> None:
    """Ten kills each, during flushes and segment changes as well."""
    for _ in range(10):
        program = killed(start, source, chance, longest_s=0.25)

        check_all_read(records, program.told())
        if source is MIXED:
            assert int(records.run().tags.get("at", 0)) in {program.told(1), program.told(1) + 100}


@pytest.mark.slow
def test_processes_killed_while_they_finish_runs_lose_nothing(start: Start, records: Any, chance: Random) -> None:
    """Ten kills of programs that begin and finish a run every few milliseconds."""
    seen = 0
    for _ in range(10):
        program = killed(start, SEVERAL_RUNS, chance, longest_s=0.5)
        begun, finished, ids = program.told(1), program.told(2), records.ids()[seen:]
        seen += len(ids)

        assert begun <= len(ids) <= begun + 1
        for number, run in enumerate(ids[:begun]):
            returned = program.told(100 + number)
            assert records.steps("x", run) in ([] if not returned else list(range(returned)), list(range(returned + 1)))
            assert records.run(run).status == "completed" or number >= finished
    assert records.left() == []


@pytest.mark.slow
def test_killed_processes_with_everything_on_lose_nothing(start: Start, records: Any, chance: Random) -> None:
    """Five kills of programs whose console, machine, environment and code are recorded as well."""
    for _ in range(5):
        program = killed(start, EVERYTHING_ON, chance, longest_s=1.0)

        check_all_read(records, program.told())
        lines = records.run().console().split("\n")
        printed = [f"step {step}" for step in range(0, program.told() + 200, 200)]
        assert lines[:-1] == printed[: len(lines) - 1]
        assert len(lines) >= len(range(0, program.told() - 1, 200))


@pytest.mark.slow
def test_processes_killed_while_they_start_leave_no_ruins(start: Start, records: Any, chance: Random) -> None:
    """Ten kills at any moment of a start: no error for those who come later, and no run without a project."""
    for _ in range(10):
        Path("told").unlink(missing_ok=True)
        program = start("told[0] = 1\nstart()\n" * 20)
        program.await_told()
        time.sleep(chance.uniform(0.0, 0.15))
        program.kill()
    start("start().finish()").succeed()
    records.recover()

    for run in records.ids():
        assert records.run(run).project == "faults"
    assert [name for name in records.left() if not name.endswith(".tmp")] == []


OFFLINE = """
run = start(mode="offline")
for step in range(200_000):
    run.log({"x": step, "y": step})
run.finish()
"""


@pytest.mark.slow
def test_a_recovery_may_be_killed_too(start: Start, records: Any, chance: Random) -> None:
    """Ten processes that ship a journal are killed at it; what they did is kept, and done once."""
    start(OFFLINE).succeed()
    for _ in range(10):
        program = start("told[1] = os.getpid()\ntracklib.sync(store=STORE)")
        deadline = time.monotonic() + 60
        while program.told(1) != program.process.pid and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(chance.uniform(0.0, 0.3))
        program.kill()

    assert records.steps("x") == list(range(200_000))
    assert records.run().status == "completed"
    assert records.left() == []
