"""Files are cut where tensors and members begin and end, and whatever they hold, nothing is lost of them."""

from __future__ import annotations

import io
import json
import struct
import tracemalloc
import zipfile
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracklib.stores import cutting
from tracklib.stores.cutting import FIXED_BYTES, WHOLE_BYTES, borders, ends_of, piece_ends

if TYPE_CHECKING:
    from collections.abc import Sequence

KIB = 1 << 10
MIB = 1 << 20


def cut(content: bytes) -> list[int]:
    return borders(io.BytesIO(content), len(content))


def safetensors(sizes: Sequence[int], *, header: str = "", metadata: dict[str, str] | None = None) -> bytes:
    """Return a file of tensors with so many bytes each; `header` replaces the right one."""
    places = [sum(sizes[:number]) for number in range(len(sizes))]
    told: dict[str, Any] = {} if metadata is None else {"__metadata__": metadata}
    for number, (place, size) in enumerate(zip(places, sizes, strict=True)):
        told[f"t{number}"] = {"dtype": "U8", "shape": [size], "data_offsets": [place, place + size]}
    text = (header or json.dumps(told)).encode()
    return struct.pack("<Q", len(text)) + text + bytes(number % 251 for number in range(sum(sizes)))


def zipped(sizes: Sequence[int], *, method: int = zipfile.ZIP_STORED, comment: bytes = b"") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.comment = comment
        for number, size in enumerate(sizes):
            archive.writestr(f"archive/data/{number}", bytes([number % 256]) * size)
    return file.getvalue()


def assert_sound(ends: Sequence[int], size: int) -> None:
    """Pieces follow on each other to the end of the file, and none is empty or long."""
    assert (ends[-1] if ends else 0) == size
    assert all(0 < end - start <= FIXED_BYTES for start, end in pairwise([0, *ends]))


# ---- safetensors


@given(st.lists(st.integers(0, 300), min_size=1, max_size=20), st.dictionaries(st.text(), st.text(), max_size=3))
def test_tensors_have_borders(sizes: list[int], metadata: dict[str, str]) -> None:
    """A file is cut behind its header and behind each tensor, in whatever order those are named."""
    content = safetensors(sizes, metadata=metadata)
    begin = len(content) - sum(sizes)
    places = {begin + sum(sizes[:number]) for number in range(len(sizes) + 1)}

    assert cut(content) == sorted(place for place in places if place < len(content))


def test_a_file_of_the_real_library_is_known() -> None:
    """It sorts tensors by their types, and fills its header up with spaces."""
    import torch
    from safetensors.torch import save

    tensors = {"b": torch.zeros(10, dtype=torch.float16), "a": torch.ones(1000), "empty": torch.zeros(0)}
    content = save(tensors, metadata={"data_offsets": '"data_offsets":[0,3]'})

    begin = 8 + struct.unpack("<Q", content[:8])[0]
    assert cut(content) == [begin, begin + 4000]


def test_tensors_may_be_named_in_any_order() -> None:
    """Some libraries write headers by name, or with spaces in them."""
    header = '{"b": {"data_offsets": [5 , 15]}, "a":{"data_offsets":[0,5]},\n"c":{"data_offsets":\n[ 15,15 ]}}  '

    assert cut(safetensors([5, 10], header=header)) == [8 + len(header), 8 + len(header) + 5]


@pytest.mark.parametrize(
    "offsets",
    [
        [(0, 5)],
        [(0, 5), (6, 15)],
        [(0, 10), (5, 15)],
        [(0, 5), (5, 16)],
        [(5, 0), (5, 15)],
        [(1, 5), (5, 15)],
        [],
        [(0, 5), (5, 10**17)],
        [(0, 5), (0, 5), (5, 15)],
        [(0, 15), (0, 15)],
        [(15, 15)],
    ],
)
def test_offsets_that_cannot_be_meant_are_no_borders(offsets: list[tuple[int, int]]) -> None:
    """Tensors with gaps, that overlap, run backwards or end elsewhere are none."""
    header = json.dumps({str(number): {"data_offsets": pair} for number, pair in enumerate(offsets)})

    assert cut(safetensors([5, 10], header=header)) == []


@pytest.mark.parametrize("length", [0, 1, 2**63, 2**64 - 1, 100_000_001, 57])
def test_a_header_that_cannot_be_meant_is_none(length: int) -> None:
    """One that would be longer than the file, or ends in the middle, does not matter."""
    content = struct.pack("<Q", length) + safetensors([5, 10])[8:]

    assert cut(content) == cut(content[:8]) == cut(content[:3]) == []


def test_a_header_may_be_long() -> None:
    """It is read a part at a time, and what is divided between two parts is found."""
    sizes = [3] * 20_000
    content = safetensors(sizes)

    assert len(content) - sum(sizes) > MIB
    assert cut(content) == list(range(len(content) - sum(sizes), len(content), 3))


def test_a_hostile_header_takes_little_memory() -> None:
    """Brackets without end, and more tensors than anybody has, are another file."""
    nested = struct.pack("<Q", 8 * MIB) + b'{"a":' + b"[" * (8 * MIB)
    many = b'{"a":{"data_offsets":[0,0]}' + b',"a":{"data_offsets":[0,0]}' * 400_000
    files = [io.BytesIO(nested), io.BytesIO(struct.pack("<Q", len(many)) + many + b"x")]
    tracemalloc.start()
    found = [borders(file, len(file.getbuffer())) for file in files]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert found == [[], []]
    assert peak < 20 * MIB


# ---- zip files


@given(
    st.lists(st.integers(0, 300), min_size=1, max_size=20), st.binary(max_size=40), st.sampled_from([b"", b"PK\5\6"])
)
def test_members_have_borders(sizes: list[int], comment: bytes, more: bytes) -> None:
    """A file is cut where the data of each member begin and end, so that headers are apart from them."""
    content = zipped(sizes, comment=more + comment)
    expected: set[int] = set()
    place = 0
    for number, size in enumerate(sizes):
        place += 30 + len(f"archive/data/{number}")
        expected |= {place, place + size}
        place += size

    assert cut(content) == sorted(expected)


def test_a_file_of_torch_is_cut_at_its_storages(tmp_path: Path) -> None:
    """Under any name: the pieces with data are the same ones, though the headers have the name of the file."""
    import torch

    state = {"backbone": torch.randn(1000, 100), "bias": torch.zeros(3), "head": torch.randn(2000)}
    pieces = []
    for name in ("a.pt", "a much longer name of a checkpoint.pt"):
        torch.save(state, tmp_path / name)
        content = (tmp_path / name).read_bytes()
        pieces.append({content[start:end] for start, end in pairwise([0, *cut(content), len(content)])})

    for tensor in state.values():
        assert tensor.numpy().tobytes() in pieces[0] & pieces[1]


def test_compressed_members_have_no_borders() -> None:
    """They are new as a whole with each change."""
    assert cut(zipped([5000, 10], method=zipfile.ZIP_DEFLATED)) == []


def test_a_file_of_many_members_is_known() -> None:
    """The end of one with more than 65,535 says so in eight bytes, as that of one of more than four gigabytes does."""
    content = zipped([1] * 70_000)

    assert b"PK\6\6" in content
    assert len(cut(content)) == 140_000


def test_a_member_of_more_than_four_gigabytes_is_known(tmp_path: Path) -> None:
    """Its length and place are in a field of their own. Here it is mostly a hole."""
    path, size = tmp_path / "large.zip", (4 << 30) + 10
    with zipfile.ZipFile(path, "w") as archive:
        with archive.open(zipfile.ZipInfo("a"), "w", force_zip64=True) as member:
            member.write(b"a")
        archive.writestr("b", b"behind it")
    content = bytearray(path.read_bytes())
    with path.open("wb") as file:
        # As if the first member were that long: what comes behind it moves, and the directory says so.
        begin, directory = 30 + 1 + 20, content.index(b"PK\1\2")
        second, end = content.index(b"PK\1\2", directory + 1), content.index(b"PK\5\6")
        file.write(content[:begin])
        file.seek(begin + size)
        file.write(content[begin + 1 : directory])
        start = file.tell()
        entry = bytearray(content[directory:second])
        extra = struct.pack("<2H2Q", 1, 16, size, size)
        entry[20:28] = b"\xff" * 8
        entry[30:32] = struct.pack("<H", len(extra))
        other = bytearray(content[second:end])
        place = struct.unpack("<L", other[42:46])[0]
        other[42:46] = b"\xff" * 4
        other[30:32] = struct.pack("<H", 12)
        entries = entry[:47] + extra + other[:47] + struct.pack("<2HQ", 1, 8, place + size - 1)
        file.write(entries)
        long_end = file.tell()
        file.write(struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 2, 2, len(entries), start))
        file.write(struct.pack("<4sLQL", b"PK\6\7", 0, long_end, 1))
        file.write(struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 2, 2, len(entries), 0xFFFFFFFF, 0))
    with zipfile.ZipFile(path) as archive:
        assert archive.read("b") == b"behind it"

    with path.open("rb") as file:
        found = borders(file, path.stat().st_size)
    header = begin + size + 31
    assert found == [begin, begin + size, header, header + len(b"behind it")]


@pytest.mark.parametrize("kind", ["safetensors", "zip", "zip64"])
@settings(max_examples=300)
@given(st.data())
def test_a_mutilated_file_does_no_harm(kind: str, data: st.DataObject) -> None:
    """Whatever is wrong with it, borders are places within the file, in order, or there are none."""
    made = {"safetensors": safetensors([100, 0, 300]), "zip": zipped([100, 0, 300]), "zip64": LONG}
    content = bytearray(made[kind])
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1) | st.integers(-100, -1).map(lambda n: len(content) + n))
        change = data.draw(st.sampled_from([b"", b"\0", b"\xff" * 4, b"\xff" * 8, b"9", b"PK\5\6"]) | st.binary())
        content[place : place + data.draw(st.integers(0, 8))] = change

    found = cut(bytes(content))
    assert found == sorted(set(found))
    assert all(0 < place < len(content) for place in found)


def _long_zip() -> bytes:
    """Return a small zip file whose end and members are told in eight bytes."""
    content = bytearray(zipped([100, 300]))
    end = content.rindex(b"PK\5\6")
    count, length, place = struct.unpack("<10xH2L2x", content[end:])
    long_end = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, length, place)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, end, 1)
    content[end + 8 : end + 20] = b"\xff" * 12
    content[end:end] = long_end + locator
    return bytes(content)


LONG = _long_zip()


def test_an_end_in_eight_bytes_is_read() -> None:
    """What is mutilated above is sound."""
    assert len(cut(LONG)) == 4


@given(st.binary(max_size=200), st.sampled_from([b"", b"PK\3\4", b"\x20\0\0\0\0\0\0\0{"]), st.binary(max_size=30))
def test_any_bytes_may_come(beginning: bytes, magic: bytes, end: bytes) -> None:
    """Also those that only look like a file of a known kind."""
    content = magic + beginning + b"PK\5\6" + end

    assert all(0 < place < len(content) for place in cut(content))


@pytest.mark.parametrize("tail", [b"PK\5\6" * 16_000, b"PK\5\6" + b"\0" * 18])
def test_many_ends_are_not_looked_at_for_long(tail: bytes) -> None:
    """A file may be full of what looks like its end."""
    assert cut(b"PK\3\4" + tail * 3) == []


# ---- pieces


@given(st.lists(st.integers(1, 3 * MIB) | st.integers(1, 5000) | st.just(20 * MIB + 5), max_size=200))
def test_pieces_follow_on_each_other(lengths: list[int]) -> None:
    """Whatever spans a file has: nothing is left out, and nothing is long."""
    spans = [sum(lengths[: number + 1]) for number in range(len(lengths))]
    ends = ends_of(spans or [0])

    assert_sound(ends, sum(lengths))
    assert all(end in ends for start, end in pairwise([0, *spans]) if end - start >= 4 * KIB)
    assert all(start in {0, *ends} for start, end in pairwise([0, *spans]) if end - start >= 4 * KIB)


def test_small_spans_share_a_piece() -> None:
    """Up to some megabytes, and what is in between large ones."""
    ends = list(ends_of([*range(1000, 6_000_001, 1000), 7_000_000, 7_000_500, 7_001_000]))

    assert ends == [4_195_000, 6_000_000, 7_000_000, 7_001_000]


@pytest.mark.parametrize("length", [10, 5 * KIB, 100 * KIB])
def test_pieces_are_never_too_many(length: int) -> None:
    """A hundred thousand tensors share some thousand pieces."""
    ends = ends_of(range(length, 100_001 * length, length))

    assert_sound(ends, 100_000 * length)
    assert len(ends) <= max(10_000, 100_000 * length // MIB)


def test_a_small_file_is_one_piece() -> None:
    """It is kept whole; an empty one has no piece."""
    content = safetensors([10_000, 20_000])

    assert list(piece_ends(io.BytesIO(content), len(content))) == [len(content)]
    assert list(piece_ends(io.BytesIO(), 0)) == []


def test_other_files_are_cut_by_length() -> None:
    """Where nothing is known of them."""
    size = 2 * FIXED_BYTES + 1

    assert list(piece_ends(io.BytesIO(bytes(size)), size)) == [FIXED_BYTES, 2 * FIXED_BYTES, size]
    assert list(piece_ends(io.BytesIO(bytes(WHOLE_BYTES)), WHOLE_BYTES)) == [WHOLE_BYTES]


def test_the_pieces_of_a_large_file_are_its_tensors() -> None:
    """A long tensor is several pieces, counted from its beginning."""
    sizes = [2 * MIB, 100, 9 * MIB, 5000]
    content = safetensors(sizes)
    data = len(content) - sum(sizes)
    ends = [place - data for place in piece_ends(io.BytesIO(content), len(content))]

    long = 2 * MIB + 100
    assert ends == [0, 2 * MIB, long, long + 8 * MIB, long + 9 * MIB, sum(sizes)]


def test_a_file_of_too_many_members_is_cut_by_length(monkeypatch: pytest.MonkeyPatch) -> None:
    """To look at them all would take too long."""
    monkeypatch.setattr(cutting, "_MOST_MEMBERS", 3)

    assert cut(zipped([10] * 4)) == cut(safetensors([10] * 4)) == []
    assert len(cut(zipped([10] * 3))) == 6
    assert len(cut(safetensors([10] * 3))) == 3
