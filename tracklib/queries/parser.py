"""The text of a filter as a tree. It is read as Python, of which little is let through; nothing is ever evaluated."""

from __future__ import annotations

import ast
import time
import warnings
from typing import Final, Literal

from tracklib.errors import FilterError
from tracklib.queries.calls import CONDITION_CALLS, condition_call
from tracklib.queries.complaints import complaint
from tracklib.queries.reader import Reader
from tracklib.queries.scanning import check_text
from tracklib.queries.tree import (
    All,
    Among,
    Anyone,
    Attribute,
    Comparison,
    Condition,
    Constant,
    Contains,
    IsNone,
    Not,
    Plain,
    Truth,
    Value,
)
from tracklib.queries.words import NO_FILTER, Meant, checked_status, converted

__all__ = ["parse", "read_tree"]

_Operator = Literal["==", "!=", "<", "<=", ">", ">="]
_OPERATORS: Final[dict[type[ast.cmpop], _Operator]] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}


def parse(text: str, *, now: float | None = None) -> Condition | None:
    """Return the condition that a filter says; None for an empty one, which holds of every run.

    Args:
        now: What `now()` and `ago(…)` count from, in seconds since the epoch; the time of the call by default.

    Raises:
        FilterError: It cannot be understood; the message points at the place.

    Example:
        >>> parse("metrics.loss < 0.5")
        Comparison(left=Metric(name='loss', statistic='last'), operator='<', right=Constant(value=0.5))
    """
    if not isinstance(text, str):
        raise FilterError(f"the filter is {text!r:.200}, but takes text such as \"metrics['eval/loss'] < 0.5\"")
    if not text.strip():
        return None
    reader, node = read_tree(text, time.time() if now is None else now)
    return _Conditions(reader).read(node, 0)


def read_tree(text: str, now: float) -> tuple[Reader, ast.expr]:
    """Return the Python expression that a text is, and what reads its values.

    Raises:
        FilterError: It is none.
    """
    text = text.encode("utf-8", "backslashreplace").decode()
    check_text(text)
    # Strings have no bare line ends in them: that was checked.
    source = text.replace("\r", " ").replace("\n", " ")
    indent = len(source) - len(source.lstrip())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            node = ast.parse(source.strip(), mode="eval").body
    except SyntaxError as error:
        place = indent + max(0, (error.offset or 1) - 1)
        raise complaint(text, place, _said(error)) from None
    except (RecursionError, MemoryError):
        raise complaint(text, 0, "the filter is nested too deeply") from None
    except ValueError as error:
        raise complaint(text, 0, f"the filter cannot be read: {error}") from None
    return Reader(text, indent, now), node


def _said(error: SyntaxError) -> str:
    said = error.msg or "invalid syntax"
    return NO_FILTER if said.startswith("invalid syntax") else f"{NO_FILTER} ({said})"


class _Conditions:
    """Reads conditions, and leaves values to a `Reader`."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def read(self, node: ast.expr, depth: int) -> Condition:
        self._reader.check_depth(node, depth)
        if isinstance(node, ast.BoolOp):
            parts = tuple(self.read(part, depth + 1) for part in node.values)
            return All(parts) if isinstance(node.op, ast.And) else Anyone(parts)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return Not(self.read(node.operand, depth + 1))
        if isinstance(node, ast.Compare):
            return self._compare(node, depth + 1)
        if isinstance(node, ast.Call) and self._reader.called(node) in CONDITION_CALLS:
            return condition_call(self._reader, node, depth + 1)
        return Truth(self._truth(node, depth))

    def _truth(self, node: ast.expr, depth: int) -> Value:
        value = self._reader.value(node, depth).value
        if isinstance(value, Constant) and not isinstance(value.value, bool):
            raise self._reader.complaint(node, "this is a value, not a condition: compare a field with it")
        return value

    def _compare(self, node: ast.Compare, depth: int) -> Condition:
        """Read a chain such as `0.1 < params.lr <= 1`."""
        sides = [node.left, *node.comparators]
        pairs = zip(node.ops, sides, sides[1:], strict=False)
        found = tuple(self._pair(operator, left, right, depth) for operator, left, right in pairs)
        return found[0] if len(found) == 1 else All(found)

    def _pair(self, operator: ast.cmpop, left: ast.expr, right: ast.expr, depth: int) -> Condition:
        if isinstance(operator, (ast.Is, ast.IsNot)):
            found: Condition = self._is(left, right, depth)
            return Not(found) if isinstance(operator, ast.IsNot) else found
        if isinstance(operator, (ast.In, ast.NotIn)):
            found = self._in(left, right, depth)
            return Not(found) if isinstance(operator, ast.NotIn) else found
        one, other = self._reader.value(left, depth), self._reader.value(right, depth)
        word = _OPERATORS[type(operator)]
        one, other = self._same_kind(one, other, left), self._same_kind(other, one, right)
        if word in {"==", "!="}:
            for constant, field, place in ((one, other, left), (other, one, right)):
                self._check_status(field, constant, place)
        return Comparison(one.value, word, other.value)

    def _same_kind(self, value: Meant, other: Meant, node: ast.expr) -> Meant:
        """Read a text as a time or as a duration where it is compared with one."""
        if not isinstance(value.value, Constant) or other.meaning is None or value.meaning is not None:
            return value
        return Meant(self._converted(value.value, other.meaning, node), other.meaning)

    def _converted(self, constant: Constant, meaning: str, node: ast.expr) -> Constant:
        try:
            return converted(constant, meaning)
        except ValueError as error:
            raise self._reader.complaint(node, str(error)) from None

    def _check_status(self, field: Meant, constant: Meant, node: ast.expr) -> None:
        if field.value == Attribute("status") and isinstance(constant.value, Constant):
            try:
                checked_status(constant.value.value)
            except ValueError as error:
                raise self._reader.complaint(node, str(error)) from None

    def _is(self, left: ast.expr, right: ast.expr, depth: int) -> Condition:
        for side, other in ((right, left), (left, right)):
            if isinstance(side, ast.Constant) and side.value is None:
                return IsNone(self._reader.value(other, depth).value)
        raise self._reader.complaint(right, "`is` goes with None alone: write ==")

    def _in(self, left: ast.expr, right: ast.expr, depth: int) -> Condition:
        value = self._reader.value(left, depth)
        if isinstance(right, (ast.List, ast.Tuple, ast.Set)):
            return Among(value.value, self._items(value, right, depth))
        whole = self._reader.value(right, depth).value
        if isinstance(whole, Constant):
            raise self._reader.complaint(right, "`in` takes a list such as ['a', 'b'], or a field that is text")
        if not isinstance(value.value, Constant) or isinstance(value.value.value, tuple):
            raise self._reader.complaint(left, "before `in` and a field stands a text, as in 'vis' in tags.team")
        return Contains(value.value.value, whole)

    def _items(self, value: Meant, right: ast.List | ast.Tuple | ast.Set, depth: int) -> tuple[Plain, ...]:
        items = []
        for element in right.elts:
            item = self._same_kind(self._reader.value(element, depth), value, element)
            if not isinstance(item.value, Constant):
                raise self._reader.complaint(element, "a list holds texts and numbers only")
            self._check_status(value, item, element)
            items.append(item.value.value)
        return tuple(items)
