"""The plain fields of a query as SQL."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tracklib.stores.filter_sql import Rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracklib.stores.base import RunQuery
    from tracklib.stores.filter_values import Bindings, Values

__all__ = ["query_conditions"]


def query_conditions(query: RunQuery, values: Values) -> Iterator[Rows | str]:  # noqa: C901 - one turn for each field
    """Yield what the fields of a query other than its filter ask for, as rows that an index finds or as SQL."""
    bind = values.bindings.bind
    if query.project is not None or query.experiment is not None:
        yield Rows("run", f"experiment_id IN ({_experiments(query, values.bindings)})", indexed=True)
    for column, value in (("name", query.name), ("parent", query.parent)):
        if value is not None:
            yield Rows("run", f"{column} = {bind(value)}", indexed=True)
    if query.id_prefix:
        test = f"id >= {bind(query.id_prefix)} AND id < {bind(query.id_prefix + chr(0x7F))}"
        yield Rows("run", test, indexed=True)
    if query.ids:
        yield Rows("run", f"id IN {_listed(query.ids, values.bindings)}", indexed=True)
    if query.status:
        yield from _status(query, values)
    for name, content in query.tags.items():
        yield Rows("tag", f"name = {bind(name)} AND value = {bind(content)}", indexed=True)
    if query.archived is not None:
        yield f"run.archived_at IS {'NOT ' if query.archived else ''}NULL"


def _experiments(query: RunQuery, bindings: Bindings) -> str:
    sql = "SELECT experiment.id FROM experiment"
    tests = []
    if query.project is not None:
        sql += " JOIN project ON project.id = experiment.project_id"
        tests.append(f"project.name = {bindings.bind(query.project)}")
    if query.experiment is not None:
        tests.append(f"experiment.name = {bindings.bind(query.experiment)}")
    return f"{sql} WHERE {' AND '.join(tests)}"


def _status(query: RunQuery, values: Values) -> Iterator[Rows | str]:
    listed = _listed(tuple(query.status), values.bindings)
    if values.lost.ids:
        yield f"{values.lost.sql('status', values.bindings)} IN {listed}"
    else:
        yield Rows("run", f"status IN {listed}", indexed=True)


def _listed(texts: tuple[str, ...], bindings: Bindings) -> str:
    # As one argument: SQLite takes some thousands at the most.
    return f"(SELECT value FROM json_each({bindings.bind(json.dumps(texts))}))"  # noqa: S608 - values are bound
