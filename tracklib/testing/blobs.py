"""The suite's tests of blobs: files by their SHA-256."""

from __future__ import annotations

import hashlib
import io
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from tracklib.errors import CorruptData, NotFound
from tracklib.testing.harness import StoreHarness

if TYPE_CHECKING:
    from pathlib import Path

    from tracklib.stores.base import Store

__all__ = ["BlobContract"]

_CONTENTS = pytest.mark.parametrize(
    "content",
    [b"", b"\0", b"weights", bytes(range(256)) * 100, b"line\r\nline\n", b"x" * 3_000_001],
    ids=["empty", "zero", "short", "all bytes", "lines", "large"],
)


class _Dripping(io.BytesIO):
    """A file that gives its bytes three at a time."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(3 if size else 0)


class BlobContract(StoreHarness):
    """What `Store.put_blob`, `Store.keep_file` and `Store.open_blob` promise of files that are kept whole."""

    @_CONTENTS
    def test_bytes_come_back(self, store: Store, content: bytes) -> None:
        """Bytes that were kept come back under their SHA-256."""
        checksum, size = store.put_blob(io.BytesIO(content))

        assert (checksum, size) == (hashlib.sha256(content).hexdigest(), len(content))
        with store.open_blob(checksum) as file:
            assert file.read() == content

    @pytest.mark.needs("raw")
    @_CONTENTS
    def test_bytes_are_where_the_format_says(self, store: Store, content: bytes) -> None:
        """Whoever knows the store's format finds the bytes without tracklib."""
        checksum, _ = store.put_blob(io.BytesIO(content))

        assert self.read_raw_blob(store, checksum) == content

    @pytest.mark.needs("raw")
    def test_bytes_that_others_put_there_are_found(self, store: Store) -> None:
        """Bytes that were put where the format says can be opened, and are not kept a second time."""
        content = b"from elsewhere"
        self.write_raw_blob(store, content)

        with store.open_blob(hashlib.sha256(content).hexdigest()) as file:
            assert file.read() == content
        assert store.put_blob(io.BytesIO(content))[1] == len(content)

    def test_the_same_bytes_twice_are_kept_once(self, store: Store) -> None:
        """Bytes that are there already are not in the way."""
        first = store.put_blob(io.BytesIO(b"weights"))

        assert store.put_blob(io.BytesIO(b"weights")) == first
        with store.open_blob(first[0]) as file:
            assert file.read() == b"weights"

    def test_bytes_may_come_in_drips(self, store: Store) -> None:
        """A source may give fewer bytes at a time than it is asked for, and begin anywhere."""
        checksum, size = store.put_blob(_Dripping(b"0123456789"))
        rest = io.BytesIO(b"skipped and kept")
        rest.seek(8)

        assert (checksum, size) == (hashlib.sha256(b"0123456789").hexdigest(), 10)
        assert store.put_blob(rest)[0] == hashlib.sha256(b"and kept").hexdigest()

    @_CONTENTS
    def test_a_file_is_kept_by_its_checksum(self, store: Store, tmp_path: Path, content: bytes) -> None:
        """A file may be handed over, and is readable when the call has returned; a second time is harmless."""
        checksum = hashlib.sha256(content).hexdigest()
        for name in ("first", "second"):
            (tmp_path / name).write_bytes(content)
            store.keep_file(tmp_path / name, checksum)

            with store.open_blob(checksum) as file:
                assert file.read() == content

    def test_a_file_of_another_checksum_is_refused(self, store: Store, tmp_path: Path) -> None:
        """A damaged file is not kept under the checksum that it had, and stays where it is."""
        checksum = hashlib.sha256(b"as it was").hexdigest()
        (tmp_path / "damaged").write_bytes(b"as it is")

        with pytest.raises(CorruptData, match="damaged"):
            store.keep_file(tmp_path / "damaged", checksum)
        with pytest.raises(NotFound):
            store.open_blob(checksum)
        assert (tmp_path / "damaged").read_bytes() == b"as it is"

    def test_a_file_that_is_not_there_is_missing(self, store: Store, tmp_path: Path) -> None:
        """Whoever hands it over learns that somebody else has taken it."""
        with pytest.raises(FileNotFoundError):
            store.keep_file(tmp_path / "gone", "a" * 64)

    def test_kept_bytes_can_be_read_in_parts(self, store: Store) -> None:
        """Kept bytes are a file: read piece by piece, by several readers at once."""
        content = bytes(range(250)) * 4000
        checksum, _ = store.put_blob(io.BytesIO(content))

        with store.open_blob(checksum) as one, store.open_blob(checksum) as two:
            assert one.read(1000) == two.read(1000) == content[:1000]
            assert one.read() == content[1000:]

    @pytest.mark.parametrize(
        "name", ["0" * 64, "0" * 63, "", "../" * 5 + "etc/passwd", "a/b", "Z" * 64, "0" * 64 + "\n"]
    )
    def test_bytes_that_are_not_there_are_not_found(self, store: Store, name: str) -> None:
        """A checksum that nothing has, and what is none, are not found; a path leads nowhere."""
        store.put_blob(io.BytesIO(b"something"))

        with pytest.raises(NotFound):
            store.open_blob(name)

    def test_many_may_keep_the_same_bytes_at_once(self, store: Store) -> None:
        """Threads that keep the same bytes at the same time all have them in the end."""
        results: list[tuple[str, int]] = []
        content = b"shared" * 100_000
        threads = [Thread(target=lambda: results.append(store.put_blob(io.BytesIO(content)))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert results == [(hashlib.sha256(content).hexdigest(), len(content))] * 8
        with store.open_blob(results[0][0]) as file:
            assert file.read() == content
