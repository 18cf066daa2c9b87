"""`mode="disabled"`: every call is there, does nothing and writes nothing."""

from __future__ import annotations

import inspect
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import tracklib
from tracklib.disabled import DisabledRun
from tracklib.errors import ConfigError, NoActiveRun
from tracklib.records import RunStatus

pytestmark = pytest.mark.usefixtures("bare")


@pytest.fixture(autouse=True)
def _disabled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACKLIB_MODE", "disabled")


def nothing_was_written() -> bool:
    return list(Path.cwd().iterdir()) == []


def test_a_whole_program_writes_nothing() -> None:
    """Whatever it calls, on the run or on the module."""
    with tracklib.start_run("digits", name="first", params={"lr": 1}, tags={"a": 1}, notes="x") as run:
        for target in (run, tracklib):
            target.log({"loss": object()}, step=1)
            target.log_metric("loss", 1)
            target.log_metrics({"loss": 1}, 3, "eval")
            target.log_param("lr", 1)
            target.log_params({"lr": 1})
            target.log_artifact("nowhere", type="dataset")
            target.log_text("x", "y")
            target.log_figure(None, "y")
            target.log_table([], "y")
            target.log_model(None)
            target.set_tag("a", 1)
            target.set_tags({"a": 1})
            target.set_notes("x")
        run.set_name("second")
        assert run.flush()

    assert (run.project, run.experiment, run.name) == ("digits", "default", "second")
    assert run.status is RunStatus.COMPLETED
    assert nothing_was_written()


def test_every_public_member_of_a_run_is_there() -> None:
    """A program that is disabled meets no missing attribute."""
    with tracklib.start_run() as run:
        pass
    with tracklib.start_run(mode="online") as real:
        pass
    members = {name for name in dir(real) if not name.startswith("_")} - {"after_fork", "position"}

    assert members - set(dir(run)) == set()


def test_its_methods_take_what_those_of_a_run_take() -> None:
    """By position and by name, but for those that take anything."""
    for name, method in inspect.getmembers(DisabledRun, inspect.isfunction):
        theirs = getattr(tracklib.Run, name, None)
        if theirs is not None and not name.startswith("__") and method.__name__ != "_nothing":
            assert list(inspect.signature(method).parameters) == list(inspect.signature(theirs).parameters), name


def test_a_disabled_run_is_the_active_one() -> None:
    """Until it ends."""
    with tracklib.start_run() as run:
        assert tracklib.active_run() is run
        with tracklib.start_run(nested=True) as inner:
            assert tracklib.active_run() is inner
        with tracklib.start_run(mode="online", nested=True) as online:
            assert isinstance(online, tracklib.Run)
    with pytest.raises(NoActiveRun):
        tracklib.active_run()
    assert tracklib.get_run(online).info.parent is None


def test_it_ends_like_any_run() -> None:
    """With a status, by an exception, once."""
    run = tracklib.start_run()
    with pytest.raises(ConfigError, match="status is 'done'"):
        run.finish("done")
    assert run.is_open
    assert tracklib.end_run("killed", "why")
    assert run.finish()
    assert run.status is RunStatus.KILLED
    with pytest.raises(ValueError, match="odd"), tracklib.start_run() as failing:
        raise ValueError("odd")
    assert failing.status is RunStatus.FAILED


def test_what_is_wrong_is_wrong_in_disabled_mode_too() -> None:
    """So that turning tracking on later brings no surprise."""
    with pytest.raises(TypeError, match="params is int"):
        tracklib.start_run(params=5)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="is no setting"):
        tracklib.start_run(flush=1)


def test_it_is_pickled() -> None:
    """Into worker processes, say."""
    run = tracklib.start_run("digits", name="x")

    again = pickle.loads(pickle.dumps(run))  # noqa: S301 - our own bytes
    again.log({"loss": 1})
    assert (again.project, again.name) == ("digits", "x")
    assert repr(again) == "<DisabledRun digits/default/x>"


def test_functions_and_generators_are_tracked_by_nobody() -> None:
    """They run as if there were no decorator."""

    @tracklib.track
    def train(lr: float) -> dict[str, float]:
        return {"loss": lr}

    @tracklib.track
    def numbers() -> object:
        yield 1

    assert train(0.5) == {"loss": 0.5}
    assert list(numbers()) == [1]  # type: ignore[call-overload]
    assert nothing_was_written()


def test_a_disabled_program_loads_next_to_nothing() -> None:
    """Neither NumPy nor SQLite, and it starts no threads."""
    program = (
        "import sys, threading, tracklib\n"
        "with tracklib.start_run(params={'a': 1}) as run: run.log({'a': 1})\n"
        "print(threading.active_count(), {'numpy', 'sqlite3'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)

    assert done.stdout == "1 set()\n"
    assert nothing_was_written()
