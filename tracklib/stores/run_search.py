"""Finding the runs that a query asks for, in its order, without looking at more of them than need be.

There are three ways, and each is quick where the others are slow:

- Where a condition finds few runs by an index, these are looked at and sorted.
- Where an index has runs in the order that is asked for, and many of them fit, the first ones are soon found.
- Else each condition that has an index finds all of its runs, and what is in all of these sets is sorted.

SQLite knows too little of the values to choose, so a look at some entries of each index decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tracklib.queries.tree import Anyone, Comparison, Condition, Constant, Metric, conjuncts, fields_in
from tracklib.stores.base import RunTime
from tracklib.stores.filter_attributes import Lost
from tracklib.stores.filter_functions import register
from tracklib.stores.filter_sql import Conditions, Rows, joined
from tracklib.stores.filter_values import Bindings, Values
from tracklib.stores.fresh_sums import FRESH, put_fresh_sums
from tracklib.stores.run_conditions import query_conditions
from tracklib.stores.run_orders import Scan, Sorting, orders_of, scan_of, sorting_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

    from tracklib.queries.tree import Value
    from tracklib.stores.base import RunQuery

__all__ = ["find_runs", "find_times"]

FEW: Final = 3_000
"""So many runs are looked at and sorted without more ado."""
FIRST: Final = 2_000
"""So many runs in their order are looked at in the hope that enough of them fit."""


def find_runs(connection: sqlite3.Connection, query: RunQuery) -> list[int]:
    """Return the keys of the runs that a query asks for, in its order."""
    register(connection)
    if query.limit == 0:
        return []
    searches = _searches(connection, query)
    wanted = None if query.limit is None else query.offset + query.limit
    if len(searches) == 1:
        found = [row[0] for row in searches[0].rows(wanted)]
    else:
        found = _merged([row for search in searches for row in search.rows(wanted)], searches[0].sorting)
    return found[query.offset : wanted]


def find_times(connection: sqlite3.Connection, query: RunQuery) -> list[RunTime]:
    """Return when each run that a query asks for was made, and its status; order and limit do not count."""
    register(connection)
    return [RunTime(*row) for search in _searches(connection, query) for row in search.times()]


def _searches(connection: sqlite3.Connection, query: RunQuery) -> list[_Search]:
    """Return the search, or two where the table of series does not have all that some runs have logged."""
    is_about_metrics = any(
        isinstance(field, Metric) for part in (query.where, *orders_of(query)) if part for field in fields_in(part)
    )
    if not is_about_metrics or not put_fresh_sums(connection):
        return [_Search(connection, query, "series", "")]
    fresh = f"(SELECT run_key FROM {FRESH})"  # noqa: S608 - our own name
    return [
        _Search(connection, query, "series", f"run.key NOT IN {fresh}"),
        _Search(connection, query, FRESH, f"run.key IN {fresh}"),
    ]


def _merged(rows: list[Sequence[Any]], sorting: Sorting) -> list[int]:
    """Return the keys of rows that were sorted apart: of key, id, time and the columns of their order."""
    rows.sort(key=lambda row: (row[2], row[1]), reverse=sorting.newest_first)
    for index, (_, falls) in reversed([*enumerate(sorting.columns, 3)]):
        # What is missing comes last either way.
        there = [row for row in rows if row[index] is not None]
        there.sort(key=lambda row: row[index], reverse=falls)
        rows = [*there, *(row for row in rows if row[index] is None)]
    return [row[0] for row in rows]


@dataclass(frozen=True, slots=True)
class _Part:
    """A condition that all runs must meet: SQL for when it is looked up, and for when its runs are found first."""

    lookup: str
    as_set: str
    rows: tuple[Rows, ...] = ()


class _Search:
    """A query on the runs of whose metrics one table knows everything."""

    def __init__(self, connection: sqlite3.Connection, query: RunQuery, series: str, restriction: str) -> None:
        self._connection = connection
        self._query = query
        self._bindings = Bindings()
        self._values = Values(self._bindings, Lost(query.lost, query.lost_reason), series)
        self._parts = [*self._restriction(restriction), *self._filter(), *self._fields()]
        self.sorting = sorting_of(query, self._values)

    def _restriction(self, sql: str) -> Iterator[_Part]:
        if sql:
            yield _Part(sql, sql)

    def _fields(self) -> Iterator[_Part]:
        for each in query_conditions(self._query, self._values):
            if isinstance(each, Rows):
                yield _Part(each.as_lookup, each.as_set, (each,))
            else:
                yield _Part(each, each)

    def _filter(self) -> Iterator[_Part]:
        where = self._query.where
        if where is None:
            return
        looking, finding = Conditions(self._values), Conditions(self._values, sets=True)
        within: dict[Value, list[Rows]] = {}
        for condition in conjuncts(where):
            rows = looking.rows(condition)
            if isinstance(condition, Comparison) and rows is not None and rows.indexed:
                # What is said of one field narrows it down together, as in `0.1 < params.lr < 0.2`.
                field = condition.right if isinstance(condition.left, Constant) else condition.left
                within.setdefault(field, []).append(rows)
                continue
            yield _Part(looking.sql(condition), finding.sql(condition), tuple(_found(looking, condition)))

        for several in within.values():
            rows = Rows(several[0].table, " AND ".join(each.where for each in several), indexed=True)
            yield _Part(rows.as_lookup, rows.as_set, (rows,))

    # ---- the ways

    def rows(self, wanted: int | None) -> list[Sequence[Any]]:
        """Return key, id, time and the columns of the order of the first runs that fit; all of them by default."""
        few = self._few()
        if few is not None:
            # What finds few runs is found first; the rest is looked up for these.
            others = [part.lookup for part in self._parts if part is not few]
            driven = joined("OR", [f"run.key IN ({rows.found})" for rows in few.rows])
            return self._sorted([driven, *others], wanted)
        scan = scan_of(self._query, self._values)
        if wanted is not None and scan is not None:
            lookups, sets = [part.lookup for part in self._parts], [part.as_set for part in self._parts]
            found = self._among_first(scan, lookups, wanted) or self._scanned(scan, sets, wanted)
            if found is not None:
                return found
        return self._sorted([part.as_set for part in self._parts], wanted)

    def times(self) -> list[tuple[float, str]]:
        """Return when each run that fits was made, and its status."""
        status = self._values.lost.sql("status", self._bindings)
        where = joined("AND", [part.as_set for part in self._parts])
        rows = self._connection.execute(
            f"SELECT run.created_at, {status} FROM run WHERE {where}",  # noqa: S608 - values are bound
            self._bindings.values,
        )
        return rows.fetchall()

    def _few(self) -> _Part | None:
        """Return the condition that finds the fewest runs by an index, if it finds few."""
        best, least = None, FEW + 1
        for part in self._parts:
            if not part.rows:
                continue
            count = 0
            for rows in part.rows:
                probe = f"SELECT count(*) FROM ({rows.found} LIMIT {least})"  # noqa: S608 - as above
                count += self._connection.execute(probe, self._bindings.values).fetchone()[0]
            if count < least:
                best, least = part, count
            if not least:
                break
        return best

    def _sorted(self, conditions: list[str], wanted: int | None) -> list[Sequence[Any]]:
        limit = "" if wanted is None else f" LIMIT {wanted}"
        columns = [column for column, _ in self.sorting.columns]
        return self._select("run", conditions, columns, f"{self.sorting.clause}{limit}")

    def _among_first(self, scan: Scan, conditions: list[str], wanted: int) -> list[Sequence[Any]] | None:
        """Look at the first runs in their order; None where too few of them fit."""
        way = "DESC" if scan.falls else "ASC"
        edge = self._connection.execute(
            f"SELECT {scan.value} FROM {scan.table} AS first WHERE {scan.where} ORDER BY {scan.value} {way}"  # noqa: S608 - as above
            f" LIMIT 1 OFFSET {FIRST}",
            self._bindings.values,
        ).fetchone()
        if edge:
            # Of several that have the value at the edge, some would be left out.
            conditions = [f"{scan.value} {'>' if scan.falls else '<'} {self._bindings.bind(edge[0])}", *conditions]
        found = self._in_order(scan, conditions, wanted)
        return found if len(found) >= wanted or (edge is None and scan.complete) else None

    def _scanned(self, scan: Scan, conditions: list[str], wanted: int) -> list[Sequence[Any]] | None:
        """Look at runs in their order until enough are found; None where too few have the value."""
        found = self._in_order(scan, conditions, wanted)
        return found if len(found) >= wanted or scan.complete else None

    def _in_order(self, scan: Scan, conditions: list[str], wanted: int) -> list[Sequence[Any]]:
        way = "DESC" if scan.falls else "ASC"
        newest = "DESC" if self.sorting.newest_first else "ASC"
        # CROSS JOIN makes SQLite go through the index; what has one value is sorted by the way.
        return self._select(
            f"{scan.table} AS first CROSS JOIN run ON run.key = first.{scan.key}",
            [scan.where, *conditions],
            # What is sorted by besides does not matter where this is a number.
            [scan.value, *["NULL"] * (len(self.sorting.columns) - 1)],
            f"{scan.value} {way}, run.created_at {newest}, run.id {newest} LIMIT {wanted}",
        )

    def _select(self, source: str, conditions: list[str], columns: list[str], order: str) -> list[Sequence[Any]]:
        chosen = ", ".join(["run.key", "run.id", "run.created_at", *columns])
        cursor = self._connection.execute(
            f"SELECT {chosen} FROM {source} WHERE {joined('AND', conditions)} ORDER BY {order}",  # noqa: S608 - as above
            self._bindings.values,
        )
        return cursor.fetchall()


def _found(conditions: Conditions, condition: Condition) -> list[Rows]:
    """Return the rows by which an index finds all runs that meet a condition; empty where none does."""
    parts = condition.conditions if isinstance(condition, Anyone) else (condition,)
    rows = [each for part in parts if (each := conditions.rows(part)) is not None and each.indexed]
    return rows if len(rows) == len(parts) else []
