"""How large a difference is, measured by how much values of one group differ among themselves."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tracklib.analysis.spreads import common_scale, spread_of

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["POWER", "EffectSize", "detectable_effect", "hedges_g", "small_sample_factor"]

POWER: Final = 0.8
"""The chance of finding a difference from which on it counts as one that would be found."""

_FURTHEST_T: Final = 1000.0
"""Beyond this the noncentral t distribution cannot be inverted in reasonable time."""


@dataclass(frozen=True, slots=True)
class EffectSize:
    """Hedges' g of a difference of means, in standard deviations.

    Attributes:
        value: g; positive where the first group has the larger mean.
        low: The lower end of its confidence interval; None where the groups lie too far apart to give one.
        high: The upper end.
    """

    value: float
    low: float | None
    high: float | None

    @property
    def size(self) -> str:
        """It in a word, by Cohen's rule of thumb: from 0.2 small, from 0.5 medium, from 0.8 large."""
        limits = ((0.2, "negligible"), (0.5, "small"), (0.8, "medium"))
        return next((word for limit, word in limits if abs(self.value) < limit), "large")


def hedges_g(first: Sequence[float], second: Sequence[float], *, confidence: float = 0.95) -> EffectSize | None:
    """Return Hedges' g of two samples; None where no value differs from the others of its group.

    g is the difference of the means by the pooled standard deviation, corrected for the size of small samples by the
    exact factor; its interval takes both groups to have the same spread, and comes from the noncentral t distribution.

    Sources: L. V. Hedges (1981), Distribution theory for Glass's estimator of effect size and related estimators,
    Journal of Educational Statistics 6, 107-128; for the interval G. Cumming and S. Finch (2001), A primer on the
    understanding, use, and calculation of confidence intervals, Educational and Psychological Measurement 61, 532-574.

    Example:
        >>> round(hedges_g([1, 2, 3, 4], [3, 4, 5, 6]).value, 4)
        -1.3457
    """
    scale = common_scale(first, second)
    one, two = spread_of(first, scale=scale), spread_of(second, scale=scale)
    freedom = one.n + two.n - 2
    pooled = ((one.n - 1) * one.variance + (two.n - 1) * two.variance) / freedom
    if pooled == 0.0:
        return None
    factor = small_sample_factor(freedom)
    raw = (one.mean - two.mean) / math.sqrt(pooled)
    root = math.sqrt(one.n * two.n / (one.n + two.n))
    tail = (1 - confidence) / 2
    low, high = (_noncentrality(freedom, probability, raw * root) for probability in (1 - tail, tail))
    if low is None or high is None:
        return EffectSize(factor * raw, None, None)
    return EffectSize(factor * raw, factor * low / root, factor * high / root)


def small_sample_factor(freedom: int) -> float:
    """Return what takes the bias of a small sample from an effect size: Hedges' J, by its gamma functions.

    Example:
        >>> round(small_sample_factor(10), 6)
        0.922746
    """
    return math.exp(math.lgamma(freedom / 2) - math.lgamma((freedom - 1) / 2)) / math.sqrt(freedom / 2)


def detectable_effect(first: int, second: int, *, confidence: float = 0.95) -> float | None:
    """Return from which difference on, in standard deviations, groups of these sizes show it four times out of five.

    It is what a two-sided t-test of groups with the same spread finds with a power of 80 %.

    Source: J. Cohen (1988), Statistical power analysis for the behavioral sciences, chapter 2.

    Example:
        >>> round(detectable_effect(64, 64), 2)
        0.5
    """
    from scipy import special

    freedom = first + second - 2
    critical = float(special.stdtrit(freedom, (1 + confidence) / 2))
    away = _noncentrality(freedom, 1 - POWER, critical)
    return None if away is None else away / math.sqrt(first * second / (first + second))


def _noncentrality(freedom: float, probability: float, t: float) -> float | None:
    """Return for which noncentrality t values are below `t` with this probability."""
    from scipy import special

    if abs(t) > _FURTHEST_T:
        return None
    found = float(special.nctdtrinc(freedom, probability, t))
    return found if math.isfinite(found) else None
