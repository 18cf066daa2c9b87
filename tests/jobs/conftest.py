"""Programs as the processes of a job, and what is read back of their runs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import tracklib

PATIENCE_SECONDS = 120.0
"""For whatever must come to pass; a slow machine is no failure."""

PRELUDE = """
import os, pickle, signal, subprocess, sys, time
import tracklib

QUIET = {"auto_log_git": False, "auto_log_env": False, "system_interval": 0, "flush_interval": 0.05}
rank = tracklib.process_rank().rank


def start(**options):
    return tracklib.start_run("jobs", "test", **{**QUIET, **options})


def note(name):
    open(f"{name}{rank}", "w").close()


def await_file(name):
    deadline = time.monotonic() + 120
    while not os.path.exists(name):
        assert time.monotonic() < deadline, f"{name} never came"
        time.sleep(0.01)
"""

Environ = dict[str, str]


class Ranks:
    """The processes of a job, and the runs that they make in the working directory."""

    def __init__(self) -> None:
        self._programs: list[subprocess.Popen[str]] = []

    def of_torch(self, rank: int) -> Environ:
        """Return what torch's launcher tells two processes on one machine, but for its own name."""
        return {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2"}

    def of_slurm(self, rank: int, *, job: str = "77", step: str = "0") -> Environ:
        """Return what srun tells two tasks of a job on one machine."""
        return {
            "SLURM_PROCID": str(rank),
            "SLURM_LOCALID": str(rank),
            "SLURM_NTASKS": "2",
            "SLURM_NODEID": "0",
            "SLURM_JOB_ID": job,
            "SLURM_STEP_ID": step,
            "SLURM_JOB_NAME": "train",
            "SLURM_CLUSTER_NAME": "east",
        }

    def launch(self, source: str, *environs: Environ) -> list[subprocess.Popen[str]]:
        """Start a program once for each of these environments, side by side."""
        Path("train.py").write_text(PRELUDE + source)
        for environ in environs:
            words = [sys.executable, "-W", "ignore", "train.py"]
            program = subprocess.Popen(words, env={**os.environ, **environ}, text=True, stderr=subprocess.PIPE)
            self._programs.append(program)
        return self._programs[-len(environs) :]

    def succeed(self, source: str, *environs: Environ) -> None:
        """Launch a program, and see each process come to a good end without a word of complaint."""
        for program in self.launch(source, *environs):
            self.await_success(program)

    def await_success(self, program: subprocess.Popen[str]) -> None:
        """See one of them come to a good end."""
        _, errors = program.communicate(timeout=PATIENCE_SECONDS)
        assert (program.returncode, errors) == (0, "")

    def await_end(self, program: subprocess.Popen[str]) -> int:
        """Return the exit status of one of them, negative for a signal."""
        return program.wait(PATIENCE_SECONDS)

    def await_files(self, *names: str) -> None:
        """Wait until all of these files are there."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not all(Path(name).exists() for name in names):
            assert time.monotonic() < deadline, f"{names} never came"
            time.sleep(0.01)

    def torchrun(self, folder: Path, source: str, *options: str) -> None:
        """Have torchrun start two processes in a folder, and see it succeed; their store is `runs.db` there."""
        (folder / "train.py").write_text(PRELUDE + source)
        words = [sys.executable, "-W", "ignore", "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        done = subprocess.run(
            [*words, *options, "train.py"],
            cwd=folder,
            env={**os.environ, "TRACKLIB_STORE": f"sqlite:///{folder}/runs.db"},
            text=True,
            capture_output=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )
        assert done.returncode == 0, done.stderr

    def run(self) -> tracklib.StoredRun:
        """Return the only run that there is."""
        (run,) = tracklib.list_runs()
        return tracklib.get_run(run.id)

    def ends(self, run: tracklib.StoredRun) -> list[tuple[int, str]]:
        """Return rank and status of each writer of a run, by rank and time."""
        writers = sorted(run.info.writers, key=lambda writer: (writer.rank, writer.started_at))
        return [(writer.rank, str(writer.status)) for writer in writers]

    def close(self) -> None:
        """Kill what still runs."""
        for program in self._programs:
            if program.poll() is None:
                program.kill()
            program.communicate()


@pytest.fixture(scope="module", name="ranks")
def _ranks() -> Iterator[Ranks]:
    """Return what launches the processes of a job."""
    ranks = Ranks()
    yield ranks
    ranks.close()
