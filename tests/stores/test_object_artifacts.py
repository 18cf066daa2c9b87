"""What is asked of all artifacts in an object store: the same from snapshots as from records, and safe to delete by."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tracklib
from tracklib.errors import CorruptData
from tracklib.records import RecordKind, new_id
from tracklib.stores import object_log
from tracklib.stores.base import ArtifactQuery, RunQuery
from tracklib.stores.objects import ObjectStore
from tracklib.testing.batches import EPOCH, WriterScript, points, ship
from tracklib.testing.entities import USE, as_data
from tracklib.testing.versions import artifact_record, log_artifact


@pytest.fixture(name="machine")
def _machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return a function that opens the store as another machine would: with a cache of its own."""
    opened: list[ObjectStore] = []

    def machine(name: str) -> ObjectStore:
        monkeypatch.setenv("TRACKLIB_CACHE", str(tmp_path / name))
        store = ObjectStore(f"file://{tmp_path}/shared")
        assert store._reader.catalog  # It is in that cache from now on.
        opened.append(store)
        return store

    yield machine
    for store in opened:
        store.close()


def written(store: ObjectStore, *, final: bool = True) -> WriterScript:
    """Put a run into the store with artifacts, of which one was deleted, an alias, a use, and code."""
    script = WriterScript()
    alias = {"project": "digits", "name": "model", "alias": "prod", "version": 0, "score": 0.5}
    for content in "abc":
        log_artifact(store, content, script=script, aliases=["best", content], score=0.25, metadata={"é": content})
    log_artifact(store, "fig", script=script, project="", version=7, type="figure", step=3)
    log_artifact(store, script=script)
    gone = store.artifacts(script.run)[1]
    script.ship(
        store,
        script.record(RecordKind.ARTIFACT, id=gone.id, deleted=True),
        script.record(RecordKind.ALIAS, **alias),
        script.record(RecordKind.USE, **as_data(USE)),
        script.record(RecordKind.SOURCE, snapshot="ab" * 32),
        points({"loss": 1.0}),
    )
    if final:
        ship(store, [script.end()])
    return script


def answers(store: ObjectStore) -> list[Any]:
    """Return what a store says of its artifacts."""
    everything = store.find_artifacts(ArtifactQuery())
    return [everything, store.aliases("digits"), store.uses(), store.named_blobs()]


def checksum(content: str) -> str:
    return sha256(content.encode()).hexdigest()


# ---- snapshots


def test_a_snapshot_tells_of_artifacts_what_records_tell(machine: Any) -> None:
    """Artifacts, aliases, uses and files, of ended runs and of one that goes on."""
    here = machine("here")
    live = written(here, final=False)
    written(here)
    before = answers(here)
    here.compact(settled_s=0)
    assert answers(machine("there")) == before

    log_artifact(here, "later", script=live)
    there = machine("elsewhere")
    assert answers(there) == answers(here)
    assert there.find_artifacts(ArtifactQuery(checksum=checksum("later")))[0].version == 3
    assert len(before[0]) == 8


def make_older(store: ObjectStore) -> None:
    """Make of the snapshot one of a version that knew neither projects, aliases nor uses of artifacts."""
    (key,) = store.bucket.list("snapshots")
    table = pq.read_table(io.BytesIO(store.bucket.get(key))).drop_columns(["aliases", "uses"])
    newer = ("project", "aliases", "score")
    artifacts = [
        json.dumps([{name: value for name, value in each.items() if name not in newer} for each in json.loads(text)])
        for text in table.column("artifacts").to_pylist()
    ]
    place = table.column_names.index("artifacts")
    target = io.BytesIO()
    pq.write_table(table.set_column(place, "artifacts", pa.array(artifacts, pa.string())), target)
    store.bucket.put(key, target.getvalue())


@pytest.mark.parametrize("question", range(4))
def test_a_snapshot_of_an_older_version_is_read(machine: Any, monkeypatch: pytest.MonkeyPatch, question: int) -> None:
    """Runs are listed by it at once; who asks about artifacts first of all is told what the records say."""
    here = machine("here")
    scripts = [written(here), written(here)]
    here.compact()
    make_older(here)
    there = machine("there")
    assert {info.id for info in there.runs(RunQuery())} == {script.run for script in scripts}
    with there._reader.catalog.reading() as connection:
        assert connection.execute("SELECT count(*) FROM object_part").fetchone() == (0,)

    asked = [there.find_artifacts(ArtifactQuery()), there.aliases("digits"), there.uses(), there.named_blobs()]
    assert asked == answers(here)
    fresh = machine(f"fresh {question}")
    asks = [
        lambda: fresh.find_artifacts(ArtifactQuery()),
        lambda: fresh.aliases("digits"),
        fresh.uses,
        fresh.named_blobs,
    ]
    assert asks[question]() == answers(here)[question]
    monkeypatch.setattr(fresh._reader.refresher, "refresh_everything", None)  # Once is enough.
    assert fresh.uses() == here.uses()


# ---- what may be deleted


def test_everything_that_is_named_is_seen(machine: Any) -> None:
    """Also where a marker was lost, the run is archived, or it was deleted and others have the same file."""
    here, there = machine("here"), machine("there")
    first, second, third = WriterScript(), WriterScript(), WriterScript()
    log_artifact(here, "a", script=first)
    assert there.named_blobs() == {checksum("a")}
    log_artifact(here, "b", script=second)
    log_artifact(here, "a", script=third, project="", version=1)
    second.ship(here, second.record(RecordKind.ARCHIVE, archived_at=EPOCH), final=True)
    here.bucket.delete(list(here.bucket.list("changes")))

    assert there.named_blobs() == {checksum("a"), checksum("b")}
    here.delete_run(first.run)
    here.delete_run(second.run)
    with there.one_look():
        assert there.runs(RunQuery(ids=(third.run,)))
        log_artifact(here, "c", script=third)
        assert there.named_blobs() == {checksum("a"), checksum("c")}


@pytest.mark.parametrize("known", [False, True], ids=["new", "known"])
@pytest.mark.parametrize("damage", ["line", "state", "missing"])
def test_nothing_is_deleted_by_what_is_damaged(
    machine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str, *, known: bool
) -> None:
    """What could not be read may name files: the object is told, each time, until it is repaired."""
    monkeypatch.setattr(object_log, "RECORDS_BYTES", 400)
    here, there = machine("here"), machine("there")
    bad, good = written(here), written(here)
    here.compact()
    folder = tmp_path / "shared" / "runs" / bad.run / "records"
    assert len(list(folder.iterdir())) > 2
    if known:
        there.named_blobs()
    path = folder / "0-1.jsonl"
    whole = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        lines = whole.splitlines(keepends=True)
        path.write_bytes(b"".join([lines[0][:20] + b"\n", *lines[1:]] if damage == "line" else lines[:-1]))

    for reader in (there, there, machine("elsewhere")):
        with pytest.raises(CorruptData, match=r"records/0-1\.jsonl is (damaged|missing)"):
            reader.named_blobs()
        assert good.run in {artifact.run for artifact in reader.find_artifacts(ArtifactQuery())}
    path.write_bytes(whole)
    assert there.named_blobs() == machine("fresh").named_blobs()


def test_a_damaged_run_may_be_deleted(machine: Any, tmp_path: Path) -> None:
    """Then it names nothing."""
    here, there = machine("here"), machine("there")
    bad, good = WriterScript(), WriterScript()
    log_artifact(here, "a", script=bad)
    log_artifact(here, "b", script=good)
    path = tmp_path / "shared" / "runs" / bad.run / "records" / "0-0.jsonl"
    path.write_bytes(b"{\n" + path.read_bytes())
    with pytest.raises(CorruptData, match="until it is repaired or its run is deleted"):
        there.named_blobs()

    tracklib.delete_run(bad.run, store=here.uri)
    assert there.named_blobs() == {checksum("b")}


def test_many_runs_are_compared_in_portions(machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are, the records of few are in memory at once."""
    monkeypatch.setattr("tracklib.stores.object_refresh._MANY_RUNS", 3)
    here = machine("here")
    scripts = [WriterScript(run=new_id(EPOCH + n), clock=EPOCH + n) for n in range(10)]
    for number, script in enumerate(scripts):
        ship(here, [script.start(artifact_record(script, f"{number}"), final=True)])
    here.compact()

    assert machine("there").named_blobs() == {checksum(f"{number}") for number in range(10)}
