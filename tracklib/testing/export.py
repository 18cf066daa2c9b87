"""The suite's tests of exports: another store that is given them answers what the first one does."""

from __future__ import annotations

import math
from dataclasses import asdict, is_dataclass, replace
from hashlib import sha256
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest

from tracklib.errors import NotFound
from tracklib.model import EDIT_PREFIX
from tracklib.records import Batch, RecordKind, new_id
from tracklib.testing import entities
from tracklib.testing.batches import EPOCH, WriterScript, logged, points, scattered, ship
from tracklib.testing.harness import StoreHarness
from tracklib.testing.memory import MemoryStore
from tracklib.testing.summaries import same_summary
from tracklib.testing.versions import log_artifact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tracklib.model import Alias
    from tracklib.stores.base import Store

__all__ = ["ExportContract", "assert_exported", "assert_same_run"]

_ODD: Final = (math.nan, math.inf, -math.inf, -0.0, 5e-324, 1.7976931348623157e308)


def assert_same_run(found: Store, wanted: Store, run: str) -> None:
    """Make sure that two stores tell the same of a run: points bit for bit, means within rounding.

    Raises:
        AssertionError: They do not.
    """
    assert _plain(_ordered(found, run)) == _plain(_ordered(wanted, run))
    assert _plain(found.events(run)) == _plain(wanted.events(run))
    assert _plain(found.artifacts(run)) == _plain(wanted.artifacts(run))
    assert _plain(_aliases(found, run)) == _plain(_aliases(wanted, run))
    assert found.uses(run=run) == wanted.uses(run=run)
    mine, theirs = (store.summaries([run])[run] for store in (found, wanted))
    assert mine.keys() == theirs.keys()
    for name, summary in theirs.items():
        assert same_summary(mine[name], summary), (mine[name], summary)
        one, other = (store.series(run, name, every=True) for store in (found, wanted))
        assert [column.tobytes() for column in one] == [column.tobytes() for column in other], name


def assert_exported(store: Store, run: str) -> list[Batch]:
    """Make sure that an export makes the same run in a store that is empty; return its batches.

    Raises:
        AssertionError: It does not.
    """
    batches, copy = list(store.export(run)), MemoryStore(f"reference://{new_id()}")
    ship(copy, batches)
    assert_same_run(copy, store, run)
    return batches


def _ordered(store: Store, run: str) -> Any:
    info = store.run(run)
    return replace(info, writers=tuple(sorted(info.writers, key=lambda writer: writer.writer)))


def _aliases(store: Store, run: str) -> list[Alias]:
    """Return what was said of aliases in the records of a run."""
    said = store.events(run, [RecordKind.ALIAS])
    projects = {artifact.project for artifact in store.artifacts(run)} | {event.data["project"] for event in said}
    return [alias for project in sorted(projects) for alias in store.aliases(project) if alias.run == run]


def _plain(value: Any) -> Any:
    """Return a value in which NaN is equal to itself."""
    if isinstance(value, float) and math.isnan(value):
        return "NaN"
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _bytes(batch: Batch) -> tuple[Any, ...]:
    """Return all of a batch so that it can be compared."""
    columns = [
        (group.names, *(c.tobytes() for c in (group.steps, group.times, group.values, group.order)))
        for group in batch.groups
    ]
    few = batch.scattered
    single = few and (few.names, *(c.tobytes() for c in (few.which, few.steps, few.times, few.values, few.order)))
    return replace(batch, groups=(), scattered=None), columns, single


# ---- runs of all kinds


def _plain_run(store: Store) -> str:
    script = WriterScript()
    about: dict[str, Any] = {"created_by": "ada", "parent": WriterScript().run, "created_at": EPOCH - 5.0}
    who: dict[str, Any] = {"rank": 3, "host": "node-1", "pid": 77, "spool": "/scratch/spool"}
    ship(store, [script.start(points({"loss": [1.0, 0.5], "lr": [0.1, 0.1]}), **about, **who)])
    script.ship(
        store,
        script.record(RecordKind.PARAMS, params={"model": {"hidden": 128}, "rate": {"$float": "nan"}}),
        script.record(RecordKind.TAGS, tags={"team": "vision", "gone": "1"}),
        script.record(RecordKind.TAGS, tags={"gone": None}),
        script.record(RecordKind.NOTES, text="ünïcode\n"),
        script.record(RecordKind.CONSOLE, stream="stdout", lines=[[EPOCH, "line 🙂"]]),
    )
    ship(store, [script.end("failed", reason="why", error=entities.as_data(entities.ERROR), duration=2.5)])
    return script.run


def _whole_run(store: Store) -> str:
    script = WriterScript()
    artifact = entities.as_data(entities.ARTIFACT)
    del artifact["run"], artifact["created_at"]
    ship(store, [script.start()])
    script.ship(
        store,
        script.record(RecordKind.SOURCE, **entities.as_data(entities.SOURCE), later=[1]),
        script.record(RecordKind.ENVIRONMENT, **entities.as_data(entities.ENVIRONMENT)),
        script.record(RecordKind.RESOURCES, **entities.as_data(entities.RESOURCES)),
        script.record(RecordKind.ARTIFACT, **{**artifact, "id": new_id(), "metadata": {"rate": {"$float": "inf"}}}),
        script.record(RecordKind.ARTIFACT, id=new_id(), name="bare", type="file"),
    )
    script.ship(store, script.record(RecordKind.SOURCE, diff="", untracked={}))
    script.ship(store, script.record(RecordKind.DROPPED, counts={"record": 2}))
    ship(store, [script.end("killed", end_time=EPOCH + 2.0)])
    return script.run


def _run_with_artifacts(store: Store) -> str:
    """Counted in a store where other contents have numbers, told again, deleted, called something and read."""
    log_artifact(store, "other")
    script = WriterScript()
    identities = [new_id() for _ in range(3)]
    for identity, content in zip((*identities, identities[0]), "abca", strict=True):
        log_artifact(store, content, script=script, id=identity, aliases=["best"], score=0.5)
    log_artifact(store, "d", script=script, project="", version=3, step=7)
    other = script.joined_by("edit.1")
    content = sha256(b"b").hexdigest()
    told = [
        other.record(RecordKind.ARTIFACT, id=identities[2], deleted=True),
        other.record(RecordKind.ALIAS, project="digits", name="model", alias="prod", version=2, checksum=content),
        other.record(RecordKind.ALIAS, project="digits", name="model", alias="best", version=None),
    ]
    ship(store, [other.start(*told, primary=False, final=True)])
    script.ship(store, script.record(RecordKind.USE, **entities.as_data(entities.USE)))
    return script.run


def _several_writers(store: Store) -> str:
    first = WriterScript()
    ship(store, [first.start(points({"loss": [1.0, 2.0]}))])
    others = [first.joined_by(str(rank), after_s=float(rank)) for rank in range(1, 4)]
    for rank, other in enumerate(others, 1):
        ship(store, [other.start(points({"loss": [float(rank)]}, steps=[1]), rank=rank, primary=False)])
    for turn in range(3):
        for script in (first, *others):
            script.ship(
                store,
                script.record(RecordKind.MESSAGE, level="info", text=f"{script.writer} {turn}"),
                script.record(RecordKind.DROPPED, counts={"record": turn, script.writer: 1}),
                points({"loss": [10.0 + turn]}, steps=[turn + 2]),
            )
    ship(store, [others[0].end("failed", reason="not the run's"), first.end("completed", duration=9.0)])
    return first.run


def _resumed(store: Store) -> str:
    script = WriterScript()
    ship(store, [script.start(points({"loss": [1.0]}, steps=[0])), script.end("failed", reason="why", duration=0.5)])
    for number in range(3):
        script = script.joined_by(f"0.{number}", after_s=100.0)
        told = script.record(RecordKind.PARAMS, params={"lr": number})
        ship(store, [script.start(told, points({"loss": [float(number)]}, steps=[number]), host="new")])
    ship(store, [script.end("completed", reason="done", duration=0.25)])
    return script.run


def _resumed_and_running(store: Store) -> str:
    first = WriterScript()
    ship(store, [first.start(), first.end("completed", duration=4.0)])
    second = first.joined_by("0.second", after_s=100.0)
    ship(store, [second.start(points({"loss": 1.0})), second.batch(second.record(RecordKind.HEARTBEAT))])
    return first.run


def _late_older_writer(store: Store) -> str:
    first = WriterScript()
    start = first.start(first.record(RecordKind.TAGS, tags={"a": "old", "b": "old"}), points({"loss": [1.0, 2.0]}))
    second = first.joined_by("0.second", after_s=99.0)
    told = second.record(RecordKind.TAGS, tags={"a": "new"})
    ship(store, [second.start(told, points({"loss": [5.0]}, steps=[1])), second.end(reason="done", duration=1.0)])
    ship(store, [start, first.end("killed", reason="old news", duration=3.0)])
    return first.run


def _settled(store: Store) -> str:
    script = WriterScript()
    settling = script.record(RecordKind.END, status="completed", duration=2.0)
    ship(store, [script.start(settling), script.batch(script.record(RecordKind.NOTES, text="later"))])
    return script.run


def _proceeded(store: Store) -> str:
    script = WriterScript()
    ship(store, [script.start(), script.batch(script.record(RecordKind.END, status="failed", duration=2.0))])
    script.clock += 10.0
    ship(store, [script.batch(script.record(RecordKind.START, host="m")), script.batch(points({"loss": 1.0}))])
    return script.run


def _proceeded_and_ended(store: Store) -> str:
    script = WriterScript(run=_proceeded(store), position=4000, clock=EPOCH + 50.0)
    ship(store, [script.end("completed", duration=5.0)])
    return script.run


def _renamed_and_moved(store: Store) -> str:
    script = WriterScript(name="before", project="a", experiment="x")
    ship(store, [script.start(script.record(RecordKind.NAME, name="between"))])
    script.ship(store, script.record(RecordKind.PLACE, project="b", experiment="y"))
    script.ship(store, script.record(RecordKind.PLACE, project="c", experiment="z"))
    script.ship(store, script.record(RecordKind.NAME, name="after"), final=True)
    return script.run


def _edited(store: Store) -> str:
    """Between what the run itself tells, as one batch each, as it is done from outside."""
    script = WriterScript()
    ship(store, [script.start(script.record(RecordKind.TAGS, tags={"a": "1"}))])
    for number, kind in enumerate((RecordKind.TAGS, RecordKind.NOTES)):
        other = script.joined_by(f"{EDIT_PREFIX}{number}", after_s=5.0)
        data: dict[str, Any] = {"tags": {"a": "2"}} if kind is RecordKind.TAGS else {"text": "changed"}
        end = other.record(RecordKind.END, status="completed")
        whole = other.start(other.record(kind, **data), end, primary=False, final=True)
        ship(store, [replace(whole, end=1)])
        script.clock += 10.0
        script.ship(store, script.record(RecordKind.MESSAGE, level="info", text=f"message {number}"))
    return script.run


def _archived(store: Store) -> str:
    script = WriterScript(run=_plain_run(store), writer="edit.1", clock=EPOCH + 90.0)
    ship(store, [script.start(script.record(RecordKind.ARCHIVE, archived_at=EPOCH + 90.0), primary=False)])
    return script.run


def _recovered(store: Store) -> str:
    script = WriterScript()
    script.lose()
    told = script.record(RecordKind.MESSAGE, level="info", text="first that is left")
    ship(store, [script.batch(told, points({"loss": 1.0}), after_gap=True), script.batch(points({"loss": 2.0}))])
    return script.run


def _heard_of_after_the_end(store: Store) -> str:
    first = WriterScript()
    ship(store, [first.start(), first.end("completed", reason="done", duration=1.0)])
    second = first.joined_by("0.second", after_s=50.0)
    second.lose()
    ship(store, [second.batch(points({"loss": 1.0}), after_gap=True), second.batch(points({"loss": 2.0}))])
    return first.run


def _unheard_of(store: Store) -> str:
    script = WriterScript()
    data = {"number": 1, "nested": {"list": [None, True, "ü"], "mark": {"$float": "nan"}}}
    ship(store, [script.start(script.record("unheard-of", **data), script.record("notes", text="n"))])
    script.ship(store, script.record("unheard-of"))
    return script.run


def _odd_values(store: Store) -> str:
    script = WriterScript()
    signalling = np.array([0x7FF0000000000001], dtype=np.int64).view(np.float64).tolist()
    script.ship(store, points({"odd": [*_ODD, *signalling], "nan": [math.nan] * 7}, steps=[3, 1, 2, 2, 0, 9, 9]))
    script.ship(store, points({"odd": list(_ODD)}, steps=[-(1 << 63), (1 << 63) - 1, 0, 0, 0, 5]))
    return script.run


def _wide(store: Store) -> str:
    script = WriterScript()
    for turn in range(3):
        columns = {f"series/{n}": np.arange(4.0) * n + turn for n in range(100)}
        script.ship(store, points(columns, steps=range(4 * turn, 4 * turn + 4)))
    return script.run


def _scattered_points(store: Store) -> str:
    script = WriterScript()
    calls = [(f"series/{n % 7}", n // 7, float(n)) for n in range(50)]
    script.ship(store, points({"loss": [1.0, 2.0]}, steps=[7, 6], order=[0, 51]), scattered(calls, order=range(1, 51)))
    script.ship(store, *logged([({"loss": 3.0, "series/1": 4.0}, 7), ({"loss": 5.0}, 7), ({"series/1": 6.0}, 9)]))
    script.ship(store, scattered([("loss", 7, 4.0), ("loss", 7, 2.0)]))
    return script.run


def _long(store: Store) -> str:
    script = WriterScript()
    for first in range(0, 20_000, 3000):
        steps = range(first, min(first + 3000, 20_000))
        script.ship(store, points({"loss": [1.0 / (1 + n) for n in steps], "lr": [0.5] * len(steps)}, steps=steps))
    return script.run


def _ended(make: Callable[[Store], str]) -> Callable[[Store], str]:
    """Return what makes the same run with an end, so that a store keeps its points in their last form."""

    def ended(store: Store) -> str:
        run = make(store)
        writer = store.run(run).writers[0]
        script = WriterScript(run=run, writer=writer.writer, position=writer.position, clock=EPOCH + 9000.0)
        ship(store, [script.end("completed", duration=1.0)])
        return run

    ended.__name__ = f"{make.__name__}_ended"
    return ended


_POINTS: Final = (_odd_values, _wide, _scattered_points, _long)
_RUNS: Final = (
    *(
        _plain_run,
        _whole_run,
        _run_with_artifacts,
        _several_writers,
        _resumed,
        _resumed_and_running,
        _late_older_writer,
    ),
    *(_settled, _proceeded, _proceeded_and_ended, _renamed_and_moved, _edited, _archived),
    *(_recovered, _heard_of_after_the_end, _unheard_of, *_POINTS, *map(_ended, _POINTS)),
)
_ALL = pytest.mark.parametrize("make", _RUNS, ids=lambda make: make.__name__.strip("_"))


def _by_writer(batches: Iterable[Batch]) -> dict[str, list[Batch]]:
    ordered = sorted(batches, key=lambda batch: batch.writer)
    return {writer: list(found) for writer, found in groupby(ordered, key=lambda batch: batch.writer)}


class ExportContract(StoreHarness):
    """What `Store.export` promises."""

    @_ALL
    def test_an_export_makes_the_same_run(self, store: Store, *, make: Callable[[Store], str]) -> None:
        """A store that was empty answers every question about the run like the first one."""
        run = make(store)

        assert_exported(store, run)

    @_ALL
    def test_an_exported_run_can_be_exported(self, store: Store, *, make: Callable[[Store], str]) -> None:
        """What the store makes of its own export is the same once more."""
        original = MemoryStore(f"reference://{new_id()}")
        run = make(original)
        ship(store, original.export(run))

        assert_same_run(store, original, run)
        assert_exported(store, run)

    @_ALL
    def test_batches_follow_on_each_other(self, store: Store, *, make: Callable[[Store], str]) -> None:
        """Of each writer they go from 0 to where the store is, without a gap; only the last one may be final."""
        run = make(store)
        batches = _by_writer(store.export(run))

        writers = store.run(run).writers
        assert sorted(batches) == sorted(writer.writer for writer in writers)
        for writer in writers:
            mine = batches[writer.writer]
            assert (mine[0].start, mine[-1].end) == (0, writer.position)
            assert all(batch.start < batch.end and not batch.after_gap for batch in mine)
            assert all(one.end == other.start and not one.final for one, other in pairwise(mine))

    @_ALL
    def test_an_export_is_the_same_each_time(self, store: Store, *, make: Callable[[Store], str]) -> None:
        """As long as the run stands still, whatever happens to others, and through any instance."""
        run = make(store)
        batches = [*map(_bytes, store.export(run))]
        _plain_run(store)
        other = self.reopen(store)

        # NaN in the data of records is a mark, so records can be compared.
        assert [*map(_bytes, other.export(run))] == batches
        other.close()

    @_ALL
    def test_a_copy_that_was_broken_off_goes_on(self, store: Store, *, make: Callable[[Store], str]) -> None:
        """Wherever it was broken off: a second export adds what is missing, and nothing twice."""
        run = make(store)
        batches = list(store.export(run))
        for taken in sorted({1, len(batches) // 2, len(batches) - 1} - {0}):
            copy = MemoryStore(f"reference://{new_id()}")
            ship(copy, batches[:taken])
            for batch in store.export(run):
                assert copy.append(batch) >= batch.end
            assert_same_run(copy, store, run)

    @pytest.mark.parametrize(
        "make", [_plain_run, _several_writers, _whole_run, _run_with_artifacts], ids=lambda make: make.__name__[1:]
    )
    def test_a_copy_follows_a_run_that_was_resumed(self, store: Store, *, make: Callable[[Store], str]) -> None:
        """What a run got since it was copied is added by one more export."""
        run, copy = make(store), MemoryStore(f"reference://{new_id()}")
        ship(copy, store.export(run))
        second = WriterScript(run=run, writer="0.second", clock=EPOCH + 500.0)
        ship(store, [second.start(second.record(RecordKind.SOURCE, commit="new"), points({"loss": 7.0}))])
        gone = [second.record(RecordKind.ARTIFACT, id=each.id, deleted=True) for each in store.artifacts(run)[:1]]
        tags = second.record(RecordKind.TAGS, tags={"resumed": "yes"})
        ship(store, [second.batch(tags, *gone), second.end(duration=1.0)])

        for batch in store.export(run):
            assert copy.append(batch) >= batch.end
        assert_same_run(copy, store, run)

    def test_an_export_may_be_left_half_way(self, store: Store) -> None:
        """Whoever takes only the first batch does not keep others from writing."""
        run = _long(store)
        first = next(iter(store.export(run)))

        assert first.start == 0
        assert _plain_run(store)

    def test_an_unknown_run_is_not_found(self, store: Store) -> None:
        """Nor is one in a store that holds others."""
        _plain_run(store)

        with pytest.raises(NotFound):
            list(store.export(new_id()))
