"""`tracklib experiments`: list, show, change, archive and restore experiments."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tracklib.cli.options import Command, Commands, json_option, project_option, store_option, tag_options
from tracklib.model import ExperimentStatus

if TYPE_CHECKING:
    from tracklib.model import Experiment

__all__ = ["experiments"]

_HOME = "The project it belongs to. It may be left out where only one has an experiment of this name."


@click.group(
    cls=Commands,
    default="list",
    examples=[
        "tracklib experiments --project digits",
        "tracklib experiments show lr-sweep",
        "tracklib experiments set lr-sweep --project digits --hypothesis 'a rate of 1e-3 is best'",
        "tracklib experiments archive lr-sweep",
    ],
)
def experiments() -> None:
    """List, show, change, archive and restore experiments. Without a command they are listed."""


@experiments.command("list", cls=Command, examples=["tracklib experiments list --project digits --archived"])
@project_option("Only experiments of this project.")
@click.option("--archived", is_flag=True, help="List what is archived instead of what is not.")
@store_option
@json_option
def list_(*, project: str | None, archived: bool, store: str | None, as_json: bool) -> None:
    """List experiments by project and name."""
    from tracklib.cli.organized import print_experiments
    from tracklib.cli.output import print_json
    from tracklib.cli.reaching import check_place, reach, safe_uri

    opened, there = reach(store)
    if there:
        check_place(opened, project, None)
    found = opened.experiments(project, archived=archived) if there else []
    if as_json:
        print_json({"store": safe_uri(opened.uri), "experiments": found})
    elif found:
        print_experiments(opened, found, with_project=project is None)
    else:
        click.echo(f"There are no {'archived ' if archived else ''}experiments in {project or safe_uri(opened.uri)}.")


@experiments.command(cls=Command, examples=["tracklib experiments show lr-sweep --project digits"])
@click.argument("name")
@project_option(_HOME)
@store_option
@json_option
def show(*, name: str, project: str | None, store: str | None, as_json: bool) -> None:
    """Show an experiment and its newest runs."""
    from tracklib.cli.organized import print_experiment
    from tracklib.cli.output import print_json
    from tracklib.cli.reaching import home_of, reach_existing

    opened = reach_existing(store)
    home = home_of(opened, name, project)
    found = next(entity for entity in opened.experiments(home, archived=None) if entity.name == name)
    if as_json:
        print_json(found)
    else:
        print_experiment(opened, found)


@experiments.command(
    "set",
    cls=Command,
    examples=[
        "tracklib experiments set lr-sweep --project digits --description 'Rates from 1e-5 to 1' --tag stage=pilot",
        "tracklib experiments set lr-sweep --status completed",
    ],
)
@click.argument("name")
@project_option(f"{_HOME} A new experiment needs it.")
@click.option("--description", metavar="TEXT", help="What it is about.")
@click.option("--hypothesis", metavar="TEXT", help="What it is to show.")
@click.option(
    "--status", type=click.Choice([str(status) for status in ExperimentStatus]), help="Where it is in its life."
)
@click.option("--created-by", metavar="NAME", help="Whose it is.")
@tag_options
@store_option
@json_option
def set_(
    *,
    name: str,
    project: str | None,
    tags: dict[str, str],
    untags: tuple[str, ...],
    store: str | None,
    as_json: bool,
    **fields: str | None,
) -> None:
    """Change what is given of an experiment, and make it, and its project, if they are missing."""
    from tracklib.organizing import set_experiment

    home = project or _home_of_old(name, store)
    given = {field: text for field, text in fields.items() if text is not None}
    experiment = set_experiment(name, project=home, tags={**tags, **dict.fromkeys(untags)}, store=store, **given)
    _report("The experiment is now:", experiment, as_json=as_json)


@experiments.command(cls=Command, examples=["tracklib experiments archive lr-sweep --project digits"])
@click.argument("name")
@project_option(_HOME)
@store_option
@json_option
def archive(*, name: str, project: str | None, store: str | None, as_json: bool) -> None:
    """Put an experiment out of the way. Nothing is deleted."""
    from tracklib.organizing import archive_experiment

    home = _home(name, project, store)
    _report("Archived:", archive_experiment(name, project=home, store=store), as_json=as_json)


@experiments.command(cls=Command, examples=["tracklib experiments restore lr-sweep --project digits"])
@click.argument("name")
@project_option(_HOME)
@store_option
@json_option
def restore(*, name: str, project: str | None, store: str | None, as_json: bool) -> None:
    """Bring an archived experiment back."""
    from tracklib.organizing import restore_experiment

    home = _home(name, project, store)
    _report("Restored:", restore_experiment(name, project=home, store=store), as_json=as_json)


def _home(name: str, project: str | None, store: str | None) -> str:
    from tracklib.cli.reaching import home_of, reach_existing

    return home_of(reach_existing(store), name, project)


def _home_of_old(name: str, store: str | None) -> str:
    """Return the project of an experiment that is there; a new one needs to be told its project."""
    from tracklib.errors import AmbiguousName, NotFound

    try:
        return _home(name, None, store)
    except AmbiguousName:
        raise
    except NotFound as error:
        raise click.UsageError(f"There is no experiment {name!r} yet: name its project with --project.") from error


def _report(what: str, experiment: Experiment, *, as_json: bool) -> None:
    from tracklib.cli.organized import experiment_items
    from tracklib.cli.output import line, pairs, print_json

    if as_json:
        print_json(experiment)
    else:
        line(what)
        pairs(experiment_items(experiment))
