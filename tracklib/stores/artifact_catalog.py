"""From rows of the tables of artifacts to entities: the artifacts of all runs, their aliases and who uses them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from tracklib.model import Alias, Artifact, ArtifactFile, ArtifactUse
from tracklib.values import restore

if TYPE_CHECKING:
    import sqlite3

    from tracklib.stores.base import ArtifactQuery

__all__ = ["find_artifacts", "list_aliases", "list_uses", "named_blobs"]

_FIELDS: Final = (
    *("id", "name", "type", "project", "version", "path", "size", "checksum", "metadata", "step", "created_at"),
    *("aliases", "score"),
)

_VERSION: Final = """
  CASE WHEN told.version IS NOT NULL THEN coalesce(
    (SELECT min(artifact.version) FROM artifact WHERE artifact.project = told.project AND artifact.name = told.name
      AND artifact.checksum = told.checksum AND told.checksum != ''), told.version) END AS version
"""
"""The number that the same content has in this store, where it is there: in a copy it may be another one than told."""


def find_artifacts(connection: sqlite3.Connection, query: ArtifactQuery) -> list[Artifact]:
    """List artifacts by time, with their files."""
    where, arguments = _conditions(query)
    rows = connection.execute(
        f"SELECT run.id, {', '.join(f'artifact.{name}' for name in _FIELDS)} FROM artifact"  # noqa: S608 - our own words
        f" JOIN run ON run.key = run_key {where} ORDER BY artifact.created_at, artifact.id",
        arguments,
    ).fetchall()
    found = [(run, dict(zip(_FIELDS, row, strict=True))) for run, *row in rows]
    files = _files(connection, [row["id"] for _, row in found]) if query.files else {}
    return [_artifact(run, row, files.get(row["id"], [])) for run, row in found]


def _conditions(query: ArtifactQuery) -> tuple[str, list[Any]]:
    clauses, arguments = [], []
    for column, value in (
        ("artifact.project", query.project),
        ("artifact.name", query.name),
        ("artifact.type", query.type),
        ("artifact.version", query.version),
        ("artifact.checksum", query.checksum or None),
        ("run.id", query.run),
    ):
        if value is not None:
            clauses.append(f"{column} = ?")
            arguments.append(value)
    if query.ids:
        clauses.append("artifact.id IN (SELECT value FROM json_each(?))")
        arguments.append(json.dumps(query.ids))
    return f"WHERE {' AND '.join(clauses)}" if clauses else "", arguments


def _files(connection: sqlite3.Connection, artifacts: list[str]) -> dict[str, list[ArtifactFile]]:
    files: dict[str, list[ArtifactFile]] = {}
    rows = connection.execute(
        "SELECT artifact_id, path, size, checksum FROM artifact_file"
        " WHERE artifact_id IN (SELECT value FROM json_each(?)) ORDER BY path",
        (json.dumps(artifacts),),
    )
    for artifact, path, size, checksum in rows:
        files.setdefault(artifact, []).append(ArtifactFile(path=path, size=size, checksum=checksum))
    return files


def _artifact(run: str, row: dict[str, Any], files: list[ArtifactFile]) -> Artifact:
    row["metadata"] = restore(json.loads(row["metadata"]))
    row["aliases"] = tuple(json.loads(row["aliases"]))
    return Artifact(run=run, files=tuple(files), **row)


def list_aliases(connection: sqlite3.Connection, project: str, name: str | None) -> list[Alias]:
    """List by time what was said of aliases: with artifacts that have a version, and by itself."""
    own = "" if name is None else "AND told.name = :name"
    rows = connection.execute(
        "SELECT * FROM (SELECT told.project, told.name, item.value AS alias, told.version, told.score,"  # noqa: S608 - our own words
        "  told.created_at AS time, run.id AS run, told.checksum, 0 AS later, told.id AS place, item.key AS number"
        "  FROM artifact AS told JOIN run ON run.key = told.run_key, json_each(told.aliases) AS item"
        f"  WHERE told.project = :project AND told.version IS NOT NULL {own}"
        f" UNION ALL SELECT told.project, told.name, told.alias, {_VERSION}, told.score,"
        "  told.time, run.id, told.checksum, 1, run.id, told.id"
        f"  FROM artifact_alias AS told JOIN run ON run.key = told.run_key WHERE told.project = :project {own}"
        ") ORDER BY time, later, place, number",
        {"project": project, "name": name},
    )
    names = ("project", "name", "alias", "version", "score", "time", "run", "checksum")
    return [Alias(**dict(zip(names, row, strict=False))) for row in rows]


def list_uses(
    connection: sqlite3.Connection, *, run: str | None, project: str | None, name: str | None
) -> list[ArtifactUse]:
    """List by time which runs read which artifacts."""
    wanted = {"run.id": run, "told.project": project, "told.name": name}
    clauses = [f"{column} = ?" for column, value in wanted.items() if value is not None]
    where = f"WHERE {' AND '.join(clauses)}" if clauses else ""
    rows = connection.execute(
        f"SELECT told.artifact, told.project, told.name, {_VERSION}, told.checksum, told.time, run.id"  # noqa: S608 - as above
        f" FROM artifact_use AS told JOIN run ON run.key = told.run_key {where} ORDER BY told.time, run.id, told.id",
        [value for value in wanted.values() if value is not None],
    )
    names = ("artifact", "project", "name", "version", "checksum", "time", "run")
    return [ArtifactUse(**dict(zip(names, row, strict=True))) for row in rows]


def named_blobs(connection: sqlite3.Connection) -> set[str]:
    """Return the SHA-256 of every file that an artifact or a source names."""
    rows = connection.execute(
        "SELECT checksum FROM artifact_file UNION SELECT json_extract(source, '$.snapshot') FROM run"
    )
    return {checksum for (checksum,) in rows if checksum}
