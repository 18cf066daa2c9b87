"""tracklib with its SQLite store."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any, cast

from .base import Adapter, FinishedRun, KeptFile, Log, Ranked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from tracklib.model import Batch

_PROJECT = "benchmark"
_TOP = """
SELECT run.name, series.last FROM series
JOIN run ON run.key = series.run_key
WHERE series.name = 'val_loss'
AND EXISTS (SELECT 1 FROM param WHERE run_key = run.key AND name = 'lr' AND number < 0.01)
ORDER BY series.last LIMIT ?
"""


class TracklibAdapter(Adapter):
    """All defaults: code, packages, hardware, console and system metrics are recorded too."""

    environment = "tracklib"
    module = "tracklib"
    settings = (
        "`tracklib.start_run(store='sqlite:///…')`; many runs are written through `Store.append` and asked for in SQL; "
        "files by `run.log_artifact(path)`"
    )

    @classmethod
    def variables(cls, root: Path) -> dict[str, str]:  # noqa: ARG003 - a subclass uses it
        """Let the end of a run wait until the store has everything."""
        return {"TRACKLIB_FINISH_TIMEOUT": "3600"}

    @property
    def store(self) -> str:
        """The URI of its store."""
        return f"sqlite:///{self.root}/t.db"

    def start(self, name: str, params: dict[str, Any]) -> Log:
        import tracklib

        self._run = tracklib.start_run(project=_PROJECT, name=name, params=params, store=self.store)
        return cast("Log", self._run.log)

    def finish(self) -> None:
        if not self._run.finish():
            raise RuntimeError("the store does not have it")

    def flush(self) -> None:
        if not self._run.flush():
            raise RuntimeError("the store does not have it")

    def trainer_callback(self, name: str) -> Any:
        from tracklib.integrations.transformers import TrackCallback

        return TrackCallback(project=_PROJECT, experiment="default", name=name, store=self.store)

    def lightning_logger(self, name: str) -> Any:
        from tracklib.integrations.lightning import TrackLogger

        return TrackLogger(project=_PROJECT, experiment="default", name=name, store=self.store)

    def end_loop(self) -> None:
        import tracklib

        # Left alone it would wait for what follows the training, and still sample the system.
        tracklib.active_run().finish()

    def write_runs(self, runs: Iterable[FinishedRun], deadline: float) -> int:
        from tracklib.stores.base import open_store

        done = 0
        with open_store(self.store) as store:
            for run in runs:
                store.append(finished_batch(run))
                done += 1
                if time.perf_counter() > deadline:
                    break
        return done

    def keep_file(self, path: Path, name: str) -> None:
        self._run.log_artifact(path, name, type="checkpoint")

    def fetch_file(self, kept: KeptFile, folder: Path) -> None:
        import tracklib

        reference = f"{_PROJECT}/{kept.name}:v{kept.version}"
        tracklib.get_artifact(reference, store=self.store).download(folder)

    def count(self, name: str, keys: Sequence[str]) -> int:
        run = self._read_run(name)
        return sum(len(run.series(key).values) for key in keys)

    def read(self, name: str, key: str) -> Sequence[float]:
        values: Sequence[float] = self._read_run(name).series(key).values
        return values

    def top(self, limit: int) -> list[Ranked]:
        with closing(sqlite3.connect(self.root / "t.db")) as database:
            return [Ranked(*row) for row in database.execute(_TOP, (limit,))]

    @classmethod
    def look(cls, root: Path) -> list[str]:
        return ["tracklib", "runs", "--store", cls(root).store]

    def _read_run(self, name: str) -> Any:
        import tracklib

        return tracklib.get_run(f"{_PROJECT}/default/{name}", store=self.store)


def finished_batch(run: FinishedRun) -> Batch:
    """Return a run as the one batch of its only writer."""
    import numpy as np

    from tracklib.model import Batch, PointGroup, new_id

    now, names = time.time(), tuple(run.steps[0])
    steps = np.arange(len(run.steps), dtype=np.int64)
    points = PointGroup(
        names=names,
        steps=steps,
        times=np.full(len(steps), now),
        values=np.array([[step[name] for name in names] for step in run.steps]),
        order=steps,
    )
    records = tuple(_records(run, now))
    return Batch(run=new_id(), writer="0", start=0, end=1, time=now, records=records, groups=(points,), final=True)


def _records(run: FinishedRun, now: float) -> Iterator[Any]:
    from tracklib.model import Record, RecordKind

    yield Record(RecordKind.START, now, {"project": _PROJECT, "experiment": "default", "name": run.name})
    yield Record(RecordKind.PARAMS, now, {"params": run.params})
    yield Record(RecordKind.END, now, {"status": "completed", "duration": 1.0})
