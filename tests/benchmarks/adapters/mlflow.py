"""MLflow with its default store, SQLite: a transaction per call, in the caller."""

from __future__ import annotations

import logging
import math
import os
import time
from typing import TYPE_CHECKING, Any, ClassVar, cast

from .base import Adapter, FinishedRun, KeptFile, Log, Question, Ranked
from .mlflow_rows import insert_runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

_EXPERIMENT = "benchmark"
_BATCH = 1000  # The most metrics that it takes in one call.
_FIRST_PAGE, _LAST_PAGE = 100, 10_000
_ORDERED = 20_000  # Of more runs it takes longer to put them into an order than to give them all.
_FILTERS = {"sweep": "params.sweep = '2'"}
_HOLDS: dict[str, Callable[[Any, Question], bool]] = {
    "filtered": lambda run, _: float(run.params["lr"]) < 0.01,
    "sweep": lambda _, __: True,
    "rare": lambda run, question: float(run.params["warmup"]) < question.rare,
    "mixed": lambda run, _: (
        (float(run.params["lr"]) < 0.01 and run.metrics["val_loss"] < 0.3)
        or (run.params["model"] == "cnn" and run.metrics["accuracy"] > 0.9)
    ),
}
"""What its own filter cannot say: its params are text that has no order, and it knows no `or`."""


class MlflowAdapter(Adapter):
    """`log_metrics` in a run; series and finished runs are written through `log_batch`."""

    environment = "mlflow"
    module = "mlflow"
    settings = (
        "tracking URI `sqlite:///…`, `mlflow.log_metrics(…)`; many points or runs through `log_batch`; "
        "files by `mlflow.log_artifact(path)` into a local folder; searched by `search_runs(…)`, page by page, "
        "all runs but the first put into its tables as it leaves them"
    )

    losses: ClassVar[Mapping[str, str]] = {"transformers": "loss", "lightning": "loss"}

    @classmethod
    def variables(cls, root: Path) -> dict[str, str]:
        return {
            "MLFLOW_TRACKING_URI": f"sqlite:///{root}/mlflow.db",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "GIT_PYTHON_REFRESH": "quiet",
        }

    def load(self) -> None:
        super().load()
        logging.getLogger("mlflow").setLevel(logging.WARNING)
        os.chdir(self.root)  # It keeps artifacts under the working directory.

    def start(self, name: str, params: dict[str, Any]) -> Log:
        import mlflow

        mlflow.set_experiment(_EXPERIMENT)
        mlflow.start_run(run_name=name)
        mlflow.log_params(params)
        return cast("Log", mlflow.log_metrics)

    def finish(self) -> None:
        import mlflow

        mlflow.end_run()

    def trainer_callback(self, name: str) -> Any:
        import mlflow
        from transformers.integrations import MLflowCallback

        mlflow.set_experiment(_EXPERIMENT)
        return MLflowCallback()

    def lightning_logger(self, name: str) -> Any:
        from pytorch_lightning.loggers import MLFlowLogger

        return MLFlowLogger(_EXPERIMENT, run_name=name)

    def end_loop(self) -> None:
        import mlflow

        mlflow.flush_async_logging()  # The Trainer's callback has a thread write.
        mlflow.end_run()

    def write_series(self, name: str, values: Sequence[float], deadline: float) -> int:
        from mlflow import MlflowClient, active_run
        from mlflow.entities import Metric

        self.start(name, {})
        client, run, now = MlflowClient(), active_run().info.run_id, int(time.time() * 1000)
        done = 0
        while done < len(values) and time.perf_counter() < deadline:
            part = values[done : done + _BATCH]
            client.log_batch(run, metrics=[Metric("loss", value, now, done + i) for i, value in enumerate(part)])
            done += len(part)
        self.finish()
        return done

    def write_runs(self, runs: Iterable[FinishedRun], deadline: float) -> int:
        import mlflow
        from mlflow.entities import Metric, Param

        client, experiment = mlflow.MlflowClient(), mlflow.set_experiment(_EXPERIMENT).experiment_id
        now, done = int(time.time() * 1000), 0
        for run in runs:
            made = client.create_run(experiment, run_name=run.name).info.run_id
            params = [Param(key, str(value)) for key, value in run.params.items()]
            points = [Metric(key, x, now, step) for step, row in enumerate(run.steps) for key, x in row.items()]
            client.log_batch(made, params=params, metrics=points)
            client.set_terminated(made)
            done += 1
            if time.perf_counter() > deadline:
                break
        return done

    def write_searched(self, runs: Iterable[FinishedRun], deadline: float) -> int:
        left = iter(runs)
        return self.write_runs([next(left)], math.inf) + insert_runs(self.root / "mlflow.db", left)

    def search(self, question: Question, limit: int) -> list[Ranked]:
        rare = question.name == "rare"
        ordered = question.name in _FILTERS or (question.runs <= _ORDERED and not rare)
        found: list[Ranked] = []
        for page in self._pages(question, ordered=ordered):
            chosen = (run for run in page if _HOLDS[question.name](run.data, question))
            found += [Ranked(run.info.run_name, run.data.metrics["val_loss"]) for run in chosen]
            if ordered and len(found) >= limit:
                break
        return sorted(found, key=lambda line: line.value)[:limit]

    def _pages(self, question: Question, *, ordered: bool) -> Iterator[Any]:
        """Give all runs, the best first and in pages that grow, or in no order and in large pages."""
        import mlflow

        if not hasattr(self, "_client"):
            self._client = mlflow.MlflowClient()
            self._experiment = self._client.get_experiment_by_name(_EXPERIMENT).experiment_id
        size, token = _FIRST_PAGE if ordered else _LAST_PAGE, None
        while True:
            page = self._client.search_runs(
                [self._experiment],
                filter_string=_FILTERS.get(question.name, ""),
                max_results=size,
                order_by=["metrics.val_loss ASC"] if ordered else None,
                page_token=token,
            )
            yield page
            size, token = min(size * 4, _LAST_PAGE), page.token
            if not token:
                return

    def keep_file(self, path: Path, name: str) -> None:
        import mlflow

        mlflow.log_artifact(str(path))

    def fetch_file(self, kept: KeptFile, folder: Path) -> None:
        import mlflow

        folder.mkdir(parents=True)
        run = _run_id(kept.run)
        mlflow.artifacts.download_artifacts(run_id=run, artifact_path=kept.file, dst_path=str(folder))

    def read(self, name: str, key: str) -> Sequence[float]:
        import mlflow
        import numpy as np

        history = mlflow.MlflowClient().get_metric_history(_run_id(name), key)
        return np.fromiter((point.value for point in history), float, len(history))

    def top(self, limit: int) -> list[Ranked]:
        import mlflow

        # Its params are text, so a filter string cannot say lr < 0.01: pandas has to.
        table = mlflow.search_runs(experiment_names=[_EXPERIMENT], max_results=50_000)
        best = table[table["params.lr"].astype(float) < 0.01].nsmallest(limit, "metrics.val_loss")
        return list(map(Ranked, best["tags.mlflow.runName"], best["metrics.val_loss"]))


def _run_id(name: str) -> str:
    import mlflow

    chosen = f"tags.mlflow.runName = '{name}'"
    (run,) = mlflow.search_runs(experiment_names=[_EXPERIMENT], filter_string=chosen, output_format="list")
    return cast("str", run.info.run_id)
