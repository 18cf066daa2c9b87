"""Tests of whether groups have the same mean, which need not have the same spread."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tracklib.analysis.spreads import common_scale, spread_of

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["SignificanceTest", "WelchT", "welch_anova", "welch_t"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SignificanceTest:
    """What a test says.

    Attributes:
        method: Its name, and how p was found.
        statistic: t, U, F or H.
        p: How probable a statistic as far away or farther is, if there is no difference; two-sided.
        corrected_p: Likewise, corrected for the number of tests that were made with it.
        df: Degrees of freedom, where the test has them.
        df_within: Those of the denominator of F.
    """

    method: str
    statistic: float
    p: float
    corrected_p: float
    df: float | None = None
    df_within: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WelchT:
    """Welch's test of two means.

    Attributes:
        test: t, its degrees of freedom and p.
        low: The lower end of the confidence interval of the first mean less the second.
        high: The upper end.
    """

    test: SignificanceTest
    low: float
    high: float


def welch_t(first: Sequence[float], second: Sequence[float], *, confidence: float = 0.95) -> WelchT | None:
    """Test whether two samples have the same mean; None where no value differs from the others of its group.

    Each has two values at least.

    Source: B. L. Welch (1947), The generalization of "Student's" problem when several different population variances
    are involved, Biometrika 34, 28-35; degrees of freedom after F. E. Satterthwaite (1946), Biometrics Bulletin 2,
    110-114; as R's `t.test` and `scipy.stats.ttest_ind(equal_var=False)`.
    """
    from scipy import special

    scale = common_scale(first, second)
    one, two = spread_of(first, scale=scale), spread_of(second, scale=scale)
    parts = (one.variance / one.n, two.variance / two.n)
    squared = sum(parts)
    if squared == 0.0:
        return None
    weights = [part / squared for part in parts]
    df = 1 / (weights[0] ** 2 / (one.n - 1) + weights[1] ** 2 / (two.n - 1))
    error = math.sqrt(squared)
    difference = one.mean - two.mean
    t = difference / error
    p = float(2 * special.stdtr(df, -abs(t)))
    margin = float(special.stdtrit(df, (1 + confidence) / 2)) * error
    test = SignificanceTest(method="Welch's t-test", statistic=t, p=p, corrected_p=p, df=df)
    return WelchT(test=test, low=(difference - margin) * scale, high=(difference + margin) * scale)


def welch_anova(samples: Sequence[Sequence[float]]) -> SignificanceTest | None:
    """Test whether several samples have the same mean; None where the values of one are all the same.

    Each has two values at least.

    Source: B. L. Welch (1951), On the comparison of several mean values: an alternative approach, Biometrika 38,
    330-336; as R's `oneway.test`.
    """
    from scipy import special

    scale = common_scale(*samples)
    spreads = [spread_of(sample, scale=scale) for sample in samples]
    if any(each.variance == 0.0 for each in spreads):
        return None
    sizes = np.array([each.n for each in spreads])
    means = np.array([each.mean for each in spreads])
    precisions = sizes / np.array([each.variance for each in spreads])
    weights = precisions / precisions.sum()
    groups = len(samples)
    between = float(precisions @ (means - weights @ means) ** 2) / (groups - 1)
    unevenness = float(((1 - weights) ** 2 / (sizes - 1)).sum())
    f = between / (1 + 2 * (groups - 2) / (groups**2 - 1) * unevenness)
    df, df_within = groups - 1, (groups**2 - 1) / (3 * unevenness)
    p = float(special.fdtrc(df, df_within, f))
    return SignificanceTest(
        method="Welch's analysis of variance", statistic=f, p=p, corrected_p=p, df=df, df_within=df_within
    )
