"""Hugging Face Trainers report by themselves, as soon as the program has imported them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracklib.integrations.imports import when_imported

if TYPE_CHECKING:
    from types import ModuleType

    from tracklib.integrations.patching import Patches

__all__ = ["install"]


def install(patches: Patches) -> None:
    """Watch `transformers.Trainer` and what derives from it."""

    def watch(module: ModuleType) -> None:
        from tracklib.integrations.transformers_watching import mute_other_callbacks, watch_trainer_class

        watch_trainer_class(module.Trainer, patches)
        mute_other_callbacks(patches)

    when_imported("transformers.trainer", watch)
