"""tracklib with its SQLite store."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing, contextmanager, nullcontext
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar, cast

from .base import Adapter, Bucketed, FinishedRun, KeptFile, Log, Question, Ranked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from tracklib.model import Batch
    from tracklib.stores.sqlite import SqliteStore

_PROJECT = "benchmark"
_TOGETHER = 1_000
_FILTERS = {
    "filtered": "params.lr < 0.01",
    "sweep": "params.sweep == 2",
    "rare": "params.warmup < {rare}",
    "mixed": ("(params.lr < 0.01 and metrics.val_loss < 0.3) or (params.model == 'cnn' and metrics.accuracy > 0.9)"),
}
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
        "files by `run.log_artifact(path)`; searched by `tracklib.search_runs(…)`, a thousand "
        "of those runs written in a transaction"
    )
    analysis_environment: ClassVar[str | None] = "tracklib-analysis"

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

    def write_searched(self, runs: Iterable[FinishedRun], deadline: float) -> int:
        from tracklib.stores.sqlite import SqliteStore

        done, left = 0, iter(runs)
        with SqliteStore(self.store) as store:
            while part := list(islice(left, _TOGETHER)):
                with _one_transaction(store):
                    for run in part:
                        store.append(finished_batch(run))
                done += len(part)
        return done

    def search(self, question: Question, limit: int) -> list[Ranked]:
        import tracklib

        text = _FILTERS[question.name].format(rare=question.rare)
        found = tracklib.search_runs(text, order_by="metrics.val_loss", limit=limit, store=self.store)
        return [Ranked(str(run.name), float(run.metrics["val_loss"].last)) for run in found]

    def bucketed(self, names: Sequence[str], key: str, buckets: int) -> list[Bucketed]:
        found = (run.series(key).buckets(buckets) for run in self._runs_of(names))
        return [Bucketed(each.min, each.max, each.mean) for each in found]

    def draw(self, names: Sequence[str], key: str, path: Path) -> None:
        import tracklib

        tracklib.charts.write_html(tracklib.charts.metric(self._runs_of(names), key), path)

    def importance(self, metric: str) -> list[str]:
        import tracklib

        found = tracklib.param_importance(tracklib.search_runs(store=self.store), metric)
        return [param.name for param in found.params]

    def compare(self, metric: str) -> str:
        import tracklib

        found = tracklib.compare(tracklib.search_runs(store=self.store), metric=metric, higher_is_better=False)
        return str(found.best.name if found.best else None)

    def _runs_of(self, names: Sequence[str]) -> list[Any]:
        import tracklib

        runs = {run.name: run for run in tracklib.list_runs(project=_PROJECT, store=self.store)}
        return [runs[name] for name in names]

    @classmethod
    def look(cls, root: Path) -> list[str]:
        return ["tracklib", "runs", "--store", cls(root).store]

    def _read_run(self, name: str) -> Any:
        import tracklib

        return tracklib.get_run(f"{_PROJECT}/default/{name}", store=self.store)


@contextmanager
def _one_transaction(store: SqliteStore) -> Iterator[None]:
    """Let all that is appended go into one transaction, which saves most of the time and changes no row."""
    file = store._file
    with file.writing() as connection:
        vars(file).update(writing=lambda: nullcontext(connection), checkpoint=lambda: None)
        try:
            yield
        finally:
            del vars(file)["writing"], vars(file)["checkpoint"]


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
