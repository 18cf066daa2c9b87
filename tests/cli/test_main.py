"""The command as a whole: its help, its way to fail, what it costs to start."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click
import pytest

import tracklib
from tracklib.cli.main import cli
from tracklib.cli.options import Command, Commands

if TYPE_CHECKING:
    from click.testing import Result


def commands(command: click.Command, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield every command with the words that call it."""
    yield words, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from commands(found, (*words, name))


ALL = {" ".join(words): command for words, command in commands(cli)}


@pytest.mark.parametrize("words", ALL)
def test_help_has_examples(words: str, call: Callable[..., Result]) -> None:
    """Every command's help ends with an example that calls it."""
    text = call(*words.split(), "--help").stdout

    assert isinstance(ALL[words], (Command, Commands))
    assert f"tracklib {words}".rstrip() in text.partition("Examples:\n")[2]
    assert max(map(len, text.splitlines())) <= 120


def test_alone_it_shows_the_help(call: Callable[..., Result]) -> None:
    """Without a command there is help, and that is fine."""
    assert call().stdout == call("--help").stdout == call("-h").stdout


def test_version(call: Callable[..., Result]) -> None:
    """The version is that of the package."""
    assert call("--version").stdout == f"tracklib, version {tracklib.__version__}\n"


def test_misspelt_command(call: Callable[..., Result]) -> None:
    """A near miss is named; that is misuse."""
    assert "Did you mean run or runs?" in call("runz", status=2).stderr
    assert "No such command 'xxxxxx'." in call("projects", "xxxxxx", status=2).stderr


def test_tracklibs_errors_are_one_line(call: Callable[..., Result]) -> None:
    """What is not there is status 1, what cannot be meant is status 2, each one line and no traceback."""
    missing = call("show", "nothing", "--store", "sqlite:///none.db", status=1)
    senseless = call("runs", "--store", "ftp://somewhere", status=2)

    assert missing.stdout == senseless.stdout == ""
    assert missing.stderr.startswith("Error: there is no store at ")
    assert missing.stderr.count("\n") == senseless.stderr.count("\n") == 1


def test_starting_is_cheap() -> None:
    """The help, and whatever does not print tables, loads no library for tables, numbers or Git."""
    heavy = {"rich", "numpy", "git", "psutil", "sqlite_utils", "pandas", "torch", "sqlite3"}
    code = f"""
import sys
from tracklib.cli.main import cli
cli(["--help"], standalone_mode=False)
print(sorted(set(sys.modules) & {heavy!r}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.endswith("\n[]\n")


def test_reader_that_leaves(store: str) -> None:
    """A pipe whose reader has seen enough is no error with a traceback."""
    code = "from tracklib.cli.main import main; main()"
    command = f"{sys.executable} -c '{code}' runs --store {store} | head -n 1"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)

    assert done.stdout.startswith("id ")
    assert "Traceback" not in done.stderr
