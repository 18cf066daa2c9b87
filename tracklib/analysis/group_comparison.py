"""What a comparison of groups says: as numbers, in words, as a table."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from tracklib.analysis.grids import Grid, grid_html, grid_text
from tracklib.errors import ConfigError, NotFound
from tracklib.frames import column_of, pandas_frame

if TYPE_CHECKING:
    from tracklib.analysis.corrections import Correction
    from tracklib.analysis.effect_sizes import EffectSize
    from tracklib.analysis.mean_tests import SignificanceTest
    from tracklib.analysis.selecting import Statistic

__all__ = ["GroupComparison", "GroupSummary", "MetricComparison", "PairComparison", "Verdict", "p_text", "value_text"]

Verdict = Literal["different", "not shown", "equal", "untested"]
"""What is known of two groups: that they differ, that this is not shown, that all values are the same, or nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSummary:
    """One metric in one group, in which each run counts once.

    Attributes:
        n: How many values there are.
        mean: Their mean; None without values, as are `median`, `min` and `max`.
        std: Their standard deviation, with n - 1 below; None where there is less than two.
        left_out: How many runs had no such metric, or a value that is NaN or infinite.
    """

    name: str
    n: int
    mean: float | None
    std: float | None
    median: float | None
    min: float | None
    max: float | None
    left_out: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PairComparison:
    """Two groups in one metric.

    Attributes:
        first: Name of the first group.
        second: Name of the second.
        difference: The first mean less the second; None where one has no values.
        low: The lower end of the confidence interval of the difference; None where it cannot be told.
        high: The upper end.
        welch: Welch's t-test; None where there are too few values, or they do not differ within the groups.
        mann_whitney: The rank test; None where there are too few values, or all are the same.
        hedges_g: The difference in standard deviations.
        detectable: From how many standard deviations on groups of these sizes show a difference four times out of
            five.
        verdict: different, not shown, equal or untested; it goes by Welch's corrected p.
        conclusion: The verdict in a sentence or two.
        cautions: What else is to be known of this pair.
    """

    first: str
    second: str
    difference: float | None
    low: float | None
    high: float | None
    welch: SignificanceTest | None
    mann_whitney: SignificanceTest | None
    hedges_g: EffectSize | None
    detectable: float | None
    verdict: Verdict
    conclusion: str
    cautions: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricComparison:
    """All groups in one metric.

    Attributes:
        higher_is_better: None where nobody has said so.
        groups: In the order in which they were given.
        anova: Of more than two groups, Welch's analysis of variance.
        kruskal: Likewise, the rank test of Kruskal and Wallis.
        pairs: Each group with each that comes after it.
        conclusion: What can be said of the metric, in sentences.
        cautions: What is to be known beside that: what was left out, and how far the numbers carry.
    """

    metric: str
    higher_is_better: bool | None
    groups: tuple[GroupSummary, ...]
    anova: SignificanceTest | None
    kruskal: SignificanceTest | None
    pairs: tuple[PairComparison, ...]
    conclusion: str
    cautions: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class GroupComparison:
    """Groups of runs compared. Printed, it says what follows; in a notebook it shows itself.

    Attributes:
        metrics: By name.
        statistic: Which number of a run stands for a metric: last, min, max, mean or count.
        confidence: Of the intervals; a p below 1 - `confidence` counts as a difference.
        correction: How p-values were corrected: holm or none.
        tests: How many pairs and metrics the p-values of the pairs were corrected for.
    """

    metrics: dict[str, MetricComparison]
    statistic: Statistic
    confidence: float
    correction: Correction
    tests: int

    @property
    def conclusion(self) -> str:
        """What can be said, in sentences: a paragraph for each metric."""
        return "\n".join(metric.conclusion for metric in self.metrics.values())

    def pair(self, first: str | None = None, second: str | None = None, *, metric: str | None = None) -> PairComparison:
        """Return what is known of two groups; names may be left out where there is but one pair, or one metric.

        Raises:
            NotFound: There is no such metric or group.
            ConfigError: It is not said which one is meant.
        """
        if metric is None and len(self.metrics) > 1:
            raise ConfigError(f"metric is None, but there are {', '.join(self.metrics)}: say which is meant")
        chosen = next(iter(self.metrics.values())) if metric is None else self.metrics.get(metric)
        if chosen is None:
            raise NotFound(f"the metric {metric!r} was not compared; there are: {', '.join(self.metrics)}")
        wanted = {name for name in (first, second) if name is not None}
        found = [pair for pair in chosen.pairs if wanted <= {pair.first, pair.second}]
        if not found:
            names = ", ".join(group.name for group in chosen.groups)
            raise NotFound(f"the groups {first!r} and {second!r} were not compared; there are: {names}")
        if len(found) > 1:
            raise ConfigError(f"first is {first!r} and second is {second!r}, which {len(found)} pairs are: name two")
        return found[0]

    def to_pandas(self) -> Any:
        """Return a data frame with a row for each metric and pair of groups.

        Raises:
            MissingDependency: pandas is not installed.
        """
        rows = [_row(metric, pair) for metric in self.metrics.values() for pair in metric.pairs]
        return pandas_frame(column_of(name, [row[name] for row in rows]) for name in rows[0])

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data, with the conclusion."""
        return {**asdict(self), "conclusion": self.conclusion}

    def __repr__(self) -> str:
        names = [group.name for group in next(iter(self.metrics.values())).groups]
        return f"<GroupComparison of {', '.join(names)} in {', '.join(self.metrics)}>"

    def __str__(self) -> str:
        parts = []
        for metric in self.metrics.values():
            cautions = [f"- {caution}" for caution in metric.cautions]
            parts.append("\n".join([*map(grid_text, self._grids(metric)), metric.conclusion, *cautions]))
        return "\n\n".join([*parts, *self._correction_note()])

    def _repr_html_(self) -> str:
        grids = [grid for metric in self.metrics.values() for grid in self._grids(metric, notes=True)]
        return "".join(
            map(grid_html, [*grids[:-1], replace(grids[-1], notes=(*grids[-1].notes, *self._correction_note()))])
        )

    def _correction_note(self) -> list[str]:
        if self.correction == "none" or self.tests < 2:
            return []
        return [f"p-values are corrected by Holm's procedure for {self.tests} tests; intervals are not corrected."]

    def _grids(self, metric: MetricComparison, *, notes: bool = False) -> list[Grid]:
        return [_groups_grid(metric, self.statistic), _pairs_grid(metric, self, notes=notes)]


def value_text(value: float | None) -> str:
    """Return a number in four significant digits.

    Example:
        >>> value_text(0.123456), value_text(93.70001), value_text(None)
        ('0.1235', '93.7', '-')
    """
    return "-" if value is None else f"{value:.4g}"


def p_text(p: float | None) -> str:
    """Return a p-value as it is written: never as nought.

    Example:
        >>> p_text(0.0312), p_text(1e-9), p_text(None)
        ('0.031', '< 0.0001', '-')
    """
    if p is None:
        return "-"
    return "< 0.0001" if p < 0.0001 else f"{p:.2g}"


def _groups_grid(metric: MetricComparison, statistic: Statistic) -> Grid:
    direction = {True: ", higher is better", False: ", lower is better", None: ""}[metric.higher_is_better]
    rows = [
        (group.name, str(group.n), *map(value_text, (group.mean, group.std, group.median)), str(group.left_out))
        for group in metric.groups
    ]
    header = ("group", "n", "mean", "std", "median", "left out")
    return Grid(title=f"{metric.metric} ({statistic}{direction})", header=header, rows=tuple(rows))


def _pairs_grid(metric: MetricComparison, comparison: GroupComparison, *, notes: bool) -> Grid:
    header = ("pair", "difference", f"{100 * comparison.confidence:.4g} % interval", "t", "df", "p", "g", "U", "rank p")
    rows = []
    for pair in metric.pairs:
        interval = "-" if pair.low is None else f"{value_text(pair.low)} to {value_text(pair.high)}"
        rows.append(
            (
                f"{pair.first} - {pair.second}",
                value_text(pair.difference),
                interval,
                value_text(_of(pair.welch, "statistic")),
                value_text(_of(pair.welch, "df")),
                p_text(_of(pair.welch, "corrected_p")),
                value_text(_of(pair.hedges_g, "value")),
                value_text(_of(pair.mann_whitney, "statistic")),
                p_text(_of(pair.mann_whitney, "corrected_p")),
            )
        )
    said = (metric.conclusion, *metric.cautions) if notes else ()
    return Grid(title="", header=header, rows=tuple(rows), notes=said, keep=4)


def _row(metric: MetricComparison, pair: PairComparison) -> dict[str, Any]:
    groups = {group.name: group for group in metric.groups}
    first, second = groups[pair.first], groups[pair.second]
    return {
        "metric": metric.metric,
        "first": pair.first,
        "second": pair.second,
        "n_first": first.n,
        "n_second": second.n,
        "mean_first": first.mean,
        "mean_second": second.mean,
        "std_first": first.std,
        "std_second": second.std,
        "difference": pair.difference,
        "low": pair.low,
        "high": pair.high,
        "t": _of(pair.welch, "statistic"),
        "df": _of(pair.welch, "df"),
        "p": _of(pair.welch, "p"),
        "corrected_p": _of(pair.welch, "corrected_p"),
        "hedges_g": _of(pair.hedges_g, "value"),
        "g_low": _of(pair.hedges_g, "low"),
        "g_high": _of(pair.hedges_g, "high"),
        "u": _of(pair.mann_whitney, "statistic"),
        "rank_p": _of(pair.mann_whitney, "p"),
        "corrected_rank_p": _of(pair.mann_whitney, "corrected_p"),
        "rank_method": _of(pair.mann_whitney, "method"),
        "verdict": pair.verdict,
        "conclusion": pair.conclusion,
    }


def _of(found: SignificanceTest | EffectSize | None, name: str) -> Any:
    return None if found is None else getattr(found, name)
