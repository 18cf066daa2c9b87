"""What describes a run, as a user gives it, made into records: params, tags and notes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracklib.records import RecordKind
from tracklib.values import checked_text, clean_text, jsonable

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["nested_param", "notes_record", "params_record", "tags_record", "user_name"]

Described = tuple[str, dict[str, Any]]
"""Kind and data of a record."""


def user_name() -> str:
    """Return who runs this process."""
    import getpass
    import os

    try:
        return clean_text(getpass.getuser())
    except (OSError, KeyError):  # A container may run as a user without a name.
        return str(os.getuid())


def params_record(params: Mapping[str, Any]) -> Described:
    """Return the record of a configuration: a mapping, or an object that is but a bundle of named values.

    Raises:
        TypeError: It is neither.
    """
    from tracklib.capture.redact import mask_params

    plain = jsonable(params)
    if not isinstance(plain, dict) or plain.keys() & {"$repr", "$float"}:
        raise TypeError(
            f"params is {type(params).__name__}, but takes a mapping of names to values, a dataclass or a namespace"
        )
    return RecordKind.PARAMS, {"params": mask_params(plain)}


def nested_param(key: str, value: Any) -> dict[str, Any]:
    """Return one param as a mapping; the dots in its name nest.

    Raises:
        ConfigError: The name is no text, or empty.

    Example:
        >>> nested_param("training.lr", 0.1)
        {'training': {'lr': 0.1}}
    """
    for part in reversed(checked_text("key", key).split(".")):
        value = {part: value}
    nested: dict[str, Any] = value
    return nested


def tags_record(tags: Mapping[str, Any]) -> Described:
    """Return the record of tags; None removes one.

    Raises:
        TypeError: They are no mapping.

    Example:
        >>> tags_record({"team": "vision", "seed": 1, "old": None})[1]
        {'tags': {'team': 'vision', 'seed': '1', 'old': None}}
    """
    if not hasattr(tags, "items"):
        raise TypeError(f"tags is {tags!r:.200}, but takes a mapping of names to text")
    return RecordKind.TAGS, {
        "tags": {clean_text(str(key)): None if value is None else clean_text(str(value)) for key, value in tags.items()}
    }


def notes_record(text: str) -> Described:
    """Return the record of notes.

    Raises:
        TypeError: They are no text.
    """
    if not isinstance(text, str):
        raise TypeError(f"notes is {text!r:.200}, but takes text")
    return RecordKind.NOTES, {"text": clean_text(text)}
