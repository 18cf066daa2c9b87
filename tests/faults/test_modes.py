"""Odd circumstances: recording turned off, clocks that jump, an exit on a machine that has nothing to spare."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

Start = Callable[..., Any]


def tree(*folders: Path) -> dict[str, int]:
    return {str(path): path.lstat().st_mtime_ns for folder in folders for path in sorted(folder.rglob("*"))}


def test_disabled_writes_nothing_at_all(start: Start, tmp_path: Path) -> None:
    """No file, no folder, no thread, no handler: as if the calls were not there."""
    program = start(
        """
import signal
before = threading.active_count(), sys.exit, signal.getsignal(signal.SIGTERM), sys.stdout.write
told[0] = 1
wait_until(lambda: told[1])
with tracklib.start_run(project="p", params={"a": 1}) as run:
    for step in range(100):
        run.log({"x": step})
    run.log_text("text", "name")
    run.set_tag("a", "b")
    run.flush()
    tracklib.log({"y": 1})
    assert before == (threading.active_count(), sys.exit, signal.getsignal(signal.SIGTERM), sys.stdout.write)
    told[2] = 1
    wait_until(lambda: told[3])
open_run = tracklib.start_run()
""",
        TRACKLIB_MODE="disabled",
    )
    folders = (tmp_path, Path(os.environ["HOME"]))
    program.await_told()
    before = tree(*folders)
    program.tell(1, place=1)
    program.await_told(place=2)
    within = tree(*folders)
    program.tell(1, place=3)
    program.succeed()

    told = str(tmp_path / "told")
    assert {**before, told: 0} == {**within, told: 0} == {**tree(*folders), told: 0}


def test_a_clock_that_jumps_does_no_harm(start: Start, records: Any) -> None:
    """Back by years and on again, while the shipper ships: every point is there, and the run has a duration."""
    start("""
real, moment = time.time, [0.0]
time.time = lambda: real() + moment[0]
import importlib
run = start(flush_interval=0.01)
for step in range(3000):
    moment[0] = (0.0, -1e8, 1e8, -1.7e9)[step // 100 % 4]
    run.log({"x": step})
    if step % 200 == 0:
        assert run.flush(60)
""").succeed()
    run = records.run()

    assert records.steps("x") == list(range(3000))
    assert run.status == "completed"
    assert run.duration is not None
    assert 0 <= run.duration < 3600


def test_a_killed_process_whose_clock_had_jumped(start: Start, records: Any) -> None:
    """Its end is a time that it had, and its duration is not negative."""
    program = start("""
import itertools
moments = itertools.cycle([2e9, 1e9, 1.5e9])
time.time = lambda: next(moments)
run = start(flush_interval=0.01)
for step in range(1000):
    run.log({"x": step})
os.kill(os.getpid(), signal.SIGKILL)
""")

    assert program.wait() == -9
    assert records.steps("x") == list(range(1000))
    assert records.run().duration >= 0


def test_a_thousand_short_runs(start: Start, records: Any) -> None:
    """A sweep in one process leaves no threads, descriptors or files behind."""
    start("""
for number in range(30):
    start().finish()
before = threading.active_count(), len(os.listdir("/proc/self/fd"))
for number in range(70):
    with start(name=str(number)) as run:
        run.log({"x": number})
assert (threading.active_count(), len(os.listdir("/proc/self/fd"))) == before
""").succeed()

    assert len(records.ids()) == 100
    assert records.left() == []


def test_wide_rows_and_long_records(start: Start, records: Any) -> None:
    """Ten thousand names at once and one at a time, rows and params larger than a segment, all read back."""
    start("""
run = start(params={"table": ["x" * 1000] * 3000})
wide = {f"layer{number}/norm": number for number in range(10_000)}
for step in range(20):
    run.log(wide, step)
for number in range(10_000):
    run.log({f"layer{number}/norm": -number}, 20)
run.log({f"very/wide/{number:030}": 1.0 for number in range(40_000)}, 0)
run.log({"x": 0}, 0)
""").succeed()
    run = records.run()

    assert len(run.params["table"]) == 3000
    assert len(run.metrics) == 50_001
    assert run.series("layer77/norm", every=True).values.tolist() == [77.0] * 20 + [-77.0]
    assert run.series(f"very/wide/{39_999:030}").values.tolist() == [1.0]
    assert records.left() == []


def test_a_flush_interval_of_zero_leaves_the_processor_alone(start: Start, records: Any) -> None:
    """As often as possible is not as often as a thread can turn."""
    start("""
run = start(flush_interval=0)
run.log({"x": 0})
assert run.flush(60)
before = time.process_time()
time.sleep(2)
assert time.process_time() - before < 1
""").succeed()

    assert records.steps("x") == [0]
