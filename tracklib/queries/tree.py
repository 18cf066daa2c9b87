"""Conditions and orders as data: what the text of a filter becomes, and what stores answer.

A *value* is a field of a run, a literal, or what is made of such; a *condition* holds of a run or does not.
What the operators mean is written down in `docs/how-to/search.md`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "All",
    "Among",
    "Anyone",
    "Attribute",
    "Comparison",
    "Computed",
    "Condition",
    "Constant",
    "Contains",
    "Field",
    "IsNone",
    "Lowered",
    "Matching",
    "Metric",
    "Not",
    "NumberTest",
    "Order",
    "Param",
    "Plain",
    "Tag",
    "Truth",
    "Value",
    "conjuncts",
    "fields_in",
]

Plain = None | bool | int | float | str | tuple["Plain", ...]
"""What a literal may be. A tuple stands for a list."""

Ordering = Literal["<", "<=", ">", ">="]
Operator = Literal["==", "!=", "<", "<=", ">", ">="]


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal."""

    value: Plain


@dataclass(frozen=True, slots=True)
class Param:
    """A param by its dotted name."""

    name: str


@dataclass(frozen=True, slots=True)
class Metric:
    """A number of a metric's summary.

    Attributes:
        statistic: The name of a field of `Summary`.
    """

    name: str
    statistic: str = "last"


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag by its name."""

    name: str


@dataclass(frozen=True, slots=True)
class Attribute:
    """What is known of each run, by a name of `tracklib.queries.attributes`."""

    name: str


@dataclass(frozen=True, slots=True)
class Computed:
    """A number made of numbers.

    Attributes:
        operation: `+ - * / **` of two, `negative` or `absolute` of one.
    """

    operation: Literal["+", "-", "*", "/", "**", "negative", "absolute"]
    operands: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Lowered:
    """A text in lower case."""

    value: Value


Field = Param | Metric | Tag | Attribute
Value = Constant | Param | Metric | Tag | Attribute | Computed | Lowered


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two values as `operator` says."""

    left: Value
    operator: Operator
    right: Value


@dataclass(frozen=True, slots=True)
class Among:
    """Whether a value equals one of several."""

    value: Value
    items: tuple[Plain, ...]


@dataclass(frozen=True, slots=True)
class Contains:
    """Whether a text contains another, or a list an item."""

    part: Plain
    whole: Value


@dataclass(frozen=True, slots=True)
class Matching:
    """Whether a text is as a pattern says.

    Attributes:
        manner: `like` and `ilike` (with `%` and `_`), `matches` (a regular expression), `startswith`, `endswith`.
    """

    manner: Literal["like", "ilike", "matches", "startswith", "endswith"]
    value: Value
    pattern: str


@dataclass(frozen=True, slots=True)
class IsNone:
    """Whether nothing is there."""

    value: Value


@dataclass(frozen=True, slots=True)
class NumberTest:
    """Whether a number is `nan`, or `inf` (of either sign)."""

    test: Literal["nan", "inf"]
    value: Value


@dataclass(frozen=True, slots=True)
class Truth:
    """Whether Python would call a value true."""

    value: Value


@dataclass(frozen=True, slots=True)
class All:
    """Whether all conditions hold."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Anyone:
    """Whether one of the conditions holds."""

    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """Whether a condition does not hold."""

    condition: Condition


Condition = Comparison | Among | Contains | Matching | IsNone | NumberTest | Truth | All | Anyone | Not


@dataclass(frozen=True, slots=True)
class Order:
    """What runs are sorted by: numbers before texts, and at the end, either way, what is missing or NaN."""

    value: Value
    descending: bool = False


def fields_in(node: Condition | Value | Order) -> Iterator[Field]:
    """Yield the fields that a condition, a value or an order is about; one may come several times.

    Example:
        >>> list(fields_in(Comparison(Metric("loss"), "<", Param("most"))))
        [Metric(name='loss', statistic='last'), Param(name='most')]
    """
    if isinstance(node, (Param, Metric, Tag, Attribute)):
        yield node
        return
    for each in fields(node):
        inner = getattr(node, each.name)
        for part in inner if isinstance(inner, tuple) else (inner,):
            if is_dataclass(part) and not isinstance(part, type):
                yield from fields_in(part)  # type: ignore[arg-type] # what is no part of a tree is no dataclass


def conjuncts(condition: Condition | None) -> Iterator[Condition]:
    """Yield the conditions that must all hold where one does.

    Example:
        >>> len(list(conjuncts(All((IsNone(Tag("a")), All((IsNone(Tag("b")), IsNone(Tag("c")))))))))
        3
    """
    if isinstance(condition, All):
        for part in condition.conditions:
            yield from conjuncts(part)
    elif condition is not None:
        yield condition
