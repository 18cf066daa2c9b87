"""Turns counters into rates."""

from __future__ import annotations

__all__ = ["SHORTEST_S", "Rate"]

SHORTEST_S = 0.05
"""Windows shorter than this give no rate: the kernel counts in ticks of up to 10 ms."""


class Rate:
    """The mean rate of a counter between two readings.

    Example:
        >>> rate = Rate()
        >>> rate.update(1000, at=1.0), rate.update(3000, at=2.0), rate.update(0, at=3.0), rate.update(500, at=4.0)
        (None, 2000.0, None, 500.0)
    """

    def __init__(self) -> None:
        self._value = 0.0
        self._at: float | None = None

    def update(self, value: float, at: float) -> float | None:
        """Take a reading in and return the rate per second since the one before.

        None when there is none before, when the counter wrapped or began anew, or when hardly any time has passed; in
        the last case the window stays open.

        Args:
            value: What the counter says.
            at: When, in seconds of a monotonic clock.
        """
        before, then = self._value, self._at
        if then is not None and at - then < SHORTEST_S:
            return None
        self._value, self._at = value, at
        return None if then is None or value < before else (value - before) / (at - then)
