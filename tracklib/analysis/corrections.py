"""P-values that were made together: the more tests there are, the more of them find something by chance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from tracklib.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CORRECTIONS", "Correction", "checked_correction", "corrected", "holm"]

Correction = Literal["holm", "none"]
"""How p-values of several tests are corrected."""

CORRECTIONS: Final[tuple[str, ...]] = get_args(Correction)


def checked_correction(correction: Any) -> Correction:
    """Return which correction is meant.

    Raises:
        ConfigError: There is no such correction.
    """
    if correction not in CORRECTIONS:
        raise ConfigError(f"correction is {correction!r:.200}, but takes one of {', '.join(CORRECTIONS)}")
    chosen: Correction = correction
    return chosen


def corrected(p_values: Sequence[float], correction: Correction) -> list[float]:
    """Return the p-values of a family of tests, corrected for how many they are."""
    return holm(p_values) if correction == "holm" else list(p_values)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values corrected by Holm's step-down procedure, in the order in which they came.

    The smallest of m is multiplied by m, the next by m - 1 and so on; none becomes less than one before it, nor more
    than 1. At a level of 5 % the chance that any of the tests is wrong is then 5 % at the most, whatever they have to
    do with each other.

    Source: S. Holm (1979), A simple sequentially rejective multiple test procedure, Scandinavian Journal of
    Statistics 6, 65-70; as R's `p.adjust(method = "holm")`.

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, p_values[index] * (len(p_values) - rank)))
        adjusted[index] = largest
    return adjusted
