"""How values lie: whether they differ at all, and sums of squares that neither overflow nor vanish."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["Spread", "common_scale", "has_spread", "mean_of", "spread_of"]

_ROUNDING: Final = 8 * float(np.finfo(np.float64).eps)
"""Values that differ by less than this part of the largest are equal but for rounding."""


@dataclass(frozen=True, slots=True)
class Spread:
    """What a test of means needs to know of a sample.

    Attributes:
        n: How many values.
        mean: Their mean.
        variance: With n - 1 below; 0 where all are the same.
    """

    n: int
    mean: float
    variance: float


def has_spread(values: Sequence[float] | NDArray[Any]) -> bool:
    """Tell whether values differ by more than rounding.

    Example:
        >>> has_spread([0.3, 0.1 + 0.2]), has_spread([0.3, 0.31])
        (False, True)
    """
    array = np.asarray(values, dtype=np.float64)
    if array.size < 2:
        return False
    scale = common_scale(array)
    return float(np.ptp(array / scale)) > _ROUNDING * float(np.max(np.abs(array / scale)))


def common_scale(*samples: Sequence[float] | NDArray[Any]) -> float:
    """Return a power of two by which all values can be divided without rounding, so that none is far above 1.

    Squares of values such as 1e200 would otherwise be infinite, and those of 1e-200 zero.
    """
    largest = max((float(np.max(np.abs(sample))) for sample in samples if len(sample)), default=0.0)
    if largest == 0.0:
        return 1.0
    # Beyond these exponents a power of two is itself infinite, or has lost digits.
    return float(np.ldexp(1.0, int(np.clip(np.frexp(largest)[1], -1000, 1000))))


def mean_of(values: Sequence[float]) -> float:
    """Return the mean of values, whose sum may be beyond all floats."""
    scale = common_scale(values)
    return float(np.mean(np.asarray(values) / scale)) * scale


def spread_of(values: Sequence[float] | NDArray[Any], *, scale: float = 1.0) -> Spread:
    """Return what a test needs to know of values, each divided by `scale`."""
    array = np.asarray(values, dtype=np.float64) / scale
    if not has_spread(array):
        return Spread(len(array), float(array[0]) if len(array) else float("nan"), 0.0)
    return Spread(len(array), float(np.mean(array)), float(np.var(array, ddof=1)))
