"""The charts of what goes together: correlations and importance."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import pearsonr, spearmanr

import tracklib
from tracklib import charts
from tracklib.charts.correlations import coefficient, read_correlations
from tracklib.charts.importances import read_importances
from tracklib.errors import ConfigError, NotFound

if TYPE_CHECKING:
    from tests.charts.conftest import Record
    from tracklib.reading import StoredRun

pairs = st.lists(st.tuples(st.integers(-50, 50), st.integers(-50, 50)), min_size=3, max_size=30)


@given(pairs)
def test_coefficients_are_those_of_scipy(points: list[tuple[int, int]]) -> None:
    """Where these are defined."""
    x, y = (np.array(column, np.float64) for column in zip(*points, strict=True))
    is_constant = np.ptp(x) == 0 or np.ptp(y) == 0

    for method, scipy_has_it in (("spearman", spearmanr), ("pearson", pearsonr)):
        value, count = coefficient(x, y, method)  # type: ignore[arg-type] # both are such names
        assert count == len(points)
        assert math.isnan(value) if is_constant else value == pytest.approx(scipy_has_it(x, y)[0], abs=1e-9)


def test_only_runs_that_have_both_count() -> None:
    """As finite numbers; fewer than three are too few. Very large numbers do no harm."""
    x = np.array([1.0, 2.0, 3.0, math.nan, 5.0])
    y = np.array([1.0, 4.0, 9.0, 1.0, math.inf])

    assert coefficient(x, y, "spearman") == (1.0, 3)
    assert math.isnan(coefficient(x[:2], y[:2], "pearson")[0])
    assert coefficient(x[:3] * 1e300, y[:3] * 1e-300, "pearson")[0] == pytest.approx(0.98974, abs=1e-4)


def test_params_of_numbers_that_differ_are_shown(record: Record) -> None:
    """True and False are 1 and 0; words and what is the same for all are left out."""
    runs = [
        record(params={"lr": n, "fast": n > 1, "net": "x" if n else "y", "same": 1}, loss=[float(-n)], flat=[1.0])
        for n in range(4)
    ]
    found = read_correlations(runs)

    assert found.params == ("fast", "lr")
    assert found.metrics == ("flat", "loss")
    assert found.coefficients[1, 1] == pytest.approx(-1)
    assert np.isnan(found.coefficients[:, 0]).all()
    assert found.counts.tolist() == [[4, 4], [4, 4]]
    assert found.notes == ("Empty: one of the two is the same for all runs, or fewer than three runs have both.",)


def test_the_figure_has_a_cell_for_each_pair(runs: list[StoredRun]) -> None:
    """From -1 to 1, with the number in it."""
    figure = charts.correlation(runs, params=["lr", "run.duration"], metrics=["loss", "accuracy"])

    assert list(figure.data[0].y) == ["lr", "duration"]
    assert list(figure.data[0].x) == ["loss", "accuracy"]
    assert (figure.data[0].zmin, figure.data[0].zmax) == (-1, 1)


def test_runs_that_do_not_differ_are_told(record: Record) -> None:
    """In place of an empty chart without a word."""
    figure = charts.correlation([record(params={"lr": 1}, loss=[1.0])])

    assert figure.layout.title.subtitle.text == "These runs do not differ in any param of numbers."


def test_a_useful_model_is_drawn_with_its_fit(record: Record) -> None:
    """The param that matters comes first, with its spread; the note says how good the model is."""
    runs = [record(params={"lr": n % 5, "noise": (n * 7) % 11}, loss=[float(n % 5)]) for n in range(30)]
    found = read_importances(tracklib.param_importance(runs, "loss"))
    figure = charts.importance(runs, "loss")

    assert found.is_model
    assert found.params[0] == "lr"
    assert len(found.errors) == len(found.params)
    assert "of the variance of loss" in figure.layout.title.subtitle.text
    assert figure.layout.title.text == "What loss depends on"


def test_without_a_model_the_bars_are_relations(runs: list[StoredRun]) -> None:
    """Grey, from 0 to 1, and told."""
    figure = charts.importance(runs, "loss", statistic="min")

    assert figure.data[0].marker.color == "#888888"
    assert figure.layout.xaxis.title.text == "strength of the relation, each param by itself"
    assert "There is no model" in figure.layout.title.subtitle.text
    assert all(0 <= value <= 1 for value in figure.data[0].x)


def test_what_cannot_be_drawn_is_said(runs: list[StoredRun]) -> None:
    """Words have no coefficient; metrics have to be there."""
    with pytest.raises(ConfigError, match="optimizer has no numbers"):
        charts.correlation(runs, params=["optimizer"])
    with pytest.raises(ConfigError, match="params is 'lr', but takes the names of params"):
        charts.correlation(runs, params="lr")
    with pytest.raises(NotFound, match="has a metric 'los'; did you mean 'loss'"):
        charts.correlation(runs, metrics="los")
    with pytest.raises(ConfigError, match="method is 'kendall', but takes spearman or pearson"):
        charts.correlation(runs, method="kendall")  # type: ignore[arg-type] # what a user may give
    with pytest.raises(ConfigError, match="there are no runs"):
        charts.importance([], "loss")
