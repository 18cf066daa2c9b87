"""The one run of all processes of a job.

Rank 0 makes the run, and the others must know which it is. A process that has a run open says so in the environment,
which its children inherit: that is how the processes know that Lightning starts. Those that a launcher starts side by
side (torchrun, accelerate, mpirun) have the launcher in common: the first of them to come makes the id and leaves it in
a file that is named after the launcher. Slurm names its jobs itself, so there the id is computed from that name, on
every machine alike.

A restart of the processes by torchelastic finds the same launcher, so it goes on with the run.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from tracklib.records import id_of_number, is_id, new_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracklib.ranks import ProcessRank

__all__ = ["JOB_VARIABLE", "Job", "announce", "current_job", "shared_run_id", "withdraw"]

JOB_VARIABLE: Final = "TRACKLIB_JOB"
"""Holds the id of the run that the processes of a job share, and the id of the process that has it open (0: none)."""

_NO_NAME: Final = frozenset({"", "none"})
_taken = count()


class Job(NamedTuple):
    """The run that the environment speaks of.

    Attributes:
        owner: The id of the process that has it open; 0 if a launcher made the id for whoever comes.
    """

    run_id: str
    owner: int


def current_job(environ: Mapping[str, str] | None = None) -> Job | None:
    """Return the run that another process has said its children belong to; None if there is none.

    Example:
        >>> current_job({}) is None
        True
    """
    environ = os.environ if environ is None else environ
    run_id, _, owner = environ.get(JOB_VARIABLE, "").partition(" ")
    if not is_id(run_id) or not owner.isdigit() or int(owner) == os.getpid():
        return None
    return Job(run_id, int(owner))


def announce(run_id: str, *, owner: int | None = None) -> None:
    """Tell the children of this process which run they belong to."""
    os.environ[JOB_VARIABLE] = f"{run_id} {os.getpid() if owner is None else owner}"


def withdraw(run_id: str) -> None:
    """Take that back when the run has ended."""
    if os.environ.get(JOB_VARIABLE) == f"{run_id} {os.getpid()}":
        del os.environ[JOB_VARIABLE]


def shared_run_id(place: ProcessRank) -> str | None:
    """Return the id of the next run that this process shares with the others of its job.

    The n-th run of each process is the same one, as all of them run the same program.

    Returns:
        None if it shares none: it is alone, or nothing tells who the others are.
    """
    if place.world_size < 2:
        return None
    number, job = next(_taken), current_job()
    if job is not None:
        if number == 0:
            return job.run_id
        # The owner counts its own runs, and those after the first are not known here.
        return None if job.owner else _computed(f"{job.run_id} {number}")
    name = _shared_name(os.environ, place)
    if name is not None:
        return _computed(f"{name} {number}")
    return _agreed(f"{_launcher()} {number}")


def _shared_name(environ: Mapping[str, str], place: ProcessRank) -> str | None:
    """Return the name that a job on several machines has on each of them."""
    if environ.get("TORCHELASTIC_RUN_ID", "none") not in _NO_NAME and _several_nodes(environ, place):
        return f"torchelastic {environ['TORCHELASTIC_RUN_ID']} {environ.get('MASTER_ADDR', '')}"
    if "SLURM_PROCID" in environ and "TORCHELASTIC_RUN_ID" not in environ:
        parts = ("CLUSTER_NAME", "JOB_ID", "STEP_ID", "ARRAY_TASK_ID")
        return " ".join(["slurm", *(environ.get(f"SLURM_{part}", "") for part in parts)])
    return None


def _several_nodes(environ: Mapping[str, str], place: ProcessRank) -> bool:
    return place.node > 0 or environ.get("GROUP_WORLD_SIZE", "1") not in {"", "1"}


def _computed(name: str) -> str:
    """Return an id that is the same wherever it is computed; the time in it is 1970: no other is known everywhere."""
    return id_of_number(int.from_bytes(hashlib.sha256(name.encode()).digest()[:10], "big"))


def _launcher() -> str:
    """Return what the processes of a launcher have in common: its process, named so that no later one is the same."""
    parent = os.getppid()
    try:
        # Field 22 of the line is the start, in clock ticks since boot; the name in brackets may hold anything.
        began = Path(f"/proc/{parent}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except (OSError, IndexError):
        began = boot = ""
    return f"{boot} {parent} {began}"


def _agreed(name: str) -> str:
    """Return the id that the first process to ask has made for this name."""
    folder = Path(tempfile.gettempdir()) / f"tracklib-jobs-{os.getuid()}"
    path = folder / hashlib.sha256(name.encode()).hexdigest()[:32]
    mine = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        mine.write_text(new_id(), encoding="ascii")
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(mine)
        mine.unlink()
        text = path.read_text(encoding="ascii")
    except OSError:
        return _computed(name)
    return text if is_id(text) else _computed(name)
