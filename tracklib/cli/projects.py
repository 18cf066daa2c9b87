"""`tracklib projects`: list, show, change, archive and restore projects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tracklib.cli.options import Command, Commands, json_option, named_values, store_option, tag_options

if TYPE_CHECKING:
    from tracklib.model import Project

__all__ = ["projects"]


@click.group(
    cls=Commands,
    default="list",
    examples=[
        "tracklib projects",
        "tracklib projects show digits",
        "tracklib projects set digits --owner ann --setting primary_metrics='[\"eval/accuracy\"]'",
        "tracklib projects archive digits",
    ],
)
def projects() -> None:
    """List, show, change, archive and restore projects. Without a command they are listed."""


@projects.command("list", cls=Command, examples=["tracklib projects list --archived"])
@click.option("--archived", is_flag=True, help="List what is archived instead of what is not.")
@store_option
@json_option
def list_(*, archived: bool, store: str | None, as_json: bool) -> None:
    """List projects by name."""
    from tracklib.cli.organized import print_projects
    from tracklib.cli.output import print_json
    from tracklib.cli.reaching import reach, safe_uri

    opened, there = reach(store)
    found = opened.projects(archived=archived) if there else []
    if as_json:
        print_json({"store": safe_uri(opened.uri), "projects": found})
    elif found:
        print_projects(opened, found)
    else:
        click.echo(f"There are no {'archived ' if archived else ''}projects in {safe_uri(opened.uri)}.")


@projects.command(cls=Command, examples=["tracklib projects show digits", "tracklib projects show digits --json"])
@click.argument("name")
@store_option
@json_option
def show(*, name: str, store: str | None, as_json: bool) -> None:
    """Show a project, its settings and its experiments."""
    from tracklib.cli.organized import print_project
    from tracklib.cli.output import plain, print_json
    from tracklib.cli.reaching import check_place, reach_existing

    opened = reach_existing(store)
    check_place(opened, name, None)
    project = next(entity for entity in opened.projects(archived=None) if entity.name == name)
    if as_json:
        print_json({**plain(project), "experiments": opened.experiments(name, archived=None)})
    else:
        print_project(opened, project)


@projects.command(
    "set",
    cls=Command,
    examples=[
        "tracklib projects set digits --description 'Handwritten digits' --owner ann --team vision --tag stage=pilot",
        "tracklib projects set digits --setting primary_metrics='[\"eval/accuracy\"]'",
        "tracklib projects set digits --setting higher_is_better='{\"eval/accuracy\": true}' --untag stage",
    ],
)
@click.argument("name")
@click.option("--description", metavar="TEXT", help="What it is about.")
@click.option("--owner", metavar="NAME", help="Who answers for it.")
@click.option("--team", metavar="NAME", help="Whose it is.")
@tag_options
@click.option(
    "--setting",
    "settings",
    multiple=True,
    metavar="NAME=JSON",
    callback=named_values,
    help="Change a setting; repeatable. They are: experiment_defaults, primary_metrics, higher_is_better, chart_types, "
    "auto_archive_days, keep_best_runs, keep_recent_runs.",
)
@store_option
@json_option
def set_(
    *,
    name: str,
    tags: dict[str, str],
    untags: tuple[str, ...],
    settings: dict[str, str],
    store: str | None,
    as_json: bool,
    **texts: str | None,
) -> None:
    """Change what is given of a project, and make the project if it is missing."""
    from tracklib.cli.setting_values import parsed_settings
    from tracklib.organizing import set_project

    changed = {**tags, **dict.fromkeys(untags)}
    project = set_project(name, tags=changed, settings=parsed_settings(settings) or None, store=store, **_given(texts))
    _report("The project is now:", project, as_json=as_json)


@projects.command(cls=Command, examples=["tracklib projects archive digits"])
@click.argument("name")
@store_option
@json_option
def archive(*, name: str, store: str | None, as_json: bool) -> None:
    """Put a project out of the way. Nothing is deleted."""
    from tracklib.organizing import archive_project

    _report("Archived:", archive_project(name, store=store), as_json=as_json)


@projects.command(cls=Command, examples=["tracklib projects restore digits"])
@click.argument("name")
@store_option
@json_option
def restore(*, name: str, store: str | None, as_json: bool) -> None:
    """Bring an archived project back."""
    from tracklib.organizing import restore_project

    _report("Restored:", restore_project(name, store=store), as_json=as_json)


def _given(texts: dict[str, str | None]) -> dict[str, Any]:
    return {name: text for name, text in texts.items() if text is not None}


def _report(what: str, project: Project, *, as_json: bool) -> None:
    from tracklib.cli.organized import project_items
    from tracklib.cli.output import line, pairs, print_json

    if as_json:
        print_json(project)
    else:
        line(what)
        pairs(project_items(project))
