"""Samples what the machine and the process tree do, in a thread of its own, and adds up what the run uses."""

from __future__ import annotations

import logging
import math
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracklib.capture.resources import ResourceMeter
from tracklib.errors import ConfigError, TracklibError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracklib.capture.processes import TreeReading
    from tracklib.model import Resources
    from tracklib.settings import Prices

__all__ = ["SystemMonitor", "SystemSampler"]

logger = logging.getLogger("tracklib")


class SystemSampler:
    """Samples CPU, memory, disks, network, GPUs and the process tree. Not thread-safe.

    What one source cannot tell is left out, with one warning; the others go on.

    Args:
        pid: The root of the process tree; this process by default.
        paths: Whose file systems are watched; the working directory by default.
        environ: The environment variables that say which GPUs are visible; those of the process by default.
        cgroup_root: Where control groups are mounted.
        clock: Seconds of a monotonic clock.

    Example:
        >>> sampler = SystemSampler()
        >>> sample = sampler.sample()
        >>> sample["system/memory/proc_rss_bytes"] > 0, sample["system/process/threads"] >= 1
        (True, True)
        >>> sampler.close()
    """

    def __init__(
        self,
        pid: int | None = None,
        *,
        paths: Sequence[Path] | None = None,
        environ: Mapping[str, str] | None = None,
        cgroup_root: Path = Path("/sys/fs/cgroup"),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        from tracklib.capture.gpu import GpuSampler
        from tracklib.capture.machine import Cpus, Disks, Memory, Network
        from tracklib.capture.processes import ProcessTree
        from tracklib.capture.rates import Rate

        pid = os.getpid() if pid is None else pid
        self._clock = clock
        self._tree = ProcessTree(pid, clock=clock)
        self._cpu_rate = Rate()
        self._gpus = GpuSampler(pid, environ=environ, clock=clock)
        self._sources: dict[str, Callable[[float], dict[str, float]]] = {
            "CPU": Cpus().read,
            "memory": Memory(cgroups=cgroup_root, membership=Path(f"/proc/{pid}/cgroup")).read,
            "disk": Disks(_working_directory() if paths is None else paths).read,
            "network": Network().read,
        }
        self._warned: set[str] = set()
        # Counters begin here.
        self.sample()

    def sample(self) -> dict[str, float]:
        """Return what is known now, by the names of `METRIC_UNITS`.

        Rates and shares cover the time since the sample before, or since the sampler was made; where that is less than
        a twentieth of a second they are left out.
        """
        values: dict[str, float] = {}
        for name, read in self._sources.items():
            values.update(self._guarded(name, read))
        tree = self._tree.read()
        values.update(self._of_tree(tree))
        values.update(self._gpus.sample(tree.pids))
        return values

    def close(self) -> None:
        """Let go of the GPUs. May be called again."""
        self._gpus.close()

    def _of_tree(self, tree: TreeReading) -> dict[str, float]:
        if not tree.pids:
            return {}
        share = self._cpu_rate.update(tree.cpu_time_s, self._clock())
        return {
            "system/cpu/proc_time_s": tree.cpu_time_s,
            "system/memory/proc_rss_bytes": float(tree.rss_bytes),
            "system/process/threads": float(tree.threads),
            "system/process/children": float(len(tree.pids) - 1),
            **({} if share is None else {"system/cpu/proc_util_pct": 100 * share}),
        }

    def _guarded(self, name: str, read: Callable[[float], dict[str, float]]) -> dict[str, float]:
        import psutil

        try:
            return read(self._clock())
        except (psutil.Error, OSError, ValueError, NotImplementedError) as error:
            # The last two are psutil's when a file of the kernel is missing or looks unlike what it knows.
            if name not in self._warned:
                self._warned.add(name)
                logger.warning("Some %s metrics cannot be read and are left out: %s", name, error)
            return {}


class SystemMonitor:
    """A thread that samples at its start, then at a steady interval, and once more when it is stopped.

    No lock is held while `log` runs, and nothing is done when the object is collected. In a process that was forked
    off there is no thread: `stop` returns at once.

    Args:
        log: Takes the values of a sample and its number, counted from 0. Called in the thread.
        interval_s: Seconds from one sample to the next.
        sampler: What to sample with; by default one that is made, and closed, by the thread.
        prices: What resources cost.

    Raises:
        ConfigError: The interval is not a positive number.

    Example:
        >>> samples = []
        >>> monitor = SystemMonitor(lambda values, n: samples.append(n), interval_s=10)
        >>> monitor.start()
        >>> used = monitor.stop(timeout_s=30)
        >>> samples, used.gpu_hours is None
        ([0, 1], False)
    """

    def __init__(
        self,
        log: Callable[[dict[str, float], int], None],
        *,
        interval_s: float,
        sampler: SystemSampler | None = None,
        prices: Prices | None = None,
    ) -> None:
        if not 0 < interval_s < math.inf:
            raise ConfigError(f"interval_s is {interval_s!r}, but takes a positive number of seconds between samples")
        self._log = log
        self._interval_s = interval_s
        self._sampler = sampler
        self._meter = ResourceMeter(prices)
        self._owner = os.getpid()
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._abandoned = False
        self._warned = False
        self._count = 0

    def start(self) -> None:
        """Begin to sample. A second call, and one after `stop`, does nothing."""
        if self._thread is not None or self._stopping.is_set() or os.getpid() != self._owner:
            return
        thread = threading.Thread(target=self._run, name="tracklib-system", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # No more threads are allowed, or the interpreter is about to end.
            self._warn("System metrics are not sampled: %s", error)
            return
        self._thread = thread

    def stop(self, timeout_s: float = 5.0, *, storage_bytes: int = 0) -> Resources:
        """Take a last sample, end the thread and return what was used. Later calls return the same.

        Args:
            timeout_s: How long to wait for the thread; after that it is left behind, and logs nothing more.
            storage_bytes: What the run has stored.
        """
        if os.getpid() == self._owner and not self._stopping.is_set():
            self._stopping.set()
            if self._thread is not None and self._thread is not threading.current_thread():
                self._thread.join(timeout_s)
                self._abandoned = self._thread.is_alive()
        return self.resources(storage_bytes)

    def resources(self, storage_bytes: int = 0) -> Resources:
        """Return what was used up to the newest sample.

        Args:
            storage_bytes: What the run has stored.
        """
        return self._meter.total(storage_bytes)

    def _run(self) -> None:
        sampler = SystemSampler() if self._sampler is None else self._sampler
        due = time.monotonic()
        self._take(sampler)
        while True:
            now = time.monotonic()
            due = next_due(due, now, self._interval_s)
            if self._stopping.wait(min(due - now, threading.TIMEOUT_MAX)):
                break
            self._take(sampler)
        self._take(sampler)
        if self._sampler is None:
            sampler.close()

    def _take(self, sampler: SystemSampler) -> None:
        import psutil

        try:
            values = sampler.sample()
        except (psutil.Error, OSError) as error:
            self._warn("A sample of system metrics failed: %s", error)
            return
        if self._abandoned:
            return
        self._meter.add(values, time.monotonic())
        try:
            self._log(values, self._count)
        except (TracklibError, OSError) as error:
            self._warn("System metrics cannot be logged: %s", error)
        self._count += 1

    def _warn(self, message: str, error: Any) -> None:
        if not self._warned:
            self._warned = True
            logger.warning(message, error)


def next_due(due: float, now: float, interval_s: float) -> float:
    """Return when the next sample is due: on the grid that the first one began, and after now.

    What was missed, because a sample took long or the machine slept, is not caught up on.

    Example:
        >>> next_due(100.0, 100.5, 10.0), next_due(100.0, 135.0, 10.0)
        (110.0, 140.0)
    """
    return due + interval_s * max(1, math.floor((now - due) / interval_s) + 1)


def _working_directory() -> Sequence[Path]:
    try:
        return (Path.cwd(),)
    except OSError:  # It was removed under our feet.
        return ()
