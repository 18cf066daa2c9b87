"""What this process and those that it started have used, from `/proc`."""

from __future__ import annotations

import os
import resource
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Usage", "usage_now"]

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Totals since the process began.

    Attributes:
        cpu_s: User and system time of this process, of children that ended, and of those still there.
        peak_bytes: Most memory resident in this process, and in each child still there.
        written_bytes: Pages sent towards the disk by this process and by children, as `write_bytes` counts them.
    """

    cpu_s: float
    peak_bytes: int
    written_bytes: int


def usage_now() -> Usage:
    """Return the totals up to now. They miss only descendants that were orphaned and ended."""
    others = _descendants()
    own, ended = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return Usage(
        cpu_s=own.ru_utime + own.ru_stime + ended.ru_utime + ended.ru_stime + sum(map(_cpu_s, others)),
        peak_bytes=sum(_field(pid, "status", "VmHWM:") * 1024 for pid in (os.getpid(), *others)),
        written_bytes=sum(_field(pid, "io", "write_bytes:") for pid in (os.getpid(), *others)),
    )


def _descendants() -> list[int]:
    parents = {int(path.name): _parent(int(path.name)) for path in Path("/proc").iterdir() if path.name.isdigit()}
    found, front = [], {os.getpid()}
    while front:
        front = {pid for pid, parent in parents.items() if parent in front}
        found += sorted(front)
    return found


def _parent(pid: int) -> int:
    words = _stat(pid)
    return int(words[1]) if words else 0


def _cpu_s(pid: int) -> float:
    words = _stat(pid)
    return (int(words[11]) + int(words[12])) / _TICKS_PER_SECOND if words else 0.0


def _stat(pid: int) -> list[str]:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:  # It has ended meanwhile.
        return []
    # The name in brackets may hold anything; the fields behind it begin with the state.
    return text.rpartition(")")[2].split()


def _field(pid: int, file: str, name: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/{file}").read_text(encoding="utf-8").splitlines()
    except OSError:  # It has ended meanwhile.
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(name)), 0)
