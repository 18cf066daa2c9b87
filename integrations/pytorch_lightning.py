"""`TrackLogger` and `TrackCallback` for the package `pytorch_lightning`."""

from __future__ import annotations

from typing import Any

from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import Logger

from tracklib.integrations.lightning_callback import CallbackBehaviour, automatic_callbacks
from tracklib.integrations.lightning_logger import LoggerBehaviour

__all__ = ["TrackCallback", "TrackLogger", "auto_callbacks"]


class TrackCallback(CallbackBehaviour, Callback):
    """Records what a trainer of `pytorch_lightning` does, whatever loggers it has.

    Example:
        >>> from tracklib.integrations.pytorch_lightning import TrackCallback
        >>> callback = TrackCallback(project="digits")
    """


class TrackLogger(LoggerBehaviour, Logger):
    """A logger for trainers of `pytorch_lightning`.

    Example:
        >>> from tracklib.integrations.pytorch_lightning import TrackLogger
        >>> logger = TrackLogger(project="digits")
        >>> logger.name
        'digits'
    """

    callback_class = TrackCallback


def auto_callbacks() -> list[Any]:
    """Return what a trainer of this package is to have unasked."""
    return automatic_callbacks(TrackCallback)
