"""The measurements of searching, drawing and comparing many runs, as they run in a tool's environment."""

from __future__ import annotations

import importlib
import importlib.util
import statistics
import time
from typing import TYPE_CHECKING, Any

from .searched import CHARTED, METRIC, TOP, charted_runs, questions, right_answer, searched_runs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .adapters.base import Adapter, Bucketed, Question, Ranked

__all__ = ["compare", "draw", "draw_file", "importance", "search", "write_charted", "write_searched"]

Figures = dict[str, float]


def write_searched(adapter: Adapter, *, runs: int, cap_s: float) -> Figures:
    """Write the runs that are searched."""
    adapter.load()
    return {"done": adapter.write_searched(searched_runs(runs, of=runs), time.perf_counter() + cap_s)}


def search(adapter: Adapter, *, runs: int, asked: int, asks: int, cap_s: float) -> Figures:
    """Ask each question several times; the first one of all opens the store, and has a figure of its own."""
    answers = [(question, right_answer(question, runs, of=asked)) for question in questions(asked)]
    adapter.load()
    first, right = answers[0]
    figures = {"first_ms": _ask(adapter, first, right)}
    for question, right in answers:
        deadline, spent = time.perf_counter() + cap_s, [_ask(adapter, question, right)]
        while len(spent) <= asks and time.perf_counter() < deadline:
            spent.append(_ask(adapter, question, right))
        spent = spent[1:] or spent  # Who takes longer than the cap has no use for a rehearsal.
        figures[f"{question.name}_ms"] = statistics.median(spent)
        figures[f"{question.name}_worst_ms"] = max(spent)
    return figures | {"done": runs, "asked": asked}


def write_charted(adapter: Adapter, *, runs: int, points: int, cap_s: float) -> Figures:
    """Write runs with one long series each, all of it, until the cap."""
    adapter.load()
    deadline, done = time.perf_counter() + cap_s, 0
    for name, values in charted_runs(runs, points):
        written = adapter.write_series(name, values, float("inf"))
        if written != points:
            raise RuntimeError(f"{written} points of {points} were written")
        done += 1
        if time.perf_counter() > deadline:
            break
    return {"done": done}


def draw(adapter: Adapter, *, runs: int, points: int, buckets: int, asked: int) -> Figures:
    """Make the data of a chart of all runs; that of one run goes first, for what is imported or opened just once."""
    charted = list(charted_runs(runs, points))
    adapter.load()
    if importlib.util.find_spec("numpy"):
        importlib.import_module("numpy")
    names = [name for name, _ in charted]
    adapter.bucketed(names[:1], CHARTED, buckets)
    before = time.perf_counter()
    found = adapter.bucketed(names, CHARTED, buckets)
    seconds = time.perf_counter() - before
    _check_chart(found, [values for _, values in charted], buckets)
    return {"data_s": seconds, "done": runs, "asked": asked}


def draw_file(adapter: Adapter, *, runs: int, points: int) -> Figures:
    """Write a page with that chart, after one of one run."""
    names = [name for name, _ in charted_runs(runs, points)]
    adapter.load()
    path = adapter.root.parent / "chart.html"
    adapter.draw(names[:1], CHARTED, path)
    before = time.perf_counter()
    adapter.draw(names, CHARTED, path)
    seconds = time.perf_counter() - before
    page = path.read_text(encoding="utf-8")
    if not all(name in page for name in names):
        raise RuntimeError("a run is not in the page")
    return {"file_s": seconds, "file_mb": path.stat().st_size / 1e6}


def importance(adapter: Adapter, *, runs: int) -> Figures:
    """Ask twice what has most to do with the metric."""
    adapter.load()
    params = set(next(searched_runs(runs, of=runs)).params)
    return _twice(
        lambda: adapter.importance(METRIC), lambda found: found[0] == "lr" and set(found) == params, "importance"
    )


def compare(adapter: Adapter, *, runs: int) -> Figures:
    """Compare all runs twice."""
    adapter.load()
    best = min(searched_runs(runs, of=runs), key=lambda run: run.steps[0][METRIC]).name
    return _twice(lambda: adapter.compare(METRIC), lambda found: found == best, "compare")


def _twice(ask: Callable[[], Any], right: Callable[[Any], bool], name: str) -> Figures:
    figures = {}
    for key in ("first_s", "again_s"):
        before = time.perf_counter()
        found = ask()
        figures[f"{name}_{key}"] = time.perf_counter() - before
        if not right(found):
            raise RuntimeError(f"a wrong answer: {found}")
    return figures


def _ask(adapter: Adapter, question: Question, right: Sequence[Ranked]) -> float:
    before = time.perf_counter()
    answer = adapter.search(question, TOP)
    seconds = time.perf_counter() - before
    if answer != right:
        raise RuntimeError(f"a wrong answer to {question.name!r}: {answer[:2]} lead, not {right[:2]}")
    return seconds * 1e3


def _check_chart(found: Sequence[Bucketed], series: Sequence[Sequence[float]], buckets: int) -> None:
    """See to it that each bucket has the lowest, the highest and the mean value of its points."""
    import numpy as np

    for number, (chart, values) in enumerate(zip(found, series, strict=True)):
        cut = np.asarray(values).reshape(buckets, -1)
        if not (np.array_equal(chart.low, cut.min(axis=1)) and np.array_equal(chart.high, cut.max(axis=1))):
            raise RuntimeError(f"the lowest and highest values of run {number} are wrong")
        if not np.allclose(chart.mean, cut.mean(axis=1)):
            raise RuntimeError(f"the means of run {number} are wrong")
