"""Groups of runs compared: what is a sample, what is said, and what is not said."""

from __future__ import annotations

import html
import json
import math
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

import tracklib
from tests.analysis.recorded import STORE, recorded_runs
from tracklib.errors import ConfigError, MissingDependency, NotFound

if TYPE_CHECKING:
    from tracklib.analysis.group_comparison import GroupComparison
    from tracklib.reading import StoredRun

pytestmark = pytest.mark.usefixtures("bare")

LENET = [72.0, 72.3, 72.6, 72.1, 72.5]
ALEXNET = [81.1, 81.5, 81.9, 81.4, 81.6]


def runs_of(values: list[Any], experiment: str = "sweep", metric: str = "eval/accuracy") -> list[StoredRun]:
    return recorded_runs([({}, {metric: value}) for value in values], experiment=experiment)


# ---- what is a sample


def test_a_run_counts_once_however_long_it_is() -> None:
    """The sample is one number for each run, not one for each step."""
    long = runs_of([[10.0, 50.0, value] for value in LENET])
    short = runs_of(list(ALEXNET))

    found = tracklib.compare_groups(long, short, "eval/accuracy").metrics["eval/accuracy"]

    assert [group.n for group in found.groups] == [5, 5]
    assert [group.mean for group in found.groups] == pytest.approx([72.3, 81.5])


@pytest.mark.parametrize(
    ("statistic", "mean"), [("last", 2.0), ("max", 3.0), ("min", 1.0), ("mean", 2.0), ("count", 3.0)]
)
def test_the_statistic_says_which_number(statistic: Any, mean: float) -> None:
    """Of the summary of a run."""
    runs = runs_of([[1.0, 3.0, 2.0]] * 4)

    found = tracklib.compare_groups(runs[:2], runs[2:], "eval/accuracy", statistic=statistic)

    assert [group.mean for group in found.metrics["eval/accuracy"].groups] == [mean, mean]
    assert found.statistic == statistic


def test_runs_may_be_given_as_they_are_held() -> None:
    """As ids, as running ones, as a mapping of names; each gives the same numbers."""
    first, second = runs_of(LENET), runs_of(ALEXNET)
    ids = [run.id for run in first], [run.id for run in second]

    by_run = tracklib.compare_groups(first, iter(second), "eval/accuracy")
    by_id = tracklib.compare_groups(*ids, "eval/accuracy", store=STORE)
    by_name = tracklib.compare_groups({"a": first, "b": second}, metric="eval/accuracy")

    assert by_run.to_dict() == by_id.to_dict() == by_name.to_dict()
    assert by_run.pair().difference == pytest.approx(-9.2)


def test_groups_are_called_by_their_experiments() -> None:
    """Where each has one of its own; a mapping gives names of its own."""
    lenet, alexnet = runs_of(LENET, "lenet"), runs_of(ALEXNET, "alexnet")

    named = tracklib.compare_groups(lenet, alexnet, "eval/accuracy")
    mixed = tracklib.compare_groups(lenet + alexnet[:1], alexnet[1:], "eval/accuracy")
    given = tracklib.compare_groups({"a": lenet, "b": alexnet}, metric="eval/accuracy")

    assert [(each.pair().first, each.pair().second) for each in (named, mixed, given)] == [
        ("lenet", "alexnet"),
        ("a", "b"),
        ("a", "b"),
    ]


def test_what_is_no_number_is_left_out_and_said() -> None:
    """Missing metrics, NaN, infinities, and runs that were given twice."""
    odd = recorded_runs([({}, {"loss": 1.0})])
    first = runs_of([*LENET, math.nan, math.inf])
    second = runs_of(ALEXNET)

    found = tracklib.compare_groups([*first, *odd, first[0]], second, "eval/accuracy").metrics["eval/accuracy"]

    assert [(group.n, group.left_out) for group in found.groups] == [(5, 3), (5, 0)]
    assert found.cautions[:3] == (
        "a: 1 run without eval/accuracy left out.",
        "a: 2 values left out, NaN or infinite.",
        "a: 1 run given more than once, counted once.",
    )


def test_a_run_in_two_groups_is_refused() -> None:
    """It would make them alike."""
    runs = runs_of(LENET)

    with pytest.raises(ConfigError, match=r"is in the groups 'a' and 'b'.* take it out of one"):
        tracklib.compare_groups(runs, runs[:2], "eval/accuracy")


def test_a_metric_that_no_run_has_is_not_found() -> None:
    """The message suggests near names."""
    with pytest.raises(NotFound, match="no run has a metric 'eval/acuracy'; near names: eval/accuracy"):
        tracklib.compare_groups(runs_of(LENET), runs_of(ALEXNET), "eval/acuracy")


# ---- what is said


def test_who_is_better_is_said_by_how_much() -> None:
    """The better group comes first; its direction is known from the project or given."""
    tracklib.set_project("digits", settings={"higher_is_better": {"eval/accuracy": True}}, store=STORE)
    first, second = runs_of(LENET), runs_of(ALEXNET)

    higher = tracklib.compare_groups(first, second, "eval/accuracy")
    lower = tracklib.compare_groups(first, second, "eval/accuracy", higher_is_better=False)

    assert higher.metrics["eval/accuracy"].higher_is_better is True
    assert higher.conclusion.startswith(
        "b is better than a: its eval/accuracy is higher by 9.2 (95 % confidence interval: 8.799 to 9.601)"
    )
    assert lower.conclusion.startswith("a is better than b: its eval/accuracy is lower by 9.2 (95 % conf")
    assert higher.pair().verdict == "different"


def test_an_unknown_direction_is_not_guessed() -> None:
    """Higher is called higher, and how to say more is told."""
    found = tracklib.compare_groups(LENET, ALEXNET, "eval/accuracy").metrics["eval/accuracy"]

    assert found.conclusion.startswith("b has a higher eval/accuracy than a, by 9.2 (95 %")
    assert "Whether higher values of eval/accuracy are better is not known: give higher_is_better." in found.cautions


def test_no_difference_shown_is_not_no_difference() -> None:
    """The interval says how large it may still be, and a caution what groups of this size can show."""
    found = tracklib.compare_groups([1.0, 2.0, 3.0], [1.5, 2.5, 3.5]).metrics["value"]

    assert found.pairs[0].verdict == "not shown"
    assert found.conclusion.startswith("No difference in value between a and b is shown (Welch's t = -0.612, df = 4, ")
    assert "This does not say that there is none: a less b is -0.5, with a 95 % confidence interval" in found.conclusion
    assert found.cautions[0].startswith("Groups of 3 and 3 show a difference four times out of five only where it is ")
    assert found.cautions[0].endswith("of 3.1 standard deviations or more.")
    assert found.cautions[1:] == (
        "With so few runs t relies on values that are spread like a bell, which few runs cannot show.",
        "The rank test of groups of 3 and 3 cannot give a p below 0.1, whatever the values are.",
    )


@pytest.mark.parametrize(
    ("first", "second", "has"),
    [([], LENET, "a has 0"), ([1.0], LENET, "a has 1"), (LENET, [math.nan, 1.0], "b has 1"), ([], [], "and b has 0")],
)
def test_one_run_is_no_sample(first: list[float], second: list[float], has: str) -> None:
    """No test is made, and words say why."""
    pair = tracklib.compare_groups(first, second, "loss").pair()

    assert pair.verdict == "untested"
    assert (pair.welch, pair.mann_whitney, pair.hedges_g, pair.low, pair.high) == (None, None, None, None, None)
    assert "a and b cannot be tested in loss: a test needs at least two runs in each group" in pair.conclusion
    assert has in pair.conclusion


@pytest.mark.parametrize("values", [[0.3, 0.3], [0.1 + 0.2, 0.3, 0.3], [0.0] * 9, [1e300, 1e300], [-5e-324] * 3])
def test_values_that_are_all_the_same_do_not_differ(values: list[float]) -> None:
    """Rounding is no difference."""
    pair = tracklib.compare_groups(values, values[:2]).pair()

    assert (pair.verdict, pair.welch) == ("equal", None)
    assert pair.conclusion == "All values of value are the same in a and b: no difference."


def test_two_constants_are_not_tested() -> None:
    """There t would be infinite; the rank test still says what it can, exactly."""
    pair = tracklib.compare_groups([1.0] * 3, [2.0] * 3).pair()

    assert (pair.verdict, pair.welch, pair.hedges_g) == ("untested", None, None)
    assert pair.mann_whitney is not None
    assert pair.mann_whitney.p == pytest.approx(0.1)
    assert "no spread to measure the difference by, and t would be infinite. They differ by -1." in pair.conclusion


def test_one_constant_group_is_tested_and_said() -> None:
    """Its spread is nought, that of the other is not."""
    pair = tracklib.compare_groups([1.0] * 5, [2.0, 2.5, 1.5, 1.8, 2.2]).pair()

    assert pair.verdict == "different"
    assert pair.cautions[-1] == "All values of a are the same: the test rests on the spread of b alone."


def test_what_the_correction_takes_away_is_said() -> None:
    """A pair that would have counted alone."""
    groups = {"a": [1.0, 2.0, 3.0, 4.0], "b": [3.5, 4.5, 5.5, 6.5], "c": [2.0, 3.0, 4.0, 5.0]}
    alone = tracklib.compare_groups({name: groups[name] for name in "ab"}, metric="loss").pair()
    among = tracklib.compare_groups(groups, metric="loss").pair("a", "b")

    assert (alone.verdict, among.verdict) == ("different", "not shown")
    assert among.cautions[0].startswith("a and b: alone, this test would have counted as a difference (p = 0.0")


def test_a_wild_value_makes_the_tests_disagree() -> None:
    """Which is said, with what to look at."""
    pair = tracklib.compare_groups([1.0, 1.1, 1.2, 1.3, 1.4, 90.0], [2.0, 2.1, 2.2, 2.3, 2.4, 2.5, 2.6, 2.7]).pair()

    assert any("the rank test says otherwise" in caution for caution in pair.cautions)
    assert any("a is spread" in caution and "as widely as b" in caution for caution in pair.cautions)


# ---- several groups and metrics


def test_three_groups_have_tests_of_all_and_of_pairs() -> None:
    """The best one is named, with those that it cannot be told from."""
    groups = {"lenet": LENET, "alexnet": ALEXNET, "other": [value + 0.1 for value in ALEXNET]}

    found = tracklib.compare_groups(groups, metric="accuracy", higher_is_better=True).metrics["accuracy"]

    assert [(pair.first, pair.second, pair.verdict) for pair in found.pairs] == [
        ("lenet", "alexnet", "different"),
        ("lenet", "other", "different"),
        ("alexnet", "other", "not shown"),
    ]
    assert found.anova is not None
    assert found.kruskal is not None
    assert found.anova.df == 2
    assert found.conclusion.startswith("Taken together, the groups differ in accuracy (Welch's F = ")
    assert "other has the best mean, but is not shown to differ from alexnet." in found.conclusion


def test_a_group_without_spread_keeps_welch_from_all() -> None:
    """The rank test and the pairs are still there."""
    found = tracklib.compare_groups({"a": [1.0] * 4, "b": LENET, "c": ALEXNET}, metric="x").metrics["x"]

    assert (found.anova, [pair.verdict for pair in found.pairs]) == (None, ["different"] * 3)
    assert found.kruskal is not None
    assert "c has the highest mean, and differs from all others." in found.conclusion


def test_many_groups_are_counted() -> None:
    """Their pairs are too many for a sentence each."""
    groups = {f"group {number}": [number + value for value in LENET] for number in range(5)}

    found = tracklib.compare_groups(groups, metric="x").metrics["x"]

    assert len(found.pairs) == 10
    assert "Of 10 pairs: 10 different." in found.conclusion


def test_several_metrics_are_corrected_together() -> None:
    """With all pairs; each kind of test by itself."""
    rows: list[tuple[dict[str, Any], dict[str, float]]] = [
        ({}, {"loss": value / 100, "accuracy": value}) for value in [*LENET, *ALEXNET]
    ]
    runs = recorded_runs(rows)

    found = tracklib.compare_groups(runs[:5], runs[5:], ["loss", "accuracy"], higher_is_better={"loss": False})
    alone = tracklib.compare_groups(runs[:5], runs[5:], ["loss", "accuracy"], correction="none")

    assert (list(found.metrics), found.tests) == (["loss", "accuracy"], 2)
    for name in found.metrics:
        corrected, raw = found.pair(metric=name), alone.pair(metric=name)
        assert corrected.welch is not None
        assert raw.welch is not None
        assert corrected.mann_whitney is not None
        assert raw.welch.corrected_p == raw.welch.p == corrected.welch.p
        assert corrected.welch.corrected_p == pytest.approx(2 * raw.welch.p)
        assert corrected.mann_whitney.corrected_p == pytest.approx(2 * corrected.mann_whitney.p)
    assert "p-values are corrected by Holm's procedure for 2 tests" in str(found)
    assert "Holm" not in str(alone)


# ---- what it gives


def both() -> GroupComparison:
    return tracklib.compare_groups({"le<net": LENET, "alex": ALEXNET, "one": [3.0]}, metric="accuracy")


def test_it_shows_itself() -> None:
    """As a table of groups and one of pairs, then in words; as HTML with everything escaped."""
    found = both()

    lines = str(found).splitlines()
    assert lines[0] == "accuracy (last)"
    assert lines[1].split() == ["group", "n", "mean", "std", "median", "left", "out"]
    assert lines[2].split() == ["le<net", "5", "72.3", "0.255", "72.3", "0"]
    assert lines[6].split()[:3] == ["le<net", "-", "alex"]
    assert repr(found) == "<GroupComparison of le<net, alex, one in accuracy>"
    assert "le<net" not in found._repr_html_()
    assert html.escape(found.metrics["accuracy"].conclusion) in found._repr_html_()


def test_it_is_a_data_frame() -> None:
    """A row for each metric and pair; what is not known is NaN."""
    frame = both().to_pandas()

    assert frame["verdict"].tolist() == ["different", "untested", "untested"]
    assert frame["difference"].tolist() == pytest.approx([-9.2, 69.3, 78.5])
    assert frame["p"].isna().tolist() == [False, True, True]
    assert frame.loc[0, ["first", "second", "n_first"]].tolist() == ["le<net", "alex", 5]


def test_it_is_plain_data() -> None:
    """Which JSON takes as it is."""
    found = both()

    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert plain["metrics"]["accuracy"]["pairs"][0]["welch"]["df"] == pytest.approx(7.860, abs=0.001)
    assert plain["conclusion"] == found.conclusion
    assert (plain["correction"], plain["confidence"], plain["tests"]) == ("holm", 0.95, 1)


def test_a_pair_is_found_by_its_names() -> None:
    """In either order; what is missing or not clear is said."""
    found = both()

    assert found.pair("alex", "le<net") is found.pair("le<net", "alex")
    with pytest.raises(NotFound, match="the groups 'vgg' and None were not compared; there are: le<net, alex, one"):
        found.pair("vgg")
    with pytest.raises(NotFound, match="the metric 'loss' was not compared; there are: accuracy"):
        found.pair(metric="loss")
    with pytest.raises(ConfigError, match="which 2 pairs are: name two"):
        found.pair("alex")


def test_a_caller_may_want_more_confidence() -> None:
    """Intervals become wider, and fewer differences count."""
    narrow, wide = (
        tracklib.compare_groups([1.0, 2.0, 3.0, 4.0], [3.5, 4.5, 5.5, 6.5], confidence=level).pair()
        for level in (0.95, 0.99)
    )

    assert (narrow.verdict, wide.verdict) == ("different", "not shown")
    assert wide.low is not None
    assert narrow.low is not None
    assert wide.low < narrow.low
    assert "99 % confidence interval" in wide.conclusion


def test_a_missing_scipy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to install."""
    monkeypatch.setitem(sys.modules, "scipy", None)

    with pytest.raises(MissingDependency, match=r"compare_groups needs SciPy: pip install 'tracklib-ml\[analysis\]'"):
        tracklib.compare_groups(LENET, ALEXNET)


def test_groups_may_be_arrays() -> None:
    """Of NumPy or pandas, with whole numbers as well."""
    found = tracklib.compare_groups(np.array(LENET, dtype=np.float32), pd.Series([81, 82, 83]), "accuracy")

    assert [group.n for group in found.metrics["accuracy"].groups] == [5, 3]
    assert found.pair().difference == pytest.approx(72.3 - 82, abs=1e-5)
