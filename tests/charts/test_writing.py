"""Figures as files."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from tracklib import charts
from tracklib.errors import ConfigError, MissingDependency

if TYPE_CHECKING:
    from tracklib.reading import StoredRun


@pytest.fixture
def figure(runs: list[StoredRun]) -> Any:
    """Return a chart of three lines."""
    return charts.metric(runs[:3], "loss")


def test_a_page_has_all_it_needs(figure: Any, tmp_path: Path) -> None:
    """No script, style or picture is loaded from anywhere."""
    page = charts.write_html(figure, tmp_path / "a" / "chart.html").read_text(encoding="utf-8")

    assert re.findall(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=", page) == []
    assert "<title>loss</title>" in page
    assert len(page) > 3_000_000


def test_a_picture_is_drawn(figure: Any, tmp_path: Path) -> None:
    """As PNG, with the lines' colours in it."""
    path = charts.write(figure, tmp_path / "chart.png")
    pixels = np.asarray(Image.open(io.BytesIO(path.read_bytes())).convert("RGB"))

    assert pixels.shape == (1200, 2000, 3)
    for trace in figure.data:
        colour = [int(trace.line.color[at : at + 2], 16) for at in (1, 3, 5)]
        assert (np.abs(pixels.astype(int) - colour).max(axis=2) <= 12).sum() > 100


def test_a_drawing_of_lines_is_written(figure: Any, tmp_path: Path) -> None:
    """As SVG, with a path for each line."""
    text = charts.write_image(figure, tmp_path / "chart.svg", width=400, height=300).read_text(encoding="utf-8")

    assert text.startswith("<svg")
    assert 'width="400"' in text
    assert text.count("js-line") >= 3


def test_data_is_written_as_json(figure: Any, tmp_path: Path) -> None:
    """Plotly makes the same figure from it."""
    import plotly.io as pio

    text = charts.write(figure, tmp_path / "chart.json").read_text(encoding="utf-8")

    assert json.loads(text)["layout"]["title"]["text"] == "loss"
    assert [trace.name for trace in pio.from_json(text).data] == ["run 0", "run 1", "run 2"]


def test_a_file_is_replaced_as_a_whole(figure: Any, tmp_path: Path) -> None:
    """Nothing else is left in the folder, and it may be read by whom the user lets read."""
    path = tmp_path / "chart.json"
    path.write_text("old", encoding="utf-8")
    charts.write(figure, path)

    assert json.loads(path.read_text(encoding="utf-8"))["data"]
    assert [each.name for each in tmp_path.glob("*chart*")] == ["chart.json"]


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    """No figure, no suffix that is known, or no path."""
    with pytest.raises(ConfigError, match="figure is 5, but takes a figure of plotly"):
        charts.write(5, tmp_path / "chart.html")
    with pytest.raises(
        ConfigError, match=r"ends with 'gif', but a chart is one of \.html, \.png, \.svg, \.pdf, \.json"
    ):
        charts.write(None, tmp_path / "chart.gif")
    with pytest.raises(ConfigError, match=r"a picture is one of \.png, \.svg, \.pdf"):
        charts.write_image(None, tmp_path / "chart.html")
    with pytest.raises(ConfigError, match="path is 5"):
        charts.write(None, 5)  # type: ignore[arg-type] # what a user may give
    assert list(tmp_path.iterdir()) == []


def test_without_a_browser_the_message_helps(figure: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It names what to install, the variable, and the page that needs none."""
    monkeypatch.setenv("BROWSER_PATH", str(tmp_path / "no-browser"))
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(MissingDependency, match=r"needs a browser.*BROWSER_PATH.*write \.html"):
        charts.write(figure, tmp_path / "chart.png")


@pytest.mark.parametrize(("name", "words"), [("kaleido", "pip install 'tracklib-ml.charts.'")])
def test_without_kaleido_the_message_helps(
    name: str, words: str, figure: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says what to install."""
    monkeypatch.setitem(sys.modules, name, None)

    with pytest.raises(MissingDependency, match=words):
        charts.write(figure, tmp_path / "chart.png")


def test_without_plotly_the_message_helps(runs: list[StoredRun], monkeypatch: pytest.MonkeyPatch) -> None:
    """It says what to install."""
    monkeypatch.setitem(sys.modules, "plotly.graph_objects", None)

    with pytest.raises(MissingDependency, match=r"pip install 'tracklib-ml\[charts\]'"):
        charts.metric(runs, "loss")
