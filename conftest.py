"""What tests and the examples in docstrings share: a world of their own, and runs that record nothing unasked."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tracklib
from tracklib import active

pytest_plugins = ["tracklib.testing.plugin"]

SILENT = ("AUTO_LOG_GIT", "AUTO_LOG_ENV", "AUTO_LOG_CONSOLE", "SYSTEM_INTERVAL")


@pytest.fixture(autouse=True)
def _example(request: pytest.FixtureRequest, doctest_namespace: dict[str, Any]) -> None:
    """Let each example in a docstring find `tracklib` and `Path`, an empty working directory and no settings."""
    if not isinstance(request.node, pytest.DoctestItem):
        return
    doctest_namespace["tracklib"] = tracklib
    doctest_namespace["Path"] = Path
    patch: pytest.MonkeyPatch = request.getfixturevalue("monkeypatch")
    for name in [name for name in os.environ if name.startswith("TRACKLIB_")]:
        patch.delenv(name)
    patch.chdir(request.getfixturevalue("tmp_path"))
    request.getfixturevalue("bare")


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let runs record nothing unasked, which makes them quick, and leave none open, nor settings of the process."""
    for name in SILENT:
        monkeypatch.setenv(f"TRACKLIB_{name}", "0")
    yield
    while (run := active.current()) is not None:
        run.finish()
    tracklib.init()
