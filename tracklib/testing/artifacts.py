"""The suite's tests of artifacts."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tracklib.model import Artifact
from tracklib.records import RecordKind, new_id
from tracklib.testing.batches import EPOCH, WriterScript, ship
from tracklib.testing.entities import ARTIFACT, as_data
from tracklib.testing.harness import StoreHarness

if TYPE_CHECKING:
    from tracklib.stores.base import Store

__all__ = ["ArtifactContract"]


def _with_artifacts(store: Store, *artifacts: Artifact) -> list[Artifact]:
    """Return what a store says of a run's artifacts, of which each came at the time it was created."""
    script = WriterScript()
    ship(store, [script.start()])
    for artifact in artifacts:
        script.clock = artifact.created_at
        script.ship(store, script.record(RecordKind.ARTIFACT, **as_data(artifact)))
    return [replace(found, run="") for found in store.artifacts(script.run)]


class ArtifactContract(StoreHarness):
    """What `Store.artifacts` promises."""

    def test_every_field_of_an_artifact_is_kept(self, store: Store) -> None:
        """An artifact comes back whole, with its files."""
        script = WriterScript(clock=ARTIFACT.created_at)
        ship(store, [script.start(script.record(RecordKind.ARTIFACT, **as_data(ARTIFACT)))])

        assert store.artifacts(script.run) == [replace(ARTIFACT, run=script.run)]

    def test_an_artifact_may_be_told_again(self, store: Store) -> None:
        """The later record of the same id counts, as a whole: its files were looked at since."""
        script = WriterScript()
        ship(store, [script.start(script.record(RecordKind.ARTIFACT, **as_data(ARTIFACT)))])
        fewer = replace(ARTIFACT, size=1, metadata={"reference": True}, files=ARTIFACT.files[:1])
        script.ship(store, script.record(RecordKind.ARTIFACT, **as_data(fewer)))

        (artifact,) = store.artifacts(script.run)
        assert (artifact.size, artifact.metadata, artifact.files) == (1, {"reference": True}, ARTIFACT.files[:1])

    def test_artifacts_are_listed_by_time(self, store: Store) -> None:
        """Artifacts of any names come in the order of their making, versions of one name too."""
        made = [
            Artifact(id=new_id(), run="", name=name, type="file", version=version, created_at=EPOCH + second)
            for second, (name, version) in enumerate((("b", 1), ("a", 1), ("b", 2)))
        ]

        assert _with_artifacts(store, *made) == made

    def test_metadata_of_artifacts_are_restored(self, store: Store) -> None:
        """NaN and infinities in metadata come back as such."""
        metadata = {"loss": float("nan"), "best": [float("inf"), 1], "text": "nan"}
        made = Artifact(id=new_id(), run="", name="m", type="model", metadata=metadata, created_at=EPOCH)

        (found,) = _with_artifacts(store, made)
        assert repr(found.metadata) == repr(metadata)

    def test_an_artifact_may_have_many_files(self, store: Store) -> None:
        """A folder of a thousand files is one artifact, its files by path."""
        files = tuple(replace(ARTIFACT.files[0], path=f"part/{n:04}", size=n) for n in range(1000))
        made = replace(ARTIFACT, run="", files=files)

        assert _with_artifacts(store, made) == [made]
