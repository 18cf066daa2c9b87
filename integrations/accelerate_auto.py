"""What a program with its own loop tells accelerate's trackers is recorded too, whether it has any or none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracklib.integrations.imports import when_imported
from tracklib.integrations.session import guarded, open_run, speaking

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType

    from tracklib.integrations.patching import Patches

__all__ = ["install"]


def install(patches: Patches) -> None:
    """Watch `Accelerator.init_trackers` and `Accelerator.log`."""

    def watch(module: ModuleType) -> None:
        patches.wrap(module.Accelerator, "init_trackers", _init_trackers)
        patches.wrap(module.Accelerator, "log", _log)

    when_imported("accelerate.accelerator", watch)


def _init_trackers(original: Callable[..., Any], self: Any, *arguments: Any, **keywords: Any) -> Any:
    with speaking():
        result = original(self, *arguments, **keywords)
    config = keywords.get("config", arguments[1] if len(arguments) > 1 else None)
    if not _has_tracker(self):
        _note_config(config)
    return result


def _log(original: Callable[..., Any], self: Any, *arguments: Any, **keywords: Any) -> Any:
    if not _has_tracker(self):
        values = keywords.get("values", arguments[0] if arguments else {})
        _note_values(values, keywords.get("step", arguments[1] if len(arguments) > 1 else None))
    # Its trackers get the same values, which are not to be recorded again from there.
    with speaking():
        return original(self, *arguments, **keywords)


@guarded(default=False)
def _has_tracker(accelerator: Any) -> bool:
    return any(getattr(tracker, "name", "") == "tracklib" for tracker in accelerator.trackers)


@guarded()
def _note_config(config: Mapping[str, Any] | None) -> None:
    run = open_run()
    if run is not None and config:
        run.log_params(config)


@guarded()
def _note_values(values: Mapping[str, Any], step: int | None) -> None:
    run = open_run()
    if run is not None:
        run.log({name: value for name, value in values.items() if not isinstance(value, (str, type(None)))}, step)
