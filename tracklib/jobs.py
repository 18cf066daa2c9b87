"""The one run of all processes of a job.

Rank 0 makes the run, and the others must know which it is. A process that has a run open says so in the environment,
which its children inherit: that is how the processes know that Lightning starts. Those that a launcher starts side by
side (torchrun, accelerate, mpirun) have the launcher in common: the first of them to come makes the id and leaves it in
a file that is named after the launcher. Slurm names its jobs itself, so there the id is computed from that name, on
every machine alike.

A restart of the processes by torchelastic finds the same launcher, so it goes on with the run. Any other launcher that
starts processes of the same ranks again starts another job.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import tempfile
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from tracklib.ranks import is_numbered
from tracklib.records import id_of_number, is_id, new_id

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
_turns: dict[int, int] = {}
"""By process, as a forked child has its parent's: which job of its launcher it belongs to."""
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


def _computed(name: str) -> str:
    """Return an id that is the same wherever it is computed; the time in it is 1970: no other is known everywhere."""
    return id_of_number(int.from_bytes(hashlib.sha256(name.encode()).digest()[:10], "big"))


def _launcher(place: ProcessRank) -> str:
    """Return what the processes of a launcher have in common: its process, named so that no later one is the same."""
    # Without numbers from a launcher, rank 0 has started the others itself, as Lightning does.
    launcher = os.getppid() if place.rank or is_numbered(os.environ) else os.getpid()
    try:
        # Field 22 of the line is the start, in clock ticks since boot; the name in brackets may hold anything.
        began = Path(f"/proc/{launcher}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except (OSError, IndexError):
        began = boot = ""
    return f"{boot} {launcher} {began} {os.environ.get('TORCHELASTIC_RUN_ID', '')}"


def _agreed(place: ProcessRank, number: int) -> str:
    """Return the id that the first process of this launcher to ask has made for the run of this number."""
    launcher = _launcher(place)
    try:
        folder = _folder()
        if "TORCHELASTIC_RUN_ID" not in os.environ:
            if os.getpid() not in _turns:
                _turns[os.getpid()] = _next_turn(folder / _file_name(launcher), place.rank)
            launcher = f"{launcher} {_turns[os.getpid()]}"
        path = folder / _file_name(f"{launcher} {number}")
        mine = path.with_name(f"{path.name}.{os.getpid()}")
        mine.write_text(new_id(), encoding="ascii")
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(mine)
        mine.unlink()
        text = path.read_text(encoding="ascii")
    except OSError:
        text = ""
    return text if is_id(text) else _computed(f"{launcher} {number}")


def _folder() -> Path:
    folder = Path(tempfile.gettempdir()) / f"tracklib-jobs-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to somebody else")
    return folder


def _file_name(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _next_turn(path: Path, rank: int) -> int:
    """Return how many processes of this rank the launcher has started before: each was of another job."""
    for turn in count():
        with contextlib.suppress(FileExistsError):
            path.with_name(f"{path.name}.rank{rank}.{turn}").touch(exist_ok=False)
            return turn
    raise AssertionError  # Counting has no end.
