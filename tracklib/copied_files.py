"""Files of artifacts on their way from one store to another."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING, cast

from tracklib.errors import CorruptData, NotFound, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from tracklib.model import RunInfo
    from tracklib.stores.base import Store

__all__ = ["FileCopier"]


class FileCopier:
    """Copies each file once, and compares it to its SHA-256 on the way.

    Attributes:
        count: How many files were copied.
        size_bytes: How much of files was copied.
    """

    def __init__(self, source: Store, target: Store, on_piece: Callable[[], object]) -> None:
        self._source = source
        self._target = target
        self._on_piece = on_piece
        self._done: dict[str, str | None] = {}
        self.count = 0
        self.size_bytes = 0

    def copy(self, info: RunInfo) -> str | None:
        """Copy the files of a run; return what is to be said of those that cannot be copied, if there are any."""
        problems = []
        for checksum, what in self._wanted(info):
            if checksum not in self._done:
                self._done[checksum] = self._copy(checksum)
            if self._done[checksum]:
                problems.append(f"{what}: {self._done[checksum]}")
        if not problems:
            return None
        more = f" (and {len(problems) - 1} more files)" if len(problems) > 1 else ""
        return f"a file could not be copied, of {problems[0]}{more}"

    def _wanted(self, info: RunInfo) -> Iterator[tuple[str, str]]:
        """Yield the checksum of each file of a run, and what it is."""
        if info.source.snapshot:
            yield info.source.snapshot, "the code"
        for artifact in self._source.artifacts(info.id):
            if not artifact.metadata.get("reference"):  # Else only its path, size and checksum were noted.
                for file in artifact.files:
                    yield file.checksum, f"the artifact {artifact.name!r} version {artifact.version}, {file.path}"

    def _copy(self, checksum: str) -> str | None:
        """Copy a file that is not there; return why it cannot be."""
        if _has(self._target, checksum):
            return None
        try:
            opened = self._source.open_blob(checksum)
        except StoreError as error:
            return str(error)
        except NotFound:
            return f"the store {self._source.uri} does not have it any more"
        with opened as file:
            checked = _Checked(file, checksum, self._count)
            try:
                self._target.put_blob(cast("BinaryIO", checked))
            except OSError:  # A store may put an error of its own around ours.
                if checked.problem is None:
                    raise
                return checked.problem
        self.count += 1
        return None

    def _count(self, size_bytes: int) -> None:
        self.size_bytes += size_bytes
        self._on_piece()


class _Checked(io.RawIOBase):
    """A file that is read from its beginning to its end, and fails there if it is not what its checksum says.

    Attributes:
        problem: What is wrong with it, once that is known.
    """

    def __init__(self, file: BinaryIO, checksum: str, on_piece: Callable[[int], object]) -> None:
        self._file = file
        self._checksum = checksum
        self._on_piece = on_piece
        self._digest = hashlib.sha256()
        self.problem: str | None = None

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes.

        Raises:
            CorruptData: It ends here, and is not what it was.
            OSError: It cannot be read.
        """
        try:
            piece = self._file.read(size)
        except OSError as error:
            self.problem = f"the blob {self._checksum} cannot be read: {error}"
            raise
        self._digest.update(piece)
        if (not piece or size < 0) and self._digest.hexdigest() != self._checksum:
            self.problem = f"the blob {self._checksum} is damaged: its content has SHA-256 {self._digest.hexdigest()}"
            raise CorruptData(self.problem)
        self._on_piece(len(piece))
        return piece


def _has(store: Store, checksum: str) -> bool:
    try:
        store.open_blob(checksum).close()
    except NotFound:
        return False
    return True
