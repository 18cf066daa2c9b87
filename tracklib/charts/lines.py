"""The lines of metrics of many runs, ready to be drawn: few points that say what many did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, get_args

from tracklib.charts.fields import no_metric
from tracklib.charts.text import counted, labels
from tracklib.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tracklib.reading import StoredRun
    from tracklib.series import Series

__all__ = ["Along", "Line", "LineOptions", "Lines", "Marks", "XAxis", "read_line", "read_lines"]

XAxis = Literal["step", "time", "relative", "epoch"]
"""What lines run along: steps, the clock (UTC), the seconds since the run began, or epochs."""

_AXES: Final[tuple[str, ...]] = get_args(XAxis)
_MOST_POINTS: Final = 200_000
"""In one chart: more would make it slow to look at."""
_FEWEST_POINTS: Final = 50
"""Of one line, however many there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineOptions:
    """How lines are to be drawn.

    Attributes:
        x: What they run along.
        smoothing: Weight of what was before, from 0 (none) to below 1.
        log_x: Whether the axis of steps, seconds or epochs is logarithmic.
        log_y: Whether that of values is.
        max_points: How many points a line has at the most, 1 or more.
        band: Whether to show the lowest and the highest value that a point stands for.

    Raises:
        ConfigError: One of them cannot be meant.
    """

    x: XAxis = "step"
    smoothing: float = 0.0
    log_x: bool = False
    log_y: bool = False
    max_points: int = 1000
    band: bool = True

    def __post_init__(self) -> None:
        if self.x not in _AXES:
            raise ConfigError(f"x is {self.x!r:.200}, but takes one of {', '.join(_AXES)}")
        if (
            isinstance(self.smoothing, bool)
            or not isinstance(self.smoothing, (int, float))
            or not (0 <= self.smoothing < 1)
        ):
            raise ConfigError(f"smoothing is {self.smoothing!r:.200}, but takes a number from 0 to below 1")
        if isinstance(self.max_points, bool) or not isinstance(self.max_points, int) or self.max_points < 1:
            raise ConfigError(f"max_points is {self.max_points!r:.200}, but takes a whole number of 1 or more")
        for name in ("log_x", "log_y", "band"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(f"{name} is {getattr(self, name)!r:.200}, but takes True or False")
        if self.log_x and self.x == "time":
            raise ConfigError("log_x is True, but a clock has no logarithm: take x='relative'")

    def for_lines(self, count: int) -> LineOptions:
        """Return the same with fewer points for each line where there are many lines."""
        most = max(_FEWEST_POINTS, _MOST_POINTS // max(count, 1))
        return replace(self, max_points=min(self.max_points, most))


class Marks(NamedTuple):
    """Where a line has values that cannot be drawn.

    Attributes:
        kind: "NaN", "+inf" or "-inf".
        x: `(n,)` float64, as of the line.
        y: `(n,)` float64, where to put the mark: at the value before it, or at the line's end of the range.
        counts: `(n,)` int64, how many values are meant; of infinities, 1 stands for one or more.
    """

    kind: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    counts: NDArray[np.int64]


class Line(NamedTuple):
    """One metric of one run.

    Attributes:
        run: Its id.
        label: Its name, with the beginning of its id where others have the same.
        metric: Name of the metric.
        x: `(n,)` float64: steps, epochs, seconds since the run began, or milliseconds since the epoch (UTC).
        y: `(n,)` float64: the mean of the values that a point stands for; NaN where none is finite.
        low: `(n,)` float64, the lowest of them.
        high: `(n,)` float64, the highest of them.
        smooth: The smoothed values, or None where they were not asked for.
        marks: What cannot be drawn.
        is_exact: Whether each point stands for one value.
        left_out: How many points are not on a logarithmic axis.
    """

    run: str
    label: str
    metric: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    smooth: NDArray[np.float64] | None
    marks: tuple[Marks, ...]
    is_exact: bool
    left_out: int


class Lines(NamedTuple):
    """The lines of a chart.

    Attributes:
        metrics: Their names, as they were asked for.
        lines: By run, then by metric.
        notes: What was left out, in sentences.
        options: How they were read.
    """

    metrics: tuple[str, ...]
    lines: tuple[Line, ...]
    notes: tuple[str, ...]
    options: LineOptions


def read_lines(runs: Sequence[StoredRun], metrics: Sequence[str], options: LineOptions) -> Lines:
    """Read the lines of a chart.

    Raises:
        NotFound: None of the runs has one of the metrics.
    """
    for metric in metrics:
        if not any(metric in run.metrics for run in runs):
            raise no_metric(metric, runs)
    wanted = [(run, metric) for run in runs for metric in metrics if metric in run.metrics]
    chosen = options.for_lines(len(wanted))
    names = labels(runs)
    lines, notes = [], []
    for run, metric in wanted:
        series = run.series(metric)
        along = _along(run, series, chosen.x)
        if along is None:
            notes.append(run.id)
            continue
        lines.append(read_line(series, along, chosen, run=run.id, label=names[run.id]))
    if wanted and not lines:
        raise ConfigError("x is 'epoch', but none of these runs has a metric 'epoch': log one, or take x='step'")
    return Lines(tuple(metrics), tuple(lines), tuple(_notes(runs, metrics, lines, len(set(notes)))), chosen)


def _notes(runs: Sequence[StoredRun], metrics: Sequence[str], lines: Sequence[Line], without_epoch: int) -> list[str]:
    notes = []
    for metric in metrics:
        without = sum(metric not in run.metrics for run in runs)
        if without:
            notes.append(f"{counted(without, 'run')} without {metric}.")
    if without_epoch:
        notes.append(f"{counted(without_epoch, 'run')} without epochs.")
    left_out = sum(line.left_out for line in lines)
    if left_out:
        notes.append(f"{counted(left_out, 'point')} at or below 0 left out: a logarithmic axis has no place for them.")
    empty = sum(not _any_finite(line.y) for line in lines)
    if empty:
        notes.append(f"{counted(empty, 'line')} without a finite value.")
    return notes


def _any_finite(values: NDArray[np.float64]) -> bool:
    import numpy as np

    return bool(np.isfinite(values).any())


def _along(run: StoredRun, series: Series, x: XAxis) -> Along | None:
    """Return how the points of a series lie along an axis; None where there is no such axis."""
    if x == "time":
        return Along(by="time", scale=1000.0)
    if x == "relative":
        first = float(series.times[0]) if len(series) else 0.0
        return Along(by="time", zero=run.started_at if run.started_at is not None else first)
    return _epochs(run, series.name) if x == "epoch" else Along()


class Along(NamedTuple):
    """From steps and times to an axis.

    Attributes:
        by: What it is made from.
        zero: What is 0 on it.
        scale: What a unit of it is on it.
        steps: Steps for which it is known.
        values: What it is at these.
    """

    by: Literal["step", "time"] = "step"
    zero: float = 0.0
    scale: float = 1.0
    steps: NDArray[np.int64] | None = None
    values: NDArray[np.float64] | None = None

    def at(self, places: NDArray[Any]) -> NDArray[np.float64]:
        """Return the axis at some steps or times; between two steps at which it is known it grows evenly."""
        import numpy as np

        if self.steps is not None and self.values is not None:
            known: NDArray[np.float64] = np.interp(places, self.steps, self.values)
            return known
        return (np.asarray(places, np.float64) - self.zero) * self.scale

    def of(self, series: Series) -> NDArray[np.float64]:
        """Return the axis at each point of a series."""
        return self.at(series.steps if self.by == "step" else series.times)


def _epochs(run: StoredRun, metric: str) -> Along | None:
    """Return the epochs that a run has logged: beside the metric, in general, or of any of its parts."""
    import numpy as np

    names = [f"{metric.rpartition('/')[0]}/epoch", "epoch", *sorted(n for n in run.metrics if n.endswith("/epoch"))]
    for name in names:
        if name in run.metrics:
            series = run.series(name)
            known = np.isfinite(series.values)
            if known.any():
                # What is logged again for an earlier epoch, as after a restart, does not turn the axis back.
                epochs = np.maximum.accumulate(series.values[known])
                return Along(steps=series.steps[known], values=epochs)
    return None


class _Points(NamedTuple):
    """What a line is made of: single points, or buckets of them."""

    x: NDArray[np.float64]
    mean: NDArray[np.float64]
    min: NDArray[np.float64]
    max: NDArray[np.float64]
    nan_counts: NDArray[np.int64]


def read_line(series: Series, along: Along, options: LineOptions, *, run: str, label: str) -> Line:
    """Return a series as a line with no more points than the options ask for."""
    import numpy as np

    kept = _on_the_axes(series, along, options)
    points = _cut(kept, along, options)
    y = _finite(points.mean)
    smooth = _finite(_cut(kept.smoothed(options.smoothing), along, options).mean) if options.smoothing else None
    return Line(
        run=run,
        label=label,
        metric=series.name,
        x=points.x,
        y=y,
        low=np.where(np.isfinite(points.min), points.min, y),
        high=np.where(np.isfinite(points.max), points.max, y),
        smooth=smooth,
        marks=_marks(points),
        is_exact=len(points.x) == len(kept),
        left_out=len(series) - len(kept),
    )


def _finite(values: NDArray[np.float64]) -> NDArray[np.float64]:
    import numpy as np

    finite: NDArray[np.float64] = np.where(np.isfinite(values), values, np.nan)
    return finite


def _on_the_axes(series: Series, along: Along, options: LineOptions) -> Series:
    """Return the points that logarithmic axes have a place for; NaN is kept, so that it can be marked."""
    import numpy as np

    fits = np.ones(len(series), bool)
    if options.log_x:
        fits &= along.of(series) > 0
    if options.log_y:
        fits &= ~(series.values <= 0)
    return series if fits.all() else _chosen(series, fits)


def _chosen(series: Series, which: NDArray[Any]) -> Series:
    return replace(series, steps=series.steps[which], times=series.times[which], values=series.values[which])


def _cut(series: Series, along: Along, options: LineOptions) -> _Points:
    """Return the points of a series, or buckets of them where they are too many.

    On a logarithmic axis each power of ten has its share of the buckets.
    """
    import numpy as np

    x = along.of(series)
    if len(series) <= options.max_points:
        order = np.argsort(x, kind="stable")
        values = series.values[order]
        return _Points(x[order], values, values, values, np.isnan(values).astype(np.int64))
    if not options.log_x:
        return _bucketed(series, along, options.max_points)
    powers = np.floor(np.log10(x))
    found = np.unique(powers)
    share = max(1, options.max_points // len(found))
    parts = [_bucketed(_chosen(series, powers == power), along, share) for power in found]
    return _Points(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _bucketed(series: Series, along: Along, count: int) -> _Points:
    buckets = series.buckets(count, by=along.by)
    first, last = (getattr(buckets, f"{end}_{along.by}s") for end in ("first", "last"))
    # Halved before they are added, since steps may be as large as numbers are.
    return _Points(along.at(first / 2 + last / 2), buckets.mean, buckets.min, buckets.max, buckets.nan_counts)


def _marks(points: _Points) -> tuple[Marks, ...]:
    """Return where values are not finite, and how high to say so."""
    import numpy as np

    known = np.concatenate([points.min[np.isfinite(points.min)], points.max[np.isfinite(points.max)]])
    lowest, highest = (float(known.min()), float(known.max())) if len(known) else (1.0, 1.0)
    places = np.isfinite(points.mean)
    # The value before, or the first one where there is none before.
    before = np.maximum.accumulate(np.where(places, np.arange(len(places)), -1))
    nearest = np.full(len(places), lowest)
    if places.any():
        nearest = points.mean[np.where(before < 0, np.argmax(places), before)]
    marks = []
    for kind, where, y in (
        ("NaN", points.nan_counts > 0, nearest),
        ("+inf", points.max == np.inf, np.full(len(places), highest)),
        ("-inf", points.min == -np.inf, np.full(len(places), lowest)),
    ):
        if where.any():
            counts = points.nan_counts[where] if kind == "NaN" else np.ones(int(where.sum()), np.int64)
            marks.append(Marks(kind, points.x[where], y[where], counts))
    return tuple(marks)
