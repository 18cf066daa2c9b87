"""What GPUs tell: the real pynvml and our code, in processes that find a stand-in for NVIDIA's library."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Ask = Callable[..., Any]

INSTANCE = "MIG-000000b1-aaaa-bbbb-cccc-000000000002"


def test_mig_sample(ask: Ask) -> None:
    """An instance tells its own memory, and what it shares with others apart from that; use only from the counters."""
    script = """
sampler = GpuSampler(clock=clock)
clock.now += 10
sample = sampler.sample()
answer = pick(sample, "0/mem_total_bytes", "0/power_w", "0/energy_j", "0/parent/power_w", "0/util_pct")
"""
    environ = {"STUB_GPUS": "2", "STUB_MIG": "1:2", "CUDA_VISIBLE_DEVICES": INSTANCE}

    assert ask(script, **environ) == [5 << 30, None, None, 250.0, None]
    assert ask(script, **environ, STUB_GPM="1") == [5 << 30, None, None, 250.0, 1.0]


def test_sample_uses_logical_indices(ask: Ask) -> None:
    """Values stand under the number that CUDA gives a GPU, not under nvidia-smi's."""
    answer = ask(
        """
sample = GpuSampler().sample()
answer = [sorted({name.split("/")[2] for name in sample}), pick(sample, "0/util_pct", "1/util_pct")]
""",
        STUB_GPUS="3",
        CUDA_VISIBLE_DEVICES="2,0",
    )

    assert answer == [["0", "1"], [88.0, 90.0]]


ALL_VALUES = {
    "util_pct": 90.0,
    "mem_util_pct": 40.0,
    "mem_used_bytes": 2 << 30,
    "mem_total_bytes": 80 << 30,
    "mem_used_pct": 2.5,
    "proc_mem_bytes": 0.0,
    "temp_c": 65.0,
    "mem_temp_c": 71.0,
    "power_w": 250.0,
    "power_limit_w": 700.0,
    "energy_j": 2.5,
    "sm_clock_mhz": 1980.0,
    "mem_clock_mhz": 2619.0,
    "throttle": 0x21,
    "throttle_thermal": 1.0,
    "throttle_power": 0.0,
    "ecc_corrected": 12.0,
    "ecc_uncorrected": 1.0,
    "remapped_rows": 3.0,
    "fan_pct": 33.0,
    "nvlink_sent_bytes_per_s": 10 * 1024.0,
    "nvlink_received_bytes_per_s": 20 * 1024.0,
    "sm_active_pct": 2.0,
    "tensor_active_pct": 5.0,
    "dram_active_pct": 10.0,
    "pcie_sent_bytes_per_s": 20.0 * (1 << 20),
    "pcie_received_bytes_per_s": 21.0 * (1 << 20),
}


def test_all_values(ask: Ask) -> None:
    """Every value that NVML can give arrives in the unit of its name, and each name is described."""
    sample, unknown = ask(
        """
from tracklib.capture.units import describe_metric
sampler = GpuSampler(clock=clock)
clock.now += 10
os.environ.update(STUB_NVLINK_KIB="1100", STUB_ENERGY_MJ="5002500")
sample = sampler.sample()
answer = [sample, [name for name in sample if describe_metric(name) is None]]
""",
        STUB_GPM="1",
        STUB_NVLINK_KIB="1000",
        STUB_THROTTLE=str(0x20 | 0x1),
    )

    assert unknown == []
    assert {name.removeprefix("system/gpu/0/"): value for name, value in sample.items()} == ALL_VALUES


def test_not_supported_is_asked_once(ask: Ask) -> None:
    """A GPU that refused a metric is not asked for it again; the other GPU and the other metrics go on."""
    counts, sample = ask(
        """
sampler = GpuSampler()
counts = []
for _ in range(3):
    sample = sampler.sample()
    counts.append([calls("nvmlDeviceGetFanSpeed"), calls("nvmlDeviceGetPowerUsage")])
answer = [counts, pick(sample, "0/fan_pct", "1/fan_pct", "0/power_w")]
""",
        STUB_GPUS="2",
        STUB_FAIL="nvmlDeviceGetFanSpeed@0=3",
    )

    assert sample == [None, 33.0, 250.0]
    assert counts == [[3, 4], [4, 6], [5, 8]]


def test_old_driver(ask: Ask) -> None:
    """What a driver's library lacks is read by the older function."""
    functions = "MemoryInfo_v2", "TemperatureV", "CurrentClocksEventReasons", "ComputeRunningProcesses_v3"
    answer = ask(
        """
os.environ["STUB_PROCESSES"] = f"0/{os.getpid()}/5000"
answer = pick(GpuSampler().sample(), "0/mem_used_bytes", "0/temp_c", "0/throttle_power", "0/proc_mem_bytes")
""",
        STUB_FAIL=",".join(f"nvmlDeviceGet{function}=13" for function in functions),
        STUB_THROTTLE="4",
    )

    assert answer == [3 << 30, 64.0, 1.0, 5000.0]


LOSE = """
sampler = GpuSampler(clock=clock, retry_s=60)
os.environ["STUB_LOST"] = LOST
answer = []
for moment in range(7):
    if moment == 3:
        del os.environ["STUB_LOST"]
    sample = sampler.sample()
    answer.append(pick(sample, "0/util_pct", "1/util_pct"))
    clock.now += 30
answer = [answer, len(kept.warnings), stub().stub_users()]
"""


@pytest.mark.parametrize("code", [15, 999, 1, 16])
@pytest.mark.parametrize("after", [0, 9])
def test_gpu_lost_and_found(ask: Ask, code: int, after: int) -> None:
    """A GPU that is lost, even in the middle of a sample, is left out with one warning and comes back later."""
    samples, warnings, users = ask(f"LOST = '1:{code}:{after}'\n{LOSE}", STUB_GPUS="2")

    # The attempt after 60 s fails, since it is still lost; the next one is due 120 s later.
    assert samples == [[90.0, None]] * 6 + [[90.0, 89.0]]
    assert (warnings, users) == (1, 1)


def test_lost_gpu_comes_back(ask: Ask) -> None:
    """Under its old number, with its energy counted on."""
    answer = ask(
        """
sampler = GpuSampler(clock=clock, retry_s=60)
os.environ["STUB_LOST"] = "0:15:0"
lost = sampler.sample()
del os.environ["STUB_LOST"]
os.environ["STUB_ENERGY_MJ"] = "5009000"
clock.now += 61
back = sampler.sample()
answer = [pick(lost, "0/power_w", "1/power_w"), pick(back, "0/power_w", "0/energy_j", "1/energy_j")]
""",
        STUB_GPUS="2",
    )

    assert answer == [[None, 250.0], [250.0, 9.0, 9.0]]


def test_nvml_shut_down_by_another(ask: Ask) -> None:
    """A library that shuts NVML down once too often costs samples, not the run."""
    answer = ask(
        """
import pynvml
sampler = GpuSampler(clock=clock, retry_s=60)
pynvml.nvmlShutdown()
gone = sampler.sample()
clock.now += 61
answer = [gone, pick(sampler.sample(), "0/power_w"), len(kept.warnings)]
"""
    )

    assert answer == [{}, [250.0], 1]


def test_unknown_error_of_one_metric(ask: Ask) -> None:
    """A driver that says "unknown error" for one metric, and answers otherwise, loses that metric alone."""
    answer = ask(
        "sampler = GpuSampler(); answer = [pick(sampler.sample(), '0/fan_pct', '0/power_w'), kept.warnings]",
        STUB_FAIL="nvmlDeviceGetFanSpeed=999",
    )

    assert answer == [[None, 250.0], []]


def test_passing_error(ask: Ask) -> None:
    """A metric that timed out is left out once and asked for again."""
    answer = ask(
        """
sampler = GpuSampler()
os.environ["STUB_FAIL"] = "nvmlDeviceGetFanSpeed=10"
late = sampler.sample()
del os.environ["STUB_FAIL"]
answer = pick(late, "0/fan_pct") + pick(sampler.sample(), "0/fan_pct")
"""
    )

    assert answer == [None, 33.0]


def test_process_memory_of_the_tree(ask: Ask) -> None:
    """The memory of this process and of its child is counted, that of a stranger is not."""
    answer = ask(
        """
child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
mine, its = os.getpid(), child.pid
os.environ["STUB_PROCESSES"] = f"0/{mine}/1000,0/{its}/200,0/{os.getppid()}/5,1/{its}/30"
sampler = GpuSampler()
answer = pick(sampler.sample(), "0/proc_mem_bytes", "1/proc_mem_bytes", "2/proc_mem_bytes")
child.communicate(b"\\n")
""",
        STUB_GPUS="3",
    )

    assert answer == [1200.0, 30.0, 0.0]


def test_process_memory_of_an_instance(ask: Ask) -> None:
    """An instance lists the processes that run in it."""
    answer = ask(
        """
os.environ["STUB_PROCESSES"] = f"0.0/{os.getpid()}/1000,0/{os.getpid()}/9999"
answer = pick(GpuSampler().sample(), "0/proc_mem_bytes", "1/proc_mem_bytes")
""",
        STUB_MIG="0:2",
    )

    assert answer == [1000.0, 0.0]


STRANGERS = "0/4294967295/700,0/0/800,0/2000000000/900"


def test_process_memory_in_a_container(ask: Ask) -> None:
    """Where the driver's ids mean nothing here, no number is better than zero."""
    assert ask("answer = pick(GpuSampler().sample(), '0/proc_mem_bytes')", STUB_PROCESSES=STRANGERS) == [None]


def test_process_memory_from_torch(ask: Ask) -> None:
    """In a container torch tells what it has reserved, if it uses the GPU already."""
    script = """
class Cuda:
    in_use = False
    is_initialized = staticmethod(lambda: Cuda.in_use)
    device_count = staticmethod(lambda: 1)
    memory_reserved = staticmethod(lambda index: 4096)
class Torch:
    cuda = Cuda
sys.modules["torch"] = Torch
sampler = GpuSampler()
before = sampler.sample()
Cuda.in_use = True
answer = pick(before, "0/proc_mem_bytes") + pick(sampler.sample(), "0/proc_mem_bytes")
"""

    assert ask(script, STUB_PROCESSES=STRANGERS) == [None, 4096.0]


def test_hidden_process_memory(ask: Ask) -> None:
    """A share that the driver keeps to itself is left out."""
    script = """
os.environ["STUB_PROCESSES"] = f"0/{os.getpid()}/?"
answer = pick(GpuSampler().sample(), "0/proc_mem_bytes")
"""

    assert ask(script) == [None]


def test_energy_without_a_counter(ask: Ask) -> None:
    """The power is integrated where there is no counter, but not over a time in which nothing was read."""
    answer = ask(
        """
sampler = GpuSampler(clock=clock, retry_s=60)
energy = []
for power in (250_000, 350_000):
    clock.now += 10
    os.environ["STUB_POWER_MW"] = str(power)
    energy += pick(sampler.sample(), "0/energy_j")
os.environ["STUB_LOST"] = "0:15:0"
sampler.sample()
del os.environ["STUB_LOST"]
for _ in range(2):
    clock.now += 100
    energy += pick(sampler.sample(), "0/energy_j")
answer = energy
""",
        STUB_FAIL="nvmlDeviceGetTotalEnergyConsumption=3",
    )

    assert answer == [2500.0, 5500.0, 5500.0, 40500.0]


def test_close(ask: Ask) -> None:
    """NVML is given back once, however often it is closed; nothing is sampled after that."""
    answer = ask(
        """
sampler = GpuSampler()
used = [stub().stub_users(), stub().stub_snapshots()]
sampler.close()
sampler.close()
answer = [used, stub().stub_users(), stub().stub_snapshots(), sampler.sample()]
""",
        STUB_GPM="1",
    )

    assert answer == [[1, 2], 0, 0, {}]


def test_forked_child_is_silent(ask: Ask) -> None:
    """A child that was forked off gets no values and does not touch its parent's NVML."""
    answer = ask(
        """
sampler = GpuSampler()
child = os.fork()
if not child:
    silent = sampler.sample() == {}
    sampler.close()
    os._exit(0 if silent and stub().stub_users() == 1 else 1)
answer = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), len(sampler.sample()) > 0]
"""
    )

    assert answer == [0, True]


def test_system_monitor_with_gpus(ask: Ask) -> None:
    """A run's samples hold its GPUs' values, and its resources their hours, energy and cost."""
    answer = ask(
        """
from tracklib.capture.system import SystemMonitor, SystemSampler
from tracklib.settings import Prices
seen = []
def log(values, n):
    seen.append(pick(values, "0/power_w", "1/power_w"))
    os.environ["STUB_ENERGY_MJ"] = "1805000000"
sampler = SystemSampler()
monitor = SystemMonitor(log, interval_s=1000, sampler=sampler, prices=Prices(energy_kwh=0.5))
monitor.start()
used = monitor.stop(timeout_s=100)
sampler.close()
answer = [seen, used.energy_kwh, used.cost, used.gpu_hours > 0, used.gpu_hours < 1]
""",
        STUB_GPUS="2",
    )

    # Two GPUs, each of which used 1.8 MJ, half a kilowatt-hour.
    assert answer == [[[250.0, 250.0]] * 2, 1.0, 0.5, True, True]
