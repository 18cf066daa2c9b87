"""What charts look like in a real browser that has no network."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from tracklib import charts
from tracklib.charts.colours import CATEGORICAL, looks
from tracklib.reading import StoredRun

if TYPE_CHECKING:
    from tests.charts.conftest import Record, Render

Draw = Callable[[list[StoredRun]], Any]

BY_RUN: dict[str, Draw] = {
    "metric": lambda runs: charts.metric(runs, "loss"),
    "metric, smoothed": lambda runs: charts.metric(runs, "loss", smoothing=0.6, log_y=True),
    "scatter": lambda runs: charts.scatter(runs, x="seed", y="loss"),
    "bar": lambda runs: charts.bar(runs, "loss"),
}
"""Charts in which each run has its colour."""

OTHERS: dict[str, Draw] = {
    "metric by time": lambda runs: charts.metric(runs, ["loss", "accuracy"], x="time"),
    "metric by seconds": lambda runs: charts.metric(runs, "loss", x="relative"),
    "scatter by colour": lambda runs: charts.scatter(runs, x="lr", y="loss", color="seed", log_x=True),
    "parallel coordinates": lambda runs: charts.parallel_coordinates(runs, "loss"),
    "contour": lambda runs: charts.contour(runs, "loss", x="lr", y="layers"),
    "correlation": charts.correlation,
    "timeline": charts.timeline,
    "learning curve": lambda runs: charts.learning_curve(runs, "loss", group_by="params.layers"),
}


@pytest.mark.parametrize("kind", BY_RUN)
def test_each_run_shows_in_its_colour(kind: str, runs: list[StoredRun], render: Render) -> None:
    """Without the network, with nothing complained of."""
    chosen = runs[: len(CATEGORICAL)]
    page = render(BY_RUN[kind](chosen))

    assert page.errors == ()
    assert all(address.startswith("file:") for address in page.requests)
    for look in looks(run.id for run in chosen).values():
        assert page.ink(look.colour) >= 15


@pytest.mark.parametrize("kind", OTHERS)
def test_a_chart_is_not_blank(kind: str, runs: list[StoredRun], render: Render) -> None:
    """Within the axes there are colours, and what each line is drawn with is among them."""
    figure = OTHERS[kind](runs)
    page = render(figure)

    assert page.errors == ()
    assert all(address.startswith("file:") for address in page.requests)
    assert page.colours >= 10
    for trace in figure.data:
        if trace.type == "scatter" and trace.mode.startswith("lines") and trace.line.width != 0:
            assert page.ink(trace.line.color) >= 15


def test_the_machine_is_drawn(record: Record, render: Render) -> None:
    """Each device in its colour, each unit in its panel."""
    sampled = {
        "system/gpu/0/util_pct": [10.0, 90.0, 80.0],
        "system/gpu/1/util_pct": [20.0, 40.0, 60.0],
        "system/gpu/0/power_w": [100.0, 300.0, 250.0],
    }
    figure = charts.system(record("machine", **sampled))
    page = render(figure)

    assert page.errors == ()
    assert [page.ink(trace.line.color) >= 15 for trace in figure.data] == [True, True, True]


def test_a_run_has_the_same_colour_in_two_charts(runs: list[StoredRun], render: Render) -> None:
    """As the eye sees it: one run alone, with a chart of each kind."""
    chosen = runs[3:4]
    lines, bars = render(charts.metric(chosen, "loss")), render(charts.bar(chosen, "accuracy"))
    own = looks(run.id for run in chosen)[chosen[0].id].colour

    # At the edge of a line its colour is mixed with the ground, which may look like another one in a few pixels.
    assert max(CATEGORICAL, key=lines.ink) == own
    assert max(CATEGORICAL, key=bars.ink) == own


def test_names_are_no_markup(record: Record, render: Render) -> None:
    """What would be markup, a script, a template or a formula stands there as it was given."""
    name = "<b>x</b> <script>document.title='gone'</script> %{x} $\\alpha$ &amp;"
    run = record(name, {"<i>lr</i>": 0.1}, **{"<u>loss</u>": [1.0, 0.5]})
    page = render(charts.scatter([run], x="<i>lr</i>", y="<u>loss</u>", color="run.name"))

    assert page.errors == ()
    assert "<u>loss</u> by <i>lr</i>" in page.text
    assert "<b>x</b> <script>do" in page.text
    assert "$\\alpha$ &amp;" in page.text


def test_a_thousand_points_with_a_band_are_drawn(record: Record, render: Render) -> None:
    """The band lies around the line, in a fainter colour."""
    run = record("long", loss=[float(step % 7) for step in range(3000)])
    page = render(charts.metric([run], "loss", max_points=100))

    assert page.errors == ()
    colour = looks([run.id])[run.id].colour
    assert page.ink(colour) >= 15
    assert page.colours >= 3
