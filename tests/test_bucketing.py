"""Points in buckets, beside a slow reference that works in exact numbers."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tracklib.errors import ConfigError
from tracklib.series import Series

MOST, LEAST = 2**63 - 1, -(2**63)
By = Literal["step", "time", "points"]

steps = st.one_of(st.integers(-20, 20), st.integers(LEAST, MOST))
values = st.one_of(st.floats(), st.sampled_from([math.nan, math.inf, -math.inf, 0.0, 1.0, 1.7e308]))
times = st.one_of(st.integers(-20, 20).map(float), st.floats(allow_nan=False, allow_infinity=False))
points = st.lists(st.tuples(steps, times, values), max_size=40)
counts = st.one_of(st.integers(1, 50), st.sampled_from([2**40, 2**53]))


def series_of(rows: list[tuple[int, float, float]]) -> Series:
    columns = list(zip(*rows, strict=True)) or [(), (), ()]
    return Series("loss", np.array(columns[0], np.int64), np.array(columns[1], float), np.array(columns[2], float))


def slow_parts(rows: list[Any], count: int, by: By) -> list[list[Any]]:
    """Return the points of each bucket by the definition: which even part of the whole a point lies in."""
    if by == "points":
        numbers = [index * count // len(rows) for index in range(len(rows))]
    elif by == "step":
        rows = sorted(rows, key=lambda row: row[0])
        numbers = [(row[0] - rows[0][0]) * count // (rows[-1][0] - rows[0][0] + 1) for row in rows]
    else:
        rows = sorted(rows, key=lambda row: row[1])
        first, last = rows[0][1] / 2, rows[-1][1] / 2
        numbers = [
            0 if first == last else min(count - 1, math.floor((row[1] / 2 - first) / (last - first) * count))
            for row in rows
        ]
    parts: dict[int, list[Any]] = {}
    for number, row in zip(numbers, rows, strict=True):
        parts.setdefault(number, []).append(row)
    return [parts[number] for number in sorted(parts)]


def slow_mean(known: list[float]) -> float:
    if not known or (math.inf in known and -math.inf in known):
        return math.nan
    infinite = [value for value in known if math.isinf(value)]
    return infinite[0] if infinite else float(sum(map(Fraction, known)) / len(known))


@settings(deadline=None)
@given(points, counts, st.sampled_from(["step", "time", "points"]))
@example([(LEAST, 0.0, 1.0), (0, 0.0, 2.0), (MOST, 0.0, 3.0)], 2, "step")
@example([(LEAST, 0.0, 1.0), (MOST, 0.0, 3.0)], 2**53, "step")
@example([(0, -1.7e308, 1.7e308), (1, 1.7e308, 1.7e308)], 3, "time")
@example([(0, 0.0, 1.7e308), (0, 0.0, 1.7e308), (0, 0.0, math.nan)], 1, "points")
def test_buckets_are_what_the_slow_reference_says(rows: list[Any], count: int, by: By) -> None:
    """Every point is in one of them; NaN is counted and takes no part; nothing overflows."""
    parts = slow_parts(rows, count, by) if rows else []

    found = series_of(rows).buckets(count, by=by)
    assert len(found) == len(parts) <= count
    assert found.counts.tolist() == [len(part) for part in parts]
    assert found.counts.sum() == len(rows)
    assert found.first_steps.tolist() == [min(row[0] for row in part) for part in parts]
    assert found.last_steps.tolist() == [max(row[0] for row in part) for part in parts]
    assert found.first_times.tolist() == [min(row[1] for row in part) for part in parts]
    assert found.last_times.tolist() == [max(row[1] for row in part) for part in parts]
    assert np.array_equal(found.last, [part[-1][2] for part in parts], equal_nan=True)
    known = [[row[2] for row in part if not math.isnan(row[2])] for part in parts]
    assert found.nan_counts.tolist() == [len(part) - len(each) for part, each in zip(parts, known, strict=True)]
    assert np.array_equal(found.min, [min(each, default=math.nan) for each in known], equal_nan=True)
    assert np.array_equal(found.max, [max(each, default=math.nan) for each in known], equal_nan=True)
    size = [1e-14 * max((abs(value) for value in each if math.isfinite(value)), default=0) for each in known]
    for mean, each, rounding in zip(found.mean.tolist(), known, size, strict=True):
        assert mean == pytest.approx(slow_mean(each), rel=1e-12, abs=rounding, nan_ok=True)
        assert not each or math.isnan(mean) or min(each) <= mean <= max(each)


@settings(deadline=None)
@given(points, st.integers(1, 10), st.sampled_from(["mean", "avg", "min", "max", "last"]))
def test_a_reduced_series_is_made_of_its_buckets(rows: list[Any], most: int, aggregate: Any) -> None:
    """With at most so many points, and real ones where it can be; one that is short enough is left as it is."""
    series = series_of(rows)

    few = series.reduced(most, aggregate)
    if len(rows) <= most:
        assert few is series
        return
    buckets = series.buckets(most)
    expected = getattr(buckets, "mean" if aggregate == "avg" else aggregate)
    assert np.array_equal(few.values, expected, equal_nan=True)
    assert (few.of_points, few.is_reduced, len(few) <= most) == (len(rows), True, True)
    assert ((few.steps >= buckets.first_steps) & (few.steps <= buckets.last_steps)).all()
    if aggregate in {"min", "max", "last"}:
        texts = {(step, time, str(value)) for step, time, value in zip(series.steps, series.times, series.values)}  # noqa: B905 - of one length
        assert texts >= {(step, time, str(value)) for step, time, value in zip(few.steps, few.times, few.values)}  # noqa: B905


def test_the_lowest_point_stands_where_it_was_logged() -> None:
    """The first of several that are as low; a bucket of NaN has its last point."""
    series = series_of([(0, 0.0, 2.0), (1, 10.0, 1.0), (2, 20.0, 1.0), (3, 30.0, math.nan), (4, 40.0, math.nan)])

    assert series.reduced(1, "min").steps.tolist() == [1]
    assert series.reduced(1, "min").times.tolist() == [10.0]
    assert series.reduced(1, "max").steps.tolist() == [0]
    assert series.reduced(2, "min").steps.tolist() == [1, 4]
    assert series.reduced(1, "mean").steps.tolist() == [4]
    assert series.between(3, 4).reduced(1, "max").steps.tolist() == [4]


def test_what_was_reduced_twice_says_of_how_many_points_it_was_at_first() -> None:
    """And how."""
    series = series_of([(step, float(step), float(step)) for step in range(100)])

    few = series.reduced(10, "avg").reduced(5, "max")
    assert (few.of_points, few.aggregate, len(few)) == (100, "max", 5)
    assert not series.is_reduced


def test_buckets_become_frames() -> None:
    """A row for each, with moments as moments."""
    buckets = series_of([(0, 0.0, 1.0), (9, 1.5, math.nan)]).buckets(2)

    frame = buckets.to_pandas()
    assert list(frame) == buckets.to_arrow().column_names == buckets.to_polars().columns
    assert list(frame)[:5] == ["first_step", "last_step", "first_time", "last_time", "count"]
    assert list(frame)[5:] == ["nan_count", "min", "max", "mean", "last"]
    assert frame["first_time"].iloc[1].isoformat() == "1970-01-01T00:00:01.500000+00:00"
    told = buckets.to_dict()
    assert (told["name"], told["by"], told["first_steps"], told["nan_counts"]) == ("loss", "step", [0, 9], [0, 1])
    assert repr(buckets) == "<Buckets of 'loss': 2 by step, of 2 points>"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": 0}, "count is 0, but takes a whole number of 1 or more"),
        ({"count": 1.5}, r"count is 1\.5"),
        ({"count": "many"}, "count is 'many'"),
        ({"count": math.inf}, "count is inf"),
        ({"count": True}, "count is True"),
        ({"count": None}, "count is None"),
        ({"count": 5, "by": "epoch"}, "by is 'epoch', but takes one of step, time, points"),
        ({"count": 5, "by": []}, r"by is \[\]"),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments: dict[str, Any], message: str) -> None:
    """With the value, and what it takes."""
    with pytest.raises(ConfigError, match=message):
        series_of([(0, 0.0, 1.0)]).buckets(**arguments)


def test_a_point_without_a_time_cannot_be_placed_by_time() -> None:
    """By step it can."""
    series = series_of([(0, 0.0, 1.0), (1, math.nan, 1.0)])

    with pytest.raises(ConfigError, match=r"has no time.* take by='step'"):
        series.buckets(2, by="time")
    assert len(series.buckets(2)) == 2
