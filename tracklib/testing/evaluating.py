"""What filters and orders mean, told run by run in plain Python: what stores are compared to.

It shares no code with them, and follows the rules of `docs/how-to/search.md` as they are written there.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from functools import cmp_to_key
from typing import TYPE_CHECKING, Any

from tracklib.queries.tree import (
    All,
    Among,
    Anyone,
    Attribute,
    Comparison,
    Computed,
    Constant,
    Contains,
    IsNone,
    Lowered,
    Matching,
    Metric,
    Not,
    NumberTest,
    Param,
    Tag,
    Truth,
)
from tracklib.testing.attributes import attribute_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tracklib.model import RunInfo, Summary
    from tracklib.queries.tree import Condition, Order, Value

__all__ = ["Facts", "holds", "in_order", "param_names", "value_of"]

SEARCHED = 10_000
"""A regular expression looks at so many characters of a text."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a run."""

    info: RunInfo
    metrics: Mapping[str, Summary]


# ---- values


def value_of(value: Value, facts: Facts) -> Any:  # noqa: PLR0911 - one for each kind of value
    """Return a value of a run: None, a flag, a number, a text or a list."""
    if isinstance(value, Constant):
        return value.value
    if isinstance(value, Param):
        return dict(_leaves(facts.info.params)).get(value.name)
    if isinstance(value, Metric):
        summary = facts.metrics.get(value.name)
        return None if summary is None else float(getattr(summary, value.statistic))
    if isinstance(value, Tag):
        return facts.info.tags.get(value.name)
    if isinstance(value, Attribute):
        return attribute_of(value.name, facts.info)
    if isinstance(value, Lowered):
        text = value_of(value.value, facts)
        return text.lower() if isinstance(text, str) else None
    return _computed(value, facts)


def _leaves(params: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in params.items():
        is_nested = isinstance(value, dict) and value and value.keys() != {"$repr", "$type"}
        if is_nested:
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def param_names(params: Mapping[str, Any]) -> list[str]:
    """Return the dotted names of params."""
    return [name for name, _ in _leaves(params)]


def _computed(value: Computed, facts: Facts) -> float | None:
    operands = [value_of(operand, facts) for operand in value.operands]
    if not all(isinstance(operand, (int, float)) for operand in operands):
        return None
    left, *others = (_real(operand) for operand in operands)
    if value.operation == "negative":
        return -left
    if value.operation == "absolute":
        return abs(left)
    return _of_two(value.operation, left, others[0])


def _real(number: float) -> float:
    """Return a number as a float; an integer that no float reaches is an infinity."""
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def _of_two(operation: str, left: float, right: float) -> float:  # noqa: PLR0911 - as above
    if operation == "+":
        return left + right
    if operation == "-":
        return left - right
    if operation == "*":
        return left * right
    if operation == "/":
        return left / right if right else math.nan
    try:
        found: Any = left**right
    except ZeroDivisionError:
        return math.nan
    except OverflowError:
        return -math.inf if left < 0 and right % 2 else math.inf
    return math.nan if isinstance(found, complex) else float(found)


# ---- conditions


def holds(condition: Condition, facts: Facts) -> bool:  # noqa: PLR0911 - one for each kind of condition
    """Tell whether a condition holds of a run."""
    if isinstance(condition, All):
        return all(holds(part, facts) for part in condition.conditions)
    if isinstance(condition, Anyone):
        return any(holds(part, facts) for part in condition.conditions)
    if isinstance(condition, Not):
        return not holds(condition.condition, facts)
    if isinstance(condition, Comparison):
        return _compares(condition, facts)
    if isinstance(condition, Among):
        items = (Comparison(condition.value, "==", Constant(item)) for item in condition.items)
        return any(_compares(item, facts) for item in items)
    if isinstance(condition, Contains):
        return _contains(value_of(condition.whole, facts), condition.part)
    value = value_of(condition.value, facts)
    if isinstance(condition, Matching):
        return isinstance(value, str) and _matches(value, condition)
    return _tested(condition, value)


def _tested(condition: IsNone | NumberTest | Truth, value: Any) -> bool:
    if isinstance(condition, IsNone):
        return value is None
    if isinstance(condition, Truth):
        return bool(value)
    # An integer is an infinity nowhere but where it is reckoned with.
    test = math.isnan if condition.test == "nan" else math.isinf
    return isinstance(value, float) and test(value)


def _compares(condition: Comparison, facts: Facts) -> bool:
    left, right = value_of(condition.left, facts), value_of(condition.right, facts)
    if not isinstance(condition.left, Constant) and not isinstance(condition.right, Constant):
        # Two fields are compared as floats; a literal is exact.
        left, right = (_real(side) if isinstance(side, (int, float)) else side for side in (left, right))
    if condition.operator == "==":
        return _equals(left, right)
    if condition.operator == "!=":
        return not _equals(left, right)
    both_numbers = isinstance(left, (int, float)) and isinstance(right, (int, float))
    if not both_numbers and not (isinstance(left, str) and isinstance(right, str)):
        return False
    return bool(
        {
            "<": lambda: left < right,
            "<=": lambda: left <= right,
            ">": lambda: left > right,
            ">=": lambda: left >= right,
        }[condition.operator]()
    )


def _equals(left: Any, right: Any) -> bool:
    if isinstance(left, (list, tuple, dict)) and isinstance(right, (list, tuple, dict)):
        return _json(left) == _json(right)
    # A list is equal to lists alone, and a text to texts.
    return bool(left == right)


def _json(value: Any) -> str:
    """Return JSON, in which 1, 1.0 and true are three things, and the order of keys counts."""

    def plain(item: Any) -> Any:
        if isinstance(item, (list, tuple)):
            return [plain(each) for each in item]
        if isinstance(item, dict):
            return {key: plain(each) for key, each in item.items()}
        return {"number": repr(item)} if isinstance(item, float) else item

    return json.dumps(plain(value))


def _contains(whole: Any, part: Any) -> bool:
    if isinstance(whole, str):
        return isinstance(part, str) and part in whole
    if not isinstance(whole, list):
        return False
    if isinstance(part, (int, float)):
        numbers = (_real(item) for item in whole if isinstance(item, (int, float)))
        return any(number == part for number in numbers)
    return any(item == part and isinstance(item, type(part)) for item in whole)


def _matches(text: str, matching: Matching) -> bool:
    if matching.manner == "startswith":
        return text.startswith(matching.pattern)
    if matching.manner == "endswith":
        return text.endswith(matching.pattern)
    if matching.manner == "matches":
        return re.search(matching.pattern, text[:SEARCHED]) is not None
    return _is_like(text, matching.pattern, fold=matching.manner == "ilike")


def _is_like(text: str, pattern: str, *, fold: bool) -> bool:
    """Compare place by place: `reached` are the lengths of text that the pattern so far may stand for."""
    reached = {0}
    for wanted in pattern:
        if wanted == "%":
            reached = set(range(min(reached), len(text) + 1)) if reached else reached
        else:
            reached = {at + 1 for at in reached if at < len(text) and _same(text[at], wanted, fold=fold)}
    return len(text) in reached


def _same(letter: str, wanted: str, *, fold: bool) -> bool:
    if wanted in {"_", letter}:
        return True
    return fold and re.fullmatch(re.escape(wanted), letter, re.IGNORECASE) is not None


# ---- orders


def in_order(found: list[Facts], orders: tuple[Order, ...]) -> list[Facts]:
    """Return runs sorted: numbers before texts, what is missing or NaN at the end either way, then the newest first."""

    def compared(one: Facts, other: Facts) -> int:
        for order in orders:
            ours, theirs = _place(value_of(order.value, one)), _place(value_of(order.value, other))
            if ours[0] != theirs[0]:
                return -1 if ours[0] < theirs[0] else 1
            if ours[1] != theirs[1]:
                return -1 if (ours[1] < theirs[1]) != order.descending else 1
        mine, others = ((facts.info.created_at, facts.info.id) for facts in (one, other))
        return -1 if mine > others else 1

    return sorted(found, key=cmp_to_key(compared))


def _place(value: Any) -> tuple[int, Any]:
    if isinstance(value, (int, float)):
        real = _real(value)
        return (2, 0) if math.isnan(real) else (0, real)
    return (1, value) if isinstance(value, str) else (2, 0)
