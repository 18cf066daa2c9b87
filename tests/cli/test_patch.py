"""Uncommitted changes as a patch."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tracklib.cli.patch import patch_of
from tracklib.model import Source


def apply(patch: str, folder: Path) -> None:
    subprocess.run(["git", "apply", "-"], input=patch.encode(), cwd=folder, check=True)


@pytest.mark.parametrize(
    "path", ["a.txt", "with blank.txt", 'quote".txt', "back\\slash.txt", "tab\t.txt", "sub/ünïcödé 文.txt"]
)
@pytest.mark.parametrize("text", ["", "one", "one\n", "one\ntwo", "\n\n", "cr\r\nlf\r\n", "form\x0cfeed\u2028 sep\n"])
def test_untracked_files_come_back(path: str, text: str, tmp_path: Path) -> None:
    """Git makes each untracked file anew from the patch, byte by byte, whatever its name."""
    apply(patch_of(Source(untracked={path: text})), tmp_path)

    assert (tmp_path / path).read_bytes() == text.encode()


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=100))
def test_any_text_comes_back(tmp_path: Path, text: str) -> None:
    """Whatever stands in an untracked file, git makes it anew."""
    (tmp_path / "f").unlink(missing_ok=True)

    apply(patch_of(Source(untracked={"f": text})), tmp_path)

    assert (tmp_path / "f").read_bytes() == text.encode()


def test_diff_comes_first() -> None:
    """The diff of tracked files comes first and ends its last line."""
    patch = patch_of(Source(diff="diff --git a/x b/x", untracked={"y": "1\n"}))

    assert patch.startswith("diff --git a/x b/x\ndiff --git a/y b/y\n")
    assert patch_of(Source()) == ""
