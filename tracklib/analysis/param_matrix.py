"""Params of many runs as columns: of which kind each is, and as the numbers that a model takes."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from tracklib.analysis.spreads import has_spread
from tracklib.frames import text_of
from tracklib.records import flatten_params
from tracklib.values import as_float

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["ParamColumn", "ParamKind", "columns_of", "same_columns"]

ParamKind = Literal["number", "flag", "category", "constant", "unique"]
"""A number, true or false, one of several levels, the same in all runs, or text that (nearly) every run has its own."""

Key = tuple[str, str] | None
"""The kind of a value and its text; None where it is missing."""

MOST_LEVELS: Final = 10
"""So many levels of a category are told apart; rarer ones count as one."""

_MISSING: Final = "missing"


@dataclass(frozen=True)
class ParamColumn:
    """One param in all runs.

    Attributes:
        values: One for each run; None where it is None or where the run has no such param.
        keys: What makes each value the same as another.
    """

    name: str
    kind: ParamKind
    values: tuple[Any, ...]
    keys: tuple[Key, ...]

    @property
    def missing(self) -> int:
        """In how many runs it is missing, or None."""
        return sum(value is None for value in self.values)

    @cached_property
    def distinct(self) -> int:
        """How many values it has, of which missing is none."""
        return len(set(self.keys) - {None})

    @cached_property
    def numbers(self) -> NDArray[np.float64]:
        """`(runs,)`: a number as it is, a flag as 0 or 1, NaN where it is missing or not finite."""
        given = np.array([math.nan if value is None else as_float(value) for value in self.values])
        return np.where(np.isfinite(given), given, math.nan)

    @cached_property
    def levels(self) -> tuple[str, ...]:
        """For each run the level of a category: its value, `missing`, or a common one for all that are rare."""
        return tuple(_levels(self.keys))

    @cached_property
    def codes(self) -> NDArray[np.int64]:
        """`(runs,)`: which runs have the same value, numbered as they first appear."""
        numbered: dict[Key, int] = {}
        return np.array([numbered.setdefault(key, len(numbered)) for key in self.keys], dtype=np.int64)

    def features(self) -> NDArray[np.float64]:
        """Return `(runs, columns)` for a model that looks at the order of numbers alone, as a forest does.

        Numbers become their places in the order, so that none is beyond the floats of a library; missing ones become
        the median, and have a column that says so.
        """
        if self.kind == "category":
            names = sorted(set(self.levels))
            return np.array([[level == name for name in names] for level in self.levels], dtype=np.float64)
        absent = np.isnan(self.numbers)
        places = np.zeros(len(self.values))
        places[~absent] = np.unique(self.numbers[~absent], return_inverse=True)[1]
        if not absent.any():
            return places[:, None]
        places[absent] = np.median(places[~absent])
        return np.column_stack([places, absent])


def columns_of(params: Sequence[Mapping[str, Any]]) -> list[ParamColumn]:
    """Return the columns of the params of runs, in the order in which they first appear.

    Args:
        params: Of each run, nested as they were given.

    Example:
        >>> [(c.name, c.kind) for c in columns_of([{"lr": 0.1, "net": "a", "x": 1}, {"lr": 0.2, "net": "a", "x": 1}])]
        [('lr', 'number'), ('net', 'constant'), ('x', 'constant')]
    """
    flat = [dict(flatten_params(each)) for each in params]
    names = dict.fromkeys(name for each in flat for name in each)
    return [_column(name, tuple(each.get(name) for each in flat)) for name in names]


def same_columns(columns: Sequence[ParamColumn]) -> list[tuple[str, ...]]:
    """Return groups of params that always change together, so that none can be told from the others.

    Columns are the same where each value of one always meets the same value of the other. Where most values are met
    once only that says nothing; numbers then must also rise or fall together without exception.
    """
    groups: dict[tuple[Any, ...], list[str]] = {}
    for column in columns:
        groups.setdefault(_sameness(column), []).append(column.name)
    return [tuple(names) for names in groups.values()]


def _column(name: str, values: tuple[Any, ...]) -> ParamColumn:
    keys = tuple(map(_key, values))
    return ParamColumn(name, _kind(values, keys), values, keys)


def _kind(values: tuple[Any, ...], keys: tuple[Key, ...]) -> ParamKind:
    distinct = set(keys)
    if len(distinct) <= 1:
        return "constant"
    given = [value for value in values if value is not None]
    if all(isinstance(value, bool) for value in given):
        return "flag" if len(distinct - {None}) == 2 else "category"
    if all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in given):
        finite = [number for number in map(as_float, given) if math.isfinite(number)]
        if has_spread(finite):
            return "number"
    return "category" if len(set(_levels(keys))) > 1 else "unique"


def _levels(keys: tuple[Key, ...]) -> list[str]:
    counts = Counter(key for key in keys if key is not None)
    common = {key for key, count in counts.most_common(MOST_LEVELS) if count > 1}
    names = {key: f"{key[0]} {key[1]}" if key in common else "rare" for key in counts}
    return [_MISSING if key is None else names[key] for key in keys]


def _key(value: Any) -> Key:
    """Return what makes a value the same as another: 1 and 1.0 are, 1 and "1" are not."""
    if value is None:
        return None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return ("number", repr(as_float(value)))
    return (type(value).__name__, text_of(value) or "")


def _sameness(column: ParamColumn) -> tuple[Any, ...]:
    if int(column.codes.max(initial=0)) + 1 <= len(column.codes) / 2:
        return ("codes", column.codes.tobytes())
    if column.kind != "number":
        return ("alone", column.name)
    _, ranks = np.unique(column.numbers, return_inverse=True)
    falling = ranks.max() - ranks
    # Rising and falling are the same: the one whose first rank is the lower stands for both.
    return ("ranks", min(ranks.tobytes(), falling.tobytes()))
