"""Artifacts brought to a folder: each file verified while it is written, and seen under its name only then."""

from __future__ import annotations

import contextlib
import hashlib
import os
from functools import partial
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING, Final, NamedTuple

from tracklib.artifacts.contents import Contents
from tracklib.artifacts.names import check_manifest, ignores_case, place, portable
from tracklib.errors import ConfigError, StoreError
from tracklib.stores.lanes import Lanes
from tracklib.stores.retrying import retried

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tracklib.model import Artifact, ArtifactFile
    from tracklib.stores.base import Store

    OnBytes = Callable[[int], object]

__all__ = ["LANES", "default_folder", "download"]

LANES: Final = 8
"""So many files are on their way at once: of many small ones in a bucket, most of the time is waiting."""

_BLOCK: Final = 1 << 20


class _Wanted(NamedTuple):
    """A file that is not there yet, and where it goes."""

    file: ArtifactFile
    target: Path


def default_folder(artifact: Artifact) -> Path:
    """Return where an artifact goes if nobody says where, relative to the working directory.

    Example:
        >>> from tracklib.model import Artifact
        >>> dataset = Artifact(id="", run="", project="digits", name="raw/train", type="dataset", version=3)
        >>> default_folder(dataset).as_posix()
        'artifacts/raw/train-v3'
    """
    parts = [portable(part) for part in artifact.name.replace("\\", "/").split("/") if part.strip(".")] or ["_"]
    version = "" if artifact.version is None else f"-v{artifact.version}"
    return Path("artifacts", *parts[:-1], f"{parts[-1]}{version}")


def download(
    store: Store, artifact: Artifact, folder: Path, *, force: bool = False, on_bytes: OnBytes = lambda _: None
) -> None:
    """Bring the files of an artifact to a folder, which is made if it is missing.

    What is there already is not fetched again, so it goes on where it was broken off. Other files in the folder stay.

    Args:
        force: Replace files of these names that have other content.
        on_bytes: Told of bytes that are there now; of a file that must be begun anew, of as many taken back.

    Raises:
        CorruptData: The artifact names files that would leave the folder, or bytes are not what they were.
        ConfigError: The folder has other files of these names, or cannot take them.
        NotFound: Bytes are missing.
        StoreError: They cannot be read or written.
    """
    contents = Contents(store, artifact)
    contents.check()
    with _writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    paths = [file.path for file in artifact.files]
    check_manifest(paths)
    told = _Told(on_bytes)
    wanted = list(_missing(artifact, folder, told, force=force))
    if not wanted:  # Where all is there, it may be a folder that nobody can write to.
        return
    with _writing(folder):
        check_manifest(paths, ignore_case=ignores_case(folder))
    with Lanes(min(LANES, len(wanted)) or 1) as lanes:
        try:
            for each in wanted:
                lanes.hand_over(partial(_fetch, contents, each.file, folder, told))
            lanes.settle()
        except BaseException as error:  # noqa: BLE001 - it is raised, or what came before it
            raise told.stopped_by(error) from None


class _Stopped(Exception):
    """Another file has failed, or the user has enough."""


class _Told:
    """Tells of bytes, one thread at a time."""

    def __init__(self, on_bytes: OnBytes) -> None:
        self._on_bytes = on_bytes
        self._lock = Lock()
        self._stopped = Event()
        self._error: BaseException | None = None

    def __call__(self, count: int) -> None:
        if self._stopped.is_set():
            raise _Stopped
        with self._lock:
            self._on_bytes(count)

    def stopped_by(self, error: BaseException) -> BaseException:
        """Let those stop who would tell of more bytes; return the error by which the first one stopped."""
        with self._lock:
            self._error = self._error or error
        self._stopped.set()
        return self._error


def _missing(artifact: Artifact, folder: Path, told: _Told, *, force: bool) -> Iterator[_Wanted]:
    """Yield the files that are not there yet.

    Raises:
        ConfigError: A file is in the way of one.
    """
    for file in artifact.files:
        target = place(folder, file.path)
        with _writing(target):
            if not target.exists():
                yield _Wanted(file, target)
                continue
            if target.is_dir():
                raise ConfigError(f"there is a folder {str(target)!r} where a file is to go: choose another folder")
            if _is_same(target, file):
                told(file.size)
                continue
            may_be_same = not file.checksum and target.stat().st_size == file.size
        if not force and not may_be_same:
            raise ConfigError(
                f"there is another file {str(target)!r} already: choose another folder, or replace it with force=True "
                "(on the command line --force)"
            )
        yield _Wanted(file, target)


def _is_same(target: Path, file: ArtifactFile) -> bool:
    if target.stat().st_size != file.size or not file.checksum:
        return False
    digest = hashlib.sha256()
    with target.open("rb") as there:
        while block := there.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest() == file.checksum


def _fetch(contents: Contents, file: ArtifactFile, folder: Path, told: _Told) -> None:
    """Bring one file here, under another name until all of it is right."""
    try:
        retried(partial(_fetch_once, contents, file, folder, told))
    except BaseException as error:
        told.stopped_by(error)
        raise


def _fetch_once(contents: Contents, file: ArtifactFile, folder: Path, told: _Told) -> None:
    target = place(folder, file.path)
    part = target.with_name(f".tracklib-{os.urandom(6).hex()}.part")
    count = 0
    with _writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        output = part.open("xb")
    try:
        with output:

            def write(block: bytes) -> None:
                nonlocal count
                with _writing(target):
                    output.write(block)
                count += len(block)
                told(len(block))

            contents.copy(file, write)
        with _writing(target):
            part.replace(place(folder, file.path))
    except BaseException:
        if count:
            with contextlib.suppress(_Stopped):
                told(-count)
        raise
    finally:
        part.unlink(missing_ok=True)


@contextlib.contextmanager
def _writing(target: Path) -> Iterator[None]:
    """Turn what the operating system says of a place into an error of ours.

    Raises:
        ConfigError: It cannot be a file or folder there.
        StoreError: There is no room, or the like.
    """
    try:
        yield
    except StoreError:
        raise
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise ConfigError(f"{str(target)!r} cannot be written: {error}; choose another folder") from error
    except OSError as error:
        raise StoreError(f"{str(target)!r} cannot be written: {error}") from error
