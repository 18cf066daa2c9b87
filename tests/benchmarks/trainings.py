"""Trainings so small that it shows what a tracker adds to a step, by framework.

Each takes what reports to a tracker, or None, and returns the median time of a step in milliseconds.
"""

from __future__ import annotations

import itertools
import statistics
import time
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["TRAININGS", "Training"]

_BATCH = 4
_FIRST_STEPS = 10  # They are left out: a framework and a tracker may do things just once.
_SETTLE_S = 1.0  # It passes after them, as before single calls: what is collected in the background is no step's cost.


class Clock(list[float]):
    """When each step has begun."""

    def note(self) -> None:
        """Note that a step begins, and let the time pass after the first ones."""
        if len(self) == _FIRST_STEPS:
            time.sleep(_SETTLE_S)
        self.append(time.perf_counter())

    def step_ms(self) -> float:
        """Return the median of the times from the beginning of a step to that of the next, without the first ones."""
        begins = self[_FIRST_STEPS:]
        return statistics.median(after - before for before, after in itertools.pairwise(begins)) * 1e3


class Training(Protocol):
    """A training from beginning to end, with 4 or 5 scalars logged at each step."""

    def __call__(self, reporter: Any, *, name: str, folder: Path, steps: int) -> float: ...


def train_transformers(reporter: Any, *, name: str, folder: Path, steps: int) -> float:
    """Train a BERT of one layer; the Trainer logs the loss, the norm of the gradient, the learning rate, the epoch."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainerCallback, TrainingArguments

    clock = Clock()

    class Listener(TrainerCallback):  # type: ignore[misc, unused-ignore]  # Where transformers ships no types.
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            clock.note()

    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=128, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64
    )
    tokens = torch.randint(0, config.vocab_size, (steps * _BATCH, 16))
    arguments = TrainingArguments(
        output_dir=str(folder / name),
        run_name=name,
        project="benchmark",
        max_steps=steps,
        per_device_train_batch_size=_BATCH,
        logging_steps=1,
        save_strategy="no",
        report_to="none",  # Its callback is among those below, or a tool would be taken that just lies there.
        disable_tqdm=True,
        use_cpu=True,
    )
    trainer = Trainer(
        model=BertForSequenceClassification(config),
        args=arguments,
        train_dataset=[{"input_ids": row, "labels": number % 2} for number, row in enumerate(tokens)],
        callbacks=[Listener(), *([] if reporter is None else [reporter])],
    )
    trainer.train()
    return clock.step_ms()


def train_lightning(reporter: Any, *, name: str, folder: Path, steps: int) -> float:
    """Train two layers; the module logs five scalars, the trainer adds the epoch."""
    import pytorch_lightning as pl
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    clock = Clock()

    class Module(pl.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.ReLU(), torch.nn.Linear(32, 1))

        def on_train_batch_start(self, *_: Any) -> None:
            clock.note()

        def training_step(self, batch: Any, _: int) -> torch.Tensor:
            inputs, targets = batch
            loss = torch.nn.functional.mse_loss(self.net(inputs), targets)
            self.log("loss", loss)
            self.log_dict({f"m{number}": loss * number for number in range(4)})
            return loss

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), 1e-3)

    torch.set_num_threads(1)
    torch.manual_seed(0)
    trainer = pl.Trainer(
        default_root_dir=str(folder / name),
        max_epochs=1,
        logger=reporter or False,
        log_every_n_steps=1,
        accelerator="cpu",
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    data = TensorDataset(torch.randn(steps * _BATCH, 16), torch.randn(steps * _BATCH, 1))
    trainer.fit(Module(), DataLoader(data, batch_size=_BATCH))
    return clock.step_ms()


TRAININGS: dict[str, Training] = {"transformers": train_transformers, "lightning": train_lightning}
"""The trainings by framework."""
