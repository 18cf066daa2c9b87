"""Lightning trainers report by themselves, as soon as the program has imported them, from either package."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from tracklib.integrations.imports import when_imported
from tracklib.integrations.session import guarded

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from tracklib.integrations.patching import Patches

__all__ = ["install"]

_HOMES: Final = {
    "lightning.pytorch.trainer.trainer": "tracklib.integrations.lightning_pytorch",
    "pytorch_lightning.trainer.trainer": "tracklib.integrations.pytorch_lightning",
}
"""Our classes for the trainer that a module has. Importing them waits for the first trainer that is made."""


def install(patches: Patches) -> None:
    """Watch the trainers of both packages."""
    for name, home in _HOMES.items():
        when_imported(name, partial(_watch, patches, home))


def _watch(patches: Patches, home: str, module: ModuleType) -> None:
    from tracklib.integrations.lightning_callback import mute_other_loggers

    def init(original: Callable[..., Any], trainer: Any, *arguments: Any, **keywords: Any) -> Any:
        result = original(trainer, *arguments, **keywords)
        _attach(home, trainer)
        return result

    patches.wrap(module.Trainer, "__init__", init)
    mute_other_loggers(module, patches)


@guarded()
def _attach(home: str, trainer: Any) -> None:
    """Put our callback before those that Lightning keeps at the end: they write the checkpoints that we look for."""
    if trainer.fast_dev_run:
        return
    callbacks = import_module(home).auto_callbacks()
    last = len(trainer.callbacks) - len(trainer.checkpoint_callbacks)
    trainer.callbacks[last:last] = callbacks
