"""The chart of runs as points: one field against another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tracklib.charts.chosen import chosen_runs
from tracklib.charts.colours import CATEGORICAL, NEUTRAL, SEQUENTIAL, SYMBOLS, looks
from tracklib.charts.fields import Column, read_column
from tracklib.charts.figures import MOST_NAMED, axis, figure, graph_objects
from tracklib.charts.scales import colour_range
from tracklib.charts.text import counted, escaped, labels, shortened

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from plotly.graph_objects import Figure

    from tracklib.reading import StoredRun

__all__ = ["Points", "draw_points", "place_text", "read_points", "scatter"]

_MOST_CATEGORIES: Final = len(CATEGORICAL) * len(SYMBOLS)


class Points(NamedTuple):
    """Runs as points.

    Attributes:
        ids: Of the runs that have a place.
        labels: Their names.
        x: One value for each of them.
        y: Likewise.
        colour: Likewise, or None where each run has its own.
        log_x: Whether the axis is logarithmic.
        log_y: Likewise.
        notes: What was left out, in sentences.
    """

    ids: tuple[str, ...]
    labels: tuple[str, ...]
    x: Column
    y: Column
    colour: Column | None
    log_x: bool
    log_y: bool
    notes: tuple[str, ...]


def scatter(  # noqa: PLR0913 - all but the runs by keyword
    runs: Iterable[Any],
    *,
    x: str,
    y: str,
    color: str | None = None,
    log_x: bool = False,
    log_y: bool = False,
    store: str | os.PathLike[str] | None = None,
) -> Figure:
    """Draw each run as a point: one of its params, metrics, tags or attributes against another.

    Args:
        runs: Stored runs, ids or names.
        x: `params.lr`, `metrics['eval/loss'].min`, `tags.team`, `run.duration`, or the bare name of a param or metric.
        y: Likewise.
        color: Likewise: what the colour of a point stands for; by default for the run, as in the other charts.
        log_x: Whether that axis is logarithmic.
        log_y: Likewise.
        store: URI of the store for ids and names; by default the one that runs go to.

    Raises:
        NotFound: None of the runs has one of these.
        ConfigError: There are no runs, or an argument cannot be meant.
        MissingDependency: plotly is not installed.

    Example:
        >>> for lr in (0.1, 0.01):
        ...     with tracklib.start_run(project="digits", params={"lr": lr}) as run:
        ...         run.log({"loss": lr})
        >>> figure = tracklib.charts.scatter(tracklib.list_runs(project="digits"), x="lr", y="loss", log_x=True)
        >>> figure.layout.xaxis.title.text, figure.layout.yaxis.title.text
        ('lr', 'loss')
    """
    return draw_points(read_points(chosen_runs(runs, store=store), (x, y, color), log=(log_x, log_y)))


def read_points(
    runs: Sequence[StoredRun], fields: tuple[str, str, str | None], *, log: tuple[bool, bool] = (False, False)
) -> Points:
    """Read the values of x, y and colour of runs, and leave out those that have no place on the axes.

    Raises:
        NotFound: None of the runs has one of the fields.
    """
    x, y = (read_column(runs, field) for field in fields[:2])
    colour = None if fields[2] is None else read_column(runs, fields[2])
    notes, fits = [], [True] * len(runs)
    for column, is_log in ((x, log[0]), (y, log[1])):
        missing = [value is None for value in column.values]
        unplaced = [
            not missed and not _has_place(value, is_log) for value, missed in zip(column.values, missing, strict=True)
        ]
        if any(missing):
            notes.append(f"{counted(sum(missing), 'run')} without {column.label}.")
        if any(unplaced):
            why = "no finite number above 0, as a logarithmic axis needs" if is_log else "no finite number"
            notes.append(f"{counted(sum(unplaced), 'run')} left out: {column.label} is {why}.")
        fits = [fit and not a and not b for fit, a, b in zip(fits, missing, unplaced, strict=True)]
    names = labels(runs)
    kept = [run.id for run, fit in zip(runs, fits, strict=True) if fit]
    return Points(
        ids=tuple(kept),
        labels=tuple(names[id_] for id_ in kept),
        x=_only(x, fits),
        y=_only(y, fits),
        colour=None if colour is None else _only(colour, fits),
        log_x=log[0] and x.kind == "number",
        log_y=log[1] and y.kind == "number",
        notes=tuple(dict.fromkeys(notes)),
    )


def _has_place(value: Any, is_log: bool) -> bool:
    return not isinstance(value, float) or (math.isfinite(value) and (value > 0 or not is_log))


def _only(column: Column, fits: Sequence[bool]) -> Column:
    return column._replace(values=tuple(value for value, fit in zip(column.values, fits, strict=True) if fit))


def draw_points(points: Points) -> Figure:
    """Return the figure of runs as points."""
    if points.colour is None:
        traces = _by_run(points)
    elif points.colour.kind == "category":
        traces = _by_category(points, points.colour)
    else:
        traces = _by_number(points, points.colour)
    notes = [*points.notes] if points.ids else [*points.notes, "No run has a place on both axes."]
    return figure(
        traces,
        title=f"{points.y.label} by {points.x.label}",
        notes=notes,
        xaxis=_axis_of(points.x, points.log_x),
        yaxis=_axis_of(points.y, points.log_y),
        showlegend=points.colour is None or points.colour.kind == "category",
        hovermode="closest",
    )


def _axis_of(column: Column, is_log: bool) -> dict[str, Any]:
    kind = {"category": "category", "time": "date", "number": "log" if is_log else "linear"}[column.kind]
    more = (
        {"categoryorder": "array", "categoryarray": list(map(_shown, column.categories))} if kind == "category" else {}
    )
    return axis(column.label, column.unit, type=kind, **more)


def _shown(value: Any) -> Any:
    return escaped(shortened(value)) if isinstance(value, str) else value


def place_text(column: Column, letter: str) -> str:
    """Return the line of a hover text that tells a value, as a template of plotly."""
    shape = {"number": ":.6~g", "time": "|%Y-%m-%d %H:%M:%S", "category": ""}[column.kind]
    unit = f" {escaped(column.unit)}" if column.unit else ""
    return f"{escaped(column.label)} = %{{{letter}{shape}}}{unit}"


def _trace(points: Points, chosen: Sequence[int], *, said: str = "", **more: Any) -> Any:
    """Return a trace of some of the points."""
    place = f"{place_text(points.x, 'x')}<br>{place_text(points.y, 'y')}"
    return graph_objects().Scatter(
        x=[_shown(points.x.values[at]) for at in chosen],
        y=[_shown(points.y.values[at]) for at in chosen],
        text=[escaped(points.labels[at]) for at in chosen],
        mode="markers",
        hovertemplate=f"<b>%{{text}}</b><br>{place}{said}<extra></extra>",
        **more,
    )


def _by_run(points: Points) -> list[Any]:
    look_of = looks(points.ids)
    if len(points.ids) > MOST_NAMED:
        colours = [look_of[id_].colour for id_ in points.ids]
        marker = {"size": 7, "color": colours, "symbol": [look_of[id_].symbol for id_ in points.ids]}
        return [_trace(points, range(len(points.ids)), marker=marker, showlegend=False)]
    return [
        _trace(
            points,
            [at],
            name=escaped(label),
            legendgroup=id_,
            marker={"size": 9, "color": look_of[id_].colour, "symbol": look_of[id_].symbol},
        )
        for at, (id_, label) in enumerate(zip(points.ids, points.labels, strict=True))
    ]


def _by_category(points: Points, colour: Column) -> list[Any]:
    """Return a trace for each value; a value has its colour by its own name, whichever others there are."""
    look_of = looks(colour.categories)
    traces = []
    for value in [*colour.categories, *([None] if None in colour.values else [])]:
        chosen = [at for at, each in enumerate(colour.values) if each == value]
        name = f"no {colour.label}" if value is None else shortened(str(value))
        look = (NEUTRAL, "circle-open") if value is None else (look_of[str(value)].colour, look_of[str(value)].symbol)
        marker = {"size": 9, "color": look[0], "symbol": look[1]}
        said = f"<br>{escaped(colour.label)}: {escaped(name)}"
        traces.append(_trace(points, chosen, said=said, name=escaped(name), marker=marker, showlegend=True))
    return traces


def _by_number(points: Points, colour: Column) -> list[Any]:
    known = [at for at, value in enumerate(colour.values) if isinstance(value, float) and math.isfinite(value)]
    others = sorted(set(range(len(points.ids))) - set(known))
    unit = f" [{colour.unit}]" if colour.unit else ""
    low, high = colour_range(colour.numbers)
    marker = {
        "size": 9,
        "color": [colour.values[at] for at in known],
        "colorscale": SEQUENTIAL,
        "cmin": low,
        "cmax": high,
        "showscale": True,
        "colorbar": {"title": {"text": escaped(colour.label + unit)}},
        "line": {"width": 0.5, "color": NEUTRAL},
    }
    traces = [_trace(points, known, said=f"<br>{place_text(colour, 'marker.color')}", marker=marker)] if known else []
    if others:
        marker = {"size": 9, "color": NEUTRAL, "symbol": "circle-open"}
        traces.append(_trace(points, others, said=f"<br>no number for {escaped(colour.label)}", marker=marker))
    return traces
