"""Which colour stands for a run: one that colour-blind people can tell from the others, and the same in each chart.

The colours are those of Okabe and Ito (Color Universal Design, 2008) without black and yellow, which vanish on a dark
or a light ground, and with the purple of Paul Tol's bright scheme (Colour Schemes, 2021). They differ under protanopia,
deuteranopia and tritanopia, and stand out from white as from black.

A run's place in the palette follows from its id. Where two runs of a chart want the same, the older one has it and the
newer one takes the next that is free; when all colours are taken, the round begins again with another dash and marker.
So charts of the same runs agree, and a run keeps its colour when newer ones join it.

Known trade-off: next to older runs than before, a run may have to give way. To remember the colours of all runs
ever drawn would keep them for good, but then what a chart looks like would depend on what was drawn before.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple
from zlib import crc32

__all__ = [
    "CATEGORICAL",
    "DASHES",
    "DIVERGING",
    "NEUTRAL",
    "SEQUENTIAL",
    "STATUS_LOOKS",
    "SYMBOLS",
    "Look",
    "faint",
    "looks",
]

CATEGORICAL: Final = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#56B4E9", "#CC79A7", "#AA3377")
"""Blue, orange, green, vermilion, sky blue, pink, purple."""

DASHES: Final = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
SYMBOLS: Final = ("circle", "diamond", "square", "cross", "triangle-up", "star")

NEUTRAL: Final = "#888888"
"""For what belongs to no run."""

SEQUENTIAL: Final = "Cividis"
"""From low to high; made to look alike to people with and without colour vision deficiency."""

DIVERGING: Final = "RdBu"
"""From negative to positive; red and blue differ to all of them."""


class Look(NamedTuple):
    """How the lines and markers of one run look.

    Attributes:
        colour: As #RRGGBB.
        turn: How often the palette had been used up before; it tells dash and marker.
    """

    colour: str
    turn: int = 0

    @property
    def symbol(self) -> str:
        """The marker."""
        return SYMBOLS[self.turn % len(SYMBOLS)]

    def dash(self, index: int = 0, of: int = 1) -> str:
        """Return the dash of one of the lines of a run."""
        return DASHES[(self.turn * of + index) % len(DASHES)]


STATUS_LOOKS: Final = {
    "completed": ("#009E73", ""),
    "running": ("#56B4E9", "/"),
    "failed": ("#D55E00", "x"),
    "killed": ("#AA3377", "\\"),
    "pending": (NEUTRAL, "."),
}
"""Colour and pattern of each status."""


def looks(keys: Iterable[str]) -> dict[str, Look]:
    """Return how each run of a chart looks, by its id; groups have theirs by their names.

    Example:
        >>> looks(["a"])["a"] == looks(["a", "b"])["a"]
        True
        >>> len(set(looks("abcdefg").values()))
        7
    """
    size = len(CATEGORICAL)
    found: dict[str, Look] = {}
    free: set[int] = set()
    for count, key in enumerate(sorted(set(keys))):
        free = free or set(range(size))
        wanted = crc32(key.encode("utf-8", "replace"))
        place = next(slot % size for slot in range(wanted, wanted + size) if slot % size in free)
        free.remove(place)
        found[key] = Look(CATEGORICAL[place], count // size)
    return found


def faint(colour: str, opacity: float) -> str:
    """Return a colour that lets what is behind it through.

    Example:
        >>> faint("#0072B2", 0.2)
        'rgba(0, 114, 178, 0.2)'
    """
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {opacity})"
