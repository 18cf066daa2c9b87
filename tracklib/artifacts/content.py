"""What users hand over to be kept, made into files: paths, text, HTML and figures.

See `images`, `audio`, `histograms`, `tables` and `models` for those.
"""

from __future__ import annotations

import io
import itertools
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO, Final

from tracklib.artifacts.folders import collect
from tracklib.artifacts.names import portable
from tracklib.errors import ConfigError

__all__ = [
    "Content",
    "figure_content",
    "file_name",
    "html_content",
    "manifest_checksum",
    "path_content",
    "text_content",
]

_SUFFIX: Final = re.compile(r"\.[A-Za-z][A-Za-z0-9]{0,9}$")
_FIGURE_SUFFIXES: Final = frozenset({"jpeg", "jpg", "pdf", "png", "svg", "webp"})
_UNDATED: Final = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}
"""What keeps the time of drawing out of a file, for the formats that would say it."""
_LONGEST_NAME: Final = 200
"""Bytes of a file's name that come from the name of an artifact; most file systems take 255."""
_MOST_NOTED: Final = 100


@dataclass(frozen=True, slots=True)
class Content:
    """Files that are to be kept.

    Attributes:
        files: By relative path, bytes or the path of a file.
        metadata: What is known about them.
        path: Where they came from, if from a path.
    """

    files: dict[str, bytes | Path]
    metadata: dict[str, Any] = field(default_factory=dict)
    path: str = ""

    def opened(self) -> Iterator[tuple[str, BinaryIO]]:
        """Yield each file's relative path and an open binary file, by path."""
        for name, content in sorted(self.files.items()):
            with io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as file:
                yield name, file


def path_content(path: str | os.PathLike[str]) -> Content:
    """Return a file, or all files of a folder but those of a store of ours.

    What cannot be kept is left out: the metadata's `skipped` says why. Names that a manifest cannot say are changed:
    `renamed` says which.

    Raises:
        TypeError: It is no path.
        FileNotFoundError: There is nothing at the path.
        ConfigError: It is neither a file nor a folder.

    Example:
        >>> _ = Path("train.csv").write_text("a,b")
        >>> path_content("train.csv")
        Content(files={'train.csv': PosixPath('train.csv')}, metadata={}, path='train.csv')
    """
    found = collect(path)
    metadata = {**_note("skipped", found.skipped), **_note("renamed", found.renamed)}
    return Content({**found.files}, metadata, str(Path(path)))


def _note(name: str, reasons: Mapping[str, str]) -> dict[str, Any]:
    """Return reasons as metadata; of very many only the first, and how many more there are."""
    first = dict(itertools.islice(reasons.items(), _MOST_NOTED))
    more = len(reasons) - len(first)
    return ({name: first} if first else {}) | ({f"more_{name}": more} if more else {})


def text_content(text: str, name: str) -> Content:
    """Return text as a UTF-8 file; the name's own suffix is kept.

    Raises:
        TypeError: It is no text.
    """
    if not isinstance(text, str):
        raise TypeError(f"text is {type(text).__name__}, but takes str")
    suffix = _SUFFIX.search(name)
    return Content({file_name(name, suffix[0][1:] if suffix else "txt"): text.encode("utf-8", "backslashreplace")})


def html_content(html: Any, name: str) -> Content:
    """Return HTML as a UTF-8 file: text, or what says itself by `to_html` (all of it) or `_repr_html_`.

    Raises:
        TypeError: It is neither.

    Example:
        >>> html_content("<b>best</b>", "report").files
        {'report.html': b'<b>best</b>'}
    """
    text = html
    for method in ("to_html", "_repr_html_"):
        if not isinstance(text, str) and not isinstance(html, type) and callable(getattr(html, method, None)):
            text = getattr(html, method)()
    if not isinstance(text, str):
        raise TypeError(
            f"html is {type(html).__name__}, but takes text or an object with to_html or _repr_html_; "
            "a file of HTML is kept by log_artifact"
        )
    return Content({file_name(name, "html"): text.encode("utf-8", "backslashreplace")})


def figure_content(figure: Any, name: str, *, formats: str | Iterable[str] = ()) -> Content:
    """Return a matplotlib figure as an image, or a plotly figure as its JSON.

    It is drawn as it is: nothing is shown, and pyplot's current figure and settings stay what they are.

    Args:
        figure: Of matplotlib also its axes, what holds it as `figure` or `figure_`, or pyplot for the current one.
        formats: For matplotlib one or more of jpeg, jpg, pdf, png, svg and webp, each a file of its own; as the suffix
            of the name says by default, else PNG.

    Raises:
        TypeError: It is neither.
        ConfigError: It cannot be drawn, or not in such a format.

    Example:
        >>> from matplotlib.figure import Figure
        >>> list(figure_content(Figure(), "eval/loss", formats=("png", "svg")).files)
        ['loss.png', 'loss.svg']
    """
    kinds = [formats] if isinstance(formats, str) else list(dict.fromkeys(formats))
    if hasattr(figure, "to_plotly_json") and not isinstance(figure, type):
        _check_formats(kinds, {"json"}, "a plotly figure")
        suffix = "json" if name.endswith(".json") else "plotly.json"
        return Content({file_name(name, suffix): figure.to_json().encode()}, {"library": "plotly"})
    drawn = _matplotlib_figure(figure)
    _check_formats(kinds, _FIGURE_SUFFIXES, "a matplotlib figure")
    stem, dot, suffix = name.rpartition(".")
    if not dot or suffix.lower() not in _FIGURE_SUFFIXES:
        stem, suffix = name, "png"
    names = {kind: f"{stem}.{kind}" for kind in kinds} or {suffix.lower(): f"{stem}.{suffix}"}
    files = {file_name(each, kind): _draw(drawn, kind, name) for kind, each in names.items()}
    return Content({**files}, {"library": "matplotlib"})


def _check_formats(kinds: Sequence[str], known: AbstractSet[str], what: str) -> None:
    for kind in kinds:
        if kind not in known:
            raise ConfigError(f"formats has {kind!r:.100}, but {what} is kept as {', '.join(sorted(known))}")


def _matplotlib_figure(figure: Any) -> Any:
    if isinstance(figure, ModuleType) and hasattr(figure, "get_fignums"):
        if not figure.get_fignums():
            raise ConfigError("figure is pyplot, but it has no current figure: draw one first")
        return figure.gcf()
    inner = getattr(figure, "figure", None) or getattr(figure, "figure_", None)
    for each in (figure, inner, getattr(inner, "figure", None)):  # Axes may lie in a figure within a figure.
        if not isinstance(each, type) and callable(getattr(each, "savefig", None)):
            return each
    raise TypeError(
        f"figure is {type(figure).__name__}, but takes a matplotlib or plotly figure; a picture is kept by log_image"
    )


def _draw(figure: Any, kind: str, name: str) -> bytes:
    buffer = io.BytesIO()
    try:
        figure.savefig(buffer, format=kind, bbox_inches="tight", metadata=_UNDATED.get(kind))
    except Exception as error:  # A figure draws what others have put into it.
        raise ConfigError(f"the figure {name!r} cannot be drawn as {kind}: {error!r:.500}") from error
    return buffer.getvalue()


def file_name(name: str, suffix: str) -> str:
    """Return a file's name for an artifact's: its last segment, with the suffix if it lacks it.

    It is such as every download takes, and not too long for a file system.

    Example:
        >>> file_name("eval/confusion", "png"), file_name("lr_0.1", "png"), file_name("a.PNG", "png")
        ('confusion.png', 'lr_0.1.png', 'a.PNG')
    """
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    if not last.strip("."):
        last = "file"
    ending = f".{suffix}"
    if last.lower().endswith(ending):
        last, ending = last[: -len(ending)], last[-len(ending) :]
    return portable(portable(last).encode()[:_LONGEST_NAME].decode("utf-8", "ignore") + ending)


def manifest_checksum(files: Sequence[tuple[str, str]]) -> str:
    """Return SHA-256 over the sorted lines `checksum path` of files given as (checksum, path).

    Example:
        >>> manifest_checksum([("ab", "weights.pt"), ("cd", "config.json")])[:8]
        '1676b492'
    """
    import hashlib

    lines = "".join(f"{checksum} {json.dumps(path)}\n" for checksum, path in sorted(files, key=lambda pair: pair[1]))
    return hashlib.sha256(lines.encode()).hexdigest()
