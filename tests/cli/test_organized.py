"""`tracklib projects` and `tracklib experiments`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

import tracklib

Call = Callable[..., Result]

pytestmark = pytest.mark.usefixtures("bare")


def test_projects_alone_lists(call: Call, store: str) -> None:
    """Without a command, options or not, projects are listed, with what is known of them."""
    page = call("projects", "--store", store).stdout

    assert page == call("projects", "list", "--store", store).stdout
    assert page.splitlines()[0].split() == ["name", "experiments", "last", "run", "owner"]
    assert page.splitlines()[1].startswith("digits            3  ")
    assert [p["name"] for p in json.loads(call("projects", "--json", "--store", store).stdout)["projects"]] == [
        "digits",
        "nlp",
    ]


def test_project_page(call: Call, store: str) -> None:
    """A project is shown with its settings and experiments."""
    page = call("projects", "show", "digits", "--store", store).stdout
    told = json.loads(call("projects", "show", "digits", "--store", store, "--json").stdout)

    assert '  primary_metrics   ["eval/accuracy"]\n' in page
    assert "\nExperiments\n" in page
    assert told["settings"]["higher_is_better"] == {"eval/accuracy": True}
    assert [experiment["name"] for experiment in told["experiments"]] == ["full", "lr-sweep", "odd"]


def test_set_project(call: Call) -> None:
    """Every field of a project can be set; what is not given stays, and the project is made if it is missing."""
    words = ("--description", "small nets", "--owner", "ann", "--team", "vision", "--tag", "stage=pilot", "--tag", "x=")
    first = call(
        "projects", "set", "digits", *words, "--setting", 'primary_metrics=["a"]', "--setting", "keep_best_runs=3"
    )
    call("projects", "set", "digits", "--owner", "bob", "--untag", "x", "--setting", "auto_archive_days=1.5")

    project = tracklib.get_project("digits")
    assert first.stdout.startswith("The project is now:\n")
    assert (project.description, project.owner, project.team) == ("small nets", "bob", "vision")
    assert project.tags == {"stage": "pilot"}
    assert (project.settings.primary_metrics, project.settings.keep_best_runs) == (("a",), 3)
    assert project.settings.auto_archive_days == 1.5


@pytest.mark.parametrize(
    "setting",
    [
        "primary_metrics=eval/accuracy",
        'primary_metrics="eval/accuracy"',
        "keep_best_runs=1.5",
        "keep_recent_runs=true",
        "auto_archive_days=-1",
        'higher_is_better={"a": 1}',
        'chart_types=["line"]',
        "experiment_defaults=[]",
        "colour=1",
        "keep_best_runs",
    ],
)
def test_settings_that_cannot_be_meant(setting: str, call: Call) -> None:
    """A setting of another kind, or of no known name, is misuse, and changes nothing."""
    call("projects", "set", "digits", "--setting", setting, status=2)

    assert not list(Path.cwd().iterdir())


def test_archive_and_restore_project(call: Call) -> None:
    """An archived project is out of the list, among the archived ones, and comes back."""
    tracklib.set_project("digits")

    assert call("projects", "archive", "digits").stdout.startswith("Archived:\n")
    assert "There are no projects" in call("projects").stdout
    assert "digits" in call("projects", "--archived").stdout
    assert json.loads(call("projects", "restore", "digits", "--json").stdout)["archived_at"] is None
    assert "digits" in call("projects").stdout


def test_experiments_are_listed(call: Call, store: str) -> None:
    """Experiments of all projects are listed with theirs, or those of one."""
    everything = call("experiments", "--store", store).stdout.splitlines()
    of_one = json.loads(call("experiments", "--project", "nlp", "--store", store, "--json").stdout)

    assert everything[0].split()[:3] == ["project", "name", "status"]
    assert len(everything) == 5
    assert [experiment["name"] for experiment in of_one["experiments"]] == ["default"]


def test_experiment_page(call: Call, store: str) -> None:
    """An experiment is shown with its newest runs; its project need not be named where only one has it."""
    page = call("experiments", "show", "lr-sweep", "--store", store).stdout

    assert page.startswith("lr-sweep\n\n  project  digits\n")
    assert page.count("✔ completed") == 3
    assert json.loads(call("experiments", "show", "lr-sweep", "--store", store, "--json").stdout)["project"] == "digits"


def test_set_experiment(call: Call) -> None:
    """Every field of an experiment can be set; a new one needs its project, an old one does not."""
    words = ("--description", "rates", "--hypothesis", "1e-3 is best", "--created-by", "ann", "--tag", "a=1")
    call("experiments", "set", "sweep", "--project", "digits", *words)
    call("experiments", "set", "sweep", "--status", "completed", "--untag", "a")

    experiment = tracklib.get_experiment("sweep", project="digits")
    assert (experiment.description, experiment.hypothesis, experiment.created_by) == ("rates", "1e-3 is best", "ann")
    assert (str(experiment.status), experiment.tags) == ("completed", {})
    assert "name its project" in call("experiments", "set", "other", status=2).stderr


def test_archive_and_restore_experiment(call: Call) -> None:
    """An archived experiment is out of the list and comes back."""
    tracklib.set_experiment("sweep", project="digits")

    assert json.loads(call("experiments", "archive", "sweep", "--json").stdout)["status"] == "archived"
    assert "There are no experiments" in call("experiments").stdout
    assert "sweep" in call("experiments", "--archived").stdout
    assert call("experiments", "restore", "sweep", "--project", "digits").stdout.startswith("Restored:\n")


def test_several_homes(call: Call) -> None:
    """An experiment that several projects have needs its project named."""
    for project in ("a", "b"):
        tracklib.set_experiment("sweep", project=project)

    assert "--project (a, b)" in call("experiments", "archive", "sweep", status=1).stderr
    assert "--project (a, b)" in call("experiments", "set", "sweep", "--status", "completed", status=1).stderr


@pytest.mark.parametrize(
    "words",
    [
        ["projects", "show", "digitz"],
        ["projects", "archive", "digitz"],
        ["projects", "restore", "digitz"],
        ["experiments", "show", "digitz"],
        ["experiments", "archive", "digitz"],
        ["experiments", "restore", "digitz"],
    ],
)
def test_not_found(words: list[str], call: Call) -> None:
    """What is not there is named together with what is near."""
    tracklib.set_experiment("digits", project="digits")

    assert "did you mean 'digits'" in call(*words, status=1).stderr


def test_no_store_yet(call: Call) -> None:
    """Where nothing was recorded, lists are empty, and looking leaves nothing behind."""
    assert call("projects").stdout.startswith("There are no projects in sqlite:///")
    assert json.loads(call("experiments", "--json").stdout)["experiments"] == []
    assert not list(Path.cwd().iterdir())
