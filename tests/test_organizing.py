"""Projects and experiments: created, changed, listed, archived and restored."""

from __future__ import annotations

import time
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

import tracklib
from tracklib.errors import ConfigError, NotFound
from tracklib.model import Experiment, ExperimentStatus, Project, ProjectSettings
from tracklib.records import is_id

pytestmark = pytest.mark.usefixtures("bare")

SETTINGS = ProjectSettings(
    experiment_defaults={"hypothesis": "none yet", "tags": {"made": "by default"}},
    primary_metrics=("eval/accuracy", "eval/loss"),
    higher_is_better={"eval/accuracy": True, "eval/loss": False},
    chart_types={"eval/loss": "line"},
    auto_archive_days=30.5,
    keep_best_runs=3,
    keep_recent_runs=10,
)


def is_default(entity: object, name: str) -> bool:
    (field,) = [field for field in fields(entity) if field.name == name]  # type: ignore[arg-type]
    return getattr(entity, name) in ("", None, {}, (), 0, 0.0) or getattr(entity, name) == field.default


def test_a_project_keeps_all_that_is_said_of_it() -> None:
    """Every field is read back, also those of its settings."""
    made = tracklib.set_project(
        "digits", description="größe", owner="ada", team="vision", tags={"a": 1}, settings=SETTINGS
    )
    archived = tracklib.archive_project("digits")

    found = tracklib.get_project("digits")
    assert found == archived
    assert replace(found, archived_at=None, updated_at=made.updated_at) == made
    assert (found.description, found.owner, found.team, found.tags) == ("größe", "ada", "vision", {"a": "1"})
    assert found.settings == SETTINGS
    assert is_id(found.id)
    assert not [field.name for field in fields(Project) if is_default(found, field.name)]
    assert not [field.name for field in fields(ProjectSettings) if is_default(found.settings, field.name)]


def test_an_experiment_keeps_all_that_is_said_of_it() -> None:
    """Every field is read back; its project is made where it is missing."""
    made = tracklib.set_experiment(
        "sweep",
        project="digits",
        description="größe",
        hypothesis="1e-3 is best",
        status="archived",
        tags={"a": 1},
        created_by="ada",
    )

    found = tracklib.get_experiment("sweep", project="digits")
    assert found == made
    assert (found.project, found.hypothesis, found.status) == ("digits", "1e-3 is best", ExperimentStatus.ARCHIVED)
    assert not [field.name for field in fields(Experiment) if is_default(found, field.name)]
    assert [project.name for project in tracklib.list_projects()] == ["digits"]


def test_what_is_not_said_stays() -> None:
    """A second call changes the fields that it names; tags are merged, and None removes one."""
    first = tracklib.set_project("digits", description="a", owner="ada", tags={"a": 1, "b": 2})
    time.sleep(0.001)
    second = tracklib.set_project("digits", owner="", tags={"a": None, "c": 3})

    assert (second.id, second.created_at, second.description, second.owner) == (first.id, first.created_at, "a", "")
    assert second.tags == {"b": "2", "c": "3"}
    assert second.updated_at > first.updated_at
    assert tracklib.list_projects() == [second]


def test_settings_of_a_project_change_one_by_one() -> None:
    """By a mapping; a whole ProjectSettings replaces them."""
    tracklib.set_project("digits", settings=SETTINGS)
    changed = tracklib.set_project("digits", settings={"auto_archive_days": None, "primary_metrics": ["loss"]})

    assert changed.settings == replace(SETTINGS, auto_archive_days=None, primary_metrics=("loss",))
    assert tracklib.get_project("digits").settings == changed.settings
    assert tracklib.set_project("digits", settings=ProjectSettings()).settings == ProjectSettings()


def test_an_experiment_changes_likewise() -> None:
    """And keeps its id, maker and time."""
    first = tracklib.set_experiment("sweep", project="digits", hypothesis="a", tags={"a": 1})
    second = tracklib.set_experiment("sweep", project="digits", description="b", tags={"b": 2}, status="completed")

    assert (second.id, second.created_at, second.created_by) == (first.id, first.created_at, first.created_by)
    assert (second.hypothesis, second.description, second.tags) == ("a", "b", {"a": "1", "b": "2"})
    assert second.status is ExperimentStatus.COMPLETED
    assert first.created_by


def test_experiments_of_one_name_in_two_projects_are_two() -> None:
    """A name is unique in its project only."""
    tracklib.set_experiment("sweep", project="a", description="of a")
    tracklib.set_experiment("sweep", project="b", description="of b")

    assert tracklib.get_experiment("sweep", project="a").description == "of a"
    assert [found.project for found in tracklib.list_experiments()] == ["a", "b"]
    assert [found.project for found in tracklib.list_experiments("b")] == ["b"]


def test_defaults_of_a_project_go_to_its_new_experiments() -> None:
    """Whether they are made by hand or by a run."""
    tracklib.set_project("digits", settings=SETTINGS)
    by_hand = tracklib.set_experiment("by hand", project="digits", description="x", tags={"more": 1})
    with tracklib.start_run("digits", "by run"):
        pass

    by_run = tracklib.get_experiment("by run", project="digits")
    assert by_hand.hypothesis == by_run.hypothesis == "none yet"
    assert by_hand.tags == {"made": "by default", "more": "1"}
    assert by_run.tags == {"made": "by default"}


def test_what_was_archived_is_out_of_the_way() -> None:
    """And nothing is lost: it is restored as it was."""
    before = tracklib.set_project("digits", owner="ada")
    tracklib.set_project("letters")
    assert tracklib.archive_project("digits").archived_at is not None

    assert [project.name for project in tracklib.list_projects()] == ["letters"]
    assert [project.name for project in tracklib.list_projects(archived=True)] == ["digits"]
    assert [project.name for project in tracklib.list_projects(archived=None)] == ["digits", "letters"]
    tracklib.restore_project("digits")
    assert replace(tracklib.get_project("digits"), updated_at=before.updated_at) == before


def test_an_archived_experiment_is_restored() -> None:
    """Its status says where it is."""
    tracklib.set_experiment("sweep", project="digits", hypothesis="x")
    archived = tracklib.archive_experiment("sweep", project="digits")

    assert (archived.status, archived.archived_at is not None) == (ExperimentStatus.ARCHIVED, True)
    assert tracklib.list_experiments("digits") == []
    assert tracklib.list_experiments("digits", archived=True) == [archived]
    described = tracklib.set_experiment("sweep", project="digits", description="still archived")
    assert described.archived_at == archived.archived_at
    restored = tracklib.restore_experiment("sweep", project="digits")
    assert (restored.status, restored.archived_at, restored.hypothesis) == (ExperimentStatus.ACTIVE, None, "x")
    assert tracklib.list_experiments("digits") == [restored]


def test_a_run_makes_what_is_missing() -> None:
    """Project and experiment, by their names; those that are there stay as they are."""
    made = tracklib.set_project("digits", owner="ada")
    with tracklib.start_run("digits", "sweep"):
        pass
    with tracklib.start_run("letters"):
        pass

    assert tracklib.get_project("digits") == made
    assert [(e.project, e.name) for e in tracklib.list_experiments()] == [("digits", "sweep"), ("letters", "default")]


def test_what_is_not_there_is_not_found() -> None:
    """Near names are suggested, else those that there are."""
    tracklib.set_experiment("lr-sweep", project="digits")

    with pytest.raises(NotFound, match="no project 'digit'; did you mean 'digits'"):
        tracklib.get_project("digit")
    with pytest.raises(NotFound, match="no experiment 'x'; there are: lr-sweep"):
        tracklib.get_experiment("x", project="digits")
    for change in (tracklib.archive_project, tracklib.restore_project):
        with pytest.raises(NotFound):
            change("letters")
    for change_experiment in (tracklib.archive_experiment, tracklib.restore_experiment):
        with pytest.raises(NotFound):
            change_experiment("other", project="digits")
    assert len(tracklib.list_experiments(archived=None)) == 1


def test_lists_without_a_store_are_empty() -> None:
    """And make none."""
    assert tracklib.list_projects() == []
    assert tracklib.list_experiments("digits") == []
    with pytest.raises(NotFound, match="no project 'digits'; there are: none"):
        tracklib.get_project("digits")
    assert list(Path.cwd().iterdir()) == []


def test_a_store_of_ones_own_is_used() -> None:
    """By each of the functions."""
    store = "other.db"
    tracklib.set_project("p", store=store)
    tracklib.set_experiment("e", project="p", store=store)
    tracklib.archive_experiment("e", project="p", store=store)
    tracklib.archive_project("p", store=store)
    tracklib.restore_experiment("e", project="p", store=store)
    tracklib.restore_project("p", store=store)

    assert [project.name for project in tracklib.list_projects(store=store)] == ["p"]
    assert [experiment.name for experiment in tracklib.list_experiments(store=store)] == ["e"]
    assert tracklib.get_project("p", store=store).archived_at is None
    assert tracklib.get_experiment("e", project="p", store=store).archived_at is None
    assert not Path(".tracklib").exists()


@pytest.mark.parametrize("name", ["", " ", 5, None, "x" * 501], ids=lambda name: repr(name)[:10])
def test_a_name_must_say_something(name: Any) -> None:
    """For each function that takes one."""
    for call in (tracklib.set_project, tracklib.get_project, tracklib.archive_project, tracklib.restore_project):
        with pytest.raises(ConfigError, match=r"^name (is|has)"):
            call(name)
    for place in ({"name": name, "project": "p"}, {"name": "e", "project": name}):
        for call_with in (tracklib.set_experiment, tracklib.get_experiment, tracklib.archive_experiment):
            with pytest.raises(ConfigError, match=r"^(name|project) (is|has)"):
                call_with(**place)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"primary_metrics": "eval/loss"}, "primary_metrics is 'eval/loss', but takes a list of names"),
        ({"primary_metrics": [1]}, "primary_metrics is"),
        ({"higher_is_better": {"loss": "no"}}, "higher_is_better is .* True or False"),
        ({"higher_is_better": ["loss"]}, "higher_is_better is"),
        ({"chart_types": {"loss": 5}}, "chart_types is"),
        ({"auto_archive_days": "soon"}, "auto_archive_days is 'soon', but takes a number of days"),
        ({"auto_archive_days": -1}, "auto_archive_days is -1"),
        ({"auto_archive_days": float("nan")}, "auto_archive_days is nan"),
        ({"auto_archive_days": True}, "auto_archive_days is True"),
        ({"keep_best_runs": 1.5}, "keep_best_runs is 1.5, but takes a whole number"),
        ({"keep_recent_runs": -1}, "keep_recent_runs is -1"),
        ({"keep_recent_runs": None}, "keep_recent_runs is None"),
        ({"experiment_defaults": 5}, "experiment_defaults is 5"),
        ({"colour": "red"}, "'colour' is no setting of a project; those are auto_archive_days"),
        (ProjectSettings(keep_best_runs="many"), "keep_best_runs is 'many'"),  # type: ignore[arg-type]
    ],
    ids=str,
)
def test_settings_of_a_project_that_cannot_be_meant_are_refused(given: Any, message: str) -> None:
    """By name, and with what would do; nothing is made."""
    with pytest.raises(ConfigError, match=message):
        tracklib.set_project("digits", settings=given)

    assert tracklib.list_projects() == []


@pytest.mark.parametrize("given", [{"tags": 5}, {"tags": ["a"]}, {"settings": 5}, {"settings": [1]}], ids=str)
def test_what_takes_a_mapping_takes_nothing_else(given: dict[str, Any]) -> None:
    """The argument is named."""
    with pytest.raises(TypeError, match=f"{next(iter(given))} is"):
        tracklib.set_project("digits", **given)


@pytest.mark.parametrize("status", ["done", "", 5], ids=repr)
def test_an_experiment_has_one_of_three_states(status: Any) -> None:
    """Another is refused."""
    with pytest.raises(ConfigError, match=r"status is .* active, completed or archived"):
        tracklib.set_experiment("sweep", project="digits", status=status)
