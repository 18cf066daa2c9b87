"""Blobs appear whole or not at all, and damage is found."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
import time
from functools import partial
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from tracklib.errors import CorruptData, NotFound, StoreUnavailable
from tracklib.stores import syncing
from tracklib.stores.base import StoredBlob
from tracklib.stores.blobs import BlobFolder
from tracklib.stores.pieces import Piece, write_recipe

if TYPE_CHECKING:
    from collections.abc import Callable

InChild = Any


@pytest.fixture(name="blobs")
def _blobs(tmp_path: Path) -> BlobFolder:
    return BlobFolder(tmp_path / "store" / "blobs")


class Failing(io.BytesIO):
    """A file that cannot be read to its end."""

    def read(self, size: int | None = -1) -> bytes:
        if self.tell():
            raise OSError(5, "Input/output error")
        return super().read(10)


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_blob_lies_under_its_checksum(blobs: BlobFolder) -> None:
    """Folders are made as they are needed, and the file has the whole content and nothing else is left."""
    checksum, size = blobs.put(io.BytesIO(b"weights"))

    assert files_in(blobs.folder) == [blobs.folder / checksum[:2] / checksum]
    assert (blobs.path(checksum).read_bytes(), size) == (b"weights", 7)


def test_others_may_read_a_blob(blobs: BlobFolder) -> None:
    """A blob is not the private file that it was while it was written."""
    checksum, _ = blobs.put(io.BytesIO(b"weights"))

    assert blobs.path(checksum).stat().st_mode & 0o777 == 0o644


def test_a_source_that_fails_leaves_nothing(blobs: BlobFolder) -> None:
    """Half a blob is no blob, and no rest of it stays behind."""
    with pytest.raises(StoreUnavailable, match="Input/output error"):
        blobs.put(Failing(b"x" * 100))

    assert files_in(blobs.folder) == []


def test_a_blob_that_is_there_is_not_written_again(blobs: BlobFolder) -> None:
    """Who has the blob open keeps the same file."""
    checksum, _ = blobs.put(io.BytesIO(b"weights"))
    before = blobs.path(checksum).stat()
    blobs.put(io.BytesIO(b"weights"))

    assert blobs.path(checksum).stat().st_ino == before.st_ino
    assert len(files_in(blobs.folder)) == 1


def test_a_file_is_taken_as_it_is(blobs: BlobFolder, tmp_path: Path) -> None:
    """Where it lies on the same file system it costs no second copy, whoever could read it before."""
    path = tmp_path / "spooled"
    path.write_bytes(b"weights")
    path.chmod(0o600)
    before = path.stat()
    checksum = hashlib.sha256(b"weights").hexdigest()
    blobs.take(path, checksum)

    assert blobs.path(checksum).stat().st_ino == before.st_ino
    assert blobs.path(checksum).stat().st_mode & 0o777 == 0o644
    assert files_in(tmp_path) == [blobs.path(checksum)]


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="there is no second file system to be sure of")  # noqa: S108 - that one is meant
def test_a_file_of_another_file_system_is_copied(blobs: BlobFolder, tmp_path: Path) -> None:
    """Whoever has it deletes it."""
    with tempfile.NamedTemporaryFile(dir="/dev/shm") as file:
        file.write(b"weights")
        file.flush()
        checksum = hashlib.sha256(b"weights").hexdigest()
        blobs.take(Path(file.name), checksum)

        assert Path(file.name).read_bytes() == b"weights"
    assert files_in(tmp_path) == [blobs.path(checksum)]
    assert blobs.path(checksum).read_bytes() == b"weights"


def test_a_file_that_is_there_already_is_left_alone(blobs: BlobFolder, tmp_path: Path) -> None:
    """It is not even looked at, so twice is once."""
    checksum, _ = blobs.put(io.BytesIO(b"weights"))
    (tmp_path / "spooled").write_bytes(b"weights")
    blobs.take(tmp_path / "spooled", checksum)
    blobs.take(tmp_path / "gone", checksum)

    assert (tmp_path / "spooled").exists()
    assert blobs.path(checksum).read_bytes() == b"weights"


def test_a_damaged_file_is_not_taken(blobs: BlobFolder, tmp_path: Path) -> None:
    """It stays where it is; one that is not there is missing."""
    (tmp_path / "spooled").write_bytes(b"weighty")

    with pytest.raises(CorruptData, match="spooled is damaged"):
        blobs.take(tmp_path / "spooled", "a" * 64)
    with pytest.raises(FileNotFoundError, match="gone"):
        blobs.take(tmp_path / "gone", "a" * 64)
    assert files_in(tmp_path) == [tmp_path / "spooled"]


def test_a_file_that_cannot_be_taken_is_told(blobs: BlobFolder, tmp_path: Path) -> None:
    """The same call may work later, so it stays."""
    (tmp_path / "spooled").write_bytes(b"weights")
    blobs.folder.parent.write_text("in the way")

    with pytest.raises(StoreUnavailable, match="cannot be kept"):
        blobs.take(tmp_path / "spooled", hashlib.sha256(b"weights").hexdigest())
    assert (tmp_path / "spooled").read_bytes() == b"weights"


def test_a_sound_blob_passes(blobs: BlobFolder) -> None:
    """Content that has not changed is what its name says, also where it is long."""
    checksum, _ = blobs.put(io.BytesIO(os.urandom(3_000_000)))

    blobs.verify(checksum)


@pytest.mark.parametrize("damage", [b"weightz", b"", b"weights and more"])
def test_damage_is_found(blobs: BlobFolder, damage: bytes) -> None:
    """A blob whose content has changed is told with its path."""
    checksum, _ = blobs.put(io.BytesIO(b"weights"))
    blobs.path(checksum).write_bytes(damage)

    with pytest.raises(CorruptData, match=checksum):
        blobs.verify(checksum)


def test_a_missing_blob_is_not_found(blobs: BlobFolder) -> None:
    """Neither opened nor verified, before the folder exists and afterwards."""
    checksum = hashlib.sha256(b"nothing").hexdigest()
    uses: tuple[Callable[[str], object], ...] = (blobs.open, blobs.verify)
    for use in uses:
        with pytest.raises(NotFound, match=checksum):
            use(checksum)
    blobs.put(io.BytesIO(b"something"))

    for use in uses:
        with pytest.raises(NotFound, match=checksum):
            use(checksum)


def test_a_file_in_the_way_is_told(blobs: BlobFolder) -> None:
    """A folder that cannot be made is told as such."""
    blobs.folder.parent.write_text("in the way")

    with pytest.raises(StoreUnavailable, match="cannot be kept"):
        blobs.put(io.BytesIO(b"weights"))


def test_a_full_disk_is_told(blobs: BlobFolder, in_child: InChild) -> None:
    """A blob for which there is no room is refused, leaves nothing, and can be kept later."""
    content = b"x" * 300_000
    told = in_child(lambda: blobs.put(io.BytesIO(content)), largest_file=100_000)

    assert told.startswith("StoreUnavailable: a file cannot be kept")
    assert files_in(blobs.folder) == []
    assert blobs.put(io.BytesIO(content))[1] == 300_000


def test_a_folder_without_rights_is_told(public_folder: Path, in_child: InChild) -> None:
    """Who may not write is told; who may not read either."""
    blobs = BlobFolder(public_folder / "blobs")
    checksum, _ = blobs.put(io.BytesIO(b"weights"))
    for folder in (blobs.folder, blobs.folder / checksum[:2]):
        folder.chmod(0o555)

    def read() -> object:
        with blobs.open(checksum) as file:
            return file.read()

    assert in_child(read, unprivileged=True) == "b'weights'"
    write = partial(blobs.put, io.BytesIO(b"more"))
    assert in_child(write, unprivileged=True).startswith("StoreUnavailable: a file cannot be kept")
    blobs.path(checksum).chmod(0o000)
    assert in_child(read, unprivileged=True).startswith("StoreUnavailable: ")


def test_a_large_blob_is_copied_as_it_is_read(blobs: BlobFolder) -> None:
    """Twice is once here, too, and leaves nothing else."""
    content = os.urandom(9_000_000)
    for _ in range(2):
        assert blobs.put(io.BytesIO(content)) == (sha256(content), len(content))

    assert blobs.path(sha256(content)).read_bytes() == content
    assert len(files_in(blobs.folder)) == 1


# ---- pieces and claims


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def put_recipe(blobs: BlobFolder, *parts: bytes) -> str:
    """Keep a file in pieces; return its checksum."""
    for part in parts:
        blobs.put_piece(part, sha256(part))
    recipe = write_recipe(Piece(len(part), sha256(part)) for part in parts)
    blobs.put_recipe(sha256(b"".join(parts)), recipe)
    return sha256(b"".join(parts))


@pytest.mark.parametrize("how", ["put", "take", "put_piece", "claim", "put_recipe"])
def test_what_is_asked_for_is_of_now(blobs: BlobFolder, tmp_path: Path, how: str) -> None:
    """Whoever is about to name a blob finds it there, or keeps it: either way it is not old."""
    blobs.put(io.BytesIO(b"weights"))
    checksum, path = sha256(b"weights"), tmp_path / "spooled"
    path.write_bytes(b"weights")
    os.utime(blobs.path(checksum), (1, 1))
    ways: dict[str, Callable[[], object]] = {
        "put": lambda: blobs.put(io.BytesIO(b"weights")),
        "take": lambda: blobs.take(path, checksum),
        "put_piece": lambda: blobs.put_piece(b"weights", checksum),
        "claim": lambda: blobs.claim(checksum),
        "put_recipe": lambda: put_recipe(blobs, b"weights"),
    }
    before = blobs.now()
    ways[how]()

    assert blobs.path(checksum).stat().st_mtime >= before - 1


def test_a_file_in_pieces_is_claimed_with_them(blobs: BlobFolder) -> None:
    """All are of now, so that none is deleted before somebody names the file."""
    checksum = put_recipe(blobs, b"backbone", b"head")
    for path in files_in(blobs.folder):
        os.utime(path, (1, 1))

    assert blobs.claim(checksum)
    assert len(files_in(blobs.folder)) == 3
    assert all(path.stat().st_mtime > 1 for path in files_in(blobs.folder))


def test_a_file_that_was_taken_is_of_now(blobs: BlobFolder, tmp_path: Path) -> None:
    """However long it lay in the spool."""
    path = tmp_path / "spooled"
    path.write_bytes(b"weights")
    os.utime(path, (1, 1))
    blobs.take(path, sha256(b"weights"))

    assert blobs.path(sha256(b"weights")).stat().st_mtime > 1


def test_a_name_without_its_bytes_is_no_blob(blobs: BlobFolder, tmp_path: Path) -> None:
    """A power cut may leave that of a piece: it counts as missing, and is kept anew in any way."""
    checksum, path = sha256(b"weights"), tmp_path / "spooled"
    ways: tuple[Callable[[], object], ...] = (
        lambda: blobs.put(io.BytesIO(b"weights")),
        lambda: blobs.take(path, checksum),
        lambda: blobs.put_piece(b"weights", checksum),
    )
    for way in ways:
        blobs.path(checksum).parent.mkdir(parents=True, exist_ok=True)
        blobs.path(checksum).write_bytes(b"")
        path.write_bytes(b"weights")
        assert not blobs.claim(checksum)
        way()
        assert blobs.path(checksum).read_bytes() == b"weights"


@pytest.mark.parametrize("many", [0, 1000])
def test_pieces_are_on_the_disk_before_the_recipe(
    blobs: BlobFolder, monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    """One by one where they are few, else with all that the file system has."""
    monkeypatch.setattr(syncing, "_MANY", many)
    parts = [b"%d" % number for number in range(50)]

    with blobs.open(put_recipe(blobs, *parts)) as file:
        assert file.read() == b"".join(parts)


def test_a_recipe_without_its_pieces_is_refused(blobs: BlobFolder) -> None:
    """The same call may work later, when they have been kept."""
    recipe = write_recipe([Piece(3, sha256(b"one"))])

    with pytest.raises(StoreUnavailable, match="cannot be kept"):
        blobs.put_recipe(sha256(b"one"), recipe)
    assert not blobs.claim(sha256(b"one"))


def test_a_full_disk_refuses_pieces(blobs: BlobFolder, in_child: InChild) -> None:
    """A piece for which there is no room leaves nothing."""
    content = b"x" * 300_000
    told = in_child(lambda: blobs.put_piece(content, sha256(content)), largest_file=100_000)

    assert told.startswith("StoreUnavailable: a file cannot be kept")
    assert files_in(blobs.folder) == []


def test_what_belongs_to_others_is_kept_anew(public_folder: Path, in_child: InChild) -> None:
    """Only its owner may make it young: whoever may write to the folder has a blob of its own then."""
    blobs = BlobFolder(public_folder / "blobs")
    checksum, _ = blobs.put(io.BytesIO(b"weights"))
    for folder in (blobs.folder, blobs.folder / checksum[:2]):
        folder.chmod(0o777)
    os.utime(blobs.path(checksum), (1, 1))

    assert in_child(lambda: blobs.claim(checksum), unprivileged=True) == "False"
    assert in_child(lambda: blobs.put(io.BytesIO(b"weights"))[1], unprivileged=True) == "7"
    assert blobs.path(checksum).stat().st_mtime > 1
    assert blobs.path(checksum).read_bytes() == b"weights"


def test_a_group_may_share_blobs(blobs: BlobFolder, in_child: InChild) -> None:
    """Those who may write to it by the umask may make blobs young."""

    def put() -> object:
        os.umask(0o002)
        return blobs.put(io.BytesIO(b"weights"))

    in_child(put)
    assert blobs.path(sha256(b"weights")).stat().st_mode & 0o777 == 0o664


# ---- listing and deleting


def test_what_is_none_of_ours_is_passed_over(blobs: BlobFolder) -> None:
    """Files of others, what a crash has left, and folders that are called like blobs of old."""
    assert list(blobs.listed()) == []
    checksum = put_recipe(blobs, b"weights")
    folder = blobs.folder / checksum[:2]
    for name in ("notes.txt", f"{checksum}.0123.part", f"{checksum}.recipe.0123.part", "ab"):
        (folder / name).write_text("x")
    (blobs.folder / "incoming-1").write_text("x")
    (blobs.folder / "xxx").mkdir()

    recipe_bytes = blobs.recipe_path(checksum).stat().st_size
    found = sorted((blob.checksum, blob.size, blob.is_recipe) for blob in blobs.listed())
    assert found == [(checksum, 7, False), (checksum, recipe_bytes, True)]


def test_a_claim_and_a_deletion_do_not_pass_each_other_by(blobs: BlobFolder) -> None:
    """Whoever is told that a blob is there has it, however close somebody else was to deleting it."""
    for number in range(300):
        checksum, _ = blobs.put(io.BytesIO(b"%d" % number))
        os.utime(blobs.path(checksum), (1, 1))
        listed = [StoredBlob(checksum=checksum, size=1, changed_at=1.0)]
        claimed: list[bool] = []
        thread = Thread(target=lambda checksum=checksum, claimed=claimed: claimed.append(blobs.claim(checksum)))
        thread.start()
        deleted = blobs.delete(listed)
        thread.join()

        assert blobs.path(checksum).exists() == (not deleted)
        assert not (claimed[0] and deleted)


def test_the_clock_is_that_of_the_files(blobs: BlobFolder) -> None:
    """Where there are none yet, it is ours; nothing is left of the look at it."""
    assert abs(blobs.now() - time.time()) < 100
    checksum, _ = blobs.put(io.BytesIO(b"weights"))

    assert blobs.path(checksum).stat().st_mtime <= blobs.now() + 1
    assert files_in(blobs.folder) == [blobs.path(checksum)]


def test_without_rights_it_is_told_what_cannot_be_done(public_folder: Path, in_child: InChild) -> None:
    """The same call may work later, by somebody else."""
    blobs = BlobFolder(public_folder / "blobs")
    checksum = put_recipe(blobs, b"weights")
    listed = list(blobs.listed())
    folder = blobs.folder / checksum[:2]
    folder.chmod(0o555)
    blobs.recipe_path(checksum).chmod(0o000)
    blobs.path(checksum).unlink()

    uses: tuple[tuple[str, Callable[[], object]], ...] = (
        ("cannot be read", lambda: blobs.open(checksum)),
        ("cannot be looked at", lambda: blobs.claim(checksum)),
        ("cannot be deleted", lambda: blobs.delete(listed)),
        ("cannot be kept", blobs.now),
    )
    for words, use in uses:
        told = in_child(use, unprivileged=True)
        assert told.startswith("StoreUnavailable: ")
        assert words in told
    folder.chmod(0o000)
    assert "cannot be listed" in in_child(lambda: list(blobs.listed()), unprivileged=True)
    blobs.folder.chmod(0o000)
    assert "cannot be looked at" in in_child(lambda: blobs.claim(checksum), unprivileged=True)
