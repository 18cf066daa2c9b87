"""Files in pieces: recipes, which say how one is put together, and reading one as if it were whole."""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import json
import re
from array import array
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from tracklib.errors import CorruptData, NotFound, StoreVersion, TracklibError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import BinaryIO

    from _typeshed import WriteableBuffer

__all__ = [
    "INLINE_BYTES",
    "Fetch",
    "JoinedBlob",
    "Piece",
    "is_checksum",
    "named_pieces",
    "open_joined",
    "read_recipe",
    "write_recipe",
]

INLINE_BYTES: Final = 1 << 10
"""A piece that has less stands in the recipe: an object of its own would cost more than it saves."""

_FORMAT: Final = 1
_LARGEST: Final = 64 << 20
_TOGETHER_BYTES: Final = 8 << 20
_TOGETHER: Final = 64
_BUFFER: Final = 1 << 16
_CHECKSUM: Final = re.compile("[0-9a-f]{64}")


class Fetch(Protocol):
    """Gets pieces of a file from a store."""

    def __call__(self, checksums: Sequence[str], /) -> Mapping[str, bytes | TracklibError]:
        """Return pieces by SHA-256, those that cannot be read with the reason."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a file.

    Attributes:
        size: In bytes.
        checksum: SHA-256 in hexadecimal of the blob that holds it; "" where the recipe does.
        content: Its bytes, where the recipe holds them.
    """

    size: int
    checksum: str = ""
    content: bytes = b""


def is_checksum(text: str) -> bool:
    """Tell whether this is a SHA-256 in hexadecimal.

    Example:
        >>> is_checksum("ab" * 32), is_checksum("../passwd")
        (True, False)
    """
    return _CHECKSUM.fullmatch(text) is not None


def write_recipe(pieces: Iterable[Piece]) -> bytes:
    """Return the recipe of a file that is made of these pieces, in this order.

    Example:
        >>> write_recipe([Piece(3, content=b"PK!"), Piece(4096, "ab" * 32)])[:58]
        b'{"format":1,"size":4099,"pieces":[{"data":"UEsh"},{"checks'
    """
    parts = list(pieces)
    told = [
        {"checksum": piece.checksum, "size": piece.size}
        if piece.checksum
        else {"data": base64.b64encode(piece.content).decode()}
        for piece in parts
    ]
    recipe = {"format": _FORMAT, "size": sum(piece.size for piece in parts), "pieces": told}
    return json.dumps(recipe, separators=(",", ":")).encode()


def read_recipe(recipe: bytes, name: str) -> list[Piece]:
    """Return the pieces that a recipe tells of.

    Args:
        name: What it is called, for messages.

    Raises:
        CorruptData: It tells of none that can be meant.
        StoreVersion: A newer tracklib has written it.
    """
    try:
        told = json.loads(recipe)
    except (ValueError, RecursionError) as error:
        raise CorruptData(f"the recipe {name} is damaged: it is no JSON ({str(error)[:200]})") from None
    try:
        return _read_pieces(told)
    except (TypeError, ValueError, LookupError) as error:
        raise CorruptData(f"the recipe {name} is damaged: {error}") from None
    except StoreVersion as error:
        raise StoreVersion(f"the recipe {name} {error}") from None


def _read_pieces(told: Any) -> list[Piece]:
    if not isinstance(told, dict):
        raise TypeError(f"it is {_shown(told)}, not an object")
    version = _whole(told.get("format"), "its format")
    if version > _FORMAT:
        raise StoreVersion(
            f"has the format {version}, and this tracklib knows {_FORMAT}: pip install --upgrade tracklib-ml"
        )
    listed = told.get("pieces")
    if not isinstance(listed, list):
        raise TypeError(f"its pieces are {_shown(listed)}, not a list")
    pieces = [_read_piece(each, number) for number, each in enumerate(listed)]
    size, total = _whole(told.get("size"), "its size"), sum(piece.size for piece in pieces)
    if size != total:
        raise ValueError(f"its pieces have {total} bytes together, and it says {size}")
    return pieces


def _read_piece(told: Any, number: int) -> Piece:
    what = f"piece {number}"
    if not isinstance(told, dict):
        raise TypeError(f"{what} is {_shown(told)}, not an object")
    if "data" in told:
        text = told["data"]
        if not isinstance(text, str) or not text.isascii():
            raise TypeError(f"the data of {what} are {_shown(text)}, not base64")
        try:
            content = base64.b64decode(text, validate=True)
        except binascii.Error as error:
            raise ValueError(f"the data of {what} are no base64 ({error})") from None
        return Piece(len(content), content=content)
    checksum, size = told.get("checksum"), _whole(told.get("size"), f"the size of {what}")
    if not isinstance(checksum, str) or not is_checksum(checksum):
        raise ValueError(f"the checksum of {what} is {_shown(checksum)}, not a SHA-256 in hexadecimal")
    if size > _LARGEST:
        raise ValueError(f"{what} has {size} bytes, and one takes {_LARGEST} at the most")
    return Piece(size, checksum)


def named_pieces(recipe: bytes, name: str) -> set[str]:
    """Return the SHA-256 of each blob that a recipe names.

    Raises:
        CorruptData: It tells of none that can be meant.
        StoreVersion: A newer tracklib has written it.
    """
    return {piece.checksum for piece in read_recipe(recipe, name) if piece.checksum}


def _whole(value: Any, what: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{what} is {_shown(value)}, not a whole number from 0 on")
    return value


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:80]}…"


class JoinedBlob(io.RawIOBase):
    """A file in pieces, read as if it were whole. Each piece is compared to its SHA-256 before its bytes are given out.

    Read from one piece to the next, it fetches several small ones at once, some megabytes at the most.
    """

    def __init__(self, pieces: Sequence[Piece], fetch: Fetch, name: Callable[[str], str]) -> None:
        """Note what it is made of; nothing is read yet.

        Args:
            name: Returns what a piece is called, for messages.
        """
        super().__init__()
        self._pieces = pieces
        self._fetch = fetch
        self._name = name
        self._starts = array("Q", accumulate((piece.size for piece in pieces), initial=0))
        self._size = self._starts.pop()
        self._position = 0
        self._number = -1
        self._content = b""
        self._fetched: Mapping[str, bytes | TracklibError] = {}

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that one can go anywhere in it."""
        return True

    def tell(self) -> int:
        """Return where the next byte is read."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place; return it.

        Raises:
            ValueError: It is before the beginning.
        """
        if self.closed:
            raise ValueError("the file was closed")
        begin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if begin + offset < 0:
            raise ValueError(f"there is nothing at {begin + offset}: a file begins at 0")
        self._position = begin + offset
        return self._position

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read bytes of one piece.

        Raises:
            NotFound: The piece is not there.
            CorruptData: It is not what it was.
            StoreUnavailable: It cannot be read now.
        """
        if self.closed:
            raise ValueError("the file was closed")
        target = memoryview(buffer).cast("B")
        if self._position >= self._size or not len(target):
            return 0
        number = bisect_right(self._starts, self._position) - 1
        if number != self._number:
            self._content, self._number = self._piece(number), number
        start = self._position - self._starts[number]
        part = memoryview(self._content)[start : start + len(target)]
        target[: len(part)] = part
        self._position += len(part)
        return len(part)

    def readall(self) -> bytes:
        """Read all that is left."""
        return b"".join(iter(lambda: self.read(_TOGETHER_BYTES) or b"", b""))

    def close(self) -> None:
        """Let go of what was read."""
        self._content, self._number, self._fetched = b"", -1, {}
        super().close()

    def _piece(self, number: int) -> bytes:
        """Return a piece, and make sure that it is what it was."""
        piece = self._pieces[number]
        if not piece.checksum:
            return piece.content
        if not isinstance(self._fetched.get(piece.checksum), bytes):  # What failed may be there by now.
            in_order = number == self._number + 1
            # Else both would be in memory beside what comes.
            self._fetched, self._content, self._number = {}, b"", -1
            self._fetched = self._fetch(self._next(number) if in_order else [piece.checksum])
        content = self._fetched.get(piece.checksum)
        if content is None:
            raise NotFound(f"there is no {self._name(piece.checksum)}, which is a piece of a file")
        if isinstance(content, TracklibError):
            raise content
        actual = hashlib.sha256(content).hexdigest()
        if actual != piece.checksum or len(content) != piece.size:
            raise CorruptData(
                f"the blob {self._name(piece.checksum)} is damaged: its content has SHA-256 {actual} "
                f"and {len(content)} bytes, and was to have {piece.size}"
            )
        return content

    def _next(self, number: int) -> list[str]:
        """Return which pieces are fetched together with one, that first."""
        wanted: dict[str, None] = {}
        left = _TOGETHER_BYTES
        for piece in self._pieces[number : number + _TOGETHER]:
            if wanted and piece.size > left:
                break
            if piece.checksum:
                wanted[piece.checksum] = None
                left -= piece.size
        return list(wanted)


def open_joined(pieces: Sequence[Piece], fetch: Fetch, name: Callable[[str], str]) -> BinaryIO:
    """Open a file that is made of these pieces; see `JoinedBlob`."""
    return cast("BinaryIO", io.BufferedReader(JoinedBlob(pieces, fetch, name), _BUFFER))
