"""What is said of a filter that cannot be understood: where in the text, why, and what was likely meant."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Final

from tracklib.errors import FilterError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["complaint", "did_you_mean", "nearest"]

_SHOWN: Final = 76
"""So many characters of a filter are shown around the place."""


def complaint(text: str, position: int, problem: str) -> FilterError:
    """Return the error that shows a filter with a caret below the place.

    Example:
        >>> print(complaint("run.statsu == 'failed'", 4, "there is no attribute 'statsu'"))
        there is no attribute 'statsu':
            run.statsu == 'failed'
                ^
    """
    position = min(max(position, 0), len(text))
    line = "".join(character if character.isprintable() else " " for character in text)
    begin = max(0, position - _SHOWN // 2)
    end = begin + _SHOWN
    before, after = "…" if begin else "", "…" if end < len(line) else ""
    shown = f"{before}{line[begin:end]}{after}".rstrip()
    caret = " " * (position - begin + len(before)) + "^"
    return FilterError(f"{problem}:\n    {shown}\n    {caret}", text=text, position=position)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the name that is most like another; None if none is.

    Example:
        >>> nearest("statsu", ["status", "started"]), nearest("x", ["status"])
        ('status', None)
    """
    names = list(known)
    lower = {each.lower(): each for each in names}
    if name.lower() in lower:
        return lower[name.lower()]
    found = difflib.get_close_matches(name.lower(), lower, 1)
    return lower[found[0]] if found else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the end of a sentence that suggests the nearest name; empty where none is near.

    Example:
        >>> did_you_mean("statsu", ["status", "started"])
        '; did you mean status?'
    """
    near = nearest(name, known)
    return f"; did you mean {near}?" if near else ""
