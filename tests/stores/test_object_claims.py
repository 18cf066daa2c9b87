"""Versions in object stores: distinct, and the same for the same content, however many count and wherever one dies."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.servers.faulty_proxy import Fault, FaultyProxy
from tracklib.errors import StoreUnavailable
from tracklib.records import new_id
from tracklib.stores import retrying
from tracklib.stores.base import ArtifactQuery
from tracklib.stores.bucket import Bucket
from tracklib.stores.claims import Wish
from tracklib.stores.layout import content_key, number_key
from tracklib.stores.object_claims import Claimer
from tracklib.stores.objects import ObjectStore
from tracklib.testing.batches import WriterScript
from tracklib.testing.versions import artifact_record, log_artifact

if TYPE_CHECKING:
    from tests.servers.s3_server import S3Server

Open = Callable[[], ObjectStore]


@pytest.fixture(name="open_store", params=["file", "memory", pytest.param("s3", marks=pytest.mark.slow)])
def _open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Return a function that opens the store as another process would."""
    options: dict[str, Any] = {}
    if request.param == "s3":
        server: S3Server = request.getfixturevalue("s3_server")
        options, root = server.options(), request.getfixturevalue("s3_prefix")
    else:
        root = f"{tmp_path}/shared" if request.param == "file" else new_id()
    opened: list[ObjectStore] = []

    def open_store() -> ObjectStore:
        opened.append(ObjectStore(f"{request.param}://{root}", options))
        return opened[-1]

    open_store().check()
    yield open_store
    for store in opened:
        store.close()


@pytest.fixture(name="bucket")
def _bucket(open_store: Open) -> Bucket:
    return open_store().bucket


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pauses take no time."""
    monkeypatch.setattr(retrying, "PAUSES_SECONDS", (0.0, 0.0, 0.0))


def wish(content: str, version: int | None = None, *, name: str = "model") -> Wish:
    return Wish("digits", name, content, version, 5.0)


def claim(bucket: Bucket, *contents: str) -> list[int]:
    """Return the versions that each content gets from somebody who has seen nothing yet."""
    return [Claimer(bucket).claim(wish(content)) for content in contents]


# ---- numbers


def test_contents_are_counted(bucket: Bucket) -> None:
    """From 0, the same content as before."""
    assert claim(bucket, "a", "b", "a", "c", "b") == [0, 1, 0, 2, 1]
    assert Claimer(bucket).claim(wish("a", name="other")) == 0


def test_more_digits_change_nothing(bucket: Bucket) -> None:
    """The highest number is the highest number, not the last word."""
    claimer = Claimer(bucket)

    assert claim(bucket, *map(str, range(12))) == list(range(12))
    assert claimer.claim(wish("far", 10**12)) == 10**12
    assert claim(bucket, "next") == [10**12 + 1]


def test_many_count_at_once(bucket: Bucket) -> None:
    """Each content gets one number and none is left out, though all come at the same moment, and half of them twice."""
    contents = [*map(str, range(8)), *map(str, range(0, 8, 2))]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(len(contents)) as pool:
            for turn in range(2 if bucket.protocol == "s3" else 20):
                own = [wish(content, name=f"turn {turn}") for content in contents]
                numbers = list(pool.map(lambda each: Claimer(bucket).claim(each), own))
                found = dict(zip(contents, numbers, strict=True))
                assert numbers == [found[content] for content in contents]
                assert sorted(found.values()) == list(range(8))
    finally:
        sys.setswitchinterval(before)


def test_what_is_in_the_way_is_counted_over(bucket: Bucket) -> None:
    """Names that are none of ours are no numbers; a number that says nothing is somebody's."""
    bucket.put(number_key("digits", "model", 0), b"half of a")
    bucket.put(number_key("digits", "model", 0).replace("/0.json", "/notes.txt"), b"hello")
    bucket.put(content_key("digits", "model", "d"), b"[]")

    assert claim(bucket, "a", "b", "d", "d", "a") == [1, 2, 3, 3, 1]


def test_objects_say_whose_they_are(bucket: Bucket) -> None:
    """Whoever looks at the bucket finds out what has a number."""
    claim(bucket, "a", "b")
    said = json.loads(bucket.get(number_key("digits", "model", 1)))

    assert said == {"project": "digits", "name": "model", "checksum": "b", "time": 5.0, "version": 1}
    assert json.loads(bucket.get(content_key("digits", "model", "b")))["from"] == 1


# ---- those who die on the way


@pytest.mark.parametrize("step", range(1, 5))
@pytest.mark.parametrize("done", [False, True], ids=["undone", "done"])
def test_who_dies_on_the_way_does_no_harm(
    open_store: Open, monkeypatch: pytest.MonkeyPatch, step: int, *, done: bool
) -> None:
    """Wherever it was, before a write or behind it: shipped again, the content has one number, others have others."""
    script, other = WriterScript(), WriterScript()
    batch = script.start(artifact_record(script, "a"))
    writes = 0

    def dying(original: Any) -> Any:
        def write(self: Bucket, *arguments: Any) -> Any:
            nonlocal writes
            writes += 1
            if writes < step:
                return original(self, *arguments)
            if writes == step and done:
                original(self, *arguments)
            raise StoreUnavailable("the process is no more")

        return write

    store = open_store()
    assert log_artifact(store, "before") == 0
    with monkeypatch.context() as patched:
        for name in ("create", "put"):
            patched.setattr(Bucket, name, dying(getattr(Bucket, name)))
        with pytest.raises(StoreUnavailable):
            open_store().append(batch)
    between = log_artifact(store, "other", script=other)
    again = open_store()
    assert again.append(batch) == batch.end
    after = [log_artifact(open_store(), content) for content in ("a", "new", "other", "before")]

    (own,) = again.artifacts(script.run)
    assert after == [own.version, 3, between, 0]
    assert {own.version, between} == {1, 2}


@pytest.mark.parametrize("wished", [None, 5])
def test_a_number_that_was_begun_may_be_taken_by_others(bucket: Bucket, wished: int | None) -> None:
    """Who comes back to it gets the next that is free, and all who come for the same content the same one."""
    first = 0 if wished is None else wished
    said = {"project": "digits", "name": "model", "checksum": "a", "from": first}
    bucket.put(content_key("digits", "model", "a"), json.dumps(said).encode())
    assert Claimer(bucket).claim(wish("b", wished)) == first
    assert claim(bucket, "c") == [first + 1]

    assert claim(bucket, "a", "a", "b", "c", "d") == [first + 2, first + 2, first, first + 1, first + 3]


def test_what_others_have_begun_is_gone_on_with(bucket: Bucket) -> None:
    """Content whose first claim was broken off gets a number, though it is not the highest any more."""
    for content, begin in (("a", 0), ("b", 0), ("c", 1)):
        said = {"project": "digits", "name": "model", "checksum": content, "from": begin}
        bucket.put(content_key("digits", "model", content), json.dumps(said).encode())

    assert claim(bucket, "c", "b", "a", "c", "b", "a", "d") == [1, 0, 2, 1, 0, 2, 3]


# ---- what it costs, and servers that are not as they should be


@pytest.fixture(name="proxied")
def _proxied(s3_server: S3Server, s3_prefix: str, faulty_proxy: FaultyProxy) -> Iterator[ObjectStore]:
    """Return a store behind the proxy, in which one artifact is numbered already."""
    with ObjectStore(f"s3://{s3_prefix}", s3_server.options(endpoint_url=faulty_proxy.endpoint_url)) as store:
        assert log_artifact(store, "a") == 0
        faulty_proxy.requests.clear()
        yield store


def kinds(proxy: FaultyProxy) -> list[str]:
    found = [request.kind for request in proxy.requests if "/versions/" in request.path or "List" in request.kind]
    proxy.requests.clear()
    return found


def test_a_version_costs_few_requests(proxied: ObjectStore, faulty_proxy: FaultyProxy) -> None:
    """Four for new content, two where others had it before, and none where it was seen before."""
    claimer = Claimer(proxied.bucket)
    claimer.claim(wish("x"))
    kinds(faulty_proxy)

    assert claimer.claim(wish("y")) == 2
    assert kinds(faulty_proxy) == ["GetObject", "ListObjects", "PutObject", "PutObject"]
    assert Claimer(proxied.bucket).claim(wish("y")) == 2
    assert kinds(faulty_proxy) == ["GetObject"] * 2
    assert claimer.claim(wish("y")) == 2
    assert kinds(faulty_proxy) == []


@pytest.mark.parametrize("fault", [Fault.LOST_ANSWER, Fault.RESET, Fault.SLOW_DOWN])
@pytest.mark.parametrize("path", ["/contents/", "/numbers/"])
def test_a_lost_answer_takes_no_second_number(
    proxied: ObjectStore, faulty_proxy: FaultyProxy, fault: Fault, path: str
) -> None:
    """What was written although it seemed not to be is known again when it is tried again."""
    faulty_proxy.fail(fault, times=2, method="PUT", path=path)

    assert [log_artifact(proxied, content) for content in "bcb"] == [1, 2, 1]
    assert sum(request.method == "PUT" and path in request.path for request in faulty_proxy.requests) > 2


@pytest.mark.parametrize("answer", ["ignored", "NotImplemented"])
def test_a_server_without_conditions_is_looked_at_first(
    s3_server: S3Server, s3_prefix: str, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    """Some are like S3 and write over what is there, or say that they cannot: it is not written over all the same."""
    with ObjectStore(f"s3://{s3_prefix}", s3_server.options()) as store:
        store.check()
        pipe = store.bucket.fs.pipe_file

        def unconditional(path: str, value: bytes, mode: str = "overwrite", **options: Any) -> Any:
            if mode == "create" and answer == "NotImplemented":
                cause = Exception("a header")
                cause.response = {"Error": {"Code": answer}}  # type: ignore[attr-defined] # as botocore's have it
                raise OSError("a header you provided implies functionality that is not implemented") from cause
            return pipe(path, value, **options)

        monkeypatch.setattr(store.bucket.fs, "pipe_file", unconditional)
        numbers = [log_artifact(store, content) for content in "abac"]

        assert numbers == [0, 1, 0, 2]
        assert claim(store.bucket, "x", "y", "x") == [3, 4, 3]
        assert [store.bucket.create("versions/x", content) for content in (b"1", b"2")] == [True, False]
        assert store.bucket.get("versions/x") == b"1"


def test_readers_need_no_claims(open_store: Open) -> None:
    """Records tell the numbers: they stay when the objects that gave them are lost."""
    store = open_store()
    numbers = [log_artifact(store, content) for content in "ab"]
    store.bucket.delete(list(store.bucket.list("versions")))

    found = open_store().find_artifacts(ArtifactQuery())
    assert sorted(str(artifact.version) for artifact in found) == [str(number) for number in numbers] == ["0", "1"]
