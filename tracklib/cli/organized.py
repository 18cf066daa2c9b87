"""Projects and experiments for people: tables of them, and pages about one."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from tracklib.cli.formats import list_of_tags, value_text, when
from tracklib.cli.listing import list_runs, print_runs
from tracklib.cli.output import Column, heading, line, pairs, styled, table
from tracklib.model import ExperimentStatus, ProjectSettings
from tracklib.stores.base import RunQuery

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.text import Text

    from tracklib.model import Experiment, Project
    from tracklib.stores.base import Store

    Items = list[tuple[str, str | Text]]

__all__ = [
    "experiment_items",
    "print_experiment",
    "print_experiments",
    "print_project",
    "print_projects",
    "project_items",
]

NEWEST_RUNS = 10

_STATUS_STYLES = {
    ExperimentStatus.ACTIVE: "cyan",
    ExperimentStatus.COMPLETED: "green",
    ExperimentStatus.ARCHIVED: "dim",
}


def print_projects(store: Store, projects: Sequence[Project]) -> None:
    """Print a table of projects."""
    columns = [
        Column(title="name", rank=9, least=12),
        Column(title="experiments", right=True, rank=5),
        Column(title="last run", rank=6),
        Column(title="owner", rank=4, least=8),
        Column(title="team", rank=3, least=8),
        Column(title="description", rank=2, least=16),
        Column(title="tags", rank=1, least=8),
    ]
    homes = [experiment.project for experiment in store.experiments(archived=None)]
    rows: list[list[str | Text]] = [
        [
            styled(project.name, "bold"),
            str(homes.count(project.name)),
            _last_run(store, RunQuery(project=project.name, limit=1)),
            project.owner,
            project.team,
            project.description,
            styled(list_of_tags(project.tags), "dim"),
        ]
        for project in projects
    ]
    table(columns, rows)


def print_experiments(store: Store, experiments: Sequence[Experiment], *, with_project: bool) -> None:
    """Print a table of experiments.

    Args:
        with_project: Tell of which project each is.
    """
    columns = [
        Column(title="project", rank=8, least=10),
        Column(title="name", rank=9, least=12),
        Column(title="status", rank=7),
        Column(title="last run", rank=6),
        Column(title="hypothesis", rank=4, least=16),
        Column(title="description", rank=3, least=16),
        Column(title="tags", rank=1, least=8),
    ]
    rows: list[list[str | Text]] = [
        [
            experiment.project if with_project else "",
            styled(experiment.name, "bold"),
            styled(experiment.status, _STATUS_STYLES[experiment.status]),
            _last_run(store, RunQuery(project=experiment.project, experiment=experiment.name, limit=1)),
            experiment.hypothesis,
            experiment.description,
            styled(list_of_tags(experiment.tags), "dim"),
        ]
        for experiment in experiments
    ]
    table(columns, rows)


def _last_run(store: Store, query: RunQuery) -> str:
    found = store.runs(query)
    return when(found[0].start_time or found[0].created_at) if found else ""


def print_project(store: Store, project: Project) -> None:
    """Print a project and its experiments."""
    line(styled(project.name, "bold"))
    line()
    pairs(project_items(project)[1:])
    experiments = store.experiments(project.name, archived=None)
    if experiments:
        heading("Experiments")
        print_experiments(store, experiments, with_project=False)


def print_experiment(store: Store, experiment: Experiment) -> None:
    """Print an experiment and its newest runs."""
    line(styled(experiment.name, "bold"))
    line()
    pairs(experiment_items(experiment)[1:])
    query = RunQuery(project=experiment.project, experiment=experiment.name)
    listing = list_runs(store, query, limit=NEWEST_RUNS)
    if listing.runs:
        heading("Runs", f"the newest {NEWEST_RUNS}" if listing.more else "")
        print_runs(listing, place="", whole_ids=not sys.stdout.isatty(), indent=2)


def project_items(project: Project) -> Items:
    """Return what there is to say of a project, by name."""
    usual = asdict(ProjectSettings())
    settings = {name: value for name, value in asdict(project.settings).items() if value != usual[name]}
    items: Items = [
        ("name", project.name),
        ("description", project.description),
        ("owner", project.owner),
        ("team", project.team),
        ("tags", list_of_tags(project.tags)),
        *((name, value_text(value)) for name, value in settings.items()),
        *_dates(project),
    ]
    return [(name, value) for name, value in items if value]


def experiment_items(experiment: Experiment) -> Items:
    """Return what there is to say of an experiment, by name."""
    items: Items = [
        ("name", experiment.name),
        ("project", experiment.project),
        ("status", styled(experiment.status, _STATUS_STYLES[experiment.status])),
        ("description", experiment.description),
        ("hypothesis", experiment.hypothesis),
        ("tags", list_of_tags(experiment.tags)),
        ("created by", experiment.created_by),
        *_dates(experiment),
    ]
    return [(name, value) for name, value in items if value]


def _dates(entity: Project | Experiment) -> Items:
    dates = (("created", entity.created_at), ("changed", entity.updated_at), ("archived", entity.archived_at))
    return [(name, when(at, full=True)) for name, at in dates if at]
