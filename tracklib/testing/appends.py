"""The suite's tests of `append`: atomic, and each stretch of a journal exactly once."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from tracklib.errors import NotFound
from tracklib.records import RecordKind
from tracklib.stores.base import RunQuery
from tracklib.testing.batches import WriterScript, points, ship
from tracklib.testing.harness import StoreHarness

if TYPE_CHECKING:
    from tracklib.records import Batch
    from tracklib.stores.base import Store

__all__ = ["AppendContract"]


def _values(store: Store, run: str, name: str = "loss") -> list[float]:
    """Return everything that was kept of a series."""
    found: list[float] = store.series(run, name, every=True).values.tolist()
    return found


def _started(store: Store) -> WriterScript:
    """Return a writer whose first batch, with one point, is in the store."""
    script = WriterScript()
    ship(store, [script.start(points({"loss": [1.0]}))])
    return script


class AppendContract(StoreHarness):
    """What `Store.append` and `Store.position` promise."""

    def test_a_batch_is_kept_whole_and_its_end_is_returned(self, store: Store) -> None:
        """Records and points of a batch are there when `append` returns, which says how far the store is."""
        script = WriterScript(name="whole")
        batch = script.start(script.record(RecordKind.TAGS, tags={"a": "b"}), points({"loss": [1.0, 2.0]}))

        assert store.append(batch) == batch.end
        assert store.position(script.run, "0") == batch.end
        assert store.run(script.run).name == "whole"
        assert store.run(script.run).tags == {"a": "b"}
        assert _values(store, script.run) == [1.0, 2.0]

    def test_nothing_is_known_of_a_writer_at_first(self, store: Store) -> None:
        """The position of a writer that the store never heard of is 0, and asking for it makes no run."""
        run = WriterScript().run

        assert store.position(run, "0") == 0
        with pytest.raises(NotFound):
            store.run(run)

    def test_the_same_batch_twice_is_kept_once(self, store: Store) -> None:
        """A batch that was shipped again, as after a lost answer, changes nothing."""
        script = _started(store)
        again = script.batch(script.record(RecordKind.NOTES, text="one"), points({"loss": [2.0]}))

        assert [store.append(again), store.append(again), store.append(again)] == [again.end] * 3
        assert _values(store, script.run) == [1.0, 2.0]
        assert len(store.events(script.run, [RecordKind.NOTES])) == 1

    def test_an_old_batch_is_refused(self, store: Store) -> None:
        """A batch from before the writer's position is not taken, and the position is returned."""
        script = WriterScript()
        first = script.start(points({"loss": [1.0]}))
        ship(store, [first, script.batch(points({"loss": [2.0]}))])

        assert store.append(first) == script.position
        assert _values(store, script.run) == [1.0, 2.0]

    @pytest.mark.parametrize("after_gap", [False, True])
    def test_an_overlapping_batch_is_refused(self, store: Store, *, after_gap: bool) -> None:
        """A batch that begins before the writer's position and ends behind it would count points twice."""
        script = _started(store)
        following = script.batch(points({"loss": [2.0]}), after_gap=after_gap)
        overlapping = dataclasses.replace(following, start=following.start - 500)

        assert store.append(overlapping) == following.start
        assert _values(store, script.run) == [1.0]
        assert store.append(following) == following.end

    def test_a_batch_behind_a_gap_is_refused(self, store: Store) -> None:
        """A batch that begins behind the writer's position waits until what is missing has come."""
        script = _started(store)
        missing = script.batch(points({"loss": [2.0]}))
        early = script.batch(points({"loss": [3.0]}))

        assert store.append(early) == missing.start
        assert _values(store, script.run) == [1.0]
        assert [store.append(missing), store.append(early)] == [missing.end, early.end]
        assert _values(store, script.run) == [1.0, 2.0, 3.0]

    def test_a_batch_after_a_gap_is_taken_where_it_says_so(self, store: Store) -> None:
        """What can never come is not waited for: a batch that says so is taken behind the gap."""
        script = _started(store)
        script.lose()
        late = script.batch(points({"loss": [3.0]}), after_gap=True)

        assert store.append(late) == late.end
        assert store.position(script.run, "0") == late.end
        assert _values(store, script.run) == [1.0, 3.0]

    def test_a_refused_batch_makes_no_run(self, store: Store) -> None:
        """Nothing happens when a batch is refused, also where it would have been the first of its run."""
        script = WriterScript()
        script.lose()

        assert store.append(script.start(points({"loss": [1.0]}))) == 0
        with pytest.raises(NotFound):
            store.run(script.run)

    def test_a_batch_without_content_moves_the_position(self, store: Store) -> None:
        """A stretch that holds neither points nor records is passed all the same."""
        script = _started(store)

        ship(store, [script.batch(), script.batch(points({"loss": [2.0]}))])

        assert store.position(script.run, "0") == script.position
        assert _values(store, script.run) == [1.0, 2.0]

    def test_writers_are_counted_apart(self, store: Store) -> None:
        """Each writer of a run has a position of its own, also one of the same name in another run."""
        first = _started(store)
        second, other = first.joined_by("1"), _started(store)
        ship(store, [second.start(points({"loss": [2.0]})), first.batch(), second.batch(), second.batch()])

        assert store.position(first.run, "0") == 2000
        assert store.position(first.run, "1") == 3000
        assert store.position(other.run, "0") == 1000

    def test_writers_take_turns(self, store: Store) -> None:
        """Batches of several writers may come in any order between them, and all of their points are kept."""
        first = _started(store)
        second = first.joined_by("1")
        for number in range(1, 20):
            first.ship(store, points({"mine": float(number)}, steps=[number]))
            second.ship(store, points({"yours": float(number)}, steps=[number]))

        assert _values(store, first.run, "mine") == list(map(float, range(1, 20)))
        assert _values(store, first.run, "yours") == list(map(float, range(1, 20)))
        assert {writer.writer for writer in store.run(first.run).writers} == {"0", "1"}

    def test_a_run_whose_first_record_is_missing_is_kept(self, store: Store) -> None:
        """What is left of a damaged journal becomes a run named by its id, in the project `recovered`."""
        script = WriterScript()
        script.lose()
        batch = script.batch(points({"loss": [1.0]}), after_gap=True)
        ship(store, [batch])

        info = store.run(script.run)
        assert (info.project, info.experiment, info.name) == ("recovered", "default", script.run)
        assert (info.start_time, info.created_at) == (batch.time, batch.time)
        assert _values(store, script.run) == [1.0]

    def test_a_thousand_batches_are_a_thousand_points(self, store: Store) -> None:
        """Nothing is lost or doubled where the store now and then puts batches together."""
        script = WriterScript()
        ship(store, [script.start(), *(script.batch(points({"loss": float(n)}, steps=[n])) for n in range(1000))])

        assert _values(store, script.run) == list(map(float, range(1000)))
        assert store.summaries([script.run])[script.run]["loss"].count == 1000

    def test_the_last_batch_of_a_writer_is_like_any_other(self, store: Store) -> None:
        """A batch is kept as well where it is the last, and shipping it again changes nothing."""
        script = _started(store)
        last: Batch = script.batch(
            points({"loss": [2.0]}), script.record(RecordKind.END, status="completed"), final=True
        )

        assert [store.append(last), store.append(last)] == [last.end] * 2
        assert _values(store, script.run) == [1.0, 2.0]
        assert [info.id for info in store.runs(RunQuery())] == [script.run]
