"""Runs go from any store to any other, whole and once, however often the copy is broken off."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tracklib
from tracklib.copying import CopyOutcome, CopyProgress
from tracklib.errors import NotFound, StoreError
from tracklib.model import Experiment, Project
from tracklib.records import RecordKind, new_id
from tracklib.stores.base import RunQuery, Store, open_store
from tracklib.testing.batches import EPOCH, WriterScript, points, ship
from tracklib.testing.export import assert_same_run
from tracklib.testing.versions import log_artifact

pytestmark = pytest.mark.usefixtures("bare")

PAIRS = pytest.mark.parametrize(
    ("source_kind", "target_kind"),
    [
        ("sqlite", "sqlite"),
        ("sqlite", "file"),
        ("file", "sqlite"),
        ("file", "file"),
        ("sqlite", "s3"),
        ("s3", "sqlite"),
    ],
)
QUIET: dict[str, Any] = {"system_interval": 0, "flush_interval": 0.2}

COPY = """
import os, signal, sys, tracklib

source, target, last = sys.argv[1], sys.argv[2], int(sys.argv[3])
calls = 0

def watch(progress):
    global calls
    calls += bool(progress.points or progress.size_bytes)
    if calls == last:
        os.kill(os.getpid(), signal.SIGKILL)

copied = tracklib.copy_runs(source, target, on_progress=watch)
assert not any(each.problem for each in copied), copied
"""


Place = Callable[[str, str], str]


@pytest.fixture(name="uri_of")
def _uri_of(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Return what says, for a kind and a name, the URI of a store that is not there yet."""

    def uri_of(kind: str, name: str) -> str:
        if kind == "s3":
            for variable, value in request.getfixturevalue("s3_server").environment().items():
                monkeypatch.setenv(variable, value)
            return f"s3://{request.getfixturevalue('s3_prefix')}/{name}"
        return f"sqlite:///{Path.cwd()}/{name}/runs.db" if kind == "sqlite" else f"file://{Path.cwd()}/{name}"

    return uri_of


@pytest.fixture(name="opened")
def _opened() -> Iterator[Callable[[str], Store]]:
    """Return what opens a store, which is closed behind the test."""
    stores: list[Store] = []

    def opened(uri: str) -> Store:
        stores.append(open_store(uri))
        return stores[-1]

    yield opened
    for store in stores:
        store.close()


def record(uri: str) -> None:
    """Record runs of several kinds: with files and output, failed, resumed, nested, of several processes, archived."""
    with tracklib.start_run("digits", "files", name="files", store=uri, auto_log_console=True, **QUIET) as run:
        print("hello from the run")
        run.log_params({"lr": 0.1, "model": {"hidden": 128}, "odd": float("nan")})
        for step in range(3000):
            run.log({"loss": 1 / (step + 1), "lr": 0.1}, step=step)
        Path("weights").mkdir(exist_ok=True)
        for number in range(3):
            Path(f"weights/{number}.bin").write_bytes(bytes([number % 2]) * 1_500_000)
        run.log_artifact("weights", "weights", type="checkpoint")
        run.log_text("some text", "note")
        with tracklib.start_run("digits", "files", name="child", nested=True, store=uri, **QUIET) as child:
            child.log({"loss": float("inf")})
            child.log_text("some text", "note")
    with contextlib.suppress(RuntimeError), tracklib.start_run("digits", name="broken", store=uri, **QUIET) as run:
        run.log({"loss": 1})
        raise RuntimeError("out of memory")
    with tracklib.start_run(resume=run.id, store=uri, **QUIET) as run:
        run.log({"loss": 2})
    tracklib.edit_run(run.id, notes="was resumed", tags={"team": "vision"}, store=uri)
    with open_store(uri) as store:
        first = WriterScript(project="jobs", name="ranks")
        others = [first.joined_by(str(rank)) for rank in range(1, 4)]
        ship(store, [first.start(), *(other.start(primary=False) for other in others)])
        for turn in range(5):
            for script in (first, *others):
                script.ship(store, script.record(RecordKind.MESSAGE, text=f"{turn}"), points({"loss": float(turn)}))
        ship(store, [*(other.end() for other in others), first.end(duration=3.5)])
    tracklib.archive_run(first.run, store=uri)


def assert_same(target: Store, source: Store) -> None:
    """Make sure that a store has all that another has."""
    runs = [store.runs(RunQuery(archived=None, descending=False)) for store in (target, source)]
    assert [info.id for info in runs[0]] == [info.id for info in runs[1]]
    for info in runs[1]:
        assert_same_run(target, source, info.id)
        for artifact in source.artifacts(info.id):
            for file in artifact.files:
                with target.open_blob(file.checksum) as mine, source.open_blob(file.checksum) as theirs:
                    assert mine.read() == theirs.read()


def outcomes(source: str, target: str, **options: Any) -> dict[str, str]:
    """Copy, and return by name what became of each run."""
    return {each.name: str(each.outcome) for each in tracklib.copy_runs(source, target, **options)}


def scripted(uri: str, *, name: str = "first", project: str = "digits") -> WriterScript:
    """Record a run of some batches in no time, and leave it without an end."""
    script = WriterScript(name=name, project=project)
    with open_store(uri) as store:
        ship(store, [script.start(points({"loss": [1.0, 2.0]})), script.batch(points({"loss": 3.0}, steps=[2]))])
    return script


# ---- everything


@PAIRS
def test_a_copy_is_told_the_same(
    source_kind: str, target_kind: str, *, opened: Callable[[str], Store], uri_of: Place
) -> None:
    """Every run with its points, records and files; and a second time there is nothing to do."""
    home, target = uri_of(source_kind, "home"), uri_of(target_kind, "target")
    record(home)
    copied = tracklib.copy_runs(home, target)

    assert [(each.name, str(each.outcome), each.problem) for each in copied] == [
        ("ranks", "copied", None),  # Its clock is an old one.
        ("files", "copied", None),
        ("child", "copied", None),
        ("broken", "copied", None),
    ]
    assert sum(each.files for each in copied) == 3  # Two of the weights are alike, and so are the notes.
    assert sum(each.size_bytes for each in copied) == 2 * 1_500_000 + len("some text")
    assert_same(opened(target), opened(home))
    again = tracklib.copy_runs(home, target)
    assert {str(each.outcome) for each in again} == {"there"}
    assert sum(each.points + each.records + each.files for each in again) == 0


@pytest.mark.parametrize("target_kind", ["sqlite", "file", pytest.param("s3", marks=pytest.mark.slow)])
def test_a_copy_that_is_killed_goes_on(target_kind: str, *, opened: Callable[[str], Store], uri_of: Place) -> None:
    """Wherever it is killed, over and over: nothing is missing in the end, and nothing is there twice."""
    home, target = uri_of("sqlite", "home"), uri_of(target_kind, "target")
    record(home)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    statuses = []
    for attempt in range(1, 100):
        words = [sys.executable, "-c", COPY, home, target, str(attempt)]
        statuses.append(subprocess.run(words, check=False, timeout=200, env=environment).returncode)
        if statuses[-1] != -signal.SIGKILL:
            break

    assert statuses[-1] == 0
    assert len(statuses) > 4
    assert_same(opened(target), opened(home))
    assert not list(Path("target").rglob("*incoming*"))[len(statuses) :]  # No more than one for each kill.


def test_several_may_copy_at_once(opened: Callable[[str], Store], uri_of: Place) -> None:
    """The same runs to the same store."""
    home, target = uri_of("sqlite", "home"), uri_of("sqlite", "target")
    record(home)
    with ThreadPoolExecutor(3) as pool:
        copies = list(pool.map(lambda _: tracklib.copy_runs(home, target), range(3)))

    assert {each.problem for copied in copies for each in copied} == {None}
    assert_same(opened(target), opened(home))


def test_there_and_back(opened: Callable[[str], Store], uri_of: Place) -> None:
    """A copy of a copy of another kind is the same as well."""
    home, away, back = uri_of("sqlite", "home"), uri_of("file", "away"), uri_of("sqlite", "back")
    record(home)
    tracklib.copy_runs(home, away)
    tracklib.copy_runs(away, back)

    assert_same(opened(back), opened(home))


# ---- what has come since


@PAIRS
def test_what_came_since_is_added(
    source_kind: str, target_kind: str, *, opened: Callable[[str], Store], uri_of: Place
) -> None:
    """To a run that was resumed, and to one that somebody changed."""
    home, target = uri_of(source_kind, "home"), uri_of(target_kind, "target")
    with tracklib.start_run("digits", name="first", store=home, **QUIET) as run:
        run.log({"loss": 1}, step=0)
    with tracklib.start_run("digits", name="second", store=home, **QUIET):
        pass
    tracklib.copy_runs(home, target)
    with tracklib.start_run(resume=run.id, store=home, **QUIET) as run:
        run.log({"loss": 2}, step=1)
        run.log_text("new", "note")
    tracklib.edit_run("second", name="renamed", store=home)

    assert outcomes(home, target) == {"first": "copied", "renamed": "copied"}
    assert_same(opened(target), opened(home))


def test_changes_in_the_target_stay(uri_of: Place) -> None:
    """Somebody changed the copy: nothing is to be copied, nothing is lost, and what is new in the source is added."""
    home, target = uri_of("sqlite", "home"), uri_of("sqlite", "target")
    with tracklib.start_run("digits", name="first", store=home, **QUIET):
        pass
    tracklib.copy_runs(home, target)
    tracklib.edit_run("first", notes="seen", store=target)

    assert outcomes(home, target) == {"first": "there"}
    tracklib.edit_run("first", tags={"a": "1"}, store=home)
    assert outcomes(home, target) == {"first": "copied"}
    info = tracklib.get_run("first", store=target).info
    assert (info.notes, info.tags) == ("seen", {"a": "1"})


def test_a_run_that_is_being_written_is_left_out(opened: Callable[[str], Store], uri_of: Place) -> None:
    """It is named, it is no problem, and it is copied when it has ended."""
    home, target = uri_of("sqlite", "home"), uri_of("sqlite", "target")
    run = tracklib.start_run("digits", name="running", store=home, **QUIET)
    run.log({"loss": 1})
    run.flush()
    (left_out,) = tracklib.copy_runs(home, target)
    run.settle()
    run.flush()
    settled = outcomes(home, target)
    run.log({"loss": 2})
    run.finish()

    assert (left_out.name, left_out.outcome, left_out.problem) == ("running", CopyOutcome.RUNNING, None)
    assert settled == {"running": "running"}
    assert outcomes(home, target) == {"running": "copied"}
    assert_same(opened(target), opened(home))


# ---- problems


def test_a_run_that_is_another_one_in_the_target_is_a_problem(uri_of: Place) -> None:
    """It is said of that run, and the others are copied."""
    home, target = uri_of("sqlite", "home"), uri_of("sqlite", "target")
    odd, even = scripted(home, name="odd"), scripted(home, name="even")
    with open_store(target) as store:
        store.append(replace(WriterScript(run=odd.run).start(points({"loss": 9.0})), end=1500))
    copied = {each.name: each for each in tracklib.copy_runs(home, target)}

    assert (copied["odd"].outcome, copied["even"].outcome) == ("failed", "copied")
    assert copied["odd"].problem is not None
    assert f"run {odd.run} is another one in {target}" in copied["odd"].problem
    assert "tracklib rm" in copied["odd"].problem
    with open_store(target) as store:
        assert store.series(odd.run, "loss").values.tolist() == [9.0]
        assert store.series(even.run, "loss").values.tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("fault", ["missing", "damaged", "unreadable"])
def test_a_file_that_cannot_be_copied_is_a_problem(fault: str, uri_of: Place) -> None:
    """It is named, its run is copied all the same, and a damaged file is not passed on."""
    home, target = uri_of("sqlite", "home"), uri_of("sqlite", "target")
    with tracklib.start_run("digits", name="first", store=home, **QUIET) as run:
        run.log_text("text", "note")
        run.log_text("other text", "other")
    artifact = next(a for a in tracklib.get_run(run.id, store=home).artifacts if a.name == "note")
    checksum = artifact.files[0].checksum
    path = Path("home/blobs") / checksum[:2] / checksum
    path.unlink()
    if fault == "damaged":
        path.write_text("texT")
    elif fault == "unreadable":
        path.mkdir()
    (copied,) = tracklib.copy_runs(home, target)

    assert copied.outcome is CopyOutcome.COPIED
    assert copied.problem is not None
    assert "the artifact 'note' version 0, note.txt" in copied.problem
    words = {"missing": "does not have it", "damaged": f"{checksum} is damaged", "unreadable": "cannot be read"}
    assert words[fault] in copied.problem
    seen = tracklib.get_run(run.id, store=target)
    assert seen.read_artifact("other") == {"other.txt": b"other text"}
    with pytest.raises(NotFound):
        seen.read_artifact("note")
    assert [path.name for path in Path("target/blobs").iterdir() if path.is_file()] == []


def test_references_have_no_files(uri_of: Place) -> None:
    """Where files were only noted, nothing is missing."""
    home, target = uri_of("sqlite", "home"), uri_of("sqlite", "target")
    Path("data.bin").write_bytes(b"data")
    with tracklib.start_run("digits", name="first", store=home, **QUIET) as run:
        run.log_artifact("data.bin", "data", copy=False)
    (copied,) = tracklib.copy_runs(home, target)

    assert (copied.outcome, copied.files, copied.problem) == ("copied", 0, None)
    (artifact,) = tracklib.get_run("first", store=target).artifacts
    assert (artifact.name, artifact.metadata["reference"]) == ("data", True)


def test_a_target_that_cannot_be_used_is_an_error(uri_of: Place) -> None:
    """Before anything is copied."""
    scripted(uri_of("sqlite", "home"))
    Path("file").write_text("no folder")

    with pytest.raises(StoreError, match="cannot be"):
        tracklib.copy_runs(uri_of("sqlite", "home"), "file/runs.db")


# ---- which runs


def test_runs_are_chosen(uri_of: Place) -> None:
    """By name, by the beginning of an id, as they were read, and by their project."""
    home = uri_of("sqlite", "home")
    a, b, c = (scripted(home, name=name, project=project) for name, project in (("a", "p"), ("b", "p"), ("c", "q")))
    read = tracklib.get_run(b.run, store=home)

    choices: list[tuple[dict[str, Any], list[str]]] = [
        ({"runs": "a"}, ["a"]),
        ({"runs": ["p/sweep/b", c.run, b.run]}, ["b", "c"]),
        ({"runs": [read]}, ["b"]),
        ({"runs": read}, ["b"]),
        ({"project": "p"}, ["a", "b"]),
        ({"runs": ["a"], "project": "p"}, ["a"]),
        ({"runs": []}, []),
    ]
    for number, (choice, names) in enumerate(choices):
        assert sorted(outcomes(home, f"target{number}.db", **choice)) == names
    with pytest.raises(NotFound, match="there is no run 'a'"):
        tracklib.copy_runs(home, "other.db", runs="a", project="q")
    assert a.run in {run.id for run in tracklib.list_runs(store="target4.db")}


def test_code_without_a_repository_comes_along(opened: Callable[[str], Store], uri_of: Place) -> None:
    """The zip of a small project is a file of the run."""
    home, target = uri_of("sqlite", "home"), uri_of("sqlite", "target")
    script = WriterScript()
    with open_store(home) as store:
        checksum, _ = store.put_blob(io.BytesIO(b"a zip"))
        ship(store, [script.start(script.record(RecordKind.SOURCE, snapshot=checksum)), script.end()])
    (copied,) = tracklib.copy_runs(home, target)

    assert (copied.files, copied.size_bytes, copied.problem) == (1, 5, None)
    with opened(target).open_blob(checksum) as file:
        assert file.read() == b"a zip"


# ---- descriptions


@PAIRS
@pytest.mark.parametrize("taken", [False, True], ids=["empty", "taken"])
def test_versions_come_along(
    source_kind: str, target_kind: str, *, taken: bool, opened: Callable[[str], Store], uri_of: Place
) -> None:
    """With aliases, uses and deletions; where another content has the number, aliases and uses mean the new one."""
    source, target = opened(uri_of(source_kind, "source")), opened(uri_of(target_kind, "target"))
    scripts = [WriterScript(run=new_id(EPOCH + n), clock=EPOCH + 100.0 * n) for n in range(2)]
    for script, content in zip((scripts[0], *scripts, scripts[0]), "abac", strict=True):
        checksum, _ = source.put_blob(io.BytesIO(content.encode()))
        log_artifact(source, content, script=script, aliases=["best"], score=0.5)
    about = {"project": "digits", "name": "model", "version": 2, "checksum": checksum}
    gone = source.artifacts(scripts[0].run)[0]
    told = {RecordKind.ALIAS: {**about, "alias": "prod"}, RecordKind.USE: {**about, "artifact": "x"}}
    told |= {RecordKind.ARTIFACT: {"id": gone.id, "deleted": True}}
    ship(source, [scripts[0].batch(*(scripts[0].record(kind, **data) for kind, data in told.items()))])
    ship(source, [script.end() for script in scripts])
    if taken:
        log_artifact(target, "other")

    assert [copied.outcome for copied in tracklib.copy_runs(source.uri, target.uri)] == [CopyOutcome.COPIED] * 2
    made = [artifact for script in scripts for artifact in target.artifacts(script.run)]
    numbers = {artifact.checksum: artifact.version for artifact in made}
    if taken:
        assert sorted([0, *numbers.values()], key=str) == [0, 1, 2, 3]
    wanted = [artifact for script in scripts for artifact in source.artifacts(script.run)]
    assert made == [replace(each, version=numbers[each.checksum] if taken else each.version) for each in wanted]
    aliases = [replace(each, version=numbers[each.checksum]) for each in source.aliases("digits")]
    assert target.aliases("digits") == aliases
    assert target.uses() == [replace(each, version=numbers[each.checksum]) for each in source.uses()]


def test_descriptions_come_along(opened: Callable[[str], Store], uri_of: Place) -> None:
    """Of projects and experiments, with when they were made, those without runs and archived ones too."""
    home, target = uri_of("sqlite", "home"), uri_of("file", "target")
    tracklib.set_project("digits", description="numbers", owner="ada", store=home)
    tracklib.set_experiment("sweep", project="digits", hypothesis="1e-3 is best", store=home)
    tracklib.set_experiment("old", project="empty", store=home)
    tracklib.archive_project("empty", store=home)
    scripted(home)
    tracklib.copy_runs(home, target)

    source, copy = opened(home), opened(target)
    assert [replace(p, id="") for p in copy.projects(archived=None)] == [
        replace(p, id="") for p in source.projects(archived=None)
    ]
    assert [replace(e, id="") for e in copy.experiments(archived=None)] == [
        replace(e, id="") for e in source.experiments(archived=None)
    ]


def test_newer_descriptions_stay(opened: Callable[[str], Store], uri_of: Place) -> None:
    """An older one is replaced, and so is one that only a run has made; when they were made stays."""
    home, target = opened(uri_of("sqlite", "home")), opened(uri_of("sqlite", "target"))
    for store, side in ((home, "mine"), (target, "theirs")):
        for name, updated in (("older here", (5, 9)), ("newer here", (9, 5))):
            at = float(updated[store is target])
            project = Project(id=new_id(), name=name, description=side, created_at=at - 1, updated_at=at)
            store.put_project(project)
            store.put_experiment(
                Experiment(id=new_id(), project=name, name="e", description=side, created_at=at - 1, updated_at=at)
            )
    home.put_project(Project(id=new_id(), name="digits", description="mine", created_at=1.0, updated_at=2.0))
    scripted(target.uri)
    tracklib.copy_runs(home.uri, target.uri)

    wanted = {"older here": ("theirs", 8.0), "newer here": ("mine", 4.0)}
    found = {project.name: (project.description, project.created_at) for project in target.projects()}
    assert found.pop("digits")[0] == "mine"
    assert found == wanted
    assert {e.project: (e.description, e.created_at) for e in target.experiments() if e.name == "e"} == wanted


def test_only_the_places_of_chosen_runs_are_described(opened: Callable[[str], Store], uri_of: Place) -> None:
    """Whoever copies one run does not get all projects with it."""
    home = uri_of("sqlite", "home")
    for project in ("p", "q"):
        scripted(home, name=project, project=project)
        tracklib.set_experiment("empty", project=project, store=home)

    tracklib.copy_runs(home, "one.db", runs="p")
    tracklib.copy_runs(home, "project.db", project="p")
    found = [[(e.project, e.name) for e in opened(uri).experiments()] for uri in ("one.db", "project.db")]
    assert found == [[("p", "sweep")], [("p", "empty"), ("p", "sweep")]]


# ---- progress


def test_progress_is_told(uri_of: Place) -> None:
    """From the first run to the last; what was copied only grows."""
    home, target = uri_of("sqlite", "home"), uri_of("sqlite", "target")
    with tracklib.start_run("digits", name="first", store=home, **QUIET) as run:
        run.log_text("text", "note")
    scripted(home, name="second")
    told: list[CopyProgress] = []
    copied = tracklib.copy_runs(home, target, on_progress=told.append)

    assert (told[0].done, told[0].total, told[0].name) == (0, 2, "second")
    assert (told[-1].done, told[-1].total, told[-1].name) == (2, 2, "")
    for name in ("done", "points", "size_bytes"):
        values = [getattr(each, name) for each in told]
        assert values == sorted(values)
    assert told[-1].points == sum(each.points for each in copied)
    assert told[-1].size_bytes == 4
