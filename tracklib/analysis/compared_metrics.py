"""Metrics of several runs side by side: how each differs from the baseline, and who is best.

The rules for what is no ordinary number:

    * A run that has no such metric has no value and no change, is not the best, and makes nobody worse.
    * A difference with NaN is NaN, one with an infinity as arithmetic has it; neither is better or worse.
    * There are no percents of a baseline that is zero, NaN or infinite.
    * NaN and infinities are never the best: a loss of minus infinity is no success.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracklib.analysis.selecting import Statistic

__all__ = ["Change", "ComparedMetric", "best_of", "change_between"]


@dataclass(frozen=True, slots=True)
class Change:
    """How a value differs from that of the baseline.

    Attributes:
        delta: The value less the baseline's.
        percent: The same in percent of the baseline's size; None where that is zero or not finite.
        improvement: By how much it is better; negative where it is worse, None where nobody can tell.
        improvement_percent: The same in percent.
    """

    delta: float
    percent: float | None
    improvement: float | None
    improvement_percent: float | None

    @property
    def better(self) -> bool | None:
        """Whether it is better (True) or worse (False); None for neither, and where nobody can tell."""
        return self.improvement > 0 if self.improvement else None


def change_between(value: float, baseline: float, *, higher_is_better: bool | None = None) -> Change:
    """Return how a value differs from that of the baseline.

    Example:
        >>> change_between(0.25, 0.5, higher_is_better=False)
        Change(delta=-0.25, percent=-50.0, improvement=0.25, improvement_percent=50.0)
        >>> change_between(0.25, 0.0)
        Change(delta=0.25, percent=None, improvement=None, improvement_percent=None)
    """
    delta = value - baseline
    percent = delta / abs(baseline) * 100 if math.isfinite(baseline) and baseline else None
    if higher_is_better is None or not (math.isfinite(value) and math.isfinite(baseline)):
        return Change(delta, percent, None, None)
    sign = 1.0 if higher_is_better else -1.0
    # Adding zero makes minus zero plain.
    return Change(delta, percent, sign * delta + 0.0, None if percent is None else sign * percent + 0.0)


def best_of(values: Mapping[str, float], *, higher_is_better: bool | None) -> tuple[str, ...]:
    """Return who has the best value: several of them where they are equal, nobody where nobody can tell.

    Example:
        >>> best_of({"a": 0.5, "b": 0.25, "c": float("nan"), "d": 0.25}, higher_is_better=False)
        ('b', 'd')
    """
    finite = [value for value in values.values() if math.isfinite(value)]
    if higher_is_better is None or not finite:
        return ()
    best = max(finite) if higher_is_better else min(finite)
    return tuple(name for name, value in values.items() if value == best)


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedMetric:
    """One metric of several runs.

    Attributes:
        statistic: Which number of its summary stands for it: last, min, max, mean or count.
        higher_is_better: None where nobody has said so.
        baseline: Id of the run that the others are compared to.
        values: By the ids of those runs that have the metric; may be NaN.
        best: Ids of the runs with the best value, in the order of the runs; several where they are equal. Empty where
            the direction is not known or no value is finite.
    """

    name: str
    statistic: Statistic
    higher_is_better: bool | None
    baseline: str
    values: dict[str, float]
    best: tuple[str, ...]

    def change(self, run: Any) -> Change | None:
        """Return how a run differs from the baseline; None where one of them has no such metric.

        Args:
            run: The run, or its id.
        """
        value = self.values.get(run if isinstance(run, str) else run.id)
        baseline = self.values.get(self.baseline)
        if value is None or baseline is None:
            return None
        return change_between(value, baseline, higher_is_better=self.higher_is_better)
