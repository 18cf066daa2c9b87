"""`tracklib sync`: bring home what dead or offline processes left in their journals, or copy runs between stores."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tracklib.cli.options import Command, json_option, store_option

if TYPE_CHECKING:
    from rich.text import Text

    from tracklib.syncing import Recovered

__all__ = ["sync"]


@click.command(
    cls=Command,
    examples=[
        "tracklib sync",
        "tracklib sync --store sqlite:///runs.db",
        "tracklib sync --spool /scratch/me/spool",
        "tracklib sync --from sqlite:///runs.db --to s3://bucket/team",
        "tracklib sync --from s3://bucket/team --to runs.db --project digits",
        "tracklib sync --from old.db --to new.db --run first --run 01JD6Q",
    ],
)
@store_option
@click.option(
    "--spool",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False),
    help="The folder of journals to look in. By default the one that runs started here use.",
)
@click.option("--from", "source", metavar="URI", help="Copy runs from this store; takes --to.")
@click.option("--to", "target", metavar="URI", help="Copy runs to this store; takes --from.")
@click.option("--project", metavar="NAME", help="With --from: copy runs of this project only.")
@click.option("--run", "runs", multiple=True, metavar="RUN", help="With --from: copy this run only; repeatable.")
@json_option
def sync(  # noqa: PLR0913 - one for each option
    *,
    store: str | None,
    spool: str | None,
    source: str | None,
    target: str | None,
    project: str | None,
    runs: tuple[str, ...],
    as_json: bool,
) -> None:
    """Ship the journals whose process is gone, each to its own store.

    A run that was killed is closed; one that ended while its store was away, or in offline mode, gets the rest of what
    it logged. Journals of living processes are left alone. With --store, only what goes to that store is shipped.

    With --from and --to, copy runs from one store to another, with their files: all that the other does not have, and
    nothing twice, so that a copy that was broken off is gone on with. Runs that are still being written are left out.

    Exit status 1 if a journal could not be shipped, or a run or a file of it not be copied.
    """
    if (source is None) != (target is None) or (source is None and (project or runs)):
        raise click.UsageError("To copy runs, give both stores: --from URI --to URI.")
    if source is not None and (store or spool):
        raise click.UsageError("--store and --spool are about journals: leave them out with --from and --to.")
    if source is not None and target is not None:
        from tracklib.cli.copies import copy

        copy((source, target), project=project, runs=runs, as_json=as_json)
        return
    _ship(store, spool, as_json=as_json)


def _ship(store: str | None, spool: str | None, *, as_json: bool) -> None:
    from tracklib.cli.output import print_json, working
    from tracklib.syncing import sync as ship

    with working("Shipping journals …"):
        results = ship(store=store, spool=spool)
    if as_json:
        print_json({"journals": results})
    elif results:
        _print(results)
    else:
        click.echo("There is nothing to ship: no journal here is without its process.")
    if any(result.problem for result in results):
        click.get_current_context().exit(1)


def _print(results: list[Recovered]) -> None:
    from tracklib.cli.output import Column, line, styled, table
    from tracklib.cli.reaching import safe_uri

    columns = [
        Column(title="run", rank=9),
        Column(title="writer", rank=2, least=6),
        Column(title="points", right=True, rank=8),
        Column(title="records", right=True, rank=5),
        Column(title="outcome", rank=9),
        Column(title="store", rank=3, least=16),
    ]
    rows: list[list[str | Text]] = [
        [
            result.run,
            result.writer,
            f"{result.points:,}",
            f"{result.records:,}",
            _outcome(result),
            safe_uri(result.store),
        ]
        for result in results
    ]
    table(columns, rows)
    for result in results:
        for path in result.set_aside:
            line(styled(f"{result.run}: a damaged file was set aside as {path}", "yellow"))
        if result.problem:
            line(styled(f"{result.run}: {result.problem}", "red"))


def _outcome(result: Recovered) -> str:
    if result.problem:
        return "✘ waits" if result.store else "✘ unreadable"
    return "■ closed as killed" if result.closed else "✔ shipped"
