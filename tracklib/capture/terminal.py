"""The lines that a terminal would keep of what is written to it: progress bars as they were last, no colours."""

from __future__ import annotations

import re
from time import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["HOLD_S", "Screen"]

HOLD_S = 0.5
"""For how long a drawn line waits, after its newline, for a cursor that comes back up."""
ROWS = 128
"""How many rows a cursor can come back to."""

_TOKEN = re.compile(
    r"""
      (?P<text>[^\x00-\x08\x0a-\x1f\x7f-\x9f]+)
    | \x1b\[(?P<numbers>[0-?]{0,64})(?P<command>[@-~])
    | \x1b\[[0-?]{0,64}[ -/]{1,8}[@-~]                            # cursor shapes and the like
    | \x1b[\]PX^_][^\x00-\x1f\x7f]{0,4096}(?:\x07|\x1b\\)         # titles, links
    | (?P<unfinished>\x1b(?:\[[0-?]{0,64}[ -/]{0,8}|[\]PX^_][^\x00-\x1f\x7f]{0,4096}\x1b?|[ -/]{0,8})\Z)
    | \x1b[ -/]{0,8}[0-~]
    | (?P<control>[\r\b])
    | .
    """,
    re.VERBOSE | re.DOTALL,
)


class _Row:
    """A row of the screen.

    Attributes:
        text: What stands on it, up to the line limit.
        length: Its length in characters, without that limit.
        drawn: Whether something was drawn over, so that it may be drawn over again.
        time: Seconds since the epoch of its newline.
    """

    __slots__ = ("drawn", "length", "text", "time")

    def __init__(self) -> None:
        self.text = ""
        self.length = 0
        self.drawn = False
        self.time = 0.0


class Screen:
    r"""A terminal without width, of the few rows that a cursor may come back to.

    A line that was only appended to is finished by its newline. A drawn one, where a carriage return, a backspace or a
    cursor movement let text replace other text, is finished when a line that is not drawn follows, when it is left
    alone for `HOLD_S`, or when it scrolls out of reach: nested progress bars write a newline and come back up.
    Drawn lines lose their trailing blanks, and are not lines at all if nothing else is left.

    Args:
        report: Called with the time, in seconds since the epoch, of the newline, and the line's text.
        limit: How many characters of a line to keep; a mark says how many were left out.
        clock: Returns the seconds since the epoch.

    Example:
        >>> screen = Screen(lambda time, text: print(repr(text)), limit=100)
        >>> screen.feed("\r 50%|##  |")
        >>> screen.feed("\r100%|####|\n\x1b[32mdone\x1b[0m\n")
        '100%|####|'
        'done'
    """

    def __init__(self, report: Callable[[float, str], None], limit: int, clock: Callable[[], float] = time) -> None:
        self._report, self._limit, self._clock = report, limit, clock
        self._above: list[_Row] = []  # Finished unless the cursor returns; the nearest row is the last one.
        self._row = _Row()
        self._below: list[_Row] = []  # Left by a cursor that went up; the nearest row is the last one.
        self._column = 0
        self._moved = False  # The cursor was moved within the row: text that follows draws over it.
        self._hidden = False  # A program that hides the cursor is drawing.
        self._unfinished = ""

    def feed(self, text: str) -> None:
        """Take text as it was written; how it is cut into pieces makes no difference."""
        if text == "\n":
            self._line_feed()
        elif text.isprintable() and not self._unfinished:
            self._put(text)
        else:
            for number, part in enumerate(text.split("\n")):
                if number:
                    self._line_feed()
                if part.isprintable() and not self._unfinished:
                    self._put(part)
                else:
                    self._draw(part)
        if self._above:
            self._settle_above(self._clock() - HOLD_S)

    @property
    def holds(self) -> bool:
        """Whether `settle` would report something."""
        return bool(self._above) and not self._hidden

    def settle(self) -> None:
        """Report what is held back, for lack of a cursor that comes back up, unless a display is being drawn."""
        if not self._hidden:
            self._settle_above()

    def end(self) -> None:
        """Report what stands on the screen, as if the program had ended."""
        self._abandon_sequence()
        self._settle_above()
        rows = (self._row, *reversed(self._below))
        self._row, self._below, self._column, self._moved = _Row(), [], 0, False
        for row in rows:
            row.time = self._clock()
            if row.text.strip():
                self._settle(row)

    def _put(self, text: str) -> None:
        if not text:
            return
        row, column = self._row, self._column
        end = self._column = column + len(text)
        if self._moved:
            self._moved, row.drawn = False, True
        if column == row.length:
            if column < self._limit:
                row.text += text[: self._limit - column]
            row.length = end
            return
        if column < self._limit:
            row.text = (row.text[:column].ljust(column) + text + row.text[end:])[: self._limit]
        row.length = max(row.length, end)

    def _draw(self, text: str) -> None:
        text, self._unfinished = self._unfinished + text, ""
        for token in _TOKEN.finditer(text):
            match token.lastgroup:
                case "text":
                    self._put(token[0])
                case "command":
                    self._obey(token["command"], token["numbers"])
                case "control":
                    self._move_to(0 if token[0] == "\r" else self._column - 1)
                case "unfinished":
                    self._unfinished = token[0]

    def _obey(self, command: str, numbers: str) -> None:
        if numbers == "?25":
            self._hidden = command == "l"
        values = [int(part) if part.isdecimal() else 0 for part in numbers.split(";")]
        count = values[0] or 1
        match command:
            case "A" | "F":
                self._up(count, column=self._column if command == "A" else 0)
            case "B" | "E":
                self._down(count, column=self._column if command == "B" else 0)
            case "C" | "D":
                self._move_to(self._column + (count if command == "C" else -count))
            case "G":
                self._move_to(count - 1)
            case "H" | "f":
                self._settle_above()
                self._move_to(values[1] - 1 if values[1:] else 0)
            case "J" | "K":
                self._erase(values[0], screen=command == "J")

    def _move_to(self, column: int) -> None:
        self._column = min(max(column, 0), max(self._limit, self._row.length))
        self._moved = True

    def _up(self, count: int, *, column: int) -> None:
        for _ in range(min(count, ROWS)):
            self._below.append(self._row)
            self._row = self._above.pop() if self._above else _Row()  # What was reported already is blank here.
            self._row.drawn = True
        del self._below[:-ROWS]
        self._move_to(column)

    def _down(self, count: int, *, column: int) -> None:
        for _ in range(min(count, ROWS)):
            self._row.drawn = True
            self._line_feed()
        self._move_to(column)

    def _line_feed(self) -> None:
        if self._unfinished:
            self._abandon_sequence()
        row = self._row
        row.time = self._clock()
        self._column, self._moved, self._row = 0, False, _Row()
        if self._below:
            below = self._below.pop()
            if below.text.strip():
                self._row, self._moved = below, True
        if row.drawn or self._hidden:
            row.drawn = True
            self._above.append(row)
            if len(self._above) > ROWS:
                self._settle(self._above.pop(0))
        else:
            self._settle_above()
            self._settle(row)

    def _erase(self, extent: int, *, screen: bool) -> None:
        row, column = self._row, self._column
        if extent == 0:
            row.text, row.length = row.text[:column], min(row.length, column)
        elif extent == 1:
            row.text = row.text[column + 1 :].rjust(len(row.text))
        else:
            row.text, row.length = "", 0
        if screen and extent != 1:
            self._below.clear()
        if screen and extent > 1:
            self._settle_above()

    def _abandon_sequence(self) -> None:
        text, self._unfinished = self._unfinished[2:].replace("\x1b", ""), ""
        self._put(text)

    def _settle_above(self, before: float = float("inf")) -> None:
        while self._above and self._above[0].time <= before:
            self._settle(self._above.pop(0))

    def _settle(self, row: _Row) -> None:
        text = row.text
        if row.drawn:
            text = text.rstrip()
            if not text:
                return
        if not text.isprintable():  # Lone surrogates, which no store can encode, are shown as stderr shows them.
            text = text.encode("utf-8", "backslashreplace").decode("utf-8")
        if row.length > self._limit:
            text += f" … {row.length - self._limit} characters left out"
        self._report(row.time, text)
