"""Orders of runs as SQL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tracklib.queries.tree import Attribute, Comparison, Constant, Metric, Order, Param, conjuncts
from tracklib.stores.filter_tests import MIRRORED, number_test

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracklib.queries.tree import Plain, Value
    from tracklib.stores.base import RunQuery
    from tracklib.stores.filter_values import Values

__all__ = ["Scan", "Sorting", "orders_of", "scan_of", "sorting_of"]


@dataclass(frozen=True, slots=True)
class Sorting:
    """What runs are sorted by.

    Attributes:
        columns: SQL, each with whether it falls. What is NULL comes last.
        newest_first: How runs are sorted of which the columns say the same.
    """

    columns: tuple[tuple[str, bool], ...]
    newest_first: bool

    @property
    def clause(self) -> str:
        """What stands behind ORDER BY."""
        way = "DESC" if self.newest_first else "ASC"
        terms = [f"{column} {'DESC' if falls else 'ASC'} NULLS LAST" for column, falls in self.columns]
        return ", ".join([*terms, f"run.created_at {way}", f"run.id {way}"])


def orders_of(query: RunQuery) -> tuple[Order, ...]:
    """Return what a query sorts by before the time."""
    if query.order:
        return query.order
    return () if query.order_by == "created" else (Order(Metric(query.order_by), query.descending),)


def sorting_of(query: RunQuery, values: Values) -> Sorting:
    """Return what a query sorts by."""
    columns: list[tuple[str, bool]] = []
    for order in orders_of(query):
        if isinstance(order.value, Constant):
            continue
        parts = values.parts(order.value)
        if parts.number:
            columns.append((parts.number, order.descending))
        if parts.text:
            columns.append((parts.text, order.descending))
    return Sorting(tuple(columns), query.descending or bool(query.order))


@dataclass(frozen=True, slots=True)
class Scan:
    """An index that has runs in the order that is asked for.

    Attributes:
        table: The table, which is called `first`.
        where: SQL about the rows that it has in order.
        key: The column with the run.
        value: The column that is sorted by, which is not NULL there.
        falls: Whether the highest comes first.
        complete: Whether every run is in it.
    """

    table: str
    where: str
    key: str
    value: str
    falls: bool
    complete: bool


def scan_of(query: RunQuery, values: Values) -> Scan | None:
    """Return the index for a query's order; None where there is none."""
    orders = orders_of(query)
    if not orders:
        return Scan("run", "1", "key", "first.created_at", query.descending, complete=True)
    if len(orders) > 1:
        return None
    value, falls = orders[0].value, orders[0].descending
    if value == Attribute("created") and falls:
        return Scan("run", "1", "key", "first.created_at", falls, complete=True)
    if isinstance(value, Metric) and value.statistic == "last":
        table, column = values.series, "first.last"
    elif isinstance(value, Param):
        table, column = "param", "first.number"
    else:
        return None
    within = [f"first.name = {values.bindings.bind(value.name)}", f"{column} IS NOT NULL"]
    within += _limits(query, value, column, values)
    return Scan(table, " AND ".join(within), "run_key", column, falls, complete=False)


def _limits(query: RunQuery, value: Value, column: str, values: Values) -> Iterator[str]:
    """Yield what the filter says of the value that is sorted by, so that the index begins where that holds."""
    for condition in conjuncts(query.where):
        if not isinstance(condition, Comparison):
            continue
        left, right = condition.left, condition.right
        word: str = condition.operator
        if isinstance(left, Constant):
            left, word, right = right, MIRRORED[word], left
        if left == value and word != "!=" and isinstance(right, Constant) and _is_plain(right.value):
            yield number_test(column, word, right.value, values.bindings)  # type: ignore[arg-type] # a number


def _is_plain(value: Plain) -> bool:
    """Tell whether a literal is a number that stands for itself alone among floats."""
    return isinstance(value, (int, float)) and abs(value) < 1 << 53
