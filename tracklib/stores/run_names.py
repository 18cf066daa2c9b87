"""The names of params, metrics and tags that runs have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tracklib.stores.base import FieldNames

if TYPE_CHECKING:
    import sqlite3

__all__ = ["find_names"]

_RUNS: Final = """
SELECT 1 FROM {table} JOIN run ON run.key = run_key JOIN experiment ON experiment.id = run.experiment_id
  JOIN project ON project.id = experiment.project_id
  WHERE {table}.name = names.name AND {there} AND project.name = coalesce(:project, project.name)
  AND experiment.name = coalesce(:experiment, experiment.name)
"""
_THERE: Final = {"param": "1", "series": "count > 0", "tag": "1"}


def find_names(connection: sqlite3.Connection, project: str | None, experiment: str | None) -> FieldNames:
    """Return the names that occur in the runs of a project and experiment, or in any."""
    given = {"project": project, "experiment": experiment}
    params, metrics, tags = (_names(connection, table, given) for table in _THERE)
    return FieldNames(params=params, metrics=metrics, tags=tags)


def _names(connection: sqlite3.Connection, table: str, given: dict[str, str | None]) -> tuple[str, ...]:
    # From each name to the next one by the index: there are few of them, and a row for each run.
    first, following = f"SELECT min(name) FROM {table}", f"SELECT min(name) FROM {table} WHERE name > names.name"  # noqa: S608 - our own names
    within = f"AND EXISTS ({_RUNS.format(table=table, there=_THERE[table])})" if any(given.values()) else ""
    rows = connection.execute(
        f"WITH RECURSIVE names(name) AS ({first} UNION ALL SELECT ({following}) FROM names WHERE name IS NOT NULL)"  # noqa: S608 - as above
        f" SELECT name FROM names WHERE name IS NOT NULL {within} ORDER BY name",
        given if within else {},
    )
    return tuple(row[0] for row in rows)
