"""Finding runs in SQLite: each of its ways gives the same answer, and looks at no more than it must."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tracklib.model import RunStatus
from tracklib.queries.orders import parse_orders
from tracklib.queries.parser import parse
from tracklib.records import RecordKind, new_id
from tracklib.stores import run_search
from tracklib.stores.base import RunQuery
from tracklib.stores.sqlite import SqliteStore
from tracklib.testing.answering import answered
from tracklib.testing.batches import EPOCH, WriterScript, points, ship
from tracklib.testing.evaluating import Facts
from tracklib.testing.zoo import filters, orders, zoo

MANY = 60


@pytest.fixture(name="store")
def _store(tmp_path: Path) -> Iterator[SqliteStore]:
    """Return a store with runs that are alike but for their numbers."""
    with SqliteStore(f"sqlite:///{tmp_path}/runs.db") as store:
        for number in range(MANY):
            script = WriterScript(run=new_id(EPOCH + number), clock=EPOCH + number, name=str(number))
            params = script.record(RecordKind.PARAMS, params={"n": number, "kind": "ab"[number % 2]})
            ship(store, [script.start(params, points({"loss": [float(MANY - number)], "even": [number % 2]}))])
        yield store


def found(store: SqliteStore, text: str, order: str, **part: int) -> list[str]:
    query = RunQuery(where=parse(text), order=parse_orders(order), **part)  # type: ignore[arg-type] # limit and offset
    return [info.name for info in store.runs(query)]


@pytest.mark.parametrize("few", [0, 5, 3000])
@pytest.mark.parametrize("first", [1, 7, 2000])
def test_each_way_gives_the_same(store: SqliteStore, monkeypatch: pytest.MonkeyPatch, few: int, first: int) -> None:
    """Whether few runs are found by a condition, first in their order, or by sets; with values at the edges alike."""
    monkeypatch.setattr(run_search, "FEW", few)
    monkeypatch.setattr(run_search, "FIRST", first)
    by_loss = [str(number) for number in reversed(range(MANY))]
    odd = [name for name in by_loss if int(name) % 2]

    assert found(store, "", "metrics.loss", limit=3) == by_loss[:3]
    assert found(store, "params.kind == 'b'", "metrics.loss", limit=4, offset=2) == odd[2:6]
    assert found(store, "metrics.loss > 50 and params.kind == 'b'", "metrics.loss", limit=99) == odd[-5:]
    assert found(store, "params.n == 7 or params.n == 9", "metrics.loss", limit=5) == ["9", "7"]
    assert found(store, "params.kind == 'a'", "-params.n", limit=2) == ["58", "56"]
    assert found(store, "not params.n < 50", "metrics.even, params.n", limit=3) == ["50", "52", "54"]
    assert found(store, "params.n < 3", "metrics.even", limit=3) == ["2", "0", "1"]
    assert found(store, "params.n < 0", "metrics.loss", limit=3) == []
    assert found(store, "1e999 == params.n == ''", "metrics.loss") == []


@pytest.mark.slow
@pytest.mark.parametrize(("few", "first"), [(0, 1), (1, 3), (2, 7), (3000, 2000)])
def test_any_filter_means_the_same_in_each_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few: int, first: int
) -> None:
    """Whatever is looked at first, the plain evaluator would find the same in the same order."""
    monkeypatch.setattr(run_search, "FEW", few)
    monkeypatch.setattr(run_search, "FIRST", first)
    store = SqliteStore(f"sqlite:///{tmp_path}/zoo.db")
    ship(store, zoo(30, seed=few + first))
    infos = store.runs(RunQuery(archived=None))
    metrics = store.summaries([info.id for info in infos])
    facts = [Facts(store.run(info.id), metrics[info.id]) for info in infos]
    lost = tuple(info.id for info in infos if info.status is RunStatus.RUNNING)[::2]

    @settings(deadline=None, max_examples=1500, suppress_health_check=list(HealthCheck), database=None)
    @example("-1e999 == params['lr'] == ''", [], (None, 0))
    @given(filters(), orders(), st.tuples(st.none() | st.integers(0, 9), st.integers(0, 5)))
    def search(text: str, order: list[str], part: tuple[int | None, int]) -> None:
        query = RunQuery(where=parse(text), order=parse_orders(order), limit=part[0], offset=part[1], lost=lost)
        expected = [info.id for info in answered(facts, query)][query.offset :][: query.limit]
        assert [info.id for info in store.runs(query)] == expected, f"{text!r} by {order!r}"

    search()
    store.close()


def test_an_index_finds_and_sorts(store: SqliteStore) -> None:
    """What is looked for most is answered from indexes that have all that it takes."""
    connection = sqlite3.connect(store.path)
    plans = [
        ("SELECT run_key FROM param WHERE name = 'n' AND number < 5", "param USING COVERING INDEX"),
        ("SELECT run_key FROM param WHERE name = 'kind' AND text = 'a'", "param USING COVERING INDEX"),
        ("SELECT run_key FROM tag WHERE name = 'team' AND value = 'a'", "tag USING COVERING INDEX"),
        (
            "SELECT run_key, last FROM series WHERE name = 'loss' AND last > 5 ORDER BY last",
            "series USING COVERING INDEX",
        ),
    ]
    for sql, expected in plans:
        lines = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}")]
        assert expected in lines[0]
        assert not any("TEMP B-TREE" in line for line in lines)
    connection.close()
