"""What users hand over, made into what is kept: numbers, steps, names and JSON."""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from enum import Enum
from typing import Any

from tracklib.errors import ConfigError, NotANumber

__all__ = ["as_float", "as_step", "checked_name", "checked_names", "clean_text", "json_text", "jsonable", "restore"]

_STEP_LIMIT = 1 << 63
_DEEPEST = 64


def as_float(value: Any) -> float:
    """Return a metric value as a float; one-element arrays and tensors count as numbers.

    Integers beyond 2⁵³ are rounded to the nearest float, as everything is kept as float64.

    Raises:
        NotANumber: It is none.

    Example:
        >>> as_float(True), as_float("0.5")
        Traceback (most recent call last):
        tracklib.errors.NotANumber: 'str' is no number
    """
    kind = type(value).__name__
    if value is None or isinstance(value, (str, bytes)):
        raise NotANumber(f"{kind!r} is no number")
    try:
        if hasattr(value, "detach"):  # A tensor that is part of a graph warns when it is asked for its value.
            value = value.detach()
        item = getattr(value, "item", None)
        return float(item() if callable(item) else value)
    except Exception as error:
        raise NotANumber(f"{kind!r} is no number: {error}") from error


def as_step(step: Any) -> int:
    """Return a step as an int64.

    Raises:
        TypeError: It is no whole number.
        ValueError: It does not fit into 64 bits.

    Example:
        >>> as_step(3.0), as_step(-1)
        (3, -1)
    """
    try:
        number = int(step)
        whole = number == step
    except (TypeError, ValueError, OverflowError) as error:
        raise TypeError(f"step is {step!r}, but takes a whole number") from error
    if not whole:
        raise TypeError(f"step is {step!r}, but takes a whole number: log fractions, as of an epoch, as a metric")
    if not -_STEP_LIMIT <= number < _STEP_LIMIT:
        raise ValueError(f"step is {step!r}, but takes what fits into 64 bits")
    return number


def checked_names(values: Any, context: str | None) -> list[str]:
    """Return the full names of logged values.

    Raises:
        TypeError: `values` is no mapping from names to values, or `context` is no text.
    """
    if not isinstance(values, Mapping):
        raise TypeError(f"log takes a mapping of names to numbers, as in log({{'loss': 0.3}}), not {values!r:.200}")
    if context is not None and not isinstance(context, str):
        raise TypeError(f"context is {context!r:.200}, but takes text such as 'train' or 'eval'")
    for name in values:
        if not isinstance(name, str):
            raise TypeError(f"the metric name {name!r:.200} is no text: write str(name)")
    return [clean_text(f"{context}/{name}" if context else name) for name in values]


def checked_name(argument: str, name: Any) -> str:
    """Return a name of a project, experiment, run or artifact.

    Raises:
        ConfigError: It is empty, too long, or no text.
    """
    if not isinstance(name, str) or not name.strip():
        raise ConfigError(f"{argument} is {name!r:.200}, but takes text that is not empty")
    if len(name) > 500:
        raise ConfigError(f"{argument} has {len(name):,} characters ({name[:40]!r}…), but takes 500 at the most")
    return clean_text(name)


def clean_text(text: str) -> str:
    """Return `text` as what UTF-8 can say: lone surrogates, as from odd file names, become escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def json_text(value: Any) -> bytes:
    """Return JSON for what `jsonable` returned, as compact bytes."""
    return json.dumps(value, separators=(",", ":")).encode()


def jsonable(value: Any, depth: int = 0) -> Any:  # noqa: PLR0911 - one line for each kind of value
    """Return `value` as JSON can keep it. What it cannot is kept by its `repr`, marked as such.

    Mappings, dataclasses and namespaces become objects; sequences and sets arrays; enums their values; paths text;
    NumPy and torch scalars numbers. NaN and infinities become `{"$float": "nan"}`, any other object
    `{"$repr": "…", "$type": "module.Class"}`.

    Example:
        >>> jsonable({"lr": float("inf"), "shape": (2, 3)})
        {'lr': {'$float': 'inf'}, 'shape': [2, 3]}
    """
    if value is None or isinstance(value, (bool, str, int, float)):
        return _plain(value)
    if depth >= _DEEPEST:
        return _marked(value)
    inner = depth + 1
    if isinstance(value, Enum):
        return jsonable(value.value, inner)
    if isinstance(value, os.PathLike):
        return clean_text(os.fsdecode(value))
    if isinstance(value, Mapping):
        return {clean_text(str(key)): jsonable(item, inner) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: jsonable(getattr(value, f.name, None), inner) for f in dataclasses.fields(value)}
    if isinstance(value, (Sequence, AbstractSet)) and not isinstance(value, (bytes, bytearray, memoryview)):
        return [
            jsonable(item, inner) for item in (sorted(value, key=repr) if isinstance(value, AbstractSet) else value)
        ]
    return _foreign(value, inner)


def restore(value: Any) -> Any:
    """Undo what `jsonable` did to floats.

    Example:
        >>> restore({"lr": {"$float": "inf"}})
        {'lr': inf}
    """
    if isinstance(value, dict):
        if value.keys() == {"$float"}:
            return float(value["$float"])
        return {key: restore(item) for key, item in value.items()}
    if isinstance(value, list):
        return [restore(item) for item in value]
    return value


def _plain(value: Any) -> Any:
    """Return None, a flag, text or a number without what subclasses add."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"$float": repr(float(value))}
    return value if value is None or isinstance(value, bool) else int(value)


def _foreign(value: Any, depth: int) -> Any:
    """Return a value of a library's type: scalars by `item`, small arrays by `tolist`, namespaces by their names."""
    try:
        size = getattr(value, "size", None)
        count = value.numel() if hasattr(value, "numel") else size if isinstance(size, int) else None
        if count == 1 and hasattr(value, "item"):
            return jsonable(value.item(), depth)
        if count is not None and count <= 1000 and hasattr(value, "tolist"):
            return jsonable(value.tolist(), depth)
    except Exception:  # noqa: BLE001 - the value's own code runs here and may raise anything
        return _marked(value)
    if type(value).__name__ in {"Namespace", "SimpleNamespace"}:
        return jsonable(vars(value), depth)
    return _marked(value)


def _marked(value: Any) -> dict[str, str]:
    kind = type(value)
    try:
        text = repr(value)
    except Exception as error:  # noqa: BLE001 - as above
        text = f"<{kind.__name__} whose repr raised {type(error).__name__}>"
    return {"$repr": clean_text(text[:10_000]), "$type": f"{kind.__module__}.{kind.__qualname__}"}
