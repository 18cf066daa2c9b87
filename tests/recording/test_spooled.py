"""The bytes of artifacts between a program and its store."""

from __future__ import annotations

import io
import logging
import os
import threading
import time
from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from tracklib.errors import CorruptData, StoreUnavailable
from tracklib.recording.remains import sweep
from tracklib.recording.spooled import STALE_SECONDS, SpooledBlobs
from tracklib.records import Record, RecordKind
from tracklib.stores.sqlite import SqliteStore


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    """Return the folder of a run in a spool."""
    return tmp_path / "spool" / "run"


@pytest.fixture(name="blobs")
def _blobs(folder: Path) -> SpooledBlobs:
    return SpooledBlobs(folder, "0")


class Moody(SqliteStore):
    """A store that can be away, or take files only as bytes."""

    mood: Exception | None = None
    as_bytes = False

    def keep_file(self, path: Path, checksum: str) -> None:
        if self.mood is not None:
            raise self.mood
        if self.as_bytes:
            super(SqliteStore, self).keep_file(path, checksum)
        else:
            super().keep_file(path, checksum)


@pytest.fixture(name="store", params=["moved", "as bytes"])
def _store(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Moody]:
    """Return a store that moves files to itself, or one that copies them."""
    with Moody(f"sqlite:///{tmp_path / 'runs.db'}") as store:
        store.as_bytes = request.param == "as bytes"
        yield store


def named(*contents: bytes, **metadata: Any) -> Record:
    """Return the record of an artifact that has files of these contents."""
    files = [{"path": "x", "size": len(content), "checksum": sha256(content).hexdigest()} for content in contents]
    return Record(RecordKind.ARTIFACT, 0.0, {"files": files, "metadata": metadata})


def keep(blobs: SpooledBlobs, *contents: bytes) -> Record:
    """Spool these contents; return the record that names them."""
    with blobs.staging() as staging:
        for content in contents:
            staging.add(io.BytesIO(content))
        staging.publish(lambda: True)
    return named(*contents)


def said(records: list[Any], record: Any) -> bool:
    """Write a record, as a journal does."""
    records.append(record)
    return True


def content_of(store: Moody, content: bytes) -> bytes:
    with store.open_blob(sha256(content).hexdigest()) as file:
        return file.read()


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def names(*contents: bytes) -> list[str]:
    return sorted(sha256(content).hexdigest() for content in contents)


# ---- into the spool


def test_a_copy_has_its_checksum_as_its_name(blobs: SpooledBlobs, folder: Path) -> None:
    """It gets it before the record is written that names it."""
    seen: list[list[str]] = []
    with blobs.staging() as staging:
        spooled = staging.add(io.BytesIO(b"weights"))
        assert seen == []
        assert files_in(folder) != names(b"weights")
        staging.publish(lambda: said(seen, files_in(folder)))

    assert spooled == (sha256(b"weights").hexdigest(), 7)
    assert seen == [names(b"weights")]
    assert (folder / "0.blobs" / spooled.checksum).read_bytes() == b"weights"


def test_the_same_content_is_there_once(blobs: SpooledBlobs, folder: Path) -> None:
    """Within an artifact and among several."""
    keep(blobs, b"a", b"b", b"a")
    keep(blobs, b"a")

    assert files_in(folder) == names(b"a", b"b")


class Failing(io.BytesIO):
    """A file that cannot be read to its end."""

    def read(self, size: int | None = -1) -> bytes:
        if self.tell():
            raise OSError(5, "Input/output error")
        return super().read(10)


def test_a_file_that_fails_leaves_nothing(blobs: SpooledBlobs, folder: Path) -> None:
    """Nor do those before it: an artifact is kept whole or not at all."""
    with blobs.staging() as staging:
        staging.add(io.BytesIO(b"first"))
        with pytest.raises(OSError, match="Input/output error"):
            staging.add(Failing(b"x" * 100))

    assert files_in(folder) == []


def test_bytes_without_a_record_are_not_kept(blobs: SpooledBlobs, folder: Path) -> None:
    """But for those that another record names."""
    keep(blobs, b"a")
    with blobs.staging() as staging:
        for content in (b"a", b"b"):
            staging.add(io.BytesIO(content))
        staging.publish(lambda: False)
    with blobs.staging() as staging:
        staging.add(io.BytesIO(b"c"))
        with pytest.raises(OSError, match="full"):
            staging.publish(no_room)

    assert files_in(folder) == names(b"a")


def no_room() -> bool:
    raise OSError(28, "the disk is full")


def test_a_spool_that_was_deleted_is_made_again(blobs: SpooledBlobs, folder: Path) -> None:
    """As a journal makes its folder again."""
    keep(blobs, b"a")
    blobs.clear()
    folder.rmdir()
    keep(blobs, b"b")

    assert files_in(folder) == names(b"b")


# ---- out of the spool


def test_a_store_takes_what_records_name(blobs: SpooledBlobs, folder: Path, store: Moody) -> None:
    """And what it has is not kept twice."""
    record = keep(blobs, b"a", b"b", b"")
    keep(blobs, b"c")
    blobs.bring(store, [Record(RecordKind.PARAMS, 0.0, {"params": {}}), record])

    assert [content_of(store, content) for content in (b"a", b"b", b"")] == [b"a", b"b", b""]
    assert files_in(folder) == names(b"c")


def test_the_snapshot_of_a_source_is_a_blob_too(blobs: SpooledBlobs, folder: Path, store: Moody) -> None:
    """Its record names it otherwise."""
    keep(blobs, b"zip")
    blobs.bring(store, [Record(RecordKind.SOURCE, 0.0, {"snapshot": sha256(b"zip").hexdigest(), "diff": ""})])
    blobs.bring(store, [Record(RecordKind.SOURCE, 0.0, {"snapshot": None}), Record(RecordKind.SOURCE, 0.0, {})])

    assert content_of(store, b"zip") == b"zip"
    assert files_in(folder) == []


def test_bringing_twice_is_harmless(
    blobs: SpooledBlobs, store: Moody, caplog: pytest.LogCaptureFixture, folder: Path
) -> None:
    """What the store has may come again, or be missing from the spool: nobody is warned of that."""
    record = keep(blobs, b"a")
    blobs.bring(store, [record, record])
    blobs.bring(store, [record])
    keep(blobs, b"a")
    blobs.bring(store, [record])

    assert content_of(store, b"a") == b"a"
    assert files_in(folder) == []
    assert caplog.records == []


def test_writers_of_a_run_do_not_touch_each_others(folder: Path, store: Moody) -> None:
    """Each has a folder, though they have the same content."""
    one, other = SpooledBlobs(folder, "0"), SpooledBlobs(folder, "0.9k2m4x7q1a")
    record = keep(one, b"a")
    keep(other, b"a")
    one.bring(store, [record])
    one.clear()
    assert files_in(folder) == names(b"a")
    other.bring(store, [record])

    assert files_in(folder) == []
    assert content_of(store, b"a") == b"a"


def test_a_store_that_is_away_gets_them_later(blobs: SpooledBlobs, folder: Path, store: Moody) -> None:
    """Until then they stay."""
    record = keep(blobs, b"a")
    store.mood = StoreUnavailable("away")
    with pytest.raises(StoreUnavailable):
        blobs.bring(store, [record])
    assert files_in(folder) == names(b"a")
    store.mood = None
    blobs.bring(store, [record])

    assert content_of(store, b"a") == b"a"


def test_a_damaged_copy_is_set_aside(
    blobs: SpooledBlobs, folder: Path, store: Moody, caplog: pytest.LogCaptureFixture
) -> None:
    """The others are brought, and somebody can look at it."""
    record = keep(blobs, b"a", b"b")
    (folder / "0.blobs" / sha256(b"a").hexdigest()).write_bytes(b"A")
    blobs.bring(store, [record])
    blobs.bring(store, [record])

    damaged = folder / f"0-{sha256(b'a').hexdigest()}.damaged"
    assert blobs.damaged == [damaged]
    assert damaged.read_bytes() == b"A"
    assert content_of(store, b"b") == b"b"
    aside, missing = (record.getMessage() for record in caplog.records)
    assert "is damaged and is kept as" in aside
    assert "cannot be read from its store: its copy in the spool is damaged" in missing


def test_a_store_that_is_damaged_itself_is_not_believed(blobs: SpooledBlobs, folder: Path, store: Moody) -> None:
    """A copy that is sound waits, whatever the store says."""
    record = keep(blobs, b"a")
    store.mood = CorruptData("the list of files is damaged")
    with pytest.raises(CorruptData, match="the list of files"):
        blobs.bring(store, [record])

    assert (files_in(folder), blobs.damaged) == (names(b"a"), [])


def test_a_copy_that_is_missing_is_told_once(
    blobs: SpooledBlobs, store: Moody, caplog: pytest.LogCaptureFixture
) -> None:
    """Somebody has deleted it; the record is worth shipping all the same."""
    for _ in range(2):
        blobs.bring(store, [named(b"a"), named(b"a")])

    (warning,) = caplog.records
    assert (warning.levelno, sha256(b"a").hexdigest() in warning.getMessage()) == (logging.WARNING, True)


def test_what_was_only_noted_is_missed_by_nobody(
    blobs: SpooledBlobs, store: Moody, caplog: pytest.LogCaptureFixture
) -> None:
    """A reference has checksums and no bytes; where there are some, its metadata were somebody's own words."""
    blobs.bring(store, [named(b"a", reference=True)])
    keep(blobs, b"b")
    blobs.bring(store, [named(b"b", reference=True)])

    assert caplog.records == []
    assert content_of(store, b"b") == b"b"


@pytest.mark.parametrize("checksum", ["../../../etc/passwd", "", "a" * 63, None, 5, "A" * 64])
def test_only_checksums_are_looked_for(blobs: SpooledBlobs, store: Moody, checksum: Any) -> None:
    """A record may say anything."""
    blobs.bring(store, [Record(RecordKind.ARTIFACT, 0.0, {"files": [{"checksum": checksum}], "metadata": None})])
    blobs.bring(store, [Record(RecordKind.SOURCE, 0.0, {"snapshot": checksum}), Record(RecordKind.ARTIFACT, 0.0, {})])

    assert blobs.damaged == []


def test_new_copies_are_synced_whatever_became_of_them(blobs: SpooledBlobs, store: Moody) -> None:
    """One that the store has by then is none of ours."""
    blobs.bring(store, [keep(blobs, b"a")])
    keep(blobs, b"b")
    blobs.sync()
    blobs.sync()

    assert not blobs._unsynced


def test_many_threads_and_a_shipper(blobs: SpooledBlobs, folder: Path, store: Moody) -> None:
    """The same contents come and go; whatever a record names, the store has after it was brought."""
    records: list[Record] = []
    kinds = [bytes([number]) * 1000 for number in range(5)]

    def work(number: int) -> None:
        for step in range(40):
            content = kinds[(number + step) % 5]
            with blobs.staging() as staging:
                staging.add(io.BytesIO(content))
                staging.publish(partial(said, records, named(content)))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    brought = 0
    while brought < 160:
        known = len(records)
        blobs.sync()
        blobs.bring(store, records[brought:known])
        brought = known
    for thread in threads:
        thread.join()

    assert [content_of(store, content) for content in kinds] == kinds
    assert set(files_in(folder)) <= set(names(*kinds))
    assert blobs.damaged == []


# ---- what is left


def test_blobs_without_a_journal_are_swept_after_a_while(blobs: SpooledBlobs, folder: Path) -> None:
    """Nothing names them; but a process may just be about to delete them itself."""
    keep(blobs, b"a")
    blobs.create()
    sweep(folder)
    assert len(files_in(folder)) == 2
    for path in blobs.folder.iterdir():
        os.utime(path, (0, time.time() - STALE_SECONDS - 1))
    sweep(folder)

    assert not folder.exists()


@pytest.mark.parametrize("beside", ["0-0.journal", "0-3.damaged", "0-1.17.tmp"])
def test_blobs_beside_a_journal_are_left_alone(blobs: SpooledBlobs, folder: Path, beside: str) -> None:
    """However old they are; so are those beside a damaged one, which may yet be read by somebody."""
    keep(blobs, b"a")
    (folder / beside).touch()
    for path in blobs.folder.iterdir():
        os.utime(path, (0, 0))
    sweep(folder)

    assert files_in(folder) == sorted([beside, *names(b"a")])


def test_a_source_is_read_in_pieces(blobs: SpooledBlobs) -> None:
    """However large it is."""
    sizes: list[int] = []

    class Endless(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            sizes.append(size or 0)
            return b"x" * 1000 if len(sizes) < 10 else b""

    source: BinaryIO = Endless()
    with blobs.staging() as staging:
        spooled = staging.add(source)

    assert spooled.size == 9000
    assert set(sizes) == {1 << 20}
