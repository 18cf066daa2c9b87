"""Runs side by side: what was different, and what came of it."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tracklib.analysis.compared_code import CodeDiff, RecordedCode, diff_code
from tracklib.analysis.compared_environments import EnvironmentDiff, diff_environments
from tracklib.analysis.compared_inputs import InputsDiff, diff_inputs
from tracklib.analysis.compared_metrics import ComparedMetric, best_of
from tracklib.analysis.compared_params import compare_params
from tracklib.analysis.comparison_views import comparison_data, comparison_frame, comparison_grid
from tracklib.analysis.directions import Directions, metric_order, read_directions
from tracklib.analysis.grids import grid_html, grid_text
from tracklib.analysis.selecting import checked_statistic, stored_runs, value_of
from tracklib.errors import AmbiguousName, ConfigError, NotFound
from tracklib.stores.base import open_store
from tracklib.values import checked_text

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping

    from tracklib.analysis.selecting import Statistic
    from tracklib.reading import StoredRun
    from tracklib.run import Run

__all__ = ["Comparison", "compare"]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False, eq=False)
class Comparison:
    """Runs side by side. Printed, it is a table; in a notebook it shows itself.

    Attributes:
        runs: In the order in which they were given, each once.
        baseline: The run that the others are compared to.
        statistic: Which number stands for a metric: last, min, max, mean or count.
        params: The params that differ, by dotted name: values by run id. A run without the param is not among them.
        common_params: The params that all runs have with the same value.
        metrics: By name: `.values` by run id, `.change(run)` to the baseline, `.best`, `.higher_is_better`.
        metric: The metric that `best` is about; None where none was asked for and the project has no primary one.
        best: The run with the best value of it, of several the first; None where no value is finite.
    """

    runs: tuple[StoredRun, ...]
    baseline: StoredRun
    statistic: Statistic
    params: dict[str, dict[str, Any]]
    common_params: dict[str, Any]
    metrics: dict[str, ComparedMetric]
    metric: str | None
    best: StoredRun | None

    def code_diff(
        self,
        a: str | Run | StoredRun | None = None,
        b: str | Run | StoredRun | None = None,
        *,
        repo: str | os.PathLike[str] | None = None,
    ) -> CodeDiff:
        """Return how the code of run `b` differs from that of run `a`.

        It is told from commits, changes that were not committed, files that git did not track, and the copies of
        projects without git.

        Args:
            a: By default the baseline.
            b: By default the other one of two runs.
            repo: A folder of the repository that has the commits of both; by default the working directory.

        Raises:
            ConfigError: It is not said which runs are meant, or `repo` is no repository.
        """
        pair = self._pair(a, b)
        return diff_code(*(_whole(run) for run in pair), repository=repo)

    def environment_diff(
        self, a: str | Run | StoredRun | None = None, b: str | Run | StoredRun | None = None
    ) -> EnvironmentDiff:
        """Return how Python, packages, system and machine of run `b` differ from those of run `a`; see `code_diff`."""
        old, new = (_whole(run).info for run in self._pair(a, b))
        return diff_environments(old, new)

    def inputs_diff(self, a: str | Run | StoredRun | None = None, b: str | Run | StoredRun | None = None) -> InputsDiff:
        """Return how the artifacts that run `b` read differ from those of run `a`; see `code_diff`."""
        return diff_inputs(*self._pair(a, b))

    def to_pandas(self) -> Any:
        """Return a data frame: a row for each run, its params that differ, its metrics and their changes.

        Columns are `params.<name>`, `metrics.<name>`, `delta.<name>` and `percent.<name>`; what is missing is None
        for params and NaN for numbers.

        Raises:
            MissingDependency: pandas is not installed.
        """
        return comparison_frame(self)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data; what a run does not have is left out."""
        return comparison_data(self)

    def _pair(self, a: Any, b: Any) -> tuple[StoredRun, StoredRun]:
        first = self.baseline if a is None else _chosen("a", a, self.runs)
        if b is not None:
            return first, _chosen("b", b, self.runs)
        others = [run for run in self.runs if run is not first]
        if len(others) > 1:
            raise ConfigError(
                f"b is None, but there are {len(others):,} runs beside {first.name!r}: say which is meant"
            )
        return first, others[0]

    def __repr__(self) -> str:
        best = f", best by {self.metric}: {self.best.name}" if self.best else ""
        return (
            f"<Comparison of {len(self.runs):,} runs: {len(self.params):,} params differ, {len(self.metrics):,} "
            f"metrics, baseline {self.baseline.name}{best}>"
        )

    def __str__(self) -> str:
        return grid_text(comparison_grid(self))

    def _repr_html_(self) -> str:
        return grid_html(comparison_grid(self))


def compare(
    runs: Iterable[str | Run | StoredRun],
    *,
    baseline: str | Run | StoredRun | None = None,
    metric: str | None = None,
    higher_is_better: bool | Mapping[str, bool] | None = None,
    statistic: Statistic = "last",
    store: str | os.PathLike[str] | None = None,
) -> Comparison:
    """Compare runs: the params that differ, and the metrics beside those of a baseline.

    Whether higher values are better is never guessed: it is given, or stands in the settings of the project.
    NaN, infinities and missing values are never the best.

    Args:
        runs: Two or more: what `search_runs` or `list_runs` gives, ids or names. One that is given twice counts once.
        baseline: One of them; by default the first.
        metric: The one that decides which run is the best; by default the first of the project's primary metrics
            whose direction is known.
        higher_is_better: Of `metric`, or by the names of metrics; over the project's setting of this name.
        statistic: Which number stands for a metric: last, min, max, mean or count.
        store: URI of the store of runs that are given by name; by default the one that runs go to.

    Raises:
        ConfigError: There are fewer than two runs, the baseline is none of them, or it is not known whether higher
            values of `metric` are better.
        NotFound: There is no such run, or no run has the metric.

    Example:
        >>> for lr, loss in ((0.1, 0.5), (0.01, 0.25)):
        ...     with tracklib.start_run("digits", name=f"lr {lr}", params={"lr": lr, "seed": 1}) as run:
        ...         run.log({"loss": loss})
        >>> comparison = tracklib.compare(
        ...     ["lr 0.1", "lr 0.01"], metric="loss", higher_is_better=False
        ... )
        >>> comparison.best.name, comparison.metrics["loss"].change(comparison.best).percent
        ('lr 0.01', -50.0)
        >>> list(comparison.params), comparison.common_params
        (['lr'], {'seed': 1})
    """
    chosen = tuple({run.id: run for run in stored_runs(runs, store=store)}.values())
    if len(chosen) < 2:
        raise ConfigError(f"runs has {len(chosen)} {'run' if chosen else 'runs'}, but a comparison takes two or more")
    first = chosen[0] if baseline is None else _chosen("baseline", baseline, chosen)
    number = checked_statistic(statistic)
    asked = () if metric is None else (checked_text("metric", metric),)
    directions = read_directions(higher_is_better, metrics=asked, places=((run.store, run.project) for run in chosen))
    metrics = _compared_metrics(chosen, first, number, directions, asked)
    if metric is not None:
        _checked_metric(metric, metrics, chosen)
        directions.needed(metric, projects={run.project for run in chosen})
    decisive = metric or next((name for name in directions.primary if name in metrics and metrics[name].best), None)
    best = metrics[decisive].best if decisive else ()
    params = compare_params({run.id: run.params for run in chosen})
    return Comparison(
        runs=chosen,
        baseline=first,
        statistic=number,
        params=params.differing,
        common_params=params.common,
        metrics=metrics,
        metric=decisive,
        best=next((run for run in chosen if best and run.id == best[0]), None),
    )


def _compared_metrics(
    runs: tuple[StoredRun, ...],
    baseline: StoredRun,
    statistic: Statistic,
    directions: Directions,
    first: tuple[str, ...],
) -> dict[str, ComparedMetric]:
    values: dict[str, dict[str, float]] = {}
    for run in runs:
        for name in run.metrics:
            value = value_of(run, name, statistic)
            if value is not None:
                values.setdefault(name, {})[run.id] = value
    return {
        name: ComparedMetric(
            name=name,
            statistic=statistic,
            higher_is_better=directions.of(name),
            baseline=baseline.id,
            values=values[name],
            best=best_of(values[name], higher_is_better=directions.of(name)),
        )
        for name in metric_order(values, directions, first=first)
    }


def _checked_metric(metric: str, metrics: Mapping[str, ComparedMetric], runs: tuple[StoredRun, ...]) -> None:
    if metric not in metrics:
        near = difflib.get_close_matches(metric, metrics, 3) or list(metrics)[:5]
        raise NotFound(
            f"none of the {len(runs):,} runs has the metric {metric!r}; there are: {', '.join(near) or 'none'}"
        )


def _chosen(argument: str, run: Any, runs: tuple[StoredRun, ...]) -> StoredRun:
    """Return which of the runs is meant: by the run, its id or the beginning of it, or its name."""
    wanted = checked_text(argument, run if isinstance(run, str) else getattr(run, "id", run))
    for found in (
        [each for each in runs if each.id == wanted],
        [each for each in runs if wanted in (each.name, f"{each.project}/{each.experiment}/{each.name}")],
        [each for each in runs if each.id.startswith(wanted.upper())],
    ):
        if len(found) > 1:
            ids = ", ".join(each.id for each in found[:5])
            raise AmbiguousName(f"{argument} is {wanted!r}, which {len(found):,} of the runs fit: {ids}; give the id")
        if found:
            return found[0]
    names = ", ".join(each.name for each in runs[:5])
    raise ConfigError(
        f"{argument} is {wanted!r}, but that is none of the {len(runs):,} runs: {names}{', …' if len(runs) > 5 else ''}"
    )


def _whole(run: StoredRun) -> RecordedCode:
    """Return a run with its diff and packages, which are left out where runs are listed."""
    with open_store(run.store) as store:
        return RecordedCode(store.run(run.id), run.store)
