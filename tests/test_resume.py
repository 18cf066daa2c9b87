"""Going on with a run that has ended, was killed, or is known by its id only."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import tracklib
from tracklib.errors import AmbiguousName, ConfigError, NotFound
from tracklib.records import RunStatus, new_id

pytestmark = pytest.mark.usefixtures("bare")

PROGRAM = """
import sys, time, tracklib
run = tracklib.start_run("digits", name="long", flush_interval=0.05)
for step in range(3):
    run.log({"loss": step}, step=step)
run.flush()
print(run.id, flush=True)
time.sleep(600)
"""


@pytest.fixture
def ended() -> tracklib.Run:
    with tracklib.start_run("digits", "sweep", name="first", params={"lr": 1, "seed": 1}, tags={"a": "1"}) as run:
        for step in range(5):
            run.log({"loss": step}, step=step)
    return run


def test_a_run_goes_on(ended: tracklib.Run) -> None:
    """It is the same run; what is said now is added to what was said."""
    with tracklib.start_run(resume=ended.id, params={"lr": 2}, tags={"b": "2"}) as run:
        assert tracklib.get_run(run).status is RunStatus.RUNNING or run.is_open
        run.log({"loss": 50}, step=5)

    stored = tracklib.get_run(ended)
    assert (run.id, run.project, run.experiment, run.name) == (ended.id, "digits", "sweep", "first")
    assert len(tracklib.list_runs()) == 1
    assert (stored.params, stored.tags) == ({"lr": 2, "seed": 1}, {"a": "1", "b": "2"})
    assert stored.series("loss").values.tolist() == [0, 1, 2, 3, 4, 50]
    assert stored.status is RunStatus.COMPLETED
    assert len(stored.info.writers) == 2


def test_a_later_point_at_an_earlier_step_supersedes(ended: tracklib.Run) -> None:
    """As after going back to a checkpoint: the later is read, and both are kept."""
    with tracklib.start_run(resume=ended.id) as run:
        for step in range(2, 4):
            run.log({"loss": step * 10}, step=step)

    stored = tracklib.get_run(run)
    assert stored.series("loss").values.tolist() == [0, 1, 20, 30, 4]
    every = stored.series("loss", every=True)
    assert every.steps.tolist() == [0, 1, 2, 2, 3, 3, 4]
    assert every.values.tolist() == [0, 1, 2, 20, 3, 30, 4]
    assert stored.metrics["loss"].count == 7


def test_the_step_counter_goes_on(ended: tracklib.Run) -> None:
    """Behind the highest step that was logged."""
    with tracklib.start_run(resume=ended.id) as run:
        run.log({"loss": 1})
        run.log({"other": 1})

    stored = tracklib.get_run(run)
    assert stored.series("loss").steps.tolist() == [0, 1, 2, 3, 4, 5]
    assert stored.series("other").steps.tolist() == [6]


def test_the_step_counter_begins_at_zero_after_negative_steps() -> None:
    """As it does in a run that was not interrupted."""
    with tracklib.start_run() as run:
        run.log({"loss": 1}, step=-7)
    with tracklib.start_run(resume=run.id):
        tracklib.log({"loss": 2})

    assert tracklib.get_run(run).series("loss").steps.tolist() == [-7, 0]


@pytest.mark.parametrize("resume", ["id", "prefix", "lower case", "name", "place", "run", "stored", "latest"])
def test_a_run_is_named_in_many_ways(ended: tracklib.Run, resume: str) -> None:
    """By whatever get_run takes."""
    ways: dict[str, object] = {
        "id": ended.id,
        "prefix": ended.id[:20],
        "lower case": ended.id.lower(),
        "name": "first",
        "place": "digits/sweep/first",
        "run": ended,
        "stored": tracklib.get_run(ended.id),
        "latest": "latest",
    }

    with tracklib.start_run(resume=ways[resume]) as run:  # type: ignore[arg-type]
        pass
    assert run.id == ended.id


def test_a_name_given_now_is_the_new_one(ended: tracklib.Run) -> None:
    """A run that goes on may be renamed; its place stays."""
    with tracklib.start_run("letters", resume=ended.id, name="second") as run:
        pass

    stored = tracklib.get_run(ended)
    assert (run.name, stored.name, stored.project) == ("second", "second", "digits")


def test_a_run_that_failed_may_complete() -> None:
    """Status, reason and error are those of the last end; the durations add up."""
    with pytest.raises(ZeroDivisionError), tracklib.start_run() as run:
        _ = 1 / 0
    first = tracklib.get_run(run).duration
    with tracklib.start_run(resume=run.id):
        time.sleep(0.01)

    stored = tracklib.get_run(run)
    assert (stored.status, stored.reason, stored.error) == (RunStatus.COMPLETED, "", None)
    assert first is not None
    assert stored.duration is not None
    assert stored.duration >= first + 0.01


def test_a_nested_run_stays_nested(ended: tracklib.Run) -> None:
    """Its parent is kept."""
    with tracklib.start_run(parent=ended) as child:
        pass
    with tracklib.start_run(resume=child.id):
        pass

    assert tracklib.get_run(child).info.parent == ended.id


def test_the_tracks_of_a_killed_run_are_taken_up() -> None:
    """What the dead process left in its journal is there before the run goes on."""
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        run_id = process.stdout.readline().strip()
        process.send_signal(signal.SIGKILL)
    with tracklib.start_run(resume=run_id) as run:
        run.log({"loss": 3})

    stored = tracklib.get_run(run_id)
    assert stored.series("loss").values.tolist() == [0, 1, 2, 3]
    assert stored.status is RunStatus.COMPLETED


def test_a_run_that_still_runs_is_not_resumed() -> None:
    """The message says who writes it and what to do instead."""
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        run_id = process.stdout.readline().strip()
        with pytest.raises(ConfigError, match=rf"still being written by process {process.pid}.*parent="):
            tracklib.start_run(resume=run_id)
        process.kill()


def test_a_run_of_this_very_process_is_not_resumed_while_it_is_open() -> None:
    """Nor is it harmed."""
    with tracklib.start_run() as run:
        run.log({"loss": 1})
        run.flush()
        with pytest.raises(ConfigError, match="still being written"):
            tracklib.start_run(resume=run.id)
        run.log({"loss": 2})

    assert tracklib.get_run(run).metrics["loss"].count == 2


def test_a_run_that_does_not_exist_is_not_resumed(ended: tracklib.Run) -> None:
    """Nothing is begun in its place."""
    missing = new_id()

    with pytest.raises(NotFound, match=f"no run '{missing}'.*tracklib runs"):
        tracklib.start_run(resume=missing)
    assert [run.id for run in tracklib.list_runs()] == [ended.id]


def test_without_a_store_there_is_nothing_to_resume() -> None:
    """The message says where it looked, and nothing is made there."""
    with pytest.raises(NotFound, match=r"no store at .*tracklib\.db"):
        tracklib.start_run(resume=new_id())


def test_a_name_of_several_runs_is_not_enough(ended: tracklib.Run) -> None:
    """The message lists them."""
    with tracklib.start_run("digits", "sweep", name="first") as other:
        pass

    with pytest.raises(AmbiguousName, match=ended.id) as caught:
        tracklib.start_run(resume="first")
    assert other.id in str(caught.value)


@pytest.mark.parametrize("resume", ["", " ", 5, object()])
def test_what_names_no_run_is_refused(resume: object) -> None:
    """The argument is named."""
    with pytest.raises(ConfigError, match="resume is"):
        tracklib.start_run(resume=resume)  # type: ignore[arg-type]


def test_the_environment_names_a_run_to_go_on_with(ended: tracklib.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a script need not know whether it was begun before."""
    monkeypatch.setenv("TRACKLIB_RUN_ID", ended.id)

    with tracklib.start_run() as run:
        run.log({"loss": 5})
    assert run.id == ended.id
    assert tracklib.get_run(ended).series("loss").steps.tolist() == [0, 1, 2, 3, 4, 5]


def test_the_environment_names_a_run_that_is_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first process makes it, the next go on with it."""
    chosen = new_id()
    monkeypatch.setenv("TRACKLIB_RUN_ID", chosen)
    for _ in range(2):
        with tracklib.start_run("digits") as run:
            run.log({"loss": 1})

    assert run.id == chosen
    assert tracklib.get_run(chosen).series("loss").steps.tolist() == [0, 1]


def test_a_process_joins_a_run_that_the_environment_names() -> None:
    """While its first process goes on: the end of the one that joined is not the end of the run."""
    program = "import tracklib\nwith tracklib.start_run() as run: run.log({'child': 1})"
    with tracklib.start_run("digits", name="main") as run:
        run.log({"main": 1})
        run.flush()
        environment = {**os.environ, "TRACKLIB_RUN_ID": run.id, "TRACKLIB_STORE": run.store}
        subprocess.run([sys.executable, "-c", program], check=True, env=environment)
        assert tracklib.get_run(run).status is RunStatus.RUNNING
        run.log({"main": 2})

    stored = tracklib.get_run(run)
    assert sorted(stored.metrics) == ["child", "main"]
    assert [writer.primary for writer in stored.info.writers] == [True, False]
    assert (stored.name, stored.status) == ("main", RunStatus.COMPLETED)


def test_an_id_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new run cannot have any word as its id."""
    monkeypatch.setenv("TRACKLIB_RUN_ID", "my-run")

    with pytest.raises(ConfigError, match=r"run_id is 'my-run'.*26 characters"):
        tracklib.start_run()
    assert not list(Path.cwd().rglob("*.journal"))


def test_resources_and_samples_of_the_machine_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a resumed run uses comes on top of what it had used, and its samples behind those it had."""
    monkeypatch.setenv("TRACKLIB_SYSTEM_INTERVAL", "60")
    with tracklib.start_run() as run:
        run.log_text("x" * 1_000, "notes")
    before = tracklib.get_run(run.id)
    samples = before.metrics["system/memory/used_bytes"].count
    with tracklib.start_run(resume=run.id) as again:
        again.log_text("y" * 1_000, "more")
    after = tracklib.get_run(run.id)

    assert before.resources.storage_gb == pytest.approx(1e-6)
    assert after.resources.storage_gb == pytest.approx(2e-6)
    assert (after.resources.memory_gb_hours or 0.0) > (before.resources.memory_gb_hours or 0.0)
    assert after.series("system/memory/used_bytes").steps.tolist() == list(range(2 * samples))
