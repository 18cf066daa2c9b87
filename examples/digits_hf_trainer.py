"""Train a small vision transformer on scikit-learn's handwritten digits with the Trainer of transformers.

python examples/digits_hf_trainer.py --lr 2e-3 --epochs 10
"""

from __future__ import annotations

import argparse
from typing import Any

import torch
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import train_test_split
from torch import Tensor
from torch.utils.data import Dataset
from transformers import EvalPrediction, Trainer, TrainingArguments, ViTConfig, ViTForImageClassification, set_seed

from tracklib.integrations.transformers import TrackCallback

BATCH_SIZE = 32
SEED = 0


class Digits(Dataset[dict[str, Tensor]]):
    """Images of 8 by 8 pixels, and their digits."""

    def __init__(self, images: Any, digits: Any) -> None:
        """Turn grey levels from 0 to 16 into numbers from -1 to 1."""
        self.images = torch.tensor(images / 8 - 1, dtype=torch.float32).unsqueeze(1)
        self.digits = torch.tensor(digits)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.digits)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        """Return one of them as the model takes it."""
        return {"pixel_values": self.images[index], "labels": self.digits[index]}


def parse_arguments() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description="Train a small vision transformer on handwritten digits.")
    parser.add_argument("--lr", type=float, default=2e-3, help="learning rate at the start (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=10, help="passes over the data (default: %(default)s)")
    parser.add_argument("--output", default="digits-vit", help="folder for checkpoints (default: %(default)s)")
    return parser.parse_args()


def load_data() -> tuple[Digits, Digits]:
    """Return 1,797 images and their digits, a quarter of them kept for evaluation."""
    bunch = load_digits()
    parts = train_test_split(bunch.images, bunch.target, test_size=0.25, random_state=SEED, stratify=bunch.target)
    images, held_images, digits, held_digits = parts
    return Digits(images, digits), Digits(held_images, held_digits)


def build_model() -> ViTForImageClassification:
    """Return a transformer of two layers that sees an image as 16 patches."""
    config = ViTConfig(
        image_size=8,
        patch_size=2,
        num_channels=1,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_labels=10,
    )
    return ViTForImageClassification(config)


def compute_metrics(prediction: EvalPrediction) -> dict[str, float]:
    """Return accuracy and F1 of what the model reads."""
    read, digits = prediction.predictions.argmax(-1), prediction.label_ids
    return {"accuracy": float(accuracy_score(digits, read)), "f1": float(f1_score(digits, read, average="macro"))}


def main() -> None:
    """Record the training as a run of the project `digits`."""
    args = parse_arguments()
    set_seed(SEED)
    train_data, eval_data = load_data()
    trainer = Trainer(
        model=build_model(),
        args=TrainingArguments(
            output_dir=args.output,
            learning_rate=args.lr,
            num_train_epochs=args.epochs,
            per_device_train_batch_size=BATCH_SIZE,
            per_device_eval_batch_size=256,
            logging_steps=5,
            eval_strategy="epoch",
            save_strategy="best",
            save_total_limit=1,
            metric_for_best_model="accuracy",
            seed=SEED,
            dataloader_pin_memory=torch.cuda.is_available(),
            disable_tqdm=True,
        ),
        train_dataset=train_data,
        eval_dataset=eval_data,
        compute_metrics=compute_metrics,
        callbacks=[TrackCallback(project="digits", experiment="vit", tags={"dataset": "sklearn-digits"})],
    )
    trainer.train()
    metrics = trainer.evaluate()
    print(f"accuracy {metrics['eval_accuracy']:.2%} after {args.epochs} epochs")


if __name__ == "__main__":
    main()
