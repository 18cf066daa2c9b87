"""What a run used, added up from samples."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracklib.capture.resources import ResourceMeter
from tracklib.model import Resources
from tracklib.settings import Prices

CPU_TIME = "system/cpu/proc_time_s"
CPU_UTIL = "system/cpu/proc_util_pct"
RSS = "system/memory/proc_rss_bytes"
HOUR = 3600.0


def total(*samples: dict[str, float], prices: Prices | None = None, storage_bytes: int = 0) -> Resources:
    """Add samples that were taken an hour apart."""
    meter = ResourceMeter(prices)
    for n, sample in enumerate(samples):
        meter.add(sample, at=1000 + n * HOUR)
    return meter.total(storage_bytes)


def test_nothing_sampled() -> None:
    """Without a sample only the storage is known."""
    assert total(storage_bytes=2_000_000_000) == Resources(storage_gb=2.0)


def test_one_sample() -> None:
    """One sample spans no time."""
    used = total({CPU_TIME: 50.0, RSS: 1e9, "system/gpu/0/energy_j": 7.0})

    assert used == Resources(gpu_hours=0.0, cpu_hours=0.0, memory_gb_hours=0.0, storage_gb=0.0, energy_kwh=0.0)


def test_cpu_hours_from_the_counter() -> None:
    """CPU time is counted from the first sample; the share in percent is not looked at."""
    assert total({CPU_TIME: 100.0}, {CPU_TIME: 7300.0, CPU_UTIL: 1.0}).cpu_hours == 2.0


def test_cpu_hours_from_the_share() -> None:
    """Without a counter each share holds for the time since the sample before."""
    assert total({}, {CPU_UTIL: 150.0}, {CPU_UTIL: 50.0}).cpu_hours == 2.0


def test_counter_that_begins_anew() -> None:
    """A counter that fell began at zero."""
    assert total({CPU_TIME: 100.0}, {CPU_TIME: 3700.0}, {CPU_TIME: 1800.0}).cpu_hours == 1.5


def test_memory_between_samples() -> None:
    """Between two samples memory is taken to change evenly."""
    assert total({RSS: 0.0}, {RSS: 4e9}, {RSS: 2e9}).memory_gb_hours == 5.0


def test_gpu_hours() -> None:
    """Each GPU that was seen counts for all the time, also while it is lost."""
    both = {"system/gpu/0/util_pct": 0.0, "system/gpu/11/parent/power_w": 1.0}

    assert total(both, {"system/gpu/0/util_pct": 9.0}, both).gpu_hours == 4.0
    assert total({}, {}).gpu_hours == 0.0


def test_energy() -> None:
    """All GPUs' energy is added; a GPU that was away for a sample is counted on; that of a divided GPU is not ours."""
    first = {"system/gpu/0/energy_j": 0.0, "system/gpu/1/energy_j": 0.0, "system/gpu/2/parent/energy_j": 0.0}
    last = {"system/gpu/0/energy_j": 1.8e6, "system/gpu/1/energy_j": 3.6e6, "system/gpu/2/parent/energy_j": 9e9}

    assert total(first, {"system/gpu/1/energy_j": 1.8e6}, last).energy_kwh == 1.5
    assert total({}, {}).energy_kwh is None


def test_cost() -> None:
    """The cost is the sum of prices times amounts; it is None when nothing has a price."""
    samples: list[dict[str, float]] = [{CPU_TIME: 0.0, RSS: 2e9}, {CPU_TIME: HOUR, RSS: 2e9}]
    prices = Prices(gpu_hour=99.0, cpu_hour=1.0, memory_gb_hour=0.25, storage_gb=0.5, energy_kwh=9.0)

    assert total(*samples, prices=prices, storage_bytes=4_000_000_000).cost == pytest.approx(1.0 + 0.5 + 2.0)
    assert total(*samples).cost is None


def test_clock_that_stands_still() -> None:
    """Samples at one moment, or in the wrong order, take no time away."""
    meter = ResourceMeter()
    for at in (HOUR, HOUR, 0.0, 2 * HOUR):
        meter.add({RSS: 1e9, "system/gpu/0/util_pct": 1.0}, at=at)

    assert meter.total().gpu_hours == 1.0
    assert meter.total().memory_gb_hours == 1.0


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1e15), st.floats(0, 1e12), st.floats(0, 1e6)), max_size=20))
def test_never_falls(samples: list[tuple[float, float, float, float]]) -> None:
    """Whatever counters and clocks do, what was used never falls and is never negative."""
    meter, before = ResourceMeter(), Resources(gpu_hours=0, cpu_hours=0, memory_gb_hours=0, energy_kwh=0)
    for cpu, rss, energy, at in samples:
        meter.add({CPU_TIME: cpu, RSS: rss, "system/gpu/0/energy_j": energy}, at=at)
        now = meter.total()
        for name in ("gpu_hours", "cpu_hours", "memory_gb_hours", "energy_kwh"):
            assert getattr(now, name) >= getattr(before, name)
        before = now
