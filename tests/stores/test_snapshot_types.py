"""Snapshots say of each param what kind of value it is; of older ones, that is found out."""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tracklib.records import RecordKind
from tracklib.stores.objects import ObjectStore
from tracklib.stores.snapshots import dump_snapshot, load_snapshot
from tracklib.testing.batches import WriterScript, ship

TOLD = "SELECT name, text, number, type FROM param ORDER BY name"
PARAMS = {
    "none": None,
    "word": "null",
    "yes": True,
    "text": "true",
    "sizes": [1, 2],
    "lr": 0.1,
    "huge": 10**400,
    "n": 3,
}


@pytest.fixture(name="store")
def _store(tmp_path: Any) -> Iterator[ObjectStore]:
    with ObjectStore(f"file://{tmp_path}/runs") as store:
        script = WriterScript()
        params = {**PARAMS, "nan": {"$float": "nan"}}
        ship(store, [script.start(script.record(RecordKind.PARAMS, params=params))])
        yield store


def without_types(snapshot: bytes) -> bytes:
    """Return a snapshot as it was made before types were told, when larger integers had no number either."""
    table = pq.read_table(io.BytesIO(snapshot))
    column = table.column("params").combine_chunks()
    items = column.items
    numbers = pa.array([None if number == float("inf") else number for number in items.field("number").to_pylist()])
    kept = pa.StructArray.from_arrays([numbers.cast(pa.float64()), items.field("text")], names=["number", "text"])
    older = pa.MapArray.from_arrays(column.offsets, column.keys, kept)
    table = table.set_column(table.column_names.index("params"), "params", older)
    target = io.BytesIO()
    pq.write_table(table, target)
    return target.getvalue()


@contextmanager
def emptied(store: ObjectStore) -> Iterator[sqlite3.Connection]:
    """Give the tables of a catalog that knows nothing yet."""
    from tracklib.stores.object_catalog import clear

    with store._reader.catalog.writing() as connection:
        clear(connection)
        yield connection


@pytest.mark.parametrize("older", [False, True])
def test_types_come_back(store: ObjectStore, *, older: bool) -> None:
    """From a snapshot that tells them, and from one that does not."""
    store.field_names()
    with store._reader.catalog.reading() as connection:
        before = connection.execute(TOLD).fetchall()
        snapshot = dump_snapshot(connection)
    with emptied(store) as connection:
        load_snapshot(connection, without_types(snapshot) if older else snapshot)
        after = connection.execute(TOLD).fetchall()

    assert after == before
    assert {row[3] for row in after} == {"null", "boolean", "integer", "real", "text", "json"}
