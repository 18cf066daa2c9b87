"""What all tests share: the marks of the store suite, and a world of its own for each test."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

pytest_plugins = ["tracklib.testing.plugin", "tests.servers.fixtures"]


@pytest.fixture(scope="session", name="font_cache")
def _font_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder for matplotlib, which would otherwise list all fonts anew in each test's home."""
    return tmp_path_factory.mktemp("matplotlib")


@pytest.fixture(autouse=True)
def _isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, font_cache: Path) -> None:
    """Give each test an empty working directory and home, and no settings from outside."""
    for name in os.environ:
        if name.startswith(("TRACKLIB_", "AWS_")):
            monkeypatch.delenv(name)
    # Else a client without credentials asks a machine of Amazon's for them, and waits.
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    # Beside the test's own folder, which so stays as empty as the test expects it.
    home = tmp_path.with_name(f"{tmp_path.name}-home")
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    for kind in ("CONFIG", "CACHE", "DATA", "STATE"):
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(home / kind.lower()))
    monkeypatch.setenv("MPLCONFIGDIR", str(font_cache))
    monkeypatch.chdir(tmp_path)
