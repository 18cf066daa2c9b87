"""Readers of object stores: what they see of each other's changes, and how little they ask for it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import tracklib
from tracklib.errors import NotFound
from tracklib.model import Experiment, Project
from tracklib.records import Record, RecordKind, new_id
from tracklib.stores import object_refresh
from tracklib.stores.base import RunQuery
from tracklib.stores.bucket import Bucket
from tracklib.stores.objects import ObjectStore
from tracklib.testing.batches import WriterScript, points, ship


@pytest.fixture(name="root")
def _root(tmp_path: Path) -> str:
    return f"file://{tmp_path}/shared"


@pytest.fixture(name="machine")
def _machine(root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return a function that opens the store as another machine would: with a cache of its own."""
    opened: list[ObjectStore] = []

    def machine(name: str) -> ObjectStore:
        monkeypatch.setenv("TRACKLIB_CACHE", str(tmp_path / name))
        store = ObjectStore(root)
        assert store._reader.catalog  # It is in that cache from now on.
        opened.append(store)
        return store

    yield machine
    for store in opened:
        store.close()


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Give the names of the operations on buckets while this lasts, each of which is one request or a page of it."""
    calls: list[str] = []
    with monkeypatch.context() as patched:
        for name in ("get", "list", "put", "token", "delete"):
            original = getattr(Bucket, name)

            def counting(self: Bucket, *args: Any, _original: Any = original, _name: str = name) -> Any:
                calls.append(_name)
                return _original(self, *args)

            patched.setattr(Bucket, name, counting)
        yield calls


def finished(store: ObjectStore, name: str = "first", **columns: float) -> WriterScript:
    """Put a run into the store that has ended."""
    script = WriterScript(name=name)
    params = script.record(RecordKind.PARAMS, params={"lr": 0.1, "name": name})
    ship(store, [script.start(params, points({"loss": 1.0, **columns})), script.end(duration=2.0)])
    return script


def test_two_machines_see_each_other(machine: Any) -> None:
    """Runs, live points, edits, archived and deleted runs, projects: what one does the other sees."""
    here, there = machine("here"), machine("there")
    script = WriterScript()
    script.ship(here, points({"loss": 1.0}))
    assert [info.id for info in there.runs(RunQuery())] == [script.run]
    script.ship(here, points({"loss": 2.0}, steps=[1]))
    assert there.summaries([script.run])[script.run]["loss"].last == 2.0
    assert [info.status for info in there.runs(RunQuery())] == ["running"]
    ship(here, [script.end()])
    assert [info.status for info in there.runs(RunQuery())] == ["completed"]

    edited = tracklib.edit_run(script.run, name="renamed", tags={"a": "b"}, store=there.uri)
    assert (edited.name, [info.name for info in here.runs(RunQuery())]) == ("renamed", ["renamed"])
    tracklib.archive_run(script.run, store=here.uri)
    assert (there.runs(RunQuery()), len(there.runs(RunQuery(archived=True)))) == ([], 1)
    tracklib.restore_run(script.run, store=there.uri)
    assert len(here.runs(RunQuery())) == 1
    there.put_project(Project(id="", name="digits", description="of both"))
    assert [project.description for project in here.projects()] == ["of both"]
    there.delete_run(script.run)
    assert here.runs(RunQuery(archived=None)) == []
    with pytest.raises(NotFound):
        here.series(script.run, "loss")


def test_nothing_new_costs_little(machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many runs there are, finding that nothing has changed takes a handful of requests."""
    store = machine("here")
    for number in range(40):
        finished(store, f"run-{number}")
    assert len(store.runs(RunQuery())) == 40

    with counted(monkeypatch) as calls:
        assert len(store.runs(RunQuery())) == 40
    assert len(calls) <= 6
    with counted(monkeypatch) as calls:
        assert store.summaries([store.runs(RunQuery(limit=1))[0].id])
    assert len(calls) <= 7


def test_one_look_answers_many_questions(machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command asks several things of one state; afterwards each question looks anew."""
    store, other = machine("here"), machine("there")
    finished(other)
    with store.one_look(), counted(monkeypatch) as calls:
        for _ in range(3):
            assert len(store.runs(RunQuery())) == len(store.projects()) == 1
        finished(other, "second")
        assert len(store.runs(RunQuery())) == 1
    assert calls.count("list") <= 8

    assert len(store.runs(RunQuery())) == 2
    finished(other, "third")
    assert len(store.runs(RunQuery())) == 3


def test_one_new_run_costs_what_it_has(machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is listed and read; the others are left alone."""
    store, other = machine("here"), machine("there")
    for number in range(20):
        finished(other, f"run-{number}")
    store.runs(RunQuery())
    finished(other, "new")

    with counted(monkeypatch) as calls:
        assert store.runs(RunQuery())[0].name in {"new", "run-0"}
    assert calls.count("get") == 2  # The format, and the run's records.
    assert calls.count("list") <= 5


def test_a_new_reader_begins_with_the_snapshot(machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """It reads one object for all runs, and what came later beside it."""
    here = machine("here")
    scripts = [finished(here, f"run-{number}", extra=float(number)) for number in range(30)]
    live = WriterScript(name="live")
    live.ship(here, points({"loss": 5.0}))
    tracklib.edit_run(scripts[0].run, tags={"a": "b"}, store=here.uri)
    tracklib.archive_run(scripts[1].run, store=here.uri)
    here.compact()
    later = finished(here, "later")
    live.ship(here, points({"loss": 6.0}, steps=[1]))
    there = machine("there")

    with counted(monkeypatch) as calls:
        found = {info.id: info for info in there.runs(RunQuery(archived=None))}
    assert calls.count("get") == 4  # The format, the snapshot, and two runs.
    assert found == {info.id: info for info in here.runs(RunQuery(archived=None))}
    assert found[later.run].name == "later"
    ids = [script.run for script in (*scripts, live, later)]
    assert there.summaries(ids) == here.summaries(ids)
    for run in (scripts[0].run, scripts[1].run, live.run):
        assert there.run(run) == here.run(run)
        assert there.events(run) == here.events(run)
    assert [info.id for info in there.runs(RunQuery(order_by="extra", limit=2))] == [scripts[29].run, scripts[28].run]


def test_what_is_not_finite_outlives_a_snapshot(machine: Any) -> None:
    """NaN and infinities are the same in summaries and params that come from a snapshot."""
    here = machine("here")
    script = WriterScript()
    odd = {"nan": [float("nan")], "inf": [float("inf")], "both": [float("-inf"), float("nan")]}
    params = script.record(RecordKind.PARAMS, params={"x": {"$float": "nan"}, "none": None, "é'\n": [1, {"a": 2}]})
    ship(
        here,
        [script.start(params), script.batch(*(points({name: column}) for name, column in odd.items())), script.end()],
    )
    here.compact()

    there = machine("there")
    assert repr(there.runs(RunQuery())) == repr(here.runs(RunQuery()))
    assert repr(there.summaries([script.run, script.run])) == repr(here.summaries([script.run, script.run]))


def test_snapshots_that_are_damaged_are_passed_over(
    machine: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An older one will do, and without any the runs are looked at one by one; each damaged one is named."""
    here = machine("here")
    first = finished(here)
    here.compact()
    second = finished(here, "second")
    here.compact()
    snapshots = sorted((tmp_path / "shared" / "snapshots").iterdir())
    snapshots[1].write_bytes(snapshots[1].read_bytes()[:-20])

    assert {info.id for info in machine("there").runs(RunQuery())} == {first.run, second.run}
    assert snapshots[1].name in caplog.text
    snapshots[0].write_bytes(b"")
    assert {info.id for info in machine("elsewhere").runs(RunQuery())} == {first.run, second.run}


def test_a_store_that_was_made_anew_is_another_one(machine: Any, tmp_path: Path) -> None:
    """What readers remember of a deleted store is not told of the new one under the same name."""
    import shutil

    here, there = machine("here"), machine("there")
    finished(here)
    assert len(there.runs(RunQuery())) == 1
    shutil.rmtree(tmp_path / "shared")
    with pytest.raises(NotFound, match="there is no store at"):
        there.runs(RunQuery())
    fresh = finished(ObjectStore(here.uri), "fresh")

    assert [info.id for info in there.runs(RunQuery())] == [fresh.run]
    there.close()


def test_a_reader_that_was_away_for_long_begins_anew(machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Markers of that time may be gone."""
    here, there = machine("here"), machine("there")
    finished(here)
    assert len(there.runs(RunQuery())) == 1
    script = finished(here, "second")
    for key in here.bucket.list("changes"):
        here.bucket.delete([key])
    assert len(there.runs(RunQuery())) == 1

    monkeypatch.setattr(object_refresh, "STALE_SECONDS", -1.0)
    assert script.run in {info.id for info in there.runs(RunQuery())}


def test_a_look_at_one_run_changes_nothing_for_the_others(machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is looked at alone takes few requests, and does not seem to have made what others made before."""
    here = machine("here")
    here.put_experiment(Experiment(id="", project="digits", name="sweep", hypothesis="h", created_at=5.0))
    script = finished(here)
    there = machine("there")

    with counted(monkeypatch) as calls:
        assert there.run(script.run).name == "first"
    assert calls == ["list"] or sorted(calls) == ["get", "list"]
    assert [(e.name, e.hypothesis, e.created_at) for e in there.experiments()] == [("sweep", "h", 5.0)]
    here.put_experiment(Experiment(id="", project="new", name="place", created_at=7.0))
    tracklib.edit_run(script.run, project="new", experiment="place", store=here.uri)
    assert there.run(script.run).project == "new"
    assert [(e.name, e.created_at) for e in there.experiments("new")] == [("place", 7.0)]


def test_clocks_may_differ(machine: Any) -> None:
    """A marker that is some minutes older than one that was seen before is seen all the same."""
    here, there = machine("here"), machine("there")
    finished(here)
    assert len(there.runs(RunQuery())) == 1
    script = finished(here, "of a slow clock")
    for key in here.bucket.list("changes"):
        if key.endswith(script.run):
            here.bucket.delete([key])
    here.bucket.put(f"changes/{new_id(time.time() - 600)}-{script.run}", b"")

    assert {info.id for info in there.runs(RunQuery())} >= {script.run}


def test_a_silent_run_is_looked_at_when_it_comes_back(machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs that nobody heard of for long cost nothing; their writer leaves a marker when it goes on."""
    here, there = machine("here"), machine("there")
    script = WriterScript()
    script.ship(here, points({"loss": 1.0}))
    assert len(there.runs(RunQuery())) == 1
    monkeypatch.setattr(object_refresh, "SILENT_SECONDS", -60.0)
    script.ship(here, points({"loss": 2.0}, steps=[1]))
    with counted(monkeypatch) as calls:
        there.runs(RunQuery())
    assert calls.count("get") == 1

    monkeypatch.setattr("tracklib.stores.object_writing.FORGET_SECONDS", 0.0)
    script.ship(here, points({"loss": 3.0}, steps=[2]))
    there.runs(RunQuery())
    with there._reader.catalog.reading() as connection:
        assert connection.execute("SELECT last FROM series WHERE name = 'loss'").fetchone() == (3.0,)


def test_foreign_objects_are_left_alone(machine: Any, tmp_path: Path) -> None:
    """Whatever else lies in the bucket is neither read nor deleted."""
    here = machine("here")
    script = finished(here)
    strangers = ["notes.txt", "changes/readme", f"runs/{script.run}/records/x.txt", "runs/stray", "snapshots/x.parquet"]
    for name in strangers:
        path = tmp_path / "shared" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("hello")

    assert [info.id for info in machine("there").runs(RunQuery())] == [script.run]
    here.compact(settled_s=0)
    here.delete_run(script.run)
    assert all((tmp_path / "shared" / name).exists() for name in strangers)


def test_damaged_records_are_named_and_the_rest_is_read(
    machine: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A bad line, a state that is missing, half an object: what can be read is read, and each object is told once."""
    here = machine("here")
    good, bad = finished(here, "good"), finished(here, "bad", acc=3.0)
    path = tmp_path / "shared" / "runs" / bad.run / "records" / "0-0.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], b'{"kind": "tags", "time"\n', *lines[1:-1], lines[-1][:40]]))

    there = machine("there")
    assert {info.name for info in there.runs(RunQuery())} == {"good", "bad"}
    assert there.run(bad.run).params == {"lr": 0.1, "name": "bad"}
    assert there.series(bad.run, "acc").values.tolist() == [3.0]
    assert there.summaries([bad.run])[bad.run]["acc"].last == 3.0
    assert there.summaries([good.run])[good.run]["loss"].last == 1.0
    assert caplog.text.count(f"{bad.run}/records/0-0.jsonl is damaged") == 1


def test_damaged_points_are_named_and_the_rest_is_read(
    machine: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a segment: its points are missing, those of the others are there."""
    monkeypatch.setattr("tracklib.stores.object_log.SEGMENT_ROWS", 2)
    here = machine("here")
    script = WriterScript()
    for step in range(3):
        script.ship(here, points({"loss": [step, step]}, steps=[2 * step, 2 * step + 1]))
    path = tmp_path / "shared" / "runs" / script.run / "metrics" / "0-1.parquet"
    path.write_bytes(path.read_bytes()[:100])

    assert here.series(script.run, "loss").steps.tolist() == [0, 1, 4, 5]
    assert "metrics/0-1.parquet is damaged" in caplog.text


@pytest.mark.parametrize("size", [0, 10, 5000])
def test_a_damaged_cache_is_made_anew(machine: Any, size: int) -> None:
    """There is nothing in it that is not in the store."""
    here = machine("here")
    script = finished(here)
    assert len(here.runs(RunQuery())) == 1
    path = here._reader.catalog.path
    here.close()
    for beside in path.parent.glob(f"{path.name}-*"):
        beside.unlink()
    path.write_bytes(b"SQLite format 3\0"[:size] + b"x" * max(0, size - 16))

    with ObjectStore(here.uri) as again:
        assert [info.id for info in again.runs(RunQuery())] == [script.run]
        assert again.series(script.run, "loss").values.tolist() == [1.0]


def test_a_newer_format_is_refused(machine: Any) -> None:
    """A store of a later version is not half understood."""
    here = machine("here")
    finished(here)
    here.bucket.put("tracklib.json", json.dumps({"format": 99, "store": new_id()}).encode())

    for attempt in (lambda: here.runs(RunQuery()), here.check, lambda: finished(ObjectStore(here.uri))):
        with pytest.raises(tracklib.errors.StoreVersion, match=r"version 99.*upgrade"):
            attempt()


def test_batches_go_on_after_a_crash_between_points_and_records(machine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Points that were written and never confirmed do not count, and are not there twice when they come again."""
    here = machine("here")
    script = WriterScript()
    script.ship(here, points({"loss": [1.0]}))
    batch = script.batch(points({"loss": [2.0, 3.0]}, steps=[1, 2]), Record("message", 5.0, {"text": "hi"}))
    original = Bucket.put

    def put(self: Bucket, key: str, data: bytes) -> str:
        if key.endswith(".jsonl"):
            raise tracklib.errors.StoreUnavailable("away")
        return original(self, key, data)

    with monkeypatch.context() as patched:
        patched.setattr(Bucket, "put", put)
        with pytest.raises(tracklib.errors.StoreUnavailable):
            here.append(batch)
    there = machine("there")
    assert there.series(script.run, "loss", every=True).values.tolist() == [1.0]

    assert there.append(batch) == batch.end
    assert here.append(batch) == batch.end
    assert there.series(script.run, "loss", every=True).values.tolist() == [1.0, 2.0, 3.0]
    assert here.summaries([script.run])[script.run]["loss"].count == 3
