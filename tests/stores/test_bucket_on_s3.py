"""Objects on a real S3 server: how many requests they cost, and what becomes of those that fail."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.servers.faulty_proxy import Fault, FaultyProxy
from tracklib.errors import NotFound, StoreError, StoreUnavailable
from tracklib.stores import bucket as bucket_module
from tracklib.stores import retrying
from tracklib.stores.bucket import Bucket, open_bucket

if TYPE_CHECKING:
    from tests.servers.s3_server import S3Server


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pauses take no time."""
    monkeypatch.setattr(retrying, "PAUSES_SECONDS", (0.0, 0.0, 0.0))


@pytest.fixture(name="bucket")
def _bucket(s3_server: S3Server, s3_prefix: str, faulty_proxy: FaultyProxy) -> Iterator[Bucket]:
    bucket = open_bucket(f"s3://{s3_prefix}", s3_server.options(endpoint_url=faulty_proxy.endpoint_url))
    yield bucket
    bucket.close()


def kinds(proxy: FaultyProxy) -> list[str]:
    """Return the kinds of the requests since the last time."""
    found = [request.kind for request in proxy.requests]
    proxy.requests.clear()
    return found


def test_each_operation_is_one_request(bucket: Bucket, faulty_proxy: FaultyProxy, tmp_path: Path) -> None:
    """Requests are what a bucket costs, in time and in money."""
    (tmp_path / "file").write_bytes(b"content")
    bucket.put("runs/a/x", b"1")
    kinds(faulty_proxy)

    bucket.put("runs/a/y", b"2")
    assert kinds(faulty_proxy) == ["PutObject"]
    assert bucket.get("runs/a/x") == b"1"
    assert kinds(faulty_proxy) == ["GetObject"]
    assert len(bucket.list("runs")) == len(bucket.list("runs/a", "x")) + 1 == 2
    assert len(kinds(faulty_proxy)) == 2
    assert bucket.list("nothing") == bucket.list("runs/a", "z") == {}
    assert len(kinds(faulty_proxy)) == 2
    assert bucket.token("runs/a/x") is not None
    assert kinds(faulty_proxy) == ["HeadObject"]
    assert set(bucket.get_many(["runs/a/x", "runs/a/y"])) == {"runs/a/x", "runs/a/y"}
    assert kinds(faulty_proxy) == ["GetObject"] * 2
    bucket.put_file("blobs/f", tmp_path / "file")
    assert kinds(faulty_proxy) == ["PutObject"]
    assert [bucket.create("runs/a/z", content) for content in (b"1", b"2")] == [True, False]
    assert kinds(faulty_proxy) == ["PutObject"] * 2
    assert bucket.get("runs/a/z") == b"1"
    kinds(faulty_proxy)
    bucket.delete(["runs/a/x", "runs/a/y", "blobs/f"])
    assert len(kinds(faulty_proxy)) == 2
    with pytest.raises(NotFound):
        bucket.get("runs/a/x")


def test_an_emptied_folder_is_empty(bucket: Bucket) -> None:
    """Some servers remember the names of folders."""
    bucket.put("runs/a/x", b"1")
    bucket.delete(["runs/a/x"])

    assert bucket.list("runs") == bucket.list("runs/a") == {}


def test_a_write_to_a_server_that_says_nothing_has_an_end(
    bucket: Bucket, faulty_proxy: FaultyProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small objects and files alike, and the next write succeeds."""
    monkeypatch.setattr(bucket_module, "WRITE_SECONDS", 1.0)
    (tmp_path / "file").write_bytes(b"content")
    bucket.put("a", b"1")
    faulty_proxy.fail(Fault.HANG, method="PUT")
    for write in (lambda: bucket.put("a", b"2"), lambda: bucket.put_file("b", tmp_path / "file")):
        with pytest.raises(StoreUnavailable, match="cannot be reached now: FSTimeoutError"):
            write()
    faulty_proxy.heal()

    bucket.put("a", b"3")
    assert bucket.get("a") == b"3"


def test_who_may_not_delete_is_told(s3_server: S3Server, s3_prefix: str) -> None:
    """The request that deletes many at once says nothing about it."""
    writer = open_bucket(f"s3://{s3_prefix}", s3_server.options())
    for key in ("a", "b", "c"):
        writer.put(key, b"1")
    reader = open_bucket(f"s3://{s3_prefix}", s3_server.options("read"))

    with pytest.raises(StoreError, match=r"was refused: .*what it may write"):
        reader.delete(["a", "b", "c"])
    assert len(writer.get_many(["a", "b", "c"])) == 3
