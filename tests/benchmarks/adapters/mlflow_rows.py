"""Runs put into the tables of MLflow, as its own API leaves them: through that, many would take hours."""

from __future__ import annotations

import sqlite3
import uuid
from contextlib import closing
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from .base import FinishedRun

__all__ = ["insert_runs"]

_POINT = "(key, value, timestamp, run_uuid, step, is_nan) VALUES (?, ?, ?, ?, ?, 0)"


def insert_runs(path: Path, runs: Iterable[FinishedRun]) -> int:
    """Insert runs that differ from the only one there by their names, params and metrics; return how many."""
    done = 0
    with closing(sqlite3.connect(path)) as database, database:
        database.row_factory = sqlite3.Row
        model = dict(database.execute("SELECT * FROM runs").fetchone())
        tags = [tuple(row) for row in database.execute("SELECT key, value FROM tags")]
        for run in runs:
            done += 1
            _insert(database, run, model=_renamed(model, run.name, done), tags=tags)
    return done


def _renamed(model: dict[str, Any], name: str, number: int) -> dict[str, Any]:
    key = uuid.uuid4().hex
    artifacts = model["artifact_uri"].replace(model["run_uuid"], key)
    times = {column: model[column] + number for column in ("start_time", "end_time")}
    return model | times | {"run_uuid": key, "name": name, "artifact_uri": artifacts}


def _insert(
    database: sqlite3.Connection, run: FinishedRun, *, model: dict[str, Any], tags: list[tuple[str, str]]
) -> None:
    key, at = model["run_uuid"], model["end_time"]
    places = ", ".join("?" * len(model))
    database.execute(f"INSERT INTO runs ({', '.join(model)}) VALUES ({places})", tuple(model.values()))  # noqa: S608
    database.executemany(
        "INSERT INTO tags (key, value, run_uuid) VALUES (?, ?, ?)",
        [(name, run.name if name == "mlflow.runName" else value, key) for name, value in tags],
    )
    database.executemany(
        "INSERT INTO params (key, value, run_uuid) VALUES (?, ?, ?)",
        [(name, str(value), key) for name, value in run.params.items()],
    )
    points = [(name, value, at, key, step) for step, row in enumerate(run.steps) for name, value in row.items()]
    database.executemany(f"INSERT INTO metrics {_POINT}", points)
    last = {point[0]: point for point in points}
    database.executemany(f"INSERT INTO latest_metrics {_POINT}", list(last.values()))
