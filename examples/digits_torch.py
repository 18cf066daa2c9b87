"""Train a small classifier on scikit-learn's handwritten digits and record the run.

python examples/digits_torch.py --lr 3e-3 --epochs 20 --hidden 128
"""

from __future__ import annotations

import argparse

import torch
from sklearn.datasets import load_digits
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

import tracklib

BATCH_SIZE = 32
DROPOUT = 0.2
SEED = 0


def parse_arguments() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description="Train a small classifier on handwritten digits.")
    parser.add_argument("--lr", type=float, default=3e-3, help="learning rate at the start (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=20, help="passes over the data (default: %(default)s)")
    parser.add_argument("--hidden", type=int, default=128, help="width of the hidden layers (default: %(default)s)")
    return parser.parse_args()


def load_data() -> tuple[TensorDataset, TensorDataset]:
    """Return 1,797 images of 8 by 8 pixels and their digits, a quarter of them kept for evaluation."""
    images, digits = load_digits(return_X_y=True)
    x = torch.tensor(images / 16, dtype=torch.float32)
    y = torch.tensor(digits)
    x_train, x_eval, y_train, y_eval = train_test_split(x, y, test_size=0.25, random_state=SEED, stratify=y)
    return TensorDataset(x_train, y_train), TensorDataset(x_eval, y_eval)


def build_model(hidden: int) -> nn.Module:
    """Return a network with two hidden layers."""
    return nn.Sequential(
        nn.Linear(64, hidden),
        nn.ReLU(),
        nn.Dropout(DROPOUT),
        nn.Linear(hidden, hidden),
        nn.ReLU(),
        nn.Linear(hidden, 10),
    )


@torch.no_grad()
def evaluate(model: nn.Module, data: TensorDataset) -> tuple[dict[str, float], Tensor]:
    """Return loss and accuracy, and the digits that the model reads."""
    model.eval()
    x, y = data.tensors
    scores = model(x)
    predicted = scores.argmax(dim=1)
    return {"loss": cross_entropy(scores, y).item(), "accuracy": (predicted == y).float().mean().item()}, predicted


def train(run: tracklib.Run, args: argparse.Namespace) -> None:
    """Train, evaluate after each epoch, and keep the model and its confusion matrix."""
    torch.manual_seed(SEED)
    train_data, eval_data = load_data()
    loader = DataLoader(train_data, batch_size=BATCH_SIZE, shuffle=True)
    model = build_model(args.hidden)
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=args.epochs * len(loader))

    step = 0
    for epoch in range(1, args.epochs + 1):
        model.train()
        for x, y in loader:
            loss = cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            run.log({"train/loss": loss.item(), "train/lr": schedule.get_last_lr()[0]}, step=step)
            schedule.step()
            step += 1
        metrics, _ = evaluate(model, eval_data)
        run.log({**metrics, "epoch": epoch}, step=step, context="eval")
        print(f"epoch {epoch:2}/{args.epochs}: loss {metrics['loss']:.4f}, accuracy {metrics['accuracy']:.2%}")

    metrics, predicted = evaluate(model, eval_data)
    matrix = ConfusionMatrixDisplay.from_predictions(eval_data.tensors[1], predicted)
    run.log_figure(matrix.figure_, "confusion")
    run.log_model(
        model,
        "classifier",
        metadata={**metrics, "hidden": args.hidden},
        score=metrics["accuracy"],
        example=eval_data.tensors[0][:1],
    )


def main() -> None:
    """Record the training as a run of the project `digits`."""
    args = parse_arguments()
    params = {
        "model": {"hidden": args.hidden, "dropout": DROPOUT},
        "training": {"lr": args.lr, "epochs": args.epochs, "batch_size": BATCH_SIZE, "seed": SEED},
    }
    with tracklib.start_run("digits", "mlp", params=params, tags={"dataset": "sklearn-digits"}) as run:
        train(run, args)


if __name__ == "__main__":
    main()
