"""A command line as params, for programs whose own parser is not known."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

__all__ = ["argv_params", "typed"]

_WHOLE = re.compile(r"[+-]?(?:0|[1-9][0-9]{0,300})")
_FRACTION = re.compile(
    r"[+-]?(?:[0-9]{1,300}\.[0-9]{0,300}|\.[0-9]{1,300}|[0-9]{1,300}(?=[eE]))(?:[eE][+-]?[0-9]{1,5})?"
)
_OPTION = re.compile(r"--?[A-Za-z_][^\s=]*(?:=.*)?", re.DOTALL)
_ASSIGNMENT = re.compile(r"\+{0,2}[A-Za-z_][\w./@-]*=.*", re.DOTALL)
_FLAGS = {"true": True, "false": False}


def typed(text: str) -> Any:
    """Return what text says: a number, true or false, or else the text.

    Example:
        >>> typed("1e-3"), typed("8"), typed("True"), typed("adam"), typed("007")
        (0.001, 8, True, 'adam', '007')
    """
    if _WHOLE.fullmatch(text):
        return int(text)
    if _FRACTION.fullmatch(text):
        return float(text)
    return _FLAGS.get(text.lower(), text)


def argv_params(argv: Sequence[str]) -> dict[str, Any]:
    """Return the params that a command line gives, as well as can be told without the program's parser.

    `--name value`, `--name=value`, `-n value` and Hydra's `name=value` are params. An option without a value is true;
    one with several, or that is given several times, has a list. Dots in names nest, dashes become underscores. What
    stands before all options, or behind `--`, is the list `args`.

    Args:
        argv: The words after the program's name.

    Example:
        >>> argv_params(["data.csv", "--lr", "1e-3", "--layers", "64", "32", "--fast", "model.depth=3"])
        {'args': ['data.csv'], 'lr': 0.001, 'layers': [64, 32], 'fast': True, 'model': {'depth': 3}}
    """
    words = [str(word) for word in argv]
    end = words.index("--") if "--" in words else len(words)
    given = _given(words[:end])
    if words[end + 1 :]:
        given.setdefault("args", []).extend(words[end + 1 :])
    params: dict[str, Any] = {}
    for name, texts in sorted(given.items(), key=lambda item: item[0].count(".")):  # `a=1 a.b=2`: the first one stays.
        values = [typed(text) for text in texts]
        alone = len(values) == 1 and name != "args"
        _put(params, name, values[0] if alone else values or True)
    return params


def _given(words: list[str]) -> dict[str, list[str]]:
    """Return the words that belong to each name."""
    given: dict[str, list[str]] = {}
    current = "args"
    for word in words:
        if _OPTION.fullmatch(word) or _ASSIGNMENT.fullmatch(word):
            name, assigned, text = word.lstrip("-+").partition("=")
            current = name.replace("-", "_")
            texts = given.setdefault(current, [])
            if assigned:
                texts.append(text)
                current = "args"
        else:
            given.setdefault(current, []).append(word)
    return given


def _put(params: dict[str, Any], name: str, value: Any) -> None:
    """Put a value where the dots of its name lead, or under the whole name where something else is in the way."""
    *path, last = name.split(".")
    inner: Any = params if last and all(path) else None
    for part in path:
        inner = inner.setdefault(part, {}) if isinstance(inner, dict) else None
    if isinstance(inner, dict) and last not in inner:
        inner[last] = value
    else:
        params[name] = value
