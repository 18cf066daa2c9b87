"""How the SQLite store keeps points: as batches first, as chunks when enough have gathered, and summed up."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tracklib.errors import NotFound
from tracklib.stores.chunks import CHUNK_POINTS
from tracklib.stores.points import SEAL_BATCHES, SEAL_ROWS, SUMMARY_SERIES
from tracklib.stores.sqlite import SqliteStore
from tracklib.testing.batches import WriterScript, logged, points, scattered


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    return tmp_path / "tracklib.db"


@pytest.fixture(name="store")
def _store(path: Path) -> Iterator[SqliteStore]:
    with SqliteStore(f"sqlite:///{path}") as store:
        yield store


def rows(path: Path, sql: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(path)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def counts(path: Path) -> dict[str, object]:
    """Return how many rows the tables of points have."""
    return {name: rows(path, f"SELECT count(*) FROM {name}")[0][0] for name in ("batch", "axis", "chunk", "series")}  # noqa: S608 - our own names


def wide(count: int) -> dict[str, float]:
    return {f"series/{n}": float(n) for n in range(count)}


# ---- batches and chunks


def test_a_flush_is_one_row(store: SqliteStore, path: Path) -> None:
    """What was shipped together is one batch, however many series it has and however they were logged."""
    script = WriterScript()
    script.ship(store, points(wide(1000)), scattered([("a", 0, 1.0), ("b", 0, 2.0)]), points({"x": [1.0, 2.0]}))

    assert counts(path) == {"batch": 1, "axis": 0, "chunk": 0, "series": 1003}
    assert rows(path, "SELECT points FROM batch") == [(1000 + 2 + 2,)]


def test_a_batch_without_points_is_no_row(store: SqliteStore, path: Path) -> None:
    """Records alone, and groups without calls, leave no batch."""
    script = WriterScript()
    script.ship(store)
    script.ship(store, script.record("notes", text="n"))
    script.ship(store, *logged([]))

    assert counts(path) == {"batch": 0, "axis": 0, "chunk": 0, "series": 0}


def test_many_batches_become_chunks(store: SqliteStore, path: Path) -> None:
    """When so many batches wait, they are put together; series that were logged together share an axis."""
    script = WriterScript()
    for step in range(SEAL_BATCHES + 1):
        script.ship(store, points({"loss": 1.0, "lr": 2.0}, steps=[step]))

    assert counts(path) == {"batch": 0, "axis": 1, "chunk": 2, "series": 2}
    assert rows(path, "SELECT count, first_step, last_step FROM axis") == [(SEAL_BATCHES + 1, 0, SEAL_BATCHES)]


def test_many_rows_become_chunks(store: SqliteStore, path: Path) -> None:
    """When so many calls wait, they are put together, those of the batch that brings them too."""
    script = WriterScript()
    script.ship(store, points({"loss": np.zeros(SEAL_ROWS - 1)}))
    assert counts(path)["batch"] == 1

    script.ship(store, points({"loss": 1.0}))
    assert counts(path) == {"batch": 0, "axis": 1, "chunk": 1, "series": 1}


def test_the_last_batch_leaves_chunks_only(store: SqliteStore, path: Path) -> None:
    """A writer that has ended has no batches any more, and the others keep theirs."""
    script = WriterScript()
    script.ship(store, points({"loss": 1.0}))
    other = script.joined_by("1")
    other.ship(store, points({"loss": 2.0}))
    script.ship(store, points({"loss": 3.0}), final=True)

    assert counts(path) == {"batch": 1, "axis": 1, "chunk": 1, "series": 1}


def test_chunks_have_a_size(store: SqliteStore, path: Path) -> None:
    """Longer series are cut into chunks, in order."""
    script = WriterScript()
    count = 2 * CHUNK_POINTS + 10
    script.ship(store, points({"loss": np.arange(count)}))

    assert rows(path, "SELECT count, first_step FROM axis ORDER BY id") == [
        (CHUNK_POINTS, 0),
        (CHUNK_POINTS, CHUNK_POINTS),
        (10, 2 * CHUNK_POINTS),
    ]
    assert (store.series(script.run, "loss").values == np.arange(count)).all()


def test_chunks_know_what_is_in_them(store: SqliteStore, path: Path) -> None:
    """Count, sum and range stand beside the values, so that a reader may pass a chunk over."""
    script = WriterScript()
    values = {"loss": [3.0, float("nan"), -1.0], "none": [float("nan")] * 3}
    script.ship(store, points(values, steps=[5, 7, 2]), final=True)

    assert rows(path, "SELECT count, nan_count, min, max, sum FROM chunk ORDER BY id") == [
        (3, 1, -1.0, 3.0, 2.0),
        (3, 3, None, None, 0.0),
    ]
    assert rows(path, "SELECT count, first_step, last_step FROM axis") == [(3, 2, 7)]


def test_a_training_run_takes_six_bytes_a_point(store: SqliteStore, path: Path) -> None:
    """Values that were float32, logged ten at a time for an hour, take no more in the file than that."""
    random = np.random.default_rng(0)
    script = WriterScript()
    script.ship(store)
    for start in range(0, 20_000, 500):
        columns = {f"series/{n}": random.normal(size=500).astype(np.float32) for n in range(10)}
        times = (1.7e9 + 0.2 * np.arange(start, start + 500) + random.normal(scale=1e-3, size=500)).tolist()
        script.ship(store, points(columns, steps=range(start, start + 500), times=times))
    script.ship(store, final=True)
    store.close()

    rows(path, "VACUUM")
    assert path.stat().st_size < 6 * 200_000


# ---- summaries


def test_summaries_of_few_series_are_in_the_table_at_once(store: SqliteStore, path: Path) -> None:
    """Who reads the table of series finds what the batches say."""
    script = WriterScript()
    script.ship(store, points({"loss": [1.0, float("nan"), 2.0]}, steps=[4, 5, 3]))

    columns = "last, min, max, sum, count, nan_count, first_step, last_step"
    assert rows(path, f"SELECT {columns} FROM series") == [(None, 1.0, 2.0, 3.0, 3, 1, 3, 5)]  # noqa: S608 - our own names
    assert rows(path, "SELECT summarised = (SELECT max(id) FROM batch) FROM writer") == [(1,)]


def test_summaries_of_many_series_wait_until_they_are_sealed(store: SqliteStore, path: Path) -> None:
    """A wide flush writes one row and no more; what is behind it waits too, so that nothing is counted twice."""
    script = WriterScript()
    script.ship(store, points({"loss": 1.0}))
    script.ship(store, points(wide(SUMMARY_SERIES + 1)))
    script.ship(store, points({"loss": 1.0}))

    assert rows(path, "SELECT sum(count) FROM series") == [(1,)]
    assert store.summaries([script.run])[script.run]["loss"].count == 2
    script.ship(store, final=True)
    assert rows(path, "SELECT sum(count), max(count) FROM series") == [(2 + SUMMARY_SERIES + 1, 2)]
    assert store.summaries([script.run])[script.run]["loss"].count == 2


def test_ids_of_sealed_batches_that_are_given_out_again_do_no_harm(store: SqliteStore) -> None:
    """A wide batch behind a sealing is counted, although its id was that of a batch that was counted already."""
    script = WriterScript()
    for _ in range(3):
        script.ship(store, points({"loss": 1.0}))
    script.ship(store, points({"loss": np.ones(SEAL_ROWS)}))
    script.ship(store, points(wide(100)))
    live = len(store.summaries([script.run])[script.run])
    script.ship(store, final=True)

    assert live == len(store.summaries([script.run])[script.run]) == 101


# ---- names


def test_a_name_that_is_nearly_right_is_suggested(store: SqliteStore) -> None:
    """A reader who mistypes a metric is told what there is."""
    script = WriterScript()
    script.ship(store, points({"train/loss": 1.0, "eval/loss": 1.0, "lr": 1.0}))

    with pytest.raises(NotFound, match="no metric 'train/los'; did you mean 'train/loss'"):
        store.series(script.run, "train/los")
    with pytest.raises(NotFound, match=r"no metric 'zzz'$"):
        store.series(script.run, "zzz")


def test_a_name_is_kept_once(store: SqliteStore, path: Path) -> None:
    """A series has one row, whichever writer and instance it comes through."""
    script = WriterScript()
    with SqliteStore(store.uri) as other:
        for number in range(4):
            script.ship(store if number % 2 else other, points({"loss": 1.0, f"only/{number}": 1.0}))

    assert rows(path, "SELECT name FROM series ORDER BY name") == [
        ("loss",),
        ("only/0",),
        ("only/1",),
        ("only/2",),
        ("only/3",),
    ]
