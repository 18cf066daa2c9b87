"""What importing and starting cost: nothing heavy is loaded before it is needed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import tracklib

HEAVY = {
    "click",
    "fastapi",
    "fsspec",
    "git",
    "IPython",
    "lightning",
    "matplotlib",
    "numpy",
    "pandas",
    "platformdirs",
    "plotly",
    "polars",
    "psutil",
    "pyarrow",
    "pynvml",
    "pytorch_lightning",
    "rich",
    "scipy",
    "sklearn",
    "sqlite_utils",
    "torch",
    "transformers",
    "zstandard",
}

# Which thread imports what: those of tracklib itself may load what they need.
WATCH = """
import json, sys, threading
class Watch:
    seen = set()
    def find_spec(self, name, path=None, target=None):
        if threading.current_thread() is threading.main_thread():
            self.seen.add(name.partition(".")[0])
sys.meta_path.insert(0, Watch())
"""


def imported(program: str) -> set[str]:
    """Return the top-level modules that the main thread of a fresh interpreter imports for a program."""
    script = f"{WATCH}\n{program}\nprint(json.dumps(sorted(Watch.seen)), file=sys.__stdout__)\nsys.__stdout__.flush()"
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    return set(json.loads(done.stdout))


def test_importing_tracklib_loads_nothing_heavy() -> None:
    """Neither a framework nor NumPy, nor what only the command line or a store needs."""
    found = imported("import tracklib")

    assert "tracklib" in found
    assert found & HEAVY == set()


def test_starting_and_logging_loads_nothing_heavy() -> None:
    """With everything recorded that is recorded unasked: what that needs is loaded in the background."""
    found = imported(
        "import tracklib\n"
        "run = tracklib.start_run('digits', params={'lr': 0.1}, tags={'a': 'b'})\n"
        "run.log({'loss': 0.5})\n"
        "run.log_params({'seed': 1})"
    )

    assert found & HEAVY == set()


@pytest.mark.parametrize("name", [name for name in tracklib.__all__ if name not in {"Series", "StoredRun"}])
def test_each_public_name_is_there_at_once(name: str) -> None:
    """Those that are loaded when they are first used, too; none of them loads a framework."""
    found = imported(f"import tracklib\ntracklib.{name}")

    assert found & HEAVY == set()


def test_a_name_that_there_is_not_is_an_attribute_error() -> None:
    """As of any module."""
    with pytest.raises(AttributeError, match="module 'tracklib' has no attribute 'start'"):
        _ = tracklib.start
    assert not hasattr(tracklib, "numpy")


def test_there_is_one_copy_of_the_integrations() -> None:
    """The folder's own name would load a second one."""
    assert "integrations" not in sys.modules


def test_the_typed_marker_is_shipped() -> None:
    """So that type checkers look at our annotations."""
    assert (Path(tracklib.__file__).parent / "py.typed").is_file()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_importing_starts_no_threads_and_opens_no_files() -> None:
    """Whoever only imports pays for nothing else."""
    program = (
        "import os, threading\n"
        "before = len(os.listdir('/proc/self/fd')) if os.path.isdir('/proc/self/fd') else 0\n"
        "import tracklib\n"
        "after = len(os.listdir('/proc/self/fd')) if before else 0\n"
        "print(threading.active_count(), after - before)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)

    assert done.stdout == "1 0\n"
    assert list(Path.cwd().iterdir()) == []
