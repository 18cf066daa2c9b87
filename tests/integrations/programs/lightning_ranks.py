"""A program that trains in two processes: `lightning_ranks.py strategy what`, with `what` logger, callback or begun."""

from __future__ import annotations

import sys
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from tracklib.integrations.lightning import TrackCallback, TrackLogger

torch.set_num_threads(1)


class Model(pl.LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(3, 1)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        loss: Tensor = self.net(batch[0]).pow(2).mean()
        self.log("train_loss", loss)
        self.log("rank", float(self.global_rank))
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val_loss", self.net(batch[0]).pow(2).mean(), sync_dist=True)

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def data() -> Any:
    return DataLoader(TensorDataset(torch.linspace(-1, 1, 48).reshape(16, 3)), batch_size=2)


def main() -> None:
    strategy, what = sys.argv[1:3]
    loggers: list[Any] = []
    callbacks: list[Any] = []
    if what == "callback":
        callbacks = [TrackCallback(project="ranks", run_id=None)]
    else:
        loggers = [TrackLogger(project="ranks")]
    if what == "begun":
        loggers[0].log_hyperparams({"begun": True})
    trainer = pl.Trainer(
        accelerator="cpu",
        devices=2,
        strategy=strategy,
        max_epochs=2,
        log_every_n_steps=1,
        logger=loggers or False,
        callbacks=callbacks,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(Model(), data(), data())
    if loggers:
        print(f"version {loggers[0].version}", flush=True)


if __name__ == "__main__":
    main()
