"""The names of all system metrics, each with its unit and its meaning. The reference page is made from this."""

from __future__ import annotations

import re

__all__ = ["METRIC_UNITS", "describe_metric"]

METRIC_UNITS: dict[str, str] = {
    "system/cpu/util_pct": "%: busy share of all CPUs of the machine, since the sample before",
    "system/cpu/proc_util_pct": "%: CPU use of the process tree, where 100 is one CPU kept busy",
    "system/cpu/proc_time_s": "s: CPU time of the process tree since sampling began, ended children included",
    "system/memory/used_bytes": "bytes: memory in use; that of the control group where one sets the limit",
    "system/memory/used_pct": "%: used share of the machine's memory or of the control group's limit",
    "system/memory/total_bytes": "bytes: the machine's memory, or the control group's limit where that is lower",
    "system/memory/proc_rss_bytes": "bytes: resident memory of the process tree; shared pages count once per process",
    "system/disk/used_pct": "%: used share of the file system that the first watched path is on",
    "system/disk/free_bytes": "bytes: free for ordinary users on the file system of the first watched path",
    "system/disk/{path}/used_pct": "%: used share of the file system of another watched path",
    "system/disk/{path}/free_bytes": "bytes: free for ordinary users on the file system of another watched path",
    "system/disk/read_bytes_per_s": "bytes/s: read from all disks of the machine",
    "system/disk/write_bytes_per_s": "bytes/s: written to all disks of the machine",
    "system/network/sent_bytes_per_s": "bytes/s: sent over all interfaces but loopback",
    "system/network/received_bytes_per_s": "bytes/s: received over all interfaces but loopback",
    "system/process/threads": "count: threads of the process tree",
    "system/process/children": "count: processes below the one that is watched",
    "system/gpu/{i}/util_pct": "%: share of the time in which a kernel ran",
    "system/gpu/{i}/mem_util_pct": "%: share of the time in which device memory was read or written",
    "system/gpu/{i}/mem_used_bytes": "bytes: device memory in use, by anyone",
    "system/gpu/{i}/mem_total_bytes": "bytes: device memory there is",
    "system/gpu/{i}/mem_used_pct": "%: used share of device memory",
    "system/gpu/{i}/proc_mem_bytes": (
        "bytes: device memory of the process tree; where the driver knows other process ids than we do, "
        "as in a container, the memory that torch has reserved in this process"
    ),
    "system/gpu/{i}/temp_c": "°C: temperature of the chip",
    "system/gpu/{i}/mem_temp_c": "°C: temperature of device memory",
    "system/gpu/{i}/power_w": "W: power drawn by the board",
    "system/gpu/{i}/power_limit_w": "W: power limit in force",
    "system/gpu/{i}/energy_j": "J: energy used since sampling began",
    "system/gpu/{i}/sm_clock_mhz": "MHz: clock of the multiprocessors",
    "system/gpu/{i}/mem_clock_mhz": "MHz: clock of device memory",
    "system/gpu/{i}/throttle": "bit mask: why clocks are lowered, as NVML's nvmlClocksEventReason constants",
    "system/gpu/{i}/throttle_thermal": "0 or 1: clocks are lowered because of heat",
    "system/gpu/{i}/throttle_power": "0 or 1: clocks are lowered because of a power limit or brake",
    "system/gpu/{i}/ecc_corrected": "count: corrected memory errors since the driver was loaded",
    "system/gpu/{i}/ecc_uncorrected": "count: memory errors that could not be corrected, since the driver was loaded",
    "system/gpu/{i}/remapped_rows": "count: rows of device memory that were replaced because of errors",
    "system/gpu/{i}/fan_pct": "%: intended fan speed; may be over 100",
    "system/gpu/{i}/nvlink_sent_bytes_per_s": "bytes/s: data sent over all NVLinks",
    "system/gpu/{i}/nvlink_received_bytes_per_s": "bytes/s: data received over all NVLinks",
    "system/gpu/{i}/sm_active_pct": "%: mean share of busy multiprocessors (Hopper and later)",
    "system/gpu/{i}/sm_occupancy_pct": "%: active warps of those that could be (Hopper and later)",
    "system/gpu/{i}/tensor_active_pct": "%: share of the time in which tensor cores worked (Hopper and later)",
    "system/gpu/{i}/dram_active_pct": "%: used share of the memory bandwidth (Hopper and later)",
    "system/gpu/{i}/pcie_sent_bytes_per_s": "bytes/s: sent by the GPU over PCIe (Hopper and later)",
    "system/gpu/{i}/pcie_received_bytes_per_s": "bytes/s: received by the GPU over PCIe (Hopper and later)",
}
"""Unit and one-line meaning by name; `{i}` is the GPU's index as CUDA counts, `{path}` a path in one word.

A MIG instance shares sensors, clocks and links with others: what is known of the whole GPU only stands one level
lower, as in `system/gpu/{i}/parent/power_w`.
"""

_PATTERNS = {
    re.compile(re.escape(name).replace(r"\{i\}", r"\d+(/parent)?").replace(r"\{path\}", r"[^/]+")): text
    for name, text in METRIC_UNITS.items()
}


def describe_metric(name: str) -> str | None:
    """Return unit and meaning of a system metric, or None for a name that is none of ours.

    Example:
        >>> describe_metric("system/gpu/3/power_w")
        'W: power drawn by the board'
        >>> describe_metric("train/loss")
    """
    return next((text for pattern, text in _PATTERNS.items() if pattern.fullmatch(name)), None)
