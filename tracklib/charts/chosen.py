"""The runs and metrics that a chart is of, checked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from tracklib.analysis.selecting import stored_runs
from tracklib.errors import ConfigError

if TYPE_CHECKING:
    import os

    from tracklib.reading import StoredRun

__all__ = ["chosen_runs", "metric_name", "metric_names"]


def chosen_runs(runs: Iterable[Any], *, store: str | os.PathLike[str] | None = None) -> list[StoredRun]:
    """Return the runs of a chart, each once.

    Raises:
        ConfigError: There are none, or it is no collection of runs.
        NotFound: There is no such run.
    """
    found = {run.id: run for run in stored_runs(runs, store=store)}
    if not found:
        raise ConfigError("there are no runs to draw: the search found none, or the list that was given is empty")
    return list(found.values())


def metric_name(name: Any) -> str:
    """Return the name of a metric.

    Raises:
        ConfigError: It is none.
    """
    if not isinstance(name, str) or not name:
        raise ConfigError(f"metric is {name!r:.200}, but takes the name of a metric")
    return name


def metric_names(names: Any) -> tuple[str, ...]:
    """Return the names of metrics, each once, from one name or several.

    Raises:
        ConfigError: They are none.
    """
    if isinstance(names, str):
        return (metric_name(names),)
    if isinstance(names, bytes) or not hasattr(names, "__iter__"):
        raise ConfigError(f"metrics is {names!r:.200}, but takes the name of a metric or several")
    found = tuple(dict.fromkeys(metric_name(name) for name in names))
    if not found:
        raise ConfigError("metrics is empty, but takes the name of a metric or several")
    return found
