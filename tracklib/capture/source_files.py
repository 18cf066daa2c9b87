"""Tells source files from data, and reads them as text that can be recorded: bounded, decoded, secrets masked."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import NamedTuple

from tracklib.capture.redact import is_secret_file, mask_text

__all__ = ["FileText", "is_source_file", "read_source", "readable"]

_SUFFIXES = frozenset(
    {
        ".cfg",
        ".cu",
        ".ini",
        ".ipynb",
        ".json",
        ".md",
        ".py",
        ".pyx",
        ".sh",
        ".sbatch",
        ".slurm",
        ".toml",
        ".txt",
        ".yaml",
    }
    | {".yml", ".c", ".cc", ".cpp", ".cuh", ".h", ".hpp", ".jsonnet", ".r", ".jl", ".rs", ".sql", ".proto", ".lua"}
)
_NAMES = frozenset(
    {"dockerfile", "containerfile", "makefile", "justfile", "snakefile", "procfile", "pipfile", "license"}
)
_PROBE_BYTES = 8000


class FileText(NamedTuple):
    """The text of a file, or why there is none.

    Attributes:
        text: With secrets masked; None where the file is left out.
        remark: Why it is left out, or what was changed in it; empty for a file that is there as it is.
    """

    text: str | None
    remark: str = ""


def is_source_file(name: str) -> bool:
    """Tell by its name whether a file is likely to be written by people: code, configuration, notes.

    Example:
        >>> [is_source_file(name) for name in ("train.py", "Dockerfile.gpu", "model.safetensors")]
        [True, True, False]
    """
    lower = name.lower()
    return os.path.splitext(lower)[1] in _SUFFIXES or lower.partition(".")[0] in _NAMES  # noqa: PTH122 - a name, no path


def readable(name: str | bytes) -> str:
    r"""Return a name of the file system as text that any encoding takes; bytes that are no UTF-8 show as escapes.

    Example:
        >>> readable(b"caf\xe9.py")
        'caf\\xe9.py'
    """
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def read_source(path: Path, *, limit: int) -> FileText:
    """Read a text file of at most `limit` bytes. Links, pipes and devices are left alone; nothing is raised."""
    if is_secret_file(path.name):
        return FileText(None, "by its name it holds secrets")
    try:
        kind = path.lstat()
        if not stat.S_ISREG(kind.st_mode):
            return FileText(None, "a symbolic link" if stat.S_ISLNK(kind.st_mode) else "no regular file")
        if kind.st_size > limit:
            return FileText(None, f"{kind.st_size} bytes, and {limit} more would be kept")
        data = _read(path, limit)
    except (OSError, ValueError) as error:  # ValueError: a name that the system cannot take.
        return FileText(None, f"cannot be read: {getattr(error, 'strerror', None) or error}")
    return _as_text(data)


def _read(path: Path, limit: int) -> bytes:
    # The path may have become a link or a pipe since it was looked at: neither is followed or waited for.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags), "rb") as file:
        return file.read(limit)


def _as_text(data: bytes) -> FileText:
    if b"\0" in data[:_PROBE_BYTES]:
        return FileText(None, "binary")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return FileText(None, "not UTF-8 text")
    masked = mask_text(text)
    return FileText(masked, "" if masked == text else "kept with secrets masked")
