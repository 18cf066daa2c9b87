"""Tests of a column against a literal, as SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tracklib.queries.arithmetic import as_real
from tracklib.stores.param_rows import is_ambiguous

if TYPE_CHECKING:
    from tracklib.queries.tree import Matching
    from tracklib.stores.filter_values import Bindings

__all__ = ["MIRRORED", "as_sql", "matching_test", "number_test", "param_number_test", "param_text_test", "starts_test"]

MIRRORED: Final = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
"""The operators that say the same with the sides exchanged."""

_EXACT: Final = float(1 << 53)
"""From here on a float may stand for several integers."""
_LAST: Final = 0x10FFFF
_SURROGATES: Final = (0xD800, 0xDFFF)


def as_sql(operator: str) -> str:
    """Return an operator as SQL writes it."""
    return "=" if operator == "==" else operator


def number_test(column: str, operator: str, literal: float, bindings: Bindings) -> str:
    """Compare a column of floats (not `!=`), exactly also with an integer that is no float."""
    real = as_real(literal)
    if real == literal:
        return f"{column} {as_sql(operator)} {bindings.bind(real)}"
    if operator == "==":
        return "0"
    # No float lies between the two, so what is at the rounded one is on one side of the integer.
    within = real < literal if operator[0] == "<" else real > literal
    return f"{column} {operator[0]}{'=' if within else ''} {bindings.bind(real)}"


def param_number_test(operator: str, literal: float, bindings: Bindings) -> str:
    """Compare the number of a param (not `!=`); large integers by their digits."""
    real = as_real(literal)
    if abs(real) < _EXACT:
        return number_test("number", operator, literal, bindings)
    other, at = bindings.bind(str(int(literal)) if isinstance(literal, bool) else repr(literal)), bindings.bind(real)
    same = number_test("number", operator, literal, bindings)
    exact = f"CASE type WHEN 'integer' THEN tracklib_order(text, {other}) {as_sql(operator)} 0 ELSE {same} END"
    if operator == "==":
        return f"number = {at} AND {exact}"
    return f"(number {operator[0]} {at} OR (number = {at} AND {exact}))"


def param_text_test(operator: str, literal: str, bindings: Bindings) -> str:
    """Compare the text of a param (not `!=`); an index answers alone where nothing but a text looks like that."""
    test = f"text {as_sql(operator)} {bindings.bind(literal)}"
    return test if operator == "==" and not is_ambiguous(literal) else f"type = 'text' AND {test}"


def starts_test(column: str, start: str, bindings: Bindings) -> str:
    """Test for a beginning, as an interval of what an index is sorted by."""
    test = f"{column} >= {bindings.bind(start)}"
    behind = _behind(start)
    return f"({test} AND {column} < {bindings.bind(behind)})" if behind else f"({test})"


def _behind(start: str) -> str:
    """Return the first text behind all that begin so; empty where there is none."""
    kept = start.rstrip(chr(_LAST))
    if not kept:
        return ""
    following = ord(kept[-1]) + 1
    if following == _SURROGATES[0]:
        following = _SURROGATES[1] + 1
    return kept[:-1] + chr(following)


def matching_test(column: str, matching: Matching, bindings: Bindings) -> str:
    """Test a column of texts as a pattern says."""
    pattern = matching.pattern
    if matching.manner == "startswith":
        return starts_test(column, pattern, bindings)
    if matching.manner == "like" and "_" not in pattern:
        if "%" not in pattern:
            return f"{column} = {bindings.bind(pattern)}"
        if "%" not in pattern.rstrip("%"):
            return starts_test(column, pattern.rstrip("%"), bindings)
    function = "tracklib_ends" if matching.manner == "endswith" else f"tracklib_{matching.manner}"
    return f"{function}({column}, {bindings.bind(pattern)})"
