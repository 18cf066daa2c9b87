"""Histograms: every value is counted once, however odd they are."""

from __future__ import annotations

import itertools
import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from tracklib.artifacts.histograms import histogram_content
from tracklib.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import NDArray

LARGEST = float(np.finfo(np.float64).max)
TINIEST = 5e-324


def drawn(values: Any, **options: Any) -> dict[str, Any]:
    """Return what the file says."""
    (file,) = histogram_content(values, "x", **options).files.values()
    assert isinstance(file, bytes)

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    histogram: dict[str, Any] = json.loads(file, parse_constant=refuse)
    return histogram


def test_a_histogram_is_that_of_numpy() -> None:
    """With the numbers that describe the values beside it."""
    values = np.random.default_rng(0).normal(3, 2, 1000)

    content = histogram_content(values, "layer/weights", bins=20)
    counts, edges = np.histogram(values, 20)
    found = drawn(values, bins=20)
    assert list(content.files) == ["weights.histogram.json"]
    assert found["counts"] == counts.tolist()
    np.testing.assert_allclose(found["edges"], edges, rtol=1e-14)
    assert (found["count"], found["nan"], found["posinf"], found["neginf"]) == (1000, 0, 0, 0)
    assert (found["min"], found["max"]) == (values.min(), values.max())
    assert (found["mean"], found["std"]) == pytest.approx((values.mean(), values.std()), rel=1e-12)
    assert content.metadata == {"bins": 20, **{name: found[name] for name in found if name not in {"edges", "counts"}}}


def test_a_name_may_bring_its_suffix() -> None:
    """It is not doubled."""
    assert list(histogram_content([1], "a.json").files) == ["a.json"]
    assert list(histogram_content([1], "a.histogram.json").files) == ["a.histogram.json"]


@given(
    st_numpy.arrays(
        st.sampled_from([np.float64, np.float32, np.float16, np.int64, np.uint64, np.bool_]),
        st_numpy.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=8),
    ),
    st.integers(1, 100),
)
@example(np.array([LARGEST, -LARGEST]), 64)
@example(np.array([LARGEST, LARGEST]), 10_000)
@example(np.array([LARGEST, np.nextafter(LARGEST, 0)]), 64)
@example(np.array([TINIEST, -TINIEST, 0.0]), 64)
@example(np.array([TINIEST]), 64)
@example(np.array([2.0, -TINIEST]), 1)
@example(np.array([1e300]), 64)
@example(np.array([1.0, np.nextafter(1.0, 2.0)]), 64)
@example(np.array([0.0, 0.0]), 1)
@example(np.array([np.nan, np.inf, -np.inf]), 3)
@example(np.array([-5.0, -3.0]), 7)
def test_every_value_is_counted_once(values: NDArray[Any], bins: int) -> None:
    """Between edges that rise, whatever the values are; what is not finite is counted apart."""
    found = drawn(values, bins=bins)

    finite = values[np.isfinite(values)].astype(np.float64)
    assert found["count"] == values.size
    assert sum(found["counts"]) + found["nan"] + found["posinf"] + found["neginf"] == values.size
    assert sum(found["counts"]) == finite.size
    if not finite.size:
        assert (found["edges"], found["counts"]) == ([], [])
        assert [found[name] for name in ("min", "max", "mean", "std")] == [None] * 4
        return
    edges = found["edges"]
    assert len(edges) == len(found["counts"]) + 1 == bins + 1
    assert all(low < high for low, high in itertools.pairwise(edges))
    assert edges[0] <= found["min"] == finite.min()
    assert edges[-1] >= found["max"] == finite.max()
    assert math.isfinite(found["mean"])
    slack = 1e-12 * max(abs(found["min"]), abs(found["max"]))
    assert found["min"] - slack <= found["mean"] <= found["max"] + slack
    assert 0 <= found["std"] < math.inf


@pytest.mark.parametrize("value", [0, 7, -3.5, 1e20])
def test_values_that_are_all_the_same_have_a_histogram(value: float) -> None:
    """All in one bin."""
    found = drawn([value] * 5)

    assert sorted(found["counts"])[-2:] == [0, 5]
    assert (found["min"], found["max"], found["std"]) == (value, value, 0)
    assert found["mean"] == pytest.approx(value)


@pytest.mark.parametrize("values", [[], np.zeros((0, 3)), torch.zeros(0), iter([])])
def test_no_values_have_an_empty_histogram(values: Any) -> None:
    """It says that there were none."""
    found = drawn(values)

    assert (found["edges"], found["counts"], found["count"], found["min"]) == ([], [], 0, None)


@pytest.mark.parametrize(
    "values",
    [
        [0, 1, 3],
        (0, 1, 3),
        {0, 1, 3},
        (value for value in [0, 1, 3]),
        {"a": 0, "b": 1, "c": 3}.values(),
        np.array([[0, 1, 3]]),
        np.array([0, 1, 3], np.longdouble),
        pd.Series([0, 1, 3]),
        torch.tensor([0, 1, 3]),
        torch.tensor([0.0, 1.0, 3.0], requires_grad=True),
        torch.tensor([0.0, 1.0, 3.0]).bfloat16(),
        torch.tensor([0.0, 1.0, 3.0]).to(torch.float8_e4m3fn),
        torch.tensor([0.0, 1.0, 3.0]).to_sparse(),
        torch.nn.Parameter(torch.tensor([0.0, 1.0, 3.0])) * 1,
        [torch.tensor([[0.0, 1.0]], requires_grad=True), torch.tensor(3)],
        [np.float32(0), np.int8(1), 3],
    ],
    ids=lambda values: type(values).__name__,
)
def test_values_come_in_many_forms(values: Any) -> None:
    """Tensors on any device and in any graph, parts of different shapes, and plain numbers."""
    found = drawn(values, bins=3)

    assert (found["edges"], found["counts"]) == ([0, 1, 2, 3], [1, 1, 1])


def test_one_number_is_a_value() -> None:
    """So is a tensor of one."""
    assert drawn(5)["max"] == drawn(torch.tensor(5.0))["max"] == 5


def test_what_is_larger_than_float64_is_infinite() -> None:
    """It is counted as such."""
    assert drawn(np.array([np.finfo(np.longdouble).max, 1], np.longdouble))["posinf"] == (
        np.finfo(np.longdouble).max > LARGEST
    )


def test_large_tensors_are_looked_at_in_parts() -> None:
    """The result is that of the whole."""
    values = np.random.default_rng(0).normal(size=(1 << 21) + 7).astype(np.float32)
    values[::1000] = np.nan

    found = drawn(values)
    finite = values[np.isfinite(values)].astype(np.float64)
    assert found["counts"] == np.histogram(finite, 64)[0].tolist()
    assert (found["mean"], found["std"]) == pytest.approx((finite.mean(), finite.std()), rel=1e-9)
    assert found["nan"] == len(values) - len(finite)


# ---- ready ones


@pytest.mark.parametrize(
    "pair",
    [
        np.histogram([1, 2, 2, 5], 4),
        ([1, 2, 0, 1], [1, 2, 3, 4, 5]),
        torch.histogram(torch.tensor([1.0, 2.0, 2.0, 5.0]), 4),
    ],
    ids=["numpy", "lists", "torch"],
)
def test_a_ready_histogram_is_kept_as_it_is(pair: Any) -> None:
    """What it does not tell is null."""
    found = drawn(pair)

    assert (found["counts"], found["edges"], found["count"]) == ([1, 2, 0, 1], [1, 2, 3, 4, 5], 4)
    assert (found["nan"], found["min"], found["max"], found["mean"], found["std"]) == (0, None, None, None, None)


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        (([1, -1], [0, 1, 2]), "has counts below 0"),
        (([1, np.nan], [0, 1, 2]), "or such that are no numbers"),
        (([1, 1], [0, 1, 1]), "has edges that do not rise"),
        (([1, 1], [0, 1, np.inf]), "has edges that do not rise"),
    ],
)
def test_a_ready_histogram_must_be_one(pair: Any, message: str) -> None:
    """Each error says what a pair is."""
    with pytest.raises(ConfigError, match=f"{message}.*: give counts and edges as numpy.histogram returns them"):
        drawn(pair)


def test_two_arrays_that_do_not_fit_together_are_values() -> None:
    """Only a pair with one edge more than counts is a histogram."""
    assert drawn((np.array([1.0, 2.0]), np.array([3.0])))["count"] == 3
    assert drawn(([1.0, 2.0], [3.0, 4.0]))["count"] == 4


# ---- misuse


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("abc", "values is str, but takes numbers, an array or a tensor"),
        ({"a": 1}, "values is dict"),
        (None, "values is list of object, but takes real numbers"),
        (["a"], "but takes real numbers"),
        (np.array([1j]), r"values is ndarray of shape \(1,\) of complex128"),
        ([[1], [1, 2]], "values is list, which cannot be made an array"),
        ([torch.zeros(1), "x"], "part 1 of values is str of <U1"),
    ],
    ids=lambda value: str(value)[:15],
)
def test_what_is_no_number_is_refused(values: Any, message: str) -> None:
    """By its type."""
    with pytest.raises(TypeError, match=message):
        drawn(values)


@pytest.mark.parametrize("bins", [0, -1, 10_001])
def test_a_number_of_bins_is_sensible(bins: int) -> None:
    """It says which are."""
    with pytest.raises(ConfigError, match=f"bins is {bins}, but takes 1 to 10,000"):
        drawn([1], bins=bins)


@pytest.mark.parametrize("bins", [True, 2.0, "auto", [1, 2]], ids=str)
def test_a_number_of_bins_is_whole(bins: Any) -> None:
    """Edges of one's own are for `numpy.histogram`."""
    with pytest.raises(TypeError, match=r"bins is .*, but takes a whole number"):
        drawn([1], bins=bins)
