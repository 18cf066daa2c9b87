"""Files of artifacts on their way from one store to another."""

from __future__ import annotations

import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from tracklib.errors import NotFound, StoreError, TracklibError
from tracklib.stores.depositing import Lanes, deposit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from tracklib.model import RunInfo
    from tracklib.stores.base import Store

__all__ = ["FileCopier"]

LANES: Final = 4
_PIECE: Final = 1 << 20


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
            if not artifact.is_reference:  # Else only its path, size and checksum were noted.
                for file in artifact.files:
                    yield file.checksum, f"the artifact {artifact.name!r} version {artifact.version}, {file.path}"

    def _copy(self, checksum: str) -> str | None:
        """Copy a file that is not there; return why it cannot be."""
        if self._target.claim_blob(checksum):
            return None
        with TemporaryDirectory(prefix="tracklib-copy-", ignore_cleanup_errors=True) as folder, Lanes(LANES) as lanes:
            copy = Path(folder) / checksum
            problem = self._fetch(checksum, copy)
            if problem is None:
                # It is cut where it was cut before, so that what others have of it is shared there as well.
                deposit(self._target, copy, lanes=lanes, move=True)
                self.count += 1
        return problem

    def _fetch(self, checksum: str, copy: Path) -> str | None:
        """Read a file from the source; return what is wrong with it."""
        digest = hashlib.sha256()
        try:
            with self._source.open_blob(checksum) as file, copy.open("wb") as target:
                while piece := _read(file, checksum):
                    digest.update(piece)
                    target.write(piece)
                    self.size_bytes += len(piece)
                    self._on_piece()
        except StoreError as error:
            return str(error)
        except NotFound:
            return f"the store {self._source.uri} does not have it any more"
        if digest.hexdigest() != checksum:
            return f"the blob {checksum} is damaged: its content has SHA-256 {digest.hexdigest()}"
        return None


def _read(file: BinaryIO, checksum: str) -> bytes:
    try:
        return file.read(_PIECE)
    except TracklibError:
        raise
    except OSError as error:
        raise StoreError(f"the blob {checksum} cannot be read: {error}") from error
