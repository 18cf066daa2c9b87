"""Objects that are cut off, damaged, or none of ours: each is named once and passed over, and the rest is read."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import tracklib
from tracklib.errors import CorruptData
from tracklib.stores.objects import ObjectStore

Start = Callable[..., Any]

TWO_RUNS = """
import sys, tracklib

quiet = {"auto_log_git": False, "auto_log_env": False, "auto_log_console": False, "system_interval": 0}
tracklib.init(f"file://{sys.argv[1]}/team", spool=f"{sys.argv[1]}/spool", cache=f"{sys.argv[1]}/cache", **quiet)
tracklib.set_project("faults", description="sound")
for name in ("first", "second"):
    with tracklib.start_run("faults", "test", name=name, flush_interval=60) as run:
        print(run.id)
        run.log_params({"lr": 0.1})
        run.log({"x": 0}, 0)
        assert run.flush(60)
        run.set_tags({"a tag": name})
        for step in range(1, 100):
            run.log({"x": step, "y": step}, step)
"""


@pytest.fixture(name="records", params=["file", "s3"])
def _records(request: pytest.FixtureRequest, records: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Keep the runs of these tests in a folder and in a bucket."""
    if request.param == "s3":
        return request.getfixturevalue("bucket_records")
    records.uri = f"file://{records.folder}/team"
    monkeypatch.setenv("STORE", records.uri)
    monkeypatch.setenv("TRACKLIB_SPOOL", str(records.spool))
    return records


class Objects:
    """The objects of a store, to be damaged."""

    def __init__(self, store: ObjectStore) -> None:
        self.bucket = store.bucket
        self.store = store

    def named(self, start: str, end: str = "") -> str:
        """Return the one object whose name begins and ends like this."""
        folder = start.partition("/")[0]
        (key,) = [key for key in self.bucket.list(folder) if key.startswith(start) and key.endswith(end)]
        return key

    def change(self, key: str, change: Callable[[bytes], bytes]) -> None:
        """Put something else in the place of an object."""
        self.bucket.put(key, change(self.bucket.get(key)))


@pytest.fixture(scope="module", name="written")
def _written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Return the objects of two runs by name, and their ids. They are written once: it takes a program."""
    folder = tmp_path_factory.mktemp("written")
    ids = subprocess.check_output([sys.executable, "-c", TWO_RUNS, str(folder)], cwd=folder)
    objects = [path for path in (folder / "team").rglob("*") if path.is_file()]
    return {"ids": ids} | {str(path.relative_to(folder / "team")): path.read_bytes() for path in objects}


@pytest.fixture(name="objects")
def _objects(records: Any, written: dict[str, bytes]) -> Iterator[Objects]:
    """Return the objects of two runs in a store of the test."""
    with ObjectStore(records.uri) as store:
        for key, data in written.items():
            if key == "ids":
                (records.folder / "ids").write_bytes(data)
            else:
                store.bucket.put(key, data)
        yield Objects(store)


def told(caplog: pytest.LogCaptureFixture, key: str) -> int:
    """Return how often an object was named, and see to it that nothing else was."""
    said = [record.getMessage() for record in caplog.records if record.name == "tracklib"]
    assert [text for text in said if key not in text] == []
    return len(said)


def names(records: Any) -> list[str]:
    return sorted(run.name for run in tracklib.list_runs(store=records.uri))


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def emptied(_data: bytes) -> bytes:
    return b""


def overwritten(data: bytes) -> bytes:
    return b"\0" * len(data)


def without_end(data: bytes) -> bytes:
    """Take the last line, which says how far the writer is."""
    return b"".join(data.splitlines(keepends=True)[:-1])


def with_a_bad_line(data: bytes) -> bytes:
    """Damage a line in the middle: the one that sets a tag."""
    return b"".join(
        line[: len(line) // 2] + b"\n" if b"a tag" in line else line for line in data.splitlines(keepends=True)
    )


@pytest.mark.parametrize("change", [cut, emptied, overwritten])
def test_a_damaged_segment_of_points(
    records: Any, objects: Objects, caplog: pytest.LogCaptureFixture, change: Callable[[bytes], bytes]
) -> None:
    """Its points are missing, and everything else is there: the run, its summaries, the other run."""
    first, second = records.ids()
    key = objects.named(f"runs/{first}/metrics")
    objects.change(key, change)

    assert names(records) == ["first", "second"]
    run = records.run(first)
    assert (run.status, run.tags) == ("completed", {"a tag": "first"})
    assert run.metrics["x"].count == 100
    assert told(caplog, key) == 0
    assert [len(run.series("x").steps), len(run.series("y").steps)] == [0, 0]
    assert told(caplog, key) == 1
    assert records.steps("x", second) == list(range(100))
    assert [len(batch.records) > 0 for batch in objects.store.export(first)] != []


@pytest.mark.parametrize("change", [without_end, with_a_bad_line])
def test_a_damaged_object_of_records(
    records: Any, objects: Objects, caplog: pytest.LogCaptureFixture, change: Callable[[bytes], bytes]
) -> None:
    """What can be read of it counts, and so do all points."""
    first, second = records.ids()
    key = objects.named(f"runs/{first}/records")
    objects.change(key, change)

    assert names(records) == ["first", "second"]
    assert names(records) == ["first", "second"]
    run = records.run(first)
    assert (run.name, run.params["lr"]) == ("first", 0.1)
    assert run.tags == ({"a tag": "first"} if change is without_end else {})
    assert run.metrics["x"].count == 100
    assert records.steps("x", first) == list(range(100))
    assert records.steps("x", second) == list(range(100))
    assert told(caplog, key) == 1


@pytest.mark.parametrize("change", [emptied, overwritten])
def test_an_object_of_records_that_says_nothing(
    records: Any, objects: Objects, caplog: pytest.LogCaptureFixture, change: Callable[[bytes], bytes]
) -> None:
    """Its run is one that nothing is known of but its points; the other one is whole."""
    first, second = records.ids()
    key = objects.named(f"runs/{first}/records")
    objects.change(key, change)

    assert "second" in names(records)
    assert records.steps("x", second) == list(range(100))
    assert records.steps("x", first) == list(range(100))
    assert told(caplog, key) == 1


def test_a_damaged_note_of_the_format(records: Any, objects: Objects, start: Start) -> None:
    """Reading and starting say which object it is and what to do; that done, all is as before."""
    objects.change("tracklib.json", cut)
    key = f"{records.uri}/tracklib.json"

    with pytest.raises(CorruptData, match=r"is damaged.*move it away") as error:
        tracklib.list_runs(store=records.uri)
    assert key in str(error.value)
    refused = start("start()")
    spooled = start("run = start(on_error='spool', finish_timeout=0.5)\nrun.log({'x': 0}, 0)")
    assert refused.wait() == 1
    assert f"CorruptData: {key} is damaged" in refused.errors
    assert refused.errors.count("Traceback") == 1
    assert spooled.wait() == 0
    assert spooled.errors.count("and its journal keeps everything") == 1
    objects.bucket.delete(["tracklib.json"])
    start("with start(name='third') as run: run.log({'x': 0}, 0)").succeed()
    records.recover()
    assert {"first", "second", "third"} < set(names(records))
    assert records.left() == []


@pytest.mark.parametrize("change", [cut, emptied])
def test_a_damaged_snapshot(
    records: Any,
    objects: Objects,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[bytes], bytes],
) -> None:
    """A new reader begins without it."""
    objects.store.compact(settled_s=0)
    key = objects.named("snapshots/")
    objects.change(key, change)
    monkeypatch.setenv("XDG_CACHE_HOME", str(records.folder / "another cache"))

    assert names(records) == ["first", "second"]
    assert names(records) == ["first", "second"]
    assert [records.steps("x", run) for run in records.ids()] == [list(range(100))] * 2
    assert told(caplog, key) == 1


@pytest.mark.parametrize("change", [cut, emptied])
def test_a_damaged_entity(
    records: Any, objects: Objects, caplog: pytest.LogCaptureFixture, change: Callable[[bytes], bytes]
) -> None:
    """The project is there, as it is known from its runs."""
    key = objects.named("entities/")
    objects.change(key, change)

    assert [project.name for project in tracklib.list_projects(store=records.uri)] == ["faults"]
    assert names(records) == ["first", "second"]
    assert told(caplog, key) == 1


FOREIGN = (
    "README.md",
    "runs/notes.txt",
    "runs/a-folder/records/0-0.jsonl",
    "runs/a-folder/metrics/0-0.parquet",
    "runs/{run}/plot.png",
    "runs/{run}/records/notes.txt",
    "runs/{run}/records/0-0.jsonl.bak",
    "runs/{run}/metrics/_SUCCESS",
    "runs/{run}/metrics/part-00000-c000.snappy.parquet",
    "runs/{run}/more/records/0-0.jsonl",
    "changes/notes.txt",
    "changes/{run}",
    "changes/{run}-somebody",
    "snapshots/notes.txt",
    "snapshots/zzz.parquet",
    "entities/notes.txt",
    "blobs/notes.txt",
)


def test_objects_that_are_none_of_ours(
    records: Any, objects: Objects, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, start: Start
) -> None:
    """Nothing is said of them, and they are left alone, by those who read, write and compact."""
    first, second = records.ids()
    foreign = [name.format(run=first) for name in FOREIGN]
    for key in foreign:
        objects.bucket.put(key, b"what somebody else has put here\n")

    assert names(records) == ["first", "second"]
    start(f"with start(run_id={first!r}, name='first') as run: run.log({{'x': 100}}, 100)").succeed()
    objects.store.compact(settled_s=0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(records.folder / "another cache"))
    assert names(records) == ["first", "second"]
    assert records.steps("x", first) == list(range(101))
    assert records.steps("x", second) == list(range(100))
    objects.store.delete_run(second)
    assert names(records) == ["first"]
    assert [objects.bucket.token(key) is not None for key in foreign] == [True] * len(foreign)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []
