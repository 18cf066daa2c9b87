"""The tables of a run's metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tracklib.cli.formats import number, quantity, sparkline
from tracklib.cli.output import Column, heading, line, speaks_unicode, styled, table
from tracklib.errors import CorruptData

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.text import Text

    from tracklib.model import Summary
    from tracklib.reading import StoredRun

__all__ = ["print_metrics", "print_system"]

TREND_WIDTH: Final = 16
TREND_POINTS: Final = 2_000_000
"""So many points are read at the most to draw trends: beyond them a page would keep its reader waiting."""

_COLUMNS = (
    Column(title="metric", rank=9, least=20),
    Column(title="last", right=True, rank=9),
    Column(title="trend", rank=6),
    Column(title="min", right=True, rank=7),
    Column(title="max", right=True, rank=7),
    Column(title="mean", right=True, rank=5),
    Column(title="points", right=True, rank=4),
    Column(title="steps", rank=3),
)


def print_metrics(run: StoredRun, summaries: Sequence[Summary], *, most: int | None) -> None:
    """Print a table of what the program logged.

    Args:
        most: How many metrics at the most; None: all.
    """
    _print(run, summaries, most, "Metrics", lambda summary: (summary.name, number))


def print_system(run: StoredRun, summaries: Sequence[Summary], *, most: int | None) -> None:
    """Print a table of what was sampled of the machine, in readable units; see `print_metrics`."""
    _print(
        run,
        summaries,
        most,
        "System",
        lambda summary: (summary.name.removeprefix("system/"), lambda value: quantity(summary.name, value)),
    )


def _print(
    run: StoredRun,
    summaries: Sequence[Summary],
    most: int | None,
    title: str,
    form: Callable[[Summary], tuple[str, Callable[[float], str]]],
) -> None:
    if not summaries:
        return
    shown = summaries[:most]
    trends = speaks_unicode() and sum(summary.count for summary in shown) <= TREND_POINTS
    heading(title)
    rows: list[list[str | Text]] = []
    for summary in shown:
        name, text = form(summary)
        numbers = [text(value) for value in (summary.min, summary.max, summary.mean)]
        trend = styled(_trend(run, summary) if trends else "", "blue")
        last = styled(text(summary.last), "bold")
        rows.append([name, last, trend, *numbers, f"{summary.count:,}", styled(_steps(summary), "dim")])
    table(_COLUMNS, rows, indent=2)
    if len(shown) < len(summaries):
        line(styled(f"  and {len(summaries) - len(shown):,} more: --metrics GLOB shows those that fit", "dim"))


def _steps(summary: Summary) -> str:
    if summary.first_step == summary.last_step:
        return str(summary.last_step)
    return (
        f"{summary.first_step}…{summary.last_step}"
        if speaks_unicode()
        else f"{summary.first_step}..{summary.last_step}"
    )


def _trend(run: StoredRun, summary: Summary) -> str:
    """Draw how the values went, by step: means of equal numbers of points."""
    if summary.count < 2:
        return ""
    import numpy as np

    try:
        values = run.series(summary.name).values
    except CorruptData:  # The summary is still worth showing.
        return ""
    parts = np.array_split(values, min(TREND_WIDTH, len(values)))
    with np.errstate(over="ignore"):
        means = [finite.mean() if (finite := part[np.isfinite(part)]).size else np.nan for part in parts]
    return sparkline(float(mean) for mean in means)
