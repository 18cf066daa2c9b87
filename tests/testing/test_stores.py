"""The suite finds what it is there to find: a store with a fault does not pass."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import Phase, settings

from tracklib.records import Batch, RecordKind, SeriesPoints, new_id
from tracklib.stores.base import ArtifactQuery
from tracklib.testing import entities
from tracklib.testing.memory import MemoryStore
from tracklib.testing.stores import StoreContract

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tracklib.model import Alias, Event, RunInfo, Summary


class TakesTwice(MemoryStore):
    def append(self, batch: Batch) -> int:
        shift = self.position(batch.run, batch.writer) - batch.start
        super().append(replace(batch, start=batch.start + shift, end=batch.end + shift))
        return batch.end


class IgnoresGaps(MemoryStore):
    def append(self, batch: Batch) -> int:
        return super().append(replace(batch, after_gap=True))


class LosesScattered(MemoryStore):
    def append(self, batch: Batch) -> int:
        return super().append(replace(batch, scattered=None))


class Rounds(MemoryStore):
    def series(self, run: str, name: str, *, every: bool = False) -> SeriesPoints:
        points = super().series(run, name, every=every)
        with np.errstate(over="ignore"):
            return points._replace(values=points.values.astype(np.float32).astype(np.float64))


class ForgetsSigns(MemoryStore):
    def series(self, run: str, name: str, *, every: bool = False) -> SeriesPoints:
        points = super().series(run, name, every=every)
        return points._replace(values=points.values + 0.0)


class ShowsTheFirst(MemoryStore):
    def series(self, run: str, name: str, *, every: bool = False) -> SeriesPoints:
        points = super().series(run, name, every=True)
        first = np.unique(points.steps, return_index=True)[1]
        return points if every else SeriesPoints(points.steps[first], points.times[first], points.values[first])


class CountsNumbersOnly(MemoryStore):
    def summaries(self, runs: Sequence[str]) -> dict[str, dict[str, Summary]]:
        found = super().summaries(runs)
        for run, summaries in found.items():
            for name, summary in summaries.items():
                numbers = ~np.isnan(self.series(run, name, every=True).values)
                summaries[name] = replace(summary, count=int(numbers.sum()))
        return found


class ForgetsDiffs(MemoryStore):
    def run(self, run: str) -> RunInfo:
        info = super().run(run)
        return replace(info, source=replace(info.source, diff=""))


class ExportsNoTags(MemoryStore):
    def export(self, run: str) -> Iterator[Batch]:
        for batch in super().export(run):
            records = tuple(record for record in batch.records if record.kind != RecordKind.TAGS)
            yield replace(batch, records=records)


class SortsEvents(MemoryStore):
    def events(self, run: str, kinds: Sequence[str] = ()) -> list[Event]:
        return sorted(super().events(run, kinds), key=lambda event: event.kind)


class TakesEditsForLife(MemoryStore):
    def run(self, run: str) -> RunInfo:
        info = super().run(run)
        return replace(info, heartbeat_at=max(writer.heartbeat_at for writer in info.writers))


class DeletesBlobs(MemoryStore):
    def delete_run(self, run: str) -> None:
        super().delete_run(run)
        self.delete_blobs(list(self.blobs()))


class GivesNumbersAgain(MemoryStore):
    def delete_run(self, run: str) -> None:
        super().delete_run(run)
        self._all.versions.clear()


class CountsRecords(MemoryStore):
    def append(self, batch: Batch) -> int:
        records = [
            replace(record, data={**record.data, "checksum": record.data["id"]}) if "files" in record.data else record
            for record in batch.records
        ]
        return super().append(replace(batch, records=tuple(records)))


class KeepsWhatWasDeleted(MemoryStore):
    def append(self, batch: Batch) -> int:
        kept = tuple(record for record in batch.records if not record.data.get("deleted"))
        return super().append(replace(batch, records=kept))


class SortsAliases(MemoryStore):
    def aliases(self, project: str, name: str | None = None) -> list[Alias]:
        return sorted(super().aliases(project, name), key=lambda alias: alias.alias)


class ForgetsReferences(MemoryStore):
    def named_blobs(self) -> set[str]:
        references = [artifact for artifact in self.find_artifacts(ArtifactQuery()) if artifact.is_reference]
        return super().named_blobs() - {file.checksum for artifact in references for file in artifact.files}


class Contract(StoreContract):
    def reopen(self, store: Any) -> MemoryStore:
        kind: type[MemoryStore] = type(store)
        return kind(store.uri)


@pytest.mark.parametrize(
    ("fault", "test", "arguments"),
    [
        (TakesTwice, "test_the_same_batch_twice_is_kept_once", {}),
        (IgnoresGaps, "test_a_batch_behind_a_gap_is_refused", {}),
        (LosesScattered, "test_points_may_be_logged_one_at_a_time", {"sealed": False}),
        (Rounds, "test_values_come_back_bit_for_bit", {"sealed": False}),
        (ForgetsSigns, "test_values_come_back_bit_for_bit", {"sealed": False}),
        (ShowsTheFirst, "test_the_last_arrival_at_a_step_is_what_a_reader_sees", {"sealed": False}),
        (CountsNumbersOnly, "test_summaries_say_what_the_points_say", {"width": 1, "seed": 0}),
        (ForgetsDiffs, "test_every_field_of_the_source_is_kept", {}),
        (SortsEvents, "test_the_history_of_what_changes_is_kept", {}),
        (TakesEditsForLife, "test_a_change_from_outside_is_no_sign_of_life", {}),
        (DeletesBlobs, "test_blobs_stay", {}),
        (GivesNumbersAgain, "test_numbers_are_not_given_out_again", {}),
        (CountsRecords, "test_versions_count_contents", {}),
        (KeepsWhatWasDeleted, "test_an_artifact_can_be_deleted", {}),
        (SortsAliases, "test_aliases_are_told_by_time", {}),
        (ForgetsReferences, "test_every_file_that_is_named_is_told", {}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_fault_is_found(fault: type[MemoryStore], test: str, arguments: dict[str, Any]) -> None:
    """The test that is about a promise fails where the promise is broken, and passes where it is kept."""
    getattr(Contract(), test)(MemoryStore(f"reference://{new_id()}"), **arguments)

    with pytest.raises((AssertionError, LookupError)):
        getattr(Contract(), test)(fault(f"reference://{new_id()}"), **arguments)


@pytest.mark.parametrize(
    "fault",
    [
        *(IgnoresGaps, LosesScattered, ShowsTheFirst, CountsNumbersOnly, ExportsNoTags, SortsEvents),
        CountsRecords,
    ],
)
def test_a_fault_is_found_by_chance(fault: type[MemoryStore]) -> None:
    """Random histories find a fault without being told where to look."""

    class Chance(Contract):
        # The same histories each time: else it would sometimes take minutes until one of them finds it.
        histories = settings(
            StoreContract.histories, phases=[Phase.generate], max_examples=500, database=None, derandomize=True
        )

    with pytest.raises(BaseException) as caught:  # noqa: PT011 - one failure comes as it is, several as a group
        Chance().test_random_histories_are_told_like_the_store_in_memory_tells_them(fault(f"reference://{new_id()}"))
    assert isinstance(caught.value, (AssertionError, LookupError, BaseExceptionGroup))


@pytest.mark.parametrize(
    "name",
    [
        *("PROJECT", "EXPERIMENT", "SOURCE", "ENVIRONMENT", "RESOURCES", "ERROR"),
        *("ARTIFACT", "ALIAS", "USE"),
    ],
)
def test_no_field_of_an_example_is_left_at_its_default(name: str) -> None:
    """Whoever adds a field to an entity gives the example a value for it, and so every store a test."""
    assert entities.untouched(getattr(entities, name)) == []


def test_no_field_of_a_part_is_left_at_its_default() -> None:
    """The same for what entities consist of."""
    mig = entities.ENVIRONMENT.gpus[1]

    assert entities.untouched(entities.PROJECT.settings) == []
    assert entities.untouched(replace(mig, memory_bytes=1)) == []
