"""What is measured: the rows of the table."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from . import driver, keeping, searching
from .adapters import adapter_class

if TYPE_CHECKING:
    from collections.abc import Callable

    from .processes import Site

__all__ = ["CASES", "Case", "Figure"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A row of the table.

    Attributes:
        key: Its name among the figures of its case.
        title: What it is; may name fields of the plan.
        goal: What tracklib must reach; may name fields of the plan.
        requests: Where requests were counted for it, what their figures are called before the dot.
        total: Whether it grows with the work done, so that it is extrapolated where a tool was stopped.
        ratio: Whether it says something how many times tracklib's it is: not where that may be nothing at all.
    """

    key: str
    title: str
    unit: str
    goal: str = ""
    requests: str = ""
    total: bool = False
    ratio: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Figures that are taken together.

    Attributes:
        measure: Takes them once. With `done` below `asked` among them, totals are extrapolated.
        tools: The only ones that are asked, in a table of their own; empty for all.
        stores: Whether it makes sense only where something is stored.
        repeats: Whether it is done in each repeat, or just once.
        together: Whether all tools do it at the same time, since no time is measured.
    """

    name: str
    figures: tuple[Figure, ...]
    measure: Callable[[driver.Bench, Site], dict[str, float]]
    tools: tuple[str, ...] = ()
    stores: bool = False
    repeats: bool = True
    together: bool = False

    def asks(self, tool: str) -> bool:
        """Tell whether the case is about a tool."""
        return tool in self.tools if self.tools else adapter_class(tool).everywhere


def _call_case(scalars: int, goal: str) -> Case:
    noun = "scalar" if scalars == 1 else "scalars"
    figures = (
        Figure(key="median_us", title=f"log of {scalars:,} {noun}, median", unit="µs", goal=goal),
        Figure(key="mean_us", title=f"log of {scalars:,} {noun}, mean", unit="µs"),
        Figure(key="p99_us", title=f"log of {scalars:,} {noun}, p99", unit="µs"),
    )
    return Case(name=f"call-{scalars}", figures=figures, measure=partial(driver.measure_calls, scalars=scalars))


def _loop_case(framework: str, title: str) -> Case:
    figures = (
        Figure(key="added_ms", title=f"{title}: added per step", unit="ms", goal="below the noise", ratio=False),
        Figure(key="noise_ms", title="… the same without a logger, twice (noise of the loop)", unit="ms", ratio=False),
        Figure(key="step_ms", title="… a step without a logger", unit="ms", ratio=False),
    )
    measure = partial(driver.measure_loop, framework=framework)
    return Case(name=f"loop-{framework}", figures=figures, measure=measure)


def _catalog_case(size: int, goals: tuple[str, str, str, str]) -> Case:
    runs = f"{{plan.catalogs[{size}]:,}} runs in the store"
    titles = (f"{runs}: a first look, without a snapshot", "… with a snapshot", "… again", "… again, one run more")
    figures = [
        Figure(key=f"{situation}_s", title=title, unit="s", goal=goal, requests=situation)
        for situation, title, goal in zip(("first", "snapshot", "again", "more"), titles, goals, strict=True)
    ]
    return Case(
        name=f"catalog-{size}",
        figures=tuple(figures),
        measure=partial(driver.measure_catalog, size=size),
        tools=driver.OWN,
        stores=True,
    )


def _checkpoint_case(kind: str, writer: str) -> Case:
    checkpoints = f"{{plan.checkpoints}} checkpoints of {{plan.checkpoint_mb:.3g}} MB, {writer}"
    figures = (
        Figure(key="median_s", title=f"{checkpoints}: a call, median", unit="s"),
        Figure(key="worst_s", title="… the longest call", unit="s"),
        Figure(key="stored_s", title="… all calls and the end of the run", unit="s"),
        Figure(key="cpu_s", title="… process CPU", unit="s"),
        Figure(key="memory_mb", title="… peak memory over bare Python", unit="MB"),
        Figure(
            key="kept_mb",
            title="… kept of {plan.logged_mb:,.0f} MB, of which {plan.distinct_mb:,.0f} differ",
            unit="MB",
            goal="≤ {plan.distinct_mb:,.0f} + 3 %",
        ),
        Figure(key="fetched_s", title="… the last one fetched, byte for byte the same", unit="s"),
    )
    measure = partial(keeping.measure_checkpoints, kind=kind)
    return Case(name=f"checkpoints-{kind}", figures=figures, measure=measure, tools=keeping.KEEPERS, stores=True)


def _search_case(size: int, goal: str) -> Case:
    runs = f"{{plan.searched[{size}]:,}} runs"
    titles = {
        "first": f"{runs}: lr < 0.01, the 20 best by a metric, asked for the first time",
        "filtered": "… again",
        "sweep": "… of 50 runs with one value of a param",
        "rare": "… of some 50 runs with a param in a narrow range",
        "mixed": "… by two params and two metrics, with `and` and `or`",
    }
    figures = [
        Figure(key=f"{key}_ms", title=title, unit="ms", goal="" if key == "first" else goal, total=True)
        for key, title in titles.items()
    ]
    return Case(
        name=f"search-{size}",
        figures=tuple(figures),
        measure=partial(searching.measure_search, size=size),
        tools=searching.SEARCHERS,
        stores=True,
        repeats=False,
    )


def _over_all_case(name: str, title: str, measure: Callable[[driver.Bench, Site], dict[str, float]]) -> Case:
    figures = (
        Figure(key=f"{name}_first_s", title=f"{title}, the first time", unit="s"),
        Figure(key=f"{name}_again_s", title="… again", unit="s"),
    )
    return Case(name=name, figures=figures, measure=measure, tools=searching.SEARCHERS, stores=True)


CASES = {
    case.name: case
    for case in (
        _call_case(1, "≤ 1; Trackio ≥ 5x"),
        _call_case(10, "≤ list; Trackio ≥ 10x"),
        _call_case(1_000, "≤ half of list; Trackio ≥ 10x"),
        Case(
            name="paced",
            figures=(
                Figure(key="median_us", title="paced call (200/s, 10 scalars), median", unit="µs"),
                Figure(key="p99_us", title="paced call, p99", unit="µs"),
                Figure(key="p999_us", title="paced call, p99.9", unit="µs", goal="≤ 200"),
            ),
            measure=driver.measure_paced,
        ),
        Case(
            name="kill",
            figures=(
                Figure(
                    key="lost", title="points lost of {plan.kill_scalars:,} after SIGKILL, paced", unit="", goal="0"
                ),
                Figure(key="burst_lost", title="… logged as fast as it goes", unit="", goal="0"),
            ),
            measure=driver.measure_kill,
            stores=True,
        ),
        Case(
            name="ingest",
            figures=(
                Figure(
                    key="seconds",
                    title="{plan.ingest_scalars:,} scalars to durable",
                    unit="s",
                    goal="≤ 0.6",
                    total=True,
                ),
                Figure(key="cpu_s", title="… process CPU", unit="s", goal="≤ 0.6", total=True),
                Figure(key="memory_mb", title="… peak memory over bare Python", unit="MB", goal="≤ 40"),
                Figure(key="bytes", title="… bytes at rest per scalar", unit="B", goal="≤ 6"),
            ),
            measure=driver.measure_ingest,
        ),
        Case(
            name="written",
            figures=(
                Figure(
                    key="bytes",
                    title="bytes written per scalar, 1,000 series at 1/s for {plan.written_s} s",
                    unit="B",
                    goal="≤ 60",
                ),
            ),
            measure=driver.measure_written,
            stores=True,
            repeats=False,
            together=True,
        ),
        Case(
            name="import",
            figures=(Figure(key="ms", title="import, over bare Python", unit="ms", goal="≤ 60"),),
            measure=driver.measure_import_time,
        ),
        Case(
            name="start",
            figures=(
                Figure(key="ms", title="start of a run, capture on", unit="ms", goal="≤ 30"),
                Figure(key="new_ms", title="… in a store that does not exist yet", unit="ms"),
            ),
            measure=driver.measure_start,
        ),
        Case(
            name="series",
            figures=(
                Figure(key="ms", title="read {plan.points:,} points of a series", unit="ms", goal="≤ 50", total=True),
                Figure(key="bytes", title="… bytes at rest per point", unit="B"),
            ),
            measure=driver.measure_series,
            stores=True,
        ),
        Case(
            name="top",
            figures=(
                Figure(
                    key="ms",
                    title="top 20 of {plan.runs:,} runs by a metric, filtered by a param",
                    unit="ms",
                    goal="≤ 20 of 10,000",
                    total=True,
                ),
            ),
            measure=driver.measure_top,
            stores=True,
        ),
        Case(
            name="many",
            figures=(
                Figure(
                    key="seconds",
                    title="{plan.processes} processes into one new store",
                    unit="s",
                    goal="≤ 1",
                    total=True,
                ),
                Figure(key="lost", title="… points lost", unit="", goal="0"),
            ),
            measure=driver.measure_many,
            stores=True,
        ),
        _loop_case("transformers", "HF Trainer"),
        _loop_case("lightning", "Lightning"),
        Case(
            name="slow",
            figures=(
                Figure(key="median_us", title="paced call, line of 50 kB/s and 200 ms: median", unit="µs"),
                Figure(key="p99_us", title="… p99", unit="µs"),
                Figure(key="p999_us", title="… p99.9", unit="µs", goal="≤ 200"),
            ),
            measure=driver.measure_slow,
            tools=driver.OWN,
        ),
        Case(
            name="network",
            figures=(
                Figure(key="bytes", title="bytes sent per scalar, 1,000 series at 1/s", unit="B"),
                Figure(key="requests", title="… requests per hour", unit=""),
            ),
            measure=driver.measure_network,
            tools=driver.OWN,
            repeats=False,
        ),
        _catalog_case(0, ("", "", "", "")),
        _catalog_case(1, ("", "", "", "")),
        _catalog_case(2, ("", "≤ 1.5", "≤ 0.3, 10 requests", "")),
        Case(
            name="look",
            figures=(
                Figure(key="first_s", title="{plan.catalogs[2]:,} runs: `tracklib runs`, the first time", unit="s"),
                Figure(key="again_s", title="… again", unit="s"),
            ),
            measure=driver.measure_look,
            tools=driver.OWN,
            stores=True,
        ),
        _checkpoint_case("pt", "`torch.save`"),
        _checkpoint_case("safetensors", "safetensors"),
        Case(
            name="large",
            figures=(
                Figure(key="median_s", title="a file of {plan.large_mb:,} MB: the call", unit="s"),
                Figure(key="stored_s", title="… the call and the end of the run", unit="s"),
                Figure(key="cpu_s", title="… process CPU", unit="s"),
                Figure(key="memory_mb", title="… peak memory over bare Python", unit="MB"),
                Figure(key="added_mb", title="… more than with a file of 1 kB", unit="MB", goal="≤ 100", ratio=False),
                Figure(key="kept_mb", title="… kept", unit="MB"),
            ),
            measure=keeping.measure_large,
            tools=keeping.KEEPERS,
            stores=True,
        ),
        _search_case(0, "≤ 20 of 10,000"),
        _search_case(1, "≤ 100 of 100,000"),
        Case(
            name="chart",
            figures=(
                Figure(
                    key="data_s",
                    title="a chart of {plan.charted} runs of {plan.charted_points:,} points: "
                    "lowest, highest and mean in {plan.buckets:,} buckets each",
                    unit="s",
                    total=True,
                ),
                Figure(key="file_s", title="… drawn and written as a page, all reading included", unit="s"),
                Figure(key="file_mb", title="… the size of the page", unit="MB"),
            ),
            measure=searching.measure_chart,
            tools=searching.SEARCHERS,
            stores=True,
        ),
        _over_all_case(
            "importance",
            "importance of 20 params for a metric over {plan.analysed:,} runs",
            searching.measure_importance,
        ),
        _over_all_case(
            "compare",
            "comparison of {plan.analysed:,} runs, all params and metrics",
            searching.measure_compare,
        ),
    )
}
