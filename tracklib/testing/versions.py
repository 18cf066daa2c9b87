"""The suite's tests of versions: which number an artifact of a project gets, whoever else logs at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from itertools import permutations
from typing import TYPE_CHECKING, Any

import pytest

from tracklib.records import RecordKind, new_id
from tracklib.stores.base import ArtifactQuery
from tracklib.testing.batches import EPOCH, WriterScript, ship
from tracklib.testing.harness import StoreHarness
from tracklib.testing.memory import MemoryStore

if TYPE_CHECKING:
    from tracklib.records import Record
    from tracklib.stores.base import Store

__all__ = ["VersionContract", "artifact_record", "log_artifact"]

_LOGS = """
from concurrent.futures import ThreadPoolExecutor
from tracklib.testing.batches import WriterScript
from tracklib.testing.versions import log_artifact

def log(content):
    with type(store)(store.uri) as own:
        return log_artifact(own, content, project="shared")

input(f"ready{chr(10)}")
with ThreadPoolExecutor(2) as pool:
    print(list(pool.map(log, arguments)))
"""


def artifact_record(script: WriterScript, content: str = "", **fields: Any) -> Record:
    """Return the record of an artifact with a file of this content; of nothing that is known where it is empty."""
    checksum = sha256(content.encode()).hexdigest() if content else ""
    data: dict[str, Any] = {
        "id": new_id(script.clock),
        "project": script.project,
        "name": "model",
        "type": "model",
        "checksum": checksum,
        "files": [{"path": "file", "size": len(content), "checksum": checksum}] if content else [],
    }
    return script.record(RecordKind.ARTIFACT, **{**data, **fields})


def log_artifact(store: Store, content: str = "", *, script: WriterScript | None = None, **fields: Any) -> int | None:
    """Log an artifact in a run of its own, or in the one of `script`, and return the version that it got."""
    script = script or WriterScript()
    record = artifact_record(script, content, **fields)
    script.ship(store, record)
    (found,) = store.find_artifacts(ArtifactQuery(ids=(record.data["id"],)))
    return found.version


def _numbers(store: Store, *contents: str, **fields: Any) -> list[int | None]:
    return [log_artifact(store, content, **fields) for content in contents]


class VersionContract(StoreHarness):
    """What `Store.append` promises of versions."""

    def test_versions_count_contents(self, store: Store) -> None:
        """The first is 0, a new content has the next, and one that was there before has the number that it had."""
        assert _numbers(store, "a", "b", "a", "c", "b", "d") == [0, 1, 0, 2, 1, 3]

    def test_each_name_of_each_project_is_counted_by_itself(self, store: Store) -> None:
        """The same content has a number in each."""
        assert _numbers(store, "a", "b") == [0, 1]
        assert _numbers(store, "b", "c", name="other") == [0, 1]
        assert _numbers(store, "c", "b", project="other") == [0, 1]
        assert _numbers(store, "a", project='odd "names"\n/é', name="a/b\\:v1") == [0]

    def test_one_batch_may_have_many(self, store: Store) -> None:
        """They are counted in their order."""
        script = WriterScript()
        records = [artifact_record(script, content, created_at=EPOCH + n) for n, content in enumerate("abcab")]
        ship(store, [script.start(*records)])

        assert [artifact.version for artifact in store.artifacts(script.run)] == [0, 1, 2, 0, 1]

    def test_a_number_that_is_wished_for_is_given_if_it_is_free(self, store: Store) -> None:
        """As copies do; else it is one more than the highest, and content that has a number keeps it."""
        wished = [("a", 3), ("b", 3), ("c", 0), ("a", 1), ("d", None), ("e", 4), ("f", 1)]

        assert [log_artifact(store, content, version=wish) for content, wish in wished] == [3, 4, 0, 3, 5, 6, 1]

    @pytest.mark.parametrize("wish", [-1, True, "2", 1.5, 1 << 53, 1 << 80])
    def test_what_is_no_number_cannot_be_wished_for(self, store: Store, wish: Any) -> None:
        """It is as if nothing were said."""
        assert _numbers(store, "a", "b", version=wish) == [0, 1]

    def test_what_nobody_has_looked_into_has_no_number(self, store: Store) -> None:
        """Without a checksum there is none, whatever is wished, and none is used up."""
        assert log_artifact(store, "", version=0) is None
        assert log_artifact(store) is None
        assert log_artifact(store, "a") == 0

    def test_what_belongs_to_its_run_has_the_number_that_the_run_gave(self, store: Store) -> None:
        """It is not counted, nor does it count."""
        script = WriterScript()
        numbers = [log_artifact(store, "a", script=script, project="", version=number) for number in (0, 7, 7, None)]

        assert numbers == [0, 7, 7, None]
        assert log_artifact(store, "a") == 0

    def test_an_artifact_that_is_told_again_keeps_its_number(self, store: Store) -> None:
        """No second one is used up, whether it is told by a new record or by the same batch once more."""
        script, identity = WriterScript(), new_id()
        batches = [script.start(artifact_record(script, "a", id=identity))]
        batches += [script.batch(artifact_record(script, "a", id=identity, metadata={"n": n})) for n in range(2)]
        for batch in [*batches, *batches]:
            store.append(batch)
        with self.reopen(store) as other:
            assert other.append(batches[-1]) == batches[-1].end

        assert [artifact.version for artifact in store.artifacts(script.run)] == [0]
        assert log_artifact(store, "b") == 1

    def test_an_artifact_of_new_content_has_a_new_number(self, store: Store) -> None:
        """Also where it keeps its id: what was there before is replaced, and its number is not given out again."""
        script, identity = WriterScript(), new_id()
        assert log_artifact(store, script=script, id=identity) is None
        assert log_artifact(store, "a", script=script, id=identity) == 0
        assert log_artifact(store, "b", script=script, id=identity) == 1

        (artifact,) = store.artifacts(script.run)
        assert (artifact.version, artifact.files[0].checksum) == (1, sha256(b"b").hexdigest())
        assert _numbers(store, "c", "a") == [2, 0]

    def test_numbers_are_not_given_out_again(self, store: Store) -> None:
        """Neither when the artifact is deleted, nor with its run; the same content comes back to its number."""
        script = WriterScript()
        records = [artifact_record(script, content) for content in "abc"]
        ship(store, [script.start(*records)])
        script.ship(store, script.record(RecordKind.ARTIFACT, id=records[2].data["id"], deleted=True))
        store.delete_run(script.run)

        with self.reopen(store) as other:
            assert [artifact.version for artifact in other.find_artifacts(ArtifactQuery())] == []
            assert _numbers(other, "d", "b", "c", "e") == [3, 1, 2, 4]

    def test_instances_count_together(self, store: Store) -> None:
        """What one of them has seen does not hide what others did since."""
        with self.reopen(store) as other:
            assert log_artifact(store, "a") == 0
            assert log_artifact(other, "b") == 1
            assert log_artifact(store, "b") == 1
            assert log_artifact(other, "c", version=7) == 7
            assert _numbers(store, "c", "d") == [7, 8]

    def test_many_may_log_at_once(self, store: Store) -> None:
        """Threads with instances of their own: each content gets one number, and none of them is left out."""
        log_artifact(store, "first", name="before")

        def log(content: str) -> int | None:
            with self.reopen(store) as own:
                return log_artifact(own, content)

        contents = [f"{number % 8}" for number in range(32)]
        with ThreadPoolExecutor(8) as pool:
            numbers = list(pool.map(log, contents))
        found = dict(zip(contents, numbers, strict=True))
        assert numbers == [found[content] for content in contents]
        assert sorted(found.values(), key=str) == list(range(8))

    @pytest.mark.needs("processes")
    def test_processes_may_log_at_once(self, store: Store) -> None:
        """Processes that log the same contents and others agree on their numbers."""
        log_artifact(store, "first", name="before")
        contents = [["same", f"own {number}"] for number in range(4)]
        children = [self.spawn(store, _LOGS, *pair, stdin=True) for pair in contents]
        for child in children:
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
        for child in children:
            assert child.stdin is not None
            child.stdin.write("\n")
            child.stdin.flush()
        answers = [child.communicate(timeout=200)[0] for child in children]

        numbers = [[int(number) for number in answer.strip("[]\n").split(", ")] for answer in answers]
        assert len({same for same, _ in numbers}) == 1
        assert sorted({number for pair in numbers for number in pair}) == list(range(5))

    @pytest.mark.parametrize("order", [*permutations(range(3))], ids=str)
    def test_copies_have_the_numbers_of_the_original(self, store: Store, order: tuple[int, ...]) -> None:
        """In whatever order runs are copied to a store that is empty, also where numbers are missing in between."""
        original = MemoryStore(f"reference://{new_id()}")
        scripts = [WriterScript(run=new_id(EPOCH + n), clock=EPOCH + n) for n in range(4)]
        for script, contents in zip(scripts, ("ab", "bc", "d", "ea"), strict=True):
            for content in contents:
                log_artifact(original, content, script=script)
        original.delete_run(scripts[2].run)
        del scripts[2]
        for number in order:
            ship(store, original.export(scripts[number].run))

        with self.reopen(store) as other:
            for instance in (store, other):
                assert instance.find_artifacts(ArtifactQuery()) == original.find_artifacts(ArtifactQuery())
        assert _numbers(store, "a", "new") == [0, 5]

    def test_a_copy_gets_the_next_number_where_its_own_is_taken(self, store: Store) -> None:
        """By other content; the same content is the same version there. A copy of the copy has its numbers."""
        original, last = (MemoryStore(f"reference://{new_id()}") for _ in range(2))
        script = WriterScript()
        assert [log_artifact(original, content, script=script) for content in "abc"] == [0, 1, 2]
        assert _numbers(store, "x", "c") == [0, 1]
        ship(store, original.export(script.run))
        ship(last, store.export(script.run))

        for instance in (store, last):
            found = {artifact.checksum: artifact.version for artifact in instance.artifacts(script.run)}
            assert [found[sha256(content.encode()).hexdigest()] for content in "abc"] == [2, 3, 1]
