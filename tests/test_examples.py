"""The examples run as they stand, and record what they say."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import tracklib

EXAMPLES = Path(__file__).parents[1] / "examples"
QUICKLY = {
    "digits_torch.py": ["--epochs", "3", "--hidden", "32"],
}
"""Arguments by example, so that it takes seconds."""


def run_example(name: str) -> str:
    command = [sys.executable, "-W", "error", str(EXAMPLES / name), *QUICKLY[name]]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_example_is_tested() -> None:
    """No example stands there untried."""
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(QUICKLY)


@pytest.mark.slow
def test_digits_torch() -> None:
    """The PyTorch example records params, metrics, a figure, its output, and a model that PyTorch reads back."""
    printed = run_example("digits_torch.py")

    run = tracklib.get_run("latest", project="digits")
    state = torch.load(io.BytesIO(run.read_artifact("classifier")["state_dict.pt"]), weights_only=True)
    kept = {artifact.name: artifact.type for artifact in run.artifacts}
    assert (run.status, run.params["model"]["hidden"]) == ("completed", 32)
    assert run.metrics["train/loss"].count == 3 * 43  # 1,347 images in steps of 32
    assert run.series("eval/accuracy").values[-1] > 0.5
    assert kept == {"confusion": "figure", "classifier": "model"}
    assert run.console().splitlines() == printed.splitlines()
    assert state["0.weight"].shape == (32, 64)
