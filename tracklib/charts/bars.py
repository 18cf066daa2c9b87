"""The chart of one number of each run as bars."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tracklib.charts.chosen import chosen_runs, metric_name
from tracklib.charts.colours import looks
from tracklib.charts.fields import read_column
from tracklib.charts.figures import axis, figure, graph_objects
from tracklib.charts.text import counted, escaped, labels
from tracklib.charts.units import unit_of
from tracklib.errors import ConfigError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from plotly.graph_objects import Figure

    from tracklib.reading import StoredRun

__all__ = ["Bars", "bar", "draw_bars", "read_bars"]

_MOST_BARS: Final = 50
_BAR_HEIGHT: Final = 22


class Bars(NamedTuple):
    """One number of each run, the highest first.

    Attributes:
        label: What the numbers are.
        unit: "" where there is none.
        ids: Of the runs.
        labels: Their names.
        values: One finite number for each.
        notes: What was left out, in sentences.
    """

    label: str
    unit: str
    ids: tuple[str, ...]
    labels: tuple[str, ...]
    values: tuple[float, ...]
    notes: tuple[str, ...]


def bar(
    runs: Iterable[Any],
    metric: str,
    *,
    lowest: bool = False,
    most: int = _MOST_BARS,
    store: str | os.PathLike[str] | None = None,
) -> Figure:
    """Draw one number of each run as a bar, the highest first.

    Args:
        runs: Stored runs, ids or names.
        metric: The name of a metric, whose last value is meant, or any other field as of `scatter`:
            `metrics['eval/loss'].min`, `run.duration`, `params.lr`.
        lowest: Whether the lowest number comes first.
        most: How many bars at the most, from the first on.
        store: URI of the store for ids and names; by default the one that runs go to.

    Raises:
        NotFound: None of the runs has it.
        ConfigError: There are no runs, it is no number, or an argument cannot be meant.
        MissingDependency: plotly is not installed.

    Example:
        >>> for name, accuracy in (("first", 0.7), ("second", 0.9)):
        ...     with tracklib.start_run(project="digits", name=name) as run:
        ...         run.log({"accuracy": accuracy})
        >>> list(tracklib.charts.bar(tracklib.list_runs(project="digits"), "accuracy").data[0].y)
        ['second', 'first']
    """
    return draw_bars(read_bars(chosen_runs(runs, store=store), metric_name(metric), lowest=lowest, most=most))


def read_bars(runs: Sequence[StoredRun], field: str, *, lowest: bool = False, most: int = _MOST_BARS) -> Bars:
    """Read a number of each run and put them into order.

    Raises:
        NotFound: None of the runs has it.
        ConfigError: It is no number.
    """
    if isinstance(most, bool) or not isinstance(most, int) or most < 1:
        raise ConfigError(f"most is {most!r:.200}, but takes a whole number of 1 or more")
    column = read_column(runs, field)
    if column.kind != "number":
        raise ConfigError(f"{field!r} is {column.values[0]!r:.100} for the first run, but a bar needs a number")
    pairs = list(zip(runs, column.values, strict=True))
    known = [(float(value), run.id) for run, value in pairs if isinstance(value, float) and math.isfinite(value)]
    missing = sum(value is None for value in column.values)
    notes = []
    if missing:
        notes.append(f"{counted(missing, 'run')} without {column.label}.")
    if len(runs) - missing - len(known):
        notes.append(f"{counted(len(runs) - missing - len(known), 'run')} whose {column.label} is NaN or infinite.")
    known.sort(key=lambda pair: (pair[0] if lowest else -pair[0], pair[1]))
    if len(known) > most:
        notes.append(f"The {'lowest' if lowest else 'highest'} {most} of {counted(len(known), 'run')}.")
    shown = known[:most]
    names = labels(runs)
    return Bars(
        label=column.label,
        unit=column.unit or unit_of(field),
        ids=tuple(id_ for _, id_ in shown),
        labels=tuple(names[id_] for _, id_ in shown),
        values=tuple(value for value, _ in shown),
        notes=tuple(notes),
    )


def draw_bars(bars: Bars) -> Figure:
    """Return the figure of bars."""
    look_of = looks(bars.ids)
    names = [escaped(label) for label in bars.labels]
    drawn = graph_objects().Bar(
        x=list(bars.values),
        y=names,
        orientation="h",
        marker={"color": [look_of[id_].colour for id_ in bars.ids]},
        texttemplate="%{x:.5~g}",
        textposition="auto",
        hovertemplate=f"<b>%{{y}}</b><br>{escaped(bars.label)} = %{{x:.6~g}} {escaped(bars.unit)}<extra></extra>",
    )
    return figure(
        [drawn],
        title=bars.label,
        notes=bars.notes if bars.ids else (*bars.notes, "There is nothing to draw."),
        xaxis=axis(bars.label, bars.unit),
        yaxis={"type": "category", "autorange": "reversed", "automargin": True, "dtick": 1},
        height=max(300, 160 + _BAR_HEIGHT * len(names)),
        bargap=0.25,
        showlegend=False,
    )
