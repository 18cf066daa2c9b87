"""Packs the source files of a small project that is in no repository, so that its code is kept at all."""

from __future__ import annotations

import io
import os
import tempfile
import zipfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from tracklib.capture.source_files import is_source_file, read_source, readable

__all__ = ["snapshot_archive"]

_MAX_ENTRIES = 5000
_MAX_FOLDER_ENTRIES = 500
_MAX_FILES = 500
_MAX_DEPTH = 6
_MAX_FILE_BYTES = 500_000
# The first date that a zip can hold: the same files make the same bytes, whenever they were written.
_DATE = (1980, 1, 1, 0, 0, 0)
_MODE = 0o100644 << 16
# Folders by their usual names in lower case: of packages, and of data and results, which may hold code too.
_PACKAGES = frozenset({"__pycache__", "node_modules", "site-packages", "venv", "virtualenv"})
_DATA = frozenset(
    {"data", "dataset", "datasets", "checkpoint", "checkpoints", "ckpt", "ckpts", "weights", "pretrained", "cache"}
    | {"output", "outputs", "result", "results", "runs", "logs", "log", "tmp", "build", "dist", "target", "vendor"}
    | {"wandb", "mlruns", "lightning_logs", "multirun"}
)
_ENVIRONMENT_MARKS = frozenset({"pyvenv.cfg", "conda-meta"})


class _TooLarge(Exception):
    """The folder is no small project."""


class _Folder(NamedTuple):
    """A folder to look into."""

    path: Path
    depth: int = 0
    is_data: bool = False


def snapshot_archive(directory: Path, *, limit: int = 1_000_000) -> bytes | None:
    """Return a zip of the small source files below a folder; the same files give the same bytes.

    Left out are hidden files and folders, links, virtual environments, folders of packages and of very many files, and
    files that hold secrets; secrets in the others are masked. Of folders with names like `data` and `outputs` only the
    Python files are taken. A folder that is no project (the root, a home, one with thousands of entries) is not packed.

    Args:
        directory: The project's top folder.
        limit: Most bytes of the zip.

    Returns:
        The zip, or None where there is nothing to pack, or too much of it.

    Example:
        >>> snapshot_archive(Path("/")) is None
        True
    """
    try:
        if _is_no_project(directory):
            return None
        files = dict(_collect(directory))
    except (_TooLarge, OSError, ValueError):
        return None
    archive = _pack(files) if files else b""
    return archive if 0 < len(archive) <= limit else None


def _is_no_project(directory: Path) -> bool:
    directory = directory.resolve()
    return (
        directory in {Path(directory.anchor), _home(), Path(tempfile.gettempdir()).resolve()} or not directory.is_dir()
    )


def _home() -> Path | None:
    try:
        return Path.home().resolve()
    except RuntimeError:  # A user without an entry in the system's tables.
        return None


def _collect(directory: Path) -> Iterator[tuple[str, str]]:
    """Yield the relative names of source files with their texts.

    Raises:
        _TooLarge: There are more entries or files than a small project has.
    """
    paths = list(_source_files(directory))
    if len(paths) > _MAX_FILES:
        raise _TooLarge
    for path in paths:
        text = read_source(path, limit=_MAX_FILE_BYTES).text
        if text is not None:
            yield readable(str(path.relative_to(directory))), text


def _source_files(directory: Path) -> Iterator[Path]:
    visited = 0
    pending = [_Folder(directory)]
    while pending:
        folder = pending.pop()
        entries = _entries(folder.path)
        visited += len(entries)
        if visited > _MAX_ENTRIES:
            raise _TooLarge
        if folder.path != directory and _is_foreign(entries):
            continue
        yield from (folder.path / entry.name for entry in entries if _is_wanted(entry, folder))
        pending.extend(_below(folder, entries))


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return the entries of a folder, or the first of them where that is more than there may be."""
    try:
        with os.scandir(folder) as found:
            return list(islice(found, _MAX_ENTRIES + 1))
    except OSError:  # Not ours to read, or just deleted: the rest is worth having.
        return []


def _is_foreign(entries: list[os.DirEntry[str]]) -> bool:
    """Tell whether a folder holds an environment of packages, or more files than people write."""
    return len(entries) > _MAX_FOLDER_ENTRIES or any(entry.name in _ENVIRONMENT_MARKS for entry in entries)


def _is_wanted(entry: os.DirEntry[str], folder: _Folder) -> bool:
    if entry.name.startswith(".") or not is_source_file(entry.name) or entry.is_dir(follow_symlinks=False):
        return False
    return not folder.is_data or entry.name.endswith(".py")


def _below(folder: _Folder, entries: list[os.DirEntry[str]]) -> Iterator[_Folder]:
    for entry in entries:
        name = entry.name.lower()
        is_hidden = name.startswith(".") or name in _PACKAGES or name.endswith(".egg-info")
        if folder.depth < _MAX_DEPTH and not is_hidden and entry.is_dir(follow_symlinks=False):
            yield _Folder(folder.path / entry.name, folder.depth + 1, folder.is_data or name in _DATA)


def _pack(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(files):
            info = zipfile.ZipInfo(name.replace(os.sep, "/"), _DATE)
            info.external_attr, info.create_system, info.compress_type = _MODE, 3, zipfile.ZIP_DEFLATED
            archive.writestr(info, files[name])
    return buffer.getvalue()
