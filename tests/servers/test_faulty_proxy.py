"""The proxy of the tests: each fault as a real client of a real server meets it."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import ClientPayloadError
from botocore.exceptions import ConnectionError as NoConnection
from s3fs import S3FileSystem

from tests.servers.faulty_proxy import Fault, FaultyProxy
from tests.servers.http_wire import Head, Request

if TYPE_CHECKING:
    from tests.servers.s3_server import S3Server

BIG = bytes(range(256)) * 8_000


def client(server: S3Server, proxy: FaultyProxy) -> Any:
    """Return a client behind the proxy that tries everything once, as far as that can be set."""
    options = server.options(endpoint_url=proxy.endpoint_url)
    once = {"retries": {"max_attempts": 0}}
    store = S3FileSystem(**options, config_kwargs=once, use_listings_cache=False, skip_instance_cache=True)
    store.retries = 1
    return store


@pytest.fixture(name="store")
def _store(s3_server: S3Server, faulty_proxy: FaultyProxy) -> Any:
    return client(s3_server, faulty_proxy)


def test_everything_passes_as_it_is(store: Any, s3_prefix: str) -> None:
    """Objects small, large and odd of name go through the proxy and come back, on connections that are kept."""
    for name, body in {"small": b"one", "large": BIG, "empty": b"", "a b+c%/ü": b"odd"}.items():
        store.pipe_file(f"{s3_prefix}/{name}", body)

        assert store.cat_file(f"{s3_prefix}/{name}") == body
    assert store.cat_file(f"{s3_prefix}/large", start=1_000, end=300_000) == BIG[1_000:300_000]


def test_requests_are_counted(store: Any, s3_prefix: str, faulty_proxy: FaultyProxy) -> None:
    """A test can say what something costs."""
    store.pipe_file(f"{s3_prefix}/a", b"one")
    store.cat_file(f"{s3_prefix}/a")
    store.find(s3_prefix, prefix="a")
    store.rm(f"{s3_prefix}/a")

    assert faulty_proxy.requests[0] == Request("PUT", f"/{s3_prefix}/a", "")
    counts = {"PutObject": 1, "HeadObject": 1, "GetObject": 1, "ListObjects": 1, "DeleteObjects": 1}
    assert faulty_proxy.count() == counts


def test_a_server_that_is_busy_says_so_as_often_as_it_was_told(
    store: Any, s3_prefix: str, faulty_proxy: FaultyProxy
) -> None:
    """Two writes are answered with 503, a read in between is not concerned, and the third write succeeds."""
    faulty_proxy.fail(Fault.SLOW_DOWN, times=2, method="PUT", path=r"/a$")
    for body in (BIG, b"one"):
        with pytest.raises(OSError, match="reduce your request rate"):
            store.pipe_file(f"{s3_prefix}/a", body)
        assert store.find(s3_prefix) == []
    store.pipe_file(f"{s3_prefix}/a", b"two")

    assert store.cat_file(f"{s3_prefix}/a") == b"two"


def test_a_client_that_tries_again_gets_over_it(store: Any, s3_prefix: str, faulty_proxy: FaultyProxy) -> None:
    """The 503 is the one that clients of S3 know and wait for."""
    store.retries = 3
    faulty_proxy.fail(Fault.SLOW_DOWN, times=2)
    store.pipe_file(f"{s3_prefix}/a", b"one")

    assert faulty_proxy.count() == {"PutObject": 3}


def test_a_reset_keeps_a_write_from_the_server(store: Any, s3_prefix: str, faulty_proxy: FaultyProxy) -> None:
    """A connection that is reset in the middle of an upload leaves nothing behind."""
    faulty_proxy.fail(Fault.RESET, method="PUT")
    with pytest.raises(NoConnection):
        store.pipe_file(f"{s3_prefix}/a", BIG)

    assert store.find(s3_prefix) == []


def test_a_lost_answer_leaves_what_was_written(store: Any, s3_prefix: str, faulty_proxy: FaultyProxy) -> None:
    """The client sees the very same error, and yet the write has happened."""
    faulty_proxy.fail(Fault.LOST_ANSWER, method="PUT")
    with pytest.raises(NoConnection):
        store.pipe_file(f"{s3_prefix}/a", BIG)

    assert store.cat_file(f"{s3_prefix}/a") == BIG


def test_a_single_reset_goes_unseen(store: Any, s3_prefix: str, faulty_proxy: FaultyProxy) -> None:
    """The HTTP library below the client asks once more by itself, whatever retries were set."""
    faulty_proxy.fail(Fault.LOST_ANSWER, times=1)
    store.pipe_file(f"{s3_prefix}/a", b"one")

    assert faulty_proxy.count() == {"PutObject": 2}


def test_an_answer_is_cut_in_the_middle(store: Any, s3_prefix: str, faulty_proxy: FaultyProxy) -> None:
    """A download that breaks off is an error, not a short file."""
    store.pipe_file(f"{s3_prefix}/a", BIG)
    faulty_proxy.fail(Fault.CUT_ANSWER, times=1)
    with pytest.raises(ClientPayloadError):
        store.cat_file(f"{s3_prefix}/a", start=0, end=len(BIG))

    assert store.cat_file(f"{s3_prefix}/a") == BIG


def test_a_proxy_that_refuses_is_no_longer_there(store: Any, s3_prefix: str, faulty_proxy: FaultyProxy) -> None:
    """Connections are refused, those that were open included, until the proxy is healed."""
    store.pipe_file(f"{s3_prefix}/a", b"one")
    faulty_proxy.refuse()
    with pytest.raises(NoConnection):
        store.find(s3_prefix)
    faulty_proxy.heal()

    assert store.find(s3_prefix) == [f"{s3_prefix}/a"]


def test_a_proxy_that_hangs_answers_no_more_until_it_is_healed(
    store: Any, s3_prefix: str, faulty_proxy: FaultyProxy
) -> None:
    """A request waits for as long as the proxy hangs, then its connection is reset and the client asks again."""
    faulty_proxy.fail(Fault.HANG)
    answered = threading.Event()
    answered_early: list[bool] = []

    def heal() -> None:
        while not faulty_proxy.requests:
            time.sleep(0.01)
        answered_early.append(answered.wait(0.3))
        faulty_proxy.heal()

    healer = threading.Thread(target=heal)
    healer.start()
    found = store.find(s3_prefix, prefix="a")
    answered.set()
    healer.join()

    assert (found, answered_early) == ([], [False])
    assert faulty_proxy.count() == {"ListObjects": 2}


def test_a_slow_line_is_slow_and_right(store: Any, s3_prefix: str, faulty_proxy: FaultyProxy) -> None:
    """Half a second's worth of bytes takes half a second in each direction, and they are the same bytes."""
    faulty_proxy.throttle(bytes_per_second=len(BIG) * 2, latency_s=0.1)
    started = time.monotonic()
    store.pipe_file(f"{s3_prefix}/a", BIG)
    written = time.monotonic()
    read = store.cat_file(f"{s3_prefix}/a", start=0, end=len(BIG))

    assert read == BIG
    assert written - started >= 0.55
    assert time.monotonic() - written >= 0.55


def test_a_server_that_is_down_ends_the_connections(s3_server: S3Server) -> None:
    """Behind the proxy there may be nothing at all, which the client sees as a connection that ends."""
    with FaultyProxy("http://127.0.0.1:9") as proxy, pytest.raises(NoConnection):
        client(s3_server, proxy).find("bucket/key")

    assert {request.kind for request in proxy.requests} == {"ListObjects"}


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("GET /bucket?list-type=2&prefix=a HTTP/1.1", "ListObjects"),
        ("GET /bucket/a/b HTTP/1.1", "GetObject"),
        ("HEAD /bucket HTTP/1.1", "HeadBucket"),
        ("PUT /bucket/a?partNumber=1&uploadId=7 HTTP/1.1", "Multipart"),
        ("POST /bucket/a?uploads HTTP/1.1", "Multipart"),
        ("POST /bucket?delete HTTP/1.1", "DeleteObjects"),
        ("OPTIONS / HTTP/1.1", "OPTIONS"),
    ],
)
def test_requests_are_known_by_their_first_line(line: str, kind: str) -> None:
    """The kinds of requests have the names that Amazon gave the operations."""
    method, target, version = line.split(" ")

    assert Request.of(Head(b"", (method, target, version), {})).kind == kind
