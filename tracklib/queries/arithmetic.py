"""Numbers as filters reckon with them: 64-bit floats, where what has no answer is NaN."""

from __future__ import annotations

import math

__all__ = ["as_real", "power"]


def as_real(number: float) -> float:
    """Return a number as a float; an integer that no float reaches is an infinity.

    Example:
        >>> as_real(3), as_real(10**400)
        (3.0, inf)
    """
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def power(base: float, exponent: float) -> float:
    """Return a power; NaN where it is no real number, an infinity where it is too large.

    Example:
        >>> power(2.0, 3.0), power(0.0, -1.0), power(-1.0, 0.5), power(-10.0, 1001.0)
        (8.0, nan, nan, -inf)
    """
    try:
        result = base**exponent
    except OverflowError:
        return -math.inf if base < 0 and exponent % 2 == 1 else math.inf
    except ZeroDivisionError:
        return math.nan
    return math.nan if isinstance(result, complex) else float(result)
