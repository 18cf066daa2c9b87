"""The charts of runs as points and as bars."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from tracklib import charts
from tracklib.charts.bars import read_bars
from tracklib.charts.colours import looks
from tracklib.charts.points import read_points
from tracklib.errors import ConfigError, NotFound

if TYPE_CHECKING:
    from tests.charts.conftest import Record
    from tracklib.reading import StoredRun


def test_runs_without_a_place_are_told(record: Record) -> None:
    """What is missing, what is not finite, and what a logarithmic axis has no place for."""
    runs = [
        record("a", {"lr": 0.1}, loss=[1.0]),
        record("b", {"lr": 0.0}, loss=[1.0]),
        record("c", {}, loss=[1.0]),
        record("d", {"lr": 0.1}, loss=[math.nan]),
    ]
    points = read_points(runs, ("lr", "loss", None), log=(True, False))

    assert points.labels == ("a",)
    assert points.notes == (
        "1 run without lr.",
        "1 run left out: lr is no finite number above 0, as a logarithmic axis needs.",
        "1 run left out: loss is no finite number.",
    )


def test_each_run_is_a_point_of_its_colour(runs: list[StoredRun]) -> None:
    """The same as in other charts."""
    figure = charts.scatter(runs, x="params.lr", y="metrics.loss.min", log_x=True)
    look_of = looks(run.id for run in runs)

    assert [trace.marker.color for trace in figure.data] == [look_of[run.id].colour for run in runs]
    assert [trace.x[0] for trace in figure.data] == [run.params["lr"] for run in runs]
    assert figure.layout.xaxis.type == "log"
    assert figure.layout.yaxis.title.text == "loss (min)"


def test_colours_may_stand_for_a_number_or_a_text(runs: list[StoredRun]) -> None:
    """A number has a scale, texts have one colour each; a colour that a run lacks is told apart."""
    number = charts.scatter(runs, x="lr", y="loss", color="seed")
    text = charts.scatter(runs, x="run.started", y="loss", color="optimizer")

    assert number.data[0].marker.colorbar.title.text == "seed"
    assert list(number.data[0].marker.color) == [float(n) for n in range(9)]
    assert [trace.name for trace in text.data] == ["adam", "sgd"]
    assert text.layout.xaxis.type == "date"


def test_runs_that_lack_a_colour_are_shown(record: Record) -> None:
    """Grey and open."""
    runs = [record("a", {"lr": 1, "net": "x", "size": 3}, loss=[1.0]), record("b", {"lr": 2}, loss=[2.0])]
    text, number = (charts.scatter(runs, x="lr", y="loss", color=name) for name in ("net", "size"))

    assert [(trace.name, trace.marker.symbol) for trace in text.data] == [("x", "circle"), ("no net", "circle-open")]
    assert [trace.marker.symbol for trace in number.data] == [None, "circle-open"]


def test_words_can_stand_along_an_axis(runs: list[StoredRun]) -> None:
    """In their order."""
    figure = charts.scatter(runs, x="optimizer", y="loss")

    assert figure.layout.xaxis.type == "category"
    assert list(figure.layout.xaxis.categoryarray) == ["adam", "sgd"]


def test_no_run_with_a_place_is_said(record: Record) -> None:
    """In place of an empty chart without a word."""
    figure = charts.scatter([record(params={"lr": 1}, loss=[math.nan])], x="lr", y="loss")

    assert "No run has a place on both axes." in figure.layout.title.subtitle.text


def test_bars_are_in_order(record: Record) -> None:
    """The highest first, or the lowest; what has no number is told."""
    runs = [record(name, loss=[value]) for name, value in (("a", 1.0), ("b", 3.0), ("c", math.inf), ("d", 2.0))]
    bars = read_bars([*runs, record("e", other=[1.0])], "loss", most=2)

    assert bars.labels == ("b", "d")
    assert bars.values == (3.0, 2.0)
    assert bars.notes == (
        "1 run without loss.",
        "1 run whose loss is NaN or infinite.",
        "The highest 2 of 3 runs.",
    )
    assert read_bars(runs, "loss", lowest=True).labels == ("a", "d", "b")


def test_a_bar_has_the_colour_of_its_run(runs: list[StoredRun]) -> None:
    """And its name beside it."""
    figure = charts.bar(runs, "loss")
    look_of = looks(run.id for run in runs)
    colour_of = {run.name: look_of[run.id].colour for run in runs}

    assert list(figure.data[0].marker.color) == [colour_of[name] for name in figure.data[0].y]


def test_what_cannot_be_drawn_is_said(runs: list[StoredRun]) -> None:
    """Words have no length; a field has to be there."""
    with pytest.raises(ConfigError, match="'optimizer' is 'sgd' for the first run, but a bar needs a number"):
        charts.bar(runs, "optimizer")
    with pytest.raises(ConfigError, match="most is 0"):
        charts.bar(runs, "loss", most=0)
    with pytest.raises(NotFound, match="none of these 9 runs has 'los'; did you mean 'loss'"):
        charts.scatter(runs, x="lr", y="los")
    with pytest.raises(ConfigError, match="a field is 5"):
        charts.scatter(runs, x=5, y="loss")  # type: ignore[arg-type] # what a user may give
    with pytest.raises(ConfigError, match="there are no runs"):
        charts.scatter([], x="lr", y="loss")
