"""The metrics of an NVIDIA GPU that need no memory of earlier readings, each with the ways to ask NVML for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

__all__ = ["MEMORY", "MILLI", "OF_GPU", "UTILIZATION", "Values", "Way", "read_fields"]

MILLI = 1e-3
"""NVML counts power in milliwatts and energy in millijoules."""

_THERMAL = 0x20 | 0x40  # Software and hardware thermal slowdown.
_POWER = 0x4 | 0x80  # Software power cap, hardware power brake.
# The member of the union that a field's type points to.
_MEMBERS = {0: "dVal", 1: "uiVal", 2: "ulVal", 3: "ullVal", 4: "sllVal", 5: "siVal", 6: "usVal"}

Values = dict[str, float]
"""Values by the last part of their name."""


class Way(NamedTuple):
    """One way to read a metric.

    Attributes:
        needs: The name in pynvml without which it cannot be tried: older versions lack some.
        read: Asks; takes pynvml and the handle of a device. Raises NVMLError.
    """

    needs: str
    read: Callable[[Any, Any], Values]


def read_fields(nvml: Any, handle: Any, fields: list[Any]) -> list[float]:
    """Read field values by their numbers, or by pairs of number and scope.

    Raises:
        pynvml.NVMLError: That of the first field that failed.
    """
    values = []
    for field in nvml.nvmlDeviceGetFieldValues(handle, fields):
        if field.nvmlReturn != nvml.NVML_SUCCESS:
            raise nvml.NVMLError(field.nvmlReturn)
        values.append(getattr(field.value, _MEMBERS.get(field.valueType, "ullVal")))
    return values


def _memory_v2(nvml: Any, handle: Any) -> Values:
    # Version 2 leaves out what the driver reserves for itself, as nvidia-smi does.
    return _memory(nvml.nvmlDeviceGetMemoryInfo(handle, version=nvml.nvmlMemory_v2))


def _memory_v1(nvml: Any, handle: Any) -> Values:
    return _memory(nvml.nvmlDeviceGetMemoryInfo(handle))


def _memory(info: Any) -> Values:
    share = {"mem_used_pct": 100 * info.used / info.total} if info.total else {}
    return {"mem_used_bytes": info.used, "mem_total_bytes": info.total, **share}


def _utilization(nvml: Any, handle: Any) -> Values:
    rates = nvml.nvmlDeviceGetUtilizationRates(handle)
    return {"util_pct": rates.gpu, "mem_util_pct": rates.memory}


def _temperature_v(nvml: Any, handle: Any) -> Values:
    return {"temp_c": nvml.nvmlDeviceGetTemperatureV(handle, nvml.NVML_TEMPERATURE_GPU)}


def _temperature(nvml: Any, handle: Any) -> Values:
    return {"temp_c": nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)}


def _memory_temperature(nvml: Any, handle: Any) -> Values:
    return {"mem_temp_c": read_fields(nvml, handle, [nvml.NVML_FI_DEV_MEMORY_TEMP])[0]}


def _power(nvml: Any, handle: Any) -> Values:
    return {"power_w": nvml.nvmlDeviceGetPowerUsage(handle) * MILLI}


def _power_limit(nvml: Any, handle: Any) -> Values:
    return {"power_limit_w": nvml.nvmlDeviceGetEnforcedPowerLimit(handle) * MILLI}


def _sm_clock(nvml: Any, handle: Any) -> Values:
    return {"sm_clock_mhz": nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM)}


def _memory_clock(nvml: Any, handle: Any) -> Values:
    return {"mem_clock_mhz": nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_MEM)}


def _event_reasons(nvml: Any, handle: Any) -> Values:
    return _throttle(nvml.nvmlDeviceGetCurrentClocksEventReasons(handle))


def _throttle_reasons(nvml: Any, handle: Any) -> Values:
    return _throttle(nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle))


def _throttle(mask: int) -> Values:
    return {
        "throttle": mask,
        "throttle_thermal": 1.0 if mask & _THERMAL else 0.0,
        "throttle_power": 1.0 if mask & _POWER else 0.0,
    }


def _corrected(nvml: Any, handle: Any) -> Values:
    count = nvml.nvmlDeviceGetTotalEccErrors(handle, nvml.NVML_MEMORY_ERROR_TYPE_CORRECTED, nvml.NVML_VOLATILE_ECC)
    return {"ecc_corrected": count}


def _uncorrected(nvml: Any, handle: Any) -> Values:
    count = nvml.nvmlDeviceGetTotalEccErrors(handle, nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, nvml.NVML_VOLATILE_ECC)
    return {"ecc_uncorrected": count}


def _remapped_rows(nvml: Any, handle: Any) -> Values:
    corrected, uncorrected, _, _ = nvml.nvmlDeviceGetRemappedRows(handle)
    return {"remapped_rows": corrected + uncorrected}


def _fan(nvml: Any, handle: Any) -> Values:
    return {"fan_pct": nvml.nvmlDeviceGetFanSpeed(handle)}


MEMORY = (Way("nvmlMemory_v2", _memory_v2), Way("nvmlDeviceGetMemoryInfo", _memory_v1))
"""Memory, of a GPU or of an instance."""

UTILIZATION = (Way("nvmlDeviceGetUtilizationRates", _utilization),)
"""How busy it is: of an undivided GPU only."""

OF_GPU = (
    (Way("nvmlDeviceGetTemperatureV", _temperature_v), Way("nvmlDeviceGetTemperature", _temperature)),
    (Way("nvmlDeviceGetFieldValues", _memory_temperature),),
    (Way("nvmlDeviceGetPowerUsage", _power),),
    (Way("nvmlDeviceGetEnforcedPowerLimit", _power_limit),),
    (Way("nvmlDeviceGetClockInfo", _sm_clock),),
    (Way("nvmlDeviceGetClockInfo", _memory_clock),),
    (
        Way("nvmlDeviceGetCurrentClocksEventReasons", _event_reasons),
        Way("nvmlDeviceGetCurrentClocksThrottleReasons", _throttle_reasons),
    ),
    (Way("nvmlDeviceGetTotalEccErrors", _corrected),),
    (Way("nvmlDeviceGetTotalEccErrors", _uncorrected),),
    (Way("nvmlDeviceGetRemappedRows", _remapped_rows),),
    (Way("nvmlDeviceGetFanSpeed", _fan),),
)
"""What only a whole GPU has; each entry is one metric with its ways, the best first."""
