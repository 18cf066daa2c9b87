"""The points of a metric: ranges, smoothing as TensorBoard does it, and frames."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import tracklib
from tracklib.errors import ConfigError, NotFound
from tracklib.series import Series

MOST, LEAST = 2**63 - 1, -(2**63)

numbers = st.floats(-1e300, 1e300)
values = st.one_of(numbers, st.sampled_from([math.nan, math.inf, -math.inf]))


def series_of(points: list[float], first_step: int = 0) -> Series:
    steps = np.arange(first_step, first_step + len(points))
    times = np.linspace(100.0, 90.0 + 10.0 * len(points), len(points))
    return Series("loss", steps, times, np.array(points, float))


# ---- ranges


def test_a_range_holds_both_of_its_ends() -> None:
    """An end that is left out is open; without both it is the series itself."""
    series = series_of([1, 2, 3, 4], first_step=-2)

    assert series.between(-1, 0).steps.tolist() == [-1, 0]
    assert series.between(-1, 0).values.tolist() == [2, 3]
    assert series.between(first_step=0).steps.tolist() == [0, 1]
    assert series.between(last_step=-2).steps.tolist() == [-2]
    assert series.between(5, 9).steps.tolist() == []
    assert series.between(LEAST, MOST).steps.tolist() == [-2, -1, 0, 1]
    assert series.between(0.0, np.int64(0)).steps.tolist() == [0]  # type: ignore[arg-type]
    assert series.between() is series


def test_a_range_of_repeated_steps_holds_them_all() -> None:
    """As `every=True` gives them."""
    series = Series("loss", np.array([0, 1, 1, 2]), np.arange(4.0), np.arange(4.0))

    assert series.between(1, 1).values.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"first_step": "x"}, "first_step is 'x', but takes a whole number"),
        ({"last_step": 1.5}, r"last_step is 1\.5"),
        ({"last_step": math.inf}, "last_step is inf"),
        ({"first_step": 2**63}, "first_step is 9223372036854775808"),
        ({"first_step": 5, "last_step": 3}, "first_step is 5 and last_step is 3: give the lower one first"),
    ],
)
def test_a_range_that_cannot_be_meant_is_refused(arguments: dict[str, Any], message: str) -> None:
    """With the value, and what to do."""
    with pytest.raises(ConfigError, match=message):
        series_of([1, 2]).between(**arguments)


# ---- smoothing


def slowly_smoothed(points: list[float], weight: float) -> list[float]:
    """Smooth as TensorBoard's `classicSmoothing` does, in its own words."""
    last, count, smoothed = 0.0, 0, []
    is_constant = all(point == points[0] for point in points)
    for point in points:
        if is_constant or not math.isfinite(point):
            smoothed.append(point)
            continue
        last = last * weight + (1 - weight) * point
        count += 1
        smoothed.append(last / (1 - weight**count))
    return smoothed


@settings(deadline=None)
@given(st.lists(values, max_size=300), st.floats(0.001, 0.9999))
@example([1.0, math.nan, 1.0], 0.5)
@example([math.nan, math.nan], 0.5)
@example([0.0] * 99 + [1e-300], 0.9)
def test_smoothing_is_what_a_slow_loop_gives(points: list[float], weight: float) -> None:
    """NaN and infinities stay, and do not count."""
    found = series_of(points).smoothed(weight).values
    expected = slowly_smoothed(points, weight)

    largest = max((abs(point) for point in points if math.isfinite(point)), default=0)
    assert found.tolist() == pytest.approx(expected, rel=1e-10, abs=largest * 1e-10, nan_ok=True)


@pytest.mark.parametrize("length", [1, 2, 3, 4, 15, 16, 17, 1000, 4321])
def test_smoothing_is_right_at_every_length(length: int) -> None:
    """However the values are laid out."""
    points = np.random.default_rng(0).normal(size=length).tolist()

    assert series_of(points).smoothed(0.97).values.tolist() == pytest.approx(slowly_smoothed(points, 0.97), rel=1e-9)


def test_smoothing_by_hand() -> None:
    """The formula of TensorBoard: (1 - w) · v, summed with the weights, and divided by 1 - wⁿ."""
    smoothed = series_of([1.0, 3.0, math.nan, 2.0]).smoothed(0.6)

    second = (0.4 * 1 * 0.6 + 0.4 * 3) / (1 - 0.36)
    third = ((0.4 * 1 * 0.6 + 0.4 * 3) * 0.6 + 0.4 * 2) / (1 - 0.216)
    assert smoothed.values.tolist() == pytest.approx([1.0, second, math.nan, third], nan_ok=True)
    assert second == pytest.approx(2.25)
    assert smoothed.smoothing == 0.6
    assert smoothed.steps.tolist() == [0, 1, 2, 3]


def test_a_constant_series_stays_as_it_is() -> None:
    """To the last digit; and so does any, where the weight is 0."""
    constant, other = series_of([0.1] * 50), series_of([0.1, 0.2])

    assert (constant.smoothed(0.9).values == 0.1).all()
    assert other.smoothed(0) is other
    assert len(series_of([]).smoothed(0.9)) == 0


def test_a_weight_next_to_one_loses_no_digits() -> None:
    """The average of nearly even weights is the mean."""
    smoothed = series_of([1.0, 2.0, 6.0]).smoothed(1 - 1e-12)

    assert smoothed.values.tolist() == pytest.approx([1.0, 1.5, 3.0], rel=1e-9)


@pytest.mark.parametrize("weight", [1, 1.5, -0.1, math.nan, "0.5", None, [0.5]])
def test_a_weight_that_cannot_be_meant_is_refused(weight: Any) -> None:
    """With the value and an example."""
    with pytest.raises(
        ConfigError, match=r"the weight of smoothing is .*, but takes a number from 0 \(none\) to below 1"
    ):
        series_of([1, 2]).smoothed(weight)


# ---- of a run


@pytest.fixture(name="stored")
def _stored(bare: None) -> tracklib.StoredRun:  # noqa: ARG001 - so that nothing but the metric is recorded
    with tracklib.start_run() as run:
        for step in range(100):
            run.log({"loss": float(100 - step)}, step=step)
        run.log({"loss": 1000.0}, step=99)
    return tracklib.get_run(run)


def test_a_run_gives_a_range_smoothed_and_reduced(stored: tracklib.StoredRun) -> None:
    """In this order."""
    by_hand = stored.series("loss").between(10, 90).smoothed(0.5).reduced(7, "max")

    found = stored.series("loss", first_step=10, last_step=90, smoothing=0.5, max_points=7, aggregate="max")
    assert found.to_dict() == by_hand.to_dict()
    assert (found.of_points, found.aggregate, found.smoothing, len(found)) == (81, "max", 0.5, 7)
    assert len(stored.series("loss")) == 100
    assert len(stored.series("loss", every=True)) == 101
    assert stored.series("loss", every=True, max_points=1, aggregate="max").values.tolist() == [1000.0]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"name": "los"}, NotFound, "loss"),
        ({"name": 5}, ConfigError, "name is 5"),
        ({"max_points": 0}, ConfigError, "max_points is 0, but takes a whole number of 1 or more"),
        ({"aggregate": "median"}, ConfigError, "aggregate is 'median', but takes one of mean, min, max, avg, last"),
        ({"smoothing": 1}, ConfigError, "the weight of smoothing is 1"),
        ({"first_step": 3, "last_step": 2}, ConfigError, "first_step is 3 and last_step is 2"),
    ],
)
def test_what_cannot_be_asked_of_a_run_is_refused(
    stored: tracklib.StoredRun, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    """Whether or not there would be too many points."""
    with pytest.raises(error, match=message):
        stored.series(**{"name": "loss", **arguments})


# ---- times and frames


def test_times_may_be_counted_from_a_beginning() -> None:
    """Of the series itself, or a moment that is given."""
    series = series_of([1, 2])

    assert series.elapsed().tolist() == [0, 10]
    assert series.elapsed(since=90).tolist() == [10, 20]
    assert series_of([]).elapsed().tolist() == []


def test_a_series_becomes_frames() -> None:
    """With the same columns in each library."""
    series = series_of([0.5, math.nan])

    frame, polars, arrow = series.to_pandas(), series.to_polars(), series.to_arrow()
    assert list(frame) == polars.columns == arrow.column_names == ["step", "time", "value"]
    assert str(frame["time"].dt.tz) == "UTC"
    assert [str(kind) for kind in arrow.schema.types] == ["int64", "timestamp[us, tz=UTC]", "double"]
    assert polars["time"].to_list() == arrow["time"].to_pylist() == frame["time"].to_list()
    assert math.isnan(arrow["value"].to_pylist()[1])
    assert series.to_dict()["steps"] == [0, 1]
