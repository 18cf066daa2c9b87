"""`tracklib chart`: charts of runs as pages that open offline, as pictures, or as data."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from tracklib.cli.choosing import choosing_options
from tracklib.cli.options import Commands, json_option

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tracklib.cli.choosing import Choice
    from tracklib.reading import StoredRun

__all__ = ["KINDS", "MOST_RUNS", "Wanted", "chart", "chart_options", "show"]

KINDS: Final = (
    "metric",
    "scatter",
    "bar",
    "parallel",
    "contour",
    "correlation",
    "importance",
    "timeline",
    "system",
    "learning-curve",
)
"""The charts, in the order of the help."""

MOST_RUNS: Final = 1000
"""So many of the runs that a filter finds are drawn, the newest ones."""

_SUFFIXES: Final = (".html", ".png", ".svg", ".pdf", ".json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is drawn of which runs, and what becomes of it.

    Attributes:
        output: The file; None for one named after the chart, in this folder.
        as_json: Print the data.
        limit: How many runs at the most; 0: all.
    """

    choice: Choice
    output: str | None
    as_json: bool
    limit: int


def chart_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the argument for runs and the options that all charts take; they come as the argument `wanted`."""

    @functools.wraps(function)
    def called(**given: Any) -> Any:
        names = ("choice", "output", "as_json", "limit")
        return function(wanted=Wanted(**{name: given.pop(name) for name in names}), **given)

    limited = click.option(
        "--limit",
        metavar="N",
        default=MOST_RUNS,
        show_default=True,
        type=click.IntRange(min=0),
        help="How many of the runs that a filter finds, the newest ones; 0: all.",
    )
    output = click.option(
        "-o",
        "--output",
        metavar="FILE",
        help="Where to: .html, .png, .svg, .pdf or .json. By default a page in this folder, named after the chart.",
    )
    return choosing_options(limited(output(json_option(called))))


def show(name: str, wanted: Wanted, draw: Callable[[Sequence[StoredRun]], Any]) -> None:
    """Draw a chart, and write or print it.

    Args:
        draw: Returns the figure of some runs.
    """
    from tracklib.cli.choosing import choose_runs
    from tracklib.cli.output import console, plain, speaks_unicode, styled, working

    path = _path(name, wanted)
    chosen = choose_runs(wanted.choice, limit=wanted.limit or None)
    if chosen.more:
        remark = f"There are more runs: the newest {wanted.limit:,} are drawn; --limit 0 draws all."
        console(error=True).print(styled(remark, "dim"))
    with working("drawing"):
        figure = draw(chosen.runs)
        if path is not None:
            from tracklib.charts.writing import write

            write(figure, path)
    if wanted.as_json:
        # Without indentation: thousands of numbers would have a line each.
        told = plain(_told(name, chosen.runs, figure, path))
        click.echo(json.dumps(told, ensure_ascii=not speaks_unicode(), allow_nan=False))
    else:
        click.echo(str(path))


def _path(name: str, wanted: Wanted) -> Path | None:
    """Return the file to write; None where only data are printed.

    Raises:
        UsageError: Its name does not say what to write.
    """
    if wanted.output is None:
        return None if wanted.as_json else Path(f"chart-{name}.html")
    path = Path(wanted.output)
    if path.suffix.lower() not in _SUFFIXES:
        raise click.UsageError(f"{path.name!r} does not say what to write: end it with {', '.join(_SUFFIXES)}.")
    return path


def _told(name: str, runs: Sequence[StoredRun], figure: Any, path: Path | None) -> dict[str, Any]:
    """Return what `--json` prints: plotly's traces with lists in place of arrays, so that any program reads them."""
    layout = figure.layout.to_plotly_json()
    layout.pop("template", None)
    return {
        "chart": name,
        "file": None if path is None else str(path),
        "runs": [run.id for run in runs],
        "data": [_listed(trace.to_plotly_json()) for trace in figure.data],
        "layout": _listed(layout),
    }


def _listed(value: Any) -> Any:
    """Return a value with lists in place of arrays and tuples."""
    if isinstance(value, dict):
        return {name: _listed(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_listed(item) for item in value]
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return _listed(value.tolist()) if hasattr(value, "tolist") else value


@click.group(
    cls=Commands,
    homes={kind: f"tracklib.cli.chart_kinds:{kind.replace('-', '_')}" for kind in KINDS},
    examples=[
        "tracklib chart metric eval/loss --project digits --smoothing 0.6",
        "tracklib chart parallel eval/accuracy \"run.status == 'completed'\" -o runs.html",
        "tracklib chart importance eval/accuracy --project digits -o importance.png",
    ],
)
def chart() -> None:
    """Draw charts of runs.

    A page has all in it and opens without a network. A picture needs Chrome or Chromium.
    """
