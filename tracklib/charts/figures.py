"""What all figures share: how plotly is reached, titles and notes, axes, legends."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from tracklib.charts.text import escaped, wrapped
from tracklib.errors import MissingDependency

__all__ = ["MOST_NAMED", "axis", "figure", "graph_objects", "span_unit"]

MOST_NAMED: Final = 200
"""So many lines have their names in the legend; of more, the pointer tells them."""

_LINE_HEIGHT: Final = 17
_TITLE_HEIGHT: Final = 62
_UNITS: Final = ((172_800.0, "days", 86_400.0), (7_200.0, "hours", 3_600.0), (300.0, "minutes", 60.0))


def graph_objects() -> Any:
    """Return `plotly.graph_objects`.

    Raises:
        MissingDependency: plotly is not installed.
    """
    try:
        import plotly.graph_objects as go
    except ImportError as error:
        raise MissingDependency("tracklib.charts needs plotly: pip install 'tracklib-ml[charts]'") from error
    return go


def figure(traces: Sequence[Any], *, title: str, notes: Sequence[str] = (), **layout: Any) -> Any:
    """Return a figure.

    Args:
        traces: What is drawn.
        title: Plain text, which is escaped here.
        notes: Sentences below the title: what was left out, and why. Plain text, too.
        layout: More of plotly's layout.
    """
    import plotly.io as pio

    lines = wrapped(notes)
    heading = {"text": escaped(title), "subtitle": {"text": "<br>".join(lines)}} if lines else {"text": escaped(title)}
    top = _TITLE_HEIGHT + _LINE_HEIGHT * (len(lines) + (len(lines) > 0))
    many = sum(getattr(trace, "showlegend", False) is not False and trace.name is not None for trace in traces)
    # Plotly's own ground is bluish, on which light colours are hard to see. Who has chosen another one gets that.
    template = "plotly_white" if pio.templates.default == "plotly" else pio.templates.default
    drawn = graph_objects().Figure(traces)
    drawn.update_layout(
        template=template,
        title={**heading, "x": 0.02, "xanchor": "left", "y": 1.0, "yanchor": "top", "pad": {"t": 16}},
        margin={"t": top + 10, "l": 70, "r": 30, "b": 60},
        legend={"tracegroupgap": 0, "font": {"size": 10 if many > 20 else 12}, "itemwidth": 45},
        hoverlabel={"namelength": -1},
    )
    return drawn.update_layout(**layout)


def axis(label: str, unit: str = "", **more: Any) -> dict[str, Any]:
    """Return an axis with its label, which is escaped, and its unit."""
    text = escaped(label) + (f" [{escaped(unit)}]" if unit else "")
    return {"title": {"text": text}, "automargin": True, **more}


def span_unit(seconds: float) -> tuple[str, float]:
    """Return the unit in which a span of time is best read, and its seconds.

    Example:
        >>> span_unit(90), span_unit(3600), span_unit(100_000)
        (('seconds', 1.0), ('minutes', 60.0), ('hours', 3600.0))
    """
    if math.isfinite(seconds):
        for least, unit, size in _UNITS:
            if abs(seconds) >= least:
                return unit, size
    return "seconds", 1.0
