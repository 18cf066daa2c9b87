"""Which process of a distributed job this is, by the environment variables of its launcher and by torch.

The variables are those that Lightning, accelerate and torch read: of torchrun, Slurm, Open MPI, MPICH, MVAPICH and
LSF. They are looked at without importing anything.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["ProcessRank", "is_numbered", "process_rank"]

_RANK: Final = ("RANK", "PMI_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK")
_WORLD: Final = (
    "WORLD_SIZE",
    "PMI_SIZE",
    "OMPI_COMM_WORLD_SIZE",
    "MV2_COMM_WORLD_SIZE",
    "SLURM_NTASKS",
    "JSM_NAMESPACE_SIZE",
)
_LOCAL: Final = (
    "LOCAL_RANK",
    "MPI_LOCALRANKID",
    "OMPI_COMM_WORLD_LOCAL_RANK",
    "MV2_COMM_WORLD_LOCAL_RANK",
    "SLURM_LOCALID",
    "JSM_NAMESPACE_LOCAL_RANK",
)
_LOCAL_WORLD: Final = ("LOCAL_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_SIZE", "MV2_COMM_WORLD_LOCAL_SIZE")
_NODE: Final = ("GROUP_RANK", "NODE_RANK", "SLURM_NODEID")
_INTERACTIVE: Final = frozenset({"bash", "interactive"})
"""Names of Slurm jobs that are a shell: what is typed there is no task of a job, whatever the variables say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessRank:
    """The place of a process in its job.

    Attributes:
        rank: Its number in the job, from 0; rank 0 is the one that speaks for all.
        local_rank: Its number on its machine, from 0.
        world_size: How many processes the job has; 1 for a program of its own.
        node: The number of its machine, from 0.
    """

    rank: int = 0
    local_rank: int = 0
    world_size: int = 1
    node: int = 0


def process_rank(environ: Mapping[str, str] | None = None) -> ProcessRank:
    """Return the place of this process in its job: as torch knows it where it is set up, else as the launcher says.

    Args:
        environ: The environment variables; the process's by default, and only then torch is asked.

    Raises:
        TypeError: `environ` is no mapping.

    Example:
        >>> process_rank({"RANK": "3", "LOCAL_RANK": "1", "WORLD_SIZE": "4", "GROUP_RANK": "1"})
        ProcessRank(rank=3, local_rank=1, world_size=4, node=1)
        >>> process_rank({})
        ProcessRank(rank=0, local_rank=0, world_size=1, node=0)
    """
    if environ is not None and not isinstance(environ, Mapping):
        raise TypeError(f"environ is {environ!r:.200}, but takes a mapping of names to texts")
    variables = _said_to_tasks(os.environ if environ is None else environ)
    local = _first(variables, _LOCAL) or 0
    per_node = _first(variables, _LOCAL_WORLD) or 0
    node, rank = _first(variables, _NODE), _first(variables, _RANK)
    if node is None:  # MPI does not say it, but fills one machine after the other.
        node = (rank or 0) // per_node if per_node else 0
    if rank is None:  # Lightning starts its processes with a local rank and the number of the machine only.
        rank = node * (per_node or 1) + local
    world = max(_first(variables, _WORLD) or 1, rank + 1)
    group = _process_group() if environ is None else None
    if group is not None:
        rank, world = int(group.get_rank()), int(group.get_world_size())
    return ProcessRank(rank=rank, local_rank=local, world_size=world, node=node)


def _first(variables: Mapping[str, str], names: tuple[str, ...]) -> int | None:
    """Return the number that the first of these variables gives that is set; some launchers set -1 for none."""
    for name in names:
        text = variables.get(name, "").strip()
        if text.isdecimal():
            return int(text)
    return None


def is_numbered(environ: Mapping[str, str]) -> bool:
    """Tell whether a launcher has given the processes of a job their ranks.

    Example:
        >>> is_numbered({"RANK": "0"}), is_numbered({"LOCAL_RANK": "0"})
        (True, False)
    """
    variables = _said_to_tasks(environ)
    return _first(variables, _RANK) is not None or _first(variables, _LOCAL) is None


def _said_to_tasks(variables: Mapping[str, str]) -> Mapping[str, str]:
    """Return the variables without those of Slurm where there is one task only, or a shell."""
    several = (_first(variables, ("SLURM_NTASKS",)) or 1) > 1
    if several and variables.get("SLURM_JOB_NAME") not in _INTERACTIVE:
        return variables
    return {name: value for name, value in variables.items() if not name.startswith("SLURM_")}


def _process_group() -> Any | None:
    distributed = sys.modules.get("torch.distributed")
    try:
        ready = distributed is not None and distributed.is_available() and distributed.is_initialized()
    except Exception:  # noqa: BLE001 - torch may be half imported by another thread
        return None
    return distributed if ready else None
