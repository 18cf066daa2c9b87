"""Charts of runs: each function returns a figure of plotly, to be shown in a notebook or written to a file.

    figure = tracklib.charts.metric(tracklib.list_runs(project="digits"), "eval/loss", smoothing=0.6)
    tracklib.charts.write(figure, "loss.html")

Nothing here is loaded before it is used, and plotly only to draw.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tracklib.charts.bars import bar
    from tracklib.charts.contours import contour
    from tracklib.charts.correlations import correlation
    from tracklib.charts.importances import importance
    from tracklib.charts.learning_curves import learning_curve
    from tracklib.charts.machine import system
    from tracklib.charts.metric_lines import metric
    from tracklib.charts.parallel import parallel_coordinates
    from tracklib.charts.points import scatter
    from tracklib.charts.timelines import timeline
    from tracklib.charts.writing import write, write_html, write_image

_HOMES = {
    "bar": "bars",
    "contour": "contours",
    "correlation": "correlations",
    "importance": "importances",
    "learning_curve": "learning_curves",
    "metric": "metric_lines",
    "parallel_coordinates": "parallel",
    "scatter": "points",
    "system": "machine",
    "timeline": "timelines",
    "write": "writing",
    "write_html": "writing",
    "write_image": "writing",
}

__all__ = [
    "bar",
    "contour",
    "correlation",
    "importance",
    "learning_curve",
    "metric",
    "parallel_coordinates",
    "scatter",
    "system",
    "timeline",
    "write",
    "write_html",
    "write_image",
]


def __getattr__(name: str) -> Any:
    module = _HOMES.get(name)
    if module is None:
        raise AttributeError(f"module 'tracklib.charts' has no attribute {name!r}")
    value = getattr(import_module(f"tracklib.charts.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
