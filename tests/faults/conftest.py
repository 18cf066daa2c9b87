"""Programs as processes of their own, what they tell before they die, and what is read back."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest

import tracklib
from tracklib.recording.recovery import recover
from tracklib.stores.base import open_store

if TYPE_CHECKING:
    from tests.servers.s3_server import S3Server

PATIENCE_SECONDS = 120.0
"""For whatever must come to pass; a slow machine is no failure."""

PRELUDE = """
import itertools, json, mmap, os, random, signal, subprocess, sys, threading, time
import tracklib

STORE = os.environ.get("STORE", f"sqlite:///{os.getcwd()}/runs.db")
QUIET = {"auto_log_git": False, "auto_log_env": False, "auto_log_console": False, "system_interval": 0}


class Told:
    # Numbers in a shared map, which a kill does not take back.
    def __init__(self, path="told"):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
        os.ftruncate(descriptor, 65536)
        # Set in one piece, where `pack_into` would write zeros first.
        self.numbers = memoryview(mmap.mmap(descriptor, 65536)).cast("q")

    def __setitem__(self, place, number):
        self.numbers[place] = number

    def __getitem__(self, place):
        return self.numbers[place]


def start(**options):
    given = {"store": STORE, "flush_interval": 0.05, **QUIET, **options}
    run = tracklib.start_run("faults", "test", **given)
    with open("ids", "a") as file:
        file.write(run.id + "\\n")
    return run


def wait_until(condition):
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, "it never came to pass"
        time.sleep(0.005)


told = Told()
"""


class Program:
    """A program that runs in the working directory of the test."""

    def __init__(self, source: str, folder: Path, number: int, *, environ: dict[str, str], uncapped: bool) -> None:
        script = folder / f"program{number}.py"
        script.write_text(PRELUDE + source)
        self._errors = folder / f"errors{number}.txt"
        self._told = folder / "told"
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-X", "faulthandler", str(script)],
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                cwd=folder,
                env={**os.environ, **environ},
                preexec_fn=None if uncapped else _as_anybody,  # noqa: PLW1509 - nothing of ours has threads here
            )

    @property
    def errors(self) -> str:
        """What the program has said on both its streams."""
        return self._errors.read_text(errors="replace")

    def told(self, place: int = 0) -> int:
        """Return a number that the program has noted."""
        if not self._told.exists() or self._told.stat().st_size < 8 * place + 8:
            return 0
        with self._told.open("rb") as file:
            return int(struct.unpack("<q", os.pread(file.fileno(), 8, 8 * place))[0])

    def tell(self, number: int, place: int) -> None:
        """Note a number where the program can see it."""
        with self._told.open("r+b") as file:
            os.pwrite(file.fileno(), struct.pack("<q", number), 8 * place)

    def await_told(self, number: int = 1, place: int = 0) -> None:
        """Wait until the program has noted a number that is no less."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.told(place) < number:
            assert self.process.poll() is None, self.errors
            assert time.monotonic() < deadline, f"nothing was told:\n{self.errors}"
            time.sleep(0.002)

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """Kill it and see it dead."""
        self.process.kill()
        self.process.wait(PATIENCE_SECONDS)

    def wait(self) -> int:
        """Return its exit status, negative for a signal."""
        try:
            return self.process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)  # The fault handler says where it hangs.
            self.process.wait(PATIENCE_SECONDS)
            raise AssertionError(f"the program hangs:\n{self.errors}") from None

    def succeed(self) -> None:
        """Wait for a good end without a word of complaint."""
        status = self.wait()
        assert (status, self.errors) == (0, "")


def _as_anybody() -> None:
    """Take from root what makes it write to files that are read-only."""
    import ctypes

    for capability in (1, 2):  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH
        ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP


@pytest.fixture(name="start")
def _start(tmp_path: Path) -> Iterator[Callable[..., Program]]:
    """Return a function that starts a program; what still runs at the end of the test is killed."""
    programs: list[Program] = []

    def start(source: str, *, uncapped: bool = True, **environ: str) -> Program:
        programs.append(Program(source, tmp_path, len(programs), environ=environ, uncapped=uncapped))
        return programs[-1]

    yield start
    for program in programs:
        if program.process.poll() is None:
            program.kill()


class Records:
    """The store that the programs of a test write to."""

    def __init__(self, folder: Path, *, uri: str = "", spool: Path | None = None) -> None:
        self.folder = folder
        self.uri = uri or f"sqlite:///{folder / 'runs.db'}"
        self.spool = spool or folder / "spool"
        self._opened: list[tracklib.StoredRun] = []

    def ids(self) -> list[str]:
        """Return the ids of the runs that were started, in that order."""
        path = self.folder / "ids"
        return path.read_text().split() if path.exists() else []

    def recover(self) -> None:
        """Ship what dead processes left; nothing may be damaged or in the way."""
        for recovered in recover(self.spool, open_store):
            assert recovered.problem is None
            assert recovered.set_aside == ()

    def run(self, run: str | None = None) -> tracklib.StoredRun:
        """Return a run, by default the one that was started last, as a user reads it."""
        self.recover()
        self._opened.append(tracklib.get_run(run or self.ids()[-1], store=self.uri))
        return self._opened[-1]

    def steps(self, name: str, run: str | None = None) -> list[int]:
        """Return the steps of all points of a metric; its values must be the steps too."""
        series = self.run(run).series(name, every=True)
        assert series.values.tolist() == series.steps.tolist()
        return [int(step) for step in series.steps]

    def left(self) -> list[str]:
        """Return the files that are in the spool."""
        return sorted(str(path.relative_to(self.spool)) for path in self.spool.rglob("*") if path.is_file())

    def close(self) -> None:
        """Close what was opened."""
        for run in self._opened:
            run._store.close()


@pytest.fixture(name="records")
def _records(tmp_path: Path) -> Iterator[Records]:
    """Return what reads back what the programs wrote."""
    records = Records(tmp_path)
    yield records
    records.close()


@pytest.fixture(name="bucket_records")
def _bucket_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, s3_server: S3Server, s3_prefix: str
) -> Iterator[Records]:
    """Have the programs of a test, and the test itself, write to a bucket of a real server; return what reads it."""
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("STORE", f"s3://{s3_prefix}/team")
    spool = Path(os.environ["XDG_STATE_HOME"]) / "tracklib" / "spool"
    records = Records(tmp_path, uri=os.environ["STORE"], spool=spool)
    yield records
    records.close()


@pytest.fixture(name="chance")
def _chance(request: pytest.FixtureRequest) -> Random:
    """Return a source of random moments, the same in each run of a test."""
    return Random(request.node.name)  # noqa: S311 - no secret
