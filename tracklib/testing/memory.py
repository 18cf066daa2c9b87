"""A store that keeps its batches in memory, and tells everything from them: what other stores are compared to."""

from __future__ import annotations

import time
from copy import deepcopy
from dataclasses import dataclass, field, replace
from threading import RLock
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from tracklib.errors import NotFound
from tracklib.model import Alias, Experiment, Project, SeriesPoints, Source, Summary
from tracklib.records import RecordKind, new_id
from tracklib.stores.base import ArtifactQuery, FieldNames, RunQuery, RunTime, Store, is_next
from tracklib.testing.answering import answered
from tracklib.testing.evaluating import Facts, param_names
from tracklib.testing.folding import RunLog
from tracklib.testing.memory_blobs import MemoryBlobs
from tracklib.testing.summaries import summary_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path
    from typing import BinaryIO, TypeVar

    from tracklib.model import Artifact, ArtifactUse, Event, RunInfo
    from tracklib.records import Batch
    from tracklib.stores.base import StoredBlob

    _Told = TypeVar("_Told", Alias, ArtifactUse)

__all__ = ["MemoryStore"]


@dataclass(slots=True)
class _Contents:
    """What all instances of one name share."""

    lock: RLock = field(default_factory=RLock)
    projects: dict[str, Project] = field(default_factory=dict)
    experiments: dict[tuple[str, str], Experiment] = field(default_factory=dict)
    runs: dict[str, RunLog] = field(default_factory=dict)
    places: dict[str, tuple[str, str]] = field(default_factory=dict)
    versions: dict[tuple[str, str], dict[str, int]] = field(default_factory=dict)
    blobs: MemoryBlobs = field(default_factory=MemoryBlobs)


class MemoryStore(Store):
    """Runs in the memory of this process, for tests. Instances of one URI are the same store.

    It is made to be right, not to be fast: each answer is told anew from all batches.

    Example:
        >>> from tracklib.testing.batches import WriterScript, points
        >>> store, script = MemoryStore("reference://example"), WriterScript(name="first")
        >>> script.ship(store, points({"loss": [0.5, 0.25]}))
        >>> store.run(script.run).name, store.series(script.run, "loss").values.tolist()
        ('first', [0.5, 0.25])
    """

    scheme: ClassVar[str] = "reference"
    _everything: ClassVar[dict[str, _Contents]] = {}

    def __init__(self, uri: str) -> None:
        super().__init__(uri)
        self._all = self._everything.setdefault(uri, _Contents())

    @property
    def spool(self) -> Path | None:
        """None: there is no folder beside it."""
        return None

    def check(self) -> None:  # noqa: D102 - as in the base
        return

    def close(self) -> None:  # noqa: D102
        return

    # ---- writing

    def position(self, run: str, writer: str) -> int:  # noqa: D102
        with self._all.lock:
            return self._all.runs[run].position(writer) if run in self._all.runs else 0

    def append(self, batch: Batch) -> int:  # noqa: D102
        with self._all.lock:
            position = self.position(batch.run, batch.writer)
            if not is_next(batch, position):
                return position
            log = self._all.runs.setdefault(batch.run, RunLog(batch.run))
            log.batches.append(self._versioned(deepcopy(batch)))
            moved = any(record.kind == RecordKind.PLACE for record in batch.records)
            if moved or batch.run not in self._all.places:
                self._place(log)
            return batch.end

    def _versioned(self, batch: Batch) -> Batch:
        """Return a batch in which artifacts of projects have their versions."""
        for record in batch.records:
            data = record.data
            if record.kind == RecordKind.ARTIFACT and data.get("project") and not data.get("deleted"):
                taken = self._all.versions.setdefault((data["project"], data["name"]), {})
                data["version"] = _claim(taken, data.get("checksum", ""), data.get("version"))
        return batch

    def _place(self, log: RunLog) -> None:
        """Put a run into the project and the experiment that its records name, making them."""
        told = log.place
        place = told.data.get("project") or "recovered", told.data.get("experiment") or "default"
        self._all.places[log.id] = place
        self._make_project(place[0], told.time)
        defaults = self._all.projects[place[0]].settings.experiment_defaults
        made = Experiment(id=new_id(), project=place[0], name=place[1], created_at=told.time, updated_at=told.time)
        self._all.experiments.setdefault(place, replace(made, **defaults))

    def _make_project(self, name: str, at: float) -> None:
        self._all.projects.setdefault(name, Project(id=new_id(), name=name, created_at=at, updated_at=at))

    def put_project(self, project: Project) -> None:  # noqa: D102
        with self._all.lock:
            kept = self._all.projects.get(project.name, project)
            changed = replace(project, id=kept.id or new_id(), created_at=kept.created_at)
            self._all.projects[project.name] = deepcopy(changed)

    def put_experiment(self, experiment: Experiment) -> None:  # noqa: D102
        with self._all.lock:
            self._make_project(experiment.project, experiment.created_at)
            place = experiment.project, experiment.name
            kept = self._all.experiments.get(place, experiment)
            changed = replace(experiment, id=kept.id or new_id(), created_at=kept.created_at)
            self._all.experiments[place] = deepcopy(changed)

    def put_blob(self, source: BinaryIO) -> tuple[str, int]:  # noqa: D102
        return self._all.blobs.put(source)

    def put_piece(self, content: bytes, checksum: str) -> None:  # noqa: D102
        self._all.blobs.keep(content, checksum)

    def put_recipe(self, checksum: str, recipe: bytes) -> None:  # noqa: D102
        self._all.blobs.keep(recipe, checksum, is_recipe=True)

    def claim_blob(self, checksum: str) -> bool:  # noqa: D102
        return self._all.blobs.claim(checksum)

    def blobs(self) -> Iterator[StoredBlob]:  # noqa: D102
        return iter(self._all.blobs.listed())

    def pieces_of(self, checksums: Sequence[str]) -> set[str]:  # noqa: D102
        return self._all.blobs.pieces_of(checksums)

    def delete_blobs(self, blobs: Sequence[StoredBlob]) -> list[StoredBlob]:  # noqa: D102
        return self._all.blobs.delete(blobs)

    def now(self) -> float:  # noqa: D102
        return time.time()

    def delete_run(self, run: str) -> None:  # noqa: D102
        with self._all.lock:
            self._log(run)
            del self._all.runs[run], self._all.places[run]

    # ---- reading

    def projects(self, *, archived: bool | None = False) -> list[Project]:  # noqa: D102
        with self._all.lock:
            found = [p for p in self._all.projects.values() if _is_wanted(p.archived_at, archived)]
            return deepcopy(sorted(found, key=lambda project: project.name))

    def experiments(self, project: str | None = None, *, archived: bool | None = False) -> list[Experiment]:  # noqa: D102
        with self._all.lock:
            found = [e for e in self._all.experiments.values() if _is_wanted(e.archived_at, archived)]
            return deepcopy(
                sorted((e for e in found if project in {None, e.project}), key=lambda e: (e.project, e.name))
            )

    def runs(self, query: RunQuery) -> list[RunInfo]:  # noqa: D102
        part = self._answered(query)[query.offset :][: query.limit]
        return [
            replace(
                info,
                source=replace(info.source, diff=Source().diff, untracked={}),
                environment=replace(info.environment, packages={}),
            )
            for info in part
        ]

    def _answered(self, query: RunQuery) -> list[RunInfo]:
        with self._all.lock:
            metrics = self.summaries(list(self._all.runs))
            return answered([Facts(self.run(run), metrics[run]) for run in self._all.runs], query)

    def run_times(self, query: RunQuery) -> list[RunTime]:  # noqa: D102
        found = self._answered(query)
        lost = {info.id for info in found if info.id in query.lost}
        return [RunTime(info.created_at, "killed" if info.id in lost else str(info.status)) for info in found]

    def field_names(self, project: str | None = None, experiment: str | None = None) -> FieldNames:  # noqa: D102
        found = self._answered(RunQuery(project=project, experiment=experiment, archived=None))
        return FieldNames(
            params=_sorted_names(name for info in found for name in param_names(info.params)),
            metrics=_sorted_names(
                name for names in self.summaries([info.id for info in found]).values() for name in names
            ),
            tags=_sorted_names(name for info in found for name in info.tags),
        )

    def run(self, run: str) -> RunInfo:  # noqa: D102
        with self._all.lock:
            info = deepcopy(self._log(run).info())
            project, experiment = self._all.places[run]
        return replace(info, project=project, experiment=experiment)

    def summaries(self, runs: Sequence[str]) -> dict[str, dict[str, Summary]]:  # noqa: D102
        with self._all.lock:
            every = {run: self._log(run).series() for run in runs}
        return {
            run: {name: summary_of(name, *points) for name, points in series.items() if len(points.steps)}
            for run, series in every.items()
        }

    def series(self, run: str, name: str, *, every: bool = False) -> SeriesPoints:  # noqa: D102
        with self._all.lock:
            points = self._log(run).series().get(name)
        if points is None:
            raise NotFound(f"the run has no metric {name!r}")
        order = np.argsort(points.steps, kind="stable")
        if not every:
            last = {step: row for row, step in enumerate(points.steps.tolist())}
            order = np.array([last[step] for step in sorted(last)], dtype=np.int64)
        return SeriesPoints(points.steps[order], points.times[order], points.values[order])

    def artifacts(self, run: str) -> list[Artifact]:  # noqa: D102
        with self._all.lock:
            return deepcopy(self._log(run).artifacts())

    def find_artifacts(self, query: ArtifactQuery) -> list[Artifact]:  # noqa: D102
        with self._all.lock:
            found = [artifact for log in self._all.runs.values() for artifact in log.artifacts()]
        wanted = [artifact for artifact in found if _is_asked_for(artifact, query)]
        if not query.files:
            wanted = [replace(artifact, files=()) for artifact in wanted]
        return deepcopy(sorted(wanted, key=lambda artifact: (artifact.created_at, artifact.id)))

    def aliases(self, project: str, name: str | None = None) -> list[Alias]:  # noqa: D102
        made = self.find_artifacts(ArtifactQuery(project=project, name=name))
        given = [_alias(each, alias) for each in made if each.version is not None for alias in each.aliases]
        with self._all.lock:
            logs = [log for _, log in sorted(self._all.runs.items())]
            said = [self._told(alias) for log in logs for alias in log.aliases() if alias.project == project]
        return sorted([*given, *(a for a in said if name in {None, a.name})], key=lambda alias: alias.time)

    def uses(  # noqa: D102
        self, *, run: str | None = None, project: str | None = None, name: str | None = None
    ) -> list[ArtifactUse]:
        with self._all.lock:
            found = [self._told(use) for _, log in sorted(self._all.runs.items()) for use in log.uses()]
        wanted = [
            use
            for use in found
            if run in {None, use.run} and project in {None, use.project} and name in {None, use.name}
        ]
        return sorted(wanted, key=lambda use: use.time)

    def _told(self, said: _Told) -> _Told:
        """Return what was told of a version with the number that the same content has here, if it is here."""
        if said.version is None or not said.checksum:
            return said
        query = ArtifactQuery(project=said.project, name=said.name, checksum=said.checksum)
        here = [artifact.version for artifact in self.find_artifacts(query) if artifact.version is not None]
        return replace(said, version=min(here, default=said.version))

    def named_blobs(self) -> set[str]:  # noqa: D102
        with self._all.lock:
            artifacts = [artifact for log in self._all.runs.values() for artifact in log.artifacts()]
            sources = {log.info().source.snapshot for log in self._all.runs.values()}
        return {checksum for checksum in sources if checksum} | {
            file.checksum for artifact in artifacts for file in artifact.files if file.checksum
        }

    def events(self, run: str, kinds: Sequence[str] = ()) -> list[Event]:  # noqa: D102
        with self._all.lock:
            return deepcopy([event for event in self._log(run).events() if not kinds or event.kind in kinds])

    def export(self, run: str) -> Iterator[Batch]:  # noqa: D102
        with self._all.lock:
            batches = deepcopy(self._log(run).batches)
        return _without_gaps(batches)

    def open_blob(self, checksum: str) -> BinaryIO:  # noqa: D102
        return self._all.blobs.open(checksum)

    def _log(self, run: str) -> RunLog:
        if run not in self._all.runs:
            raise NotFound(f"the store has no run {run!r}")
        return self._all.runs[run]


def _claim(taken: dict[str, int], checksum: str, wish: Any) -> int | None:
    """Return the version of content, and keep it."""
    if not checksum:
        return None
    if checksum not in taken:
        is_number = type(wish) is int and 0 <= wish < 1 << 53
        highest = max(taken.values(), default=-1)
        taken[checksum] = wish if is_number and wish not in taken.values() else highest + 1
    return taken[checksum]


def _alias(artifact: Artifact, alias: str) -> Alias:
    return Alias(
        project=artifact.project,
        name=artifact.name,
        alias=alias,
        version=artifact.version,
        score=artifact.score,
        time=artifact.created_at,
        run=artifact.run,
        checksum=artifact.checksum,
    )


def _is_asked_for(artifact: Artifact, query: ArtifactQuery) -> bool:
    return (
        query.project in {None, artifact.project}
        and query.name in {None, artifact.name}
        and query.type in {None, artifact.type}
        and query.version in {None, artifact.version}
        and query.run in {None, artifact.run}
        and query.checksum in {"", artifact.checksum}
        and _is_among(artifact.id, query.ids)
    )


def _without_gaps(batches: Iterable[Batch]) -> Iterator[Batch]:
    """Yield batches so that each begins where the one before of its writer ended: what is lost is lost."""
    positions: dict[str, int] = {}
    for batch in batches:
        yield replace(batch, start=positions.get(batch.writer, 0), after_gap=False)
        positions[batch.writer] = batch.end


def _is_wanted(archived_at: float | None, archived: bool | None) -> bool:
    return archived is None or archived == (archived_at is not None)


def _sorted_names(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(names)))


def _is_among(value: str, wanted: Iterable[str]) -> bool:
    return not wanted or value in wanted
