"""The rows of the table of params: what is kept of a value, so that it can be searched for."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tracklib.records import flatten_params
from tracklib.stores.compact_json import dump
from tracklib.values import restore

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping

__all__ = ["ParamRow", "is_ambiguous", "param_row", "param_rows", "set_param_types"]

_PLAIN: Final = """
UPDATE param SET type = CASE WHEN text IN ('true', 'false') THEN 'boolean'
  WHEN text GLOB '*[.eEn]*' THEN 'real' ELSE 'integer' END WHERE number IS NOT NULL
"""
_AMBIGUOUS: Final = "number IS NULL AND (text IN ('null', 'nan') OR text GLOB '[[{0-9-]*')"


class ParamRow(NamedTuple):
    """What the table has of a param beside its run and its name.

    Attributes:
        text: Bare text where it is text, else JSON; `nan`, `inf` and `-inf` are bare too.
        number: The value where it is a number, true and false as 1 and 0; None else, and for NaN. An integer that no
            float reaches is an infinity.
        type: null, boolean, integer, real, text or json.
    """

    text: str
    number: float | None
    type: str


def param_rows(params: Mapping[str, Any]) -> Iterator[tuple[str, ParamRow]]:
    """Yield the rows of nested params by their dotted names."""
    return ((name, param_row(value)) for name, value in flatten_params(params))


def param_row(value: Any) -> ParamRow:
    """Return the row of one value, as JSON keeps it.

    Example:
        >>> param_row(True), param_row("true").type
        (ParamRow(text='true', number=1.0, type='boolean'), 'text')
    """
    if value is None:
        return ParamRow(dump(value), None, "null")
    if isinstance(value, bool):
        return ParamRow(dump(value), float(value), "boolean")
    if isinstance(value, (int, float)):
        return ParamRow(dump(value), _as_real(value), "integer" if isinstance(value, int) else "real")
    number = restore(value)
    if isinstance(number, float):
        return ParamRow(value["$float"], None if math.isnan(number) else number, "real")
    return ParamRow(value, None, "text") if isinstance(value, str) else ParamRow(dump(value), None, "json")


def _as_real(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def is_ambiguous(text: str) -> bool:
    """Tell whether a text of the table may stand for a value that is no text.

    Example:
        >>> is_ambiguous("adam"), is_ambiguous("null"), is_ambiguous("0.5")
        (False, True, True)
    """
    return text in {"null", "true", "false", "nan", "inf", "-inf"} or text[:1] in set("[{-0123456789")


def set_param_types(connection: sqlite3.Connection) -> None:
    """Set the type of all params of a table that has none yet."""
    connection.execute(_PLAIN)
    rows = connection.execute(
        f"SELECT key, params FROM run WHERE key IN (SELECT run_key FROM param WHERE {_AMBIGUOUS})"  # noqa: S608 - our own words
    )
    for run, params in rows.fetchall():
        connection.executemany(
            "UPDATE param SET type = ?, number = ? WHERE run_key = ? AND name = ?",
            ((row.type, row.number, run, name) for name, row in param_rows(json.loads(params))),
        )
