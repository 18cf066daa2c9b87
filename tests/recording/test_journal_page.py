"""The reader that `docs/journal-format.md` shows, beside the one of tracklib."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from tracklib.recording.decode import Decoded, Decoder
from tracklib.recording.format import HEADER_SIZE, parse_header, parse_words
from tracklib.recording.segment import boot_id
from tracklib.records import RecordKind

if TYPE_CHECKING:
    from tracklib.recording.journal import Journal

PAGE = Path(__file__).parents[2] / "docs" / "journal-format.md"

Read = Callable[[Path, str], tuple[dict[str, Any], list[dict[str, Any]], list[tuple[str, int, float, float]]]]


@pytest.fixture(name="read")
def _read() -> Read:
    """Return the function of the page."""
    (source,) = re.findall(r"^```python\n(import binascii.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(source, names)  # noqa: S102 - it is our own page
    return names["read_segment"]  # type: ignore[no-any-return]


@pytest.fixture(name="files")
def _files(new_journal: Callable[..., Journal]) -> list[Path]:
    """Return the segments of a journal with a bit of everything."""
    journal = new_journal(segment_size=4 * 4096, clock=iter(range(1, 100_000)).__next__)
    for step in range(900):
        journal.log({"x": step, "y": -step}, step)
        if step % 9 == 0:
            journal.log({f"z{step % 5}": float("nan")}, -step, "ü")
        if step % 50 == 0:
            journal.record(RecordKind.NOTES, {"text": "n" * step})
    journal.close(delete=False)
    return [segment.path for segment in journal.segments]


def test_the_page_reads_what_tracklib_reads(
    read: Read, files: list[Path], points_of: Callable[[Decoded], list[tuple[str, int, float]]], tmp_path: Path
) -> None:
    """Every segment, whole, and cut or changed at many places."""
    chance = Random(1)  # noqa: S311 - no secret
    for path in files:
        for trial in range(60):
            content = bytearray(path.read_bytes())
            if trial % 3 == 1:
                del content[chance.randrange(HEADER_SIZE, len(content)) :]
            if trial % 3 == 2:
                at = chance.randrange(HEADER_SIZE, len(content)) // 8 * 8
                content[at : at + 8] = bytes(8)
            (tmp_path / "copy").write_bytes(content)
            info, records, points = read(tmp_path / "copy", boot_id())
            decoded = Decoder().decode(bytes(content[HEADER_SIZE : parse_words(bytes(content)).committed]))

            assert repr([(name, step, value) for name, step, _, value in points]) == repr(points_of(decoded))
            assert [(record["k"], record["t"], record["d"]) for record in records] == [
                (record.kind, record.time, record.data) for record in decoded.records
            ]
            assert info["segment"] == parse_header(bytes(content)).segment


def test_the_page_trusts_as_little_as_tracklib(read: Read, files: list[Path]) -> None:
    """After another start of the machine the synced part alone, and no header that is damaged."""
    content = bytearray(files[0].read_bytes())
    content[40:48] = struct.pack("<Q", HEADER_SIZE)
    files[0].write_bytes(content)

    assert len(read(files[0], boot_id())[2]) > 100
    assert read(files[0], "another")[1:] == ([], [])
    content[140] ^= 1
    files[0].write_bytes(content)
    with pytest.raises(ValueError, match="header is damaged"):
        read(files[0], boot_id())


def test_the_page_names_every_kind_of_record() -> None:
    """As does the text of the header."""
    page = PAGE.read_text()

    assert [kind for kind in RecordKind if f"`{kind}`" not in page] == []
    assert [name for name in json.loads(HEADER_TEXT) if f"| `{name}` |" not in page] == []


HEADER_TEXT = '{"run": "", "writer": "", "segment": 0, "boot": "", "store": "", "created": 0}'
