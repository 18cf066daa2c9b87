"""Programs that log to Weights & Biases: what is recorded in each mode, and that W&B gets what it always got."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import tracklib

PROGRAM = """
import json, os, struct, sys
from pathlib import Path

store = sys.argv[1]
from contextlib import nullcontext as speaking
quiet = dict(system_interval=0, auto_log_git=False, auto_log_env=False)
if store:
    import tracklib
    from tracklib.integrations import wandb as listener
    from tracklib.integrations.patching import Patches
    from tracklib.integrations.session import speaking
    patches = Patches()
    listener.install(patches)
    assert "wandb" not in sys.modules, "nothing is imported for the program"

from wandb import init
import numpy as np
import wandb

def begin(name, provisional):
    if store:
        run = tracklib.start_run(project="folder", name=name, store=store, **quiet)
        run.provisional = provisional

def end():
    if store:
        tracklib.end_run()

def train(**options):
    config = {"lr": 0.1, "model": {"depth": 3}, "api_key": "hunter2", "left_out": 1}
    run = init(
        project="digits", name="baseline", notes="first try", tags=["quick", "cpu"], config=config, group="sweep-1",
        config_exclude_keys=["left_out"], **options
    )
    wandb.config.batch_size = 8
    wandb.config["epochs"] = 2
    run.config.update({"seed": 4, "model": {"depth": 3, "width": 5}}, allow_val_change=True)
    run.config.setdefaults({"seed": 5, "device": "cpu"})
    wandb.log({"loss": 1.0, "eval": {"f1": {"cat": 0.5}}, "text": "no number", "table": wandb.Table(columns=["a"])})
    run.log({"loss": 0.5, "histogram": wandb.Histogram([1, 2, 3])}, commit=False)
    run.log({"accuracy": np.float32(0.75)})
    wandb.log(data={"loss": 0.25}, step=7)
    wandb.log({"late": 1}, step=7, commit=True)
    wandb.log({"loss": 0.125})
    run.summary["best"] = 0.9
    run.summary.update({"worst": {"loss": 3}, "file": "model.pt"})
    wandb.summary.total = 12
    run.tags = (*run.tags[1:], "done")
    wandb.run.name = "renamed"
    try:
        wandb.log("no mapping")
    except Exception as error:
        print(type(error).__name__, error)
    with speaking():
        wandb.log({"twice": 1})
        wandb.config.twice = 1
    wandb.finish()

begin("offline", True)
train(mode="offline")
end()

begin("disabled", True)
train()  # As the environment says.
end()

begin("own", False)
train()
end()

begin("stranger", True)
try:
    wandb.init(project="digits", name="stranger-1", config={"lr": 0.2}, mode="online")
except Exception as error:
    print(type(error).__name__, error)
end()

if store:
    patches.undo()
    for function in (wandb.init, wandb.sdk.init, wandb.Run.log, wandb.Config.update, wandb.Config.__setattr__):
        assert not hasattr(function, "__tracklib__"), function
    early = wandb.init(mode="disabled")
    begin("late", False)
    patches = Patches()
    listener.install(patches)
    wandb.log({"loss": 1})
    early.log({"loss": 2})
    patches.undo()
    wandb.log({"loss": 3})
    end()

wandb.teardown()  # Its service may still be writing the file.
# What W&B has written: blocks of 32 KiB with records, whose pieces have heads of 7 bytes.
from wandb.proto.wandb_internal_pb2 import Record
data = Path(next(Path("wandb").glob("offline-run-*/*.wandb"))).read_bytes()
said, position, piece = [], 7, b""
while position + 7 <= len(data):
    left = 32768 - position % 32768
    if left < 7:
        position += left
        continue
    length, kind = struct.unpack("<HB", data[position + 4 : position + 7])
    piece += data[position + 7 : position + 7 + length]
    position += 7 + length
    if kind in (1, 4):
        record, piece = Record.FromString(piece), b""
        if record.HasField("history"):
            items = {".".join(item.nested_key) or item.key: item.value_json for item in record.history.item}
            said.append({name: text for name, text in items.items() if name[:6] not in ("_times", "_runti", "table.")})
        elif record.HasField("config"):
            said.append({item.key or str(item.nested_key): item.value_json for item in record.config.update})
        elif record.HasField("run"):
            said.append([record.run.project, record.run.display_name, record.run.notes, list(record.run.tags)])
Path("said.json").write_text(json.dumps([each for each in said if "_wandb" not in each]))
"""


def finish(folder: Path, store: str) -> str:
    """Run the program in a folder of its own, without a login; return what it printed."""
    folder.mkdir()
    (folder / "program.py").write_text(PROGRAM)
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("WANDB_", "TRACKLIB_"))}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "program.py", store],
        cwd=folder,
        env={
            **environ,
            "HOME": str(folder),
            "WANDB_ERROR_REPORTING": "false",
            "WANDB_SILENT": "true",
            "WANDB_MODE": "disabled",
        },
        capture_output=True,
        stdin=subprocess.DEVNULL,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    assert "tracklib" not in done.stderr, done.stderr
    return done.stdout


@pytest.fixture(scope="module", name="heard")
def _heard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the program that we listened to."""
    folder = tmp_path_factory.mktemp("wandb") / "heard"
    (folder.parent / "printed").write_text(finish(folder, f"sqlite:///{folder}.db"))
    return folder


def found(heard: Path, name: str, place: str) -> tracklib.StoredRun:
    return tracklib.get_run(f"{place}/default/{name}", store=f"sqlite:///{heard}.db")


def points(run: tracklib.StoredRun, name: str) -> list[tuple[int, float]]:
    series = run.series(name)
    return list(zip(series.steps.tolist(), series.values.tolist(), strict=True))


@pytest.fixture(params=["offline", "disabled", "own"], name="run")
def _run(heard: Path, request: pytest.FixtureRequest) -> tracklib.StoredRun:
    """Return the run of each mode: two that were begun unasked, and so renamed, and one that the program began."""
    runs = tracklib.list_runs(store=f"sqlite:///{heard}.db", order_by="started_at", descending=False)
    run: tracklib.StoredRun = list(runs)[["offline", "disabled", "own"].index(request.param)]
    return run


@pytest.mark.slow
class TestModes:
    """The same program offline, disabled, and within a run of its own."""

    def test_metrics(self, run: tracklib.StoredRun) -> None:
        """Numbers are recorded at W&B's steps, nested ones with dots, and nothing else is."""
        assert points(run, "loss") == [(0, 1.0), (1, 0.5), (7, 0.25), (8, 0.125)]
        assert points(run, "accuracy") == [(1, 0.75)]
        assert points(run, "late") == [(7, 1.0)]
        assert points(run, "eval.f1.cat") == [(0, 0.5)]
        assert set(run.metrics) == {
            *("loss", "accuracy", "late", "eval.f1.cat"),
            *("best", "worst.loss", "total"),
        }

    def test_summary(self, run: tracklib.StoredRun) -> None:
        """Numbers of the summary are points after the last one."""
        assert {name: run.metrics[name].last for name in ("best", "worst.loss", "total")} == {
            "best": 0.9,
            "worst.loss": 3.0,
            "total": 12.0,
        }

    def test_params(self, run: tracklib.StoredRun) -> None:
        """The config is there as W&B has it at the end, secrets masked."""
        params = dict(run.params)

        assert "hunter2" not in str(params.pop("api_key"))
        assert params == {
            "lr": 0.1,
            "model": {"depth": 3, "width": 5},
            "batch_size": 8,
            "epochs": 2,
            "seed": 4,
            "device": "cpu",
        }

    def test_tags(self, run: tracklib.StoredRun) -> None:
        """Tags are there as they are at the end, and the group is one."""
        assert run.tags == {"cpu": "true", "done": "true", "group": "sweep-1"}


@pytest.mark.slow
def test_places(heard: Path) -> None:
    """A run that was begun unasked takes project, name and notes; one that the program began keeps its own."""
    runs = tracklib.list_runs(store=f"sqlite:///{heard}.db", order_by="started_at", descending=False)

    assert [(run.project, run.name, run.notes) for run in runs] == [
        ("digits", "renamed", "first try"),
        ("digits", "renamed", "first try"),
        ("folder", "own", ""),
        ("digits", "stranger-1", ""),
        ("folder", "late", ""),
    ]


@pytest.mark.slow
def test_without_login(heard: Path) -> None:
    """Where W&B refuses, the program gets W&B's error, and what it said until then is recorded."""
    run = found(heard, "stranger-1", "digits")

    assert run.params == {"lr": 0.2}
    assert "UsageError" in (heard.parent / "printed").read_text()


@pytest.mark.slow
def test_begun_before(heard: Path) -> None:
    """What a W&B run logs that was begun before we listen is recorded until we stop."""
    assert points(found(heard, "late", "folder"), "loss") == [(0, 1.0), (1, 2.0)]


@pytest.mark.slow
def test_wandb_gets_the_same(heard: Path, tmp_path: Path) -> None:
    """W&B's file, output and exceptions are those of a program that nobody listens to."""
    printed = finish(tmp_path / "alone", "")

    assert printed == (heard.parent / "printed").read_text()
    alone: Any = json.loads((tmp_path / "alone" / "said.json").read_text())
    assert len(alone) > 8
    assert json.loads((heard / "said.json").read_text()) == alone
