"""`tracklib show`: everything about one run."""

from __future__ import annotations

import sys
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

import click

from tracklib.cli.options import Command, json_option, project_option, store_option
from tracklib.errors import NotFound

if TYPE_CHECKING:
    from tracklib.model import Summary
    from tracklib.reading import StoredRun
    from tracklib.stores.base import Store

__all__ = ["show"]

MOST_METRICS = 100
MOST_CHILDREN = 50


@click.command(
    cls=Command,
    examples=[
        "tracklib show latest --project digits",
        "tracklib show 01JD4QHX --metrics 'eval/*'",
        "tracklib show digits/lr-sweep/lr-1e-3 --console",
        "tracklib show latest --diff | git apply",
    ],
)
@click.argument("run", default="latest")
@project_option("Look among the runs of this project only.")
@click.option(
    "--metrics", "globs", metavar="GLOB", multiple=True, help="Only the metrics that fit, such as 'eval/*'; repeatable."
)
@click.option("--console", "page", flag_value="console", help="Print what the program printed instead.")
@click.option(
    "--diff", "page", flag_value="diff", help="Print the code changes that were not committed instead, as a patch."
)
@store_option
@json_option
def show(
    *, run: str, project: str | None, globs: tuple[str, ...], page: str | None, store: str | None, as_json: bool
) -> None:
    """Show everything that was recorded of a run.

    RUN is an id, the beginning of one that fits no other, PROJECT/EXPERIMENT/NAME, a name that no other run has, or
    "latest", which is also meant where there is none.
    """
    from tracklib.cli.reaching import reach_existing

    opened = reach_existing(store)
    found = _find(opened, run, project)
    summaries = _fitting(found, globs)
    if as_json:
        _print_json(opened, found, summaries, console=page == "console")
    elif page == "console":
        _print_console(found)
    elif page == "diff":
        _print_diff(found)
    else:
        _print_page(opened, found, summaries, only_metrics=bool(globs))


def _find(store: Store, run: str, project: str | None) -> StoredRun:
    from tracklib.cli.reaching import check_place
    from tracklib.reading import StoredRun, find_run, with_live_status

    check_place(store, project, None)
    return StoredRun(store, with_live_status(find_run(store, run, project=project)))


def _fitting(run: StoredRun, globs: tuple[str, ...]) -> list[Summary]:
    """Return the summaries of the metrics that fit, by name.

    Raises:
        NotFound: None does.
    """
    known = sorted(run.metrics.values(), key=lambda summary: summary.name)
    if not globs:
        return known
    found = [summary for summary in known if any(fnmatchcase(summary.name, glob) for glob in globs)]
    if not found:
        names = [summary.name for summary in known if not summary.name.startswith("system/")]
        some = ", ".join(names[:10]) + (", …" if len(names) > 10 else "")
        raise NotFound(f"run {run.id} has no metric that fits {' or '.join(globs)}; it has: {some or 'none'}")
    return found


def _print_page(store: Store, run: StoredRun, summaries: list[Summary], *, only_metrics: bool) -> None:
    from tracklib.cli.metric_tables import print_metrics, print_system
    from tracklib.cli.run_page import print_after_metrics, print_before_metrics, print_head

    most = MOST_METRICS if sys.stdout.isatty() and not only_metrics else None
    if only_metrics:
        print_head(run.info)
    else:
        print_before_metrics(run.info)
    print_metrics(run, [s for s in summaries if not s.name.startswith("system/")], most=most)
    print_system(run, [s for s in summaries if s.name.startswith("system/")], most=most)
    if not only_metrics:
        _print_children(store, run)
        print_after_metrics(store, run)


def _print_children(store: Store, run: StoredRun) -> None:
    from tracklib.cli.listing import list_runs, print_runs
    from tracklib.cli.output import heading
    from tracklib.stores.base import RunQuery

    children = list_runs(store, RunQuery(parent=run.id), limit=MOST_CHILDREN)
    if children.runs:
        heading("Nested runs", f"the newest {MOST_CHILDREN}" if children.more else "")
        print_runs(children, place="", whole_ids=not sys.stdout.isatty(), indent=2)


def _print_json(store: Store, run: StoredRun, summaries: list[Summary], *, console: bool) -> None:
    from tracklib.cli.as_json import whole_run
    from tracklib.cli.output import print_json
    from tracklib.reading import with_live_status
    from tracklib.stores.base import RunQuery

    children = map(with_live_status, store.runs(RunQuery(parent=run.id, archived=None, descending=False)))
    told = whole_run(run, summaries, children)
    if console:
        told["console"] = [
            {"time": time, "stream": event.data["stream"], "text": text}
            for event in run.events("console")
            for time, text in event.data["lines"]
        ]
    print_json(told)


def _print_console(run: StoredRun) -> None:
    from tracklib.cli.formats import clean

    if not run.events("console"):
        click.echo("Nothing is recorded that this run printed.", err=True)
    else:
        click.echo(clean(run.console()))


def _print_diff(run: StoredRun) -> None:
    from tracklib.cli.patch import patch_of

    source, patch = run.source, patch_of(run.source)
    for path, reason in source.skipped.items():
        click.echo(f"{path}: {reason}", err=True)
    if not patch:
        click.echo("No code changes are recorded beside the commit of this run.", err=True)
    for part in patch.split("\n")[:-1]:
        click.echo(_coloured(part) if sys.stdout.isatty() else part)


def _coloured(part: str) -> str:
    from tracklib.cli.formats import clean

    colours = {"+": "green", "-": "red", "@": "cyan"}
    head = part.startswith(("diff ", "+++", "---", "index ", "new file"))
    return click.style(clean(part), fg=None if head else colours.get(part[:1]), bold=head or None)
