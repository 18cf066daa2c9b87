"""A PyTorch training that knows nothing of tracklib: handwritten digits from scikit-learn, TensorBoard.

pip install 'tracklib-ml' torch scikit-learn tensorboard
tracklib run examples/plain_script.py --epochs 5
tracklib show latest
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.tensorboard import SummaryWriter


def main() -> None:
    """Train, report to TensorBoard, and save the model."""
    parser = argparse.ArgumentParser(description="Train a small classifier on handwritten digits.")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--lr", type=float, default=1e-3, help="learning rate")
    parser.add_argument("--folder", type=Path, default=Path("digits-output"), help="where events and model go")
    options = parser.parse_args()
    folder = options.folder

    torch.manual_seed(0)
    images, labels = load_digits(return_X_y=True)
    parts = train_test_split(images / 16, labels, test_size=0.25, random_state=0, stratify=labels)
    train_images, eval_images = (torch.tensor(part, dtype=torch.float32) for part in parts[:2])
    train_labels, eval_labels = (torch.tensor(part) for part in parts[2:])
    loader = DataLoader(TensorDataset(train_images, train_labels), batch_size=32, shuffle=True)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=options.lr)

    step = 0
    with SummaryWriter(str(folder / "events")) as writer:
        for epoch in range(options.epochs):
            for batch, target in loader:
                loss = nn.functional.cross_entropy(model(batch), target)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                writer.add_scalar("train/loss", loss.item(), step)
                step += 1
            with torch.no_grad():
                accuracy = (model(eval_images).argmax(1) == eval_labels).float().mean().item()
            writer.add_scalar("eval/accuracy", accuracy, step)
            print(f"epoch {epoch + 1}: accuracy {accuracy:.3f}")
    torch.save(model.state_dict(), folder / "model.pt")
    print(f"saved {folder / 'model.pt'}")


if __name__ == "__main__":
    main()
