"""Train on several processes, and record one run: handwritten digits from scikit-learn, DistributedDataParallel.

    pip install 'tracklib-ml' torch scikit-learn
    torchrun --nproc-per-node 2 examples/ddp_torchrun.py
    tracklib show latest --project digits

Each process starts the run as if it were alone. They agree which one it is; rank 0 records what they log.
"""

from __future__ import annotations

import argparse

import torch
from sklearn.datasets import load_digits
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

import tracklib


def main() -> None:
    """Train and record."""
    parser = argparse.ArgumentParser(description="Train a small classifier on several processes.")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--lr", type=float, default=1e-3, help="learning rate")
    options = parser.parse_args()

    distributed.init_process_group("gloo")
    torch.manual_seed(0)
    images, labels = load_digits(return_X_y=True)
    data = TensorDataset(torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels))
    sampler: DistributedSampler[tuple[torch.Tensor, ...]] = DistributedSampler(data)
    loader = DataLoader(data, batch_size=32, sampler=sampler)
    model = DistributedDataParallel(nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)))
    optimizer = torch.optim.Adam(model.parameters(), lr=options.lr)

    params = {"training": vars(options), "processes": distributed.get_world_size()}
    with tracklib.start_run(project="digits", params=params) as run:
        for epoch in range(options.epochs):
            sampler.set_epoch(epoch)
            right = torch.zeros(2)
            for batch, target in loader:
                output = model(batch)
                loss = nn.functional.cross_entropy(output, target)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                run.log({"train/loss": loss})
                right += torch.tensor([(output.argmax(1) == target).sum(), len(target)])
            distributed.all_reduce(right)
            run.log({"train/accuracy": right[0] / right[1]})
            if distributed.get_rank() == 0:
                print(f"epoch {epoch + 1}: accuracy {right[0] / right[1]:.3f}")
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()
