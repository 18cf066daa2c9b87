"""Writing an object only if there is none of its name, on any file system: what claims are made of."""

from __future__ import annotations

import contextlib
import errno
import inspect
import os
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["link_new", "pipe_new"]

_TAKEN: Final = frozenset({"PreconditionFailed", "412"})
_UNHEARD_OF: Final = frozenset({"NotImplemented", "501"})
"""What servers answer that are like S3, but do not know this condition."""

_NO_LINKS: Final = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV})


def pipe_new(fs: Any, path: str, data: bytes, **options: Any) -> bool | None:
    """Write a file of an fsspec file system if there is none; tell whether it was written.

    Returns:
        None where the file system cannot do so at once.
    """
    from fsspec.implementations.memory import MemoryFile, MemoryFileSystem

    if isinstance(fs, MemoryFileSystem):
        # Its own way is to look first, and threads come in between.
        file = MemoryFile(fs, fs._strip_protocol(path), data)  # noqa: SLF001 - fsspec offers no other way
        return fs.store.setdefault(file.path, file) is file
    if not _knows_modes(fs):
        return None
    try:
        fs.pipe_file(path, data, mode="create", **options)
    except FileExistsError:
        return False
    except OSError as error:
        code = _code(error)
        if code in _TAKEN:
            return False
        if code in _UNHEARD_OF:
            return None
        raise
    return True


def _knows_modes(fs: Any) -> bool:
    """Tell whether a file system has its own way; that which fsspec lends to all looks first and writes then."""
    kind = type(fs)
    method = getattr(kind, "_pipe_file", None) if getattr(fs, "async_impl", False) else None
    return method is not None and "mode" in inspect.signature(method).parameters


def _code(error: OSError) -> str:
    """Return what the server of a cloud called its refusal, as botocore tells it."""
    response = getattr(error.__cause__, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def link_new(part: Path, target: Path) -> bool:
    """Give a finished file another name if there is none of that name yet; tell whether it was given."""
    try:
        os.link(part, target)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return _copy_new(part, target)
    return True


def _copy_new(part: Path, target: Path) -> bool:
    """Do so on a file system without links. For a moment the file is there without its content."""
    try:
        file = target.open("xb")
    except FileExistsError:
        return False
    try:
        with file:
            file.write(part.read_bytes())
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        with contextlib.suppress(OSError):
            target.unlink()
        raise
    return True
