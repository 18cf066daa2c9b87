"""Large files on their way over a line that is slow or cut, and in little memory."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from tests.servers.faulty_proxy import Fault, FaultyProxy
from tracklib.errors import StoreUnavailable
from tracklib.stores import retrying
from tracklib.stores.depositing import Lanes, deposit
from tracklib.stores.objects import ObjectStore

if TYPE_CHECKING:
    from tests.servers.s3_server import S3Server

MIB = 1 << 20
PATIENCE_SECONDS = 100.0

DEPOSIT = """
import resource, sys
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
bare = peak()
from pathlib import Path
from tracklib.stores.base import open_store
from tracklib.stores.depositing import Lanes, deposit
uri, path, small = sys.argv[1:]
with open_store(uri) as store, Lanes(4) as lanes:
    deposit(store, Path(small), lanes=lanes)
    ready = peak()
    done = deposit(store, Path(path), lanes=lanes)
    with store.open_blob(done.checksum) as file:
        size = sum(len(part) for part in iter(lambda: file.read(1 << 20), b""))
    print(bare, ready, peak(), size)
"""


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> Path:
    path = tmp_path / "weights.bin"
    path.write_bytes(b"".join(os.urandom(8 * MIB) for _ in range(6)))
    return path


@pytest.fixture(name="store")
def _store(s3_server: S3Server, s3_prefix: str, faulty_proxy: FaultyProxy) -> Iterator[ObjectStore]:
    options = s3_server.options(endpoint_url=faulty_proxy.endpoint_url)
    with ObjectStore(f"s3://{s3_prefix}", options) as store:
        store.check()
        faulty_proxy.requests.clear()
        yield store


def puts(proxy: FaultyProxy, words: str = "") -> int:
    return sum(each.kind == "PutObject" and "/blobs/" in each.path and words in each.path for each in proxy.requests)


def test_a_deposit_costs_two_requests_a_piece(store: ObjectStore, faulty_proxy: FaultyProxy, file: Path) -> None:
    """A look whether it is there and the bytes; what is there is not sent again."""
    with Lanes(3) as lanes:
        done = deposit(store, file, lanes=lanes)
        assert faulty_proxy.count() == {"HeadObject": 6, "PutObject": 7}
        faulty_proxy.requests.clear()
        assert deposit(store, file, lanes=lanes) == done

    # The recipe alone: the pieces are known to be there.
    assert faulty_proxy.count() == {"PutObject": 1}
    assert puts(faulty_proxy, ".recipe") == 1
    faulty_proxy.requests.clear()
    with store.open_blob(done.checksum) as opened:
        assert opened.read() == file.read_bytes()
    assert faulty_proxy.count()["GetObject"] == 7


def test_several_pieces_are_on_their_way_at_once(store: ObjectStore, faulty_proxy: FaultyProxy, file: Path) -> None:
    """As many as there are lanes: none of them is answered here, and all are asked for."""
    faulty_proxy.fail(Fault.HANG, method="PUT", path="/blobs/")
    with Lanes(3) as lanes:
        thread = Thread(target=deposit, args=(store, file), kwargs={"lanes": lanes})
        thread.start()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while puts(faulty_proxy) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.3)
        assert puts(faulty_proxy) == 3
        faulty_proxy.heal()
        thread.join()

    assert len([blob for blob in store.blobs() if not blob.is_recipe]) == 6


def test_a_cut_line_costs_what_was_on_it(
    store: ObjectStore, faulty_proxy: FaultyProxy, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next try sends the pieces that did not arrive, and those alone."""
    monkeypatch.setattr(retrying, "PAUSES_SECONDS", ())
    with Lanes(1) as lanes:
        sent: list[int] = []

        def cut(size: int) -> None:
            sent.append(size)
            if len(sent) == 3:
                faulty_proxy.refuse()

        with pytest.raises(StoreUnavailable, match="cannot be reached now"):
            deposit(store, file, lanes=lanes, on_bytes=cut)
        faulty_proxy.heal()
        arrived = len(list(store.blobs()))
        faulty_proxy.requests.clear()
        done = deposit(store, file, lanes=lanes)

    assert arrived >= 3
    assert puts(faulty_proxy) - puts(faulty_proxy, ".recipe") - puts(faulty_proxy, ".clock") == 6 - arrived
    with store.open_blob(done.checksum) as opened:
        assert opened.read() == file.read_bytes()


def _peaks(tmp_path: Path, uri: str, environment: dict[str, str]) -> tuple[int, int, int]:
    """Return how much memory a process had taken bare, with a store open, and after a file of two gigabytes."""
    path, small = tmp_path / "large", tmp_path / "small"
    small.write_bytes(os.urandom(10_000_000))
    with path.open("wb") as file:
        for number in range(256):  # Each piece differs, and takes hardly any room here.
            file.seek(number * 8 * MIB)
            file.write(b"%d" % number)
        file.truncate(2048 * MIB)
    words = [sys.executable, "-c", DEPOSIT, uri, str(path), str(small)]
    done = subprocess.run(words, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True, check=True)
    bare, ready, peak, size = map(int, done.stdout.split())
    assert size == 2048 * MIB
    return bare, ready, peak


@pytest.mark.slow
def test_two_gigabytes_take_little_memory(tmp_path: Path) -> None:
    """In a folder: less than a hundred megabytes beyond what Python takes by itself."""
    bare, _, peak = _peaks(tmp_path, f"file://{tmp_path}/store", {})

    assert peak - bare < 100


@pytest.mark.slow
def test_two_gigabytes_take_little_memory_on_s3(tmp_path: Path, s3_server: S3Server, s3_prefix: str) -> None:
    """In a bucket: less than that beyond what its libraries take, which are loaded for the first record."""
    _, ready, peak = _peaks(tmp_path, f"s3://{s3_prefix}", s3_server.environment())

    assert peak - ready < 100
