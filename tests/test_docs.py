"""The documentation: what it shows runs, what is made from the code is up to date, and nothing public is missing."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import click
import pytest

import tracklib
from tracklib import errors
from tracklib.cli.main import cli
from tracklib.settings import Settings

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
REFERENCE = ROOT / "docs" / "reference"

NOT_FOR_USERS = {
    "after_fork",  # The process's own housekeeping, in `tracklib.lifecycle`.
    "before_end",  # For what integrations still have to say, in `tracklib.integrations.saves`.
    "finish_because",
    "position",
    "keep_bytes",  # What watches over a run, in `tracklib.capturing`.
    "log_aside",
    "record_event",
}
OTHER_VARIABLES = {"TRACKLIB_JOB"}
"""Variables of ours that are no settings."""


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def prose_of(page: Path) -> str:
    """Return a page without its code, comments and generated parts, the number of lines kept."""
    hidden = r"^```.*?^```$|<!-- begin generated.*?<!-- end generated[^\n]*|<!--.*?-->"
    return re.sub(hidden, lambda match: "\n" * match[0].count("\n"), text_of(page), flags=re.DOTALL | re.MULTILINE)


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def commands(command: click.Command, path: str) -> Iterator[str]:
    """Yield the words of a command and of all below it."""
    yield path
    if isinstance(command, click.Group):
        context = click.Context(command)
        for word in command.list_commands(context):
            below = command.get_command(context, word)
            assert below is not None
            yield from commands(below, f"{path} {word}")


def is_public(name: str) -> bool:
    """Tell whether `tracklib` has an attribute or module of this name."""
    return hasattr(tracklib, name) or importlib.util.find_spec(f"tracklib.{name}") is not None


def anchors_of(page: Path) -> set[str]:
    """Return the names that headings can be linked by."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"(?ms)^```.*?^```$", "", text_of(page)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_page_runs(page: Path) -> None:
    """Each block of a page does what the page says, or says why it is not run."""
    command = [sys.executable, str(ROOT / "tests" / "run_page.py"), str(page)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)

    assert done.returncode == 0, done.stderr


def test_generated_parts_are_up_to_date() -> None:
    """What the pages have from the code is what the code says now."""
    command = [sys.executable, str(ROOT / "docs" / "generate.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)

    assert done.returncode == 0, done.stdout + done.stderr


def test_every_public_name_is_in_the_reference() -> None:
    """All that `tracklib` and `tracklib.errors` export has its place on the page."""
    page = text_of(REFERENCE / "api.md")
    names = [*tracklib.__all__, *errors.__all__]

    assert [name for name in names if not re.search(rf"\b{name}\b", page)] == []


@pytest.mark.parametrize("name", ["Run", "StoredRun", "StoredArtifact", "Lineage", "Series", "Store"])
def test_every_method_is_in_the_reference(name: str) -> None:
    """All that a public class offers has its place on the page."""
    page = text_of(REFERENCE / "api.md")
    members = {member for member in dir(getattr(tracklib, name)) if not member.startswith("_")} - NOT_FOR_USERS

    assert [m for m in members if not re.search(rf"(?m)(^### `{name}\.|^\| `|^`){m}\b", page)] == []


def test_every_setting_is_in_the_reference() -> None:
    """All settings and their variables have their place on the page."""
    page = text_of(REFERENCE / "settings.md")

    assert [f.name for f in fields(Settings) if f"`TRACKLIB_{f.name.upper()}`" not in page] == []


def test_every_command_is_in_the_reference() -> None:
    """All commands, and those below them, have their place on the page."""
    page = text_of(REFERENCE / "cli.md")

    assert [words for words in commands(cli, "tracklib") if f"<!-- begin generated help {words} -->" not in page] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    """Each link within the repository leads to a file, and to a heading in it where it names one."""
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose_of(page)):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not target.startswith("http") and (not file.exists() or (anchor and anchor not in anchors_of(file))):
            broken.append(target)

    assert broken == []


def test_every_page_is_in_the_index() -> None:
    """The start page links to every page."""
    index = ROOT / "docs" / "index.md"
    linked = {(index.parent / target).resolve() for target in re.findall(r"\]\(([^)#\s]+)\)", text_of(index))}

    assert [name_of(page) for page in (ROOT / "docs").rglob("*.md") if page not in {index, *linked}] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_names_exist(page: Path) -> None:
    """Variables and attributes of tracklib that a page mentions are there."""
    known = {f"TRACKLIB_{f.name.upper()}" for f in fields(Settings)} | OTHER_VARIABLES
    variables = set(re.findall(r"\bTRACKLIB_[A-Z_]+\b", text_of(page)))
    attributes = set(re.findall(r"\btracklib\.([a-zA-Z]\w*)\b(?!\.)(?=[`(])", prose_of(page)))

    assert variables <= known
    assert [name for name in attributes - {"db", "json", "toml"} if not is_public(name)] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_one_sentence_in_a_line(page: Path) -> None:
    """A line of prose ends where its sentence ends, so that changes show sentence by sentence."""
    prose = re.sub(r"`[^`\n]*`|^ *\d+\. ", "", prose_of(page), flags=re.MULTILINE)
    long = [line for line in prose.splitlines() if re.search(r"\w[.!?] +[A-Z]", line) and not line.startswith("|")]

    assert long == []
