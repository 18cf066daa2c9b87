"""What stands in a chart in letters: never markup, and short enough to read."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tracklib.reading import StoredRun

__all__ = ["LONGEST_LABEL", "counted", "escaped", "labels", "shortened", "wrapped"]

LONGEST_LABEL: Final = 40
"""Characters of a name in a legend or at an axis."""

_LEAST_ID: Final = 10
_WIDTH: Final = 110
_JOINER: Final = "\u200d"  # It holds one emoji together that is made of several.

# What plotly takes for markup, for a place to fill in (`%{x}`), or for a formula ($x$) where MathJax is loaded.
_MEANT = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "{": "&#123;", "$": "&#36;"}


def escaped(text: object) -> str:
    """Return text that plotly shows as it is: no markup, no template, no formula, no control characters.

    Example:
        >>> escaped("<b>lr</b> = $x$")
        '&lt;b&gt;lr&lt;/b&gt; = &#36;x&#36;'
    """
    plain = "".join(each if each.isprintable() or each == _JOINER else " " for each in str(text))
    return "".join(_MEANT.get(each, each) for each in plain)


def shortened(text: str, most: int = LONGEST_LABEL) -> str:
    """Return the beginning and the end of a text that is too long.

    Example:
        >>> shortened("a-very-long-name-of-a-run", 11)
        'a-very…-run'
    """
    if len(text) <= most:
        return text
    end = (most - 1) * 2 // 5
    return f"{text[: most - 1 - end]}…{text[len(text) - end :]}"


def labels(runs: Sequence[StoredRun]) -> dict[str, str]:
    """Return a name for each run by its id: its own, and the beginning of its id where that name is not its alone."""
    names = {run.id: shortened(run.name) for run in runs}
    repeats = Counter(names.values())
    length = _LEAST_ID
    while len({id_[:length] for id_ in names}) < len(names):
        length += 1
    return {id_: name if repeats[name] == 1 else f"{name} ({id_[:length]})" for id_, name in names.items()}


def counted(count: int, noun: str) -> str:
    """Return a number with its noun.

    Example:
        >>> counted(1, "run"), counted(1200, "run")
        ('1 run', '1,200 runs')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def wrapped(notes: Iterable[str]) -> list[str]:
    """Return the lines of what is said below a title, as plotly takes them."""
    return [escaped(line) for note in notes for line in textwrap.wrap(note, _WIDTH)]
