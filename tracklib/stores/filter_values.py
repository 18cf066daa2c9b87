"""Values of a filter as SQL about the row of `run` that is looked at."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

from tracklib.queries.arithmetic import as_real
from tracklib.queries.attributes import ATTRIBUTES, AttributeType
from tracklib.queries.tree import Attribute, Computed, Constant, Lowered, Metric, Param, Plain, Tag, Value
from tracklib.stores.compact_json import dump
from tracklib.stores.filter_attributes import Lost, attribute_sql

__all__ = ["METRIC_COLUMNS", "Bindings", "Parts", "Values", "json_text"]

METRIC_COLUMNS: Final = {
    "last": "last",
    "min": "min",
    "max": "max",
    "mean": "sum / (count - nan_count)",
    "count": "CAST(count AS REAL)",
    "first_step": "CAST(first_step AS REAL)",
    "last_step": "CAST(last_step AS REAL)",
    "last_time": "last_time",
}
"""SQL about a row of `series`: NULL where it is NaN."""

_NUMBERS: Final = "('boolean', 'integer', 'real')"


class Bindings:
    """The arguments of a statement, by name.

    Attributes:
        values: What is bound to each name.
    """

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self._names: dict[tuple[type, Any], str] = {}

    def bind(self, value: str | float) -> str:
        """Return what stands for a value in the statement."""
        key = (type(value), value)
        if key not in self._names:
            name = f"a{len(self.values)}"
            self._names[key] = f":{name}"
            self.values[name] = value
        return self._names[key]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """SQL for what a value may be. None where it never is.

    Attributes:
        number: The number; NULL for NaN and for what is none.
        text: The text; NULL for what is none.
        document: The JSON of a list or another structure; NULL for what is none.
        missing: Whether nothing is there.
        numberless: Whether no number is there, not even NaN.
    """

    number: str | None = None
    text: str | None = None
    document: str | None = None
    missing: str
    numberless: str


class Values:
    """Makes SQL of values.

    Attributes:
        series: The table with the summaries of metrics.
    """

    def __init__(self, bindings: Bindings, lost: Lost, series: str = "series") -> None:
        self.bindings = bindings
        self.lost = lost
        self.series = series

    def parts(self, value: Value) -> Parts:
        """Return SQL for a value."""
        if isinstance(value, Constant):
            return self._constant(value.value)
        if isinstance(value, Param):
            return self._param(value)
        if isinstance(value, Metric):
            return self._metric(value)
        if isinstance(value, Tag):
            text = f"(SELECT value FROM tag WHERE run_key = run.key AND name = {self.bindings.bind(value.name)})"  # noqa: S608 - values are bound
            return Parts(text=text, missing=f"{text} IS NULL", numberless="1")
        if isinstance(value, Attribute):
            return self._attribute(value)
        return self._lowered(value) if isinstance(value, Lowered) else self._computed(value)

    def _constant(self, value: Plain) -> Parts:
        if value is None:
            return Parts(missing="1", numberless="1")
        if isinstance(value, str):
            return Parts(text=self.bindings.bind(value), missing="0", numberless="1")
        if isinstance(value, tuple):
            return Parts(document=self.bindings.bind(json_text(value)), missing="0", numberless="1")
        return Parts(number=self.bindings.bind(as_real(value)), missing="0", numberless="0")

    def _param(self, param: Param) -> Parts:
        where = f"FROM param WHERE run_key = run.key AND name = {self.bindings.bind(param.name)}"
        return Parts(
            number=f"(SELECT number {where})",
            text=f"(SELECT text {where} AND type = 'text')",
            document=f"(SELECT text {where} AND type = 'json')",
            missing=f"NOT EXISTS (SELECT 1 {where} AND type <> 'null')",
            numberless=f"NOT EXISTS (SELECT 1 {where} AND type IN {_NUMBERS})",
        )

    def _metric(self, metric: Metric) -> Parts:
        where = f"FROM {self.series} WHERE run_key = run.key AND name = {self.bindings.bind(metric.name)} AND count > 0"
        missing = f"NOT EXISTS (SELECT 1 {where})"
        column = METRIC_COLUMNS[metric.statistic]
        return Parts(number=f"(SELECT {column} {where})", missing=missing, numberless=missing)

    def _attribute(self, attribute: Attribute) -> Parts:
        sql = attribute_sql(attribute.name, self.lost, self.bindings)
        missing = f"{sql} IS NULL"
        if ATTRIBUTES[attribute.name].type == AttributeType.TEXT:
            return Parts(text=sql, missing=missing, numberless="1")
        return Parts(number=sql, missing=missing, numberless=missing)

    def _lowered(self, lowered: Lowered) -> Parts:
        inner = self.parts(lowered.value).text
        if inner is None:
            return Parts(missing="1", numberless="1")
        text = f"tracklib_lower({inner})"
        return Parts(text=text, missing=f"{text} IS NULL", numberless="1")

    def _computed(self, computed: Computed) -> Parts:
        operands = [self.parts(operand) for operand in computed.operands]
        if any(operand.number is None for operand in operands):
            return Parts(missing="1", numberless="1")
        numbers = [str(operand.number) for operand in operands]
        missing = f"({' OR '.join(operand.numberless for operand in operands)})"
        number = {
            "negative": f"(-{numbers[0]})",
            "absolute": f"abs({numbers[0]})",
            "**": f"tracklib_power({', '.join(numbers)})",
        }.get(computed.operation, f"({f' {computed.operation} '.join(numbers)})")
        # A power of NaN may be a number, and what is not there is not NaN.
        number = f"iif({missing}, NULL, {number})" if computed.operation == "**" else number
        return Parts(number=number, missing=missing, numberless=missing)


def json_text(value: Plain) -> str:
    """Return a literal as the table of params has it."""
    return dump(_jsonable(value))


def _jsonable(value: Plain) -> Any:
    if isinstance(value, tuple):
        return [_jsonable(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {"$float": repr(value)}
    return value
