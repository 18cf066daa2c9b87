"""Finds NVIDIA GPUs and MIG instances through NVML, and tells which of them CUDA would show to this process.

No CUDA context is made: `CUDA_VISIBLE_DEVICES` and `CUDA_DEVICE_ORDER` are read as CUDA reads them.

Known trade-offs: CUDA shows one MIG instance at most to a process, the first; here all of them are listed where the
variable does not name any, since each process of a job may be given another one. Where GPUs of different models are in
a machine and `CUDA_DEVICE_ORDER` is not `PCI_BUS_ID`, CUDA puts the fastest first by a rule that is not published:
cores times clock is taken.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["LOST", "Device", "Listing", "list_devices", "visible_devices", "visible_entries"]

LOST = frozenset({1, 9, 15, 16, 28, 999})
"""NVML's codes for "ask again later, after a new beginning": not initialised, driver not loaded, GPU lost, reset
required, GPU not found, unknown. Numbers, since older versions of pynvml lack some of the names.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A GPU, or a MIG instance of one.

    Attributes:
        gpu: NVML's index of the GPU, the one that nvidia-smi shows; that of the parent for an instance.
        handle: NVML's handle; valid until NVML is shut down.
        gpu_uuid: The UUID of the GPU that an instance is cut from; that of the device itself for a whole GPU.
        parent: The handle of that GPU, for an instance; None for a whole GPU.
        instance: The ids of the GPU instance and the compute instance, for an instance.
    """

    gpu: int
    uuid: str
    name: str
    handle: Any
    gpu_uuid: str
    memory_bytes: int | None = None
    parent: Any = None
    instance: tuple[int, int] | None = None


class Listing(NamedTuple):
    """All devices, in the order in which CUDA counts GPUs, and in words what is wrong with those that are missing."""

    devices: tuple[Device, ...]
    problems: tuple[str, ...]


def list_devices(nvml: Any, environ: Mapping[str, str]) -> Listing:
    """List the devices of this machine that this process may talk to, whether CUDA would show them or not.

    Args:
        nvml: The module `pynvml`, initialised.
        environ: The environment variables.

    Raises:
        pynvml.NVMLError: NVML cannot count the devices.
    """
    gpus: list[tuple[Device, ...]] = []
    problems: list[str] = []
    for index in range(nvml.nvmlDeviceGetCount()):
        try:
            gpus.append(_gpu_or_instances(nvml, index))
        except nvml.NVMLError as error:
            # A GPU that is somebody else's does not exist for CUDA either.
            if error.value != nvml.NVML_ERROR_NO_PERMISSION:
                problems.append(f"GPU {index} does not answer: {error}")
    models = {device.name for devices in gpus for device in devices}
    if environ.get("CUDA_DEVICE_ORDER") != "PCI_BUS_ID" and len(models) > 1:
        gpus = _fastest_first(nvml, gpus)
    return Listing(tuple(device for devices in gpus for device in devices), tuple(problems))


def visible_devices(devices: Sequence[Device], variable: str | None) -> tuple[Device, ...]:
    """Return the devices that CUDA would show, in the order in which it numbers them.

    An entry that names nothing, or more than one device, ends the list. A device named twice means that none is shown.

    Args:
        devices: In the order in which CUDA counts GPUs.
        variable: `CUDA_VISIBLE_DEVICES`, None when it is not set.

    Example:
        >>> ids = ["GPU-0a", "GPU-1a"]
        >>> two = [Device(gpu=i, uuid=id, gpu_uuid=id, name="H100", handle=None) for i, id in enumerate(ids)]
        >>> [device.uuid for device in visible_devices(two, "1,0")]
        ['GPU-1a', 'GPU-0a']
        >>> [device.uuid for device in visible_devices(two, "GPU-1")]
        ['GPU-1a']
    """
    if variable is None:
        return tuple(devices)
    chosen: list[Device] = []
    gpus = list(dict.fromkeys(device.gpu for device in devices))
    for entry in visible_entries(variable):
        found = _named(entry, devices) if isinstance(entry, str) else _numbered(entry, devices, gpus)
        if not found:
            break
        if any(device in chosen for device in found):
            return ()
        chosen += found
    return tuple(chosen)


def visible_entries(variable: str) -> list[int] | list[str]:
    """Split the value of a `…_VISIBLE_DEVICES` variable into its valid entries: indices or names, as the first one is.

    Example:
        >>> visible_entries("2,0"), visible_entries("GPU-8a,GPU-3f"), visible_entries(""), visible_entries("1,1")
        ([2, 0], ['GPU-8a', 'GPU-3f'], [], [])
    """
    words = [word.strip() for word in variable.split(",")]
    prefix = next((prefix for prefix in ("GPU-", "MIG-") if words[0].startswith(prefix)), None)
    entries: list[Any] = []
    for word in words:
        entry = _index(word) if prefix is None else word if word.startswith(prefix) else None
        if entry is None:
            break
        if entry in entries:
            return []
        entries.append(entry)
    return entries


def _index(word: str) -> int | None:
    """Read the number at the beginning of a word, as C's strtoul does; None where there is none or it is negative."""
    digits = re.match(r"[+-]?[0-9]+", word)
    number = int(digits[0]) if digits else -1
    return number if number >= 0 else None


def _named(entry: str, devices: Sequence[Device]) -> list[Device]:
    """Return what a UUID or a unique prefix of one stands for: a device, or all instances of a GPU."""
    if entry.startswith("GPU-"):
        gpus = {device.gpu for device in devices if device.gpu_uuid.startswith(entry)}
        return [device for device in devices if device.gpu in gpus] if len(gpus) == 1 else []
    found = [device for device in devices if device.uuid.startswith(entry) or entry == _old_name(device)]
    return found if len(found) == 1 else []


def _old_name(device: Device) -> str | None:
    """Return how drivers before R470 name an instance: `MIG-GPU-<uuid>/<GPU instance>/<compute instance>`."""
    return None if device.instance is None else "/".join((f"MIG-{device.gpu_uuid}", *map(str, device.instance)))


def _numbered(entry: int, devices: Sequence[Device], gpus: Sequence[int]) -> list[Device]:
    return [device for device in devices if device.gpu == gpus[entry]] if entry < len(gpus) else []


def _gpu_or_instances(nvml: Any, index: int) -> tuple[Device, ...]:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    uuid = nvml.nvmlDeviceGetUUID(handle)
    gpu = Device(
        gpu=index,
        uuid=uuid,
        name=nvml.nvmlDeviceGetName(handle),
        handle=handle,
        gpu_uuid=uuid,
        memory_bytes=_memory_bytes(nvml, handle),
    )
    return tuple(_instances(nvml, gpu)) if _is_divided(nvml, handle) else (gpu,)


def _instances(nvml: Any, gpu: Device) -> Iterator[Device]:
    for place in range(nvml.nvmlDeviceGetMaxMigDeviceCount(gpu.handle)):
        try:
            handle = nvml.nvmlDeviceGetMigDeviceHandleByIndex(gpu.handle, place)
            yield Device(
                gpu=gpu.gpu,
                uuid=nvml.nvmlDeviceGetUUID(handle),
                name=nvml.nvmlDeviceGetName(handle),
                handle=handle,
                gpu_uuid=gpu.uuid,
                memory_bytes=_memory_bytes(nvml, handle),
                parent=gpu.handle,
                instance=(nvml.nvmlDeviceGetGpuInstanceId(handle), nvml.nvmlDeviceGetComputeInstanceId(handle)),
            )
        except nvml.NVMLError as error:
            # Places may be empty, and in a container an instance may be another's.
            if error.value not in {nvml.NVML_ERROR_NOT_FOUND, nvml.NVML_ERROR_NO_PERMISSION}:
                raise


def _is_divided(nvml: Any, handle: Any) -> bool:
    try:
        current, _ = nvml.nvmlDeviceGetMigMode(handle)
    except nvml.NVMLError:  # Older than MIG, or not capable of it.
        return False
    return bool(current == nvml.NVML_DEVICE_MIG_ENABLE)


def _memory_bytes(nvml: Any, handle: Any) -> int | None:
    try:
        return int(nvml.nvmlDeviceGetMemoryInfo(handle).total)
    except nvml.NVMLError as error:
        if error.value in LOST:
            raise
        return None  # Some chips share the machine's memory and have none of their own to tell of.


def _fastest_first(nvml: Any, gpus: list[tuple[Device, ...]]) -> list[tuple[Device, ...]]:
    fastest = max(gpus, key=lambda devices: _speed(nvml, devices))
    return [fastest, *(devices for devices in gpus if devices is not fastest)]


def _speed(nvml: Any, devices: tuple[Device, ...]) -> float:
    if not devices:
        return 0.0
    handle = devices[0].parent or devices[0].handle
    try:
        return float(nvml.nvmlDeviceGetNumGpuCores(handle) * nvml.nvmlDeviceGetMaxClockInfo(handle, nvml.NVML_CLOCK_SM))
    except nvml.NVMLError:  # An old driver does not tell: then the order on the bus stands.
        return 0.0
