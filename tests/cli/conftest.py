"""A store of real runs, and the ways to call the command line: in this process, as a program, on a terminal."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tracklib.cli.main import cli

Call = Callable[..., Result]

SWEEP = """
import math, tracklib

quiet = {"auto_log_console": False, "auto_log_git": False, "auto_log_env": False, "system_interval": 0}
tracklib.set_project("digits", owner="ann", settings={
    "primary_metrics": ["eval/accuracy"], "higher_is_better": {"eval/accuracy": True}})
for rate in (0.1, 0.01, 0.001):
    params = {"model": {"hidden": 128}, "training": {"lr": rate}}
    about = {"name": f"lr-{rate:g}", "params": params, "tags": {"team": "vision"}}
    with tracklib.start_run("digits", "lr-sweep", **about, **quiet) as run:
        for step in range(50):
            run.log({"loss": math.exp(-step * rate)}, step=step, context="train")
            run.log({"accuracy": 1 - math.exp(-step * rate)}, step=step, context="eval")
try:
    with tracklib.start_run("digits", "odd", name="broken", notes="first line\\nsecond line", **quiet) as run:
        run.log({"a nan": math.nan, "plus": math.inf, "minus": -math.inf, "tiny": 1e-300, "huge": 1.7e308})
        run.log({"文/損失 ☃": 3, "tokens": 25_000_000})
        raise RuntimeError("out of memory")
except RuntimeError:
    pass
with tracklib.start_run("nlp", name="ünïcödé [red]文[/red]", tags={"evil": "\\x1b[31mred"}, **quiet) as run:
    run.log({"ppl": 20.5})
    with tracklib.start_run("nlp", name="child", nested=True, **quiet) as child:
        child.log({"ppl": 3})
"""
FULL = """
import tracklib

params = {"note": "a [bold]b[/bold]"}
with tracklib.start_run("digits", "full", name="full", system_interval=0.05, params=params) as run:
    print("hello from the run")
    run.log({"train/loss": 0.5}, step=3)
    run.log_text("some text", "summary")
    run.record_event("message", {"level": "warning", "text": "the disk is slow"})
    run.record_event("dropped", {"counts": {"no room in the journal": 1234}})
"""
KILLED = """
import sys, time, tracklib

run = tracklib.start_run("digits", "odd", name="killed", store=sys.argv[1], system_interval=0)
run.log({"train/loss": 1.0})
print("ready", flush=True)
time.sleep(600)
"""


@pytest.fixture(scope="session", name="recorded")
def _recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder, in a git repository with changes, where runs of all kinds were recorded."""
    folder = tmp_path_factory.mktemp("recorded")
    (folder / "train.py").write_text(FULL)
    for words in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@t", *words], cwd=folder, check=True)
    (folder / "train.py").write_text(FULL + "# changed\n")
    (folder / "new file.txt").write_text("not\ncommitted")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TRACKLIB_")}
    (folder / ".tracklib").mkdir()
    for words in (["-c", SWEEP], ["train.py"]):
        subprocess.run([sys.executable, *words], cwd=folder, env=environment, check=True, capture_output=True)
    return folder


@pytest.fixture(name="store")
def _store(recorded: Path) -> str:
    """Return the store of the recorded runs, for reading."""
    return f"sqlite:///{recorded}/.tracklib/tracklib.db"


@pytest.fixture(name="call")
def _call() -> Call:
    """Call the command line in this process."""

    def call(*words: str, status: int = 0) -> Result:
        result = CliRunner().invoke(cli, words, prog_name="tracklib")
        assert result.exit_code == status, result.output
        assert status == 1 or result.exception is None or isinstance(result.exception, SystemExit)
        return result

    return call


@pytest.fixture(name="program")
def _program() -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """Call the installed way in as a program of its own, its output in pipes."""

    def call(*words: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
        code = "from tracklib.cli.main import main; main()"
        return subprocess.run(
            [sys.executable, "-c", code, *words], env=_environment(environment), capture_output=True, check=False
        )

    return call


@pytest.fixture(name="terminal")
def _terminal() -> Callable[..., str]:
    """Call the command line on a terminal of a width; return what stands on it, with colours only if asked for.

    What is to be typed is typed before.
    """

    def call(*words: str, columns: int, colours: bool = False, typed: str = "") -> str:
        ours, theirs = _pty(columns)
        os.write(ours, typed.encode())
        code = "from tracklib.cli.main import main; main()"
        process = subprocess.Popen(
            [sys.executable, "-c", code, *words],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=_environment({"TERM": "xterm-256color"}),
        )
        os.close(theirs)
        text = _all(ours).decode().replace("\r\n", "\n")
        process.wait(60)
        return text if colours else re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)

    return call


def _environment(more: dict[str, str]) -> dict[str, str]:
    unwanted = {"COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"}
    kept = {name: value for name, value in os.environ.items() if name not in unwanted}
    return {**kept, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **more}


def _pty(columns: int) -> tuple[int, int]:
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    return ours, theirs


def _all(descriptor: int) -> bytes:
    data = b""
    while True:
        try:
            part = os.read(descriptor, 65_536)
        except OSError:  # How a terminal says that its last process is gone.
            part = b""
        if not part:
            os.close(descriptor)
            return data
        data += part


@pytest.fixture(name="orphan")
def _orphan(tmp_path: Path) -> str:
    """Return a store beside which a process that was killed left a journal that nobody shipped."""
    store = f"sqlite:///{tmp_path}/orphan/runs.db"
    environment = _environment({"TRACKLIB_MODE": "offline"})
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, store], env=environment, stdout=subprocess.PIPE, cwd=tmp_path
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGKILL)
    return store
