"""Which program runs, seen from programs that are really started."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TELL = "from tracklib.capture.program import entry_point, in_notebook; print(entry_point(), in_notebook())\n"
# What an IPython kernel shows of itself; IPython proper is no dependency.
KERNEL = """
class Shell:
    kernel = {kernel}
    user_ns = {{{names}}}

def get_ipython():
    return Shell()
"""


def run(directory: Path, *words: str, **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, *words],
        cwd=directory,
        env={**os.environ, **variables},
        check=True,
        capture_output=True,
        text=True,
        input="",
    )
    return done.stdout.strip()


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_script(tmp_path: Path) -> None:
    """A script below the working directory is known by its path from there, any other by its whole path."""
    script = write(tmp_path / "src" / "train.py", TELL)

    assert run(tmp_path, "src/train.py") == "src/train.py False"
    assert run(tmp_path, str(script)) == "src/train.py False"
    assert run(tmp_path / "src", "../src/train.py") != "None False"
    assert run(Path("/"), str(script)).endswith("src/train.py False")


def test_module(tmp_path: Path) -> None:
    """What `python -m` starts is known by the name that it was asked for by."""
    write(tmp_path / "pkg" / "train.py", TELL)
    write(tmp_path / "pkg" / "__main__.py", TELL)

    assert run(tmp_path, "-m", "pkg.train") == "pkg.train False"
    assert run(tmp_path, "-m", "pkg") == "pkg False"


def test_folder_that_is_run(tmp_path: Path) -> None:
    """A folder given to the interpreter is the entry point, not the file in it."""
    write(tmp_path / "app" / "__main__.py", TELL)

    assert run(tmp_path, "app") == "app False"


def test_no_entry_point(tmp_path: Path) -> None:
    """Code on the command line or the standard input has no name."""
    assert run(tmp_path, "-c", TELL) == "None False"
    assert run(tmp_path, "-") == ""


@pytest.mark.parametrize(
    ("names", "variables", "told"),
    [
        ('"__vsc_ipynb_file__": "/elsewhere/a.ipynb"', {}, "/elsewhere/a.ipynb True"),
        ("", {"JPY_SESSION_NAME": "b.ipynb"}, "b.ipynb True"),
        ("", {}, "None True"),
    ],
)
def test_notebook(tmp_path: Path, names: str, variables: dict[str, str], told: str) -> None:
    """In a kernel the notebook is told by the editor or the server, where they tell it."""
    write(tmp_path / "IPython.py", KERNEL.format(kernel="object()", names=names))

    assert run(tmp_path, "-c", f"import IPython\n{TELL}", **variables) == told


def test_terminal_of_ipython(tmp_path: Path) -> None:
    """IPython in a terminal is no notebook."""
    write(tmp_path / "IPython.py", KERNEL.format(kernel="None", names=""))

    assert run(tmp_path, "-c", f"import IPython\n{TELL}") == "None False"


def test_source_type_of_a_notebook(tmp_path: Path) -> None:
    """A run from a notebook is recorded as such."""
    write(tmp_path / "IPython.py", KERNEL.format(kernel="object()", names=""))
    program = (
        "import IPython, pathlib; from tracklib.capture.git import capture_source; "
        "print(capture_source(pathlib.Path('.')).source_type)"
    )

    assert run(tmp_path, "-c", program) == "notebook"


def test_command_line(tmp_path: Path) -> None:
    """All words are kept as they were given, also after the program changed its own, and secrets are masked."""
    write(
        tmp_path / "train.py",
        "import sys; sys.argv = ['changed']; from tracklib.capture.program import command_line; print(command_line())",
    )

    told = run(tmp_path, "-B", "train.py", "--lr=0.1", "--api-key", "Zx81", "caf\udce9")

    assert told == repr((sys.executable, "-B", "train.py", "--lr=0.1", "--api-key", "***", "caf\\xe9"))
