"""What can be said of a model by looking at it: how large it is, of what numbers, and how it is built."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

from tracklib.artifacts.states import tensors

__all__ = ["module_facts", "tensor_facts", "text_of"]

_LENGTH: Final = 100_000


def module_facts(module: Any) -> dict[str, Any]:
    """Return what can be said of a torch module."""
    parameters = list(module.parameters())
    return {
        "parameters": sum(int(parameter.numel()) for parameter in parameters),
        "trainable": sum(int(parameter.numel()) for parameter in parameters if parameter.requires_grad),
        **_sizes([*parameters, *module.buffers()]),
        "architecture": text_of(module),
    }


def tensor_facts(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return what can be said of a state dict or checkpoint."""
    found = list(tensors(state))
    return {"parameters": sum(int(tensor.numel()) for tensor in found), **_sizes(found)}


def _sizes(found: Iterable[Any]) -> dict[str, Any]:
    dtypes: Counter[str] = Counter()
    devices: Counter[str] = Counter()
    size_bytes = 0
    for tensor in found:
        count = int(tensor.numel())
        dtypes[str(tensor.dtype).removeprefix("torch.")] += count
        devices[tensor.device.type] += count
        size_bytes += count * tensor.element_size()
    return {"dtypes": dict(sorted(dtypes.items())), "devices": dict(sorted(devices.items())), "size_bytes": size_bytes}


def text_of(model: Any) -> str:
    """Return a model as text, cut where it is long."""
    try:
        return str(model)[:_LENGTH]
    except Exception as error:  # noqa: BLE001 - the model's own code, and only a description
        return f"str() raised {error!r}"[:1000]
