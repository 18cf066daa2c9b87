"""Which GPUs are found: the real pynvml and our code, in processes that find a stand-in for NVIDIA's library."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Ask = Callable[..., Any]

FIRST = "GPU-000000a0-aaaa-bbbb-cccc-000000000000"
SECOND = "GPU-000000a1-aaaa-bbbb-cccc-000000000000"
INSTANCE = "MIG-000000b1-aaaa-bbbb-cccc-000000000002"

INVENTORY = """
found = visible_gpus()
answer = [[gpu.uuid for gpu in found.gpus], [gpu.index for gpu in found.gpus], found.physical_indices]
"""


def test_two_gpus(ask: Ask) -> None:
    """Name, memory, driver and CUDA version are told."""
    answer = ask(
        """
found = visible_gpus()
answer = [[(gpu.uuid, gpu.name, gpu.index, gpu.memory_bytes, gpu.mig) for gpu in found.gpus]]
answer += [found.driver_version, found.cuda_version, found.problem]
""",
        STUB_GPUS="2",
    )

    gpus, driver, cuda, problem = answer
    assert gpus == [[FIRST, "Stub GPU", 0, 80 << 30, False], [SECOND, "Stub GPU", 1, 80 << 30, False]]
    assert (driver, cuda, problem) == ("580.65.06", "13.1", None)


@pytest.mark.parametrize(
    ("variable", "physical"),
    [
        ("1,0", [1, 0]),
        ("1", [1]),
        ("", []),
        ("-1", []),
        ("0,9,1", [0]),
        ("NoDevFiles", []),
        (SECOND, [1]),
        ("GPU-000000a1,GPU-000000a0", [1, 0]),
        ("GPU-000000a", []),
        ("1,1", []),
        (INSTANCE, []),
    ],
)
def test_cuda_visible_devices(ask: Ask, variable: str, physical: list[int]) -> None:
    """The variable chooses and orders GPUs; what is wrong in it ends the list."""
    uuids, indices, physical_indices = ask(INVENTORY, STUB_GPUS="2", CUDA_VISIBLE_DEVICES=variable)

    assert physical_indices == physical
    assert uuids == [(FIRST, SECOND)[index] for index in physical]
    assert indices == list(range(len(physical)))


@pytest.mark.parametrize(("order", "physical"), [(None, [1, 0]), ("FASTEST_FIRST", [1, 0]), ("PCI_BUS_ID", [0, 1])])
def test_device_order(ask: Ask, order: str | None, physical: list[int]) -> None:
    """Of different GPUs the fastest comes first, unless the order on the bus is asked for."""
    environ = {} if order is None else {"CUDA_DEVICE_ORDER": order}

    assert ask(INVENTORY, STUB_GPUS="2", STUB_NAMES="Small,Large", STUB_CORES="9000", **environ)[2] == physical


@pytest.mark.parametrize(
    ("variable", "expected"),
    [
        (None, [FIRST, "MIG-000000b1-aaaa-bbbb-cccc-000000000000", INSTANCE]),
        (INSTANCE, [INSTANCE]),
        ("MIG-000000b1-aaaa-bbbb-cccc-000000000002,MIG-0", [INSTANCE]),
        (f"MIG-{SECOND}/9/0", [INSTANCE]),
        ("MIG-000000b1", []),
        ("1", ["MIG-000000b1-aaaa-bbbb-cccc-000000000000", INSTANCE]),
        ("GPU-000000a1", ["MIG-000000b1-aaaa-bbbb-cccc-000000000000", INSTANCE]),
    ],
)
def test_mig_instances(ask: Ask, variable: str | None, expected: list[str]) -> None:
    """A divided GPU is replaced by its instances, which have UUIDs of their own."""
    environ = {} if variable is None else {"CUDA_VISIBLE_DEVICES": variable}

    assert ask(INVENTORY, STUB_GPUS="2", STUB_MIG="1:2", **environ)[0] == expected


@pytest.mark.parametrize("code", [9, 12])
def test_no_driver(ask: Ask, code: int) -> None:
    """A machine without a driver has no GPUs and no problem."""
    script = "sampler = GpuSampler(); answer = [visible_gpus().gpus, visible_gpus().problem, sampler.sample()]"

    assert ask(script, STUB_INIT=str(code)) == [[], None, {}]


def test_no_library(ask: Ask, tmp_path: Path) -> None:
    """Without NVIDIA's library nothing is found, and neither pynvml nor torch is imported."""
    answer = ask(
        """
sampler = GpuSampler()
found = visible_gpus()
answer = [found.gpus, found.problem, sampler.sample(), list({"pynvml", "torch"} & set(sys.modules))]
""",
        folder=tmp_path,
    )

    assert answer == [[], None, {}, []]


def test_missing_package(ask: Ask) -> None:
    """A driver without pynvml is a problem that says what to install."""
    assert "pip install nvidia-ml-py" in ask("sys.modules['pynvml'] = None; answer = visible_gpus().problem")


@pytest.mark.parametrize(("code", "words"), [(18, "restart the machine"), (999, "Unknown Error")])
def test_broken_driver(ask: Ask, code: int, words: str) -> None:
    """A driver that is there but does not work is a problem that is told in words, and warned of."""
    problem, gpus, warnings = ask(
        "GpuSampler(); found = visible_gpus(); answer = [found.problem, found.gpus, kept.warnings]", STUB_INIT=str(code)
    )

    assert words in problem
    assert gpus == []
    assert len(warnings) == 1
    assert problem in warnings[0]


def test_gpu_lost_from_the_start(ask: Ask) -> None:
    """The other GPUs are found although one does not answer."""
    uuids, problem = ask(
        "found = visible_gpus(); answer = [[gpu.uuid for gpu in found.gpus], found.problem]",
        STUB_GPUS="2",
        STUB_LOST="0:15:0",
    )

    assert uuids == [SECOND]
    assert problem == "GPU 0 does not answer: GPU is lost"


def test_gpu_of_somebody_else(ask: Ask) -> None:
    """A GPU that may not be used is not counted, as CUDA does not count it."""
    answer = ask(INVENTORY, STUB_GPUS="2", STUB_FAIL="nvmlDeviceGetHandleByIndex_v2@0=4", CUDA_VISIBLE_DEVICES="0")

    assert answer == [[SECOND], [0], [1]]
