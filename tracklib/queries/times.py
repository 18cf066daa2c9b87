"""Dates and durations as people write them."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import Final

__all__ = ["DURATION_UNITS", "read_date", "read_duration"]

DURATION_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
"""Seconds by unit."""

_PART: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)\s*")


def read_date(text: str) -> float:
    """Return the seconds since the epoch of an ISO 8601 date or time; without a time zone it is UTC.

    Raises:
        ValueError: It is none.

    Example:
        >>> read_date("1970-01-02"), read_date("1970-01-01T02:00+02:00")
        (86400.0, 0.0)
    """
    moment = datetime.fromisoformat(text.strip())
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()


def read_duration(text: str) -> float:
    """Return the seconds of a duration such as `90s`, `2h30m` or `7d`.

    Raises:
        ValueError: It is none.

    Example:
        >>> read_duration("2h30m"), read_duration("1.5 d")
        (9000.0, 129600.0)
    """
    rest = text.strip().lower()
    begins = [(match.start(), match.end(), match[1], match[2]) for match in _PART.finditer(rest)]
    edges = [0, *(end for _, end, _, _ in begins)]
    whole = bool(begins) and edges[-1] == len(rest) and all(b[0] == e for b, e in zip(begins, edges, strict=False))
    if not whole or any(unit not in DURATION_UNITS for *_, unit in begins):
        raise ValueError(f"{text!r} is no duration")
    seconds = math.fsum(float(number) * DURATION_UNITS[unit] for _, _, number, unit in begins)
    if math.isinf(seconds):
        raise ValueError(f"{text!r} is longer than any")
    return seconds
