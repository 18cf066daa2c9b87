"""How metrics change from a baseline, and who is best, against a slow way to tell."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracklib.analysis.compared_metrics import ComparedMetric, best_of, change_between

NUMBERS = st.floats(allow_nan=True, allow_infinity=True)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
MODERATE = st.floats(-1e6, 1e6, allow_subnormal=False).filter(lambda x: x == 0 or abs(x) > 1e-6)
DIRECTIONS = st.sampled_from([True, False, None])


@given(MODERATE, MODERATE, DIRECTIONS)
def test_changes_are_what_exact_arithmetic_says(value: float, baseline: float, higher: bool | None) -> None:
    """As fractions, rounded to floats at the end."""
    change = change_between(value, baseline, higher_is_better=higher)
    exact = Fraction(value) - Fraction(baseline)

    assert change.delta == float(exact)
    if baseline == 0:
        assert change.percent is None
    else:
        assert change.percent == pytest.approx(float(exact / abs(Fraction(baseline)) * 100), rel=1e-9)
    if higher is None:
        assert change.improvement is change.improvement_percent is change.better is None
    else:
        assert change.improvement == (float(exact) if higher else -float(exact))
        assert change.better == (None if exact == 0 else (exact > 0) is higher)


@given(NUMBERS, NUMBERS, DIRECTIONS)
def test_any_numbers_have_a_change(value: float, baseline: float, higher: bool | None) -> None:
    """There is a verdict for finite values that differ, where the direction is known, and only there."""
    change = change_between(value, baseline, higher_is_better=higher)

    finite = math.isfinite(value) and math.isfinite(baseline)
    assert (change.better is not None) == (higher is not None and finite and value != baseline)
    assert (change.percent is None) == (not math.isfinite(baseline) or baseline == 0)
    assert math.isnan(change.delta) == (
        math.isnan(value) or math.isnan(baseline) or (math.isinf(value) and value == baseline)
    )


@given(st.dictionaries(st.sampled_from("abcdef"), st.sampled_from([1.0, 2.0, math.nan, math.inf, -math.inf])))
def test_the_best_is_who_loses_to_nobody(values: dict[str, float]) -> None:
    """Among those with a finite value; all who share it are named, in order."""
    finite = {name: value for name, value in values.items() if math.isfinite(value)}
    highest = tuple(name for name in finite if not any(other > finite[name] for other in finite.values()))
    lowest = tuple(name for name in finite if not any(other < finite[name] for other in finite.values()))

    assert best_of(values, higher_is_better=True) == highest
    assert best_of(values, higher_is_better=False) == lowest
    assert best_of(values, higher_is_better=None) == ()


def test_percents_have_the_sign_of_the_difference() -> None:
    """Also where the baseline is negative."""
    change = change_between(-5.0, -10.0, higher_is_better=True)

    assert (change.delta, change.percent, change.better) == (5.0, 50.0, True)


def test_a_run_without_the_metric_has_no_change() -> None:
    """Nor has anybody where the baseline lacks it."""
    metric = ComparedMetric(
        name="loss",
        statistic="last",
        higher_is_better=False,
        baseline="a",
        values={"a": 1.0, "b": 0.5},
        best=("b",),
    )

    assert metric.change("c") is None
    assert metric.change("b") == change_between(0.5, 1.0, higher_is_better=False)
    assert (
        ComparedMetric(
            name="loss", statistic="last", higher_is_better=False, baseline="c", values={"a": 1.0}, best=("a",)
        ).change("a")
        is None
    )


@given(FINITE, FINITE)
def test_better_is_never_both_ways(value: float, baseline: float) -> None:
    """What is better with one direction is worse with the other."""
    up = change_between(value, baseline, higher_is_better=True)
    down = change_between(value, baseline, higher_is_better=False)

    assert up.better is None if down.better is None else up.better is (not down.better)
