"""Jobs of several processes: one run, made by rank 0, that shows what became of each of them."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

import tracklib
from tracklib.records import new_id

JOB = """
with start() as run:
    for step in range(10):
        run.log({"loss": step, "who": rank})
"""

KILLED = """
run = start()
run.log({"loss": 1.0})
assert run.flush(120)
note("ready")
if rank == 1:
    await_file("ready0")
    os.kill(os.getpid(), signal.SIGKILL)
await_file("go")
run.finish()
"""

FIRST_HEARD = """
run = start()
assert run.flush(120)
note("ready")
await_file("go")
run.finish()
"""

FAILED = """
run = start()
run.log({"loss": 1.0})
if rank == 1:
    raise ValueError("a bad batch on one rank")
run.finish("killed", "terminated")
"""


def test_a_killed_rank_is_seen_on_the_run(ranks: Any) -> None:
    """Also while the others go on; the run ends as rank 0 does."""
    main, other = ranks.launch(KILLED, ranks.of_torch(0), ranks.of_torch(1))
    assert ranks.await_end(other) == -signal.SIGKILL
    ranks.await_files("ready0")

    meanwhile = ranks.run()
    Path("go").touch()
    ranks.await_success(main)

    assert (meanwhile.status, ranks.ends(meanwhile)) == ("running", [(0, "running"), (1, "killed")])
    assert (ranks.run().status, ranks.ends(ranks.run())) == ("completed", [(0, "completed"), (1, "killed")])


def test_a_run_whose_main_process_was_not_heard_of_yet_is_running(ranks: Any) -> None:
    """Another rank may be the first that is read of."""
    (other,) = ranks.launch(FIRST_HEARD, {**ranks.of_torch(1), "TRACKLIB_RUN_ID": new_id()})
    ranks.await_files("ready1")

    status = ranks.run().status
    Path("go").touch()
    ranks.await_success(other)

    assert status == "running"


def test_what_went_wrong_on_a_rank_is_told(ranks: Any) -> None:
    """A launcher terminates the others then, so the run itself ends as killed; the traceback is among its messages."""
    main, other = ranks.launch(FAILED, ranks.of_torch(0), ranks.of_torch(1))
    ranks.await_success(main)
    assert ranks.await_end(other) == 1

    run = ranks.run()
    assert (run.status, run.error) == ("killed", None)
    assert ranks.ends(run) == [(0, "killed"), (1, "failed")]
    (message,) = run.events("message")
    assert message.data["level"] == "error"
    assert message.data["text"].startswith("rank 1 failed:\nTraceback")
    assert "ValueError: a bad batch on one rank" in message.data["text"]


def test_a_launcher_may_start_one_job_after_the_other(ranks: Any) -> None:
    """As a shell or a notebook does: each is a run of its own."""
    for _ in range(3):
        ranks.succeed(JOB, ranks.of_torch(0), ranks.of_torch(1))

    assert [ranks.ends(run) for run in tracklib.list_runs()] == [[(0, "completed"), (1, "completed")]] * 3


def test_rank_0_may_record_alone(ranks: Any) -> None:
    """A program that starts a run on rank 0 only needs nothing else to be done."""
    ranks.succeed("if rank == 0:\n    start().finish()", ranks.of_torch(0), ranks.of_torch(1))

    assert ranks.ends(ranks.run()) == [(0, "completed")]


def test_an_id_from_outside_is_that_of_all(ranks: Any) -> None:
    """`TRACKLIB_RUN_ID` counts before what the launcher says."""
    given = {"TRACKLIB_RUN_ID": new_id()}
    ranks.succeed(JOB, {**ranks.of_torch(0), **given}, {**ranks.of_torch(1), **given})

    assert ranks.run().id == given["TRACKLIB_RUN_ID"]
    assert ranks.ends(ranks.run()) == [(0, "completed"), (1, "completed")]


def test_all_ranks_resume_a_run(ranks: Any) -> None:
    """`resume` names it to each of them, and its name, project and counters are theirs."""
    with tracklib.start_run("jobs", "test", name="before", all_ranks=True) as first:
        first.log({"loss": 0.0}, step=41)
        first.log({"rank1/loss": 0.0}, step=7)
    source = f"""
with start(resume="{first.id}", all_ranks=True) as run:
    assert (run.name, run.project, run.id) == ("before", "jobs", "{first.id}")
    run.log({{"loss": 1.0}})
"""
    ranks.succeed(source, ranks.of_torch(0), ranks.of_torch(1))

    assert ranks.run().series("loss").steps.tolist() == [41, 42]
    assert ranks.run().series("rank1/loss").steps.tolist() == [7, 8]


STAYS_SILENT = """
run = start()
run.log({"a": 1})
run.log_metric("b", 1)
run.log_metrics({"c": 1})
run.log_params({"p": 1})
run.set_tags({"t": "1"})
run.set_notes("words")
run.set_name("other")
run.move("elsewhere", "too")
run.log_artifact(__file__, "file")
run.log_artifact(__file__, "reference", copy=False)
run.settle()
run.proceed()
twin = pickle.loads(pickle.dumps(run))
twin.log({"d": 1})
if os.fork() == 0:
    run.log({"e": 1})
    run.finish()
    os._exit(0)
os.wait()
assert run.flush()
run.finish()
"""


def test_other_ranks_leave_everything_to_rank_0(ranks: Any) -> None:
    """Whatever they call; also a copy that was pickled, and a child after a fork."""
    given = {"TRACKLIB_RUN_ID": new_id()}
    ranks.succeed("start(name='main').finish()", {**ranks.of_torch(0), **given})
    ranks.succeed(STAYS_SILENT, {**ranks.of_torch(1), **given})

    run = ranks.run()
    assert (run.name, run.project, run.experiment, run.status) == ("main", "jobs", "test", "completed")
    assert (run.metrics, run.params, run.tags, run.notes, run.artifacts) == ({}, {}, {}, "", [])
    assert {status for _, status in ranks.ends(run)} == {"completed"}


AS_LIGHTNING = """
def spawn():
    return subprocess.Popen([sys.executable, __file__], env={**os.environ, "LOCAL_RANK": "1", "WORLD_SIZE": "2"})


if rank == 0 and EARLY:
    os.environ["WORLD_SIZE"] = "2" if IN_TIME else "1"
    child = spawn()
    os.environ.update(LOCAL_RANK="0", NODE_RANK="0", WORLD_SIZE="2")
with start() as run:
    run.log({"who": rank})
    if rank == 0 and not EARLY:
        with start(nested=True, name="inner") as inner:
            pass
        child = spawn()
if rank == 0:
    assert child.wait() == 0
    with start(name="later") as run:
        pass
"""


@pytest.mark.parametrize("early", [False, True], ids=["before its processes", "after its processes"])
def test_a_program_that_starts_itself_again_makes_one_run(ranks: Any, early: bool) -> None:
    """As Lightning does for each further process: whether the run is begun before them or after them."""
    ranks.succeed(f"EARLY = {early}\nIN_TIME = True\n" + AS_LIGHTNING, {})

    first = tracklib.list_runs()[-1]
    assert ranks.ends(first) == [(0, "completed"), (1, "completed")]
    assert [ranks.ends(run) for run in tracklib.list_runs()[:-1]] == [[(0, "completed")]] * (1 if early else 2)


SPAWNS = """
import multiprocessing


def work(number, world):
    os.environ.update(RANK=str(number), WORLD_SIZE=str(world))
    with tracklib.start_run("jobs", "test", **QUIET) as run:
        run.log({"who": number})


if __name__ == "__main__":
    for _ in range(2):
        context = multiprocessing.get_context(METHOD)
        workers = [context.Process(target=work, args=(number, 2)) for number in range(2)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
            assert worker.exitcode == 0
"""


@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
def test_spawned_ranks_make_one_run_each_time(ranks: Any, method: str) -> None:
    """As `torch.multiprocessing.spawn` does, twice in one program."""
    ranks.succeed(f"METHOD = {method!r}\n" + SPAWNS, {})

    assert [ranks.ends(run) for run in tracklib.list_runs()] == [[(0, "completed"), (1, "completed")]] * 2
    assert [run.metrics["who"].max for run in tracklib.list_runs()] == [0.0, 0.0]


SWEEP = """
LAUNCHER = '''
import os, subprocess, sys
ranks = [dict(os.environ, RANK=str(rank), WORLD_SIZE="2") for rank in range(2)]
programs = [subprocess.Popen([sys.executable, sys.argv[1]], env=environ) for environ in ranks]
sys.exit(max(program.wait() for program in programs))
'''
if "RANK" not in os.environ:
    with start(name="sweep") as run:
        for _ in range(2):
            subprocess.run([sys.executable, "-c", LAUNCHER, __file__], check=True)
else:
    start(name="trial").finish()
"""


def test_jobs_that_a_sweep_launches_are_not_its_own_run(ranks: Any) -> None:
    """A launcher in between begins a job; only what a process starts itself belongs to its run."""
    ranks.succeed(SWEEP, {})

    both = [(0, "completed"), (1, "completed")]
    assert [(run.name, ranks.ends(run)) for run in tracklib.list_runs()] == [
        ("trial", both),
        ("trial", both),
        ("sweep", [(0, "completed")]),
    ]
