"""From rows of the catalog tables to entities."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, Final

from tracklib.model import (
    Environment,
    Event,
    Experiment,
    ExperimentStatus,
    Gpu,
    Project,
    ProjectSettings,
    Resources,
    RunError,
    RunInfo,
    RunStatus,
    Source,
    SourceType,
    WriterInfo,
    main_writers,
    new_id,
)
from tracklib.stores.fold import dump, ensure_project
from tracklib.values import restore

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence


__all__ = [
    "list_events",
    "list_experiments",
    "list_projects",
    "put_experiment",
    "put_project",
    "read_runs",
]

_RUN_SQL: Final = """
SELECT run.key, run.id, run.name, run.status, reason, start_time, end_time, duration, parent, run.created_by,
  run.created_at, run.archived_at, notes, params, error, dropped, source, source_documents, environment, packages,
  resources, experiment.name AS experiment, project.name AS project
FROM run JOIN experiment ON experiment.id = run.experiment_id JOIN project ON project.id = experiment.project_id
"""


def _rows(connection: sqlite3.Connection, sql: str, arguments: Sequence[Any] = ()) -> list[dict[str, Any]]:
    cursor = connection.execute(sql, arguments)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def only_known(kind: type, data: dict[str, Any]) -> dict[str, Any]:
    """Leave out what a later version may have added."""
    known = {f.name for f in fields(kind)}
    return {name: value for name, value in data.items() if name in known}


# ---- projects and experiments


def list_projects(connection: sqlite3.Connection, *, archived: bool | None) -> list[Project]:
    """List projects by name."""
    rows = _rows(connection, f"SELECT * FROM project {_archived_where('archived_at', archived)} ORDER BY name")  # noqa: S608 - our own words
    return [_project(row) for row in rows]


def _project(row: dict[str, Any]) -> Project:
    settings = only_known(ProjectSettings, json.loads(row["settings"]))
    settings["primary_metrics"] = tuple(settings.get("primary_metrics", ()))
    return Project(**{**row, "tags": json.loads(row["tags"]), "settings": ProjectSettings(**settings)})


def put_project(connection: sqlite3.Connection, project: Project) -> None:
    """Create or replace a project."""
    row = {**asdict(project), "tags": dump(project.tags), "settings": dump(asdict(project.settings))}
    row["id"] = row["id"] or new_id()
    _upsert(connection, "project", row, ("name",))


def list_experiments(connection: sqlite3.Connection, project: str | None, *, archived: bool | None) -> list[Experiment]:
    """List experiments by project and name."""
    where = _archived_where("experiment.archived_at", archived)
    if project is not None:
        where += " AND project.name = ?" if where else "WHERE project.name = ?"
    rows = _rows(
        connection,
        "SELECT experiment.*, project.name AS project FROM experiment"  # noqa: S608 - as above
        " JOIN project ON project.id = experiment.project_id"
        f" {where} ORDER BY project.name, experiment.name",
        [] if project is None else [project],
    )
    return [_experiment(row) for row in rows]


def _experiment(row: dict[str, Any]) -> Experiment:
    del row["project_id"]
    return Experiment(**{**row, "tags": json.loads(row["tags"]), "status": ExperimentStatus(row["status"])})


def put_experiment(connection: sqlite3.Connection, experiment: Experiment) -> None:
    """Create or replace an experiment, and its project if it is missing."""
    row = {**asdict(experiment), "tags": dump(experiment.tags), "status": str(experiment.status)}
    row["id"] = row["id"] or new_id()
    row["project_id"] = ensure_project(connection, row.pop("project"), experiment.created_at).id
    _upsert(connection, "experiment", row, ("project_id", "name"))


def _upsert(connection: sqlite3.Connection, table: str, row: dict[str, Any], unique: tuple[str, ...]) -> None:
    columns, marks = ", ".join(row), ", ".join("?" * len(row))
    changes = ", ".join(f"{name} = excluded.{name}" for name in row if name not in {"id", "created_at", *unique})
    connection.execute(
        f"INSERT INTO {table} ({columns}) VALUES ({marks}) ON CONFLICT ({', '.join(unique)}) DO UPDATE SET {changes}",  # noqa: S608 - our own names
        list(row.values()),
    )


def _archived_where(column: str, archived: bool | None) -> str:
    if archived is None:
        return ""
    return f"WHERE {column} IS NOT NULL" if archived else f"WHERE {column} IS NULL"


# ---- runs


def read_runs(connection: sqlite3.Connection, keys: Sequence[int], *, whole: bool) -> list[RunInfo]:
    """Return runs by key, in the order of the keys; `whole` with diff, untracked files and packages."""
    found: dict[int, dict[str, Any]] = {}
    for start in range(0, len(keys), 500):
        portion = keys[start : start + 500]
        marks = ",".join("?" * len(portion))
        for row in _rows(connection, f"{_RUN_SQL} WHERE run.key IN ({marks})", portion):
            key = row.pop("key")
            found[key] = {**row, "tags": {}, "writers": []}
        tags = f"SELECT * FROM tag WHERE run_key IN ({marks}) ORDER BY name"  # noqa: S608 - only marks are put in
        for key, name, value in connection.execute(tags, portion):
            found[key]["tags"][name] = value
        for writer in _rows(connection, f"SELECT * FROM writer WHERE run_key IN ({marks}) ORDER BY key", portion):  # noqa: S608 - as above
            found[writer["run_key"]]["writers"].append(_writer(writer))
    return [_run(connection, found[key], whole=whole) for key in keys]


def _writer(row: dict[str, Any]) -> WriterInfo:
    row["status"] = RunStatus(row["status"])
    row["primary"] = bool(row["is_primary"])
    return WriterInfo(**only_known(WriterInfo, row))


def _run(connection: sqlite3.Connection, row: dict[str, Any], *, whole: bool) -> RunInfo:
    documents, packages = json.loads(row.pop("source_documents")), row.pop("packages")
    source, environment = json.loads(row["source"]), json.loads(row["environment"])
    if whole:
        source.update({name: _document(connection, key) for name, key in documents.items() if key})
        if documents.get("untracked"):
            source["untracked"] = json.loads(source["untracked"])
        if packages:
            environment["packages"] = json.loads(_document(connection, packages))
    error = json.loads(row["error"])
    writers = tuple(row["writers"])
    heartbeat = max((writer.heartbeat_at for writer in main_writers(writers)), default=None)
    duration = row["duration"]
    if row["end_time"] is None and heartbeat is not None:
        began = max((writer.started_at for writer in writers if writer.primary), default=heartbeat)
        duration = (duration or 0.0) + max(0.0, heartbeat - began)
    changes = {
        "status": RunStatus(row["status"]),
        "params": restore(json.loads(row["params"])),
        "dropped": json.loads(row["dropped"]),
        "resources": Resources(**only_known(Resources, json.loads(row["resources"]))),
        "error": RunError(**error) if error else None,
        "source": _source(source),
        "environment": _environment(environment),
        "writers": writers,
        "heartbeat_at": heartbeat,
        "duration": duration,
    }
    return RunInfo(**{**row, **changes})


def _document(connection: sqlite3.Connection, key: str) -> str:
    row = connection.execute("SELECT text FROM document WHERE hash = ?", (key,)).fetchone()
    return str(row[0]) if row else ""


def _source(data: dict[str, Any]) -> Source:
    data = only_known(Source, data)
    if "source_type" in data:
        data["source_type"] = SourceType(data["source_type"])
    data["command_line"] = tuple(data.get("command_line") or ())
    return Source(**data)


def _environment(data: dict[str, Any]) -> Environment:
    data = only_known(Environment, data)
    data["gpus"] = tuple(Gpu(**only_known(Gpu, gpu)) for gpu in data.get("gpus") or ())
    return Environment(**data)


# ---- events


def list_events(connection: sqlite3.Connection, run: int, kinds: Sequence[str]) -> list[Event]:
    """List a run's events by arrival."""
    where = f"AND kind IN ({','.join('?' * len(kinds))})" if kinds else ""
    rows = connection.execute(
        f"SELECT kind, time, writer, data FROM event WHERE run_key = ? {where} ORDER BY id",  # noqa: S608 - only marks are put in
        [run, *kinds],
    )
    return [Event(kind, time, writer, json.loads(data)) for kind, time, writer, data in rows]
