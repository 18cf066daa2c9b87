"""Settings of a project as they are typed on a command line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["parsed_settings"]


class _Kind(NamedTuple):
    fits: Callable[[Any], bool]
    words: str
    example: str


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and _is_number(value)


def _maps_to(kind: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, dict) and all(isinstance(item, kind) for item in value.values())


_KINDS: Final = {
    "experiment_defaults": _Kind(_maps_to(object), "an object", '{"hypothesis": "it helps"}'),
    "primary_metrics": _Kind(
        lambda value: isinstance(value, list) and all(isinstance(item, str) for item in value),
        "a list of names",
        '["eval/accuracy"]',
    ),
    "higher_is_better": _Kind(_maps_to(bool), "an object of true and false", '{"eval/accuracy": true}'),
    "chart_types": _Kind(_maps_to(str), "an object of texts", '{"eval/accuracy": "line"}'),
    "auto_archive_days": _Kind(lambda value: value is None or _is_number(value), "a number or null", "90"),
    "keep_best_runs": _Kind(_is_count, "a whole number", "5"),
    "keep_recent_runs": _Kind(_is_count, "a whole number", "20"),
}


def parsed_settings(texts: Mapping[str, str]) -> dict[str, Any]:
    """Return settings by name, from JSON.

    Raises:
        UsageError: A name is unknown, or a value is no JSON or not of the setting's kind.

    Example:
        >>> parsed_settings({"keep_best_runs": "3"})
        {'keep_best_runs': 3}
    """
    return {name: _parsed(name, text) for name, text in texts.items()}


def _parsed(name: str, text: str) -> Any:
    kind = _KINDS.get(name)
    if kind is None:
        raise click.UsageError(f"{name!r} is no setting of a project; those are: {', '.join(_KINDS)}.")
    try:
        value = json.loads(text)
    except ValueError:
        value = ...
    if value is ... or not kind.fits(value):
        raise click.UsageError(
            f"The setting {name} takes {kind.words} in JSON, as in --setting {name}='{kind.example}', not {text!r}."
        )
    return value
