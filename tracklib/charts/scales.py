"""Whether numbers are best seen on a logarithmic axis, and how one without an axis of its own is labelled."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

__all__ = ["colour_range", "is_logarithmic", "number_text", "power_ticks"]

_LEAST_RATIO: Final = 100.0
_MOST_TICKS: Final = 8
_ROUNDING: Final = 1e-9


def colour_range(numbers: Sequence[float]) -> tuple[float, float]:
    """Return the ends of a colour scale: those of the numbers, but some way apart where these are as good as equal.

    Else plotly would divide what is only rounding into thousands of steps.

    Example:
        >>> colour_range([0.1, 0.5]), colour_range([2.0, 2.0]), colour_range([])
        ((0.1, 0.5), (1.0, 3.0), (0.0, 1.0))
    """
    if not numbers:
        return 0.0, 1.0
    low, high = min(numbers), max(numbers)
    if high - low > _ROUNDING * max(abs(low), abs(high)):
        return low, high
    reach = abs(low) / 2 or 0.5
    return low - reach, high + reach


def is_logarithmic(numbers: Sequence[float]) -> bool:
    """Tell whether numbers are spread over powers of ten: all above 0, the highest a hundred times the lowest.

    Example:
        >>> is_logarithmic([1e-4, 1e-3, 1e-2]), is_logarithmic([1.0, 2.0, 3.0]), is_logarithmic([0.0, 1e-3, 1.0])
        (True, False, False)
    """
    return bool(numbers) and min(numbers) > 0 and max(numbers) / min(numbers) >= _LEAST_RATIO


def power_ticks(low: float, high: float) -> list[float]:
    """Return round numbers for a logarithmic axis from `low` to `high`, its ends included where no others lie between.

    Example:
        >>> power_ticks(0.001, 0.1), power_ticks(2.0, 3.0)
        ([0.001, 0.01, 0.1], [2.0, 3.0])
    """
    first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
    every = max(1, math.ceil((last - first + 1) / _MOST_TICKS))
    ticks = [float(f"1e{power}") for power in range(first, last + 1, every)]
    return ticks if len(ticks) >= 2 else [low, *ticks, high]


def number_text(value: float) -> str:
    """Return a number in four digits.

    Example:
        >>> number_text(0.001), number_text(1e-07), number_text(128.0)
        ('0.001', '1e-07', '128')
    """
    return f"{value:.4g}"
