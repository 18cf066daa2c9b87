"""Whether groups of runs differ by more than chance: `tracklib.compare_groups`."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from numbers import Real
from typing import TYPE_CHECKING, Any

from tracklib.analysis.corrections import checked_correction, corrected
from tracklib.analysis.directions import read_directions
from tracklib.analysis.group_comparison import GroupComparison, GroupSummary, MetricComparison, PairComparison
from tracklib.analysis.selecting import checked_statistic
from tracklib.errors import ConfigError, MissingDependency

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping, Sequence

    from tracklib.analysis.corrections import Correction
    from tracklib.analysis.mean_tests import SignificanceTest
    from tracklib.analysis.samples import Group, Sample
    from tracklib.analysis.selecting import Statistic
    from tracklib.reading import StoredRun
    from tracklib.run import Run

__all__ = ["GroupComparison", "compare_groups"]


def compare_groups(  # noqa: PLR0913 - two groups and a metric read as a sentence; the rest by keyword
    a: Iterable[str | Run | StoredRun | float] | Mapping[str, Iterable[str | Run | StoredRun | float]],
    b: Iterable[str | Run | StoredRun | float] | None = None,
    metric: str | Iterable[str] | None = None,
    *,
    statistic: Statistic = "last",
    confidence: float = 0.95,
    correction: Correction = "holm",
    higher_is_better: bool | Mapping[str, bool] | None = None,
    store: str | os.PathLike[str] | None = None,
) -> GroupComparison:
    """Compare groups of runs, such as several seeds each of two models: is the difference more than chance?

    Each run counts once, with one number for each metric. Welch's t-test says whether the means differ, with the
    confidence interval of the difference and Hedges' g; the rank test of Mann and Whitney stands beside it. Of more
    than two groups, Welch's analysis of variance and the test of Kruskal and Wallis come first, then all pairs. Where
    a test cannot be made (fewer than two runs in a group, values that are all the same) words say so in its place.

    The p-values of all pairs and metrics of a call are corrected together by Holm's procedure; so are those of each
    of the other tests. Confidence intervals are not corrected.

    Sources: Welch (1947) with degrees of freedom after Satterthwaite (1946), Hedges (1981), Mann and Whitney (1947),
    Welch (1951), Kruskal and Wallis (1952), Holm (1979); cited in full in the modules `mean_tests`, `effect_sizes`,
    `rank_tests` and `corrections` of `tracklib.analysis`.

    Args:
        a: The first group: runs, or their ids; or plain numbers. Or all groups by their names, and then no `b`.
        b: The second group. Two groups are called by their experiments where each has one of its own, else a and b.
        metric: Name of the metric, or several; not needed for plain numbers.
        statistic: Which number of a run stands for the metric: last, min, max, mean or count.
        confidence: Of the intervals; a corrected p below 1 - `confidence` counts as a difference.
        correction: holm or none.
        higher_is_better: Of these metrics, or by name; over the project's setting of this name.
        store: URI of the store for runs that are given by id; by default the one that runs go to.

    Raises:
        ConfigError: An argument cannot be meant, or a run is in two groups.
        NotFound: There is no such run, or no run has the metric.
        MissingDependency: SciPy is not installed.

    Example:
        >>> result = tracklib.compare_groups([71.9, 72.3, 72.6], [81.2, 81.5, 81.9], higher_is_better=True)
        >>> print(result.conclusion)
        b is better than a: its value is higher by 9.267 (95 % confidence interval: 8.471 to 10.06); Welch's t = ...
    """
    from tracklib.analysis.samples import checked_metrics, named_groups, read_groups, told_by_experiment

    level = _checked_confidence(confidence)
    chosen, correction = checked_statistic(statistic), checked_correction(correction)
    groups = read_groups(named_groups(a, b), store=store)
    names = checked_metrics(metric, groups)
    places = ((run.store, run.project) for group in groups for run in group.runs)
    directions = read_directions(higher_is_better, metrics=names, places=places)
    _need_scipy()
    told = told_by_experiment(groups) if b is not None else groups
    measured = {name: _measured(name, told, chosen, level, directions.of(name)) for name in names}
    found = _worded(_corrected(measured, correction), told, chosen, level)
    tests = sum(pair.welch is not None for each in found.values() for pair in each.pairs)
    return GroupComparison(metrics=found, statistic=chosen, confidence=level, correction=correction, tests=tests)


def _checked_confidence(confidence: Any) -> float:
    if isinstance(confidence, bool) or not isinstance(confidence, Real) or not 0.5 <= float(confidence) < 1:
        raise ConfigError(f"confidence is {confidence!r:.200}, but takes a number from 0.5 to below 1, such as 0.95")
    return float(confidence)


def _need_scipy() -> None:
    try:
        import scipy  # noqa: F401 - only whether it is there
    except ImportError as error:
        raise MissingDependency("compare_groups needs SciPy: pip install 'tracklib-ml[analysis]'") from error


def _measured(
    metric: str, groups: Sequence[Group], statistic: Statistic, confidence: float, higher_is_better: bool | None
) -> MetricComparison:
    """Return the numbers of a metric, without corrections and words."""
    from tracklib.analysis.mean_tests import welch_anova
    from tracklib.analysis.rank_tests import kruskal_wallis
    from tracklib.analysis.samples import sample_of

    samples = [sample_of(group, metric, statistic) for group in groups]
    testable = [sample.values for sample in samples if len(sample.values) >= 2]
    several = len(testable) > 2
    return MetricComparison(
        metric=metric,
        higher_is_better=higher_is_better,
        groups=tuple(map(_summary, samples)),
        anova=welch_anova(testable) if several else None,
        kruskal=kruskal_wallis(testable) if several else None,
        pairs=tuple(_pair(first, second, confidence) for first, second in combinations(samples, 2)),
        conclusion="",
        cautions=(),
    )


def _summary(sample: Sample) -> GroupSummary:
    from statistics import median

    from tracklib.analysis.spreads import common_scale, mean_of, spread_of

    values = sample.values
    scale = common_scale(values)
    return GroupSummary(
        name=sample.name,
        n=len(values),
        mean=mean_of(values) if values else None,
        std=spread_of(values, scale=scale).variance ** 0.5 * scale if len(values) > 1 else None,
        median=median(value / scale for value in values) * scale if values else None,
        min=min(values, default=None),
        max=max(values, default=None),
        left_out=sample.without_metric + sample.not_finite,
    )


def _pair(first: Sample, second: Sample, confidence: float) -> PairComparison:
    from tracklib.analysis.effect_sizes import detectable_effect, hedges_g
    from tracklib.analysis.mean_tests import welch_t
    from tracklib.analysis.rank_tests import mann_whitney
    from tracklib.analysis.spreads import mean_of

    one, two = first.values, second.values
    tested = min(len(one), len(two)) >= 2
    welch = welch_t(one, two, confidence=confidence) if tested else None
    return PairComparison(
        first=first.name,
        second=second.name,
        difference=mean_of(one) - mean_of(two) if one and two else None,
        low=None if welch is None else welch.low,
        high=None if welch is None else welch.high,
        welch=None if welch is None else welch.test,
        mann_whitney=mann_whitney(one, two) if tested else None,
        hedges_g=hedges_g(one, two, confidence=confidence) if tested else None,
        detectable=detectable_effect(len(one), len(two), confidence=confidence) if tested else None,
        verdict="untested",
        conclusion="",
        cautions=(),
    )


def _corrected(measured: dict[str, MetricComparison], correction: Correction) -> dict[str, MetricComparison]:
    """Return metrics with p-values that know of each other, each kind of test by itself."""
    metrics = list(measured.values())
    pairs = [pair for each in metrics for pair in each.pairs]
    welch = iter(_as_family([pair.welch for pair in pairs], correction))
    ranks = iter(_as_family([pair.mann_whitney for pair in pairs], correction))
    anova = _as_family([each.anova for each in metrics], correction)
    kruskal = _as_family([each.kruskal for each in metrics], correction)
    return {
        each.metric: replace(
            each,
            anova=anova[index],
            kruskal=kruskal[index],
            pairs=tuple(replace(pair, welch=next(welch), mann_whitney=next(ranks)) for pair in each.pairs),
        )
        for index, each in enumerate(metrics)
    }


def _as_family(tests: Sequence[SignificanceTest | None], correction: Correction) -> list[SignificanceTest | None]:
    adjusted = iter(corrected([test.p for test in tests if test is not None], correction))
    return [None if test is None else replace(test, corrected_p=next(adjusted)) for test in tests]


def _worded(
    measured: dict[str, MetricComparison], groups: Sequence[Group], statistic: Statistic, confidence: float
) -> dict[str, MetricComparison]:
    from tracklib.analysis.samples import sample_of
    from tracklib.analysis.significance_words import metric_cautions, metric_conclusion

    found = {}
    for name, numbers in measured.items():
        each = replace(numbers, pairs=tuple(_worded_pair(pair, numbers, confidence) for pair in numbers.pairs))
        found[name] = replace(
            each,
            conclusion=metric_conclusion(each, confidence=confidence),
            cautions=metric_cautions(
                each, [sample_of(group, name, statistic) for group in groups], confidence=confidence
            ),
        )
    return found


def _worded_pair(pair: PairComparison, metric: MetricComparison, confidence: float) -> PairComparison:
    from tracklib.analysis.significance_words import pair_cautions, pair_conclusion, verdict_of

    judged = replace(pair, verdict=verdict_of(pair, metric, confidence=confidence))
    return replace(
        judged,
        conclusion=pair_conclusion(judged, metric, confidence=confidence),
        cautions=pair_cautions(judged, metric, confidence=confidence),
    )
