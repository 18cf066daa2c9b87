"""Trainers of transformers that are recorded unasked: each gets a callback, and what that does not see is seen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK

from tracklib.integrations.session import guarded, speaking
from tracklib.integrations.transformers import TrackCallback

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracklib.integrations.patching import Patches

__all__ = ["mute_other_callbacks", "watch_trainer_class"]

_REPORTING: Final = ("on_train_begin", "on_log", "on_predict", "on_save", "on_train_end")
"""What callbacks for other trackers do something at."""


def watch_trainer_class(trainer_class: type, patches: Patches) -> None:
    """Have every Trainer of a class report, also what a callback does not see: exceptions, and paths of checkpoints.

    Args:
        trainer_class: `transformers.Trainer`; those that derive from it are watched with it.
        patches: Where the replaced methods are kept, to be put back.
    """
    patches.wrap(trainer_class, "__init__", _init)
    patches.wrap(trainer_class, "train", _train)
    patches.wrap(trainer_class, "_save_checkpoint", _save_checkpoint)


def mute_other_callbacks(patches: Patches) -> None:
    """Mark what the callbacks for other trackers write as coming from a framework that reports by itself.

    So it is not recorded a second time where calls to other trackers are recorded, too.
    """
    for callback in set(INTEGRATION_TO_CALLBACK.values()) - {TrackCallback}:
        for event in _REPORTING:
            patches.wrap(callback, event, _speak)


def _speak(original: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
    with speaking():
        return original(*arguments, **keywords)


def _callbacks(trainer: Any) -> list[TrackCallback]:
    handler = getattr(trainer, "callback_handler", None)
    return [each for each in getattr(handler, "callbacks", ()) if isinstance(each, TrackCallback)]


def _init(original: Callable[..., Any], trainer: Any, *arguments: Any, **keywords: Any) -> Any:
    result = original(trainer, *arguments, **keywords)
    _attach(trainer)
    return result


@guarded()
def _attach(trainer: Any) -> None:
    if not _callbacks(trainer):
        callback = TrackCallback()
        callback.automatic = True
        trainer.add_callback(callback)


def _train(original: Callable[..., Any], trainer: Any, *arguments: Any, **keywords: Any) -> Any:
    _make_way(trainer)
    given = keywords.get("resume_from_checkpoint", arguments[0] if arguments else None)
    for callback in _callbacks(trainer):
        callback.resumes_from(given if isinstance(given, str) else "")
    try:
        return original(trainer, *arguments, **keywords)
    except BaseException as error:
        if type(error).__name__ != "TrialPruned":  # That is how a search ends a trial, and it has said so before.
            for callback in _callbacks(trainer):
                callback.fail(error)
        raise


@guarded()
def _make_way(trainer: Any) -> None:
    """Take the callback out that was added unasked where the program has added its own since."""
    callbacks = _callbacks(trainer)
    for callback in callbacks:
        if callback.automatic and len(callbacks) > 1:
            trainer.callback_handler.callbacks.remove(callback)


def _save_checkpoint(original: Callable[..., Any], trainer: Any, *arguments: Any, **keywords: Any) -> Any:
    result = original(trainer, *arguments, **keywords)
    _tell_path(trainer, arguments, keywords)
    return result


@guarded()
def _tell_path(trainer: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> None:
    trial = keywords.get("trial", arguments[1] if len(arguments) > 1 else None)
    folder = trainer._get_output_dir(trial=trial)  # noqa: SLF001 - nothing public says it
    for callback in _callbacks(trainer):
        callback.saved_to(str(Path(folder, f"checkpoint-{trainer.state.global_step}")))
