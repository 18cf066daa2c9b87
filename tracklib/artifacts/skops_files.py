"""Estimators of scikit-learn as `.skops` files, which hold no pickle."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tracklib.errors import ConfigError, MissingDependency, NotTrusted

__all__ = ["read_skops", "write_skops"]

_SCHEMA: Final = "schema.json"
_SAFE: Final = [0, 13]


def write_skops(estimator: Any, path: Path) -> list[str]:
    """Write an estimator; return the types in it that whoever loads it must trust by name.

    The same estimator makes the same bytes, each time and in each process, so that it is stored once.

    Raises:
        ConfigError: It holds what skops cannot write.
        MissingDependency: skops is missing.
    """
    skops = _skops(
        "to keep an estimator without pickle",
        'Or write it yourself, by joblib.dump(model, "model.joblib"), and keep the file, by '
        'run.log_artifact("model.joblib", type="model"): whoever loads that must trust it',
    )
    draft = path.with_name(f"{path.name}.part")
    try:
        try:
            skops.dump(estimator, draft)
        except OSError:
            raise
        except Exception as error:
            kind = type(estimator).__name__
            raise ConfigError(
                f"skops cannot write the {kind}: {error}; keep lambdas and open files out of it"
            ) from error
        _write_ordered(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    return list(skops.get_untrusted_types(file=path))


def read_skops(path: Path, trusted: Sequence[Any]) -> Any:
    """Return the estimator in a `.skops` file.

    Args:
        path: Where it is.
        trusted: Types that may be made beyond those which skops knows to be harmless, as they are or by full name.

    Raises:
        NotTrusted: It holds other types; nothing of it was run.
        ConfigError: It is no `.skops` file, or needs what is not there.
        MissingDependency: skops is missing.
    """
    skops = _skops(f"to load {path.name}")
    names = {each if isinstance(each, str) else f"{each.__module__}.{each.__qualname__}" for each in trusted}
    try:
        unknown = [name for name in skops.get_untrusted_types(file=path) if name not in names]
        if not unknown:
            return skops.load(path, trusted=sorted(names))
    except Exception as error:
        raise ConfigError(f"{path.name} cannot be loaded by skops: {type(error).__name__}: {error}") from error
    raise NotTrusted(
        f"{path.name} is not loaded: it would make or call {', '.join(unknown)}, which skops has not on its list. "
        f"If you know where the file came from, pass trusted={[*sorted(names), *unknown]!r}"
    )


def _skops(purpose: str, otherwise: str = "") -> Any:
    try:
        import skops.io
    except ImportError as error:
        message = f"skops is needed {purpose}: pip install 'tracklib-ml[sklearn]'. {otherwise}"
        raise MissingDependency(message.rstrip(" .")) from error
    if [int(part) for part in skops.__version__.split(".")[:2]] < _SAFE:
        raise MissingDependency(f"skops {skops.__version__} can be made to run code: pip install 'skops>=0.13'")
    return skops.io


def _write_ordered(draft: Path, path: Path) -> None:
    """Copy a `.skops` file with its parts numbered in order, where skops has addresses in memory, and without times."""
    with zipfile.ZipFile(draft) as source, zipfile.ZipFile(path, "w") as target:
        numbers: dict[int, int] = {}
        files: dict[str, str] = {}
        members = set(source.namelist())

        def ordered(node: Any) -> Any:
            if isinstance(node, list):
                return [ordered(each) for each in node]
            if not isinstance(node, Mapping):
                return node
            made = {key: ordered(value) for key, value in node.items()}
            if isinstance(made.get("__id__"), int):
                made["__id__"] = numbers.setdefault(made["__id__"], len(numbers))
            name = made.get("file")
            if isinstance(name, str) and name in members:
                made["file"] = files.setdefault(name, f"{len(files)}{Path(name).suffix}")
            return made

        schema = ordered(json.loads(source.read(_SCHEMA)))
        for name, new in files.items():
            target.writestr(_member(new), source.read(name))
        target.writestr(_member(_SCHEMA), json.dumps(schema, indent=2))


def _member(name: str) -> zipfile.ZipInfo:
    return zipfile.ZipInfo(name)  # As of 1980, which is what it says unless told.
