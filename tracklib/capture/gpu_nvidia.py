"""NVML from start to end, and the devices that are read through it although some of them come and go."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from tracklib.capture.gpu_devices import Device, list_devices, visible_devices
from tracklib.capture.gpu_reader import DeviceLost, DeviceReader

if TYPE_CHECKING:
    from tracklib.capture.gpu_metrics import Values

__all__ = ["NvidiaGpus", "NvmlStart", "cuda_version", "driver_version", "start_nvml", "stop_nvml"]

logger = logging.getLogger("tracklib")

_LONGEST_DELAY_S = 3600.0
_MISMATCH = 18


class NvmlStart(NamedTuple):
    """What came of starting NVML.

    Attributes:
        nvml: The module `pynvml`; None when NVML cannot be used.
        problem: Why not, in words; None when there is no driver, which is no problem.
    """

    nvml: Any
    problem: str | None


def start_nvml() -> NvmlStart:
    """Load and initialise NVML. Whoever gets the module stops it with `stop_nvml`: NVML counts its users."""
    if not _has_library():
        return NvmlStart(None, None)
    try:
        import pynvml
    except ImportError as error:
        return NvmlStart(None, f"there is a driver, but {error}: run `pip install nvidia-ml-py`")
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        if error.value in {pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, pynvml.NVML_ERROR_DRIVER_NOT_LOADED}:
            return NvmlStart(None, None)
        advice = ": the driver was updated while the old one runs, so restart the machine" * (error.value == _MISMATCH)
        return NvmlStart(None, f"NVML does not start ({error}){advice}")
    return NvmlStart(pynvml, None)


def _has_library() -> bool:
    """Tell whether pynvml would find NVML: where there is no driver, its import would cost more than all the rest."""
    if sys.platform == "win32":
        return True
    import ctypes

    try:
        ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return False
    return True


def stop_nvml(nvml: Any) -> None:
    """Give up this use of NVML."""
    try:
        nvml.nvmlShutdown()
    except nvml.NVMLError as error:  # Somebody else shut it down for us, or it is gone with the driver.
        logger.debug("NVML does not shut down: %s", error)


def driver_version(nvml: Any) -> str | None:
    """Return the version of NVIDIA's driver, None when it keeps it to itself."""
    try:
        return str(nvml.nvmlSystemGetDriverVersion())
    except nvml.NVMLError:
        return None


def cuda_version(nvml: Any) -> str | None:
    """Return the highest CUDA version that the driver supports, as "12.4"."""
    try:
        number = nvml.nvmlSystemGetCudaDriverVersion_v2()
    except nvml.NVMLError:
        return None
    return f"{number // 1000}.{number % 1000 // 10}"


@dataclass(slots=True)
class _Slot:
    """A device at its place.

    Attributes:
        retry_at: When a lost one is tried again; None while it answers.
        failures: How often it was lost since it last answered.
    """

    index: int
    reader: DeviceReader
    retry_at: float | None = None
    failures: int = 0
    warned: bool = False


class NvidiaGpus:
    """The devices that CUDA would show to this process, each read while it answers.

    Args:
        nvml: The module `pynvml`, initialised; this object stops it.
        environ: The environment variables.
        retry_s: Seconds until a lost device is tried again; doubled at each failure, up to an hour.
        clock: Seconds of a monotonic clock.

    Attributes:
        problem: In words, what is wrong with devices that cannot be read at all; None when nothing is.
    """

    def __init__(
        self,
        nvml: Any,
        environ: Mapping[str, str],
        *,
        retry_s: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.problem: str | None = None
        self._nvml = nvml
        self._environ = environ
        self._retry_s = retry_s
        self._clock = clock
        self._slots = [
            _Slot(index, DeviceReader(nvml, device, index=index, clock=clock))
            for index, device in enumerate(self._visible())
        ]

    def read(self, pids: Collection[int]) -> dict[int, Values]:
        """Return the values of each device that answers, by its index.

        Args:
            pids: The processes whose memory is told.
        """
        now = self._clock()
        if any(slot.retry_at is not None and now >= slot.retry_at for slot in self._slots):
            self._begin_anew()
        answers = {slot.index: self._read(slot, pids) for slot in self._slots if slot.retry_at is None}
        return {index: values for index, values in answers.items() if values}

    def close(self) -> None:
        """Let go of the devices and of NVML."""
        for slot in self._slots:
            slot.reader.close()
        self._slots = []
        stop_nvml(self._nvml)

    def _visible(self) -> tuple[Device, ...]:
        try:
            listing = list_devices(self._nvml, self._environ)
        except self._nvml.NVMLError as error:
            self.problem = f"NVML cannot list the GPUs ({error})"
            return ()
        self.problem = "; ".join(listing.problems) or None
        return visible_devices(listing.devices, self._environ.get("CUDA_VISIBLE_DEVICES"))

    def _read(self, slot: _Slot, pids: Collection[int]) -> Values:
        try:
            values = slot.reader.read(pids)
        except DeviceLost as loss:
            self._lose(slot, str(loss))
            return {}
        slot.failures = 0
        return values

    def _lose(self, slot: _Slot, reason: str) -> None:
        delay_s = min(self._retry_s * 2**slot.failures, _LONGEST_DELAY_S)
        slot.retry_at = self._clock() + delay_s
        slot.failures += 1
        level = logging.DEBUG if slot.warned else logging.WARNING
        slot.warned = True
        logger.log(level, "GPU %d no longer answers (%s); it is tried again in %.0f s", slot.index, reason, delay_s)

    def _begin_anew(self) -> None:
        """Initialise NVML again, as a lost device needs it; all handles become stale, so find all devices by UUID."""
        for slot in self._slots:
            slot.reader.close()
        stop_nvml(self._nvml)
        try:
            self._nvml.nvmlInit()
            found = {device.uuid: device for device in list_devices(self._nvml, self._environ).devices}
        except self._nvml.NVMLError as error:
            for slot in self._slots:
                self._lose(slot, str(error))
            return
        for slot in self._slots:
            device = found.get(slot.reader.device.uuid)
            if device is None:
                self._lose(slot, "NVML does not list it")
            else:
                slot.reader.adopt(device)
                slot.retry_at = None
