"""Tables that fit: as text for terminals, as HTML for notebooks."""

from __future__ import annotations

import html
import math
import shutil
import sys
import textwrap
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final

__all__ = ["Grid", "grid_html", "grid_text", "short_ids", "shown", "terminal_width"]

_LONGEST_CELL: Final = 36
_GAP: Final = 2
_SHORTEST_ID: Final = 8
_PAGE: Final = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """A table of text.

    Attributes:
        title: The line above it.
        header: A title for each column.
        rows: A cell for each column.
        notes: Lines below it.
        keep: How many columns are never left out.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    keep: int = 1

    @property
    def width(self) -> int:
        """How many characters a line takes."""
        return sum(_widths(self)) + _GAP * (len(self.header) - 1)


def shown(value: Any) -> str:
    r"""Return a value as it stands in a cell: six digits of a float, one line of text, cut where it is long.

    Example:
        >>> shown(0.123456789), shown("a\nb"), shown(None), shown([1, 2])
        ('0.123457', 'a\\nb', 'None', '[1, 2]')
    """
    if isinstance(value, float):
        text = f"{value:.6g}" if math.isfinite(value) else repr(value)
    else:
        text = value if isinstance(value, str) else repr(value)
    # What a terminal would obey is shown instead.
    text = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text[:500])
    return text if len(text) <= _LONGEST_CELL else f"{text[: _LONGEST_CELL - 1]}…"


def short_ids(ids: list[str]) -> dict[str, str]:
    """Return for each id as many of its first characters as tell it from the others.

    Example:
        >>> short_ids(["01H0000000AA", "01H0000000AB", "02H0000000AA"])
        {'01H0000000AA': '01H0000000AA', '01H0000000AB': '01H0000000AB', '02H0000000AA': '02H00000'}
    """
    ordered = sorted(ids)
    needed = dict.fromkeys(ordered, _SHORTEST_ID)
    for first, second in pairwise(ordered):
        common = next((i for i, (x, y) in enumerate(zip(first, second, strict=False)) if x != y), len(first))
        needed[first] = max(needed[first], common + 1)
        needed[second] = max(needed[second], common + 1)
    return {name: name[: needed[name]] for name in ids}


def terminal_width() -> int:
    """Return how many characters a line may have: those of the terminal, or of a wide page where there is none."""
    return shutil.get_terminal_size().columns if getattr(sys.stdout, "isatty", bool)() else _PAGE


def grid_text(grid: Grid, *, width: int | None = None) -> str:
    """Return a table as plain text.

    Args:
        width: How many characters a line may have; by default those of the terminal.
    """
    room = terminal_width() if width is None else width
    fitted = _fitted(grid, room)
    widths = _widths(fitted)
    lines = textwrap.wrap(fitted.title, room)
    for row in (fitted.header, *fitted.rows):
        cells = [_padded(cell, width) for cell, width in zip(row, widths, strict=True)]
        lines.append((" " * _GAP).join(cells).rstrip())
    return "\n".join([*lines, *(part for note in fitted.notes for part in textwrap.wrap(note, room))])


def grid_html(grid: Grid) -> str:
    """Return a table as HTML, in which nothing that was recorded is taken for markup."""
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in grid.header)
    body = "".join(f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in grid.rows)
    notes = "".join(f"<div>{html.escape(note)}</div>" for note in grid.notes)
    return (
        f"<div><div>{html.escape(grid.title)}</div>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{notes}</div>"
    )


def _fitted(grid: Grid, room: int) -> Grid:
    """Leave out columns from the right until the table has room, and name them."""
    count = len(grid.header)
    while count > grid.keep and _first(grid, count).width > room:
        count -= 1
    hidden = grid.header[count:]
    note = (f"no room for: {', '.join(hidden)}",) if hidden else ()
    return replace(_first(grid, count), notes=(*note, *grid.notes))


def _first(grid: Grid, count: int) -> Grid:
    return replace(grid, header=grid.header[:count], rows=tuple(row[:count] for row in grid.rows))


def _widths(grid: Grid) -> list[int]:
    from rich.cells import cell_len

    return [max(cell_len(cell) for cell in column) for column in zip(grid.header, *grid.rows, strict=True)]


def _padded(cell: str, width: int) -> str:
    """Return a cell as wide as its column; some characters take two places of a terminal."""
    from rich.cells import cell_len

    return cell + " " * (width - cell_len(cell))
