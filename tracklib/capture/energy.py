"""Adds up energy from what a device tells: a counter, or the power that it draws now."""

from __future__ import annotations

__all__ = ["EnergyMeter"]


class EnergyMeter:
    """Joules since the first reading.

    Example:
        >>> meter = EnergyMeter()
        >>> meter.by_counter(100.0), meter.by_counter(130.0), meter.by_counter(5.0)
        (0.0, 30.0, 35.0)
        >>> meter.by_power(50.0, at=0.0), meter.by_power(70.0, at=1.0)
        (35.0, 95.0)
    """

    def __init__(self) -> None:
        self._joules = 0.0
        self._counter: float | None = None
        self._power: tuple[float, float] | None = None

    def by_counter(self, joules: float) -> float:
        """Take a reading of a counter in; one that fell began anew at zero, as after a reload of the driver."""
        if self._counter is not None:
            self._joules += joules - self._counter if joules >= self._counter else joules
        self._counter = joules
        return self._joules

    def by_power(self, watts: float, at: float) -> float:
        """Take a reading of the power in, at so many seconds of a monotonic clock."""
        if self._power is not None:
            watts_before, before = self._power
            self._joules += (watts_before + watts) / 2 * max(0.0, at - before)
        self._power = (watts, at)
        return self._joules

    def forget_power(self) -> None:
        """Draw no line over a time in which nothing was read."""
        self._power = None
