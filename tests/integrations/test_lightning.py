"""Lightning trainings of both packages leave what they should, and go the way they would without tracklib.

One process for each package trains in the ways that `programs/lightning_ways.py` knows; the tests look at its store.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import torch

import tracklib
from tracklib import StoredRun

if TYPE_CHECKING:
    from tracklib.model import Artifact

pytestmark = pytest.mark.slow

PROGRAM = Path(__file__).parent / "programs" / "lightning_ways.py"
PATIENCE_SECONDS = 280.0
QUIET = {"TRACKLIB_SYSTEM_INTERVAL": "0", "TRACKLIB_AUTO_LOG_GIT": "0", "TRACKLIB_AUTO_LOG_ENV": "0"}
OTHER_PACKAGE = ("logger", "callback", "unasked", "failed", "cli", "fabric", "muted")
LOGGED = {
    "train_loss_step": [1, 3, 5, 7],
    "train_loss_epoch": [3, 7],
    "late": [3, 7],
    "val/loss": [3, 7],
    "test_loss": [8],
    "epoch": [1, 3, 5, 7, 8],
    "train/lr/net": [1, 3, 5, 7],
    "train/lr/head": [1, 3, 5, 7],
    "train/step_time_s": [1, 3, 5, 7],
    "train/samples_per_second": [1, 3, 5, 7],
}
"""Metrics of two epochs of four steps with a test, and the steps of their points."""


class Trained(NamedTuple):
    """What a program has done: its own report by way, its store, and what it said."""

    reports: dict[str, Any]
    store: str
    said: str

    def run(self, project: str) -> StoredRun:
        (run,) = tracklib.list_runs(project=project, store=self.store)
        return run

    def count(self, project: str) -> int:
        return len(tracklib.list_runs(project=project, store=self.store))


def trained(folder: Path, package: str, *ways: str) -> Trained:
    store = f"sqlite:///{folder}/runs.db"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(PROGRAM), package, str(folder / "reports.json"), *ways],
        cwd=folder,
        env={**os.environ, **QUIET, "TRACKLIB_STORE": store},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return Trained(json.loads((folder / "reports.json").read_text()), store, done.stdout + done.stderr)


@pytest.fixture(scope="module", name="all_ways")
def _all_ways(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return trained(tmp_path_factory.mktemp("lightning"), "lightning.pytorch")


@pytest.fixture(scope="module", name="other_ways")
def _other_ways(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return trained(tmp_path_factory.mktemp("pytorch_lightning"), "pytorch_lightning", *OTHER_PACKAGE)


@pytest.fixture(params=["lightning", "pytorch_lightning"], name="done")
def _done(request: pytest.FixtureRequest) -> Trained:
    found: Trained = request.getfixturevalue("all_ways" if request.param == "lightning" else "other_ways")
    return found


def steps_of(run: StoredRun) -> dict[str, list[int]]:
    return {name: run.series(name).steps.tolist() for name in run.metrics if not name.startswith("system/")}


def artifacts_of(run: StoredRun) -> list[tuple[str, str, str]]:
    """Return name, type and the name of the file, by time."""
    return [(each.name, each.type, Path(each.path).name) for each in run.artifacts]


def stored(run: StoredRun) -> list[Artifact]:
    return [each for each in run.artifacts if not each.is_reference]


# ---- what is recorded


@pytest.mark.parametrize("way", ["logger", "callback"])
def test_metrics_have_the_names_and_steps_that_lightning_gives(done: Trained, way: str) -> None:
    """The logger gets them from Lightning; the callback reads the same where there is no logger."""
    assert steps_of(done.run(way)) == LOGGED


def test_logger_and_callback_record_the_same_values(done: Trained) -> None:
    """Whether Lightning tells them or they are read."""
    logged, read = done.run("logger"), done.run("callback")

    names = [name for name in LOGGED if name not in {"train/step_time_s", "train/samples_per_second"}]
    for name in names:
        assert logged.series(name).values.tolist() == read.series(name).values.tolist()


@pytest.mark.parametrize("way", ["logger", "callback"])
def test_the_configuration_is_recorded(done: Trained, way: str) -> None:
    """Hyper-parameters as they are, and what trainer, model, optimizer, schedule and data are like."""
    params = done.run(way).params

    assert (params["lr"], params["fail_at"]) == (0.1, -1)
    found = params["lightning"]
    assert found["model"]["class"].endswith("Model")
    assert (found["model"]["parameters"], found["model"]["trainable_parameters"]) == (21, 21)
    assert found["model"]["layers"]["head"] == {"class": "Linear", "parameters": 5}
    assert found["trainer"]["strategy"] == "SingleDeviceStrategy"
    trainer = {name: found["trainer"][name] for name in ("precision", "num_devices", "num_nodes", "max_epochs")}
    assert trainer == {"precision": "32-true", "num_devices": 1, "num_nodes": 1, "max_epochs": 2}
    assert found["trainer"]["accumulate_grad_batches"] == 1
    optimizer = found["optimizer"]
    assert (optimizer["class"], optimizer["lr"], optimizer["weight_decay"]) == ("AdamW", 0.1, 0.01)
    assert optimizer["group_2"] == {"name": "head", "lr": 0.05}
    assert (found["scheduler"]["class"], found["scheduler"]["gamma"]) == ("StepLR", 0.5)
    assert found["data"]["train"] == {"samples": 16, "batch_size": 4, "batches": 4}
    assert found["data"]["val"] == {"samples": 16, "batch_size": 4, "batches": 4}


@pytest.mark.parametrize("way", ["logger", "callback"])
def test_checkpoints_are_noted_and_the_last_is_kept(done: Trained, way: str) -> None:
    """A note has path and checksum; what is kept can be loaded, and the tags say where it was."""
    run = done.run(way)

    assert artifacts_of(run) == [
        ("checkpoint", "checkpoint", "epoch=0-step=4.ckpt"),
        ("checkpoint", "checkpoint", "epoch=1-step=8.ckpt"),
        ("model", "model", "epoch=1-step=8.ckpt"),
    ]
    _, noted, kept = run.artifacts
    assert (noted.step, noted.is_reference, Path(noted.path).is_absolute()) == (8, True, True)
    assert noted.checksum == kept.checksum
    assert (kept.step, kept.aliases, kept.is_reference) == (8, ("last",), False)
    state = torch.load(io.BytesIO(run.read_artifact("model")["epoch=1-step=8.ckpt"]), weights_only=False)
    assert set(state["state_dict"]) == {"net.weight", "net.bias", "head.weight", "head.bias"}
    assert run.tags["best_model_path"] == noted.path


def test_a_model_is_loaded_back(done: Trained) -> None:
    """As one of its class, made with the hyper-parameters that it had, with the weights that it had in the end."""
    assert done.reports["logger"]["again"] == ["Model", done.reports["logger"]["weights"]]


def test_the_score_of_a_checkpoint_is_recorded(all_ways: Trained) -> None:
    """Where one is monitored; a loss as its negative, since the higher score is the better one."""
    run = all_ways.run("last")
    (best,) = stored(run)

    assert Path(best.path).name == "epoch=1-step=8.ckpt"
    assert best.metadata["monitor"] == "val/loss"
    assert best.metadata["score"] == pytest.approx(run.metrics["val/loss"].last)
    assert best.score == pytest.approx(-run.metrics["val/loss"].min)
    assert float(run.tags["best_model_score"]) == pytest.approx(run.metrics["val/loss"].min)


@pytest.mark.parametrize("way", ["last", "last-callback"])
def test_a_checkpoint_that_is_written_again_is_noted_again(all_ways: Trained, way: str) -> None:
    """As `last.ckpt` is. In the end it is the best one as well, which is stored once."""
    run = all_ways.run(way)
    (kept,) = stored(run)

    assert sum(path == "last.ckpt" for _, _, path in artifacts_of(run)) == 2
    assert set(kept.aliases) == {"best", "last"}


def test_the_best_by_each_monitored_value_is_kept(all_ways: Trained) -> None:
    """By the first one as `model`, by others under names of their own; a worse training takes only `last`."""
    losses, epochs = zip(*all_ways.reports["monitored"]["scores"], strict=True)
    store = all_ways.store
    good, bad = tracklib.list_runs(project="monitored", store=store, descending=False)

    best = tracklib.get_artifact("monitored/model:best", store=store)
    assert losses[0] < losses[1]
    assert best.run == good.id
    assert best.info.score == pytest.approx(-losses[0])
    assert tracklib.get_artifact("monitored/model:last", store=store).run == bad.id
    late = tracklib.get_artifact("monitored/model-late:best", store=store)
    assert (late.info.score, epochs, late.metadata["monitor"]) == (1.0, (1.0, 1.0), "late")


def test_an_asynchronous_checkpoint_is_noted_when_it_is_there(all_ways: Trained) -> None:
    """Its file is written behind the call."""
    *_, noted, kept = all_ways.run("asynchronous").artifacts

    assert (Path(noted.path).name, noted.is_reference) == ("epoch=1-step=8.ckpt", True)
    assert noted.checksum == kept.checksum != ""


def test_a_sharded_checkpoint_is_noted_with_all_of_its_files(all_ways: Trained) -> None:
    """It is a folder."""
    run = all_ways.run("sharded")
    *_, noted, _ = run.artifacts

    assert [each.path for each in noted.files] == ["shard-0.pt", "shard-1.pt"]
    assert set(run.read_artifact("model")) == {"shard-0.pt", "shard-1.pt"}


def test_a_remote_checkpoint_is_noted_by_its_url(all_ways: Trained) -> None:
    """Nobody looks there."""
    (noted,) = all_ways.run("remote").artifacts

    assert (noted.path, noted.step) == ("s3://bucket/epoch=1.ckpt", 8)


@pytest.mark.parametrize(
    ("project", "noted", "copied"),
    [
        ("models-all", [], ["checkpoint", "checkpoint", "model"]),
        ("models-reference", ["checkpoint", "checkpoint"], []),
        ("models-off", [], []),
        ("models-none", [], []),
    ],
)
def test_the_setting_says_which_models_are_kept(
    all_ways: Trained, project: str, noted: list[str], copied: list[str]
) -> None:
    """All of them, only where they are, or none."""
    run = all_ways.run(project)

    assert [each.name for each in run.artifacts if each.is_reference] == noted
    assert [each.name for each in stored(run)] == copied


def test_as_many_checkpoints_as_asked_for_stay(all_ways: Trained) -> None:
    """The newest, and the best one: here it is the first."""
    run = all_ways.run("models-kept")

    kept = [(each.name, Path(each.path).name, each.score) for each in stored(run)]
    assert kept == [
        ("checkpoint", "epoch=0-step=4.ckpt", 0.0),
        ("checkpoint", "epoch=2-step=12.ckpt", -2.0),
        ("model", "epoch=0-step=4.ckpt", 0.0),
        ("model", "epoch=2-step=12.ckpt", None),
    ]


# ---- how a run ends


def test_a_test_belongs_to_the_run_of_the_training(done: Trained) -> None:
    """The end of the training is not the end of the run, though it says how it stands."""
    run = done.run("logger")

    assert done.reports["logger"]["after fit"] == run.status == "completed"
    assert run.info.id == done.reports["logger"]["version"]


def test_a_failed_training_shows_its_exception(done: Trained) -> None:
    """A test that goes well afterwards does not heal it."""
    run = done.run("failed")

    assert (run.status, run.metrics["test_loss"].count) == ("failed", 1)
    assert run.error is not None
    assert (run.error.type, run.error.message) == ("ValueError", "the loss is gone")
    assert "training_step" in run.error.traceback


def test_a_failed_training_without_logger_shows_its_exception(all_ways: Trained) -> None:
    """The callback hears of it."""
    run = all_ways.run("failed-callback")

    assert (run.status, run.error and run.error.type) == ("failed", "ValueError")


@pytest.mark.parametrize("project", ["failed", "failed-callback"])
def test_a_failed_training_keeps_its_last_model(all_ways: Trained, project: str) -> None:
    """It is what there is."""
    (kept,) = stored(all_ways.run(project))

    assert (kept.name, kept.step, kept.aliases) == ("model", 4, ("last",))


def test_what_is_saved_when_a_training_fails_is_kept(all_ways: Trained) -> None:
    """Though it is saved after all callbacks have heard of the failure."""
    (kept,) = stored(all_ways.run("rescued"))

    assert (all_ways.run("rescued").status, kept.step, Path(kept.path).name) == ("failed", 6, "epoch=1-step=6.ckpt")


def test_a_training_that_is_terminated_makes_no_copies(all_ways: Trained) -> None:
    """Nobody knows how much time is left: its checkpoints are noted."""
    run = all_ways.run("terminated")

    assert (run.status, stored(run)) == ("killed", [])
    assert [(each.name, each.step) for each in run.artifacts] == [("checkpoint", 4)]


def test_a_later_training_heals(all_ways: Trained) -> None:
    """The run of a logger is as good as its last training."""
    assert all_ways.reports["healed"]["before"] == "failed"
    assert all_ways.run("healed").status == "completed"


def test_an_interrupted_training_was_killed(all_ways: Trained) -> None:
    """Lightning turns the interrupt into an exit."""
    assert all_ways.run("interrupted").status == "killed"


# ---- what it leaves alone


def test_weights_and_random_numbers_are_the_same_with_and_without(all_ways: Trained) -> None:
    """Also where the store cannot be used at all, which is said once."""
    reports = all_ways.reports
    expected = reports["plain"]["weights"]

    assert reports["logger"]["weights"] == reports["callback"]["weights"] == expected
    assert reports["logger"]["random"] == reports["callback"]["random"] == reports["plain"]["random"]
    assert reports["broken_store"] == {"logger": expected, "callback": expected}
    assert all_ways.said.count("StoreError") <= 2


def test_the_callback_leaves_checkpoints_where_they_are(all_ways: Trained) -> None:
    """It adds no logger, after which folders are named."""
    reports = all_ways.reports
    folder = "/".join(Path(reports["callback"]["checkpoint"]).parts[-2:])

    assert folder == "/".join(Path(reports["plain"]["checkpoint"]).parts[-2:]) == "checkpoints/epoch=1-step=8.ckpt"
    assert reports["beside"] == {"folders": ["csv/lightning_logs/version_0/checkpoints"] * 2, "loggers": ["CSVLogger"]}


def test_the_logger_puts_checkpoints_below_project_and_run(done: Trained) -> None:
    """So no run writes over another's."""
    report = done.reports["logger"]

    assert report["checkpoint"] == f"./logger/{report['version']}/checkpoints/epoch=1-step=8.ckpt"


def test_a_dry_run_and_a_tuner_leave_nothing(all_ways: Trained) -> None:
    """What they try is no training; the one that follows is."""
    assert all_ways.count("dry") == 0
    for project in ("tuned", "tuned-logger"):
        run = all_ways.run(project)
        assert (run.status, steps_of(run)["train_loss_step"]) == ("completed", [1, 3, 5, 7])


# ---- several of ours


@pytest.mark.parametrize("way", ["both", "unasked"])
def test_nothing_is_recorded_twice(all_ways: Trained, way: str) -> None:
    """With logger and callback, and one that was added unasked."""
    run = all_ways.run(way)

    assert run.series("train_loss_step", every=True).steps.tolist() == [1, 3, 5, 7]
    assert run.series("train/step_time_s", every=True).steps.tolist() == [1, 3, 5, 7]
    assert len(artifacts_of(run)) == 3
    assert all_ways.reports["both"]["callbacks"] == 2


def test_when_disabled_nothing_is_recorded(done: Trained) -> None:
    """Nor is a callback added."""
    assert (done.reports["unasked"]["when disabled"], done.count("disabled")) == ([], 0)


def test_other_loggers_hear_that_a_framework_speaks(done: Trained) -> None:
    """So that what reaches another tracker on the way is not recorded from there as well."""
    heard = {name: done.reports["muted"][name] for name in ("params", "metrics", "afterwards")}

    assert heard == {"params": True, "metrics": True, "afterwards": False}
    assert done.run("muted").metrics["val/loss"].last == pytest.approx(done.reports["muted"]["loss"])


def test_the_active_run_is_adopted(all_ways: Trained) -> None:
    """And left to its owner to end."""
    assert all_ways.reports["adopted"] == {"same": True, "open": True, "status": "running"}
    assert all_ways.run("adopted").name == "mine"


# ---- the logger by itself


def test_a_logger_can_be_pickled_with_its_run_open(all_ways: Trained) -> None:
    """What comes out logs to the same run, a copy too."""
    assert all_ways.reports["travels"] == {"same run": True, "same place": True, "callback": "TrackCallback"}
    assert all_ways.run("travels").series("loss").values.tolist() == [3.0, 2.0, 1.0]


def test_a_logger_takes_what_it_is_given(all_ways: Trained) -> None:
    """All kinds of numbers; params of all kinds, images and tables; and it goes on after its end was told."""
    run = all_ways.run("values")

    assert steps_of(run) == {
        "own/a": [3, 4, 5],
        "own/nan": [3],
        "own/inf": [3],
        "own/b": [4],
        "own/c": [4],
        "own/score": [6],
        "own/later": [9],
    }
    assert run.params == {"net": {"width": 4}, "depth": 2, "data": {"size": 3}, "twice": 3}
    assert [(each.name, each.type) for each in run.artifacts] == [
        ("rows", "table"),
        ("pixels", "image"),
        ("pixels/caption", "text"),
    ]
    assert set(run.read_artifact("pixels")) == {"0.png", "1.png"}
    assert run.read_artifact("pixels/caption") == {"caption.txt": b"black\nwhite"}
    assert (run.status, all_ways.reports["values"]["separator"]) == ("completed", "/")


def test_fabric_logs_with_and_without_steps(done: Trained) -> None:
    """Fabric adds no step of its own, so the logger counts."""
    run = done.run("fabric")

    assert steps_of(run) == {"loss": [0, 1, 7], "accuracy": [1]}
    assert (run.params, run.status) == ({"lr": 0.1}, "completed")


def test_the_command_line_makes_a_logger(done: Trained) -> None:
    """By the name that serves both packages, with the arguments of its own."""
    run = done.run("cli")

    assert (run.status, run.tags["a"], run.params["lr"]) == ("completed", "b", 0.05)
    assert run.params["config"]["fit"]["trainer"]["max_epochs"] == 1
    expected = "lightning_pytorch" if done.reports.keys() > {"plain"} else "pytorch_lightning"
    assert done.reports["cli"]["kind"] == f"tracklib.integrations.{expected}"


def test_a_missing_package_is_named() -> None:
    """Where neither package is installed, the message says what to install."""
    root = str(Path(tracklib.__file__).parents[1])
    command = [sys.executable, "-S", "-c", "import tracklib.integrations.lightning"]  # Without what is installed.
    done = subprocess.run(command, env={"PYTHONPATH": root}, capture_output=True, text=True, check=False)

    assert done.stderr.splitlines()[-1].startswith("ImportError")
    assert "pip install 'tracklib-ml[lightning]'" in done.stderr
