"""The database file in good and bad hands: made, refused, damaged, locked, deleted, full and read-only."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

import tracklib
from tracklib.errors import CorruptData, NotFound, StoreError, StoreUnavailable, StoreVersion
from tracklib.model import Project
from tracklib.stores import connection as connection_module
from tracklib.stores.base import RunQuery
from tracklib.stores.mounts import network_filesystem
from tracklib.stores.open_databases import is_open_here, read_head
from tracklib.stores.schema import APPLICATION_ID, VERSION
from tracklib.stores.sqlite import SqliteStore
from tracklib.testing.batches import WriterScript, points

InChild = Callable[..., str]
Mount = Callable[..., None]


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    return tmp_path / "store" / "tracklib.db"


@pytest.fixture(name="store")
def _store(path: Path) -> Iterator[SqliteStore]:
    with SqliteStore(f"sqlite:///{path}") as store:
        yield store


def sql(path: Path, *statements: str) -> list[object]:
    """Return the first column of the last statement's rows, asked past the store."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        return [row[0] for statement in statements for row in connection.execute(statement).fetchall()]
    finally:
        connection.close()


def written(store: SqliteStore, *, values: int = 1) -> WriterScript:
    """Return a writer whose run is in the store."""
    script = WriterScript()
    script.ship(store, points({"loss": [float(n) for n in range(values)]}))
    return script


def refused(store: SqliteStore, error: type[Exception], match: str) -> None:
    """Make sure that a store can neither be checked nor read nor written to."""
    for use in (store.check, lambda: store.runs(RunQuery()), lambda: store.append(WriterScript().start())):
        with pytest.raises(error, match=match):
            use()


# ---- how a store comes to be


def test_the_file_is_made_when_something_is_written(store: SqliteStore, path: Path) -> None:
    """Neither opening nor checking nor reading makes anything; the first batch makes folder and file."""
    store.check()
    with pytest.raises(NotFound, match="there is no store"):
        store.runs(RunQuery())
    assert store.position("nobody's", "0") == 0
    assert not path.parent.exists()

    written(store)
    assert path.exists()


def test_the_file_says_what_it_is(store: SqliteStore, path: Path) -> None:
    """Application, version and journal mode stand in the file."""
    written(store)

    assert sql(path, "PRAGMA application_id", "PRAGMA user_version") == [APPLICATION_ID, VERSION]
    assert sql(path, "PRAGMA journal_mode") == ["wal"]
    assert sql(path, "PRAGMA integrity_check") == ["ok"]
    assert sql(path, "PRAGMA foreign_key_check") == []


@pytest.mark.parametrize("content", [b"", "tables"])
def test_an_empty_file_becomes_a_store(store: SqliteStore, path: Path, content: object) -> None:
    """A file without bytes, and a database without tables, are as good as none."""
    path.parent.mkdir()
    if content:
        sql(path, "CREATE TABLE t (x)", "DROP TABLE t", "PRAGMA user_version = 7", "VACUUM")
    else:
        path.touch()

    written(store)
    assert sql(path, "PRAGMA user_version") == [VERSION]


def test_eight_processes_make_one_store(path: Path) -> None:
    """Processes that begin at once on a store that is not there make it once, and all of them write to it."""
    script = (
        "import sys\n"
        "from tracklib.stores.sqlite import SqliteStore\n"
        "from tracklib.testing.batches import WriterScript, points\n"
        "store = SqliteStore(sys.argv[1])\n"
        "script = WriterScript(project=sys.argv[2])\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "script.ship(store, points({'loss': 1.0}), final=True)\n"
        "store.close()\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    children = [
        subprocess.Popen(
            [sys.executable, "-c", script, f"sqlite:///{path}", str(number)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )
        for number in range(8)
    ]
    for child in children:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
    for child in children:
        child.communicate("go\n", timeout=200)

    assert [child.returncode for child in children] == [0] * 8
    with SqliteStore(f"sqlite:///{path}") as store:
        assert sorted(info.project for info in store.runs(RunQuery())) == sorted(map(str, range(8)))
    assert sql(path, "SELECT count(*) FROM _sqlite_migrations") == [VERSION]


# ---- files that are none of ours


@pytest.mark.parametrize("version", [0, VERSION, 99])
def test_a_database_of_another_program_is_left_alone(store: SqliteStore, path: Path, version: int) -> None:
    """A database with tables that are not ours is refused, and not a byte of it is changed."""
    path.parent.mkdir()
    sql(path, "CREATE TABLE theirs (x)", f"PRAGMA user_version = {version}")
    before = path.read_bytes()

    refused(store, StoreError, "another program")
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_newer_store_is_refused(store: SqliteStore, path: Path) -> None:
    """What a later tracklib made is told, with what to do, and left alone."""
    written(store)
    store.close()
    sql(path, f"PRAGMA user_version = {VERSION + 1}")

    refused(store, StoreVersion, "pip install --upgrade")
    assert sql(path, "PRAGMA user_version") == [VERSION + 1]


@pytest.mark.parametrize("content", [b"these are no pages", b"SQLite format 3\0", b"x" * 5000])
def test_what_is_no_database_is_told(store: SqliteStore, path: Path, content: bytes) -> None:
    """A file of another kind is refused and left alone."""
    path.parent.mkdir()
    path.write_bytes(content)

    for use in (lambda: store.runs(RunQuery()), lambda: store.append(WriterScript().start())):
        with pytest.raises(CorruptData, match=r"tracklib\.db"):
            use()
    assert path.read_bytes() == content


def test_a_check_tells_what_is_no_database(store: SqliteStore, path: Path) -> None:
    """Whoever starts a run hears at once that the file is of another kind."""
    path.parent.mkdir()
    path.write_text("these are no pages")

    with pytest.raises(CorruptData, match="is no SQLite database"):
        store.check()


@pytest.mark.parametrize("damage", ["overwritten", "cut"])
def test_a_damaged_database_is_told(store: SqliteStore, path: Path, damage: str) -> None:
    """Pages that were overwritten or lost are told as damage, with the file's name and what to do."""
    script = written(store, values=20_000)
    store.close()
    with path.open("r+b") as file:
        if damage == "cut":
            file.truncate(path.stat().st_size // 2)
        else:
            file.seek(4096)
            file.write(b"\xff" * (path.stat().st_size - 4096))

    with pytest.raises(CorruptData, match=r"is damaged.*restore it"):
        store.series(script.run, "loss")


def test_damaged_points_are_told(store: SqliteStore, path: Path) -> None:
    """A column with a changed byte is told as damage; other series can still be read."""
    script = written(store, values=5000)
    script.ship(store, points({"other": [1.0]}), final=True)
    store.close()
    sql(path, "UPDATE chunk SET data = CAST(substr(data, 1, 20) || x'ff' || substr(data, 22) AS BLOB) WHERE id = 1")

    with pytest.raises(CorruptData, match="bytes"):
        store.series(script.run, "loss")
    assert store.series(script.run, "other").values.tolist() == [1.0]


@pytest.mark.parametrize("use", ["check", "write"])
def test_a_file_in_place_of_the_folder_is_told(store: SqliteStore, path: Path, use: str) -> None:
    """A path that leads through a file is told as what it is."""
    path.parent.write_text("in the way")

    with pytest.raises(StoreError, match=r"tracklib\.db cannot be"):
        store.check() if use == "check" else written(store)


def test_a_network_file_system_is_refused(
    store: SqliteStore, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the write-ahead log would lose data, nothing is made, and the message names the store that works."""
    table = tmp_path / "mounts"
    path.parent.mkdir()
    table.write_text(f"none / ext4 rw 0 0\nserver:/runs {path.parent} nfs4 rw 0 0\n")
    told = partial(network_filesystem, mount_table=table)
    monkeypatch.setattr(connection_module, "network_filesystem", told)

    for use in (store.check, lambda: store.append(WriterScript().start())):
        with pytest.raises(StoreError, match=rf"nfs4.*file://{path.parent}"):
            use()
    assert list(path.parent.iterdir()) == []


# ---- trouble on the way


def test_a_locked_database_is_unavailable_for_a_while(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another process has the file for itself, writing fails but may be tried again; reading goes on."""
    monkeypatch.setattr(connection_module, "BUSY_SECONDS", 0.05)
    script = written(store)
    batch = script.batch(points({"loss": [2.0]}, steps=[1]))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(StoreUnavailable, match="locked"):
        store.append(batch)
    assert store.series(script.run, "loss").values.tolist() == [0.0]
    other.execute("ROLLBACK")
    other.close()
    assert store.append(batch) == batch.end


def test_a_lock_is_waited_for(store: SqliteStore, path: Path) -> None:
    """A writer that is only slow holds nobody up for good."""
    script = written(store)
    holder = (
        "import sqlite3, sys, time\n"
        "connection = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "connection.execute('BEGIN IMMEDIATE')\n"
        "print('locked', flush=True); time.sleep(0.3)\n"
        "connection.execute('COMMIT')\n"
        "connection.close()\n"
    )
    with subprocess.Popen([sys.executable, "-c", holder, str(path)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        script.ship(store, points({"loss": [2.0]}, steps=[1]))

    assert store.series(script.run, "loss").values.tolist() == [0.0, 2.0]


def test_a_batch_that_cannot_be_meant_leaves_nothing(store: SqliteStore) -> None:
    """A batch takes effect whole or not at all: what stood before the bad record is taken back with it."""
    script = written(store)
    bad = script.batch(
        script.record("notes", text="gone"), script.record("artifact", name="no id"), points({"new": [1.0]})
    )
    with pytest.raises(KeyError):
        store.append(bad)

    assert store.position(script.run, "0") == bad.start
    assert (store.run(script.run).notes, store.events(script.run)) == ("", [])
    script.position = bad.start
    script.ship(store, points({"new": [2.0], "newer": [3.0]}))
    assert store.series(script.run, "new").values.tolist() == [2.0]


def test_a_deleted_file_is_made_anew(store: SqliteStore, path: Path) -> None:
    """When the file is gone, the next batch makes a new one and is told to begin at the front."""
    script = written(store)
    for file in path.parent.glob("tracklib.db*"):
        file.unlink()

    assert store.append(script.batch(points({"loss": [2.0]}))) == 0
    script.position = 0
    script.ship(store, points({"loss": [3.0]}), final=True)
    assert store.series(script.run, "loss").values.tolist() == [3.0]


def test_a_file_that_was_put_in_its_place_is_read(store: SqliteStore, path: Path, tmp_path: Path) -> None:
    """When another store is moved to the place, its runs are what is seen, and no number of the old one is used."""
    old = written(store)
    with SqliteStore(f"sqlite:///{tmp_path}/other.db") as other:
        other.put_project(Project(id="p", name="shifts the numbers"))
        new = written(other)
    for file in path.parent.glob("tracklib.db*"):
        file.unlink()
    (tmp_path / "other.db").rename(path)

    assert [info.id for info in store.runs(RunQuery())] == [new.run]
    new.ship(store, points({"loss": [5.0], "acc": [6.0]}, steps=[1]))
    assert store.series(new.run, "loss").values.tolist() == [0.0, 5.0]
    with pytest.raises(NotFound):
        store.run(old.run)


def test_a_full_disk_is_unavailable_for_a_while(store: SqliteStore, mounted: Mount, path: Path) -> None:
    """A batch for which there is no room is refused whole, and taken when there is."""
    path.parent.mkdir()
    mounted(path.parent, "-t", "tmpfs", "-o", "size=1m", "none")
    script = written(store)
    ballast = path.parent / "ballast"
    free = os.statvfs(path.parent)
    ballast.write_bytes(b"x" * max(0, free.f_bavail * free.f_bsize - 8192))
    batch = script.batch(points({f"series/{n}": [float(n)] for n in range(3000)}))

    with pytest.raises(StoreUnavailable, match="full"):
        store.append(batch)
    assert store.position(script.run, "0") == batch.start
    ballast.unlink()
    assert store.append(batch) == batch.end
    store.close()


def test_a_limit_of_file_sizes_is_like_a_full_disk(path: Path, in_child: InChild) -> None:
    """A process that may not write so much is told, and what it had written before is whole."""
    with SqliteStore(f"sqlite:///{path}") as store:
        script = written(store)
    batch = script.batch(points({f"series/{n}": [float(n)] for n in range(3000)}))

    told = in_child(lambda: SqliteStore(f"sqlite:///{path}").append(batch), largest_file=250_000)
    assert told.startswith("StoreUnavailable: ")
    with SqliteStore(f"sqlite:///{path}") as store:
        assert store.position(script.run, "0") == batch.start
        assert store.append(batch) == batch.end


# ---- processes


def test_a_forked_child_does_no_harm(store: SqliteStore, in_child: InChild) -> None:
    """A child that closes the instance it inherited, or uses it, leaves the parent's connection whole."""
    script = written(store)

    assert in_child(store.close) == "None"
    assert in_child(partial(store.position, script.run, "0")) == str(script.position)
    script.ship(store, points({"loss": [1.0]}, steps=[1]))
    assert store.series(script.run, "loss").values.tolist() == [0.0, 1.0]


BESIDE = """
import sys, tracklib
with tracklib.start_run("p", store=sys.argv[1], system_interval=0, auto_log_git=False, auto_log_env=False) as run:
    run.log({"x": 1})
"""


@pytest.mark.parametrize("look", ["check", "artifact", "artifact of a folder"])
def test_nobody_takes_its_locks_away(tmp_path: Path, look: str) -> None:
    """A file that is opened and closed by the way loses the locks of the process, and others damage it then."""
    uri = f"sqlite:///{tmp_path}/runs.db"
    with tracklib.start_run("p", store=uri) as run:
        run.log({"x": 1})
    held = tracklib.get_run(run, store=uri)
    assert held.metrics["x"].count == 1
    for _ in range(3):
        with tracklib.start_run("p", store=uri) as other:
            other.log({"x": 1})
            if look != "check":
                other.log_artifact(tmp_path / "runs.db" if look == "artifact" else tmp_path, "copy")
        subprocess.run([sys.executable, "-c", BESIDE, uri], check=True)

        assert len(tracklib.list_runs(store=uri)) > 1
    assert held.series("x").values.tolist() == [1.0]
    assert len(tracklib.list_runs(store=uri)) == 7


def test_a_file_that_is_open_here_is_known_by_any_name(tmp_path: Path) -> None:
    """With what lies beside it, and only for as long."""
    with SqliteStore(f"sqlite:///{tmp_path}/runs.db") as store:
        written(store)
        (tmp_path / "link").symlink_to("runs.db")
        (tmp_path / "other").touch()
        names = ("runs.db", "runs.db-wal", "runs.db-shm", "link", "other", "nothing")
        assert [is_open_here(f"{tmp_path}/{name}") for name in names] == [True, True, True, True, False, False]

    assert not any(is_open_here(f"{tmp_path}/{name}") for name in names)
    assert read_head(tmp_path / "runs.db", 6) == b"SQLite"
