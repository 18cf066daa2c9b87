"""Train a small classifier on scikit-learn's handwritten digits with Lightning and record the run.

python examples/digits_lightning.py --lr 3e-3 --epochs 10 --hidden 128
"""

from __future__ import annotations

import argparse
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from tracklib.integrations.lightning import TrackLogger

BATCH_SIZE = 32
DROPOUT = 0.2
SEED = 0

Batch = tuple[Tensor, Tensor]


class Classifier(pl.LightningModule):
    """A network with two hidden layers that reads digits.

    Args:
        lr: The learning rate at the start.
        hidden: The width of the hidden layers.
        epochs: Over how many epochs the learning rate falls to zero.
    """

    def __init__(self, lr: float, hidden: int, epochs: int) -> None:
        """Build the network; its arguments become params of the run."""
        super().__init__()
        self.save_hyperparameters()
        self.lr = lr
        self.epochs = epochs
        self.net = nn.Sequential(
            nn.Linear(64, hidden),
            nn.ReLU(),
            nn.Dropout(DROPOUT),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, 10),
        )

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the loss of a batch."""
        x, y = batch
        loss = cross_entropy(self.net(x), y)
        self.log("train/loss", loss)
        return loss

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Log loss and accuracy after an epoch."""
        self._evaluate("eval", batch)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Log loss and accuracy at the end."""
        self._evaluate("test", batch)

    def _evaluate(self, name: str, batch: Batch) -> None:
        x, y = batch
        scores = self.net(x)
        accuracy = (scores.argmax(dim=1) == y).float().mean()
        self.log_dict({f"{name}/loss": cross_entropy(scores, y), f"{name}/accuracy": accuracy}, batch_size=len(y))

    def configure_optimizers(self) -> Any:
        """Return the optimizer and its schedule."""
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.lr)
        return [optimizer], [torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=self.epochs)]


def load_data() -> tuple[TensorDataset, TensorDataset]:
    """Return 1,797 images of 8 by 8 pixels and their digits, a quarter of them kept for evaluation."""
    images, digits = load_digits(return_X_y=True)
    x = torch.tensor(images / 16, dtype=torch.float32)
    y = torch.tensor(digits)
    x_train, x_eval, y_train, y_eval = train_test_split(x, y, test_size=0.25, random_state=SEED, stratify=y)
    return TensorDataset(x_train, y_train), TensorDataset(x_eval, y_eval)


def main() -> None:
    """Record the training as a run of the project `digits`."""
    parser = argparse.ArgumentParser(description="Train a small classifier on handwritten digits with Lightning.")
    parser.add_argument("--lr", type=float, default=3e-3, help="learning rate at the start (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=10, help="passes over the data (default: %(default)s)")
    parser.add_argument("--hidden", type=int, default=128, help="width of the hidden layers (default: %(default)s)")
    args = parser.parse_args()

    pl.seed_everything(SEED)
    train_data, eval_data = load_data()
    train_loader = DataLoader(train_data, batch_size=BATCH_SIZE, shuffle=True)
    eval_loader = DataLoader(eval_data, batch_size=256)
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=args.epochs,
        log_every_n_steps=10,
        logger=TrackLogger("digits", "lightning", tags={"dataset": "sklearn-digits"}),
        callbacks=[ModelCheckpoint(monitor="eval/accuracy", mode="max", save_last=True)],
        enable_progress_bar=False,
    )
    trainer.fit(Classifier(args.lr, args.hidden, args.epochs), train_loader, eval_loader)
    (metrics,) = trainer.test(ckpt_path="best", dataloaders=eval_loader, verbose=False)
    print(f"accuracy of the best checkpoint: {metrics['test/accuracy']:.2%}")


if __name__ == "__main__":
    main()
