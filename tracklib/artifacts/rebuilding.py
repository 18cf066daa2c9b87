"""Modules made anew, to take weights: by what the user hands over, or by the class that was noted with them."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tracklib.errors import ConfigError

if TYPE_CHECKING:
    from torch.nn import Module

    from tracklib.artifacts.load_options import LoadOptions

__all__ = ["made_by", "rebuilt"]

_log = logging.getLogger("tracklib")


def made_by(into: Any, metadata: Mapping[str, Any]) -> Any:
    """Return what weights go into: what was handed over, or what it makes when it is called.

    Raises:
        ConfigError: It takes no weights.
    """
    import torch

    if isinstance(into, torch.nn.Module):
        return into
    if hasattr(into, "load_state_dict") and not isinstance(into, type):
        return into
    if not callable(into):
        raise ConfigError(f"into is {into!r:.200}, but takes a module, or a class or function that makes one")
    made = into(**_arguments(metadata))
    if not hasattr(made, "load_state_dict"):
        raise ConfigError(f"into made {type(made).__name__}, but is to make a module")
    return made.eval() if isinstance(made, torch.nn.Module) else made


def rebuilt(metadata: Mapping[str, Any], options: LoadOptions) -> Module | None:
    """Return an empty module of the class that the metadata names, in evaluation mode; None if there is to be none.

    The metadata may come from anybody, and so may the name. So the class must be one of torch's, one of the program
    that runs, or one of a package that is no installed one; or it is trusted by name. What is not a subclass of
    `torch.nn.Module` is not called. Why there is no module is logged.

    Raises:
        ConfigError: The class does not take the arguments that were noted.
    """
    name = metadata.get("class")
    if not isinstance(metadata.get("init"), Mapping) or not isinstance(name, str):
        return None
    found = _find_class(name, options)
    if found.kind is None:
        _log.warning("the state dict is returned, not a module, since %s; or pass a module as into=", found.problem)
        return None
    try:
        made: Module = found.kind(**_arguments(metadata))
    except TypeError as error:
        raise ConfigError(
            f"{name} does not take what was noted as init, {metadata['init']!r:.200}: {error}; "
            "build the module yourself and pass it as into="
        ) from error
    return made.eval()


class _Found(NamedTuple):
    problem: str
    kind: type[Module] | None = None


def _arguments(metadata: Mapping[str, Any]) -> dict[str, Any]:
    init = metadata.get("init")
    return {str(name): value for name, value in init.items()} if isinstance(init, Mapping) else {}


def _find_class(name: str, options: LoadOptions) -> _Found:
    """Return the class of a name, or why it is not used."""
    import torch

    if not options.trusts(name) and not _is_near(name):
        return _Found(f"{name} is of an installed package: trusted=[{name!r}] allows it")
    try:
        found = _lookup(name)
    except ImportError as error:
        return _Found(f"{name} cannot be imported ({error})")
    if found is None:
        return _Found(f"there is no {name} in this program")
    if not isinstance(found, type) or not issubclass(found, torch.nn.Module):
        return _Found(f"{name} is no torch.nn.Module")
    return _Found("", found)


def _is_near(name: str) -> bool:
    """Tell whether a class is torch's own, or of the user's own code."""
    top = name.partition(".")[0]
    if top in {"__main__", "torch"}:
        return top == "__main__" or name.startswith("torch.nn.")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return False
    if spec is None:
        return False
    places = [*(spec.submodule_search_locations or ()), *([spec.origin] if spec.origin else [])]
    return bool(places) and not any(map(_is_installed, map(Path, places)))


def _is_installed(path: Path) -> bool:
    """Tell whether a file came with Python or with a package: an editable one is where its author works on it."""
    if not path.is_absolute() or {"site-packages", "dist-packages"} & set(path.parts):
        return True
    return any(path.is_relative_to(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib"))


def _lookup(name: str) -> Any:
    """Return what a full name means, from the longest part of it that is a module; None if it means nothing."""
    parts = name.split(".")
    for count in range(len(parts) - 1, 0, -1):
        module = ".".join(parts[:count])
        try:
            found: Any = importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{module}.".startswith(f"{error.name}."):
                raise
            continue
        for step in parts[count:]:
            found = getattr(found, "__dict__", {}).get(step)
        return found
    return None
