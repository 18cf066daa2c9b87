"""Artifacts on their way from the spool to a store, beside the journal."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import pytest

from tracklib.errors import StoreUnavailable
from tracklib.recording import uploader as module
from tracklib.recording.journal import Journal
from tracklib.recording.recovery import recover
from tracklib.recording.shared_store import SharedStore
from tracklib.recording.shipper import Shipper
from tracklib.records import RecordKind, new_id
from tracklib.stores.sqlite import SqliteStore

if TYPE_CHECKING:
    from tracklib.recording.spooled import Pending

PATIENCE_SECONDS = 60.0

NewJournal = Callable[..., Journal]


class Moody(SqliteStore):
    """A store that can be away for bytes, or for records, or slow with bytes."""

    def __init__(self, uri: str) -> None:
        super().__init__(uri)
        self.bytes_mood: Exception | None = None
        self.records_mood: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.at_the_gate = threading.Event()

    def put_blob(self, source: BinaryIO) -> tuple[str, int]:
        self._wait()
        return super().put_blob(source)

    def put_piece(self, content: bytes, checksum: str) -> None:
        self._wait()
        super().put_piece(content, checksum)

    def _wait(self) -> None:
        self.at_the_gate.set()
        assert self.gate.wait(PATIENCE_SECONDS)
        if self.bytes_mood is not None:
            raise self.bytes_mood

    def append(self, batch: Any) -> int:
        if self.records_mood is not None:
            raise self.records_mood
        return super().append(batch)


@pytest.fixture(name="store")
def _store(tmp_path: Path) -> Iterator[Moody]:
    store = Moody(f"sqlite:///{tmp_path / 'runs.db'}")
    yield store
    store.gate.set()
    store.close()


@pytest.fixture(name="journal")
def _journal(new_journal: NewJournal, store: Moody) -> Journal:
    """Return a journal that says what run it is of."""
    journal = new_journal(store=store.uri)
    journal.record(RecordKind.START, {"project": "p", "experiment": "e", "name": "n"})
    return journal


@pytest.fixture(name="shipper")
def _shipper(journal: Journal, store: Moody) -> Iterator[Shipper]:
    shipper = Shipper(journal, SharedStore(lambda: store), interval_s=0.02)
    shipper.start()
    yield shipper
    store.bytes_mood = store.records_mood = None
    store.gate.set()
    if not journal.closed:
        finish(shipper)
    shipper._thread.join(PATIENCE_SECONDS)


def finish(shipper: Shipper, wait_s: float = PATIENCE_SECONDS) -> bool:
    shipper.uploader.finish(wait_s / 2)
    shipper.journal.record(RecordKind.END, {"status": "completed"})
    return shipper.finish(wait_s)


def stage(journal: Journal, *contents: bytes, name: str = "a", source: str = "", **more: Any) -> Pending:
    """Promise an artifact that has files of these contents."""
    artifact = new_id()
    data: dict[str, Any] = {"id": artifact, "project": "p", "name": name, "type": "file", "version": None, "path": ""}
    data |= {"metadata": {}, "step": None, "created_at": time.time(), "aliases": [], "score": None}
    with journal.spooled.staging(artifact) as staging:
        for number, content in enumerate(contents):
            staging.write(str(number), content)
        return staging.publish(data, source=source, **more)


def log(shipper: Shipper, *contents: bytes, **words: Any) -> Pending:
    pending = stage(shipper.journal, *contents, **words)
    shipper.uploader.add(pending)
    return pending


def names(store: Moody, journal: Journal) -> list[str]:
    return [artifact.name for artifact in store.artifacts(journal.run)]


def content_of(store: Moody, content: bytes) -> bytes:
    with store.open_blob(sha256(content).hexdigest()) as file:
        return file.read()


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it never came to pass"
        time.sleep(0.002)


def test_an_artifact_gets_to_the_store(shipper: Shipper, store: Moody, journal: Journal) -> None:
    """With its bytes, sizes, checksums and a version; nothing of it is left in the spool."""
    log(shipper, b"weights", b"")
    assert finish(shipper)

    (artifact,) = store.artifacts(journal.run)
    assert [(file.path, file.size) for file in artifact.files] == [("0", 7), ("1", 0)]
    assert (artifact.version, artifact.size, len(artifact.checksum)) == (0, 7, 64)
    assert content_of(store, b"weights") == b"weights"
    assert not journal.directory.exists()


def test_the_spool_keeps_it_until_the_store_has_the_record(shipper: Shipper, store: Moody, journal: Journal) -> None:
    """Bytes that nothing names may be taken for garbage."""
    store.records_mood = StoreUnavailable("away")
    pending = log(shipper, b"weights")
    assert shipper.uploader.drain(PATIENCE_SECONDS)
    assert content_of(store, b"weights") == b"weights"
    assert journal.spooled.pending() == [pending]
    store.records_mood = None
    wait_until(lambda: journal.spooled.pending() == [])

    assert names(store, journal) == ["a"]


def test_bytes_that_were_taken_for_garbage_are_brought_again(
    shipper: Shipper, store: Moody, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the record had to wait for so long that nobody knew of it."""
    monkeypatch.setattr(module, "RENEW_SECONDS", 0.0)
    store.records_mood = StoreUnavailable("away")
    log(shipper, b"weights")
    assert shipper.uploader.drain(PATIENCE_SECONDS)
    store.delete_blobs(list(store.blobs()))
    store.records_mood = None
    assert finish(shipper)

    assert names(store, journal) == ["a"]
    assert content_of(store, b"weights") == b"weights"


def test_a_store_that_is_away_is_waited_for(
    shipper: Shipper, store: Moody, journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    """One warning says so, however often it is tried; metrics are shipped meanwhile."""
    store.bytes_mood = StoreUnavailable("away")
    for number in range(3):
        log(shipper, b"%d" % number, name=str(number))
    journal.log({"x": 1.0}, 1)
    assert shipper.flush(PATIENCE_SECONDS)
    wait_until(lambda: shipper.uploader.problem)
    assert (names(store, journal), len(store.summaries([journal.run])[journal.run])) == ([], 1)
    store.bytes_mood = None
    assert finish(shipper)

    assert names(store, journal) == ["0", "1", "2"]
    assert caplog.text.count("artifacts cannot be brought to its store for now") == 1


@pytest.mark.parametrize(
    "error", [OSError(errno.EIO, "broken"), RuntimeError("odd"), ImportError("no module")], ids=repr
)
def test_whatever_goes_wrong_is_tried_again(shipper: Shipper, store: Moody, journal: Journal, error: Exception) -> None:
    """A fault of a library is no reason to lose something."""
    store.bytes_mood = error
    log(shipper, b"weights")
    wait_until(lambda: shipper.uploader.problem is error)
    store.bytes_mood = None
    assert finish(shipper)

    assert names(store, journal) == ["a"]


def test_small_ones_pass_large_ones(shipper: Shipper, store: Moody, journal: Journal) -> None:
    """A figure does not wait for the checkpoint that was logged before it."""
    store.gate.clear()
    log(shipper, bytes(9 << 20), name="large")
    assert store.at_the_gate.wait(PATIENCE_SECONDS)
    small = log(shipper, b"small", name="small")
    store.gate.set()
    wait_until(lambda: small.id not in shipper.uploader._open)
    assert finish(shipper)

    assert sorted(names(store, journal)) == ["large", "small"]


def test_versions_are_in_the_order_of_the_calls(shipper: Shipper, store: Moody, journal: Journal) -> None:
    """Also where a small one follows a large one of its name."""
    log(shipper, bytes(9 << 20))
    log(shipper, b"small")
    log(shipper, b"x" * (9 << 20))
    assert finish(shipper)

    found = sorted(store.artifacts(journal.run), key=lambda artifact: artifact.version or 0)
    assert [artifact.size for artifact in found] == [9 << 20, 5, 9 << 20]


def test_what_comes_behind_the_end_is_told_all_the_same(shipper: Shipper, store: Moody, journal: Journal) -> None:
    """The run has ended for everybody; the shipper stays until its artifacts are there."""
    store.gate.clear()
    log(shipper, b"weights")
    assert not finish(shipper, wait_s=0.2)
    wait_until(lambda: store.run(journal.run).status == "completed")
    store.gate.set()
    shipper._thread.join(PATIENCE_SECONDS)

    assert names(store, journal) == ["a"]
    assert store.run(journal.run).status == "completed"
    assert not journal.directory.exists()


def test_what_nobody_wants_any_more_is_not_brought(shipper: Shipper, store: Moody, journal: Journal) -> None:
    """Neither its bytes, where they wait, nor its record, where they are on their way."""
    store.gate.clear()
    on_its_way = log(shipper, b"first", name="first")
    assert store.at_the_gate.wait(PATIENCE_SECONDS)
    waiting = log(shipper, b"second", name="second")
    log(shipper, b"third", name="third")
    assert [shipper.uploader.forget(pending.id) for pending in (on_its_way, waiting)] == [True, True]
    store.gate.set()
    assert finish(shipper)

    assert names(store, journal) == ["third"]
    assert not shipper.uploader.forget(on_its_way.id)
    assert sorted(blob.size for blob in store.blobs()) == [len(b"first"), len(b"third")]


def test_a_killed_process_leaves_them_to_the_next(journal: Journal, store: Moody) -> None:
    """Whether the journal had heard of them or not, once each, in their order."""
    for number in range(3):
        stage(journal, b"%d" % number, b"more", name=str(number))
    stage(journal, name="noted", source=str(journal.directory / "gone"))
    told = {"id": journal.spooled.pending()[0].id, "project": "p", "name": "0", "type": "file", "files": []}
    journal.offer(RecordKind.ARTIFACT, told)
    journal.close(delete=False)
    (recovered,) = recover(journal.directory.parent, lambda _: store)

    assert (recovered.artifacts, recovered.problem, recovered.closed) == (4, None, True)
    assert names(store, journal) == ["0", "1", "2", "noted"]
    assert content_of(store, b"more") == b"more"
    assert "problem" in store.artifacts(journal.run)[3].metadata
    assert not journal.directory.exists()


def test_a_recovery_that_fails_half_way_goes_on(journal: Journal, store: Moody) -> None:
    """Nothing is told twice, and nothing is lost."""
    for number in range(40):
        stage(journal, b"%d" % number, name=str(number))
    journal.close(delete=False)
    seen = iter(range(35))
    put_blob = store.put_blob

    def failing(source: BinaryIO) -> tuple[str, int]:
        if next(seen, None) is None:
            raise StoreUnavailable("away")
        return put_blob(source)

    store.put_blob = failing  # type: ignore[method-assign]  # for as long as it is away
    (first,) = recover(journal.directory.parent, lambda _: store)
    store.put_blob = put_blob  # type: ignore[method-assign]
    (second,) = recover(journal.directory.parent, lambda _: store)

    assert (first.problem, second.problem) == ("away", None)
    assert names(store, journal) == [str(number) for number in range(40)]
