"""The suite's tests of what a run says of itself: each record does what its kind promises, and nothing is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tracklib.errors import NotFound
from tracklib.model import Environment, Resources, RunError, RunStatus, Source
from tracklib.records import RecordKind, new_id
from tracklib.stores.base import RunQuery
from tracklib.testing.batches import EPOCH, WriterScript, points, ship
from tracklib.testing.entities import ENVIRONMENT, ERROR, RESOURCES, SOURCE, as_data
from tracklib.testing.harness import StoreHarness

if TYPE_CHECKING:
    from tracklib.model import RunInfo
    from tracklib.stores.base import Store

__all__ = ["RunContract"]

_NAN_MARK = {"$float": "nan"}


def _run_with(store: Store, kind: str, *changes: dict[str, Any]) -> RunInfo:
    """Return a run after records of one kind, one batch each."""
    script = WriterScript()
    ship(store, [script.start(), *(script.batch(script.record(kind, **data)) for data in changes)])
    return store.run(script.run)


class RunContract(StoreHarness):
    """What `Store.run` promises of the records that were appended."""

    def test_a_run_begins_with_its_start_record(self, store: Store) -> None:
        """Place, name, parent, maker and times of a run come from its first record."""
        parent = new_id()
        script = WriterScript(project="digits / vision", experiment="lr: sweep", name="ünïcode 'name'")
        ship(store, [script.start(parent=parent, created_by="ada", primary=True)])

        info = store.run(script.run)
        assert (info.id, info.project, info.experiment) == (script.run, "digits / vision", "lr: sweep")
        assert (info.name, info.parent, info.created_by) == ("ünïcode 'name'", parent, "ada")
        assert (info.status, info.reason, info.error) == (RunStatus.RUNNING, "", None)
        assert (info.start_time, info.created_at, info.heartbeat_at, info.end_time) == (EPOCH, EPOCH, EPOCH, None)

    def test_a_run_that_began_says_nothing_else(self, store: Store) -> None:
        """What was never recorded is empty, not missing."""
        script = WriterScript()
        ship(store, [script.start()])

        info = store.run(script.run)
        assert (info.params, info.tags, info.notes, info.dropped) == ({}, {}, "", {})
        assert (info.source, info.environment, info.resources) == (Source(), Environment(), Resources())
        assert (info.parent, info.created_by, info.archived_at) == (None, "", None)
        assert (store.artifacts(script.run), store.events(script.run)) == ([], [])
        assert store.summaries([script.run]) == {script.run: {}}

    def test_a_run_was_created_when_its_first_record_was_written(self, store: Store) -> None:
        """The times of a run are those of its start record, not those of its shipment."""
        script = WriterScript()
        start = script.record(RecordKind.START, project="p", experiment="e", name="n")
        script.clock += 60.0
        ship(store, [script.batch(start, points({"loss": 1.0}))])

        info = store.run(script.run)
        assert (info.created_at, info.start_time, info.heartbeat_at) == (EPOCH, EPOCH, EPOCH + 60.0)

    def test_writers_are_described(self, store: Store) -> None:
        """Each process that writes is kept with its rank, host, pid, spool, times, position and status."""
        script = WriterScript()
        about: dict[str, Any] = {"rank": 3, "host": "node-1", "pid": 4711, "spool": "/spool/ünïcode", "primary": False}
        ship(store, [script.start(**about), script.batch(), script.end(status="killed")])

        (writer,) = store.run(script.run).writers
        assert {name: getattr(writer, name) for name in about} == about
        assert (writer.writer, writer.position, writer.status) == ("0", 3000, RunStatus.KILLED)
        assert (writer.started_at, writer.heartbeat_at) == (EPOCH, EPOCH + 2.0)

    def test_params_are_kept_as_given(self, store: Store) -> None:
        """Nested params of all kinds of JSON come back, also long ones and odd names."""
        params = {
            "model": {"hidden": 128, "layers": [64, 32], "name": "mlp", "empty": {}, "none": []},
            "seed": 2**70,
            "lr": 1e-3,
            "use amp": True,
            "nothing": None,
            "text": "x" * 1_000_000,
            "ünïcode 🙂": "a'b\"c\\d\ne",
            "dotted.name": 1,
        }

        assert _run_with(store, RecordKind.PARAMS, {"params": params}).params == params

    def test_params_that_json_cannot_say_are_restored(self, store: Store) -> None:
        """Marked floats are NaN and infinities again; other marks stay marks."""
        mark = {"$repr": "<object>", "$type": "module.Class"}
        given = {"a": {"$float": "inf"}, "b": [{"$float": "-inf"}, 1], "c": mark, "d": {"e": _NAN_MARK}}

        params = _run_with(store, RecordKind.PARAMS, {"params": given}).params
        assert repr(params) == repr({"a": float("inf"), "b": [float("-inf"), 1], "c": mark, "d": {"e": float("nan")}})

    def test_params_that_look_like_marks_do_no_harm(self, store: Store) -> None:
        """A mapping of a user that looks like a mark but is none is kept as it is."""
        given = {"a": {"$float": "hello"}, "b": {"$float": [1]}, "c": {"$x": 1, "y": 2}, "d": {"x": 1, "$y": 2}}

        assert _run_with(store, RecordKind.PARAMS, {"params": given}).params == given

    def test_params_are_merged(self, store: Store) -> None:
        """Later params go over earlier ones: mappings name by name, anything else as a whole."""
        changes = (
            {"model": {"hidden": 1, "act": "relu", "sizes": [1, 2]}, "lr": 1, "opt": "sgd", "sub": {"a": 1}},
            {"model": {"hidden": 2, "sizes": [3]}, "opt": {"name": "adam"}, "sub": 5},
            {"model": {"heads": {"a": 1}}, "x": {"$float": "inf"}, "z": {"$$ref": 1}},
            {"model": {"heads": {"b": 2}}, "x": {"y": 1}, "z": {"$$id": 2}},
        )

        assert _run_with(store, RecordKind.PARAMS, *({"params": change} for change in changes)).params == {
            "model": {"hidden": 2, "act": "relu", "sizes": [3], "heads": {"a": 1, "b": 2}},
            "lr": 1,
            "opt": {"name": "adam"},
            "sub": 5,
            "x": {"y": 1},
            "z": {"$ref": 1, "$id": 2},
        }

    def test_tags_are_set_and_removed(self, store: Store) -> None:
        """A tag has its latest value; one that was set to nothing is gone."""
        info = _run_with(
            store,
            RecordKind.TAGS,
            {"tags": {"a": "1", "b": "2", "ünï 'c\"": "\n🙂", "": "empty name"}},
            {"tags": {"a": "3", "b": None, "never there": None, "d": ""}},
        )

        assert info.tags == {"a": "3", "ünï 'c\"": "\n🙂", "": "empty name", "d": ""}

    def test_notes_are_replaced(self, store: Store) -> None:
        """Notes are what was noted last, of any length."""
        info = _run_with(store, RecordKind.NOTES, {"text": "first"}, {"text": "sécond\n" * 100_000})

        assert info.notes == "sécond\n" * 100_000

    def test_a_run_is_renamed(self, store: Store) -> None:
        """The latest name counts, and the run is found by it."""
        info = _run_with(store, RecordKind.NAME, {"name": "second"}, {"name": "third / 'name'"})

        assert info.name == "third / 'name'"
        assert [found.id for found in store.runs(RunQuery(name="third / 'name'"))] == [info.id]
        assert store.runs(RunQuery(name="second")) == []

    def test_a_run_is_moved(self, store: Store) -> None:
        """It is in the project and experiment that were named last, which are made, and found there alone."""
        places = ({"project": "p", "experiment": "second"}, {"project": "other / 'p'", "experiment": "third"})
        info = _run_with(store, RecordKind.PLACE, *places)

        assert (info.project, info.experiment) == ("other / 'p'", "third")
        assert [found.id for found in store.runs(RunQuery(project="other / 'p'"))] == [info.id]
        assert store.runs(RunQuery(project="p")) == []
        assert {project.name for project in store.projects()} == {"digits", "p", "other / 'p'"}
        assert [experiment.name for experiment in store.experiments("other / 'p'")] == ["third"]

    def test_a_run_that_is_moved_at_once_was_nowhere_else(self, store: Store) -> None:
        """The project that its start record names is not made for it."""
        script = WriterScript(project="first")
        ship(store, [script.start(script.record(RecordKind.PLACE, project="second", experiment="e"))])

        assert store.run(script.run).project == "second"
        assert [project.name for project in store.projects()] == ["second"]

    def test_a_move_that_comes_late_is_old(self, store: Store) -> None:
        """What a later process of the run has said counts."""
        first = WriterScript()
        ship(store, [first.start()])
        late = first.batch(first.record(RecordKind.PLACE, project="late", experiment="e"))
        second = first.joined_by("0.later")
        ship(
            store, [second.start(), second.batch(second.record(RecordKind.PLACE, project="now", experiment="e")), late]
        )

        assert store.run(first.run).project == "now"

    def test_every_field_of_the_source_is_kept(self, store: Store) -> None:
        """What is known of the code comes back whole."""
        assert _run_with(store, RecordKind.SOURCE, as_data(SOURCE)).source == SOURCE

    def test_every_field_of_the_environment_is_kept(self, store: Store) -> None:
        """What is known of the machine comes back whole, every GPU of it too."""
        assert _run_with(store, RecordKind.ENVIRONMENT, as_data(ENVIRONMENT)).environment == ENVIRONMENT

    def test_every_field_of_the_resources_is_kept(self, store: Store) -> None:
        """What a run used comes back whole."""
        assert _run_with(store, RecordKind.RESOURCES, as_data(RESOURCES)).resources == RESOURCES

    def test_fields_that_are_not_given_stay(self, store: Store) -> None:
        """A later record of source, environment or resources changes those fields only that it has."""
        script = WriterScript()
        for kind, data in (
            (RecordKind.SOURCE, as_data(SOURCE)),
            (RecordKind.ENVIRONMENT, as_data(ENVIRONMENT)),
            (RecordKind.RESOURCES, as_data(RESOURCES)),
        ):
            script.ship(store, script.record(kind, **data))
        changes = ((RecordKind.SOURCE, {"branch": "b"}), (RecordKind.ENVIRONMENT, {"os": "o"}))
        script.ship(store, *(script.record(kind, **data) for kind, data in changes))
        script.ship(store, script.record(RecordKind.RESOURCES, cost=None))

        info = store.run(script.run)
        assert (info.source.branch, info.source.diff, info.source.untracked) == ("b", SOURCE.diff, SOURCE.untracked)
        assert (info.environment.os, info.environment.packages) == ("o", ENVIRONMENT.packages)
        assert (info.resources.cost, info.resources.gpu_hours) == (None, RESOURCES.gpu_hours)

    def test_what_is_empty_is_kept_as_such(self, store: Store) -> None:
        """A clean working tree after a dirty one has no diff any more."""
        empty = {"diff": "", "untracked": {}, "dirty": False}
        info = _run_with(store, RecordKind.SOURCE, as_data(SOURCE), empty)

        assert (info.source.diff, info.source.untracked, info.source.dirty) == ("", {}, False)

    def test_fields_of_later_versions_do_no_harm(self, store: Store) -> None:
        """A field that this version does not know is passed over."""
        script = WriterScript()
        kinds = (RecordKind.SOURCE, RecordKind.ENVIRONMENT, RecordKind.RESOURCES)
        ship(store, [script.start(*(script.record(kind, unheard_of=[1]) for kind in kinds), unheard_of={"a": 1})])

        info = store.run(script.run)
        assert (info.source, info.environment, info.resources) == (Source(), Environment(), Resources())

    def test_a_list_of_runs_leaves_out_what_is_bulky(self, store: Store) -> None:
        """Diff, untracked files and packages are left empty in lists; everything else is there."""
        script = WriterScript()
        ship(store, [script.start(script.record(RecordKind.SOURCE, **as_data(SOURCE)))])
        script.ship(store, script.record(RecordKind.ENVIRONMENT, **as_data(ENVIRONMENT)))
        script.ship(store, script.record(RecordKind.PARAMS, params={"lr": 1}))

        (listed,) = store.runs(RunQuery())
        whole = store.run(script.run)
        assert (listed.source.diff, listed.source.untracked, listed.environment.packages) == ("", {}, {})
        assert (listed.source.commit, listed.environment.frameworks) == (SOURCE.commit, ENVIRONMENT.frameworks)
        assert (listed.params, listed.writers, listed.heartbeat_at) == (whole.params, whole.writers, whole.heartbeat_at)

    @pytest.mark.parametrize("status", ["completed", "failed", "killed"])
    def test_a_run_ends_as_its_end_record_says(self, store: Store, status: str) -> None:
        """Status, reason, error, end and duration are those of the end record."""
        script = WriterScript()
        ship(store, [script.start(), script.end(status, reason="why: ünïcode", error=as_data(ERROR), duration=12.5)])

        info = store.run(script.run)
        assert (info.status, info.reason, info.error) == (RunStatus(status), "why: ünïcode", ERROR)
        assert (info.end_time, info.duration) == (EPOCH + 1.0, 12.5)
        assert info.writers[0].status is RunStatus(status)

    def test_an_end_may_be_told_afterwards(self, store: Store) -> None:
        """An end record that another process wrote has the time of the end in it; a missing duration is reckoned."""
        script = WriterScript()
        ship(store, [script.start(), script.batch(), script.batch(), script.end("killed", end_time=EPOCH + 2.0)])

        info = store.run(script.run)
        assert (info.status, info.end_time, info.duration) == (RunStatus.KILLED, EPOCH + 2.0, 2.0)

    def test_an_end_may_be_said_again(self, store: Store) -> None:
        """The last one counts, and the durations add up: a run was said to stand before it ended."""
        script = WriterScript()
        ship(store, [script.start()])
        script.ship(store, script.record(RecordKind.END, status="completed", duration=2.0))
        script.ship(store, points({"loss": 1.0}))
        ship(store, [script.end("failed", reason="why", error=as_data(ERROR), duration=0.5)])

        info = store.run(script.run)
        assert (info.status, info.reason, info.error, info.duration) == (RunStatus.FAILED, "why", ERROR, 2.5)
        assert store.summaries([script.run])[script.run]["loss"].count == 1

    def test_a_start_after_an_end_goes_on(self, store: Store) -> None:
        """The same process may take back that its run has ended, and end it again."""
        script = WriterScript()
        ship(store, [script.start(script.record(RecordKind.PARAMS, params={"a": 1}))])
        script.ship(
            store, script.record(RecordKind.END, status="failed", reason="w", error=as_data(ERROR), duration=2.0)
        )
        ship(store, [script.start()])

        again = store.run(script.run)
        ship(store, [script.end(duration=3.0)])
        ended = store.run(script.run)

        assert (again.status, again.reason, again.error, again.end_time) == (RunStatus.RUNNING, "", None, None)
        assert (again.writers[0].status, again.start_time, again.params) == (RunStatus.RUNNING, EPOCH, {"a": 1})
        assert (ended.status, ended.duration, len(ended.writers)) == (RunStatus.COMPLETED, 5.0, 1)

    def test_an_error_need_not_be_told(self, store: Store) -> None:
        """A run that ended well has no error."""
        script = WriterScript()
        ship(store, [script.start(), script.end(error=None)])

        assert store.run(script.run).error is None

    def test_an_error_may_say_little(self, store: Store) -> None:
        """An error without a traceback is one as well."""
        script = WriterScript()
        ship(store, [script.start(), script.end("failed", error={"type": "E", "message": "m"})])

        assert store.run(script.run).error == RunError(type="E", message="m", traceback="")

    def test_a_running_run_lasts_until_it_was_last_heard_of(self, store: Store) -> None:
        """The duration of a run that goes on grows with its batches."""
        script = WriterScript()
        ship(store, [script.start()])
        durations = []
        for _ in range(3):
            script.ship(store, script.record(RecordKind.HEARTBEAT))
            durations.append(store.run(script.run).duration)

        assert durations == [1.0, 2.0, 3.0]
        assert store.run(script.run).heartbeat_at == EPOCH + 3.0

    def test_helpers_do_not_end_a_run(self, store: Store) -> None:
        """The end of a process that is not the run's main one is its own end only, and so is its duration."""
        script = WriterScript()
        ship(store, [script.start()])
        helper = script.joined_by("1", after_s=100.0)
        ship(store, [helper.start(primary=False, rank=1), helper.end("failed", reason="mine", duration=1.0)])

        info = store.run(script.run)
        assert (info.status, info.reason, info.end_time) == (RunStatus.RUNNING, "", None)
        assert info.duration == info.heartbeat_at - EPOCH if info.heartbeat_at else False
        assert [writer.status for writer in info.writers] == [RunStatus.RUNNING, RunStatus.FAILED]

    def test_helpers_may_be_heard_of_first(self, store: Store) -> None:
        """A run whose second process arrived before the main one is the same run."""
        main = WriterScript(name="main")
        helper = main.joined_by("1")
        ship(store, [helper.start(primary=False), main.start(created_by="ada"), helper.end(), main.end()])

        info = store.run(main.run)
        assert (info.name, info.status, info.start_time, info.created_at) == ("main", "completed", EPOCH, EPOCH)

    def test_what_was_dropped_is_summed_over_the_writers(self, store: Store) -> None:
        """Each writer tells totals; the run has their sum by reason."""
        script = WriterScript()
        ship(store, [script.start()])
        helper = script.joined_by("1")
        for writer, counts in ((script, {"full": 2}), (helper, {"full": 3, "other": 1}), (script, {"full": 5})):
            writer.ship(store, writer.record(RecordKind.DROPPED, counts=counts))

        assert store.run(script.run).dropped == {"full": 8, "other": 1}

    def test_a_run_that_is_not_there_is_not_found(self, store: Store) -> None:
        """Every question about an unknown run says so, with its id."""
        WriterScript().ship(store)
        unknown = new_id()

        for question in (store.run, store.artifacts, store.events):
            with pytest.raises(NotFound, match=unknown):
                question(unknown)
