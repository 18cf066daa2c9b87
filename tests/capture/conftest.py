"""A stand-in for NVIDIA's library, and processes that find it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Ask = Callable[..., Any]

PRELUDE = """
import json, logging, os, subprocess, sys, time
from tracklib.capture.gpu import GpuSampler, visible_gpus

class Clock:
    now = 1000.0
    def __call__(self):
        return self.now

class Kept(logging.Handler):
    def __init__(self):
        super().__init__()
        self.warnings = []
    def emit(self, record):
        if record.levelno >= logging.WARNING:
            self.warnings.append(record.getMessage())

def stub():
    import pynvml
    return pynvml.nvmlLib

def calls(name):
    return stub().stub_calls(name.encode())

def pick(sample, *names):
    return [sample.get(f"system/gpu/{name}") for name in names]

kept, clock = Kept(), Clock()
logging.getLogger("tracklib").addHandler(kept)
"""


@pytest.fixture(scope="session", name="library")
def _library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    library = tmp_path_factory.mktemp("nvml") / "libnvidia-ml.so.1"
    source = Path(__file__).parent / "nvml_stub.c"
    flags = ("-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-Wl,-soname,libnvidia-ml.so.1")
    subprocess.run([compiler, *flags, "-o", library, source], check=True)
    return library.parent


@pytest.fixture(name="ask")
def _ask(library: Path) -> Ask:
    """Return a function that runs a script beside the stub and returns what it assigned to `answer`."""

    def ask(script: str, *, folder: Path = library, **environ: str) -> Any:
        kept = {name: value for name, value in os.environ.items() if "VISIBLE" not in name and "CUDA" not in name}
        path = os.pathsep.join((str(folder), os.environ.get("LD_LIBRARY_PATH", "")))
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", f"{PRELUDE}\n{script}\nprint(json.dumps(answer))"],
            env={**kept, "LD_LIBRARY_PATH": path, **environ},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return ask
