"""The package of charts: what it offers, and what it costs."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys

import pytest

import tracklib
from tests.charts.conftest import QUIET
from tracklib import charts


def test_all_is_what_shows() -> None:
    """Sorted, all of it there and described, with an example for each chart."""
    assert charts.__all__ == sorted(charts.__all__)
    assert [name for name in dir(charts) if not name.startswith("_")] == charts.__all__
    for name in charts.__all__:
        assert "\n\nArgs:" in (inspect.getdoc(getattr(charts, name)) or "") or name in {"write", "write_html"}
    with pytest.raises(AttributeError, match=r"module 'tracklib\.charts' has no attribute 'pie'"):
        _ = charts.pie


@pytest.mark.parametrize("name", charts.__all__)
def test_a_function_takes_two_positional_arguments_at_the_most(name: str) -> None:
    """The rest by keyword."""
    parameters = inspect.signature(getattr(charts, name)).parameters.values()

    assert sum(each.kind is not inspect.Parameter.KEYWORD_ONLY for each in parameters) <= 2


def test_plotly_is_loaded_to_draw_only() -> None:
    """Neither the package nor a look at what it offers loads it."""
    program = "import sys, json, tracklib; dir(tracklib.charts); print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    loaded = set(json.loads(done.stdout))

    assert "tracklib.charts" in loaded
    assert {"plotly", "numpy", "scipy"} & loaded == set()


@pytest.mark.slow
def test_a_chart_of_a_hundred_long_runs_is_light() -> None:
    """100 runs of 100,000 points: no more than 1,000 points each, and a page of a few megabytes."""
    for number in range(100):
        with tracklib.start_run("charts", name=f"run {number}", **QUIET) as run:
            for step in range(100_000):
                run.log_metric("loss", 1 / (step + 1 + number), step=step)
    runs = tracklib.list_runs(project="charts")
    figure = charts.metric(runs, "loss", smoothing=0.9)

    assert len(figure.data) == 200
    assert max(len(trace.x) for trace in figure.data) <= 1000
    assert len(figure.to_json()) < 8_000_000
