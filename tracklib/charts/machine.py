"""The chart of what a run did to its machine: processors, memory, GPUs, by the clock."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tracklib.analysis.selecting import stored_runs
from tracklib.charts.chosen import metric_names
from tracklib.charts.colours import Look, looks
from tracklib.charts.figures import axis, figure, graph_objects, span_unit
from tracklib.charts.lines import LineOptions, read_lines
from tracklib.charts.text import escaped
from tracklib.charts.units import shown_unit, unit_of
from tracklib.errors import NotFound

if TYPE_CHECKING:
    import os

    import numpy as np
    from numpy.typing import NDArray
    from plotly.graph_objects import Figure

    from tracklib.reading import StoredRun

__all__ = ["Machine", "Panel", "Sampled", "draw_machine", "read_machine", "system"]

_USUAL: Final = (
    "system/cpu/util_pct",
    "system/memory/used_pct",
    "system/memory/proc_rss_bytes",
    "system/gpu/*/util_pct",
    "system/gpu/*/mem_used_pct",
    "system/gpu/*/power_w",
    "system/gpu/*/temp_c",
    "system/disk/read_bytes_per_s",
    "system/disk/write_bytes_per_s",
    "system/network/sent_bytes_per_s",
    "system/network/received_bytes_per_s",
)
"""What is shown unless something else is asked for."""

_PANEL_HEIGHT: Final = 210
_POINTS: Final = LineOptions(x="relative", band=False)


class Sampled(NamedTuple):
    """One metric of the machine.

    Attributes:
        metric: Its name.
        device: What it is of, as `gpu/0`.
        seconds: `(n,)` float64, since the run began.
        values: `(n,)` float64, in the unit of its panel; NaN where none was finite.
    """

    metric: str
    device: str
    seconds: NDArray[np.float64]
    values: NDArray[np.float64]


class Panel(NamedTuple):
    """Metrics that share an axis.

    Attributes:
        title: What they are.
        unit: Of all of them.
        series: By name.
    """

    title: str
    unit: str
    series: tuple[Sampled, ...]


class Machine(NamedTuple):
    """What a run did to its machine.

    Attributes:
        label: Name of the run.
        panels: From the first to the last.
    """

    label: str
    panels: tuple[Panel, ...]


def system(
    run: Any, *, metrics: str | Iterable[str] | None = None, store: str | os.PathLike[str] | None = None
) -> Figure:
    """Draw what was sampled of the machine while a run ran: each unit has a panel, all have the same time.

    Args:
        run: A stored run, an id or a name.
        metrics: Names, in which `*` stands for anything: `system/gpu/*/sm_clock_mhz`. By default use and memory of CPU
            and GPUs, power and temperature, and what goes through disks and network.
        store: URI of the store for an id or name; by default the one that runs go to.

    Raises:
        NotFound: The run has none of them.
        ConfigError: An argument cannot be meant.
        MissingDependency: plotly is not installed.

    Example:
        >>> with tracklib.start_run(system_interval=1) as run:
        ...     pass
        >>> tracklib.charts.system(run, metrics="system/memory/*_pct").layout.yaxis.title.text
        'memory [%]'
    """
    found = stored_runs([run], store=store)[0]
    return draw_machine(read_machine(found, _USUAL if metrics is None else metric_names(metrics)))


def read_machine(run: StoredRun, patterns: Sequence[str]) -> Machine:
    """Read the metrics of a run that fit one of the patterns.

    Raises:
        NotFound: There are none.
    """
    names = [n for n in run.metrics if any(fnmatch.fnmatchcase(n, p) or _of_a_rank(n, p) for p in patterns)]
    if not names:
        kinds = sorted({name for name in run.metrics if "system/" in name})
        there = (
            f"it has: {', '.join(kinds[:10])}" if kinds else "it was recorded with system_interval=0, or too briefly"
        )
        raise NotFound(f"run {run.id} has no metrics of the machine that fit {', '.join(patterns):.200}; {there}")
    lines = read_lines([run], sorted(names), _POINTS)
    panels: dict[tuple[str, str], list[Sampled]] = {}
    for line in lines.lines:
        unit = shown_unit(unit_of(line.metric))
        kind, device = _part_of(line.metric)
        sampled = Sampled(line.metric, device, line.x, line.y / unit.size)
        panels.setdefault((kind, unit.name), []).append(sampled)
    found = tuple(Panel(kind, unit, tuple(series)) for (kind, unit), series in sorted(panels.items()))
    return Machine(run.name, found)


def _of_a_rank(name: str, pattern: str) -> bool:
    """Tell whether a metric is one of another rank's, which has the rank before its name."""
    rank, _, rest = name.partition("/")
    return bool(re.fullmatch(r"rank\d+", rank)) and fnmatch.fnmatchcase(rest, pattern)


def _part_of(metric: str) -> tuple[str, str]:
    """Return what a metric is of: the kind of part, and which one.

    Example:
        >>> _part_of("system/gpu/1/util_pct"), _part_of("system/cpu/util_pct"), _part_of("rank1/system/cpu/util_pct")
        (('gpu', 'gpu/1'), ('cpu', 'cpu'), ('cpu', 'rank1/cpu'))
    """
    before, _, rest = metric.rpartition("system/")
    parts = rest.split("/")[:-1]
    return (parts[0] if parts else "machine"), before + "/".join(parts)


def draw_machine(machine: Machine) -> Figure:
    """Return the figure of a run's machine."""
    every = [series for panel in machine.panels for series in panel.series]
    look_of = looks(series.device for series in every)
    longest = max((float(each.seconds[-1]) for each in every if len(each.seconds)), default=0.0)
    unit, scale = span_unit(longest)
    count = len(machine.panels)
    traces: list[Any] = []
    layout: dict[str, Any] = {}
    for at, panel in enumerate(machine.panels, 1):
        number = "" if at == 1 else str(at)
        traces += [_trace(each, panel, look_of[each.device], (unit, scale), number) for each in panel.series]
        top = 1 - (at - 1) / count
        label = axis(panel.title, panel.unit, domain=[top - 0.82 / count, top], rangemode="tozero")
        layout[f"yaxis{number}"] = {**label, "anchor": f"x{number}"}
        layout[f"xaxis{number}"] = {
            "anchor": f"y{number}",
            "matches": None if at == 1 else "x",
            "showticklabels": at == count,
        }
    layout[f"xaxis{'' if count == 1 else count}"] |= axis("time since the start", unit)
    return figure(
        traces, title=f"Machine of {machine.label}", height=160 + _PANEL_HEIGHT * count, hovermode="closest", **layout
    )


def _trace(series: Sampled, panel: Panel, look: Look, along: tuple[str, float], number: str) -> Any:
    """Return a line; those of one device differ by their dashes."""
    unit, scale = along
    same = [each.metric for each in panel.series if each.device == series.device]
    name = escaped(series.metric.replace("system/", ""))
    return graph_objects().Scatter(
        x=series.seconds / scale,
        y=series.values,
        mode="lines+markers" if len(series.values) <= 30 else "lines",
        marker={"size": 5, "symbol": look.symbol, "color": look.colour},
        line={"color": look.colour, "width": 2, "dash": look.dash(same.index(series.metric), len(same))},
        name=name,
        xaxis=f"x{number}",
        yaxis=f"y{number}",
        hovertemplate=f"<b>{name}</b><br>%{{y:.5~g}} {escaped(panel.unit)}<br>%{{x:.4~g}} {unit}<extra></extra>",
    )
