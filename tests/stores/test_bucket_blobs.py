"""Blobs of file systems of others: what is asked for is of now, and what is listed is what is there."""

from __future__ import annotations

import hashlib
import io
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from tracklib.errors import NotFound
from tracklib.records import new_id
from tracklib.stores import bucket_blobs, looking
from tracklib.stores.bucket import Bucket, open_bucket
from tracklib.stores.bucket_blobs import BucketBlobs
from tracklib.stores.pieces import Piece, write_recipe

if TYPE_CHECKING:
    from tests.servers.faulty_proxy import FaultyProxy
    from tests.servers.s3_server import S3Server

MIB = 1 << 20
WHOLE_SECONDS = 1.1
"""After so long a clock of whole seconds shows another one."""


class Foldered(LocalFileSystem):  # type: ignore[misc] # fsspec is not typed
    """A file system with folders, of a scheme of its own."""

    protocol = "foldered"

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        return str(path).removeprefix("foldered://")


class Timeless(MemoryFileSystem):  # type: ignore[misc] # fsspec is not typed
    """A file system that says nothing of times."""

    protocol = "timeless"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        return "/" + str(path).removeprefix("timeless://").strip("/")

    def info(self, path: str, **options: Any) -> dict[str, Any]:
        return {name: value for name, value in super().info(path, **options).items() if name != "created"}

    def ls(self, path: str, detail: bool = True, **options: Any) -> list[Any]:
        found = super().ls(path, detail=True, **options)
        for each in found:
            each.pop("created", None)
        return found if detail else [each["name"] for each in found]


@pytest.fixture(params=["memory", "foldered", "s3"], name="bucket")
def _bucket(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bucket]:
    fsspec.register_implementation("foldered", Foldered, clobber=True)
    if request.param == "s3":
        yield request.getfixturevalue("s3_store")
    else:
        roots = {"memory": f"memory://{new_id()}", "foldered": f"foldered://{tmp_path}/a folder"}
        yield open_bucket(roots[request.param], {})


@pytest.fixture(name="s3_store")
def _s3_store(s3_server: S3Server, s3_prefix: str, faulty_proxy: FaultyProxy) -> Iterator[Bucket]:
    bucket = open_bucket(f"s3://{s3_prefix}", s3_server.options(endpoint_url=faulty_proxy.endpoint_url))
    yield bucket
    bucket.close()


@pytest.fixture(name="all_old")
def _all_old(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let everything count as old, so that it has to be given another time."""
    monkeypatch.setattr(bucket_blobs, "CLAIM_SECONDS", -100.0)
    monkeypatch.setattr(bucket_blobs, "SURE_SECONDS", 0.0)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def put_recipe(blobs: BucketBlobs, *parts: bytes) -> str:
    for part in parts:
        blobs.put_piece(part, sha256(part))
    recipe = write_recipe(Piece(len(part), sha256(part)) for part in parts)
    blobs.put_recipe(sha256(b"".join(parts)), recipe)
    return sha256(b"".join(parts))


def times(blobs: BucketBlobs) -> list[float]:
    return [blob.changed_at for blob in blobs.listed()]


@pytest.mark.usefixtures("all_old")
@pytest.mark.parametrize("how", ["put", "take", "put_piece", "claim"])
def test_what_is_asked_for_is_of_now(bucket: Bucket, tmp_path: Path, how: str) -> None:
    """In any way, by the clock of the file system; its bytes stay what they are."""
    blobs, content = BucketBlobs(bucket), b"weights"
    (tmp_path / "spooled").write_bytes(content)
    blobs.put(io.BytesIO(content))
    (before,) = times(blobs)
    time.sleep(WHOLE_SECONDS)
    ways: dict[str, Any] = {
        "put": lambda: blobs.put(io.BytesIO(content)),
        "take": lambda: blobs.take(tmp_path / "spooled", sha256(content)),
        "put_piece": lambda: blobs.put_piece(content, sha256(content)),
        "claim": lambda: blobs.claim(sha256(content)),
    }
    ways[how]()

    (after,) = times(blobs)
    assert after > before
    with blobs.open(sha256(content)) as file:
        assert file.read() == content


@pytest.mark.usefixtures("all_old")
def test_a_file_in_pieces_is_claimed_with_them(bucket: Bucket) -> None:
    """All are of now, so that none is deleted before somebody names the file."""
    blobs = BucketBlobs(bucket)
    checksum = put_recipe(blobs, *(b"%d" % number for number in range(70)))
    before = max(times(blobs))
    time.sleep(WHOLE_SECONDS)

    assert blobs.claim(checksum)
    assert len(times(blobs)) == 71
    assert min(times(blobs)) > before


def test_what_is_new_is_left_as_it_is(bucket: Bucket) -> None:
    """It is far from being deleted, and each other time would cost a request."""
    blobs = BucketBlobs(bucket)
    checksum = put_recipe(blobs, b"backbone", b"head")
    before = times(blobs)
    time.sleep(WHOLE_SECONDS)

    assert blobs.claim(checksum)
    assert times(blobs) == before


def test_a_large_blob_goes_through_a_file(bucket: Bucket) -> None:
    """Bytes that may be too many for the memory come back all the same."""
    blobs, content = BucketBlobs(bucket), os.urandom(17 * MIB)

    assert blobs.put(io.BytesIO(content)) == (sha256(content), len(content))
    with blobs.open(sha256(content)) as file:
        file.seek(9 * MIB)
        assert file.read() == content[9 * MIB :]


def test_what_is_none_of_ours_is_passed_over(bucket: Bucket) -> None:
    """Other objects, also those whose names begin alike, and the one by which the clock is read."""
    blobs = BucketBlobs(bucket)
    assert list(blobs.listed()) == []
    checksum, _ = blobs.put(io.BytesIO(b"weights"))
    for key in (
        "blobs/notes.txt",
        f"blobs/{checksum}",
        f"blobs/00/{checksum}",
        f"blobs/{checksum[:2]}/x",
        "blobs2/ab/x",
    ):
        bucket.put(key, b"x")
    blobs.now()

    assert [(blob.checksum, blob.size) for blob in blobs.listed()] == [(checksum, 7)]
    assert [key for key in bucket.list("blobs") if key.endswith(".clock")] == []


def test_times_are_compared_with_tolerance(bucket: Bucket) -> None:
    """Listings of some servers know fractions of seconds that looks do not."""
    blobs = BucketBlobs(bucket)
    blobs.put(io.BytesIO(b"weights"))
    (listed,) = blobs.listed()

    assert blobs.delete([replace(listed, changed_at=listed.changed_at - 1800)]) == []
    assert blobs.delete([replace(listed, changed_at=listed.changed_at + 0.999)]) != []
    assert list(blobs.listed()) == []


def test_what_is_gone_cannot_be_touched(bucket: Bucket) -> None:
    """It was deleted since somebody looked; where the file system cannot touch anything it is written anew."""
    bucket.put("blobs/a", b"x")
    assert bucket.touch({"blobs/a": 1}) == (bucket.protocol != "memory")
    bucket.delete(["blobs/a"])

    if bucket.protocol != "memory":
        with pytest.raises(NotFound):
            bucket.touch({"blobs/a": 1})
    assert bucket.look(["blobs/a", "blobs/b"]) == {}


def test_a_file_system_without_times_loses_nothing() -> None:
    """What may be of now is never old, so it is not deleted."""
    fsspec.register_implementation("timeless", Timeless, clobber=True)
    blobs = BucketBlobs(open_bucket(f"timeless://{new_id()}", {}))
    checksum = put_recipe(blobs, b"backbone", b"head")

    assert blobs.claim(checksum)
    assert abs(blobs.now() - time.time()) < 100
    assert all(abs(blob.changed_at - time.time()) < 100 for blob in blobs.listed())
    assert blobs.delete(list(blobs.listed())) == []
    assert blobs.claim(checksum)


# ---- what it costs on S3


def test_claims_cost_a_request_for_each_piece(
    s3_store: Bucket, faulty_proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And another one only where it is old: it is put there as a copy of itself."""
    blobs = BucketBlobs(s3_store)
    checksum = put_recipe(blobs, b"backbone", b"head")
    blobs.claim(checksum)
    faulty_proxy.requests.clear()

    assert blobs.claim(checksum)
    assert faulty_proxy.count() == {"HeadObject": 4, "GetObject": 1}
    monkeypatch.setattr(bucket_blobs, "CLAIM_SECONDS", -100.0)
    faulty_proxy.requests.clear()
    assert blobs.claim(checksum)
    assert faulty_proxy.count() == {"HeadObject": 4, "GetObject": 1, "PutObject": 3}


def test_opening_a_blob_costs_two_requests(s3_store: Bucket, faulty_proxy: FaultyProxy) -> None:
    """A look and its bytes, or its recipe; the pieces cost one each when they are read."""
    blobs = BucketBlobs(s3_store)
    checksums = [put_recipe(blobs, b"backbone", b"head"), sha256(b"head")]
    for checksum, content, fetched in zip(checksums, (b"backbonehead", b"head"), (3, 1), strict=True):
        faulty_proxy.requests.clear()
        with blobs.open(checksum) as file:
            assert file.read() == content
        assert faulty_proxy.count() == {"HeadObject": 1, "GetObject": fetched}


def test_an_object_of_any_size_is_copied_onto_itself(
    s3_store: Bucket, faulty_proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In parts where it is too large for one request."""
    monkeypatch.setattr(looking, "_LARGEST_COPY", 5 * MIB)
    content = os.urandom(6 * MIB)
    s3_store.put("blobs/large", content)
    before = s3_store.look(["blobs/large"])["blobs/large"].changed_at or 0.0
    time.sleep(WHOLE_SECONDS)
    faulty_proxy.requests.clear()

    assert s3_store.touch({"blobs/large": len(content)})
    assert faulty_proxy.count() == {"Multipart": 3}
    assert (s3_store.look(["blobs/large"])["blobs/large"].changed_at or 0.0) > before
    assert s3_store.get("blobs/large") == content


def test_a_large_file_is_sent_in_small_parts(s3_store: Bucket, faulty_proxy: FaultyProxy, tmp_path: Path) -> None:
    """A few of them are in memory at a time."""
    (tmp_path / "large").write_bytes(os.urandom(20 * MIB))
    BucketBlobs(s3_store).take(tmp_path / "large", sha256((tmp_path / "large").read_bytes()))

    # One to begin, three parts, one to end.
    assert faulty_proxy.count() == {"HeadObject": 1, "Multipart": 5}


def test_a_listing_comes_in_parts(s3_store: Bucket, faulty_proxy: FaultyProxy) -> None:
    """So that millions of blobs are not in memory at once."""
    blobs = BucketBlobs(s3_store)
    made = {blobs.put(io.BytesIO(b"%d" % number))[0] for number in range(40)}
    faulty_proxy.requests.clear()

    listed = blobs.listed()
    first = next(listed)
    assert faulty_proxy.count() == {"ListObjects": int(first.checksum[0], 16) + 1}
    assert {first.checksum, *(blob.checksum for blob in listed)} == made
    assert faulty_proxy.count() == {"ListObjects": 16}


def test_a_piece_that_is_known_to_be_there_costs_nothing(s3_store: Bucket, faulty_proxy: FaultyProxy) -> None:
    """For a while; a small one is sent without asking, and a large one that others have put is asked for once."""
    small, large, theirs = b"small", b"l" * (1 << 16), b"t" * (1 << 16)
    BucketBlobs(s3_store).put_piece(theirs, sha256(theirs))
    blobs = BucketBlobs(s3_store)
    blobs._time()
    faulty_proxy.requests.clear()
    for _ in range(3):
        for piece in (small, large, theirs):
            blobs.put_piece(piece, sha256(piece))

    assert faulty_proxy.count() == {"HeadObject": 2, "PutObject": 2}


def test_what_was_deleted_here_is_put_again(s3_store: Bucket) -> None:
    """It is not known to be there any more."""
    blobs = BucketBlobs(s3_store)
    blobs.put_piece(b"piece", sha256(b"piece"))
    assert len(blobs.delete(list(blobs.listed()))) == 1
    blobs.put_piece(b"piece", sha256(b"piece"))

    assert [blob.checksum for blob in blobs.listed()] == [sha256(b"piece")]
