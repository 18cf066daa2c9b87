"""Files at a URL: what they are now, and copies of them."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tracklib.artifacts.references import FoundFiles
from tracklib.errors import NotFound, TracklibError
from tracklib.model import ArtifactFile
from tracklib.stores.bucket import open_bucket

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["Fetched", "fetch", "look_at_url"]

_ETAGS: Final = ("ETag", "etag", "md5Hash", "content_md5")
_TIMES: Final = ("LastModified", "Last-Modified", "last_modified", "mtime", "modified", "updated", "created")


class Fetched(NamedTuple):
    """A copy of a file at a URL.

    Attributes:
        path: Of the file, relative to the URL, or its own name if the URL is a file's.
        name: Of the copy.
    """

    path: str
    name: str


class _Found(NamedTuple):
    """A file at a URL: what its file system calls it, its relative path, size and mark."""

    where: str
    path: str
    size: int
    mark: str


def look_at_url(url: str) -> FoundFiles:
    """Return what is at a URL: paths, sizes and the marks by which a change shows, without reading it.

    A mark is the ETag, or where there is none the time of the last change. All marks together are the identity.
    """
    try:
        found = list(_find(url))
    except (TracklibError, OSError, ValueError) as error:
        return FoundFiles(problem=f"it cannot be looked at: {error}")
    files = tuple(ArtifactFile(path=file.path, size=file.size, checksum="") for file in found)
    marks = {file.path: file.mark for file in found}
    if not found or not all(marks.values()):
        return FoundFiles(files=files, metadata={"marks": marks})
    return FoundFiles(files=files, identity=_identity(found), metadata={"marks": marks})


def _identity(found: list[_Found]) -> str:
    from tracklib.artifacts.content import manifest_checksum

    return manifest_checksum([(f"{file.size} {file.mark}", file.path) for file in found])


def fetch(url: str, folder: Path) -> list[Fetched]:
    """Copy what is at a URL to a folder that is there; return what was copied, in the order of the paths.

    Raises:
        TracklibError: It cannot be read.
        OSError: The copy cannot be written.
    """
    bucket = open_bucket(url, {})
    copied = []
    for number, file in enumerate(_find(url)):
        name = f"fetched-{number}"
        bucket.fs.get_file(file.where, str(folder / name))
        copied.append(Fetched(file.path, name))
    return copied


def _find(url: str) -> Iterator[_Found]:
    """Yield the files at a URL by path.

    Raises:
        NotFound: There is nothing.
        TracklibError: Its file system cannot be reached, or needs a package that is not installed.
    """
    bucket = open_bucket(url, {})
    fs, root = bucket.fs, bucket.path("")
    try:
        details = fs.info(root)
        if details.get("type") != "directory":
            yield _found(root, PurePosixPath(root).name, details)
            return
        listing: dict[str, Any] = fs.find(root, detail=True)
    except FileNotFoundError as error:
        raise NotFound(f"there is nothing at {url}") from error
    for where, each in sorted(listing.items()):
        yield _found(where, where[len(root) :].lstrip("/"), each)


def _found(where: str, path: str, details: Mapping[str, Any]) -> _Found:
    etag = next((str(details[name]) for name in _ETAGS if details.get(name)), "")
    moment = next((details[name] for name in _TIMES if details.get(name) is not None), "")
    changed = moment.isoformat() if hasattr(moment, "isoformat") else str(moment)
    return _Found(where, path, int(details.get("size") or 0), etag.strip('"') or changed)
