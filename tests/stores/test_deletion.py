"""Deleted runs leave no rows behind, and share what they shared."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tracklib.errors import NotFound
from tracklib.records import RecordKind, new_id
from tracklib.stores.sqlite import SqliteStore
from tracklib.testing.batches import WriterScript, points, ship
from tracklib.testing.entities import ALIAS, ARTIFACT, ENVIRONMENT, SOURCE, USE, as_data

SHARED = {"project", "experiment", "_sqlite_migrations"}
CLAIMS = "artifact_version"


@pytest.fixture(name="store")
def _store(tmp_path: Path) -> Iterator[SqliteStore]:
    with SqliteStore(f"sqlite:///{tmp_path}/tracklib.db") as store:
        yield store


def rows(store: SqliteStore) -> dict[str, list[Any]]:
    """Return the rows of each table but for those that runs are gathered under."""
    with closing(sqlite3.connect(store.path)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            name: connection.execute(f"SELECT * FROM {name}").fetchall()  # noqa: S608 - our own names
            for name in tables
            if name not in SHARED and not name.startswith("sqlite_")
        }


def full_run(store: SqliteStore, **source: Any) -> str:
    """Return the id of a run that has rows in every table, of points both recent and sealed."""
    script = WriterScript()
    told = (
        script.record(RecordKind.PARAMS, params={"lr": 0.1}),
        script.record(RecordKind.TAGS, tags={"a": "1"}),
        script.record(RecordKind.SOURCE, **as_data(replace(SOURCE, **source))),
        script.record(RecordKind.ENVIRONMENT, **as_data(ENVIRONMENT)),
        script.record(RecordKind.ARTIFACT, **{**as_data(ARTIFACT), "id": new_id()}),
        script.record(RecordKind.ALIAS, **as_data(ALIAS)),
        script.record(RecordKind.USE, **as_data(USE)),
    )
    ship(store, [script.start(*told, points({"loss": range(5000)})), script.batch(points({"loss": [1.0]}))])
    return script.run


def test_every_table_is_cleared(store: SqliteStore) -> None:
    """A run with rows everywhere leaves none but its claims, the long texts that only it had included."""
    run = full_run(store)
    before = rows(store)
    store.delete_run(run)

    assert [name for name, found in before.items() if not found] == []
    assert {name: found for name, found in rows(store).items() if found} == {CLAIMS: before[CLAIMS]}


def test_rows_of_other_runs_stay(store: SqliteStore) -> None:
    """Each as it was, and the texts that they have in common with the deleted one."""
    first = full_run(store, diff="of the first", untracked={})
    before = rows(store)
    second = full_run(store, diff="of the second", untracked={"a": "text"})
    with_both = rows(store)
    store.delete_run(second)
    after = rows(store)
    store.delete_run(first)

    assert after == before
    assert len(with_both["document"]) == len(before["document"]) + 2
    assert rows(store)["document"] == []


def test_a_run_without_texts_is_deleted(store: SqliteStore) -> None:
    """What it never had is no reason to forget the texts of others."""
    full_run(store)
    before = rows(store)
    script = WriterScript()
    ship(store, [script.start(script.record(RecordKind.SOURCE, diff="", untracked={}))])
    store.delete_run(script.run)

    assert rows(store) == before


def test_no_file_is_made_to_delete_from(tmp_path: Path) -> None:
    """Where there is no store yet, there is no such run."""
    with SqliteStore(f"sqlite:///{tmp_path}/tracklib.db") as store, pytest.raises(NotFound, match="there is no store"):
        store.delete_run(new_id())

    assert list(tmp_path.iterdir()) == []


def test_keys_that_are_given_out_again_do_no_harm(store: SqliteStore) -> None:
    """An instance that wrote to a run which another one deleted writes to the next run as to any."""
    old, new = WriterScript(), WriterScript()
    old.ship(store, points({"a": 1.0, "b": 2.0}))
    with SqliteStore(store.uri) as other:
        other.delete_run(old.run)
        new.ship(other, points({"b": 3.0}))
        other.delete_run(new.run)
    again = WriterScript()
    again.ship(store, points({"b": 4.0, "a": 5.0}))

    assert store.series(again.run, "a").values.tolist() == [5.0]
    assert store.series(again.run, "b").values.tolist() == [4.0]
