"""Blobs appear whole or not at all, and damage is found."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tracklib.errors import CorruptData, NotFound, StoreUnavailable
from tracklib.stores.blobs import BlobFolder

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
