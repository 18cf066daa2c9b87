"""The chart of metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from tracklib import charts
from tracklib.charts.colours import looks
from tracklib.charts.lines import Line, LineOptions, Lines
from tracklib.charts.metric_lines import draw_lines
from tracklib.errors import ConfigError

if TYPE_CHECKING:
    from tests.charts.conftest import Record
    from tracklib.reading import StoredRun


def test_each_run_has_a_line_in_its_colour(runs: list[StoredRun]) -> None:
    """And its name in the legend."""
    figure = charts.metric(runs, "loss")
    look_of = looks(run.id for run in runs)

    assert [trace.name for trace in figure.data] == [run.name for run in runs]
    assert [trace.line.color for trace in figure.data] == [look_of[run.id].colour for run in runs]
    assert figure.layout.xaxis.title.text == "step"


def test_metrics_of_a_run_differ_by_their_dashes(runs: list[StoredRun]) -> None:
    """Those of one run alone by their colours."""
    two = charts.metric(runs[:2], ["loss", "accuracy"])
    one = charts.metric(runs[:1], ["loss", "accuracy"])

    assert [trace.name for trace in two.data][:2] == ["run 0 · loss", "run 0 · accuracy"]
    assert len({trace.line.color for trace in two.data}) == 2
    assert len({(trace.line.color, trace.line.dash) for trace in two.data}) == 4
    assert [trace.name for trace in one.data] == ["loss", "accuracy"]
    assert len({trace.line.color for trace in one.data}) == 2


def test_band_raw_line_and_marks_belong_to_the_line(record: Record) -> None:
    """They are shown and hidden with it, and stand in the legend once."""
    run = record(loss=[float("nan"), *(float(step % 5) for step in range(50))])
    figure = charts.metric([run], "loss", smoothing=0.5, max_points=10)

    assert [trace.mode for trace in figure.data] == ["lines", "lines", "lines+markers", "markers"]
    assert {trace.legendgroup for trace in figure.data} == {run.id}
    assert [trace.showlegend for trace in figure.data] == [False, False, True, False]
    assert "is NaN" in figure.data[3].hovertemplate


@pytest.mark.parametrize(
    ("values", "note"),
    [([float("nan")] * 3, "1 line without a finite value."), ([2.0], None), ([3.0] * 5, None)],
    ids=["nothing", "one", "equal"],
)
def test_odd_lines_are_drawn(record: Record, values: list[float], note: str | None) -> None:
    """Only NaN, one point, all the same."""
    figure = charts.metric([record(loss=values)], "loss", log_y=True, smoothing=0.9)

    assert figure.layout.title.subtitle.text == note
    assert figure.layout.yaxis.type == "log"


def test_values_that_a_logarithmic_axis_cannot_show_are_told(record: Record) -> None:
    """Below the title."""
    figure = charts.metric([record(loss=[0.0, -1.0, 2.0])], "loss", log_y=True)

    assert figure.layout.title.subtitle.text.startswith("2 points at or below 0 left out")


def test_a_thousand_runs_are_drawn() -> None:
    """With fewer points, no bands and no legend, which is told."""
    x = np.arange(100.0)
    lines = [Line(f"{n:04}", f"run {n}", "loss", x, x, x, x, None, (), False, 0) for n in range(1000)]
    figure = draw_lines(Lines(("loss",), tuple(lines), (), LineOptions()))

    assert len(figure.data) == 1000
    assert not any(trace.showlegend for trace in figure.data)
    assert "1,000 lines: too many for a legend" in figure.layout.title.subtitle.text
    assert "without bands" in figure.layout.title.subtitle.text


def test_the_unit_of_time_fits_its_length(record: Record) -> None:
    """Of a short run seconds; the clock is in UTC."""
    run = record(loss=[1.0, 2.0])

    assert charts.metric([run], "loss", x="relative").layout.xaxis.title.text == "time since the start [seconds]"
    assert charts.metric([run], "loss", x="time").layout.xaxis.title.text == "time [UTC]"


def test_metrics_of_the_machine_have_their_units(record: Record) -> None:
    """At the axis."""
    run = record(**{"system/gpu/0/temp_c": [50.0]})

    assert charts.metric([run], "system/gpu/0/temp_c").layout.yaxis.title.text == "system/gpu/0/temp_c [°C]"


def test_what_cannot_be_drawn_is_said(runs: list[StoredRun]) -> None:
    """No runs, no metric, or neither of them at all."""
    with pytest.raises(ConfigError, match="there are no runs to draw"):
        charts.metric([], "loss")
    with pytest.raises(ConfigError, match="runs is 'latest', but takes several runs"):
        charts.metric("latest", "loss")
    with pytest.raises(ConfigError, match="metrics is empty"):
        charts.metric(runs, [])
    with pytest.raises(ConfigError, match="metric is ''"):
        charts.metric(runs, "")
    with pytest.raises(ConfigError, match="metrics is 5"):
        charts.metric(runs, 5)  # type: ignore[arg-type] # what a user may give
