"""Exports of the SQLite store: bounded portions, made-up positions, and what only its tables can be in."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tracklib.errors import NotFound
from tracklib.records import RecordKind, new_id
from tracklib.stores import exported_points, exporting
from tracklib.stores.sqlite import SqliteStore
from tracklib.testing.batches import WriterScript, points, scattered, ship
from tracklib.testing.export import assert_exported, assert_same_run


@pytest.fixture(name="store")
def _store(tmp_path: Path) -> Iterator[SqliteStore]:
    with SqliteStore(f"sqlite:///{tmp_path}/tracklib.db") as store:
        yield store


def execute(store: SqliteStore, sql: str, *arguments: object) -> None:
    """Change the tables past the store."""
    connection = sqlite3.connect(store.path)
    with connection:
        connection.execute(sql, arguments)
    connection.close()


# ---- portions


@pytest.mark.parametrize("ended", [False, True], ids=["recent", "sealed"])
@pytest.mark.parametrize("most", [1, 7, 100, 1000])
def test_points_come_in_portions(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, *, most: int, ended: bool
) -> None:
    """Many series along one axis are split between batches, and many small groups are put together."""
    monkeypatch.setattr(exported_points, "MOST_POINTS", most)
    script = WriterScript(position=100_000)
    ship(store, [replace(script.start(), start=0)])
    for turn in range(3):
        columns = {f"wide/{n}": np.arange(5.0) + n + turn for n in range(20)}
        calls = [(f"single/{n}", turn, float(n)) for n in range(30)]
        few = scattered(calls, order=range(5, 35))
        script.ship(store, points(columns), few, final=ended and turn == 2)

    batches = assert_exported(store, script.run)
    assert max(batch.points for batch in batches) <= max(most, 15)  # One series along its axis is never split.


def test_output_comes_in_portions(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """So many records, and so much text, are in a batch at the most."""
    monkeypatch.setattr(exporting, "MOST_EVENTS", 4)
    monkeypatch.setattr(exporting, "MOST_CHARACTERS", 240)
    script = WriterScript()
    texts = [*("short" for _ in range(10)), *("long" * 50 for _ in range(5))]
    ship(store, [script.start(*(script.record(RecordKind.MESSAGE, text=text) for text in texts)), script.end()])

    batches = assert_exported(store, script.run)
    counts = [sum(record.kind == "message" for record in batch.records) for batch in batches]
    assert [count for count in counts if count] == [4, 4, 2, 1, 1, 1, 1, 1]


# ---- positions


@pytest.mark.parametrize("position", [1, 2, 3, 4, 1000])
def test_a_writer_may_have_few_positions(store: SqliteStore, *, position: int) -> None:
    """Where its batches cannot all be numbered, the last ones are one; everything is told all the same."""
    script, other = WriterScript(), WriterScript()
    other = replace(other, run=script.run, writer="1", clock=script.clock + 1.0)
    ship(store, [script.start(points({"loss": [1.0]})), other.start(primary=False)])
    for turn in range(4):
        for each in (script, other):
            each.ship(store, each.record(RecordKind.MESSAGE, text=f"{turn}"), points({"loss": float(turn)}))
    ship(store, [script.end()])
    execute(store, "UPDATE writer SET position = ? WHERE writer = '0'", position)

    batches = [batch for batch in store.export(script.run) if batch.writer == "0"]
    assert len(batches) == min(position, 5)
    assert (batches[0].start, batches[-1].end) == (0, position)
    with SqliteStore(f"sqlite:///{store.path.parent}/copy.db") as copy:
        ship(copy, store.export(script.run))
        told, wanted = ([e for e in s.events(script.run) if e.writer == "0"] for s in (copy, store))
        assert told == wanted
        infos = [s.run(script.run) for s in (copy, store)]
        mine, theirs = (replace(info, writers=tuple(sorted(info.writers, key=lambda w: w.writer))) for info in infos)
        assert mine == theirs
        assert copy.summaries([script.run]) == store.summaries([script.run])


# ---- what only tables can be in


def test_the_seconds_of_old_writers_are_the_total(store: SqliteStore) -> None:
    """A store of the first version knew the total of a run only: it comes out, whoever had which part of it."""
    first = WriterScript()
    second = first.joined_by("0.second", after_s=100.0)
    ship(store, [first.start(), first.end(duration=3.0), second.start(), second.end(duration=4.0)])
    execute(store, "UPDATE writer SET seconds = CASE writer WHEN '0' THEN NULL ELSE 7.0 END")

    assert_exported(store, first.run)
    assert store.run(first.run).duration == 7.0


def test_durations_add_up_to_the_same_sum(tmp_path: Path, store: SqliteStore) -> None:
    """To the last bit, in whatever order the ends were told."""
    first = WriterScript()
    scripts = [first, *(first.joined_by(f"0.{n}", after_s=float(n)) for n in range(1, 9))]
    ship(store, [script.start() for script in scripts])
    ship(store, [script.end(duration=0.1 * 3**n) for n, script in enumerate(scripts)])

    with SqliteStore(f"sqlite:///{tmp_path}/copy.db") as copy:
        ship(copy, store.export(first.run))
        assert_same_run(copy, store, first.run)


def test_others_write_while_batches_are_taken(store: SqliteStore) -> None:
    """The same instance, another thread and another run: the export shows the state at its beginning."""
    script, other = WriterScript(), WriterScript()
    script.ship(store, points({"loss": np.arange(5000.0)}))
    export = store.export(script.run)
    batches = [next(export)]
    thread = threading.Thread(target=other.ship, args=(store, points({"loss": 1.0})))
    thread.start()
    thread.join()
    script.ship(store, points({"loss": 1.0}, steps=[5000]))

    assert store.summaries([other.run])[other.run]["loss"].count == 1
    assert sum(batch.points for batch in [*batches, *export]) == 5000


def test_there_may_be_no_store(tmp_path: Path) -> None:
    """Then there is no such run, and none is made."""
    with SqliteStore(f"sqlite:///{tmp_path}/none.db") as store, pytest.raises(NotFound):
        store.export(new_id())
    assert list(tmp_path.iterdir()) == []
