"""A training in several processes is one run, whichever way Lightning starts them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import tracklib

pytestmark = pytest.mark.slow

PROGRAM = Path(__file__).parent / "programs" / "lightning_ranks.py"
QUIET = {"TRACKLIB_SYSTEM_INTERVAL": "0", "TRACKLIB_AUTO_LOG_GIT": "0", "TRACKLIB_AUTO_LOG_ENV": "0"}
PATIENCE_SECONDS = 280.0


@pytest.mark.parametrize(
    ("strategy", "what"), [("ddp", "logger"), ("ddp", "callback"), ("ddp_spawn", "logger"), ("ddp_fork", "begun")]
)
def test_several_processes_share_one_run(strategy: str, what: str) -> None:
    """Its metrics are those of rank 0, and all processes know its id."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(PROGRAM), strategy, what],
        env={**os.environ, **QUIET},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    (run,) = tracklib.list_runs()
    assert (run.status, run.project, run.params["lightning"]["trainer"]["world_size"]) == ("completed", "ranks", 2)
    assert run.series("train_loss", every=True).steps.tolist() == [*range(8)]
    assert set(run.series("rank", every=True).values.tolist()) == {0.0}
    assert run.series("val_loss", every=True).steps.tolist() == [3, 7]
    assert run.series("train/samples_per_second", every=True).steps.tolist() == [*range(8)]
    said = {line.split()[-1] for line in done.stdout.splitlines() if line.startswith("version")}
    assert said == (set() if what == "callback" else {run.info.id})
