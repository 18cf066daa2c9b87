"""How the processes of a job come to agree on the id of their run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import tracklib
from tracklib import jobs
from tracklib.records import id_of_number, is_id, new_id

Environ = dict[str, str]

ASK = "import os, tracklib\nfor _ in range(2): print(tracklib.next_run_id())"


def ids(environ: Environ) -> list[str]:
    """Return the ids of the first two runs of a process."""
    words = [sys.executable, "-c", ASK]
    done = subprocess.run(words, env={**os.environ, **environ}, text=True, capture_output=True, check=True)
    return done.stdout.split()


def two_nodes(node: int, **more: str) -> Environ:
    """Return what torchrun tells the only process on each of two machines."""
    place = {"RANK": str(node), "LOCAL_RANK": "0", "WORLD_SIZE": "2", "GROUP_RANK": str(node), "GROUP_WORLD_SIZE": "2"}
    return {**place, **more}


ELASTIC = {"TORCHELASTIC_RUN_ID": "100", "MASTER_ADDR": "east-1", "MASTER_PORT": "4242"}
SLURM_JOB = {"SLURM_JOB_ID": "5", "SLURM_STEP_ID": "0", "TORCHELASTIC_RUN_ID": "none", "MASTER_ADDR": "east-1"}


@pytest.mark.parametrize("job", [ELASTIC, SLURM_JOB], ids=["named", "in a job of Slurm"])
def test_machines_agree_without_asking_each_other(job: Environ) -> None:
    """The id is computed from what all of them were told."""
    first, second = ids(two_nodes(0, **job)), ids(two_nodes(1, **job))

    assert first == second
    assert len(set(first)) == 2
    assert all(is_id(each) for each in first)


def test_a_name_that_is_given_again_is_another_job() -> None:
    """Tutorials call all of their jobs 100."""
    assert ids(two_nodes(0, **ELASTIC)) != ids(two_nodes(0, **{**ELASTIC, "MASTER_PORT": "4343"}))


def test_a_machine_that_cannot_know_the_run_records_nothing() -> None:
    """Better than a run of which rank 0 knows nothing."""
    job = {**ELASTIC, "TORCHELASTIC_RUN_ID": "none"}

    assert ids(two_nodes(1, **job)) == ["None", "None"]
    assert all(is_id(each) for each in ids(two_nodes(0, **job)))


def test_a_rank_that_cannot_know_the_run_gets_one_that_records_nothing(ranks: Any) -> None:
    """The program goes on."""
    job = {**ELASTIC, "TORCHELASTIC_RUN_ID": "none"}
    ranks.succeed("run = start()\nrun.log({'loss': 1})\nassert run.id == ''\nrun.finish()", two_nodes(1, **job))

    assert not Path(".tracklib/tracklib.db").exists()


def test_the_next_id_is_the_one_that_a_run_gets(monkeypatch: pytest.MonkeyPatch) -> None:
    """And children hear of it before the run is begun."""
    monkeypatch.delenv(jobs.JOB_VARIABLE, raising=False)
    run_id = tracklib.next_run_id()
    said = os.environ[jobs.JOB_VARIABLE]
    run = tracklib.start_run("jobs", run_id=run_id)
    run.finish()

    assert said == f"{run_id} {os.getpid()}"
    assert run.id == run_id
    assert jobs.JOB_VARIABLE not in os.environ


def test_children_are_told_of_the_innermost_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """When that has ended, of the one around it; of none in the end."""
    monkeypatch.delenv(jobs.JOB_VARIABLE, raising=False)
    outer = tracklib.start_run("jobs")
    inner = tracklib.start_run("jobs", nested=True)
    said = [os.environ[jobs.JOB_VARIABLE]]
    for run in (inner, outer):
        run.finish()
        said.append(os.environ.get(jobs.JOB_VARIABLE, "none"))

    assert [each.partition(" ")[0] for each in said] == [inner.id, outer.id, "none"]


@pytest.mark.parametrize("said", ["", "words", f"{id_of_number(1)}", f"{id_of_number(1)} x", "short 1"])
def test_a_variable_that_says_nothing_is_passed_over(said: str) -> None:
    """Whoever may have set it."""
    assert jobs.current_job({jobs.JOB_VARIABLE: said}) is None


def test_a_variable_may_name_the_run_of_a_job(ranks: Any) -> None:
    """A launcher of one's own sets it, with 0 for the process: then all runs of the ranks are shared by it."""
    given = {jobs.JOB_VARIABLE: f"{new_id()} 0"}
    ranks.succeed("for _ in range(2):\n    start().finish()", *({**ranks.of_torch(rank), **given} for rank in range(2)))

    runs = tracklib.list_runs()
    assert [ranks.ends(run) for run in runs] == [[(0, "completed"), (1, "completed")]] * 2
    assert given[jobs.JOB_VARIABLE].split()[0] in {run.id for run in runs}
