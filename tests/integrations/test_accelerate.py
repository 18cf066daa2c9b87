"""What accelerate's tracker records, by programs with their own loop, and by the tests of accelerate itself."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

import tracklib
from tracklib import StoredRun

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
QUIET = {"TRACKLIB_SYSTEM_INTERVAL": "0", "TRACKLIB_AUTO_LOG_GIT": "0", "TRACKLIB_AUTO_LOG_ENV": "0"}
PROGRAM = """
import copy
import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import PartialState
from PIL import Image
import tracklib
from tracklib.integrations.accelerate import AccelerateTracker

AccelerateTracker("never-started")
assert PartialState._shared_state == {}

class Settings:
    pass

config = {"lr": 1e-3, "name": "mlp", "deep": {"layers": [1, 2]}, "none": None, "odd": Settings(), "api_key": "secret"}
before = copy.deepcopy({name: value for name, value in config.items() if name != "odd"})
accelerator = Accelerator(log_with="tracklib", cpu=True)
accelerator.init_trackers("loop", config, {"tracklib": {"name": "first", "tags": {"team": "vision"}}})
values = {
    "loss": torch.tensor(0.5), "accuracy": np.float32(0.25), "count": 3, "good": True,
    "text": "words", "none": None, "eval": {"loss": 0.75}, "nan": float("nan"),
}
kept = dict(values)
accelerator.log(values, step=4, log_kwargs={"tracklib": {"anything": 1}})
accelerator.log({"loss": 0.25})
tracker = accelerator.get_tracker("tracklib")
assert accelerator.get_tracker("tracklib", unwrap=True) is tracklib.active_run()
images = [np.zeros((4, 4, 3), np.uint8), np.ones((4, 4, 1)), Image.new("RGB", (2, 2)), torch.rand(4, 4)]
tracker.log_images({"samples": images}, step=4)
tracker.log_table("rows", columns=["a", "b"], data=[[1, "x"], [2, "y"]], step=4)
tracker.log_table("headed", data=[["a"], [1]])
accelerator.end_training()
tracker.finish()
assert values == kept
assert {name: value for name, value in config.items() if name != "odd"} == before

with tracklib.start_run(project="mine", name="own") as run:
    accelerator = Accelerator(log_with="tracklib", cpu=True)
    accelerator.init_trackers("not-this-one", {"lr": 1})
    accelerator.log({"loss": 1.0}, step=1)
    accelerator.end_training()
    run.log({"after": 1})

accelerator = Accelerator(log_with=AccelerateTracker("given"), cpu=True)
accelerator.init_trackers("ignored")
accelerator.log({"loss": 1.0}, step=1)
raise ValueError("a bad batch")
"""


def environment(folder: Path, **more: str) -> dict[str, str]:
    return {**os.environ, **QUIET, "TRACKLIB_STORE": store_of(folder), "PYTHONPATH": str(HERE), **more}


def store_of(folder: Path) -> str:
    return f"sqlite:///{folder}/runs.db"


@pytest.fixture(scope="module", name="folder")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("accelerate")
    folder.joinpath("program.py").write_text(PROGRAM)
    command = [sys.executable, "-W", "ignore", "program.py"]
    done = subprocess.run(
        command, cwd=folder, env=environment(folder), capture_output=True, text=True, check=False, timeout=280
    )
    assert "ValueError: a bad batch" in done.stderr, done.stderr
    assert "the training goes on" not in done.stderr, done.stderr
    return folder


def run_of(folder: Path, project: str) -> StoredRun:
    (run,) = tracklib.list_runs(store=store_of(folder), project=project)
    return run


def test_what_the_accelerator_logs_is_recorded(folder: Path) -> None:
    """Numbers of any kind are metrics, nested ones by their path, at the given step or the next; text is none."""
    run = run_of(folder, "loop")

    last = {name: summary.last for name, summary in run.metrics.items() if name != "nan"}
    assert last == {"loss": 0.25, "accuracy": 0.25, "count": 3, "good": 1, "eval/loss": 0.75}
    assert run.series("loss").steps.tolist() == [4, 5]
    assert run.metrics["nan"].count == 1


def test_the_configuration_is_kept_as_params(folder: Path) -> None:
    """Params are nested as they were given, also with what is no JSON; secrets are masked."""
    run = run_of(folder, "loop")

    assert (run.params["lr"], run.params["deep"], run.params["none"]) == (1e-3, {"layers": [1, 2]}, None)
    assert "Settings" in str(run.params["odd"])
    assert run.params["api_key"] != "secret"


def test_options_of_the_run_come_with_init_kwargs(folder: Path) -> None:
    """What `init_trackers` is given for `tracklib` describes the run, and `end_training` completes it."""
    run = run_of(folder, "loop")

    assert (run.name, run.tags, run.status) == ("first", {"team": "vision"}, "completed")


def test_images_and_tables_become_artifacts(folder: Path) -> None:
    """Images of any kind are PNG files of one artifact; tables come from rows with their columns or a first row."""
    run = run_of(folder, "loop")

    images = run.read_artifact("samples")
    assert sorted(images) == ["0.png", "1.png", "2.png", "3.png"]
    assert all(image.startswith(b"\x89PNG") for image in images.values())
    assert {(artifact.name, artifact.type, artifact.step) for artifact in run.artifacts} == {
        ("samples", "image", 4),
        ("rows", "table", 4),
        ("headed", "table", None),
    }


def test_the_active_run_stays_the_programs(folder: Path) -> None:
    """Within a run of the program the tracker reports to that one, and does not end it."""
    run = run_of(folder, "mine")

    assert (run.name, run.status, run.params["lr"]) == ("own", "completed", 1)
    assert set(run.metrics) == {"loss", "after"}


def test_an_exception_fails_the_run(folder: Path) -> None:
    """A program that ends with an exception, with `end_training` never called, leaves a failed run."""
    run = run_of(folder, "given")

    assert (run.status, run.metrics["loss"].last) == ("failed", 1.0)
    assert run.error is not None
    assert run.error.message == "a bad batch"


def test_a_store_of_no_use_leaves_the_program_alone(tmp_path: Path) -> None:
    """Where nothing can be stored, the program goes on to its own end."""
    store = {"TRACKLIB_STORE": "sqlite:////proc/nope/x.db", "TRACKLIB_FINISH_TIMEOUT": "1"}
    program = PROGRAM.replace('with tracklib.start_run(project="mine", name="own") as run:', "if False:")
    tmp_path.joinpath("program.py").write_text(program)

    done = subprocess.run(
        [sys.executable, "-W", "ignore", "program.py"],
        cwd=tmp_path,
        env=environment(tmp_path, TRACKLIB_SPOOL=str(tmp_path / "spool"), **store),
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )

    assert "ValueError: a bad batch" in done.stderr, done.stderr


def test_accelerates_own_tests_pass_with_our_tracker(tmp_path: Path) -> None:
    """The tests that the installed version of accelerate has for registered trackers take ours for theirs."""
    version = importlib.metadata.version("accelerate")
    download = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", ":all:", "--quiet"]
    subprocess.run([*download, "--dest", str(tmp_path), f"accelerate=={version}"], check=True, timeout=280)
    with tarfile.open(tmp_path / f"accelerate-{version}.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")

    tests = [sys.executable, "-m", "pytest", "-p", "accelerate_conformance", "tests/test_tracking.py", "-q"]
    done = subprocess.run(
        [*tests, "-k", "RegisterTracker", "-W", "ignore", "-p", "no:cacheprovider"],
        cwd=tmp_path / f"accelerate-{version}",
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )

    (run,) = tracklib.list_runs(store=store_of(tmp_path))
    assert " passed" in done.stdout, done.stdout + done.stderr
    assert (done.returncode, run.project, run.status) == (0, "some_project", "completed")
