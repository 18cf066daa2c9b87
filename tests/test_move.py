"""Runs that move to another project, and runs that were begun unasked and are taken over."""

from __future__ import annotations

from pathlib import Path

import pytest

import tracklib
from tracklib.errors import ConfigError

pytestmark = pytest.mark.usefixtures("bare")


def place(run: tracklib.Run) -> tuple[str, str, str]:
    """Return where a reader finds a run, and its name."""
    seen = tracklib.get_run(run.id)
    return seen.project, seen.experiment, seen.name


def projects() -> list[str]:
    return sorted(project.name for project in tracklib.list_projects())


def unasked(**options: object) -> tracklib.Run:
    """Return an active run as one that is begun before the program asks for any."""
    run = tracklib.start_run(**options)  # type: ignore[arg-type]  # whatever start_run takes
    run.provisional = True
    return run


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"project": "second"}, ("second", "one")),
        ({"experiment": "two"}, ("first", "two")),
        ({"project": "second", "experiment": "two"}, ("second", "two")),
        ({"project": "a / b", "experiment": "ünï 文"}, ("a / b", "ünï 文")),
        ({}, ("first", "one")),
    ],
    ids=["project", "experiment", "both", "odd names", "neither"],
)
def test_a_run_moves(given: dict[str, str], expected: tuple[str, str]) -> None:
    """What is not named stays, and all that was logged goes along."""
    with tracklib.start_run("first", "one", name="run", tags={"a": "1"}) as run:
        run.log({"loss": 1.0})
        assert run.flush()
        run.move(**given)
        run.log({"loss": 2.0})

    seen = tracklib.get_run(run)
    assert (run.project, run.experiment) == expected
    assert place(run) == (*expected, "run")
    assert (seen.metrics["loss"].count, seen.tags) == (2, {"a": "1"})
    assert [found.id for found in tracklib.list_runs(project=expected[0], experiment=expected[1])] == [run.id]
    assert len(tracklib.list_runs()) == 1


def test_a_run_may_move_back() -> None:
    """The last place counts, and the history tells all of them."""
    with tracklib.start_run("first", "one") as run:
        for project in ("second", "third", "first"):
            run.move(project)
            assert run.flush()

    seen = tracklib.get_run(run)
    assert place(run)[:2] == ("first", "one")
    assert [event.data["project"] for event in seen.events("place")] == ["second", "third", "first"]


def test_a_run_that_moves_at_once_leaves_no_empty_project_behind() -> None:
    """As one does that was begun unasked."""
    with tracklib.start_run("first", flush_interval=60) as run:
        run.move("second")

    assert projects() == ["second"]


@pytest.mark.parametrize("name", ["", "  ", 3])
def test_a_place_needs_a_name(name: object) -> None:
    """The run stays where it is."""
    with tracklib.start_run("first", "one") as run:
        for word in ("project", "experiment"):
            with pytest.raises(ConfigError):
                run.move(**{word: name})  # type: ignore[arg-type]  # what a user may do

    assert (run.project, run.experiment) == ("first", "one")
    assert place(run)[:2] == ("first", "one")


def test_a_project_and_a_bad_experiment_change_nothing() -> None:
    """Not even the half of it."""
    with tracklib.start_run("first", "one") as run, pytest.raises(ConfigError):
        run.move("second", "")

    assert (run.project, place(run)[0]) == ("first", "first")


def test_a_run_that_has_ended_stays() -> None:
    """Nothing is recorded any more."""
    with tracklib.start_run("first") as run:
        pass
    run.move("second")

    assert place(run)[0] == "first"


def test_a_moved_run_is_resumed_where_it_is() -> None:
    """The program need not know."""
    with tracklib.start_run("first") as run:
        run.move("second", "two")
    with tracklib.start_run(resume=run.id) as again:
        pass

    assert (again.project, again.experiment) == ("second", "two")


def test_a_run_that_records_nothing_moves_too() -> None:
    """Programs need not know."""
    run = tracklib.start_run("first", mode="disabled")
    run.move("second")

    assert run.finish()


# ---- runs that were begun unasked


def test_the_first_run_that_is_asked_for_takes_over() -> None:
    """What was recorded before is there, under the place, name and words that are asked for."""
    before = unasked()
    before.log({"loss": 1.0})
    with tracklib.start_run("asked", "for", name="run", params={"lr": 1}, tags={"a": "1"}, notes="words") as run:
        run.log({"loss": 2.0})

    seen = tracklib.get_run(run)
    assert run is before
    assert place(run) == ("asked", "for", "run")
    assert (seen.params, seen.tags, seen.notes, seen.metrics["loss"].count) == ({"lr": 1}, {"a": "1"}, "words", 2)
    assert len(tracklib.list_runs()) == 1


def test_what_is_not_asked_for_stays() -> None:
    """Place and name are those that it had."""
    before = unasked(project="p", experiment="e", name="n")
    run = tracklib.start_run()
    run.finish()

    assert run is before
    assert place(run) == ("p", "e", "n")


def test_it_is_taken_over_once() -> None:
    """The second run that is asked for is another."""
    before = unasked()
    first = tracklib.start_run("first")
    second = tracklib.start_run("second")
    for run in (second, first):
        run.finish()

    assert (first is before, second is before, first.provisional) == (True, False, False)
    assert len(tracklib.list_runs()) == 2


@pytest.mark.parametrize(
    "options",
    [{"nested": True}, {"flush_interval": 0.5}, {"store": "sqlite:///other.db"}],
    ids=["nested", "settings", "store"],
)
def test_a_run_of_another_kind_is_another(options: dict[str, object]) -> None:
    """One within it, one with settings of its own, and one in another store."""
    before = unasked()
    with tracklib.start_run("p", **options) as run:  # type: ignore[arg-type]  # of several kinds
        pass
    before.finish()

    assert run is not before
    assert before.provisional


def test_the_same_store_in_other_words_is_the_same() -> None:
    """A relative path means what it means."""
    before = unasked(store="sqlite:///runs.db")
    run = tracklib.start_run("p", store=f"sqlite:///{Path('runs.db').absolute()}")
    run.finish()

    assert run is before


def test_a_resumed_run_takes_nothing_over() -> None:
    """It is named."""
    with tracklib.start_run("first") as first:
        pass
    before = unasked(project="second")
    with tracklib.start_run(resume=first.id) as run:
        pass
    before.finish()

    assert (run.id, place(before)[0]) == (first.id, "second")


def test_one_that_has_ended_is_not_taken_over() -> None:
    """There is nothing to take."""
    before = unasked()
    before.finish()
    with tracklib.start_run("p") as run:
        pass

    assert run is not before


def test_a_run_that_is_asked_for_is_not_provisional() -> None:
    """However it was begun."""
    with tracklib.start_run("p") as run:
        assert not run.provisional
        assert tracklib.start_run("p", activate=False).finish()


# ---- settings of a run that would start now


def test_current_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Arguments win over what `init` set, that over the environment, that over the file; None says nothing."""
    Path("tracklib.toml").write_text("log_models = 'off'\nproject = 'file'\nexperiment = 'file'\n")
    monkeypatch.setenv("TRACKLIB_PROJECT", "environment")
    monkeypatch.setenv("TRACKLIB_MODE", "offline")
    tracklib.init(mode="online")
    settings = tracklib.current_settings(project=None, flush_interval=0.5)
    tracklib.init()

    assert (settings.log_models, settings.project, settings.experiment) == ("off", "environment", "file")
    assert (settings.mode, settings.flush_interval) == ("online", 0.5)


@pytest.mark.parametrize("given", [{"mode": "sideways"}, {"no_setting": 1}], ids=repr)
def test_settings_that_cannot_be_meant(given: dict[str, object]) -> None:
    """As `start_run` would refuse them."""
    with pytest.raises(ConfigError):
        tracklib.current_settings(**given)
