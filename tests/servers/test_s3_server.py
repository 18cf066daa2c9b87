"""The S3 server of the tests: what it keeps, whom it lets in, and that nothing of it is left."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from s3fs import S3FileSystem

from tests.servers.s3_server import S3Server

PATIENCE_SECONDS = 120.0
ROOT = Path(__file__).parents[2]


def client(server: S3Server, identity: Any = "write") -> Any:
    return S3FileSystem(**server.options(identity), use_listings_cache=False, skip_instance_cache=True)


def test_the_write_identity_writes_lists_and_removes(s3_server: S3Server, s3_prefix: str) -> None:
    """What is written is listed and read back, and gone once it is removed."""
    store = client(s3_server)
    store.pipe_file(f"{s3_prefix}/a", b"one")

    assert store.find(s3_prefix) == [f"{s3_prefix}/a"]
    assert store.cat_file(f"{s3_prefix}/a") == b"one"
    store.rm_file(f"{s3_prefix}/a")
    assert not store.exists(f"{s3_prefix}/a")


def test_the_read_identity_reads_and_no_more(s3_server: S3Server, s3_prefix: str) -> None:
    """A key that may only read is refused where it writes or removes."""
    client(s3_server).pipe_file(f"{s3_prefix}/a", b"one")
    reader = client(s3_server, "read")

    assert reader.cat_file(f"{s3_prefix}/a") == b"one"
    with pytest.raises(PermissionError):
        reader.pipe_file(f"{s3_prefix}/a", b"two")
    with pytest.raises(PermissionError):
        reader.rm_file(f"{s3_prefix}/a")


def test_a_wrong_secret_is_refused(s3_server: S3Server, s3_prefix: str) -> None:
    """Signatures are checked, which not every stand-in for S3 does."""
    stranger = client(s3_server, "wrong")

    with pytest.raises(PermissionError, match="signature"):
        stranger.find(s3_prefix)


def test_a_bucket_that_is_not_there_is_not_made(s3_server: S3Server) -> None:
    """As with Amazon, a bucket is made by those who may, and never by a write."""
    with pytest.raises(FileNotFoundError):
        client(s3_server).pipe_file("no-such-bucket/a", b"one")
    with pytest.raises(FileNotFoundError):
        client(s3_server, "admin").pipe_file("no-such-bucket/a", b"one")


def test_a_bucket_of_ones_own_is_empty(s3_server: S3Server, s3_bucket: str) -> None:
    """A bucket that a test asks for holds nothing, and the test may write to it."""
    store = client(s3_server)

    assert store.find(s3_bucket) == []
    store.pipe_file(f"{s3_bucket}/a", b"one")
    assert store.ls(s3_bucket) == [f"{s3_bucket}/a"]


def test_processes_find_the_server_by_their_environment(s3_server: S3Server, s3_prefix: str) -> None:
    """A program that knows nothing but its environment writes to the server."""
    program = f"import fsspec; fsspec.filesystem('s3').pipe_file('{s3_prefix}/a', b'one')"
    environment = {**os.environ, **s3_server.environment()}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True, timeout=PATIENCE_SECONDS)

    assert client(s3_server).cat_file(f"{s3_prefix}/a") == b"one"


def test_no_settings_of_this_machine_reach_the_tests() -> None:
    """Credentials of whoever runs the tests are out of reach."""
    names = {name for name in os.environ if name.startswith("AWS_")}

    assert names == {"AWS_EC2_METADATA_DISABLED"}


@pytest.mark.parametrize("end", [S3Server.stop, S3Server.kill])
def test_a_restart_keeps_the_data(s3_server: S3Server, s3_prefix: str, end: Callable[[S3Server], None]) -> None:
    """A server that was stopped or killed comes back at the same address with all that was written."""
    store, url = client(s3_server), s3_server.endpoint_url
    store.pipe_file(f"{s3_prefix}/a", b"one")
    end(s3_server)
    try:
        assert not is_open(url)
    finally:
        s3_server.start()

    assert s3_server.endpoint_url == url
    assert store.cat_file(f"{s3_prefix}/a") == b"one"
    store.pipe_file(f"{s3_prefix}/b", b"two")


def test_the_server_dies_with_whoever_started_it(tmp_path: Path) -> None:
    """Where pytest is killed, no server is left running; and two of them run side by side."""
    program = (
        f"import sys, time; sys.path.insert(0, {str(ROOT)!r})\n"
        "from pathlib import Path; from tests.servers.s3_server import S3Server\n"
        f"server = S3Server(Path({str(tmp_path / 's3')!r})); server.start()\n"
        "print(server.endpoint_url, flush=True); time.sleep(1000)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        url = starter.stdout.readline().strip()
        was_open = is_open(url)
        starter.send_signal(signal.SIGKILL)

    assert was_open
    deadline = time.monotonic() + PATIENCE_SECONDS
    while is_open(url):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_open(url: str) -> bool:
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0
