"""Bringing a file to a store: read once, cut into pieces, of which only those are sent that are not there.

Known trade-off: each byte is hashed twice, for its piece and for the file, on two processors.
"""

from __future__ import annotations

import hashlib
import io
import os
import time
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Final

from tracklib.errors import StoreUnavailable
from tracklib.stores.cutting import piece_ends
from tracklib.stores.lanes import Lanes
from tracklib.stores.pieces import INLINE_BYTES, Piece, write_recipe

if TYPE_CHECKING:
    from array import array
    from collections.abc import Callable
    from pathlib import Path
    from typing import BinaryIO

    from tracklib.stores.base import Store

__all__ = ["LONG_SECONDS", "Deposited", "Lanes", "deposit"]

LONG_SECONDS: Final = 600.0
"""What was claimed longer ago may have been deleted since, because nothing named it yet: it is claimed once more."""


@dataclass(frozen=True, slots=True)
class Deposited:
    """A file that a store keeps.

    Attributes:
        checksum: SHA-256 in hexadecimal of the whole.
        size: In bytes.
    """

    checksum: str
    size: int


def deposit(
    store: Store,
    path: Path,
    *,
    lanes: Lanes,
    on_bytes: Callable[[int], None] = lambda _: None,
    move: bool = False,
) -> Deposited:
    """Bring a file, which does not change meanwhile, to a store; return when it is there.

    A few pieces are in memory at a time. What was sent before an error is not sent again by the next call.

    Args:
        lanes: Bring the pieces. They are idle afterwards, also after an error.
        on_bytes: Told, by one thread at a time, of so many bytes that the store has now, sent or found there; all
            together they are those of the file.
        move: Whether the store may take the file itself, so that it is gone from its place. If the process dies just
            then, nobody knows its checksum: for those who can do without.

    Raises:
        StoreError: The store cannot take it; if it is `StoreUnavailable`, the same call may work later.
        FileNotFoundError: There is no such file.
        OSError: It cannot be read.
    """
    with path.open("rb", buffering=0) as raw:
        size = os.fstat(raw.fileno()).st_size
        reader = io.BufferedReader(raw)
        ends = piece_ends(reader, size)
        reader.detach()  # It would close the file with itself.
        if len(ends) > 1:
            return _Deposit(store, lanes, on_bytes).run(raw, ends)
        raw.seek(0)
        content = raw.readall()
    checksum = hashlib.sha256(content).hexdigest()
    if move:
        store.keep_file(path, checksum)
    else:
        store.put_blob(io.BytesIO(content))
    on_bytes(len(content))
    return Deposited(checksum, len(content))


class _Deposit:
    """One file on its way in pieces."""

    def __init__(self, store: Store, lanes: Lanes, on_bytes: Callable[[int], None]) -> None:
        self._store = store
        self._lanes = lanes
        self._on_bytes = on_bytes
        self._lock = Lock()
        self._seen: set[str] = set()
        self._pieces: dict[int, Piece] = {}
        self._digest = hashlib.sha256()

    def run(self, file: io.FileIO, ends: array[int]) -> Deposited:
        began = time.monotonic()
        try:
            self._hand_over(file, ends)
        except BaseException:
            self._lanes.abandon()
            raise
        self._lanes.settle()
        checksum = self._digest.hexdigest()
        self._store.put_recipe(checksum, write_recipe(self._pieces[number] for number in range(len(ends))))
        if time.monotonic() - began > LONG_SECONDS and not self._store.claim_blob(checksum):
            raise StoreUnavailable(
                f"pieces of the file {file.name!r} were deleted from {self._store.uri} while others were brought: "
                "the next try brings them again"
            )
        return Deposited(checksum, ends[-1])

    def _hand_over(self, file: io.FileIO, ends: array[int]) -> None:
        """Have each piece brought, until one cannot be."""
        file.seek(0)
        start = 0
        for number, end in enumerate(ends):
            content = _read(file, end - start)
            start = end
            # The piece is hashed in a lane while the whole is hashed here.
            self._lanes.hand_over(partial(self._bring, number, content))
            self._digest.update(content)
            del content
            if self._lanes.failed:
                return

    def _bring(self, number: int, content: bytes) -> None:
        if len(content) < INLINE_BYTES:
            self._pieces[number] = Piece(len(content), content=content)
        else:
            checksum = hashlib.sha256(content).hexdigest()
            self._pieces[number] = Piece(len(content), checksum)
            with self._lock:
                is_new = checksum not in self._seen
                self._seen.add(checksum)
            if is_new:
                self._store.put_piece(content, checksum)
        with self._lock:
            self._on_bytes(len(content))


def _read(file: BinaryIO | io.FileIO, size: int) -> bytes:
    """Return so many bytes.

    Raises:
        OSError: There are fewer: it was cut off meanwhile.
    """
    content = file.read(size) or b""
    while len(content) < size:  # One call reads two gigabytes at the most, and what a signal leaves of it.
        more = file.read(size - len(content))
        if not more:
            raise OSError(f"the file {file.name!r} became shorter while it was read: copy it before it changes")
        content += more
    return content
