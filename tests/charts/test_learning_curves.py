"""The chart of means over runs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.stats import t

from tracklib import charts
from tracklib.charts.learning_curves import mean_curve, read_curves
from tracklib.charts.lines import Line, LineOptions
from tracklib.errors import ConfigError, NotFound

if TYPE_CHECKING:
    from tests.charts.conftest import Record
    from tracklib.reading import StoredRun


def line(x: list[float], y: list[float]) -> Line:
    values = np.array(y, np.float64)
    return Line("a", "a", "loss", np.array(x, np.float64), values, values, values, None, (), is_exact=True, left_out=0)


def test_the_band_is_the_confidence_interval_of_the_mean() -> None:
    """As scipy has it, by Student's t."""
    samples = [[1.0, 5.0], [2.0, 5.0], [4.0, 6.0]]
    curve = mean_curve("g", [line([0, 1], values) for values in samples], confidence=0.9, most=100)
    column = np.array(samples)[:, 0]
    low, high = t.interval(0.9, 2, loc=column.mean(), scale=column.std(ddof=1) / math.sqrt(3))

    assert curve.mean.tolist() == pytest.approx([7 / 3, 16 / 3])
    assert (curve.low[0], curve.high[0]) == pytest.approx((low, high))


def test_runs_count_where_they_have_values() -> None:
    """Between their own points by a line, never beyond their ends; NaN is bridged."""
    curve = mean_curve("g", [line([0, 2, 4], [0, 2, 4]), line([1, 3], [3, math.nan])], confidence=0.95, most=100)

    assert curve.x.tolist() == [0, 1, 2, 3, 4]
    assert curve.counts.tolist() == [1, 2, 1, 1, 1]
    assert curve.mean.tolist() == [0, 2, 2, 3, 4]
    assert np.isnan(curve.low).tolist() == [True, False, True, True, True]


def test_very_many_places_become_few() -> None:
    """From the first to the last."""
    lines = [line([*range(n, 1000 + n, 3)], [1.0] * 334) for n in range(3)]
    curve = mean_curve("g", lines, confidence=0.95, most=50)

    assert len(curve.x) == 50
    assert (curve.x[0], curve.x[-1]) == (0, 1001)


def test_nothing_finite_has_no_mean() -> None:
    """And warns of nothing."""
    curve = mean_curve("g", [line([0, 1], [math.nan, math.nan])], confidence=0.95, most=10)

    assert np.isnan(curve.mean).all()
    assert curve.counts.tolist() == [0, 0]


def test_runs_are_parted_by_a_field(runs: list[StoredRun]) -> None:
    """Numbers by size; each group has a line and a band of one colour."""
    figure = charts.learning_curve(runs, "loss", group_by="params.lr")

    assert [trace.name for trace in figure.data[1::2]] == [
        "lr = 0.001 (3 runs)",
        "lr = 0.01 (3 runs)",
        "lr = 0.1 (3 runs)",
    ]
    assert len({trace.line.color for trace in figure.data}) == 3
    assert figure.data[0].fill == "toself"
    assert figure.layout.title.subtitle.text == "Mean and 95 % confidence interval of it."


def test_groups_may_be_given(runs: list[StoredRun]) -> None:
    """One run alone has no band, which is told."""
    figure = charts.learning_curve({"few": runs[:2], "one": [runs[2].id]}, "loss", confidence=0.5, log_y=True)

    assert [trace.name for trace in figure.data] == ["few (2 runs)", "few (2 runs)", "one (1 run)"]
    assert "Mean and 50 % confidence interval of it." in figure.layout.title.subtitle.text
    assert "One run only, so that there is no band: one." in figure.layout.title.subtitle.text


def test_runs_without_the_metric_or_group_are_told(record: Record) -> None:
    """By the group they are of."""
    runs = [record("a", {"net": "x"}, loss=[1.0]), record("b", {"net": "x"}), record("c", loss=[2.0])]
    figure = charts.learning_curve(runs, "loss", group_by="net", x="relative")

    assert [trace.name for trace in figure.data] == ["net = x (1 run)", "net = none (1 run)"]
    assert "net = x: 1 run without loss." in figure.layout.title.subtitle.text


def test_what_cannot_be_drawn_is_said(runs: list[StoredRun]) -> None:
    """Groups that are none, a confidence that is none, a metric that is not there."""
    with pytest.raises(ConfigError, match="confidence is 95, but takes a number between 0 and 1"):
        charts.learning_curve(runs, "loss", confidence=95)
    with pytest.raises(ConfigError, match="groups is empty"):
        charts.learning_curve({}, "loss")
    with pytest.raises(ConfigError, match="groups has parted the runs already"):
        charts.learning_curve({"a": runs}, "loss", group_by="lr")
    with pytest.raises(NotFound, match="did you mean 'loss'"):
        read_curves({"a": runs}, "los", LineOptions())
