"""The numbers of importance: those that were published, those of SciPy, and the kinds of params."""

from __future__ import annotations

import math
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from scipy import stats

from tracklib.analysis.correlations import correlation_ratio, natural_scale, pearson, spearman
from tracklib.analysis.importance_model import forest_scores
from tracklib.analysis.param_matrix import columns_of, same_columns
from tracklib.analysis.spreads import has_spread

LAW = settings(deadline=None)

ANSCOMBE: dict[str, list[float]] = {
    "x": [10, 8, 13, 9, 11, 14, 6, 4, 12, 7, 5],
    "y1": [8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68],
    "y2": [9.14, 8.14, 8.74, 8.77, 9.26, 8.10, 6.13, 3.10, 9.13, 7.26, 4.74],
    "y3": [7.46, 6.77, 12.74, 7.11, 7.81, 8.84, 6.08, 5.39, 8.15, 6.42, 5.73],
    "x4": [8, 8, 8, 8, 8, 8, 8, 19, 8, 8, 8],
    "y4": [6.58, 5.76, 7.71, 8.84, 8.47, 7.04, 5.25, 12.50, 5.56, 7.91, 6.89],
}
# R's `mtcars`: miles per gallon and weight.
MPG = [21.0, 21.0, 22.8, 21.4, 18.7, 18.1, 14.3, 24.4, 22.8, 19.2, 17.8, 16.4, 17.3, 15.2, 10.4, 10.4]
MPG += [14.7, 32.4, 30.4, 33.9, 21.5, 15.5, 15.2, 13.3, 19.2, 27.3, 26.0, 30.4, 15.8, 19.7, 15.0, 21.4]
WEIGHT = [2.62, 2.875, 2.32, 3.215, 3.44, 3.46, 3.57, 3.19, 3.15, 3.44, 3.44, 4.07, 3.73, 3.78, 5.25, 5.424]
WEIGHT += [5.345, 2.2, 1.615, 1.835, 2.465, 3.52, 3.435, 3.84, 3.845, 1.935, 2.14, 1.513, 3.17, 2.77, 3.57, 2.78]

numbers = st.integers(-20, 20).map(float)


# ---- correlations


@pytest.mark.parametrize(("x", "y"), [("x", "y1"), ("x", "y2"), ("x", "y3"), ("x4", "y4")])
def test_anscombes_quartet(x: str, y: str) -> None:
    """Pearson has 0.816 for each of the four, to the digits that he gave."""
    found = pearson(ANSCOMBE[x], ANSCOMBE[y])

    assert found is not None
    assert found.r == pytest.approx(0.816, abs=1e-3)
    assert found.p == pytest.approx(0.0022, abs=5e-5)


def test_cars_are_those_of_r() -> None:
    """`cor(mtcars$mpg, mtcars$wt)` is -0.8677, by ranks -0.8864; p of the first is 1.294e-10."""
    linear, ranks = pearson(MPG, WEIGHT), spearman(MPG, WEIGHT)

    assert linear is not None
    assert ranks is not None
    assert linear.r == pytest.approx(-0.8676594, abs=5e-8)
    assert linear.p == pytest.approx(1.294e-10, rel=1e-3)
    assert ranks.r == pytest.approx(-0.886422, abs=5e-7)
    assert ranks.p == pytest.approx(1.488e-11, rel=1e-3)


@LAW
@given(st.lists(st.tuples(numbers, numbers), min_size=8, max_size=40))
def test_correlations_are_those_of_scipy(pairs: list[tuple[float, float]]) -> None:
    """Coefficients and p-values."""
    x, y = map(list, zip(*pairs, strict=True))
    assume(has_spread(x) and has_spread(y))
    linear, ranks = pearson(x, y), spearman(x, y)

    assert linear is not None
    assert ranks is not None
    assert linear.r == pytest.approx(stats.pearsonr(x, y).statistic, abs=1e-9)
    assert linear.p == pytest.approx(stats.pearsonr(x, y).pvalue, abs=1e-7)
    assert ranks.r == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-9)
    assert ranks.p == pytest.approx(stats.spearmanr(x, y).pvalue, abs=1e-4)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(numbers, numbers), min_size=3, max_size=5))
def test_ranks_of_few_pairs_are_compared_with_all_orders(pairs: list[tuple[float, float]]) -> None:
    """Tried one by one."""
    x, y = map(list, zip(*pairs, strict=True))
    found = spearman(x, y)
    assume(found is not None)
    assert found is not None
    ranks = stats.rankdata(x), stats.rankdata(y)
    tried = [abs(np.corrcoef(ranks[0], order)[0, 1]) >= abs(found.r) - 1e-9 for order in permutations(ranks[1])]

    assert found.p == pytest.approx(np.mean(tried))


def test_pairs_that_say_nothing_have_no_correlation() -> None:
    """Less than three, or one side constant but for rounding."""
    assert pearson([1, 2], [1, 2]) is None
    assert spearman([], []) is None
    assert pearson([0.3, 0.1 + 0.2, 0.3], [1, 2, 3]) is None
    assert spearman([1, 2, 3], [5, 5, 5]) is None
    assert correlation_ratio(["a", "b"], [1.0, 1.0]) is None


@pytest.mark.parametrize("power", [-900, 0, 900])
def test_correlations_do_not_depend_on_units(power: int) -> None:
    """Even where squares would be infinite or nought."""
    x = [math.ldexp(value, power) for value in (1.0, 2.0, 4.0, 3.0)]

    found = pearson(x, [1.0, 2.0, 3.0, 4.0])
    ratio = correlation_ratio(["a", "a", "b", "b"], x)

    assert found is not None
    assert found.r == pytest.approx(0.8)
    assert ratio == pytest.approx(0.8)


@LAW
@given(st.lists(st.tuples(st.sampled_from("abc"), numbers), min_size=4, max_size=40))
def test_the_correlation_ratio_is_that_of_an_analysis_of_variance(pairs: list[tuple[str, float]]) -> None:
    """Of F and its degrees of freedom."""
    levels, y = map(list, zip(*pairs, strict=True))
    groups = [[value for level, value in pairs if level == name] for name in sorted(set(levels))]
    assume(len(groups) > 1 and len(y) > len(groups) and any(has_spread(group) for group in groups) and has_spread(y))
    f = stats.f_oneway(*groups).statistic
    between = f * (len(groups) - 1)

    assert correlation_ratio(levels, y) == pytest.approx(between / (between + len(y) - len(groups)), abs=1e-9)


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ([1e-4, 1e-3, 1e-2], "log"),
        ([1e-5, 1e-1], "linear"),
        ([1, 10, 100, 1000], "log"),
        (range(1, 1001), "linear"),
        ([32, 64, 128, 256], "linear"),
        ([0.0, 1e-4, 1e-2, 1], "linear"),
        ([-1e-4, 1e-2, 1], "linear"),
        ([5.0], "linear"),
        ([], "linear"),
        ([5e-324, 1e-10, 1e300], "log"),
        (list(np.logspace(-6, 0, 50)), "log"),
    ],
)
def test_the_scale_goes_by_the_values_alone(values: Any, scale: str) -> None:
    """Logarithmic where they lie more evenly so, and span two magnitudes."""
    assert natural_scale(list(values)) == scale


# ---- kinds of params


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2.5, 3], "number"),
        ([1, None, 3], "number"),
        ([1, math.nan, 3], "number"),
        ([1, 10**400, 3], "number"),
        ([1, 1.0, 1], "constant"),
        ([None, None, None], "constant"),
        ([0.5, None, 0.5], "category"),
        ([math.inf, 1.0, math.inf], "category"),
        ([True, False, True], "flag"),
        ([True, None, True], "category"),
        ([True, 1, True], "category"),
        (["a", "b", "a"], "category"),
        (["a", "b", "c"], "unique"),
        (["1", 1, "1"], "category"),
        ([[1, 2], [1, 2], [3]], "category"),
        ([{"$repr": "f"}, {"$repr": "g"}, {"$repr": "f"}], "category"),
        ([{}, {}, 1], "category"),
    ],
    ids=repr,
)
def test_each_param_is_of_a_kind(values: list[Any], kind: str) -> None:
    """By what its values are in all runs."""
    (column,) = columns_of([{"x": value} for value in values])

    assert column.kind == kind
    if kind not in {"constant", "unique"}:
        assert np.isfinite(column.features()).all()
        assert len(column.features()) == len(values)


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=3)
    | st.sampled_from([1e300, 5e-324, 10**400]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=4,
)


@LAW
@example([{"b": 10**400}, {"a": None, "b": 0}])
@given(st.lists(st.dictionaries(st.sampled_from("ab"), ANYTHING), max_size=8))
def test_any_params_are_columns(params: list[dict[str, Any]]) -> None:
    """Which have a kind, and where that has scores, finite numbers of a size that any library takes."""
    columns = columns_of(params)

    assert sorted(name for names in same_columns(columns) for name in names) == sorted(c.name for c in columns)
    for column in columns:
        assert len(column.values) == len(column.codes) == len(params)
        if column.kind not in {"constant", "unique"}:
            assert np.abs(column.features()).max() <= len(params)
            assert (column.features() != column.features()[0]).any()


def test_no_number_is_too_large() -> None:
    """Neither of a param nor of a metric."""
    columns = columns_of([{"x": 1e300 * (i % 5), "y": 5e-324 * (i % 3)} for i in range(60)])
    metric = np.array([1.7e308 * ((i % 5 - 2) / 2) for i in range(60)])

    found = forest_scores([[column] for column in columns], metric, seed=0)

    assert found.fit.r2 > 0.9
    assert found.means[0] > 1


def test_rare_levels_are_one() -> None:
    """Of many levels the ten most common are told apart."""
    (column,) = columns_of([{"net": f"net {number}"} for number in range(15) for _ in range(20 - number)])

    assert len(set(column.levels)) == 11
    assert column.levels.count("rare") == sum(20 - number for number in range(10, 15))
    assert column.features().shape == (15 * 20 - sum(range(15)), 11)


def test_params_that_always_change_together_are_found() -> None:
    """Numbers that rise, fall, or merely differ together; text; not what is new in each run anyway."""
    rows = [
        {
            "lr": 10.0**-step,
            "falls": 3 - step,
            "name": "abc"[step],
            "up": number,
            "square": number**2,
            "other": -number % 7,
        }
        for number in range(12)
        for step in (number % 3,)
    ]

    groups = same_columns(columns_of([{**row, "noise": math.sin(i)} for i, row in enumerate(rows)]))

    assert groups == [("lr", "falls", "name"), ("up", "square"), ("other",), ("noise",)]


def test_scores_are_losses_of_held_out_predictions() -> None:
    """A param that decides all loses nearly twice the variance when it is dealt anew; a group is dealt as one."""
    random = np.random.default_rng(0)
    rows = [{"a": float(random.random()), "b": float(random.random()), "seed": i} for i in range(300)]
    columns = columns_of(rows)
    metric = np.array([float(row["a"] > 0.5) for row in rows])

    apart = forest_scores([[column] for column in columns], metric, seed=0)
    grouped = forest_scores([columns[:2], columns[2:]], metric, seed=0)

    assert apart.fit.r2 > 0.95
    assert apart.means[0] == pytest.approx(1.8, abs=0.35)
    assert abs(apart.means[1]) < 0.02
    assert abs(apart.means[2]) < 0.02
    assert grouped.means[0] == pytest.approx(1.8, abs=0.35)
    assert all(std < 0.3 for std in apart.stds)
