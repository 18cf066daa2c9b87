"""The page about the command line is what the command line is."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import Result

import tracklib
from tracklib.cli.main import cli

Call = Callable[..., Result]

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "cli.md"
GENERATE = ROOT / "docs" / "generate.py"


def command_lines(command: click.Command, words: str) -> list[str]:
    """Return what calls each command."""
    if not isinstance(command, click.Group):
        return [words]
    context = click.Context(command)
    found = [(name, command.get_command(context, name)) for name in command.list_commands(context)]
    return [words, *(line for name, c in found if c for line in command_lines(c, f"{words} {name}"))]


def keys_of(title: str) -> set[str]:
    """Return the keys in the table under a line of the page."""
    after = PAGE.read_text(encoding="utf-8").partition(f"JSON of {title}")[2]
    table = after.partition("| --- | --- |\n")[2].partition("\n\n")[0]
    return set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE))


def generate(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, GENERATE, *words], capture_output=True, text=True, check=False)


def test_page_is_up_to_date() -> None:
    """The generated parts are as the code has them; `python docs/generate.py` makes them so."""
    done = generate("--check", PAGE)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("line", command_lines(cli, "tracklib"))
def test_each_command_appears(line: str) -> None:
    """The page has the help of every command, under a heading of its own."""
    page = PAGE.read_text(encoding="utf-8")

    assert f"<!-- begin generated help {line} -->" in page
    assert line == "tracklib" or re.search(rf"^###? {line}$", page, re.MULTILINE)


def test_stale_pages_are_found_and_written(tmp_path: Path) -> None:
    """A page out of date fails the check, is written without it, and is fine then."""
    page = tmp_path / "page.md"
    page.write_text(
        "before\n<!-- begin generated help tracklib sync -->\nold\n<!-- end generated help tracklib sync -->\nafter\n"
    )

    assert generate("--check", page).returncode == 1
    assert "old" in page.read_text()
    assert generate(page).returncode == 0
    assert "Usage: tracklib sync" in page.read_text()
    assert page.read_text().startswith("before\n")
    assert page.read_text().endswith("\nafter\n")
    assert generate("--check", page).returncode == 0


@pytest.mark.parametrize(
    "text",
    [
        "<!-- begin generated help tracklib -->\n",
        "<!-- begin generated help tracklib -->\n<!-- end generated help tracklib runs -->\n",
        "<!-- begin generated horoscope -->\n<!-- end generated horoscope -->\n",
        "<!-- begin generated help tracklib fly -->\n<!-- end generated help tracklib fly -->\n",
    ],
)
def test_mistakes_in_pages(text: str, tmp_path: Path) -> None:
    """A part without an end, or that nothing can write, is an error that names the page."""
    page = tmp_path / "page.md"
    page.write_text(text)

    done = generate(page)

    assert done.returncode == 1
    assert "page.md: " in done.stderr


def told(call: Call, *words: str) -> Any:
    return json.loads(call(*words, "--json").stdout)


def test_keys_of_runs(call: Call, store: str) -> None:
    """The keys of lists of runs are those on the page."""
    listing = told(call, "runs", "--store", store)

    run = listing["runs"][-1]
    assert set(listing) == keys_of("`tracklib runs`")
    assert set(run) == keys_of("a listed run")
    assert set(run["metrics"]["train/loss"]) == keys_of("a summary")
    assert set(run["resources"]) == keys_of("resources")


def test_keys_of_show(call: Call, store: str) -> None:
    """The keys of a whole run are those on the page."""
    run = told(call, "show", "full", "--store", store, "--console")

    assert set(run) == keys_of("`tracklib show`") | keys_of("a listed run")
    assert set(run["source"]) == keys_of("a source")
    assert set(run["environment"]) == keys_of("an environment")
    assert set(run["writers"][0]) == keys_of("a writer")
    assert set(run["artifacts"][0]) == keys_of("an artifact")
    assert set(run["console"][0]) == {"time", "stream", "text"}
    assert set(run["messages"][0]) == {"time", "level", "text"}


def test_keys_of_projects_and_experiments(call: Call, store: str) -> None:
    """The keys of projects and experiments are those on the page."""
    projects = told(call, "projects", "list", "--store", store)
    experiments = told(call, "experiments", "list", "--store", store)

    assert set(projects) == keys_of("`tracklib projects list`")
    assert set(projects["projects"][0]) == keys_of("a project")
    assert set(projects["projects"][0]["settings"]) == keys_of("the settings of a project")
    assert set(experiments) == keys_of("`tracklib experiments list`")
    assert set(experiments["experiments"][0]) == keys_of("an experiment")


def test_keys_of_sync_and_doctor(call: Call, orphan: str) -> None:
    """The keys of journals and checks are those on the page."""
    health, synced = told(call, "doctor", "--store", orphan), told(call, "sync", "--store", orphan)

    assert set(health) == keys_of("`tracklib doctor`")
    assert set(health["checks"][0]) == keys_of("a check")
    assert set(synced) == keys_of("`tracklib sync`")
    assert set(synced["journals"][0]) == keys_of("a journal")


def test_keys_of_copies(call: Call, store: str) -> None:
    """The keys of copied runs are those on the page."""
    copied = told(call, "sync", "--from", store, "--to", "copy.db", "--run", "full")

    assert set(copied) == keys_of("`tracklib sync --from … --to …`")
    assert set(copied["runs"][0]) == keys_of("a copied run")


@pytest.mark.usefixtures("bare")
def test_keys_of_changes(call: Call) -> None:
    """The keys of what changes and deletes runs are those on the page."""
    with tracklib.start_run("digits", name="first"):
        pass
    edited, archived = told(call, "edit", "first", "--notes", "n"), told(call, "archive", "first")
    deleted = told(call, "rm", "first", "--yes")

    assert set(edited) == set(archived["runs"][0]) == keys_of("a listed run")
    assert set(archived) == keys_of("`tracklib archive` and `tracklib restore`")
    assert set(deleted) == keys_of("`tracklib rm`")
    assert set(deleted["deleted"][0]) == keys_of("a deleted run")


@pytest.mark.usefixtures("bare")
def test_keys_of_artifacts(call: Call) -> None:
    """The keys of artifacts, their problems and their lineage are those on the page."""
    Path("x.csv").write_text("x")
    with tracklib.start_run("digits") as run:
        run.log_artifact("x.csv")
        run.log_artifact("x.csv", "noted", copy=False)
    with tracklib.start_run("digits") as run:
        run.use_artifact("x.csv")
    Path("x.csv").write_text("y")
    listing, shown = told(call, "artifacts", "list"), told(call, "artifacts", "show", "digits/x.csv")
    verified = json.loads(call("artifacts", "verify", "digits/noted", "--json", status=1).stdout)
    lineage = told(call, "artifacts", "lineage", "digits/x.csv")
    version = keys_of("an artifact") | keys_of("a version")

    assert set(listing) == keys_of("`tracklib artifacts list`")
    assert set(listing["artifacts"][0]) == set(told(call, "artifacts", "alias", "digits/x.csv", "own")) == version
    assert set(shown) == version | {"used_by"}
    assert set(told(call, "artifacts", "get", "digits/x.csv")) == keys_of("`tracklib artifacts get`")
    assert set(verified) == keys_of("`tracklib artifacts verify`")
    assert set(verified["problems"][0]) == keys_of("a problem")
    assert set(lineage) == keys_of("`tracklib artifacts lineage`")
    assert set(lineage["nodes"][0]) == keys_of("a node")
    assert set(lineage["edges"][0]) == {"relation", "run", "artifact", "time"}
    assert set(told(call, "show", "latest")["used_artifacts"][0]) == {
        *("artifact", "project", "name", "version", "checksum", "time", "run"),
    }
