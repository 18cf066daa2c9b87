"""The chart of how params and metrics go together."""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from tracklib.analysis.selecting import value_of
from tracklib.charts.chosen import chosen_runs, metric_names
from tracklib.charts.colours import DIVERGING
from tracklib.charts.fields import Column, column_of, flat_params, no_metric, read_column
from tracklib.charts.figures import figure, graph_objects
from tracklib.charts.text import escaped, shortened
from tracklib.errors import ConfigError, MissingDependency

if TYPE_CHECKING:
    import os

    import numpy as np
    from numpy.typing import NDArray
    from plotly.graph_objects import Figure

    from tracklib.reading import StoredRun

__all__ = ["Correlations", "Method", "coefficient", "correlation", "draw_correlations", "read_correlations"]

Method = Literal["spearman", "pearson"]
"""Of ranks, which any rising curve satisfies, or of values, which only a straight line does."""

_MOST: Final = 40
"""Params, and metrics, that are shown unless they are named."""
_FEWEST_RUNS: Final = 3
_MOST_TEXTS: Final = 600
_CELL_HEIGHT: Final = 28


class Correlations(NamedTuple):
    """How params and metrics go together.

    Attributes:
        method: Which coefficient.
        params: Names, by row.
        metrics: Names, by column.
        coefficients: `(p, m)` float64 from -1 to 1; NaN where one of the two is the same for all runs, or where
            fewer than three runs have both.
        counts: `(p, m)` int64, how many runs have both as finite numbers.
        notes: What was left out, in sentences.
    """

    method: Method
    params: tuple[str, ...]
    metrics: tuple[str, ...]
    coefficients: NDArray[np.float64]
    counts: NDArray[np.int64]
    notes: tuple[str, ...]


def correlation(
    runs: Iterable[Any],
    *,
    params: Iterable[str] | None = None,
    metrics: str | Iterable[str] | None = None,
    method: Method = "spearman",
    store: str | os.PathLike[str] | None = None,
) -> Figure:
    """Draw how strongly each param goes together with each metric, as a table of colours.

    A coefficient says what goes together among these runs, not what is the cause of what.

    Args:
        runs: Stored runs, ids or names.
        params: Names of params, or other fields; by default those of numbers or of True and False that differ.
        metrics: Names of metrics, whose last values are meant; by default all but those of the machine.
        method: spearman, of ranks, or pearson, of values.
        store: URI of the store for ids and names; by default the one that runs go to.

    Raises:
        NotFound: None of the runs has one of these.
        ConfigError: There are no runs, a param has no numbers, or an argument cannot be meant.
        MissingDependency: plotly or SciPy is not installed.

    Example:
        >>> for lr in (0.1, 0.2, 0.3):
        ...     with tracklib.start_run(project="digits", params={"lr": lr}) as run:
        ...         run.log({"loss": lr * lr})
        >>> figure = tracklib.charts.correlation(tracklib.list_runs(project="digits"))
        >>> figure.data[0].z.round(6).tolist()
        [[1.0]]
    """
    return draw_correlations(read_correlations(chosen_runs(runs, store=store), params, metrics, method=method))


def read_correlations(
    runs: Sequence[StoredRun],
    params: Iterable[str] | None = None,
    metrics: str | Iterable[str] | None = None,
    *,
    method: Method = "spearman",
) -> Correlations:
    """Compute the coefficients of params and metrics.

    Raises:
        NotFound: None of the runs has one of these.
        ConfigError: A param has no numbers, or the method is unknown.
        MissingDependency: SciPy is not installed.
    """
    import numpy as np

    if method not in {"spearman", "pearson"}:
        raise ConfigError(f"method is {method!r:.200}, but takes spearman or pearson")
    rows, notes = (_own_params(runs), []) if params is None else (_named_params(runs, params), [])
    names = _metrics(runs, metrics)
    if params is None and len(rows) > _MOST:
        notes.append(f"The first {_MOST} of {len(rows)} params; name others as params=.")
        rows = rows[:_MOST]
    if metrics is None and len(names) > _MOST:
        notes.append(f"The first {_MOST} of {len(names)} metrics; name others as metrics=.")
        names = names[:_MOST]
    if not rows:
        notes.append("These runs do not differ in any param of numbers.")
    left = [np.array([_as_number(value) for value in row.values]) for row in rows]
    right = [np.array([_as_number(value_of(run, name)) for run in runs]) for name in names]
    pairs = [[coefficient(a, b, method) for b in right] for a in left]
    shape = (len(rows), len(names), 2)
    both = np.array(pairs, np.float64).reshape(shape)
    if np.isnan(both[..., 0]).any():
        notes.append("Empty: one of the two is the same for all runs, or fewer than three runs have both.")
    return Correlations(
        method,
        tuple(row.label for row in rows),
        tuple(names),
        both[..., 0],
        both[..., 1].astype(np.int64),
        tuple(notes),
    )


def _own_params(runs: Sequence[StoredRun]) -> list[Column]:
    """Return the params with numbers, or True and False, that are not the same for all runs."""
    found = [flat_params(run) for run in runs]
    columns = [
        column_of(name, [each.get(name) for each in found]) for name in sorted({n for each in found for n in each})
    ]
    return [column for column in columns if _has_numbers(column) and len(set(column.values) - {None}) > 1]


def _named_params(runs: Sequence[StoredRun], params: Any) -> list[Column]:
    if isinstance(params, (str, bytes)) or not hasattr(params, "__iter__"):
        raise ConfigError(f"params is {params!r:.200}, but takes the names of params")
    columns = [read_column(runs, name) for name in dict.fromkeys(params)]
    words = [column.label for column in columns if not _has_numbers(column)]
    if words:
        raise ConfigError(f"{', '.join(words)} has no numbers, but a correlation needs some: leave it out of params")
    return columns


def _has_numbers(column: Column) -> bool:
    return column.kind != "category" or set(column.categories) <= {"True", "False"}


def _metrics(runs: Sequence[StoredRun], metrics: Any) -> list[str]:
    known = {name for run in runs for name in run.metrics}
    if metrics is None:
        return sorted(name for name in known if not fnmatch.fnmatch(name, "*system/*") and name != "epoch")
    names = list(metric_names(metrics))
    for name in names:
        if name not in known:
            raise no_metric(name, runs)
    return names


def _as_number(value: float | str | None) -> float:
    if isinstance(value, str):
        return float(value == "True")
    return math.nan if value is None else value


def coefficient(a: NDArray[np.float64], b: NDArray[np.float64], method: Method) -> tuple[float, int]:
    """Return the coefficient of two rows of numbers, and of how many pairs it is."""
    import numpy as np

    try:
        from scipy.stats import rankdata
    except ImportError as error:
        raise MissingDependency("a correlation needs SciPy: pip install 'tracklib-ml[analysis]'") from error
    both = np.isfinite(a) & np.isfinite(b)
    count = int(both.sum())
    x, y = a[both], b[both]
    if count < _FEWEST_RUNS or np.ptp(x) == 0 or np.ptp(y) == 0:
        return math.nan, count
    if method == "spearman":
        x, y = rankdata(x), rankdata(y)
    # Brought to their sizes first, since squares of what is very large or small are no numbers.
    x, y = (
        (each - each.mean()) / np.abs(each - each.mean()).max() for each in (x / np.abs(x).max(), y / np.abs(y).max())
    )
    return float(np.clip((x * y).sum() / math.sqrt((x * x).sum() * (y * y).sum()), -1.0, 1.0)), count


def draw_correlations(found: Correlations) -> Figure:
    """Return the figure of coefficients."""
    import numpy as np

    name = "Spearman" if found.method == "spearman" else "Pearson"
    cells = found.coefficients.size
    # Nought is added so that what rounds to it has no sign.
    texts = np.where(np.isnan(found.coefficients), "", np.char.mod("%.2f", found.coefficients.round(2) + 0.0))
    drawn = graph_objects().Heatmap(
        z=found.coefficients,
        x=[escaped(shortened(name)) for name in found.metrics],
        y=[escaped(shortened(name)) for name in found.params],
        zmin=-1,
        zmax=1,
        colorscale=DIVERGING,
        reversescale=True,
        customdata=found.counts,
        text=texts,
        texttemplate="%{text}" if cells <= _MOST_TEXTS else None,
        xgap=1,
        ygap=1,
        colorbar={"title": {"text": name}},
        hovertemplate="%{y} and %{x}: %{z:.3f}<br>%{customdata} runs<extra></extra>",
        hoverongaps=False,
    )
    return figure(
        [drawn] if cells else [],
        title=f"Params and metrics: {name}'s correlation",
        notes=found.notes,
        xaxis={"type": "category", "automargin": True, "side": "bottom", "dtick": 1},
        yaxis={"type": "category", "automargin": True, "autorange": "reversed", "dtick": 1},
        height=max(360, 220 + _CELL_HEIGHT * len(found.params)),
    )
