"""A comparison as others want it: as a table to look at, as a data frame, as plain data."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

from tracklib.analysis.directions import SYSTEM
from tracklib.analysis.grids import Grid, short_ids, shown, terminal_width
from tracklib.frames import column_of, pandas_frame

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tracklib.analysis.compare import Comparison
    from tracklib.analysis.compared_metrics import Change, ComparedMetric
    from tracklib.reading import StoredRun

__all__ = ["MISSING", "change_text", "comparison_data", "comparison_frame", "comparison_grid"]

MISSING: Final = "—"
"""What stands where a run has no such param or metric."""

_MOST_RUNS_ACROSS: Final = 5
_MOST_ROWS: Final = 40
_MOST_RUNS: Final = 20
_MOST_COLUMNS: Final = 4


def comparison_grid(comparison: Comparison) -> Grid:
    """Return the table of a comparison: a column for each of few runs, a row for each of many."""
    if len(comparison.runs) <= _MOST_RUNS_ACROSS:
        across = _across(comparison)
        if across.width <= terminal_width():
            return across
    return _down(comparison)


def _across(comparison: Comparison) -> Grid:
    ids = short_ids([run.id for run in comparison.runs])
    rows = [("id", *ids.values()), ("status", *(str(run.status) for run in comparison.runs))]
    params = list(comparison.params.items())
    rows += [(f"params.{name}", *_cells(comparison.runs, values)) for name, values in params[:_MOST_ROWS]]
    metrics = _looked_at(comparison)
    rows += [(metric.name, *(_metric_cell(metric, run) for run in comparison.runs)) for metric in metrics[:_MOST_ROWS]]
    notes = _more([name for name, _ in params[_MOST_ROWS:]], "param", "differs", "differ")
    notes += _more([metric.name for metric in metrics[_MOST_ROWS:]], "metric")
    return Grid(
        title=_title(comparison),
        header=("", *(shown(run.name) for run in comparison.runs)),
        rows=tuple((shown(name), *cells) for name, *cells in rows),
        notes=(*notes, *_notes(comparison)),
        keep=len(comparison.runs) + 1,
    )


def _down(comparison: Comparison) -> Grid:
    metrics = _looked_at(comparison)
    params = list(comparison.params.items())
    runs = _leading(comparison)
    ids = short_ids([run.id for run in comparison.runs])
    rows = [
        (
            ids[run.id],
            shown(run.name),
            *(_metric_cell(metric, run) for metric in metrics[:_MOST_COLUMNS]),
            *(_cell(run, values) for _, values in params[:_MOST_COLUMNS]),
        )
        for run in runs
    ]
    hidden = len(comparison.runs) - len(runs)
    notes = [f"… and {hidden:,} more {'run' if hidden == 1 else 'runs'}: to_pandas() has them all"] if hidden else []
    notes += _more([metric.name for metric in metrics[_MOST_COLUMNS:]], "metric")
    notes += _more([name for name, _ in params[_MOST_COLUMNS:]], "param", "differs", "differ")
    names = [metric.name for metric in metrics[:_MOST_COLUMNS]]
    names += [f"params.{name}" for name, _ in params[:_MOST_COLUMNS]]
    return Grid(
        title=_title(comparison),
        header=("id", "run", *(shown(name) for name in names)),
        rows=tuple(rows),
        notes=(*notes, *_notes(comparison)),
        keep=3,
    )


def _looked_at(comparison: Comparison) -> list[ComparedMetric]:
    """Return the metrics without those of the machine, which are many and seldom the question."""
    metrics = comparison.metrics.values()
    return [each for each in metrics if not each.name.startswith(SYSTEM) or each.name == comparison.metric]


def _leading(comparison: Comparison) -> list[StoredRun]:
    """Return the runs to show: the baseline, then the others from the best on, or as they were given."""
    others = [run for run in comparison.runs if run is not comparison.baseline]
    metric = comparison.metrics.get(comparison.metric or "")
    if metric is not None and metric.higher_is_better is not None:
        sign = -1.0 if metric.higher_is_better else 1.0
        values = {name: sign * value for name, value in metric.values.items() if math.isfinite(value)}
        others.sort(key=lambda run: values.get(run.id, math.inf))
    return [comparison.baseline, *others][:_MOST_RUNS]


def _title(comparison: Comparison) -> str:
    said = "" if comparison.statistic == "last" else f", {comparison.statistic} of each metric"
    best = f", best by {comparison.metric}: {comparison.best.name}" if comparison.best else ""
    text = f"{len(comparison.runs):,} runs, compared to {comparison.baseline.name}{best}{said}"
    return "".join(char if char.isprintable() else "?" for char in text)


def _notes(comparison: Comparison) -> list[str]:
    machine = len(comparison.metrics) - len(_looked_at(comparison))
    common = len(comparison.common_params)
    notes = [f"… and {machine:,} {'metric' if machine == 1 else 'metrics'} of the machine"] if machine else []
    notes += [f"{common:,} {'param is' if common == 1 else 'params are'} the same everywhere"] if common else []
    if any(metric.best for metric in comparison.metrics.values()):
        notes.append("* the best")
    return notes


def _more(names: Sequence[str], what: str, one: str = "", many: str = "") -> list[str]:
    if not names:
        return []
    named = ", ".join(shown(name) for name in names[:5])
    rest = ", …" if len(names) > 5 else ""
    words = f"{what} {one}".strip() if len(names) == 1 else f"{what}s {many}".strip()
    return [f"… and {len(names):,} more {words}: {named}{rest}"]


def _cells(runs: Iterable[StoredRun], values: dict[str, Any]) -> list[str]:
    return [_cell(run, values) for run in runs]


def _cell(run: StoredRun, values: dict[str, Any]) -> str:
    return shown(values[run.id]) if run.id in values else MISSING


def _metric_cell(metric: ComparedMetric, run: StoredRun) -> str:
    if run.id not in metric.values:
        return MISSING
    mark = "*" if run.id in metric.best else ""
    change = None if run.id == metric.baseline else metric.change(run)
    text = "" if change is None else change_text(change)
    return f"{shown(metric.values[run.id])}{mark}{f' ({text})' if text else ''}"


def change_text(change: Change) -> str:
    """Return a change in words: in percent where there are such, and whether it is for the better."""
    if change.delta == 0:
        return "same"
    if math.isnan(change.delta):
        return ""
    size = f"{change.delta:+.3g}" if change.percent is None else f"{change.percent:+.1f}%"
    return size + {True: " better", False: " worse", None: ""}[change.better]


def comparison_data(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison as plain data."""
    return {
        "runs": [
            {
                "id": run.id,
                "project": run.project,
                "experiment": run.experiment,
                "name": run.name,
                "status": str(run.status),
            }
            for run in comparison.runs
        ],
        "baseline": comparison.baseline.id,
        "statistic": comparison.statistic,
        "metric": comparison.metric,
        "best": comparison.best.id if comparison.best else None,
        "params": {name: dict(values) for name, values in comparison.params.items()},
        "common_params": dict(comparison.common_params),
        "metrics": {name: _metric_data(metric) for name, metric in comparison.metrics.items()},
    }


def _metric_data(metric: ComparedMetric) -> dict[str, Any]:
    changes = {run: change for run in metric.values if (change := metric.change(run)) is not None}
    return {
        "higher_is_better": metric.higher_is_better,
        "best": list(metric.best),
        "values": dict(metric.values),
        "deltas": {run: change.delta for run, change in changes.items()},
        "percents": {run: change.percent for run, change in changes.items()},
        "better": {run: change.better for run, change in changes.items()},
    }


def comparison_frame(comparison: Comparison) -> Any:
    """Return a data frame with a row for each run."""
    runs = comparison.runs
    columns: dict[str, list[Any]] = {
        "id": [run.id for run in runs],
        "project": [run.project for run in runs],
        "experiment": [run.experiment for run in runs],
        "name": [run.name for run in runs],
        "status": [str(run.status) for run in runs],
    }
    for name, values in comparison.params.items():
        columns[f"params.{name}"] = [values.get(run.id) for run in runs]
    for metric in comparison.metrics.values():
        changes = [metric.change(run) for run in runs]
        columns[f"metrics.{metric.name}"] = [metric.values.get(run.id, math.nan) for run in runs]
        columns[f"delta.{metric.name}"] = [math.nan if change is None else change.delta for change in changes]
        columns[f"percent.{metric.name}"] = [
            math.nan if change is None or change.percent is None else change.percent for change in changes
        ]
    return pandas_frame([column_of(name, values) for name, values in columns.items()])
