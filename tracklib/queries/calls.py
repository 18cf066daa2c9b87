"""The functions of the filter language, which may also be called as methods of their first argument."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tracklib.queries.attributes import AttributeType
from tracklib.queries.complaints import did_you_mean
from tracklib.queries.patterns import compiled
from tracklib.queries.tree import Computed, Condition, Constant, Lowered, Matching, NumberTest, Value
from tracklib.queries.words import Meant, converted

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracklib.queries.reader import Reader

__all__ = ["CALLS", "CONDITION_CALLS", "VALUE_CALLS", "called_name", "condition_call", "value_call"]


class Function(NamedTuple):
    """A function: how it is written, and what it says, in words."""

    example: str
    description: str
    arguments: int


CONDITION_CALLS: Final = {
    "like": Function("like(tags.team, 'vis%')", "is like the pattern: % is any text, _ any character", 2),
    "ilike": Function("ilike(tags.team, 'VIS%')", "the same, whether letters are small or capital", 2),
    "matches": Function("matches(run.name, r'^lr-\\d+')", "the regular expression is found in it", 2),
    "startswith": Function("startswith(run.git.commit, '3f2a')", "begins with the text", 2),
    "endswith": Function("endswith(run.name, '-b')", "ends with the text", 2),
    "isnan": Function("isnan(metrics.loss)", "is NaN", 1),
    "isinf": Function("isinf(metrics.loss)", "is an infinity, of either sign", 1),
}
"""Functions that are conditions."""

VALUE_CALLS: Final = {
    "lower": Function("lower(run.name)", "the text in small letters", 1),
    "abs": Function("abs(metrics.loss)", "the number without its sign", 1),
    "date": Function("date('2026-11-01')", "a date or time in ISO 8601; without a time zone it is UTC", 1),
    "ago": Function("ago('7d')", "so long before now", 1),
    "now": Function("now()", "the time of the search", 0),
    "duration": Function("duration('2h30m')", "a duration in seconds", 1),
}
"""Functions that are values."""

CALLS: Final = {**CONDITION_CALLS, **VALUE_CALLS}
_METHODS: Final = frozenset({"like", "ilike", "matches", "startswith", "endswith", "lower"})


def called_name(reader: Reader, node: ast.Call) -> str:
    """Return the name of the function that is called.

    Raises:
        FilterError: There is none of this name.
    """
    function = node.func
    if isinstance(function, ast.Name):
        name, known = function.id, list(CALLS)
    elif isinstance(function, ast.Attribute):
        name, known = function.attr, sorted(_METHODS)
    else:
        raise reader.complaint(function, "only functions of the filter language can be called")
    if name not in known:
        there = f"; there are {', '.join(known)}"
        raise reader.complaint(function, f"there is no function {name!r:.60}{did_you_mean(name, known) or there}")
    return name


def _arguments(reader: Reader, node: ast.Call) -> list[ast.expr]:
    name = called_name(reader, node)
    arguments = list(node.args)
    if isinstance(node.func, ast.Attribute):
        arguments.insert(0, node.func.value)
    function = CALLS[name]
    if node.keywords or len(arguments) != function.arguments or any(isinstance(a, ast.Starred) for a in arguments):
        raise reader.complaint(node, f"{name} is written {function.example}")
    return arguments


def _text(reader: Reader, node: ast.expr, example: str) -> str:
    value = reader.value(node, 0).value
    if not isinstance(value, Constant) or not isinstance(value.value, str):
        raise reader.complaint(node, f"here stands a text in quotes, as in {example}")
    return value.value


def condition_call(reader: Reader, node: ast.Call, depth: int) -> Condition:
    """Read a call that is a condition."""
    name, (first, *others) = called_name(reader, node), _arguments(reader, node)
    value = reader.value(first, depth).value
    if isinstance(value, Constant):
        raise reader.complaint(first, f"here stands a field, as in {CALLS[name].example}")
    if not others:
        return NumberTest("nan" if name == "isnan" else "inf", value)
    pattern = _text(reader, others[0], CALLS[name].example)
    if name == "matches":
        _refuse(reader, others[0], lambda: compiled(pattern))
    return Matching(name, value, pattern)  # type: ignore[arg-type] # the names of functions are those of manners


def _refuse(reader: Reader, node: ast.expr, action: Callable[[], Any]) -> Any:
    try:
        return action()
    except ValueError as error:
        problem = str(error)
    if isinstance(node, ast.Constant) and "date" not in problem and "duration" not in problem:
        problem = f"this regular expression cannot be used: {problem}"
    raise reader.complaint(node, problem)


def value_call(reader: Reader, node: ast.Call, depth: int) -> Meant:
    """Read a call that is a value."""
    name, arguments = called_name(reader, node), _arguments(reader, node)
    if name in {"lower", "abs"}:
        inner = reader.value(arguments[0], depth)
        if name == "lower":
            return Meant(_lowered(inner.value))
        reader.check_number(inner.value, arguments[0])
        return Meant(Computed("absolute", (inner.value,)), inner.meaning)
    if name == "now":
        return Meant(Constant(reader.now), str(AttributeType.TIME))
    text = Constant(_text(reader, arguments[0], CALLS[name].example))
    meaning = AttributeType.TIME if name == "date" else AttributeType.DURATION
    number: Any = _refuse(reader, arguments[0], lambda: converted(text, meaning)).value
    if name == "ago":
        return Meant(Constant(reader.now - number), str(AttributeType.TIME))
    return Meant(Constant(number), str(meaning))


def _lowered(value: Value) -> Value:
    if isinstance(value, Constant) and isinstance(value.value, str):
        return Constant(value.value.lower())
    return Lowered(value)
