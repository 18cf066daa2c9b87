"""The cases of many runs that are searched, drawn and compared, from the outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .environments import ENVIRONMENTS, EnvironmentFailedError
from .processes import ToolFailedError

if TYPE_CHECKING:
    from .driver import Bench
    from .processes import Site

__all__ = ["SEARCHERS", "measure_chart", "measure_compare", "measure_importance", "measure_search"]

SEARCHERS = ("tracklib", "tracklib-file", "trackio", "mlflow", "aim")
"""The tools that can be asked in Python for one run of many."""


def measure_search(bench: Bench, site: Site, *, size: int) -> dict[str, float]:
    plan, asked = bench.plan, bench.plan.searched[size]
    if asked > site.adapter.most_runs:
        raise ToolFailedError("not tried: it takes too long to write so many runs")
    place, runs = bench.prepared(site, "write_searched", cap_s=plan.search_cap_s, runs=asked)
    return place.run("search", runs=runs, asked=asked, asks=plan.asks, cap_s=plan.ask_cap_s)


def measure_chart(bench: Bench, site: Site) -> dict[str, float]:
    plan, points = bench.plan, bench.plan.charted_points
    place, runs = bench.prepared(site, "write_charted", runs=plan.charted, points=points)
    figures = place.run("draw", runs=runs, points=points, buckets=plan.buckets, asked=plan.charted)
    try:
        return figures | _analysed(place, "draw_file", runs=runs, points=points)
    except ToolFailedError as error:
        raise ToolFailedError(str(error), figures) from error


def measure_importance(bench: Bench, site: Site) -> dict[str, float]:
    return _over_all(bench, site, "importance")


def measure_compare(bench: Bench, site: Site) -> dict[str, float]:
    return _over_all(bench, site, "compare")


def _over_all(bench: Bench, site: Site, action: str) -> dict[str, float]:
    if site.adapter.analysis_environment is None:
        raise ToolFailedError("no such thing in Python")
    place, runs = bench.prepared(site, "write_searched", cap_s=bench.plan.search_cap_s, runs=bench.plan.analysed)
    return _analysed(place, action, runs=runs)


def _analysed(place: Site, action: str, **options: int) -> dict[str, float]:
    """Measure in the environment that has what statistics and charts need."""
    own = place.environment
    try:
        if place.adapter.analysis_environment:
            place.environment = place.adapter.analysis_environment
            ENVIRONMENTS[place.environment].ensure()
        return place.run(action, **options)
    except EnvironmentFailedError as error:
        raise ToolFailedError(str(error)) from error
    finally:
        place.environment = own
