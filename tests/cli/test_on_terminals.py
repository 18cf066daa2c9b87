"""What stands on real terminals of all widths, and in real pipes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

import pytest
from rich.cells import cell_len

Terminal = Callable[..., str]
Program = Callable[..., subprocess.CompletedProcess[bytes]]


@pytest.mark.parametrize("columns", [200, 80, 50])
def test_tables_fit(columns: int, terminal: Terminal, store: str) -> None:
    """No line of a table is longer than the terminal is wide, and ids are whole enough to find the run by."""
    text = terminal("runs", "--store", store, columns=columns)
    lines = text.splitlines()

    assert lines[0].startswith("id ")
    assert max(map(cell_len, lines)) <= columns
    short = lines[1].split()[0]
    assert "…" not in short
    assert len(short) < 26
    assert terminal("show", short, "--store", store, columns=80).startswith("full ")


def test_narrow_terminal_says_what_is_missing(terminal: Terminal, store: str) -> None:
    """Columns for which there is no room are named."""
    text = terminal("runs", "--store", store, columns=50)

    assert "no room for: " in text
    assert "no room for: " not in terminal("runs", "--store", store, columns=200)


@pytest.mark.parametrize("columns", [100, 60])
def test_page_fits(columns: int, terminal: Terminal, store: str) -> None:
    """A run's page fits as well; long values go on below themselves."""
    text = terminal("show", "full", "--store", store, columns=columns)

    assert max(map(cell_len, text.splitlines())) <= columns
    assert "Environment" in text


def test_colours(terminal: Terminal, store: str) -> None:
    """On a terminal a status has its colour, and the best value stands out."""
    text = terminal("runs", "--store", store, columns=160, colours=True)

    assert "\x1b[32m✔ completed" in text
    assert "\x1b[1;31m✘ failed" in text
    assert "\x1b[1;32m0.99255" in text


def test_coloured_diff(terminal: Terminal, store: str) -> None:
    """On a terminal a diff has colours."""
    assert "\x1b[32m+# changed" in terminal("show", "full", "--diff", "--store", store, columns=80, colours=True)


def test_pipes(program: Program, store: str) -> None:
    """In a pipe there are no colours and whole ids, also where the environment speaks of a narrow terminal."""
    done = program("runs", "--store", store, COLUMNS="40", TERM="xterm-256color")

    assert done.returncode == 0
    assert b"\x1b" not in done.stdout
    assert [len(line.split()[0]) for line in done.stdout.decode().splitlines()[1:]] == [26] * 7
    assert done.stderr == b""


def test_ascii_output(program: Program, store: str) -> None:
    """An output that knows only ASCII gets question marks, and valid JSON."""
    page = program("show", "broken", "--store", store, PYTHONIOENCODING="ascii")
    told = program("show", "broken", "--store", store, "--json", PYTHONIOENCODING="ascii")

    assert (page.returncode, told.returncode) == (0, 0)
    assert b"Error" in page.stdout
    assert "文/損失 ☃" in json.loads(told.stdout)["metrics"]


def test_exit_status(program: Program, store: str) -> None:
    """Programs see 0, 1 and 2."""
    statuses = [program(*words, "--store", store).returncode for words in (["runs"], ["show", "none"], ["show", "-x"])]

    assert statuses == [0, 1, 2]


def test_sync_on_a_terminal(terminal: Terminal, orphan: str) -> None:
    """Shipping on a terminal ends with the table of what was done."""
    assert "closed as killed" in terminal("sync", "--store", orphan, columns=100)
