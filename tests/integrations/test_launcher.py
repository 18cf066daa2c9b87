"""`tracklib run`: programs run as they always did, and are recorded."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import tracklib

CODE = {"TRACKLIB_AUTO_LOG_GIT": "1"}

Script = Callable[..., Path]
Launch = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[..., subprocess.Popen[bytes]]


def test_a_program_is_recorded(launch: Launch, script: Script) -> None:
    """Its output, command line and end are a run of the project that was asked for."""
    script("import sys\nprint('hello', *sys.argv[1:])")

    done = launch(
        "--project", "digits", "--name", "first", "--tag", "team=vision", "train.py", "--lr", "1", "-h", **CODE
    )

    run = tracklib.get_run("latest")
    assert (done.returncode, done.stdout, done.stderr) == (0, "hello --lr 1 -h\n", "")
    assert (run.info.project, run.name, run.tags, run.status) == ("digits", "first", {"team": "vision"}, "completed")
    assert run.console() == "hello --lr 1 -h"
    assert run.source.command_line[-4:] == ("train.py", "--lr", "1", "-h")
    assert run.source.entry_point == "train.py"


def test_a_module_is_recorded(launch: Launch, script: Script) -> None:
    """As `python -m` runs it, with the words behind it as its own."""
    script("", "package/__init__.py")
    script("import sys; print(__name__, sys.argv[1:])", "package/train.py")

    done = launch("-m", "package.train", "--project", "its own")

    run = tracklib.get_run("latest")
    assert done.stdout == "__main__ ['--project', 'its own']\n"
    assert run.name.startswith("train-")


def test_the_exit_status_is_the_programs(launch: Launch, script: Script) -> None:
    """Whatever it is; the run says so."""
    script("import sys; sys.exit(3)")

    assert launch("train.py").returncode == 3
    run = tracklib.get_run("latest")
    assert (run.status, run.info.reason) == ("failed", "the program exited with 3")


def test_an_exception_is_the_programs(launch: Launch, script: Script) -> None:
    """It is shown as ever, and recorded."""
    script("raise ValueError('no data')")

    done = launch("train.py")

    run = tracklib.get_run("latest")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, "ValueError: no data")
    assert run.error is not None
    assert (run.status, run.error.type, run.error.message) == ("failed", "ValueError", "no data")


def test_input_reaches_the_program(launch: Launch, script: Script) -> None:
    """Line by line, to its end."""
    script("import sys; print(sys.stdin.read().upper())")

    assert launch("train.py", stdin="a\nb").stdout == "A\nB\n"


def test_a_terminal_stays_a_terminal(start: Start, script: Script) -> None:
    """The program finds one at all three of its streams."""
    script("import sys; print(*(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)))")
    above, below = pty.openpty()

    start("train.py", stdin=below, stdout=below, stderr=below).wait(120)

    os.close(below)
    assert os.read(above, 100) == b"True True True\r\n"
    os.close(above)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_reach_the_program(start: Start, script: Script, tmp_path: Path, number: signal.Signals) -> None:
    """The process is the program itself, and dies of what it is sent."""
    script("import pathlib, time\npathlib.Path('up').touch()\ntime.sleep(600)")
    process = start("train.py", stderr=subprocess.DEVNULL)
    while not (tmp_path / "up").exists():
        time.sleep(0.01)

    process.send_signal(number)

    assert process.wait(120) == -number
    assert tracklib.get_run("latest").status == "killed"


def test_a_command_is_recorded_by_its_python(launch: Launch, script: Script) -> None:
    """A shell script is no run; each training that it starts is one."""
    script("print('trained')")

    done = launch("--", "sh", "-c", f"{sys.executable} train.py && {sys.executable} train.py")

    assert done.stdout == "trained\ntrained\n"
    assert [run.status for run in tracklib.list_runs()] == ["completed", "completed"]


def test_children_of_a_program_are_no_runs(launch: Launch, script: Script) -> None:
    """A helper that a recorded program starts prints and ends, and is not taken for a training."""
    script("print('helped')", "helper.py")
    script("import subprocess, sys\nprint(subprocess.check_output([sys.executable, 'helper.py'], text=True), end='')")

    launch("train.py")

    assert [run.console() for run in tracklib.list_runs()] == ["helped"]


def test_the_users_own_sitecustomize_is_kept(launch: Launch, script: Script, tmp_path: Path) -> None:
    """It is imported, found under its name, and its faults are shown as Python shows them."""
    script("FLAG = 'mine'", "site/sitecustomize.py")
    script("import os, sys, sitecustomize\nprint(sitecustomize.FLAG, [p for p in sys.path if 'startup' in p])")

    done = launch("train.py", PYTHONPATH=str(tmp_path / "site"))

    assert (done.stdout, done.stderr) == ("mine []\n", "")


def test_the_programs_own_run_is_the_run(launch: Launch, script: Script) -> None:
    """What it says of its run holds, and no second run is made."""
    script(
        "import tracklib\n"
        "print('before')\n"
        "with tracklib.start_run('digits', 'sweep', name='mine', params={'lr': 1}, tags={'a': '1'}) as run:\n"
        "    run.log({'loss': 0.5})\n"
    )

    launch("train.py")

    (run,) = tracklib.list_runs()
    assert (run.info.project, run.info.experiment, run.name) == ("digits", "sweep", "mine")
    assert (run.params, run.tags, run.metrics["loss"].last) == ({"lr": 1}, {"a": "1"}, 0.5)
    assert run.console() == "before"
    assert [project.name for project in tracklib.list_projects()] == ["digits"]


def test_a_second_run_of_the_program_is_another(launch: Launch, script: Script) -> None:
    """Only the first one takes over what was begun unasked."""
    script(
        "import tracklib\n"
        "for name in 'ab':\n"
        "    with tracklib.start_run(name=name) as run:\n"
        "        run.log({'loss': 0.5})\n"
    )

    launch("train.py")

    assert sorted(run.name for run in tracklib.list_runs()) == ["a", "b"]


def test_a_store_that_is_away_changes_nothing(launch: Launch, script: Script, tmp_path: Path) -> None:
    """The program runs as ever, and its journal waits for the store."""
    script("import sys; print('trained'); sys.exit(7)")
    (tmp_path / "file").touch()
    gone = f"sqlite:///{tmp_path}/file/runs.db"

    done = launch("train.py", TRACKLIB_STORE=gone, TRACKLIB_SPOOL=str(tmp_path / "spool"), TRACKLIB_FINISH_TIMEOUT="0")

    assert (done.returncode, done.stdout) == (7, "trained\n")
    assert list((tmp_path / "spool").rglob("*.journal"))


def test_settings_that_cannot_be_meant_are_misuse(launch: Launch, script: Script) -> None:
    """They are found before the program starts."""
    script("print('started')")

    done = launch("--project", " ", "train.py")

    assert (done.returncode, done.stdout) == (2, "")


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        ((), 2, "name the program to run"),
        (("missing.py",), 1, "there is no script 'missing.py'"),
        (("no-such-command",), 1, "there is no script or command"),
        (("-m",), 1, "-m takes the name of a module"),
        (("--tag", "novalue", "train.py"), 2, "NAME=VALUE"),
    ],
)
def test_misuse_is_explained(launch: Launch, words: tuple[str, ...], status: int, text: str) -> None:
    """With what is wrong, and nothing is started."""
    done = launch(*words)

    assert (done.returncode, text in done.stderr) == (status, True)


def test_disabled_records_nothing(launch: Launch, script: Script, tmp_path: Path) -> None:
    """The program runs, and no file of ours is made."""
    script("print('trained')")

    done = launch("train.py", TRACKLIB_MODE="disabled")

    assert done.stdout == "trained\n"
    assert [path.name for path in tmp_path.iterdir()] == ["train.py"]
