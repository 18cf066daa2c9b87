"""Object stores pass the suite of all stores: on a folder, in memory and in a bucket of a real server."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from hypothesis import settings

from tracklib.stores.objects import ObjectStore
from tracklib.testing.stores import StoreContract

if TYPE_CHECKING:
    from tests.servers.s3_server import S3Server
    from tracklib.stores.base import Store


class RawObjects:
    """What the suite looks at past the store, with fsspec and Arrow alone."""

    root: str

    def fs(self, store: Store) -> Any:
        assert isinstance(store, ObjectStore)
        return store.bucket.fs

    def read_raw(self, store: Store, run: str, name: str) -> list[tuple[int, float, float]]:
        import pyarrow.parquet as pq

        fs = self.fs(store)
        rows = []
        for path in sorted(fs.find(f"{store.uri}/runs/{run}/metrics")):
            table = pq.read_table(io.BytesIO(fs.cat_file(path)))
            rows += [row for row in table.to_pylist() if row["name"] == name and row["run_id"] == run]
        rows.sort(key=lambda row: row["step"])
        return [(row["step"], row["time"], row["value"]) for row in rows]

    def read_raw_blob(self, store: Store, checksum: str) -> bytes:
        return bytes(self.fs(store).cat_file(f"{store.uri}/blobs/{checksum[:2]}/{checksum}"))

    def write_raw_blob(self, store: Store, content: bytes) -> None:
        checksum = hashlib.sha256(content).hexdigest()
        self.fs(store).makedirs(f"{store.uri}/blobs/{checksum[:2]}", exist_ok=True)
        self.fs(store).pipe_file(f"{store.uri}/blobs/{checksum[:2]}/{checksum}", content)

    def overwrite_raw_blob(self, store: Store, name: str, content: bytes) -> None:
        self.fs(store).pipe_file(f"{store.uri}/blobs/{name[:2]}/{name}", content)


class TestFolder(RawObjects, StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        with ObjectStore(f"file://{tmp_path}/a folder") as store:
            yield store


class TestMemory(RawObjects, StoreContract):
    processes: ClassVar[bool] = False

    @pytest.fixture
    def store(self, request: pytest.FixtureRequest) -> Iterator[Store]:
        with ObjectStore(f"memory://{hashlib.sha256(request.node.nodeid.encode()).hexdigest()}") as store:
            yield store


@pytest.mark.slow
class TestS3(RawObjects, StoreContract):
    """Each operation takes some milliseconds here, so that fewer histories must do."""

    histories: ClassVar[settings] = settings(StoreContract.histories, max_examples=8)

    @pytest.fixture
    def store(self, s3_server: S3Server, s3_prefix: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
        for name, value in s3_server.environment().items():
            monkeypatch.setenv(name, value)
        with ObjectStore(f"s3://{s3_prefix}") as store:
            yield store
