"""`tracklib rm`: delete recorded runs."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from tracklib.cli.options import Command, json_option, store_option
from tracklib.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.text import Text

    from tracklib.reading import StoredRun

__all__ = ["rm"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loss:
    """What goes with a run; its fields are the keys of the JSON.

    Attributes:
        bytes: The size of its artifacts, which stay among the blobs.
    """

    id: str
    name: str
    project: str
    experiment: str
    points: int
    artifacts: int
    bytes: int


@click.command(
    cls=Command,
    examples=["tracklib rm 01JD4QHX", "tracklib rm digits/lr-sweep/lr-1e-3 latest --yes"],
)
@click.argument("runs", nargs=-1, required=True, metavar="RUN...")
@click.option("--yes", is_flag=True, help="Do not ask. Where there is no terminal, or with --json, this is needed.")
@store_option
@json_option
def rm(*, runs: tuple[str, ...], yes: bool, store: str | None, as_json: bool) -> None:
    """Delete runs for ever, with their points, records and artifacts.

    RUN is as for `tracklib show`. A run that is being written is not deleted, and then none of the others is either.
    The files of artifacts stay among the blobs of the store, since other runs may have the same ones.
    `tracklib archive` puts runs out of the way without deleting anything.
    """
    from tracklib.cli.output import print_json
    from tracklib.cli.reaching import found_runs, reach_existing, safe_uri
    from tracklib.editing import check_deletable, delete_run

    if not yes and (as_json or not sys.stdin.isatty()):
        raise ConfigError("nobody can be asked whether the runs are to be deleted: add --yes, and they are")
    opened = reach_existing(store)
    found = found_runs(opened, runs)
    for run in found:
        check_deletable(opened, run.info)
    losses = [_loss(run) for run in found]
    if not as_json:
        _print(losses)
    if not yes:
        what = "this run" if len(found) == 1 else f"these {len(found)} runs"
        click.confirm(f"Delete {what} for ever?", abort=True)
    for run in found:
        delete_run(run)
    if as_json:
        print_json({"store": safe_uri(opened.uri), "deleted": losses})
    else:
        click.echo("Deleted.")


def _loss(run: StoredRun) -> _Loss:
    return _Loss(
        id=run.id,
        name=run.name,
        project=run.project,
        experiment=run.experiment,
        points=sum(summary.count for summary in run.metrics.values()),
        artifacts=len(run.artifacts),
        bytes=sum(artifact.size for artifact in run.artifacts),
    )


def _print(losses: Sequence[_Loss]) -> None:
    from tracklib.cli.formats import size
    from tracklib.cli.output import Column, table

    columns = [
        Column(title="id", rank=9),
        Column(title="name", rank=9, least=12),
        Column(title="project/experiment", rank=6, least=12),
        Column(title="points", right=True, rank=8),
        Column(title="artifacts", right=True, rank=7),
        Column(title="size", right=True, rank=5),
    ]
    rows: list[list[str | Text]] = [
        [
            loss.id,
            loss.name,
            f"{loss.project}/{loss.experiment}",
            f"{loss.points:,}",
            f"{loss.artifacts:,}",
            size(loss.bytes) if loss.artifacts else "",
        ]
        for loss in losses
    ]
    table(columns, rows)
