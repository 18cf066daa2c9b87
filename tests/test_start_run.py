"""Starting, describing and ending runs."""

from __future__ import annotations

import logging
import os
import pickle
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import tracklib
from tracklib.errors import ConfigError, NoActiveRun, NotFound, StoreError
from tracklib.records import RunStatus, is_id

pytestmark = pytest.mark.usefixtures("bare")


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_run_is_recorded_as_it_was_described() -> None:
    """Everything that start_run is told is read back."""
    with tracklib.start_run(
        "digits",
        "lr-sweep",
        name="lr-1e-3",
        params={"training": {"lr": 1e-3}},
        tags={"team": "vision"},
        notes="baseline",
    ) as run:
        run.log({"loss": 0.3}, step=0)

    stored = tracklib.get_run(run.id)
    assert (stored.project, stored.experiment, stored.name) == ("digits", "lr-sweep", "lr-1e-3")
    assert (stored.params, stored.tags, stored.notes) == ({"training": {"lr": 1e-3}}, {"team": "vision"}, "baseline")
    assert (stored.status, stored.reason, stored.error) == (RunStatus.COMPLETED, "", None)
    assert stored.metrics["loss"].last == 0.3


def test_a_run_has_an_id_a_time_and_a_user() -> None:
    """What nobody says is filled in."""
    with tracklib.start_run() as run:
        pass

    info = tracklib.get_run(run).info
    assert is_id(run.id)
    assert info.start_time is not None
    assert info.end_time is not None
    assert info.start_time <= info.end_time
    assert info.duration is not None
    assert info.created_by


def test_a_run_without_with_ends_when_it_is_told() -> None:
    """`finish` takes a status and a reason."""
    run = tracklib.start_run()

    assert run.is_open
    assert run.status is RunStatus.RUNNING
    assert run.finish("failed", "no convergence")
    stored = tracklib.get_run(run)
    assert (stored.status, stored.reason) == (RunStatus.FAILED, "no convergence")
    assert not run.is_open


def test_a_second_finish_does_nothing() -> None:
    """The first word counts."""
    run = tracklib.start_run()
    run.finish("failed")

    assert run.finish("completed")
    assert run.status is RunStatus.FAILED
    assert tracklib.get_run(run).status is RunStatus.FAILED


@pytest.mark.parametrize("status", ["running", "pending", "done", "", 5, []])
def test_a_run_ends_only_as_a_run_can_end(status: object) -> None:
    """Another status is refused, and the run goes on."""
    run = tracklib.start_run()

    with pytest.raises(ConfigError, match="completed, failed, killed"):
        run.finish(status)  # type: ignore[arg-type]
    assert run.is_open


def test_a_reason_may_be_any_object() -> None:
    """It is kept as text, so that nothing keeps a run from ending."""
    run = tracklib.start_run()

    run.finish("killed", ValueError("odd \udce9"))  # type: ignore[arg-type]
    assert tracklib.get_run(run).reason == "odd \\udce9"


def test_an_exception_ends_the_run_as_failed_and_goes_on_its_way() -> None:
    """Its type, message and traceback are kept."""
    with pytest.raises(ZeroDivisionError), tracklib.start_run() as run:
        _ = 1 / 0

    stored = tracklib.get_run(run)
    assert (stored.status, stored.reason) == (RunStatus.FAILED, "ZeroDivisionError: division by zero")
    assert stored.error is not None
    assert (stored.error.type, stored.error.message) == ("ZeroDivisionError", "division by zero")
    assert "_ = 1 / 0" in stored.error.traceback


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (KeyboardInterrupt(), "killed"),
        (SystemExit(), "completed"),
        (SystemExit(0), "completed"),
        (SystemExit(3), "failed"),
        (SystemExit("no data"), "failed"),
        (StopIteration(), "completed"),
        (MemoryError("CUDA"), "failed"),
    ],
    ids=repr,
)
def test_how_a_block_ends_says_how_the_run_ended(error: BaseException, status: str) -> None:
    """An exception that means an end is none."""
    with pytest.raises(type(error)), tracklib.start_run() as run:
        raise error

    assert tracklib.get_run(run).status == status


def test_the_default_project_is_the_folder() -> None:
    """Where there is no repository the working directory gives its name."""
    with tracklib.start_run() as run:
        pass

    assert (run.project, run.experiment) == (Path.cwd().name, "default")


def test_the_default_project_is_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder of a repository the repository gives its name."""
    inner = Path("cats-and-dogs/src")
    inner.mkdir(parents=True)
    Path("cats-and-dogs/.git").mkdir()
    monkeypatch.chdir(inner)

    with tracklib.start_run() as run:
        pass
    assert run.project == "cats-and-dogs"


def test_a_deleted_working_directory_keeps_nobody_from_working(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a store of its own a run needs no working directory."""
    store = Path("runs.db").absolute()
    gone = Path("gone")
    gone.mkdir()
    monkeypatch.chdir(gone)
    shutil.rmtree(Path("../gone").absolute())

    with tracklib.start_run(store=store) as run:
        run.log({"loss": 1})
    assert tracklib.get_run(run, store=store).project == "default"


def test_a_nested_run_knows_its_parent_and_lives_beside_it() -> None:
    """Project, experiment and store are those of the active run."""
    with tracklib.start_run("digits", "sweep", store="elsewhere.db") as outer:
        with tracklib.start_run(nested=True) as inner:
            tracklib.log({"loss": 1})
        tracklib.log({"best": 2})

    assert tracklib.get_run(inner, store="elsewhere.db").info.parent == outer.id
    assert (inner.project, inner.experiment, inner.store) == (outer.project, outer.experiment, outer.store)
    assert list(tracklib.get_run(outer, store="elsewhere.db").metrics) == ["best"]


def test_a_nested_run_may_live_elsewhere() -> None:
    """What is said goes before what is taken over."""
    with (
        tracklib.start_run("digits", "sweep") as outer,
        tracklib.start_run("letters", "probe", nested=True) as inner,
    ):
        pass

    assert (inner.project, inner.experiment, inner.store) == ("letters", "probe", outer.store)


def test_a_nested_run_needs_an_active_one() -> None:
    """The message says what to do."""
    with pytest.raises(NoActiveRun, match=r"tracklib\.start_run\(\)"):
        tracklib.start_run(nested=True)


def test_a_parent_may_be_a_run_an_id_or_what_was_read() -> None:
    """All of them mean the same run."""
    with tracklib.start_run("digits") as parent:
        pass
    stored = tracklib.get_run(parent)

    children = [tracklib.start_run(parent=given) for given in (parent, parent.id, stored)]  # type: ignore[arg-type]
    for child in children:
        child.finish()
    found = tracklib.list_runs(parent=parent.id)
    assert {run.id for run in found} == {run.id for run in children}
    assert [run.project for run in children] == ["digits", Path.cwd().name, "digits"]


@pytest.mark.parametrize("parent", ["", "lr-sweep", 5, object()])
def test_a_parent_that_is_no_run_is_refused(parent: object) -> None:
    """The argument is named."""
    with pytest.raises(ConfigError, match="parent is"):
        tracklib.start_run(parent=parent)  # type: ignore[arg-type]


def test_several_runs_go_on_at_once() -> None:
    """Each keeps what is logged to it, and may go to a store of its own."""
    runs = [tracklib.start_run(name=f"run-{number}", store=f"{number % 2}.db") for number in range(4)]
    for step in range(3):
        for number, run in enumerate(runs):
            run.log({"value": number * 10 + step}, step=step)

    assert all(run.finish() for run in runs)
    for number, run in enumerate(runs):
        values = tracklib.get_run(run, store=f"{number % 2}.db").series("value").values
        assert values.tolist() == [number * 10, number * 10 + 1, number * 10 + 2]


@pytest.mark.parametrize(
    "wrong",
    [{"params": 5}, {"params": object()}, {"params": [1]}, {"tags": "a"}, {"tags": object()}, {"notes": 5}],
)
def test_a_run_that_is_described_wrongly_does_not_begin(wrong: dict[str, object]) -> None:
    """Misuse is found before anything is written, and the argument is named."""
    with pytest.raises(TypeError, match=f"{next(iter(wrong))} is"):
        tracklib.start_run(**wrong)  # type: ignore[arg-type]

    with pytest.raises(NoActiveRun):
        tracklib.active_run()
    assert not Path(".tracklib").exists()


def test_tags_are_set_changed_and_removed() -> None:
    """Any value becomes text; None removes."""
    with tracklib.start_run(tags={"team": "vision", "seed": 1}) as run:
        run.set_tag("reviewed", False)
        run.set_tags({"seed": 2, "team": None, "größe": "klein"})
        run.set_tag("never", None)

    stored = tracklib.get_run(run)
    assert stored.tags == {"größe": "klein", "reviewed": "False", "seed": "2"}
    assert [event.data["tags"].get("seed") for event in stored.events("tags")] == ["1", None, "2", None]


def test_notes_are_replaced_and_their_history_stays() -> None:
    """The last word is what the run says."""
    with tracklib.start_run(notes="first") as run:
        tracklib.set_notes("second\nline ✓")

    stored = tracklib.get_run(run)
    assert stored.notes == "second\nline ✓"
    assert [event.data["text"] for event in stored.events("notes")] == ["first", "second\nline ✓"]


def test_a_run_is_renamed() -> None:
    """It is found under its new name only."""
    with tracklib.start_run(name="draft") as run:
        run.set_name("final")

    assert run.name == "final"
    assert tracklib.get_run("final").id == run.id
    with pytest.raises(NotFound):
        tracklib.get_run("draft")


def test_flush_waits_until_the_store_has_everything() -> None:
    """A reader sees at once what was logged before, while the run goes on."""
    run = tracklib.start_run(flush_interval=3600)
    run.log({"loss": 0.5}, step=7)

    assert run.flush()
    stored = tracklib.get_run(run)
    assert stored.status is RunStatus.RUNNING
    assert stored.series("loss").steps.tolist() == [7]


def test_flush_after_the_end_has_nothing_to_wait_for() -> None:
    """It tells that the store has everything."""
    run = tracklib.start_run()
    run.finish()

    assert run.flush()


def test_offline_keeps_everything_until_sync() -> None:
    """The store is not touched before; then it has all."""
    with tracklib.start_run(mode="offline") as run:
        run.log({"loss": 0.5})
        assert not run.flush(timeout_s=60)

    assert not Path(".tracklib/tracklib.db").exists()
    recovered = tracklib.sync()
    assert [(each.run, each.points, each.problem) for each in recovered] == [(run.id, 1, None)]
    assert tracklib.get_run(run).status is RunStatus.COMPLETED
    assert tracklib.sync() == []


def test_a_store_that_cannot_be_used_is_said_at_the_start() -> None:
    """Nothing is recorded in silence to nowhere."""
    Path("runs.db").write_bytes(b"something else, of some other program")

    with pytest.raises(StoreError, match=r"runs\.db is no SQLite database"):
        tracklib.start_run(store="runs.db")


def test_on_error_spool_goes_on_without_the_store(caplog: pytest.LogCaptureFixture) -> None:
    """The journal keeps what the store cannot take until the store is there."""
    damaged = Path("runs.db")
    damaged.write_bytes(b"something else, of some other program")

    with tracklib.start_run(store="runs.db", on_error="spool", finish_timeout=0.1) as run:
        run.log({"loss": 0.5})
    assert "the run goes on" in caplog.text
    damaged.unlink()
    wait_for(run.finish)
    assert tracklib.get_run(run, store="runs.db").metrics["loss"].last == 0.5


def test_an_unreachable_store_keeps_nobody_who_was_given_an_id(caplog: pytest.LogCaptureFixture) -> None:
    """Whether the run exists cannot be asked then: it is written under a name of its own."""
    with tracklib.start_run(store="runs.db") as first:
        first.log({"loss": 1}, step=0)
    Path("runs.db").rename("away.db")
    Path("runs.db").write_bytes(b"something else, of some other program")

    with tracklib.start_run(store="runs.db", on_error="spool", run_id=first.id, finish_timeout=0.1) as second:
        second.log({"loss": 2}, step=1)
    Path("away.db").rename("runs.db")
    wait_for(second.finish)
    assert "the run goes on" in caplog.text
    assert tracklib.get_run(first, store="runs.db").series("loss").values.tolist() == [1, 2]


def test_init_sets_what_later_runs_take() -> None:
    """And an empty call takes it back."""
    tracklib.init("mine.db", project="digits", tags={"a": "1"})
    with tracklib.start_run(tags={"b": 2}) as run:
        pass

    assert run.store == f"sqlite:///{Path('mine.db').absolute()}"
    assert tracklib.get_run(run.id).tags == {"a": "1", "b": "2"}
    tracklib.init()
    with tracklib.start_run() as other:
        pass
    assert other.store != run.store
    assert other.project == Path.cwd().name


def test_init_means_the_folder_of_its_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that changes its working directory later still writes to the same store."""
    tracklib.init("mine.db")
    expected = f"sqlite:///{Path('mine.db').absolute()}"
    Path("inner").mkdir()
    monkeypatch.chdir("inner")

    with tracklib.start_run() as run:
        pass
    assert run.store == expected


def test_init_that_is_wrong_changes_nothing() -> None:
    """A store or setting that cannot be meant is refused at once."""
    tracklib.init(project="digits")

    with pytest.raises(ConfigError, match=r"flush_intervall.*did you mean 'flush_interval'"):
        tracklib.init(flush_intervall=1)
    with pytest.raises(ConfigError, match="ftp"):
        tracklib.init("ftp://host/runs")
    with tracklib.start_run() as run:
        pass
    assert run.project == "digits"


def test_a_pickled_run_is_the_same_where_it_is_open() -> None:
    """In its own process unpickling opens nothing."""
    with tracklib.start_run() as run:
        assert pickle.loads(pickle.dumps(run)) is run  # noqa: S301 - our own bytes


def test_the_repr_says_which_run_it_is() -> None:
    """Project, experiment, name, id and status."""
    with tracklib.start_run("p", "e", name="n") as run:
        pass

    assert repr(run) == f"<Run p/e/n {run.id} completed>"
    assert repr(tracklib.get_run(run)) == f"<StoredRun p/e/n {run.id} completed>"


def test_names_that_are_bytes_to_the_system_are_kept_readable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder whose name is no UTF-8 gives a project of which the odd bytes are escaped."""
    folder = os.fsdecode(b"d\xe9j\xe0-vu")
    Path(folder).mkdir()
    monkeypatch.chdir(folder)

    with tracklib.start_run() as run:
        pass
    assert tracklib.get_run(run).project == "d\\udce9j\\udce0-vu"


def test_nothing_is_warned_of_where_nothing_went_wrong(caplog: pytest.LogCaptureFixture) -> None:
    """A run that goes well is silent."""
    with caplog.at_level(logging.WARNING), tracklib.start_run(params={"lr": 1}) as run:
        run.log({"loss": 1})

    assert caplog.records == []
