"""The terminal that turns what was written into lines."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracklib.capture.terminal import HOLD_S, Screen

if TYPE_CHECKING:
    from collections.abc import Sequence

UP, ERASE, HIDE, SHOW = "\x1b[A", "\x1b[2K", "\x1b[?25l", "\x1b[?25h"

PRINTED = ["a", "bc", "é█", " ", "\t", "\n", "12", "\udc80", "\x07", "\x00"]
MOVED = ["\r", "\r\n", "\b", "\x1b[3C", "\x1b[2D", "\x1b[5G", UP, "\x1b[2B", "\x1b[E", "\x1b[F", "\x1b[H", "\x1b[2;3H"]
ERASED = ["\x1b[K", "\x1b[1K", ERASE, "\x1b[J", "\x1b[2J", HIDE, SHOW]
IGNORED = ["\x1b", "\x1b[", "\x1b[31m", "\x1b(B", "\x1b]8;;http://x\x1b\\", "\x1b]0;t\x07"]
PIECES = st.sampled_from([*PRINTED, *MOVED, *ERASED, *IGNORED])
WRITTEN = st.one_of(st.lists(PIECES, max_size=30).map("".join), st.text())


def lines_of(chunks: Sequence[str], limit: int = 1000) -> list[str]:
    lines: list[str] = []
    screen = Screen(lambda _, text: lines.append(text), limit, clock=lambda: 0.0)
    for chunk in chunks:
        screen.feed(chunk)
    screen.end()
    return lines


def cut(text: str, places: Sequence[int]) -> list[str]:
    edges = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[start:stop] for start, stop in pairwise(edges)]


@given(WRITTEN, st.lists(st.integers(0, 1000)), st.integers(1, 12))
def test_any_chunking_gives_the_same_lines(text: str, places: list[int], limit: int) -> None:
    """How the program cuts its text into writes makes no difference."""
    assert lines_of(cut(text, places), limit) == lines_of([text], limit) == lines_of([*text], limit)


@given(st.lists(st.text(st.characters(categories=["L", "N", "P", "S", "Zs"])), max_size=20))
def test_printed_lines_come_as_they_are(lines: list[str]) -> None:
    """Text without control characters is cut at its newlines and nowhere else."""
    assert lines_of([f"{line}\n" for line in lines]) == lines


@given(WRITTEN)
def test_every_line_can_be_stored(text: str) -> None:
    """Whatever is written, lines have no control character but the tab and can be encoded."""
    for line in lines_of([text]):
        line.encode()

        assert not {character for character in line if character < " " and character != "\t"}


MOVES = st.one_of(
    st.text("abc ", min_size=1, max_size=5),
    st.sampled_from(["\r", "\b", "\x1b[K", "\x1b[1K", "\x1b[2K", "\x1b[2C", "\x1b[3D", "\x1b[4G"]),
)


def one_row(moves: list[str], width: int = 200) -> str:
    """Return what stands on a row of `width` cells, the slow and obvious way."""
    cells, column = [" "] * width, 0
    for move in moves:
        match move:
            case "\r" | "\b" | "\x1b[2C" | "\x1b[3D" | "\x1b[4G":
                steps = {"\r": -column, "\b": -1, "\x1b[2C": 2, "\x1b[3D": -3, "\x1b[4G": 3 - column}
                column = max(column + steps[move], 0)
            case "\x1b[K":
                cells[column:] = [" "] * (width - column)
            case "\x1b[1K":
                cells[: column + 1] = [" "] * (column + 1)
            case "\x1b[2K":
                cells = [" "] * width
            case _:
                cells[column : column + len(move)] = move
                column += len(move)
    return "".join(cells).rstrip()


@given(st.lists(MOVES, max_size=20))
def test_a_row_shows_what_a_grid_of_cells_shows(moves: list[str]) -> None:
    """Overwriting, moving and erasing within a row agree with a model made of single cells."""
    lines = lines_of(["".join(moves)])

    assert [line.rstrip() for line in lines] == [row for row in [one_row(moves)] if row]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("\r 10%\r 20%\r100%\n", ["100%"]),
        ("\r 10%\r 20%", [" 20%"]),
        ("dos\r\nunix\n", ["dos", "unix"]),
        ("a\n\nb\n", ["a", "", "b"]),
        ("longer text\rshort\n", ["shortr text"]),
        ("longer text\r\x1b[Kshort\n", ["short"]),
        ("\r50%\r    \rmessage\n", ["message"]),
        ("wait |\b/\b-\bdone\n", ["wait done"]),
        ("\x1b[1;31mred\x1b[0m \x1b[38;2;1;2;3mrgb\x1b[m\n", ["red rgb"]),
        ("\x1b]8;;https://example.org\x1b\\link\x1b]8;;\x1b\\\n", ["link"]),
        ("\x1b]0;title\x07text\x1b(B\x1b=\x1b[2 q\n", ["text"]),
        ("bell\x07 and nul\x00\n", ["bell and nul"]),
        ("a\tb\n", ["a\tb"]),
        ("broken \x1b[12\nnext\n", ["broken 12", "next"]),
        ("caf\udce9\n", ["caf\\udce9"]),
        ("   ", []),
    ],
)
def test_lines(text: str, lines: list[str]) -> None:
    """What a terminal shows in the end is what is reported."""
    assert lines_of([text]) == lines


def test_nested_bars_are_reported_once() -> None:
    """A newline that is followed by a cursor that comes back up does not finish the outer bar."""
    inner = [f"\n\rinner {part}{UP}" for part in (1, 2, 3)]
    written = ["\router 0/2", *inner, "\router 1/2", *inner, "\n\r       " + UP, "\router 2/2", "\n", "done\n"]

    assert lines_of(written) == ["outer 2/2", "done"]


def test_a_display_of_several_rows_is_reported_once() -> None:
    """While the cursor is hidden, each row may be drawn again, its first state included."""
    frames = [f"\r{ERASE}{UP}{ERASE}a {part}\nb {part}" for part in (1, 2)]

    assert lines_of([HIDE, "a 0\nb 0", *frames, "\n" + SHOW, "done\n"]) == ["a 2", "b 2", "done"]


def test_lines_printed_above_a_display_come_first() -> None:
    """Text that a display prints above itself is kept, in order."""
    written = [HIDE, "a 0\nb 0", f"\r{ERASE}{UP}{ERASE}printed\na 1\nb 1", f"\n{SHOW}"]

    assert lines_of(written) == ["printed", "a 1", "b 1"]


def test_a_drawn_line_is_held_only_for_a_moment() -> None:
    """When no cursor comes back up, the next thing that is written brings the line out, with its own time."""
    now, lines = [100.0], list[tuple[float, str]]()
    screen = Screen(lambda at, text: lines.append((at, text)), 1000, clock=lambda: now[0])

    screen.feed("\r100%\n\rnext 0%")
    assert lines == []

    now[0] += HOLD_S + 0.1
    screen.feed("\rnext 1%")
    assert lines == [(100.0, "100%")]


def test_rows_out_of_reach_are_reported() -> None:
    """A program that hides the cursor and only prints does not have all of its lines held back."""
    lines: list[str] = []
    screen = Screen(lambda _, text: lines.append(text), 1000, clock=lambda: 0.0)

    screen.feed(HIDE + "line\n" * 1000)

    assert len(lines) > 800


def test_clearing_the_screen_does_not_lose_lines() -> None:
    """A finished bar is reported when the program clears the screen after it."""
    assert lines_of(["\r100%\n\x1b[2J\x1b[Hnew\n"]) == ["100%", "new"]


def test_a_long_line_is_cut_with_a_mark() -> None:
    """Only the limit is kept in memory and reported, and the mark says how much is missing."""
    assert lines_of(["x" * 6, "y" * 6, "\n", "z" * 10, "\n"], limit=10) == [
        "xxxxxxyyyy … 2 characters left out",
        "z" * 10,
    ]


def test_huge_cursor_movements_cost_nothing() -> None:
    """Numbers that no screen has are cut down to what can matter."""
    assert lines_of([f"\x1b[{'9' * 60}{command}x" for command in "ABCDGEF"], limit=10)
