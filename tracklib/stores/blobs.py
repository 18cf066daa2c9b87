"""Files by the SHA-256 of their content, under `blobs/ab/abcdef…` in a folder."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tempfile
from typing import TYPE_CHECKING

from tracklib.errors import CorruptData, NotFound, StoreUnavailable

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

__all__ = ["BlobFolder"]

_CHECKSUM = re.compile("[0-9a-f]{64}")
_PIECE = 1 << 20


class BlobFolder:
    """A folder of blobs. Several processes may write to it; a blob appears whole or not at all.

    Example:
        >>> import io, pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     blobs = BlobFolder(pathlib.Path(folder))
        ...     checksum, size = blobs.put(io.BytesIO(b"weights"))
        ...     blobs.verify(checksum)
        ...     checksum[:8], size
        ('9a129038', 7)
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, checksum: str) -> Path:
        """Return where the blob of this checksum is or would be.

        Raises:
            NotFound: That is no SHA-256 in hexadecimal.
        """
        if not _CHECKSUM.fullmatch(checksum):
            raise NotFound(f"{checksum!r} is no SHA-256: it takes 64 hexadecimal digits")
        return self.folder / checksum[:2] / checksum

    def put(self, source: BinaryIO) -> tuple[str, int]:
        """Keep the bytes of `source`; return their checksum and number.

        Raises:
            StoreUnavailable: They cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=self.folder, prefix="incoming-")
            try:
                checksum, size = _copy(source, descriptor)
                target = self.path(checksum)
                if target.exists():
                    os.unlink(name)  # noqa: PTH108 - mkstemp gives text
                else:
                    target.parent.mkdir(exist_ok=True)
                    os.replace(name, target)  # noqa: PTH105 - as above
            except BaseException:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name)  # noqa: PTH108 - as above
                raise
        except OSError as error:
            raise StoreUnavailable(f"a file cannot be kept in {self.folder}: {error}") from error
        return checksum, size

    def take(self, path: Path, checksum: str) -> None:
        """Keep the file of this checksum. It is moved here where it lies on the same file system, and copied if not.

        Raises:
            CorruptData: It has another checksum.
            FileNotFoundError: There is no such file.
            StoreUnavailable: It cannot be kept.
        """
        target = self.path(checksum)
        if target.exists():
            return
        actual = _moved(path, checksum, target)
        if actual is None:
            with path.open("rb") as source:
                actual, _ = self.put(source)
        if actual != checksum:
            raise CorruptData(f"the file {path} is damaged: its content has SHA-256 {actual}, not {checksum}")

    def open(self, checksum: str) -> BinaryIO:
        """Open a blob for reading.

        Raises:
            NotFound: It is not there.
            StoreUnavailable: It cannot be read.
        """
        try:
            return self.path(checksum).open("rb")
        except FileNotFoundError as error:
            raise NotFound(f"there is no blob {checksum} in {self.folder}") from error
        except OSError as error:
            raise StoreUnavailable(f"the blob {checksum} in {self.folder} cannot be read: {error}") from error

    def verify(self, checksum: str) -> None:
        """Compare a blob's content to its name.

        Raises:
            NotFound: It is not there.
            CorruptData: It is not what it was.
        """
        with self.open(checksum) as file:
            digest = hashlib.sha256()
            while piece := file.read(_PIECE):
                digest.update(piece)
        actual = digest.hexdigest()
        if actual != checksum:
            raise CorruptData(f"the blob {self.path(checksum)} is damaged: its content has SHA-256 {actual}")


def _copy(source: BinaryIO, descriptor: int) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    os.fchmod(descriptor, 0o644)
    with os.fdopen(descriptor, "wb") as target:
        while piece := source.read(_PIECE):
            digest.update(piece)
            size += target.write(piece)
        target.flush()
        os.fsync(target.fileno())
    return digest.hexdigest(), size


def _moved(path: Path, checksum: str, target: Path) -> str | None:
    """Move a file to its place if it has this checksum; return what it has, or None where it cannot be moved."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.stat().st_dev != target.parent.stat().st_dev:
            return None
        with path.open("rb") as file:
            actual = hashlib.file_digest(file, "sha256").hexdigest()
            if actual == checksum:
                os.fchmod(file.fileno(), 0o644)
                os.fsync(file.fileno())
                path.replace(target)
    except OSError:  # It belongs to somebody else, say, or there is no such folder: copying does it, or says why not.
        return None
    return actual
