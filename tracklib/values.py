"""What users hand over, made into what is kept: numbers, steps, names and JSON."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from enum import Enum
from typing import Any

from tracklib.errors import ConfigError, NotANumber

__all__ = [
    "as_float",
    "as_step",
    "checked_name",
    "checked_names",
    "checked_text",
    "clean_text",
    "json_text",
    "jsonable",
    "restore",
]

_STEP_LIMIT = 1 << 63
_DEEPEST = 64
_FLOATS = ("nan", "inf", "-inf")
_LONGEST_NAME = 500
_LONGEST_ARRAY = 1000
_LONGEST_INTEGER = 10_000
"""Bits; Python refuses to turn integers of more than 4,300 digits into text."""
_NAMESPACES = frozenset({"Namespace", "SimpleNamespace"})
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def as_float(value: Any) -> float:
    """Return a metric value as a float; one-element arrays and tensors count as numbers.

    Everything is kept as float64: integers beyond 2⁵³ are rounded to the nearest float, and what is larger than any
    float becomes an infinity.

    Raises:
        NotANumber: It is none.

    Example:
        >>> as_float(True), as_float("0.5")
        Traceback (most recent call last):
        tracklib.errors.NotANumber: 'str' is no number
    """
    kind = type(value).__name__
    if value is None or isinstance(value, (str, bytes, bytearray, memoryview)):
        raise NotANumber(f"{kind!r} is no number")
    try:
        if hasattr(value, "detach"):  # A tensor that is part of a graph warns when it is asked for its value.
            value = value.detach()
        item = getattr(value, "item", None)
        return _rounded(item() if callable(item) else value)
    except Exception as error:
        raise NotANumber(f"{kind!r} is no number: {error}") from error


def _rounded(number: Any) -> float:
    if isinstance(number, (str, bytes)):  # An array of text that looks like a number is none.
        raise TypeError(f"it holds {number!r:.100}")
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


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
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:
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
    text = checked_text(argument, name)
    if len(text) > _LONGEST_NAME:
        raise ConfigError(
            f"{argument} has {len(text):,} characters ({text[:40]!r}…), but takes {_LONGEST_NAME} at the most"
        )
    return clean_text(text)


def checked_text(argument: str, text: Any) -> str:
    """Return text that must say something.

    Raises:
        ConfigError: It is empty, or no text.
    """
    if not isinstance(text, str) or not text.strip():
        raise ConfigError(f"{argument} is {text!r:.200}, but takes text that is not empty")
    return text


def clean_text(text: str) -> str:
    """Return `text` as what UTF-8 can say: lone surrogates, as from odd file names, become escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def json_text(value: Any) -> bytes:
    """Return JSON for what `jsonable` returned, as compact bytes."""
    return json.dumps(value, separators=(",", ":")).encode()


def jsonable(value: Any) -> Any:
    """Return `value` as JSON can keep it. What it cannot is kept by its `repr`, marked as such.

    Mappings, dataclasses, named tuples, namespaces, and the models of pydantic and attrs become objects; sequences
    and sets arrays; enums their values; paths text; NumPy and torch scalars numbers. NaN and infinities become
    `{"$float": "nan"}`, any other object `{"$repr": "…", "$type": "module.Class"}`; of large arrays, tensors and
    tables that says shape and type. A key of the user's own that begins with `$` gets another one before it.

    Example:
        >>> jsonable({"lr": float("inf"), "shape": (2, 3)})
        {'lr': {'$float': 'inf'}, 'shape': [2, 3]}
        >>> jsonable([{"$ref": 1}, range(10**9)])
        [{'$$ref': 1}, {'$repr': 'range(0, 1000000000)', '$type': 'builtins.range'}]
    """
    return _json(value, ())


def restore(value: Any) -> Any:
    """Undo what `jsonable` did to floats and keys.

    Example:
        >>> restore({"lr": {"$float": "inf"}, "schema": {"$$ref": 1}})
        {'lr': inf, 'schema': {'$ref': 1}}
    """
    if isinstance(value, dict):
        if value.keys() == {"$float"} and value["$float"] in _FLOATS:
            return float(value["$float"])
        return {key[1:] if key.startswith("$$") else key: restore(item) for key, item in value.items()}
    if isinstance(value, list):
        return [restore(item) for item in value]
    return value


def _json(value: Any, above: tuple[int, ...]) -> Any:  # noqa: PLR0911 - one for each kind of value
    """Convert a value; `above` are the ids of what it stands in, since a structure may contain itself."""
    if value is None or isinstance(value, (bool, str, int, float)):
        return _plain(value.value if isinstance(value, Enum) else value)
    if id(value) in above or len(above) >= _DEEPEST:
        return _marked(value)
    above = (*above, id(value))
    if isinstance(value, Enum):
        return _json(value.value, above)
    if isinstance(value, os.PathLike):
        return clean_text(os.fsdecode(value))
    named = _named_parts(value)
    if named is not None:
        return {_key(name): _json(item, above) for name, item in named.items()}
    if isinstance(value, AbstractSet):
        return sorted((_json(item, above) for item in value), key=json_text)
    if isinstance(value, Sequence) and not _is_no_list(value):
        return [_json(item, above) for item in value]
    return _foreign(value, above)


def _plain(value: Any) -> Any:
    """Return None, a flag, text or a number without what subclasses add."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else {"$float": repr(float(value))}
    if value is None or isinstance(value, bool):
        return value
    return int(value) if value.bit_length() < _LONGEST_INTEGER else _marked(value)


def _key(name: Any) -> str:
    text = clean_text(str(name))
    return f"${text}" if text.startswith("$") else text


def _named_parts(value: Any) -> Mapping[Any, Any] | None:  # noqa: PLR0911 - as above
    """Return what a mapping, or an object that is but a bundle of named values, holds; None for any other."""
    kind = type(value)
    if isinstance(value, Mapping):
        return value
    if isinstance(value, type):
        return None
    if dataclasses.is_dataclass(value):
        return {f.name: getattr(value, f.name, None) for f in dataclasses.fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return dict(zip(value._fields, value, strict=False))
    if hasattr(kind, "__attrs_attrs__"):
        return {field.name: getattr(value, field.name, None) for field in kind.__attrs_attrs__}
    if hasattr(kind, "model_fields"):
        return {name: getattr(value, name, None) for name in kind.model_fields}
    if any(ancestor.__name__ in _NAMESPACES for ancestor in kind.__mro__):
        return dict(vars(value))
    return None


def _is_no_list(value: Sequence[Any]) -> bool:
    return isinstance(value, (bytes, bytearray, memoryview)) or (
        isinstance(value, range) and len(value) > _LONGEST_ARRAY
    )


def _foreign(value: Any, above: tuple[int, ...]) -> Any:
    """Return a value of a library's type: scalars by `item`, small arrays by `tolist`."""
    try:
        size = getattr(value, "size", None)
        count = value.numel() if hasattr(value, "numel") else size if isinstance(size, int) else None
        if count == 1 and hasattr(value, "item"):
            return _json(value.item(), above)
        if count is not None and count <= _LONGEST_ARRAY and hasattr(value, "tolist"):
            return _json(value.tolist(), above)
    except Exception:  # noqa: BLE001 - the value's own code runs here and may raise anything
        return _marked(value)
    return _marked(value)


def _marked(value: Any) -> dict[str, str]:
    kind = type(value)
    try:
        text = _described(value)
    except Exception as error:  # noqa: BLE001 - as above
        text = f"<{kind.__name__} whose repr raised {type(error).__name__}>"
    return {"$repr": clean_text(text[:10_000]), "$type": f"{kind.__module__}.{kind.__qualname__}"}


def _described(value: Any) -> str:
    """Return shape and type of arrays and tables, and the `repr` of the rest without the address in memory."""
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple):
        dtype = getattr(value, "dtype", None)
        return f"{type(value).__name__}(shape={tuple(shape)}{'' if dtype is None else f', dtype={dtype}'})"
    return _ADDRESS.sub("", repr(value))
