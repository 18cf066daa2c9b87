"""What may be asked of each run beside its params, metrics and tags, from which docs and messages are made."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

__all__ = ["ATTRIBUTES", "OTHER_NAMES", "STATISTICS", "AttributeType", "RunAttribute"]


class AttributeType(StrEnum):
    """What an attribute is compared with."""

    TEXT = "text"
    NUMBER = "number"
    FLAG = "flag"
    TIME = "time"
    DURATION = "duration"


_TEXT, _NUMBER, _FLAG = AttributeType.TEXT, AttributeType.NUMBER, AttributeType.FLAG
_TIME, _DURATION = AttributeType.TIME, AttributeType.DURATION


@dataclass(frozen=True, slots=True)
class RunAttribute:
    """An attribute: its type, and what it says, in words."""

    type: AttributeType
    description: str


ATTRIBUTES: Final[dict[str, RunAttribute]] = {
    "id": RunAttribute(_TEXT, "its ULID"),
    "name": RunAttribute(_TEXT, "its name"),
    "project": RunAttribute(_TEXT, "name of its project"),
    "experiment": RunAttribute(_TEXT, "name of its experiment"),
    "status": RunAttribute(_TEXT, "pending, running, completed, failed or killed"),
    "reason": RunAttribute(_TEXT, "why it ended as it did, in words"),
    "created": RunAttribute(_TIME, "when it was made"),
    "started": RunAttribute(_TIME, "when it began"),
    "ended": RunAttribute(_TIME, "when it ended"),
    "duration": RunAttribute(_DURATION, "how long it ran, to the last sign of life where it goes on"),
    "archived": RunAttribute(_FLAG, "whether it is archived"),
    "parent": RunAttribute(_TEXT, "id of the run that it is nested in"),
    "notes": RunAttribute(_TEXT, "its notes"),
    "created_by": RunAttribute(_TEXT, "the user who started it"),
    "host": RunAttribute(_TEXT, "the machine that its main process began on last"),
    "source": RunAttribute(_TEXT, "where its code came from: git, local or notebook"),
    "entry_point": RunAttribute(_TEXT, "the script, module or notebook that was started"),
    "directory": RunAttribute(_TEXT, "the working directory"),
    "git.commit": RunAttribute(_TEXT, "the full hash of the commit; startswith takes the first characters"),
    "git.branch": RunAttribute(_TEXT, "the branch"),
    "git.tag": RunAttribute(_TEXT, "a tag of the commit"),
    "git.dirty": RunAttribute(_FLAG, "whether files differed from the commit"),
    "git.repository": RunAttribute(_TEXT, "URL of the remote"),
    "python": RunAttribute(_TEXT, "version of Python"),
    "os": RunAttribute(_TEXT, "the operating system"),
    "platform": RunAttribute(_TEXT, "the platform, in words"),
    "cpu.model": RunAttribute(_TEXT, "the processor"),
    "cpu.count": RunAttribute(_NUMBER, "logical CPUs that it could use"),
    "memory": RunAttribute(_NUMBER, "bytes of memory that it could use"),
    "gpu.type": RunAttribute(_TEXT, "name of its first GPU"),
    "gpu.count": RunAttribute(_NUMBER, "how many GPUs it could use"),
    "gpu.memory": RunAttribute(_NUMBER, "bytes of memory of its first GPU"),
    "cuda": RunAttribute(_TEXT, "the highest version of CUDA that the driver supports"),
    "error.type": RunAttribute(_TEXT, "the exception that ended it"),
    "error.message": RunAttribute(_TEXT, "what that exception said"),
    "gpu_hours": RunAttribute(_NUMBER, "hours of GPUs that it used"),
    "cpu_hours": RunAttribute(_NUMBER, "hours of CPUs that it used"),
    "memory_gb_hours": RunAttribute(_NUMBER, "gigabytes of memory times hours"),
    "storage_gb": RunAttribute(_NUMBER, "gigabytes that it stored"),
    "energy_kwh": RunAttribute(_NUMBER, "energy that it used, in kilowatt hours"),
    "cost": RunAttribute(_NUMBER, "what it cost, by the prices in the settings"),
}
"""By the name behind `run.`."""

OTHER_NAMES: Final = {
    "created_at": "created",
    "started_at": "started",
    "start_time": "started",
    "ended_at": "ended",
    "end_time": "ended",
    "hostname": "host",
    "user": "created_by",
    "git.repository_url": "git.repository",
    "python_version": "python",
    "gpu.name": "gpu.type",
    "resources.gpu_hours": "gpu_hours",
    "resources.cpu_hours": "cpu_hours",
    "resources.energy_kwh": "energy_kwh",
    "resources.cost": "cost",
}
"""Names that attributes have elsewhere."""

STATISTICS: Final[dict[str, str]] = {
    "last": "the value at the highest step",
    "min": "the lowest value",
    "max": "the highest value",
    "mean": "the mean of all values",
    "count": "how many points there are",
    "first_step": "the lowest step",
    "last_step": "the highest step",
    "last_time": "when the last value was logged",
}
"""What may stand behind a metric, and what it means."""
