"""The bytes of recorded artifacts: from the store, or from where they were noted, and never others than recorded."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from tracklib.artifacts.aliases import reference_to
from tracklib.artifacts.places import NotedFiles
from tracklib.errors import ConfigError, CorruptData, NotFound, StoreUnavailable, TracklibError
from tracklib.stores.retrying import translated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from tracklib.model import Artifact, ArtifactFile
    from tracklib.stores.base import Store

__all__ = ["Contents", "blob_name"]

_BLOCK: Final = 1 << 20
_IN_MEMORY: Final = 16 << 20


class _Source(NamedTuple):
    """Where the bytes of a file come from.

    Attributes:
        name: For messages.
        noted: Whether it is the place that a reference notes, and not the store.
    """

    file: BinaryIO
    name: str
    noted: bool = False


class Contents:
    """The files of a recorded artifact.

    Attributes:
        artifact: Whose files they are.
        noted: Where they were noted, for a reference.
    """

    def __init__(self, store: Store, artifact: Artifact, *, elsewhere: bool = True) -> None:
        """Note where they are.

        Args:
            elsewhere: Whether to read what lies where a reference notes it, if the store does not have it.
        """
        self.artifact = artifact
        self.noted = NotedFiles(artifact) if artifact.is_reference and elsewhere else None
        self._store = store

    def file(self, path: str | None = None) -> ArtifactFile:
        """Return a file by its path; where none is given, the only one that there is.

        Raises:
            NotFound: There is no such file.
            ConfigError: None is given, and there are several.
        """
        files = {file.path: file for file in self.artifact.files}
        if path is None and len(files) == 1:
            return self.artifact.files[0]
        if path is None and files:
            raise ConfigError(f"{self.name} has {len(files):,} files: give the path of one of them ({_some(files)})")
        if path not in files:
            raise NotFound(f"{self.name} has no file {path!r}; it has: {_some(files, near=path) or self._nothing}")
        return files[path]

    @property
    def name(self) -> str:
        """How the artifact is said in text."""
        return reference_to(self.artifact)

    @property
    def _nothing(self) -> str:
        problem = self.artifact.metadata.get("problem")
        return f"none ({problem})" if problem else "none"

    def check(self) -> None:
        """See to it that there is anything to be read.

        Raises:
            NotFound: There is not; the message says why.
        """
        if not self.artifact.files:
            raise NotFound(f"{self.name} has no files: {self.artifact.metadata.get('problem') or 'nothing was there'}")

    def copy(self, file: ArtifactFile, write: Callable[[bytes], object]) -> None:
        """Hand over the bytes of a file, block by block. They are the right ones only when this has returned.

        Raises:
            CorruptData: They are not what they were; the message names the blob, the file and the artifact.
            NotFound: They are not there.
            StoreUnavailable: They cannot be read now.
        """
        with self._naming(file):
            self._transfer(file, self._open(file), write)

    def read(self, file: ArtifactFile) -> bytes:
        """Return the bytes of a file; see `copy`."""
        blocks: list[bytes] = []
        self.copy(file, blocks.append)
        return b"".join(blocks)

    def compare(self, file: ArtifactFile, on_bytes: Callable[[int], object]) -> None:
        """Read a file and compare it to what was recorded: of a reference what lies where it was noted.

        Raises:
            CorruptData: It is not what it was.
            NotFound: It is not there.
            StoreUnavailable: It cannot be read now.
        """
        source = self._open(file) if self.noted is None else self._open_noted(file)
        self._transfer(file, source, lambda block: on_bytes(len(block)))

    def _transfer(self, file: ArtifactFile, source: _Source, write: Callable[[bytes], object]) -> None:
        digest, size = hashlib.sha256(), 0
        with source.file:
            while block := translated(lambda: source.file.read(_BLOCK), source.name, writing=False):
                digest.update(block)
                size += len(block)
                write(block)
        if digest.hexdigest() == file.checksum or (not file.checksum and size == file.size):
            return
        found = f"it has SHA-256 {digest.hexdigest()} and {size:,} bytes"
        if source.noted:
            wanted = f"SHA-256 {file.checksum}" if file.checksum else f"{file.size:,} bytes"
            raise CorruptData(f"{source.name} has changed since it was noted: {found}, and had {wanted}")
        raise CorruptData(f"the blob {source.name} is damaged: {found}")

    def open(self, file: ArtifactFile) -> BinaryIO:
        """Return the bytes of a file as a file at its beginning, all of them verified before the first is given out.

        Raises:
            TracklibError: As for `copy`.
            OSError: There is no room for a copy in the folder for temporary files.
        """
        import tempfile

        copy = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY, prefix="tracklib-read-")  # noqa: SIM115 - the caller's
        try:
            self.copy(file, copy.write)
        except BaseException:
            copy.close()
            raise
        copy.seek(0)
        return cast("BinaryIO", copy)

    def _open(self, file: ArtifactFile) -> _Source:
        """Open what the store has of a file; else, of a reference, what is where it was noted."""
        try:
            if file.checksum or self.noted is None:
                return _Source(self._store.open_blob(file.checksum), blob_name(file.checksum))
        except NotFound:
            if self.noted is None:
                raise
        return self._open_noted(file)

    def _open_noted(self, file: ArtifactFile) -> _Source:
        assert self.noted is not None
        return _Source(self.noted.open(file.path), self.noted.place, noted=True)

    @contextmanager
    def _naming(self, file: ArtifactFile) -> Iterator[None]:
        """Let errors say of which file of which artifact they are."""
        try:
            yield
        except (CorruptData, NotFound, StoreUnavailable) as error:
            kind: type[TracklibError] = type(error)
            raise kind(f"the file {file.path!r} of {self.name}: {error}") from error


def blob_name(checksum: str) -> str:
    """Return where a store keeps a blob, relative to itself.

    Example:
        >>> blob_name("ab" * 32)[:14]
        'blobs/ab/ababa'
    """
    return f"blobs/{checksum[:2]}/{checksum}"


def _some(files: dict[str, ArtifactFile], near: str | None = None) -> str:
    import difflib

    chosen = difflib.get_close_matches(near or "", files, 3) or sorted(files)[:5]
    return ", ".join(map(repr, chosen)) + (", …" if len(files) > len(chosen) else "")
