"""How strongly a param and a metric rise and fall together."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import permutations
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from tracklib.analysis.spreads import common_scale, has_spread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Numbers = Sequence[float] | NDArray[Any]

__all__ = ["Correlation", "Scale", "correlation_ratio", "natural_scale", "pearson", "spearman"]

Scale = Literal["linear", "log"]
"""Whether numbers are taken as they are, or by their logarithms."""

_MAGNITUDES: Final = 100.0
"""From the smallest to the largest value: less is never taken by its logarithm."""

_ROUNDING: Final = 1e-9
"""By so much skewnesses differ for no reason."""

_EXACT: Final = 7
"""Up to this number of values all orders are tried; of 7 there are 5,040."""


@dataclass(frozen=True, slots=True)
class Correlation:
    """A coefficient of correlation.

    Attributes:
        r: From -1 to 1.
        p: How probable an r as far from 0 or farther is, if there is no connection; two-sided.
        n: How many runs it comes from.
    """

    r: float
    p: float
    n: int


def natural_scale(values: Numbers) -> Scale:
    """Return on which scale numbers lie evenly: by their own values, never by what they are to explain.

    It is the logarithm where all are positive, the largest is 100 times the smallest or more, and the logarithms are
    less skewed than the numbers. So a learning rate of 1e-5, 1e-4, 1e-3 is logarithmic; a number of epochs that was
    drawn evenly from 1 to 1,000 is not.

    Example:
        >>> natural_scale([1e-4, 1e-3, 1e-2]), natural_scale([32, 64, 128]), natural_scale(range(1, 1001))
        ('log', 'linear', 'linear')
    """
    array = np.asarray(values, dtype=np.float64)
    if not len(array) or array.min() <= 0 or array.max() / _MAGNITUDES < array.min():
        return "linear"
    return "log" if abs(_skewness(np.log(array))) < abs(_skewness(array)) - _ROUNDING else "linear"


def pearson(x: Numbers, y: Numbers) -> Correlation | None:
    """Return the linear correlation; None of less than three pairs, or where one side is constant.

    p is that of Student's t with n - 2 degrees of freedom, as `scipy.stats.pearsonr` and R's `cor.test` have it.

    Source: K. Pearson (1895), Notes on regression and inheritance in the case of two parents, Proceedings of the
    Royal Society of London 58, 240-242; Student (1908), Probable error of a correlation coefficient, Biometrika 6.

    Example:
        >>> pearson([1, 2, 3, 4], [2, 4, 5, 9]).r.__round__(4)
        0.9648
    """
    r = _coefficient(x, y)
    return None if r is None else Correlation(r, _p_of_t(r, len(x)), len(x))


def spearman(x: Numbers, y: Numbers) -> Correlation | None:
    """Return the correlation of ranks; None of less than three pairs, or where one side is constant.

    p is exact up to seven pairs, by all orders; beyond that of Student's t, as in `scipy.stats.spearmanr`, and never
    less than the two perfect orders among all.

    Source: C. Spearman (1904), The proof and measurement of association between two things, American Journal of
    Psychology 15, 72-101.

    Example:
        >>> spearman([1, 2, 3], [1, 20, 300])
        Correlation(r=1.0, p=0.3333333333333333, n=3)
    """
    from scipy import stats

    ranks_x, ranks_y = stats.rankdata(x), stats.rankdata(y)
    r = _coefficient(ranks_x, ranks_y)
    if r is None:
        return None
    n = len(ranks_x)
    if n <= _EXACT:
        return Correlation(r, _p_of_all_orders(ranks_x, ranks_y), n)
    return Correlation(r, max(_p_of_t(r, n), 2 / math.gamma(min(n, 150) + 1)), n)


def correlation_ratio(levels: Sequence[str], y: Numbers) -> float | None:
    """Return eta squared: which part of the variance lies between the levels of a category; None if all is constant.

    By chance alone it is some (levels - 1) / (values - 1), so many levels make it large.

    Source: R. A. Fisher (1925), Statistical methods for research workers, chapter 7.

    Example:
        >>> correlation_ratio(["a", "a", "b", "b"], [1, 2, 3, 4])
        0.8
    """
    if not has_spread(y):
        return None
    array = np.asarray(y, dtype=np.float64) / common_scale(y)
    _, codes = np.unique(np.asarray(levels), return_inverse=True)
    sizes = np.bincount(codes)
    means = np.bincount(codes, array) / sizes
    mean = array.mean()
    between = float(sizes @ (means - mean) ** 2)
    return min(1.0, between / float(((array - mean) ** 2).sum()))


def _coefficient(x: Numbers, y: Numbers) -> float | None:
    if len(x) < 3 or not has_spread(x) or not has_spread(y):
        return None
    centered = []
    for side in (x, y):
        array = np.asarray(side, dtype=np.float64) / common_scale(side)
        away = array - array.mean()
        # Divided once more, so that squares of small distances do not vanish.
        centered.append(away / np.abs(away).max())
    one, two = centered
    r = float(one @ two) / math.sqrt(float(one @ one) * float(two @ two))
    return max(-1.0, min(1.0, r))


def _p_of_t(r: float, n: int) -> float:
    from scipy import special

    if abs(r) == 1.0:
        return 0.0
    return float(2 * special.stdtr(n - 2, -abs(r) * math.sqrt((n - 2) / (1 - r * r))))


def _p_of_all_orders(x: NDArray[Any], y: NDArray[Any]) -> float:
    orders = np.array(list(permutations(range(len(y)))))
    sums = np.abs((x - x.mean()) @ (y - y.mean())[orders].T)
    observed = abs(float((x - x.mean()) @ (y - y.mean())))
    return float(np.mean(sums >= observed * (1 - 1e-12) - 1e-12))


def _skewness(values: NDArray[Any]) -> float:
    scaled = values / common_scale(values)
    away = scaled - scaled.mean()
    spread = float(np.sqrt(np.mean(away**2)))
    return 0.0 if spread == 0.0 else float(np.mean((away / spread) ** 3))
