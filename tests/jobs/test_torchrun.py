"""A real torchrun: what a plain script records on two processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import tracklib

GLOO = """
import torch
import torch.distributed as dist

torch.set_num_threads(1)
dist.init_process_group("gloo")


def train(run):
    for step in range(3):
        summed = torch.ones(1) * (rank + step)
        dist.all_reduce(summed)
        run.log({"loss": summed.item(), "who": rank})
    run.log({"accuracy": 0.5}, step=2, context="eval")


for name in ("first", "second"):
    with start(name=name, params={"lr": 0.1}, tags={"rank": str(rank)}) as run:
        train(run)
        run.set_tag(f"tag{rank}", "set")
        run.log_text(f"of {rank}", "notes")
        print("rank", rank)
with start(name="third", all_ranks=True) as run:
    train(run)
dist.destroy_process_group()
"""


@pytest.fixture(scope="module", name="trained")
def _trained(ranks: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tracklib.StoredRun]:
    """Return the runs of a program that torchrun has run on two processes, by name."""
    pytest.importorskip("torch.distributed")
    folder = tmp_path_factory.mktemp("gloo")
    ranks.torchrun(folder, GLOO)
    store = f"sqlite:///{folder}/runs.db"
    return {run.name: tracklib.get_run(run.id, store=store) for run in tracklib.list_runs(store=store)}


def test_a_plain_script_under_torchrun_makes_one_run(ranks: Any, trained: dict[str, tracklib.StoredRun]) -> None:
    """For each `start_run` that all of its processes come to, in their order."""
    assert sorted(trained) == ["first", "second", "third"]
    assert [ranks.ends(run) for run in trained.values()] == [[(0, "completed"), (1, "completed")]] * 3
    assert [run.status for run in trained.values()] == ["completed"] * 3


def test_rank_0_records_for_all(trained: dict[str, tracklib.StoredRun]) -> None:
    """Metrics, params, tags, files and output are its own, and are there once."""
    for name in ("first", "second"):
        run = trained[name]
        assert list(run.metrics) == ["eval/accuracy", "loss", "who"]
        assert run.series("loss", every=True).values.tolist() == [1.0, 3.0, 5.0]
        assert run.metrics["who"].max == 0.0
        assert (run.params, run.tags) == ({"lr": 0.1}, {"rank": "0", "tag0": "set"})
        assert [len(run.events(kind)) for kind in ("params", "tags")] == [1, 2]
        assert run.console() == "rank 0"
        assert [artifact.version for artifact in run.artifacts] == [0]
        assert run.read_artifact("notes") == {"notes.txt": b"of 0"}


def test_all_ranks_may_be_recorded(trained: dict[str, tracklib.StoredRun]) -> None:
    """With the setting `all_ranks` those above 0 have their metrics in a context of their own."""
    run = trained["third"]

    assert sorted(run.metrics) == ["eval/accuracy", "loss", "rank1/eval/accuracy", "rank1/loss", "rank1/who", "who"]
    assert run.series("rank1/who").values.tolist() == [1.0, 1.0, 1.0]
    assert run.series("rank1/loss").steps.tolist() == [0, 1, 2]


RESTARTED = """
attempt = int(os.environ["TORCHELASTIC_RESTART_COUNT"])
run = start(name="elastic")
for step in range(5 * attempt, 5 * attempt + 5):
    run.log({"loss": step}, step=step)
note(f"logged{attempt}-")
if attempt == 0:
    await_file("logged0-0")
    await_file("logged0-1")
    if rank == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(600)
run.finish()
"""


def test_a_restart_by_torchrun_goes_on_with_the_run(ranks: Any, tmp_path: Path) -> None:
    """A killed rank is seen on it, and what the other one was terminated for; the second attempt completes it."""
    pytest.importorskip("torch.distributed")
    ranks.torchrun(tmp_path, RESTARTED, "--max-restarts", "1")

    (found,) = tracklib.list_runs(store=f"sqlite:///{tmp_path}/runs.db")
    assert found.status == "completed"
    assert found.series("loss", every=True).steps.tolist() == list(range(10))
    assert ranks.ends(found) == [(0, "killed"), (0, "completed"), (1, "killed"), (1, "completed")]
