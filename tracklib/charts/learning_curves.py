"""The chart of a metric's mean over runs that only chance makes different, with how sure that mean is."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tracklib.charts.chosen import chosen_runs, metric_name
from tracklib.charts.colours import looks
from tracklib.charts.fields import no_metric, read_column
from tracklib.charts.figures import axis, figure, graph_objects, span_unit
from tracklib.charts.lines import LineOptions, XAxis, read_lines
from tracklib.charts.strokes import Stroke, band_trace
from tracklib.charts.text import counted, escaped, shortened
from tracklib.charts.units import unit_of
from tracklib.errors import ConfigError, MissingDependency

if TYPE_CHECKING:
    import os

    import numpy as np
    from numpy.typing import NDArray
    from plotly.graph_objects import Figure

    from tracklib.charts.lines import Line
    from tracklib.reading import StoredRun

__all__ = ["Curve", "Curves", "draw_curves", "learning_curve", "mean_curve", "read_curves"]

_OTHER: Final = "none"


class Curve(NamedTuple):
    """The mean of one group of runs.

    Attributes:
        label: Name of the group.
        x: `(n,)` float64, as of a line.
        mean: `(n,)` float64, over the runs that reach so far and have a finite value there.
        low: `(n,)` float64, lower end of the confidence interval of the mean; NaN with fewer than two runs.
        high: `(n,)` float64, its upper end.
        counts: `(n,)` int64, how many runs that is of.
        runs: How many runs the group has with this metric.
    """

    label: str
    x: NDArray[np.float64]
    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    counts: NDArray[np.int64]
    runs: int


class Curves(NamedTuple):
    """The means of groups of runs.

    Attributes:
        metric: Its name.
        curves: One for each group.
        confidence: Of the intervals, between 0 and 1.
        options: How lines were read.
        notes: What was left out, in sentences.
    """

    metric: str
    curves: tuple[Curve, ...]
    confidence: float
    options: LineOptions
    notes: tuple[str, ...]


def learning_curve(  # noqa: PLR0913 - all but what is drawn by keyword
    groups: Mapping[str, Iterable[Any]] | Iterable[Any],
    metric: str,
    *,
    group_by: str | None = None,
    confidence: float = 0.95,
    x: XAxis = "step",
    smoothing: float = 0.0,
    log_x: bool = False,
    log_y: bool = False,
    max_points: int = 1000,
    store: str | os.PathLike[str] | None = None,
) -> Figure:
    """Draw the mean of a metric over the runs of each group, such as those that differ by their seeds.

    The band is the confidence interval of the mean, by Student's t: with few runs it is wide, with one there is none.
    Where runs have no value at the same place, theirs is taken from the line between their own values before and
    after; a run is not carried on beyond its end.

    Args:
        groups: Runs by the names of their groups; or all runs, which `group_by` parts.
        metric: Its name.
        group_by: What parts the runs: `params.lr`, `experiment`, or another field as of `scatter`.
        confidence: Between 0 and 1.
        x: step, time, relative or epoch; see `metric`.
        smoothing: Of each run before the mean is taken, from 0 to below 1.
        log_x: Whether the axis along which the lines run is logarithmic.
        log_y: Whether the axis of values is.
        max_points: Points of a line at the most.
        store: URI of the store for ids and names; by default the one that runs go to.

    Raises:
        NotFound: None of the runs has the metric, or what parts them.
        ConfigError: There are no runs, or an argument cannot be meant.
        MissingDependency: plotly or SciPy is not installed.

    Example:
        >>> for seed in range(3):
        ...     with tracklib.start_run(project="digits", params={"lr": 0.1, "seed": seed}) as run:
        ...         for step in range(5):
        ...             run.log({"loss": seed + 1 / (step + 1)}, step=step)
        >>> runs = tracklib.list_runs(project="digits")
        >>> [trace.name for trace in tracklib.charts.learning_curve(runs, "loss", group_by="params.lr").data]
        ['lr = 0.1 (3 runs)', 'lr = 0.1 (3 runs)']
    """
    options = LineOptions(x=x, smoothing=smoothing, log_x=log_x, log_y=log_y, max_points=max_points)
    parted = _groups(groups, group_by, store)
    return draw_curves(read_curves(parted, metric_name(metric), options, confidence=confidence))


def _groups(groups: Any, group_by: str | None, store: str | os.PathLike[str] | None) -> dict[str, list[StoredRun]]:
    if isinstance(groups, Mapping):
        if group_by is not None:
            raise ConfigError(f"group_by is {group_by!r:.200}, but groups has parted the runs already: leave it out")
        if not groups:
            raise ConfigError("groups is empty: there is nothing to draw")
        return {str(label): chosen_runs(runs, store=store) for label, runs in groups.items()}
    runs = chosen_runs(groups, store=store)
    if group_by is None:
        return {"all runs": runs}
    column = read_column(runs, group_by)
    parted: dict[str, list[StoredRun]] = {}
    # Numbers by size, then text, then those without.
    keys = sorted(set(column.values), key=lambda value: (value is None, isinstance(value, str), value or 0))
    for key in keys:
        text = _OTHER if key is None else f"{key:.6g}" if isinstance(key, float) else key
        same = [run for run, value in zip(runs, column.values, strict=True) if value == key]
        parted.setdefault(f"{column.label} = {text}", []).extend(same)
    return parted


def read_curves(
    groups: Mapping[str, Sequence[StoredRun]], metric: str, options: LineOptions, *, confidence: float = 0.95
) -> Curves:
    """Read the mean of a metric over each group of runs.

    Raises:
        NotFound: None of the runs has the metric.
        ConfigError: The confidence is none.
        MissingDependency: SciPy is not installed.
    """
    if isinstance(confidence, bool) or not isinstance(confidence, (int, float)) or not 0 < confidence < 1:
        raise ConfigError(f"confidence is {confidence!r:.200}, but takes a number between 0 and 1")
    if not any(metric in run.metrics for runs in groups.values() for run in runs):
        raise no_metric(metric, [run for runs in groups.values() for run in runs])
    curves, notes = [], []
    for label, runs in groups.items():
        with_metric = [run for run in runs if metric in run.metrics]
        if len(with_metric) < len(runs):
            notes.append(f"{label}: {counted(len(runs) - len(with_metric), 'run')} without {metric}.")
        if with_metric:
            lines = read_lines(with_metric, [metric], options)
            notes += [f"{label}: {note}" for note in lines.notes]
            curves.append(mean_curve(label, lines.lines, confidence=confidence, most=options.max_points))
    alone = [curve.label for curve in curves if curve.runs == 1]
    if alone:
        notes.append(f"One run only, so that there is no band: {shortened(', '.join(alone), 100)}.")
    return Curves(metric, tuple(curves), float(confidence), options, tuple(notes))


def mean_curve(label: str, lines: Sequence[Line], *, confidence: float, most: int) -> Curve:
    """Return the mean of lines with its confidence interval, at all places where one of them has a value."""
    import numpy as np

    x = np.unique(np.concatenate([line.x for line in lines]))
    if len(x) > most and any(len(line.x) != len(x) for line in lines):
        x = np.linspace(x[0], x[-1], most)
    values = np.array([_at(line, x) for line in lines]).reshape(len(lines), len(x))
    known = np.isfinite(values)
    counts = known.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(known, values, 0.0).sum(axis=0) / counts
        squares = (np.where(known, values - mean, 0.0) ** 2).sum(axis=0)
        error = np.sqrt(squares / (counts - 1) / counts)
        half = np.where(counts > 1, error * _quantiles(counts, confidence), np.nan)
    return Curve(label, x, mean, mean - half, mean + half, counts, len(lines))


def _at(line: Line, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a line at other places; NaN before its first finite value and after its last one."""
    import numpy as np

    y = line.y if line.smooth is None else line.smooth
    known = np.isfinite(y)
    if not known.any():
        return np.full(len(x), np.nan)
    return np.interp(x, line.x[known], y[known], left=np.nan, right=np.nan)


def _quantiles(counts: NDArray[np.int64], confidence: float) -> NDArray[np.float64]:
    """Return how many standard errors the interval reaches from the mean, for each number of runs."""
    import numpy as np

    try:
        from scipy.stats import t
    except ImportError as error:
        raise MissingDependency("a confidence band needs SciPy: pip install 'tracklib-ml[analysis]'") from error
    different = {int(count) for count in counts}
    reach = {count: float(t.ppf((1 + confidence) / 2, count - 1)) if count > 1 else math.nan for count in different}
    return np.array([reach[int(count)] for count in counts])


def draw_curves(curves: Curves) -> Figure:
    """Return the figure of means with their bands."""
    options = curves.options
    look_of = looks(curve.label for curve in curves.curves)
    longest = max((float(curve.x[-1]) for curve in curves.curves if len(curve.x)), default=0.0)
    unit, scale = span_unit(longest) if options.x == "relative" else ("UTC" if options.x == "time" else "", 1.0)
    hover = "%{x|%Y-%m-%d %H:%M:%S}" if options.x == "time" else f"{options.x} %{{x:.6~g}} {unit}"
    traces = []
    for curve in curves.curves:
        look = look_of[curve.label]
        name = f"{shortened(curve.label)} ({counted(curve.runs, 'run')})"
        stroke = Stroke(name, curve.label, look, look.dash(), hover, banded=True, named=True)
        scaled = curve._replace(x=curve.x / scale)
        if curve.runs > 1:
            traces.append(_band(scaled, stroke, is_log=options.log_y))
        traces.append(_mean(scaled, stroke, curves.confidence))
    kind = "date" if options.x == "time" else "log" if options.log_x else "linear"
    said = f"Mean and {100 * curves.confidence:.4g} % confidence interval of it."
    label = "time since the start" if options.x == "relative" else options.x
    return figure(
        traces,
        title=curves.metric,
        notes=(said, *curves.notes),
        xaxis=axis(label, unit, type=kind),
        yaxis=axis(curves.metric, unit_of(curves.metric), type="log" if options.log_y else "linear"),
        hovermode="closest",
        showlegend=True,
    )


def _band(curve: Curve, stroke: Stroke, *, is_log: bool) -> Any:
    import numpy as np

    # What reaches below 0 reaches to the bottom of a logarithmic axis: there the lowest mean is the bottom.
    positive = curve.mean[curve.mean > 0]
    floor = float(positive.min()) / 10 if is_log and len(positive) else -math.inf
    return band_trace(curve.x, np.maximum(curve.low, floor), curve.high, stroke)


def _mean(curve: Curve, stroke: Stroke, confidence: float) -> Any:
    import numpy as np

    interval = (
        f"<br>{100 * confidence:.4g} % interval from %{{customdata[0]:.5~g}} to %{{customdata[1]:.5~g}}"
        if curve.runs > 1
        else ""
    )
    said = f"<b>{escaped(stroke.name)}</b><br>{stroke.hover}<br>mean %{{y:.5~g}} of %{{customdata[2]}} runs{interval}"
    return graph_objects().Scatter(
        x=curve.x,
        y=curve.mean,
        mode="lines+markers" if len(curve.x) <= 30 else "lines",
        line={"color": stroke.look.colour, "width": 2, "dash": stroke.dash},
        marker={"size": 5, "symbol": stroke.look.symbol, "color": stroke.look.colour},
        customdata=np.column_stack([curve.low, curve.high, curve.counts]),
        hovertemplate=f"{said}<extra></extra>",
        legendgroup=stroke.group,
        name=escaped(stroke.name),
    )
