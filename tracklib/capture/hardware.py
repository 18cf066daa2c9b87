"""Reads what CPUs and memory a process may use, from `/proc`, `/sys` and control groups, or else from psutil.

A root folder may stand in for `/`: then nothing but its files is asked.
"""

from __future__ import annotations

import math
import os
import platform
import re
import subprocess
from pathlib import Path

from tracklib.capture.cgroups import cpu_limit, memory_limit

__all__ = ["cpu_count", "cpu_model", "memory_bytes", "operating_system", "physical_cpu_count"]

_ROOT = Path("/")
_HEAD_BYTES = 4096
_SYSCTL_TIMEOUT_S = 2.0


def cpu_model(root: Path = _ROOT) -> str | None:
    """Return the name of the first CPU, or None where nothing tells it.

    Args:
        root: What stands for `/`.
    """
    # The file has a paragraph for each CPU, and the kernel makes it up while it is read: the first one will do.
    entries = _entries(_head(root / "proc/cpuinfo"), ":")
    for name in ("model name", "Model", "cpu model", "Hardware", "cpu"):
        if entries.get(name):
            return entries[name]
    if entries.get("CPU part"):
        return f"{platform.machine()} implementer {entries.get('CPU implementer', '?')} part {entries['CPU part']}"
    if root != _ROOT:
        return None
    return _sysctl("machdep.cpu.brand_string") or platform.processor() or None


def cpu_count(root: Path = _ROOT, *, usable: int | None = None) -> int | None:
    """Return how many logical CPUs the process may use: by affinity, and no more than its control group pays for.

    Args:
        root: What stands for `/`.
        usable: How many the affinity allows; that of this process by default.
    """
    count = usable or _by_affinity()
    limit = cpu_limit(root / "sys/fs/cgroup", membership=root / "proc/self/cgroup")
    if limit is None or count is None:
        return count
    return max(1, min(count, math.ceil(limit)))


def physical_cpu_count(root: Path = _ROOT) -> int | None:
    """Return how many cores the machine has, hyper-threads counted once; None where nothing tells it.

    Args:
        root: What stands for `/`.
    """
    folder = root / "sys/devices/system/cpu"
    cores = {_siblings(cpu / "topology") for cpu in _numbered(folder)} - {""}
    if cores or root != _ROOT:
        return len(cores) or None
    import psutil

    return psutil.cpu_count(logical=False)


def memory_bytes(root: Path = _ROOT) -> int | None:
    """Return the bytes of memory that the process may use: the machine's, or the tightest limit of a control group.

    Args:
        root: What stands for `/`.
    """
    words = _entries(_head(root / "proc/meminfo"), ":").get("MemTotal", "").split()
    total = int(words[0]) * 1024 if words and words[0].isdecimal() else None
    if total is None and root == _ROOT:
        import psutil

        total = psutil.virtual_memory().total
    limit = memory_limit(root / "sys/fs/cgroup", membership=root / "proc/self/cgroup")
    sizes = [size for size in (total, limit.limit_bytes if limit else None) if size is not None]
    return min(sizes, default=None)


def operating_system(root: Path = _ROOT) -> str:
    """Return the name and version of the operating system, as it calls itself.

    Args:
        root: What stands for `/`.
    """
    for path in ("etc/os-release", "usr/lib/os-release"):
        entries = {name: value.strip("\"'") for name, value in _entries(_head(root / path), "=").items()}
        name = entries.get("PRETTY_NAME") or f"{entries.get('NAME', '')} {entries.get('VERSION', '')}".strip()
        if name:
            return name
    if platform.system() == "Darwin":
        return f"macOS {platform.mac_ver()[0]}"
    return f"{platform.system()} {platform.release()}"


def _by_affinity() -> int | None:
    try:
        return len(os.sched_getaffinity(0))
    except (AttributeError, OSError):  # Not on every system.
        return os.cpu_count()


def _numbered(folder: Path) -> list[Path]:
    try:
        return [folder / name for name in os.listdir(folder) if re.fullmatch(r"cpu\d+", name)]  # noqa: PTH208 - names do
    except OSError:
        return []


def _siblings(topology: Path) -> str:
    """Return the list of logical CPUs that share a core: the name of the core, so to speak."""
    return _head(topology / "core_cpus_list").strip() or _head(topology / "thread_siblings_list").strip()


def _sysctl(name: str) -> str:
    if platform.system() != "Darwin":
        return ""
    try:
        done = subprocess.run(  # noqa: S603 - a fixed program
            ["/usr/sbin/sysctl", "-n", name], capture_output=True, text=True, timeout=_SYSCTL_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def _entries(text: str, separator: str) -> dict[str, str]:
    """Return the `name<separator>value` lines of a text; of several with one name, the first."""
    entries: dict[str, str] = {}
    for line in text.splitlines():
        name, found, value = line.partition(separator)
        if found:
            entries.setdefault(name.strip(), value.strip())
    return entries


def _head(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_HEAD_BYTES).decode("utf-8", "replace")
    except OSError:  # Another system, or not ours to read.
        return ""
