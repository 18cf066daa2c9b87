"""`tracklib compact`: keep a store quick to read."""

from __future__ import annotations

import click

from tracklib.cli.options import Command, json_option, store_option

__all__ = ["compact"]


@click.command(
    cls=Command,
    examples=["tracklib compact --store s3://bucket/team", "tracklib compact --settled 60 --json"],
)
@click.option(
    "--settled",
    "settled_s",
    type=click.FloatRange(min=0),
    default=3600.0,
    show_default=True,
    metavar="SECONDS",
    help="Put points together of runs that ended and were not heard of for so long.",
)
@store_option
@json_option
def compact(*, settled_s: float, store: str | None, as_json: bool) -> None:
    """Keep an object store quick to read: write a snapshot of all runs, and put small files of points together.

    A new reader begins with the newest snapshot, instead of looking at each run; other tools find params and summaries
    in it. It can be done at any time, also while runs are written and by several at once. A SQLite store keeps itself
    so, and nothing is done to it.
    """
    from tracklib.cli.output import print_json, working
    from tracklib.cli.reaching import reach_existing, safe_uri

    opened = reach_existing(store)
    with working("Compacting …"):
        done = opened.compact(settled_s=settled_s)
    if as_json:
        print_json({"store": safe_uri(opened.uri), "runs": done.runs, "merged": done.merged, "deleted": done.deleted})
    elif opened.scheme == "sqlite":
        click.echo("There is nothing to do: a SQLite store keeps itself compact.")
    else:
        runs = "1 run" if done.runs == 1 else f"{done.runs:,} runs"
        click.echo(
            f"The new snapshot holds {runs}; {done.merged:,} files of points were put together, "
            f"{done.deleted:,} old objects deleted."
        )
