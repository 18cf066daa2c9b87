"""Groups of runs as samples: one number for each run and metric, and what had to be left out."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any, Final

from tracklib.analysis.selecting import stored_runs, value_of
from tracklib.errors import ConfigError, NotFound
from tracklib.values import as_float

if TYPE_CHECKING:
    import os

    from tracklib.analysis.selecting import Statistic
    from tracklib.reading import StoredRun

__all__ = [
    "VALUES",
    "Group",
    "Sample",
    "checked_metrics",
    "named_groups",
    "near_names",
    "read_groups",
    "sample_of",
    "told_by_experiment",
]

VALUES: Final = "value"
"""What stands for the metric's name where plain numbers are compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """What was given as one group.

    Attributes:
        runs: Each once; empty where plain numbers were given.
        numbers: The plain numbers, if that is what was given.
        repeated: How many runs were given more than once.
    """

    name: str
    runs: tuple[StoredRun, ...] = ()
    numbers: tuple[float, ...] | None = None
    repeated: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The values of one metric in one group, one for each run.

    Attributes:
        values: Finite numbers.
        without_metric: How many runs had no such metric.
        not_finite: How many values were NaN or infinite.
        repeated: How many runs were given more than once.
    """

    name: str
    values: tuple[float, ...]
    without_metric: int
    not_finite: int
    repeated: int


def named_groups(a: Any, b: Any) -> dict[str, Any]:
    """Return the groups as they were given by their names; two without names are called a and b.

    Raises:
        ConfigError: It cannot be told which groups are meant.
    """
    if b is not None:
        return {"a": a, "b": b}
    if not isinstance(a, Mapping):
        raise ConfigError(
            "b is missing: give two groups, or a mapping from names to groups, as in "
            "compare_groups({'small': runs, 'large': more_runs}, metric='eval/loss')"
        )
    wrong = next((name for name in a if not isinstance(name, str) or not name), None)
    if wrong is not None:
        raise ConfigError(f"the group name {wrong!r:.200} is no text: write str(name)")
    if len(a) < 2:
        raise ConfigError(f"groups is {list(a)!r:.200}, but takes two groups or more")
    return dict(a)


def read_groups(named: Mapping[str, Any], *, store: str | os.PathLike[str] | None = None) -> list[Group]:
    """Return groups whose runs are known, and which have no run in common.

    Raises:
        ConfigError: A group is neither runs nor numbers, or a run is in two groups.
        NotFound: There is no such run.
    """
    groups = [_group(name, given, store) for name, given in named.items()]
    if len({group.numbers is None for group in groups if group.runs or group.numbers}) > 1:
        raise ConfigError("some groups are of runs and some of numbers: give runs everywhere, or numbers everywhere")
    owners: dict[str, str] = {}
    for group in groups:
        for run in group.runs:
            owner = owners.setdefault(run.id, group.name)
            if owner != group.name:
                raise ConfigError(
                    f"run {run.name!r} ({run.id}) is in the groups {owner!r} and {group.name!r}, which would then be "
                    "like each other for that alone: take it out of one"
                )
    return groups


def checked_metrics(metric: Any, groups: list[Group]) -> list[str]:
    """Return the names of the metrics that are to be compared.

    Raises:
        ConfigError: None is named, or one cannot be meant.
        NotFound: No run has one of them; the message suggests near names.
    """
    if any(group.numbers is not None for group in groups):
        if metric is not None and not isinstance(metric, str):
            raise ConfigError(f"metric is {metric!r:.200}, but numbers are of one metric: give its name, or none")
        return [metric or VALUES]
    names = [metric] if isinstance(metric, str) else list(metric) if isinstance(metric, Iterable) else []
    if not names or not all(isinstance(name, str) and name for name in names):
        raise ConfigError(f"metric is {metric!r:.200}, but takes the name of a metric, or a list of names")
    runs = [run for group in groups for run in group.runs]
    known = {name for run in runs for name in run.metrics}
    for name in names:
        if runs and name not in known:
            raise NotFound(f"no run has a metric {name!r}; {near_names(name, known)}")
    return list(dict.fromkeys(names))


def near_names(name: str, known: Iterable[str]) -> str:
    """Return the end of a message that a name is unknown.

    Example:
        >>> near_names("eval/acuracy", ["eval/accuracy", "eval/loss"])
        'near names: eval/accuracy'
        >>> near_names("x", ["eval/accuracy"])
        'there are: eval/accuracy'
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3)
    return f"near names: {', '.join(near)}" if near else f"there are: {', '.join(names[:10]) or 'none'}"


def sample_of(group: Group, metric: str, statistic: Statistic) -> Sample:
    """Return the values of a metric in a group: the finite ones, and how many were left out and why."""
    if group.numbers is not None:
        given: list[float | None] = list(group.numbers)
    else:
        given = [value_of(run, metric, statistic) for run in group.runs]
    found = [value for value in given if value is not None]
    finite = tuple(value for value in found if math.isfinite(value))
    return Sample(
        name=group.name,
        values=finite,
        without_metric=len(given) - len(found),
        not_finite=len(found) - len(finite),
        repeated=group.repeated,
    )


def _group(name: str, given: Any, store: str | os.PathLike[str] | None) -> Group:
    if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
        raise ConfigError(f"the group {name!r} is {given!r:.200}, but takes several runs, their ids, or numbers")
    items = list(given)
    numeric = [isinstance(item, Real) and not isinstance(item, bool) for item in items]
    if items and all(numeric):
        return Group(name=name, numbers=tuple(as_float(item) for item in items))
    if any(numeric):
        odd = next(item for item, number in zip(items, numeric, strict=True) if not number)
        raise ConfigError(f"the group {name!r} has numbers and {odd!r:.200}: give runs, their ids, or numbers")
    runs = {run.id: run for run in stored_runs(items, store=store)}
    return Group(name=name, runs=tuple(runs.values()), repeated=len(items) - len(runs))


def told_by_experiment(groups: list[Group]) -> list[Group]:
    """Return two groups by the names of their experiments, where each has one of its own."""
    experiments = [{(run.project, run.experiment) for run in group.runs} for group in groups]
    names = [experiment for each in experiments for _, experiment in each]
    if any(len(each) != 1 for each in experiments) or len(set(names)) < len(groups):
        return groups
    return [
        Group(name=name, runs=group.runs, repeated=group.repeated) for name, group in zip(names, groups, strict=True)
    ]
