"""The one run of all processes of a job.

Rank 0 makes the run, and the others must know which it is. A process that has a run open says so in the environment,
which its children inherit: that is how the processes know that Lightning starts. Those that a launcher starts side by
side (torchrun, accelerate, mpirun) have the launcher in common: the first of them to come makes the id and leaves it in
a list that is named after the launcher. Slurm names its jobs itself, so there the id is computed from that name, on
every machine alike.

A restart of the processes by torchelastic finds the same launcher, so it goes on with the run. Any other launcher that
starts processes of the same ranks again starts another job.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import sys
import tempfile
import time
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from tracklib.ranks import is_numbered
from tracklib.records import id_of_number, id_time, is_id, new_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracklib.ranks import ProcessRank

__all__ = ["JOB_VARIABLE", "Job", "announce", "current_job", "shared_run_id", "withdraw"]

JOB_VARIABLE: Final = "TRACKLIB_JOB"
"""Holds the id of the run that the processes of a job share, and the id of the process that has it open (0: none)."""

_INHERITED: Final = os.environ.get(JOB_VARIABLE)
_NO_NAME: Final = frozenset({"", "none"})
_SLURM: Final = ("SLURM_CLUSTER_NAME", "SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_ARRAY_TASK_ID")
_taken = count()
_jobs: dict[int, str] = {}
"""By process, as a forked child has its parent's: its job, by the id of the first run."""
_GATHERING_SECONDS: Final = 5.0
"""How far apart the processes of a job may begin although one of them has ended already, as tiny ones do."""
_open: list[str] = []
"""What was said of runs that are open, the newest last."""


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
    if not is_id(run_id) or not owner.isdecimal() or int(owner) == os.getpid():
        return None
    return Job(run_id, int(owner))


def _is_ours(job: Job) -> bool:
    """Tell whether it was said to this process: a launcher that stands in between begins a job of its own."""
    return job.owner in {0, os.getppid(), _parent_of_worker()}


def _parent_of_worker() -> int | None:
    """Return the process that started this one with `multiprocessing`, which may have gone through a fork server."""
    module = sys.modules.get("multiprocessing.process")
    parent = module.parent_process() if module is not None else None
    return parent.pid if parent is not None else None


def announce(run_id: str, *, is_open: bool = False) -> None:
    """Tell the children of this process which run they belong to."""
    os.environ[JOB_VARIABLE] = f"{run_id} {os.getpid()}"
    if is_open:
        _open.append(os.environ[JOB_VARIABLE])


def withdraw(run_id: str) -> None:
    """Take that back when the run has ended; what was said before, of a run around it, counts again."""
    said = f"{run_id} {os.getpid()}"
    _open[:] = [other for other in _open if other != said and other.endswith(f" {os.getpid()}")]
    if os.environ.get(JOB_VARIABLE) == said:
        del os.environ[JOB_VARIABLE]
        before = _open[-1] if _open else _INHERITED
        if before is not None:
            os.environ[JOB_VARIABLE] = before


def shared_run_id(place: ProcessRank) -> str | None:
    """Return the id of the next run that this process shares with the others of its job.

    The n-th run of each process is the same one, as all of them run the same program.

    Returns:
        None if it shares none: it is alone, or nothing tells who the others are.
    """
    if place.world_size < 2:
        return None
    number, job = next(_taken), current_job()
    if job is not None and _is_ours(job):
        if number == 0:
            return job.run_id
        # The owner counts its own runs, and those after the first are not known here.
        return None if job.owner else _computed(f"{job.run_id} {number}")
    name = _shared_name(os.environ, place)
    if name is not None:
        return _computed(f"{name} {number}")
    if place.node:  # What the processes of one machine agree on, those of the first one do not know.
        return None
    return _agreed(place, number)


def _shared_name(environ: Mapping[str, str], place: ProcessRank) -> str | None:
    """Return the name that a job on several machines has on each of them."""
    slurm = " ".join(environ.get(part, "") for part in _SLURM)
    elastic = environ.get("TORCHELASTIC_RUN_ID")
    if elastic is None:
        return f"slurm {slurm}" if _is_slurm_task(environ, place) else None
    if not place.node and environ.get("GROUP_WORLD_SIZE", "1") in {"", "1"}:
        return None
    master = environ.get("MASTER_ADDR", "")
    if "SLURM_JOB_ID" in environ:
        return f"torchelastic {elastic} {master} slurm {slurm}"
    # The same name may be given to one job after the other, but each finds another free port.
    return None if elastic in _NO_NAME else f"torchelastic {elastic} {master} {environ.get('MASTER_PORT', '')}"


def _is_slurm_task(environ: Mapping[str, str], place: ProcessRank) -> bool:
    """Tell whether srun has started this process: the variables reach whatever else runs in an allocation, too."""
    return "SLURM_STEP_ID" in environ and environ.get("SLURM_PROCID") == str(place.rank)


def _computed(name: str, at: float = 0.0) -> str:
    """Return an id that is the same wherever it is computed; the time in it is 1970 where none is known everywhere."""
    return id_of_number((round(at * 1000) << 80) | int.from_bytes(hashlib.sha256(name.encode()).digest()[:10], "big"))


def _launcher(place: ProcessRank) -> str:
    """Return what the processes of a launcher have in common: its process, named so that no later one is the same."""
    # Without numbers from a launcher, rank 0 has started the others itself, as Lightning does.
    launcher = os.getppid() if place.rank or is_numbered(os.environ) else os.getpid()
    return f"{_boot_id()} {launcher} {_began(launcher)} {os.environ.get('TORCHELASTIC_RUN_ID', '')}"


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _began(process: int) -> str:
    """Return when a process that lives began, in clock ticks since boot; empty for one that does not live."""
    try:
        # Field 22 of the line, of which field 2, the name in brackets, may hold anything.
        fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]


def _agreed(place: ProcessRank, number: int) -> str:
    """Return the id of the run of this number in the job that this process belongs to."""
    if os.getpid() not in _jobs:
        launcher = _launcher(place)
        try:
            _jobs[os.getpid()] = _joined(_folder() / hashlib.sha256(launcher.encode()).hexdigest()[:32], place.rank)
        except OSError:
            _jobs[os.getpid()] = _computed(launcher)
    job = _jobs[os.getpid()]
    return job if number == 0 else _computed(f"{job} {number}", at=id_time(job))


def _joined(path: Path, rank: int) -> str:
    """Return the job that this process joins among those of its launcher: the newest one, or else one of its own.

    A launcher that starts processes of the same ranks again, as a shell or a notebook may, has begun another job. So
    it has where processes of the newest one are gone for a while, since those of a job live together; only torchelastic
    restarts them, and goes on with the same job.

    Args:
        path: The list of who has joined what, one for each launcher: job, rank, process, and when that began.
    """
    with path.open("a+", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        members = [_Member(*line.split()) for line in file if len(line.split()) == len(_Member._fields)]
        newest = [member for member in members if member.job == members[-1].job]
        job = newest[0].job if newest and _takes(newest, rank) else new_id()
        file.write(f"{job} {rank} {os.getpid()} {_began(os.getpid())}\n")
    return job


class _Member(NamedTuple):
    job: str
    rank: str
    process: str
    began: str


def _takes(members: list[_Member], rank: int) -> bool:
    """Tell whether a job with these members may have one of this rank as well."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return True
    live = all(_began(int(member.process)) == member.began for member in members)
    young = time.time() - id_time(members[0].job) < _GATHERING_SECONDS
    return (live or young) and str(rank) not in {member.rank for member in members}


def _folder() -> Path:
    folder = Path(tempfile.gettempdir()) / f"tracklib-jobs-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to somebody else")
    return folder
