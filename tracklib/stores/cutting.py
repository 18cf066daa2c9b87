"""Where files are cut: at the borders of their tensors or members, so that what two files share is the same piece.

Nothing depends on a file being what it looks like: pieces are put together again in their order, whatever they hold.
Known trade-off: members of zip files that are compressed, and files of other kinds, are cut by length alone, so that
what was inserted early in a file makes all of it new.
"""

from __future__ import annotations

import re
import struct
from array import array
from itertools import groupby
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import BinaryIO

__all__ = ["FIXED_BYTES", "WHOLE_BYTES", "borders", "ends_of", "piece_ends"]

WHOLE_BYTES: Final = 1 << 20
"""A file that has less is not cut."""

FIXED_BYTES: Final = 8 << 20
"""No piece has more. Longer spans are cut into pieces of this length."""

_OWN_BYTES: Final = 4 << 10
_RUN_BYTES: Final = 4 << 20
_MOST_PIECES: Final = 10_000
_MOST_MEMBERS: Final = 200_000
"""A file of more tensors or members is cut by length: to look at them would take too much time and memory."""

_LONGEST_HEADER: Final = 100_000_000
_BLOCK: Final = 1 << 20
_LONGEST_OFFSETS: Final = 128
_OFFSETS: Final = re.compile(
    rb'"data_offsets"\s{0,8}:\s{0,8}\[\s{0,8}(\d{1,18})\s{0,8},\s{0,8}(\d{1,18})\s{0,8}\]', re.ASCII
)

_MEMBER: Final = struct.Struct("<4s22x2H")
_ENTRY: Final = struct.Struct("<4s4x2H8x2L3H8xL")
_END: Final = struct.Struct("<10xH2L2x")
_LOCATOR: Final = struct.Struct("<4s4xQ4x")
_LONG_END: Final = struct.Struct("<4s28x3Q")
_EXTRA: Final = struct.Struct("<2H")
_SHORT: Final = 0xFFFF
_LONG: Final = 0xFFFFFFFF


def piece_ends(file: BinaryIO, size: int) -> array[int]:
    """Return where each piece of a file ends, in order; the last at its end. An empty file has none.

    Spans of some length are pieces of their own, short ones share one with their neighbours.

    Args:
        file: Is read here and there; where it stands afterwards is not said.
        size: How many bytes it has.

    Example:
        >>> import io
        >>> list(piece_ends(io.BytesIO(b"small"), 5)), len(piece_ends(io.BytesIO(bytes(20 << 20)), 20 << 20))
        ([5], 3)
    """
    return ends_of([*(borders(file, size) if size >= WHOLE_BYTES else ()), size])


def ends_of(spans: Sequence[int]) -> array[int]:
    """Return where each piece of a file ends of which these are the ends of its spans, the last of them its size.

    Example:
        >>> list(ends_of([100, 5000, 5100, 5200, 20 << 20]))
        [100, 5000, 5200, 8393808, 16782416, 20971520]
    """
    ends = array("Q")
    own_bytes = _own_bytes(spans)
    run = start = 0
    for end in spans:
        if end - start >= own_bytes:
            if run < start:
                ends.append(start)
            ends.extend(range(start + FIXED_BYTES, end, FIXED_BYTES))
            ends.append(end)
            run = end
        elif end - run >= _RUN_BYTES:
            ends.append(end)
            run = end
        start = end
    if run < start:
        ends.append(start)
    return ends


def _own_bytes(spans: Sequence[int]) -> int:
    """Return how long a span is that becomes a piece of its own: longer where they would be too many."""
    own_bytes = _OWN_BYTES
    while own_bytes < _RUN_BYTES:
        start = count = 0
        for end in spans:
            count += end - start >= own_bytes
            start = end
        if count <= _MOST_PIECES:
            break
        own_bytes *= 2
    return own_bytes


def borders(file: BinaryIO, size: int) -> list[int]:
    """Return the places within a file, in order, where a tensor or the data of a member begin or end.

    They are those of a safetensors file, or of a zip file, which `torch.save` writes: by their content, not by
    their name. Of any other file, or one that is damaged, there are none.

    Args:
        file: Is read here and there; where it stands afterwards is not said.
        size: How many bytes it has.
    """
    try:
        found = _tensor_borders(file, size) or _member_borders(file, size)
    except (ValueError, struct.error):
        return []
    return [place for place, _ in groupby(sorted(found)) if 0 < place < size]


def _at(file: BinaryIO, place: int, length: int, *, end: int) -> bytes:
    """Return bytes of a file at a place.

    Raises:
        ValueError: They are not before this end.
    """
    if place + length > end:
        raise ValueError("what should be there is beyond the end")
    file.seek(place)
    return file.read(length)


# ---- safetensors: the length of the header in eight bytes, the header as JSON, the data of the tensors


def _tensor_borders(file: BinaryIO, size: int) -> array[int]:
    """Return where tensors begin and end; nothing if they do not follow on each other from the header to the end."""
    header_bytes = int.from_bytes(_at(file, 0, 8, end=size), "little")
    nothing = array("Q")
    if not 2 <= header_bytes <= min(size - 8, _LONGEST_HEADER):
        return nothing
    begins, ends = array("Q"), array("Q")
    for begin, end in _offsets(file, header_bytes):
        if begin > end or len(ends) == _MOST_MEMBERS:
            return nothing
        begins.append(begin)
        ends.append(end)
    data = 8 + header_bytes
    in_order = sorted(ends)
    if not in_order or in_order[-1] != size - data or sorted(begins) != [0, *in_order[:-1]]:
        return nothing
    return array("Q", [data, *(data + end for end in in_order)])


def _offsets(file: BinaryIO, header_bytes: int) -> Iterator[tuple[int, int]]:
    """Yield the offsets of all tensors that a header names, which is read bit by bit: it may be long.

    It is not parsed: a hostile one would take much memory, and within a text the quotes would be escaped.
    """
    left, rest = header_bytes, b""
    while left and (block := file.read(min(left, _BLOCK))):
        if left == header_bytes and not block.startswith(b"{"):
            return
        left -= len(block)
        text, seen = rest + block, 0
        for match in _OFFSETS.finditer(text):
            seen = match.end()
            yield int(match[1]), int(match[2])
        rest = text[max(seen, len(text) - _LONGEST_OFFSETS) :]


# ---- zip: members, each behind a header of its own, then a directory, then what says where that is


def _member_borders(file: BinaryIO, size: int) -> array[int]:
    """Return where the data of stored members begin and end: what else is there differs with the name of the file.

    Raises:
        ValueError: It is no zip file, or one that cannot be meant.
        struct.error: Likewise.
    """
    found, members = array("Q"), array("Q")
    if _at(file, 0, 4, end=size) != b"PK\3\4":
        return found
    directory, count = _directory(file, size)
    for member in _stored(file, directory, count):
        members.extend(member)
    for place, length in zip(members[::2], members[1::2], strict=True):
        magic, name_bytes, extra_bytes = _MEMBER.unpack(_at(file, place, _MEMBER.size, end=directory))
        begin = place + _MEMBER.size + name_bytes + extra_bytes
        if magic != b"PK\3\4" or begin + length > directory:
            raise ValueError("a member is not where the directory says")
        found.extend((begin, begin + length))
    return found


def _directory(file: BinaryIO, size: int) -> tuple[int, int]:
    """Return where the directory of a zip file begins, and how many members it has."""
    tail = _at(file, max(0, size - _END.size - _SHORT), min(size, _END.size + _SHORT), end=size)
    found = tail.rfind(b"PK\5\6", 0, len(tail) - _END.size + 4)
    while found >= 0 and found + _END.size + int.from_bytes(tail[found + 20 : found + 22], "little") != len(tail):
        found = tail.rfind(b"PK\5\6", 0, found)  # That was within the comment.
    if found < 0:
        raise ValueError("there is no end")
    count, length, place = _END.unpack_from(tail, found)
    end = size - len(tail) + found
    if count == _SHORT or _LONG in {length, place}:
        end, count, length, place = _long_directory(file, end)
    if place + length > end or count > _MOST_MEMBERS:
        raise ValueError("the directory is not where the end says, or too large")
    return place, count


def _long_directory(file: BinaryIO, end: int) -> tuple[int, int, int, int]:
    """Return the same of a file of more than four gigabytes or 65,534 members: where it ends, count, length, place."""
    magic, place = _LOCATOR.unpack(_at(file, max(0, end - _LOCATOR.size), _LOCATOR.size, end=end))
    if magic != b"PK\6\7":
        raise ValueError("there is no locator")
    magic, count, length, start = _LONG_END.unpack(_at(file, place, _LONG_END.size, end=end))
    if magic != b"PK\6\6":
        raise ValueError("there is no long end")
    return place, count, length, start


def _stored(file: BinaryIO, directory: int, count: int) -> Iterator[tuple[int, int]]:
    """Yield the place of each member that is not compressed, and how many bytes it has."""
    file.seek(directory)
    for _ in range(count):
        entry = _ENTRY.unpack(file.read(_ENTRY.size))
        magic, flags, method, packed, length, name_bytes, extra_bytes, comment_bytes, place = entry
        rest = file.read(name_bytes + extra_bytes + comment_bytes)
        if magic != b"PK\1\2":
            raise ValueError("that is no entry of a directory")
        if method or flags & 1 or packed != length:
            continue
        if _LONG in {length, place}:
            extra = rest[name_bytes : name_bytes + extra_bytes]
            length, place = _long_numbers(extra, length=length, place=place)
        yield place, length


def _long_numbers(extra: bytes, *, length: int, place: int) -> tuple[int, int]:
    """Return the length and place of a member of which an extra field says what takes more than four bytes."""
    start = 0
    while True:
        kind, size = _EXTRA.unpack_from(extra, start)
        start += _EXTRA.size
        if kind == 1:
            break
        start += size
    # The length is there twice: as it is, and as it would be compressed.
    numbers = iter(struct.unpack_from(f"<{(2 if length == _LONG else 0) + (place == _LONG)}Q", extra, start))
    if length == _LONG:
        length = next(numbers)
        if next(numbers) != length:
            raise ValueError("a stored member has two lengths")
    return length, next(numbers) if place == _LONG else place
