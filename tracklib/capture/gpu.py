"""The GPUs that this process may use, and what they do: NVIDIA's through NVML, else AMD's through the driver's files.

GPUs are known by their UUID and numbered as CUDA (or HIP) numbers them for this process. No CUDA context is made, and
torch is never imported.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from logging import getLogger
from typing import Any

from tracklib.capture.gpu_amd import AmdGpus, amd_driver_version, visible_amd_gpus
from tracklib.capture.gpu_devices import list_devices, visible_devices
from tracklib.capture.gpu_nvidia import NvidiaGpus, cuda_version, driver_version, start_nvml, stop_nvml
from tracklib.capture.processes import ProcessTree
from tracklib.model import Gpu

__all__ = ["GpuInventory", "GpuSampler", "visible_gpus"]

logger = getLogger("tracklib")


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuInventory:
    """The GPUs that a process may use.

    Attributes:
        gpus: In the order in which CUDA numbers them; `index` is that number.
        physical_indices: For each of them the number that nvidia-smi shows; for a MIG instance that of its GPU.
        driver_version: The driver's version; None without one.
        cuda_version: The highest CUDA version that the driver supports, as "12.4".
        problem: In words, what is wrong with a driver that is there; None when nothing is, or when there is none.
    """

    gpus: tuple[Gpu, ...] = ()
    physical_indices: tuple[int, ...] = ()
    driver_version: str | None = None
    cuda_version: str | None = None
    problem: str | None = None


def visible_gpus(environ: Mapping[str, str] | None = None) -> GpuInventory:
    """Return the GPUs that this process may use. What is wrong is not raised but stands in `problem`.

    Args:
        environ: The environment variables; those of the process by default.

    Example:
        >>> visible_gpus({"CUDA_VISIBLE_DEVICES": ""}).gpus
        ()
    """
    environ = os.environ if environ is None else environ
    nvml, problem = start_nvml()
    if nvml is None:
        return GpuInventory(problem=problem) if problem else _amd_inventory(environ)
    try:
        return _nvidia_inventory(nvml, environ)
    except nvml.NVMLError as error:
        return GpuInventory(problem=f"NVML cannot list the GPUs ({error})")
    finally:
        stop_nvml(nvml)


class GpuSampler:
    """Samples the GPUs that this process may use. Not thread-safe; silent in a process that was forked off.

    A GPU that no longer answers is left out, with one warning, and tried again later.

    Args:
        pid: The root of the process tree whose memory is told; this process by default.
        environ: The environment variables; those of the process by default.
        retry_s: Seconds until a lost GPU is tried again; doubled at each failure, up to an hour.
        clock: Seconds of a monotonic clock.

    Attributes:
        problem: In words, why GPUs that may be there are not sampled; None when all is well.

    Example:
        >>> sampler = GpuSampler(environ={"CUDA_VISIBLE_DEVICES": ""})
        >>> sampler.sample()
        {}
        >>> sampler.close()
    """

    def __init__(
        self,
        pid: int | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        retry_s: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        environ = os.environ if environ is None else environ
        self._pid = pid
        self._tree: ProcessTree | None = None
        self._owner = os.getpid()
        nvml, self.problem = start_nvml()
        self._gpus: NvidiaGpus | AmdGpus | None
        if nvml is not None:
            self._gpus = NvidiaGpus(nvml, environ, retry_s=retry_s, clock=clock)
            self.problem = self._gpus.problem
        else:
            self._gpus = AmdGpus(visible_amd_gpus(environ), clock=clock)
        if self.problem is not None:
            logger.warning("Not all GPUs can be sampled: %s", self.problem)
        # Counters begin here, and what a device does not support is found out before the first sample.
        self.sample(())

    def sample(self, pids: Collection[int] | None = None) -> dict[str, float]:
        """Return what is known now, by the names of `METRIC_UNITS`; empty without GPUs.

        Args:
            pids: The processes whose memory is told; by default the process tree of `pid`.
        """
        if self._gpus is None or os.getpid() != self._owner:
            return {}
        answers = self._gpus.read(self._tree_pids() if pids is None else pids)
        return {
            f"system/gpu/{index}/{name}": float(value)
            for index, values in answers.items()
            for name, value in values.items()
        }

    def close(self) -> None:
        """Let go of the GPUs. May be called again; does nothing in a process that was forked off."""
        if self._gpus is not None and os.getpid() == self._owner:
            self._gpus.close()
        self._gpus = None

    def _tree_pids(self) -> tuple[int, ...]:
        if self._tree is None:
            self._tree = ProcessTree(self._pid)
        return self._tree.read().pids


def _nvidia_inventory(nvml: Any, environ: Mapping[str, str]) -> GpuInventory:
    listing = list_devices(nvml, environ)
    devices = visible_devices(listing.devices, environ.get("CUDA_VISIBLE_DEVICES"))
    return GpuInventory(
        gpus=tuple(
            Gpu(uuid=d.uuid, name=d.name, index=index, memory_bytes=d.memory_bytes, mig=d.parent is not None)
            for index, d in enumerate(devices)
        ),
        physical_indices=tuple(device.gpu for device in devices),
        driver_version=driver_version(nvml),
        cuda_version=cuda_version(nvml),
        problem="; ".join(listing.problems) or None,
    )


def _amd_inventory(environ: Mapping[str, str]) -> GpuInventory:
    gpus = visible_amd_gpus(environ)
    return GpuInventory(
        gpus=tuple(
            Gpu(uuid=gpu.uuid, name=gpu.name, index=index, memory_bytes=gpu.memory_bytes)
            for index, gpu in enumerate(gpus)
        ),
        physical_indices=tuple(gpu.physical_index for gpu in gpus),
        driver_version=amd_driver_version() if gpus else None,
    )
