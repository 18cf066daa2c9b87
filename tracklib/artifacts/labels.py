"""What is said of an artifact when it is logged: its name, its type, and what it is known by."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

from tracklib.errors import ConfigError
from tracklib.values import as_float, as_step, checked_name, jsonable

__all__ = ["BEST", "LATEST", "Label", "checked_alias"]

BEST: Final = "best"
"""The alias that the version with the best score has."""
LATEST: Final = "latest"
"""What the version is called that was logged last. It moves by itself."""

_NUMBER: Final = re.compile(r"v?\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What is said of an artifact, checked.

    Attributes:
        metadata: As JSON.
        score: How good it is: higher is better.
    """

    name: str
    type: str
    metadata: dict[str, Any] = field(default_factory=dict)
    step: int | None = None
    aliases: tuple[str, ...] = ()
    score: float | None = None

    @classmethod
    def checked(cls, name: str, kind: str, metadata: Mapping[str, Any] | None = None, step: int | None = None) -> Self:
        """Return a label of what the user says.

        Raises:
            ConfigError: A name or type is empty or too long.
            TypeError: The metadata are no mapping, or the step no whole number.
        """
        from tracklib.capture.redact import mask_params

        if metadata is not None and not isinstance(metadata, Mapping):
            raise TypeError(f"metadata is {metadata!r:.200}, but takes a mapping of names to values")
        return cls(
            name=checked_name("name", name),
            type=checked_name("type", kind),
            metadata=mask_params(jsonable(metadata or {})),
            step=None if step is None else as_step(step),
        )

    def known_as(self, aliases: str | Iterable[str], score: float | None) -> Self:
        """Return it with aliases, and `best` among them if there is a score.

        Raises:
            ConfigError: An alias cannot be one, or the score is no finite number.
            TypeError: The aliases are no texts.
        """
        if not isinstance(aliases, Iterable):
            raise TypeError(f"aliases is {aliases!r:.200}, but takes names such as ['production']")
        named = [checked_alias(alias) for alias in ([aliases] if isinstance(aliases, str) else aliases)]
        if score is None:
            return replace(self, aliases=tuple(dict.fromkeys(named)))
        number = as_float(score)
        if not math.isfinite(number):
            raise ConfigError(f"score is {score!r}, but takes a finite number, of which higher ones are better")
        return replace(self, aliases=tuple(dict.fromkeys([*named, BEST])), score=number)


def checked_alias(alias: Any) -> str:
    """Return a name that a version may be given.

    Raises:
        ConfigError: It is empty, stands for a version already, or has a character in it that separates names.

    Example:
        >>> checked_alias("production")
        'production'
    """
    name = checked_name("alias", alias)
    if name == LATEST or _NUMBER.fullmatch(name):
        raise ConfigError(f"alias is {alias!r}, which means a version as it is: choose a name such as 'production'")
    if set(name) & set(":/@") or name != name.strip():
        raise ConfigError(
            f"alias is {alias!r}, but takes a name without ':', '/' and '@', and without spaces around it"
        )
    return name
