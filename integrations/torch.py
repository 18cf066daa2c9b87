"""Saves by torch: `torch.save`, `torch.distributed.checkpoint`, and what is written by `torch.jit` and `torch.export`.

What a program saves is a model if it is a module or looks like the state of one, a checkpoint if it is a dict that has
such a state beside other things, an optimizer, or a file. Nothing but keys and types is looked at. `torch.load` is left
alone.
"""

from __future__ import annotations

import itertools
import threading
import time
from typing import TYPE_CHECKING, Any, Final

import tracklib
from tracklib.integrations.imports import when_imported
from tracklib.integrations.saves import Saved, class_name, quiet, record_save, save_hook, text_path, watching_run
from tracklib.integrations.session import guarded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType

    from tracklib import Run
    from tracklib.integrations.patching import Patches

__all__ = ["classify", "format_of", "install", "is_state"]

_MODEL_KEYS: Final = frozenset(
    {"state_dict", "model", "model_state", "model_state_dict", "module", "net", "network", "weights"}
)
_STEP_KEYS: Final = ("global_step", "step", "iteration", "iter", "iter_num")
_LOOKED_AT: Final = 8
"""Entries of a dict that are looked at to tell what it is."""


def install(patches: Patches) -> None:
    """Watch torch's own ways to save, as soon as the program has imported them."""

    def on_torch(module: ModuleType) -> None:
        patches.wrap(module, "save", _torch_save, (module.serialization, "save"))
        jit = module.jit
        patches.wrap(jit, "save", _jit_save, (jit._serialization, "save"))  # noqa: SLF001 - the same object stands there
        patches.wrap(jit.RecursiveScriptModule, "save", _script_save)

    def on_export(module: ModuleType) -> None:
        patches.wrap(module, "save", _export_save)

    def on_checkpoint(module: ModuleType) -> None:
        saver = module.state_dict_saver
        patches.wrap(module, "save", _distributed_save, (saver, "save"))
        patches.wrap(module, "async_save", _distributed_async_save, (saver, "async_save"))

    patches.wrap(tracklib.Run, "log_model", quiet)
    when_imported("torch", on_torch)
    when_imported("torch.export", on_export)
    when_imported("torch.distributed.checkpoint", on_checkpoint)


def classify(value: Any) -> str:
    """Tell what is being saved: model, checkpoint, optimizer or file.

    Example:
        >>> classify({"model": {}, "epoch": 3}), classify({"state": {}, "param_groups": []}), classify([1, 2])
        ('checkpoint', 'optimizer', 'file')
    """
    if callable(getattr(value, "state_dict", None)):
        is_module = callable(getattr(value, "named_parameters", None))
        return "model" if is_module else "optimizer" if hasattr(value, "param_groups") else "file"
    if not isinstance(value, dict):
        return "file"
    if {"state", "param_groups"} <= value.keys():
        return "optimizer"
    if is_state(value):
        return "model"
    if value.keys() & _MODEL_KEYS or any(str(key).endswith("state_dict") for key in _first(value)):
        return "model" if len(value) == 1 else "checkpoint"
    return "file"


def is_state(value: dict[Any, Any]) -> bool:
    """Tell whether a dict looks like the state of a module: tensors by the names of parameters."""
    if hasattr(value, "_metadata"):  # As `Module.state_dict` leaves it.
        return True
    return bool(value) and all(
        isinstance(key, str) and hasattr(tensor, "numel") and ("." in key or key.endswith(("weight", "bias")))
        for key, tensor in itertools.islice(value.items(), _LOOKED_AT)
    )


def _first(value: dict[Any, Any]) -> list[Any]:
    return list(itertools.islice(value, _LOOKED_AT))


def _step_in(value: Any) -> int | None:
    """Return the step that a checkpoint says it is of."""
    steps = [value.get(key) for key in _STEP_KEYS] if isinstance(value, dict) else []
    return next((step for step in steps if type(step) is int and step >= 0), None)


def _metadata(call: str, value: Any, framework: str = "torch") -> dict[str, Any]:
    metadata: dict[str, Any] = {"framework": framework, "call": call, "class": class_name(value)}
    if classify(value) == "checkpoint":
        metadata["keys"] = [str(key) for key in _first(value)]
    return metadata


def format_of(value: Any) -> dict[str, str]:
    """Return what the metadata say of a file that a value is saved to as it is: whether it is a state dict.

    Example:
        >>> format_of({"model": {}, "epoch": 3}), format_of([1, 2])
        ({}, {})
    """
    return {"format": "state_dict"} if isinstance(value, dict) and is_state(value) else {}


def _saved(call: str, value: Any, target: Any, kind: str | None = None) -> Saved | None:
    path = text_path(target)
    if path is None:
        return None
    return Saved(path, kind or classify(value), {**format_of(value), **_metadata(call, value)}, _step_in(value))


def _of_torch(arguments: Mapping[str, Any], _: Any) -> Saved | None:
    return _saved("torch.save", arguments["obj"], arguments["f"])


def _of_jit(arguments: Mapping[str, Any], _: Any) -> Saved | None:
    return _saved("torch.jit.save", arguments["m"], arguments["f"], "model")


def _of_script(arguments: Mapping[str, Any], _: Any) -> Saved | None:
    return _saved("torch.jit.ScriptModule.save", arguments["self"], arguments["f"], "model")


def _of_export(arguments: Mapping[str, Any], _: Any) -> Saved | None:
    return _saved("torch.export.save", arguments["ep"], arguments["f"], "model")


_torch_save = save_hook(_of_torch)
_jit_save = save_hook(_of_jit)
_script_save = save_hook(_of_script)
_export_save = save_hook(_of_export)


# ---- torch.distributed.checkpoint

_under_way: Final[set[str]] = set()
"""Where asynchronous saves are writing: the same function saves for them, on another thread."""


def _of_distributed(arguments: Mapping[str, Any], _: Any) -> Saved | None:
    saved = _distributed("torch.distributed.checkpoint.save", arguments)
    return None if saved is None or saved.path in _under_way else saved


_distributed_save = save_hook(_of_distributed)


def _distributed(call: str, arguments: Mapping[str, Any]) -> Saved | None:
    path = _place(arguments)
    if path is None:
        return None
    state = arguments.get("state_dict")
    kind = classify(state)
    return Saved(path, "checkpoint" if kind == "file" else kind, _metadata(call, state), _step_in(state))


def _place(arguments: Mapping[str, Any]) -> str | None:
    """Return the folder that a distributed checkpoint goes to: as the call says, else as its writer does."""
    writer = arguments.get("storage_writer")
    places = (arguments.get("checkpoint_id"), getattr(writer, "checkpoint_id", None), getattr(writer, "path", None))
    return next((path for path in map(text_path, places) if path is not None), None)


def _distributed_async_save(original: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
    run, saved = watching_run(), _begun(arguments, keywords)
    if run is None or saved is None:
        return original(*arguments, **keywords)
    _under_way.add(saved.path)
    try:
        response = original(*arguments, **keywords)
    except BaseException:
        _under_way.discard(saved.path)
        raise
    _await(response, run, saved)
    return response


@guarded()
def _begun(arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Saved | None:
    named = {**dict(zip(("state_dict",), arguments, strict=False)), **keywords}
    saved = _distributed("torch.distributed.checkpoint.async_save", named)
    return saved and saved._replace(began=time.time())


@guarded()
def _await(response: Any, run: Run, saved: Saved) -> None:
    """Record an asynchronous save when it is done, in the run that was active when it began."""
    future = getattr(response, "upload_completion", response)
    taking_turns, told = threading.Lock(), False

    @guarded()
    def on_done(called_by: Any = None) -> None:
        nonlocal told
        # The end of the run waits for a record that is just being made.
        with taking_turns:
            if told or not future.done() or (called_by is not None and not run.is_open):
                return
            told = True
            _under_way.discard(saved.path)
            if not future.cancelled() and future.exception() is None:
                record_save(run, saved)

    # Whoever waits for the future goes on before it calls us, and may end the run at once.
    run.before_end(on_done)
    future.add_done_callback(on_done)
