"""The chart of runs as lines through the axes of their params, to a metric."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tracklib.charts.chosen import chosen_runs, metric_name
from tracklib.charts.colours import SEQUENTIAL
from tracklib.charts.fields import Column, column_of, flat_params, read_column
from tracklib.charts.figures import figure, graph_objects
from tracklib.charts.scales import colour_range, is_logarithmic, number_text, power_ticks
from tracklib.charts.text import counted, escaped, shortened
from tracklib.errors import ConfigError

if TYPE_CHECKING:
    import os

    from plotly.graph_objects import Figure

    from tracklib.reading import StoredRun

__all__ = ["Axis", "Parallel", "draw_parallel", "parallel_coordinates", "read_parallel"]

_MOST_AXES: Final = 12
_MOST_CATEGORIES: Final = 30
_LONGEST_TICK: Final = 16
_GAP: Final = 0.12
"""Where runs without a value are, below the others, as a share of the axis."""


class Axis(NamedTuple):
    """One axis, on which each run has a place.

    Attributes:
        label: What it is.
        places: One for each run: the number, its logarithm to base 10, or the place of a category, from 0.
        ticks: Places with a text, or empty where plotly is to find them.
        texts: Their texts.
        is_log: Whether places are logarithms.
    """

    label: str
    places: tuple[float, ...]
    ticks: tuple[float, ...]
    texts: tuple[str, ...]
    is_log: bool = False


class Parallel(NamedTuple):
    """Runs as lines through several axes.

    Attributes:
        metric: What the last axis and the colours are.
        ids: Of the runs.
        axes: Those of the params, then that of the metric.
        values: The metric of each run, finite.
        notes: What was left out, in sentences.
    """

    metric: str
    ids: tuple[str, ...]
    axes: tuple[Axis, ...]
    values: tuple[float, ...]
    notes: tuple[str, ...]


def parallel_coordinates(
    runs: Iterable[Any],
    metric: str,
    *,
    params: Iterable[str] | None = None,
    store: str | os.PathLike[str] | None = None,
) -> Figure:
    """Draw each run as a line through the axes of its params, coloured by a metric.

    Params of text have a place for each value; those over several powers of ten have a logarithmic axis. A run
    without a param passes below the others, at "none". Drag along an axis to see some of the runs only.

    Args:
        runs: Stored runs, ids or names.
        metric: The name of a metric, whose last value is meant, or a field as of `scatter`.
        params: Names of params, or other fields; by default those in which the runs differ, 12 at the most.
        store: URI of the store for ids and names; by default the one that runs go to.

    Raises:
        NotFound: None of the runs has the metric, or one of the params.
        ConfigError: There are no runs, or an argument cannot be meant.
        MissingDependency: plotly is not installed.

    Example:
        >>> for lr in (0.1, 0.001):
        ...     with tracklib.start_run(project="digits", params={"lr": lr, "optimizer": "adam"}) as run:
        ...         run.log({"loss": lr})
        >>> figure = tracklib.charts.parallel_coordinates(tracklib.list_runs(project="digits"), "loss")
        >>> [dimension.label for dimension in figure.data[0].dimensions]
        ['lr (log)', 'loss (log)']
    """
    return draw_parallel(read_parallel(chosen_runs(runs, store=store), metric_name(metric), params))


def read_parallel(runs: Sequence[StoredRun], metric: str, params: Iterable[str] | None = None) -> Parallel:
    """Read the axes of the runs that have the metric.

    Raises:
        NotFound: None of the runs has the metric, or one of the params.
        ConfigError: The metric is no number, or the params are no names.
    """
    last = read_column(runs, metric)
    if last.kind != "number":
        raise ConfigError(f"{metric!r} is no number, but the colour of a line needs one")
    fits = [isinstance(value, float) and math.isfinite(value) for value in last.values]
    kept = [run for run, fit in zip(runs, fits, strict=True) if fit]
    notes = []
    if len(kept) < len(runs):
        notes.append(f"{counted(len(runs) - len(kept), 'run')} without a finite {last.label}.")
    if params is None:
        columns = _differing(kept)
        if len(columns) > _MOST_AXES:
            left_out = ", ".join(column.label for column in columns[_MOST_AXES:])
            notes.append(f"The first {_MOST_AXES} params that differ; not shown: {shortened(left_out, 200)}.")
    else:
        columns = [read_column(runs, name) for name in _names(params)]
        columns = [column._replace(values=tuple(_only(column.values, fits))) for column in columns]
    axes = [_axis(column) for column in [*columns[: _MOST_AXES if params is None else None]]]
    final = _axis(last._replace(values=tuple(_only(last.values, fits))))
    return Parallel(
        metric=last.label,
        ids=tuple(run.id for run in kept),
        axes=(*axes, final),
        values=tuple(float(value) for value in _only(last.values, fits) if isinstance(value, float)),
        notes=tuple(notes),
    )


def _names(params: Any) -> list[str]:
    if isinstance(params, (str, bytes)) or not hasattr(params, "__iter__"):
        raise ConfigError(f"params is {params!r:.200}, but takes the names of params")
    return list(dict.fromkeys(params))


def _only(values: Sequence[Any], fits: Sequence[bool]) -> list[Any]:
    return [value for value, fit in zip(values, fits, strict=True) if fit]


def _differing(runs: Sequence[StoredRun]) -> list[Column]:
    """Return the params that are not the same for all runs and not each run's own text, by name."""
    found = [flat_params(run) for run in runs]
    columns = [
        column_of(name, [each.get(name) for each in found]) for name in sorted({n for each in found for n in each})
    ]
    chosen = [column for column in columns if len(set(column.values)) > 1]
    return [column for column in chosen if column.kind == "number" or len(column.categories) <= _MOST_CATEGORIES]


def _axis(column: Column) -> Axis:
    if column.kind == "category":
        return _category_axis(column)
    numbers = column.numbers
    is_log = is_logarithmic(numbers)
    scaled = [math.log10(value) if is_log else value for value in numbers]
    low, high = (min(scaled), max(scaled)) if scaled else (0.0, 1.0)
    below = low - _GAP * ((high - low) or 1.0)
    lacking = len(numbers) < len(column.values)
    places = tuple(
        (math.log10(value) if is_log else value) if isinstance(value, float) and math.isfinite(value) else below
        for value in column.values
    )
    if not lacking and not is_log:
        return Axis(column.label, places, (), ())
    ticks = power_ticks(min(numbers), max(numbers)) if is_log else sorted({low, (low + high) / 2, high})
    shown = [(math.log10(tick) if is_log else tick, number_text(tick)) for tick in ticks]
    every = [(below, "none"), *shown] if lacking else shown
    return Axis(column.label, places, tuple(at for at, _ in every), tuple(text for _, text in every), is_log)


def _category_axis(column: Column) -> Axis:
    names = column.categories
    lacking = [-1.0] if None in column.values else []
    place_of: dict[Any, float] = {name: float(at) for at, name in enumerate(names)}
    every = [*names]
    # Ticks of very many categories would cover each other.
    step = max(1, math.ceil(len(names) / _MOST_CATEGORIES))
    shown = every[::step]
    return Axis(
        label=column.label,
        places=tuple(place_of.get(value, -1.0) for value in column.values),
        ticks=(*lacking, *(place_of[name] for name in shown)),
        texts=(*("none" for _ in lacking), *(shortened(name, _LONGEST_TICK) for name in shown)),
    )


def draw_parallel(parallel: Parallel) -> Figure:
    """Return the figure of runs as lines through axes."""
    low, high = colour_range(parallel.values)
    drawn = graph_objects().Parcoords(
        dimensions=[_dimension(each) for each in parallel.axes],
        line={
            "color": list(parallel.values),
            "colorscale": SEQUENTIAL,
            "cmin": low,
            "cmax": high,
            "showscale": True,
            "colorbar": {"title": {"text": escaped(parallel.metric)}},
        },
        unselected={"line": {"opacity": 0.05}},
    )
    notes = list(parallel.notes)
    if len(parallel.axes) == 1 and parallel.ids:
        notes.append("These runs do not differ in their params.")
    if not parallel.ids:
        notes.append("There is nothing to draw.")
    return figure(
        [drawn] if parallel.ids else [],
        title=f"Params and {parallel.metric}",
        notes=notes,
        margin={"t": 140, "l": 90, "r": 90, "b": 50},
        height=520,
    )


def _dimension(each: Axis) -> dict[str, Any]:
    unit = " (log)" if each.is_log else ""
    dimension: dict[str, Any] = {"label": escaped(shortened(each.label, 24)) + unit, "values": list(each.places)}
    if each.ticks:
        dimension |= {"tickvals": list(each.ticks), "ticktext": [escaped(text) for text in each.texts]}
    return dimension
