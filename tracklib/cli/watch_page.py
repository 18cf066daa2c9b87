"""What `tracklib watch` shows of a run: a frame that fits the terminal, or one line."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from tracklib.cli.formats import NOTHING, number, quantity, sparkline, status_mark, status_style
from tracklib.cli.output import joined, styled
from tracklib.cli.plots import braille_plot
from tracklib.durations import duration_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.text import Text

    from tracklib.cli.watching import Frame
    from tracklib.model import Summary
    from tracklib.series import Series

__all__ = ["MOST_DRAWN", "frame_lines", "plain_line"]

MOST_DRAWN: Final = 40
"""Of so many metrics the course is shown at the most."""

_LARGE: Final = 4
_PLOT_ROWS: Final = 5
_GUTTER: Final = 12
_TREND: Final = 24


def frame_lines(frame: Frame, *, width: int, height: int, draws: bool) -> list[Text]:
    """Return a frame, line by line.

    Args:
        width: Of the terminal, in characters.
        height: How many lines there is room for.
        draws: Whether the characters of drawings can be shown.
    """
    lines = _head(frame)
    if not frame.summaries:
        return [*lines, styled(""), styled("no metric so far" if not frame.has_ended else "no metrics", "dim")]
    room = height - len(lines) - 1
    large = _large(frame, room, width) if draws else 0
    for summary in frame.summaries[:large]:
        lines += [styled(""), *_plot(summary, frame.series[summary.name], width)]
    rest = frame.summaries[large:]
    if rest:
        lines += [styled(""), *_rows(frame, rest, height - len(lines) - 1, draws=draws)]
    return [_cut(line, width) for line in lines]


def plain_line(frame: Frame) -> str:
    """Return a frame as one line of plain text."""
    step = "" if frame.step is None else f"step {frame.step}"
    values = " ".join(f"{each.name}={number(each.last)}" for each in frame.summaries)
    at = time.strftime("%H:%M:%S", time.localtime(frame.at))
    parts = (at, str(frame.info.status), duration_text(frame.elapsed), step, values, frame.problem)
    return styled("  ".join(part for part in parts if part)).plain


def _head(frame: Frame) -> list[Text]:
    info = frame.info
    status = styled(status_mark(info.status), status_style(info.status))
    heard = (
        ""
        if frame.has_ended or info.heartbeat_at is None
        else f"heard of {duration_text(frame.at - info.heartbeat_at)} ago"
    )
    step = "" if frame.step is None else f"step {frame.step:,}"
    told = "  ".join(
        part for part in (duration_text(frame.elapsed), step, heard, info.reason) if part and part != NOTHING
    )
    lines = [
        joined(styled(f"{info.name}  ", "bold"), status),
        styled(f"{info.project}/{info.experiment}  {info.id}", "dim"),
        styled(told),
    ]
    return [*lines, styled(f"the store is away: {frame.problem}", "bold yellow")] if frame.problem else lines


def _large(frame: Frame, room: int, width: int) -> int:
    """Return how many metrics are drawn large: some, if all others still find a line."""
    if width < 40:
        return 0
    for count in range(min(_LARGE, len(frame.summaries)), 0, -1):
        others = len(frame.summaries) - count
        if count * (_PLOT_ROWS + 2) + others + bool(others) <= room:
            return count
    return 1 if room >= _PLOT_ROWS + 6 else 0


def _plot(summary: Summary, series: Series, width: int) -> list[Text]:
    """Draw a metric under a line about it, its highest and lowest value beside it."""
    drawn = braille_plot(series.steps, series.values, width=width - _GUTTER, height=_PLOT_ROWS)
    labels = {0: summary.max, _PLOT_ROWS - 1: summary.min}
    return [
        joined(styled(summary.name, "bold"), styled("  "), styled(_value(summary, summary.last), "bold green")),
        *(
            joined(styled(row, "blue"), styled(f" {_value(summary, labels[index])}" if index in labels else "", "dim"))
            for index, row in enumerate(drawn)
        ),
    ]


def _rows(frame: Frame, summaries: Sequence[Summary], room: int, *, draws: bool) -> list[Text]:
    shown = summaries if len(summaries) <= room else summaries[: max(1, room - 1)]
    names = min(40, max(len(summary.name) for summary in shown))
    lines = [
        joined(
            styled(f"{summary.name:<{names}}  "),
            styled(f"{_value(summary, summary.last):>12}  ", "bold"),
            styled(f"{_trend(frame, summary) if draws else '':<{_TREND}}  ", "blue"),
            styled(f"{_value(summary, summary.min)} to {_value(summary, summary.max)}", "dim"),
        )
        for summary in shown
    ]
    left = len(summaries) - len(shown)
    return [*lines, styled(f"and {left:,} more: --metrics GLOB shows those that fit", "dim")] if left else lines


def _value(summary: Summary, value: float | None) -> str:
    return quantity(summary.name, value) if summary.name.startswith("system/") else number(value)


def _trend(frame: Frame, summary: Summary) -> str:
    import numpy as np

    series = frame.series.get(summary.name)
    if series is None or len(series) < 2:
        return ""
    parts = np.array_split(series.values, min(_TREND, len(series)))
    with np.errstate(over="ignore"):
        means = [finite.mean() if (finite := part[np.isfinite(part)]).size else np.nan for part in parts]
    return sparkline(float(mean) for mean in means)


def _cut(line: Text, width: int) -> Text:
    line.truncate(width, overflow="ellipsis")
    return line
