"""`tracklib gc`: free what nothing names any more."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from tracklib.cli.options import Command, json_option, store_option
from tracklib.errors import ConfigError

if TYPE_CHECKING:
    from tracklib.collecting import Garbage

__all__ = ["gc"]


@click.command(
    cls=Command, examples=["tracklib gc --dry-run", "tracklib gc --grace 168 --yes --store s3://bucket/team"]
)
@click.option(
    "--grace",
    "grace_h",
    type=click.FloatRange(min=1),
    default=24.0,
    show_default=True,
    metavar="HOURS",
    help="Leave alone what was written or asked for within so long.",
)
@click.option("--dry-run", is_flag=True, help="Delete nothing, and tell what would be.")
@click.option("--yes", is_flag=True, help="Do not ask. Where there is no terminal, or with --json, this is needed.")
@store_option
@json_option
def gc(*, grace_h: float, dry_run: bool, yes: bool, store: str | None, as_json: bool) -> None:
    """Delete the files of artifacts that nothing names any more.

    Runs that are deleted leave their files in the store, since others may have the same ones; so do checkpoints that
    a run has given up. What is being brought to the store right now is young and stays, so this can be done while runs
    are written. Where something cannot be read that may name files, nothing is deleted.
    """
    from tracklib.cli.output import print_json, working
    from tracklib.cli.reaching import reach_existing, safe_uri
    from tracklib.collecting import collect_garbage

    if not dry_run and not yes and (as_json or not sys.stdin.isatty()):
        raise ConfigError(
            "nobody can be asked whether the files are to be deleted: look with --dry-run, then add --yes"
        )
    opened = reach_existing(store)

    def collect(*, only_look: bool) -> Garbage:
        with working("Looking for what nothing names …"):
            return collect_garbage(grace_s=grace_h * 3600, dry_run=only_look, store=opened.uri)

    found = collect(only_look=dry_run or not yes)
    if as_json:
        print_json({"store": safe_uri(opened.uri), "dry_run": dry_run, **asdict(found)})
        return
    if dry_run or not yes:
        click.echo(f"{_counted(found.blobs, found.bytes)} can be deleted, {_rest(found, grace_h)}.")
    if dry_run or (not yes and not found.blobs):
        return
    if not yes:
        click.confirm("Delete them for ever?", abort=True)
        found = collect(only_look=False)
    click.echo(f"{_counted(found.blobs, found.bytes)} deleted, {_rest(found, grace_h)}.")


def _counted(count: int, size_bytes: int) -> str:
    from tracklib.cli.formats import size

    return f"{count:,} file{'' if count == 1 else 's'} or piece{'' if count == 1 else 's'} ({size(size_bytes)})"


def _rest(found: Garbage, grace_h: float) -> str:
    from tracklib.cli.formats import size

    young = f"{found.young:,} ({size(found.young_bytes)}) younger than {grace_h:g} h stay, and "
    return f"{young if found.young else ''}{found.named:,} ({size(found.named_bytes)}) are named"
