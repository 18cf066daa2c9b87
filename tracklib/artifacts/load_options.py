"""What is said to a load of a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

__all__ = ["LoadOptions"]

_OF_WEIGHTS: Final = {"assign", "file", "map_location", "strict"}


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """What is said to a load of a model.

    Attributes:
        into: A module to load weights into, what makes one, or a class that has `from_pretrained`; None if not said.
        allow_pickle: Files may be unpickled, which runs whatever code they name.
        trusted: Types that may be made beyond those which are known to be harmless: by full name, or as they are.
        more: What else was said, by name.
    """

    into: Any = None
    allow_pickle: bool = False
    trusted: Sequence[Any] = ()
    more: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.allow_pickle, bool):
            raise TypeError(f"allow_pickle is {self.allow_pickle!r:.200}, but takes True or False")
        names = isinstance(self.trusted, Sequence) and not isinstance(self.trusted, str)
        if not names or not all(isinstance(each, (str, type)) for each in self.trusted):
            raise TypeError(f"trusted is {self.trusted!r:.200}, but takes a list of types or of their full names")

    def check_for_weights(self) -> None:
        """See that only such options are there as a file of weights takes.

        Raises:
            TypeError: There are others.
        """
        if unknown := self.more.keys() - _OF_WEIGHTS:
            raise TypeError(f"the options {sorted(unknown)} mean nothing here: weights take {sorted(_OF_WEIGHTS)}")

    def trusts(self, name: str) -> bool:
        """Tell whether a type is trusted by its full name."""
        return any(
            each == name if isinstance(each, str) else f"{each.__module__}.{each.__qualname__}" == name
            for each in self.trusted
        )
