"""The data of the chart of metrics."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracklib.charts.lines import Along, Line, LineOptions, read_line, read_lines
from tracklib.errors import ConfigError, NotFound
from tracklib.series import Series

if TYPE_CHECKING:
    from tests.charts.conftest import Record

values = st.lists(st.floats(width=32), max_size=60)


def line_of(points: list[float], **options: Any) -> Line:
    steps = np.arange(len(points))
    series = Series("loss", steps, steps.astype(np.float64), np.array(points, np.float64))
    return read_line(series, Along(), LineOptions(**options), run="a", label="a")


@given(values, st.integers(1, 70))
def test_no_peak_is_lost(points: list[float], most: int) -> None:
    """However few points a line has, its band reaches from the lowest to the highest finite value of each."""
    line = line_of(points, max_points=most)
    finite = [value for value in points if math.isfinite(value)]

    assert len(line.x) <= most
    if len(finite) == len(points) > 0:
        assert np.min(line.low) == min(finite)
        assert np.max(line.high) == max(finite)
    assert not np.isinf(np.concatenate([line.y, line.low, line.high])).any()


@given(values, st.integers(1, 70))
def test_what_is_not_finite_is_marked(points: list[float], most: int) -> None:
    """Each NaN is counted; infinities are marked by their signs; marks have a place on the chart."""
    marks = {each.kind: each for each in line_of(points, max_points=most).marks}

    assert (sum(marks["NaN"].counts) if "NaN" in marks else 0) == sum(map(math.isnan, points))
    assert ("+inf" in marks) == (math.inf in points)
    assert ("-inf" in marks) == (-math.inf in points)
    assert all(np.isfinite(each.y).all() for each in marks.values())


@given(values)
def test_few_points_are_shown_as_they_are(points: list[float]) -> None:
    """With gaps where they are not finite."""
    line = line_of(points)

    assert line.is_exact
    expected = [value if math.isfinite(value) else math.nan for value in points]
    np.testing.assert_array_equal(line.y, expected)


def test_a_gap_is_marked_at_the_value_before() -> None:
    """A gap at the beginning at the first value there is."""
    (mark,) = line_of([math.nan, 3.0, math.nan, 5.0]).marks

    assert mark.kind == "NaN"
    assert mark.x.tolist() == [0, 2]
    assert mark.y.tolist() == [3.0, 3.0]


def test_smoothing_leaves_the_raw_line() -> None:
    """The smoothed values are those of the series, corrected for beginning at 0."""
    line = line_of([1.0, 3.0, 2.0], smoothing=0.5)

    assert line.y.tolist() == [1.0, 3.0, 2.0]
    assert line.smooth is not None
    assert line.smooth.round(4).tolist() == [1.0, 2.3333, 2.1429]


def test_a_logarithmic_axis_leaves_out_what_it_has_no_place_for() -> None:
    """Values and steps at or below 0 are counted; NaN is still marked."""
    line = line_of([1.0, 0.0, -1.0, math.nan, 2.0], log_y=True)
    along = line_of([1.0, 2.0, 3.0], log_x=True)

    assert line.left_out == 2
    assert [mark.kind for mark in line.marks] == ["NaN"]
    assert along.x.tolist() == [1, 2]
    assert along.left_out == 1


def test_each_power_of_ten_has_its_share_of_a_logarithmic_axis() -> None:
    """Not only the last one, where nine of ten steps are."""
    line = line_of([1.0] * 10_001, log_x=True, max_points=50)

    assert len(line.x) <= 50
    assert (line.x < 10).sum() >= 5
    assert (np.diff(line.x) > 0).all()


def test_runs_without_the_metric_are_counted(record: Record) -> None:
    """And lines without a finite value."""
    runs = [record("a", loss=[1.0]), record("b", accuracy=[1.0]), record("c", loss=[math.nan])]
    lines = read_lines(runs, ["loss"], LineOptions())

    assert [line.label for line in lines.lines] == ["a", "c"]
    assert lines.notes == ("1 run without loss.", "1 line without a finite value.")


def test_a_metric_of_no_run_is_not_found(record: Record) -> None:
    """The message has near names."""
    with pytest.raises(NotFound, match="none of these 1 runs has a metric 'los'; did you mean 'loss'"):
        read_lines([record(loss=[1.0])], ["los"], LineOptions())


def test_time_is_in_milliseconds_and_in_seconds_since_the_start(record: Record) -> None:
    """As plotly's axis of dates takes it, and as people do."""
    run = record(loss=[1.0, 2.0])
    (clock,) = read_lines([run], ["loss"], LineOptions(x="time")).lines
    (relative,) = read_lines([run], ["loss"], LineOptions(x="relative")).lines

    assert run.started_at is not None
    assert clock.x == pytest.approx(run.series("loss").times * 1000)
    assert relative.x == pytest.approx(run.series("loss").times - run.started_at)


def test_epochs_are_taken_from_what_was_logged_beside(record: Record) -> None:
    """They grow evenly between the steps at which they were logged; runs without are counted."""
    beside = record("a", **{"train/loss": [1.0] * 5, "train/epoch": [0, 0, 1, 1, 2], "epoch": [9.0]})
    without = record("b", **{"train/loss": [1.0]})
    lines = read_lines([beside, without], ["train/loss"], LineOptions(x="epoch"))

    assert lines.lines[0].x.tolist() == [0, 0, 1, 1, 2]
    assert lines.notes == ("1 run without epochs.",)
    with pytest.raises(ConfigError, match="none of these runs has a metric 'epoch'"):
        read_lines([without], ["train/loss"], LineOptions(x="epoch"))


def test_many_lines_have_fewer_points_each() -> None:
    """So that a chart of a thousand runs can still be looked at."""
    assert LineOptions().for_lines(100).max_points == 1000
    assert LineOptions().for_lines(1000).max_points == 200
    assert LineOptions(max_points=10).for_lines(1000).max_points == 10


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"x": "epochs"}, "x is 'epochs', but takes one of step, time, relative, epoch"),
        ({"smoothing": 1.0}, "smoothing is 1.0"),
        ({"smoothing": "much"}, "smoothing is 'much'"),
        ({"max_points": 0}, "max_points is 0"),
        ({"log_y": "yes"}, "log_y is 'yes', but takes True or False"),
        ({"x": "time", "log_x": True}, "a clock has no logarithm"),
    ],
)
def test_options_that_cannot_be_meant_are_said(options: dict[str, Any], words: str) -> None:
    """With what they take."""
    with pytest.raises(ConfigError, match=words):
        LineOptions(**options)
