"""The suite's tests of what is asked of the artifacts of all runs: which there are, their names, and who uses them."""

from __future__ import annotations

import math
from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from tracklib.records import RecordKind, new_id
from tracklib.stores.base import ArtifactQuery
from tracklib.testing.batches import EPOCH, WriterScript, ship
from tracklib.testing.entities import ALIAS, USE, as_data
from tracklib.testing.harness import StoreHarness
from tracklib.testing.memory import MemoryStore
from tracklib.testing.versions import artifact_record, log_artifact

if TYPE_CHECKING:
    from tracklib.model import Alias, ArtifactUse
    from tracklib.stores.base import Store

__all__ = ["LineageContract"]


def _say(store: Store, script: WriterScript, alias: str, version: int | None, **fields: Any) -> None:
    """Say by a change from outside that an artifact is called something."""
    other = script.joined_by(f"edit.{new_id()}")
    data = {"project": script.project, "name": "model", "alias": alias, "version": version, **fields}
    ship(store, [other.start(other.record(RecordKind.ALIAS, **data), primary=False, final=True)])
    script.clock = other.clock


def _said(aliases: list[Alias]) -> list[tuple[str, int | None, float | None]]:
    return [(alias.alias, alias.version, alias.score) for alias in aliases]


def _checksum(content: str) -> str:
    return sha256(content.encode()).hexdigest()


class LineageContract(StoreHarness):
    """What `Store.find_artifacts`, `Store.aliases`, `Store.uses` and `Store.named_blobs` promise."""

    # ---- artifacts

    def test_artifacts_of_all_runs_are_found(self, store: Store) -> None:
        """By each of their fields and several at once, by time, with their files; archived runs count."""
        first, second = WriterScript(), WriterScript(project="other", clock=EPOCH - 100.0)
        log_artifact(store, "a", script=first)
        log_artifact(store, "b", script=first, name="data", type="dataset")
        log_artifact(store, "c", script=first)
        log_artifact(store, "a", script=second)
        log_artifact(store, "d", script=second, project="", version=4)
        second.ship(store, second.record(RecordKind.ARCHIVE, archived_at=EPOCH))

        def found(**fields: Any) -> str:
            names = {_checksum(content): content for content in "abcd"}
            made = store.find_artifacts(ArtifactQuery(**fields))
            assert all([file.checksum for file in artifact.files] == [artifact.checksum] for artifact in made)
            return "".join(names[artifact.checksum] for artifact in made)

        everything = store.find_artifacts(ArtifactQuery())
        assert everything == [*store.artifacts(second.run), *store.artifacts(first.run)]
        assert found() == "adabc"
        assert found(project=first.project) == "abc"
        assert found(project="") == "d"
        assert found(name="data") == found(type="dataset") == "b"
        assert found(version=0) == "aab"
        assert found(checksum=_checksum("a")) == "aa"
        assert found(run=second.run) == "ad"
        assert found(ids=(everything[0].id, everything[3].id, "unknown")) == "ab"
        assert found(project="other", version=0, checksum=_checksum("a"), run=second.run) == "a"
        assert found(project="unknown") == found(run="unknown") == found(project="other", name="data") == ""

    def test_artifacts_are_found_without_their_files(self, store: Store) -> None:
        """Where nobody asks for these: all else is there."""
        log_artifact(store, "a")
        (whole,) = store.find_artifacts(ArtifactQuery())

        assert whole.files
        assert store.find_artifacts(ArtifactQuery(files=False)) == [replace(whole, files=())]

    def test_an_artifact_can_be_deleted(self, store: Store) -> None:
        """It is nowhere any more, whoever says so; others stay, and what nobody has can be deleted."""
        script, other = WriterScript(), WriterScript(clock=EPOCH + 50.0)
        records = [artifact_record(script, content, aliases=[content]) for content in "ab"]
        ship(store, [script.start(*records)])
        log_artifact(store, "a", script=other)
        edit = script.joined_by("edit.1")
        gone = [
            edit.record(RecordKind.ARTIFACT, id=identity, deleted=True) for identity in (records[0].data["id"], "x")
        ]
        ship(store, [edit.start(*gone, primary=False, final=True)])

        with self.reopen(store) as reopened:
            for instance in (store, reopened):
                assert [artifact.checksum for artifact in instance.artifacts(script.run)] == [_checksum("b")]
                assert [a.run for a in instance.find_artifacts(ArtifactQuery(version=0))] == [other.run]
                assert _said(instance.aliases(script.project)) == [("b", 1, None)]

    def test_one_run_does_not_delete_what_another_has(self, store: Store) -> None:
        """It can only take back what it said itself."""
        script, other = WriterScript(), WriterScript()
        record = artifact_record(script, "a")
        ship(store, [script.start(record)])
        other.ship(store, other.record(RecordKind.ARTIFACT, id=record.data["id"], deleted=True))

        assert [artifact.id for artifact in store.artifacts(script.run)] == [record.data["id"]]

    def test_an_artifact_was_made_when_it_says_so(self, store: Store) -> None:
        """Else when its record was written."""
        script = WriterScript()
        log_artifact(store, "a", script=script, created_at=EPOCH - 5.0)
        log_artifact(store, "b", script=script, created_at=0.0)
        log_artifact(store, "c", script=script)

        assert [artifact.created_at for artifact in store.artifacts(script.run)] == [EPOCH - 5.0, EPOCH + 1, EPOCH + 2]

    # ---- aliases

    def test_every_field_of_an_alias_is_kept(self, store: Store) -> None:
        """What is said of an alias comes back whole."""
        script = WriterScript(clock=ALIAS.time)
        script.ship(store, script.record(RecordKind.ALIAS, **as_data(ALIAS)))

        assert store.aliases(ALIAS.project) == [replace(ALIAS, run=script.run)]
        assert store.aliases("other") == store.aliases(ALIAS.project, "other") == []

    def test_aliases_are_told_by_time(self, store: Store) -> None:
        """Those that artifacts were logged with and those that were said later, of one name or of all."""
        script = WriterScript()
        log_artifact(store, "a", script=script, aliases=["best", "first"], score=0.5)
        _say(store, script, "prod", 0, score=0.25)
        log_artifact(store, "b", script=script, aliases=["best"], score=0.75)
        log_artifact(store, "c", script=script, name="other", aliases=["prod"])
        _say(store, script, "prod", None)
        _say(store, script, "prod", 1)

        own = [("best", 0, 0.5), ("first", 0, 0.5), ("prod", 0, 0.25), ("best", 1, 0.75)]
        later = [("prod", None, None), ("prod", 1, None)]
        with self.reopen(store) as other:
            for instance in (store, other):
                assert _said(instance.aliases(script.project, "model")) == own + later
                assert _said(instance.aliases(script.project)) == [*own, ("prod", 0, None), *later]
        times = [alias.time for alias in store.aliases(script.project)]
        assert times == sorted(times)
        assert {alias.run for alias in store.aliases(script.project)} == {script.run}

    def test_what_is_late_stands_in_its_place(self, store: Store) -> None:
        """An alias that was given before another one and comes after it is told first."""
        script = WriterScript()
        log_artifact(store, "a", script=script, aliases=["prod"], created_at=EPOCH + 100.0)
        _say(store, script, "prod", None)

        assert _said(store.aliases(script.project)) == [("prod", None, None), ("prod", 0, None)]

    def test_what_has_no_number_has_no_aliases(self, store: Store) -> None:
        """Else it would seem that they were taken away."""
        script = WriterScript()
        log_artifact(store, "", script=script, aliases=["best"])

        assert store.aliases(script.project) == []
        assert store.artifacts(script.run)[0].aliases == ("best",)

    def test_a_score_is_a_number_that_others_can_be_compared_to(self, store: Store) -> None:
        """NaN and infinities are none."""
        script = WriterScript()
        scores = [{"$float": "nan"}, {"$float": "inf"}, 1, -0.5]
        for number, score in enumerate(scores):
            log_artifact(store, str(number), script=script, aliases=["best"], score=score)
            _say(store, script, "prod", number, score=score)

        found = [alias.score for alias in store.aliases(script.project)]
        assert found == [None, None, None, None, 1.0, 1.0, -0.5, -0.5]
        assert not any(isinstance(score, float) and math.isnan(score) for score in found)

    # ---- uses

    def test_every_field_of_a_use_is_kept(self, store: Store) -> None:
        """What a run says that it reads comes back whole."""
        script = WriterScript(clock=USE.time)
        script.ship(store, script.record(RecordKind.USE, **as_data(USE)))

        assert store.uses() == store.uses(run=script.run) == [replace(USE, run=script.run)]

    def test_uses_are_found(self, store: Store) -> None:
        """By the run that reads, and by what it reads; by time."""
        scripts = [WriterScript(clock=EPOCH + seconds) for seconds in (50.0, 0.0)]
        for script in scripts:
            for project, name, version in (("p", "a", 1), ("p", "b", None), ("", "a", 3)):
                data = {"artifact": new_id(), "project": project, "name": name, "version": version, "checksum": ""}
                script.ship(store, script.record(RecordKind.USE, **data))

        def found(**fields: Any) -> list[tuple[str, str, int | None]]:
            uses: list[ArtifactUse] = store.uses(**fields)
            assert [use.time for use in uses] == sorted(use.time for use in uses)
            return [(use.project, use.name, use.version) for use in uses]

        everything = [("p", "a", 1), ("p", "b", None), ("", "a", 3)]
        assert found() == everything * 2
        assert [use.run for use in store.uses()] == [script.run for script in scripts[::-1] for _ in range(3)]
        assert found(run=scripts[0].run) == everything
        assert found(project="p") == everything[:2] * 2
        assert found(project="p", name="b") == everything[1:2] * 2
        assert found(project="", run=scripts[1].run) == everything[2:]
        assert found(run="unknown") == found(name="unknown") == []

    # ---- what is named

    def test_every_file_that_is_named_is_told(self, store: Store) -> None:
        """Those of artifacts, references among them, and the code of runs, archived ones too."""
        script, other = WriterScript(), WriterScript(clock=EPOCH + 50.0)
        log_artifact(store, "a", script=script)
        log_artifact(store, "b", script=other, project="", metadata={"reference": True})
        log_artifact(store, "", script=other, files=[{"path": "x", "size": 1, "checksum": ""}])
        other.ship(
            store,
            other.record(RecordKind.SOURCE, snapshot="ab" * 32),
            other.record(RecordKind.ARCHIVE, archived_at=EPOCH),
        )

        with self.reopen(store) as reopened:
            for instance in (store, reopened):
                assert instance.named_blobs() == {_checksum("a"), _checksum("b"), "ab" * 32}

    def test_what_is_gone_names_nothing(self, store: Store) -> None:
        """Artifacts that were replaced or deleted, and runs that were; what is new is named at once."""
        script, other = WriterScript(), WriterScript(clock=EPOCH + 50.0)
        identity = new_id()
        log_artifact(store, "a", script=script, id=identity)
        log_artifact(store, "b", script=script, id=identity)
        log_artifact(store, "c", script=other)
        with self.reopen(store) as reopened:
            assert reopened.named_blobs() == {_checksum("b"), _checksum("c")}
            script.ship(store, script.record(RecordKind.ARTIFACT, id=identity, deleted=True))
            assert reopened.named_blobs() == {_checksum("c")}
            store.delete_run(other.run)
            assert reopened.named_blobs() == set()
            log_artifact(store, "d", script=script)
            assert reopened.named_blobs() == {_checksum("d")}

    # ---- runs that go and come

    def test_a_deleted_run_takes_its_words_along(self, store: Store) -> None:
        """Its artifacts, aliases and uses are gone, those of others stay."""
        scripts = [WriterScript(clock=EPOCH + seconds) for seconds in (0.0, 50.0)]
        for script, content in zip(scripts, "ab", strict=True):
            log_artifact(store, content, script=script, aliases=[content])
            _say(store, script, f"later {content}", 0)
            script.ship(store, script.record(RecordKind.USE, **as_data(USE)))
        store.delete_run(scripts[0].run)

        with self.reopen(store) as other:
            for instance in (store, other):
                assert [use.run for use in instance.uses()] == [scripts[1].run]
                assert {alias.run for alias in instance.aliases(script.project)} == {scripts[1].run}
                assert [artifact.run for artifact in instance.find_artifacts(ArtifactQuery())] == [scripts[1].run]

    def test_what_was_said_is_history(self, store: Store) -> None:
        """Aliases, uses and deletions are kept as they were told."""
        script = WriterScript()
        told: list[tuple[str, dict[str, Any]]] = [
            (RecordKind.ALIAS, {"project": "p", "name": "model", "alias": "best", "version": 0}),
            (RecordKind.USE, {"artifact": "x", "project": "p", "name": "model", "version": 0, "checksum": ""}),
            (RecordKind.ARTIFACT, {"id": "x", "deleted": True}),
        ]
        ship(store, [script.start(*(script.record(kind, **data) for kind, data in told))])

        assert [(event.kind, event.data) for event in store.events(script.run)] == told

    def test_aliases_and_uses_of_a_copy_mean_the_same_content(self, store: Store) -> None:
        """Where it got another number in the store that it was copied to, they are told with that one."""
        original, last = (MemoryStore(f"reference://{new_id()}") for _ in range(2))
        script = WriterScript()
        content = _checksum("a")
        log_artifact(original, "a", script=script, aliases=["best"])
        _say(original, script, "prod", 0, checksum=content)
        use = {"artifact": "x", "project": script.project, "name": "model", "version": 0, "checksum": content}
        script.ship(original, script.record(RecordKind.USE, **use))
        log_artifact(store, "other")
        ship(store, original.export(script.run))
        ship(last, store.export(script.run))

        with self.reopen(store) as other:
            for instance in (store, other, last):
                assert _said(instance.aliases(script.project)) == [("best", 1, None), ("prod", 1, None)]
                assert [use.version for use in instance.uses(run=script.run)] == [1]
