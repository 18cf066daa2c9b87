"""Params of several runs: which differ, against a slow way to tell."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tracklib.analysis.compared_params import compare_params
from tracklib.records import flatten_params

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([0.0, -0.0, 1.0, 2.5, math.nan, math.inf, 2.0**60]),
    st.sampled_from([2**60, 2**60 + 1]),
    st.sampled_from(["", "a", "nan", "1"]),
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.just({}), max_leaves=3
)
PARAMS = st.dictionaries(
    st.sampled_from(["lr", "seed", "model"]),
    VALUES | st.dictionaries(st.sampled_from(["depth", "lr"]), VALUES, max_size=2),
    max_size=3,
)
RUNS = st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), PARAMS, min_size=2)


def equal(first: Any, second: Any) -> bool:
    """Tell whether two values count as the same, as the documentation has it."""
    if isinstance(first, bool) or isinstance(second, bool):
        return first is second
    if isinstance(first, float) and isinstance(second, float) and math.isnan(first) and math.isnan(second):
        return True
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(equal(*pair) for pair in zip(first, second, strict=True))
    return bool(first == second)


@given(RUNS)
def test_what_differs_is_what_a_look_at_each_pair_says(runs: dict[str, dict[str, Any]]) -> None:
    """A name is common where all have it with equal values; else each value stands by its run."""
    flat = {run: dict(flatten_params(params)) for run, params in runs.items()}
    names = {name for values in flat.values() for name in values}
    first = next(iter(runs))
    common = {
        name
        for name in names
        if all(name in values and equal(values[name], flat[first][name]) for values in flat.values())
    }

    compared = compare_params(runs)

    assert set(compared.common) == common
    assert set(compared.differing) == names - common
    for name, by_run in compared.differing.items():
        assert list(by_run) == [run for run in runs if name in flat[run]]
        assert all(by_run[run] is flat[run][name] for run in by_run)


def test_whole_and_fractional_numbers_are_equal_and_flags_are_none() -> None:
    """As they were recorded: 1 and 1.0 are the same, 1 and True are not."""
    compared = compare_params({"a": {"epochs": 1, "amp": 1}, "b": {"epochs": 1.0, "amp": True}})

    assert compared.common == {"epochs": 1}
    assert compared.differing == {"amp": {"a": 1, "b": True}}


def test_nan_equals_nan() -> None:
    """Also within a list."""
    compared = compare_params({"a": {"x": math.nan, "y": [math.nan]}, "b": {"x": math.nan, "y": [math.nan]}})

    assert set(compared.common) == {"x", "y"}


def test_none_is_a_value_and_a_missing_param_is_none() -> None:
    """The run without it has no entry."""
    compared = compare_params({"a": {"seed": None}, "b": {}, "c": {"seed": None}})

    assert compared.differing == {"seed": {"a": None, "c": None}}


def test_names_come_in_the_order_in_which_they_were_given() -> None:
    """Those that only later runs have come behind."""
    compared = compare_params({"a": {"z": 1, "m": {"b": 1, "a": 1}}, "b": {"new": 1, "z": 2}})

    assert list(compared.differing) == ["z", "m.b", "m.a", "new"]
