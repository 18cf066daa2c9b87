"""Params of several runs side by side: which differ, and which are the same everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tracklib.records import flatten_params

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

__all__ = ["ComparedParams", "compare_params"]


@dataclass(frozen=True, slots=True)
class ComparedParams:
    """The params of several runs by their dotted names, in the order in which they first occur.

    Attributes:
        differing: Of each that differs its values by run; a run that has no such param is not there.
        common: Those that all runs have, with the same value.
    """

    differing: dict[str, dict[str, Any]]
    common: dict[str, Any]


def compare_params(params: Mapping[str, Mapping[str, Any]]) -> ComparedParams:
    """Tell the params that differ from those that do not.

    Numbers are equal as Python has it, whether whole or not; NaN equals NaN; flags are no numbers. None is a value.

    Args:
        params: Of each run, nested.

    Example:
        >>> compared = compare_params({"a": {"lr": 1, "seed": None}, "b": {"lr": 1.0}})
        >>> compared.common, compared.differing
        ({'lr': 1}, {'seed': {'a': None}})
    """
    values: dict[str, dict[str, Any]] = {}
    for run, nested in params.items():
        for name, value in flatten_params(nested):
            values.setdefault(name, {})[run] = value
    differing, common = {}, {}
    for name, by_run in values.items():
        if len(by_run) == len(params) and len({_identity(value) for value in by_run.values()}) == 1:
            common[name] = next(iter(by_run.values()))
        else:
            differing[name] = by_run
    return ComparedParams(differing, common)


def _identity(value: Any) -> Hashable:
    """Return what is equal for values that count as the same. JSON has no tuples, so none is taken for another."""
    if isinstance(value, bool):
        return ("flag", value)
    if isinstance(value, float) and value != value:  # noqa: PLR0124 - only NaN does not equal itself
        return ("nan",)
    if isinstance(value, dict):
        return ("mapping", frozenset((key, _identity(item)) for key, item in value.items()))
    if isinstance(value, (list, tuple)):
        return ("list", tuple(_identity(item) for item in value))
    same: Hashable = value
    return same
