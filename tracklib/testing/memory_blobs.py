"""Files of the store in memory, whole and in pieces."""

from __future__ import annotations

import hashlib
import io
import time
from dataclasses import dataclass, field
from threading import RLock
from typing import TYPE_CHECKING

from tracklib.errors import NotFound
from tracklib.stores.base import StoredBlob
from tracklib.stores.pieces import open_joined, read_recipe

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import BinaryIO

    from tracklib.errors import TracklibError
    from tracklib.stores.pieces import Piece

__all__ = ["MemoryBlobs"]


@dataclass(slots=True)
class MemoryBlobs:
    """Bytes by their SHA-256.

    Attributes:
        kept: The content of each blob by its checksum, and of recipes by that with True beside it.
        times: When each was kept or claimed.
    """

    kept: dict[tuple[str, bool], bytes] = field(default_factory=dict)
    times: dict[tuple[str, bool], float] = field(default_factory=dict)
    lock: RLock = field(default_factory=RLock)

    def put(self, source: BinaryIO) -> tuple[str, int]:
        """Keep the bytes of a file; return their checksum and number."""
        content = b"".join(iter(lambda: source.read(1 << 20), b""))
        checksum = hashlib.sha256(content).hexdigest()
        self.keep(content, checksum)
        return checksum, len(content)

    def keep(self, content: bytes, checksum: str, *, is_recipe: bool = False) -> None:
        """Keep bytes, or the recipe of a file."""
        with self.lock:
            self.kept[checksum, is_recipe] = content
            self.times[checksum, is_recipe] = time.time()

    def claim(self, checksum: str) -> bool:
        """Tell whether a file can be opened, and let it, with its pieces, be of now."""
        with self.lock:
            claimed = [(checksum, False)]
            if (checksum, False) not in self.kept and (checksum, True) in self.kept:
                claimed = [(piece.checksum, False) for piece in self._pieces(checksum) if piece.checksum]
                claimed.append((checksum, True))
            if not all(key in self.kept for key in claimed):
                return False
            self.times.update(dict.fromkeys(claimed, time.time()))
            return True

    def open(self, checksum: str) -> BinaryIO:
        """Open a file.

        Raises:
            NotFound: There is none.
        """
        with self.lock:
            if (checksum, False) in self.kept:
                return io.BytesIO(self.kept[checksum, False])
            if (checksum, True) in self.kept:
                return open_joined(self._pieces(checksum), self._fetch, lambda piece: piece)
        raise NotFound(f"there is no blob {checksum!r}")

    def listed(self) -> list[StoredBlob]:
        """List blobs and recipes."""
        with self.lock:
            return [
                StoredBlob(checksum=key[0], size=len(content), changed_at=self.times[key], is_recipe=key[1])
                for key, content in self.kept.items()
            ]

    def pieces_of(self, checksums: Sequence[str]) -> set[str]:
        """Return the SHA-256 of all pieces of the files that are kept in pieces."""
        with self.lock:
            recipes = [checksum for checksum in checksums if (checksum, True) in self.kept]
            return {piece.checksum for recipe in recipes for piece in self._pieces(recipe) if piece.checksum}

    def delete(self, blobs: Sequence[StoredBlob]) -> list[StoredBlob]:
        """Delete what has not changed since it was listed; return what was deleted."""
        with self.lock:
            deleted = [blob for blob in blobs if self.times.get((blob.checksum, blob.is_recipe)) == blob.changed_at]
            for blob in deleted:
                del self.kept[blob.checksum, blob.is_recipe], self.times[blob.checksum, blob.is_recipe]
            return deleted

    def _pieces(self, checksum: str) -> list[Piece]:
        return read_recipe(self.kept[checksum, True], f"{checksum}.recipe")

    def _fetch(self, checksums: Sequence[str]) -> dict[str, bytes | TracklibError]:
        with self.lock:
            return {checksum: self.kept[checksum, False] for checksum in checksums if (checksum, False) in self.kept}
