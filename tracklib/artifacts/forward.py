"""One pass through a model that leaves it, and the random numbers, as they were."""

from __future__ import annotations

import random
import sys
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch.nn import Module

__all__ = ["undisturbed", "undisturbed_random"]

_HOOKS: Final = ("_forward_hooks", "_forward_pre_hooks")
_REGISTERED: Final = ("_parameters", "_buffers", "_modules")


@contextmanager
def undisturbed(module: Module) -> Iterator[None]:
    """Let a module compute in evaluation mode without gradients; afterwards it is what it was.

    Put back are: the mode and the attributes of each submodule, the values of its buffers, the states of all random
    generators that are in use, and the cache of autocast. Forward hooks do not run, but for those of torch itself,
    which compute weights; nor is anything compiled. What a module appends to a list of its own stays there.

    Known trade-offs: buffers are copied for as long as this lasts. Modes are set one by one, not by `eval()`, which
    classes override to merge weights or to refuse.
    """
    import torch

    with ExitStack() as stack:
        stack.enter_context(undisturbed_random())
        stack.enter_context(_uncached_autocast())
        # Not inference mode: a tensor that a module keeps for later would be of no use to the training.
        stack.enter_context(torch.no_grad())
        if "torch._dynamo" in sys.modules and hasattr(torch.compiler, "set_stance"):
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        for part in module.modules():
            stack.callback(_restorer(part))
            part.training = False
            _silence(part)
        yield


@contextmanager
def undisturbed_random() -> Iterator[None]:
    """Put the random generators of Python, NumPy and torch back to where they were."""
    with ExitStack() as stack:
        stack.callback(random.setstate, random.getstate())
        if "numpy" in sys.modules:
            import numpy as np

            # The generator that all share: seeded by users, drawn from by scikit-learn.
            stack.callback(np.random.set_state, np.random.get_state())  # noqa: NPY002
        if "torch" in sys.modules:
            import torch

            stack.callback(torch.set_rng_state, torch.get_rng_state())
            if torch.cuda.is_initialized():  # type: ignore[no-untyped-call] # torch has no types for it
                stack.callback(torch.cuda.set_rng_state_all, torch.cuda.get_rng_state_all())
            if torch.backends.mps.is_available():
                stack.callback(torch.mps.set_rng_state, torch.mps.get_rng_state())
        yield


@contextmanager
def _uncached_autocast() -> Iterator[None]:
    """Keep autocast from reusing in the training what it cast here, where gradients are off: these would be lost."""
    import torch

    before = torch.is_autocast_cache_enabled()
    torch.set_autocast_cache_enabled(False)
    try:
        yield
    finally:
        torch.set_autocast_cache_enabled(before)


def _restorer(module: Module) -> Callable[[], None]:
    """Return what puts a module back into the state that it has now, its submodules apart."""
    import torch

    training = module.training
    # What is compiled from TorchScript keeps its attributes out of reach of Python.
    attributes = {} if isinstance(module, torch.jit.ScriptModule) else dict(vars(module))
    registered: dict[str, dict[str, object]] = {
        name: dict(attributes[name]) for name in _REGISTERED if name in attributes
    }
    buffers = [buffer for buffer in module.buffers(recurse=False) if not buffer.is_inference()]
    before = [(buffer, buffer.detach().clone(), buffer._version) for buffer in buffers]  # noqa: SLF001 - torch counts changes there

    def restore() -> None:
        if attributes:
            _restore_attributes(module, attributes, registered)
        module.training = training
        for buffer, copy, version in before:
            # Written to only if it must be: a backward pass that is under way refuses what was written to.
            if buffer._version != version:  # noqa: SLF001 - as above
                buffer.copy_(copy)

    return restore


def _restore_attributes(
    module: Module, attributes: dict[str, Any], registered: Mapping[str, Mapping[str, object]]
) -> None:
    now = vars(module)
    for name in now.keys() - attributes.keys():
        del now[name]
    now.update(attributes)
    for name, members in registered.items():
        if [(key, id(member)) for key, member in now[name].items()] != [(key, id(members[key])) for key in members]:
            now[name].clear()
            now[name].update(members)


def _silence(module: Module) -> None:
    """Set a module's forward hooks and its compiled form aside."""
    own = vars(module)
    for name in _HOOKS:
        if own.get(name):
            own[name] = OrderedDict((key, hook) for key, hook in own[name].items() if _computes_weights(hook))
    if own.get("_compiled_call_impl") is not None:
        own["_compiled_call_impl"] = None


def _computes_weights(hook: object) -> bool:
    """Tell whether a hook is torch's own, as those of weight norm, spectral norm and pruning are."""
    return type(hook).__module__.startswith("torch.nn.utils.")
