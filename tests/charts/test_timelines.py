"""The charts of runs and of machines over time."""

from __future__ import annotations

from dataclasses import replace

import pytest

import tracklib
from tests.charts.conftest import QUIET, Record
from tracklib import charts
from tracklib.charts.machine import read_machine
from tracklib.charts.timelines import Span, Spans, draw_spans, read_spans
from tracklib.errors import ConfigError, NotFound
from tracklib.reading import StoredRun
from tracklib.records import RunStatus

SAMPLED = {
    "system/gpu/0/power_w": [100.0, 200.0],
    "system/gpu/1/power_w": [110.0, 210.0],
    "system/gpu/0/mem_used_bytes": [1e9, 2e9],
    "system/memory/proc_rss_bytes": [3e9, 4e9],
    "rank1/system/gpu/0/power_w": [50.0, 60.0],
    "loss": [1.0, 2.0],
}


def test_each_status_has_its_colour_and_pattern(record: Record) -> None:
    """A run that goes on reaches until now."""
    record("done")
    with pytest.raises(ZeroDivisionError), tracklib.start_run("charts", name="broken", **QUIET):
        _ = 1 / 0
    run = record("going")
    going = StoredRun(run._store, replace(run.info, status=RunStatus.RUNNING, end_time=None))
    spans = read_spans([going, *tracklib.list_runs()[1:]], now=4e9)
    figure = draw_spans(spans)

    assert [(span.label, span.status) for span in spans.spans] == [
        ("done", "completed"),
        ("broken", "failed"),
        ("going", "running"),
    ]
    assert spans.spans[2].end == 4e9
    assert {trace.name for trace in figure.data} == {"completed", "failed", "running"}
    assert len({trace.marker.pattern.shape for trace in figure.data}) == 3


def test_runs_that_never_began_are_told(record: Record) -> None:
    """And one that began and ended at once is seen, by the line around its bar."""
    run = record("waiting")
    info = replace(run.info, start_time=None, end_time=None, status=RunStatus.PENDING)
    spans = read_spans([StoredRun(run._store, info)], now=1.0)

    assert spans.notes == ("1 run that never began.",)
    assert "There is nothing to draw." in draw_spans(spans).layout.title.subtitle.text
    assert draw_spans(Spans((Span("a", "a", "completed", 1.0, 1.0),), ())).data[0].marker.line.width == 1


def test_a_thousand_runs_have_no_names_beside_them() -> None:
    """And a height that still fits on a page."""
    spans = tuple(Span(f"{n:04}", f"run {n}", "completed", n * 60.0, n * 60.0 + 90) for n in range(1000))
    figure = draw_spans(Spans(spans, ()))

    assert figure.layout.height == 1400
    assert figure.layout.yaxis.showticklabels is False
    assert figure.layout.yaxis.title.text == "1,000 runs"


def test_the_machine_has_a_panel_for_each_unit(record: Record) -> None:
    """In units that are good to read; those of other ranks are shown, too."""
    machine = read_machine(record(**SAMPLED), ["system/*"])

    assert [(panel.title, panel.unit) for panel in machine.panels] == [("gpu", "GB"), ("gpu", "W"), ("memory", "GB")]
    assert [series.device for series in machine.panels[1].series] == ["rank1/gpu/0", "gpu/0", "gpu/1"]
    assert machine.panels[0].series[0].values.tolist() == [1.0, 2.0]


def test_a_device_has_one_colour_in_all_panels(record: Record) -> None:
    """And all panels one axis of time, which is labelled once."""
    figure = charts.system(record(**SAMPLED), metrics=["system/gpu/0/*", "system/gpu/1/*"])
    colours = {trace.name: trace.line.color for trace in figure.data}

    assert colours["gpu/0/power_w"] == colours["gpu/0/mem_used_bytes"] != colours["gpu/1/power_w"]
    assert figure.layout.xaxis2.matches == "x"
    assert figure.layout.xaxis2.title.text == "time since the start [seconds]"
    assert figure.layout.xaxis.title.text is None


def test_a_run_without_samples_is_said(record: Record) -> None:
    """With why that may be, or what there is."""
    with pytest.raises(NotFound, match="recorded with system_interval=0, or too briefly"):
        charts.system(record(loss=[1.0]))
    with pytest.raises(NotFound, match=r"fit system/cpu/.*; it has: .*system/gpu/0/power_w"):
        charts.system(record(**SAMPLED), metrics="system/cpu/*")
    with pytest.raises(ConfigError, match="there are no runs"):
        charts.timeline([])
