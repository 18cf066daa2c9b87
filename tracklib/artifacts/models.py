"""Models made into files that load without pickle, and what is said of them.

The metadata of a model is JSON. A key is absent where it has no meaning:

- `format`: `state_dict` (one file, `state_dict.pt`), `pretrained` (a folder that `save_pretrained` wrote) or `skops`
  (one file, `model.skops`).
- `framework`: torch, transformers, peft, sklearn, or the package that the model's class comes from.
- `versions`: of Python, and of each package that had a part in it, by name.
- `class`: the full name of the model's class.
- `task`: what a pipeline of transformers does.
- `parameters`, `trainable`: how many numbers the parameters hold, and how many of these are trained.
- `dtypes`, `devices`: how many numbers there are of each type, and on each type of device, buffers included.
- `size_bytes`: what all of them take in memory.
- `architecture`: the model as text, at most 100,000 characters.
- `signature`: see `tracklib.artifacts.signatures`.
- `init`: keyword arguments that make an empty module of this class.
- `untrusted_types`: what must be trusted by name to load a `.skops` file.
"""

from __future__ import annotations

import platform
import sys
from collections import OrderedDict
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from tracklib.artifacts.model_facts import module_facts, tensor_facts, text_of
from tracklib.artifacts.states import check_state, refusal_of, state_of, tensors, unwrapped
from tracklib.errors import ConfigError, StoreError

__all__ = ["ModelFormat", "model_format", "write_model"]

_PARTS: Final = {
    "state_dict": ("torch",),
    "pretrained": ("transformers", "peft", "tokenizers", "safetensors", "torch"),
    "skops": ("sklearn", "skops", "scipy", "numpy"),
}


class ModelFormat(StrEnum):
    """What becomes of a model."""

    STATE_DICT = "state_dict"
    PRETRAINED = "pretrained"
    SKOPS = "skops"


def model_format(model: Any) -> ModelFormat:
    """Return what a model is made into. This is cheap: nothing is loaded or computed.

    Raises:
        TypeError: It is nothing that can be kept as a model.
    """
    model = unwrapped(model)
    if not isinstance(model, type):
        if isinstance(model, Mapping) and not hasattr(model, "save_pretrained"):
            if "torch" in sys.modules and any(True for _ in tensors(model)):
                return ModelFormat.STATE_DICT
        elif callable(getattr(model, "save_pretrained", None)):
            return ModelFormat.PRETRAINED
        elif callable(getattr(model, "state_dict", None)):
            return ModelFormat.STATE_DICT
        elif _is_estimator(model):
            return ModelFormat.SKOPS
    raise TypeError(
        f"model is {type(model).__name__}, but takes a torch module, a state dict or checkpoint (a mapping that holds "
        "tensors), anything with save_pretrained, a scikit-learn estimator, or the path of a file or folder that holds "
        "a saved model"
    )


def write_model(
    model: Any,
    folder: Path,
    *,
    signature: Mapping[str, Any] | None = None,
    example: Any = None,
    init: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Write a model's files into an empty folder; return its metadata.

    A torch module or state dict becomes `state_dict.pt`, which `torch.load(…, weights_only=True)` reads; a scikit-learn
    estimator becomes `model.skops`; what has `save_pretrained` writes its own files.

    Args:
        model: See `model_format`.
        folder: Where to.
        signature: What it takes and gives; see `tracklib.artifacts.signatures`.
        example: An input to take the signature from, so far as it is not given.
        init: Keyword arguments that make an empty module of the model's class, so that it can be built anew.

    Raises:
        TypeError: It is no model, or an argument is of the wrong kind.
        ConfigError: The model cannot be kept as it is; the message says which part of it, and what to do.
        MissingDependency: What writes its format is not installed.
        StoreError: It could not be written.
    """
    kind = model_format(model)
    said: dict[str, Any] = {} if init is None else {"init": _checked_init(model, init)}
    if signature is not None or example is not None:
        said["signature"] = _signature(model, signature, example)
    model = unwrapped(model)
    try:
        found = _WRITERS[kind](model, folder)
    except OSError as error:
        raise StoreError(f"the model cannot be written to {folder}: {error}") from error
    own = type(model)
    return {
        "format": str(kind),
        "framework": _framework(model, kind),
        "versions": _versions(model, kind),
        **({} if isinstance(model, Mapping) else {"class": f"{own.__module__}.{own.__qualname__}"}),
        **found,
        **said,
    }


def _is_module(thing: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(thing, torch.nn.Module)


def _is_estimator(model: Any) -> bool:
    base = sys.modules.get("sklearn.base")
    return base is not None and isinstance(model, base.BaseEstimator)


def _signature(model: Any, signature: Mapping[str, Any] | None, example: Any) -> dict[str, Any]:
    from tracklib.artifacts.signatures import checked_signature, signature_of

    given = {} if signature is None else checked_signature(signature)
    if example is None or given.keys() >= {"inputs", "outputs"}:
        return given
    return {**signature_of(model, example), **given}


def _checked_init(model: Any, init: Any) -> dict[str, Any]:
    if not isinstance(init, Mapping) or not all(isinstance(name, str) for name in init):
        raise TypeError(f"init is {init!r:.200}, but takes a mapping of the names of arguments to their values")
    own = unwrapped(model)
    if not _is_module(own) or callable(getattr(own, "save_pretrained", None)):
        raise ConfigError(f"init is for torch modules, which are built anew with it; the model is {type(own).__name__}")
    if "<locals>" in type(own).__qualname__:
        raise ConfigError(
            f"init is given, but {type(own).__qualname__} is defined within a function, where nobody finds it to build "
            "the model anew: define the class at the top of a module, or leave init out"
        )
    for name, value in init.items():
        if not _is_json(value):
            raise ConfigError(
                f"init[{name!r}] is {value!r:.200}, which JSON cannot hold: take numbers, text, lists and dicts, "
                "and let the class make what it needs from these"
            )
    return dict(init)


def _is_json(value: Any) -> bool:
    """Tell whether a value is the same after it has been JSON."""
    if isinstance(value, list):
        return all(map(_is_json, value))
    if isinstance(value, dict):
        return all(type(key) is str and _is_json(inner) for key, inner in value.items())
    return type(value) in {bool, int, str, type(None)} or (type(value) is float and abs(value) < float("inf"))


# ---- writers


def _write_state(model: Any, folder: Path) -> dict[str, Any]:
    import torch

    is_module = _is_module(model)
    state = state_of(model) if is_module else model if isinstance(model, Mapping) else model.state_dict()
    # A mapping of another class would be unpickled as that; on its ordered ones torch keeps versions.
    state = state if type(state) in {dict, OrderedDict} else dict(state)
    check_state(state)
    path = folder / "state_dict.pt"
    try:
        torch.save(state, path)
    except RuntimeError as error:  # What torch makes of a full disk.
        raise StoreError(f"the state dict cannot be written to {path}: {error}") from error
    try:
        # Mapped, not read: tensors of other classes have ways of their own to be written, so this is the proof.
        torch.load(path, weights_only=True, mmap=True, map_location="cpu")
    except Exception as error:
        path.unlink()
        raise ConfigError(
            f"torch.load(…, weights_only=True) does not read the state dict back: {refusal_of(error)}"
        ) from error
    return module_facts(model) if is_module else tensor_facts(state)


def _write_pretrained(model: Any, folder: Path) -> dict[str, Any]:
    try:
        model.save_pretrained(str(folder))
    except OSError:
        raise
    except Exception as error:
        raise StoreError(f"save_pretrained of {type(model).__name__} failed: {error!r}") from error
    if _is_module(model):
        return module_facts(model)
    task = {"task": model.task} if isinstance(getattr(model, "task", None), str) else {}
    inner = getattr(model, "model", None)
    return {**task, **(module_facts(inner) if _is_module(inner) else {"architecture": text_of(model)})}


def _write_estimator(model: Any, folder: Path) -> dict[str, Any]:
    from tracklib.artifacts.skops_files import write_skops

    untrusted = write_skops(model, folder / "model.skops")
    return {"architecture": text_of(model), **({"untrusted_types": untrusted} if untrusted else {})}


_WRITERS: Final = {
    ModelFormat.STATE_DICT: _write_state,
    ModelFormat.PRETRAINED: _write_pretrained,
    ModelFormat.SKOPS: _write_estimator,
}


def _framework(model: Any, kind: ModelFormat) -> str:
    if kind is not ModelFormat.PRETRAINED:
        return _PARTS[kind][0]
    packages = [each.__module__.partition(".")[0] for each in type(model).__mro__]
    return next((package for package in packages if package in _PARTS[kind]), packages[0])


def _versions(model: Any, kind: ModelFormat) -> dict[str, str]:
    names = {*_PARTS[kind], type(model).__module__.partition(".")[0]}
    found = {name: getattr(sys.modules.get(name), "__version__", None) for name in sorted(names)}
    return {
        "python": platform.python_version(),
        **{name: text for name, text in found.items() if isinstance(text, str)},
    }
