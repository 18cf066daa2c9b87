"""A table of values for people: as plain text that fits a terminal, and as HTML for notebooks."""

from __future__ import annotations

import html
import math
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tracklib.frames import text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["NOTHING", "ShownTable", "moment_text", "value_text"]

NOTHING: Final = "-"
LONGEST_CELL: Final = 40
_LONGEST_HINT: Final = 300
_GAP: Final = "  "
_LEAST: Final = 8
"""To how many characters a column of text may be cut before others are left out."""

_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]+")

# Colours are those of the page, so that it is read on a dark ground as on a light one.
_STYLE: Final = (
    "<style>"
    ".tracklib-runs{border-collapse:collapse;font-size:90%;margin:.3em 0}"
    ".tracklib-runs th,.tracklib-runs td{padding:.2em .7em;text-align:left;white-space:nowrap;"
    "border-bottom:1px solid rgba(128,128,128,.3)}"
    ".tracklib-runs th{font-weight:600}"
    ".tracklib-runs .number{text-align:right;font-variant-numeric:tabular-nums}"
    ".tracklib-note{opacity:.75;font-size:90%}"
    "</style>"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownTable:
    """What is to be shown.

    Attributes:
        titles: Of the columns.
        numeric: Of each column, whether it holds numbers, which stand to the right.
        ranks: Of each column; where there is no room, those of the lowest rank go first, the last of these before
            others.
        rows: A text for each column.
        notes: Lines below, such as how many more rows there are.
    """

    titles: Sequence[str]
    numeric: Sequence[bool]
    ranks: Sequence[int]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()

    def as_html(self) -> str:
        """Return a table that takes its colours from the page, without scripts; everything in it is escaped."""
        classes = [' class="number"' if number else "" for number in self.numeric]
        head = "".join(f"<th{kind}>{_cell_html(title)}</th>" for kind, title in zip(classes, self.titles, strict=True))
        body = "".join(
            "<tr>"
            + "".join(f"<td{kind}>{_cell_html(cell)}</td>" for kind, cell in zip(classes, row, strict=True))
            + "</tr>"
            for row in self.rows
        )
        table = f'<table class="tracklib-runs"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
        notes = "".join(f'<div class="tracklib-note">{html.escape(_line(note))}</div>' for note in self.notes)
        return f"<div>{_STYLE}{table if self.titles and self.rows else ''}{notes}</div>"

    def as_text(self, width: int | None = None) -> str:
        """Return lines of text.

        Args:
            width: Of a line at the most: longer cells are cut, and columns left out, with a note about them.
        """
        columns = [
            [_cut(_line(text), LONGEST_CELL) for text in column] for column in zip(self.titles, *self.rows, strict=True)
        ]
        if not self.rows:
            return "\n".join(self.notes)
        widths = self._fitted([max(map(_cells, column)) for column in columns], width)
        lines = [
            _GAP.join(
                _padded(columns[index][row], size, right=self.numeric[index]) for index, size in widths.items()
            ).rstrip()
            for row in range(len(self.rows) + 1)
        ]
        hidden = [_line(title) for index, title in enumerate(self.titles) if index not in widths]
        return "\n".join([*lines, *([f"no room for: {', '.join(hidden)}"] if hidden else []), *self.notes])

    def _fitted(self, natural: Sequence[int], width: int | None) -> dict[int, int]:
        """Return the widths of those columns that have room, by index: texts give way first, then whole columns."""
        widths = dict(enumerate(natural))
        if width is None:
            return widths
        while len(widths) > 1:
            missing = sum(widths.values()) + len(_GAP) * (len(widths) - 1) - width
            spare = {i: size - _LEAST for i, size in widths.items() if not self.numeric[i] and size > _LEAST}
            if missing <= sum(spare.values()):
                return _narrowed(widths, spare, missing)
            del widths[min(widths, key=lambda i: (self.ranks[i], -i))]
        return {index: min(size, width) for index, size in widths.items()}


def _narrowed(widths: dict[int, int], spare: dict[int, int], missing: int) -> dict[int, int]:
    """Take what is missing from the widest columns until they are as wide as others."""
    narrowed = dict(widths)
    for _ in range(max(0, missing)):
        widest = max((i for i in spare if narrowed[i] > _LEAST), key=lambda i: narrowed[i])
        narrowed[widest] -= 1
    return narrowed


def _cell_html(text: str) -> str:
    plain = _line(text)
    short = _cut(plain, LONGEST_CELL)
    if short == plain:
        return html.escape(plain)
    return f'<span title="{html.escape(_cut(plain, _LONGEST_HINT))}">{html.escape(short)}</span>'


def _line(text: str) -> str:
    """Return text on one line, without what would move a cursor or turn the direction of reading."""
    return _CONTROLS.sub(" ", text)


def _cells(text: str) -> int:
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def _cut(text: str, most: int) -> str:
    if _cells(text) <= most:
        return text
    if text.isascii():
        return f"{text[: most - 1]}…"
    from rich.cells import set_cell_size

    return f"{set_cell_size(text, most - 1).rstrip()}…"


def _padded(text: str, width: int, *, right: bool) -> str:
    short = _cut(text, width)
    blank = " " * (width - _cells(short))
    return f"{blank}{short}" if right else f"{short}{blank}"


def value_text(value: Any) -> str:
    """Return a value for people: numbers in five significant digits, whole ones whole, other values as JSON has them.

    Example:
        >>> value_text(0.123456), value_text(3.0), value_text(1e-7), value_text(True), value_text(None), value_text([1])
        ('0.12346', '3', '1e-07', 'true', '-', '[1]')
    """
    if value is None:
        return NOTHING
    if isinstance(value, float) and math.isfinite(value):
        return str(int(value)) if value == int(value) and abs(value) < 1e12 else f"{value:.5g}"
    if isinstance(value, dict) and "$repr" in value:
        return str(value["$repr"])
    return text_of(value) or '""'


def moment_text(seconds: float | None) -> str:
    """Return a moment in local time."""
    if seconds is None:
        return NOTHING
    try:
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
    except (ValueError, OverflowError, OSError):  # Further away than calendars go.
        return value_text(seconds)
