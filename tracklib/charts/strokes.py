"""Lines, bands and marks as traces of plotly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tracklib.charts.colours import Look, faint
from tracklib.charts.figures import graph_objects
from tracklib.charts.text import escaped

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tracklib.charts.lines import Line, Marks

__all__ = ["Stroke", "band_trace", "line_traces"]

_MARKED: Final = 30
"""A line of so few points shows each of them."""
_BAND_OPACITY: Final = 0.18
_RAW_OPACITY: Final = 0.3
_SYMBOLS: Final = {"NaN": "x", "+inf": "triangle-up", "-inf": "triangle-down"}


class Stroke(NamedTuple):
    """How a line is drawn.

    Attributes:
        name: As the legend has it; plain text.
        group: What is shown and hidden together.
        look: Its colour and marker.
        dash: Its dash.
        hover: The place along the axis, as a template of plotly.
        banded: Whether to draw its band.
        named: Whether it is in the legend.
    """

    name: str
    group: str
    look: Look
    dash: str
    hover: str
    banded: bool
    named: bool


def line_traces(line: Line, stroke: Stroke) -> list[Any]:
    """Return the traces of a line, the lowest first: band, raw values, line, marks."""
    shared = {"legendgroup": stroke.group, "name": escaped(stroke.name)}
    band = stroke.banded and not line.is_exact
    traces = [band_trace(line.x, line.low, line.high, stroke)] if band else []
    if line.smooth is not None:
        raw = {"color": faint(stroke.look.colour, _RAW_OPACITY), "width": 1, "dash": stroke.dash}
        traces.append(
            graph_objects().Scatter(
                x=line.x, y=line.y, mode="lines", line=raw, showlegend=False, hoverinfo="skip", **shared
            )
        )
    traces.append(_main_trace(line, stroke, shared, with_range=band))
    return [*traces, *(_mark_trace(marks, line, stroke, shared) for marks in line.marks)]


def _main_trace(line: Line, stroke: Stroke, shared: dict[str, Any], *, with_range: bool) -> Any:
    import numpy as np

    y = line.y if line.smooth is None else line.smooth
    said = f"<b>{escaped(stroke.name)}</b><br>{stroke.hover}<br>{escaped(line.metric)} = %{{y:.6~g}}"
    if line.smooth is not None:
        said += "<br>smoothed"
    if with_range:
        said += "<br>from %{customdata[0]:.6~g} to %{customdata[1]:.6~g}"
    sizes = _marker_sizes(y)
    return graph_objects().Scatter(
        x=line.x,
        y=y,
        mode="lines" if sizes is None else "lines+markers",
        line={"color": stroke.look.colour, "width": 2, "dash": stroke.dash},
        marker=None if sizes is None else {"symbol": stroke.look.symbol, "size": sizes, "color": stroke.look.colour},
        customdata=np.column_stack([line.low, line.high]) if with_range else None,
        hovertemplate=f"{said}<extra></extra>",
        showlegend=stroke.named,
        **shared,
    )


def _marker_sizes(y: NDArray[np.float64]) -> Any:
    """Return the sizes of markers: all of one where points are few, else only where no line reaches, or None."""
    import numpy as np

    if len(y) <= _MARKED:
        return 6
    known = np.isfinite(y)
    beside = np.zeros(len(y), bool)
    beside[1:] |= known[:-1]
    beside[:-1] |= known[1:]
    alone = known & ~beside
    return np.where(alone, 6, 0).astype(np.int8) if alone.any() else None


def band_trace(x: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64], stroke: Stroke) -> Any:
    """Return a band between two lines, in parts where they have gaps."""
    import numpy as np

    known = np.isfinite(low) & np.isfinite(high)
    ends = np.flatnonzero(np.diff(known.astype(np.int8), prepend=0, append=0))
    xs: list[NDArray[np.float64]] = []
    ys: list[NDArray[np.float64]] = []
    gap = np.array([np.nan])
    for begin, end in zip(ends[::2], ends[1::2], strict=True):
        part = slice(begin, end)
        xs += [x[part], x[part][::-1], gap]
        ys += [high[part], low[part][::-1], gap]
    return graph_objects().Scatter(
        x=np.concatenate(xs) if xs else [],
        y=np.concatenate(ys) if ys else [],
        mode="lines",
        line={"width": 0, "color": stroke.look.colour},
        fill="toself",
        fillcolor=faint(stroke.look.colour, _BAND_OPACITY),
        hoverinfo="skip",
        legendgroup=stroke.group,
        name=escaped(stroke.name),
        showlegend=False,
    )


def _mark_trace(marks: Marks, line: Line, stroke: Stroke, shared: dict[str, Any]) -> Any:
    said = f"<b>{escaped(stroke.name)}</b><br>{stroke.hover}<br>{escaped(line.metric)} is {marks.kind}"
    return graph_objects().Scatter(
        x=marks.x,
        y=marks.y,
        mode="markers",
        marker={"symbol": _SYMBOLS[marks.kind], "size": 9, "color": stroke.look.colour},
        hovertemplate=f"{said}<extra></extra>",
        showlegend=False,
        **shared,
    )
