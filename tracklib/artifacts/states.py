"""State dicts of torch: taken out of modules whatever wraps them, checked before they are kept, put back."""

from __future__ import annotations

import io
import re
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tracklib.errors import ConfigError

if TYPE_CHECKING:
    from torch.nn import Module

__all__ = ["check_state", "fill", "refusal_of", "state_of", "tensors", "unwrapped"]

# By the module and name of a wrapper's class: the attribute that holds what it wraps. Named, not imported: most of
# these modules are heavy, and what is not loaded wraps nothing.
_WRAPPERS: Final = {
    ("deepspeed.runtime.engine", "DeepSpeedEngine"): "module",
    ("lightning.fabric.wrappers", "_FabricModule"): "_original_module",
    ("lightning_fabric.wrappers", "_FabricModule"): "_original_module",
    ("torch._dynamo.eval_frame", "OptimizedModule"): "_orig_mod",
    ("torch.nn.parallel.data_parallel", "DataParallel"): "module",
    ("torch.nn.parallel.distributed", "DistributedDataParallel"): "module",
}
_SHARDED: Final = {
    ("torch.distributed.fsdp.fully_sharded_data_parallel", "FullyShardedDataParallel"),
    ("torch.distributed.tensor", "DTensor"),
    ("torch.distributed._tensor.api", "DTensor"),
    ("torch.distributed._shard.sharded_tensor.api", "ShardedTensor"),
}
_GATHER: Final = (
    "this process has a part of it only; gather the whole on all ranks, with "
    "torch.distributed.checkpoint.state_dict.get_model_state_dict(model, options=StateDictOptions("
    "full_state_dict=True, cpu_offload=True)) or accelerator.get_state_dict(model), and log that state dict"
)
_PLAIN: Final = frozenset({bool, bytes, complex, float, int, str, type(None)})
_PREFIXES: Final = ("", "module.", "_orig_mod.", "model.")
_GLOBAL: Final = re.compile(r"GLOBAL ([\w.<>]+)")
_NAMED_KEYS: Final = 5


def unwrapped(module: Any) -> Any:
    """Return the module within wrappers: those of `torch.compile`, of data parallel training, of Fabric."""
    while (attribute := _wrapper(module)) is not None:
        module = getattr(module, attribute)
    return module


def state_of(module: Module) -> dict[str, Any]:
    """Return a module's state dict by the names that its parameters have without wrappers, wherever these are.

    Raises:
        ConfigError: Its parameters are spread over processes.
    """
    inner = unwrapped(module)
    for name, part in inner.named_modules():
        if _names(part) & _SHARDED:
            raise ConfigError(f"{_path(name, type(part).__name__)} is sharded: {_GATHER}")
    for name, parameter in inner.named_parameters():
        # So DeepSpeed marks what it has taken apart (ZeRO stage 3): the values are gone, and nothing else tells.
        if hasattr(parameter, "ds_id") and not parameter.numel():
            raise ConfigError(f"the parameter {name!r} is sharded: {_GATHER}")
    state: dict[str, Any] = inner.state_dict()
    if any(map(_wrapper, inner.modules())):
        return _renamed(inner, state)
    return state


def check_state(state: Mapping[Any, Any]) -> None:
    """See that `torch.load(…, weights_only=True)` will read a state dict, before it is written.

    Raises:
        ConfigError: It will not; the message names the key at fault.
    """
    for place, value in _leaves(state, "state"):
        if problem := _problem(value):
            raise ConfigError(f"{place} {problem}")


def tensors(value: Any) -> Iterator[Any]:
    """Yield each tensor in a state dict or checkpoint once, however deep it lies and however often it is named."""
    import torch

    seen: set[int] = set()
    for _, leaf in _leaves(value, ""):
        if isinstance(leaf, torch.Tensor) and id(leaf) not in seen:
            seen.add(id(leaf))
            yield leaf


def fill(module: Module, state: Mapping[str, Any], *, strict: bool = True, assign: bool = False) -> None:
    """Load weights into a module, wrapped or not.

    If they are part of a checkpoint, or carry the prefix of a wrapper, and then fit key by key, that part is taken.

    Raises:
        ConfigError: Keys or shapes do not fit; the message names them.
    """
    inner = unwrapped(module)
    own = {_canonical(inner, key): key for key in inner.state_dict()}
    fitting = _fitting(state, own.keys())
    translated = OrderedDict((own.get(key, str(key)), value) for key, value in fitting.items())
    if hasattr(fitting, "_metadata") and all(key == name for key, name in own.items()):
        translated._metadata = fitting._metadata  # type: ignore[attr-defined] # noqa: SLF001 - torch keeps versions there
    try:
        result = inner.load_state_dict(translated, strict=False, assign=assign)
    except RuntimeError as error:
        raise ConfigError(f"the weights do not fit {type(inner).__name__}: {error}") from error
    missing = _missing(inner, result.missing_keys)
    if strict and (missing or result.unexpected_keys):
        raise ConfigError(_misfit(inner, missing, result.unexpected_keys))


class _Leaf(NamedTuple):
    place: str
    value: Any


def _names(thing: Any) -> set[tuple[str, str]]:
    return {(kind.__module__, kind.__qualname__) for kind in type(thing).__mro__}


def _wrapper(module: Any) -> str | None:
    """Return the attribute that holds the wrapped module, if it is a wrapper."""
    return next((_WRAPPERS[name] for name in _names(module) & _WRAPPERS.keys()), None)


def _canonical(module: Any, key: str) -> str:
    """Return a key of a module's state dict without the steps that go through wrappers."""
    kept, at = [], module
    for step in key.split("."):
        if at is None or _wrapper(at) != step:
            kept.append(step)
        at = getattr(at, "_modules", {}).get(step)
    return ".".join(kept)


def _renamed(module: Any, state: Mapping[str, Any]) -> dict[str, Any]:
    renamed = OrderedDict((_canonical(module, key), value) for key, value in state.items())
    versions = getattr(state, "_metadata", {})
    renamed._metadata = {_canonical(module, key): value for key, value in versions.items()}  # type: ignore[attr-defined] # noqa: SLF001 - as above
    return renamed


def _leaves(value: Any, place: str, above: tuple[int, ...] = ()) -> Iterator[_Leaf]:
    """Yield what the plain containers of a checkpoint hold; a container of another class is a leaf."""
    if id(value) in above:
        yield _Leaf(place, _Circle())
    elif isinstance(value, Mapping) and (not above or type(value) in {dict, OrderedDict}):
        for key, inner in value.items():
            if type(key) not in _PLAIN:
                yield _Leaf(f"the key {key!r:.100} of {place}", key)
            yield from _leaves(inner, f"{place}[{key!r}]", (*above, id(value)))
    elif type(value) in {list, tuple, set}:
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{place}[{index}]", (*above, id(value)))
    else:
        yield _Leaf(place, value)


class _Circle:
    """Stands for a container that holds itself."""


def _problem(value: Any) -> str:
    """Return what is wrong with a leaf; nothing if it will be read back."""
    import torch

    if type(value) in _PLAIN:
        return ""
    if isinstance(value, torch.Tensor):
        return _tensor_problem(value)
    if isinstance(value, _Circle):
        return "holds itself"
    if not (refusal := _refusal(value)):
        return ""
    kind = type(value)
    return (
        f"is {kind.__module__}.{kind.__qualname__}, which torch.load(…, weights_only=True) does not read ({refusal}): "
        "to load it would mean to run code that the file names; leave it out, or make it numbers, text, tensors, "
        "or lists and dicts of these: .item() and torch.from_numpy for NumPy, vars(…) for a namespace"
    )


def _tensor_problem(tensor: Any) -> str:
    from torch.nn.parameter import is_lazy

    if _names(tensor) & _SHARDED:
        return f"is sharded: {_GATHER}"
    if is_lazy(tensor):
        return "has no shape yet: run a batch through the model before you log it"
    if tensor.is_meta:
        return "is on the meta device, so there are no numbers to keep: load or initialize the weights first"
    return ""


def _refusal(value: Any) -> str:
    """Return why torch does not read a value back; nothing if it does."""
    import torch

    buffer = io.BytesIO()
    try:
        torch.save(value, buffer)
        buffer.seek(0)
        torch.load(buffer, weights_only=True)
    except Exception as error:  # noqa: BLE001 - pickling calls the value's own code, which may raise anything
        return refusal_of(error)
    return ""


def refusal_of(error: Exception) -> str:
    """Return in a few words why torch did not write or read something, of which it says a lot."""
    found = _GLOBAL.search(str(error))
    return f"it needs {found[1]}" if found else str(error).partition("\n")[0][:200]


def _fitting(state: Mapping[str, Any], own: Collection[str]) -> Mapping[str, Any]:
    """Return the part of a checkpoint whose keys are just those; else all of it."""
    for part in (state, *(value for value in state.values() if isinstance(value, Mapping))):
        for prefix in _PREFIXES:
            keys = {key.removeprefix(prefix) for key in part if isinstance(key, str) and key.startswith(prefix)}
            if keys == set(own) and len(keys) == len(part):
                return part if not prefix else {key.removeprefix(prefix): value for key, value in part.items()}
    return state


def _missing(module: Module, keys: Collection[str]) -> list[str]:
    """Return the keys that were not filled: a tensor that shares its memory with a filled one was, under that name."""
    state = {key: value for key, value in module.state_dict().items() if _is_dense(value)}
    filled = {value.data_ptr() for key, value in state.items() if key not in keys}
    return [key for key in keys if key not in state or state[key].data_ptr() not in filled]


def _is_dense(value: Any) -> bool:
    import torch

    return isinstance(value, torch.Tensor) and value.layout is torch.strided


def _misfit(module: Module, missing: Collection[str], unexpected: Collection[str]) -> str:
    parts = []
    for words, keys in (("the file lacks", missing), ("the module lacks", unexpected)):
        if keys:
            rest = f" … ({len(keys)} in all)" if len(keys) > _NAMED_KEYS else ""
            parts.append(f"{words} {', '.join(sorted(keys)[:_NAMED_KEYS])}{rest}")
    return (
        f"the weights do not fit {type(module).__name__}: {'; '.join(parts)}. "
        "Build the module as it was when it was logged, or pass strict=False to load what fits"
    )


def _path(name: str, otherwise: str) -> str:
    return f"the module {name!r}" if name else f"the module {otherwise}"
