"""Choosing runs, and the table of them."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Final

from tracklib.cli.formats import NOTHING, duration, list_of_tags, number, short_ids, status_mark, status_style, when
from tracklib.cli.output import Column, styled, table
from tracklib.errors import NotFound
from tracklib.model import RunStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from rich.text import Text

    from tracklib.model import Project, RunInfo, Summary
    from tracklib.stores.base import RunQuery, Store

__all__ = ["SYSTEM", "Listing", "list_runs", "print_runs"]

SYSTEM: Final = "system/"
"""What the names of metrics begin with that are sampled unasked."""

MOST_METRICS: Final = 4
_PAGE: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Runs and what a table shows of them.

    Attributes:
        summaries: By run id, then by metric name.
        metrics: The metrics to show.
        higher_is_better: By metric name, where the projects say so and agree.
        more: Whether there are more runs than were asked for.
    """

    runs: tuple[RunInfo, ...] = ()
    summaries: dict[str, dict[str, Summary]] = field(default_factory=dict)
    metrics: tuple[str, ...] = ()
    higher_is_better: dict[str, bool] = field(default_factory=dict)
    more: bool = False


def list_runs(store: Store, query: RunQuery, *, limit: int) -> Listing:
    """Read the runs that a query asks for.

    Args:
        query: Its limit and offset do not count.
        limit: How many at the most; 0: all.

    Raises:
        NotFound: There is no store, or no run has the metric to sort by.
    """
    found = list(islice(_live(store, query, limit), limit + 1 if limit else None))
    runs = found[:limit] if limit else found
    summaries = store.summaries([info.id for info in runs])
    projects = [project for project in store.projects(archived=None) if project.name in {run.project for run in runs}]
    if query.order_by != "created":
        _check_metric(query.order_by, summaries)
    return Listing(
        runs=tuple(runs),
        summaries=summaries,
        metrics=_chosen_metrics(query.order_by, projects, summaries),
        higher_is_better=_directions(projects),
        more=len(found) > len(runs),
    )


def _live(store: Store, query: RunQuery, limit: int) -> Iterator[RunInfo]:
    """Yield runs with the status that they have in truth: a run that is said to run may be dead."""
    from tracklib.reading import with_live_status

    wanted = query.status
    stored = (*wanted, RunStatus.RUNNING) if RunStatus.KILLED in wanted else wanted
    size, offset = min(limit + 1, _PAGE) if limit else _PAGE, 0
    while True:
        page = store.runs(replace(query, status=stored, limit=size, offset=offset))
        for info in map(with_live_status, page):
            if not wanted or info.status in wanted:
                yield info
        if len(page) < size:
            return
        offset += size


def _check_metric(name: str, summaries: Mapping[str, Mapping[str, Summary]]) -> None:
    import difflib

    known = {metric for metrics in summaries.values() for metric in metrics}
    if summaries and name not in known:
        near = difflib.get_close_matches(name, known, 3) or sorted(_named_by_users(known))[:5]
        raise NotFound(f"none of these runs has a metric {name!r} to sort by; there are: {', '.join(near) or 'none'}")


def _named_by_users(names: Iterable[str]) -> list[str]:
    return [name for name in names if not name.startswith(SYSTEM)]


def _chosen_metrics(
    sort: str, projects: Sequence[Project], summaries: Mapping[str, Mapping[str, Summary]]
) -> tuple[str, ...]:
    """Return the metric to sort by, then the projects' primary ones, else those that most runs have."""
    counts = Counter(name for metrics in summaries.values() for name in _named_by_users(metrics))
    primary = [name for project in projects for name in project.settings.primary_metrics if name in counts]
    common = sorted(counts, key=lambda name: (-counts[name], name))
    first = [] if sort == "created" or not summaries else [sort]
    return tuple(dict.fromkeys([*first, *(primary or common)]))[:MOST_METRICS]


def _directions(projects: Sequence[Project]) -> dict[str, bool]:
    said: dict[str, set[bool]] = {}
    for project in projects:
        for name, higher in project.settings.higher_is_better.items():
            said.setdefault(name, set()).add(higher)
    return {name: higher.pop() for name, higher in said.items() if len(higher) == 1}


def print_runs(listing: Listing, *, place: str = "project/experiment", whole_ids: bool, indent: int = 0) -> None:
    """Print a table of runs.

    Args:
        place: What the column of the run's place tells: "project/experiment", "experiment", or "" for no such column.
        whole_ids: Whole ids instead of what tells them from each other.
    """
    names = {run.id: run.id for run in listing.runs} if whole_ids else short_ids([run.id for run in listing.runs])
    columns = [
        Column(title="id", rank=9),
        Column(title="name", rank=8, least=12),
        Column(title="status", rank=8),
        Column(title=place, rank=4, least=12),
        Column(title="started", rank=5),
        Column(title="duration", right=True, rank=3),
        *(Column(title=name, right=True, rank=7 - index) for index, name in enumerate(listing.metrics)),
        Column(title="tags", rank=1, least=8),
    ]
    best = {name: _best(listing, name) for name in listing.metrics}
    table(columns, [_row(run, names[run.id], listing, best, place) for run in listing.runs], indent=indent)


def _row(
    run: RunInfo, identity: str, listing: Listing, best: Mapping[str, float | None], place: str
) -> list[str | Text]:
    homes = {"project/experiment": f"{run.project}/{run.experiment}", "experiment": run.experiment}
    summaries = listing.summaries.get(run.id, {})
    return [
        identity,
        styled(run.name, "dim" if run.archived_at else ""),
        styled(status_mark(run.status), status_style(run.status)),
        homes.get(place, ""),
        when(run.start_time or run.created_at),
        duration(run.duration),
        *(_value(summaries.get(name), best[name]) for name in listing.metrics),
        styled(list_of_tags(run.tags), "dim"),
    ]


def _value(summary: Summary | None, best: float | None) -> Text:
    if summary is None:
        return styled(NOTHING, "dim")
    return styled(number(summary.last), "bold green" if summary.last == best else "")


def _best(listing: Listing, name: str) -> float | None:
    """Return the best of the last values, where there are several and it is known which way is better."""
    values = [metrics[name].last for metrics in listing.summaries.values() if name in metrics]
    values = [value for value in values if not math.isnan(value)]
    if name not in listing.higher_is_better or len(values) < 2:
        return None
    return max(values) if listing.higher_is_better[name] else min(values)
