"""`tracklib report`: a page about a project that opens offline."""

from __future__ import annotations

import time
from pathlib import Path

import click

from tracklib.cli.options import Command, json_option, store_option

__all__ = ["report"]


@click.command(
    cls=Command,
    examples=[
        "tracklib report digits -o report.html",
        "tracklib report digits \"run.status == 'completed' and run.started > ago('7d')\" -o week.html",
    ],
)
@click.argument("project")
@click.argument("text", metavar="[FILTER]", default="")
@click.option("-o", "--output", metavar="FILE", default="report.html", show_default=True, help="Where to.")
@click.option(
    "--limit",
    metavar="N",
    default=1000,
    show_default=True,
    type=click.IntRange(min=0),
    help="How many runs at the most, the newest ones; 0: all.",
)
@store_option
@json_option
def report(*, project: str, text: str, output: str, limit: int, store: str | None, as_json: bool) -> None:
    """Write a page about a project: its best runs, charts, what mattered, and a table of all runs.

    The page has all in it and opens without a network. What cannot be told of the project stands in it in words.
    """
    from tracklib.cli.formats import size
    from tracklib.cli.output import print_json, working
    from tracklib.report.writing import write_report

    began = time.monotonic()
    with working("writing the report"):
        path = write_report(project, Path(output), filter=text, limit=limit, store=store)
    took, written = time.monotonic() - began, path.stat().st_size
    if as_json:
        print_json({"file": str(path), "project": project, "size": written, "duration": took})
    else:
        click.echo(f"{path}: {size(written)}")
