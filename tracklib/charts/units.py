"""The units of metrics: those that tracklib samples say theirs."""

from __future__ import annotations

from typing import Final, NamedTuple

from tracklib.capture.units import describe_metric

__all__ = ["Unit", "shown_unit", "unit_of"]

_ENDINGS: Final = {
    "_bytes_per_s": "bytes/s",
    "_bytes": "bytes",
    "_pct": "%",
    "_c": "°C",
    "_w": "W",
    "_j": "J",
    "_mhz": "MHz",
    "_s": "s",
}
"""For what has the name of a part before it, such as another rank's."""


class Unit(NamedTuple):
    """A unit that is good to read.

    Attributes:
        name: As it stands at an axis.
        size: What one of it is in the unit in which values are kept.
    """

    name: str
    size: float = 1.0


_SHOWN: Final = {"bytes": Unit("GB", 1e9), "bytes/s": Unit("MB/s", 1e6), "J": Unit("kJ", 1e3), "count": Unit("")}


def unit_of(metric: str) -> str:
    """Return the unit of one of tracklib's own metrics, "" of any other.

    Example:
        >>> unit_of("system/gpu/0/temp_c"), unit_of("rank1/system/gpu/0/power_w"), unit_of("loss")
        ('°C', 'W', '')
    """
    description = describe_metric(metric)
    if description is not None:
        return description.partition(":")[0]
    if "system/" not in metric:
        return ""
    return next((unit for ending, unit in _ENDINGS.items() if metric.endswith(ending)), "")


def shown_unit(unit: str) -> Unit:
    """Return the unit in which values are shown.

    Example:
        >>> shown_unit("bytes"), shown_unit("W")
        (Unit(name='GB', size=1000000000.0), Unit(name='W', size=1.0))
    """
    return _SHOWN.get(unit, Unit(unit))
