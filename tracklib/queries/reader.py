"""Values in the text of a filter: fields, literals and what is made of them."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Final, Literal

from tracklib.queries.attributes import ATTRIBUTES, STATISTICS, AttributeType
from tracklib.queries.calls import CALLS, called_name, value_call
from tracklib.queries.complaints import complaint, did_you_mean
from tracklib.queries.names import field_of, says_field, unknown_root
from tracklib.queries.scanning import DEEPEST
from tracklib.queries.tree import Attribute, Computed, Constant, Metric, Param, Plain, Tag, Value
from tracklib.queries.words import NAMESPACES, NO_FILTER, Meant

if TYPE_CHECKING:
    from tracklib.errors import FilterError

__all__ = ["Reader"]

_Operation = Literal["+", "-", "*", "/", "**"]
_OPERATIONS: Final[dict[type[ast.operator], _Operation]] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.Pow: "**",
}
_TIMES: Final = (AttributeType.TIME, AttributeType.DURATION)


class Reader:
    """Reads values.

    Attributes:
        now: What `now()` means.
    """

    def __init__(self, text: str, indent: int, now: float) -> None:
        self._text = text
        self._indent = indent
        self._bytes = text[indent:].encode()
        self.now = now

    def complaint(self, node: ast.AST, problem: str) -> FilterError:
        """Return the error that points at a node."""
        return complaint(self._text, self._place(getattr(node, "col_offset", 0)), problem)

    def _place(self, offset: int) -> int:
        return self._indent + len(self._bytes[:offset].decode(errors="replace"))

    def source(self, node: ast.expr) -> str:
        """Return the text of a node."""
        return self._bytes[node.col_offset : node.end_col_offset].decode(errors="replace")

    def check_depth(self, node: ast.expr, depth: int) -> None:
        """Refuse what is nested too deeply."""
        if depth > DEEPEST:
            raise self.complaint(node, f"this is nested deeper than {DEEPEST}")

    def called(self, node: ast.Call) -> str:
        """Return the name of what is called."""
        return called_name(self, node)

    def value(self, node: ast.expr, depth: int) -> Meant:
        """Read a value."""
        self.check_depth(node, depth)
        if isinstance(node, ast.Constant):
            return Meant(Constant(self._plain(node)))
        if isinstance(node, (ast.Attribute, ast.Subscript, ast.Name)):
            return self._field(node)
        if isinstance(node, ast.BinOp):
            return self._computed(node, depth + 1)
        if isinstance(node, ast.UnaryOp):
            return self._signed(node, depth + 1)
        if isinstance(node, (ast.List, ast.Tuple)):
            return Meant(Constant(tuple(self._item(element, depth + 1) for element in node.elts)))
        if isinstance(node, ast.Call) and self.called(node) in CALLS:
            return value_call(self, node, depth + 1)
        if isinstance(node, (ast.Compare, ast.BoolOp, ast.Call)):
            raise self.complaint(node, "a condition cannot be used as a value here")
        raise self.complaint(node, NO_FILTER)

    def _plain(self, node: ast.Constant) -> Plain:
        value = node.value
        if isinstance(value, str):
            return value.encode("utf-8", "backslashreplace").decode()
        if value is None or isinstance(value, (bool, int, float)):
            return value
        raise self.complaint(node, "only texts, numbers, True, False and None can be compared with")

    def _item(self, node: ast.expr, depth: int) -> Plain:
        value = self.value(node, depth).value
        if not isinstance(value, Constant):
            raise self.complaint(node, "a list holds texts and numbers only")
        return value.value

    def _field(self, node: ast.Attribute | ast.Subscript | ast.Name) -> Meant:
        field = field_of(self, node)
        meaning = None
        if isinstance(field, Attribute) and ATTRIBUTES[field.name].type in _TIMES:
            meaning = str(ATTRIBUTES[field.name].type)
        elif isinstance(field, Metric) and field.statistic == "last_time":
            meaning = str(AttributeType.TIME)
        return Meant(field, meaning)

    def _signed(self, node: ast.UnaryOp, depth: int) -> Meant:
        if not isinstance(node.op, (ast.USub, ast.UAdd)):
            said = "a condition cannot be used as a value here" if isinstance(node.op, ast.Not) else NO_FILTER
            raise self.complaint(node, said)
        inner = self.value(node.operand, depth)
        self.check_number(inner.value, node.operand)
        if isinstance(node.op, ast.UAdd):
            return inner
        if isinstance(inner.value, Constant) and isinstance(inner.value.value, (int, float)):
            return Meant(Constant(-inner.value.value), inner.meaning)
        return Meant(Computed("negative", (inner.value,)), inner.meaning)

    def _computed(self, node: ast.BinOp, depth: int) -> Meant:
        operation = _OPERATIONS.get(type(node.op))
        if operation is None:
            raise self.complaint(node.right, "there is no such operator: numbers have + - * / **")
        left = self.value(node.left, depth)
        self._refuse_names(node, operation)
        right = self.value(node.right, depth)
        self.check_number(left.value, node.left)
        self.check_number(right.value, node.right)
        return Meant(Computed(operation, (left.value, right.value)), _of_two(operation, left.meaning, right.meaning))

    def _refuse_names(self, node: ast.BinOp, operation: str) -> None:
        """Say what was likely meant by `metrics.eval/loss`, where Python sees a division."""
        root = unknown_root(node.right)
        if root is None or operation not in {"/", "-"} or not says_field(node.left):
            return
        whole = self.source(node.left)
        space, _, first = whole.partition(".")
        name = f"{first}{operation}{self.source(node.right)}"
        if space in NAMESPACES and first:
            raise self.complaint(
                node.right, f"{root} is not known: a name with {operation} in it is written {space}['{name}']"
            )

    def check_number(self, value: Value, node: ast.expr) -> None:
        """Refuse to reckon with what is never a number."""
        is_text = isinstance(value, Tag) or (isinstance(value, Constant) and not isinstance(value.value, (int, float)))
        if isinstance(value, Attribute):
            is_text = ATTRIBUTES[value.name].type == AttributeType.TEXT
        if is_text or not isinstance(value, (Constant, Param, Metric, Attribute, Computed)):
            raise self.complaint(node, "this is no number")

    def unknown_name(self, node: ast.Name) -> FilterError:
        """Return the error about a name that stands alone."""
        name = node.id
        if name in {"nan", "inf"}:
            return self.complaint(node, f"{name} is written is{name}(metrics.loss)")
        if name in ATTRIBUTES:
            return self.complaint(node, f"{name} is not known: write run.{name}")
        if name in STATISTICS:
            return self.complaint(node, f"{name} is not known: it stands behind a metric, as in metrics.loss.{name}")
        hint = did_you_mean(name, (*NAMESPACES, *CALLS))
        hint = hint or f"; write params.{name}, metrics.{name} or tags.{name}, or '{name}' where it is text"
        return self.complaint(node, f"{name} is not known: names begin with {', '.join(NAMESPACES)}{hint}")


def _of_two(operation: str, left: str | None, right: str | None) -> str | None:
    """Return what the sum or difference of times and durations is."""
    if operation not in {"+", "-"} or (left is None and right is None):
        return None
    both_times = left == right == AttributeType.TIME
    if both_times and operation == "-":
        return str(AttributeType.DURATION)
    return str(AttributeType.TIME) if AttributeType.TIME in {left, right} else str(AttributeType.DURATION)
