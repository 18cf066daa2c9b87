"""Several series on one axis."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import tracklib
from tracklib.analysis import aligning
from tracklib.errors import ConfigError, NotFound
from tracklib.series import Series

pytestmark = pytest.mark.usefixtures("bare")

MOST, LEAST = 2**63 - 1, -(2**63)
NAN = math.nan


def series_of(points: dict[int, float], start: float = 0.0) -> Series:
    times = start + np.array(list(points), float)
    return Series("loss", np.array(list(points), np.int64), times, np.array(list(points.values()), float))


def rows_of(aligned: tracklib.AlignedSeries) -> list[tuple[float, ...]]:
    return [(place, *row) for place, row in zip(aligned.axis.tolist(), aligned.values.tolist(), strict=True)]


def same(found: Any, expected: Any) -> bool:
    return bool(np.array_equal(np.array(found, float), np.array(expected, float), equal_nan=True))


A, B = series_of({0: 1.0, 2: 3.0, 6: 5.0}), series_of({2: 10.0, 3: 20.0})


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [(0, 1, NAN), (2, 3, 10), (3, NAN, 20), (6, 5, NAN)]),
        ({"join": "inner"}, [(2, 3, 10)]),
        ({"fill": "previous"}, [(0, 1, NAN), (2, 3, 10), (3, 3, 20), (6, 5, 20)]),
        ({"fill": "linear"}, [(0, 1, NAN), (2, 3, 10), (3, 3.5, 20), (6, 5, NAN)]),
        ({"by": "time", "join": "inner"}, [(2, 3, 10)]),
        ({"by": "elapsed", "join": "inner"}, [(0, 1, 10)]),
        ({"by": "elapsed", "fill": "linear"}, [(0, 1, 10), (1, 2, 20), (2, 3, NAN), (6, 5, NAN)]),
    ],
    ids=str,
)
def test_series_stand_beside_each_other(options: dict[str, Any], expected: list[tuple[float, ...]]) -> None:
    """On the places of any or of all of them, with what lies between as asked for."""
    aligned = tracklib.align_series({"a": A, "b": B}, **options)

    assert same(rows_of(aligned), expected)
    assert aligned.names == ("a", "b")
    assert len(aligned) == len(expected)


def test_what_was_logged_is_never_replaced() -> None:
    """NaN and infinities are what was logged; no line is drawn beside them."""
    odd = series_of({0: 1.0, 2: NAN, 4: 2.0, 6: math.inf, 8: math.inf})
    other = series_of(dict.fromkeys(range(9), 0.0))

    def column(fill: Any) -> Any:
        return tracklib.align_series({"odd": odd, "other": other}, fill=fill)["odd"].tolist()

    assert same(column("previous"), [1, 1, NAN, NAN, 2, 2, math.inf, math.inf, math.inf])
    assert same(column("linear"), [1, NAN, NAN, NAN, 2, NAN, math.inf, NAN, math.inf])


def test_of_repeated_steps_the_last_point_counts() -> None:
    """As where a series is read with every point."""
    series = Series("loss", np.array([0, 1, 1]), np.arange(3.0), np.array([1.0, 2.0, 3.0]))

    assert rows_of(tracklib.align_series({"a": series})) == [(0, 1), (1, 3)]


steps = st.one_of(st.integers(-9, 9), st.integers(LEAST, MOST))
some_points = st.dictionaries(steps, st.one_of(st.floats(-1e300, 1e300), st.just(NAN)), max_size=8)


def slowly_aligned(places: list[int], points: dict[int, float], fill: str | None) -> list[float]:
    found = []
    for place in places:
        before = max((step for step in points if step <= place), default=None)
        behind = min((step for step in points if step > place), default=None)
        if place in points or (fill == "previous" and before is not None):
            found.append(points[place if before is None else before])
        elif fill == "linear" and before is not None and behind is not None:
            share = (place - before) / (behind - before)
            found.append(points[before] * (1 - share) + points[behind] * share)
        else:
            found.append(NAN)
    return found


@settings(deadline=None)
@given(
    st.lists(some_points, min_size=1, max_size=4),
    st.sampled_from(["outer", "inner"]),
    st.sampled_from([None, "previous", "linear"]),
)
@example([{LEAST: 0.0, MOST: 1.0}, {0: 5.0}], "outer", "linear")
def test_alignment_is_what_a_slow_reference_says(all_points: list[dict[int, float]], join: Any, fill: Any) -> None:
    """Whatever the steps are."""
    given_series = {str(index): series_of(dict(sorted(points.items()))) for index, points in enumerate(all_points)}
    filled = [points for points in all_points if points]
    wanted = (set.union if join == "outer" else set.intersection)(*map(set, filled)) if filled else set()

    aligned = tracklib.align_series(given_series, join=join, fill=fill)
    assert aligned.axis.tolist() == sorted(wanted)
    assert [name for name in given_series if name not in aligned.names] == list(aligned.missing)
    for column, points in zip(aligned.values.T.tolist(), filled, strict=True):
        expected = slowly_aligned(sorted(wanted), points, fill)
        largest = max((abs(value) for value in points.values() if math.isfinite(value)), default=0)
        assert column == pytest.approx(expected, rel=1e-9, abs=1e-9 * largest, nan_ok=True)


# ---- of runs


def record(name: str, **metrics: list[float]) -> tracklib.Run:
    with tracklib.start_run("digits", name=name) as run:
        for metric, points in metrics.items():
            for step, value in enumerate(points):
                run.log({metric: value}, step=step)
    return run


def test_metrics_of_one_run_are_named_as_they_are() -> None:
    """However the run is given."""
    run = record("first", train=[4, 3, 2], eval=[5])

    for given_run in (run, run.id, "first", tracklib.get_run(run)):
        aligned = tracklib.align_series(given_run, ["train", "eval"])
        assert aligned.names == ("train", "eval")
        assert same(rows_of(aligned), [(0, 4, 5), (1, 3, NAN), (2, 2, NAN)])
    assert tracklib.align_series(run, "eval").names == ("eval",)


def test_one_metric_of_many_runs_has_their_names() -> None:
    """A run without it is named, and has no column; names that several have tell their ids as well."""
    first, second, third = record("a", loss=[1]), record("b", loss=[2]), record("c", other=[0])
    twin = record("a", loss=[3])

    aligned = tracklib.align_series([first, second, third], "loss")
    assert (aligned.names, aligned.values.tolist(), aligned.missing) == (("a", "b"), [[1, 2]], ("c",))
    names = tracklib.align_series(tracklib.RunTable([first, twin]), "loss").names
    assert names == (f"a ({first.id})", f"a ({twin.id})")


def test_metrics_of_many_runs_have_both_names() -> None:
    """And a run that is given twice counts once."""
    runs = [record("a", loss=[1], acc=[2]), record("b", loss=[3])]

    aligned = tracklib.align_series([*runs, runs[0]], ["loss", "acc"])
    assert (aligned.names, aligned.missing) == (("a loss", "a acc", "b loss"), ("b acc",))


def test_elapsed_time_begins_with_the_first_point_of_a_run() -> None:
    """Of all metrics that are taken of it, so that these keep their distance."""
    run = record("a", loss=[1, 2], acc=[3])
    stored = tracklib.get_run(run)

    aligned = tracklib.align_series(run, ["acc", "loss"], by="elapsed")
    assert aligned.axis[0] == 0
    assert aligned.axis[-1] == stored.series("acc").times[0] - stored.series("loss").times[0]


def test_there_may_be_nothing_to_align() -> None:
    """No run, no series, or none with points."""
    for aligned in (
        tracklib.align_series([], "loss"),
        tracklib.align_series({}),
        tracklib.align_series({"a": series_of({})}),
    ):
        assert (len(aligned), aligned.names, aligned.values.shape) == (0, (), (0, 0))


# ---- frames


def test_aligned_series_become_frames() -> None:
    """With the axis as the index, or as the first column; moments are moments."""
    aligned = tracklib.align_series({"a": A, "b": B}, by="time")

    frame = aligned.to_pandas()
    assert (frame.index.name, list(frame), str(frame.index.tz)) == ("time", ["a", "b"], "UTC")
    assert aligned.to_polars().columns == aligned.to_arrow().column_names == ["time", "a", "b"]
    told = tracklib.align_series({"a": A}).to_dict()
    assert told == {"by": "step", "axis": [0, 2, 6], "series": {"a": [1, 3, 5]}, "missing": []}


def test_a_series_may_be_named_as_the_axis() -> None:
    """The axis gives way."""
    aligned = tracklib.align_series({"step": A})

    assert aligned.to_pandas().index.name == "step (axis)"
    assert aligned.to_arrow().column_names == ["step (axis)", "step"]


# ---- what cannot be meant


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("first", "los"), NotFound, "none of these runs has a metric 'los'; did you mean loss"),
        (("first", None), ConfigError, "names is None, but takes the name of a metric, or several in a list"),
        (("first", []), ConfigError, r"names is \[\]"),
        (("first", ["loss", 5]), ConfigError, r"names is \['loss', 5\]"),
        ((5, "loss"), ConfigError, "runs is 5, but takes several runs"),
        (({"a": A}, "loss"), ConfigError, "names is 'loss', but the series have names already: leave it out"),
        (({"a": [1, 2]}, None), ConfigError, r"series has 'a': \[1, 2\], but takes series by their names"),
        (("gone", "loss"), NotFound, "there is no run 'gone'"),
    ],
)
def test_what_is_not_there_is_said(arguments: tuple[Any, Any], error: type[Exception], message: str) -> None:
    """With what would be."""
    record("first", loss=[1])

    with pytest.raises(error, match=message):
        tracklib.align_series(*arguments)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": "epoch"}, "by is 'epoch', but takes one of step, time, elapsed"),
        ({"join": "left"}, "join is 'left', but takes one of outer, inner"),
        ({"fill": "zero"}, "fill is 'zero', but takes one of None, previous, linear"),
    ],
)
def test_an_unknown_way_is_refused(options: dict[str, Any], message: str) -> None:
    """With those that there are."""
    with pytest.raises(ConfigError, match=message):
        tracklib.align_series({"a": A}, **options)


def test_a_point_without_a_time_is_aligned_by_step_only() -> None:
    """The message names the series."""
    timeless = Series("loss", np.array([0]), np.array([NAN]), np.array([1.0]))

    with pytest.raises(ConfigError, match="a point of the series 'a' has no time: take by='step'"):
        tracklib.align_series({"a": timeless}, by="time")
    assert len(tracklib.align_series({"a": timeless})) == 1


def test_a_table_that_would_fill_the_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says how to take less."""
    monkeypatch.setattr(aligning, "MOST_CELLS", 5)

    with pytest.raises(ConfigError, match="2 series have 4 places on one axis, more than fit: take fewer points"):
        tracklib.align_series({"a": A, "b": B})


def test_a_series_that_is_not_there_is_not_found() -> None:
    """By its name."""
    with pytest.raises(NotFound, match="there is no series 'c' here; there are: a, b"):
        _ = tracklib.align_series({"a": A, "b": B})["c"]
