"""The chart of when runs ran, and how they ended."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tracklib.charts.chosen import chosen_runs
from tracklib.charts.colours import STATUS_LOOKS
from tracklib.charts.figures import axis, figure, graph_objects
from tracklib.charts.text import counted, escaped, labels

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

    from plotly.graph_objects import Figure

    from tracklib.reading import StoredRun

__all__ = ["Span", "Spans", "draw_spans", "read_spans", "timeline"]

_MOST_NAMES: Final = 60
_ROW_HEIGHT: Final = 20
_HIGHEST: Final = 1400


class Span(NamedTuple):
    """The time of one run.

    Attributes:
        run: Its id.
        label: Its name.
        status: How it goes, or ended.
        start: Seconds since the epoch (UTC).
        end: Likewise; of one that is running, the moment of asking.
    """

    run: str
    label: str
    status: str
    start: float
    end: float


class Spans(NamedTuple):
    """The times of runs, by their starts.

    Attributes:
        spans: One for each run that has begun.
        notes: What was left out, in sentences.
    """

    spans: tuple[Span, ...]
    notes: tuple[str, ...]


def timeline(runs: Iterable[Any], *, store: str | os.PathLike[str] | None = None) -> Figure:
    """Draw when each run ran, as bars whose colours and patterns are how it ended.

    Args:
        runs: Stored runs, ids or names.
        store: URI of the store for ids and names; by default the one that runs go to.

    Raises:
        ConfigError: There are no runs.
        MissingDependency: plotly is not installed.

    Example:
        >>> with tracklib.start_run(project="digits", name="first"):
        ...     pass
        >>> [trace.name for trace in tracklib.charts.timeline(tracklib.list_runs(project="digits")).data]
        ['completed']
    """
    return draw_spans(read_spans(chosen_runs(runs, store=store), now=time.time()))


def read_spans(runs: Sequence[StoredRun], *, now: float) -> Spans:
    """Read when runs ran.

    Args:
        runs: At least one.
        now: Where the bar of a running run ends, in seconds since the epoch.
    """
    names = labels(runs)
    spans = []
    for run in runs:
        if run.started_at is None:
            continue
        end = run.ended_at if run.ended_at is not None else run.info.heartbeat_at if run.status.ended else now
        last = run.started_at if end is None else max(end, run.started_at)
        spans.append(Span(run.id, names[run.id], run.status.value, run.started_at, last))
    waiting = len(runs) - len(spans)
    notes = [f"{counted(waiting, 'run')} that never began."] if waiting else []
    return Spans(tuple(sorted(spans, key=lambda span: (span.start, span.run))), tuple(notes))


def draw_spans(spans: Spans) -> Figure:
    """Return the figure of runs over time."""
    count = len(spans.spans)
    row_of = {span.run: row for row, span in enumerate(spans.spans)}
    traces = []
    for status, (colour, pattern) in STATUS_LOOKS.items():
        chosen = [span for span in spans.spans if span.status == status]
        if chosen:
            traces.append(
                _trace(chosen, row_of, status, {"color": colour, "pattern": {"shape": pattern, "solidity": 0.25}})
            )
    rows = {"tickvals": list(range(count)), "ticktext": [escaped(span.label) for span in spans.spans]}
    named = count <= _MOST_NAMES
    return figure(
        traces,
        title="Runs over time",
        notes=spans.notes if count else (*spans.notes, "There is nothing to draw."),
        xaxis=axis("time", "UTC", type="date"),
        yaxis={
            "autorange": "reversed",
            "automargin": True,
            **(rows if named else {"showticklabels": False, "title": {"text": escaped(counted(count, "run"))}}),
        },
        barmode="overlay",
        bargap=0.2,
        height=min(_HIGHEST, max(300, 180 + _ROW_HEIGHT * count)),
        showlegend=True,
        hovermode="closest",
    )


def _trace(chosen: Sequence[Span], row_of: dict[str, int], status: str, marker: dict[str, Any]) -> Any:
    return graph_objects().Bar(
        base=[span.start * 1000 for span in chosen],
        # Wide enough to be seen, however short the run was, is what the line around a bar makes it.
        x=[(span.end - span.start) * 1000 for span in chosen],
        y=[row_of[span.run] for span in chosen],
        orientation="h",
        name=status,
        marker={**marker, "line": {"width": 1, "color": marker["color"]}},
        text=[
            f"<b>{escaped(span.label)}</b><br>{status}, {escaped(_span_text(span.end - span.start))}" for span in chosen
        ],
        textposition="none",
        hovertemplate="%{text}<br>began %{base|%Y-%m-%d %H:%M:%S}<extra></extra>",
    )


def _span_text(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{minutes} min {rest:02d} s"
