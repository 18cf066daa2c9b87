"""The runs that a report is about, and what of them matters most."""

from __future__ import annotations

import difflib
import math
import time
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from tracklib.analysis.compared_params import compare_params
from tracklib.analysis.directions import Directions, read_directions
from tracklib.analysis.search import search_runs
from tracklib.analysis.selecting import value_of
from tracklib.errors import NotFound
from tracklib.reading import open_for_reading, read_together

if TYPE_CHECKING:
    import os

    from tracklib.model import Project
    from tracklib.reading import StoredRun

__all__ = ["Subject", "gather", "is_system"]

MOST_METRICS: Final = 4
"""So many metrics have charts and columns of their own."""


@dataclass(frozen=True, slots=False, kw_only=True)
class Subject:
    """What a report is about.

    Attributes:
        runs: The newest first.
        more: Whether there are more runs than these.
        made_at: When it was looked at, in seconds since the epoch.
        filter: What the runs fit; "" for all.
    """

    project: Project
    store: str
    runs: tuple[StoredRun, ...]
    more: bool
    made_at: float
    filter: str
    directions: Directions

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """The metrics to look at: the project's primary ones, else those whose direction is known, else common ones."""
        counts = Counter(name for run in self.runs for name in run.metrics if not is_system(name))
        primary = [name for name in self.directions.primary if name in counts]
        known = sorted(name for name in counts if self.directions.of(name) is not None)
        common = sorted(counts, key=lambda name: (-counts[name], name))
        return tuple((primary or known or common)[:MOST_METRICS])

    @cached_property
    def params(self) -> dict[str, dict[str, Any]]:
        """The params that differ between the runs, by name: values by run id."""
        return compare_params({run.id: run.params for run in self.runs}).differing

    def ranked(self, metric: str) -> list[tuple[StoredRun, float]]:
        """Return the runs that have a finite value of a metric, the best first; nothing where that is not known."""
        higher = self.directions.of(metric)
        if higher is None:
            return []
        values = [(run, value_of(run, metric)) for run in self.runs]
        known = [(run, value) for run, value in values if value is not None and math.isfinite(value)]
        return sorted(known, key=lambda pair: -pair[1] if higher else pair[1])

    @property
    def experiments(self) -> dict[str, list[StoredRun]]:
        """The runs by the name of their experiment, by the alphabet."""
        groups: dict[str, list[StoredRun]] = {}
        for run in self.runs:
            groups.setdefault(run.experiment, []).append(run)
        return dict(sorted(groups.items()))


def is_system(metric: str) -> bool:
    """Tell whether a metric was sampled of the machine."""
    return metric.startswith("system/")


def gather(project: str, *, filter: str, limit: int, store: str | os.PathLike[str] | None) -> Subject:  # noqa: A002 - as in search_runs
    """Read what a report is about.

    Raises:
        NotFound: There is no such project, or it has no runs that fit.
        ConfigError: The filter cannot be understood.
    """
    with open_for_reading(store) as opened:
        uri = opened.uri
        projects = {each.name: each for each in opened.projects(archived=None)}
    if project not in projects:
        near = difflib.get_close_matches(project, projects, 3)
        hint = (
            f"did you mean {' or '.join(map(repr, near))}?" if near else f"there are: {', '.join(projects) or 'none'}"
        )
        raise NotFound(f"there is no project {project!r}; {hint}")
    found = tuple(search_runs(filter, project=project, limit=limit + 1 if limit else None, store=uri))
    runs = found[:limit] if limit else found
    if not runs:
        raise NotFound(f"the project {project!r} has no runs" + (f" that fit {filter!r}" if filter else " yet"))
    read_together(runs)
    return Subject(
        project=projects[project],
        store=uri,
        runs=runs,
        more=len(found) > len(runs),
        made_at=time.time(),
        filter=filter,
        directions=read_directions(None, metrics=(), places=[(uri, project)]),
    )
