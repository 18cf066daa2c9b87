"""The tables: made from a script that the migrations give, brought up to date, and described whole."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tracklib.errors import StoreError
from tracklib.records import RecordKind
from tracklib.stores import connection as connection_module
from tracklib.stores import schema
from tracklib.stores.base import RunQuery
from tracklib.stores.sqlite import SqliteStore
from tracklib.testing.batches import WriterScript, points, ship
from tracklib.testing.versions import log_artifact

if TYPE_CHECKING:
    from sqlite_utils import Database


@pytest.fixture(name="database")
def _database() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    yield connection
    connection.close()


@pytest.fixture(name="old_store")
def _old_store(tmp_path: Path) -> tuple[Path, WriterScript]:
    """Return the file of a store as this version makes it, and the writer of its run."""
    path, script = tmp_path / "tracklib.db", WriterScript()
    with SqliteStore(f"sqlite:///{path}") as store:
        script.ship(store, points({"loss": [1.0, 2.0]}))
    return path, script


def m005_mood(db: Database) -> None:
    """Stand for the next migration."""
    db.table("run").add_column("mood", str)
    db.execute("UPDATE run SET mood = 'calm'")


def m005_broken(db: Database) -> None:
    """Stand for a migration that fails on the way."""
    db.table("run").add_column("mood", str)
    db.execute("UPDATE run SET no_such_column = 1")


def released(monkeypatch: pytest.MonkeyPatch, *later: object) -> None:
    """Make this a tracklib of a later version."""
    migrations = (*schema.MIGRATIONS, *later)
    monkeypatch.setattr(schema, "MIGRATIONS", migrations)
    for module in (schema, connection_module):
        monkeypatch.setattr(module, "VERSION", len(migrations))


ODD_PARAMS: list[tuple[str, str, object]] = [
    ("none", "null", None),
    ("yes", "true", True),
    ("nan", "nan", {"$float": "nan"}),
    ("inf", "inf", {"$float": "inf"}),
    ("whole", "5", 5),
    ("real", "5.0", 5.0),
    ("small", "1e-05", 1e-05),
    ("huge", str(10**400), 10**400),
    ("list", "[1]", [1]),
    ("empty", "{}", {}),
    ("word", "adam", "sgd"),
]
"""By name, a text and a value that the table has the same text of."""


def rows(path: Path, sql: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def left_by(version: int, path: Path) -> None:
    """Bring a file back to what an older version left."""
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("ALTER TABLE param DROP COLUMN type")
        connection.execute("DROP INDEX idx_series_name_last_run_key")
        connection.execute("CREATE INDEX idx_series_name_last ON series (name, last)")
        if version < 3:
            for table in ("artifact_version", "artifact_alias", "artifact_use"):
                connection.execute(f"DROP TABLE {table}")
            connection.execute("DROP INDEX idx_artifact_project_name_version")
            connection.execute("DROP INDEX idx_artifact_checksum")
            for column in ("project", "aliases", "score"):
                connection.execute(f"ALTER TABLE artifact DROP COLUMN {column}")
        if version < 2:
            connection.execute("ALTER TABLE writer DROP COLUMN seconds")
        connection.execute("DELETE FROM _sqlite_migrations WHERE id > ?", (version,))
        connection.execute(f"PRAGMA user_version = {version}")
    connection.close()


def tables_of(connection: sqlite3.Connection) -> dict[str, list[str]]:
    """Return the columns of each table."""
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
    return {name: [row[1] for row in connection.execute(f'PRAGMA table_info("{name}")')] for name in names}


# ---- one schema


def test_the_script_is_what_the_migrations_give() -> None:
    """Whoever changes a migration writes the script anew: `schema.SCHEMA_FILE.write_text(schema.render_schema())`."""
    assert schema.SCHEMA_FILE.read_text(encoding="utf-8") == schema.render_schema()


def test_a_new_database_is_like_a_migrated_one(database: sqlite3.Connection) -> None:
    """Tables, indexes, marks and header are the same, whichever way they were made."""

    def everything(connection: sqlite3.Connection) -> list[object]:
        marks = connection.execute("SELECT migration_set, name FROM _sqlite_migrations").fetchall()
        header = [connection.execute(f"PRAGMA {name}").fetchall() for name in ("user_version", "application_id")]
        return [connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY name").fetchall(), marks, header]

    schema.create(database)
    migrated = sqlite3.connect(":memory:", isolation_level=None)
    schema.migrate(migrated)

    assert everything(database) == everything(migrated)
    migrated.close()


def test_a_new_store_takes_no_help_of_sqlite_utils(tmp_path: Path) -> None:
    """Making and using a store does not import what migrations need, which may import pandas."""
    script = (
        "import sys\n"
        "from tracklib.stores.sqlite import SqliteStore\n"
        "from tracklib.testing.batches import WriterScript, points\n"
        "with SqliteStore(sys.argv[1]) as store:\n"
        "    WriterScript().ship(store, points({'loss': 1.0}))\n"
        "assert not {'sqlite_utils', 'pandas'} & set(sys.modules), sorted(sys.modules)\n"
    )
    words = [sys.executable, "-c", script, f"sqlite:///{tmp_path}/tracklib.db"]

    assert subprocess.run(words, check=False, timeout=200).returncode == 0


# ---- from version to version


def test_an_older_store_is_brought_up_to_date(
    old_store: tuple[Path, WriterScript], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later version adds what it needs when it opens the file, and everything in it stays."""
    path, script = old_store
    released(monkeypatch, m005_mood)
    with SqliteStore(f"sqlite:///{path}") as store:
        script.ship(store, points({"loss": [3.0]}, steps=[2]))
        assert store.series(script.run, "loss").values.tolist() == [1.0, 2.0, 3.0]

    assert rows(path, "SELECT mood FROM run") == [("calm",)]
    assert rows(path, "PRAGMA user_version") == [(schema.VERSION,)]
    marks = [name for (name,) in rows(path, "SELECT name FROM _sqlite_migrations ORDER BY id")]
    assert marks == [migration.__name__ for migration in schema.MIGRATIONS]
    assert marks[-1] == "m005_mood"


def test_reading_brings_up_to_date_as_well(
    old_store: tuple[Path, WriterScript], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older store can be read without anything being written to it first, and a second time."""
    path, script = old_store
    released(monkeypatch, m005_mood)

    for _ in range(2):
        with SqliteStore(f"sqlite:///{path}") as store:
            store.check()
            assert [info.id for info in store.runs(RunQuery())] == [script.run]
    assert rows(path, "SELECT mood FROM run") == [("calm",)]


def test_many_may_bring_up_to_date_at_once(
    old_store: tuple[Path, WriterScript], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several that open an older store at the same moment, one migrates and the others wait."""
    path, script = old_store
    released(monkeypatch, m005_mood)

    def read(_: int) -> list[str]:
        with SqliteStore(f"sqlite:///{path}") as store:
            return [info.id for info in store.runs(RunQuery())]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(read, range(8))) == [[script.run]] * 8
    assert len(rows(path, "SELECT * FROM _sqlite_migrations")) == len(schema.MIGRATIONS)


def test_a_migration_that_fails_changes_nothing(
    old_store: tuple[Path, WriterScript], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older store that cannot be brought up to date is as it was, and the version that made it still reads it."""
    path, script = old_store
    before = rows(path, "SELECT sql FROM sqlite_master")
    with monkeypatch.context() as later:
        released(later, m005_broken)
        with pytest.raises(StoreError, match="no_such_column"):
            SqliteStore(f"sqlite:///{path}").runs(RunQuery())

    assert rows(path, "SELECT sql FROM sqlite_master") == before
    assert rows(path, "PRAGMA user_version") == [(schema.VERSION,)]
    with SqliteStore(f"sqlite:///{path}") as store:
        assert store.series(script.run, "loss").values.tolist() == [1.0, 2.0]


def test_a_store_of_the_first_version_gets_the_seconds_of_its_writers(tmp_path: Path) -> None:
    """Only the total of a run was kept: its last main writer has it, and the total stays as more is added."""
    path, first = tmp_path / "tracklib.db", WriterScript()
    helper, second = first.joined_by("1", after_s=50.0), first.joined_by("0.second", after_s=20.0)
    with SqliteStore(f"sqlite:///{path}") as store:
        ship(store, [first.start(), first.end(duration=10.0), second.start(), helper.start(primary=False)])
    left_by(1, path)

    with SqliteStore(f"sqlite:///{path}") as store:
        assert store.run(first.run).duration == 10.0
        assert rows(path, "SELECT writer, seconds FROM writer") == [("0", None), ("0.second", 10.0), ("1", None)]
        ship(store, [second.end(duration=5.0), helper.end(duration=7.0)])
        assert store.run(first.run).duration == 15.0
    assert rows(path, "PRAGMA user_version") == [(schema.VERSION,)]


def test_a_store_of_the_second_version_keeps_its_artifacts(tmp_path: Path) -> None:
    """They belong to their runs with the numbers that these gave; what is logged from then on is counted anew."""
    path, script = tmp_path / "tracklib.db", WriterScript()
    records = [
        script.record(RecordKind.ARTIFACT, id=f"{number}", name="model", type="model", version=number, checksum="ab")
        for number in (1, 2)
    ]
    with SqliteStore(f"sqlite:///{path}") as store:
        ship(store, [script.start(*records)])
        before = store.artifacts(script.run)
    left_by(2, path)
    assert "project" not in [row[1] for row in rows(path, "PRAGMA table_info(artifact)")]

    with SqliteStore(f"sqlite:///{path}") as store:
        assert store.artifacts(script.run) == before
        assert [(each.project, each.version, each.aliases, each.score) for each in before] == [
            ("", number, (), None) for number in (1, 2)
        ]
        assert [log_artifact(store, content, script=script) for content in "aba"] == [0, 1, 0]
    assert rows(path, "PRAGMA user_version") == [(schema.VERSION,)]


def test_a_store_of_the_third_version_learns_the_types_of_its_params(tmp_path: Path) -> None:
    """What could be a text or something else by its text alone is told from the params as they were given."""
    path, script = tmp_path / "tracklib.db", WriterScript()
    alike = {name: [text, value] for name, text, value in ODD_PARAMS}
    params = {name: dict(zip(("text", "value"), values, strict=True)) for name, values in alike.items()}
    with SqliteStore(f"sqlite:///{path}") as store:
        script.ship(store, script.record(RecordKind.PARAMS, params=params))
    told = "SELECT name, text, number, type FROM param ORDER BY name"
    before = rows(path, told)
    left_by(3, path)
    connection = sqlite3.connect(path)
    with connection:  # As that version kept it.
        connection.execute("UPDATE param SET number = NULL WHERE name = 'huge.value'")
    connection.close()

    with SqliteStore(f"sqlite:///{path}") as store:
        assert [info.id for info in store.runs(RunQuery())] == [script.run]
    assert rows(path, told) == before
    assert {row[3] for row in before} == {"null", "boolean", "integer", "real", "text", "json"}


def test_claims_outlive_runs(tmp_path: Path) -> None:
    """Which numbers were given out stands in a table of its own, with the content that has them."""
    path, script = tmp_path / "tracklib.db", WriterScript()
    with SqliteStore(f"sqlite:///{path}") as store:
        for content in "aba":
            log_artifact(store, content, script=script)
        store.delete_run(script.run)

    claims = rows(path, "SELECT project, name, version, checksum FROM artifact_version ORDER BY version")
    assert claims == [("digits", "model", n, sha256(content).hexdigest()) for n, content in enumerate((b"a", b"b"))]


# ---- what any SQL tool finds


def test_params_lie_flat_in_a_table(tmp_path: Path) -> None:
    """Each leaf of the params is a row under its dotted name, as text and, where it is one, as a number."""
    params = {
        "model": {"hidden": 128, "act": "relu", "empty": {}, "sizes": [1, 2]},
        "amp": True,
        "none": None,
        "lr": {"$float": "nan"},
        "most": {"$float": "-inf"},
        "huge": 10**400,
        "odd": {"$repr": "<x>", "$type": "a.B"},
        "schema": {"$$ref": 1},
    }
    script = WriterScript()
    with SqliteStore(f"sqlite:///{tmp_path}/tracklib.db") as store:
        script.ship(store, script.record(RecordKind.PARAMS, params={**params, "gone": {"a": 1}}))
        script.ship(store, script.record(RecordKind.PARAMS, params={"gone": 2}))

    found = rows(tmp_path / "tracklib.db", "SELECT name, text, number, type FROM param ORDER BY name")
    assert {str(name): tuple(row) for name, *row in found} == {
        "amp": ("true", 1.0, "boolean"),
        "gone": ("2", 2.0, "integer"),
        "huge": (str(10**400), float("inf"), "integer"),
        "lr": ("nan", None, "real"),
        "model.act": ("relu", None, "text"),
        "model.empty": ("{}", None, "json"),
        "model.hidden": ("128", 128.0, "integer"),
        "model.sizes": ("[1,2]", None, "json"),
        "most": ("-inf", float("-inf"), "real"),
        "none": ("null", None, "null"),
        "odd": ('{"$repr":"<x>","$type":"a.B"}', None, "json"),
        "schema.$ref": ("1", 1.0, "integer"),
    }


def test_long_texts_are_kept_once(tmp_path: Path) -> None:
    """Runs with the same packages and diff share one row of each."""
    with SqliteStore(f"sqlite:///{tmp_path}/tracklib.db") as store:
        for _ in range(3):
            script = WriterScript()
            script.ship(store, script.record(RecordKind.ENVIRONMENT, packages={"numpy": "2"}))
            script.ship(store, script.record(RecordKind.SOURCE, diff="d" * 1000))

    found = rows(tmp_path / "tracklib.db", "SELECT text FROM document ORDER BY length(text)")
    assert found == [('{"numpy":"2"}',), ("d" * 1000,)]


def test_archived_runs_are_listed_on_request(tmp_path: Path) -> None:
    """A run that was archived is left out of lists, listed as well, or listed alone."""
    scripts = [WriterScript(), WriterScript()]
    with SqliteStore(f"sqlite:///{tmp_path}/tracklib.db") as store:
        for script in scripts:
            script.ship(store)
        connection = sqlite3.connect(tmp_path / "tracklib.db")
        with connection:
            connection.execute("UPDATE run SET archived_at = 5.0 WHERE id = ?", (scripts[0].run,))
        connection.close()

        found = {way: {info.id for info in store.runs(RunQuery(archived=way))} for way in (False, True, None)}
        assert found == {False: {scripts[1].run}, True: {scripts[0].run}, None: {script.run for script in scripts}}
        assert store.run(scripts[0].run).archived_at == 5.0


# ---- the page about the format


def test_the_page_names_every_table_and_column(page: str, database: sqlite3.Connection) -> None:
    """Each table has its heading and each column its line, and no others have."""
    schema.create(database)
    described = {}
    for heading, section in re.findall(r"^### `(\w+)`\n(.*?)(?=^##|\Z)", page, re.DOTALL | re.MULTILINE):
        cells = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
        described[heading] = [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]

    assert {name: sorted(columns) for name, columns in described.items()} == {
        name: sorted(columns) for name, columns in tables_of(database).items()
    }


def test_the_page_knows_the_version(page: str) -> None:
    """The numbers in the file's header are told."""
    assert f"`PRAGMA application_id` is {schema.APPLICATION_ID}," in page
    assert f"is the version of the tables, now {schema.VERSION}." in page


def test_the_page_needs_no_tracklib(page_code: str, tmp_path: Path) -> None:
    """What the page shows reads sealed and recent points of several writers without importing tracklib."""
    path, script = tmp_path / "tracklib.db", WriterScript()
    with SqliteStore(f"sqlite:///{path}") as store:
        script.ship(store, points({"loss": numbers(5000), "lr": [0.1] * 5000}))
        other = script.joined_by("1")
        other.ship(store, points({"loss": [7.0, 8.0]}, steps=[0, 1]))
        script.ship(store, points({"lr": [0.2], "loss": [9.0]}, steps=[5000]))
        series = store.series(script.run, "loss", every=True)
    use = (
        f"\nsteps, times, values = read_points({str(path)!r}, {script.run!r}, 'loss')\n"
        "import sys\n"
        "assert not [name for name in sys.modules if name.startswith('tracklib')]\n"
        "order = steps.argsort(kind='stable')\n"
        "print(steps[order].tolist(), times[order].tolist(), values[order].tolist())\n"
    )
    words = [sys.executable, "-I", "-c", page_code + use]
    done = subprocess.run(words, check=True, capture_output=True, text=True, timeout=200)

    assert done.stdout.rstrip() == " ".join(str(column.tolist()) for column in series)


def numbers(count: int) -> list[float]:
    return [float(number) for number in range(count)]
