"""What the machine as a whole does: CPUs, memory, disks, network. A source reads one of them and keeps its counters."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import psutil

from tracklib.capture.cgroups import CGROUP_ROOT, memory_limit
from tracklib.capture.rates import Rate

__all__ = ["Cpus", "Disks", "Memory", "Network"]

Values = dict[str, float]


class Cpus:
    """The share of the time in which the machine's CPUs were busy."""

    def __init__(self) -> None:
        self._busy = Rate()
        self._all = Rate()

    def read(self, now: float) -> Values:
        """Return the values since the call before; the first returns none.

        Args:
            now: Seconds of a monotonic clock.
        """
        times = psutil.cpu_times()
        # The time of guests is part of the user's time already; waiting for a disk leaves a CPU idle.
        guests = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
        total = sum(times) - guests
        busy_rate = self._busy.update(total - times.idle - getattr(times, "iowait", 0.0), now)
        rate = self._all.update(total, now)
        return {"system/cpu/util_pct": min(100.0, 100 * busy_rate / rate)} if busy_rate is not None and rate else {}


class Memory:
    """Memory in use, of the machine or within the limit that a control group sets.

    Args:
        cgroups: Where control groups are mounted.
        membership: The `/proc/<pid>/cgroup` of the process.
    """

    def __init__(self, *, membership: Path, cgroups: Path = CGROUP_ROOT) -> None:
        self._cgroups = cgroups
        self._membership = membership

    def read(self, now: float) -> Values:
        """Return what is used and what there is."""
        machine = psutil.virtual_memory()
        used, total = machine.total - machine.available, machine.total
        limit = memory_limit(self._cgroups, membership=self._membership)
        if limit is not None and limit.limit_bytes < total:
            used, total = limit.used_bytes, limit.limit_bytes
        return {
            "system/memory/used_bytes": float(used),
            "system/memory/total_bytes": float(total),
            "system/memory/used_pct": 100 * used / total if total else 0.0,
        }


class Disks:
    """Room on the file systems of the watched paths, and the traffic of all disks.

    Args:
        paths: The first gives `system/disk/used_pct`, each other one `system/disk/<path in one word>/used_pct`.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        first, *others = paths or (None,)
        self._places = {"system/disk": first} if first is not None else {}
        self._places |= {f"system/disk/{_word(path)}": path for path in others}
        self._rates = {"read": Rate(), "write": Rate()}

    def read(self, now: float) -> Values:
        """Return the room, and the traffic since the call before.

        Args:
            now: Seconds of a monotonic clock.
        """
        values: Values = {}
        for name, path in self._places.items():
            values.update(_room(name, path))
        traffic = psutil.disk_io_counters(nowrap=False)
        if traffic is not None:
            counters = {"read": traffic.read_bytes, "write": traffic.write_bytes}
            values.update(_rates("system/disk", self._rates, counters, now))
        return values


class Network:
    """The traffic of all interfaces but loopback: what processes of one machine say to each other is no traffic."""

    def __init__(self) -> None:
        self._rates = {"sent": Rate(), "received": Rate()}

    def read(self, now: float) -> Values:
        """Return the traffic since the call before.

        Args:
            now: Seconds of a monotonic clock.
        """
        interfaces = psutil.net_io_counters(pernic=True, nowrap=False)
        counted = [traffic for name, traffic in interfaces.items() if name not in _LOOPBACK]
        counters = {
            "sent": sum(traffic.bytes_sent for traffic in counted),
            "received": sum(traffic.bytes_recv for traffic in counted),
        }
        return _rates("system/network", self._rates, counters, now)


_LOOPBACK = frozenset({"lo", "lo0", "Loopback Pseudo-Interface 1"})


def _room(name: str, path: Path) -> Values:
    try:
        usage = psutil.disk_usage(os.fspath(path))
    except OSError:  # The folder was removed, or its file system unmounted: it may come back.
        return {}
    return {f"{name}/used_pct": usage.percent, f"{name}/free_bytes": float(usage.free)}


def _word(path: Path) -> str:
    return "_".join(part for part in path.parts if part != path.anchor) or "root"


def _rates(prefix: str, rates: dict[str, Rate], counters: dict[str, int], now: float) -> Values:
    values: Values = {}
    for name, counter in counters.items():
        if (per_s := rates[name].update(counter, now)) is not None:
            values[f"{prefix}/{name}_bytes_per_s"] = per_s
    return values
