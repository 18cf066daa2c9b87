"""Files by the SHA-256 of their content in a folder: whole under `blobs/ab/abcdef…`, or as recipes beside that."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tracklib.errors import CorruptData, NotFound, StoreUnavailable, StoreVersion, TracklibError
from tracklib.stores.base import StoredBlob
from tracklib.stores.pieces import is_checksum, named_pieces, open_joined, read_recipe
from tracklib.stores.syncing import sync_file, sync_files

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import BinaryIO

__all__ = ["BlobFolder", "blob_of", "first_bytes"]

_NAME: Final = re.compile(r"([0-9a-f]{64})(\.recipe)?")
_PIECE: Final = 1 << 20
_IN_MEMORY: Final = 8 << 20
_NOTHING: Final = hashlib.sha256().hexdigest()


class BlobFolder:
    """A folder of blobs. Several processes may write to it; a blob appears whole or not at all.

    Whatever is kept or asked for by somebody about to name it has the present as its time, by the clock of the file
    system, whether it was there already or not.

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
        if not is_checksum(checksum):
            raise NotFound(f"{checksum!r} is no SHA-256: it takes 64 hexadecimal digits")
        return self.folder / checksum[:2] / checksum

    def recipe_path(self, checksum: str) -> Path:
        """Return where the recipe of a file of this checksum is or would be.

        Raises:
            NotFound: That is no SHA-256 in hexadecimal.
        """
        path = self.path(checksum)
        return path.with_name(f"{path.name}.recipe")

    # ---- writing

    def put(self, source: BinaryIO) -> tuple[str, int]:
        """Keep the bytes of `source`; return their checksum and number.

        Raises:
            StoreUnavailable: They cannot be written.
        """
        try:
            beginning = first_bytes(source, _IN_MEMORY)
            if len(beginning) < _IN_MEMORY:
                checksum = hashlib.sha256(beginning).hexdigest()
                self._keep(beginning, self.path(checksum))
                return checksum, len(beginning)
            self.folder.mkdir(parents=True, exist_ok=True)
            with _part(self.folder / "incoming") as (part, file):
                checksum, size = _copy(beginning, source, file)
                sync_file(file)
                target = self.path(checksum)
                if not _touch(target, size):
                    target.parent.mkdir(exist_ok=True)
                    part.replace(target)
        except OSError as error:
            raise self._unavailable(error) from error
        return checksum, size

    def take(self, path: Path, checksum: str) -> None:
        """Keep the file of this checksum. It is moved here where it lies on the same file system, and copied if not.

        Raises:
            CorruptData: It has another checksum.
            FileNotFoundError: There is no such file.
            StoreUnavailable: It cannot be kept.
        """
        target = self.path(checksum)
        if self._is_there(checksum):
            return
        actual = _moved(path, checksum, target)
        if actual is None:
            with path.open("rb") as source:
                actual, _ = self.put(source)
        if actual != checksum:
            raise CorruptData(f"the file {path} is damaged: its content has SHA-256 {actual}, not {checksum}")

    def put_piece(self, content: bytes, checksum: str) -> None:
        """Keep bytes that the caller has hashed. They are on the disk for sure only when a recipe names them.

        Raises:
            StoreUnavailable: They cannot be written.
        """
        # A file system that lost its power before it wrote the bytes may have kept the name: then the length differs.
        try:
            self._keep(content, self.path(checksum), safely=False)
        except OSError as error:
            raise self._unavailable(error) from error

    def put_recipe(self, checksum: str, recipe: bytes) -> None:
        """Keep how a file is put together, once all its pieces are on the disk.

        Raises:
            StoreUnavailable: It cannot be written, or a piece is not there.
        """
        target = self.recipe_path(checksum)
        pieces = named_pieces(recipe, str(target))
        try:
            sync_files([self.path(piece) for piece in pieces])
            self._keep(recipe, target, over=True)
        except OSError as error:
            raise self._unavailable(error) from error

    def _keep(self, content: bytes, target: Path, *, safely: bool = True, over: bool = False) -> None:
        if not over and _touch(target, len(content)):
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        with _part(target) as (part, file):
            file.write(content)
            if safely:
                sync_file(file)
            file.flush()
            part.replace(target)

    def _unavailable(self, error: OSError) -> StoreUnavailable:
        return StoreUnavailable(f"a file cannot be kept in {self.folder}: {error}")

    # ---- asking

    def claim(self, checksum: str) -> bool:
        """Tell whether a file or piece can be opened; if so its time, and that of its pieces, is the present.

        Raises:
            StoreUnavailable: It cannot be looked at.
        """
        if not is_checksum(checksum):
            return False
        recipe_path = self.recipe_path(checksum)
        try:
            if self._is_there(checksum):
                return True
            pieces = read_recipe(recipe_path.read_bytes(), str(recipe_path))
            there = all(_touch(self.path(piece.checksum), piece.size) for piece in pieces if piece.checksum)
            return there and _touch(recipe_path)
        except (CorruptData, StoreVersion, FileNotFoundError):  # It can be kept anew.
            return False
        except OSError as error:
            raise StoreUnavailable(f"the blob {checksum} in {self.folder} cannot be looked at: {error}") from error

    def _is_there(self, checksum: str) -> bool:
        path = self.path(checksum)
        # Where there is nothing in it, see `put_piece`.
        return _touch(path) and (checksum == _NOTHING or path.stat().st_size > 0)

    def open(self, checksum: str) -> BinaryIO:
        """Open a file or piece for reading, one that is kept in pieces as if it were whole.

        Raises:
            NotFound: It is not there.
            StoreUnavailable: It cannot be read.
            CorruptData: How it is put together cannot be told.
        """
        path, recipe_path = self.path(checksum), self.recipe_path(checksum)
        try:
            return path.open("rb")
        except FileNotFoundError:
            pass
        except OSError as error:
            raise self._unreadable(path, error) from error
        try:
            recipe = recipe_path.read_bytes()
        except FileNotFoundError as error:
            raise NotFound(f"there is no blob {checksum} in {self.folder}") from error
        except OSError as error:
            raise self._unreadable(recipe_path, error) from error
        return open_joined(read_recipe(recipe, str(recipe_path)), self._fetch, lambda piece: str(self.path(piece)))

    def _fetch(self, checksums: Sequence[str]) -> Mapping[str, bytes | TracklibError]:
        """Return pieces. Here nothing is won by reading several at once, so it is the first alone."""
        path = self.path(checksums[0])
        try:
            return {checksums[0]: path.read_bytes()}
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise self._unreadable(path, error) from error

    def _unreadable(self, path: Path, error: OSError) -> StoreUnavailable:
        return StoreUnavailable(f"the blob {path} cannot be read: {error}")

    def verify(self, checksum: str) -> None:
        """Compare a file's content to its name.

        Raises:
            NotFound: It is not there.
            CorruptData: It is not what it was.
        """
        with self.open(checksum) as file:
            actual = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type] # a BinaryIO will do
        if actual != checksum:
            raise CorruptData(f"the blob {self.path(checksum)} is damaged: its content has SHA-256 {actual}")

    # ---- listing and deleting

    def listed(self) -> Iterator[StoredBlob]:
        """Yield all blobs and recipes, folder by folder.

        Raises:
            StoreUnavailable: They cannot be listed.
        """
        try:
            for folder in _folders(self.folder):
                with os.scandir(folder) as entries:
                    for entry in entries:
                        with contextlib.suppress(FileNotFoundError):  # It was deleted meanwhile.
                            found = entry.stat()
                            if blob := blob_of(entry.name, found.st_size, found.st_mtime):
                                yield blob
        except OSError as error:
            raise StoreUnavailable(f"the blobs in {self.folder} cannot be listed: {error}") from error

    def pieces_of(self, checksums: Sequence[str]) -> set[str]:
        """Return the SHA-256 of all pieces of the files that are kept in pieces.

        Raises:
            CorruptData: It cannot be told of one.
            StoreUnavailable: A recipe cannot be read.
        """
        found: set[str] = set()
        for path in map(self.recipe_path, checksums):
            try:
                found |= named_pieces(path.read_bytes(), str(path))
            except FileNotFoundError:
                continue
            except OSError as error:
                if isinstance(error, TracklibError):
                    raise
                raise self._unreadable(path, error) from error
        return found

    def delete(self, blobs: Sequence[StoredBlob]) -> list[StoredBlob]:
        """Delete what has not changed since; return what was deleted. Recipes go before pieces.

        Raises:
            StoreUnavailable: One cannot be deleted. Others may have been.
        """
        try:
            return [blob for blob in sorted(blobs, key=lambda blob: not blob.is_recipe) if self._deleted(blob)]
        except OSError as error:
            raise StoreUnavailable(f"a blob in {self.folder} cannot be deleted: {error}") from error

    def _deleted(self, blob: StoredBlob) -> bool:
        path = self.recipe_path(blob.checksum) if blob.is_recipe else self.path(blob.checksum)
        aside = path.with_name(f"{path.name}.{os.urandom(6).hex()}.part")
        try:
            if path.stat().st_mtime != blob.changed_at:
                return False
            path.rename(aside)
        except FileNotFoundError:
            return False
        # Whoever claims it comes before that, which shows now, or after it, and does not find it.
        if aside.stat().st_mtime != blob.changed_at:
            aside.replace(path)
            return False
        aside.unlink()
        return True

    def now(self) -> float:
        """Return the time by the clock of the file system, which may be another machine's.

        Raises:
            StoreUnavailable: Nothing can be written there, by which it would show.
        """
        if not self.folder.is_dir():
            return time.time()
        try:
            with _part(self.folder / "clock") as (part, _):
                return part.stat().st_mtime
        except OSError as error:
            raise self._unavailable(error) from error


def blob_of(name: str, size: int, changed_at: float) -> StoredBlob | None:
    """Return what a file in a folder of blobs is; None for one that is none of ours.

    Example:
        >>> blob_of("ab" * 32 + ".recipe", 300, 1.0).is_recipe, blob_of("notes.txt", 10, 1.0)
        (True, None)
    """
    match = _NAME.fullmatch(name)
    return StoredBlob(checksum=match[1], size=size, changed_at=changed_at, is_recipe=bool(match[2])) if match else None


def first_bytes(source: BinaryIO, size: int) -> bytes:
    """Return the first bytes of a file that may give fewer at a time; fewer than `size` are all that there are."""
    parts = io.BytesIO()
    while (left := size - parts.tell()) and (part := source.read(min(left, _PIECE))):
        parts.write(part)
    return parts.getvalue()


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if len(path.name) == 2 and path.is_dir()) if folder.is_dir() else []


@contextlib.contextmanager
def _part(target: Path) -> Iterator[tuple[Path, io.BufferedWriter]]:
    """Open a new file beside a name, which is removed unless it was renamed. Others may read it, as the umask says."""
    part = target.with_name(f"{target.name}.{os.urandom(6).hex()}.part")
    try:
        with part.open("xb") as file:
            yield part, file
    finally:
        part.unlink(missing_ok=True)


def _copy(beginning: bytes, rest: BinaryIO, target: io.BufferedWriter) -> tuple[str, int]:
    digest, size, content = hashlib.sha256(), 0, beginning
    while content:
        digest.update(content)
        size += target.write(content)
        content = rest.read(_PIECE)
    return digest.hexdigest(), size


def _touch(path: Path, size: int | None = None) -> bool:
    """Tell whether a file is there (of this size, if one is given), and give it the present as its time.

    Where only its owner may do that, it counts as missing: whoever keeps it anew is then its owner.
    """
    try:
        if size is not None and path.stat().st_size != size:
            return False
        os.utime(path)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return False
    return True


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
                os.utime(path)
                path.replace(target)
    except OSError:  # It belongs to somebody else, say, or there is no such folder: copying does it, or says why not.
        return None
    return actual
