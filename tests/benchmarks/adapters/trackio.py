"""Trackio: SQLite, written by a background thread every half second."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from .base import Adapter, KeptFile, Log, Ranked

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_PROJECT = "benchmark"


class TrackioAdapter(Adapter):
    """Local, no Space. It has no public call for a metric's history: reading does what `trackio get metric` does."""

    environment = "trackio"
    module = "trackio"
    settings = (
        "`trackio.init(…, embed=False)`, local; read as `trackio get metric` does; "
        "files by `trackio.log_artifact(path)`"
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
