"""Which process of a job this is, by what each launcher says."""

from __future__ import annotations

import subprocess
import sys

import pytest

import tracklib
from tracklib.ranks import ProcessRank, is_numbered, process_rank

ALONE = ProcessRank()

LAUNCHERS = {
    "torchrun": (
        {"RANK": "5", "LOCAL_RANK": "1", "WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4", "GROUP_RANK": "1"},
        ProcessRank(rank=5, local_rank=1, world_size=8, node=1),
    ),
    "lightning": (
        {"LOCAL_RANK": "1", "NODE_RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"},
        ProcessRank(rank=1, local_rank=1, world_size=2),
    ),
    "a local rank alone": ({"LOCAL_RANK": "3"}, ProcessRank(rank=3, local_rank=3, world_size=4)),
    "a local rank on the second machine": (
        {"LOCAL_RANK": "1", "NODE_RANK": "1", "LOCAL_WORLD_SIZE": "2", "WORLD_SIZE": "4"},
        ProcessRank(rank=3, local_rank=1, world_size=4, node=1),
    ),
    "slurm": (
        {
            "SLURM_PROCID": "3",
            "SLURM_LOCALID": "1",
            "SLURM_NTASKS": "4",
            "SLURM_NODEID": "1",
            "SLURM_JOB_NAME": "train",
        },
        ProcessRank(rank=3, local_rank=1, world_size=4, node=1),
    ),
    "slurm with torchrun on each machine": (
        {
            "SLURM_PROCID": "1",
            "SLURM_LOCALID": "0",
            "SLURM_NTASKS": "2",
            "SLURM_NODEID": "1",
            "RANK": "7",
            "LOCAL_RANK": "3",
            "WORLD_SIZE": "8",
            "GROUP_RANK": "1",
        },
        ProcessRank(rank=7, local_rank=3, world_size=8, node=1),
    ),
    "open mpi": (
        {
            "OMPI_COMM_WORLD_RANK": "3",
            "OMPI_COMM_WORLD_LOCAL_RANK": "1",
            "OMPI_COMM_WORLD_SIZE": "4",
            "OMPI_COMM_WORLD_LOCAL_SIZE": "2",
        },
        ProcessRank(rank=3, local_rank=1, world_size=4, node=1),
    ),
    "mpich": (
        {"PMI_RANK": "1", "PMI_SIZE": "2", "MPI_LOCALRANKID": "1"},
        ProcessRank(rank=1, local_rank=1, world_size=2),
    ),
    "mvapich": (
        {"MV2_COMM_WORLD_RANK": "1", "MV2_COMM_WORLD_SIZE": "2", "MV2_COMM_WORLD_LOCAL_RANK": "1"},
        ProcessRank(rank=1, local_rank=1, world_size=2),
    ),
    "lsf": (
        {"JSM_NAMESPACE_RANK": "1", "JSM_NAMESPACE_SIZE": "2", "JSM_NAMESPACE_LOCAL_RANK": "1"},
        ProcessRank(rank=1, local_rank=1, world_size=2),
    ),
    "one process of torchrun": ({"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1"}, ALONE),
    "a world that is too small": ({"RANK": "3", "WORLD_SIZE": "2"}, ProcessRank(rank=3, world_size=4)),
    "nothing": ({}, ALONE),
    "none, as a number": ({"LOCAL_RANK": "-1", "RANK": "-1", "WORLD_SIZE": "-1"}, ALONE),
    "none before another": ({"RANK": "-1", "PMI_RANK": "1"}, ProcessRank(rank=1, world_size=2)),
    "no numbers": ({"RANK": "", "LOCAL_RANK": "first", "WORLD_SIZE": "²", "NODE_RANK": "1.5"}, ALONE),
    "a job of one task": ({"SLURM_PROCID": "0", "SLURM_NTASKS": "1", "SLURM_JOB_NAME": "train"}, ALONE),
    "a job that says no number of tasks": ({"SLURM_PROCID": "1", "SLURM_NODEID": "1"}, ALONE),
    "a shell": ({"SLURM_PROCID": "1", "SLURM_NTASKS": "2", "SLURM_JOB_NAME": "bash"}, ALONE),
    "another shell": ({"SLURM_PROCID": "1", "SLURM_NTASKS": "2", "SLURM_JOB_NAME": "interactive"}, ALONE),
    "torchrun in a shell": (
        {
            "SLURM_PROCID": "0",
            "SLURM_NTASKS": "2",
            "SLURM_JOB_NAME": "bash",
            "RANK": "1",
            "LOCAL_RANK": "1",
            "WORLD_SIZE": "2",
        },
        ProcessRank(rank=1, local_rank=1, world_size=2),
    ),
}

INITIALISED = """
import os, sys
import torch.distributed as dist
from torch.testing._internal.distributed import fake_pg
import tracklib

if len(sys.argv) > 1:
    os.environ.update(RANK="0", WORLD_SIZE="1")
store = dist.HashStore()
dist.init_process_group("fake", rank=2, world_size=4, store=store)
print(tracklib.process_rank())
print(tracklib.process_rank({"RANK": "1"}))
dist.destroy_process_group()
print(tracklib.process_rank().world_size)
"""


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_each_launcher_is_understood(launcher: str) -> None:
    """The variables that it sets give the place of a process; those that say nothing, or are of a shell, do not."""
    variables, expected = LAUNCHERS[launcher]

    assert process_rank(variables) == expected


def test_the_own_environment_is_asked_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is at the time of the call."""
    before = tracklib.process_rank()
    monkeypatch.setenv("RANK", "1")

    assert (before.rank, tracklib.process_rank().rank) == (0, 1)


@pytest.mark.parametrize("words", [[], ["with variables"]], ids=["without variables", "against variables"])
def test_torch_knows_best(words: list[str]) -> None:
    """Where a process group is set up, it counts; once it is gone, and for a given environment, it does not."""
    pytest.importorskip("torch")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", INITIALISED, *words], capture_output=True, text=True, check=True
    )

    assert done.stdout.splitlines() == [
        "ProcessRank(rank=2, local_rank=0, world_size=4, node=0)",
        "ProcessRank(rank=1, local_rank=0, world_size=2, node=0)",
        "1",
    ]


def test_torch_is_not_imported_for_it() -> None:
    """A program without torch stays without."""
    program = "import sys, tracklib; tracklib.process_rank(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "False\n"


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"RANK": "0", "LOCAL_RANK": "0"}, True),
        ({"LOCAL_RANK": "0", "NODE_RANK": "0"}, False),
        ({"LOCAL_RANK": "0", "SLURM_PROCID": "0", "SLURM_NTASKS": "1"}, False),
        ({}, True),
    ],
    ids=["torchrun", "lightning", "lightning in an allocation", "torch alone"],
)
def test_who_gave_the_ranks_is_told(variables: dict[str, str], expected: bool) -> None:
    """Lightning starts its processes itself and gives them local ranks only."""
    assert is_numbered(variables) is expected
