"""Figures as files: a page that opens offline, a picture, or plotly's JSON."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tracklib.charts.figures import graph_objects
from tracklib.errors import ConfigError, MissingDependency

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["FORMATS", "write", "write_html", "write_image"]

IMAGES: Final = ("png", "svg", "pdf")
FORMATS: Final = ("html", *IMAGES, "json")
"""What a figure can be written as, by the suffix of the file."""

_WIDTH, _HEIGHT, _SCALE = 1000, 600, 2
"""Pixels, and how many of the picture are one of them."""

_NO_BROWSER: Final = (
    "drawing a picture needs a browser, and none was found: install Chrome or Chromium (apt install chromium, or "
    "plotly_get_chrome), or name the program of one in the variable BROWSER_PATH; a page needs none: write .html"
)


def write(figure: Figure, path: str | os.PathLike[str]) -> Path:
    """Write a figure to a file as its suffix says: .html, .png, .svg, .pdf or .json.

    A file is there as a whole or not at all. One that is there already is replaced.

    Returns:
        The path.

    Raises:
        ConfigError: The suffix is none of these, or it is no figure.
        MissingDependency: A picture is to be drawn, and there is no kaleido or no browser.

    Example:
        >>> with tracklib.start_run() as run:
        ...     run.log({"loss": 0.3})
        >>> tracklib.charts.write(tracklib.charts.metric([run], "loss"), "loss.html").name
        'loss.html'
    """
    suffix = _checked_path(path).suffix.lower().removeprefix(".")
    if suffix == "html":
        return write_html(figure, path)
    if suffix in IMAGES:
        return write_image(figure, path)
    if suffix != "json":
        raise ConfigError(f"{str(path)!r:.200} ends with {suffix!r}, but a chart is one of .{', .'.join(FORMATS)}")
    return _put(_checked_path(path), _checked_figure(figure).to_json().encode())


def write_html(figure: Figure, path: str | os.PathLike[str]) -> Path:
    """Write a figure as one page with plotly.js in it (5 MB), which loads nothing from anywhere.

    Returns:
        The path.

    Raises:
        ConfigError: It is no figure.
    """
    drawn = _checked_figure(figure)
    page = drawn.to_html(
        include_plotlyjs=True,
        include_mathjax=False,
        config={"displaylogo": False, "responsive": True, "typesetMath": False},
    )
    title = drawn.layout.title.text or "Chart"
    named = page.replace("<head>", f"<head><title>{title}</title>", 1)
    return _put(_checked_path(path), named.encode("utf-8", "replace"))


def write_image(
    figure: Figure, path: str | os.PathLike[str], *, width: int | None = None, height: int | None = None
) -> Path:
    """Draw a figure as PNG, SVG or PDF, by the suffix of the path, with kaleido and an installed browser.

    Args:
        figure: What one of the functions of `tracklib.charts` has returned, or any figure of plotly.
        path: Where to.
        width: Pixels; what the figure says by default, else 1000.
        height: Likewise, else 600.

    Returns:
        The path.

    Raises:
        ConfigError: The suffix is none of these, or it is no figure.
        MissingDependency: There is no kaleido or no browser.
    """
    target = _checked_path(path)
    suffix = target.suffix.lower().removeprefix(".")
    if suffix not in IMAGES:
        raise ConfigError(f"{str(path)!r:.200} ends with {suffix!r}, but a picture is one of .{', .'.join(IMAGES)}")
    drawn = _checked_figure(figure)
    size = {"width": width or drawn.layout.width or _WIDTH, "height": height or drawn.layout.height or _HEIGHT}
    return _put(target, _picture(drawn, format=suffix, scale=_SCALE if suffix == "png" else 1, **size))


def _picture(figure: Any, **options: Any) -> bytes:
    try:
        from choreographer.errors import BrowserFailedError, ChromeNotFoundError
        from kaleido import calc_fig_sync
    except ImportError as error:
        raise MissingDependency("drawing a picture needs kaleido: pip install 'tracklib-ml[charts]'") from error
    try:
        # Not by plotly's own way: that has kaleido fetch MathJax from the web, for formulas that we have none of.
        drawn: bytes = calc_fig_sync(figure.to_dict(), opts=options, kopts={"mathjax": False})
    except (ChromeNotFoundError, BrowserFailedError) as error:
        raise MissingDependency(_NO_BROWSER) from error
    return drawn


def _checked_figure(figure: Any) -> Any:
    if not isinstance(figure, graph_objects().Figure):
        raise ConfigError(
            f"figure is {figure!r:.200}, but takes a figure of plotly, such as tracklib.charts.metric gives"
        )
    return figure


def _checked_path(path: Any) -> Path:
    if not isinstance(path, (str, os.PathLike)) or not os.fspath(path):
        raise ConfigError(f"path is {path!r:.200}, but takes the path of a file")
    return Path(path)


def _put(path: Path, content: bytes) -> Path:
    """Write a file such that it is there as a whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    new = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        # What mkstemp makes is for its user alone.
        new.chmod(0o666 & ~_mask())
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
    return path


def _mask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
