"""`tracklib edit`, `archive`, `restore` and `rm`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

import tracklib

Call = Callable[..., Result]
Program = Callable[..., subprocess.CompletedProcess[bytes]]
Terminal = Callable[..., str]

pytestmark = pytest.mark.usefixtures("bare")


@pytest.fixture(name="run")
def _run() -> str:
    """Return the id of a run with points and an artifact, in the store of the working directory."""
    with tracklib.start_run("digits", "sweep", name="first", tags={"a": "1", "b": "1"}, notes="old") as run:
        for step in range(1500):
            run.log({"loss": 0.5}, step=step)
        run.log_text("some text", "summary")
    return run.id


def another(name: str) -> str:
    with tracklib.start_run("digits", "sweep", name=name) as run:
        run.log({"loss": 0.5})
    return run.id


# ---- edit


def test_edit(run: str, call: Call) -> None:
    """Everything that can be changed is changed at once, and the run is shown as it is now."""
    words = ("--name", "ünï", "--tag", "a=2", "--tag", "c=x=y", "--untag", "b", "--notes", "line\nline")
    page = call("edit", "first", *words, "--project", "other", "--experiment", "moved").stdout

    seen = tracklib.get_run(run)
    assert (seen.name, seen.project, seen.experiment) == ("ünï", "other", "moved")
    assert (seen.tags, seen.notes) == ({"a": "2", "c": "x=y"}, "line\nline")
    assert page.startswith(f"ünï  ✔ completed\nother/moved  {run}\n")
    assert "  edited  " in page


@pytest.mark.parametrize(
    ("words", "field", "expected"),
    [
        (["--name", "other"], "name", "other"),
        (["--tag", "a="], "tags", {"a": "", "b": "1"}),
        (["--untag", "a", "--untag", "gone"], "tags", {"b": "1"}),
        (["--notes", ""], "notes", ""),
        (["--project", "other"], "project", "other"),
        (["--experiment", "other"], "experiment", "other"),
    ],
)
def test_edit_one_thing(words: list[str], field: str, expected: object, run: str, call: Call) -> None:
    """What is not given stays; JSON has the keys of a listed run."""
    listed = json.loads(call("runs", "--json").stdout)["runs"][0]
    edited = json.loads(call("edit", run, *words, "--json").stdout)

    assert edited == {**listed, field: expected}


def test_edits_are_no_processes(run: str, call: Call) -> None:
    """A run's page does not take them for training processes."""
    for name in ("second", "third"):
        call("edit", run, "--name", name)
    page = call("show", run).stdout

    assert "\nWriters" not in page
    assert "  edited  " in page
    assert len(json.loads(call("show", run, "--json").stdout)["writers"]) == 3


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["first"], 2, "there is nothing to change: give --name, "),
        (["first", "--name", ""], 2, "name is ''"),
        (["first", "--tag", "a"], 2, "'a' is not of the form NAME=VALUE."),
        (["second", "--name", "x"], 1, "there is no run 'second'"),
        (["first", "--name", "x", "--store", "sqlite:///gone.db"], 1, "there is no store"),
        ([], 2, "Missing argument 'RUN'"),
    ],
)
def test_edits_that_cannot_be_meant(words: list[str], status: int, message: str, run: str, call: Call) -> None:
    """Nothing is changed then."""
    before = tracklib.get_run(run).info

    assert message in call("edit", *words, status=status).stderr
    assert tracklib.get_run(run).info == before


# ---- archive and restore


def test_archive_and_restore(run: str, call: Call) -> None:
    """Archived runs are out of the list, among the archived ones, and come back."""
    other = another("second")

    assert call("archive", "first", other).stdout.splitlines() == [
        f"Archived: digits/sweep/first  {run}",
        f"Archived: digits/sweep/second  {other}",
    ]
    assert "No runs in " in call("runs").stdout
    assert "first" in call("runs", "--archived").stdout
    assert "  archived  " in call("show", run).stdout
    assert call("restore", run[:20]).stdout == f"Restored: digits/sweep/first  {run}\n"
    told = json.loads(call("restore", "second", "--json").stdout)
    assert [(listed["id"], listed["archived_at"]) for listed in told["runs"]] == [(other, None)]
    assert len(json.loads(call("runs", "--json").stdout)["runs"]) == 2


@pytest.mark.parametrize("command", ["archive", "restore", "rm"])
def test_all_runs_are_found_or_none_is_changed(command: str, run: str, call: Call) -> None:
    """One word that means no run, or several, and nothing happens."""
    for name in ("twin", "twin"):
        another(name)
    before = [found.info for found in tracklib.list_runs(archived=None)]
    yes = ["--yes"] if command == "rm" else []

    assert "there is no run 'gone'" in call(command, run, "gone", *yes, status=1).stderr
    assert "means several runs" in call(command, run, "twin", *yes, status=1).stderr
    assert "Missing argument" in call(command, *yes, status=2).stderr
    assert [found.info for found in tracklib.list_runs(archived=None)] == before


# ---- rm


def test_rm(run: str, call: Call) -> None:
    """What will be deleted is said first; each run is deleted once, however often it is named."""
    other = another("second")
    lines = call("rm", run, "second", "first", "--yes").stdout.splitlines()

    assert lines[0].split() == ["id", "name", "project/experiment", "points", "artifacts", "size"]
    assert lines[1].split() == [run, "first", "digits/sweep", "1,500", "1", "9", "B"]
    assert lines[2].split() == [other, "second", "digits/sweep", "1", "0"]
    assert lines[3:] == ["Deleted."]
    assert tracklib.list_runs(archived=None) == []


def test_rm_as_json(run: str, call: Call) -> None:
    """What is gone is told with its size."""
    told = json.loads(call("rm", "latest", "--yes", "--json").stdout)

    assert told["deleted"] == [
        {
            "id": run,
            "name": "first",
            "project": "digits",
            "experiment": "sweep",
            "points": 1500,
            "artifacts": 1,
            "bytes": 9,
        }
    ]
    assert told["store"].startswith("sqlite:///")
    assert tracklib.list_runs(archived=None) == []


def test_rm_asks_somebody(run: str, call: Call, program: Program) -> None:
    """Where nobody can be asked, nothing is deleted without --yes; nor with --json."""
    assert "add --yes" in call("rm", run, status=2).stderr
    assert "add --yes" in call("rm", run, "--json", status=2).stderr
    done = program("rm", run)

    assert (done.returncode, done.stdout) == (2, b"")
    assert tracklib.get_run(run).name == "first"


def test_rm_on_a_terminal(run: str, terminal: Terminal) -> None:
    """It shows what goes, asks, and does what is answered."""
    no = terminal("rm", "first", columns=100, typed="n\n")
    assert tracklib.get_run(run).name == "first"
    yes = terminal("rm", "first", columns=100, typed="y\n")

    assert "Delete this run for ever? [y/N]" in no
    assert "Aborted!" in no
    assert run in yes
    assert yes.rstrip().endswith("Deleted.")
    assert tracklib.list_runs(archived=None) == []


def test_rm_leaves_running_runs_alone(run: str, call: Call) -> None:
    """And the others that were named with them."""
    with tracklib.start_run("digits", name="running") as running:
        running.log({"loss": 1.0})
        assert running.flush()

        assert "still being written by process" in call("rm", run, "running", "--yes", status=1).stderr
        assert {found.name for found in tracklib.list_runs()} == {"first", "running"}


def test_no_store_yet(call: Call) -> None:
    """Where nothing was recorded there is nothing to change, and looking leaves nothing behind."""
    for words in (["edit", "x", "--name", "y"], ["archive", "x"], ["restore", "x"], ["rm", "x", "--yes"]):
        assert "there is no store" in call(*words, status=1).stderr
    assert not list(Path.cwd().iterdir())
