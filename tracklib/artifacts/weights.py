"""Files that hold weights, read without running anything; pickles only where the user asks for it by name."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tracklib.artifacts.states import refusal_of
from tracklib.errors import ConfigError, CorruptData, MissingDependency, NotTrusted

if TYPE_CHECKING:
    from tracklib.artifacts.load_options import LoadOptions

__all__ = ["PICKLES", "TORCH_FILES", "WEIGHTS", "check_torch_file", "find_weights", "read_weights"]

TORCH_FILES: Final = frozenset({".bin", ".ckpt", ".pt", ".pth"})
PICKLES: Final = frozenset({".joblib", ".pickle", ".pkl"})
WEIGHTS: Final = TORCH_FILES | PICKLES | {".safetensors", ".skops"}

_KNOWN: Final = (
    "state_dict.pt",
    "model.skops",
    "model.safetensors.index.json",
    "model.safetensors",
    "pytorch_model.bin.index.json",
    "pytorch_model.bin",
    "diffusion_pytorch_model.safetensors",
)
_INDEX: Final = ".index.json"


def find_weights(folder: Path, options: LoadOptions) -> Path:
    """Return the file in a folder that holds a model: the one that was named, a well-known one, or the only one.

    Raises:
        ConfigError: There is none, or more than one.
    """
    files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    asked = options.more.get("file")
    if asked is not None:
        if asked not in files:
            raise ConfigError(f"file is {asked!r}, but the model has {', '.join(files) or 'no files'}")
        return files[asked]
    for name in _KNOWN:
        if name in files:
            return files[name]
    found = [name for name, path in files.items() if path.suffix.lower() in WEIGHTS]
    if len(found) == 1:
        return files[found[0]]
    if found:
        raise ConfigError(f"the model has several files: {', '.join(found)}; say which one, as in file={found[0]!r}")
    raise ConfigError(
        f"there is nothing here that is loaded as a model, but {', '.join(files) or 'no file'}: get the files with "
        "`tracklib artifacts get` and hand them to the library that wrote them"
    )


def read_weights(path: Path, options: LoadOptions) -> Any:
    """Return what a file of weights, or the index of several, holds; on the CPU unless `map_location` says otherwise.

    Raises:
        NotTrusted: It is a pickle, or needs one, and that was not allowed.
        ConfigError: It is of no known kind.
        CorruptData: It is damaged.
        MissingDependency: What reads it is not installed.
    """
    suffix = path.suffix.lower()
    if path.name.endswith(_INDEX):
        return _read_shards(path, options)
    if suffix == ".safetensors":
        return _read_safetensors(path, options)
    if suffix in TORCH_FILES:
        return _read_torch(path, options)
    if suffix in PICKLES:
        return _unpickle(path, options)
    raise ConfigError(f"{path.name} is no file of weights: these end in {', '.join(sorted(WEIGHTS))}")


def check_torch_file(path: Path, options: LoadOptions) -> None:
    """See that a file, which another library is about to load, holds weights alone.

    Raises:
        NotTrusted: It holds more, and that was not allowed.
        CorruptData: It is damaged.
    """
    import zipfile

    if not options.allow_pickle:
        _torch_load(path, weights_only=True, mmap=zipfile.is_zipfile(path), map_location="cpu")


def _read_shards(index: Path, options: LoadOptions) -> dict[str, Any]:
    """Return the tensors of all files that an index names."""
    try:
        names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    except (ValueError, LookupError, AttributeError, TypeError) as error:
        raise CorruptData(f"{index.name} is no index of weights: {error!r}") from error
    state: dict[str, Any] = {}
    for name in sorted(map(str, names)):
        # A name of its own folder only: the index may come from anybody.
        if name != Path(name).name or not (index.parent / name).is_file():
            raise CorruptData(f"{index.name} names {name!r}, which is not beside it")
        state.update(read_weights(index.parent / name, options))
    return state


def _read_safetensors(path: Path, options: LoadOptions) -> dict[str, Any]:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        raise MissingDependency(f"safetensors is needed to load {path.name}: pip install safetensors") from error
    place = options.more.get("map_location", "cpu")
    try:
        tensors: dict[str, Any] = load_file(path, device=place if isinstance(place, (str, int)) else "cpu")
    except SafetensorError as error:
        raise CorruptData(f"{path.name} is damaged, or no safetensors file: {error}") from error
    return tensors


def _read_torch(path: Path, options: LoadOptions) -> Any:
    place = options.more.get("map_location", "cpu")
    return _torch_load(path, weights_only=not options.allow_pickle, map_location=place)


def _torch_load(path: Path, **arguments: Any) -> Any:
    import pickle
    import tarfile

    try:
        import torch
    except ImportError as error:
        raise MissingDependency(f"torch is needed to load {path.name}: pip install torch") from error
    # A format of old, which versions of torch before 2.6 unpickle whatever is said.
    if arguments["weights_only"] and tarfile.is_tarfile(path):
        raise NotTrusted(_reason(path, "is a tar file of an old version of torch"))
    try:
        with warnings.catch_warnings():
            # Of files that others wrote, which nobody can change now.
            warnings.simplefilter("ignore", UserWarning)
            return torch.load(path, **arguments)
    except pickle.UnpicklingError as error:
        raise NotTrusted(_reason(path, f"holds more than weights ({refusal_of(error)})")) from error
    except RuntimeError as error:
        if "TorchScript" in str(error):
            raise ConfigError(
                f"{path.name} is TorchScript, a program: get the file with `tracklib artifacts get` and load it with "
                "torch.jit.load, if you know where it came from"
            ) from error
        raise CorruptData(f"{path.name} is damaged, or no file of torch: {error}") from error
    except EOFError as error:
        raise CorruptData(f"{path.name} ends too early, or is no file of torch") from error


def _unpickle(path: Path, options: LoadOptions) -> Any:
    """Return what a pickle makes, if that was asked for."""
    if not options.allow_pickle:
        raise NotTrusted(_reason(path, "is a pickle"))
    try:
        import joblib
    except ImportError as error:
        if path.suffix.lower() == ".joblib":
            raise MissingDependency(f"joblib is needed to load {path.name}: pip install joblib") from error
        import pickle

        with path.open("rb") as file:
            return pickle.load(file)  # noqa: S301 - asked for by name
    return joblib.load(path)


def _reason(path: Path, what: str) -> str:
    return (
        f"{path.name} is not loaded: it {what}, and unpickling runs any code that a file names, with your rights. "
        "If you know where it came from, pass allow_pickle=True"
    )
