"""What the programs have in common that tests of transformers run: a tiny language model, and its data."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.data import Dataset
from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainingArguments

torch.set_num_threads(1)


class Lines(Dataset[dict[str, torch.Tensor]]):
    """Random tokens."""

    def __init__(self, count: int = 32) -> None:
        self.ids = torch.randint(0, 32, (count, 8), generator=torch.Generator().manual_seed(0))

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        return {"input_ids": self.ids[index], "labels": self.ids[index]}


def tiny_model() -> Any:
    torch.manual_seed(0)
    size: dict[str, Any] = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
    }
    config = LlamaConfig(vocab_size=32, num_hidden_layers=1, max_position_embeddings=16, **size)
    return LlamaForCausalLM(config)


def tiny_arguments(folder: str, **chosen: Any) -> TrainingArguments:
    usual: dict[str, Any] = {
        "output_dir": folder,
        "max_steps": 4,
        "logging_steps": 1,
        "per_device_train_batch_size": 4,
        "save_strategy": "no",
        "use_cpu": True,
        "disable_tqdm": True,
    }
    return TrainingArguments(**{**usual, **chosen})


def tiny_trainer(folder: str, *callbacks: Any, kind: type[Trainer] = Trainer, **chosen: Any) -> Any:
    return kind(
        model=tiny_model(),
        args=tiny_arguments(folder, **chosen),
        train_dataset=Lines(),
        eval_dataset=Lines(8),
        callbacks=list(callbacks),
    )
