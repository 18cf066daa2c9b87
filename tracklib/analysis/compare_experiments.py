"""Experiments side by side: what their runs reached, each of them together."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

from tracklib.analysis.compared_metrics import Change
from tracklib.analysis.comparison_views import MISSING, change_text
from tracklib.analysis.directions import SYSTEM, Directions, metric_order, read_directions
from tracklib.analysis.experiment_statistics import ExperimentStatistics, compared_to, statistics_of
from tracklib.analysis.grids import Grid, grid_html, grid_text, shown
from tracklib.analysis.selecting import checked_statistic, value_of
from tracklib.errors import AmbiguousName, ConfigError, NotFound
from tracklib.frames import column_of, pandas_frame
from tracklib.model import Experiment
from tracklib.reading import StoredRun, list_runs, open_for_reading, read_together
from tracklib.values import checked_text

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping, Sequence

    from tracklib.analysis.selecting import Statistic

__all__ = ["ExperimentComparison", "compare_experiments"]

_MOST_ROWS: Final = 60
_COLUMNS: Final = ("runs", "count", "best", "worst", "min", "max", "mean", "std", "median", "best_run")
_CHANGE: Final = tuple(field.name for field in fields(Change))
_SHOWN: Final = ("count", "mean", "std", "best", "worst", "median")


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ExperimentComparison:
    """Experiments side by side. Printed, it is a table; in a notebook it shows itself.

    Attributes:
        experiments: Their names, as `project/name` where several projects are compared.
        baseline: The one that the others are compared to.
        statistic: Which number stands for a metric of a run: last, min, max, mean or count.
        metrics: What is compared.
        rows: One for each metric and experiment.
    """

    experiments: tuple[str, ...]
    baseline: str
    statistic: Statistic
    metrics: tuple[str, ...]
    rows: tuple[ExperimentStatistics, ...]

    def row(self, experiment: str, metric: str) -> ExperimentStatistics:
        """Return what is known of a metric of an experiment.

        Raises:
            NotFound: It is not compared here.
        """
        for row in self.rows:
            if (row.experiment, row.metric) == (experiment, metric):
                return row
        raise NotFound(
            f"there is no metric {metric!r} of the experiment {experiment!r} here; there are the experiments "
            f"{', '.join(self.experiments[:20])} and the metrics {', '.join(self.metrics[:20])}"
        )

    def to_pandas(self) -> Any:
        """Return a data frame: a row for each metric and experiment, with the changes of mean and best value.

        Raises:
            MissingDependency: pandas is not installed.
        """
        columns: dict[str, list[Any]] = {
            "metric": [row.metric for row in self.rows],
            "experiment": [row.experiment for row in self.rows],
        }
        for name in _COLUMNS:
            columns[name] = [getattr(row, name) for row in self.rows]
        for which in ("mean", "best"):
            changes: list[Change | None] = [getattr(row, f"{which}_change") for row in self.rows]
            for name in _CHANGE:
                columns[f"{which}_{name}"] = [_number(change, name) for change in changes]
        return pandas_frame([column_of(name, values) for name, values in columns.items()])

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "experiments": list(self.experiments),
            "baseline": self.baseline,
            "statistic": self.statistic,
            "metrics": list(self.metrics),
            "rows": [row.to_dict() for row in self.rows],
        }

    def __repr__(self) -> str:
        return (
            f"<ExperimentComparison of {len(self.experiments):,} experiments: {len(self.metrics):,} metrics, "
            f"baseline {self.baseline}>"
        )

    def __str__(self) -> str:
        return grid_text(_grid(self))

    def _repr_html_(self) -> str:
        return grid_html(_grid(self))


def compare_experiments(  # noqa: PLR0913 - what is compared, and how
    experiments: Iterable[str | Experiment] | None = None,
    *,
    project: str | None = None,
    metrics: Iterable[str] | None = None,
    baseline: str | Experiment | None = None,
    statistic: Statistic = "last",
    higher_is_better: bool | Mapping[str, bool] | None = None,
    status: str | Iterable[str] | None = "completed",
    store: str | os.PathLike[str] | None = None,
) -> ExperimentComparison:
    """Compare experiments by what their runs reached: best, worst, mean, deviation and median of each metric.

    Values that are missing, NaN or infinite do not count; how many do is said. Archived runs are left out.

    Args:
        experiments: Their names, or `project/name`; by default all of the project.
        project: Where the experiments are.
        metrics: By default all that any of the runs has.
        baseline: One of the experiments; by default the first one, which of all of a project is the oldest.
        statistic: Which number stands for a metric of a run: last, min, max, mean or count.
        higher_is_better: Of the named metrics, or by their names; over the project's setting of this name.
        status: The runs that count; None for all of them.
        store: URI of the store; by default the one that runs go to.

    Raises:
        ConfigError: An argument cannot be meant.
        NotFound: There is no such experiment or metric.
        AmbiguousName: Several experiments are meant.

    Example:
        >>> for experiment, accuracies in (("lenet", (0.5, 0.7)), ("resnet", (0.8, 1.0))):
        ...     for accuracy in accuracies:
        ...         with tracklib.start_run("images", experiment) as run:
        ...             run.log({"accuracy": accuracy})
        >>> comparison = tracklib.compare_experiments(
        ...     project="images", metrics=["accuracy"], higher_is_better=True
        ... )
        >>> row = comparison.row("resnet", "accuracy")
        >>> row.count, row.best, row.worst, round(row.mean_change.improvement_percent, 6)
        (2, 1.0, 0.8, 50.0)
    """
    number = checked_statistic(statistic)
    asked = _names(metrics)
    chosen = _experiments(experiments, project, store)
    names = _labels(chosen)
    first = names[0] if baseline is None else _baseline(baseline, chosen, names)
    groups = _runs(chosen, names, status, store)
    every = [run for group in groups.values() for run in group]
    read_together(every)
    directions = read_directions(
        higher_is_better, metrics=asked or (), places=dict.fromkeys((run.store, run.project) for run in every)
    )
    found = {name for run in every for name in run.metrics}
    for name in asked or ():
        if name not in found:
            near = difflib.get_close_matches(name, found, 3) or sorted(found)[:5]
            raise NotFound(f"none of the {len(every):,} runs has the metric {name!r}; there are: {', '.join(near)}")
    ordered = tuple(asked or metric_order(found, directions))
    rows = [row for name in ordered for row in _rows(name, groups, number, directions, first)]
    return ExperimentComparison(
        experiments=tuple(names), baseline=first, statistic=number, metrics=ordered, rows=tuple(rows)
    )


def _rows(
    metric: str, groups: Mapping[str, Sequence[StoredRun]], statistic: Statistic, directions: Directions, baseline: str
) -> list[ExperimentStatistics]:
    """Return what is known of a metric of each experiment, compared to the baseline."""
    rows = {}
    for name, runs in groups.items():
        values = {run.id: value_of(run, metric, statistic) for run in runs}
        rows[name] = statistics_of(
            {run: value for run, value in values.items() if value is not None},
            experiment=name,
            metric=metric,
            runs=len(runs),
            higher_is_better=directions.of(metric),
        )
    return [row if name == baseline else compared_to(row, rows[baseline]) for name, row in rows.items()]


def _names(metrics: Any) -> tuple[str, ...] | None:
    if metrics is None:
        return None
    if isinstance(metrics, (str, bytes)) or not hasattr(metrics, "__iter__"):
        raise ConfigError(f"metrics is {metrics!r:.200}, but takes several names, as in ['eval/loss']")
    names = tuple(dict.fromkeys(checked_text("metric", name) for name in metrics))
    if not names:
        raise ConfigError("metrics is empty: leave it out to compare all of them")
    return names


def _experiments(given: Any, project: str | None, store: str | os.PathLike[str] | None) -> list[Experiment]:
    """Return the experiments that are meant, each once."""
    if project is not None:
        checked_text("project", project)
    if given is None and project is None:
        raise ConfigError("experiments and project are both None: name the experiments, or the project of all of them")
    if given is not None and (isinstance(given, (str, bytes)) or not hasattr(given, "__iter__")):
        raise ConfigError(f"experiments is {given!r:.200}, but takes several experiments or their names")
    with open_for_reading(store) as opened:
        known = opened.experiments(project, archived=False if given is None else None)
    if given is not None:
        found = [_found(each, known, project) for each in given]
        if not found:
            raise ConfigError("experiments is empty: leave it out to compare all of the project")
        return _each_once(found)
    if not known:
        raise NotFound(f"there is no experiment in a project {project!r}: `tracklib projects` lists what there is")
    return sorted(known, key=lambda experiment: (experiment.created_at, experiment.id))


def _each_once(experiments: Iterable[Experiment]) -> list[Experiment]:
    return list({(each.project, each.name): each for each in experiments}.values())


def _found(given: Any, known: Sequence[Experiment], project: str | None) -> Experiment:
    if isinstance(given, Experiment):
        same = [each for each in known if (each.project, each.name) == (given.project, given.name)]
        wanted = f"{given.project}/{given.name}"
    else:
        wanted = checked_text("experiment", given)
        same = [each for each in known if wanted == each.name] or [
            each for each in known if wanted == f"{each.project}/{each.name}"
        ]
    if len(same) > 1:
        places = ", ".join(f"{each.project}/{each.name}" for each in same[:5])
        raise AmbiguousName(f"{wanted!r} means several experiments: {places}; give the project as well")
    if not same:
        names = [each.name if project else f"{each.project}/{each.name}" for each in known]
        near = difflib.get_close_matches(wanted, names, 3) or names[:5]
        raise NotFound(f"there is no experiment {wanted!r}; there are: {', '.join(near) or 'none'}")
    return same[0]


def _labels(experiments: Sequence[Experiment]) -> list[str]:
    alone = len({each.project for each in experiments}) == 1
    return [each.name if alone else f"{each.project}/{each.name}" for each in experiments]


def _baseline(given: Any, experiments: Sequence[Experiment], names: Sequence[str]) -> str:
    try:
        found = _found(given, experiments, None)
    except AmbiguousName:
        raise
    except NotFound as error:
        raise ConfigError(
            f"baseline is {given!r:.200}, but that is none of the experiments: {', '.join(names[:10])}"
        ) from error
    return names[experiments.index(found)]


def _runs(
    experiments: Sequence[Experiment], names: Sequence[str], status: Any, store: str | os.PathLike[str] | None
) -> dict[str, list[StoredRun]]:
    """Return the runs of each experiment, the newest first, with one question for each project."""
    conditions: dict[str, Any] = {} if status is None else {"status": status}
    groups: dict[str, list[StoredRun]] = {name: [] for name in names}
    places = {(each.project, each.name): name for each, name in zip(experiments, names, strict=True)}
    for project in dict.fromkeys(each.project for each in experiments):
        own = [each.name for each in experiments if each.project == project]
        only: dict[str, Any] = {"experiment": own[0]} if len(own) == 1 else {}
        for run in list_runs(project=project, store=store, **only, **conditions):
            if (run.project, run.experiment) in places:
                groups[places[run.project, run.experiment]].append(run)
    return groups


def _number(change: Change | None, name: str) -> float:
    value = None if change is None else getattr(change, name)
    return math.nan if value is None else float(value)


def _grid(comparison: ExperimentComparison) -> Grid:
    named = [row for row in comparison.rows if not row.metric.startswith(SYSTEM)] or list(comparison.rows)
    rows = []
    for row in named[:_MOST_ROWS]:
        numbers = [getattr(row, name) for name in _SHOWN]
        is_baseline = row.experiment == comparison.baseline
        changes = ["baseline" if is_baseline else _change(row.mean_change), _change(row.best_change)]
        cells = [MISSING if number is None else shown(number) for number in numbers]
        rows.append((shown(row.metric), shown(row.experiment), *cells, *changes))
    hidden = len(comparison.rows) - len(rows)
    notes = [f"… and {hidden:,} more {'row' if hidden == 1 else 'rows'}: to_pandas() has them all"] if hidden else []
    unknown = list(dict.fromkeys(row.metric for row in named if row.higher_is_better is None))
    if unknown:
        few = ", ".join(shown(name) for name in unknown[:5])
        more = f" and {len(unknown) - 5:,} more" if len(unknown) > 5 else ""
        notes.append(f"no best, since it is not known whether higher is better: {few}{more}")
    count = len(comparison.experiments)
    what = f"{count:,} {'experiment' if count == 1 else 'experiments'}"
    said = "" if comparison.statistic == "last" else f", {comparison.statistic} of each metric"
    return Grid(
        title=f"{what}, compared to {shown(comparison.baseline)}{said}",
        header=("metric", "experiment", *_SHOWN, "mean change", "best change"),
        rows=tuple(rows),
        notes=tuple(notes),
        keep=4,
    )


def _change(change: Change | None) -> str:
    return "" if change is None else change_text(change)
