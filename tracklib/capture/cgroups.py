"""What a Linux control group lets its processes have of memory and CPUs, by version 2, or 1 where that is mounted.

A limit may stand on any group between a process's own and the root; the tightest counts. Inside a container the path
that the kernel tells may not exist below the mount: then the groups that do exist above it are the container's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

__all__ = ["CGROUP_ROOT", "MemoryLimit", "cpu_limit", "memory_limit"]

CGROUP_ROOT = Path("/sys/fs/cgroup")
"""Where control groups are mounted."""

_MEMBERSHIP = Path("/proc/self/cgroup")
# Version 1 writes "no limit" as the largest multiple of a page.
_UNLIMITED = 1 << 60


class MemoryLimit(NamedTuple):
    """A limit in force.

    Attributes:
        limit_bytes: What the group may use.
        used_bytes: What it uses, without the file cache that the kernel would give back first.
    """

    limit_bytes: int
    used_bytes: int


def memory_limit(root: Path = CGROUP_ROOT, *, membership: Path = _MEMBERSHIP) -> MemoryLimit | None:
    """Return the tightest memory limit over a process, or None where there is none.

    Args:
        root: Where control groups are mounted.
        membership: The `/proc/<pid>/cgroup` of the process.
    """
    found = [limit for group in _groups(root, "memory", membership) if (limit := _memory_of(group)) is not None]
    return min(found, default=None)


def cpu_limit(root: Path = CGROUP_ROOT, *, membership: Path = _MEMBERSHIP) -> float | None:
    """Return how many CPUs' worth of time a process may use, or None where there is no limit.

    Args:
        root: Where control groups are mounted.
        membership: The `/proc/<pid>/cgroup` of the process.
    """
    found = [limit for group in _groups(root, "cpu", membership) if (limit := _cpus_of(group)) is not None]
    return min(found, default=None)


def _groups(root: Path, controller: str, membership: Path) -> Iterator[Path]:
    """Yield the folders of the process's group and of those above it, for both versions; missing ones are left out."""
    for line in _text(membership).splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers == "":
            mount = root
        elif controller in controllers.split(","):
            mount = next((m for m in (root / controllers, root / controller) if m.is_dir()), root / controller)
        else:
            continue
        # A path with ".." names a group outside of the container's view.
        group = mount.joinpath(*(part for part in path.split("/") if part not in {"", ".."}))
        yield from (folder for folder in (group, *group.parents) if folder.is_relative_to(mount) and folder.is_dir())


def _memory_of(group: Path) -> MemoryLimit | None:
    for limit_file, used_file, cache in (
        ("memory.max", "memory.current", "inactive_file"),
        ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        limit = _number(_text(group / limit_file))
        used = _number(_text(group / used_file))
        if limit is not None and used is not None and limit < _UNLIMITED:
            reclaimable = _number(_entry(_text(group / "memory.stat"), cache)) or 0
            return MemoryLimit(limit, max(0, used - reclaimable))
    return None


def _cpus_of(group: Path) -> float | None:
    words = _text(group / "cpu.max").split()
    if not words:
        words = [_text(group / "cpu.cfs_quota_us"), _text(group / "cpu.cfs_period_us")]
    quota, period = (_number(word) for word in (*words, "", "")[:2])
    return quota / period if quota and period else None


def _entry(table: str, name: str) -> str:
    return next((line.split()[1] for line in table.splitlines() if line.startswith(f"{name} ")), "")


def _number(text: str) -> int | None:
    """Return a number that is not negative; "max", -1 and everything else mean that there is none."""
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:  # Not Linux, another version of control groups, or a group that is just gone.
        return ""
