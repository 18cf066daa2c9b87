"""Several series on one axis, so that values stand beside each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple, get_args

from tracklib.analysis.selecting import stored_runs
from tracklib.errors import ConfigError, NotFound
from tracklib.frames import FrameColumn, Framed, time_column
from tracklib.queries.complaints import did_you_mean
from tracklib.reading import StoredRun, read_together
from tracklib.series import Series

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tracklib.run import Run

__all__ = ["AlignedSeries", "align_series"]

Axis = Literal["step", "time", "elapsed"]
Join = Literal["outer", "inner"]
Fill = Literal["previous", "linear"]

MOST_CELLS: Final = 200_000_000
"""What is larger (1.6 GB) is refused before it fills the memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignedSeries(Framed):
    """Several series on one axis.

    Attributes:
        by: What the axis counts: step, time (seconds since the epoch) or elapsed (seconds).
        axis: `(n,)`, ascending, each place once: int64 for steps, float64 for seconds.
        names: Of the series.
        values: `(n, k)` float64, a column for each series; NaN where it has nothing.
        missing: Names of those that have no points at all, and so no column.
    """

    by: Axis
    axis: NDArray[Any]
    names: tuple[str, ...]
    values: NDArray[np.float64]
    missing: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.axis)

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        """Return the values of one series.

        Raises:
            NotFound: There is none of this name.
        """
        if name not in self.names:
            raise NotFound(f"there is no series {name!r:.200} here; there are: {', '.join(self.names)}")
        values: NDArray[np.float64] = self.values[:, self.names.index(name)]
        return values

    def to_pandas(self) -> Any:
        """Return a data frame with the axis as its index (moments are UTC) and a column for each series.

        Raises:
            MissingDependency: pandas is not installed.
        """
        return super(AlignedSeries, self).to_pandas().set_index(self._axis_name)

    def to_dict(self) -> dict[str, Any]:
        """Return the axis and the values of each series as lists."""
        series = {name: self[name].tolist() for name in self.names}
        return {"by": self.by, "axis": self.axis.tolist(), "series": series, "missing": list(self.missing)}

    @property
    def _axis_name(self) -> str:
        """Return the name of the axis in frames, which is not that of a series."""
        return f"{self.by} (axis)" if self.by in self.names else self.by

    def _columns(self) -> list[FrameColumn]:
        name = self._axis_name
        kind: Literal["integer", "number"] = "integer" if self.by == "step" else "number"
        axis = time_column(name, self.axis) if self.by == "time" else FrameColumn(name, kind, self.axis)
        return [axis, *(FrameColumn(name, "number", self[name]) for name in self.names)]


def align_series(
    series: Mapping[str, Series] | StoredRun | Run | str | Iterable[Any],
    names: str | Sequence[str] | None = None,
    *,
    by: Axis = "step",
    join: Join = "outer",
    fill: Fill | None = None,
) -> AlignedSeries:
    """Put several series on one axis: metrics of one run, one metric of many runs, or both.

    Of several points at one place of the axis the last one counts. A run that has no such metric is named in
    `missing`.

    Args:
        series: A run or several, stored, running, or by their ids and names; or series by the names to give them.
        names: The metrics to take of the runs.
        by: The axis: "step", "time" (UTC), or "elapsed", the seconds since the first of the points taken of a run.
        join: Which places the axis has: those of any series ("outer") or those that all series have ("inner").
        fill: What stands where a series has no point: nothing (None), the value before it ("previous", also behind
            its end), or what lies on the straight line between its neighbours ("linear", never outside of them or
            beside NaN and infinities). What was logged is never replaced, NaN included.

    Raises:
        NotFound: No run has one of these metrics, or there is no such run.
        ConfigError: What is asked for cannot be meant, or would be too large.

    Example:
        >>> with tracklib.start_run() as run:
        ...     for step in range(4):
        ...         run.log({"train/loss": 4 - step}, step=step)
        ...     run.log({"eval/loss": 2.5}, step=3)
        >>> aligned = tracklib.align_series(run, ["train/loss", "eval/loss"])
        >>> aligned.axis.tolist(), aligned.values.tolist()
        ([0, 1, 2, 3], [[4.0, nan], [3.0, nan], [2.0, nan], [1.0, 2.5]])
    """
    _check("by", by, get_args(Axis))
    _check("join", join, get_args(Join))
    _check("fill", fill, (None, *get_args(Fill)))
    taken = _named(series, names) if isinstance(series, Mapping) else _of_runs(series, names)
    placed = {name: _placed(name, each, by) for name, each in taken.items() if len(each.series)}
    axis = _axis([each.places for each in placed.values()], join, by)
    if len(axis) * len(placed) > MOST_CELLS:
        raise ConfigError(
            f"{len(placed)} series have {len(axis):,} places on one axis, more than fit: take fewer points of each, as "
            "in align_series({run.name: run.series('loss', max_points=1000) for run in runs})"
        )
    return AlignedSeries(
        by=by,
        axis=axis,
        names=tuple(placed),
        values=_table(axis, list(placed.values()), fill),
        missing=tuple(name for name in taken if name not in placed),
    )


class _Taken(NamedTuple):
    """A series, and the moment since which its time is counted; None: its own first point."""

    series: Series
    since: float | None = None


class _Placed(NamedTuple):
    """The points of a series on the axis, in order, one for each place."""

    places: NDArray[Any]
    values: NDArray[np.float64]


def _check(argument: str, value: Any, known: Sequence[Any]) -> None:
    if value not in known:
        raise ConfigError(f"{argument} is {value!r:.200}, but takes one of {', '.join(map(str, known))}")


def _named(series: Mapping[str, Series], names: Any) -> dict[str, _Taken]:
    if names is not None:
        raise ConfigError(f"names is {names!r:.200}, but the series have names already: leave it out")
    for name, each in series.items():
        if not isinstance(name, str) or not isinstance(each, Series):
            raise ConfigError(f"series has {name!r:.100}: {each!r:.100}, but takes series by their names")
    return {name: _Taken(each) for name, each in series.items()}


def _of_runs(given: Any, names: Any) -> dict[str, _Taken]:
    metrics = _checked_names(names)
    alone = isinstance(given, str) or hasattr(given, "id")
    runs = list({run.id: run for run in stored_runs([given] if alone else given)}.values())
    read_together(runs)
    _check_metrics(runs, metrics)
    labels = _labels(runs)
    taken: dict[str, _Taken] = {}
    for run in runs:
        found = {metric: run.series(metric) for metric in metrics if metric in run.metrics}
        since = min((float(each.times.min()) for each in found.values() if len(each)), default=None)
        for metric in metrics:
            label = metric if alone else labels[run.id] if isinstance(names, str) else f"{labels[run.id]} {metric}"
            unique = f"{label} ({run.id})" if label in taken else label
            taken[unique] = _Taken(found.get(metric, _empty(metric)), since)
    return taken


def _checked_names(names: Any) -> list[str]:
    metrics = [names] if isinstance(names, str) else names
    if not isinstance(metrics, Sequence) or not metrics or not all(isinstance(name, str) for name in metrics):
        raise ConfigError(f"names is {names!r:.200}, but takes the name of a metric, or several in a list")
    return list(dict.fromkeys(metrics))


def _check_metrics(runs: Sequence[StoredRun], metrics: Sequence[str]) -> None:
    known = {name for run in runs for name in run.metrics}
    for metric in metrics:
        if runs and metric not in known:
            raise NotFound(f"none of these runs has a metric {metric!r:.200}{did_you_mean(metric, known)}")


def _labels(runs: Sequence[StoredRun]) -> dict[str, str]:
    counts = Counter(run.name for run in runs)
    return {run.id: run.name if counts[run.name] == 1 else f"{run.name} ({run.id})" for run in runs}


def _empty(name: str) -> Series:
    import numpy as np

    return Series(name, np.zeros(0, np.int64), np.zeros(0), np.zeros(0))


def _placed(name: str, taken: _Taken, by: Axis) -> _Placed:
    import numpy as np

    series = taken.series
    places = series.steps if by == "step" else series.times if by == "time" else series.elapsed(taken.since)
    if by != "step" and not np.isfinite(places).all():
        raise ConfigError(f"a point of the series {name!r:.200} has no time: take by='step'")
    order = np.argsort(places, kind="stable")
    places, values = places[order], series.values[order]
    is_last = np.append(places[1:] != places[:-1], True)
    return _Placed(places[is_last], values[is_last])


def _axis(places: Sequence[NDArray[Any]], join: Join, by: Axis) -> NDArray[Any]:
    import numpy as np

    if not places:
        return np.zeros(0, np.int64 if by == "step" else np.float64)
    if join == "outer":
        return np.unique(np.concatenate(places))
    return reduce(lambda a, b: np.intersect1d(a, b, assume_unique=True), sorted(places, key=len))


def _table(axis: NDArray[Any], placed: Sequence[_Placed], fill: Fill | None) -> NDArray[np.float64]:
    import numpy as np

    table = np.full((len(axis), len(placed)), np.nan, order="F")
    for column, each in zip(table.T, placed, strict=True):
        before = np.searchsorted(each.places, axis, side="right") - 1
        is_after = before >= 0
        is_there = is_after & (each.places[before] == axis)
        taken = is_after if fill == "previous" else is_there
        column[taken] = each.values[before[taken]]
        if fill == "linear":
            between = is_after & ~is_there & (before < len(each.places) - 1)
            column[between] = _on_line(each, before[between], axis[between])
    return table


def _on_line(placed: _Placed, before: NDArray[np.intp], at: NDArray[Any]) -> NDArray[np.float64]:
    """Return what lies on the lines between points and those behind them; NaN beside what is not finite."""
    import numpy as np

    left, right = placed.values[before], placed.values[before + 1]
    start, end = placed.places[before], placed.places[before + 1]
    if placed.places.dtype.kind == "i":  # Steps may be further apart than 63 bits count; without a sign they are not.
        start, end, at = start.view(np.uint64), end.view(np.uint64), at.view(np.uint64)
    share = (at - start).astype(np.float64) / (end - start).astype(np.float64)
    with np.errstate(invalid="ignore"):
        line = left * (1 - share) + right * share
    return np.where(np.isfinite(left) & np.isfinite(right), line, np.nan)
