"""The SQLite store passes the suite of all stores."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tracklib.stores.sqlite import SqliteStore
from tracklib.testing.stores import StoreContract

if TYPE_CHECKING:
    from tracklib.stores.base import Store


class TestSqliteStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path, page_functions: dict[str, Any]) -> Iterator[Store]:
        self.folder, self.read_points = tmp_path / "a folder", page_functions["read_points"]
        with SqliteStore(f"sqlite:///{self.folder}/tracklib.db") as store:
            yield store

    def read_raw(self, store: Store, run: str, name: str) -> list[tuple[int, float, float]]:
        columns = self.read_points(self.folder / "tracklib.db", run, name)
        return list(zip(*(column.tolist() for column in columns), strict=True))

    def read_raw_blob(self, store: Store, checksum: str) -> bytes:
        return (self.folder / "blobs" / checksum[:2] / checksum).read_bytes()

    def write_raw_blob(self, store: Store, content: bytes) -> None:
        checksum = hashlib.sha256(content).hexdigest()
        (self.folder / "blobs" / checksum[:2]).mkdir(parents=True)
        (self.folder / "blobs" / checksum[:2] / checksum).write_bytes(content)

    def overwrite_raw_blob(self, store: Store, name: str, content: bytes) -> None:
        (self.folder / "blobs" / name[:2] / name).write_bytes(content)
