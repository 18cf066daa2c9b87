"""Frameworks whose launchers start several processes: all of them are one run, and rank 0 speaks for all."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import tracklib

pytestmark = pytest.mark.slow

Script = Callable[..., Path]
Launch = Callable[..., subprocess.CompletedProcess[str]]
BIN = Path(sys.executable).parent
ONE_THREAD = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore"}

ACCELERATE = """
import torch
import tracklib.integrations.accelerate
from accelerate import Accelerator

accelerator = Accelerator(cpu=True, log_with="tracklib")
accelerator.init_trackers("digits", config={"lr": 0.1})
for step in range(3):
    value = accelerator.gather(torch.tensor([float(accelerator.process_index)])).sum()
    accelerator.log({"sum": value.item() + step}, step=step)
accelerator.end_training()
"""

TRAINER = """
import torch
from torch import nn
from transformers import Trainer, TrainingArguments
from tracklib.integrations.transformers import TrackCallback

torch.set_num_threads(1)

class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 2)
    def forward(self, x, labels=None):
        logits = self.layer(x)
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}

data = [{"x": torch.randn(4), "labels": i % 2} for i in range(16)]
args = TrainingArguments("out", max_steps=3, logging_steps=1, save_steps=3, per_device_train_batch_size=2,
                         use_cpu=True, report_to="none", disable_tqdm=True)
Trainer(Model(), args, train_dataset=data, callbacks=[TrackCallback(project="digits")]).train()
"""


def ranks(run: tracklib.StoredRun) -> list[int]:
    """Return the ranks of the processes that took part."""
    return sorted(writer.rank for writer in run.info.writers)


def test_accelerate_launch(script: Script, finish: Launch) -> None:
    """Config and values are recorded once, by the tracker of the main process."""
    script(ACCELERATE)
    command = [str(BIN / "accelerate"), "launch", "--multi_gpu", "--num_processes", "2", "train.py"]

    done = finish(command, **ONE_THREAD)

    assert done.returncode == 0, done.stderr
    (run,) = tracklib.list_runs()
    assert (run.info.project, run.params, run.status) == ("digits", {"lr": 0.1}, "completed")
    assert run.series("sum").values.tolist() == [1.0, 2.0, 3.0]


def test_a_trainer_under_torchrun(script: Script, finish: Launch) -> None:
    """Metrics and checkpoints are recorded once; the other rank shows that it was there."""
    script(TRAINER)

    done = finish([str(BIN / "torchrun"), "--nproc-per-node", "2", "train.py"], **ONE_THREAD)

    assert done.returncode == 0, done.stderr
    (run,) = tracklib.list_runs()
    assert (run.info.project, run.status, ranks(run)) == ("digits", "completed", [0, 1])
    assert run.series("train/loss").steps.tolist() == [1, 2, 3]
    assert [artifact.step for artifact in run.artifacts if artifact.type == "checkpoint"] == [3]


def test_a_trainer_under_torchrun_that_knows_nothing(script: Script, launch: Launch) -> None:
    """With `tracklib run` before the launcher it is the same."""
    script(TRAINER.replace(', callbacks=[TrackCallback(project="digits")]', "").replace("from tracklib", "# from"))

    done = launch("--", str(BIN / "torchrun"), "--nproc-per-node", "2", "train.py", **ONE_THREAD)

    assert done.returncode == 0, done.stderr
    (run,) = tracklib.list_runs()
    assert (run.status, ranks(run)) == ("completed", [0, 1])
    assert run.series("train/loss").steps.tolist() == [1, 2, 3]
