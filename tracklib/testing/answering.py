"""Which runs a query asks for, and in which order, told run by run."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from tracklib.model import RunStatus
from tracklib.testing.evaluating import Facts, holds, in_order

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracklib.model import RunInfo
    from tracklib.stores.base import RunQuery

__all__ = ["answered"]


def answered(runs: Iterable[Facts], query: RunQuery) -> list[RunInfo]:
    """Return the runs that a query asks for, but for its limit and offset, as they are stored."""
    stored = {facts.info.id: facts.info for facts in runs}
    seen = [Facts(_in_truth(facts.info, query), facts.metrics) for facts in runs]
    found = [facts for facts in seen if _meets(facts, query)]
    if query.order:
        found = in_order(found, query.order)
    else:
        found.sort(key=lambda facts: (facts.info.created_at, facts.info.id), reverse=query.descending)
        if query.order_by != "created":
            found = _by_metric(found, query)
    return [stored[facts.info.id] for facts in found]


def _in_truth(info: RunInfo, query: RunQuery) -> RunInfo:
    """Return a run whose processes are said to be gone as killed when it was heard of last."""
    if info.id not in query.lost:
        return info
    reason = info.reason or query.lost_reason
    return replace(info, status=RunStatus.KILLED, reason=reason, end_time=info.heartbeat_at)


def _by_metric(found: list[Facts], query: RunQuery) -> list[Facts]:
    lasts = {
        facts.info.id: summary.last if (summary := facts.metrics.get(query.order_by)) else math.nan for facts in found
    }
    ordered = [facts for facts in found if not math.isnan(lasts[facts.info.id])]
    ordered.sort(key=lambda facts: lasts[facts.info.id], reverse=query.descending)
    return ordered + [facts for facts in found if math.isnan(lasts[facts.info.id])]


def _meets(facts: Facts, query: RunQuery) -> bool:
    info = facts.info
    return (
        all(
            wanted is None or wanted == actual
            for wanted, actual in (
                (query.project, info.project),
                (query.experiment, info.experiment),
                (query.name, info.name),
                (query.parent, info.parent),
            )
        )
        and _is_among(info.id, query.ids)
        and _is_among(info.status, query.status)
        and info.id.startswith(query.id_prefix)
        and query.tags.items() <= info.tags.items()
        and (query.archived is None or query.archived == (info.archived_at is not None))
        and (query.where is None or holds(query.where, facts))
    )


def _is_among(value: str, wanted: Iterable[str]) -> bool:
    return not wanted or value in wanted
