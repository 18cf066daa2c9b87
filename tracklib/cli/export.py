"""`tracklib export`: runs, params or points of metrics as CSV, JSON lines or Parquet."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tracklib.cli.choosing import choosing_options
from tracklib.cli.options import Command, json_option

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tracklib.cli.choosing import Choice
    from tracklib.cli.exported_rows import Exported
    from tracklib.reading import StoredRun

__all__ = ["export"]


@click.command(
    cls=Command,
    examples=[
        "tracklib export runs --project digits -o runs.csv",
        "tracklib export metrics 'metrics.eval/loss < 0.2' --metric 'eval/*' -o points.parquet",
        "tracklib export metrics latest --every | gzip > points.csv.gz",
        "tracklib export params --format jsonl | jq -r .param",
    ],
)
@click.argument("what", metavar="runs|params|metrics", type=click.Choice(["runs", "params", "metrics"]))
@choosing_options
@click.option("-o", "--output", metavar="FILE", help="Where to; by default, and for -, to standard output.")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["csv", "jsonl", "parquet"]),
    help="What to write; by default what the name of the file says, else CSV.",
)
@click.option(
    "--metric", "globs", metavar="GLOB", multiple=True, help="Only metrics that fit, such as 'eval/*'; repeatable."
)
@click.option(
    "--every", is_flag=True, help="All points of metrics, also those that a later one at their step replaced."
)
@json_option
def export(  # noqa: PLR0913 - one argument for each option
    *,
    what: str,
    choice: Choice,
    output: str | None,
    kind: str | None,
    globs: tuple[str, ...],
    every: bool,
    as_json: bool,
) -> None:
    """Write runs, their params, or the points of their metrics to a file.

    Runs have a row each, with their params, last values of metrics and tags as columns. Params have a row for each
    run and param, metrics one for each point. Metrics of the system are left out unless --metric names them.
    RUN is as for `tracklib show`; FILTER as for `tracklib runs`; without any, all runs are meant. A file is there as a
    whole or not at all. With --json, what was written is told.
    """
    from tracklib.cli.choosing import choose_runs
    from tracklib.cli.table_files import replaced_file, table_writer

    path = None if output in {None, "-"} else Path(str(output))
    kind = _checked(what, path, kind, points=bool(globs) or every, as_json=as_json)
    runs = choose_runs(choice).runs
    table = _table(what, runs, globs, every=every)
    rows = 0
    with replaced_file(path) as stream, _progress(runs, shown=path is not None) as show:
        writer = table_writer(kind, stream, table.fields)
        for part in table.parts:
            writer.write(part)
            rows += len(part[0])
            show(rows, part[0][-1])
        writer.close()
    if path is not None:
        _tell(path, kind, rows=rows, runs=len(runs), as_json=as_json)


def _checked(what: str, path: Path | None, kind: str | None, *, points: bool, as_json: bool) -> str:
    """Return the format that is meant.

    Raises:
        UsageError: None is, or options do not go with each other.
    """
    from tracklib.cli.table_files import FORMATS

    if points and what != "metrics":
        raise click.UsageError("--metric and --every are for `tracklib export metrics`.")
    if as_json and path is None:
        raise click.UsageError("--json tells what was written to a file: give one with -o, or --format jsonl.")
    if path is not None and kind is None:
        kind = next((name for name, ends in FORMATS.items() if path.name.lower().endswith(ends)), None)
        if kind is None:
            raise click.UsageError(
                f"{path.name!r} does not say what to write: end it with .csv, .jsonl or .parquet, or give --format."
            )
    if path is None and kind == "parquet":
        raise click.UsageError("Parquet goes to a file: give one with -o.")
    return kind or "csv"


def _table(what: str, runs: list[StoredRun], globs: tuple[str, ...], *, every: bool) -> Exported:
    from tracklib.cli.exported_rows import metric_rows, param_rows, run_rows

    if what == "metrics":
        return metric_rows(runs, globs, every=every)
    return run_rows(runs) if what == "runs" else param_rows(runs)


@contextlib.contextmanager
def _progress(runs: list[StoredRun], *, shown: bool) -> Iterator[Callable[[int, str], None]]:
    """Show on a terminal how far it is, unless the rows themselves are shown there."""
    from tracklib.cli.output import console

    out = console(error=True)
    if not shown or not out.is_terminal:
        yield lambda _rows, _run: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    places = {run.id: index for index, run in enumerate(runs)}
    columns = (BarColumn(bar_width=None), MofNCompleteColumn(), TextColumn("runs, {task.description} rows"))
    with Progress(*columns, console=out, transient=True) as progress:
        task = progress.add_task("0", total=len(runs))
        yield lambda rows, run: progress.update(task, completed=places[run], description=f"{rows:,}")


def _tell(path: Path, kind: str, *, rows: int, runs: int, as_json: bool) -> None:
    from tracklib.cli.formats import size
    from tracklib.cli.output import print_json

    written = path.stat().st_size
    if as_json:
        print_json({"file": str(path), "format": kind, "rows": rows, "runs": runs, "size": written})
    else:
        click.echo(f"{path}: {rows:,} rows of {runs:,} {'run' if runs == 1 else 'runs'}, {size(written)}", err=True)
