"""`tracklib gc`."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

import tracklib

Call = Callable[..., Result]

QUIET = {"auto_log_git": False, "auto_log_env": False, "auto_log_console": False, "system_interval": 0}


@pytest.fixture(name="left")
def _left(tmp_path: Path) -> str:
    """Return a store with a run that has a file, and two files that a deleted one has left, a day and more ago."""
    uri = f"sqlite:///{tmp_path}/runs.db"
    with tracklib.start_run("p", store=uri, **QUIET) as kept:  # type: ignore[arg-type]  # settings of several kinds
        kept.log_text("kept", "note")
    with tracklib.start_run("p", store=uri, **QUIET) as run:  # type: ignore[arg-type]  # as above
        run.log_text("x" * 1000, "one")
        run.log_text("two", "two")
    tracklib.delete_run(run, store=uri)
    for blob in (tmp_path / "blobs").rglob("*"):
        os.utime(blob, (time.time() - 90_000,) * 2)
    return uri


def files(tmp_path: Path) -> int:
    return sum(path.is_file() for path in (tmp_path / "blobs").rglob("*"))


def test_a_dry_run_deletes_nothing(call: Call, left: str, tmp_path: Path) -> None:
    """It tells what would be."""
    result = call("gc", "--dry-run", "--store", left)

    assert result.stdout == "2 files or pieces (1 kB) can be deleted, 1 (4 B) are named.\n"
    assert files(tmp_path) == 3


def test_what_nothing_names_is_deleted(call: Call, left: str, tmp_path: Path) -> None:
    """Once."""
    first = call("gc", "--yes", "--store", left)
    second = call("gc", "--yes", "--store", left)

    assert first.stdout == "2 files or pieces (1 kB) deleted, 1 (4 B) are named.\n"
    assert second.stdout == "0 files or pieces (0 B) deleted, 1 (4 B) are named.\n"
    assert files(tmp_path) == 1


def test_what_is_young_is_told_and_stays(call: Call, left: str, tmp_path: Path) -> None:
    """As long as the grace lasts."""
    result = call("gc", "--grace", "48", "--yes", "--store", left)

    assert "2 (1 kB) younger than 48 h stay, and 1 (4 B) are named" in result.stdout
    assert files(tmp_path) == 3


def test_programs_are_told_the_same(call: Call, left: str) -> None:
    """With sizes in bytes."""
    told = json.loads(call("gc", "--yes", "--json", "--store", left).stdout)

    counts = {"blobs": 2, "bytes": 1003, "young": 0, "young_bytes": 0, "named": 1, "named_bytes": 4}
    assert told == {"store": left, "dry_run": False, **counts}


def test_without_anybody_to_ask_it_needs_a_yes(call: Call, left: str, tmp_path: Path) -> None:
    """The message says how to look first."""
    for words in ((), ("--json",)):
        result = call("gc", *words, "--store", left, status=2)
        assert "look with --dry-run, then add --yes" in result.stderr
    assert files(tmp_path) == 3


def test_a_short_grace_is_refused(call: Call, left: str) -> None:
    """An hour is the least."""
    assert "x>=1" in call("gc", "--grace", "0.5", "--yes", "--store", left, status=2).stderr
