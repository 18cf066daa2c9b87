"""The bytes of a journal: golden ones, and what a reader makes of changed ones."""

from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracklib.errors import CorruptData, StoreVersion
from tracklib.recording.format import (
    BASE,
    BASE_CHECK,
    CODE_RECORD,
    CODE_ROW,
    CODE_SCHEMA,
    COMMITTED,
    DROPPED,
    HEADER_SIZE,
    INFO_OFFSET,
    MAX_WORDS,
    SYNCED,
    HeaderWords,
    SegmentInfo,
    body_record,
    make_tag,
    parse_body,
    parse_header,
    parse_tag,
    parse_words,
    render_header,
    row_struct,
    row_tag,
)

INFO = SegmentInfo(run="R" * 26, writer="0", segment=3, boot="boot", store="sqlite:////a.db", created=1.5)
TEXT = (
    b'{"run":"RRRRRRRRRRRRRRRRRRRRRRRRRR","writer":"0","segment":3,"boot":"boot",'
    b'"store":"sqlite:////a.db","created":1.5}'
)
PAGE = render_header(INFO)


def with_text(text: bytes, *, version: int = 1) -> bytes:
    fixed = struct.pack("<8sIII", b"\x89TRACKJ\n", version, HEADER_SIZE, len(text))
    checksum = struct.pack("<I", zlib.crc32(text, zlib.crc32(fixed)))
    return (fixed + checksum).ljust(INFO_OFFSET, b"\0") + text.ljust(HEADER_SIZE - INFO_OFFSET, b"\0")


def test_a_header_is_as_the_page_about_it_says() -> None:
    """Magic, version, sizes, checksum, the five words and the text stand where they are documented."""
    words = struct.pack("<5Q", 4096, 4096, 0, 0, (1 << 64) - 1)

    assert PAGE[:24] == with_text(TEXT)[:24]
    assert PAGE[32:72] == words
    assert PAGE[128:] == TEXT.ljust(HEADER_SIZE - 128, b"\0")


def test_records_are_as_the_page_about_it_says() -> None:
    """Golden bytes: a change of the format without a new version fails here."""
    row = row_struct(2).pack(row_tag(2, 0), 7, 0.5, float("inf"), 1.0)

    assert body_record(CODE_SCHEMA, b'["a"]').hex() == "030000000000f0c0050000000ca4a7785b2261225d000000"
    assert body_record(CODE_RECORD, b"{}").hex() == "030000010000c0f70200000043bfa6a37b7d000000000000"
    assert row.hex() == ("05000002000071230700000000000000000000000000e03f000000000000f07f000000000000f03f")


def test_a_header_comes_back() -> None:
    """What was rendered is parsed."""
    assert parse_header(PAGE) == INFO
    assert parse_words(PAGE) == HeaderWords(committed=4096, synced=4096, dropped=0, base=0)


@given(st.integers(0, INFO_OFFSET + len(TEXT) - 1), st.integers(1, 255))
def test_every_change_of_the_fixed_part_is_found(offset: int, change: int) -> None:
    """No byte of magic, version, sizes, checksum and text can change in silence; the words and gaps are not checked."""
    page = bytearray(PAGE)
    page[offset] ^= change

    if 24 <= offset < INFO_OFFSET:
        assert parse_header(bytes(page)) == INFO
    else:
        with pytest.raises(CorruptData):
            parse_header(bytes(page))


@given(st.integers(8 * BASE, 8 * BASE_CHECK + 7), st.integers(1, 255))
def test_a_changed_base_is_found(offset: int, change: int) -> None:
    """The base is kept twice, once as its complement."""
    page = bytearray(PAGE)
    page[offset] ^= change

    assert parse_words(bytes(page)).base is None


def test_the_words_are_the_fields_that_are_written() -> None:
    """Each index of a word names its field."""
    page = bytearray(PAGE)
    for number, word in enumerate((COMMITTED, SYNCED, DROPPED), 1):
        struct.pack_into("<Q", page, 8 * word, number)

    assert parse_words(bytes(page)) == HeaderWords(committed=1, synced=2, dropped=3, base=0)


@pytest.mark.parametrize("page", [b"", PAGE[:-1], bytes(HEADER_SIZE), b"SQLite format 3\0".ljust(HEADER_SIZE)])
def test_what_is_no_header_is_refused(page: bytes) -> None:
    """Empty, short, zeroed and foreign files are not taken for journals."""
    with pytest.raises(CorruptData, match="no journal segment"):
        parse_header(page)


def test_a_newer_version_is_told_from_damage() -> None:
    """A header that is whole but of another version says what to do."""
    with pytest.raises(StoreVersion, match=r"version 2.*pip install --upgrade"):
        parse_header(with_text(TEXT, version=2))


def test_a_header_of_another_size_is_refused() -> None:
    """A length that reaches beyond the page fits no checksum."""
    page = with_text(b"x" * (HEADER_SIZE - INFO_OFFSET))
    longer = page[:16] + struct.pack("<I", HEADER_SIZE) + page[20:]

    with pytest.raises(CorruptData, match="damaged"):
        parse_header(longer)


def test_a_store_uri_that_is_too_long_is_refused() -> None:
    """The header is one page, so a URI has its limit, which the message tells."""
    info = SegmentInfo(run="R", writer="0", segment=0, boot="", store="s3://" + "x" * 4000, created=0.0)

    with pytest.raises(ValueError, match="too long"):
        render_header(info)


@given(st.integers(0, MAX_WORDS), st.integers(0, (1 << 24) - 1))
def test_tags_come_back(words: int, code: int) -> None:
    """Size in bytes and code of any tag are what they were."""
    assert parse_tag(make_tag(words, code)) == (words * 8, code)


@given(st.integers(2, MAX_WORDS), st.integers(0, (1 << 24) - 1), st.integers(0, 7), st.integers(1, 255))
def test_every_change_within_a_byte_of_a_tag_is_found(words: int, code: int, place: int, change: int) -> None:
    """A damaged size or code is never followed."""
    assert parse_tag(make_tag(words, code) ^ change << 8 * place) is None


def test_zeros_are_no_tag() -> None:
    """A page that never reached the disk holds no records."""
    assert parse_tag(0) is None


@given(st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=20))
def test_bodies_come_back(value: object) -> None:
    """Any JSON is framed in whole words and comes back."""
    import json

    body = body_record(CODE_RECORD, json.dumps(value).encode())

    assert len(body) % 8 == 0
    assert parse_tag(int.from_bytes(body[:8], "little")) == (len(body), CODE_RECORD)
    assert parse_body(memoryview(body)) == value


@given(st.integers(0, 200), st.data())
def test_every_change_of_a_body_is_found(length: int, data: st.DataObject) -> None:
    """Behind the tag there is no byte whose change goes unnoticed, but for the padding, which says nothing."""
    body = bytearray(body_record(CODE_RECORD, b'"' + b"x" * length + b'"'))
    offset = data.draw(st.integers(8, 16 + length + 1))
    body[offset] ^= data.draw(st.integers(1, 255))

    assert parse_body(memoryview(body)) is None


def test_a_body_that_is_cut_is_no_body() -> None:
    """Neither a part of the frame nor a part of the payload is a value."""
    body = body_record(CODE_RECORD, b'{"k":1}')

    assert [parse_body(memoryview(body)[:length]) for length in (0, 8, 15, 16, 22)] == [None] * 5
    assert parse_body(memoryview(body_record(CODE_RECORD, b"no JSON"))) is None


def test_a_payload_has_a_limit() -> None:
    """The size of a record is a number of 24 bits, in words; more is refused with both numbers."""
    with pytest.raises(ValueError, match="134,217,713 bytes is too large: the most is 134,217,704"):
        body_record(CODE_RECORD, bytes(MAX_WORDS * 8 - 7))


def test_a_row_is_three_words_and_its_values() -> None:
    """Tag, step and time go with the values, and the size stands in the tag."""
    assert row_struct(10).size == 24 + 80
    assert parse_tag(row_tag(10, 5)) == (24 + 80, CODE_ROW + 5)
