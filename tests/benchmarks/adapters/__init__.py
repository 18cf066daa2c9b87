"""One module per tool. An adapter runs inside the tool's own environment, where only the standard library is sure."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .base import Adapter


__all__ = ["ADAPTERS", "adapter_class"]

ADAPTERS = {
    "tracklib": "tracklib:TracklibAdapter",
    "tracklib-file": "objects:FileAdapter",
    "tracklib-s3": "objects:S3Adapter",
    "trackio": "trackio:TrackioAdapter",
    "wandb": "wandb:WandbAdapter",
    "mlflow": "mlflow:MlflowAdapter",
    "aim": "aim:AimAdapter",
    "tensorboardX": "tensorboard:TensorboardAdapter",
    "CSVLogger": "lightning:CsvLoggerAdapter",
    "list": "limits:ListAdapter",
    "sqlite3": "limits:SqliteAdapter",
}
"""Tool to `module:Class`, in the order of the table's columns."""


def adapter_class(tool: str) -> type[Adapter]:
    """Return the adapter of a tool, without importing the tool."""
    module, _, name = ADAPTERS[tool].partition(":")
    found: type[Adapter] = getattr(importlib.import_module(f"{__name__}.{module}"), name)
    return found
