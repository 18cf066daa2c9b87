"""Seeing to it that files are on the disk: what was written before a power cut is there after it."""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Collection
    from io import BufferedWriter
    from pathlib import Path

__all__ = ["sync_file", "sync_files"]

_MANY: Final = 32
"""More files than that are left to the file system as a whole: each by itself would wait for the disk."""


def sync_file(file: BufferedWriter) -> None:
    """Have what was written to a file on the disk."""
    file.flush()
    os.fsync(file.fileno())


def sync_files(paths: Collection[Path]) -> None:
    """Have files of one file system on the disk, whoever has written them.

    Raises:
        OSError: It cannot be done, or one is not there.
    """
    if len(paths) > _MANY and _sync_all(next(iter(paths)).parent):
        return
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _sync_all(folder: Path) -> bool:
    """Have all of a file system on its disk; tell whether the system can do that."""
    call: Any = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if call is None:
        return False
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return bool(call(descriptor) == 0)
    finally:
        os.close(descriptor)
