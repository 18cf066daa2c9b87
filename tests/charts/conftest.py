"""Runs to draw, and a browser to look at what was drawn."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tracklib
from tests.browser import Browser, Page
from tracklib import charts
from tracklib.reading import StoredRun

Record = Callable[..., StoredRun]
Render = Callable[[Any], Page]

QUIET: dict[str, Any] = {
    "system_interval": 0,
    "auto_log_env": False,
    "auto_log_git": False,
    "auto_log_console": False,
}


@pytest.fixture
def record() -> Record:
    """Return a function that records a run: its params and the values of metrics, step by step from 0."""

    def recorded(name: str = "run", params: dict[str, Any] | None = None, **metrics: list[float]) -> StoredRun:
        with tracklib.start_run("charts", name=name, params=params, **QUIET) as run:
            for metric, values in metrics.items():
                for step, value in enumerate(values):
                    run.log({metric: value}, step=step)
        return tracklib.get_run(run)

    return recorded


@pytest.fixture
def runs(record: Record) -> list[StoredRun]:
    """Return nine runs, whose loss depends on the learning rate."""
    found = []
    for number in range(9):
        lr, layers = 10.0 ** -(1 + number % 3), 1 + number // 3
        params = {"lr": lr, "layers": layers, "optimizer": "adam" if number % 2 else "sgd", "seed": number}
        loss = [math.exp(-step * (layers + number % 3) / 20) + 0.01 * number for step in range(40)]
        found.append(record(f"run {number}", params, loss=loss, accuracy=[1 - value / 2 for value in loss]))
    return found


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Return a browser, which is started when a test first asks for it."""
    opened = Browser()
    yield opened
    opened.close()


@pytest.fixture
def render(browser: Browser, tmp_path: Path) -> Render:
    """Return a function that shows a figure's offline page in the browser."""
    return lambda figure: browser.open(charts.write_html(figure, tmp_path / "chart.html"))
