"""`tracklib runs`: the table of runs."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from tracklib.cli.options import Command, json_option, named_values, project_option, store_option
from tracklib.model import RunStatus

if TYPE_CHECKING:
    from tracklib.analysis.run_fields import FieldColumn
    from tracklib.stores.base import RunQuery, Store

__all__ = ["runs"]

FIRST_RUN = """
Record a first one:

    import tracklib

    with tracklib.start_run(project="digits", params={"lr": 1e-3}) as run:
        for step in range(100):
            run.log({"train/loss": 1 / (step + 1)}, step=step)
"""


def _columns(_context: click.Context, _option: click.Parameter, value: str | None) -> tuple[FieldColumn, ...]:
    """Return the columns that a list with commas means."""
    if value is None:
        return ()
    from tracklib.analysis.run_fields import field_column
    from tracklib.queries.scanning import split_list

    return tuple(field_column(text) for text, _ in split_list(value))


@click.command(
    cls=Command,
    examples=[
        "tracklib runs --project digits --status completed",
        "tracklib runs \"params.training.lr < 1e-2 and metrics['eval/loss'] < 0.5\"",
        "tracklib runs 'run.started > ago(\"7d\")' --sort '-metrics.acc' --columns name,params.training.lr,metrics.acc",
        "tracklib runs --sort eval/loss --ascending --limit 5",
        "tracklib runs --tag team=vision --json | jq -r '.runs[].id'",
    ],
)
@click.argument("filter_text", metavar="[FILTER]", default="")
@project_option("Only runs of this project.")
@click.option("--experiment", metavar="NAME", help="Only runs of experiments of this name.")
@click.option(
    "--status", multiple=True, type=click.Choice([str(status) for status in RunStatus]), help="Only those; repeatable."
)
@click.option(
    "--tag",
    "tags",
    multiple=True,
    metavar="NAME=VALUE",
    callback=named_values,
    help="Only those with this tag; repeatable.",
)
@click.option("--archived", is_flag=True, help="List what is archived instead of what is not.")
@click.option(
    "--sort",
    metavar="created|METRIC|EXPR",
    default="created",
    help="The newest first, or the highest: of a metric's last value, or of what stands here, as in a filter.",
)
@click.option("--ascending", "--reverse", is_flag=True, help="The other way round: the oldest, or the lowest first.")
@click.option(
    "--limit", metavar="N", default=20, show_default=True, type=click.IntRange(min=0), help="How many; 0: all."
)
@click.option(
    "--columns",
    metavar="FIELDS",
    callback=_columns,
    help="What to show, with commas: params.lr, metrics.loss.min, tags.team, run.host …",
)
@store_option
@json_option
def runs(  # noqa: PLR0913 - one argument for each option
    *,
    filter_text: str,
    project: str | None,
    experiment: str | None,
    status: tuple[str, ...],
    tags: dict[str, str],
    archived: bool,
    sort: str,
    ascending: bool,
    limit: int,
    columns: tuple[FieldColumn, ...],
    store: str | None,
    as_json: bool,
) -> None:
    """List runs with their status and first metrics.

    A FILTER is a Python expression over params, metrics, tags and run; in quotes, since it has spaces and signs that
    mean something to the shell. The newest come first. The metrics shown are the project's primary ones, or else those
    that most of the runs have.
    """
    from tracklib.finding import checked_conditions
    from tracklib.stores.base import RunQuery

    conditions = {
        "where": filter_text,
        "project": project,
        "experiment": experiment,
        "status": tuple(RunStatus(word) for word in status),
        "tags": tags,
        "archived": archived,
        "order_by": sort,
        "descending": not ascending,
    }
    _print(RunQuery(**checked_conditions(conditions)), limit=limit, columns=columns, store=store, as_json=as_json)


def _print(query: RunQuery, *, limit: int, columns: tuple[FieldColumn, ...], store: str | None, as_json: bool) -> None:
    from tracklib.cli.as_json import listed_run
    from tracklib.cli.listing import Listing, list_runs, print_runs
    from tracklib.cli.output import console, print_json, styled
    from tracklib.cli.reaching import check_place, reach, safe_uri

    opened, there = reach(store)
    if there:
        check_place(opened, query.project, query.experiment)
    listing = list_runs(opened, query, limit=limit, columns=columns) if there else Listing()
    for hint in listing.hints:
        console(error=True).print(styled(f"{hint[:1].upper()}{hint[1:]}", "yellow"))
    if as_json:
        listed = [listed_run(run, listing.summaries.get(run.id, {})) for run in listing.runs]
        for told, cells in zip(listed, listing.cells, strict=False):
            told["columns"] = {column.text: value for column, value in zip(columns, cells, strict=True)}
        print_json({"store": safe_uri(opened.uri), "runs": listed, "more": listing.more})
    elif listing.runs:
        place = "" if query.experiment and query.project else "experiment" if query.project else "project/experiment"
        print_runs(listing, place=place, whole_ids=not sys.stdout.isatty())
        if listing.more:
            console(error=True).print(styled(f"There are more: --limit {limit * 5}, or --limit 0 for all.", "dim"))
    else:
        _say_why_nothing(opened, query, there=there)


def _say_why_nothing(store: Store, query: RunQuery, *, there: bool) -> None:
    from tracklib.cli.reaching import safe_uri
    from tracklib.stores.base import RunQuery

    place = safe_uri(store.uri)
    if there and store.runs(RunQuery(archived=None, limit=1)):
        what = "archived runs" if query.archived else "runs"
        click.echo(f"No {what} in {place} fit this.")
    else:
        click.echo(f"There are no runs in {place} yet.\n{FIRST_RUN}")
