"""What the numbers of a comparison of groups say, and what they cannot say, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tracklib.analysis.group_comparison import p_text, value_text
from tracklib.analysis.rank_tests import smallest_p

if TYPE_CHECKING:
    from tracklib.analysis.group_comparison import (
        GroupSummary,
        MetricComparison,
        PairComparison,
        Verdict,
    )
    from tracklib.analysis.samples import Sample

__all__ = ["metric_cautions", "metric_conclusion", "pair_cautions", "pair_conclusion", "verdict_of"]

FEW: Final = 5
"""Groups of fewer runs are called small."""

UNEVEN: Final = 3.0
"""Spreads that differ by more than this factor are called unlike."""

_MOST_SENTENCES: Final = 6


def verdict_of(pair: PairComparison, metric: MetricComparison, *, confidence: float) -> Verdict:
    """Return what is known of a pair, by Welch's corrected p."""
    if pair.welch is not None:
        return "different" if pair.welch.corrected_p < 1 - confidence else "not shown"
    enough = min(side.n for side in _sides(pair, metric)) >= 2
    return "equal" if enough and pair.mann_whitney is None else "untested"


def pair_conclusion(pair: PairComparison, metric: MetricComparison, *, confidence: float) -> str:
    """Return the verdict on a pair in a sentence or two."""
    first, second = _sides(pair, metric)
    if pair.verdict == "equal":
        return f"All values of {metric.metric} are the same in {first.name} and {second.name}: no difference."
    if pair.welch is None:
        return _untested(pair, metric, first, second)
    test = f"Welch's t = {pair.welch.statistic:.3g}, df = {pair.welch.df:.3g}, {_p(pair.welch.corrected_p)}"
    level = f"{100 * confidence:.4g} %"
    if pair.verdict == "different":
        return f"{_difference(pair, metric, level)}; {test}{_effect(pair)}."
    return (
        f"No difference in {metric.metric} between {first.name} and {second.name} is shown ({test}). This does not say "
        f"that there is none: {first.name} less {second.name} is {value_text(pair.difference)}, with a {level} "
        f"confidence interval of {value_text(pair.low)} to {value_text(pair.high)}."
    )


def pair_cautions(pair: PairComparison, metric: MetricComparison, *, confidence: float) -> tuple[str, ...]:
    """Return what is to be known of a pair beside its verdict."""
    if pair.welch is None:
        return ()
    level, names = 1 - confidence, f"{pair.first} and {pair.second}"
    said = []
    if pair.welch.p < level <= pair.welch.corrected_p:
        said.append(
            f"{names}: alone, this test would have counted as a difference ({_p(pair.welch.p)}); among so many it does "
            "not."
        )
    sizes = [side.n for side in _sides(pair, metric)]
    ranks = pair.mann_whitney
    shown = pair.verdict == "different"
    if ranks is not None and (ranks.corrected_p < level) is not shown and (not shown or smallest_p(*sizes) < level):
        said.append(
            f"{names}: the rank test says otherwise ({_p(ranks.corrected_p)}). Look at the values: a few of them may "
            "lie far from the rest."
        )
    return (*said, *_unlike(pair, metric))


def metric_conclusion(metric: MetricComparison, *, confidence: float) -> str:
    """Return what can be said of all groups in a metric."""
    if len(metric.pairs) == 1:
        return metric.pairs[0].conclusion
    parts = [_overall(metric, confidence), _best(metric)]
    if len(metric.pairs) <= _MOST_SENTENCES:
        parts += [pair.conclusion for pair in metric.pairs]
    else:
        counts = {pair.verdict: 0 for pair in metric.pairs}
        for pair in metric.pairs:
            counts[pair.verdict] += 1
        said = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
        parts.append(f"Of {len(metric.pairs)} pairs: {said}.")
    return " ".join(part for part in parts if part)


def metric_cautions(metric: MetricComparison, samples: list[Sample], *, confidence: float) -> tuple[str, ...]:
    """Return what was left out, and how far the numbers of a metric carry."""
    said = [line for sample in samples for line in _left_out(sample, metric.metric)]
    said += dict.fromkeys(line for pair in metric.pairs for line in _reach(pair, metric, 1 - confidence))
    if metric.higher_is_better is None and any(pair.verdict == "different" for pair in metric.pairs):
        said.append(f"Whether higher values of {metric.metric} are better is not known: give higher_is_better.")
    return (*said, *(caution for pair in metric.pairs for caution in pair.cautions))


def _reach(pair: PairComparison, metric: MetricComparison, level: float) -> list[str]:
    """Say what groups of these sizes can show."""
    if pair.welch is None:
        return []
    said, (small, large) = [], sorted(side.n for side in _sides(pair, metric))
    if pair.detectable is not None and (small < FEW or pair.verdict == "not shown"):
        said.append(
            f"Groups of {small} and {large} show a difference four times out of five only where it is of "
            f"{pair.detectable:.2g} standard deviations or more."
        )
    if small < FEW:
        said.append("With so few runs t relies on values that are spread like a bell, which few runs cannot show.")
    if smallest_p(small, large) >= level:
        said.append(
            f"The rank test of groups of {small} and {large} cannot give a p below {smallest_p(small, large):.2g}, "
            "whatever the values are."
        )
    return said


def _untested(pair: PairComparison, metric: MetricComparison, first: GroupSummary, second: GroupSummary) -> str:
    small = [side for side in (first, second) if side.n < 2]
    apart = f" They differ by {value_text(pair.difference)}" if pair.difference else ""
    if small:
        has = " and ".join(f"{side.name} has {side.n}" for side in small)
        after = f"{apart}, which says nothing of what other runs would give." if apart else ""
        return (
            f"{first.name} and {second.name} cannot be tested in {metric.metric}: a test needs at least two runs in "
            f"each group, and {has}.{after}"
        )
    ranks = f" The rank test gives {_p(pair.mann_whitney.corrected_p)}." if pair.mann_whitney else ""
    return (
        f"{first.name} and {second.name} cannot be tested in {metric.metric}: within each group all values are the "
        f"same, so that there is no spread to measure the difference by, and t would be infinite.{apart}.{ranks}"
    )


def _difference(pair: PairComparison, metric: MetricComparison, level: str) -> str:
    """Say who is better or higher, and by how much; the better or higher one comes first."""
    assert pair.difference is not None
    assert pair.low is not None
    assert pair.high is not None
    first_wins = (pair.difference > 0) is (metric.higher_is_better is not False)
    winner, loser = (pair.first, pair.second) if first_wins else (pair.second, pair.first)
    low, high = sorted((abs(pair.low), abs(pair.high)))
    if pair.low < 0 < pair.high:  # Only where the p-values were not corrected at this level.
        low = -low
    by = f"by {value_text(abs(pair.difference))} ({level} confidence interval: {value_text(low)} to {value_text(high)}"
    if metric.higher_is_better is None:
        return f"{winner} has a higher {metric.metric} than {loser}, {by})"
    word = "higher" if metric.higher_is_better else "lower"
    return f"{winner} is better than {loser}: its {metric.metric} is {word} {by})"


def _effect(pair: PairComparison) -> str:
    if pair.hedges_g is None:
        return ""
    return f"; Hedges' g = {pair.hedges_g.value:.3g}, {pair.hedges_g.size}"


def _unlike(pair: PairComparison, metric: MetricComparison) -> list[str]:
    first, second = _sides(pair, metric)
    low, high = sorted((first, second), key=lambda side: side.std or 0.0)
    if low.std == 0.0:
        return [f"All values of {low.name} are the same: the test rests on the spread of {high.name} alone."]
    if (high.std or 0.0) > UNEVEN * (low.std or 0.0):
        times = (high.std or 0.0) / (low.std or 1.0)
        return [f"{high.name} is spread {times:.2g} times as widely as {low.name}: g takes both to be alike."]
    return []


def _overall(metric: MetricComparison, confidence: float) -> str:
    if metric.anova is None:
        return ""
    test = metric.anova
    word = "differ" if test.corrected_p < 1 - confidence else "are not shown to differ"
    return (
        f"Taken together, the groups {word} in {metric.metric} (Welch's F = {test.statistic:.3g}, df = {test.df:.3g} "
        f"and {test.df_within:.3g}, {_p(test.corrected_p)})."
    )


def _best(metric: MetricComparison) -> str:
    """Say which group has the best mean, and from which others it cannot be told."""
    sign = -1.0 if metric.higher_is_better is False else 1.0
    means = {group.name: sign * group.mean for group in metric.groups if group.mean is not None}
    if not means:
        return ""
    best = max(means, key=means.__getitem__)
    if sum(mean == means[best] for mean in means.values()) > 1:
        return ""
    word = "highest" if metric.higher_is_better is None else "best"
    pairs = [pair for pair in metric.pairs if best in (pair.first, pair.second)]
    unsure = [pair.second if pair.first == best else pair.first for pair in pairs if pair.verdict != "different"]
    rest = f", but is not shown to differ from {', '.join(unsure)}" if unsure else ", and differs from all others"
    return f"{best} has the {word} mean{rest}."


def _left_out(sample: Sample, metric: str) -> list[str]:
    said = []
    if sample.without_metric:
        said.append(f"{sample.name}: {_runs(sample.without_metric)} without {metric} left out.")
    if sample.not_finite:
        what = "value" if sample.not_finite == 1 else "values"
        said.append(f"{sample.name}: {sample.not_finite} {what} left out, NaN or infinite.")
    if sample.repeated:
        said.append(f"{sample.name}: {_runs(sample.repeated)} given more than once, counted once.")
    return said


def _sides(pair: PairComparison, metric: MetricComparison) -> tuple[GroupSummary, GroupSummary]:
    groups = {group.name: group for group in metric.groups}
    return groups[pair.first], groups[pair.second]


def _runs(count: int) -> str:
    return f"{count} run" if count == 1 else f"{count} runs"


def _p(p: float) -> str:
    text = p_text(p)
    return f"p {text}" if text.startswith("<") else f"p = {text}"
