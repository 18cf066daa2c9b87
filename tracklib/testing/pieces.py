"""The suite's tests of files in pieces, and of what is kept of files as a whole: who asks for it, what is deleted."""

from __future__ import annotations

import hashlib
import io
import random
from dataclasses import replace
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from tracklib.errors import CorruptData, NotFound, StoreVersion
from tracklib.stores.depositing import Lanes, deposit
from tracklib.stores.pieces import Piece, write_recipe
from tracklib.testing.harness import StoreHarness

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tracklib.stores.base import Store

__all__ = ["PieceContract"]

_PARTS = (b"header of ten files", b"backbone" * 5000, b"", b"head one" * 400, b"backbone" * 5000, b"the end")


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _keep(store: Store, parts: Sequence[bytes] = _PARTS, *, inline: int = 100) -> str:
    """Keep a file that is made of these parts; return its checksum. Those below `inline` bytes are in the recipe."""
    for part in parts:
        if len(part) >= inline:
            store.put_piece(part, _checksum(part))
    pieces = [Piece(len(p), content=p) if len(p) < inline else Piece(len(p), _checksum(p)) for p in parts]
    checksum = _checksum(b"".join(parts))
    store.put_recipe(checksum, write_recipe(pieces))
    return checksum


def _read(store: Store, checksum: str) -> bytes:
    with store.open_blob(checksum) as file:
        return file.read()


def _delete(store: Store, checksum: str) -> None:
    """Delete what is kept under a checksum."""
    found = [blob for blob in store.blobs() if blob.checksum == checksum]
    assert store.delete_blobs(found) == found != []


def _noise(size: int) -> bytes:
    return random.Random(size).randbytes(size)  # noqa: S311 - bytes that are the same each time


class PieceContract(StoreHarness):
    """What stores promise of files in pieces, of claims, and of lists and deletion of what is kept of files."""

    def test_a_file_in_pieces_is_read_as_if_it_were_whole(self, store: Store) -> None:
        """From its beginning to its end, and from anywhere else in parts of any length."""
        content = b"".join(_PARTS)
        checksum, chance = _keep(store), random.Random(0)  # noqa: S311 - as above
        places = [*(chance.randrange(len(content) + 10) for _ in range(50)), 0, len(content)]

        assert _read(store, checksum) == content
        with store.open_blob(checksum) as file, io.BytesIO(content) as whole:
            for place in places:
                length = chance.choice([0, 1, 19, 20, 5000, 50_000, -1])
                assert file.seek(place) == whole.seek(place)
                assert (file.read(length), file.tell()) == (whole.read(length), whole.tell())
            assert file.seek(-5, io.SEEK_END) == len(content) - 5
            assert [*file] == content[-5:].splitlines(keepends=True)

    def test_a_file_in_pieces_has_several_readers(self, store: Store) -> None:
        """Each is at a place of its own, and what is closed is not read."""
        checksum = _keep(store)

        with store.open_blob(checksum) as one, store.open_blob(checksum) as two:
            assert one.read(30_000) == two.read(30_000) == b"".join(_PARTS)[:30_000]
            one.close()
            assert two.read() == b"".join(_PARTS)[30_000:]
            with pytest.raises(ValueError, match="closed"):
                one.read(1)

    def test_pieces_are_blobs(self, store: Store) -> None:
        """Whoever knows the SHA-256 of a piece opens it like a file; of the same bytes there is one."""
        checksum = _keep(store)

        assert _read(store, _checksum(_PARTS[1])) == _PARTS[1]
        found = {(blob.checksum, blob.is_recipe) for blob in store.blobs()}
        assert found == {(checksum, True), (_checksum(_PARTS[1]), False), (_checksum(_PARTS[3]), False)}

    @pytest.mark.parametrize("parts", [(), (b"",), (b"small",)], ids=["nothing", "nothing inline", "inline"])
    def test_a_recipe_may_need_no_pieces(self, store: Store, parts: tuple[bytes, ...]) -> None:
        """It may hold everything itself, or be that of an empty file."""
        assert _read(store, _keep(store, parts)) == b"".join(parts)

    def test_a_file_may_have_many_pieces(self, store: Store) -> None:
        """Hundreds of small ones come back, from the middle on as well, and one that is missing is missed."""
        parts = [b"%04d" % number * 30 for number in range(300)]
        checksum, content = _keep(store, parts), b"".join(parts)

        assert _read(store, checksum) == content
        with store.open_blob(checksum) as file:
            file.seek(20_001)
            assert file.read() == content[20_001:]
        assert store.claim_blob(checksum)
        _delete(store, _checksum(parts[277]))
        assert not store.claim_blob(checksum)

    def test_a_recipe_may_be_kept_again(self, store: Store) -> None:
        """The file may be cut in another way by then."""
        checksum = _keep(store)

        assert _keep(store, [b"".join(_PARTS)[:777], b"".join(_PARTS)[777:]]) == checksum
        assert _read(store, checksum) == b"".join(_PARTS)

    def test_a_missing_piece_is_named(self, store: Store) -> None:
        """What comes before it can be read, and the file cannot be claimed, so that it is kept anew."""
        checksum, missing = _keep(store), _checksum(_PARTS[3])
        _delete(store, missing)

        with store.open_blob(checksum) as file:
            assert file.read(len(_PARTS[0]) + len(_PARTS[1])) == _PARTS[0] + _PARTS[1]
            with pytest.raises(NotFound, match=missing):
                file.read(1)
        assert not store.claim_blob(checksum)
        assert _read(store, _keep(store)) == b"".join(_PARTS)

    def test_without_its_recipe_a_file_is_not_found(self, store: Store) -> None:
        """Pieces alone do not say what they are of."""
        checksum = _keep(store)
        _delete(store, checksum)

        with pytest.raises(NotFound, match=checksum):
            store.open_blob(checksum)
        assert not store.claim_blob(checksum)

    @pytest.mark.needs("raw")
    @pytest.mark.parametrize("damage", [b"HEAD ONE" * 400, b"head one" * 399, b"head one" * 401, b""])
    def test_a_damaged_piece_is_named(self, store: Store, damage: bytes) -> None:
        """Its bytes are not given out; those of others are."""
        checksum, damaged = _keep(store), _checksum(_PARTS[3])
        self.overwrite_raw_blob(store, damaged, damage)

        with store.open_blob(checksum) as file:
            assert file.read(len(_PARTS[0]) + len(_PARTS[1])) == _PARTS[0] + _PARTS[1]
            with pytest.raises(CorruptData, match=f"{damaged} is damaged"):
                file.read(1)
            file.seek(-len(_PARTS[5]) - 10, io.SEEK_END)
            assert file.read() == _PARTS[4][-10:] + _PARTS[5]

    @pytest.mark.needs("raw")
    def test_a_piece_of_another_length_is_replaced(self, store: Store) -> None:
        """A machine that lost its power may have left the name of a file and not its bytes."""
        checksum = _keep(store)
        self.overwrite_raw_blob(store, _checksum(_PARTS[3]), b"")

        assert not store.claim_blob(checksum)
        assert _read(store, _keep(store)) == b"".join(_PARTS)

    @pytest.mark.needs("raw")
    @pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"format":1,"size":9,"pieces":[]}', b"\xff\xfe"])
    def test_a_damaged_recipe_is_named(self, store: Store, damage: bytes) -> None:
        """The file cannot be claimed then, so that it is kept anew."""
        checksum = _keep(store)
        self.overwrite_raw_blob(store, f"{checksum}.recipe", damage)

        with pytest.raises(CorruptData, match=rf"{checksum}\.recipe is damaged"):
            store.open_blob(checksum)
        assert not store.claim_blob(checksum)
        assert _read(store, _keep(store)) == b"".join(_PARTS)

    @pytest.mark.needs("raw")
    def test_a_recipe_of_a_later_format_is_told(self, store: Store) -> None:
        """It is not damaged, but written by a newer tracklib."""
        checksum = _keep(store)
        self.overwrite_raw_blob(store, f"{checksum}.recipe", b'{"format":2}')

        with pytest.raises(StoreVersion, match=checksum):
            store.open_blob(checksum)

    def test_the_same_piece_twice_is_kept_once(self, store: Store) -> None:
        """Also by threads that do so at the same time."""
        content = b"shared" * 100_000
        threads = [Thread(target=store.put_piece, args=(content, _checksum(content))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert [(blob.checksum, blob.size) for blob in store.blobs()] == [(_checksum(content), len(content))]
        assert _read(store, _checksum(content)) == content

    # ---- claims, lists, deletion

    def test_what_is_there_can_be_claimed(self, store: Store) -> None:
        """Files, pieces and files in pieces; what is not there, and what is no checksum, cannot."""
        assert not store.claim_blob(_checksum(b""))
        in_pieces = _keep(store)
        whole, _ = store.put_blob(io.BytesIO(b"whole"))
        nothing, _ = store.put_blob(io.BytesIO(b""))

        assert all(store.claim_blob(checksum) for checksum in (in_pieces, whole, nothing, _checksum(_PARTS[1])))
        assert not any(store.claim_blob(name) for name in ("0" * 64, "", "../" * 5 + "etc/passwd", "Z" * 64))

    def test_what_is_kept_is_listed(self, store: Store) -> None:
        """Each with its size and its time, which is told by the same clock as that of now."""
        assert list(store.blobs()) == []
        before = store.now()
        checksum = _keep(store)
        whole, _ = store.put_blob(io.BytesIO(b"whole"))
        after = store.now()

        found = {(blob.checksum, blob.is_recipe): blob for blob in store.blobs()}
        assert {key[0]: blob.size for key, blob in found.items() if not blob.is_recipe} == {
            whole: 5,
            _checksum(_PARTS[1]): len(_PARTS[1]),
            _checksum(_PARTS[3]): len(_PARTS[3]),
        }
        assert found[checksum, True].size > 0
        # Some clocks show whole seconds.
        assert all(before - 1 <= blob.changed_at <= after + 1 for blob in found.values())

    def test_what_is_listed_can_be_deleted(self, store: Store) -> None:
        """It is told what was deleted, also when it was deleted before."""
        checksum = _keep(store)
        listed = sorted(store.blobs(), key=lambda blob: blob.checksum)

        assert sorted(store.delete_blobs(listed), key=lambda blob: blob.checksum) == listed
        assert list(store.blobs()) == store.delete_blobs(listed) == store.delete_blobs([]) == []
        with pytest.raises(NotFound):
            store.open_blob(checksum)

    def test_the_pieces_of_files_are_told(self, store: Store) -> None:
        """Of all that are asked for, those that are kept in pieces; they may be many."""
        checksums = [_keep(store, (b"%02d" % number * 50, b"shared" * 20)) for number in range(70)]
        whole, _ = store.put_blob(io.BytesIO(b"whole"))
        parts = {_checksum(b"%02d" % number * 50) for number in range(70)} | {_checksum(b"shared" * 20)}

        assert store.pieces_of([*checksums, whole, "0" * 64]) == parts
        assert store.pieces_of(checksums[:1]) == {_checksum(b"00" * 50), _checksum(b"shared" * 20)}
        assert store.pieces_of([]) == set()

    @pytest.mark.needs("raw")
    def test_pieces_that_cannot_be_told_are_an_error(self, store: Store) -> None:
        """Else somebody might delete them, and the recipe could not be mended any more."""
        checksum = _keep(store)
        self.overwrite_raw_blob(store, f"{checksum}.recipe", b"{")

        with pytest.raises(CorruptData, match=rf"{checksum}\.recipe is damaged"):
            store.pieces_of([checksum])

    def test_what_has_changed_since_is_not_deleted(self, store: Store) -> None:
        """Somebody has asked for it who is about to name it."""
        checksum, _ = store.put_blob(io.BytesIO(b"claimed"))
        other, _ = store.put_blob(io.BytesIO(b"old"))
        listed = [replace(b, changed_at=b.changed_at - 60 * (b.checksum == checksum)) for b in store.blobs()]

        assert [blob.checksum for blob in store.delete_blobs(listed)] == [other]
        assert _read(store, checksum) == b"claimed"

    def test_instances_see_each_others_pieces(self, store: Store) -> None:
        """What one instance keeps, another one opens, claims, lists and deletes."""
        with self.reopen(store) as other:
            checksum = _keep(store)

            assert _read(other, checksum) == b"".join(_PARTS)
            assert other.claim_blob(checksum)
            assert len(other.delete_blobs(list(other.blobs()))) == 3
        assert not store.claim_blob(checksum)

    # ---- deposits

    @pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, 8 << 20, (8 << 20) + 1, (17 << 20) + 2000])
    def test_any_file_can_be_deposited(self, store: Store, tmp_path: Path, size: int) -> None:
        """It comes back byte for byte, however long it is; the caller hears of all of its bytes."""
        content, told = _noise(size), [0]
        (tmp_path / "file").write_bytes(content)
        with Lanes(3) as lanes:
            done = deposit(store, tmp_path / "file", lanes=lanes, on_bytes=told.append)

        assert (done.checksum, done.size, sum(told)) == (_checksum(content), size, size)
        assert _read(store, done.checksum) == content
        assert (tmp_path / "file").read_bytes() == content

    def test_what_is_there_is_not_deposited_again(self, store: Store, tmp_path: Path) -> None:
        """Two files share the pieces that are the same, and the same file twice is kept once."""
        first, second = tmp_path / "first", tmp_path / "second"
        first.write_bytes(_noise(20 << 20))
        second.write_bytes(_noise(20 << 20)[: 16 << 20] + b"another end" * 1000)
        with Lanes(2) as lanes:
            one = deposit(store, first, lanes=lanes)
            before = {(blob.checksum, blob.is_recipe) for blob in store.blobs()}
            assert deposit(store, first, lanes=lanes) == one
            assert {(blob.checksum, blob.is_recipe) for blob in store.blobs()} == before
            two = deposit(store, second, lanes=lanes)

        new = {(blob.checksum, blob.is_recipe) for blob in store.blobs()} - before
        assert new == {(two.checksum, True), (_checksum(b"another end" * 1000), False)}
        assert _read(store, two.checksum) == second.read_bytes()

    def test_a_file_may_be_handed_over_for_good(self, store: Store, tmp_path: Path) -> None:
        """Whether it is still there afterwards is for the store to say; the bytes are in the store."""
        path = tmp_path / "file"
        path.write_bytes(b"weights")
        with Lanes(1) as lanes:
            done = deposit(store, path, lanes=lanes, move=True)
            assert _read(store, done.checksum) == b"weights"

            path.unlink(missing_ok=True)
            with pytest.raises(FileNotFoundError):
                deposit(store, path, lanes=lanes)
