"""The suite's tests of runs that several processes wrote one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tracklib.model import RunStatus
from tracklib.records import RecordKind
from tracklib.testing.batches import EPOCH, WriterScript, points, ship
from tracklib.testing.entities import ERROR, as_data
from tracklib.testing.harness import StoreHarness

if TYPE_CHECKING:
    from tracklib.stores.base import Store

__all__ = ["ResumptionContract"]


def _resumed(store: Store) -> tuple[WriterScript, WriterScript]:
    """Return the two writers of a run that stopped without a word and was resumed 100 seconds later."""
    first = WriterScript()
    ship(store, [first.start(points({"loss": [1.0, 2.0]}, steps=[0, 1]))])
    second = first.joined_by("0.second", after_s=99.0)
    ship(store, [second.start(points({"loss": [12.0, 13.0]}, steps=[2, 3]))])
    return first, second


class ResumptionContract(StoreHarness):
    """What a store makes of a second main writer, and of news that come late."""

    def test_a_resumed_run_is_running_again(self, store: Store) -> None:
        """Status, reason, end and error of a run that goes on are those of a running one; its start stays."""
        first = WriterScript()
        ship(store, [first.start(), first.end("failed", reason="why", error=as_data(ERROR), duration=1.0)])
        second = first.joined_by("0.second")
        ship(store, [second.start()])

        info = store.run(first.run)
        assert (info.status, info.reason, info.error, info.end_time) == (RunStatus.RUNNING, "", None, None)
        assert (info.start_time, info.created_at) == (EPOCH, EPOCH)
        assert [(w.writer, w.status) for w in info.writers] == [("0", "failed"), ("0.second", "running")]

    def test_points_of_a_resumed_run_go_on(self, store: Store) -> None:
        """A reader sees the points of both processes as one series; of a step that was logged again, the later one."""
        first, second = _resumed(store)
        second.ship(store, points({"loss": [11.0]}, steps=[1]), final=True)

        assert store.series(first.run, "loss").steps.tolist() == [0, 1, 2, 3]
        assert store.series(first.run, "loss").values.tolist() == [1.0, 11.0, 12.0, 13.0]
        assert store.series(first.run, "loss", every=True).values.tolist() == [1.0, 2.0, 11.0, 12.0, 13.0]

    def test_pauses_are_no_duration(self, store: Store) -> None:
        """A run lasted as long as its processes together."""
        first = WriterScript()
        ship(store, [first.start(), first.end(duration=10.0)])
        second = first.joined_by("0.second", after_s=1000.0)
        ship(store, [second.start(), second.batch()])
        while_running = store.run(first.run).duration
        ship(store, [second.end(duration=5.0)])

        assert while_running == 11.0
        assert store.run(first.run).duration == 15.0

    @pytest.mark.parametrize("ended", [False, True], ids=["running", "ended"])
    def test_the_late_end_of_an_older_process_is_old_news(self, store: Store, *, ended: bool) -> None:
        """A recovered journal that says how the older process ended does not end the newer one; its time counts."""
        first, second = _resumed(store)
        if ended:
            ship(store, [second.end(duration=7.0, reason="done")])
        ship(store, [first.end("killed", reason="no word", duration=3.0)])

        info = store.run(first.run)
        if ended:
            assert (info.status, info.reason, info.end_time) == (RunStatus.COMPLETED, "done", EPOCH + 101.0)
            assert info.duration == 10.0
        else:
            assert (info.status, info.reason, info.end_time) == (RunStatus.RUNNING, "", None)
        assert [w.status for w in info.writers] == ["killed", "completed" if ended else "running"]

    def test_the_late_start_of_an_older_process_is_the_start(self, store: Store) -> None:
        """Where the newer process was heard of first, the run began with the older one and goes on with the newer."""
        first = WriterScript()
        start = first.start(host="old")
        second = first.joined_by("0.second", after_s=99.0)
        ship(store, [second.start(host="new"), second.end(reason="done"), start])

        info = store.run(first.run)
        assert (info.start_time, info.created_at) == (EPOCH, EPOCH)
        assert (info.status, info.reason, info.end_time) == (RunStatus.COMPLETED, "done", EPOCH + 101.0)

    @pytest.mark.parametrize("final", [False, True], ids=["live", "ended"])
    @pytest.mark.parametrize("width", [1, 100])
    def test_late_points_of_an_older_process_do_not_override(self, store: Store, *, width: int, final: bool) -> None:
        """Of a step that both have logged, the value of the later process is seen, and the summary agrees."""
        first, second = _resumed(store)
        names = ("loss", *(f"series/{n}" for n in range(1, width)))
        second.ship(store, points(dict.fromkeys(names, (20.0,)), steps=[5]), final=final)
        first.ship(store, points(dict.fromkeys(names, (8.0, 9.0)), steps=[4, 5]), final=final)

        assert store.series(first.run, "loss").steps.tolist() == [0, 1, 2, 3, 4, 5]
        assert store.series(first.run, "loss").values.tolist() == [1.0, 2.0, 12.0, 13.0, 8.0, 20.0]
        summary = store.summaries([first.run])[first.run]["loss"]
        assert (summary.last, summary.last_step, summary.count, summary.min) == (20.0, 5, 7, 1.0)

    def test_an_older_process_that_was_never_heard_of_is_older(self, store: Store) -> None:
        """What counts is when processes began, not when they were first heard of."""
        first = WriterScript()
        start = first.start(points({"loss": [1.0, 2.0]}, steps=[0, 1]))
        second = first.joined_by("0.second", after_s=99.0)
        ship(store, [second.start(points({"loss": [12.0]}, steps=[1])), start])

        assert store.series(first.run, "loss").values.tolist() == [1.0, 12.0]
        assert store.series(first.run, "loss", every=True).values.tolist() == [1.0, 2.0, 12.0]
        assert store.summaries([first.run])[first.run]["loss"].last == 12.0

    def test_late_news_of_an_older_process_do_not_override(self, store: Store) -> None:
        """Params, tags, notes and names that the newer process set stay; what it left alone is taken."""
        first, second = _resumed(store)
        second.ship(
            store,
            second.record(RecordKind.PARAMS, params={"lr": 2, "model": {"hidden": 2}}),
            second.record(RecordKind.TAGS, tags={"a": "new", "gone": None}),
            second.record(RecordKind.NOTES, text="new"),
            second.record(RecordKind.NAME, name="new"),
        )
        first.ship(
            store,
            first.record(RecordKind.PARAMS, params={"lr": 1, "model": {"hidden": 1, "act": "relu"}, "seed": 1}),
            first.record(RecordKind.TAGS, tags={"a": "old", "b": "old", "gone": "old"}),
            first.record(RecordKind.NOTES, text="old"),
            first.record(RecordKind.NAME, name="old"),
        )

        info = store.run(first.run)
        assert info.params == {"lr": 2, "model": {"hidden": 2, "act": "relu"}, "seed": 1}
        assert info.tags == {"a": "new", "b": "old"}
        assert (info.notes, info.name) == ("new", "new")

    def test_late_news_that_nobody_overrode_are_news(self, store: Store) -> None:
        """What an older process changed last, and the newer one never touched, counts when it comes at last."""
        first, _ = _resumed(store)
        for number in (1, 2):
            first.ship(
                store,
                first.record(RecordKind.PARAMS, params={"lr": number}),
                first.record(RecordKind.TAGS, tags={"a": str(number), "gone": "1" if number == 1 else None}),
                first.record(RecordKind.NOTES, text=str(number)),
                first.record(RecordKind.NAME, name=str(number)),
            )

        info = store.run(first.run)
        assert (info.params, info.tags, info.notes, info.name) == ({"lr": 2}, {"a": "2"}, "2", "2")

    def test_late_surroundings_of_an_older_process_do_not_override(self, store: Store) -> None:
        """Source, environment and resources of the newer process stay; what it did not say is taken from the older."""
        first, second = _resumed(store)
        second.ship(
            store,
            second.record(RecordKind.SOURCE, commit="new", diff="new diff"),
            second.record(RecordKind.ENVIRONMENT, hostname="new", packages={"numpy": "2"}),
            second.record(RecordKind.RESOURCES, cpu_hours=2.0),
        )
        first.ship(
            store,
            first.record(RecordKind.SOURCE, commit="old", diff="old diff", branch="old", untracked={"a": "old"}),
            first.record(RecordKind.ENVIRONMENT, hostname="old", packages={"numpy": "1"}, os="old"),
            first.record(RecordKind.RESOURCES, cpu_hours=1.0, energy_kwh=1.0),
        )

        info = store.run(first.run)
        assert (info.source.commit, info.source.diff) == ("new", "new diff")
        assert (info.source.branch, info.source.untracked) == ("old", {"a": "old"})
        assert (info.environment.hostname, info.environment.packages) == ("new", {"numpy": "2"})
        assert (info.environment.os, info.resources.cpu_hours, info.resources.energy_kwh) == ("old", 2.0, 1.0)

    def test_a_run_may_be_resumed_again_and_again(self, store: Store) -> None:
        """The last of many processes says how the run is."""
        script = WriterScript()
        ship(store, [script.start(), script.end("failed", duration=1.0)])
        for number in range(5):
            script = script.joined_by(f"0.{number}")
            ship(store, [script.start(points({"loss": [float(number)]}, steps=[number])), script.end(duration=1.0)])

        info = store.run(script.run)
        assert (info.status, info.duration, len(info.writers)) == (RunStatus.COMPLETED, 6.0, 6)
        assert store.series(script.run, "loss").values.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
