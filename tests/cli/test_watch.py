"""`tracklib watch`: real runs that are going on, on real terminals and in pipes."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import Result

import tracklib
from tracklib.cli.watch_page import frame_lines, plain_line
from tracklib.cli.watching import Frame, Watcher
from tracklib.errors import NotFound, StoreUnavailable
from tracklib.model import RunInfo, RunStatus, Summary
from tracklib.stores.base import open_store
from tracklib.stores.sqlite import SqliteStore

Call = Callable[..., Result]
Training = Callable[..., subprocess.Popen[str]]

TRAINING = """
import math, sys, time, tracklib

store, end = sys.argv[1:3]
tracklib.set_project("digits", settings={"primary_metrics": ["train/loss"]}, store=store)
quiet = {"auto_log_console": False, "auto_log_git": False, "auto_log_env": False, "system_interval": 0}
with tracklib.start_run("digits", name="live", store=store, flush_interval=0.05, **quiet) as run:
    for step in range(10):
        run.log({"train/loss": math.exp(-step / 5), "eval/accuracy": 1 - math.exp(-step / 5)}, step=step)
    run.flush()
    print("ready", flush=True)
    sys.stdin.readline()
    for step in range(10, 20):
        run.log({"train/loss": math.exp(-step / 5), "eval/accuracy": 1 - math.exp(-step / 5)}, step=step)
        time.sleep(0.05)
    if end == "fail":
        raise RuntimeError("out of memory")
"""


@pytest.fixture(name="training")
def _training(tmp_path: Path) -> Iterator[Training]:
    """Start a training that waits in its middle until it is told something; what is left is killed."""
    started: list[subprocess.Popen[str]] = []

    def start(end: str = "complete") -> subprocess.Popen[str]:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        process = subprocess.Popen(
            [sys.executable, "-c", TRAINING, f"sqlite:///{tmp_path}/runs.db", end],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture(name="live")
def _live(tmp_path: Path) -> str:
    """Return the store that trainings are recorded in."""
    return f"sqlite:///{tmp_path}/runs.db"


def watching(*words: str, terminal: int | None = None) -> subprocess.Popen[str]:
    """Start the command in a pipe, or on a terminal."""
    unwanted = {"COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"}
    kept = {name: value for name, value in os.environ.items() if name not in unwanted}
    environment = {**kept, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "TERM": "xterm-256color"}
    code = "from tracklib.cli.main import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, "watch", "--interval", "0.1", *words],
        env=environment,
        stdin=terminal,
        stdout=subprocess.PIPE if terminal is None else terminal,
        stderr=subprocess.PIPE if terminal is None else terminal,
        text=True,
    )


def go_on(process: subprocess.Popen[str]) -> None:
    """Let a training that waits go on."""
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def first_line(process: subprocess.Popen[str]) -> str:
    """Return the first line that a program prints."""
    assert process.stdout is not None
    return process.stdout.readline()


# ---- runs that go on


def test_lines_until_the_end(training: Training, live: str) -> None:
    """In a pipe there is a line for what is new, without a name for the run that goes on; it ends with the run."""
    run = training()
    with watching("--store", live) as process:
        first = first_line(process)
        go_on(run)
        rest, errors = process.communicate()

    assert "  running  " in first
    assert "step 9  train/loss=0.1653 eval/accuracy=0.8347" in first
    assert "  completed  " in rest.splitlines()[-1]
    assert "step 19" in rest.splitlines()[-1]
    assert (process.returncode, errors) == (0, "")


def test_failed_run(training: Training, live: str) -> None:
    """The exit status tells that the run failed."""
    run = training("fail")
    with watching("--store", live, "--json") as process:
        first = json.loads(first_line(process))
        go_on(run)
        rest, _ = process.communicate()

    last = json.loads(rest.splitlines()[-1])
    assert (first["status"], first["step"]) == ("running", 9)
    assert (last["status"], last["step"]) == ("failed", 19)
    assert last["metrics"]["train/loss"]["count"] == 20
    assert process.returncode == 1


def test_killed_run(training: Training, live: str) -> None:
    """A run whose process is killed ends as well, with what it had left in its journal."""
    run = training()
    with watching("--store", live) as process:
        first_line(process)
        run.kill()
        rest, _ = process.communicate()

    assert "  killed  " in rest.splitlines()[-1]
    assert process.returncode == 1


def test_interrupted(training: Training, live: str) -> None:
    """Ctrl-C ends it without a word, as shells know it."""
    training()
    with watching("--store", live) as process:
        first_line(process)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()

    assert (process.returncode, errors) == (130, "")


def test_on_a_terminal(training: Training, live: str) -> None:
    """The picture is drawn over and over, fits the terminal, and the last one stays."""
    run = training()
    text = seen_on_a_terminal(["live", "--store", live], on="running", then=lambda: go_on(run))

    assert "\x1b[1;36m▶ running" in text
    assert "✔ completed" in text
    assert text.count("train/loss") > 1
    assert text.index("train/loss") < text.index("eval/accuracy")
    assert any("\u2801" <= character <= "\u28ff" for character in text)
    assert "\x1b[?25h" in text


def seen_on_a_terminal(words: list[str], *, on: str, then: Callable[[], None]) -> str:
    """Return all that is drawn on a terminal of 70 columns.

    Args:
        on: What is to be seen before something happens.
        then: What happens.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 70, 0, 0))
    with watching(*words, terminal=theirs) as process:
        os.close(theirs)
        drawn, waits = b"", True
        while part := read_terminal(ours):
            drawn += part
            if waits and on.encode() in drawn:
                then()
                waits = False
        os.close(ours)
    assert process.returncode == 0
    return drawn.decode()


def read_terminal(descriptor: int) -> bytes:
    """Return what comes next; nothing where the last program on the terminal is gone."""
    try:
        return os.read(descriptor, 65_536)
    except OSError:
        return b""


def test_store_that_is_away(training: Training, live: str, tmp_path: Path) -> None:
    """While the store is away, the last picture stays with a word about it; then it goes on."""
    training()
    with SqliteStore(live) as store:
        watcher = Watcher(store, next(iter(store.runs(tracklib.RunQuery()))), (), drawn=4)
        seen = watcher.look()
        away = tmp_path / "away"
        (tmp_path / "runs.db").rename(away)
        (tmp_path / "runs.db").mkdir()
        missed = watcher.look()
        (tmp_path / "runs.db").rmdir()
        away.rename(tmp_path / "runs.db")
        again = watcher.look()

    assert missed.problem
    assert missed.summaries == seen.summaries
    assert again.problem == ""


# ---- one look


def test_once(call: Call, store: str) -> None:
    """One picture, whatever became of the run."""
    text = call("watch", "lr-0.1", "--once", "--store", store).stdout
    broken = call("watch", "broken", "--once", "--store", store).stdout

    assert text.splitlines()[0] == "lr-0.1  ✔ completed"
    assert text.index("eval/accuracy") < text.index("train/loss")
    assert "✘ failed" in broken


def test_once_as_json(call: Call, store: str) -> None:
    """The same for programs; metrics of the system only if they are asked for."""
    plain, system = (
        json.loads(call("watch", "full", "--once", "--json", *more, "--store", store).stdout)
        for more in ((), ("--metrics", "system/*"))
    )

    assert set(plain["metrics"]) == {"train/loss"}
    assert plain["step"] == 3
    assert system["metrics"]
    assert all(name.startswith("system/") for name in system["metrics"])


def test_ended_run(call: Call, store: str) -> None:
    """A run that has ended is shown once; the exit status tells how it ended."""
    assert "completed" in call("watch", "lr-0.1", "--store", store).stdout
    assert "failed" in call("watch", "broken", "--store", store, status=1).stdout


def test_nothing_goes_on(call: Call, store: str) -> None:
    """Without a run that goes on, one must be named; unknown ones are not found."""
    assert "no run is going on" in call("watch", "--store", store, status=1).stderr
    assert "there is no run 'nono'" in call("watch", "nono", "--store", store, status=1).stderr
    assert "did you mean 'digits'?" in call("watch", "--project", "digit", "--store", store, status=1).stderr
    call("watch", "lr-0.1", "--interval", "0", "--store", store, status=2)


def test_no_store(call: Call) -> None:
    """Where nothing was recorded, that is said."""
    assert "there is no store" in call("watch", status=1).stderr


@pytest.mark.usefixtures("bare")
def test_deleted_run(tmp_path: Path) -> None:
    """A run that is deleted meanwhile ends the watching with an error."""
    store = f"sqlite:///{tmp_path}/runs.db"
    with tracklib.start_run("digits", store=store) as run:
        run.log({"loss": 1})
    with open_store(store) as opened:
        watcher = Watcher(opened, opened.run(run.id), (), drawn=4)
        watcher.look()
        opened.delete_run(run.id)

        with pytest.raises(NotFound):
            watcher.look()


class Away(SqliteStore):
    """A store that cannot be reached."""

    def run(self, run: str) -> RunInfo:
        raise StoreUnavailable(f"no way to {run}")

    def projects(self, **_: Any) -> list[Any]:
        return []


def test_away_from_the_beginning() -> None:
    """A store that was never there is an error."""
    watcher = Watcher(Away("sqlite:///x.db"), RunInfo(id="1", project="p", experiment="e", name="n"), (), drawn=0)

    with pytest.raises(StoreUnavailable):
        watcher.look()


# ---- pictures


def picture(metrics: int = 1, **about: Any) -> Frame:
    """Return a frame of a run with so many metrics."""
    info = RunInfo(id="1", project="p", experiment="e", name="n\x1b[31m", status=RunStatus.RUNNING, **about)
    names = [f"metric/{index}" for index in range(metrics)]
    steps = np.arange(100)
    times = steps.astype(np.float64)
    series = {name: tracklib.Series(name, steps, times, np.sin(times / 10)) for name in names}
    summaries = tuple(
        Summary(name=name, last=0.5, min=-1.0, max=1.0, mean=0.0, count=100, first_step=0, last_step=99, last_time=99.0)
        for name in names
    )
    return Frame(at=time.time(), info=info, summaries=summaries, series=series)


@pytest.mark.parametrize("metrics", [0, 1, 3, 30, 300])
@pytest.mark.parametrize(("width", "height"), [(200, 60), (80, 24), (40, 10), (20, 6)])
def test_pictures_fit(metrics: int, width: int, height: int) -> None:
    """No line is longer than the terminal is wide, and there are no more of them than it is high."""
    lines = frame_lines(picture(metrics), width=width, height=height, draws=True)

    assert max(line.cell_len for line in lines) <= width
    assert len(lines) <= height


def test_picture_without_drawings() -> None:
    """Where characters for drawings cannot be shown, there are numbers."""
    lines = frame_lines(picture(2, start_time=time.time()), width=80, height=40, draws=False)

    text = "\n".join(line.plain for line in lines[3:])
    assert "metric/0" in text
    assert text.isascii()


def test_problem_is_shown() -> None:
    """That the store is away is seen in the picture and in the line."""
    frame = Frame(at=time.time(), info=picture().info, problem="no network")

    assert "the store is away: no network" in [
        line.plain for line in frame_lines(frame, width=80, height=24, draws=True)
    ]
    assert plain_line(frame).endswith("no network")


def test_names_are_shown_not_obeyed() -> None:
    """An escape sequence in a name is shown as what it is."""
    assert "\x1b" not in frame_lines(picture(), width=80, height=24, draws=True)[0].plain
