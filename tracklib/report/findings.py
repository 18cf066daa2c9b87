"""The sections of a report that draw and reckon. What cannot be done is said in words where it would stand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tracklib import charts
from tracklib.errors import TracklibError
from tracklib.report.parts import Cell, Chart, Column, Section, Table, Words
from tracklib.report.sections import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tracklib.reading import StoredRun
    from tracklib.report.gathering import Subject
    from tracklib.report.parts import Part

__all__ = ["charts_section", "importance_section", "significance_section"]

MOST_LINES: Final = 40
"""So many runs have lines."""

LINE_POINTS: Final = 300
BANDS: Final = 10
"""Of so many lines each has a band from its lowest to its highest value."""

HIGHEST: Final = 900
"""Pixels that a chart takes of the page at the most."""

MOST_JUDGED: Final = 2
"""Of so many metrics it is reckoned what mattered and what is real."""

MOST_GROUPS: Final = 10
"""So many experiments are tested against each other."""


def _tried(what: str, make: Callable[..., Iterable[Part]], *about: Any) -> list[Part]:
    """Return what is made, or why it cannot be."""
    try:
        return list(make(*about))
    except TracklibError as error:
        return [Words(f"There is no {what}: {str(error).rstrip('.')}.", is_gap=True)]


# ---- charts


def charts_section(subject: Subject) -> Section:
    """Return charts of the runs: their metrics, params, times, and what goes with what."""
    runs, said = _with_lines(subject)
    parts: list[Part] = [Words(said)] if said and subject.metrics else []
    for metric in subject.metrics:
        parts += _tried(f"chart of {metric}", _lines, runs, metric)
    for metric in subject.metrics[:1]:
        parts += _tried("chart of params", _parallel, subject.runs, metric)
    parts += _tried("chart of correlations", _correlation, subject.runs)
    parts += _tried("timeline", _timeline, subject.runs)
    return Section("Charts", "charts", parts)


def _with_lines(subject: Subject) -> tuple[Sequence[StoredRun], str]:
    """Return the runs whose metrics are drawn, and which these are."""
    if len(subject.runs) <= MOST_LINES:
        return subject.runs, ""
    for metric in subject.metrics:
        best = [run for run, _ in subject.ranked(metric)[:MOST_LINES]]
        if best:
            return best, f"Lines are drawn of the {len(best)} best runs by {metric}."
    return subject.runs[:MOST_LINES], f"Lines are drawn of the newest {MOST_LINES} runs."


def _lines(runs: Sequence[StoredRun], metric: str) -> Iterator[Part]:
    figure = charts.metric(runs, metric, max_points=LINE_POINTS, band=len(runs) <= BANDS)
    yield Chart(figure, f"{metric} of {counted(len(runs), 'run')}, over their steps.")


def _parallel(runs: Sequence[StoredRun], metric: str) -> Iterator[Part]:
    figure = charts.parallel_coordinates(runs, metric)
    yield Chart(figure, f"Each run as a line through its params, coloured by {metric}.")


def _correlation(runs: Sequence[StoredRun]) -> Iterator[Part]:
    yield Chart(charts.correlation(runs), "How strongly params and metrics rise and fall together.")


def _timeline(runs: Sequence[StoredRun]) -> Iterator[Part]:
    figure = charts.timeline(runs)
    if (figure.layout.height or 0) > HIGHEST:
        figure.update_layout(height=HIGHEST)
    yield Chart(figure, "When each run began and ended.")


# ---- what made the difference


def importance_section(subject: Subject) -> Section:
    """Return how much each param had to do with the first metrics."""
    parts: list[Part] = []
    for metric in subject.metrics[:MOST_JUDGED]:
        parts += _tried(f"importance of params for {metric}", _importance, subject.runs, metric)
    return Section("What mattered", "importance", parts or [Words("No run has logged a metric.", is_gap=True)])


def _importance(runs: Sequence[StoredRun], metric: str) -> Iterator[Part]:
    from tracklib.analysis.group_comparison import value_text
    from tracklib.analysis.importance import param_importance
    from tracklib.charts.importances import draw_importances, read_importances

    found = param_importance(runs, metric)
    yield Words(f"{metric}: {found.conclusion}")
    bars = read_importances(found)
    if bars.values:
        yield Chart(draw_importances(bars._replace(notes=())), f"How much each param had to do with {metric}.")
    titles = ("score", "Pearson's r", "Spearman's r", "eta²", "values")
    rows = []
    for param in found.params:
        one, ranks = (None if test is None else test.r for test in (param.pearson, param.spearman))
        numbers = (param.score, one, ranks, param.eta_squared)
        rows.append(
            [
                Cell(param.name, param.name),
                Cell(f"{param.kind}, on a logarithmic scale" if param.scale == "log" else param.kind, param.kind),
                *(Cell(value_text(value), value) for value in numbers),
                Cell(f"{param.distinct:,}", float(param.distinct)),
            ]
        )
    columns = [Column("param"), Column("kind"), *(Column(title, is_number=True) for title in titles)]
    if rows:
        yield Table(columns, rows, caption=f"Params and {metric}, in {counted(found.runs, 'run')}.", sortable=True)
    for caution in found.cautions:
        yield Words(caution, is_gap=True)


# ---- whether it is real


def significance_section(subject: Subject) -> Section:
    """Return whether the experiments differ by more than chance."""
    title, anchor = "Is the difference real?", "significance"
    groups = {name: runs for name, runs in subject.experiments.items() if len(runs) > 1}
    if len(groups) < 2:
        gap = "Experiments are tested against each other where at least two of them have two or more runs."
        return Section(title, anchor, [Words(gap, is_gap=True)])
    parts: list[Part] = []
    if len(groups) > MOST_GROUPS:
        largest = sorted(groups, key=lambda name: -len(groups[name]))[:MOST_GROUPS]
        groups = {name: groups[name] for name in groups if name in largest}
        parts.append(Words(f"Tested are the {MOST_GROUPS} experiments with the most runs."))
    for metric in subject.metrics[:MOST_JUDGED]:
        parts += _tried(f"test of {metric}", _significance, groups, metric)
    return Section(title, anchor, parts or [Words("No run has logged a metric.", is_gap=True)])


def _significance(groups: dict[str, list[StoredRun]], metric: str) -> Iterator[Part]:
    from tracklib.analysis.group_comparison import p_text, value_text
    from tracklib.analysis.significance import compare_groups

    found = compare_groups(groups, metric=metric).metrics[metric]
    yield Words(found.conclusion)
    titles = ("difference of means", "from", "to", "p", "p of ranks", "Hedges' g")
    rows = []
    for pair in found.pairs:
        p, ranks = (None if test is None else test.corrected_p for test in (pair.welch, pair.mann_whitney))
        effect = None if pair.hedges_g is None else pair.hedges_g.value
        rows.append(
            [
                Cell(f"{pair.first} - {pair.second}", hint=pair.conclusion),
                *(Cell(value_text(value), value) for value in (pair.difference, pair.low, pair.high)),
                Cell(p_text(p), p, mark="best" if pair.verdict == "different" else ""),
                Cell(p_text(ranks), ranks),
                Cell(value_text(effect), effect),
            ]
        )
    columns = [Column("experiments"), *(Column(title, is_number=True) for title in titles)]
    said = f"{metric}: the difference with its 95 % confidence interval, and p-values corrected for all pairs."
    yield Table(columns, rows, caption=said, sortable=True)
    for caution in found.cautions:
        yield Words(caution, is_gap=True)
