"""The words of the filter language, and what texts mean beside times, durations and states."""

from __future__ import annotations

from typing import Final, NamedTuple

from tracklib.queries.attributes import AttributeType
from tracklib.queries.complaints import did_you_mean
from tracklib.queries.times import DURATION_UNITS, read_date, read_duration
from tracklib.queries.tree import Constant, Plain, Value
from tracklib.records import RunStatus

__all__ = ["NAMESPACES", "NO_FILTER", "Meant", "checked_status", "converted"]

NAMESPACES: Final = ("params", "metrics", "tags", "run")
NO_FILTER: Final = "this is no expression that a filter can have"


class Meant(NamedTuple):
    """A value, and whether it is a time or a duration, so that texts beside it are read as such."""

    value: Value
    meaning: str | None = None


def converted(constant: Constant, meaning: str) -> Constant:
    """Return a literal as a number of seconds where it is compared with a time or a duration.

    Raises:
        ValueError: It is a text that says neither.
    """
    if not isinstance(constant.value, str):
        return constant
    if meaning == AttributeType.TIME:
        return Constant(_date(constant.value))
    return Constant(_duration(constant.value))


def _date(text: str) -> float:
    try:
        return read_date(text)
    except (ValueError, OverflowError):
        raise ValueError(
            f"{text!r:.60} is no date: write '2026-11-01', '2026-11-01 14:30' or '2026-11-01T14:30+01:00', or ago('7d')"
        ) from None


def _duration(text: str) -> float:
    try:
        return read_duration(text)
    except (ValueError, OverflowError):
        units = ", ".join(DURATION_UNITS)
        raise ValueError(f"{text!r:.60} is no duration: write '90s' or '2h30m', with the units {units}") from None


def checked_status(value: Plain) -> None:
    """See whether a run may have a state.

    Raises:
        ValueError: No run can.
    """
    if isinstance(value, str) and value not in set(RunStatus):
        near = did_you_mean(value, RunStatus)
        raise ValueError(f"no run has the status {value!r:.60}: there are {', '.join(RunStatus)}{near}")
