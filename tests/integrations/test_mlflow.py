"""Programs that log to MLflow: what is recorded of them, and that MLflow gets what it always got."""

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
import json, sys
from contextlib import nullcontext as speaking
from pathlib import Path

store = sys.argv[1]
quiet = dict(system_interval=0, auto_log_git=False, auto_log_env=False)
from mlflow import log_metric as early_metric, log_params as early_params  # Before anybody listens.
if store:
    import tracklib
    from tracklib.integrations import mlflow as listener
    from tracklib.integrations.patching import Patches
    from tracklib.integrations.session import speaking
    patches = Patches()
    listener.install(patches)

import mlflow
from mlflow.entities import Metric, Param, RunTag
mlflow.set_tracking_uri((Path.cwd() / "mlruns").as_uri())

def begin(name, provisional):
    if store:
        run = tracklib.start_run(project="folder", name=name, store=store, **quiet)
        run.provisional = provisional

def end():
    if store:
        tracklib.end_run()

begin("unasked", True)
mlflow.set_experiment("digits")
with mlflow.start_run(run_name="baseline", tags={"team": "vision"}, description="first try"):
    print(mlflow.log_param("lr", 0.1))
    mlflow.log_params({"depth": 3, "optimizer": "adam", "layers": [1, 2], "password": "hunter2"})
    early_params({"batch_size": 8, "name": "resnet"})
    for step in range(3):
        mlflow.log_metric("loss", 1 / (step + 1), step=step)
        mlflow.log_metrics({"f1": step / 2, "system/cpu": 50.0}, step=step)
    mlflow.log_metric("uncounted", 1)
    mlflow.log_metric("uncounted", 2)
    early_metric("early", 0.5, 4)
    mlflow.log_metric("later", 0.5, step=1, synchronous=False).wait()
    mlflow.set_tag("reviewed", "no")
    mlflow.set_tags({"a": 1, "b": "two", "mlflow.note.content": "second try"})
    with mlflow.start_run(run_name="inner", nested=True, tags={"level": "inner"}):
        mlflow.log_metric("inner", 7, step=0)
    try:
        mlflow.log_param("lr", 0.2)
    except Exception as error:
        print(type(error).__name__)
    with speaking():
        mlflow.log_metric("twice", 1)
        mlflow.log_param("twice", 1)
mlflow.set_experiment("another")
with mlflow.start_run(run_name="second", description="not this"):
    mlflow.log_metric("second", 1, step=0)
mlflow.set_experiment("digits")
end()

client = mlflow.MlflowClient()
begin("by client", True)
experiment = client.create_experiment("by hand")
run_id = client.create_run(experiment, run_name="from client", tags={"team": "audio"}).info.run_id
client.log_metric(run_id, "loss", 0.5, step=3)
client.log_param(run_id, "lr", 0.3)
client.set_tag(run_id, "reviewed", "yes")
metrics = [Metric("loss", 0.25, 0, 4), Metric("accuracy", 0.75, 0, 4), Metric("loss", 0.125, 0, 5)]
client.log_batch(run_id, metrics=metrics, params=[Param("depth", "4")], tags=[RunTag("by", "batch")])
client.set_terminated(run_id)
end()

begin("own", False)
with mlflow.start_run(run_name="not this"):
    mlflow.log_metric("loss", 1, step=0)
end()

if store:
    patches.undo()
    for function in (mlflow.log_metric, mlflow.start_run, mlflow.MlflowClient.log_batch, mlflow.log_params):
        assert not hasattr(function, "__tracklib__"), function
with mlflow.start_run(run_name="after"):
    mlflow.log_metric("after", 1)

found = []
for experiment in sorted(client.search_experiments(), key=lambda each: each.name):
    for run in sorted(client.search_runs([experiment.experiment_id]), key=lambda each: each.info.start_time):
        history = {
            name: [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, name)]
            for name in sorted(run.data.metrics)
        }
        tags = {name: text for name, text in run.data.tags.items() if name != "mlflow.parentRunId"}
        found.append([experiment.name, run.info.run_name, history, run.data.params, tags])
Path("said.json").write_text(json.dumps(found, sort_keys=True))
"""


def finish(folder: Path, store: str) -> str:
    """Run the program in a folder of its own; return what it printed."""
    folder.mkdir()
    (folder / "program.py").write_text(PROGRAM)
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "TRACKLIB_"))}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "program.py", store],
        cwd=folder,
        env={**environ, "MLFLOW_ALLOW_FILE_STORE": "true", "MLFLOW_DISABLE_TELEMETRY": "true"},
        capture_output=True,
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
    folder = tmp_path_factory.mktemp("mlflow") / "heard"
    (folder.parent / "printed").write_text(finish(folder, f"sqlite:///{folder}.db"))
    return folder


@pytest.fixture(name="runs")
def _runs(heard: Path) -> list[tracklib.StoredRun]:
    """Return the runs in the order in which they were begun: unasked, for a client, and by the program itself."""
    return list(tracklib.list_runs(store=f"sqlite:///{heard}.db", order_by="started_at", descending=False))


def points(run: tracklib.StoredRun, name: str) -> list[tuple[int, float]]:
    series = run.series(name)
    return list(zip(series.steps.tolist(), series.values.tolist(), strict=True))


@pytest.mark.slow
class TestFunctions:
    """What goes through the functions of the module."""

    def test_metrics(self, runs: list[tracklib.StoredRun]) -> None:
        """Each value is one point, whichever way it went; samples of the machine are left out."""
        assert points(runs[0], "loss") == [(0, 1.0), (1, 0.5), (2, pytest.approx(1 / 3))]
        assert points(runs[0], "f1") == [(0, 0.0), (1, 0.5), (2, 1.0)]
        assert points(runs[0], "early") == [(4, 0.5)]
        assert points(runs[0], "later") == [(1, 0.5)]
        assert points(runs[0], "inner") == [(0, 7.0)]
        assert set(runs[0].metrics) == {"loss", "f1", "uncounted", "early", "later", "inner", "second"}

    def test_points_without_a_step(self, runs: list[tracklib.StoredRun]) -> None:
        """Points without a step are counted, so that one does not hide the other."""
        assert runs[0].series("uncounted").values.tolist() == [1.0, 2.0]

    def test_params(self, runs: list[tracklib.StoredRun]) -> None:
        """Params keep their types, or get them back; secrets are masked, and what MLflow refuses is not recorded."""
        params = dict(runs[0].params)

        assert "hunter2" not in str(params.pop("password"))
        assert params == {
            "lr": 0.1,
            "depth": 3,
            "optimizer": "adam",
            "layers": [1, 2],
            "batch_size": 8,
            "name": "resnet",
        }

    def test_tags(self, runs: list[tracklib.StoredRun]) -> None:
        """Tags are the program's own, without MLflow's books."""
        assert runs[0].tags == {"team": "vision", "reviewed": "no", "a": "1", "b": "two", "level": "inner"}


@pytest.mark.slow
def test_client(runs: list[tracklib.StoredRun]) -> None:
    """What goes through a client of the program's own is recorded, once."""
    run = runs[1]

    assert points(run, "loss") == [(3, 0.5), (4, 0.25), (5, 0.125)]
    assert points(run, "accuracy") == [(4, 0.75)]
    assert run.params == {"lr": 0.3, "depth": 4}
    assert run.tags == {"team": "audio", "reviewed": "yes", "by": "batch"}


@pytest.mark.slow
def test_places(runs: list[tracklib.StoredRun]) -> None:
    """A run that was begun unasked takes those of the first MLflow run; one that the program began keeps its own."""
    assert [(run.project, run.experiment, run.name, run.notes) for run in runs] == [
        ("folder", "digits", "baseline", "second try"),
        ("folder", "by hand", "from client", ""),
        ("folder", "default", "own", ""),
    ]


@pytest.mark.slow
def test_mlflow_gets_the_same(heard: Path, tmp_path: Path) -> None:
    """MLflow's files, the output and exceptions are those of a program that nobody listens to."""
    printed = finish(tmp_path / "alone", "")

    assert printed == (heard.parent / "printed").read_text()
    alone: Any = json.loads((tmp_path / "alone" / "said.json").read_text())
    assert len(alone) == 6
    assert json.loads((heard / "said.json").read_text()) == alone
