"""Finds and reads AMD GPUs through the files of the kernel's driver; no package and no tool of AMD's is needed.

GPUs are counted as HIP counts them: in the order of the compute driver's nodes, less those that
`ROCR_VISIBLE_DEVICES`, then `HIP_VISIBLE_DEVICES` (or `CUDA_VISIBLE_DEVICES`) leave out.

Known trade-off: graphics units inside of a CPU look like GPUs to the compute driver. What has less than 4 GB of memory
of its own is left out, or every run on such a machine would count GPU-hours.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tracklib.capture.energy import EnergyMeter
from tracklib.capture.gpu_devices import visible_entries

if TYPE_CHECKING:
    from tracklib.capture.gpu_metrics import Values

__all__ = ["AmdGpu", "AmdGpus", "amd_driver_version", "visible_amd_gpus"]

_SYS = Path("/sys")
_KFD = "class/kfd/kfd"
_LEAST_MEMORY_BYTES = 4_000_000_000
# Our name, the files that may hold it, the first that does counts, and what turns the driver's unit into ours.
_FILES = (
    ("util_pct", ("gpu_busy_percent",), 1.0),
    ("mem_util_pct", ("mem_busy_percent",), 1.0),
    ("mem_used_bytes", ("mem_info_vram_used",), 1.0),
    ("mem_total_bytes", ("mem_info_vram_total",), 1.0),
    ("temp_c", ("hwmon/*/temp1_input", "hwmon/*/temp2_input"), 1e-3),
    ("mem_temp_c", ("hwmon/*/temp3_input",), 1e-3),
    ("power_w", ("hwmon/*/power1_average", "hwmon/*/power1_input"), 1e-6),
    ("power_limit_w", ("hwmon/*/power1_cap",), 1e-6),
    ("sm_clock_mhz", ("hwmon/*/freq1_input",), 1e-6),
    ("mem_clock_mhz", ("hwmon/*/freq2_input",), 1e-6),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AmdGpu:
    """A GPU as the driver's files show it.

    Attributes:
        number: The id that the compute driver gives it.
        physical_index: Its place among all GPUs of the machine.
        folder: Where its files are.
    """

    uuid: str
    name: str
    number: int
    physical_index: int
    memory_bytes: int
    folder: Path


def visible_amd_gpus(environ: Mapping[str, str], *, root: Path = _SYS) -> tuple[AmdGpu, ...]:
    """Return the GPUs that HIP would show to this process, in its order.

    Args:
        environ: The environment variables.
        root: Where the sys file system is mounted.
    """
    gpus = _all_gpus(root)
    chosen = _chosen(gpus, environ.get("ROCR_VISIBLE_DEVICES"))
    return _chosen(chosen, environ.get("HIP_VISIBLE_DEVICES", environ.get("CUDA_VISIBLE_DEVICES")))


def amd_driver_version(*, root: Path = _SYS) -> str | None:
    """Return the version of a driver that did not come with the kernel, None otherwise."""
    return _text(root / "module/amdgpu/version") or None


class AmdGpus:
    """Reads AMD GPUs.

    Args:
        gpus: What to read, in the order in which HIP numbers them.
        root: Where the sys file system is mounted.
        clock: Seconds of a monotonic clock.
    """

    def __init__(
        self, gpus: Sequence[AmdGpu], *, root: Path = _SYS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._readers = [_Reader(gpu, root / _KFD / "proc", clock) for gpu in gpus]

    def read(self, pids: Collection[int]) -> dict[int, Values]:
        """Return the values of each GPU by its index.

        Args:
            pids: The processes whose memory is told as `proc_mem_bytes`.
        """
        return {index: values for index, reader in enumerate(self._readers) if (values := reader.read(pids))}

    def close(self) -> None:
        """Let go of the GPUs; no file is held open."""
        self._readers = []


class _Reader:
    def __init__(self, gpu: AmdGpu, processes: Path, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._energy = EnergyMeter()
        self._processes = processes
        self._share = f"vram_{gpu.number}"
        self._files = [(name, file, factor) for name, files, factor in _FILES for file in _first(gpu.folder, files)]

    def read(self, pids: Collection[int]) -> Values:
        readings = ((name, _number(file), factor) for name, file, factor in self._files)
        values = {name: number * factor for name, number, factor in readings if number is not None}
        if values.get("mem_total_bytes") and "mem_used_bytes" in values:
            values["mem_used_pct"] = 100 * values["mem_used_bytes"] / values["mem_total_bytes"]
        if "power_w" in values:
            values["energy_j"] = self._energy.by_power(values["power_w"], self._clock())
        # A process that does not use the GPU, or whose id the host counts otherwise, has no such file.
        shares = [_number(self._processes / str(pid) / self._share) for pid in pids]
        known = [share for share in shares if share is not None]
        return values | ({"proc_mem_bytes": sum(known)} if known else {})


def _all_gpus(root: Path) -> tuple[AmdGpu, ...]:
    nodes = (root / _KFD / "topology/nodes").glob("[0-9]*")
    gpus: list[AmdGpu] = []
    for node in sorted(nodes, key=lambda path: int(path.name)):
        facts = dict(re.findall(r"^(\w+) (\d+)$", _text(node / "properties"), re.MULTILINE))
        folder = root / f"class/drm/renderD{facts.get('drm_render_minor', 0)}/device"
        memory = _number(folder / "mem_info_vram_total") or 0
        if facts.get("simd_count", "0") != "0" and memory >= _LEAST_MEMORY_BYTES:
            gpu = AmdGpu(
                uuid=f"GPU-{int(facts.get('unique_id', 0)):016x}",
                name=_text(folder / "product_name") or f"AMD GPU {_text(folder / 'device')}".strip(),
                number=_number(node / "gpu_id") or 0,
                physical_index=len(gpus),
                memory_bytes=memory,
                folder=folder,
            )
            gpus.append(gpu)
    return tuple(gpus)


def _chosen(gpus: Sequence[AmdGpu], variable: str | None) -> tuple[AmdGpu, ...]:
    if variable is None:
        return tuple(gpus)
    by_entry: dict[int | str, AmdGpu] = {**dict(enumerate(gpus)), **{gpu.uuid: gpu for gpu in gpus}}
    chosen: list[AmdGpu] = []
    for entry in visible_entries(variable):
        if entry not in by_entry:
            break
        chosen.append(by_entry[entry])
    return tuple(chosen)


def _first(folder: Path, patterns: Sequence[str]) -> list[Path]:
    found = (path for pattern in patterns for path in sorted(folder.glob(pattern)) if _number(path) is not None)
    return [path for path in (next(found, None),) if path is not None]


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if re.fullmatch(r"-?[0-9]+", text) else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:  # Not this driver, not this model, or asleep.
        return ""
