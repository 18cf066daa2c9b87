"""The chart of a metric over two params."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tracklib import charts
from tracklib.charts.contours import read_surface
from tracklib.errors import ConfigError, NotFound

if TYPE_CHECKING:
    from tests.charts.conftest import Record
    from tracklib.reading import StoredRun

TOO_FEW = "Too few runs at different places for a surface: it takes three that are not in one line."


def test_the_surface_is_linear_between_runs(record: Record) -> None:
    """Runs at one place are averaged; outside of the runs there is nothing."""
    corners = [(0.0, 0.0, 0.0), (0.0, 1.0, 1.0), (1.0, 0.0, 2.0), (1.0, 0.0, 4.0)]
    runs = [record(params={"a": a, "b": b}, loss=[value]) for a, b, value in corners]
    surface = read_surface(runs, "loss", x="a", y="b")
    expected = 3 * surface.grid_x[None, :] + surface.grid_y[:, None]
    known = np.isfinite(surface.heights)

    np.testing.assert_allclose(surface.heights[known], expected[known])
    assert 0.4 < known.mean() < 0.6
    assert math.isnan(surface.heights[-1, -1])


def test_params_over_powers_of_ten_are_on_a_logarithmic_axis(runs: list[StoredRun]) -> None:
    """The surface is linear in their logarithms."""
    surface = read_surface(runs, "loss", x="lr", y="layers")
    figure = charts.contour(runs, "loss", x="lr", y="layers")

    assert surface.points.log_x
    assert not surface.points.log_y
    assert np.diff(np.log(surface.grid_x)) == pytest.approx(np.log(100) / 59)
    assert figure.layout.xaxis.type == "log"
    assert [trace.type for trace in figure.data] == ["contour", "scatter"]


@pytest.mark.parametrize(
    "places", [[(1, 1)], [(1, 1), (2, 2)], [(1, 1), (2, 2), (3, 3)], [(1, 1)] * 5, [(1, 1), (1, 2), (1, 3)]]
)
def test_too_few_places_are_told(record: Record, places: list[tuple[int, int]]) -> None:
    """One, two, or all in one line: the runs are shown without a surface."""
    runs = [record(params={"a": a, "b": b}, loss=[float(n)]) for n, (a, b) in enumerate(places)]
    figure = charts.contour(runs, "loss", x="a", y="b")

    assert [trace.type for trace in figure.data] == ["scatter"]
    assert figure.layout.title.subtitle.text == TOO_FEW


def test_words_have_no_surface(runs: list[StoredRun]) -> None:
    """There is nothing between them."""
    figure = charts.contour(runs, "loss", x="optimizer", y="lr")

    assert [trace.type for trace in figure.data] == ["scatter"]
    assert figure.layout.title.subtitle.text == "No surface: optimizer has no numbers to go between."


def test_equal_values_have_no_thousands_of_contours(record: Record) -> None:
    """Though they differ by rounding."""
    runs = [record(params={"a": n % 3, "b": n // 3}, loss=[1.0 + n * 1e-16]) for n in range(9)]
    contours = charts.contour(runs, "loss", x="a", y="b").data[0].contours

    assert (contours.end - contours.start) / contours.size == pytest.approx(15)
    assert contours.size > 0.01


def test_runs_without_a_finite_metric_are_told(record: Record) -> None:
    """They are shown without a colour."""
    runs = [record(params={"a": 1, "b": 2}, loss=[math.nan]), record(params={"a": 2, "b": 2}, other=[1.0])]
    surface = read_surface(runs, "loss", x="a", y="b")

    assert surface.notes[0] == "2 runs without a finite loss."


def test_what_cannot_be_drawn_is_said(runs: list[StoredRun]) -> None:
    """No runs, no such param."""
    with pytest.raises(ConfigError, match="there are no runs"):
        charts.contour([], "loss", x="lr", y="layers")
    with pytest.raises(NotFound, match="has 'layer'; did you mean 'layers'"):
        charts.contour(runs, "loss", x="lr", y="layer")
