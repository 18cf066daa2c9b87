"""Where the tables have what is known of each run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from tracklib.model import SourceType
from tracklib.queries.attributes import ATTRIBUTES, AttributeType
from tracklib.records import RunStatus

if TYPE_CHECKING:
    from tracklib.stores.filter_values import Bindings

__all__ = ["INDEXED", "Lost", "attribute_sql"]

INDEXED: Final = {
    "id": "id",
    "name": "name",
    "parent": "parent",
    "status": "status",
    "git.commit": "git_commit",
}
"""Attributes for which the table of runs has an index, and its columns."""

_HEARD: Final = """coalesce(
  (SELECT max(heartbeat_at) FROM writer WHERE run_key = run.key AND is_primary AND substr(writer, 1, 5) <> 'edit.'),
  (SELECT max(heartbeat_at) FROM writer WHERE run_key = run.key AND substr(writer, 1, 5) <> 'edit.'))"""
"""When a run was heard of last."""

_BEGAN: Final = f"coalesce((SELECT max(started_at) FROM writer WHERE run_key = run.key AND is_primary), {_HEARD})"  # noqa: S608 - our own words

_COLUMNS: Final = {
    "id": "run.id",
    "name": "run.name",
    "experiment": "(SELECT experiment.name FROM experiment WHERE experiment.id = run.experiment_id)",
    "project": "(SELECT project.name FROM experiment JOIN project ON project.id = experiment.project_id"
    " WHERE experiment.id = run.experiment_id)",
    "created": "run.created_at",
    "started": "run.start_time",
    "duration": f"CASE WHEN run.end_time IS NOT NULL OR {_HEARD} IS NULL THEN run.duration"
    f" ELSE coalesce(run.duration, 0.0) + max(0.0, {_HEARD} - {_BEGAN}) END",
    "archived": "CAST(run.archived_at IS NOT NULL AS REAL)",
    "parent": "run.parent",
    "notes": "run.notes",
    "created_by": "run.created_by",
    "host": "run.hostname",
    "source": f"coalesce(json_extract(run.source, '$.source_type'), '{SourceType.LOCAL}')",
    "git.commit": "run.git_commit",
    "git.branch": "run.git_branch",
    "gpu.count": "CAST(coalesce(json_array_length(run.environment, '$.gpus'), 0) AS REAL)",
}
_DOCUMENTS: Final = {
    "entry_point": ("source", "$.entry_point"),
    "directory": ("source", "$.directory"),
    "git.tag": ("source", "$.tag"),
    "git.dirty": ("source", "$.dirty"),
    "git.repository": ("source", "$.repository_url"),
    "python": ("environment", "$.python_version"),
    "os": ("environment", "$.os"),
    "platform": ("environment", "$.platform"),
    "cpu.model": ("environment", "$.cpu_model"),
    "cpu.count": ("environment", "$.cpu_count"),
    "memory": ("environment", "$.memory_bytes"),
    "gpu.type": ("environment", "$.gpus[0].name"),
    "gpu.memory": ("environment", "$.gpus[0].memory_bytes"),
    "cuda": ("environment", "$.cuda_version"),
    "error.type": ("error", "$.type"),
    "error.message": ("error", "$.message"),
    **{
        name: ("resources", f"$.{name}")
        for name in ("gpu_hours", "cpu_hours", "memory_gb_hours", "storage_gb", "energy_kwh", "cost")
    },
}
"""The column of JSON and the path in it."""


class Lost:
    """The runs that are stored as running and whose processes are gone, and what is said of their end."""

    def __init__(self, ids: tuple[str, ...], reason: str) -> None:
        self.ids = ids
        self._reason = reason

    def sql(self, name: str, bindings: Bindings) -> str | None:
        """Return SQL for an attribute that such runs have another value of; None for the others."""
        if not self.ids:
            return {"status": "run.status", "reason": "run.reason", "ended": "run.end_time"}.get(name)
        changed = {
            "status": (f"'{RunStatus.KILLED}'", "run.status"),
            "reason": (f"coalesce(nullif(run.reason, ''), {bindings.bind(self._reason)})", "run.reason"),
            "ended": (_HEARD, "run.end_time"),
        }.get(name)
        if changed is None:
            return None
        ids = bindings.bind(json.dumps(self.ids))
        return f"CASE WHEN run.id IN (SELECT value FROM json_each({ids})) THEN {changed[0]} ELSE {changed[1]} END"  # noqa: S608 - values are bound


def attribute_sql(name: str, lost: Lost, bindings: Bindings) -> str:
    """Return SQL for an attribute of the row of `run`; NULL where nothing is known."""
    kind = ATTRIBUTES[name].type
    plain = lost.sql(name, bindings) or _COLUMNS.get(name)
    if plain is not None:
        return f"nullif({plain}, '')" if kind == AttributeType.TEXT else f"({plain})"
    column, path = _DOCUMENTS[name]
    found = f"json_extract(run.{column}, '{path}')"
    if kind == AttributeType.TEXT:
        return f"(CASE WHEN json_type(run.{column}, '{path}') = 'text' THEN nullif({found}, '') END)"
    types = "('integer', 'real', 'true', 'false')"
    return f"(CASE WHEN json_type(run.{column}, '{path}') IN {types} THEN CAST({found} AS REAL) END)"
