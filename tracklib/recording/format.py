"""The bytes of a journal segment: how they are written and how they are trusted. `docs/journal-format.md` is its page.

A segment is a header page and then records, each a whole number of 8-byte words. A record begins with a *tag*:
its size in words (24 bits), its code (24 bits) and a CRC-16 of those (16 bits), little-endian. The CRC finds every
change within one byte of a tag, so a damaged size or code is never followed.
"""

from __future__ import annotations

import binascii
import json
import struct
import zlib
from dataclasses import asdict, dataclass
from typing import Any, Final, NamedTuple

from tracklib.errors import CorruptData, StoreVersion

__all__ = [
    "BASE",
    "BASE_CHECK",
    "CODE_RECORD",
    "CODE_ROW",
    "CODE_SCHEMA",
    "COMMITTED",
    "DROPPED",
    "HEADER_SIZE",
    "SYNCED",
    "HeaderWords",
    "SegmentInfo",
    "body_record",
    "parse_body",
    "parse_header",
    "parse_tag",
    "parse_words",
    "render_header",
    "row_struct",
    "row_tag",
]

MAGIC: Final = b"\x89TRACKJ\n"
VERSION: Final = 1
HEADER_SIZE: Final = 4096
INFO_OFFSET: Final = 128

# Fields of the header that change, as indices of its 8-byte words.
COMMITTED: Final = 4
"""File offset behind the last committed record."""
SYNCED: Final = 5
"""File offset up to which the file is known to be on the disk."""
DROPPED: Final = 6
"""How many points of this writer could not be kept for want of space, up to when the next segment was begun."""
BASE: Final = 7
"""The journal position of the first record; known when the segment before is full, so after the file is made."""
BASE_CHECK: Final = 8
"""The bitwise complement of the base."""

CODE_SCHEMA: Final = 0
CODE_RECORD: Final = 1
CODE_ROW: Final = 2
"""The first code of metric rows: row code `CODE_ROW + i` belongs to the i-th schema of the segment."""

MAX_WORDS: Final = (1 << 24) - 1
_ALL_ONES: Final = (1 << 64) - 1

_FIXED = struct.Struct("<8sIIII")
_TAG = struct.Struct("<Q")
_BODY = struct.Struct("<QII")


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentInfo:
    """What the fixed part of a header says.

    Attributes:
        run: The run's id.
        writer: The writer's name within the run.
        segment: Number of the segment, from 0.
        boot: The machine's boot id when the segment was made.
        store: URI of the store the run goes to.
        created: When the segment was made.
    """

    run: str
    writer: str
    segment: int
    boot: str
    store: str
    created: float


class HeaderWords(NamedTuple):
    """What the changing part of a header says: file offsets and a count; `base` is None if it is damaged."""

    committed: int
    synced: int
    dropped: int
    base: int | None


def render_header(info: SegmentInfo) -> bytes:
    """Return the header page for a new segment, with nothing committed yet.

    Raises:
        ValueError: The store's URI is too long for the page.
    """
    text = json.dumps(asdict(info), separators=(",", ":")).encode()
    if INFO_OFFSET + len(text) > HEADER_SIZE:
        raise ValueError(f"the store URI {info.store[:80]!r}… is too long: a journal's header takes some 3,500 bytes")
    fixed = _FIXED.pack(MAGIC, VERSION, HEADER_SIZE, len(text), 0)
    checksum = zlib.crc32(text, zlib.crc32(fixed[:20]))
    page = bytearray(HEADER_SIZE)
    page[:24] = fixed[:20] + struct.pack("<I", checksum)
    struct.pack_into("<5Q", page, 8 * COMMITTED, HEADER_SIZE, HEADER_SIZE, 0, 0, _ALL_ONES)
    page[INFO_OFFSET : INFO_OFFSET + len(text)] = text
    return bytes(page)


def parse_header(page: bytes) -> SegmentInfo:
    """Read the fixed part of a header page.

    Raises:
        CorruptData: It is no header, or is damaged.
        StoreVersion: It is whole, but of a version that this tracklib does not know.
    """
    if len(page) < HEADER_SIZE or page[:8] != MAGIC:
        raise CorruptData("this is no journal segment: the magic bytes are missing")
    _, version, size, length, checksum = _FIXED.unpack_from(page)
    text = page[INFO_OFFSET : INFO_OFFSET + length]
    if zlib.crc32(text, zlib.crc32(page[:20])) != checksum or size != HEADER_SIZE:
        raise CorruptData("the header of this journal segment is damaged: its checksum does not fit")
    if version != VERSION:
        raise StoreVersion(
            f"a newer tracklib wrote this journal: its format has version {version}, this one reads {VERSION}; "
            "upgrade with `pip install --upgrade tracklib-ml`"
        )
    return SegmentInfo(**json.loads(text))


def parse_words(page: bytes) -> HeaderWords:
    """Read the changing part of a header page."""
    committed, synced, dropped, base, check = struct.unpack_from("<5Q", page, 8 * COMMITTED)
    return HeaderWords(committed, synced, dropped, base if base ^ check == _ALL_ONES else None)


def make_tag(words: int, code: int) -> int:
    """Return the tag of a record of so many words with this code."""
    plain = words | code << 24
    return plain | binascii.crc_hqx(plain.to_bytes(6, "little"), 0xFFFF) << 48


def parse_tag(tag: int) -> tuple[int, int] | None:
    """Return size in bytes and code of a tag, or None if it is damaged.

    Example:
        >>> parse_tag(make_tag(4, CODE_ROW)), parse_tag(make_tag(4, CODE_ROW) ^ 1), parse_tag(0)
        ((32, 2), None, None)
    """
    plain = tag & 0xFFFF_FFFF_FFFF
    if tag >> 48 != binascii.crc_hqx(plain.to_bytes(6, "little"), 0xFFFF):
        return None
    return (plain & 0xFFFFFF) * 8, plain >> 24


def row_struct(names: int) -> struct.Struct:
    """Return the layout of a row of so many values: tag, step, values, time.

    The time stands last because it is never zero: a row whose tail was lost with a page shows a time of 0.
    """
    return struct.Struct(f"<Qq{names}dd")


def row_tag(names: int, index: int) -> int:
    """Return the tag of rows of the `index`-th schema of a segment."""
    return make_tag(3 + names, CODE_ROW + index)


def body_record(code: int, payload: bytes) -> bytes:
    """Frame a schema or JSON record: tag, length, CRC-32, payload, zeros up to a whole word.

    Raises:
        ValueError: The payload has 128 MiB or more.
    """
    size = (_BODY.size + len(payload) + 7) // 8
    if size > MAX_WORDS:
        raise ValueError(f"a record of {len(payload):,} bytes is too large: the most is {MAX_WORDS * 8 - 16:,}")
    head = _BODY.pack(make_tag(size, code), len(payload), zlib.crc32(payload))
    return (head + payload).ljust(size * 8, b"\0")


def parse_body(data: memoryview) -> Any | None:
    """Return the JSON value of a framed record, or None if it is damaged."""
    if len(data) < _BODY.size:
        return None
    _, length, checksum = _BODY.unpack_from(data)
    payload = bytes(data[_BODY.size : _BODY.size + length])
    if len(payload) != length or zlib.crc32(payload) != checksum:
        return None
    try:
        return json.loads(payload)
    except ValueError:
        return None
