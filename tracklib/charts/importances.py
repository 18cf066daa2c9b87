"""The chart of which params have to do with a metric."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tracklib.analysis.importance import param_importance
from tracklib.analysis.selecting import checked_statistic
from tracklib.charts.chosen import chosen_runs, metric_name
from tracklib.charts.colours import CATEGORICAL, NEUTRAL
from tracklib.charts.figures import axis, figure, graph_objects
from tracklib.charts.text import escaped, shortened

if TYPE_CHECKING:
    import os

    from plotly.graph_objects import Figure

    from tracklib.analysis.importance_result import Importance, ParamImportance
    from tracklib.analysis.selecting import Statistic

__all__ = ["Importances", "draw_importances", "importance", "read_importances"]

_MOST_BARS: Final = 30
_BAR_HEIGHT: Final = 24


class Importances(NamedTuple):
    """How much each param has to do with a metric, the most important first.

    Attributes:
        metric: What it is about.
        measure: What the bars are.
        is_model: Whether they are scores of a model that can be relied on.
        params: Names.
        values: One for each of them.
        errors: The standard deviation of each, or empty.
        notes: How good the model is, and what is to be known beside that, in sentences.
    """

    metric: str
    measure: str
    is_model: bool
    params: tuple[str, ...]
    values: tuple[float, ...]
    errors: tuple[float, ...]
    notes: tuple[str, ...]


def importance(
    runs: Iterable[Any],
    metric: str,
    *,
    params: Iterable[str] | None = None,
    statistic: Statistic = "last",
    store: str | os.PathLike[str] | None = None,
) -> Figure:
    """Draw how much each param has to do with a metric, and say how far that can be relied on.

    The bars are what `tracklib.param_importance` finds: the scores of its model. Where there is no model, or it is of
    no use, they are how strongly each param goes with the metric by itself, from 0 to 1, and are grey.

    Args:
        runs: Stored runs, ids or names.
        metric: Its name.
        params: Names of the params to look at; all by default.
        statistic: Which number of a run stands for the metric: last, min, max, mean or count.
        store: URI of the store for ids and names; by default the one that runs go to.

    Raises:
        NotFound: None of the runs has the metric or one of the params.
        ConfigError: There are no runs, or an argument cannot be meant.
        MissingDependency: plotly, SciPy or scikit-learn is not installed.

    Example:
        >>> for lr in (0.1, 0.2, 0.4, 0.8):
        ...     with tracklib.start_run(project="digits", params={"lr": lr}) as run:
        ...         run.log({"loss": lr})
        >>> figure = tracklib.charts.importance(tracklib.list_runs(project="digits"), "loss")
        >>> list(figure.data[0].y), list(figure.data[0].x)
        (['lr'], [1.0])
    """
    chosen, name = chosen_runs(runs, store=store), metric_name(metric)
    found = param_importance(chosen, name, params=params, statistic=checked_statistic(statistic))
    return draw_importances(read_importances(found))


def read_importances(found: Importance) -> Importances:
    """Return the bars of what was found."""
    if found.is_reliable:
        scored = [(each, each.score, each.score_std or 0.0) for each in found.params if each.score is not None]
        measure = "fall of R² when the param is shuffled"
    else:
        strengths = [(each, _strength(each)) for each in found.params]
        scored = [(each, strength, 0.0) for each, strength in strengths if strength is not None]
        measure = "strength of the relation, each param by itself"
    scored.sort(key=lambda row: (-row[1], row[0].name))
    notes = [found.conclusion, *found.cautions]
    if len(scored) > _MOST_BARS:
        notes.append(f"The first {_MOST_BARS} of {len(scored)} params.")
    shown = scored[:_MOST_BARS]
    return Importances(
        metric=found.metric if found.statistic == "last" else f"{found.metric} ({found.statistic})",
        measure=measure,
        is_model=found.is_reliable,
        params=tuple(each.name for each, _, _ in shown),
        values=tuple(value for _, value, _ in shown),
        errors=tuple(error for _, _, error in shown) if found.is_reliable else (),
        notes=tuple(notes),
    )


def _strength(param: ParamImportance) -> float | None:
    """Return from 0 to 1 how a param goes with the metric: by ranks, or for a category by its levels."""
    if param.spearman is not None and math.isfinite(param.spearman.r):
        return abs(param.spearman.r)
    # The root of a part of the variance is a correlation, as is the square root of R².
    return None if param.eta_squared is None else math.sqrt(max(0.0, param.eta_squared))


def draw_importances(found: Importances) -> Figure:
    """Return the figure of importances."""
    drawn = graph_objects().Bar(
        x=list(found.values),
        y=[escaped(shortened(name)) for name in found.params],
        error_x={"type": "data", "array": list(found.errors), "color": NEUTRAL} if found.errors else None,
        orientation="h",
        marker={"color": CATEGORICAL[0] if found.is_model else NEUTRAL},
        hovertemplate="<b>%{y}</b><br>%{x:.3~g}<extra></extra>",
    )
    return figure(
        [drawn] if found.params else [],
        title=f"What {found.metric} depends on",
        notes=found.notes,
        xaxis=axis(found.measure, range=None if found.is_model else [0, 1.02]),
        yaxis={"type": "category", "autorange": "reversed", "automargin": True, "dtick": 1},
        height=max(320, 220 + _BAR_HEIGHT * len(found.params)),
        showlegend=False,
    )
