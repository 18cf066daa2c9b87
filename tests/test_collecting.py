"""Garbage in a store: what nothing names goes, and nothing else, also beside those who write."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

import tracklib
from tracklib.collecting import collected
from tracklib.errors import ConfigError, CorruptData, NotFound
from tracklib.stores import bucket_blobs
from tracklib.stores.base import Store, open_store

pytestmark = pytest.mark.usefixtures("bare")


@pytest.fixture(name="uri", params=["sqlite", "file", "memory", "s3"])
def _uri(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return where the runs of a test go."""
    if request.param == "s3":
        for name, value in request.getfixturevalue("s3_server").environment().items():
            monkeypatch.setenv(name, value)
        uri = f"s3://{request.getfixturevalue('s3_prefix')}/team"
    elif request.param == "memory":
        uri = f"memory://{request.node.name}"
    else:
        uri = f"sqlite:///{Path.cwd()}/runs.db" if request.param == "sqlite" else f"file://{Path.cwd()}/shared"
    monkeypatch.setenv("TRACKLIB_STORE", uri)
    return uri


@pytest.fixture(name="store")
def _store(uri: str) -> Iterator[Store]:
    with open_store(uri) as store:
        yield store


def content(seed: int, size: int = 9 << 20) -> bytes:
    return Random(seed).randbytes(size)  # noqa: S311 - no secret


def log(run: tracklib.Run, name: str, data: bytes) -> None:
    Path("file").write_bytes(data)
    run.log_artifact("file", name)


def make_run(*seeds: int) -> tracklib.Run:
    """Record a run that has a file for each of these seeds, one for all of them, and a small one."""
    with tracklib.start_run("digits") as run:
        for seed in seeds:
            log(run, f"file{seed}", content(seed))
        run.log_text(str(seeds), "note")
        run.log_text("shared", "shared")
    return run


def everything_is_readable() -> None:
    for run in tracklib.list_runs(archived=None):
        for artifact in run.artifacts:
            run.read_artifact(artifact.name, version=artifact.version)


def test_what_a_deleted_run_leaves_is_deleted(store: Store) -> None:
    """And not what others share with it, in whole or in pieces; nor what archived runs have."""
    first, second = make_run(1, 2), make_run(2, 3)
    tracklib.archive_run(second)
    before = {blob.checksum for blob in store.blobs()}
    nothing = collected(store, -1.0, dry_run=False)
    tracklib.delete_run(first)
    seen = collected(store, -1.0, dry_run=True)
    assert {blob.checksum for blob in store.blobs()} == before
    found = collected(store, -1.0, dry_run=False)

    assert (nothing.blobs, nothing.named) == (0, len(before))
    assert seen == found
    gone = before - {blob.checksum for blob in store.blobs()}
    assert hashlib.sha256(content(1)).hexdigest() in gone
    assert hashlib.sha256(content(2)).hexdigest() not in gone
    assert len(gone) == found.blobs
    assert found.bytes > 9 << 20
    everything_is_readable()
    assert collected(store, -1.0, dry_run=False).blobs == 0


def test_what_is_young_stays(store: Store) -> None:
    """It may be named by a record that is on its way."""
    tracklib.delete_run(make_run(1))
    count = len(list(store.blobs()))
    found = collected(store, 3600.0, dry_run=False)

    assert (found.blobs, found.young, found.named) == (0, count, 0)
    assert len(list(store.blobs())) == count


def test_what_is_given_up_is_garbage(store: Store) -> None:
    """Checkpoints of which a run keeps the newest, and the best."""
    with tracklib.start_run("digits") as run:
        for seed, score in ((1, 0.5), (2, 0.9), (3, 0.7), (4, 0.8)):
            Path("model").write_bytes(content(seed))
            run.log_artifact("model", type="checkpoint", score=score, keep_last=1, step=seed)
            run.flush()
    kept = [artifact.step for artifact in tracklib.get_run(run).artifacts]
    collected(store, -1.0, dry_run=False)

    assert kept == [2, 4]
    assert tracklib.get_artifact("digits/model:best").info.step == 2
    assert {blob.checksum for blob in store.blobs() if blob.is_recipe} == {
        hashlib.sha256(content(seed)).hexdigest() for seed in (2, 4)
    }
    everything_is_readable()


def test_the_snapshot_of_a_source_is_named(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no artifact."""
    monkeypatch.setenv("TRACKLIB_AUTO_LOG_GIT", "1")
    Path("train.py").write_text("print(1)")
    with tracklib.start_run("digits") as run:
        time.sleep(0.1)
    snapshot = tracklib.get_run(run).source.snapshot or ""
    collected(store, -1.0, dry_run=False)

    store.open_blob(snapshot).close()


@pytest.mark.slow
@pytest.mark.parametrize("uri", ["sqlite", "s3"], indirect=True)
def test_writers_lose_nothing_beside_it(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They log again what deleted runs have left, while it is being deleted, with a grace of half a minute.

    A real grace is an hour at the least, and what a writer finds is made young long before; here, at once.
    """
    monkeypatch.setattr(bucket_blobs, "CLAIM_SECONDS", 0.0)
    monkeypatch.setattr(bucket_blobs, "SURE_SECONDS", 0.0)
    left = [make_run(seed) for seed in range(3)]
    for run in left:
        tracklib.delete_run(run)
    ending, freed = threading.Event(), [0]

    def collect() -> None:
        with open_store(uri) as store:
            while not ending.is_set():
                freed.append(collected(store, 30.0, dry_run=False).blobs)

    collector = threading.Thread(target=collect)
    time.sleep(29.0)
    collector.start()
    try:
        for _ in range(3):
            make_run(0, 1)
        while not sum(freed):
            time.sleep(0.1)
        make_run(2)
    finally:
        ending.set()
        collector.join()

    everything_is_readable()
    assert len(tracklib.list_runs()) == 4


def test_where_something_cannot_be_read_nothing_is_deleted(tmp_path: Path) -> None:
    """It may name what seems to be garbage."""
    uri = f"file://{tmp_path}/shared"
    with tracklib.start_run("digits", store=uri) as run:
        log(run, "file", content(1))
    (records,) = (tmp_path / "shared" / "runs" / run.id / "records").glob("*.jsonl")
    records.write_bytes(b"{ this is no record")
    with open_store(uri) as store:
        before = list(store.blobs())
        with pytest.raises(CorruptData, match="jsonl"):
            collected(store, -1.0, dry_run=False)

        assert list(store.blobs()) == before


@pytest.mark.parametrize("grace", [0, 10, -1, float("nan"), 3599.9])
def test_a_short_grace_is_refused(grace: float) -> None:
    """What is on its way would be taken for garbage."""
    make_run()
    with pytest.raises(ConfigError, match="3600 seconds or more"):
        tracklib.collect_garbage(grace_s=grace)


def test_a_store_that_is_not_there_is_told(tmp_path: Path) -> None:
    """And is not made."""
    with pytest.raises(NotFound, match="there is no store"):
        tracklib.collect_garbage(store=f"sqlite:///{tmp_path}/nothing.db")

    assert not (tmp_path / "nothing.db").exists()
