"""What the runs of an experiment say of a metric together."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from tracklib.analysis.compared_metrics import Change, best_of, change_between

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ExperimentStatistics", "compared_to", "statistics_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentStatistics:
    """One metric of one experiment.

    Attributes:
        experiment: Its name, as `project/name` where several projects are compared.
        higher_is_better: None where nobody has said so; then there is no best, no worst and no improvement.
        runs: How many runs of the chosen statuses the experiment has.
        count: How many of them have a finite value of the metric. All that follows is about these.
        best: The best value.
        worst: The worst one.
        min: The lowest value.
        max: The highest one.
        mean: None where there is no value, as the others.
        std: The sample's standard deviation (n - 1); None for fewer than two values.
        median: The middle value, or the mean of the two middle ones.
        best_run: Id of the run with the best value, of several the newest.
        mean_change: How the mean differs from that of the baseline; None where one of them is missing.
        best_change: How the best value differs from that of the baseline.
    """

    experiment: str
    metric: str
    higher_is_better: bool | None
    runs: int
    count: int = 0
    best: float | None = None
    worst: float | None = None
    min: float | None = None
    max: float | None = None
    mean: float | None = None
    std: float | None = None
    median: float | None = None
    best_run: str | None = None
    mean_change: Change | None = None
    best_change: Change | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


def statistics_of(
    values: Mapping[str, float], *, experiment: str, metric: str, runs: int, higher_is_better: bool | None
) -> ExperimentStatistics:
    """Return what the values of runs say together; those that are not finite are left out.

    Args:
        values: By the ids of the runs that have the metric, the newest first.
        runs: How many runs there are, with or without the metric.

    Example:
        >>> found = statistics_of(
        ...     {"a": 1.0, "b": 3.0, "c": float("nan")}, experiment="e", metric="m", runs=4, higher_is_better=True
        ... )
        >>> found.count, found.best, found.worst, found.mean, found.median, found.best_run
        (2, 3.0, 1.0, 2.0, 2.0, 'b')
    """
    import numpy as np

    base = ExperimentStatistics(experiment=experiment, metric=metric, runs=runs, higher_is_better=higher_is_better)
    finite = np.array([value for value in values.values() if math.isfinite(value)], dtype=np.float64)
    if not finite.size:
        return base
    low, high = float(finite.min()), float(finite.max())
    with np.errstate(over="ignore", invalid="ignore"):  # Sums of the largest numbers are infinite, which says enough.
        mean, median = float(finite.mean()), float(np.median(finite))
        std = float(finite.std(ddof=1)) if finite.size > 1 else None
    best = best_of(values, higher_is_better=higher_is_better)
    return replace(
        base,
        count=int(finite.size),
        best=None if higher_is_better is None else high if higher_is_better else low,
        worst=None if higher_is_better is None else low if higher_is_better else high,
        min=low,
        max=high,
        mean=mean,
        std=std,
        median=median,
        best_run=best[0] if best else None,
    )


def compared_to(own: ExperimentStatistics, baseline: ExperimentStatistics | None) -> ExperimentStatistics:
    """Return the same with how it differs from the baseline."""
    if baseline is None:
        return own
    return replace(
        own,
        mean_change=_change(own.mean, baseline.mean, own.higher_is_better),
        best_change=_change(own.best, baseline.best, own.higher_is_better),
    )


def _change(value: float | None, baseline: float | None, higher_is_better: bool | None) -> Change | None:
    if value is None or baseline is None:
        return None
    return change_between(value, baseline, higher_is_better=higher_is_better)
