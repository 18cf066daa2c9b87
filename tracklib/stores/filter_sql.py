"""Conditions of a filter as SQL about the row of `run` that is looked at.

SQL has three truth values, filters have two: what comes out as NULL here does not hold. Only `Not` must take care.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

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
    Matching,
    Metric,
    Not,
    NumberTest,
    Param,
    Plain,
    Tag,
    Value,
)
from tracklib.stores.filter_attributes import INDEXED
from tracklib.stores.filter_tests import (
    MIRRORED,
    as_sql,
    matching_test,
    number_test,
    param_number_test,
    param_text_test,
)
from tracklib.stores.filter_values import METRIC_COLUMNS, Parts, Values, json_text

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Conditions", "Rows", "joined"]

NEVER: Final = "0"
_CHECKS: Final = {
    "==": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True)
class Rows:
    """A condition that holds where another table has a row of the run.

    Attributes:
        table: Its name; `run` for the run's own row.
        where: SQL about a row of it.
        indexed: Whether an index finds such rows.
    """

    table: str
    where: str
    indexed: bool = False

    @property
    def found(self) -> str:
        """A query for the keys of such runs."""
        key = "key" if self.table == "run" else "run_key"
        return f"SELECT {key} FROM {self.table} WHERE {self.where}"  # noqa: S608 - values are bound

    @property
    def as_set(self) -> str:
        """The condition, where all such runs are found first."""
        # The sign keeps SQLite from beginning with this table where it is not the best one.
        return f"+run.key IN ({self.found})"

    @property
    def as_lookup(self) -> str:
        """The condition, where it is looked up for each run."""
        if self.table == "run":
            return f"EXISTS (SELECT 1 FROM run AS self WHERE self.key = run.key AND {self.where})"  # noqa: S608 - as above
        return f"EXISTS (SELECT 1 FROM {self.table} WHERE run_key = run.key AND {self.where})"  # noqa: S608 - as above


def joined(word: str, parts: list[str]) -> str:
    """Return conditions with AND or OR between them, in a shallow tree: SQLite takes 1,000 levels at the most."""
    if len(parts) <= 1:
        return parts[0] if parts else str(int(word == "AND"))
    middle = len(parts) // 2
    return f"({joined(word, parts[:middle])} {word} {joined(word, parts[middle:])})"


class Conditions:
    """Makes SQL of conditions.

    Args:
        sets: Whether what an index finds is found first for all runs, instead of looked up for each.
    """

    def __init__(self, values: Values, *, sets: bool = False) -> None:
        self._values = values
        self._bindings = values.bindings
        self._sets = sets

    def sql(self, condition: Condition) -> str:
        """Return SQL for a condition."""
        if isinstance(condition, All):
            return joined("AND", [self.sql(part) for part in condition.conditions])
        if isinstance(condition, Anyone):
            return joined("OR", [self.sql(part) for part in condition.conditions])
        if isinstance(condition, Not):
            return f"({self.sql(condition.condition)}) IS NOT TRUE"
        rows = self.rows(condition)
        if rows is not None:
            return rows.as_set if self._sets and rows.indexed else rows.as_lookup
        return self._general(condition)

    def _general(self, condition: Condition) -> str:  # noqa: PLR0911 - one for each kind of condition
        if isinstance(condition, Comparison):
            return self._compared(condition.left, condition.operator, condition.right)
        if isinstance(condition, Among):
            items = (self.sql(Comparison(condition.value, "==", Constant(item))) for item in condition.items)
            return joined("OR", list(items))
        if isinstance(condition, Contains):
            return self._contained(condition)
        parts = self._values.parts(condition.value)  # type: ignore[union-attr] # the others were dealt with
        if isinstance(condition, IsNone):
            return f"({parts.missing})"
        if isinstance(condition, Matching):
            return matching_test(parts.text, condition, self._bindings) if parts.text else NEVER
        if isinstance(condition, NumberTest):
            return _tested(condition, parts)
        return _truth(parts)

    # ---- what a row of another table answers

    def rows(self, condition: Condition) -> Rows | None:
        """Return the rows that answer a condition on one field; None where it takes more."""
        if isinstance(condition, Comparison):
            return self._comparison_rows(condition)
        if isinstance(condition, Among):
            return self._among_rows(condition)
        if isinstance(condition, Matching):
            return self._matching_rows(condition)
        if isinstance(condition, NumberTest) and isinstance(condition.value, Param):
            test = "number IS NULL" if condition.test == "nan" else "abs(number) = 9e999"
            return self._rows(condition.value, f"type = 'real' AND {test}", indexed=False)
        return None

    def _comparison_rows(self, condition: Comparison) -> Rows | None:
        field, word, constant = condition.left, condition.operator, condition.right
        if isinstance(field, Constant):
            field, constant, word = constant, field, MIRRORED[word]  # type: ignore[assignment] # one operator for another
        if not isinstance(constant, Constant) or constant.value is None or word == "!=":
            return None
        test = self._column_test(field, word, constant.value)
        return self._rows(field, test, indexed=word == "==" or isinstance(field, (Param, Metric))) if test else None

    def _column_test(self, field: Value, word: str, value: Plain) -> str | None:
        """Return the test of the field's column against a literal; None where there is no such column."""
        if isinstance(value, (int, float)):
            if isinstance(field, Param):
                return param_number_test(word, value, self._bindings)
            if isinstance(field, Metric):
                return number_test(METRIC_COLUMNS[field.statistic], word, value, self._bindings)
            return None
        if isinstance(value, str):
            return self._text_test(field, word, value)
        if isinstance(field, Param) and word == "==":
            return f"type = 'json' AND text = {self._bindings.bind(json_text(value))}"
        return None

    def _text_test(self, field: Value, word: str, value: str) -> str | None:
        if isinstance(field, Param):
            return param_text_test(word, value, self._bindings)
        column = self._column(field)
        return f"{column} {as_sql(word)} {self._bindings.bind(value)}" if column else None

    def _column(self, field: Value) -> str | None:
        """Return the column with the text of a tag, or of an attribute that has an index."""
        if isinstance(field, Tag):
            return "value"
        is_known = isinstance(field, Attribute) and (field.name != "status" or not self._values.lost.ids)
        # What is empty counts as missing, which a column of such texts does not say.
        return INDEXED.get(field.name) if is_known and isinstance(field, Attribute) else None

    def _rows(self, field: Value, test: str, *, indexed: bool) -> Rows:
        if isinstance(field, Attribute):
            return Rows("run", f"({test}) AND {INDEXED[field.name]} <> ''", indexed)
        name = self._bindings.bind(field.name)  # type: ignore[union-attr] # of a param, metric or tag
        if isinstance(field, Metric):
            indexed = indexed and field.statistic == "last"
            return Rows(self._values.series, f"name = {name} AND {test} AND count > 0", indexed)
        return Rows("param" if isinstance(field, Param) else "tag", f"name = {name} AND {test}", indexed)

    def _among_rows(self, condition: Among) -> Rows | None:
        """Return the rows for texts, of which there may be many."""
        texts = [item for item in condition.items if isinstance(item, str)]
        if len(texts) < len(condition.items) or not texts:
            return None
        marks = ", ".join(map(self._bindings.bind, texts))
        if isinstance(condition.value, Param):
            return self._rows(condition.value, f"type = 'text' AND text IN ({marks})", indexed=True)
        column = self._column(condition.value)
        return self._rows(condition.value, f"{column} IN ({marks})", indexed=True) if column else None

    def _matching_rows(self, condition: Matching) -> Rows | None:
        is_param = isinstance(condition.value, Param)
        column = "text" if is_param else self._column(condition.value)
        if column is None:
            return None
        test = matching_test(column, condition, self._bindings)
        indexed = not test.startswith("tracklib_")
        return self._rows(condition.value, f"type = 'text' AND {test}" if is_param else test, indexed=indexed)

    # ---- what takes more

    def _compared(self, left: Value, word: str, right: Value) -> str:
        if word == "!=":
            return f"({self.sql(Comparison(left, '==', right))}) IS NOT TRUE"
        if isinstance(left, Constant) and isinstance(right, Constant):
            return str(int(_holds(left.value, word, right.value)))
        if isinstance(left, Constant):
            left, right, word = right, left, MIRRORED[word]
        ours = self._values.parts(left)
        if isinstance(right, Constant) and isinstance(right.value, (int, float)):
            return number_test(ours.number, word, right.value, self._bindings) if ours.number else NEVER
        return _alike(ours, word, self._values.parts(right))

    def _contained(self, condition: Contains) -> str:
        part, whole = condition.part, condition.whole
        text = self._values.parts(whole).text
        tests = [f"instr({text}, {self._bindings.bind(part)}) > 0"] if isinstance(part, str) and text else []
        if isinstance(whole, Param):
            document = self._values.parts(whole).document
            items = f"json_each(iif(substr({document}, 1, 1) = '[', {document}, '[]')) AS item"
            tests.append(f"EXISTS (SELECT 1 FROM {items} WHERE {self._item_test(part)})")  # noqa: S608 - values are bound
        return joined("OR", tests)

    def _item_test(self, part: Plain) -> str:
        """Test an item of a list of JSON, a row of `json_each`."""
        if part is None:
            return "item.type = 'null'"
        if isinstance(part, str):
            return f"item.type = 'text' AND item.value = {self._bindings.bind(part)}"
        if part in {float("inf"), float("-inf")}:
            return f"item.type = 'object' AND item.value = {self._bindings.bind(json_text(part))}"
        types = "('integer', 'real', 'true', 'false')"
        return f"item.type IN {types} AND {number_test('CAST(item.value AS REAL)', '==', part, self._bindings)}"  # type: ignore[arg-type] # as above


def _alike(ours: Parts, word: str, theirs: Parts) -> str:
    """Compare two values of which each may be of several kinds."""
    pairs = [(ours.number, theirs.number), (ours.text, theirs.text)]
    if word == "==":
        pairs.append((ours.document, theirs.document))
    tests = [f"{mine} {as_sql(word)} {other}" for mine, other in pairs if mine and other]
    if word == "==":
        tests.append(f"({ours.missing} AND {theirs.missing})")
    return joined("OR", tests)


def _tested(condition: NumberTest, parts: Parts) -> str:
    if parts.number is None:
        return NEVER
    if condition.test == "inf":
        return f"abs({parts.number}) = 9e999"
    return f"({parts.number} IS NULL AND NOT ({parts.numberless}))"


def _truth(parts: Parts) -> str:
    tests: list[str] = []
    if parts.number is not None:
        # NULL where a number is, is NaN, which Python calls true.
        tests += [f"{parts.number} <> 0", f"({parts.number} IS NULL AND NOT ({parts.numberless}))"]
    if parts.text is not None:
        tests.append(f"{parts.text} <> ''")
    if parts.document is not None:
        tests.append(f"{parts.document} NOT IN ('[]', '{{}}')")
    return joined("OR", tests)


def _holds(left: Any, word: str, right: Any) -> bool:
    """Compare two literals."""
    kinds: Iterable[type | tuple[type, ...]] = ((int, float), str)
    if any(isinstance(left, kind) and isinstance(right, kind) for kind in kinds):
        return bool(_CHECKS[word](left, right))
    if word != "==":
        return False
    both_lists = isinstance(left, tuple) and isinstance(right, tuple)
    return json_text(left) == json_text(right) if both_lists else left is None and right is None
