"""What a Trainer's training leaves in its run: a program trains many times, and the tests read what it recorded."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import tracklib
from tracklib import StoredRun

if TYPE_CHECKING:
    from tracklib.model import Artifact

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
PROGRAM = """
import copy, os, pickle
import safetensors.torch
import torch, transformers
from tiny_transformers import Lines, Trainer, tiny_arguments, tiny_model, tiny_trainer
import tracklib
from tracklib.integrations.transformers import TrackCallback

def evaluates_and_predicts():
    every = {"eval_strategy": "steps", "eval_steps": 2, "save_strategy": "steps", "save_steps": 2}
    trainer = tiny_trainer(
        "language", TrackCallback(project="language", name="first", tags={"team": "vision"}),
        load_best_model_at_end=True, include_num_input_tokens_seen="all", gradient_accumulation_steps=2, **every,
    )
    trainer.evaluate()
    trainer.train()
    trainer.evaluate()
    trainer.predict(Lines(8))
    trainer.predict(Lines(8), metric_key_prefix="predict")

def by_name():
    tiny_trainer("named", report_to="tracklib", run_name="by-name", project="named").train()

def on_several_datasets():
    trainer = tiny_trainer("several", TrackCallback(project="several"), max_steps=1)
    trainer.evaluate({"news": Lines(4), "mail": Lines(4)})
    trainer.evaluate(metric_key_prefix="valid")

def smoothed():
    trainer = tiny_trainer("smoothed", TrackCallback(project="smoothed"), max_steps=1, label_smoothing_factor=0.1)
    trainer.evaluate()

def resumes():
    saving = {"save_strategy": "steps", "save_steps": 2}
    tiny_trainer("resumed", TrackCallback(project="resumed"), **saving).train()
    trainer = tiny_trainer("resumed", TrackCallback(project="resumed"), **{**saving, "max_steps": 6})
    trainer.train(resume_from_checkpoint=True)
    trainer = tiny_trainer("moved", TrackCallback(project="resumed"), max_steps=8,
                           resume_from_checkpoint="resumed/checkpoint-6")
    trainer.train(resume_from_checkpoint="resumed/checkpoint-6")

def trains_twice():
    trainer = tiny_trainer("twice", TrackCallback(project="twice"))
    trainer.train()
    trainer.train()

class RunsOutOfMemory(Trainer):
    def training_step(self, *arguments, **keywords):
        if self._train_batch_size > 2 and self.state.global_step:
            raise RuntimeError("CUDA out of memory. Tried to allocate")
        return super().training_step(*arguments, **keywords)

def finds_its_batch_size():
    trainer = tiny_trainer("batch", TrackCallback(project="batch"), kind=RunsOutOfMemory, auto_find_batch_size=True)
    trainer.train()

class Breaks(Trainer):
    broken = False
    def training_step(self, *arguments, **keywords):
        if self.state.global_step == 2 and not self.broken:
            self.broken = True
            raise ValueError("a bad batch")
        return super().training_step(*arguments, **keywords)

def breaks_and_goes_on():
    trainer = tiny_trainer("broken", TrackCallback(project="broken"), kind=Breaks, save_strategy="steps", save_steps=2)
    try:
        trainer.train()
    except ValueError:
        trainer.train()

def within_a_run():
    with tracklib.start_run(project="own", name="mine") as run:
        trainer = tiny_trainer("own", TrackCallback(project="not-this-one"))
        trainer.train()
        trainer.train()
        run.log({"after": 1})

def without_parts():
    parts = {"params", "speed", "perplexity", "checkpoints", "completions"}
    trainer = tiny_trainer("parts", TrackCallback(project="parts", omit=parts), save_strategy="steps", save_steps=2)
    trainer.train()
    trainer.evaluate()
    trainer = tiny_trainer("parts", TrackCallback(project="parts"), max_steps=6)
    trainer.train(resume_from_checkpoint=True)

def copies():
    tiny_trainer("copied", TrackCallback(project="copied"), save_strategy="steps", save_steps=2).train()
    os.environ["TRACKLIB_KEEP_CHECKPOINTS"] = "1"
    saving = {"eval_strategy": "steps", "eval_steps": 1, "save_strategy": "steps", "save_steps": 1}
    # It gets worse from step to step.
    tiny_trainer("some", TrackCallback(project="some"), metric_for_best_model="eval_loss", greater_is_better=True,
                 **saving, load_best_model_at_end=True).train()
    del os.environ["TRACKLIB_KEEP_CHECKPOINTS"]

def rotates():
    saving = {"eval_strategy": "steps", "eval_steps": 1, "save_strategy": "steps", "save_steps": 1}
    options = {"metric_for_best_model": "eval_loss", "greater_is_better": True, "load_best_model_at_end": True}
    tiny_trainer("rotated", TrackCallback(project="rotated"), save_total_limit=2, **saving, **options).train()
    tiny_trainer("one", TrackCallback(project="one"), save_total_limit=1, **saving, **options).train()

def loads():
    for run in tracklib.list_runs(project="language"):
        model = tracklib.load_model("language/model:best")
        state = model.state_dict()
        saved = safetensors.torch.load_file(f"{run.tags['best_checkpoint']}/model.safetensors")
        assert type(model).__name__ == "LlamaForCausalLM"
        assert all(torch.equal(state[name], tensor) for name, tensor in saved.items())

def is_copied():
    # A state that it saved would be missed in checkpoints from before it was added.
    assert not isinstance(TrackCallback(), transformers.trainer_callback.ExportableState)
    callback = TrackCallback(project="pickled")
    trainer = tiny_trainer("pickled", callback, max_steps=1, save_strategy="steps", save_steps=1)
    trainer.train()
    for number, twin in enumerate([pickle.loads(pickle.dumps(callback)), copy.deepcopy(callback)]):
        twin.on_log(trainer.args, trainer.state, trainer.control, logs={f"twin{number}": 1.0}, model=trainer.model)
    assert b"tracklib" not in open("pickled/checkpoint-1/training_args.bin", "rb").read()
    assert b"rack" not in open("pickled/checkpoint-1/trainer_state.json", "rb").read()

def searches():
    import optuna
    optuna.logging.set_verbosity(optuna.logging.ERROR)

    class PrunesTheSecond(optuna.pruners.BasePruner):
        def prune(self, study, trial):
            return trial.number == 1

    trainer = Trainer(
        model_init=lambda trial: tiny_model(), train_dataset=Lines(), eval_dataset=Lines(8),
        args=tiny_arguments("search", eval_strategy="steps", eval_steps=2, save_strategy="steps", save_steps=4),
        callbacks=[TrackCallback(project="search", name="sweep")],
    )
    trainer.hyperparameter_search(
        lambda trial: {"learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-2)},
        n_trials=3, backend="optuna", pruner=PrunesTheSecond(),
    )

for scenario in (
    evaluates_and_predicts, by_name, on_several_datasets, smoothed, resumes, trains_twice, finds_its_batch_size,
    breaks_and_goes_on, within_a_run, without_parts, is_copied, searches, rotates, loads,
):
    scenario()
os.environ["TRACKLIB_LOG_MODELS"] = "all"
copies()
os.environ["TRACKLIB_LOG_MODELS"] = "reference"
tiny_trainer("noted", TrackCallback(project="noted"), save_strategy="steps", save_steps=2).train()
os.environ["TRACKLIB_LOG_MODELS"] = "off"
tiny_trainer("off", TrackCallback(project="off"), save_strategy="steps", save_steps=2).train()
del os.environ["TRACKLIB_LOG_MODELS"]
os.environ["TRACKLIB_MODE"] = "disabled"
tiny_trainer("disabled", TrackCallback(project="disabled")).train()
os.environ["TRACKLIB_MODE"] = "online"

class BreaksForGood(Trainer):
    def training_step(self, *arguments, **keywords):
        if self.state.global_step == 2:
            raise ValueError("a bad batch")
        return super().training_step(*arguments, **keywords)

tiny_trainer("uncaught", TrackCallback(project="uncaught"), kind=BreaksForGood, save_strategy="steps",
             save_steps=1).train()
"""


def run_program(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the program in a folder, which gets a store; what it records unasked is little."""
    silent = {f"TRACKLIB_{name}": "0" for name in ("AUTO_LOG_GIT", "AUTO_LOG_ENV", "AUTO_LOG_CONSOLE")}
    settings = {"TRACKLIB_STORE": store_of(folder), "TRACKLIB_SYSTEM_INTERVAL": "0", "HF_HUB_OFFLINE": "1", **silent}
    folder.joinpath("program.py").write_text(PROGRAM)
    environment = {**os.environ, "PYTHONPATH": str(HERE), **settings}
    command = [sys.executable, "-W", "ignore", "program.py"]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=280
    )


def store_of(folder: Path) -> str:
    return f"sqlite:///{folder}/runs.db"


@pytest.fixture(scope="module", name="folder")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("transformers")
    done = run_program(folder)
    assert done.stderr.rstrip().endswith("ValueError: a bad batch"), done.stdout + done.stderr
    assert "the training goes on" not in done.stderr, done.stderr
    return folder


def runs_of(folder: Path, project: str) -> list[StoredRun]:
    """Return the runs of a project, the oldest first."""
    return tracklib.list_runs(store=store_of(folder), project=project)[::-1]


def run_of(folder: Path, project: str) -> StoredRun:
    (run,) = runs_of(folder, project)
    return run


def kept(run: StoredRun) -> list[Artifact]:
    return [artifact for artifact in run.artifacts if not artifact.is_reference]


def test_evaluations_before_and_after_belong_to_the_run_of_the_training(folder: Path) -> None:
    """One run has the evaluations before, during and after the training, and the prediction, by their steps."""
    run = run_of(folder, "language")

    assert (run.name, run.status, run.tags["team"]) == ("first", "completed", "vision")
    assert run.series("eval/loss").steps.tolist() == [0, 2, 4]
    assert run.series("eval/loss", every=True).steps.tolist() == [0, 2, 4, 4]
    assert run.series("train/loss").steps.tolist() == [1, 2, 3, 4]
    assert (run.metrics["test/loss"].last_step, run.metrics["predict/loss"].last_step) == (4, 4)


def test_metrics_have_the_names_that_other_trackers_give_them(folder: Path) -> None:
    """What the Trainer logs is there under its usual names, the numbers of the end too, and nothing is unnamed."""
    names = set(run_of(folder, "language").metrics)

    assert {"train/grad_norm", "train/learning_rate", "train/epoch", "eval/runtime", "test/samples_per_second"} <= names
    assert {"train/train_runtime", "train/train_loss", "train/total_flos", "train/train_samples_per_second"} <= names
    assert {name.partition("/")[0] for name in names} == {"train", "eval", "test", "predict"}


def test_perplexity_stands_beside_the_loss_of_a_language_model(folder: Path) -> None:
    """It is the exponential of the loss of each evaluation, whatever that is called."""
    run, several = run_of(folder, "language"), run_of(folder, "several")

    assert run.metrics["eval/perplexity"].last == pytest.approx(math.exp(run.metrics["eval/loss"].last))
    assert run.metrics["test/perplexity"].count == 1
    assert {"eval/news_perplexity", "eval/mail_perplexity", "valid/perplexity"} <= set(several.metrics)


def test_a_smoothed_loss_gives_no_perplexity(folder: Path) -> None:
    """With label smoothing the loss is no cross-entropy."""
    names = set(run_of(folder, "smoothed").metrics)

    assert "eval/loss" in names
    assert "eval/perplexity" not in names


def test_several_datasets_are_told_apart(folder: Path) -> None:
    """Metrics of an evaluation on several datasets carry the name of theirs, and a prefix of one's own is a context."""
    names = set(run_of(folder, "several").metrics)

    assert {"eval/news_loss", "eval/mail_loss", "eval/news_runtime", "valid/loss", "valid/runtime"} <= names
    assert "train/valid_loss" not in names


def test_speed_is_measured_from_log_to_log(folder: Path) -> None:
    """Step times, samples and tokens per second fit together: 8 tokens in a sample, 8 samples in a step."""
    run = run_of(folder, "language")

    time_s = run.series("train/step_time_s").values
    samples = run.series("train/samples_per_second").values
    tokens = run.series("train/tokens_per_second").values
    assert len(time_s) == 4
    assert (samples * time_s).tolist() == pytest.approx([8.0] * 4)
    assert (tokens / samples[-len(tokens) :]).tolist() == pytest.approx([8.0] * len(tokens))


def test_arguments_and_model_are_params(folder: Path) -> None:
    """The params are the arguments, the model's configuration, its size, and the number of examples."""
    params = run_of(folder, "language").params

    assert (params["training"]["gradient_accumulation_steps"], params["training"]["max_steps"]) == (2, 4)
    assert (params["model"]["class"], params["model"]["hidden_size"]) == ("LlamaForCausalLM", 16)
    assert params["parameters"] == {"total": 2864, "trainable": 2864}
    assert params["data"] == {"train_examples": 32}


def test_checkpoints_are_noted_and_the_best_model_is_kept(folder: Path) -> None:
    """Checkpoints are references with checksums; of the best one, the files of the model are copied."""
    run = run_of(folder, "language")

    noted = [artifact for artifact in run.artifacts if artifact.type == "checkpoint"]
    paths = [str(folder / "language" / f"checkpoint-{step}") for step in (2, 4)]
    assert [(artifact.path, artifact.step) for artifact in noted] == [(paths[0], 2), (paths[1], 4)]
    assert all(artifact.is_reference and artifact.checksum for artifact in noted)
    assert set(run.read_artifact("model")) == {"config.json", "generation_config.json", "model.safetensors"}
    assert run.tags["best_checkpoint"] in paths
    assert run.series("eval/best_loss").values[-1] == min(run.series("eval/loss").values[1:])


def test_the_best_and_the_last_model_are_one_where_they_are_the_same(folder: Path) -> None:
    """With both names, and the score by which it is the best: of a loss the negative."""
    (model,) = kept(run_of(folder, "language"))

    assert (model.step, set(model.aliases), model.metadata["format"]) == (4, {"best", "last"}, "pretrained")
    assert model.score == -model.metadata["score"] < 0
    assert model.metadata["checkpoint"] == run_of(folder, "language").tags["best_checkpoint"]


def test_the_best_and_the_last_model_are_kept(folder: Path) -> None:
    """As two versions of the model: here the first is the best one."""
    best, last = kept(run_of(folder, "rotated"))

    assert ((best.step, best.aliases), (last.step, last.aliases)) == ((1, ("best",)), (4, ("last",)))
    assert best.score == best.metadata["score"] > 0
    store = store_of(folder)
    assert tracklib.get_artifact("rotated/model:best", store=store).version == best.version
    assert tracklib.get_artifact("rotated/model", store=store).version == last.version


def test_what_the_trainer_has_deleted_is_not_kept(folder: Path) -> None:
    """With `save_total_limit=1` only the best one is there in the end."""
    (model,) = kept(run_of(folder, "one"))

    assert (model.step, model.aliases) == (1, ("best",))


def test_report_to_takes_the_name(folder: Path) -> None:
    """`report_to="tracklib"` is enough where the module was imported; name and project come from the arguments."""
    run = run_of(folder, "named")

    assert (run.name, run.metrics["train/loss"].count) == ("by-name", 4)


def test_a_training_from_a_checkpoint_goes_on_with_its_run(folder: Path) -> None:
    """The run of a checkpoint is found by its path, in the same folder and, by the arguments, in another one."""
    run = run_of(folder, "resumed")

    assert run.status == "completed"
    assert run.series("train/loss").steps.tolist() == list(range(1, 9))
    assert run.metrics["train/loss"].count == 8


def test_the_next_training_is_a_run_of_its_own(folder: Path) -> None:
    """A Trainer that trains anew begins a new run."""
    first, second = runs_of(folder, "twice")

    assert (first.status, second.status) == ("completed", "completed")
    assert (first.metrics["train/loss"].count, second.metrics["train/loss"].count) == (4, 4)


def test_a_search_for_the_batch_size_stays_in_its_run(folder: Path) -> None:
    """Where the Trainer begins anew with smaller batches, the run goes on, and later values count."""
    run = run_of(folder, "batch")

    assert (run.status, run.tags["restarts"]) == ("completed", "2")  # With 3 and 2
    assert run.params["training"]["train_batch_size"] == 2
    assert run.series("train/loss").steps.tolist() == [1, 2, 3, 4]


def test_a_training_that_broke_off_has_failed_when_another_begins(folder: Path) -> None:
    """Where the program caught the exception and trained anew, the first run says so."""
    first, second = runs_of(folder, "broken")

    assert (first.status, second.status) == ("failed", "completed")
    assert first.error is not None
    assert "broke off" in first.error.message
    assert [(each.step, each.aliases) for each in kept(first)] == [(2, ("last",))]


def test_the_active_run_is_taken_and_left_open(folder: Path) -> None:
    """Within a run of the program everything goes to that one, and its end is the program's."""
    run = run_of(folder, "own")

    assert (run.name, run.status, run.metrics["after"].last) == ("mine", "completed", 1)
    assert run.metrics["train/loss"].count == 8
    assert runs_of(folder, "not-this-one") == []


def test_each_part_can_be_left_out(folder: Path) -> None:
    """Without all parts, the metrics of the Trainer remain, and the run of a checkpoint is found all the same."""
    run = run_of(folder, "parts")

    names = set(run.metrics)
    assert {"train/loss", "eval/loss"} <= names
    assert run.series("train/loss").steps.tolist() == [1, 2, 3, 4, 5, 6]
    assert "eval/perplexity" not in names
    assert run.metrics["train/step_time_s"].first_step > 4


def test_checkpoints_are_copied_where_that_is_asked_for(folder: Path) -> None:
    """With `log_models=all`, the store has each checkpoint whole, and the model in the end."""
    run = run_of(folder, "copied")

    files = run.read_artifact("checkpoint", version=1)
    assert files["optimizer.pt"] == (folder / "copied" / "checkpoint-4" / "optimizer.pt").read_bytes()
    assert [(each.name, each.step) for each in kept(run)] == [("checkpoint", 2), ("checkpoint", 4), ("model", 4)]


def test_older_copies_are_given_up(folder: Path) -> None:
    """The newest ones stay, as many as are asked for, and the best one."""
    found = [(each.name, each.step) for each in kept(run_of(folder, "some"))]

    assert found == [("checkpoint", 1), ("checkpoint", 4), ("model", 1), ("model", 4)]


def test_checkpoints_are_only_noted_where_that_is_asked_for(folder: Path) -> None:
    """With `log_models=reference`; and with `off` not even that."""
    assert [each.is_reference for each in run_of(folder, "noted").artifacts] == [True, True]
    assert run_of(folder, "off").artifacts == []


def test_copies_of_the_callback_report_to_its_run(folder: Path) -> None:
    """A callback that was pickled, or deeply copied, with an open run, logs to that one."""
    run = run_of(folder, "pickled")

    assert (run.metrics["train/twin0"].count, run.metrics["train/twin1"].count) == (1, 1)


def test_trials_of_a_search_are_nested_runs(folder: Path) -> None:
    """Each trial is a run within that of the search, with its own params, checkpoints and end."""
    sweep, *trials = runs_of(folder, "search")

    found = [artifact.path for trial in trials for artifact in trial.artifacts if artifact.type == "checkpoint"]
    assert (sweep.name, sweep.status) == ("sweep", "completed")
    assert [trial.name for trial in trials] == ["trial-0", "trial-1", "trial-2"]
    assert {trial.info.parent for trial in trials} == {sweep.id}
    assert len({trial.params["trial"]["learning_rate"] for trial in trials}) == 3
    assert all(trial.params["training"]["learning_rate"] == trial.params["trial"]["learning_rate"] for trial in trials)
    assert [trial.tags.get("pruned") for trial in trials] == [None, "true", None]
    assert found == [str(folder / "search" / f"run-{number}" / "checkpoint-4") for number in (0, 2)]


def test_nothing_is_recorded_where_tracklib_is_switched_off(folder: Path) -> None:
    """In disabled mode a training with the callback leaves no run."""
    projects = {run.project for run in tracklib.list_runs(store=store_of(folder))}

    assert "language" in projects
    assert "disabled" not in projects


def test_a_training_that_raises_ends_its_program_as_a_failed_run(folder: Path) -> None:
    """An exception that nobody catches is the run's, though no callback has seen it."""
    run = run_of(folder, "uncaught")

    assert (run.status, run.metrics["train/loss"].count) == ("failed", 2)
    assert run.error is not None
    assert (run.error.type, run.error.message) == ("ValueError", "a bad batch")
    assert "training_step" in run.error.traceback
    assert [(each.name, each.step) for each in kept(run)] == [("model", 2)]
