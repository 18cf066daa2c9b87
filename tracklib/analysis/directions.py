"""Whether larger values of a metric are better: as it was said, never as it was guessed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tracklib.errors import ConfigError, NotFound
from tracklib.stores.base import open_store

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from tracklib.model import ProjectSettings

__all__ = ["SYSTEM", "Directions", "metric_order", "read_directions"]

SYSTEM: Final = "system/"
"""What the names of metrics of the machine begin with."""


@dataclass(frozen=True, slots=True)
class Directions:
    """What is known of metrics before their values are.

    Attributes:
        higher_is_better: By the names of those metrics of which it is known.
        primary: The metrics to look at first.
    """

    higher_is_better: dict[str, bool] = field(default_factory=dict)
    primary: tuple[str, ...] = ()

    def of(self, metric: str) -> bool | None:
        """Return whether larger values are better; None where nobody has said so."""
        return self.higher_is_better.get(metric)

    def needed(self, metric: str, *, projects: Collection[str]) -> bool:
        """Return whether larger values are better.

        Raises:
            ConfigError: Nobody has said so; the message tells how.
        """
        known = self.of(metric)
        if known is None:
            named = ", ".join(sorted(projects)) or "the project"
            raise ConfigError(
                f"whether higher or lower values of {metric!r} are better is not known: give higher_is_better=True or "
                f"False, or keep it in the settings of the project ({named}) with "
                f"`tracklib.set_project(…, settings={{'higher_is_better': {{{metric!r}: True}}}})`"
            )
        return known


def read_directions(
    given: bool | Mapping[str, bool] | None,
    *,
    metrics: Collection[str],
    places: Iterable[tuple[str, str]],
) -> Directions:
    """Return what was given as an argument, over what the settings of projects say.

    Args:
        given: Of the metrics that were asked for by name, or by name.
        metrics: Those that were asked for.
        places: URI of the store and name of the project of all runs. Where projects contradict each other, nothing is
            known.

    Raises:
        ConfigError: `given` cannot be meant.
    """
    said = _checked(given, metrics)
    known: dict[str, bool] = {}
    contradicted = set()
    settings = _settings(places)
    for each in settings:
        for metric, higher in each.higher_is_better.items():
            if known.setdefault(metric, higher) is not higher:
                contradicted.add(metric)
    settled = {metric: higher for metric, higher in known.items() if metric not in contradicted}
    primary = dict.fromkeys(metric for each in settings for metric in each.primary_metrics)
    return Directions({**settled, **said}, tuple(primary))


def metric_order(names: Iterable[str], directions: Directions, *, first: Collection[str] = ()) -> list[str]:
    """Return metrics as one wants to see them: those asked for, primary ones, those with a direction, the machine's.

    Example:
        >>> metric_order(["system/cpu", "loss", "accuracy"], Directions(primary=("loss",)))
        ['loss', 'accuracy', 'system/cpu']
    """
    ranks = {name: rank for rank, name in enumerate(dict.fromkeys([*first, *directions.primary]))}
    return sorted(
        set(names),
        key=lambda name: (ranks.get(name, len(ranks)), name.startswith(SYSTEM), directions.of(name) is None, name),
    )


def _checked(given: Any, metrics: Collection[str]) -> dict[str, bool]:
    if given is None:
        return {}
    if isinstance(given, bool):
        if not metrics:
            raise ConfigError(
                f"higher_is_better is {given}, but no metric is named: name it, or give {{'its name': {given}}}"
            )
        return dict.fromkeys(metrics, given)
    if not isinstance(given, Mapping) or not all(
        isinstance(name, str) and isinstance(higher, bool) for name, higher in given.items()
    ):
        raise ConfigError(
            f"higher_is_better is {given!r:.200}, but takes True, False, or these by the names of metrics"
        )
    return dict(given)


def _settings(places: Iterable[tuple[str, str]]) -> list[ProjectSettings]:
    """Return the settings of projects, in the order in which they are named, with one question to each store."""
    wanted = list(dict.fromkeys(places))
    found: dict[tuple[str, str], ProjectSettings] = {}
    for uri in dict.fromkeys(uri for uri, _ in wanted):
        with open_store(uri) as store:
            try:
                found |= {(uri, project.name): project.settings for project in store.projects(archived=None)}
            except NotFound:  # It was deleted since the runs were read.
                continue
    return [found[place] for place in wanted if place in found]
