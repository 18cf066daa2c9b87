"""The numbers of significance: those that were published, those of SciPy and statsmodels, and laws that they obey."""

from __future__ import annotations

import math
from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.oneway import anova_oneway
from statsmodels.stats.power import TTestIndPower
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

import tracklib
from tracklib.analysis.corrections import corrected, holm
from tracklib.analysis.effect_sizes import detectable_effect, hedges_g, small_sample_factor
from tracklib.analysis.mean_tests import WelchT, welch_anova, welch_t
from tracklib.analysis.rank_tests import kruskal_wallis, mann_whitney, smallest_p
from tracklib.analysis.spreads import has_spread, mean_of

# Student's sleep data, as R has them in `sleep`.
SLEEP = (
    [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0],
    [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4],
)
# R's `PlantGrowth`.
PLANTS = (
    [4.17, 5.58, 5.18, 6.11, 4.50, 4.61, 5.17, 4.53, 5.33, 5.14],
    [4.81, 4.17, 4.41, 3.59, 5.87, 3.83, 6.03, 4.89, 4.32, 4.69],
    [6.31, 5.12, 5.54, 5.50, 5.37, 5.29, 4.92, 6.15, 5.80, 5.26],
)
# R's `airquality`, Ozone by Month without the missing ones.
OZONE = (
    [41, 36, 12, 18, 28, 23, 19, 8, 7, 16, 11, 14, 18, 14, 34, 6, 30, 11, 1, 11, 4, 32, 23, 45, 115, 37],
    [29, 71, 39, 23, 21, 37, 20, 12, 13],
    [135, 49, 32, 64, 40, 77, 97, 97, 85, 10, 27, 7, 48, 35, 61, 79, 63, 16, 80, 108, 20, 52, 82, 50, 64, 59],
    [39, 9, 16, 78, 35, 66, 122, 89, 110, 44, 28, 65, 22, 59, 23, 31, 44, 21, 9, 45, 168, 73, 76, 118, 84, 85],
    [96, 78, 73, 91, 47, 32, 20, 23, 21, 24, 44, 21, 28, 9, 13, 46, 18, 13, 24, 16, 13, 23, 36, 7, 14, 30, 14, 18, 20],
)

numbers = st.floats(-1e3, 1e3, allow_subnormal=False).map(lambda value: round(value, 3))
samples = st.lists(numbers, min_size=2, max_size=12)
LAW = settings(deadline=None)
probabilities = st.lists(st.floats(0, 1), max_size=30)


def welch_of(first: list[float], second: list[float]) -> WelchT:
    found = welch_t(first, second)
    assert found is not None
    return found


# ---- published


def test_welch_is_that_of_r() -> None:
    """`t.test(extra ~ group, data = sleep)`: t = -1.8608, df = 17.776, p = 0.07939, interval -3.3654832 0.2054832."""
    found = tracklib.compare_groups(*SLEEP).pair()

    assert found.welch is not None
    assert found.welch.statistic == pytest.approx(-1.8608, abs=5e-5)
    assert found.welch.df == pytest.approx(17.776, abs=5e-4)
    assert found.welch.p == pytest.approx(0.07939, abs=5e-6)
    assert found.low == pytest.approx(-3.3654832, abs=5e-8)
    assert found.high == pytest.approx(0.2054832, abs=5e-8)


def test_analyses_of_variance_are_those_of_r() -> None:
    """`oneway.test` and `kruskal.test` on PlantGrowth, `kruskal.test` on airquality."""
    anova, ranks = welch_anova(PLANTS), kruskal_wallis(PLANTS)
    ozone = kruskal_wallis(OZONE)

    assert anova is not None
    assert ranks is not None
    assert ozone is not None
    # F = 5.181, num df = 2.000, denom df = 17.128, p-value = 0.01739
    assert anova.statistic == pytest.approx(5.181, abs=5e-4)
    assert anova.p == pytest.approx(0.01739, abs=5e-6)
    assert anova.df == 2
    assert anova.df_within == pytest.approx(17.128, abs=5e-4)
    # Kruskal-Wallis chi-squared = 7.9882, df = 2, p-value = 0.01842
    assert ranks.statistic == pytest.approx(7.9882, abs=5e-5)
    assert ranks.p == pytest.approx(0.01842, abs=5e-6)
    # Kruskal-Wallis chi-squared = 29.267, df = 4, p-value = 6.901e-06
    assert ozone.statistic == pytest.approx(29.267, abs=5e-4)
    assert ozone.p == pytest.approx(6.901e-06, abs=5e-10)


def test_mann_whitney_is_that_of_scipys_page() -> None:
    """Ages of diagnosis of 5 men and 4 women: U = 17, exact p = 0.1111."""
    found = mann_whitney([19, 22, 16, 29, 24], [20, 11, 17, 12])

    assert found is not None
    assert (found.statistic, found.method) == (17, "Mann-Whitney U (exact)")
    assert found.p == pytest.approx(0.1111111111111111)


def test_holm_is_that_of_r() -> None:
    """`p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.05), "holm")` and the like."""
    assert holm([0.01, 0.02, 0.03, 0.04, 0.05]) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


def test_the_interval_of_g_is_that_of_the_noncentral_t() -> None:
    """`conf.limits.nct(2.83, 126)` of R's MBESS: 0.8337502 and 4.815359."""
    one = np.repeat([0.0, 2.0], 32)
    spread = 64 * 1.0 * 2 / 126  # The pooled variance of two such samples.
    shift = 2.83 * math.sqrt(spread * 2 / 64)

    found = hedges_g(list(one + shift), list(one))

    assert found is not None
    assert found.low is not None
    assert found.high is not None
    scale = small_sample_factor(126) / math.sqrt(32)
    assert found.low / scale == pytest.approx(0.83375, abs=1e-4)
    assert found.high / scale == pytest.approx(4.81536, abs=1e-4)


def test_the_small_sample_factor_is_close_to_the_usual_one() -> None:
    """Hedges' table has 0.5642 for 2 degrees of freedom; 1 - 3 / (4 df - 1) is an approximation."""
    assert small_sample_factor(2) == pytest.approx(0.5642, abs=5e-5)
    assert [small_sample_factor(df) for df in (10, 50)] == pytest.approx(
        [1 - 3 / (4 * df - 1) for df in (10, 50)], abs=5e-4
    )


# ---- as others compute them


@LAW
@given(first=samples, second=samples)
def test_welch_is_that_of_scipy_and_statsmodels(first: list[float], second: list[float]) -> None:
    """t, p, degrees of freedom and interval."""
    assume(has_spread(first) and has_spread(second))
    theirs = stats.ttest_ind(first, second, equal_var=False)
    t, p, df = CompareMeans(DescrStatsW(first), DescrStatsW(second)).ttest_ind(usevar="unequal")
    interval = theirs.confidence_interval(0.95)

    found = welch_of(first, second)

    assert found.test.statistic == pytest.approx(theirs.statistic)
    assert found.test.p == pytest.approx(theirs.pvalue)
    assert found.test.statistic == pytest.approx(t)
    assert found.test.p == pytest.approx(p)
    assert found.test.df == pytest.approx(df)
    assert found.low == pytest.approx(interval.low, abs=1e-9)
    assert found.high == pytest.approx(interval.high, abs=1e-9)


@LAW
@given(groups=st.lists(samples, min_size=2, max_size=5))
def test_the_analysis_of_variance_is_that_of_statsmodels(groups: list[list[float]]) -> None:
    """Welch's."""
    assume(all(has_spread(group) for group in groups))
    theirs = anova_oneway(groups, use_var="unequal", welch_correction=True)

    found = welch_anova(groups)

    assert found is not None
    assert found.statistic == pytest.approx(theirs.statistic)
    assert found.p == pytest.approx(theirs.pvalue)
    assert found.df == pytest.approx(theirs.df_num)
    assert found.df_within == pytest.approx(theirs.df_denom)


@LAW
@given(values=st.lists(numbers, min_size=4, max_size=30, unique=True), data=st.data())
def test_ranks_without_ties_are_those_of_scipy(values: list[float], data: st.DataObject) -> None:
    """Exact up to eight values in the smaller sample, as there."""
    size = data.draw(st.integers(2, len(values) - 2))
    first, second = values[:size], values[size:]
    theirs = stats.mannwhitneyu(first, second)

    found = mann_whitney(first, second)

    assert found is not None
    assert found.statistic == theirs.statistic
    assert found.p == pytest.approx(theirs.pvalue)
    assert found.p >= smallest_p(len(first), len(second)) * (1 - 1e-9) or "normal" in found.method


@LAW
@given(values=st.lists(st.integers(0, 4), min_size=4, max_size=9), data=st.data())
def test_ranks_with_ties_are_those_of_all_ways_to_deal_them(values: list[int], data: st.DataObject) -> None:
    """Counted one by one."""
    size = data.draw(st.integers(2, len(values) - 2))
    assume(len(set(values)) > 1)
    ranks = stats.rankdata(values)
    sums = [sum(each) for each in combinations(ranks, size)]
    observed = sum(ranks[:size])
    below = np.mean([each <= observed + 1e-9 for each in sums])
    above = np.mean([each >= observed - 1e-9 for each in sums])

    found = mann_whitney([float(v) for v in values[:size]], [float(v) for v in values[size:]])

    assert found is not None
    assert found.p == pytest.approx(min(1.0, 2 * min(below, above)))


def test_large_samples_with_ties_are_approximated_as_in_scipy() -> None:
    """Which the method says."""
    first, second = [float(number % 7) for number in range(40)], [float(number % 5) for number in range(30)]

    found = mann_whitney(first, second)

    assert found is not None
    assert found.method == "Mann-Whitney U (normal approximation)"
    assert found.p == pytest.approx(stats.mannwhitneyu(first, second).pvalue)


@settings(deadline=None, max_examples=20)
@given(values=probabilities)
def test_holm_is_that_of_statsmodels(values: list[float]) -> None:
    """For any p-values."""
    theirs = multipletests(values, method="holm")[1] if values else []

    assert holm(values) == pytest.approx(list(theirs))


@pytest.mark.parametrize("sizes", [(2, 2), (3, 3), (2, 9), (5, 5), (20, 30)])
def test_the_detectable_effect_is_that_of_statsmodels(sizes: tuple[int, int]) -> None:
    """With a power of 80 %."""
    theirs = TTestIndPower().solve_power(nobs1=sizes[0], ratio=sizes[1] / sizes[0], alpha=0.05, power=0.8)

    assert detectable_effect(*sizes) == pytest.approx(theirs, rel=1e-4)


def test_intervals_cover_as_often_as_they_say() -> None:
    """Of 2,000 pairs of unequal samples that differ by 1, nearly 95 % have it in their interval."""
    random = np.random.default_rng(0)
    covered = 0
    for _ in range(2000):
        found = welch_of(list(random.normal(1, 1, 5)), list(random.normal(0, 3, 8)))
        covered += found.low <= 1 <= found.high

    assert covered / 2000 == pytest.approx(0.95, abs=0.015)


# ---- laws


@LAW
@given(first=samples, second=samples)
def test_swapped_groups_turn_the_sign(first: list[float], second: list[float]) -> None:
    """And nothing else."""
    one, other = tracklib.compare_groups(first, second).pair(), tracklib.compare_groups(second, first).pair()

    assert one.verdict == other.verdict
    assert one.difference == pytest.approx(-(other.difference or 0.0))
    if one.welch is not None and other.welch is not None:
        assert one.welch.statistic == pytest.approx(-other.welch.statistic)
        assert one.welch.p == pytest.approx(other.welch.p)
        assert one.low == pytest.approx(-(other.high or 0.0))
        assert one.high == pytest.approx(-(other.low or 0.0))
    if one.mann_whitney is not None and other.mann_whitney is not None:
        assert one.mann_whitney.p == pytest.approx(other.mann_whitney.p)
    if one.hedges_g is not None and other.hedges_g is not None:
        assert one.hedges_g.value == pytest.approx(-other.hedges_g.value)


@LAW
@given(first=samples, second=samples, power=st.integers(-900, 900), shift=st.integers(-1000, 1000))
def test_units_do_not_matter(first: list[float], second: list[float], power: int, shift: int) -> None:
    """Neither where their nought is, nor how large they are, be it 1e-270 or 1e270."""
    units = [round(value * 1000) for value in first], [round(value * 1000) for value in second]

    plain = tracklib.compare_groups(*units).pair()
    moved = [[math.ldexp(value + shift, power) for value in side] for side in units]
    other = tracklib.compare_groups(moved[0], moved[1]).pair()

    assert plain.verdict == other.verdict
    if plain.welch is not None and other.welch is not None:
        assert other.welch.statistic == pytest.approx(plain.welch.statistic, rel=1e-6, abs=1e-9)
        assert other.welch.p == pytest.approx(plain.welch.p, rel=1e-5)
    if plain.hedges_g is not None and other.hedges_g is not None:
        assert other.hedges_g.value == pytest.approx(plain.hedges_g.value, rel=1e-6, abs=1e-9)


@LAW
@given(values=probabilities)
def test_a_correction_never_makes_p_smaller(values: list[float]) -> None:
    """It keeps their order, and stays below 1; without one they are as they were."""
    found = holm(values)

    assert all(raw <= made <= 1 for raw, made in zip(values, found, strict=True))
    order = sorted(range(len(values)), key=values.__getitem__)
    assert all(found[low] <= found[high] for low, high in pairwise(order))
    assert corrected(values, "none") == values


@LAW
@given(
    st.lists(
        st.lists(st.floats() | st.sampled_from([0.0, 1.0, 1.0000000000000002, 1e308, 5e-324, math.nan]), max_size=6),
        min_size=2,
        max_size=4,
    )
)
def test_any_numbers_get_an_answer(groups: list[list[float]]) -> None:
    """In words, without a warning; whatever is given as a p is one."""
    found = tracklib.compare_groups({str(i): group for i, group in enumerate(groups)}, metric="x", correction="none")

    assert found.conclusion
    assert "nan" not in str(found)
    for pair in found.metrics["x"].pairs:
        assert pair.conclusion
        for test in (pair.welch, pair.mann_whitney):
            assert test is None or 0 <= test.p <= 1


@LAW
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_a_mean_lies_among_the_values(values: list[float]) -> None:
    """Also where their sum would be infinite."""
    slack = 1e-12 * max(map(abs, values))

    assert min(values) - slack <= mean_of(values) <= max(values) + slack
