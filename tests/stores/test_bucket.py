"""Objects on file systems of others: whole or not there, tried again, and told in our words."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem

from tracklib.errors import ConfigError, NotFound, StoreError, StoreUnavailable
from tracklib.records import new_id
from tracklib.stores import retrying
from tracklib.stores.base import open_store
from tracklib.stores.bucket import Bucket, open_bucket
from tracklib.stores.objects import ObjectStore
from tracklib.stores.retrying import retried, translated


class Moody(LocalFileSystem):  # type: ignore[misc] # fsspec is not typed
    """A file system of its own scheme, with folders, that fails when it is told to."""

    protocol = "moody"
    errors: ClassVar[list[Exception]] = []
    calls: ClassVar[list[str]] = []

    def __init__(self, **options: Any) -> None:
        if "keey" in options:
            raise TypeError("unexpected keyword argument 'keey'")
        super().__init__(**options)

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        return str(path).removeprefix("moody://")

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **options: Any) -> None:
        self.calls.append(path)
        if self.errors:
            raise self.errors.pop()
        super().pipe_file(path, value, mode=mode, **options)


@pytest.fixture(params=["file", "memory", "moody"], name="bucket")
def _bucket(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bucket]:
    fsspec.register_implementation("moody", Moody, clobber=True)
    Moody.errors.clear()
    Moody.calls.clear()
    root = {"file": f"file://{tmp_path}/a folder", "memory": f"memory://{new_id()}", "moody": f"moody://{tmp_path}/m"}
    yield open_bucket(root[request.param], {})
    Moody.errors.clear()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pauses take no time."""
    monkeypatch.setattr(retrying, "PAUSES_SECONDS", (0.0, 0.0, 0.0))


def test_objects_come_back(bucket: Bucket) -> None:
    """Under their names, however deep, with any bytes, and the later one over the earlier."""
    for content in (b"", b"one", bytes(range(256)) * 1000):
        token = bucket.put("a/b/c d-é.bin", content)
        assert bucket.get("a/b/c d-é.bin") == content
        assert bucket.token("a/b/c d-é.bin") == token
    with bucket.open("a/b/c d-é.bin") as file:
        assert file.read() == content


def test_what_is_not_there_is_told(bucket: Bucket) -> None:
    """As an error for one, as nothing in lists."""
    with pytest.raises(NotFound, match=r"there is no .*a/b"):
        bucket.get("a/b")
    assert bucket.token("a/b") is None
    assert bucket.list("a") == {}
    assert bucket.list("a", "b") == {}
    bucket.delete(["a/b", "c"])
    assert isinstance(bucket.get_many(["x", "y"])["x"], NotFound)


def test_a_token_changes_with_the_object(bucket: Bucket) -> None:
    """Also where the size stays the same, and in listings as well."""
    tokens = set()
    for number in range(10):
        tokens.add(bucket.put("runs/a", b"%03d" % number))
        assert bucket.list("runs")["runs/a"].token in tokens
    assert len(tokens) == 10


def test_listings_go_all_the_way_down(bucket: Bucket) -> None:
    """Objects in folders of folders, those that begin alike alone, and no folders themselves."""
    for key in ("runs/1/records/0-0.jsonl", "runs/1/metrics/0-0.parquet", "runs/2/x", "runs2/y", "runs/10/z"):
        bucket.put(key, b"12345")

    assert set(bucket.list("runs")) == {
        "runs/1/records/0-0.jsonl",
        "runs/1/metrics/0-0.parquet",
        "runs/2/x",
        "runs/10/z",
    }
    assert set(bucket.list("runs/1")) == {"runs/1/records/0-0.jsonl", "runs/1/metrics/0-0.parquet"}
    assert set(bucket.list("runs/1/records", "0-")) == {"runs/1/records/0-0.jsonl"}
    assert bucket.list("runs/1/records", "1-") == {}
    assert {listed.size for listed in bucket.list("runs").values()} == {5}
    bucket.delete(["runs/2/x", "runs/10/z"])
    assert len(bucket.list("runs")) == 2


def test_an_object_is_created_once(bucket: Bucket) -> None:
    """Who comes later is told so, and what is there stays; once it is deleted, it can be created again."""
    assert [bucket.create("a/b c/d", content) for content in (b"first", b"second", b"")] == [True, False, False]
    assert bucket.get("a/b c/d") == b"first"
    assert list(bucket.list("a")) == ["a/b c/d"]
    bucket.delete(["a/b c/d"])
    assert bucket.create("a/b c/d", b"")
    assert bucket.get("a/b c/d") == b""


@pytest.mark.parametrize("scheme", ["file", "memory"])
def test_of_many_who_create_an_object_one_does(tmp_path: Path, scheme: str) -> None:
    """They are told which of them it was."""
    bucket = open_bucket(f"{scheme}://{tmp_path}/many", {})
    with ThreadPoolExecutor(8) as pool:
        for turn in range(20):
            contents = [b"%d" % number for number in range(8)]
            created = list(pool.map(partial(bucket.create, f"turn/{turn}"), contents))
            assert created.count(True) == 1
            assert bucket.get(f"turn/{turn}") == contents[created.index(True)]
    assert len(bucket.list("turn")) == 20


def test_an_object_is_created_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some file systems have none; what cannot be written leaves nothing in the way."""
    bucket = open_bucket(f"file://{tmp_path}/a", {})

    def refused(*_: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(os, "link", refused)
    assert [bucket.create("x/y", content) for content in (b"first", b"second")] == [True, False]
    assert bucket.get("x/y") == b"first"
    monkeypatch.setattr(os, "fsync", Failing(after=1))
    with pytest.raises(StoreUnavailable):
        bucket.create("x/z", b"1")
    assert os.listdir(tmp_path / "a" / "x") == ["y"]  # noqa: PTH208 - names are wanted


class Failing:
    """Fails with each call after the first ones, as a full disk does."""

    def __init__(self, after: int) -> None:
        self.calls, self.after = 0, after

    def __call__(self, _descriptor: int) -> None:
        self.calls += 1
        if self.calls % (self.after + 1) == 0:
            raise OSError(errno.ENOSPC, "no space left on device")


def test_files_are_written_as_objects(bucket: Bucket, tmp_path: Path) -> None:
    """In pieces, for they may be large."""
    source = tmp_path / "weights"
    source.write_bytes(bytes(range(256)) * 10_000)
    bucket.put_file("blobs/ab/abc", source)

    assert bucket.get("blobs/ab/abc") == source.read_bytes()
    assert source.exists()
    assert list(bucket.list("blobs")) == ["blobs/ab/abc"]


def test_many_objects_are_fetched_at_once(bucket: Bucket) -> None:
    """Those that are not there are told, each by itself."""
    keys = [f"runs/{number}" for number in range(150)]
    for key in keys[:-1]:
        bucket.put(key, key.encode())
    found = bucket.get_many(keys)

    assert [found[key] for key in keys[:-1]] == [key.encode() for key in keys[:-1]]
    assert isinstance(found[keys[-1]], NotFound)


def test_half_written_objects_are_not_seen(tmp_path: Path) -> None:
    """On file systems with folders an object has another name until it is whole."""
    fsspec.register_implementation("moody", Moody, clobber=True)
    Moody.calls.clear()
    bucket = open_bucket(f"moody://{tmp_path}/m", {})
    Moody.errors[:] = [OSError("full")] * 10
    with pytest.raises(StoreUnavailable, match="cannot be reached now: OSError: full"):
        bucket.put("a/b", b"x")
    assert len(Moody.calls) == 4
    assert all(call.endswith(".part") for call in Moody.calls)
    Moody.errors[:] = [OSError("full")] * 2

    bucket.put("a/b", b"x")
    (tmp_path / "m" / "a" / "b.0123.part").write_bytes(b"left by a crash")
    assert list(bucket.list("a")) == ["a/b"]


def test_a_bucket_outlives_a_fork(tmp_path: Path, in_child: Callable[..., str]) -> None:
    """The child opens its file system anew, also where the parent has used its own."""
    bucket = open_bucket(f"memory://{new_id()}", {})
    bucket.put("a", b"1")

    def use() -> str:
        bucket.put("b", b"2")
        return bucket.get("a").decode() + bucket.get("b").decode()

    assert in_child(use) == "12"
    assert open_bucket(f"file://{tmp_path}", {}).list("nothing") == {}


# ---- errors


class NoCredentialsError(Exception):
    """Called as that of botocore."""


@pytest.mark.parametrize(
    ("error", "writing", "kind", "words"),
    [
        (FileNotFoundError("x"), False, NotFound, "there is no s3://b/k"),
        (FileNotFoundError("x"), True, StoreError, "its bucket does not exist .*create the bucket"),
        (
            PermissionError("Access Denied"),
            True,
            StoreError,
            "refused: Access Denied; check the key and what it may write",
        ),
        (NoCredentialsError("none"), False, StoreError, "no credentials .*AWS_ACCESS_KEY_ID"),
        (ValueError("bad name"), True, StoreError, "cannot be used: ValueError: bad name"),
        (OSError(16, "slow down"), True, StoreUnavailable, "cannot be reached now: OSError: .*slow down"),
        (ConnectionResetError("reset"), False, StoreUnavailable, "cannot be reached now: ConnectionResetError"),
        (TimeoutError("late"), False, StoreUnavailable, "cannot be reached now: TimeoutError"),
    ],
)
def test_errors_of_others_are_told_in_our_words(
    error: Exception, kind: type[Exception], words: str, *, writing: bool
) -> None:
    """What will be the same the next time is told apart from what may pass."""

    def fail() -> None:
        raise error

    with pytest.raises(kind, match=words) as caught:
        translated(fail, "s3://b/k", writing=writing)
    assert type(caught.value) is kind


def test_only_what_may_pass_is_tried_again() -> None:
    """Four times in all."""
    tries: list[Exception] = []

    def failing(error: Exception) -> Callable[[], None]:
        def fail() -> None:
            tries.append(error)
            raise error

        return fail

    for error, times in ((StoreUnavailable("away"), 4), (StoreError("refused"), 1), (NotFound("none"), 1)):
        tries.clear()
        with pytest.raises(type(error)):
            retried(failing(error))
        assert len(tries) == times


def test_patience_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where each try takes long there are fewer of them."""
    monkeypatch.setattr(retrying, "PATIENCE_SECONDS", -1.0)
    tries = []

    def fail() -> None:
        tries.append(1)
        raise StoreUnavailable("away")

    with pytest.raises(StoreUnavailable):
        retried(fail)
    assert len(tries) == 1


# ---- what a URI means


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("s3://", "names no place"),
        ("s3://key:secret@bucket/team", "has a key or password in its URI.*AWS_ACCESS_KEY_ID.*s3://bucket/team"),
        ("s3://key@bucket/team", "has a key or password in its URI"),
        ("s3://bucket/team?endpoint_url=http://x", "options behind a question mark"),
        ("http://server/runs", "is of no known kind"),
        ("simplecache::s3://bucket", "is of no known kind"),
        ("nonsense://bucket", "is of no known kind"),
    ],
)
def test_a_uri_that_cannot_be_meant_is_refused(uri: str, words: str) -> None:
    """With the way that would do, and without the secret."""
    with pytest.raises(ConfigError, match=words) as caught:
        open_store(uri)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "uri", ["s3://bucket/team", "s3://bucket", "gs://bucket/x", "abfs://container/x", "memory://x"]
)
def test_every_file_system_of_fsspec_is_a_store(uri: str) -> None:
    """Nothing is opened or imported before it is used."""
    with open_store(f"{uri}/") as store:
        assert isinstance(store, ObjectStore)
        assert (store.uri, store.spool) == (uri, None)


def test_a_relative_folder_means_what_it_means_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever the program goes later."""
    store = open_store("file://runs")
    monkeypatch.chdir("/")

    assert store.uri == f"file://{tmp_path}/runs"
    store.check()
    assert os.listdir(tmp_path / "runs") == ["tracklib.json"]  # noqa: PTH208 - names are wanted


def test_options_hold_for_the_rest_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever opens the same store again means the same options; others those of the settings."""
    monkeypatch.setenv("TRACKLIB_STORE_OPTIONS", '{"from": "settings"}')
    one, other = f"s3://{new_id().lower()}/x", f"s3://{new_id().lower()}/x"
    first = open_store(one, {"key": "given"})

    again, without = open_store(one), open_store(other)
    assert isinstance(first, ObjectStore)
    assert isinstance(again, ObjectStore)
    assert isinstance(without, ObjectStore)
    assert [each._options for each in (first, again, without)] == [{"key": "given"}] * 2 + [{"from": "settings"}]
    assert "given" not in repr(again)


def test_options_that_a_file_system_does_not_take_are_told(tmp_path: Path) -> None:
    """By their names, never by their values."""
    fsspec.register_implementation("moody", Moody, clobber=True)
    with pytest.raises(StoreError, match=r"with the options auto, keey: .*TRACKLIB_STORE_OPTIONS") as caught:
        open_store(f"moody://{tmp_path}/m", {"auto": 1, "keey": "hush"}).check()
    assert "hush" not in str(caught.value)
    open_store(f"moody://{tmp_path}/m").check()  # They are not remembered.
