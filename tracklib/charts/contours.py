"""The chart of a metric over two params as a surface from above."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tracklib.charts.chosen import chosen_runs, metric_name
from tracklib.charts.colours import NEUTRAL, SEQUENTIAL
from tracklib.charts.figures import axis, figure, graph_objects
from tracklib.charts.points import Points, read_points
from tracklib.charts.scales import colour_range, is_logarithmic
from tracklib.charts.text import counted, escaped
from tracklib.errors import MissingDependency

if TYPE_CHECKING:
    import os

    import numpy as np
    from numpy.typing import NDArray
    from plotly.graph_objects import Figure

    from tracklib.charts.fields import Column
    from tracklib.reading import StoredRun

__all__ = ["Surface", "contour", "draw_surface", "read_surface"]

_LEVELS: Final = 15
_GRID: Final = 60
"""Places of the surface along each axis."""


class Surface(NamedTuple):
    """A metric over two fields.

    Attributes:
        points: The runs, with the metric as their colour; an axis is logarithmic where that fits its numbers.
        grid_x: `(g,)` float64, places of the surface along x; empty where there is no surface.
        grid_y: `(g,)` float64, likewise.
        heights: `(g, g)` float64, the metric by y, then x; NaN outside of the runs.
        notes: What was left out, in sentences.
    """

    points: Points
    grid_x: NDArray[np.float64]
    grid_y: NDArray[np.float64]
    heights: NDArray[np.float64]
    notes: tuple[str, ...]


def contour(runs: Iterable[Any], metric: str, *, x: str, y: str, store: str | os.PathLike[str] | None = None) -> Figure:
    """Draw a metric over two params: the runs as points, and between them a surface that is linear from run to run.

    Outside of the runs nothing is drawn, since nothing is known. Runs at the same place are averaged.

    Args:
        runs: Stored runs, ids or names.
        metric: The name of a metric, whose last value is meant, or a field as of `scatter`.
        x: Name of a param, or another field.
        y: Likewise.
        store: URI of the store for ids and names; by default the one that runs go to.

    Raises:
        NotFound: None of the runs has one of these.
        ConfigError: There are no runs, or an argument cannot be meant.
        MissingDependency: plotly or SciPy is not installed.

    Example:
        >>> for lr, batch in ((0.1, 32), (0.1, 64), (0.01, 32), (0.01, 64)):
        ...     with tracklib.start_run(project="digits", params={"lr": lr, "batch": batch}) as run:
        ...         run.log({"loss": lr * batch})
        >>> figure = tracklib.charts.contour(tracklib.list_runs(project="digits"), "loss", x="lr", y="batch")
        >>> [trace.type for trace in figure.data]
        ['contour', 'scatter']
    """
    return draw_surface(read_surface(chosen_runs(runs, store=store), metric_name(metric), x=x, y=y))


def read_surface(runs: Sequence[StoredRun], metric: str, *, x: str, y: str) -> Surface:
    """Read a metric over two fields, and lay a surface through it.

    Raises:
        NotFound: None of the runs has one of these.
        MissingDependency: SciPy is not installed.
    """
    import numpy as np

    points = _with_scales(read_points(runs, (x, y, metric)))
    heights = points.colour
    assert heights is not None  # A metric was asked for.
    known = [isinstance(value, float) and math.isfinite(value) for value in heights.values]
    notes = list(points.notes)
    if len(known) - sum(known):
        notes.append(f"{counted(len(known) - sum(known), 'run')} without a finite {heights.label}.")
    nothing = np.zeros(0)
    why = _why_not(points.x, points.y)
    if why:
        return Surface(points, nothing, nothing, np.zeros((0, 0)), (*notes, why))
    along_x, along_y, values = (_chosen(column, known) for column in (points.x, points.y, heights))
    surface = _surface(_scaled(along_x, points.log_x), _scaled(along_y, points.log_y), values)
    if surface is None:
        notes.append("Too few runs at different places for a surface: it takes three that are not in one line.")
        return Surface(points, nothing, nothing, np.zeros((0, 0)), tuple(notes))
    grid_x, grid_y, grid = surface
    return Surface(
        points,
        10**grid_x if points.log_x else grid_x,
        10**grid_y if points.log_y else grid_y,
        grid,
        tuple(notes),
    )


def _with_scales(points: Points) -> Points:
    return points._replace(
        log_x=points.x.kind == "number" and is_logarithmic(points.x.numbers),
        log_y=points.y.kind == "number" and is_logarithmic(points.y.numbers),
    )


def _why_not(x: Column, y: Column) -> str:
    words = [column.label for column in (x, y) if column.kind == "category"]
    return f"No surface: {' and '.join(words)} has no numbers to go between." if words else ""


def _chosen(column: Column, which: Sequence[bool]) -> NDArray[np.float64]:
    import numpy as np

    return np.array([value for value, chosen in zip(column.values, which, strict=True) if chosen], np.float64)


def _scaled(values: NDArray[np.float64], is_log: bool) -> NDArray[np.float64]:
    import numpy as np

    return np.log10(values) if is_log else values


def _surface(
    x: NDArray[np.float64], y: NDArray[np.float64], values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]] | None:
    """Return a grid with the values between the points; None where the points span no area."""
    import numpy as np

    try:
        from scipy.interpolate import griddata
        from scipy.spatial import QhullError
    except ImportError as error:
        raise MissingDependency("a contour needs SciPy: pip install 'tracklib-ml[analysis]'") from error
    places, which = np.unique(np.column_stack([x, y]), axis=0, return_inverse=True)
    if len(places) < 3 or not (np.ptp(places, axis=0) > 0).all():
        return None
    means = np.bincount(which.ravel(), weights=values) / np.bincount(which.ravel())
    grid_x, grid_y = (np.linspace(places[:, at].min(), places[:, at].max(), _GRID) for at in (0, 1))
    try:
        heights = griddata(places, means, tuple(np.meshgrid(grid_x, grid_y)), method="linear", rescale=True)
    except QhullError:
        return None
    return grid_x, grid_y, heights


def draw_surface(surface: Surface) -> Figure:
    """Return the figure of a surface with its runs."""
    points = surface.points
    heights = points.colour
    assert heights is not None  # As `read_surface` has it.
    low, high = colour_range(heights.numbers)
    scale = {"colorscale": SEQUENTIAL, "cmin": low, "cmax": high}
    traces = []
    bar = {"title": {"text": escaped(heights.label)}}
    if len(surface.grid_x):
        traces.append(
            graph_objects().Contour(
                x=surface.grid_x,
                y=surface.grid_y,
                z=surface.heights,
                colorscale=SEQUENTIAL,
                zmin=low,
                zmax=high,
                colorbar=bar,
                contours={"start": low, "end": high, "size": (high - low) / _LEVELS},
                connectgaps=False,
                hovertemplate=(
                    f"{escaped(points.x.label)} = %{{x:.4~g}}<br>{escaped(points.y.label)} = %{{y:.4~g}}<br>"
                    f"{escaped(heights.label)} about %{{z:.4~g}}<extra></extra>"
                ),
            )
        )
    traces.append(_run_trace(points, heights, {**scale, "showscale": not traces, "colorbar": bar}))
    return figure(
        traces,
        title=f"{heights.label} by {points.x.label} and {points.y.label}",
        notes=surface.notes if points.ids else (*surface.notes, "There is nothing to draw."),
        xaxis=_axis(points.x, points.log_x),
        yaxis=_axis(points.y, points.log_y),
        showlegend=False,
        hovermode="closest",
    )


def _axis(column: Column, is_log: bool) -> dict[str, Any]:
    kind = {"category": "category", "time": "date", "number": "log" if is_log else "linear"}[column.kind]
    return axis(column.label, column.unit, type=kind)


def _run_trace(points: Points, heights: Column, scale: dict[str, Any]) -> Any:
    known = [isinstance(value, float) and math.isfinite(value) for value in heights.values]
    said = [
        f"<b>{escaped(label)}</b><br>{escaped(points.x.label)} = {escaped(_told(x))}<br>"
        f"{escaped(points.y.label)} = {escaped(_told(y))}<br>{escaped(heights.label)} = {escaped(_told(value))}"
        for label, x, y, value in zip(points.labels, points.x.values, points.y.values, heights.values, strict=True)
    ]
    colours = [
        value if isinstance(value, float) and fine else None for value, fine in zip(heights.values, known, strict=True)
    ]
    return graph_objects().Scatter(
        x=[escaped(value) if isinstance(value, str) else value for value in points.x.values],
        y=[escaped(value) if isinstance(value, str) else value for value in points.y.values],
        mode="markers",
        text=said,
        hovertemplate="%{text}<extra></extra>",
        marker={"size": 9, "line": {"width": 1, "color": "#ffffff"}, "color": colours, **scale}
        if any(known)
        else {"size": 9, "color": NEUTRAL},
    )


def _told(value: float | str | None) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
