"""The suite's tests of changes from outside: what somebody tells of a run that is none of its processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tracklib.model import EDIT_PREFIX, RunStatus
from tracklib.records import Batch, Record, RecordKind
from tracklib.stores.base import RunQuery
from tracklib.testing.batches import EPOCH, WriterScript, points, ship
from tracklib.testing.harness import StoreHarness

if TYPE_CHECKING:
    from tracklib.stores.base import Store

__all__ = ["EditContract"]


def _edit(run: WriterScript, *changes: Record, at: float, mark: str = "a") -> Batch:
    """Return the one batch of a change from outside, with its records as of one moment."""
    script = WriterScript(
        run=run.run, writer=f"{EDIT_PREFIX}{mark}", project=run.project, experiment=run.experiment, clock=at
    )
    told = [Record(change.kind, at, change.data) for change in changes]
    end = script.record(RecordKind.END, status="completed")
    return script.start(*told, end, primary=False, host="elsewhere", pid=1, final=True)


def _told(kind: str, **data: object) -> Record:
    return Record(kind, EPOCH, data)


class EditContract(StoreHarness):
    """What a store promises of writers whose names begin with `edit.`, and of archiving."""

    def test_a_change_from_outside_changes_what_it_names(self, store: Store) -> None:
        """Name, tags, notes and place are as was told last; the rest of the run is as it was."""
        script = WriterScript()
        ship(store, [script.start(script.record(RecordKind.TAGS, tags={"a": "1"}), points({"loss": [1.0]}))])
        ship(store, [script.end(reason="done", duration=2.0)])
        before = store.run(script.run)
        changes = (
            _told(RecordKind.NAME, name="new"),
            _told(RecordKind.TAGS, tags={"a": None, "b": "2"}),
            _told(RecordKind.NOTES, text="looked at"),
            _told(RecordKind.PLACE, project="other", experiment="moved"),
        )
        ship(store, [_edit(script, *changes, at=EPOCH + 1000.0)])

        info = store.run(script.run)
        assert (info.name, info.tags, info.notes) == ("new", {"b": "2"}, "looked at")
        assert (info.project, info.experiment) == ("other", "moved")
        assert [found.id for found in store.runs(RunQuery(project="other", name="new"))] == [script.run]
        for field in ("status", "reason", "start_time", "end_time", "duration", "heartbeat_at", "created_at"):
            assert getattr(info, field) == getattr(before, field)
        assert [writer for writer in info.writers if not writer.is_edit] == list(before.writers)
        assert store.series(script.run, "loss").values.tolist() == [1.0]

    def test_a_change_from_outside_is_told_as_such(self, store: Store) -> None:
        """It is one of the run's writers, which has ended and is not a main process, and its records are kept."""
        script = WriterScript()
        ship(store, [script.start(), _edit(script, _told(RecordKind.NOTES, text="n"), at=EPOCH + 5.0)])

        (edit,) = [writer for writer in store.run(script.run).writers if writer.is_edit]
        assert (edit.primary, edit.status, edit.host) == (False, RunStatus.COMPLETED, "elsewhere")
        assert (edit.started_at, edit.heartbeat_at) == (EPOCH + 5.0, EPOCH + 5.0)
        (event,) = store.events(script.run, [RecordKind.NOTES])
        assert (event.writer, event.time) == (edit.writer, EPOCH + 5.0)

    def test_a_change_from_outside_is_no_sign_of_life(self, store: Store) -> None:
        """A run that goes on was last heard of when its main process was, and lasts until then."""
        script = WriterScript()
        ship(store, [script.start(), script.batch(script.record(RecordKind.HEARTBEAT))])
        ship(store, [_edit(script, _told(RecordKind.NAME, name="new"), at=EPOCH + 1000.0)])

        for info in (store.run(script.run), *store.runs(RunQuery())):
            assert (info.name, info.status, info.end_time) == ("new", RunStatus.RUNNING, None)
            assert (info.heartbeat_at, info.duration) == (EPOCH + 1.0, 1.0)

    def test_helpers_are_no_sign_of_life_of_a_main_process(self, store: Store) -> None:
        """Nor do they make a run last longer; of a run whose main process is not heard of yet they are all there is."""
        script = WriterScript()
        helper = script.joined_by("1", after_s=50.0)
        ship(store, [helper.start(primary=False, rank=1)])
        alone = store.run(script.run)
        ship(store, [script.start(), helper.batch(helper.record(RecordKind.HEARTBEAT))])

        assert (alone.heartbeat_at, alone.duration) == (EPOCH + 50.0, 0.0)
        assert (store.run(script.run).heartbeat_at, store.run(script.run).duration) == (EPOCH, 0.0)

    @pytest.mark.parametrize("at", [EPOCH + 5.0, EPOCH + 500.0], ids=["older", "newer"])
    def test_what_was_told_later_counts(self, store: Store, *, at: float) -> None:
        """Of a change from outside and what a process told before or after it, whichever of them arrives first."""
        first, second = WriterScript(), WriterScript(clock=EPOCH)
        changes = (
            _told(RecordKind.NAME, name="edit"),
            _told(RecordKind.TAGS, tags={"who": "edit", "edit": "1"}),
            _told(RecordKind.NOTES, text="edit"),
            _told(RecordKind.PLACE, project="edit", experiment="e"),
        )
        for script, edit_first in ((first, True), (second, False)):
            ship(store, [script.start()])
            script.clock = EPOCH + 100.0
            own = [Record(change.kind, script.clock, _in_words(change, "run")) for change in changes]
            batches = [_edit(script, *changes, at=at), script.batch(*own)]
            ship(store, batches if edit_first else batches[::-1])

        last = "edit" if at > EPOCH + 100.0 else "run"
        for run in (first.run, second.run):
            info = store.run(run)
            assert (info.name, info.notes, info.project, info.tags["who"]) == (last, last, last, last)
            assert {"edit", "run"} < info.tags.keys()

    def test_the_order_in_which_changes_arrive_does_not_matter(self, store: Store) -> None:
        """Two people change a run; the later change counts, also where the older one is found after it."""
        script = WriterScript()
        older = _edit(script, _told(RecordKind.NOTES, text="older"), at=EPOCH + 10.0, mark="z")
        newer = _edit(script, _told(RecordKind.NOTES, text="newer"), at=EPOCH + 20.0, mark="a")
        ship(store, [script.start(), newer, older])

        assert store.run(script.run).notes == "newer"

    def test_a_run_that_goes_on_is_not_disturbed(self, store: Store) -> None:
        """Its process ships on as before, and what it tells afterwards counts."""
        script = WriterScript()
        ship(store, [script.start(points({"loss": [1.0]}))])
        ship(store, [_edit(script, _told(RecordKind.TAGS, tags={"a": "edit", "b": "edit"}), at=EPOCH + 1.5)])
        script.clock = EPOCH + 2.0
        script.ship(store, script.record(RecordKind.TAGS, tags={"a": "run"}), points({"loss": [2.0]}, steps=[1]))
        ship(store, [script.end()])

        info = store.run(script.run)
        assert (info.tags, info.status) == ({"a": "run", "b": "edit"}, RunStatus.COMPLETED)
        assert store.series(script.run, "loss").values.tolist() == [1.0, 2.0]

    def test_a_run_is_archived_and_brought_back(self, store: Store) -> None:
        """The last word counts, also where it is found before an older one."""
        script = WriterScript()
        ship(store, [script.start(), script.end()])
        seen = []
        for number, (second, archived_at) in enumerate([(10, EPOCH + 10), (20, None), (40, EPOCH + 40), (30, None)]):
            change = _told(RecordKind.ARCHIVE, archived_at=archived_at)
            ship(store, [_edit(script, change, at=EPOCH + second, mark=str(number))])
            seen.append(store.run(script.run).archived_at)

        assert seen == [EPOCH + 10, None, EPOCH + 40, EPOCH + 40]
        assert [info.id for info in store.runs(RunQuery(archived=True))] == [script.run]
        assert store.runs(RunQuery()) == []


def _in_words(change: Record, word: str) -> dict[str, object]:
    """Return the data of a change with another word in each place."""
    if change.kind == RecordKind.TAGS:
        return {"tags": {"who": word, word: "1"}}
    return dict.fromkeys(change.data, word)
