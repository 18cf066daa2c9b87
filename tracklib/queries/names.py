"""Names of fields in the text of a filter: `params.training.lr`, `metrics['eval/loss'].min`, `run.git.commit`."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, NamedTuple

from tracklib.queries.attributes import ATTRIBUTES, OTHER_NAMES, STATISTICS
from tracklib.queries.complaints import did_you_mean
from tracklib.queries.tree import Attribute, Field, Metric, Param, Tag
from tracklib.queries.words import NAMESPACES

if TYPE_CHECKING:
    from tracklib.queries.reader import Reader

__all__ = ["field_of", "says_field", "unknown_root"]


class _Part(NamedTuple):
    """A part of a name: its text, whether it stands in brackets, and where."""

    text: str
    quoted: bool
    node: ast.expr


def field_of(reader: Reader, node: ast.expr) -> Field:
    """Return the field that a name means.

    Raises:
        FilterError: There is none.
    """
    root, parts = _parts(reader, node)
    if not isinstance(root, ast.Name):
        raise reader.complaint(root, f"a name begins with {', '.join(NAMESPACES)}")
    if root.id not in NAMESPACES:
        raise reader.unknown_name(root)
    if not parts:
        raise reader.complaint(root, f"{root.id} has no value of its own: write {_example(root.id)}")
    if root.id == "run":
        return _attribute(reader, parts)
    if root.id == "metrics":
        return _metric(parts)
    name = ".".join(part.text for part in parts)
    return Param(name) if root.id == "params" else Tag(name)


def _example(space: str) -> str:
    return {"params": "params.lr", "metrics": "metrics['eval/loss']", "tags": "tags.team", "run": "run.status"}[space]


def _parts(reader: Reader, node: ast.expr) -> tuple[ast.expr, list[_Part]]:
    """Return what a chain of attributes begins with, and its parts."""
    parts: list[_Part] = []
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        if isinstance(node, ast.Attribute):
            parts.append(_Part(node.attr, quoted=False, node=node))
        else:
            key = node.slice
            if not isinstance(key, ast.Constant) or not isinstance(key.value, str) or not key.value:
                raise reader.complaint(key, "in the brackets stands a name in quotes, as in metrics['eval/loss']")
            parts.append(_Part(key.value.encode("utf-8", "backslashreplace").decode(), quoted=True, node=node))
        node = node.value
    return node, parts[::-1]


def _metric(parts: list[_Part]) -> Metric:
    last = parts[-1]
    if len(parts) > 1 and not last.quoted and last.text in STATISTICS:
        return Metric(".".join(part.text for part in parts[:-1]), last.text)
    return Metric(".".join(part.text for part in parts))


def _attribute(reader: Reader, parts: list[_Part]) -> Attribute:
    name = ".".join(part.text for part in parts)
    name = OTHER_NAMES.get(name, name)
    if name in ATTRIBUTES:
        return Attribute(name)
    node = parts[-1].node
    begin = ast.copy_location(ast.Name("x"), node)
    begin.col_offset = (node.end_col_offset or 0) - len(parts[-1].text.encode()) - 2 * parts[-1].quoted
    if parts[0].text in {"params", "metrics", "tags"}:
        raise reader.complaint(begin, f"write {'.'.join(part.text for part in parts)} without run.")
    within = [each for each in ATTRIBUTES if each.startswith(f"{name}.")]
    if within:
        raise reader.complaint(begin, f"run.{name} has no value of its own: there are run.{', run.'.join(within)}")
    hint = did_you_mean(name, (*ATTRIBUTES, *OTHER_NAMES)).replace("mean ", "mean run.")
    known = "" if hint else f"; there are {', '.join(ATTRIBUTES)}"
    raise reader.complaint(begin, f"runs have no attribute {name!r:.60}{hint}{known}")


def unknown_root(node: ast.expr) -> str | None:
    """Return the first word of a name that is in no namespace; None where a value begins with no such name."""
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.BinOp)):
        node = node.left if isinstance(node, ast.BinOp) else node.value
    return node.id if isinstance(node, ast.Name) and node.id not in NAMESPACES else None


def says_field(node: ast.expr) -> bool:
    """Tell whether something is a field that was written with dots."""
    return isinstance(node, ast.Attribute) and unknown_root(node) is None
