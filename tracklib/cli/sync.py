"""`tracklib sync`: bring home what dead or offline processes left in their journals."""

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
    examples=["tracklib sync", "tracklib sync --store sqlite:///runs.db", "tracklib sync --spool /scratch/me/spool"],
)
@store_option
@click.option(
    "--spool",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False),
    help="The folder of journals to look in. By default the one that runs started here use.",
)
@json_option
def sync(*, store: str | None, spool: str | None, as_json: bool) -> None:
    """Ship the journals whose process is gone, each to its own store.

    A run that was killed is closed; one that ended while its store was away, or in offline mode, gets the rest of what
    it logged. Journals of living processes are left alone. With --store, only what goes to that store is shipped.

    Exit status 1 if a journal could not be shipped.
    """
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
