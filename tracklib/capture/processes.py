"""What a process and its descendants use, read without a scan of all processes where the kernel allows that.

Known trade-off: the CPU time of a child that nobody waits for (an orphan, or one whose parent ignores SIGCHLD) is
counted up to the last reading before its end.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import psutil

__all__ = ["ProcessTree", "TreeReading"]

_PROC = Path("/proc")


class TreeReading(NamedTuple):
    """A process tree at one moment; processes that vanished or may not be read are left out of the sums.

    Attributes:
        pids: All processes of the tree, the root first; empty when the root is gone.
        cpu_time_s: CPU time of all of them since the `ProcessTree` was made, children that ended included.
        rss_bytes: Resident memory; pages that processes share count once for each.
        threads: All their threads.
    """

    pids: tuple[int, ...]
    cpu_time_s: float
    rss_bytes: int
    threads: int


class ProcessTree:
    """Reads a process and its descendants. Not thread-safe.

    Args:
        pid: The root of the tree; this process by default.
        proc: Where the proc file system is mounted. Without it processes are found through psutil.
        clock: Seconds of a monotonic clock.

    Example:
        >>> reading = ProcessTree().read()
        >>> reading.pids[0] == os.getpid(), reading.rss_bytes > 0, reading.threads >= 1
        (True, True, True)
    """

    def __init__(
        self, pid: int | None = None, *, proc: Path = _PROC, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._pid = os.getpid() if pid is None else pid
        self._tasks = proc if _has_children_files(proc) else None
        self._known: dict[int, psutil.Process] = {}
        self._cpu = _CpuTime(clock)
        self.read()

    def read(self) -> TreeReading:
        """Read the whole tree once."""
        members = list(self._members()) if self._root_lives() else []
        self._known = {pid: self._known[pid] for pid in {self._pid, *(pid for pid, _ in members)} & self._known.keys()}
        # Parents come before their children: a child that ends in between is missed once, never counted twice.
        times = [cpu for pid, _ in members if (cpu := self._ask(pid, _cpu_seconds)) is not None]
        return TreeReading(
            pids=tuple(pid for pid, _ in members),
            cpu_time_s=self._cpu.add(sum(times)) if times else self._cpu.spent_s,
            rss_bytes=int(sum(self._ask(pid, _rss_bytes) or 0 for pid, _ in members)),
            threads=sum(threads for _, threads in members),
        )

    def _members(self) -> Iterator[tuple[int, int]]:
        """Yield the id and the number of threads of each process that can be seen, parents before children."""
        waiting, seen = [self._pid], {self._pid}
        while waiting:
            pid = waiting.pop(0)
            threads, children = self._threads_and_children(pid)
            if threads:
                yield pid, threads
            waiting += [child for child in children if child not in seen]
            seen.update(children)

    def _root_lives(self) -> bool:
        """Tell whether the root is still the process that it was, and not another one of the same id."""
        root = self._process(self._pid)
        return root is not None and root.is_running()

    def _threads_and_children(self, pid: int) -> tuple[int, list[int]]:
        if self._process(pid) is None:
            return 0, []
        if self._tasks is not None:
            return _from_tasks(self._tasks / str(pid) / "task")
        threads = int(self._ask(pid, lambda process: process.num_threads()) or 1)
        # One scan finds all descendants: asked of the root only.
        return threads, self._descendants() if pid == self._pid else []

    def _descendants(self) -> list[int]:
        import psutil

        try:
            return [child.pid for child in self._known[self._pid].children(recursive=True)]
        except (psutil.Error, OSError):  # The root is gone, or a neighbour vanished in the middle of the scan.
            return []

    def _process(self, pid: int) -> psutil.Process | None:
        import psutil

        if pid not in self._known:
            try:
                self._known[pid] = psutil.Process(pid)
            except (psutil.Error, OSError):
                return None
        return self._known[pid]

    def _ask(self, pid: int, question: Callable[[psutil.Process], float]) -> float | None:
        import psutil

        try:
            return question(self._known[pid])
        except (psutil.Error, OSError):  # It vanished, is a zombie, or belongs to somebody else.
            return None


class _CpuTime:
    """Adds up how the CPU time of a tree rises, although processes leave it and readings are not atomic."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.spent_s = 0.0
        self._clock = clock
        self._limit = 1.1 * (os.cpu_count() or 1)
        self._base: float | None = None
        self._at = clock()
        self._dipped = False

    def add(self, total_s: float) -> float:
        """Take the sum over the processes that are there now; return what was spent since the first call."""
        now = self._clock()
        if self._base is None or (total_s < self._base and self._dipped):
            self._rebase(total_s, now)
        elif total_s < self._base:
            # A child between its end and its parent's books is back at the next reading; one that left for good is not.
            self._dipped = True
        else:
            # No tree spends more than all CPUs have: more is the history of a process that was adopted.
            self.spent_s += min(total_s - self._base, self._limit * (now - self._at) + 0.1)
            self._rebase(total_s, now)
        return self.spent_s

    def _rebase(self, total_s: float, now: float) -> None:
        self._base, self._at, self._dipped = total_s, now, False


def _has_children_files(proc: Path) -> bool:
    """Tell whether the kernel lists the children of each thread (most do; it is a build option)."""
    pid = os.getpid()
    return (proc / str(pid) / "task" / str(pid) / "children").exists()


def _from_tasks(tasks: Path) -> tuple[int, list[int]]:
    try:
        threads = list(tasks.iterdir())
    except OSError:
        return 0, []
    children: list[int] = []
    for thread in threads:
        try:
            children += map(int, (thread / "children").read_bytes().split())
        except OSError:  # The thread has ended.
            continue
    return len(threads), children


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system + times.children_user + times.children_system


def _rss_bytes(process: psutil.Process) -> float:
    return process.memory_info().rss
