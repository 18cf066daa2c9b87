"""What the listeners to other trackers share, and that no fault of ours reaches the program."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tracklib
from tracklib.integrations.mirrors import describe, flattened, heard_by, numbers
from tracklib.integrations.session import speaking

FAULTY = """
import sys
import tracklib
from tracklib.integrations import arguments, hydra, mlflow as mlflow_listener, tensorboard, wandb as wandb_listener
from tracklib.integrations.patching import Patches

patches = Patches()
for listener in (arguments, hydra, mlflow_listener, tensorboard, wandb_listener):
    listener.install(patches)
run = tracklib.start_run(store="sqlite:///runs.db", system_interval=0, auto_log_git=False, auto_log_env=False)
run.provisional = True

def broken(*_, **__):
    raise RuntimeError("broken")

for name in ("log", "log_figure", "log_params", "log_text", "move", "set_name", "set_notes", "set_tags"):
    setattr(run, name, broken)

import argparse
import mlflow
import wandb
from tensorboardX import SummaryWriter

sys.argv[1:] = ["--lr", "1"]
parser = argparse.ArgumentParser()
parser.add_argument("--lr")
assert parser.parse_args().lr == "1"
with SummaryWriter("logs") as writer:
    writer.add_scalar("loss", 1, 1)
    writer.add_text("note", "text")
    writer.add_hparams({"lr": 1}, {"loss": 2})
wandb_run = wandb.init(mode="disabled", project="digits", name="baseline", config={"lr": 1})
wandb.log({"loss": 1})
wandb_run.summary["best"] = 1
wandb_run.tags = ("quick",)
wandb_run.name = "renamed"
wandb.config.seed = 1
assert (wandb.config.seed, wandb_run.name, wandb_run.summary["best"]) == (1, "renamed", 1)
wandb.finish()
mlflow.set_tracking_uri("file:mlruns")
with mlflow.start_run(run_name="baseline") as mlflow_run:
    mlflow.log_metric("loss", 1)
    mlflow.log_param("lr", 1)
    mlflow.set_tag("team", "vision")
assert mlflow.get_run(mlflow_run.info.run_id).data.metrics == {"loss": 1.0}
print("alive")
"""


@pytest.mark.parametrize(
    ("value", "is_number"),
    [
        (1, True),
        (True, True),
        (float("nan"), True),
        (np.float32(1), True),
        (np.array([1.0]), True),
        (np.array([1.0, 2.0]), False),
        ("1", False),
        (None, False),
        ([1], False),
        (b"1", False),
    ],
)
def test_numbers(value: Any, is_number: bool) -> None:
    """Numbers are told from what is none, also in arrays of one element."""
    assert list(numbers({"x": value})) == (["x"] if is_number else [])


def test_numbers_of_torch() -> None:
    """Tensors of one element are numbers."""
    import torch

    assert list(numbers({"one": torch.ones(1), "scalar": torch.tensor(1), "many": torch.ones(2)})) == ["one", "scalar"]


def test_flattened() -> None:
    """Names of nested mappings are joined."""
    assert flattened({"a": {"b": {1: 2}}, "c": 3, "d": {}}) == {"a.b.1": 2, "c": 3}


@pytest.fixture(name="run")
def _run(tmp_path: Path) -> tracklib.Run:
    quiet: dict[str, Any] = {"system_interval": 0, "auto_log_git": False, "auto_log_env": False}
    return tracklib.start_run(project="folder", name="own", store=f"sqlite:///{tmp_path}/runs.db", **quiet)


class TestDescribe:
    """What another tracker's words do to a run."""

    def test_own_run(self, run: tracklib.Run) -> None:
        """A run that the program started keeps place and name."""
        with run:
            describe(run, place={"project": "digits", "name": "baseline"}, begins=True, params={"lr": 1})

        assert (run.project, run.name) == ("folder", "own")

    def test_unasked_run(self, run: tracklib.Run) -> None:
        """A run that was begun unasked takes them, from the first that begins and from who renames it."""
        run.provisional = True
        with run:
            describe(run, place={"experiment": "sweep"}, begins=True)
            describe(run, place={"experiment": None, "name": "first", "notes": ""}, begins=True)
            describe(run, place={"experiment": "other", "name": "second", "notes": "new"}, begins=True)
            first = (run.experiment, run.name)
            describe(run, place={"name": "renamed" * 100})

        assert first == ("sweep", "first")
        assert run.name == ("renamed" * 100)[:500]
        assert not run.provisional

    def test_nothing_said(self, run: tracklib.Run) -> None:
        """Where nothing is said, the next one may still take the run."""
        run.provisional = True
        with run:
            describe(run, place={"project": None, "name": " "}, begins=True)

        assert run.provisional
        assert run.name == "own"


def test_heard_by(run: tracklib.Run) -> None:
    """The active run hears, but not while a framework speaks, nor when it has ended."""
    with run:
        assert heard_by() is run
        with speaking():
            assert heard_by() is None

    assert heard_by() is None


@pytest.mark.slow
def test_faults_stay_here(tmp_path: Path) -> None:
    """A run that can record nothing costs the program one warning for each kind of call, and nothing else."""
    (tmp_path / "program.py").write_text(FAULTY)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "program.py"],
        cwd=tmp_path,
        env={**os.environ, "MLFLOW_ALLOW_FILE_STORE": "true", "MLFLOW_DISABLE_TELEMETRY": "true"},
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )

    assert done.stdout.endswith("alive\n"), done.stderr
    assert done.stderr.count("the training goes on: RuntimeError('broken')") > 8
