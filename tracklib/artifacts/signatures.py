"""What a model takes and gives: names, shapes and types, as given or as seen on an example.

A signature is `{"inputs": {name: {"shape": [None, 784], "dtype": "float32"}}, "outputs": {…}}`. None in a shape stands
for any size. Of an example, the first dimension of each array is taken for the batch and becomes None. What lies within
another value is named with dots: `images.0`.
"""

from __future__ import annotations

import inspect
import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from itertools import islice
from typing import Any, Final

from tracklib.artifacts.forward import undisturbed, undisturbed_random
from tracklib.artifacts.states import unwrapped
from tracklib.errors import ConfigError

__all__ = ["checked_signature", "signature_of"]

Specs = dict[str, dict[str, Any]]

_SIDES: Final = ("inputs", "outputs")
_MOST: Final = 500  # Names of one side: a nested output can have many more than anybody reads.
_METHODS: Final = ("predict", "predict_proba", "transform")

_log = logging.getLogger("tracklib")


def checked_signature(signature: Any) -> dict[str, Any]:
    """Return a signature that a user gives, as JSON.

    Example:
        >>> checked_signature({"inputs": {"pixels": {"shape": (None, 784), "dtype": "float32"}}})
        {'inputs': {'pixels': {'shape': [None, 784], 'dtype': 'float32'}}}

    Raises:
        TypeError: It is no mapping.
        ConfigError: It has other parts, or a shape or dtype that cannot be meant.
    """
    if not isinstance(signature, Mapping):
        raise TypeError(f'signature is {signature!r:.200}, but takes {{"inputs": {{…}}, "outputs": {{…}}}}')
    if not signature or signature.keys() - set(_SIDES):
        raise ConfigError(f'signature has {list(signature)!r:.200}, but takes "inputs", "outputs" or both')
    checked = {}
    for side, specs in signature.items():
        if not isinstance(specs, Mapping):
            raise ConfigError(f"signature[{side!r}] is {specs!r:.200}, but takes a mapping of names to shape and dtype")
        checked[side] = {
            str(name): _checked_spec(spec, f"signature[{side!r}][{name!r}]") for name, spec in specs.items()
        }
    return checked


def signature_of(model: Any, example: Any) -> dict[str, Any]:
    """Return a model's signature as seen on an example: a tensor, an array, a batch, a frame, or a tuple of inputs.

    Modules and estimators compute the example once, without gradients and in evaluation mode, and are afterwards what
    they were. If that raises, `problem` says so in place of the outputs, and a warning is logged.
    """
    module = unwrapped(model)
    torch = sys.modules.get("torch")
    call: Callable[[], Any] | None = None
    if torch is not None and isinstance(module, torch.nn.Module):
        inputs, call = _torch_call(module, example)
    elif any(hasattr(module, name) for name in _METHODS) and hasattr(module, "get_params"):
        inputs, call = _described(_array_of(example), "X"), lambda: _estimates(module, example)
    else:
        inputs = _described(example, "" if isinstance(example, Mapping) else "input")
    signature: dict[str, Any] = {"inputs": inputs}
    if call is None:
        return signature
    try:
        output = call()
    except Exception as error:  # noqa: BLE001 - the model's own code; a training does not end because of it
        _log.warning("the signature of the model lacks its outputs: the example raised %r", error)
        return {**signature, "problem": f"the example raised {type(error).__name__}: {error}"[:2000]}
    named = isinstance(output, Mapping) or is_dataclass(output)
    return {**signature, "outputs": _described(output, "" if named else "output")}


def _checked_spec(spec: Any, place: str) -> dict[str, Any]:
    if not isinstance(spec, Mapping) or not spec or spec.keys() - {"shape", "dtype"}:
        raise ConfigError(f'{place} is {spec!r:.200}, but takes {{"shape": [None, 784], "dtype": "float32"}}')
    checked: dict[str, Any] = {}
    if "shape" in spec:
        shape = spec["shape"]
        if isinstance(shape, str) or not isinstance(shape, Sequence):
            raise ConfigError(f"{place} has the shape {shape!r:.200}, but takes a list of sizes; None is any size")
        checked["shape"] = [_checked_size(size, place) for size in shape]
    if "dtype" in spec:
        dtype = spec["dtype"]
        checked["dtype"] = dtype.__name__ if isinstance(dtype, type) else str(dtype).removeprefix("torch.")
    return checked


def _checked_size(size: Any, place: str) -> int | None:
    if size is None or size == -1:
        return None
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        raise ConfigError(f"{place} has the size {size!r:.100} in its shape, but takes numbers from 0, or None")
    return int(size)


# ---- descriptions


def _described(value: Any, name: str) -> Specs:
    return dict(islice(_specs(value, name), _MOST))


def _specs(value: Any, name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the names and specs of all arrays in a value."""
    if _is_frame(value):
        for column in value.columns:
            yield _joined(name if name != "X" else "", column), {"shape": [None], "dtype": str(value[column].dtype)}
    elif hasattr(value, "shape") and hasattr(value, "dtype"):
        sizes = [int(size) for size in value.shape]
        yield name, {"shape": [None, *sizes[1:]] if sizes else [], "dtype": str(value.dtype).removeprefix("torch.")}
    elif isinstance(value, (str, bool, int, float)):
        yield name, {"shape": [], "dtype": type(value).__name__}
    else:
        for key, inner in _parts(value):
            yield from _specs(inner, _joined(name, key))


def _is_frame(value: Any) -> bool:
    return hasattr(value, "columns") and (hasattr(value, "dtypes") or hasattr(value, "schema"))


def _parts(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, Mapping):
        yield from value.items()
    elif isinstance(value, (list, tuple)):
        yield from zip(getattr(value, "_fields", range(len(value))), value, strict=True)
    elif is_dataclass(value) and not isinstance(value, type):
        yield from ((field.name, getattr(value, field.name)) for field in fields(value))


def _joined(name: str, key: Any) -> str:
    return f"{name}.{key}" if name else str(key)


# ---- calls


def _torch_call(module: Any, example: Any) -> tuple[Specs, Callable[[], Any]]:
    """Return the inputs by the names that `forward` gives them, and what computes the example."""
    arguments: tuple[Any, ...] = ()
    keywords: dict[str, Any] = {}
    if isinstance(example, Mapping) and _takes(module, example):
        keywords = {str(name): value for name, value in example.items()}
        inputs = _described(keywords, "")
    else:
        arguments = example if isinstance(example, tuple) and not hasattr(example, "_fields") else (example,)
        inputs = {}
        for name, value in zip(_argument_names(module, len(arguments)), arguments, strict=True):
            inputs.update(_described(value, name))

    def call() -> Any:
        device = next((parameter.device for parameter in module.parameters()), None)
        with undisturbed(module):
            return module(*_moved(arguments, device), **_moved(keywords, device))

    return inputs, call


def _takes(module: Any, keywords: Mapping[Any, Any]) -> bool:
    """Tell whether `forward` takes the values of a mapping by name; if not, it takes the mapping."""
    try:
        inspect.signature(module.forward).bind(**{str(name): value for name, value in keywords.items()})
    except (TypeError, ValueError):
        return False
    return True


def _argument_names(module: Any, count: int) -> list[str]:
    try:
        parameters = inspect.signature(module.forward).parameters.values()
    except (TypeError, ValueError):
        parameters = {}.values()
    kinds = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
    names = [parameter.name for parameter in parameters if parameter.kind in kinds][:count]
    rest = ["input"] if count == 1 else [f"input_{index}" for index in range(count)]
    return names + rest[len(names) :]


def _moved(value: Any, device: Any) -> Any:
    """Return copies of a value's arrays as tensors on a device, in new containers: models write to their inputs."""
    import torch

    if isinstance(value, torch.Tensor):
        return value.detach().clone() if device is None else value.detach().clone().to(device)
    if hasattr(value, "__array_interface__") and value.dtype.kind in "biufc":
        return _moved(torch.from_numpy(value.copy()), device)
    if isinstance(value, Mapping):
        return {key: _moved(inner, device) for key, inner in value.items()}
    if type(value) in {list, tuple}:
        return type(value)(_moved(inner, device) for inner in value)
    return value


def _array_of(example: Any) -> Any:
    """Return nested lists, which estimators take for a table, as an array."""
    if not isinstance(example, list):
        return example
    import numpy as np

    return np.asarray(example)


def _estimates(estimator: Any, example: Any) -> dict[str, Any]:
    with undisturbed_random():
        return {name: getattr(estimator, name)(example) for name in _METHODS if hasattr(estimator, name)}
