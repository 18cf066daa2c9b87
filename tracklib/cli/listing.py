"""Choosing runs, and the table of them."""

from __future__ import annotations

import json
import math
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from tracklib.cli.formats import NOTHING, list_of_tags, number, short_ids, status_mark, status_style, when
from tracklib.cli.output import Column, styled, table
from tracklib.durations import duration_text
from tracklib.errors import NotFound
from tracklib.model import RunStatus
from tracklib.queries.attributes import ATTRIBUTES, AttributeType
from tracklib.queries.tree import Attribute, Metric

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rich.text import Text

    from tracklib.analysis.run_fields import FieldColumn
    from tracklib.model import Project, RunInfo, Summary
    from tracklib.stores.base import RunQuery, Store

__all__ = ["SYSTEM", "Listing", "list_runs", "print_runs"]

SYSTEM: Final = "system/"
"""What the names of metrics begin with that are sampled unasked."""

MOST_METRICS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Runs and what a table shows of them.

    Attributes:
        summaries: By run id, then by metric name.
        metrics: The metrics to show.
        columns: What to show instead, if it was said.
        cells: The values of these columns, a row for each run.
        hints: What may be misspelt in the question, in sentences.
        higher_is_better: By metric name, where the projects say so and agree.
        more: Whether there are more runs than were asked for.
    """

    runs: tuple[RunInfo, ...] = ()
    summaries: dict[str, dict[str, Summary]] = field(default_factory=dict)
    metrics: tuple[str, ...] = ()
    columns: tuple[FieldColumn, ...] = ()
    cells: tuple[tuple[Any, ...], ...] = ()
    hints: tuple[str, ...] = ()
    higher_is_better: dict[str, bool] = field(default_factory=dict)
    more: bool = False


def list_runs(store: Store, query: RunQuery, *, limit: int, columns: Sequence[FieldColumn] = ()) -> Listing:
    """Read the runs that a query asks for.

    Args:
        query: Its limit and offset do not count.
        limit: How many at the most; 0: all.
        columns: What to show of them, if it was said.

    Raises:
        NotFound: There is no store, or no run has the metric to sort by.
    """
    from tracklib.analysis.field_hints import check_order_names, unknown_names
    from tracklib.reading import live_runs, runs_together

    found = live_runs(store, replace(query, limit=limit + 1 if limit else None, offset=0))
    runs = found[:limit] if limit else found
    summaries = store.summaries([info.id for info in runs])
    stored = runs_together(store, runs)
    check_order_names(store, query, stored)
    projects = [project for project in store.projects(archived=None) if project.name in {run.project for run in runs}]
    if query.order_by != "created":
        _check_metric(query.order_by, summaries)
    return Listing(
        runs=tuple(runs),
        summaries=summaries,
        metrics=_chosen_metrics(_sorted_by(query), projects, summaries),
        columns=tuple(columns),
        cells=tuple(tuple(column.value(run) for column in columns) for run in stored) if columns else (),
        hints=tuple(unknown_names(store, query, stored)),
        higher_is_better=_directions(projects),
        more=len(found) > len(runs),
    )


def _sorted_by(query: RunQuery) -> str:
    """Return the metric that a query sorts by, by its last value, or "created"."""
    if not query.order:
        return query.order_by
    value = query.order[0].value
    return value.name if isinstance(value, Metric) and value.statistic == "last" else "created"


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
    if listing.columns:
        _print_columns(listing, names, indent=indent)
        return
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


def _print_columns(listing: Listing, names: Mapping[str, str], *, indent: int) -> None:
    """Print a table of what was asked for."""
    right = [
        all(value is None or isinstance(value, (int, float)) for value in column)
        for column in zip(*listing.cells, strict=True)
    ]
    columns = [Column(title="id", rank=99)]
    columns += [
        Column(title=column.title, right=is_right, rank=98 - index, least=8)
        for index, (column, is_right) in enumerate(zip(listing.columns, right, strict=True))
    ]
    rows: list[list[str | Text]] = [
        [names[run.id], *(_cell(column, value) for column, value in zip(listing.columns, cells, strict=True))]
        for run, cells in zip(listing.runs, listing.cells, strict=True)
    ]
    table(columns, rows, indent=indent)


def _cell(column: FieldColumn, value: Any) -> Text:
    """Return a value as people read it."""
    if value is None:
        return styled(NOTHING, "dim")
    kind = ATTRIBUTES[column.field.name].type if isinstance(column.field, Attribute) else None
    if kind == AttributeType.TIME or getattr(column.field, "statistic", "") == "last_time":
        return styled(when(value), "")
    if kind == AttributeType.DURATION:
        return styled(duration_text(value), "")
    if isinstance(column.field, Attribute) and column.field.name == "status":
        return styled(status_mark(RunStatus(value)), status_style(RunStatus(value)))
    if isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool)):
        return styled(number(value), "")
    return styled(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str), "")


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
        duration_text(run.duration),
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
