"""The sections of a report, each made of its runs alone."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from tracklib.analysis.table_text import value_text
from tracklib.durations import duration_text
from tracklib.report.parts import Cell, Column, Section, Table, Words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracklib.reading import StoredRun
    from tracklib.report.gathering import Subject
    from tracklib.report.parts import Part

__all__ = ["best_section", "counted", "experiments_section", "moment", "overview_section", "runs_section"]

BEST: Final = 5
"""So many of the best runs are named for each metric."""

MOST_PARAMS: Final = 8
"""So many params that differ have a column."""

_LONGEST: Final = 60


def counted(count: int, word: str) -> str:
    """Return a number with its word.

    Example:
        >>> counted(1, "run"), counted(1200, "run")
        ('1 run', '1,200 runs')
    """
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def moment(at: float | None) -> str:
    """Return a moment as it is written everywhere in a report."""
    return "" if at is None else time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(at))


# ---- what it is about


def overview_section(subject: Subject) -> Section:
    """Return what the project is, and how its runs ended."""
    return Section("Overview", "overview", [Words(sentence) for sentence in _sentences(subject)])


def _sentences(subject: Subject) -> list[str]:
    runs = subject.runs
    statuses = Counter(str(run.status) for run in runs)
    ended = ", ".join(f"{count:,} {status}" for status, count in statuses.most_common())
    starts = [run.started_at for run in runs if run.started_at is not None]
    period = f", started between {moment(min(starts))} and {moment(max(starts))}" if starts else ""
    said = [f"{counted(len(runs), 'run')} in {counted(len(subject.experiments), 'experiment')}{period}: {ended}."]
    if subject.more:
        said.append(f"The project has more runs; these are the newest {len(runs):,}.")
    if subject.filter:
        said.append(f"Only runs that fit {subject.filter}")
    for metric in subject.metrics:
        ranked = subject.ranked(metric)
        if ranked:
            run, value = ranked[0]
            said.append(f"The best {metric} is {value_text(value)}, of run {run.name} ({run.experiment}).")
    return said


# ---- the best


def best_section(subject: Subject) -> Section:
    """Return the best runs by each metric whose direction is known."""
    parts: list[Part] = []
    for metric in subject.metrics:
        ranked = subject.ranked(metric)
        if ranked:
            parts.append(_best_table(subject, metric, ranked[:BEST]))
        elif subject.directions.of(metric) is None:
            parts.append(
                Words(
                    f"Which runs are best by {metric} cannot be said: the project does not say whether higher values "
                    f"of it are better. Say so with `tracklib projects set {subject.project.name} "
                    f"--setting higher_is_better='{{\"{metric}\": true}}'`, or false.",
                    is_gap=True,
                )
            )
        else:
            parts.append(Words(f"No run has a finite value of {metric}.", is_gap=True))
    if not subject.metrics:
        parts.append(Words("No run has logged a metric.", is_gap=True))
    return Section("Best runs", "best", parts)


def _best_table(subject: Subject, metric: str, ranked: Sequence[tuple[StoredRun, float]]) -> Table:
    params = list(subject.params)[:MOST_PARAMS]
    higher = "higher" if subject.directions.of(metric) else "lower"
    return Table(
        columns=[
            Column("", is_number=True),
            Column("run"),
            Column("experiment"),
            Column(metric, is_number=True),
            *(Column(name, is_number=_is_number(subject, name)) for name in params),
        ],
        rows=[
            [
                Cell(str(place), place),
                _name(run),
                Cell(_short(run.experiment), run.experiment),
                Cell(value_text(value), value, mark="best" if place == 1 else ""),
                *(_param(subject, name, run) for name in params),
            ]
            for place, (run, value) in enumerate(ranked, 1)
        ],
        caption=f"The best by the last value of {metric} ({higher} is better).",
    )


# ---- experiments


def experiments_section(subject: Subject) -> Section:
    """Return what the runs of each experiment reached."""
    from tracklib.analysis.experiment_statistics import statistics_of
    from tracklib.analysis.selecting import value_of

    parts: list[Part] = []
    for metric in subject.metrics:
        rows = []
        for name, runs in subject.experiments.items():
            values = {run.id: value for run in runs if (value := value_of(run, metric)) is not None}
            known = statistics_of(
                values,
                experiment=name,
                metric=metric,
                runs=len(runs),
                higher_is_better=subject.directions.of(metric),
            )
            numbers = (known.mean, known.std, known.median, known.min, known.max)
            rows.append(
                [
                    Cell(_short(name), name),
                    Cell(f"{known.count:,} of {known.runs:,}", float(known.count)),
                    *(_number(value) for value in numbers),
                ]
            )
        titles = ("runs with it", "mean", "std", "median", "min", "max")
        columns = [Column("experiment"), *(Column(title, is_number=True) for title in titles)]
        parts.append(Table(columns, rows, caption=f"The last value of {metric}.", sortable=True))
    return Section("Experiments", "experiments", parts or [Words("No run has logged a metric.", is_gap=True)])


# ---- all runs


def runs_section(subject: Subject) -> Section:
    """Return the table of all runs."""
    params = list(subject.params)
    shown = params[:MOST_PARAMS]
    best = {metric: ranked[0][1] for metric in subject.metrics if (ranked := subject.ranked(metric))}
    table = Table(
        columns=[
            Column("run"),
            Column("experiment"),
            Column("status"),
            Column("started"),
            Column("duration", is_number=True),
            *(Column(metric, is_number=True) for metric in subject.metrics),
            *(Column(name, is_number=_is_number(subject, name)) for name in shown),
            Column("tags"),
        ],
        rows=[_row(subject, run, shown, best) for run in subject.runs],
        sortable=True,
    )
    parts: list[Part] = [table]
    if len(params) > len(shown):
        left = len(params) - len(shown)
        parts.insert(0, Words(f"{counted(left, 'more param')} differ between the runs and have no column here."))
    return Section("Runs", "runs", parts)


def _row(subject: Subject, run: StoredRun, params: Sequence[str], best: dict[str, float]) -> list[Cell]:
    from tracklib.analysis.selecting import value_of

    values = {metric: value_of(run, metric) for metric in subject.metrics}
    tags = " ".join(f"{name}={value}" for name, value in run.tags.items())
    return [
        _name(run),
        Cell(_short(run.experiment), run.experiment),
        Cell(str(run.status), str(run.status), mark=str(run.status), hint=run.reason),
        Cell(moment(run.started_at), run.started_at),
        Cell("" if run.duration is None else duration_text(run.duration), run.duration),
        *(
            _number(value, mark="best" if value is not None and value == best.get(metric) else "")
            for metric, value in values.items()
        ),
        *(_param(subject, name, run) for name in params),
        Cell(_short(tags), tags, hint=tags if len(tags) > _LONGEST else ""),
    ]


def _name(run: StoredRun) -> Cell:
    return Cell(_short(run.name), run.name, hint=run.id)


def _number(value: float | None, *, mark: str = "") -> Cell:
    return Cell("" if value is None else value_text(value), value, mark=mark)


def _param(subject: Subject, name: str, run: StoredRun) -> Cell:
    values = subject.params[name]
    if run.id not in values:
        return Cell("")
    value: Any = values[run.id]
    text = value_text(value)
    order = float(value) if _is_number(subject, name) else text
    return Cell(_short(text), order, hint=text if len(text) > _LONGEST else "")


def _is_number(subject: Subject, param: str) -> bool:
    values = subject.params[param].values()
    return all(type(value) in {int, float} and abs(value) < 1e300 for value in values)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
