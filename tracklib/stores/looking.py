"""Looking at several objects of a file system side by side, and giving them the present as their time."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import os
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

__all__ = ["look_at", "moment_of", "touch"]

_TIMES: Final = ("mtime", "LastModified", "last_modified", "modified", "updated", "created")
_LARGEST_COPY: Final = 5 << 30
"""S3 copies no more in one request."""


def moment_of(details: Mapping[str, Any]) -> float | None:
    """Return when an object was written, as its file system tells it; None where it does not.

    Example:
        >>> moment_of({"updated": "1970-01-01T00:00:10Z"}), moment_of({"mtime": 10.5}), moment_of({"size": 1})
        (10.0, 10.5, None)
    """
    at = next((details[name] for name in _TIMES if details.get(name) is not None), None)
    if isinstance(at, str):
        try:
            return dt.datetime.fromisoformat(at).timestamp()
        except ValueError:
            return None
    # Some say in a listing as a number what they say of one object as a date.
    if at is None:
        return None
    return float(at.timestamp() if hasattr(at, "timestamp") else at)


def look_at(fs: Any, paths: Sequence[str], *, is_s3: bool) -> list[dict[str, Any] | None]:
    """Return what a file system tells of objects, None for one that is not there."""
    if getattr(fs, "async_impl", False):

        async def look(path: str) -> dict[str, Any] | None:
            with contextlib.suppress(FileNotFoundError):
                return dict(await (_head(fs, path) if is_s3 else fs._info(path)))  # noqa: SLF001 - it is to be awaited
            return None

        return _side_by_side(fs, look, paths)
    found: list[dict[str, Any] | None] = []
    for path in paths:
        try:
            found.append(dict(fs.info(path)))
        except FileNotFoundError:
            found.append(None)
    return found


async def _head(fs: Any, path: str) -> dict[str, Any]:
    """Return what S3 tells of an object. s3fs would see in a second request whether a missing one is a folder."""
    bucket, key, _ = fs.split_path(path)
    found = await fs._call_s3("head_object", fs.kwargs, Bucket=bucket, Key=key)  # noqa: SLF001 - likewise
    return {"ETag": found["ETag"], "LastModified": found["LastModified"], "size": found["ContentLength"]}


def touch(fs: Any, sizes: Mapping[str, int], *, is_s3: bool) -> bool:
    """Give objects, of these sizes by path, the present as their time; tell whether that can be done.

    Only where it is known to leave their content alone.

    Raises:
        FileNotFoundError: One is not there any more.
    """
    if is_s3:
        _side_by_side(fs, lambda path: _copy(fs, path, sizes[path]), list(sizes))
        return True
    from fsspec.implementations.local import LocalFileSystem

    if not isinstance(fs, LocalFileSystem):
        return False
    for path in sizes:
        os.utime(fs._strip_protocol(path))  # noqa: SLF001 - fsspec offers no other way
    return True


async def _copy(fs: Any, path: str, size: int) -> None:
    """Copy an object onto itself, in parts where it is too large for one request."""
    if size > _LARGEST_COPY:
        await fs._copy_managed(path, path, size)  # noqa: SLF001 - likewise
        return
    bucket, key, _ = fs.split_path(path)
    options = {"MetadataDirective": "REPLACE"}  # Onto itself, S3 copies only with a change.
    source = {"Bucket": bucket, "Key": key}
    await fs._call_s3("copy_object", options, Bucket=bucket, Key=key, CopySource=source)  # noqa: SLF001 - likewise


def _side_by_side(fs: Any, action: Callable[[str], Awaitable[Any]], paths: Sequence[str]) -> list[Any]:
    """Do something with each path at once; return the results when all are done.

    Raises:
        BaseException: What one of them raised.
    """
    from fsspec.asyn import sync

    async def each() -> list[Any]:
        return await asyncio.gather(*map(action, paths), return_exceptions=True)

    results: list[Any] = sync(fs.loop, each)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results
