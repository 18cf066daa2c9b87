"""The runs and values that an analysis is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from tracklib.errors import ConfigError
from tracklib.reading import StoredRun, get_run, list_runs, read_together
from tracklib.records import is_id

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from tracklib.model import Summary

__all__ = ["STATISTICS", "Statistic", "checked_statistic", "stored_runs", "value_of"]

Statistic = Literal["last", "min", "max", "mean", "count"]
"""Which number of a metric's summary stands for the metric."""

STATISTICS: Final[tuple[str, ...]] = get_args(Statistic)


def stored_runs(runs: Iterable[Any], *, store: str | os.PathLike[str] | None = None) -> list[StoredRun]:
    """Return runs to read from runs as they were given: stored ones, running ones, or their ids and names.

    Args:
        store: URI of the store for those that are looked up; by default the one that runs go to.

    Raises:
        ConfigError: It is no collection of runs.
        NotFound: There is no such run.
    """
    if isinstance(runs, (str, bytes)) or not hasattr(runs, "__iter__"):
        raise ConfigError(f"runs is {runs!r:.200}, but takes several runs: what search_runs gives, or a list of them")
    given = list(runs)
    listed = _listed(given, store)
    found = [
        run if isinstance(run, StoredRun) else listed.get(_id_of(run)) or get_run(run, store=store) for run in given
    ]
    read_together(found)
    return found


def _listed(runs: list[Any], store: str | os.PathLike[str] | None) -> dict[str, StoredRun]:
    """Return by their ids those runs that are told by whole ids, read with one question where there are several."""
    ids = {name for run in runs if not isinstance(run, StoredRun) and is_id(name := _id_of(run))}
    if len(ids) < 2:
        return {}
    return {run.id: run for run in list_runs(ids=tuple(ids), archived=None, store=store)}


def _id_of(run: Any) -> str:
    """Return the id of a run, or the text that was given for one; "" where it is neither."""
    name = getattr(run, "id", run)
    return name if isinstance(name, str) else ""


def checked_statistic(statistic: Any) -> Statistic:
    """Return which number of a summary is meant.

    Raises:
        ConfigError: There is no such number.
    """
    if statistic not in STATISTICS:
        raise ConfigError(f"statistic is {statistic!r:.200}, but takes one of {', '.join(STATISTICS)}")
    chosen: Statistic = statistic
    return chosen


def value_of(run: StoredRun, metric: str, statistic: Statistic = "last") -> float | None:
    """Return a metric's value of a run, which may be NaN; None where the run has no such metric."""
    summary: Summary | None = run.metrics.get(metric)
    return None if summary is None else float(getattr(summary, statistic))
