"""Recorded runs: edited, archived, restored and deleted."""

from __future__ import annotations

import platform
import signal
import struct
import subprocess
import sys
import time
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import pytest

import tracklib
from tracklib.editing import check_deletable
from tracklib.errors import AmbiguousName, ConfigError, NotFound, StillRunning
from tracklib.model import RunStatus, WriterInfo
from tracklib.reading import SILENT_SECONDS, with_live_status
from tracklib.recording.format import INFO_OFFSET
from tracklib.records import Batch, Record, RecordKind, new_id
from tracklib.stores.base import open_store

pytestmark = pytest.mark.usefixtures("bare")

WAITS = """
import sys, time, tracklib
run = tracklib.start_run("digits", store=sys.argv[1], run_id=sys.argv[2], mode=sys.argv[3])
run.log({"loss": 1.0})
if sys.argv[3] == "online":
    run.flush()
print("ready", flush=True)
time.sleep(600)
"""


def recorded(name: str = "first", **options: Any) -> tracklib.Run:
    """Return a run that has ended."""
    with tracklib.start_run("digits", "sweep", name=name, params={"lr": 0.1}, tags={"a": "1"}, **options) as run:
        run.log({"loss": 0.5})
        run.log({"loss": 0.25})
    return run


def kept_of(run: tracklib.StoredRun) -> tuple[Any, ...]:
    """Return what no edit may change."""
    info = run.info
    times = (info.start_time, info.end_time, info.duration, info.created_at, info.heartbeat_at)
    return (info.id, info.status, info.reason, info.params, info.created_by, times, run.metrics["loss"])


class Waiting:
    """A process that goes on with a run for as long as this lasts, and is killed then."""

    def __init__(self, run_id: str, mode: str = "online") -> None:
        words = [sys.executable, "-c", WAITS, f"sqlite:///{Path.cwd()}/.tracklib/tracklib.db", run_id, mode]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE)

    def __enter__(self) -> Self:
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"ready\n"
        return self

    def __exit__(self, *_: object) -> None:
        with self.process:
            self.process.send_signal(signal.SIGKILL)


def of_a_newer_version(segment: bytes) -> bytes:
    """Return a journal segment as a later tracklib may write it, with the checksum of its header."""
    page = bytearray(segment)
    (length,) = struct.unpack_from("<I", page, 16)
    struct.pack_into("<I", page, 8, 99)
    checksum = zlib.crc32(page[INFO_OFFSET : INFO_OFFSET + length], zlib.crc32(page[:20]))
    struct.pack_into("<I", page, 20, checksum)
    return bytes(page)


# ---- editing


def test_what_is_given_changes() -> None:
    """Name, tags, notes and place are new, the run that is returned shows them, and all the rest is as it was."""
    run = recorded(notes="old")
    before = tracklib.get_run(run)
    edited = tracklib.edit_run(
        run.id,
        name="ünï 文",
        tags={"a": None, "b": 2},
        notes="looked\nat",
        project="other",
        experiment="e / f",
    )

    assert edited.info == tracklib.get_run(run).info
    assert (edited.name, edited.tags, edited.notes) == ("ünï 文", {"b": "2"}, "looked\nat")
    assert (edited.project, edited.experiment) == ("other", "e / f")
    assert kept_of(edited) == kept_of(before)
    assert [found.id for found in tracklib.list_runs(project="other", tags={"b": "2"})] == [run.id]
    assert tracklib.list_runs(project="digits") == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"project": "other"}, ("other", "sweep", "first", {"a": "1"}, "n")),
        ({"experiment": "other"}, ("digits", "other", "first", {"a": "1"}, "n")),
        ({"name": "other"}, ("digits", "sweep", "other", {"a": "1"}, "n")),
        ({"tags": {"b": True}}, ("digits", "sweep", "first", {"a": "1", "b": "True"}, "n")),
        ({"notes": ""}, ("digits", "sweep", "first", {"a": "1"}, "")),
    ],
    ids=str,
)
def test_what_is_not_given_stays(given: dict[str, Any], expected: tuple[Any, ...]) -> None:
    """Each thing can be changed alone."""
    recorded(notes="n")
    edited = tracklib.edit_run("latest", **given)

    assert (edited.project, edited.experiment, edited.name, edited.tags, edited.notes) == expected


@pytest.mark.parametrize("nothing", [{}, {"name": None, "tags": None}], ids=str)
def test_nothing_is_no_change(nothing: dict[str, Any]) -> None:
    """Where nothing is given, nothing is written."""
    run = recorded()

    assert tracklib.edit_run(run, **nothing).info == tracklib.get_run(run).info
    assert len(tracklib.get_run(run).info.writers) == 1


def test_edits_follow_each_other() -> None:
    """The last one counts, and the history has them all, with where they came from."""
    run = recorded()
    for number in range(3):
        tracklib.edit_run(run, name=f"name {number}", tags={"n": number})

    seen = tracklib.get_run(run)
    edits = [writer for writer in seen.info.writers if writer.is_edit]
    assert (seen.name, seen.tags["n"]) == ("name 2", "2")
    assert [event.data["name"] for event in seen.events("name")] == ["name 0", "name 1", "name 2"]
    assert {event.writer for event in seen.events("name")} == {writer.writer for writer in edits}
    assert {(writer.primary, str(writer.status), writer.host) for writer in edits} == {
        (False, "completed", platform.node())
    }


def test_an_edit_counts_although_clocks_differ() -> None:
    """What a machine told whose clock is ahead does not undo what is changed after it."""
    run = recorded()
    future = time.time() + 10_000.0
    with open_store(run.store) as store:
        told = Record(RecordKind.NOTES, future, {"text": "from the future"})
        store.append(Batch(run=run.id, writer="0.b", start=0, end=1, time=future, records=(told,)))
    edited = tracklib.edit_run(run, notes="now")

    assert edited.notes == tracklib.get_run(run).notes == "now"
    assert tracklib.edit_run(run, notes="again").notes == "again"


def test_the_run_may_be_named_in_every_way() -> None:
    """As for `get_run`."""
    run = recorded()
    stored = tracklib.get_run(run)
    words: tuple[Any, ...] = (run, stored, run.id, run.id[:12], "digits/sweep/first", "first", "latest")
    for number, word in enumerate(words):
        assert tracklib.edit_run(word, tags={"n": number}).tags["n"] == str(number)


def test_a_run_is_edited_where_it_is() -> None:
    """A run that was read or recorded knows its store; another one has to be named for one that is told by a word."""
    run = recorded(store="other.db")
    stored = tracklib.get_run(run.id, store="other.db")

    assert tracklib.edit_run(run, name="second").name == "second"
    assert tracklib.edit_run(stored, name="third").name == "third"
    assert tracklib.edit_run(run.id, name="fourth", store="other.db").name == "fourth"
    with pytest.raises(NotFound, match="there is no store"):
        tracklib.edit_run(run.id, name="fifth")
    assert not Path(".tracklib").exists()


def test_a_run_that_goes_on_may_be_edited() -> None:
    """Its process is not disturbed; what either of them says last counts."""
    with tracklib.start_run("digits", name="first", tags={"a": "1"}) as run:
        assert run.flush()
        edited = tracklib.edit_run(run.id, name="edited", tags={"a": "2", "b": "2"})
        assert (edited.status, edited.name) == (RunStatus.RUNNING, "edited")
        run.set_tag("a", "3")
        run.log({"loss": 1.0})

    seen = tracklib.get_run(run)
    assert (seen.status, seen.name, seen.tags) == ("completed", "edited", {"a": "3", "b": "2"})
    assert (seen.metrics["loss"].count, len(seen.info.writers)) == (1, 2)


def test_an_edited_run_may_be_resumed() -> None:
    """It goes on under its new name, as a run that ended."""
    run = recorded()
    tracklib.edit_run(run, name="edited", project="other")
    with tracklib.start_run(resume=run.id) as again:
        again.log({"loss": 0.1})

    seen = tracklib.get_run(run)
    assert (again.name, again.project) == ("edited", "other")
    assert (seen.name, seen.project, seen.status, seen.metrics["loss"].count) == ("edited", "other", "completed", 3)
    assert [writer.primary for writer in seen.info.writers if not writer.is_edit] == [True, True]


def test_an_edit_does_not_make_a_dead_run_look_alive() -> None:
    """A run whose process was killed on another machine was last heard of before it was edited."""
    now = time.time()
    run, silent = new_id(), now - 2 * SILENT_SECONDS
    start = Record(RecordKind.START, silent, {"project": "p", "experiment": "e", "name": "n", "host": "elsewhere"})
    with open_store(recorded().store) as store:
        store.append(Batch(run=run, writer="0", start=0, end=9, time=silent, records=(start,)))
    before = tracklib.get_run(run)
    edited = tracklib.edit_run(run, name="edited")

    assert before.status == edited.status == RunStatus.KILLED
    assert (edited.ended_at, edited.duration, edited.info.heartbeat_at) == (silent, 0.0, silent)
    assert [found.status for found in tracklib.list_runs(project="p")] == [RunStatus.KILLED]


@pytest.mark.parametrize("change", [tracklib.edit_run, tracklib.archive_run, tracklib.restore_run, tracklib.delete_run])
def test_a_run_that_is_not_there_is_not_made(change: Any) -> None:
    """Neither is a store."""
    with pytest.raises(NotFound, match="there is no store"):
        change("first")
    assert list(Path.cwd().iterdir()) == []

    recorded("first")
    recorded("first")
    with pytest.raises(NotFound, match="there is no run 'second'"):
        change("second")
    with pytest.raises(AmbiguousName):
        change("first")
    assert len(tracklib.list_runs(archived=None)) == 2


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"name": ""}, ConfigError),
        ({"name": "x" * 501}, ConfigError),
        ({"project": " "}, ConfigError),
        ({"experiment": 5}, ConfigError),
        ({"tags": ["a"]}, TypeError),
        ({"notes": 5}, TypeError),
    ],
    ids=str,
)
def test_an_edit_is_made_whole_or_not_at_all(given: dict[str, Any], error: type[Exception]) -> None:
    """Where one thing cannot be meant, the others are not changed."""
    run = recorded()
    before = tracklib.get_run(run).info
    good = {"name": "new", "tags": {"b": "2"}, "notes": "new", "project": "new", "experiment": "new"}
    with pytest.raises(error):
        tracklib.edit_run(run, **{**good, **given})

    assert tracklib.get_run(run).info == before


# ---- archiving


def test_an_archived_run_is_out_of_the_way() -> None:
    """Lists and `latest` leave it out; by its id and its name it is found."""
    old, new = recorded("old"), recorded("new")
    archived = tracklib.archive_run("latest")

    assert archived.id == new.id
    assert archived.info.archived_at == pytest.approx(time.time(), abs=600)
    assert [run.id for run in tracklib.list_runs()] == [old.id]
    assert [run.id for run in tracklib.list_runs(archived=True)] == [new.id]
    assert [run.id for run in tracklib.list_runs(archived=None)] == [new.id, old.id]
    assert tracklib.get_run("latest").id == old.id
    for word in (new.id, new.id[:20], "new", "digits/sweep/new"):
        assert tracklib.get_run(word).info == archived.info


def test_an_archived_run_comes_back() -> None:
    """As it was; to archive or restore it twice changes nothing."""
    run = recorded()
    before = tracklib.get_run(run)
    first = tracklib.archive_run(run)
    again = tracklib.archive_run(run)
    restored = [tracklib.restore_run(run) for _ in range(2)]

    assert (first.info.archived_at, first.info) == (again.info.archived_at, again.info)
    assert [seen.info.archived_at for seen in restored] == [None, None]
    assert kept_of(restored[-1]) == kept_of(before)
    assert len(restored[-1].info.writers) == 3
    assert len(tracklib.list_runs()) == 1


def test_a_run_that_goes_on_may_be_archived() -> None:
    """It stays so when it ends."""
    with tracklib.start_run("digits") as run:
        assert run.flush()
        assert tracklib.archive_run(run).status is RunStatus.RUNNING
        run.log({"loss": 1.0})

    assert tracklib.list_runs() == []
    assert tracklib.get_run(run.id).metrics["loss"].count == 1


# ---- deleting


def test_a_deleted_run_is_gone() -> None:
    """Nothing finds it, and other runs are as they were."""
    run, other = recorded("first"), recorded("second")
    before = tracklib.get_run(other).info
    tracklib.delete_run("first")

    assert [found.info for found in tracklib.list_runs(archived=None)] == [before]
    for word in (run, run.id, "first"):
        with pytest.raises(NotFound, match="there is no run"):
            tracklib.get_run(word)
        with pytest.raises(NotFound, match="there is no run"):
            tracklib.delete_run(word)


def test_files_of_a_deleted_run_stay() -> None:
    """Another run may have the same ones."""
    runs = []
    for name in ("first", "second"):
        with tracklib.start_run("digits", name=name) as run:
            run.log_text("the same", "notes")
        runs.append(run)
    tracklib.delete_run(runs[0])

    assert tracklib.get_run(runs[1]).read_artifact("notes") == {"notes.txt": b"the same"}


def test_an_archived_run_may_be_deleted() -> None:
    """By its id and its name."""
    recorded("first")
    tracklib.archive_run("first")
    tracklib.delete_run("first")

    assert tracklib.list_runs(archived=None) == []


def test_a_run_of_this_process_is_not_deleted() -> None:
    """As long as it is open; the message says what to do."""
    with tracklib.start_run("digits", name="first") as run:
        run.log({"loss": 1.0})
        assert run.flush()
        with pytest.raises(StillRunning, match=r"still being written by process \d+ on .*: end that first, or archive"):
            tracklib.delete_run("first")
    assert tracklib.get_run(run).metrics["loss"].count == 1
    tracklib.delete_run("first")

    assert tracklib.list_runs() == []


def test_a_settled_run_is_not_deleted_before_it_ends() -> None:
    """It is shown as completed, but its process may still log to it."""
    with tracklib.start_run("digits", name="first") as run:
        run.settle()
        assert run.flush()
        assert tracklib.get_run(run).status == "completed"
        with pytest.raises(StillRunning, match="still being written"):
            tracklib.delete_run(run)

    tracklib.delete_run(run)


def test_a_run_of_another_process_is_not_deleted_before_it_is_dead() -> None:
    """Then what it left is shipped first, and does not bring the run back."""
    recorded("other")
    run = new_id()
    with Waiting(run), pytest.raises(StillRunning, match="still being written by process"):
        tracklib.delete_run(run)
    tracklib.delete_run(run)

    assert tracklib.sync() == []
    assert [found.name for found in tracklib.list_runs(archived=None)] == ["other"]
    assert not (Path.cwd() / ".tracklib" / "spool" / run).exists()


def test_a_journal_that_was_left_does_not_bring_a_run_back() -> None:
    """A process that was offline and killed while it wrote to a recorded run: its journal goes with the run."""
    run = recorded().id
    with Waiting(run, mode="offline"):
        pass
    assert (Path.cwd() / ".tracklib" / "spool" / run).exists()
    tracklib.delete_run(run)

    assert tracklib.sync() == []
    assert tracklib.list_runs(archived=None) == []


def test_a_journal_that_cannot_be_shipped_keeps_its_run() -> None:
    """It would bring the run back when it can be."""
    run = recorded()
    with Waiting(run.id, mode="offline"):
        pass
    folder = Path.cwd() / ".tracklib" / "spool" / run.id
    (segment,) = folder.glob("*.journal")
    content = segment.read_bytes()
    segment.write_bytes(of_a_newer_version(content))
    with pytest.raises(StillRunning, match=r"a journal of run .* waits in .*: `tracklib sync` ships it"):
        tracklib.delete_run(run)
    segment.write_bytes(content)
    tracklib.delete_run(run)

    assert tracklib.list_runs(archived=None) == []


@pytest.mark.parametrize(
    ("writer", "deletable"),
    [
        (WriterInfo(writer="0", host="elsewhere"), False),
        (WriterInfo(writer="1", host="elsewhere", primary=False), False),
        (WriterInfo(writer="1", host="elsewhere", primary=False, status=RunStatus.COMPLETED), True),
        (WriterInfo(writer="edit.0123456789", host="elsewhere", primary=False, status=RunStatus.COMPLETED), True),
    ],
    ids=["main", "helper", "ended helper", "edit"],
)
@pytest.mark.parametrize("silent", [False, True])
def test_a_run_of_another_machine_is_judged_by_its_last_word(
    writer: WriterInfo, *, deletable: bool, silent: bool
) -> None:
    """A process that has ended, or was silent for long, writes no more."""
    run = recorded()
    info = tracklib.get_run(run).info
    heard = time.time() - (2 * SILENT_SECONDS if silent else 0.0)
    status = RunStatus.RUNNING if writer.primary else info.status
    told = replace(info, status=status, writers=(replace(writer, heartbeat_at=heard),), heartbeat_at=heard)

    with open_store(run.store) as store:
        if deletable or silent:
            check_deletable(store, with_live_status(told))
        else:
            with pytest.raises(StillRunning, match="on elsewhere: end that first"):
                check_deletable(store, with_live_status(told))


def test_a_running_run_without_a_known_process_is_not_deleted() -> None:
    """Whoever says that it runs is believed."""
    run = recorded()
    told = replace(tracklib.get_run(run).info, status=RunStatus.RUNNING, writers=())

    with open_store(run.store) as store, pytest.raises(StillRunning, match="is still running: end it first"):
        check_deletable(store, told)
