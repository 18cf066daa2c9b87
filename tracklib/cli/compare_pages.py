"""The tables of `tracklib compare`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

import click

from tracklib.cli.formats import NOTHING, number, short_ids, status_mark, status_style, value_text
from tracklib.cli.output import Column, heading, joined, line, styled, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.text import Text

    from tracklib.analysis.compare import Comparison
    from tracklib.analysis.compare_experiments import ExperimentComparison
    from tracklib.analysis.compared_metrics import Change, ComparedMetric
    from tracklib.analysis.group_comparison import GroupComparison
    from tracklib.analysis.mean_tests import SignificanceTest
    from tracklib.reading import StoredRun

__all__ = ["print_comparison", "print_difference", "print_experiments", "print_groups"]

ACROSS: Final = 4
"""So many runs have a column each; of more, each has a row."""

MOST_ROWS: Final = 40
"""So many params, metrics or runs a terminal shows."""


def print_comparison(compared: Comparison) -> None:
    """Print runs side by side, or below each other where there are many."""
    best = compared.best
    line(joined(styled(f"{len(compared.runs):,} runs", "bold"), styled(f", compared to {compared.baseline.name}")))
    if best is not None:
        line(f"best by {compared.metric}: {best.name} ({best.id})")
    metrics = [metric for metric in compared.metrics.values() if _is_shown(compared, metric)]
    if len(compared.runs) <= ACROSS:
        _print_across(compared, metrics)
    else:
        _print_down(compared, metrics)
    if compared.common_params:
        count = len(compared.common_params)
        heading("Same for all", f"{count} {'param' if count == 1 else 'params'}")
        pairs_of = [f"{name}={value_text(value)}" for name, value in compared.common_params.items()]
        line("  " + " ".join(pairs_of))


def _is_shown(compared: Comparison, metric: ComparedMetric) -> bool:
    return metric.name == compared.metric or not metric.name.startswith("system/")


def _print_across(compared: Comparison, metrics: Sequence[ComparedMetric]) -> None:
    """Print a column for each run."""
    runs = compared.runs
    ids = _ids(runs)
    head = [Column(title="", rank=9, least=16)]
    head += [Column(title=run.name, right=True, rank=9, least=12) for run in runs]
    rows: list[list[str | Text]] = [
        ["id", *(ids[run.id] for run in runs)],
        ["status", *(styled(status_mark(run.status), status_style(run.status)) for run in runs)],
    ]
    rows += [
        [name, *(_param(values, run) for run in runs)] for name, values in _cut(list(compared.params.items()), "params")
    ]
    rows += [[metric.name, *(_value(metric, run) for run in runs)] for metric in _cut(metrics, "metrics")]
    line()
    table(head, rows)


def _print_down(compared: Comparison, metrics: Sequence[ComparedMetric]) -> None:
    """Print a row for each run."""
    params = list(compared.params.items())
    ids = _ids(compared.runs)
    head = [
        Column(title="id", rank=9),
        Column(title="name", rank=8, least=12),
        Column(title="status", rank=3),
        *(Column(title=metric.name, right=True, rank=max(1, 7 - index)) for index, metric in enumerate(metrics)),
        *(Column(title=name, right=True, rank=max(1, 6 - index), least=8) for index, (name, _) in enumerate(params)),
    ]
    rows: list[list[str | Text]] = [
        [
            ids[run.id],
            styled(run.name, "bold" if run.id == compared.baseline.id else ""),
            styled(status_mark(run.status), status_style(run.status)),
            *(_value(metric, run) for metric in metrics),
            *(_param(values, run) for _, values in params),
        ]
        for run in _cut(compared.runs, "runs")
    ]
    line()
    table(head, rows)


def _ids(runs: Sequence[StoredRun]) -> dict[str, str]:
    ids = [run.id for run in runs]
    return short_ids(ids) if sys.stdout.isatty() else {name: name for name in ids}


def _cut(items: Sequence[Any], what: str) -> Sequence[Any]:
    """Return what is shown on a terminal, with a word about what is not; elsewhere everything is."""
    if not sys.stdout.isatty() or len(items) <= MOST_ROWS:
        return items
    line(styled(f"the first {MOST_ROWS} of {len(items):,} {what}; in a pipe or with --json all are printed", "dim"))
    return items[:MOST_ROWS]


def _param(values: dict[str, Any], run: StoredRun) -> str:
    return value_text(values[run.id]) if run.id in values else NOTHING


def _value(metric: ComparedMetric, run: StoredRun) -> Text:
    """Return a value with its change to the baseline; the best stands out."""
    if run.id not in metric.values:
        return styled(NOTHING, "dim")
    change = None if run.id == metric.baseline else metric.change(run)
    style = {True: "green", False: "red", None: "dim"}[change.better if change else None]
    said = styled(f" ({_change(change)})" if change else "", style)
    best = run.id in metric.best
    return joined(styled(number(metric.values[run.id]), "bold green" if best else ""), styled("*" * best), said)


def _change(change: Change) -> str:
    return f"{change.delta:+.3g}" if change.percent is None else f"{change.percent:+.1f}%"


def print_experiments(compared: ExperimentComparison) -> None:
    """Print a row for each metric and experiment."""
    line(f"{len(compared.experiments):,} experiments, compared to {compared.baseline}")
    head = [
        Column(title="metric", rank=9, least=12),
        Column(title="experiment", rank=9, least=10),
        Column(title="runs", right=True, rank=8),
        Column(title="mean", right=True, rank=8),
        Column(title="std", right=True, rank=7),
        Column(title="median", right=True, rank=4),
        Column(title="best", right=True, rank=7),
        Column(title="worst", right=True, rank=5),
        Column(title="mean change", right=True, rank=6),
        Column(title="best run", rank=3),
    ]
    shown = [row for row in compared.rows if not row.metric.startswith("system/") or len(compared.metrics) == 1]
    rows: list[list[str | Text]] = [
        [
            row.metric,
            row.experiment,
            str(row.count) if row.count == row.runs else f"{row.count} of {row.runs}",
            *(number(value) for value in (row.mean, row.std, row.median, row.best, row.worst)),
            _mean_change(row.mean_change, is_baseline=row.experiment == compared.baseline),
            row.best_run or "",
        ]
        for row in shown
    ]
    line()
    table(head, rows)
    unknown = list(dict.fromkeys(row.metric for row in shown if row.higher_is_better is None))
    if unknown:
        line(styled(f"no best where it is not known whether higher is better: {', '.join(unknown[:5])}", "dim"))


def _mean_change(change: Change | None, *, is_baseline: bool) -> Text:
    if change is None:
        return styled("baseline" if is_baseline else NOTHING, "dim")
    word = {True: " better", False: " worse", None: ""}[change.better]
    return styled(_change(change) + word, {True: "green", False: "red", None: ""}[change.better])


def print_groups(compared: GroupComparison) -> None:
    """Print for each metric its groups, their pairs, and what follows in words."""
    for metric in compared.metrics.values():
        heading(metric.metric, f"{compared.statistic} of each run")
        numbers = ("n", "mean", "std", "median", "min", "max", "left out")
        head = [Column(title="group", rank=9, least=20), *(Column(title=name, right=True, rank=5) for name in numbers)]
        rows: list[list[str | Text]] = [
            [
                group.name,
                str(group.n),
                *(number(value) for value in (group.mean, group.std, group.median, group.min, group.max)),
                str(group.left_out or ""),
            ]
            for group in metric.groups
        ]
        table(head, rows, indent=2)
        line()
        titles = ("difference", "from", "to", "p", "p of ranks", "g")
        head = [Column(title="pair", rank=9, least=20), *(Column(title=name, right=True, rank=5) for name in titles)]
        rows = [
            [
                f"{pair.first} - {pair.second}",
                *(number(value) for value in (pair.difference, pair.low, pair.high)),
                styled(_p(pair.welch), "bold" if pair.verdict == "different" else ""),
                _p(pair.mann_whitney),
                number(None if pair.hedges_g is None else pair.hedges_g.value),
            ]
            for pair in metric.pairs
        ]
        table(head, rows, indent=2)
        line()
        line(metric.conclusion)
        for caution in metric.cautions:
            line(styled(f"- {caution}", "dim"))


def _p(test: SignificanceTest | None) -> str:
    from tracklib.analysis.group_comparison import p_text

    return p_text(None if test is None else test.corrected_p)


def print_difference(text: str) -> None:
    """Print what differs, in the colours of a patch on a terminal."""
    from tracklib.cli.formats import clean

    colours = {"+": "green", "-": "red", "@": "cyan", "~": "yellow"}
    for part in text.split("\n"):
        colour = colours.get(part[:1]) if sys.stdout.isatty() else None
        click.echo(click.style(clean(part), fg=colour) if colour else clean(part))
