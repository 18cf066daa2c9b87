"""Reads the metrics of one NVIDIA device again and again, each by the first way that its driver supports."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

from tracklib.capture.energy import EnergyMeter
from tracklib.capture.gpu_devices import LOST, Device
from tracklib.capture.gpu_metrics import MEMORY, MILLI, OF_GPU, UTILIZATION, Values, Way, read_fields
from tracklib.capture.gpu_processes import ProcessMemory
from tracklib.capture.gpu_profile import GpuProfile
from tracklib.capture.rates import Rate

__all__ = ["DeviceLost", "DeviceReader"]

# Answers that may be others the next time: the list grew, timeout, interrupt, in use, out of memory, no data,
# out of resources, not ready.
_PASSING = frozenset({7, 10, 11, 19, 20, 21, 23, 27})
_ALL_LINKS = 0xFFFFFFFF
_KIB = 1024


class DeviceLost(Exception):
    """A device no longer answers; never leaves this package. The argument is NVML's error."""


@dataclass(slots=True)
class _Metric:
    """What is asked for at each reading.

    Attributes:
        ways: Those that were not refused, the best first.
        of_gpu: Whether only a whole GPU knows it, so that an instance asks its parent.
    """

    ways: list[Way]
    of_gpu: bool = False


class DeviceReader:
    """Reads one device; remembers what it does not support and does not ask for that again.

    Args:
        nvml: The module `pynvml`, initialised.
        device: What to read.
        index: Its index as CUDA counts.
        clock: Seconds of a monotonic clock.

    Attributes:
        device: What is read.
    """

    def __init__(self, nvml: Any, device: Device, *, index: int, clock: Callable[[], float]) -> None:
        self.device = device
        self._nvml = nvml
        self._clock = clock
        self._memory = ProcessMemory(index)
        self._table: dict[int, int | None] | None = None
        self._energy = EnergyMeter()
        self._links = {"sent": Rate(), "received": Rate()}
        self._profile = GpuProfile(nvml, device)
        self._metrics = [metric for metric in self._all_metrics() if metric.ways]

    def read(self, pids: Collection[int]) -> Values:
        """Return the values by the last part of their name: `power_w`, or `parent/power_w` for an instance.

        Args:
            pids: The processes whose memory is told as `proc_mem_bytes`.

        Raises:
            DeviceLost: The device does not answer.
        """
        self._table = None
        values: Values = {}
        for metric in self._metrics:
            shared = metric.of_gpu and self.device.parent is not None
            answer = self._ask(metric, self.device.parent if shared else self.device.handle)
            values.update({f"parent/{name}": value for name, value in answer.items()} if shared else answer)
        memory = self._memory.used_by(pids, self._table)
        return values if memory is None else values | {"proc_mem_bytes": memory}

    def adopt(self, device: Device) -> None:
        """Go on with new handles of the same device, after NVML was initialised anew."""
        self.device = device
        self._energy.forget_power()
        self._profile = GpuProfile(self._nvml, device)

    def close(self) -> None:
        """Give back what NVML has allocated for this reader."""
        self._profile.close()

    def _ask(self, metric: _Metric, handle: Any) -> Values:
        while metric.ways:
            try:
                return metric.ways[0].read(self._nvml, handle)
            except self._nvml.NVMLError as error:
                if error.value in _PASSING:
                    break
                if error.value in LOST and not self._still_answers(error):
                    raise DeviceLost(error) from error
                del metric.ways[0]
        return {}

    def _still_answers(self, error: Any) -> bool:
        """Tell a lost device from a driver that says "unknown error" where it means "not supported"."""
        if error.value != self._nvml.NVML_ERROR_UNKNOWN:
            return False
        try:
            self._nvml.nvmlDeviceGetMemoryInfo(self.device.handle)
        except self._nvml.NVMLError as another:
            return another.value not in LOST
        return True

    def _all_metrics(self) -> Iterator[_Metric]:
        yield self._metric(*MEMORY)
        for kind in ("Compute", "MPSCompute", "Graphics"):
            yield self._metric(*(self._listing(f"nvmlDeviceGet{kind}RunningProcesses_v{v}") for v in (3, 2)))
        if self.device.parent is None:
            yield self._metric(*UTILIZATION)
        for ways in OF_GPU:
            yield self._metric(*ways, of_gpu=True)
        yield self._metric(
            Way("nvmlDeviceGetTotalEnergyConsumption", self._energy_by_counter),
            Way("nvmlDeviceGetPowerUsage", self._energy_by_power),
            of_gpu=True,
        )
        yield self._metric(Way("nvmlDeviceGetFieldValues", self._link_rates), of_gpu=True)
        yield self._metric(Way("nvmlGpmSampleGet", self._profiled))

    def _metric(self, *ways: Way, of_gpu: bool = False) -> _Metric:
        return _Metric([way for way in ways if hasattr(self._nvml, way.needs)], of_gpu=of_gpu)

    def _listing(self, function: str) -> Way:
        def read(nvml: Any, handle: Any) -> Values:
            # A process may stand on more than one list, with the same memory on each.
            listed = {entry.pid: entry.usedGpuMemory for entry in getattr(nvml, function)(handle)}
            self._table = (self._table or {}) | listed
            return {}

        return Way(function, read)

    def _energy_by_counter(self, nvml: Any, handle: Any) -> Values:
        return {"energy_j": self._energy.by_counter(nvml.nvmlDeviceGetTotalEnergyConsumption(handle) * MILLI)}

    def _energy_by_power(self, nvml: Any, handle: Any) -> Values:
        return {"energy_j": self._energy.by_power(nvml.nvmlDeviceGetPowerUsage(handle) * MILLI, self._clock())}

    def _link_rates(self, nvml: Any, handle: Any) -> Values:
        fields = (nvml.NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX, nvml.NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_RX)
        counters = read_fields(nvml, handle, [(field, _ALL_LINKS) for field in fields])
        now = self._clock()
        values: Values = {}
        for (name, rate), counter in zip(self._links.items(), counters, strict=True):
            if (per_s := rate.update(counter * _KIB, now)) is not None:
                values[f"nvlink_{name}_bytes_per_s"] = per_s
        return values

    def _profiled(self, nvml: Any, handle: Any) -> Values:
        return self._profile.read(self._clock())
