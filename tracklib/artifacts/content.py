"""What users hand over to be kept, made into files: paths, text, figures and models; see `tables` for tables."""

from __future__ import annotations

import io
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final

from tracklib.errors import ConfigError, StoreError

__all__ = [
    "Content",
    "figure_content",
    "file_name",
    "manifest_checksum",
    "model_content",
    "path_content",
    "text_content",
]

_SUFFIX: Final = re.compile(r"\.[A-Za-z][A-Za-z0-9]{0,9}$")
_FIGURE_SUFFIXES: Final = frozenset({"jpeg", "jpg", "pdf", "png", "svg"})
_OWN_FOLDER: Final = ".tracklib"


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

    Raises:
        TypeError: It is no path.
        FileNotFoundError: There is nothing at the path.
        ConfigError: It is neither a file nor a folder.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"path is {path!r:.200}, but takes the path of a file or folder")
    source = Path(path)
    if source.is_file():
        return Content({source.name: source}, path=str(source))
    if source.is_dir():
        found = {each.relative_to(source): each for each in source.rglob("*") if each.is_file()}
        return Content(
            {place.as_posix(): each for place, each in found.items() if _OWN_FOLDER not in place.parts},
            path=str(source),
        )
    if not source.exists():
        raise FileNotFoundError(
            f"path is {str(source)!r}, but there is nothing there (the working directory is {Path.cwd()})"
        )
    raise ConfigError(f"path is {str(source)!r}, which is neither a file nor a folder")


def text_content(text: str, name: str) -> Content:
    """Return text as a UTF-8 file; the name's own suffix is kept.

    Raises:
        TypeError: It is no text.
    """
    if not isinstance(text, str):
        raise TypeError(f"text is {type(text).__name__}, but takes str")
    suffix = _SUFFIX.search(name)
    return Content({file_name(name, suffix[0][1:] if suffix else "txt"): text.encode("utf-8", "backslashreplace")})


def figure_content(figure: Any, name: str) -> Content:
    """Return a matplotlib figure as PNG, or as its name's suffix says (SVG, PDF, JPEG); a plotly figure as its JSON.

    Raises:
        TypeError: It is neither.
    """
    if hasattr(figure, "savefig"):
        suffix = name.rpartition(".")[2].lower()
        kind = suffix if suffix in _FIGURE_SUFFIXES else "png"
        buffer = io.BytesIO()
        figure.savefig(buffer, format=kind, bbox_inches="tight")
        return Content({file_name(name, kind): buffer.getvalue()}, {"library": "matplotlib"})
    if hasattr(figure, "to_plotly_json") and hasattr(figure, "to_json"):
        suffix = "json" if name.endswith(".json") else "plotly.json"
        return Content({file_name(name, suffix): figure.to_json().encode()}, {"library": "plotly"})
    raise TypeError(f"figure is {type(figure).__name__}, but takes a matplotlib or plotly figure")


@contextmanager
def model_content(model: Any) -> Iterator[Content]:
    """Give a model's files for as long as this lasts.

    A torch module is kept as its state dict, written by `torch.save`, so that `torch.load(…, weights_only=True)`
    reads it; so is a mapping that holds tensors, as checkpoints do. What has `save_pretrained` writes its own folder.
    A path is taken as it is.

    Raises:
        TypeError: It is nothing of the kind.
        FileNotFoundError: There is nothing at the path.
        StoreError: There is no room for the files.
    """
    if isinstance(model, (str, os.PathLike)):
        yield path_content(model)
        return
    if not _is_model(model):
        raise TypeError(
            f"model is {type(model).__name__}, but takes a torch module, a state dict, anything with save_pretrained, "
            "or the path of a file or folder that holds a saved model"
        )
    # Written to a file, not to memory: models are large.
    with tempfile.TemporaryDirectory(prefix="tracklib-model-", ignore_cleanup_errors=True) as folder:
        try:
            metadata = _save_model(model, folder)
        except OSError as error:
            raise StoreError(
                f"the model cannot be written to {folder}: {error}; set TMPDIR to a folder with room"
            ) from error
        yield Content(path_content(folder).files, metadata)


def _is_model(model: Any) -> bool:
    if isinstance(model, Mapping):
        return _count_parameters(model) is not None
    return not isinstance(model, type) and any(
        callable(getattr(model, name, None)) for name in ("save_pretrained", "state_dict")
    )


def _save_model(model: Any, folder: str) -> dict[str, Any]:
    """Write a model's files; return what is known about it."""
    if callable(getattr(model, "save_pretrained", None)):
        model.save_pretrained(folder)
        return {"format": "pretrained", **_module_metadata(model)}
    import torch

    is_state = isinstance(model, Mapping)
    torch.save(dict(model) if is_state else model.state_dict(), Path(folder) / "state_dict.pt")
    known = {"parameters": _count_parameters(model)} if is_state else _module_metadata(model)
    return {"format": "state_dict", "framework": f"torch {torch.__version__}", **known}


def _count_parameters(value: Any) -> int | None:
    """Return how many numbers the tensors in a mapping hold; None if there is no tensor."""
    if hasattr(value, "numel"):
        return int(value.numel())
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, (list, tuple)) else ()
    counts = [count for count in map(_count_parameters, inner) if count is not None]
    return sum(counts) if counts else None


def _module_metadata(model: Any) -> dict[str, Any]:
    kind = type(model)
    metadata: dict[str, Any] = {"class": f"{kind.__module__}.{kind.__qualname__}"}
    if callable(getattr(model, "parameters", None)):
        parameters = list(model.parameters())
        metadata["parameters"] = sum(int(parameter.numel()) for parameter in parameters)
        metadata["trainable"] = sum(int(parameter.numel()) for parameter in parameters if parameter.requires_grad)
        metadata["architecture"] = str(model)[:100_000]
    return metadata


def file_name(name: str, suffix: str) -> str:
    """Return a file's name for an artifact's: its last segment, with the suffix if it lacks it.

    Example:
        >>> file_name("eval/confusion", "png"), file_name("lr_0.1", "png"), file_name("a.PNG", "png")
        ('confusion.png', 'lr_0.1.png', 'a.PNG')
    """
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    if not last.strip("."):
        last = "file"
    return last if last.lower().endswith(f".{suffix}") else f"{last}.{suffix}"


def manifest_checksum(files: Sequence[tuple[str, str]]) -> str:
    """Return SHA-256 over the sorted lines `checksum path` of files given as (checksum, path).

    Example:
        >>> manifest_checksum([("ab", "weights.pt"), ("cd", "config.json")])[:8]
        '1676b492'
    """
    import hashlib

    lines = "".join(f"{checksum} {json.dumps(path)}\n" for checksum, path in sorted(files, key=lambda pair: pair[1]))
    return hashlib.sha256(lines.encode()).hexdigest()
