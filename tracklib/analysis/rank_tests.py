"""Tests that look at the order of values alone, so that a single wild one does not decide."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tracklib.analysis.mean_tests import SignificanceTest
from tracklib.analysis.spreads import has_spread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["kruskal_wallis", "mann_whitney", "smallest_p"]

_EXACT: Final = 8
"""Up to this size of the smaller sample p is exact, as it is in SciPy."""

_EXACT_WITH_TIES: Final = 40
"""Up to this number of values p is exact where some are equal."""


def mann_whitney(first: Sequence[float], second: Sequence[float]) -> SignificanceTest | None:
    """Test whether values of one sample tend to be larger than those of another; None where all are the same.

    p is exact for small samples: by the distribution of U where all values differ, by that of all ways to deal the
    same ranks to the two samples where some are equal. For larger ones it is that of the normal approximation with
    corrections for ties and continuity. `method` says which.

    Source: H. B. Mann and D. R. Whitney (1947), On a test of whether one of two random variables is stochastically
    larger than the other, Annals of Mathematical Statistics 18, 50-60; with ties E. L. Lehmann (1975),
    Nonparametrics, section 1.4; as `scipy.stats.mannwhitneyu`.
    """
    from scipy import stats

    together = [*first, *second]
    if not has_spread(together):
        return None
    ties = len(set(together)) < len(together)
    exact = min(len(first), len(second)) <= _EXACT
    result = stats.mannwhitneyu(first, second, method="exact" if exact and not ties else "asymptotic")
    u, p, how = float(result.statistic), float(result.pvalue), "exact" if exact and not ties else "normal approximation"
    if ties and len(together) <= _EXACT_WITH_TIES:
        ranks = stats.rankdata(together)
        p, how = _p_of_dealt_ranks(ranks, len(first)), "exact, with ties"
    return SignificanceTest(method=f"Mann-Whitney U ({how})", statistic=u, p=p, corrected_p=p)


def smallest_p(first: int, second: int) -> float:
    """Return the least p that the rank test can give for samples of these sizes, whatever their values are.

    Example:
        >>> smallest_p(3, 3)
        0.1
    """
    return min(1.0, 2 / math.comb(first + second, first))


def kruskal_wallis(samples: Sequence[Sequence[float]]) -> SignificanceTest | None:
    """Test whether values of some samples tend to be larger than those of others; None where all are the same.

    p is that of the chi-squared approximation, which is rough for samples of less than five values.

    Source: W. H. Kruskal and W. A. Wallis (1952), Use of ranks in one-criterion variance analysis, Journal of the
    American Statistical Association 47, 583-621; as R's `kruskal.test` and `scipy.stats.kruskal`.
    """
    from scipy import stats

    if not has_spread([value for sample in samples for value in sample]):
        return None
    result = stats.kruskal(*samples)
    p = float(result.pvalue)
    return SignificanceTest(
        method="Kruskal-Wallis H", statistic=float(result.statistic), p=p, corrected_p=p, df=len(samples) - 1
    )


def _p_of_dealt_ranks(ranks: NDArray[Any], count: int) -> float:
    """Return the two-sided p of the sum of the first `count` ranks among the sums of all ways to choose as many.

    The number of ways to reach a sum is counted rank by rank; midranks are doubled, so that sums are whole.
    """
    doubled = np.rint(2 * ranks).astype(np.int64)
    # Floats hold the counts as exactly as p needs them: the largest is 40 over 20, some 1e11.
    ways = np.zeros((count + 1, int(doubled.sum()) + 1))
    ways[0, 0] = 1.0
    for rank in doubled:
        # The right side is computed whole before it is added, so that no rank is taken twice.
        ways[1:, rank:] += ways[:-1, :-rank].copy()
    counts = ways[count]
    observed = int(doubled[:count].sum())
    one_sided = min(counts[: observed + 1].sum(), counts[observed:].sum()) / counts.sum()
    return min(1.0, 2 * float(one_sided))
