"""Which interpreters are recorded when autolog was asked for by the environment."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import tracklib
from tracklib.integrations.startup import program_of

Script = Callable[..., Path]
Launch = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.parametrize(
    ("words", "kind", "name"),
    [
        (["python", "train.py", "-m", "x"], "script", "train.py"),
        (["python", "-u", "-W", "error", "-X", "dev", "train.py"], "script", "train.py"),
        (["python", "-m", "package.train", "--lr", "1"], "module", "package.train"),
        (["python", "-um", "package.train"], "module", "package.train"),
        (["python", "-c", "print(1)", "train.py"], "code", ""),
        (["python"], "none", ""),
        (["python", "-i"], "none", ""),
        (["python", "-m", "torch.distributed.run", "train.py"], "tool", "torch.distributed.run"),
        (["python", "-m", "pip", "install", "x"], "tool", "pip"),
        (["python", "-m", "ipykernel_launcher", "-f", "x.json"], "command", "ipykernel_launcher"),
        (["python", str(Path(sys.executable).parent / "torchrun"), "train.py"], "tool", ""),
        (["python", str(Path(sys.executable).parent / "trl"), "sft"], "command", ""),
        (["python", "-c", "from multiprocessing.spawn import spawn_main; spawn_main()"], "helper", ""),
        (["python", "-c", "from multiprocessing.resource_tracker import main;main(3)"], "helper", ""),
    ],
)
def test_what_an_interpreter_is_for(words: list[str], kind: str, name: str) -> None:
    """Is read off its command line."""
    program = program_of(words)

    assert program.kind == kind
    assert program.name == name or not name


def test_a_variable_is_enough(script: Script, finish: Launch) -> None:
    """Where the package is installed, Python looks at it before the program."""
    script("print('trained')")

    done = finish([sys.executable, "train.py"], TRACKLIB_AUTOLOG="1", TRACKLIB_PROJECT="digits")

    run = tracklib.get_run("latest")
    assert (done.stdout, done.stderr) == ("trained\n", "")
    assert (run.info.project, run.console()) == ("digits", "trained")


@pytest.mark.parametrize("value", ["", "0", "false", "off"])
def test_without_it_nothing_is_touched(script: Script, finish: Launch, value: str) -> None:
    """No module of ours is imported, no framework touched, and nothing recorded."""
    script("import sys; print([name for name in sys.modules if name.startswith('tracklib')], sys.meta_path[0])")

    done = finish([sys.executable, "train.py"], TRACKLIB_AUTOLOG=value)

    assert done.stdout.startswith("[] ")
    assert "tracklib" not in done.stdout
    assert not Path(".tracklib").exists()


def test_code_on_the_command_line_is_no_run(finish: Launch) -> None:
    """It is watched, but only what it trains is recorded."""
    done = finish([sys.executable, "-c", "import sys; print('tracklib' in sys.modules)"], TRACKLIB_AUTOLOG="1")

    assert done.stdout == "True\n"
    assert not Path(".tracklib").exists()


def test_processes_of_a_pool_are_no_runs(script: Script, finish: Launch) -> None:
    """Neither spawned nor forked ones; the program itself is."""
    script(
        "import multiprocessing as mp\n"
        "def work(number):\n    return number + 1\n"
        "if __name__ == '__main__':\n"
        "    for kind in ('spawn', 'fork', 'forkserver'):\n"
        "        with mp.get_context(kind).Pool(2) as pool:\n"
        "            print(sum(pool.map(work, range(4))))\n"
    )

    done = finish([sys.executable, "-W", "ignore", "train.py"], TRACKLIB_AUTOLOG="1")

    assert (done.stdout, done.stderr) == ("10\n10\n10\n", "")
    assert len(tracklib.list_runs()) == 1


def test_a_setting_that_cannot_be_meant_is_told(script: Script, finish: Launch) -> None:
    """The program runs all the same."""
    script("print('trained')")

    done = finish([sys.executable, "train.py"], TRACKLIB_AUTOLOG="1", TRACKLIB_FLUSH_INTERVAL="soon")

    assert (done.returncode, done.stdout) == (0, "trained\n")
    assert done.stderr.startswith("tracklib: this program is not recorded: flush_interval is 'soon'")
