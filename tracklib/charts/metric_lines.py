"""The chart of metrics over steps, time or epochs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tracklib.charts.chosen import chosen_runs, metric_names
from tracklib.charts.colours import looks
from tracklib.charts.figures import MOST_NAMED, axis, figure, span_unit
from tracklib.charts.lines import LineOptions, Lines, XAxis, read_lines
from tracklib.charts.strokes import Stroke, line_traces
from tracklib.charts.text import counted
from tracklib.charts.units import unit_of

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from plotly.graph_objects import Figure

__all__ = ["draw_lines", "metric"]

_MOST_BANDS: Final = 20
"""So many lines have a band; more would hide each other."""
_X_NAMES: Final = {"step": "step", "epoch": "epoch", "time": "time", "relative": "time since the start"}


def metric(  # noqa: PLR0913 - all but what is drawn by keyword
    runs: Iterable[Any],
    metrics: str | Iterable[str],
    *,
    x: XAxis = "step",
    smoothing: float = 0.0,
    log_x: bool = False,
    log_y: bool = False,
    max_points: int = 1000,
    band: bool = True,
    store: str | os.PathLike[str] | None = None,
) -> Figure:
    """Draw one or more metrics of many runs as lines.

    A line of more points than `max_points` is drawn by buckets: the mean of each, and a band from its lowest to its
    highest value, so that no peak is lost. NaN and infinities are marked where they are. A run has the same colour in
    each chart of the same runs; several metrics of a run differ by their dashes.

    Args:
        runs: Stored runs, ids or names.
        metrics: One name or several.
        x: step, time (UTC), relative (since the run began) or epoch (of a metric `epoch` that was logged, too).
        smoothing: Weight of what was before, from 0 to below 1, as in TensorBoard; the raw line stays, faintly.
        log_x: Whether the axis along which the lines run is logarithmic.
        log_y: Whether the axis of values is.
        max_points: Points of a line at the most. Many lines have fewer, 200,000 in all.
        band: Whether to show the band.
        store: URI of the store for ids and names; by default the one that runs go to.

    Raises:
        NotFound: None of the runs has one of the metrics.
        ConfigError: There are no runs, or an argument cannot be meant.
        MissingDependency: plotly is not installed.

    Example:
        >>> with tracklib.start_run(project="digits", name="first") as run:
        ...     for step in range(10):
        ...         run.log({"loss": 1 / (step + 1)}, step=step)
        >>> figure = tracklib.charts.metric([run], "loss", log_y=True)
        >>> figure.layout.title.text, [trace.name for trace in figure.data]
        ('loss', ['first'])
    """
    options = LineOptions(x=x, smoothing=smoothing, log_x=log_x, log_y=log_y, max_points=max_points, band=band)
    return draw_lines(read_lines(chosen_runs(runs, store=store), metric_names(metrics), options))


def draw_lines(lines: Lines) -> Figure:
    """Return the figure of lines."""
    options, several = lines.options, len(lines.metrics) > 1
    unit, scale = _x_unit(lines)
    hover = _hover_of_x(options.x, unit)
    traces = []
    for line, stroke in zip(lines.lines, _strokes(lines, hover), strict=True):
        marks = tuple(mark._replace(x=mark.x / scale) for mark in line.marks)
        traces += line_traces(line._replace(x=line.x / scale, marks=marks), stroke)
    value = "value" if several else lines.metrics[0]
    return figure(
        traces,
        title=", ".join(lines.metrics),
        notes=[*lines.notes, *_drawing_notes(lines)],
        xaxis=axis(_X_NAMES[options.x], unit, type=_x_type(options)),
        yaxis=axis(value, "" if several else unit_of(value), type="log" if options.log_y else "linear"),
        hovermode="closest",
    )


def _strokes(lines: Lines, hover: str) -> list[Stroke]:
    """Return how each line is drawn: the colour is that of its run, or of its metric where there is one run only."""
    several = len(lines.metrics) > 1
    by_metric = several and len({line.run for line in lines.lines}) == 1
    look_of = looks(line.metric if by_metric else line.run for line in lines.lines)
    strokes = []
    for line in lines.lines:
        look = look_of[line.metric if by_metric else line.run]
        strokes.append(
            Stroke(
                name=line.metric if by_metric else f"{line.label} · {line.metric}" if several else line.label,
                group=line.metric if by_metric else line.run,
                look=look,
                dash=look.dash() if by_metric else look.dash(lines.metrics.index(line.metric), len(lines.metrics)),
                hover=hover,
                banded=lines.options.band and len(lines.lines) <= _MOST_BANDS,
                named=len(lines.lines) <= MOST_NAMED,
            )
        )
    return strokes


def _drawing_notes(lines: Lines) -> list[str]:
    count = len(lines.lines)
    notes = []
    if lines.options.band and count > _MOST_BANDS and not all(line.is_exact for line in lines.lines):
        notes.append(f"More than {_MOST_BANDS} lines: shown without bands from the lowest to the highest value.")
    if count > MOST_NAMED:
        notes.append(f"{counted(count, 'line')}: too many for a legend; point at one for its name.")
    return notes


def _x_type(options: LineOptions) -> str:
    return "date" if options.x == "time" else "log" if options.log_x else "linear"


def _x_unit(lines: Lines) -> tuple[str, float]:
    """Return the unit of the axis, and what one of it is in that of the lines."""
    if lines.options.x != "relative":
        return ("UTC" if lines.options.x == "time" else ""), 1.0
    return span_unit(max((float(line.x[-1]) for line in lines.lines if len(line.x)), default=0.0))


def _hover_of_x(x: XAxis, unit: str) -> str:
    if x == "time":
        return "%{x|%Y-%m-%d %H:%M:%S}"
    return f"%{{x:.4~f}} {unit}" if x == "relative" else f"{x} %{{x}}"
