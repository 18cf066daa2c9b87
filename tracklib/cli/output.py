"""What commands print: tables, sections and lists for people, JSON for programs.

On a terminal a table is made to fit: its flexible columns shrink first, then its least columns are left out, with a
word about them. Elsewhere everything is printed in full, in plain text: `grep`, `awk` and files get whole values.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import sys
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

import click

from tracklib.cli.formats import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from rich.console import Console
    from rich.text import Text

__all__ = [
    "Column",
    "console",
    "heading",
    "joined",
    "line",
    "pairs",
    "plain",
    "print_json",
    "progress",
    "speaks_unicode",
    "styled",
    "table",
    "working",
]

_GAP: Final = 2
_UNLIMITED: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table.

    Attributes:
        right: Align to the right, as numbers are.
        rank: Where there is no room, columns of the lowest rank go first. Those of rank 9 stay.
        least: To how many characters its cells may be cut; 0: they are never cut.
    """

    title: str
    right: bool = False
    rank: int = 5
    least: int = 0


def console(*, error: bool = False) -> Console:
    """Return what prints to standard output, or to standard error: in colour and to its width on a terminal only."""
    from rich.console import Console

    stream = sys.stderr if error else sys.stdout
    if isinstance(stream, io.TextIOWrapper) and not speaks_unicode():
        stream.reconfigure(errors="replace")
    return Console(
        file=stream, highlight=False, markup=False, emoji=False, width=None if stream.isatty() else _UNLIMITED
    )


def speaks_unicode() -> bool:
    """Tell whether standard output takes every character."""
    return (getattr(sys.stdout, "encoding", None) or "utf-8").lower().replace("-", "").startswith("utf")


def styled(text: str, style: str = "", *, line: bool = True) -> Text:
    """Return text in a style; escape sequences in it are shown, not obeyed.

    Args:
        line: Keep it on one line.
    """
    from rich.text import Text

    return Text(clean(text, line=line), style=style)


def joined(*parts: Text) -> Text:
    """Return texts behind each other, each in its own style."""
    from rich.text import Text

    return Text.assemble(*parts)


def line(text: str | Text = "", *, wrap: bool = True) -> None:
    """Print text, on a terminal wrapped between words if need be."""
    out = console()
    whole = styled(text, line=False) if isinstance(text, str) else text
    for part in whole.wrap(out, out.width) if wrap and out.width < _UNLIMITED else [whole]:
        part.rstrip()
        out.print(part, soft_wrap=True)


def heading(text: str, remark: str = "") -> None:
    """Print the heading of a section, with an empty line before it."""
    line()
    line(joined(styled(text, "bold cyan"), styled(f"  {remark}" if remark else "", "dim")))


def pairs(items: Sequence[tuple[str, str | Text]], *, indent: int = 2) -> None:
    """Print names and what they say, one below the other; long ones go on below themselves."""
    from rich.cells import cell_len
    from rich.text import Text

    out = console()
    left = min(max((cell_len(clean(name, line=True)) for name, _ in items), default=0), max(12, out.width // 2))
    for name, said in items:
        value = styled(said, line=False) if isinstance(said, str) else said
        room = max(20, out.width - indent - left - _GAP)
        lines = value.wrap(out, room) if out.width < _UNLIMITED else value.split("\n")
        label = styled(name, "dim")
        label.pad_right(left + _GAP - cell_len(label.plain))
        for index, part in enumerate(lines or [Text()]):
            start = label if index == 0 else Text(" " * (left + _GAP))
            whole = Text(" " * indent).append_text(start).append_text(part)
            whole.rstrip()
            out.print(whole, soft_wrap=True)


def table(columns: Sequence[Column], rows: Sequence[Sequence[str | Text]], *, indent: int = 0) -> None:
    """Print a table. Columns in which nothing stands are left out.

    Args:
        rows: A cell for each column; text, or text in a style.
    """
    out = console()
    used = [index for index in range(len(columns)) if any(str(row[index]) for row in rows)]
    columns = [columns[index] for index in used]
    cells = [[styled(cell) if isinstance((cell := row[index]), str) else cell for index in used] for row in rows]
    heads = [styled(column.title, "bold") for column in columns]
    widths = _fit(columns, _widths([heads, *cells]), out.width - indent)
    for row in [heads, *cells]:
        out.print(_row(columns, row, widths, indent), soft_wrap=True)
    hidden = [column.title for index, column in enumerate(columns) if index not in widths]
    if hidden:
        line(styled(f"{' ' * indent}no room for: {', '.join(hidden)}", "dim"))


def _widths(rows: Sequence[Sequence[Text]]) -> list[int]:
    return [max(cell.cell_len for cell in column) for column in zip(*rows, strict=True)]


def _fit(columns: Sequence[Column], natural: Sequence[int], room: int) -> dict[int, int]:
    """Return the width of each column that is shown, by index."""
    shown = dict(enumerate(natural))
    while True:
        missing = sum(shown.values()) + _GAP * (len(shown) - 1) - room
        slack = {i: max(0, shown[i] - columns[i].least) for i in shown if columns[i].least}
        if missing <= 0:
            return shown
        ranked = sorted(shown, key=lambda i: (columns[i].rank, -i))
        if missing <= sum(slack.values()) or columns[ranked[0]].rank == 9:
            return _shrunk(shown, slack, missing, ranked)
        del shown[ranked[0]]


def _shrunk(widths: dict[int, int], slack: dict[int, int], missing: int, ranked: Sequence[int]) -> dict[int, int]:
    """Take what is missing from the flexible columns, those of the lowest rank first."""
    widths = dict(widths)
    for index in ranked:
        taken = min(missing, slack.get(index, 0))
        widths[index] -= taken
        missing -= taken
    return widths


def _row(columns: Sequence[Column], row: Sequence[Text], widths: Mapping[int, int], indent: int) -> Text:
    from rich.text import Text

    parts = []
    for index, width in widths.items():
        cell = row[index].copy()
        cell.truncate(width, overflow="ellipsis")
        blank = " " * (width - cell.cell_len)
        parts.append(Text.assemble(blank, cell) if columns[index].right else Text.assemble(cell, blank))
    whole = Text(" " * indent).append_text(Text(" " * _GAP).join(parts))
    whole.rstrip()
    return whole


@contextlib.contextmanager
def working(text: str) -> Iterator[None]:
    """Show on a terminal that something takes its time; elsewhere nothing."""
    out = console(error=True)
    with out.status(styled(text, "dim")) if out.is_terminal else contextlib.nullcontext():
        yield


@contextlib.contextmanager
def progress(text: str, total: int) -> Iterator[Callable[[int], object]]:
    """Give what is told of bytes that are done: a bar on a terminal shows how many of all; elsewhere nothing.

    Args:
        text: What is being done.
    """
    out = console(error=True)
    if not out.is_terminal:
        yield lambda _: None
        return
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (BarColumn(bar_width=None), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(TextColumn(text), *columns, console=out, transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda count: bar.advance(task, count)


def print_json(value: Any) -> None:
    """Print JSON as `plain` makes it."""
    click.echo(json.dumps(plain(value), indent=2, ensure_ascii=not speaks_unicode(), allow_nan=False))


def plain(value: Any) -> Any:
    """Return a value of the model as JSON can say it: numbers that it lacks become NaN, Infinity, -Infinity as text.

    Example:
        >>> plain((float("inf"), 1.5))
        ['Infinity', 1.5]
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else "NaN" if math.isnan(value) else f"{'-' * (value < 0)}Infinity"
    if isinstance(value, Enum):
        return value.value
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value
