"""What SQLite is taught for filters."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tracklib.queries.arithmetic import power
from tracklib.queries.patterns import like, matches

if TYPE_CHECKING:
    import sqlite3

__all__ = ["register"]


def register(connection: sqlite3.Connection) -> None:
    """Teach a connection the functions that filters are made of."""
    functions = (_like, _ilike, _matches, _ends, _lower, _power, _order)
    for function in functions:
        count = function.__code__.co_argcount
        connection.create_function(f"tracklib{function.__name__}", count, function, deterministic=True)


def _like(text: str | None, pattern: str) -> bool | None:
    return None if text is None else like(pattern, text)


def _ilike(text: str | None, pattern: str) -> bool | None:
    return None if text is None else like(pattern, text, ignore_case=True)


def _matches(text: str | None, expression: str) -> bool | None:
    return None if text is None else matches(expression, text)


def _ends(text: str | None, end: str) -> bool | None:
    return None if text is None else text.endswith(end)


def _lower(text: str | None) -> str | None:
    return None if text is None else text.lower()


def _power(base: float | None, exponent: float | None) -> float | None:
    # NULL is NaN, and there is one power of it that is a number.
    return power(*(math.nan if number is None else number for number in (base, exponent)))


def _order(integer: str | None, other: str) -> int | None:
    """Return -1, 0 or 1: how the digits of an integer compare to those of another, or to a float."""
    try:
        left = int(integer or "")
    except ValueError:  # SQLite may ask for what it does not need in the end, as where a text is known to be another.
        return None
    right = float(other) if any(letter in other for letter in ".en") else int(other)
    return (left > right) - (left < right)
