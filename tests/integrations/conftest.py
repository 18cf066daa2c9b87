"""Programs that know nothing of tracklib, started so that they are recorded all the same."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PATIENCE_SECONDS = 280.0
COMMAND = [sys.executable, "-c", "from tracklib.cli.main import main; main()"]
QUIET = {"TRACKLIB_SYSTEM_INTERVAL": "0", "TRACKLIB_AUTO_LOG_GIT": "0", "TRACKLIB_AUTO_LOG_ENV": "0"}


def finish(command: list[str], *, stdin: str | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, without what records the machine, which takes a moment."""
    return subprocess.run(
        command,
        input=stdin,
        env={**os.environ, **QUIET, **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )


@pytest.fixture(name="launch")
def _launch() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs `tracklib run` with these words."""

    def launch(*words: str, stdin: str | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
        return finish([*COMMAND, "run", *words], stdin=stdin, **environ)

    return launch


@pytest.fixture(name="start")
def _start() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Return a function that starts `tracklib run` with these words; what still runs at the end is killed."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*words: str, **options: Any) -> subprocess.Popen[bytes]:
        process = subprocess.Popen([*COMMAND, "run", *words], env={**os.environ, **QUIET}, **options)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture(name="script")
def _script(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a program into the working directory."""

    def script(source: str, name: str = "train.py") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
        return path

    return script


@pytest.fixture(name="finish")
def _finish() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs a command to its end."""
    return finish
