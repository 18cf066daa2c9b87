"""Recipes say exactly what a file is made of, and a file in pieces is read like any other."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracklib.errors import CorruptData, NotFound, StoreUnavailable, StoreVersion, TracklibError
from tracklib.stores.pieces import JoinedBlob, Piece, open_joined, read_recipe, write_recipe

CHECKSUM = "0123456789abcdef" * 4
SOUND = {"format": 1, "size": 7, "pieces": [{"checksum": CHECKSUM, "size": 4}, {"data": "UEsh"}]}

parts = st.lists(st.binary(max_size=30), max_size=12)
pieces = st.lists(
    st.builds(Piece, st.integers(0, 64 << 20), st.binary(min_size=32, max_size=32).map(bytes.hex))
    | st.binary(max_size=50).map(lambda content: Piece(len(content), content=content)),
    max_size=20,
)


class Shelf:
    """Pieces by their SHA-256, and what was asked for."""

    def __init__(self, *contents: bytes) -> None:
        self.kept: dict[str, bytes | TracklibError] = {hashlib.sha256(each).hexdigest(): each for each in contents}
        self.asked: list[Sequence[str]] = []

    def fetch(self, checksums: Sequence[str]) -> Mapping[str, bytes | TracklibError]:
        self.asked.append(checksums)
        return {checksum: self.kept[checksum] for checksum in checksums if checksum in self.kept}

    def raw(self, *contents: bytes) -> JoinedBlob:
        told = [Piece(len(each), hashlib.sha256(each).hexdigest()) for each in contents]
        return JoinedBlob(told, self.fetch, lambda checksum: f"piece {checksum}")


# ---- recipes


@given(pieces)
def test_a_recipe_comes_back(made: list[Piece]) -> None:
    """With all its pieces, in their order."""
    assert read_recipe(write_recipe(made), "r") == made


def test_a_recipe_can_be_read_by_others() -> None:
    """It is what the documentation of the format says."""
    assert json.loads(write_recipe([Piece(4, CHECKSUM), Piece(3, content=b"PK!")])) == SOUND


def test_what_nobody_knows_yet_is_passed_over() -> None:
    """A later tracklib may say more of a file, as long as it is put together in the same way."""
    more = {**SOUND, "kind": "safetensors", "pieces": [{**piece, "name": "x"} for piece in SOUND["pieces"]]}  # type: ignore[attr-defined] # SOUND is JSON

    assert read_recipe(json.dumps(more).encode(), "r") == [Piece(4, CHECKSUM), Piece(3, content=b"PK!")]


def test_a_later_format_is_told() -> None:
    """The file is not damaged."""
    with pytest.raises(StoreVersion, match="the recipe blobs/x has the format 2, and this tracklib knows 1"):
        read_recipe(json.dumps({**SOUND, "format": 2}).encode(), "blobs/x")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": None}, "its format is None, not a whole number"),
        ({"format": True}, "its format is True"),
        ({"format": "1"}, "its format is '1'"),
        ({"size": 8}, "its pieces have 7 bytes together, and it says 8"),
        ({"size": -1}, "its size is -1"),
        ({"size": 7.0}, "its size is 7.0"),
        ({"pieces": {}}, "its pieces are {}, not a list"),
        ({"pieces": ["x"]}, "piece 0 is 'x', not an object"),
        ({"pieces": [{"checksum": CHECKSUM, "size": -4}]}, "the size of piece 0 is -4"),
        ({"pieces": [{"checksum": CHECKSUM, "size": (64 << 20) + 1}]}, "67108864 at the most"),
        ({"pieces": [{"checksum": CHECKSUM}]}, "the size of piece 0 is None"),
        ({"pieces": [{"checksum": CHECKSUM[1:], "size": 4}]}, "the checksum of piece 0 is '1234"),
        ({"pieces": [{"checksum": CHECKSUM.upper(), "size": 4}]}, "not a SHA-256 in hexadecimal"),
        ({"pieces": [{"checksum": f"{CHECKSUM}\n", "size": 4}]}, "not a SHA-256 in hexadecimal"),
        ({"pieces": [{"checksum": "../" * 22, "size": 4}]}, "not a SHA-256 in hexadecimal"),
        ({"pieces": [{"data": 5}]}, "the data of piece 0 are 5, not base64"),
        ({"pieces": [{"data": "UEs"}]}, "the data of piece 0 are no base64"),
        ({"pieces": [{"data": "U Es"}]}, "the data of piece 0 are no base64"),
        ({"pieces": [{"data": "é"}]}, "the data of piece 0 are 'é', not base64"),
        ({"pieces": [{"data": "x" * 1000 + "é"}]}, "xxx…, not base64"),
    ],
)
def test_a_recipe_that_cannot_be_meant_is_damaged(change: dict[str, Any], words: str) -> None:
    """It is told what is wrong, and where."""
    with pytest.raises(CorruptData, match="the recipe blobs/x is damaged: ") as caught:
        read_recipe(json.dumps({**SOUND, **change}).encode(), "blobs/x")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[" * 100_000, b"\xff", b"1", b"null", b"[]", b'{"format":' + b"9" * 9999]
)
def test_what_is_no_recipe_is_damaged(text: bytes) -> None:
    """Whatever else lies there."""
    with pytest.raises(CorruptData, match="the recipe r is damaged"):
        read_recipe(text, "r")


@settings(max_examples=300)
@given(pieces, st.data())
def test_a_mutilated_recipe_is_read_or_damaged(made: list[Piece], data: st.DataObject) -> None:
    """There is no third way, and no piece of it leads out of the folder of blobs."""
    recipe = bytearray(write_recipe(made))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(recipe)))
        recipe[place : place + data.draw(st.integers(0, 5))] = data.draw(st.binary(max_size=5))
    try:
        found = read_recipe(bytes(recipe), "r")
    except (CorruptData, StoreVersion):
        return

    assert all(not piece.checksum or not set(piece.checksum) - set("0123456789abcdef") for piece in found)


# ---- reading


@given(parts, st.data())
def test_a_joined_file_is_read_like_any_other(contents: list[bytes], data: st.DataObject) -> None:
    """From any place, in any amounts."""
    whole = io.BytesIO(b"".join(contents))
    told = [
        Piece(len(each), hashlib.sha256(each).hexdigest()) if data.draw(st.booleans()) else Piece(len(each), "", each)
        for each in contents
    ]
    with open_joined(told, Shelf(*contents).fetch, str) as file:
        for _ in range(data.draw(st.integers(1, 6))):
            whence = data.draw(st.sampled_from([io.SEEK_SET, io.SEEK_CUR, io.SEEK_END]))
            base = {io.SEEK_SET: 0, io.SEEK_CUR: whole.tell(), io.SEEK_END: len(whole.getbuffer())}[whence]
            offset = data.draw(st.integers(-base, 50))
            length = data.draw(st.integers(-1, 100))
            assert file.seek(offset, whence) == whole.seek(offset, whence)
            assert file.read(length) == whole.read(length)
            assert file.tell() == whole.tell()


def test_a_joined_file_says_what_it_can() -> None:
    """It can be read and searched, not written; nothing is before its beginning or behind its close."""
    raw = Shelf(b"abc").raw(b"abc")

    assert (raw.readable(), raw.seekable(), raw.writable()) == (True, True, False)
    with pytest.raises(ValueError, match="there is nothing at -1"):
        raw.seek(-1)
    raw.close()
    raw.close()
    for use in (lambda: raw.seek(0), lambda: raw.read(1)):
        with pytest.raises(ValueError, match="closed"):
            use()


def test_small_pieces_are_fetched_together() -> None:
    """Read one after the other; whoever looks here and there gets just what is asked for."""
    contents = [b"%d" % number for number in range(100)]
    shelf = Shelf(*contents)
    raw = shelf.raw(*contents)

    assert raw.readall() == b"".join(contents)
    assert [len(asked) for asked in shelf.asked] == [64, 36]
    raw.seek(50)
    assert raw.read(1) == b"".join(contents)[50:51]
    assert len(shelf.asked[-1]) == 1


def test_large_pieces_are_not_fetched_together() -> None:
    """Some megabytes are in memory, not more."""
    contents = [bytes([number]) * (3 << 20) for number in range(5)]
    shelf = Shelf(*contents)

    assert shelf.raw(*contents).readall() == b"".join(contents)
    assert [len(asked) for asked in shelf.asked] == [2, 2, 1]


def test_the_same_piece_again_is_fetched_once() -> None:
    """A file may be zeros, mostly."""
    shelf = Shelf(b"zeros")

    assert shelf.raw(*[b"zeros"] * 200).readall() == b"zeros" * 200
    assert len(shelf.asked) == 1


def test_a_piece_that_cannot_be_read_is_told_when_it_is_reached() -> None:
    """Those before it were given out, and it is asked for again: it may be back by then."""
    contents = [b"one", b"two", b"three"]
    shelf = Shelf(*contents)
    second = hashlib.sha256(b"two").hexdigest()
    shelf.kept[second] = StoreUnavailable("the line is cut")
    raw = shelf.raw(*contents)

    assert raw.read(3) == b"one"
    with pytest.raises(StoreUnavailable, match="the line is cut"):
        raw.read(1)
    shelf.kept[second] = b"two"
    raw.seek(0)
    assert raw.readall() == b"onetwothree"


@pytest.mark.parametrize("damage", [b"TWO", b"tw", b"twoo", b""])
def test_damage_is_never_given_out(damage: bytes) -> None:
    """It is named, each time; other pieces are read."""
    contents = [b"one", b"two", b"three"]
    shelf = Shelf(*contents)
    second = hashlib.sha256(b"two").hexdigest()
    shelf.kept[second] = damage
    raw = shelf.raw(*contents)

    for place in list(accumulate(map(len, contents)))[:1] * 2:
        raw.seek(place)
        with pytest.raises(CorruptData, match=f"the blob piece {second} is damaged: its content has SHA-256"):
            raw.read(1)
    raw.seek(6)
    assert raw.readall() == b"three"


def test_a_recipe_may_say_the_wrong_length() -> None:
    """Then nothing could be where it is said to be."""
    shelf = Shelf(b"one")
    raw = JoinedBlob([Piece(4, hashlib.sha256(b"one").hexdigest())], shelf.fetch, str)

    with pytest.raises(CorruptData, match="and 3 bytes, and was to have 4"):
        raw.read(1)


def test_a_missing_piece_is_not_found() -> None:
    """It is named."""
    raw = Shelf().raw(b"one")

    with pytest.raises(NotFound, match=f"there is no piece {hashlib.sha256(b'one').hexdigest()}"):
        raw.read(1)
