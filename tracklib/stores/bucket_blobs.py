"""Files by the SHA-256 of their content in a bucket: whole under `blobs/ab/abcdef…`, or as recipes beside that."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tempfile
import time
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final

from tracklib.errors import CorruptData, NotFound, StoreVersion, TracklibError
from tracklib.stores.blobs import blob_of, first_bytes
from tracklib.stores.layout import BLOBS, blob_key, recipe_key
from tracklib.stores.pieces import is_checksum, named_pieces, open_joined, read_recipe

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import BinaryIO

    from tracklib.stores.base import StoredBlob
    from tracklib.stores.bucket import Bucket, Listed

__all__ = ["CLAIM_SECONDS", "BucketBlobs"]

CLAIM_SECONDS: Final = 1800.0
"""What was written within so long counts as written now: it costs a request to give it another time.

It is well below the shortest time after which anybody deletes what nothing names.
"""

SURE_SECONDS: Final = 900.0
"""What was put or found so recently is there: nobody needs to ask. With `CLAIM_SECONDS` it is still below that time."""

SMALL_BYTES: Final = 1 << 16
"""A piece that has less is sent at once: to ask whether it is there takes as long."""

_CLOCK_SECONDS: Final = 3600.0
"""After so long the clock of the store is compared to ours again."""

_SAME_SECONDS: Final = 1.5
"""Listings and looks may tell the time of an object with and without its fraction."""

_IN_MEMORY: Final = 8 << 20
_MOST_SURE: Final = 100_000
_PIECE: Final = 1 << 20
_TOGETHER: Final = 64


class BucketBlobs:
    """The blobs of a bucket. Any number of processes may write to it; a blob appears whole or not at all.

    Known trade-off: no file system deletes an object on the condition that nobody has asked for it in just that
    moment. Who asks within some milliseconds of its deletion, months after it was written, is told that it is there.
    """

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._ahead: tuple[float, float] | None = None
        self._asking = Lock()
        self._sure: dict[str, float] = {}

    # ---- writing

    def put(self, source: BinaryIO) -> tuple[str, int]:
        """Keep the bytes of `source`; return their checksum and number."""
        content = first_bytes(source, _IN_MEMORY)
        if len(content) < _IN_MEMORY:
            checksum = hashlib.sha256(content).hexdigest()
            self.put_piece(content, checksum)
            return checksum, len(content)
        digest, size = hashlib.sha256(), 0
        with tempfile.TemporaryDirectory(prefix="tracklib-blob-") as folder:
            path = Path(folder) / "content"
            with path.open("wb") as copy:
                while content:
                    digest.update(content)
                    size += copy.write(content)
                    content = source.read(_PIECE)
            self._keep(path, digest.hexdigest())
        return digest.hexdigest(), size

    def take(self, path: Path, checksum: str) -> None:
        """Keep the file of this checksum.

        Raises:
            CorruptData: It has another checksum.
            FileNotFoundError: There is no such file.
        """
        with path.open("rb") as file:
            actual = hashlib.file_digest(file, "sha256").hexdigest()
        if actual != checksum:
            raise CorruptData(f"the file {path} is damaged: its content has SHA-256 {actual}, not {checksum}")
        self._keep(path, checksum)

    def _keep(self, path: Path, checksum: str) -> None:
        key = blob_key(checksum)
        if not self._is_kept({key: path.stat().st_size}):
            self._bucket.put_file(key, path)

    def put_piece(self, content: bytes, checksum: str) -> None:
        """Keep bytes that the caller has hashed."""
        key = blob_key(checksum)
        if time.monotonic() - self._sure.get(checksum, -SURE_SECONDS) < SURE_SECONDS:
            return
        if len(content) < SMALL_BYTES or not self._is_kept({key: len(content)}):
            self._bucket.put(key, content)
        if len(self._sure) >= _MOST_SURE:
            self._sure.clear()
        self._sure[checksum] = time.monotonic()

    def put_recipe(self, checksum: str, recipe: bytes) -> None:
        """Keep how a file is put together."""
        self._bucket.put(recipe_key(checksum), recipe)

    # ---- asking

    def claim(self, checksum: str) -> bool:
        """Tell whether a file or piece can be opened; if so its time, and that of its pieces, is the present."""
        there = is_checksum(checksum) and self._claimed(checksum)
        if not there:
            self._sure.clear()
        return there

    def _claimed(self, checksum: str) -> bool:
        key = recipe_key(checksum)
        try:
            if self._is_kept({blob_key(checksum): None}, again=True):
                return True
            pieces = read_recipe(self._bucket.get(key), self._bucket.name(key))
        except (NotFound, CorruptData, StoreVersion):  # It can be kept anew.
            return False
        wanted = {blob_key(piece.checksum): piece.size for piece in pieces if piece.checksum}
        return self._is_kept(wanted, again=True) and self._is_kept({key: None}, again=True)

    def _is_kept(self, wanted: Mapping[str, int | None], *, again: bool = False) -> bool:
        """Tell whether all of these objects are there, with these sizes where they are given, and claim them.

        Args:
            again: Whether they are read and written again where there is no other way. Else they count as missing,
                since the caller has the bytes.
        """
        keys = list(wanted)
        for start in range(0, len(keys), _TOGETHER):
            part = keys[start : start + _TOGETHER]
            found = self._bucket.look(part)
            if any(key not in found or wanted[key] not in {None, found[key].size} for key in part):
                return False
            old = self._old(found)
            try:
                if old and not self._bucket.touch(old):
                    if not again:
                        return False
                    for key in old:
                        self._write_again(key)
            except NotFound:  # It was deleted just now.
                return False
        return True

    def _old(self, found: Mapping[str, Listed]) -> dict[str, int]:
        """Return the sizes of those whose time is to be the present."""
        times = {key: listed.changed_at for key, listed in found.items() if listed.changed_at is not None}
        new_from = self._time() - CLAIM_SECONDS if times else 0.0
        return {key: found[key].size for key, at in times.items() if at < new_from}

    def _write_again(self, key: str) -> None:
        with tempfile.NamedTemporaryFile(prefix="tracklib-blob-") as copy:
            with self._bucket.open(key) as file:
                shutil.copyfileobj(file, copy, _PIECE)
            copy.flush()
            self._bucket.put_file(key, Path(copy.name))

    def open(self, checksum: str) -> BinaryIO:
        """Open a file or piece for reading, one that is kept in pieces as if it were whole.

        Raises:
            NotFound: It is not there.
            CorruptData: How it is put together cannot be told.
        """
        if not is_checksum(checksum):
            raise NotFound(f"{checksum!r} is no SHA-256: it takes 64 hexadecimal digits")
        key, recipe = blob_key(checksum), recipe_key(checksum)
        if whole := self._bucket.look([key]):
            # A small one is fetched at once: to open it would be one more request.
            return io.BytesIO(self._bucket.get(key)) if whole[key].size <= _IN_MEMORY else self._bucket.open(key)
        try:
            pieces = read_recipe(self._bucket.get(recipe), self._bucket.name(recipe))
        except NotFound:
            raise NotFound(f"there is no {self._bucket.name(key)}") from None
        return open_joined(pieces, self._fetch, lambda piece: self._bucket.name(blob_key(piece)))

    def _fetch(self, checksums: Sequence[str]) -> Mapping[str, bytes | TracklibError]:
        found = self._bucket.get_many([blob_key(checksum) for checksum in checksums])
        return {
            checksum: content
            for checksum in checksums
            if not isinstance(content := found[blob_key(checksum)], NotFound)
        }

    # ---- listing and deleting

    def listed(self) -> Iterator[StoredBlob]:
        """Yield all blobs and recipes, a part of the listing at a time."""
        for part in self._bucket.parts(BLOBS):
            for key, listed in part.items():
                # What has no time is never old.
                at = time.time() if listed.changed_at is None else listed.changed_at
                name = key.rpartition("/")[2]
                blob = blob_of(name, listed.size, at)
                if blob is not None and key == f"{BLOBS}/{name[:2]}/{name}":
                    yield blob

    def pieces_of(self, checksums: Sequence[str]) -> set[str]:
        """Return the SHA-256 of all pieces of the files that are kept in pieces.

        Raises:
            CorruptData: It cannot be told of one.
        """
        found: set[str] = set()
        for start in range(0, len(checksums), _TOGETHER):
            keys = [recipe_key(checksum) for checksum in checksums[start : start + _TOGETHER]]
            for key, recipe in self._bucket.get_many(keys).items():
                if isinstance(recipe, bytes):
                    found |= named_pieces(recipe, self._bucket.name(key))
                elif not isinstance(recipe, NotFound):
                    raise recipe
        return found

    def delete(self, blobs: Sequence[StoredBlob]) -> list[StoredBlob]:
        """Delete what has not changed since; return what was deleted. Recipes go before pieces."""
        keys = {(recipe_key if blob.is_recipe else blob_key)(blob.checksum): blob for blob in blobs}
        in_order = sorted(keys, key=lambda key: not keys[key].is_recipe)
        deleted = []
        for start in range(0, len(in_order), _TOGETHER):
            found = self._bucket.look(in_order[start : start + _TOGETHER])
            same = [key for key, listed in found.items() if _is_same(listed.changed_at, keys[key].changed_at)]
            if same:
                self._bucket.delete(same)
                for key in same:
                    self._sure.pop(keys[key].checksum, None)
                deleted += [keys[key] for key in same]
        return deleted

    def now(self) -> float:
        """Return the time by the clock of the store, which tells it of an object that was just written."""
        key = f"{BLOBS}/{os.urandom(6).hex()}.clock"
        self._bucket.put(key, b"")
        try:
            listed = self._bucket.look([key]).get(key)
        finally:
            self._bucket.delete([key])
        return time.time() if listed is None or listed.changed_at is None else listed.changed_at

    def _time(self) -> float:
        """Return about the same, without asking each time."""
        here = time.monotonic()
        with self._asking:
            if self._ahead is None or here - self._ahead[1] > _CLOCK_SECONDS:
                self._ahead = self.now() - here, here
            return self._ahead[0] + here


def _is_same(now: float | None, then: float) -> bool:
    return now is not None and abs(now - then) < _SAME_SECONDS
