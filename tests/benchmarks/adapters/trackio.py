"""Trackio: SQLite, written by a background thread every half second."""

from __future__ import annotations

import json
import math
import sqlite3
import uuid
from contextlib import closing
from typing import TYPE_CHECKING, Any, cast

from .base import Adapter, FinishedRun, KeptFile, Log, Question, Ranked

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

_PROJECT = "benchmark"
_SEARCH = """
SELECT run_name, val_loss FROM (
    SELECT
        metrics.run_name AS run_name,
        json_extract(metrics, '$.val_loss') AS val_loss,
        json_extract(metrics, '$.accuracy') AS accuracy,
        json_extract(config, '$.lr') AS lr,
        json_extract(config, '$.sweep') AS sweep,
        json_extract(config, '$.model') AS model,
        json_extract(config, '$.warmup') AS warmup
    FROM configs JOIN metrics ON metrics.run_id = configs.run_id
    AND metrics.step = (SELECT max(step) FROM metrics AS others WHERE others.run_id = configs.run_id)
)
WHERE {condition} ORDER BY val_loss LIMIT {limit}
"""
_FILTERS = {
    "filtered": "lr < 0.01",
    "sweep": "sweep = 2",
    "rare": "warmup < {rare}",
    "mixed": "(lr < 0.01 AND val_loss < 0.3) OR (model = 'cnn' AND accuracy > 0.9)",
}


class TrackioAdapter(Adapter):
    """Local, no Space. It has no public call for a metric's history: reading does what `trackio get metric` does."""

    environment = "trackio"
    module = "trackio"
    settings = (
        "`trackio.init(…, embed=False)`, local; read as `trackio get metric` does; "
        "files by `trackio.log_artifact(path)`; searched by SQL, as `trackio query` does, all runs but the first put "
        "into its tables as it leaves them"
    )

    @classmethod
    def variables(cls, root: Path) -> dict[str, str]:
        return {"TRACKIO_DIR": str(root), "HF_HUB_OFFLINE": "1"}

    def start(self, name: str, params: dict[str, Any]) -> Log:
        import trackio

        trackio.init(project=_PROJECT, name=name, config=params, embed=False)
        return cast("Log", trackio.log)

    def finish(self) -> None:
        import trackio

        trackio.finish()

    def trainer_callback(self, name: str) -> Any:
        from transformers.integrations import TrackioCallback

        return TrackioCallback()

    def keep_file(self, path: Path, name: str) -> None:
        import trackio

        trackio.log_artifact(path, name=name, type="model")

    def fetch_file(self, kept: KeptFile, folder: Path) -> None:
        import trackio

        # Outside a run nothing gives one back.
        self.start(f"reader of version {kept.version}", {})
        trackio.use_artifact(f"{kept.name}:v{kept.version}").download(folder)
        self.finish()

    def read(self, name: str, key: str) -> Sequence[float]:
        import numpy as np
        from trackio.sqlite_storage import SQLiteStorage

        rows = SQLiteStorage.get_metric_values(_PROJECT, name, key)
        return np.fromiter((row["value"] for row in rows), float, len(rows))

    def top(self, limit: int) -> list[Ranked]:
        import trackio
        from trackio.sqlite_storage import SQLiteStorage

        found = []
        for run in trackio.Api().runs(_PROJECT):
            if (run.config or {}).get("lr", 1.0) < 0.01:
                values = SQLiteStorage.get_metric_values(_PROJECT, run.name, "val_loss", run_id=run.id)
                found.append(Ranked(run.name, values[-1]["value"]))
        return sorted(found, key=lambda ranked: ranked.value)[:limit]

    def write_searched(self, runs: Iterable[FinishedRun], deadline: float) -> int:
        left = iter(runs)
        done = self.write_runs([next(left)], math.inf)
        with closing(sqlite3.connect(self.root / f"{_PROJECT}.db")) as database, database:
            at, config = database.execute("SELECT created_at, config FROM configs").fetchone()
            own = {key: value for key, value in json.loads(config).items() if key.startswith("_")}
            for run in left:
                _insert(database, run, at=at, own=own)
                done += 1
        return done

    def search(self, question: Question, limit: int) -> list[Ranked]:
        from trackio.sqlite_storage import SQLiteStorage

        condition = _FILTERS[question.name].format(rare=question.rare)
        found = SQLiteStorage.query_project(_PROJECT, _SEARCH.format(condition=condition, limit=limit))
        return [Ranked(row["run_name"], row["val_loss"]) for row in found["rows"]]


def _insert(database: sqlite3.Connection, run: FinishedRun, *, at: str, own: dict[str, Any]) -> None:
    """Insert the rows that a run leaves: its params with what Trackio adds to them, and a row for each step."""
    key = uuid.uuid4().hex
    database.execute(
        "INSERT INTO configs (run_id, run_name, config, created_at) VALUES (?, ?, ?, ?)",
        (key, run.name, _encoded(run.params | own), at),
    )
    database.executemany(
        "INSERT INTO metrics (run_id, timestamp, run_name, step, metrics, log_id) VALUES (?, ?, ?, ?, ?, ?)",
        [(key, at, run.name, step, _encoded(row), uuid.uuid4().hex) for step, row in enumerate(run.steps)],
    )


def _encoded(values: dict[str, Any]) -> bytes:
    return json.dumps(values, separators=(",", ":")).encode()
