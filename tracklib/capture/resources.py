"""Adds samples of system metrics up to what a run used: hours, energy and cost."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from tracklib.model import Resources
from tracklib.settings import Prices

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ResourceMeter"]

_HOUR_S = 3600.0
_GB = 1e9
_JOULES_PER_KWH = 3.6e6
_GPU = re.compile(r"system/gpu/(\d+)/")
_ENERGY = re.compile(r"system/gpu/\d+/energy_j")
_CPU_TIME = "system/cpu/proc_time_s"
_CPU_UTIL = "system/cpu/proc_util_pct"
_RSS = "system/memory/proc_rss_bytes"


@dataclass(frozen=True, slots=True)
class _Usage:
    """Totals so far, and of the newest sample what the next is compared with."""

    began_at: float
    at: float
    gpus: frozenset[str] = frozenset()
    cpu_s: float | None = None
    memory_byte_s: float | None = None
    energy_j: float | None = None
    last_rss: float | None = None
    counters: tuple[tuple[str, float], ...] = ()


class ResourceMeter:
    """Integrates samples over time. One thread adds; any thread may ask for the total at any time.

    Hours are counted from the first sample to the newest. GPUs count as used while they are visible, busy or not.

    Args:
        prices: What resources cost; none by default.

    Example:
        >>> meter = ResourceMeter(Prices(cpu_hour=0.10))
        >>> meter.add({"system/cpu/proc_time_s": 0.0, "system/memory/proc_rss_bytes": 2e9}, at=0.0)
        >>> meter.add({"system/cpu/proc_time_s": 7200.0, "system/memory/proc_rss_bytes": 2e9}, at=3600.0)
        >>> used = meter.total(storage_bytes=5_000_000_000)
        >>> used.cpu_hours, used.memory_gb_hours, used.storage_gb, used.cost
        (2.0, 2.0, 5.0, 0.2)
    """

    def __init__(self, prices: Prices | None = None) -> None:
        self._prices = prices or Prices()
        # Replaced as a whole, never changed: a reader in another thread needs no lock.
        self._usage: _Usage | None = None

    def add(self, sample: Mapping[str, float], at: float) -> None:
        """Take a sample in.

        Args:
            sample: Values by the names of `METRIC_UNITS`; what is missing is not counted.
            at: When it was taken: seconds of a monotonic clock.
        """
        before = self._usage or _Usage(began_at=at, at=at)
        passed_s = max(0.0, at - before.at)
        counters = {name: value for name, value in sample.items() if name == _CPU_TIME or _ENERGY.fullmatch(name)}
        known = dict(before.counters)
        self._usage = replace(
            before,
            at=max(at, before.at),
            gpus=before.gpus | {found[1] for name in sample if (found := _GPU.match(name))},
            cpu_s=_sum(before.cpu_s, _cpu_seconds(sample, known, passed_s)),
            memory_byte_s=_sum(before.memory_byte_s, _area(before.last_rss, sample.get(_RSS), passed_s)),
            energy_j=_sum(before.energy_j, _energy_joules(counters, known)),
            last_rss=sample.get(_RSS, before.last_rss),
            counters=tuple((known | counters).items()),
        )

    def total(self, storage_bytes: int = 0) -> Resources:
        """Return what was used so far; what no sample told of is None.

        Args:
            storage_bytes: What the run has stored.
        """
        usage = self._usage
        used = Resources(storage_gb=storage_bytes / _GB)
        if usage is not None:
            used = replace(
                used,
                gpu_hours=len(usage.gpus) * (usage.at - usage.began_at) / _HOUR_S,
                cpu_hours=_scaled(usage.cpu_s, _HOUR_S),
                memory_gb_hours=_scaled(usage.memory_byte_s, _GB * _HOUR_S),
                energy_kwh=_scaled(usage.energy_j, _JOULES_PER_KWH),
            )
        return replace(used, cost=_cost(used, self._prices))


def _cpu_seconds(sample: Mapping[str, float], known: Mapping[str, float], passed_s: float) -> float | None:
    """Return the CPU time since the sample before: by the counter, else by the use that the sample tells."""
    if _CPU_TIME in sample:
        return _increase(known.get(_CPU_TIME), sample[_CPU_TIME])
    return sample[_CPU_UTIL] / 100 * passed_s if _CPU_UTIL in sample else None


def _energy_joules(counters: Mapping[str, float], known: Mapping[str, float]) -> float | None:
    increases = [_increase(known.get(name), value) for name, value in counters.items() if name != _CPU_TIME]
    return sum(increases) if increases else None


def _increase(before: float | None, now: float) -> float:
    """Return by how much a counter rose; one that fell began anew at zero."""
    if before is None:
        return 0.0
    return now - before if now >= before else now


def _area(before: float | None, now: float | None, passed_s: float) -> float | None:
    if now is None:
        return None
    return (now if before is None else (before + now) / 2) * passed_s


def _sum(total: float | None, more: float | None) -> float | None:
    return total if more is None else (total or 0.0) + more


def _scaled(total: float | None, unit: float) -> float | None:
    return None if total is None else total / unit


def _cost(used: Resources, prices: Prices) -> float | None:
    each = asdict(prices)
    if not any(each.values()):
        return None
    amounts = {
        "gpu_hour": used.gpu_hours,
        "cpu_hour": used.cpu_hours,
        "memory_gb_hour": used.memory_gb_hours,
        "storage_gb": used.storage_gb,
        "energy_kwh": used.energy_kwh,
    }
    return float(sum(each[name] * (amount or 0.0) for name, amount in amounts.items()))
