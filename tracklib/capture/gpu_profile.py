"""How busy the units of a GPU are, by NVML's GPU Performance Monitoring (Hopper and later).

Utilisation as nvidia-smi shows it says only that some kernel ran. These counters say how much of the chip it used, and
they are the only ones that a MIG instance has of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracklib.capture.rates import SHORTEST_S

if TYPE_CHECKING:
    from tracklib.capture.gpu_devices import Device

__all__ = ["GpuProfile"]

_MIB = 1 << 20
# NVML's number of the metric, our name, and what turns its unit into ours.
_METRICS = (
    (2, "sm_active_pct", 1),
    (3, "sm_occupancy_pct", 1),
    (5, "tensor_active_pct", 1),
    (10, "dram_active_pct", 1),
    (20, "pcie_sent_bytes_per_s", _MIB),
    (21, "pcie_received_bytes_per_s", _MIB),
)
_OF_INSTANCE = (1, "util_pct", 1)


class GpuProfile:
    """Compares two snapshots of a device's counters.

    Args:
        nvml: The module `pynvml`, initialised.
        device: What to read.
    """

    def __init__(self, nvml: Any, device: Device) -> None:
        self._nvml = nvml
        self._device = device
        self._metrics = _METRICS if device.parent is None else (_OF_INSTANCE, *_METRICS)
        self._snapshots: list[Any] = []
        self._taken_at: float | None = None

    def read(self, at: float) -> dict[str, float]:
        """Return the means since the call before; nothing at the first call.

        Args:
            at: Now, in seconds of a monotonic clock.

        Raises:
            pynvml.NVMLError: The device has no such counters, or does not answer.
        """
        if not self._snapshots:
            self._prepare()
        if self._taken_at is not None and at - self._taken_at < SHORTEST_S:
            return {}
        self._take(self._snapshots[1])
        values = {} if self._taken_at is None else self._compare()
        self._snapshots.reverse()
        self._taken_at = at
        return values

    def close(self) -> None:
        """Free the snapshots."""
        for snapshot in self._snapshots:
            try:
                self._nvml.nvmlGpmSampleFree(snapshot)
            except self._nvml.NVMLError:  # The device is gone, and the memory with it.
                continue
        self._snapshots = []

    def _prepare(self) -> None:
        nvml = self._nvml
        whole = self._device.handle if self._device.parent is None else self._device.parent
        if not nvml.nvmlGpmQueryDeviceSupport(whole).isSupportedDevice:
            raise nvml.NVMLError(nvml.NVML_ERROR_NOT_SUPPORTED)
        self._snapshots = [nvml.nvmlGpmSampleAlloc(), nvml.nvmlGpmSampleAlloc()]

    def _take(self, snapshot: Any) -> None:
        device = self._device
        if device.instance is None:
            self._nvml.nvmlGpmSampleGet(device.handle, snapshot)
        else:
            self._nvml.nvmlGpmMigSampleGet(device.parent, device.instance[0], snapshot)

    def _compare(self) -> dict[str, float]:
        question = self._nvml.c_nvmlGpmMetricsGet_t()
        question.version = self._nvml.NVML_GPM_METRICS_GET_VERSION
        question.numMetrics = len(self._metrics)
        question.sample1, question.sample2 = self._snapshots
        for place, (number, _, _) in enumerate(self._metrics):
            question.metrics[place].metricId = number
        answer = self._nvml.nvmlGpmMetricsGet(question)
        return {
            name: answer.metrics[place].value * factor
            for place, (_, name, factor) in enumerate(self._metrics)
            if answer.metrics[place].nvmlReturn == self._nvml.NVML_SUCCESS
        }
