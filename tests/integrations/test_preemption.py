"""Trainings that a cluster interrupts: frameworks do then what they do without us, and the runs say what it was.

There is no Slurm here: its variables are set, its signals sent, and `scontrol` is a script that notes its arguments.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import tracklib
from tracklib.records import new_id

pytestmark = pytest.mark.slow

Script = Callable[..., Path]
Launch = Callable[..., subprocess.CompletedProcess[str]]

SLURM = {
    "SLURM_JOB_ID": "4711",
    "SLURM_JOB_NAME": "train",
    "SLURM_NTASKS": "1",
    "SLURM_PROCID": "0",
    "SLURM_LOCALID": "0",
    "SLURM_NODEID": "0",
    "SLURM_JOB_NODELIST": "localhost",
}

LIGHTNING = """
import os, signal, sys
import lightning.pytorch as pl
import torch
from torch.utils.data import DataLoader, TensorDataset

torch.set_num_threads(1)
SIGNALS = {int(at): getattr(signal, name) for at, name in (word.split("=") for word in sys.argv[2:])}

class Model(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = torch.nn.Linear(3, 1)
    def training_step(self, batch, batch_idx):
        loss = self.net(batch[0]).pow(2).mean()
        self.log("loss", loss)
        return loss
    def on_train_batch_end(self, outputs, batch, batch_idx):
        if batch_idx in SIGNALS:
            os.kill(os.getpid(), SIGNALS[batch_idx])
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)

def train(**options):
    data = DataLoader(TensorDataset(torch.ones(12, 3)), batch_size=1)
    trainer = pl.Trainer(accelerator="cpu", max_epochs=1, log_every_n_steps=1, enable_progress_bar=False,
                         enable_model_summary=False, enable_checkpointing=False, **options)
    trainer.fit(Model(), data)
    print("reached step", trainer.global_step, flush=True)

if sys.argv[1] == "plain":
    train(logger=False)
elif sys.argv[1] == "logger":
    from tracklib.integrations.lightning import TrackLogger
    train(logger=TrackLogger())
else:
    import tracklib
    from tracklib.integrations.lightning import TrackLogger
    with tracklib.start_run(name="around"):
        train(logger=TrackLogger())
"""


@pytest.fixture(name="train")
def _train(script: Script, finish: Launch, tmp_path: Path) -> Launch:
    """Return a function that trains with Lightning and sends itself signals behind batches, as in `3=SIGTERM`."""
    script(LIGHTNING)
    scontrol = script(f'#!/bin/sh\necho "$@" >> {tmp_path}/scontrol.txt\n', "bin/scontrol")
    scontrol.chmod(0o755)
    path = f"{scontrol.parent}:{os.environ['PATH']}"

    def train(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return finish([sys.executable, "-W", "ignore", "train.py", *words], PATH=path, **environ)

    return train


@pytest.mark.parametrize(("way", "environ"), [("within", {}), ("logger", SLURM)])
def test_a_terminated_training_ends_in_lightnings_way(train: Launch, way: str, environ: dict[str, str]) -> None:
    """It stops behind the batch, with the status that it has without us, and the run was killed by that signal."""
    plain = train("plain", "3=SIGTERM", **environ)

    done = train(way, "3=SIGTERM", **environ)

    run = tracklib.get_run("latest")
    assert (done.returncode, done.stdout) == (plain.returncode, plain.stdout)
    assert (run.status, run.info.reason) == ("killed", "SIGTERM")
    assert len(run.series("loss")) >= 3


def test_a_requeued_training_goes_on_with_its_run(train: Launch, tmp_path: Path) -> None:
    """Asked to make room it saves and is queued again; then it is killed; the next attempt completes the run."""
    job = {**SLURM, "TRACKLIB_RUN_ID": new_id()}
    killed = train("logger", "3=SIGUSR1", "6=SIGKILL", **job)
    before = tracklib.get_run(job["TRACKLIB_RUN_ID"])

    again = train("logger", **job)

    (run,) = tracklib.list_runs()
    assert killed.returncode == -9
    assert (tmp_path / "scontrol.txt").read_text() == "requeue 4711\n"
    assert (before.status, before.series("loss").steps.tolist()[:6]) == ("killed", [0, 1, 2, 3, 4, 5])
    assert (again.returncode, again.stdout) == (0, "reached step 12\n")
    assert (run.status, run.series("loss").steps.tolist()) == ("completed", list(range(12)))


TRANSFORMERS = """
import os, signal, sys, time
import torch
from torch import nn
from transformers import Trainer, TrainerCallback, TrainingArguments

torch.set_num_threads(1)

class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 2)
    def forward(self, x, labels=None):
        logits = self.layer(x)
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}

class Terminated(TrainerCallback):
    def on_step_begin(self, args, state, control, **kwargs):
        if state.global_step == 3:
            os.kill(os.getpid(), signal.SIGTERM)
            while not any(each.jit_manager.is_checkpoint_requested for each in handlers):
                time.sleep(0.1)

data = [{"x": torch.ones(4), "labels": i % 2} for i in range(64)]
args = TrainingArguments("out", max_steps=20, logging_steps=1, per_device_train_batch_size=2, use_cpu=True,
                         report_to="none", disable_tqdm=True, enable_jit_checkpoint=True)
callbacks = [Terminated()]
if sys.argv[1] == "tracked":
    from tracklib.integrations.transformers import TrackCallback
    callbacks.append(TrackCallback())
trainer = Trainer(Model(), args, train_dataset=data, callbacks=callbacks)
handlers = [each for each in trainer.callback_handler.callbacks if hasattr(each, "jit_manager")]
trainer.train()
print("reached step", trainer.state.global_step, sorted(os.listdir("out")))
"""


def test_a_trainer_that_saves_when_it_is_terminated(script: Script, finish: Launch) -> None:
    """It takes the signal for itself, stops and saves as ever; the run has every step and the checkpoint."""
    script(TRANSFORMERS)
    plain = finish([sys.executable, "-W", "ignore", "train.py", "plain"])

    done = finish([sys.executable, "-W", "ignore", "train.py", "tracked"])

    run = tracklib.get_run("latest")
    last = done.stdout.splitlines()[-1]
    assert (done.returncode, last) == (plain.returncode, plain.stdout.splitlines()[-1])
    assert last.startswith("reached step ")
    assert run.series("train/loss").steps.tolist() == list(range(1, int(last.split()[2]) + 1))
    assert run.status == "completed"
