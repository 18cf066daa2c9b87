"""What a report is made of, before it is a page: sections of words, tables and charts. All text in them is plain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Cell", "Chart", "Column", "Part", "Section", "Table", "Words"]


@dataclass(frozen=True, slots=True)
class Words:
    """A paragraph.

    Attributes:
        is_gap: Whether it says that something is not there, and why.
    """

    text: str
    is_gap: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in a table.

    Attributes:
        order: What it is sorted by; None puts it behind all others.
        mark: "best", or the name of a status, by which it gets a colour; "" for none.
        hint: Shown where the pointer rests on it.
    """

    text: str
    order: float | str | None = None
    mark: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """The head of a column."""

    title: str
    is_number: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells.

    Attributes:
        caption: What it shows, in a sentence.
        sortable: Whether a click on a head sorts it.
    """

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""
    sortable: bool = False


@dataclass(frozen=True, slots=True)
class Chart:
    """A figure of plotly.

    Attributes:
        says: What it shows, for those who do not see it.
    """

    figure: Any
    says: str


Part = Words | Table | Chart


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page under a heading of its own.

    Attributes:
        anchor: By which links reach it: letters and dashes.
    """

    title: str
    anchor: str
    parts: Sequence[Part]
