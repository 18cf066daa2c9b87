"""The chart of runs as lines through axes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from tracklib import charts
from tracklib.charts.parallel import read_parallel
from tracklib.charts.scales import colour_range, is_logarithmic, power_ticks
from tracklib.errors import ConfigError, NotFound

if TYPE_CHECKING:
    from tests.charts.conftest import Record
    from tracklib.reading import StoredRun


def test_axes_are_those_in_which_runs_differ(runs: list[StoredRun]) -> None:
    """Numbers over powers of ten are on a logarithmic axis, words have a place each, the metric comes last."""
    found = read_parallel(runs, "loss")
    by_name = {each.label: each for each in found.axes}

    assert list(by_name) == ["layers", "lr", "optimizer", "seed", "loss"]
    assert by_name["lr"].is_log
    assert by_name["lr"].places[:3] == pytest.approx((-1, -2, -3))
    assert by_name["lr"].texts == ("0.001", "0.01", "0.1")
    assert by_name["optimizer"].texts == ("adam", "sgd")
    assert by_name["optimizer"].places[:2] == (1.0, 0.0)
    assert found.values == tuple(run.metrics["loss"].last for run in runs)


def test_what_a_run_lacks_is_below_the_others(record: Record) -> None:
    """At "none", for numbers and for words."""
    runs = [
        record("a", {"lr": 1.0, "net": "x"}, loss=[1.0]),
        record("b", {"lr": 2.0}, loss=[2.0]),
        record("c", {"net": "y"}, loss=[3.0]),
        record("d", {"lr": 3.0, "net": "y"}, loss=[math.nan]),
    ]
    found = read_parallel(runs, "loss")
    lr, net, loss = found.axes

    assert lr.places[2] < min(lr.places[:2])
    assert lr.texts[0] == net.texts[0] == "none"
    assert net.places == (0.0, -1.0, 1.0)
    assert len(loss.places) == 3
    assert found.notes == ("1 run without a finite loss.",)


def test_params_can_be_named(runs: list[StoredRun]) -> None:
    """Other fields, too, in the order in which they are named."""
    figure = charts.parallel_coordinates(runs, "metrics.loss.min", params=["seed", "run.experiment", "accuracy"])

    assert [each.label for each in figure.data[0].dimensions] == ["seed", "experiment", "accuracy", "loss (min)"]


def test_very_many_params_are_told(record: Record) -> None:
    """The first twelve are shown."""
    runs = [record(str(n), {f"p{at:02}": n + at for at in range(15)}, loss=[float(n)]) for n in range(2)]
    found = read_parallel(runs, "loss")

    assert len(found.axes) == 13
    assert found.notes == ("The first 12 params that differ; not shown: p12, p13, p14.",)


@pytest.mark.parametrize(
    ("values", "note"),
    [([1.0, 1.0], "These runs do not differ in their params."), ([math.nan, math.nan], "There is nothing to draw.")],
)
def test_odd_runs_are_drawn(record: Record, values: list[float], note: str) -> None:
    """Equal ones, and some without a number."""
    figure = charts.parallel_coordinates([record(params={"lr": 1}, loss=[value]) for value in values], "loss")

    assert note in figure.layout.title.subtitle.text


def test_what_cannot_be_drawn_is_said(runs: list[StoredRun]) -> None:
    """Words for a metric, one name for several, nothing."""
    with pytest.raises(ConfigError, match="'optimizer' is no number"):
        charts.parallel_coordinates(runs, "optimizer")
    with pytest.raises(ConfigError, match="params is 'lr', but takes the names of params"):
        charts.parallel_coordinates(runs, "loss", params="lr")
    with pytest.raises(NotFound, match="'nothing'"):
        charts.parallel_coordinates(runs, "loss", params=["nothing"])
    with pytest.raises(ConfigError, match="there are no runs"):
        charts.parallel_coordinates([], "loss")


def test_scales_fit_their_numbers() -> None:
    """Ticks are round and few; colours of equal numbers are not divided further."""
    assert is_logarithmic([1e-5, 1e-3]) is True
    assert is_logarithmic([]) is False
    assert power_ticks(1e-20, 1e20)[0] == 1e-20
    assert len(power_ticks(1e-20, 1e20)) <= 8
    assert colour_range([0.0, 0.0]) == (-0.5, 0.5)
