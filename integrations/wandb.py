"""What a program tells Weights & Biases, recorded in the active run as well.

It works the same online, offline, disabled and without a login: what the program says is heard before W&B does anything
with it, or fails to. Logged numbers become metrics at W&B's steps, nested ones with dots in their names; the config
becomes params, tags become tags, and numbers put into the summary become points after the last one. Images, tables,
histograms and whatever else is no number stay in W&B alone.

Known trade-offs:
    All W&B runs of a process go to the run that is active when they log, one after another.
    A method that the program has taken off a W&B run before we listen is not heard.
"""

from __future__ import annotations

import inspect
import os
import sys
import weakref
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from tracklib.integrations.imports import when_imported
from tracklib.integrations.mirrors import describe, flattened, heard_by, numbers
from tracklib.integrations.patching import nested
from tracklib.integrations.session import guarded

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from tracklib.integrations.patching import Patches

__all__ = ["install"]

_SAID_OF_A_RUN = frozenset({"name", "notes", "tags"})
_steps: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()
"""The step that the next call of a W&B run is for. Asking W&B itself would wait for its service."""


def install(patches: Patches) -> None:
    """Listen to W&B as soon as it has been imported.

    Example:
        >>> from tracklib.integrations.patching import Patches
        >>> patches = Patches()
        >>> install(patches)
        >>> patches.undo()
    """
    when_imported("wandb", lambda module: _listen(patches, module))


def _listen(patches: Patches, wandb: ModuleType) -> None:
    begin = _around_init(patches, wandb)
    places = (wandb, sys.modules.get("wandb.sdk"), sys.modules.get("wandb.sdk.wandb_init"))
    patches.wrap(wandb, "init", begin, *((place, "init") for place in places if place is not None))
    runs = sys.modules["wandb.sdk.wandb_run"]
    patches.wrap(runs.Run, "log", _around_log)
    patches.wrap(runs.Run, "__setattr__", _around_setattr)
    quiet = sys.modules.get("wandb.sdk.lib.noop_run")  # What runs are made of in disabled mode.
    if quiet is not None:
        patches.wrap(quiet.NoopRun, "log", _around_log)
    if wandb.run is not None:  # Begun before us: its method stands in the module already.
        patches.wrap(wandb, "log", _around_bound_log(wandb.run))
    _listen_to_config(patches, wandb)
    _listen_to_summary(patches)


def _listen_to_config(patches: Patches, wandb: ModuleType) -> None:
    patches.wrap(wandb.Config, "__setitem__", _around_config_item, (wandb.Config, "__setattr__"))
    for method in ("update", "setdefaults", "update_locked", "merge_locked"):
        patches.wrap(wandb.Config, method, _around_config)


def _listen_to_summary(patches: Patches) -> None:
    summary = sys.modules.get("wandb.sdk.wandb_summary")
    if summary is not None:
        patches.wrap(summary.SummaryDict, "update", _around_summary)
    disabled = sys.modules.get("wandb.sdk.lib.disabled")
    if disabled is not None:
        patches.wrap(disabled.SummaryDisabled, "update", _around_summary)
        patches.wrap(
            disabled.SummaryDisabled, "__setitem__", _around_summary_item, (disabled.SummaryDisabled, "__setattr__")
        )


# ---- wandb.init


def _around_init(patches: Patches, wandb: ModuleType) -> Callable[..., Any]:
    def around(original: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
        _announced(wandb, original, arguments, keywords)
        with nested("wandb"):
            run = original(*arguments, **keywords)
        _begun(run)
        _listen_to_run(patches, wandb, run)
        return run

    return around


@guarded()
def _announced(wandb: ModuleType, original: Callable[..., Any], arguments: Any, keywords: Any) -> None:
    """Record what `wandb.init` was called with, whatever becomes of the call."""
    run = heard_by()
    if run is None:
        return
    said = inspect.signature(original).bind(*arguments, **keywords).arguments
    place = {kind: _given(said, kind) for kind in ("project", "name", "notes")}
    labels = {kind: _given(said, kind) for kind in ("group", "job_type")}
    tags = said.get("tags") or (os.environ.get("WANDB_TAGS") or "").split(",")
    describe(
        run,
        place=place,
        begins=True,
        params=_config(wandb, said),
        tags={**_as_tags(tags), **{kind: text for kind, text in labels.items() if text}},
    )


_VARIABLES = {"name": "WANDB_NAME", "group": "WANDB_RUN_GROUP"}


def _given(said: Mapping[str, Any], kind: str) -> str | None:
    """Return what was said of a kind: as an argument, in the settings, or by the environment."""
    settings = said.get("settings")
    key = {"name": "run_name", "notes": "run_notes", "group": "run_group", "job_type": "run_job_type"}.get(kind, kind)
    chosen = settings.get(key) if isinstance(settings, Mapping) else getattr(settings, key, None)
    text: str | None = said.get(kind) or chosen or os.environ.get(_VARIABLES.get(kind, f"WANDB_{kind.upper()}"))
    return text


@guarded(default={})
def _config(wandb: ModuleType, said: Mapping[str, Any]) -> dict[str, Any]:
    config = said.get("config")
    if not config:
        return {}
    parsed = wandb.helper.parse_config(
        config, exclude=said.get("config_exclude_keys"), include=said.get("config_include_keys")
    )
    return dict(parsed)


def _as_tags(tags: str | Iterable[str]) -> dict[str, str]:
    """Return W&B's tags, which are words alone, as tags of ours."""
    words = [tags] if isinstance(tags, str) else tags
    return {str(word).strip(): "true" for word in words if str(word).strip()}


@guarded()
def _begun(wandb_run: Any) -> None:
    """Record what W&B made of the call: the config with its defaults, and those of a sweep."""
    run = heard_by()
    if run is not None and wandb_run is not None:
        run.log_params(dict(wandb_run.config))


@guarded()
def _listen_to_run(patches: Patches, wandb: ModuleType, wandb_run: Any) -> None:
    """Listen to a run that has a `log` of its own, as in the disabled mode of older versions."""
    if "log" in vars(wandb_run):
        patches.wrap(wandb_run, "log", _around_bound_log(wandb_run), (wandb_run, "log"), (wandb, "log"))


# ---- what is logged


def _around_log(original: Callable[..., Any], wandb_run: Any, *arguments: Any, **keywords: Any) -> Any:
    with nested("wandb") as inner:
        result = original(wandb_run, *arguments, **keywords)
    if not inner:
        _logged(wandb_run, *arguments, **keywords)
    return result


def _around_bound_log(wandb_run: Any) -> Callable[..., Any]:
    def around(original: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
        with nested("wandb"):
            result = original(*arguments, **keywords)
        _logged(wandb_run, *arguments, **keywords)
        return result

    return around


@guarded()
def _logged(wandb_run: Any, data: Any, step: int | None = None, commit: bool | None = None, **_: Any) -> None:
    """Count steps as W&B does, and keep the numbers at the step that they are for."""
    here = _steps.get(wandb_run)
    if here is None:
        here = getattr(wandb_run, "_starting_step", 0)  # Not 0 where a W&B run is resumed.
    if step is not None:
        here = max(here, step)
    _steps[wandb_run] = here + 1 if commit or (step is None and commit is None) else here
    run = heard_by()
    values = numbers(flattened(data)) if run is not None else {}
    if run is not None and values:
        run.log(values, here if step is None else step)


# ---- what describes a W&B run later


def _around_setattr(original: Callable[..., Any], wandb_run: Any, name: str, value: Any) -> None:
    if name not in _SAID_OF_A_RUN:
        original(wandb_run, name, value)
        return
    before = guarded(default=())(getattr)(wandb_run, "tags", ()) if name == "tags" else ()
    original(wandb_run, name, value)
    _renamed(name, value, before)


@guarded()
def _renamed(name: str, value: Any, before: Any) -> None:
    run = heard_by()
    if run is None:
        return
    if name == "tags":
        gone = dict.fromkeys(_as_tags(before or ()), None)
        describe(run, tags={**gone, **_as_tags(value or ())})
    else:
        describe(run, place={name: value})


def _around_config_item(original: Callable[..., Any], config: Any, key: str, value: Any) -> None:
    with nested("wandb") as inner:
        original(config, key, value)
    if not inner:
        _configured(config, key)


def _around_config(original: Callable[..., Any], config: Any, *arguments: Any, **keywords: Any) -> Any:
    with nested("wandb") as inner:
        result = original(config, *arguments, **keywords)
    if not inner:
        _configured(config)
    return result


@guarded()
def _configured(config: Any, key: str | None = None) -> None:
    """Record the config as W&B has it now, or one entry of it."""
    run = heard_by()
    if run is not None:
        entries = {name: value for name, value in config.items() if key is None or name == key.strip("-")}
        if entries:
            run.log_params(entries)


def _around_summary(original: Callable[..., Any], summary: Any, *arguments: Any, **keywords: Any) -> Any:
    with nested("wandb") as inner:
        result = original(summary, *arguments, **keywords)
    if not inner:
        _summed(summary, *arguments, **keywords)
    return result


def _around_summary_item(original: Callable[..., Any], summary: Any, key: str, value: Any) -> None:
    with nested("wandb") as inner:
        original(summary, key, value)
    if not inner and not isinstance(value, type(summary)):  # One that it wraps while it is read says nothing new.
        _summed(summary, {key: value})


@guarded()
def _summed(summary: Any, values: Any = (), **more: Any) -> None:
    run = heard_by()
    if run is None:
        return
    above = ""
    while (name := vars(summary).get("_parent_key")) is not None:
        above, summary = f"{name}.{above}", vars(summary)["_parent"]
    found = numbers(flattened({**dict(values), **more}))
    if found:
        run.log({f"{above}{name}": value for name, value in found.items()})
