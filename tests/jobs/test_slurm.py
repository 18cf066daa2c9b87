"""What Slurm starts, preempts and starts again."""

from __future__ import annotations

import signal
from typing import Any

import pytest

import tracklib

JOB = """
with start() as run:
    for step in range(10):
        run.log({"loss": step})
"""

PREEMPTED = """
if HANDLED:
    signal.signal(signal.SIGTERM, lambda *_: note("told"))
run = start()
for step in range(100):
    run.log({"loss": step}, step=step)
note("ready")
while True:
    time.sleep(0.01)
"""

REQUEUED = """
with start() as run:
    for step in range(50, 150):
        run.log({"loss": step}, step=step)
"""


def test_tasks_of_slurm_share_a_run(ranks: Any) -> None:
    """Those of another step, or of another job, share another one."""
    for job, step in (("77", "0"), ("77", "1"), ("78", "0")):
        ranks.succeed(JOB, *(ranks.of_slurm(rank, job=job, step=step) for rank in range(2)))

    runs = tracklib.list_runs()
    assert [ranks.ends(run) for run in runs] == [[(0, "completed"), (1, "completed")]] * 3
    assert all(run.name.startswith("train-") for run in runs)
    assert [run.metrics["loss"].count for run in runs] == [10, 10, 10]


@pytest.mark.parametrize("handled", [False, True], ids=["unhandled", "handled by the program"])
def test_a_requeued_job_goes_on_with_its_run(ranks: Any, handled: bool) -> None:
    """Slurm sends SIGTERM, then SIGKILL, and starts the job again under the same id."""
    programs = ranks.launch(f"HANDLED = {handled}\n" + PREEMPTED, ranks.of_slurm(0), ranks.of_slurm(1))
    ranks.await_files("ready0", "ready1")
    for program in programs:
        program.terminate()
    if handled:
        ranks.await_files("told0", "told1")
    for program in programs:
        program.kill()
        assert ranks.await_end(program) in {-signal.SIGTERM, -signal.SIGKILL}

    interrupted = ranks.run()
    assert (interrupted.status, ranks.ends(interrupted)) == ("killed", [(0, "killed"), (1, "killed")])
    assert interrupted.series("loss", every=True).values.tolist() == list(range(100))

    ranks.succeed(REQUEUED, ranks.of_slurm(0), ranks.of_slurm(1))
    assert (ranks.run().id, ranks.run().status) == (interrupted.id, "completed")
    assert ranks.ends(ranks.run()) == [(0, "killed"), (0, "completed"), (1, "killed"), (1, "completed")]
    assert ranks.run().series("loss").values.tolist() == list(range(150))
    assert ranks.run().metrics["loss"].count == 200


def test_what_a_batch_script_runs_itself_is_no_task(ranks: Any) -> None:
    """Slurm tells it the ranks of a job as well; two programs in it are two runs."""
    alone = {name: value for name, value in ranks.of_slurm(0).items() if name != "SLURM_STEP_ID"}
    for _ in range(2):
        ranks.succeed(JOB, alone)

    assert [ranks.ends(run) for run in tracklib.list_runs()] == [[(0, "completed")]] * 2


def test_the_first_process_of_each_machine_samples_it(ranks: Any) -> None:
    """Under the number of the machine; a second process on the first one does not do it again."""
    second = {**ranks.of_slurm(1), "SLURM_NODEID": "1", "SLURM_LOCALID": "0"}
    source = "run = start(system_interval=0.05)\ntime.sleep(0.3)\nrun.finish()"
    ranks.succeed(source, ranks.of_slurm(0), second)
    ranks.succeed(source, ranks.of_slurm(0, step="1"), ranks.of_slurm(1, step="1"))

    single, double = tracklib.list_runs()
    used = "memory/used_bytes"
    assert {name for name in double.metrics if name.endswith(used)} == {f"system/{used}", f"system/node1/{used}"}
    assert {name for name in single.metrics if name.endswith(used)} == {f"system/{used}"}
    steps = double.series(f"system/node1/{used}", every=True).steps.tolist()
    assert steps == list(range(len(steps)))
