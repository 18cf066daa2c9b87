"""Compacting an object store: nothing is lost or doubled, whoever else is at work and wherever it is broken off."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest

from tracklib.errors import StoreUnavailable
from tracklib.records import new_id
from tracklib.stores import compaction, object_export, object_log, object_writing
from tracklib.stores.base import RunQuery
from tracklib.stores.bucket import Bucket
from tracklib.stores.objects import ObjectStore
from tracklib.stores.sqlite import SqliteStore
from tracklib.testing.batches import WriterScript, points, ship


@pytest.fixture(name="store")
def _store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    """Return a store whose segments are full with ten points."""
    monkeypatch.setattr(object_log, "SEGMENT_ROWS", 10)
    with ObjectStore(f"file://{tmp_path}/shared") as store:
        yield store


def written(store: ObjectStore, segments: int, *, writer: str = "0", end: bool = True) -> WriterScript:
    """Put a run into the store whose writer has so many segments."""
    script = WriterScript(writer=writer)
    ship(store, [script.start()])
    for number in range(segments):
        steps = range(10 * number, 10 * number + 10)
        ship(store, [script.batch(points({"loss": np.arange(10.0) + number}, steps=steps))])
    if end:
        ship(store, [script.end()])
    return script


def segments(store: ObjectStore, run: str) -> list[str]:
    return sorted(key.rpartition("/")[2] for key in store.bucket.list(f"runs/{run}/metrics"))


def test_segments_of_ended_runs_are_put_together(store: ObjectStore) -> None:
    """One file instead of seven, and every point and summary is what it was."""
    script, short = written(store, 7), written(store, 1)
    before = store.series(script.run, "loss", every=True), store.summaries([script.run])

    done = store.compact(settled_s=0)

    assert (done.runs, done.merged) == (2, 7)
    assert segments(store, script.run) == ["0-0_6.parquet"]
    assert segments(store, short.run) == ["0-0.parquet"]
    after = store.series(script.run, "loss", every=True), store.summaries([script.run])
    assert [column.tobytes() for column in before[0]] == [column.tobytes() for column in after[0]]
    assert before[1] == after[1]
    assert store.compact(settled_s=0).merged == 0


def test_live_runs_and_fresh_ones_are_left_alone(store: ObjectStore) -> None:
    """Somebody may still write to them."""
    live, fresh = written(store, 4, end=False), written(store, 4)

    assert store.compact(settled_s=3600).merged == 0
    assert store.compact(settled_s=0).merged == 4
    assert len(segments(store, live.run)) == 4
    assert len(segments(store, fresh.run)) == 1


def test_a_writer_goes_on_after_its_segments_were_put_together(
    store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had said how its run stands, was silent for long, and logs again: its last segment is no more."""
    script = written(store, 3)
    with ObjectStore(store.uri) as other:
        other.compact(settled_s=0)
    monkeypatch.setattr(object_writing, "FORGET_SECONDS", 0.0)
    ship(store, [script.batch(points({"loss": [7.0]}, steps=[99]))])

    assert segments(store, script.run) == ["0-0_2.parquet", "0-3.parquet"]
    assert store.series(script.run, "loss", every=True).steps.tolist() == [*range(30), 99]
    assert store.compact(settled_s=0).merged == 2
    assert segments(store, script.run) == ["0-0_3.parquet"]
    assert store.series(script.run, "loss", every=True).steps.tolist() == [*range(30), 99]


@pytest.mark.parametrize("broken", ["put snapshot", "put merged", "delete"])
def test_a_compaction_that_is_broken_off_harms_nobody(
    store: ObjectStore, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever it ends, readers see each point once, and the next one does the rest."""
    script = written(store, 5)
    put = Bucket.put

    def failing_put(self: Bucket, key: str, data: bytes) -> str:
        if (broken == "put snapshot" and "snapshots" in key) or (broken == "put merged" and "_" in key):
            raise StoreUnavailable("away")
        return put(self, key, data)

    def failing_delete(bucket: Bucket, keys: list[str]) -> None:
        raise StoreUnavailable(f"{len(keys)} objects of {bucket} are away")

    with monkeypatch.context() as patched:
        patched.setattr(Bucket, "put", failing_put)
        if broken == "delete":
            patched.setattr(Bucket, "delete", failing_delete)
        with pytest.raises(StoreUnavailable):
            store.compact(settled_s=0)

    assert store.series(script.run, "loss", every=True).steps.tolist() == [*range(50)]
    store.compact(settled_s=0)
    assert segments(store, script.run) == ["0-0_4.parquet"]
    assert store.series(script.run, "loss", every=True).steps.tolist() == [*range(50)]


def test_compactors_writers_and_readers_work_side_by_side(store: ObjectStore) -> None:
    """Two compact again and again while runs are written and read: no point is missed or seen twice."""
    ended = [written(store, 4) for _ in range(4)]
    done = Event()

    def compact() -> None:
        with ObjectStore(store.uri) as own:
            while not done.is_set():
                own.compact(settled_s=0)

    def write() -> list[WriterScript]:
        with ObjectStore(store.uri) as own:
            return [written(own, 5) for _ in range(8)]

    def read() -> int:
        looks = 0
        with ObjectStore(store.uri) as own:
            while not done.is_set():
                for script in ended:
                    assert own.series(script.run, "loss", every=True).steps.tolist() == [*range(40)]
                    looks += 1
        return looks

    with ThreadPoolExecutor(5) as pool:
        others = [pool.submit(action) for action in (compact, compact, read)]
        scripts = [script for future in [pool.submit(write) for _ in range(2)] for script in future.result()]
        time.sleep(0.3)
        done.set()
        assert [future.exception() for future in others] == [None] * 3

    assert len(store.runs(RunQuery())) == 20
    for script in scripts:
        assert store.series(script.run, "loss", every=True).steps.tolist() == [*range(50)]


def test_a_damaged_segment_is_not_put_together(
    store: ObjectStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is deleted that somebody may still repair."""
    script = written(store, 3)
    path = tmp_path / "shared" / "runs" / script.run / "metrics" / "0-1.parquet"
    path.write_bytes(b"half")

    assert store.compact(settled_s=0).merged == 0
    assert len(segments(store, script.run)) == 3
    assert "stay as they are" in caplog.text


def test_what_nobody_needs_is_deleted_in_the_end(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Old markers and snapshots, and what a deletion that was broken off has left."""
    script, other = written(store, 2), written(store, 2)
    old = f"changes/{new_id(time.time() - 30 * 86_400)}-{script.run}"
    store.bucket.put(old, b"")
    store.bucket.put(f"runs/{other.run}/deleted.json", b"{}")
    store.compact()
    assert [info.id for info in store.runs(RunQuery(archived=None))] == [script.run]
    assert list(store.bucket.list(f"runs/{other.run}")) == [f"runs/{other.run}/deleted.json"]
    assert old not in store.bucket.list("changes")

    monkeypatch.setattr(compaction, "SNAPSHOT_SECONDS", 0.0)
    for _ in range(4):
        store.compact()
    assert len(store.bucket.list("snapshots")) == 2


def test_large_groups_are_parted(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that are put together do not grow without limit."""
    script = written(store, 6)
    sizes: Any = store.bucket.list(f"runs/{script.run}/metrics").values()
    monkeypatch.setattr(compaction, "MERGED_ROWS", 2 * max(listed.size for listed in sizes) // 4)
    store.compact(settled_s=0)

    assert segments(store, script.run) == ["0-0_1.parquet", "0-2_3.parquet", "0-4_5.parquet"]
    assert store.series(script.run, "loss", every=True).steps.tolist() == [*range(60)]


def test_a_sqlite_store_keeps_itself_compact(tmp_path: Path) -> None:
    """There is nothing to do."""
    with SqliteStore(f"sqlite:///{tmp_path}/runs.db") as store:
        done = store.compact()

    assert (done.runs, done.merged, done.deleted) == (0, 0, 0)


def test_a_copy_goes_on_after_its_source_was_compacted(
    store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it had stopped is a place in the log, not in a file."""
    monkeypatch.setattr(object_export, "MOST_ROWS", 15)
    script = written(store, 7)
    before = [(batch.start, batch.end, batch.points) for batch in store.export(script.run)]
    assert len(before) > 3
    with SqliteStore(f"sqlite:///{tmp_path}/copy.db") as copy:
        for batch in list(store.export(script.run))[:2]:
            copy.append(batch)
        store.compact(settled_s=0)
        assert [(batch.start, batch.end, batch.points) for batch in store.export(script.run)] == before
        for batch in store.export(script.run):
            copy.append(batch)

        assert copy.series(script.run, "loss", every=True).steps.tolist() == [*range(70)]
        assert copy.run(script.run).status == "completed"
