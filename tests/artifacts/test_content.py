"""Figures, HTML and text as files, and what such files are called."""

from __future__ import annotations

import json
import re
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
import plotly.graph_objects as go
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from tracklib.artifacts.content import figure_content, file_name, html_content, text_content
from tracklib.artifacts.names import safe_path
from tracklib.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAGIC = {
    "png": b"\x89PNG",
    "svg": b"<?xml",
    "pdf": b"%PDF",
    "jpg": b"\xff\xd8",
    "jpeg": b"\xff\xd8",
    "webp": b"RIFF",
}


@pytest.fixture(name="figure")
def _figure() -> Figure:
    figure = Figure()
    figure.add_subplot().plot([1, 2], [3, 4])
    return figure


@pytest.fixture(autouse=True)
def _no_windows() -> Iterator[None]:
    """Draw without a screen, and leave no figure behind."""
    plt.switch_backend("agg")
    yield
    plt.close("all")


# ---- figures


@pytest.mark.parametrize("kind", MAGIC)
def test_a_figure_is_drawn_in_any_format(kind: str, figure: Figure) -> None:
    """As asked for, or as its name says."""
    (asked,) = figure_content(figure, "loss", formats=(kind,)).files.items()
    (named,) = figure_content(figure, f"loss.{kind}").files.items()

    assert asked[0] == named[0] == f"loss.{kind}"
    for content in (asked[1], named[1]):
        assert isinstance(content, bytes)
        assert content.startswith(MAGIC[kind])


@pytest.mark.parametrize(
    ("name", "formats", "files"),
    [
        ("eval/loss", (), ["loss.png"]),
        ("eval/loss", ("png", "svg"), ["loss.png", "loss.svg"]),
        ("loss.png", ("svg", "pdf", "svg"), ["loss.svg", "loss.pdf"]),
        ("loss.SVG", (), ["loss.SVG"]),
        ("lr_0.1", "svg", ["lr_0.1.svg"]),
        ("svg", (), ["svg.png"]),
        ("a.gif", (), ["a.gif.png"]),
        ("loss", iter(["jpg"]), ["loss.jpg"]),
    ],
)
def test_several_formats_are_several_files(name: str, formats: Any, files: list[str], figure: Figure) -> None:
    """Of one name."""
    content = figure_content(figure, name, formats=formats)

    assert list(content.files) == files
    assert content.metadata == {"library": "matplotlib"}


def test_drawing_leaves_pyplot_alone() -> None:
    """The current figure, the settings, and the figure itself; nothing is shown."""
    first, (left, right) = plt.subplots(1, 2)
    current = plt.figure(dpi=77)
    settings, canvas = dict(mpl.rcParams), first.canvas
    before = (first.get_size_inches().tolist(), first.dpi, left.get_position().bounds, right.get_position().bounds)

    figure_content(first, "a", formats=("png", "svg", "pdf"))
    assert plt.gcf() is current
    assert plt.get_fignums() == [1, 2]
    assert dict(mpl.rcParams) == settings
    assert first.canvas is canvas
    after = (first.get_size_inches().tolist(), first.dpi, left.get_position().bounds, right.get_position().bounds)
    assert after == before


def test_a_figure_that_stayed_the_same_is_the_same_file(figure: Figure) -> None:
    """So that the store keeps it once: the time of drawing is not in it."""
    for kind in ("png", "pdf"):
        assert figure_content(figure, "a", formats=kind) == figure_content(figure, "a", formats=kind)
    (svg,) = figure_content(figure, "a.svg").files.values()
    assert isinstance(svg, bytes)
    assert b"<dc:date>" not in svg


def test_what_holds_a_figure_is_its_figure() -> None:
    """Axes, also in a figure within a figure, displays of scikit-learn, and pyplot for the current one."""
    outer = plt.figure()
    axes, inner = outer.add_subplot(), plt.figure().add_subfigure(mpl.gridspec.GridSpec(1, 2)[0]).add_subplot()
    display = types.SimpleNamespace(figure_=outer)
    plt.figure(outer)

    expected = figure_content(outer, "a")
    assert figure_content(axes, "a") == figure_content(display, "a") == figure_content(plt, "a") == expected
    assert list(figure_content(inner, "a").files) == ["a.png"]


def test_pyplot_without_a_figure_is_refused() -> None:
    """Asking it for one would make one."""
    with pytest.raises(ConfigError, match="figure is pyplot, but it has no current figure: draw one first"):
        figure_content(plt, "a")
    assert plt.get_fignums() == []


def test_a_figure_that_cannot_be_drawn_is_told_by_name(figure: Figure) -> None:
    """With what matplotlib has against it."""
    figure.suptitle(r"$\nonsense$")

    with pytest.raises(ConfigError, match=r"the figure 'eval/loss' cannot be drawn as png: ValueError.*nonsense"):
        figure_content(figure, "eval/loss")


@pytest.mark.parametrize("formats", ["gif", ("png", "docx"), (5,)], ids=str)
def test_an_unknown_format_is_refused(formats: Any, figure: Figure) -> None:
    """The message lists those that there are."""
    with pytest.raises(ConfigError, match=r"formats has .*, but a matplotlib figure is kept as jpeg, jpg, pdf, png"):
        figure_content(figure, "a", formats=formats)


def test_a_plotly_figure_is_its_json() -> None:
    """Asked for or not; images of it need a browser."""
    figure = go.Figure(go.Scatter(x=[1, 2], y=[3, None]), {"title": {"text": "größe"}})

    content = figure_content(figure, "a/scatter")
    assert list(content.files) == ["scatter.plotly.json"]
    (file,) = content.files.values()
    assert isinstance(file, bytes)
    assert go.Figure(json.loads(file)) == figure
    assert list(figure_content(figure, "scatter.json", formats=("json",)).files) == ["scatter.json"]
    with pytest.raises(ConfigError, match="formats has 'png', but a plotly figure is kept as json"):
        figure_content(figure, "scatter", formats="png")


@pytest.mark.parametrize("figure", [None, "x", Figure, go.Figure, {}, 5], ids=str)
def test_what_is_no_figure_is_refused(figure: Any) -> None:
    """By its type."""
    with pytest.raises(TypeError, match=r"but takes a matplotlib or plotly figure; a picture is kept by log_image"):
        figure_content(figure, "a")


# ---- HTML and text


def test_html_is_a_file() -> None:
    """As it stands."""
    assert html_content("<b>größe \ud800</b>", "a/report").files == {
        "report.html": "<b>größe \\ud800</b>".encode(),
    }
    assert list(html_content("", "index.HTML").files) == ["index.HTML"]


def test_what_says_itself_in_html_is_asked() -> None:
    """By `to_html` first, which says all of it: the other is for a look."""
    frame = pd.DataFrame({"a": range(100)})
    notebook = types.SimpleNamespace(_repr_html_=lambda: "<i>x</i>")

    (whole,) = html_content(frame, "a").files.values()
    assert isinstance(whole, bytes)
    assert whole.count(b"<tr") == 101
    assert html_content(notebook, "a").files == {"a.html": b"<i>x</i>"}
    for thing in (pl.DataFrame({"a": [1]}), go.Figure()):
        (page,) = html_content(thing, "a").files.values()
        assert isinstance(page, bytes)
        assert b"<div" in page


@pytest.mark.parametrize(
    "html",
    [None, 5, b"<b>", Path("x.html"), pd.DataFrame, types.SimpleNamespace(to_html=lambda: None)],
    ids=["none", "number", "bytes", "path", "class", "nothing"],
)
def test_what_is_no_html_is_refused(html: Any) -> None:
    """The message says what is."""
    with pytest.raises(TypeError, match=r"html is .*, but takes text or an object with to_html or _repr_html_"):
        html_content(html, "a")


def test_text_is_a_file() -> None:
    """Under the suffix of its name."""
    assert text_content("größe", "a/notes.md").files == {"notes.md": "größe".encode()}
    assert text_content("", "v1.2").files == {"v1.2.txt": b""}


# ---- names


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("eval/confusion", "confusion.png"),
        ("a.PNG", "a.PNG"),
        ("..", "file.png"),
        ("a/../..", "file.png"),
        ("a\\b", "b.png"),
        ("C:", "C\\x3a.png"),
        ("a: b\n", "a\\x3a b\n.png"),
        ("b\udce9\0", "b\\xe9\\x00.png"),
        ("größe", "größe.png"),
    ],
)
def test_a_name_makes_the_name_of_a_file(name: str, file: str) -> None:
    """Of its last segment."""
    assert file_name(name, "png") == file


@given(st.text(min_size=1, max_size=500), st.sampled_from(["png", "histogram.json", "txt"]))
def test_any_name_makes_a_name_that_can_be_read_back(name: str, suffix: str) -> None:
    """By every download, and no file system finds it too long."""
    file = file_name(name, suffix)

    assert safe_path(file, windows=False).parts == (file,)
    assert len(file.encode()) <= 255
    assert re.search(rf"{re.escape(suffix)}$", file, re.IGNORECASE)
