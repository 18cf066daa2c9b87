"""The suite's tests of `delete_run`: all of a run is gone, and nothing of another one."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest

from tracklib.errors import NotFound
from tracklib.records import RecordKind, new_id
from tracklib.stores.base import RunQuery
from tracklib.testing.batches import EPOCH, WriterScript, points, ship
from tracklib.testing.entities import ENVIRONMENT, SOURCE, as_data
from tracklib.testing.harness import StoreHarness

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracklib.stores.base import Store

__all__ = ["DeletionContract"]


def _artifact(content: bytes, store: Store) -> dict[str, Any]:
    checksum, size = store.put_blob(io.BytesIO(content))
    file = {"path": "file.bin", "size": size, "checksum": checksum}
    return {"id": new_id(), "name": "file", "type": "file", "size": size, "checksum": checksum, "files": [file]}


def _full_run(store: Store, *, at: float = EPOCH, final: bool = True, **fields: Any) -> WriterScript:
    """Make a run with something of every kind: sealed points and recent ones, records, an artifact, two writers."""
    script = WriterScript(run=new_id(at), clock=at, **fields)
    told = (
        script.record(RecordKind.PARAMS, params={"lr": 0.1}),
        script.record(RecordKind.TAGS, tags={"a": "1"}),
        script.record(RecordKind.NOTES, text="n"),
        script.record(RecordKind.SOURCE, **as_data(SOURCE)),
        script.record(RecordKind.ENVIRONMENT, **as_data(ENVIRONMENT)),
        script.record(RecordKind.ARTIFACT, **_artifact(b"content", store)),
        script.record(RecordKind.CONSOLE, stream="stdout", lines=[[at, "hello"]]),
    )
    ship(store, [script.start(*told, points({"loss": range(5000), "acc": range(5000)}))])
    helper = script.joined_by("1")
    ship(store, [helper.start(points({"rank1/loss": [1.0]}), primary=False, rank=1)])
    ship(store, [script.batch(points({"loss": [9.0]}, steps=[5000]), final=final)])
    return script


def _all_of(store: Store, run: str) -> list[Any]:
    """Return everything that a store says of a run, in a form that can be compared."""
    points_of = [
        [column.tobytes() for column in store.series(run, name, every=True)] for name in store.summaries([run])[run]
    ]
    positions = [store.position(run, writer) for writer in ("0", "1")]
    return [
        *(store.run(run), store.events(run), store.artifacts(run), store.summaries([run])),
        *(points_of, positions, store.runs(RunQuery(ids=(run,)))),
    ]


def _questions(run: str) -> list[Callable[[Store], Any]]:
    return [
        lambda store: store.run(run),
        lambda store: store.series(run, "loss"),
        lambda store: store.events(run),
        lambda store: store.artifacts(run),
        lambda store: store.summaries([run]),
        lambda store: store.delete_run(run),
    ]


class DeletionContract(StoreHarness):
    """What `Store.delete_run` promises."""

    @pytest.mark.parametrize("final", [False, True], ids=["running", "ended"])
    def test_nothing_of_a_deleted_run_is_left(self, store: Store, *, final: bool) -> None:
        """No question finds it, no list has it, and its writers are unknown; to delete it again is an error."""
        script = _full_run(store, final=final)
        with self.reopen(store) as other:
            assert other.run(script.run).id == script.run
            store.delete_run(script.run)

            for instance in (store, other):
                for question in _questions(script.run):
                    with pytest.raises(NotFound, match=script.run):
                        question(instance)
                assert instance.runs(RunQuery(archived=None)) == []
                assert instance.runs(RunQuery(tags={"a": "1"}, order_by="loss")) == []
                assert [instance.position(script.run, writer) for writer in ("0", "1")] == [0, 0]

    def test_a_deleted_run_does_not_come_back(self, store: Store) -> None:
        """An instance that is opened afterwards, and what is written to other runs, does not bring it to light."""
        script = _full_run(store)
        store.delete_run(script.run)
        with self.reopen(store) as other:
            kept = _full_run(other, at=EPOCH + 100.0)

            assert [info.id for info in other.runs(RunQuery(archived=None))] == [kept.run]
            with pytest.raises(NotFound, match=script.run):
                other.run(script.run)

    def test_other_runs_are_untouched(self, store: Store) -> None:
        """Also those that have the same name, texts, files and metrics, and those that were nested in it."""
        before = _full_run(store)
        script = _full_run(store, at=EPOCH + 100.0)
        after = _full_run(store, at=EPOCH + 200.0, final=False)
        child = WriterScript(run=new_id(EPOCH + 300.0), clock=EPOCH + 300.0)
        ship(store, [child.start(parent=script.run)])
        others = [before.run, after.run, child.run]
        told = [_all_of(store, run) for run in others]
        store.delete_run(script.run)

        with self.reopen(store) as other:
            for instance in (store, other):
                assert [_all_of(instance, run) for run in others] == told
                assert [info.id for info in instance.runs(RunQuery(descending=False))] == others
                assert [info.id for info in instance.runs(RunQuery(parent=script.run))] == [child.run]

    def test_other_runs_go_on(self, store: Store) -> None:
        """Whoever wrote to another run, or begins a new one afterwards, finds the store as it was."""
        script = _full_run(store)
        running = _full_run(store, at=EPOCH + 100.0, final=False)
        last = _full_run(store, at=EPOCH + 200.0, final=False)
        with self.reopen(store) as other:
            other.delete_run(script.run)
            other.delete_run(last.run)
        new = WriterScript(run=new_id(EPOCH + 300.0), clock=EPOCH + 300.0)
        ship(store, [new.start(points({"loss": [1.0], "new": [2.0]}))])
        running.ship(store, points({"loss": [7.0], "other": [8.0]}, steps=[6000]))
        new.ship(store, points({"loss": [3.0], "new": [4.0]}, steps=[1]))

        assert store.series(new.run, "loss").values.tolist() == [1.0, 3.0]
        assert store.series(new.run, "new").values.tolist() == [2.0, 4.0]
        assert store.summaries([new.run])[new.run].keys() == {"loss", "new"}
        assert store.series(running.run, "loss").values.tolist() == [*map(float, range(5000)), 9.0, 7.0]
        assert store.summaries([running.run])[running.run]["loss"].last == 7.0
        assert store.series(running.run, "rank1/loss").values.tolist() == [1.0]

    def test_blobs_stay(self, store: Store) -> None:
        """The files of a deleted run may be those of another one."""
        script = _full_run(store)
        (artifact,) = store.artifacts(script.run)
        store.delete_run(script.run)

        with store.open_blob(artifact.files[0].checksum) as file:
            assert file.read() == b"content"

    def test_what_a_run_was_gathered_under_stays(self, store: Store) -> None:
        """An empty project and its experiment are still there."""
        script = _full_run(store, project="p", experiment="e")
        store.delete_run(script.run)

        assert [project.name for project in store.projects()] == ["p"]
        assert [experiment.name for experiment in store.experiments("p")] == ["e"]

    def test_an_unknown_run_cannot_be_deleted(self, store: Store) -> None:
        """The error says which one, and nothing happens, in an empty store as well."""
        unknown = new_id()
        for _ in range(2):
            with pytest.raises(NotFound):
                store.delete_run(unknown)
            _full_run(store)
        with pytest.raises(NotFound, match=unknown):
            store.delete_run(unknown)

        assert len(store.runs(RunQuery())) == 2
