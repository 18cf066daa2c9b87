"""The suite's tests of events: what is kept of a run as it was told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracklib.records import RecordKind
from tracklib.testing.batches import EPOCH, WriterScript, ship
from tracklib.testing.harness import StoreHarness

if TYPE_CHECKING:
    from tracklib.stores.base import Store

__all__ = ["HistoryContract"]


class HistoryContract(StoreHarness):
    """What `Store.events` promises."""

    def test_the_history_of_what_changes_is_kept(self, store: Store) -> None:
        """Params, tags, notes, names, places and archiving are kept as told, each with time and writer, by arrival."""
        script = WriterScript()
        ship(store, [script.start()])
        told: list[tuple[str, dict[str, Any]]] = [
            (RecordKind.PARAMS, {"params": {"a": {"b": 1}}}),
            (RecordKind.TAGS, {"tags": {"a": "1", "b": None}}),
            (RecordKind.NOTES, {"text": "ünïcode\n"}),
            (RecordKind.NAME, {"name": "new"}),
            (RecordKind.PLACE, {"project": "other", "experiment": "moved"}),
            (RecordKind.ARCHIVE, {"archived_at": EPOCH}),
            (RecordKind.ARCHIVE, {"archived_at": None}),
            (RecordKind.PARAMS, {"params": {"a": {"b": 2}}}),
        ]
        for kind, data in told:
            script.ship(store, script.record(kind, **data))

        events = store.events(script.run)
        assert [(event.kind, event.data) for event in events] == told
        assert [event.time for event in events] == [EPOCH + 1.0 + n for n in range(len(told))]
        assert {event.writer for event in events} == {"0"}

    def test_output_is_kept(self, store: Store) -> None:
        """Console lines and messages are kept in their order, and can be asked for alone."""
        script = WriterScript()
        lines = [{"stream": "stdout", "lines": [[EPOCH, f"line {n} 🙂"]]} for n in range(3)]
        ship(store, [script.start(*(script.record(RecordKind.CONSOLE, **line) for line in lines))])
        script.ship(store, script.record(RecordKind.MESSAGE, level="warning", text="odd"))

        assert [event.data for event in store.events(script.run, [RecordKind.CONSOLE])] == lines
        assert [event.data["text"] for event in store.events(script.run, ["message"])] == ["odd"]
        assert len(store.events(script.run, ["message", "console"])) == 4
        assert store.events(script.run, ["params"]) == []

    def test_records_of_unknown_kinds_are_kept(self, store: Store) -> None:
        """What a later version records is kept as it came, in its place."""
        script = WriterScript()
        data = {"number": 1, "nested": {"list": [None, True, "ü"], "mark": {"$float": "nan"}}}
        ship(store, [script.start(script.record("unheard-of", **data), script.record("notes", text="n"))])

        assert [(event.kind, event.data) for event in store.events(script.run)] == [
            ("unheard-of", data),
            ("notes", {"text": "n"}),
        ]

    def test_events_of_several_writers_are_told_apart(self, store: Store) -> None:
        """Each event says which process it came from, and events of one process keep their order."""
        first = WriterScript()
        second = first.joined_by("1")
        for number in range(3):
            for script in (first, second):
                script.ship(store, script.record(RecordKind.MESSAGE, text=f"{script.writer} {number}"))

        events = store.events(first.run)
        for writer in ("0", "1"):
            texts = [event.data["text"] for event in events if event.writer == writer]
            assert texts == [f"{writer} {number}" for number in range(3)]
