"""`tracklib.autolog`, and what a program is recorded of that says nothing to tracklib."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import tracklib
from tracklib.integrations import imports

Script = Callable[..., Path]
Launch = Callable[..., subprocess.CompletedProcess[str]]

TRAINING = """
import argparse, sys
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=1e-3)
options = parser.parse_args()
import torch
torch.set_num_threads(1)
torch.manual_seed(0)
model = torch.nn.Linear(4, 1)
from torch.utils.tensorboard import SummaryWriter
writer = SummaryWriter("events")
optimizer = torch.optim.SGD(model.parameters(), lr=options.lr)
for step in range(5):
    loss = model(torch.ones(2, 4)).pow(2).mean()
    optimizer.zero_grad(); loss.backward(); optimizer.step()
    writer.add_scalar("train/loss", loss.item(), step)
writer.close()
torch.save(model.state_dict(), "model.pt")
print(f"{loss.item():.6f}")
sys.exit(5)
"""


@pytest.fixture(autouse=True)
def _undone(bare: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:  # noqa: ARG001 - runs that end quickly
    """Leave no hook behind, whatever a test does, and let the words of pytest not be the program's."""
    monkeypatch.setattr(sys, "argv", ["train.py"])
    yield
    tracklib.autolog().undo()


def test_a_line_is_enough() -> None:
    """A run is begun, and takes what is logged to nobody in particular."""
    with tracklib.autolog(project="digits", name="mine"):
        tracklib.log({"loss": 0.5})

    run = tracklib.get_run("latest")
    assert (run.info.project, run.name, run.status) == ("digits", "mine", "completed")
    assert run.metrics["loss"].last == 0.5


def test_called_again_it_changes_nothing() -> None:
    """Nothing is watched twice, and no second run begun."""
    first = tracklib.autolog()

    assert tracklib.autolog() is first
    first.undo()
    assert len(tracklib.list_runs()) == 1


def test_an_active_run_is_used() -> None:
    """It is not ended with the watching."""
    with tracklib.start_run(name="mine") as run, tracklib.autolog():
        watched = tracklib.active_run() is run
    with tracklib.start_run(name="other") as other:
        tracklib.autolog().undo()
        still_open = other.is_open

    assert watched
    assert still_open
    assert len(tracklib.list_runs()) == 2


def test_the_programs_own_run_takes_over() -> None:
    """With what it says of itself; the run after that is another one."""
    with tracklib.autolog():
        begun = tracklib.active_run()
        with tracklib.start_run("digits", name="mine", params={"lr": 1}) as run:
            taken = run is begun

    stored = tracklib.get_run("latest")
    assert taken
    assert (stored.info.project, stored.name, stored.params) == ("digits", "mine", {"lr": 1})


def test_a_run_of_another_store_is_another_run(tmp_path: Path) -> None:
    """A run cannot move from one store to the next."""
    with tracklib.autolog():
        begun = tracklib.active_run()
        with tracklib.start_run(store=f"sqlite:///{tmp_path}/other.db") as run:
            other = run is not begun

    assert other


def test_undo_leaves_everything_as_it_was() -> None:
    """Functions are the objects that they were, and imports are not looked at."""
    before, finders = argparse.ArgumentParser.parse_known_args, list(sys.meta_path)

    watching = tracklib.autolog()
    watched = argparse.ArgumentParser.parse_known_args is not before
    watching.undo()

    assert watched
    assert argparse.ArgumentParser.parse_known_args is before
    assert sys.meta_path == finders


def test_what_is_excluded_is_left_alone() -> None:
    """By argument, or by the setting."""
    before = argparse.ArgumentParser.parse_known_args

    with tracklib.autolog(exclude=["arguments"]):
        untouched = argparse.ArgumentParser.parse_known_args is before

    assert untouched


def test_what_cannot_be_excluded_is_told() -> None:
    """With what can."""
    with pytest.raises(ValueError, match="'keras' alone, but knows only arguments, lightning"):
        tracklib.autolog(exclude=["keras"])


def test_what_cannot_begin_touches_nothing() -> None:
    """An option that cannot be meant is told, and no hook is left."""
    before = list(sys.meta_path)

    with pytest.raises(tracklib.TracklibError, match="project is ''"):
        tracklib.autolog(project="")

    assert sys.meta_path == before


def test_disabled_it_touches_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """No hook, no run, no file."""
    monkeypatch.setenv("TRACKLIB_MODE", "disabled")
    before = list(sys.meta_path)

    with tracklib.autolog():
        pass

    assert sys.meta_path == before
    assert not Path(".tracklib").exists()


def test_importing_tracklib_touches_nothing(finish: Launch) -> None:
    """Neither import hooks nor frameworks."""
    code = "import sys; before = list(sys.meta_path); import tracklib; print(sys.meta_path == before)"

    assert finish([sys.executable, "-c", code]).stdout == "True\n"


def files_of(folder: Path) -> dict[str, bytes]:
    """Return what a program has written, but for event files, which have times in them, and compiled modules."""
    ours = {".tracklib", "spool", "events", "__pycache__"}
    files = [path for path in folder.rglob("*") if path.is_file() and not ours & set(path.parts)]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.mark.slow
def test_a_training_is_recorded_and_not_changed(launch: Launch, finish: Launch, script: Script, tmp_path: Path) -> None:
    """Params, metrics, the saved model, output and end are there; the training's results are what they are without."""
    script(TRAINING)
    plain = finish([sys.executable, "train.py", "--lr", "0.1"])
    expected = files_of(tmp_path)

    done = launch("train.py", "--lr", "0.1", TRACKLIB_AUTO_LOG_CONSOLE="1")

    run = tracklib.get_run("latest")
    assert (done.returncode, done.stdout) == (plain.returncode, plain.stdout) == (5, done.stdout)
    assert files_of(tmp_path) == expected
    assert run.params == {"lr": 0.1}
    assert run.series("train/loss").steps.tolist() == [0, 1, 2, 3, 4]
    assert [(artifact.name, artifact.type) for artifact in run.artifacts] == [("model.pt", "model")]
    assert (run.status, run.console()) == ("failed", done.stdout.strip())


@pytest.mark.slow
def test_a_fault_of_ours_does_not_reach_the_training(
    launch: Launch, finish: Launch, script: Script, tmp_path: Path
) -> None:
    """Whatever each of our calls raises, the training's output, exit status and files are the same."""
    script(TRAINING)
    broken = (
        "import tracklib.run, tracklib.artifacts.keeping\n"
        "def fail(*_, **__):\n    raise RuntimeError('injected')\n"
        "for name in ('log_params', 'set_tags', 'log_artifact', 'log_text', 'log_metric', 'log_aside'):\n"
        "    setattr(tracklib.run.Run, name, fail)\n"
    )
    script(broken, "site/sitecustomize.py")
    plain = finish([sys.executable, "train.py"])
    expected = files_of(tmp_path)

    done = launch("train.py", PYTHONPATH=str(tmp_path / "site"))

    assert (done.returncode, done.stdout) == (plain.returncode, plain.stdout)
    assert files_of(tmp_path) == expected
    assert "the training goes on: RuntimeError('injected')" in done.stderr


@pytest.mark.slow
def test_the_processes_of_a_launcher_are_one_run(launch: Launch, script: Script) -> None:
    """The launcher itself is no run; rank 0 speaks for all, and the others show that they were there."""
    script(
        "import os, torch, torch.distributed as distributed\n"
        "torch.set_num_threads(1)\n"
        "from torch.utils.tensorboard import SummaryWriter\n"
        "distributed.init_process_group('gloo')\n"
        "rank = distributed.get_rank()\n"
        "writer = SummaryWriter(f'events-{rank}')\n"
        "for step in range(3):\n"
        "    writer.add_scalar('loss', rank + step, step)\n"
        "writer.close()\n"
        "distributed.barrier()\n"
        "distributed.destroy_process_group()\n"
    )
    torchrun = str(Path(sys.executable).parent / "torchrun")

    done = launch("--project", "digits", "--", torchrun, "--nproc-per-node", "2", "train.py", OMP_NUM_THREADS="1")

    assert done.returncode == 0, done.stderr
    (run,) = tracklib.list_runs()
    assert (run.info.project, run.status, run.series("loss").values.tolist()) == ("digits", "completed", [0, 1, 2])
    assert sorted(writer.rank for writer in run.info.writers) == [0, 1]


def test_forgetting_is_complete() -> None:
    """After the last undo no action waits for an import."""
    tracklib.autolog().undo()

    assert imports._actions == {}
