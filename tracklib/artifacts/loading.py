"""From the files of a model back to the model.

What is there decides, not what the metadata claims: it helps only to find the class that takes the weights. Nothing
is unpickled, and nothing else is run that a file names, unless the user says so by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tracklib.artifacts.load_options import LoadOptions
from tracklib.artifacts.rebuilding import made_by, rebuilt
from tracklib.artifacts.states import fill
from tracklib.artifacts.weights import find_weights, read_weights
from tracklib.errors import ConfigError

__all__ = ["load_files"]


def load_files(
    folder: Path,
    metadata: Mapping[str, Any],
    *,
    into: Any = None,
    allow_pickle: bool = False,
    trusted: Sequence[Any] = (),
    options: Mapping[str, Any] | None = None,
) -> Any:
    """Return the model whose files lie in a folder.

    Args:
        folder: Where they are.
        metadata: What was noted with them; see `tracklib.artifacts.models`.
        into: A torch module that takes the weights; a class or function that makes one, from the arguments that were
            noted as `init`; a class that has `from_pretrained`; or the base model of an adapter.
        allow_pickle: Let files be unpickled, which runs whatever code they name.
        trusted: Types of a `.skops` file, or the class of a module, that may be made beyond those which are known.
        options: For weights `map_location` (the CPU if it is not said), `strict`, `assign` and `file`, the one to load
            of several; else what `from_pretrained` takes.

    Returns:
        `into` itself if it was a module; a module that was built anew, in evaluation mode; what `from_pretrained`
        returned; an estimator; or a state dict, if nothing says what takes it.

    Raises:
        NotTrusted: A file needs more trust than it was given.
        ConfigError: The weights do not fit, or nothing here is a model.
        CorruptData: A file is damaged.
        MissingDependency: A package that reads the format is not installed.
        TypeError: An option means nothing here.
    """
    from tracklib.artifacts.pretrained import is_pretrained, load_pretrained

    wanted = LoadOptions(into, allow_pickle, trusted, options or {})
    if is_pretrained(folder, wanted):
        return load_pretrained(folder, metadata, wanted)
    wanted.check_for_weights()
    path = find_weights(folder, wanted)
    if path.suffix.lower() == ".skops":
        return _load_skops(path, wanted)
    return _into_module(read_weights(path, wanted), metadata, wanted)


def _load_skops(path: Path, options: LoadOptions) -> Any:
    from tracklib.artifacts.skops_files import read_skops

    if options.into is not None:
        raise ConfigError(f"into is for weights, but {path.name} is a whole estimator: leave it out")
    return read_skops(path, options.trusted)


def _into_module(value: Any, metadata: Mapping[str, Any], options: LoadOptions) -> Any:
    """Return the module that takes weights, or the weights if there is none."""
    if not isinstance(value, Mapping):
        if options.into is not None:
            raise ConfigError(f"into takes weights, but the file holds {type(value).__name__}, and no state dict")
        return value
    module = rebuilt(metadata, options) if options.into is None else made_by(options.into, metadata)
    if module is None:
        return value
    fit = {name: options.more[name] for name in ("strict", "assign") if name in options.more}
    if hasattr(module, "named_modules"):
        fill(module, value, **fit)
    else:
        module.load_state_dict(value)
    return module
