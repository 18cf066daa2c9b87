"""`search_runs`: the runs for which an expression holds."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tracklib.analysis.field_hints import check_order_names, unknown_names
from tracklib.analysis.run_table import RunTable
from tracklib.finding import checked_conditions
from tracklib.queries.orders import parse_orders
from tracklib.queries.parser import parse
from tracklib.reading import live_runs, open_for_reading, runs_together

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping

    from tracklib.stores.base import RunQuery, Store

__all__ = ["run_query", "search_runs"]

_log = logging.getLogger("tracklib")


def search_runs(  # noqa: PLR0913 - each is a way to narrow a search down, and most searches need one or two
    filter: str = "",  # noqa: A002 - what it is called in other trackers too, and it filters nothing here
    *,
    project: str | None = None,
    experiment: str | None = None,
    status: str | Iterable[str] | None = None,
    tags: Mapping[str, str] | None = None,
    order_by: str | Iterable[str] | None = None,
    limit: int | None = None,
    offset: int = 0,
    archived: bool | None = False,
    store: str | os.PathLike[str] | None = None,
) -> RunTable:
    """Return the runs for which an expression holds, the newest first or in an order that is given.

    Args:
        filter: A Python expression over `params`, `metrics`, `tags` and `run`, such as
            `params.lr < 1e-2 and metrics['eval/loss'] < 0.5`; empty for all runs.
        project: Only runs of this project.
        experiment: Only runs of experiments of this name.
        status: Only runs with this status, or one of these.
        tags: Only runs with all of these tags.
        order_by: What to sort by, the lowest first: `metrics['eval/loss']`, `-metrics.acc` or `metrics.acc desc`;
            several with commas between them, or as a list. What is missing or NaN comes last.
        limit: How many runs at the most; all by default.
        offset: How many runs to pass over.
        archived: Whether archived runs are meant instead of the others; None for both.
        store: URI of the store; by default the one that runs go to.

    Raises:
        FilterError: The filter or the order cannot be understood; the message points at the place.
        NotFound: There is no store, or no run has the metric to sort by.
        ConfigError: Something else cannot be meant.

    Example:
        >>> for lr in (0.1, 0.01):
        ...     with tracklib.start_run(project="digits", params={"lr": lr}) as run:
        ...         run.log({"loss": lr * 2})
        >>> found = tracklib.search_runs("params.lr <= 0.1 and run.status == 'completed'", order_by="metrics.loss")
        >>> [run.params["lr"] for run in found]
        [0.01, 0.1]
    """
    given = {"project": project, "experiment": experiment, "limit": limit, "offset": offset, "archived": archived}
    query = run_query(filter, order_by=order_by, status=status, tags=tags, **given)
    opened = open_for_reading(store)
    found = RunTable(runs_together(opened, live_runs(opened, query)))
    _warn(opened, query, found)
    return found


def run_query(filter: str, *, order_by: str | Iterable[str] | None = None, **conditions: Any) -> RunQuery:  # noqa: A002 - as above
    """Return a query for the runs for which an expression holds; see `search_runs`.

    Args:
        conditions: The fields of `RunQuery`; None where nothing is asked for.

    Raises:
        FilterError: The filter or the order cannot be understood.
        ConfigError: Something else cannot be meant.
    """
    from tracklib.stores.base import RunQuery

    for name in ("status", "tags"):
        if conditions.get(name) is None:
            conditions.pop(name, None)
    order = () if order_by is None else parse_orders(order_by if isinstance(order_by, str) else _several(order_by))
    return replace(RunQuery(**checked_conditions(conditions)), where=parse(filter), order=order)


def _several(order_by: Any) -> Any:
    return list(order_by) if isinstance(order_by, (set, frozenset)) or hasattr(order_by, "__next__") else order_by


def _warn(store: Store, query: RunQuery, found: RunTable) -> None:
    check_order_names(store, query, found)
    for hint in unknown_names(store, query, found):
        _log.warning("%s", hint)
