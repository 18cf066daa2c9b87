"""TensorBoard's event files, as tensorboardX writes them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from .base import Adapter, FinishedRun, Log, Ranked

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class TensorboardAdapter(Adapter):
    """A record per scalar, handed to a writer thread; read with TensorBoard's own reader and tbparse."""

    environment = "tensorboard"
    module = "tensorboardX"
    loop_environment = "tensorboardX"
    settings = "`SummaryWriter(folder)`, one `add_scalar` per scalar; a folder per run; values are float32"

    def start(self, name: str, params: dict[str, Any]) -> Log:
        from tensorboardX import SummaryWriter

        options = {"flush_secs": 1} if self.each_second else {}
        self._writer = SummaryWriter(str(self.root / name), **options)
        add = self._writer.add_scalar

        def log(metrics: dict[str, float], /, *, step: int) -> None:
            for key, value in metrics.items():
                add(key, value, step)

        return log

    def finish(self) -> None:
        self._writer.close()

    def trainer_callback(self, name: str) -> Any:
        from tensorboardX import SummaryWriter
        from transformers.integrations import TensorBoardCallback

        return TensorBoardCallback(SummaryWriter(str(self.root / name)))

    def lightning_logger(self, name: str) -> Any:
        from pytorch_lightning.loggers import TensorBoardLogger

        return TensorBoardLogger(str(self.root), name=name, version="")

    def write_runs(self, runs: Iterable[FinishedRun], deadline: float) -> int:
        done = 0
        for run in runs:
            log = self.start(run.name, run.params)
            for step, metrics in enumerate(run.steps):
                log(metrics, step=step)
            result = {"hp/val_loss": run.steps[-1]["val_loss"]}
            self._writer.add_hparams(run.params, result, name="hp", global_step=0)
            self.finish()
            done += 1
            if time.perf_counter() > deadline:
                break
        return done

    def count(self, name: str, keys: Sequence[str]) -> int:
        events = self._events(name)
        present = events.Tags()["scalars"]
        return sum(len(events.Scalars(key)) for key in keys if key in present)

    def read(self, name: str, key: str) -> Sequence[float]:
        import numpy as np

        points = self._events(name).Scalars(key)
        return np.fromiter((point.value for point in points), float, len(points))

    def top(self, limit: int) -> list[Ranked]:
        from tbparse import SummaryReader

        reader = SummaryReader(str(self.root), extra_columns={"dir_name"})
        scalars, params = reader.scalars, reader.hparams
        losses = scalars[scalars.tag == "val_loss"].sort_values("step").groupby("dir_name").value.last()
        rates = params[params.tag == "lr"].set_index("dir_name").value.astype(float)
        rates.index = [name.partition("/")[0] for name in rates.index]
        best = losses[losses.index.isin(rates[rates < 0.01].index)].nsmallest(limit)
        return [Ranked(name, value) for name, value in best.items()]

    def _events(self, name: str) -> Any:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        # 0: keep every scalar; by default it draws a sample of 10,000.
        events = EventAccumulator(str(self.root / name), size_guidance={"scalars": 0})
        return events.Reload()
