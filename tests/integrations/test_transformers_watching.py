"""Trainers that report unasked: what is put around their class, and what other callbacks are marked with."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import tracklib
from tracklib import StoredRun

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
PROGRAM = """
import inspect, pickle
import transformers
from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK
from tiny_transformers import Trainer, tiny_arguments, tiny_model, tiny_trainer, Lines
import tracklib
from tracklib.integrations.patching import Patches
from tracklib.integrations.session import is_framework_speaking
from tracklib.integrations.transformers import TrackCallback
from tracklib.integrations.transformers_watching import mute_other_callbacks, watch_trainer_class

class OtherTracker(transformers.TrainerCallback):
    heard = []
    def on_log(self, *arguments, **keywords):
        self.heard.append(is_framework_speaking())

class OfTheProgram(transformers.TrainerCallback):
    heard = []
    def on_log(self, *arguments, **keywords):
        self.heard.append(is_framework_speaking())

class Breaks(Trainer):
    error = ValueError("a bad batch")
    def training_step(self, *arguments, **keywords):
        if self.state.global_step == 2:
            raise self.error
        return super().training_step(*arguments, **keywords)

class Interrupted(Breaks):
    error = KeyboardInterrupt()

originals = {name: inspect.getattr_static(Trainer, name) for name in ("__init__", "train", "_save_checkpoint")}
INTEGRATION_TO_CALLBACK["other"] = OtherTracker
patches = Patches()
watch_trainer_class(Trainer, patches)
mute_other_callbacks(patches)
patches_twice = Patches()
watch_trainer_class(Trainer, patches_twice)
assert inspect.signature(Trainer.train) == inspect.signature(originals["train"])
assert pickle.loads(pickle.dumps(Trainer.train)) is Trainer.train

def track_callbacks(trainer):
    return [each for each in trainer.callback_handler.callbacks if isinstance(each, TrackCallback)]

trainer = tiny_trainer("plain", OfTheProgram(), report_to="other", run_name="unasked", project="plain",
                       save_strategy="steps", save_steps=2)
assert len(track_callbacks(trainer)) == 1
trainer.train()
assert OtherTracker.heard and all(OtherTracker.heard), OtherTracker.heard
assert OfTheProgram.heard and not any(OfTheProgram.heard), OfTheProgram.heard

assert len(track_callbacks(tiny_trainer("own", TrackCallback(project="own")))) == 1
assert len(track_callbacks(tiny_trainer("own", report_to="tracklib"))) == 1
trainer = tiny_trainer("own")
trainer.add_callback(TrackCallback(project="own"))
trainer.train()
assert len(track_callbacks(trainer)) == 1

for kind in (Breaks, Interrupted):
    trainer = tiny_trainer("broken", kind=kind, project=f"broken-{kind.__name__}")
    try:
        trainer.train()
    except (ValueError, KeyboardInterrupt) as error:
        assert error is kind.error
    else:
        raise AssertionError("it was swallowed")
    trainer.evaluate()

tiny_trainer("elsewhere", project="moved", save_strategy="steps", save_steps=2).train()
tiny_trainer("here", project="moved", max_steps=6).train(resume_from_checkpoint="elsewhere/checkpoint-4")

import optuna
optuna.logging.set_verbosity(optuna.logging.ERROR)
searching = Trainer(
    model_init=lambda trial: tiny_model(), train_dataset=Lines(), eval_dataset=Lines(8),
    args=tiny_arguments("search", project="search", save_strategy="steps", save_steps=2),
)
searching.hyperparameter_search(
    lambda trial: {"learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-2)},
    n_trials=2, backend="optuna", hp_name=lambda trial: f"lr{trial.number}/x",
)

patches.undo()
patches_twice.undo()
for name, original in originals.items():
    assert inspect.getattr_static(Trainer, name) is original, name
assert track_callbacks(tiny_trainer("after")) == []
"""


@pytest.fixture(scope="module", name="folder")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("watching")
    folder.joinpath("program.py").write_text(PROGRAM)
    settings = {"TRACKLIB_STORE": f"sqlite:///{folder}/runs.db", "TRACKLIB_SYSTEM_INTERVAL": "0", "HF_HUB_OFFLINE": "1"}
    environment = {**os.environ, "PYTHONPATH": str(HERE), "TRACKLIB_AUTO_LOG_GIT": "0", **settings}
    command = [sys.executable, "-W", "ignore", "program.py"]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=280
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the training goes on" not in done.stderr, done.stderr
    return folder


def runs_of(folder: Path, project: str) -> list[StoredRun]:
    """Return the runs of a project, the oldest first."""
    return tracklib.list_runs(store=f"sqlite:///{folder}/runs.db", project=project)[::-1]


def run_of(folder: Path, project: str) -> StoredRun:
    (run,) = runs_of(folder, project)
    return run


def test_a_trainer_reports_without_a_word_in_the_program(folder: Path) -> None:
    """Each Trainer gets the callback, and takes name and project from its arguments."""
    run = run_of(folder, "plain")

    assert (run.name, run.status, run.metrics["train/loss"].count) == ("unasked", "completed", 4)
    assert [artifact.step for artifact in run.artifacts if artifact.type == "checkpoint"] == [2, 4]


def test_the_callback_of_the_program_is_the_only_one(folder: Path) -> None:
    """Where the program adds its own, also later, nothing is recorded twice."""
    run = run_of(folder, "own")

    assert run.metrics["train/loss"].count == 4


def test_an_exception_is_that_of_the_run(folder: Path) -> None:
    """The run has failed with the exception, though the program caught it, and an evaluation changes nothing."""
    run = run_of(folder, "broken-Breaks")

    assert (run.status, run.metrics["eval/loss"].count) == ("failed", 1)
    assert run.error is not None
    assert (run.error.type, run.error.message) == ("ValueError", "a bad batch")


def test_an_interrupted_training_was_killed(folder: Path) -> None:
    """A KeyboardInterrupt ends the run as killed."""
    run = run_of(folder, "broken-Interrupted")

    assert run.status == "killed"


def test_a_checkpoint_in_another_folder_is_gone_on_from(folder: Path) -> None:
    """What `train` was given is known, so its run is found wherever the checkpoint lies."""
    run = run_of(folder, "moved")

    assert run.series("train/loss").steps.tolist() == [1, 2, 3, 4, 5, 6]


def test_trials_note_the_exact_paths_of_their_checkpoints(folder: Path) -> None:
    """The folder of a trial may have any name."""
    _, *trials = runs_of(folder, "search")

    paths = [[artifact.path for artifact in trial.artifacts] for trial in trials]
    folders = [folder / "search" / trial for trial in ("lr0/x", "lr1/x")]
    assert [trial.name for trial in trials] == ["lr0/x", "lr1/x"]
    assert paths == [[str(each / "checkpoint-2"), str(each / "checkpoint-4")] for each in folders]
