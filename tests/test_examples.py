"""The examples run as they stand, and record what they say."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import tracklib

EXAMPLES = Path(__file__).parents[1] / "examples"
BIN = Path(sys.executable).parent
PYTHON = [sys.executable, "-W", "error"]
FRAMEWORK = [sys.executable, "-W", "ignore"]
TORCHRUN = [str(BIN / "torchrun"), "--nproc-per-node", "2"]
QUICKLY = {
    "ddp_torchrun.py": [*TORCHRUN, str(EXAMPLES / "ddp_torchrun.py"), "--epochs", "2"],
    "digits_hf_trainer.py": [*FRAMEWORK, str(EXAMPLES / "digits_hf_trainer.py"), "--epochs", "1"],
    "digits_lightning.py": [*FRAMEWORK, str(EXAMPLES / "digits_lightning.py"), "--epochs", "3", "--hidden", "32"],
    "digits_reload.py": [*PYTHON, str(EXAMPLES / "digits_reload.py")],
    "digits_torch.py": [*PYTHON, str(EXAMPLES / "digits_torch.py"), "--epochs", "3", "--hidden", "32"],
    "plain_script.py": [str(BIN / "tracklib"), "run", str(EXAMPLES / "plain_script.py"), "--epochs", "2"],
}
"""The command of each example, so that it takes seconds. What warns is its framework, where warnings are ignored."""


def run_example(name: str) -> str:
    done = subprocess.run(
        QUICKLY[name],
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_example_is_tested() -> None:
    """No example stands there untried."""
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(QUICKLY)


@pytest.mark.slow
def test_digits_torch() -> None:
    """The PyTorch example records params, metrics, a figure, its output, and a model that PyTorch reads back.

    The model is loaded by another run, which uses it, and is as good as it was.
    """
    printed = run_example("digits_torch.py")
    reloaded = run_example("digits_reload.py")

    before = tracklib.get_run("latest", project="digits")
    accuracy = f"{before.metrics['eval/accuracy'].last:.2%}"
    assert reloaded == f"classifier v0: accuracy {accuracy}, recorded {accuracy}\n"
    assert [used.name for used in before.used_artifacts] == ["classifier"]
    (run,) = tracklib.list_runs(project="digits", experiment="mlp")
    state = torch.load(io.BytesIO(run.read_artifact("classifier")["state_dict.pt"]), weights_only=True)
    kept = {artifact.name: artifact.type for artifact in run.artifacts}
    assert (run.status, run.params["model"]["hidden"]) == ("completed", 32)
    assert run.metrics["train/loss"].count == 3 * 43  # 1,347 images in steps of 32
    assert run.series("eval/accuracy").values[-1] > 0.5
    assert kept == {"confusion": "figure", "classifier": "model"}
    assert run.console().splitlines() == printed.splitlines()
    assert state["0.weight"].shape == (32, 64)


@pytest.mark.slow
def test_plain_script() -> None:
    """A script that knows nothing of tracklib is recorded with params, metrics, its output and the saved model."""
    printed = run_example("plain_script.py")

    (run,) = tracklib.list_runs()
    assert (run.status, run.params["epochs"], run.params["lr"]) == ("completed", 2, 0.001)
    assert run.metrics["train/loss"].count == 2 * 43
    assert run.series("eval/accuracy").values[-1] > 0.5
    assert [(artifact.name, artifact.type) for artifact in run.artifacts] == [("model.pt", "model")]
    assert run.console().splitlines() == printed.splitlines()


@pytest.mark.slow
def test_ddp_torchrun() -> None:
    """Two processes are one run, with the metrics of rank 0."""
    run_example("ddp_torchrun.py")

    (run,) = tracklib.list_runs(project="digits")
    assert (run.status, run.params["processes"]) == ("completed", 2)
    assert run.metrics["train/loss"].count == 2 * 29
    assert run.metrics["train/accuracy"].last > 0.3
    assert sorted(writer.rank for writer in run.info.writers) == [0, 1]


@pytest.mark.slow
def test_digits_lightning() -> None:
    """Lightning's trainer records hyper-parameters, metrics, speed, checkpoints and the test that follows."""
    run_example("digits_lightning.py")

    run = tracklib.get_run("latest", project="digits")
    assert (run.status, run.params["hidden"], run.info.experiment) == ("completed", 32, "lightning")
    assert run.metrics["eval/accuracy"].count == 3
    assert run.metrics["test/accuracy"].last > 0.5
    assert {"train/loss", "train/lr", "train/samples_per_second"} <= run.metrics.keys()
    assert {artifact.type for artifact in run.artifacts} == {"checkpoint", "model"}
    assert {"best", "last"} <= set(tracklib.get_artifact("digits/model").aliases)


@pytest.mark.slow
def test_digits_hf_trainer() -> None:
    """The Hugging Face Trainer records its arguments, metrics and checkpoints."""
    run_example("digits_hf_trainer.py")

    run = tracklib.get_run("latest", project="digits")
    assert run.status == "completed"
    assert {"train/loss", "eval/loss", "train/train_runtime"} <= run.metrics.keys()
    assert {artifact.type for artifact in run.artifacts} == {"checkpoint", "model"}
    assert {"best", "last"} <= set(tracklib.get_artifact("digits/model").aliases)
