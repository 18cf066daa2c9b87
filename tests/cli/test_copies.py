"""`tracklib sync --from … --to …`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

import tracklib
from tracklib.stores.base import RunQuery, open_store

Call = Callable[..., Result]
Program = Callable[..., subprocess.CompletedProcess[bytes]]


def ids_in(uri: str) -> set[str]:
    with open_store(uri) as store:
        return {info.id for info in store.runs(RunQuery(archived=None))}


def test_copies_everything_once(call: Call, store: str) -> None:
    """A table says what was copied of each run; a second time, that all is there already."""
    lines = call("sync", "--from", store, "--to", "copy.db").stdout.splitlines()

    assert lines[0].split() == ["run", "project", "name", "points", "records", "files", "size", "outcome"]
    assert len(lines) == 1 + len(ids_in(store))
    assert all(line.endswith("✔ copied") for line in lines[1:])
    assert ids_in("copy.db") == ids_in(store)
    assert call("sync", "--from", store, "--to", "copy.db").stdout == f"{len(ids_in(store))} runs are there already.\n"
    assert "hello from the run" in call("show", "full", "--console", "--store", "copy.db").stdout


def test_runs_are_chosen(call: Call, store: str) -> None:
    """By project, and one by one."""
    call("sync", "--from", store, "--to", "one.db", "--run", "full", "--run", "lr-0.1")
    call("sync", "--from", store, "--to", "project.db", "--project", "nlp")

    assert {run.name for run in tracklib.list_runs(store="one.db")} == {"full", "lr-0.1"}
    assert {run.project for run in tracklib.list_runs(store="project.db")} == {"nlp"}


def test_json(call: Call, store: str) -> None:
    """JSON tells of each run what was done."""
    words = ("sync", "--from", store, "--to", "copy.db", "--run", "full", "--json")
    (copied,) = json.loads(call(*words).stdout)["runs"]
    (again,) = json.loads(call(*words).stdout)["runs"]

    assert (copied["name"], copied["outcome"], copied["files"], copied["problem"]) == ("full", "copied", 1, None)
    assert (again["outcome"], again["points"]) == ("there", 0)


def test_what_cannot_be_copied_is_told(call: Call) -> None:
    """A file that is gone is named, its run is copied, and the status is 1."""
    with tracklib.start_run("digits", name="first", store="home/runs.db", system_interval=0, auto_log_git=False) as run:
        run.log_text("text", "note")
    for path in Path("home/blobs").glob("*/*"):
        path.unlink()

    text = call("sync", "--from", "home/runs.db", "--to", "copy/runs.db", status=1).stdout
    assert "✘ copied, but for files" in text
    assert f"{run.id}: a file could not be copied, of the artifact 'note'" in text


def test_running_runs_are_left_out(call: Call) -> None:
    """They are named, and are no problem."""
    run = tracklib.start_run("digits", name="first", store="home/runs.db", system_interval=0)
    run.flush()
    text = call("sync", "--from", "home/runs.db", "--to", "copy.db").stdout
    run.finish()

    assert "▶ running, left out" in text
    assert "1 run is still being written: copy again when that has ended." in text


def test_nothing_to_copy(call: Call, store: str) -> None:
    """A project without runs is no problem."""
    assert "There is nothing to copy" in call("sync", "--from", store, "--to", "copy.db", "--project", "none").stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--from", "a.db"], "give both stores: --from URI --to URI"),
        (["--to", "a.db"], "give both stores"),
        (["--project", "digits"], "give both stores"),
        (["--run", "first"], "give both stores"),
        (["--from", "a.db", "--to", "b.db", "--store", "c.db"], "--store and --spool are about journals"),
        (["--from", "a.db", "--to", "a.db"], "are both 'sqlite:///"),
        (["--from", "ftp://x", "--to", "a.db"], "'ftp://x' is of no known kind"),
    ],
)
def test_misuse(words: list[str], message: str, *, call: Call) -> None:
    """What does not go together is said."""
    assert message in call("sync", *words, status=2).stderr


def test_a_store_that_is_not_there(call: Call) -> None:
    """There is nothing to copy from."""
    assert "there is no store at" in call("sync", "--from", "none.db", "--to", "copy.db", status=1).stderr
    assert list(Path.cwd().iterdir()) == []


def test_a_bar_on_terminals_only(terminal: Callable[..., str], program: Program, store: str) -> None:
    """A terminal shows how far the copy is, and the table when it is done; a pipe gets the table alone."""
    shown = terminal("sync", "--from", store, "--to", "copy.db", columns=120)
    piped = program("sync", "--from", store, "--to", "other.db")

    assert "copying" in shown
    assert f"{len(ids_in(store))}/{len(ids_in(store))}" in shown
    assert "✔ copied" in shown
    assert piped.stderr == b""
    assert piped.stdout.decode().startswith("run ")
    assert b"copying" not in piped.stdout
