"""What users hand over to be kept, made into files: figures, tables, text and models."""

from __future__ import annotations

import io
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from tracklib.errors import ConfigError, MissingDependency

__all__ = ["Content", "figure_content", "model_content", "path_content", "table_content", "text_content"]

_NO_FIGURE = "figure is {kind}, but takes a matplotlib or plotly figure"
_NO_MODEL = (
    "model is {kind}, but takes a torch module, a state dict, anything with save_pretrained, "
    "or the path of a file or folder that holds a saved model"
)


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
    """Return a file, or all files of a folder.

    Raises:
        FileNotFoundError: There is nothing at the path.
        ConfigError: It is neither a file nor a folder.
    """
    source = Path(path)
    if source.is_file():
        return Content({source.name: source}, path=str(source))
    if source.is_dir():
        files: dict[str, bytes | Path] = {
            found.relative_to(source).as_posix(): found for found in source.rglob("*") if found.is_file()
        }
        return Content(files, path=str(source))
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
    return Content({_file_name(name, "txt"): text.encode("utf-8", "backslashreplace")})


def figure_content(figure: Any, name: str) -> Content:
    """Return a matplotlib figure as PNG, a plotly figure as its JSON.

    Raises:
        TypeError: It is neither.
    """
    if hasattr(figure, "savefig"):
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", bbox_inches="tight")
        return Content({_file_name(name, "png"): buffer.getvalue()}, {"library": "matplotlib"})
    if hasattr(figure, "to_plotly_json") and hasattr(figure, "to_json"):
        return Content({_file_name(name, "plotly.json"): figure.to_json().encode()}, {"library": "plotly"})
    raise TypeError(_NO_FIGURE.format(kind=type(figure).__name__))


def table_content(table: Any, name: str) -> Content:
    """Return a table as Parquet: a list of dicts, a dict of columns, or a pandas, polars or Arrow table.

    Raises:
        TypeError: It is none of these.
        MissingDependency: pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise MissingDependency("log_table needs pyarrow: pip install 'tracklib-ml[tables]'") from error
    arrow = _arrow(table, pa)
    buffer = io.BytesIO()
    parquet.write_table(arrow, buffer)
    return Content(
        {_file_name(name, "parquet"): buffer.getvalue()},
        {"rows": arrow.num_rows, "columns": {f.name: str(f.type) for f in arrow.schema}},
    )


def _are_mappings(rows: Sequence[Any]) -> bool:
    return all(isinstance(row, Mapping) for row in rows)


def _arrow(table: Any, pa: Any) -> Any:
    if isinstance(table, pa.Table):
        return table
    if hasattr(table, "to_arrow"):
        return table.to_arrow()
    if hasattr(table, "columns") and hasattr(table, "iloc"):
        return pa.Table.from_pandas(table)
    if isinstance(table, Mapping):
        return pa.table(dict(table))
    if isinstance(table, Sequence) and not isinstance(table, (str, bytes)) and _are_mappings(table):
        return pa.Table.from_pylist([dict(row) for row in table])
    raise TypeError(
        f"table is {type(table).__name__}, but takes a list of dicts, a dict of columns, or a table of pandas, polars or Arrow"
    )


@contextmanager
def model_content(model: Any) -> Iterator[Content]:
    """Give a model's files for as long as this lasts.

    A torch module is kept as its state dict, written by `torch.save`, so that `torch.load(…, weights_only=True)`
    reads it. What has `save_pretrained` writes its own folder. A path is taken as it is.

    Raises:
        TypeError: It is nothing of the kind.
    """
    if isinstance(model, (str, os.PathLike)):
        yield path_content(model)
    elif callable(getattr(model, "save_pretrained", None)):
        with tempfile.TemporaryDirectory(prefix="tracklib-model-") as folder:
            model.save_pretrained(folder)
            yield Content(path_content(folder).files, {"format": "pretrained", **_module_metadata(model)})
    elif callable(getattr(model, "state_dict", None)):
        yield _state_dict_content(model.state_dict(), _module_metadata(model))
    elif isinstance(model, Mapping) and model and all(hasattr(tensor, "numel") for tensor in model.values()):
        yield _state_dict_content(dict(model), {"parameters": sum(int(tensor.numel()) for tensor in model.values())})
    else:
        raise TypeError(_NO_MODEL.format(kind=type(model).__name__))


def _state_dict_content(state: Any, metadata: dict[str, Any]) -> Content:
    import torch

    buffer = io.BytesIO()
    torch.save(state, buffer)
    return Content(
        {"state_dict.pt": buffer.getvalue()},
        {"format": "state_dict", "framework": f"torch {torch.__version__}", **metadata},
    )


def _module_metadata(model: Any) -> dict[str, Any]:
    kind = type(model)
    metadata: dict[str, Any] = {"class": f"{kind.__module__}.{kind.__qualname__}"}
    if callable(getattr(model, "parameters", None)):
        parameters = list(model.parameters())
        metadata["parameters"] = sum(int(parameter.numel()) for parameter in parameters)
        metadata["trainable"] = sum(int(parameter.numel()) for parameter in parameters if parameter.requires_grad)
        metadata["architecture"] = str(model)[:100_000]
    return metadata


def _file_name(name: str, suffix: str) -> str:
    """Return a file's name for an artifact's: its last segment, with a suffix unless it has one.

    Example:
        >>> _file_name("eval/confusion", "png"), _file_name("notes.md", "txt")
        ('confusion.png', 'notes.md')
    """
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2] or "file"
    return last if "." in last else f"{last}.{suffix}"


def manifest_checksum(files: Sequence[tuple[str, str]]) -> str:
    """Return SHA-256 over the sorted lines `checksum path` of files given as (checksum, path).

    Example:
        >>> manifest_checksum([("ab", "weights.pt")])[:8]
        '4aa2abaf'
    """
    import hashlib

    lines = "".join(f"{checksum} {json.dumps(path)}\n" for checksum, path in sorted(files, key=lambda pair: pair[1]))
    return hashlib.sha256(lines.encode()).hexdigest()
