"""The servers as fixtures: each is started when a test first asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest

from tests.servers.faulty_proxy import FaultyProxy
from tests.servers.s3_server import S3Server

_numbers = count(1)


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Return a running S3 server; a test that stops it starts it again."""
    with S3Server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture(scope="session")
def shared_s3_bucket(s3_server: S3Server) -> str:
    """Return the bucket that tests share, each below a prefix of its own."""
    return s3_server.make_bucket("tracklib-tests")


@pytest.fixture
def s3_prefix(shared_s3_bucket: str) -> str:
    """Return "bucket/prefix" under which there is nothing yet: what most tests need, since it costs nothing."""
    return f"{shared_s3_bucket}/{next(_numbers):06d}"


@pytest.fixture
def s3_bucket(s3_server: S3Server) -> Iterator[str]:
    """Return the name of an empty bucket that no other test sees. It takes half a second to make and remove."""
    name = s3_server.make_bucket(f"bucket-{next(_numbers):06d}")
    yield name
    s3_server.remove_bucket(name)


@pytest.fixture
def faulty_proxy(s3_server: S3Server) -> Iterator[FaultyProxy]:
    """Return a proxy in front of the S3 server, which passes everything on until the test says otherwise."""
    with FaultyProxy(s3_server.endpoint_url) as proxy:
        yield proxy
