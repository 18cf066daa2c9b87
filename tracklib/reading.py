"""Runs as they were recorded: what `get_run` and `list_runs` give."""

from __future__ import annotations

import logging
import platform
import time
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tracklib.errors import ConfigError, NotFound
from tracklib.finding import checked_conditions, find_run
from tracklib.model import main_writers
from tracklib.queries.tree import Attribute, fields_in
from tracklib.recording.recovery import KILLED, journal_is_live, recover
from tracklib.records import RunStatus
from tracklib.series import Series, checked_aggregate
from tracklib.stores.base import RunQuery, open_store
from tracklib.values import checked_text, restore

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Sequence

    from tracklib.model import (
        Artifact,
        ArtifactUse,
        Environment,
        Event,
        Resources,
        RunError,
        RunInfo,
        Source,
        Summary,
        WriterInfo,
    )
    from tracklib.run import Run
    from tracklib.series import Aggregate
    from tracklib.stores.base import Store

__all__ = [
    "Series",
    "StoredRun",
    "find_run",
    "get_run",
    "list_runs",
    "live_runs",
    "open_for_reading",
    "read_together",
    "runs_together",
    "with_live_status",
    "with_lost",
    "writer_is_live",
]

SILENT_SECONDS: Final = 120.0
"""A running run that was not heard of for so long counts as killed where its process cannot be looked at."""

_DERIVED: Final = frozenset({"status", "reason", "ended"})
"""Attributes of which the store does not know the truth where a process died without a word."""

_log = logging.getLogger("tracklib")


class _Listed:
    """Runs that were listed together, whose metrics are read together: most who look at one's look at all."""

    def __init__(self, store: Store, ids: list[str]) -> None:
        self._store = store
        self._ids = ids

    @cached_property
    def metrics(self) -> dict[str, dict[str, Summary]]:
        """The summaries of all of them; empty where one was deleted since."""
        try:
            return self._store.summaries(self._ids)
        except NotFound:
            return {}


class StoredRun:
    """A recorded run. What it says of itself was read when it was made; points and files are read when asked for.

    A run that is still going on can be read at any time; get it again for what has come since.
    """

    def __init__(self, store: Store, info: RunInfo, listed: _Listed | None = None) -> None:
        self._store = store
        self.info = info
        self._listed = listed

    id = property(lambda self: self.info.id, doc="The run's ULID.")

    @property
    def name(self) -> str:
        """The run's name."""
        return self.info.name

    @property
    def project(self) -> str:
        """Name of its project."""
        return self.info.project

    @property
    def experiment(self) -> str:
        """Name of its experiment."""
        return self.info.experiment

    @property
    def store(self) -> str:
        """URI of its store."""
        return self._store.uri

    @property
    def status(self) -> RunStatus:
        """pending, running, completed, failed or killed."""
        return self.info.status

    @property
    def reason(self) -> str:
        """Why it ended as it did."""
        return self.info.reason

    @property
    def error(self) -> RunError | None:
        """The exception that ended it."""
        return self.info.error

    @property
    def params(self) -> dict[str, Any]:
        """Its configuration, nested as it was given."""
        return self.info.params

    @property
    def tags(self) -> dict[str, str]:
        """Its tags."""
        return self.info.tags

    @property
    def notes(self) -> str:
        """Its notes."""
        return self.info.notes

    @property
    def source(self) -> Source:
        """The code that ran."""
        return self.info.source

    @property
    def environment(self) -> Environment:
        """What it ran on and with."""
        return self.info.environment

    @property
    def resources(self) -> Resources:
        """What it used."""
        return self.info.resources

    @property
    def started_at(self) -> float | None:
        """When it began, in seconds since the epoch (UTC)."""
        return self.info.start_time

    @property
    def ended_at(self) -> float | None:
        """When it ended, likewise."""
        return self.info.end_time

    @property
    def duration(self) -> float | None:
        """For how many seconds it ran."""
        return self.info.duration

    @cached_property
    def metrics(self) -> dict[str, Summary]:
        """The summary of each metric by name: `.last .min .max .mean .count .first_step .last_step`."""
        listed = self._listed.metrics if self._listed is not None else {}
        if self.info.id in listed:
            return listed[self.info.id]
        return self._store.summaries([self.info.id])[self.info.id]

    @cached_property
    def artifacts(self) -> list[Artifact]:
        """Its artifacts, by time."""
        return self._store.artifacts(self.info.id)

    def series(  # noqa: PLR0913 - one for each thing that can be asked of points
        self,
        name: str,
        *,
        every: bool = False,
        first_step: int | None = None,
        last_step: int | None = None,
        max_points: int | None = None,
        aggregate: Aggregate = "mean",
        smoothing: float = 0.0,
    ) -> Series:
        """Return the points of a metric by step: those of a range, then smoothed, then reduced, as far as asked for.

        Args:
            every: All points; by default the one that arrived last for each step.
            first_step: The lowest step to return.
            last_step: The highest step to return.
            max_points: How many points at the most; where there are more, each stands for those of its bucket.
            aggregate: What stands for a bucket: its "mean" (or "avg"), "min", "max" or "last".
            smoothing: The weight of `Series.smoothed`, from 0 (none) to below 1.

        Raises:
            NotFound: The run has no such metric; the message suggests near names.
            ConfigError: What is asked for cannot be meant.

        Example:
            >>> with tracklib.start_run() as run:
            ...     for step in range(1000):
            ...         run.log({"loss": 1 / (step + 1)}, step=step)
            >>> series = tracklib.get_run(run).series("loss", last_step=499, max_points=100, aggregate="min")
            >>> len(series), series.of_points, series.steps[-3:].tolist()
            (100, 500, [489, 494, 499])
        """
        if not isinstance(name, str):
            raise ConfigError(f"name is {name!r:.200}, but takes the name of a metric")
        checked_aggregate(aggregate)
        points = self._store.series(self.info.id, name, every=every)
        series = Series(name, points.steps, points.times, points.values)
        series = series.between(first_step, last_step).smoothed(smoothing)
        return series if max_points is None else series.reduced(max_points, aggregate)

    def events(self, *kinds: str) -> list[Event]:
        """Return kept records by arrival: console lines, and the history of params, tags and notes."""
        return [replace(event, data=restore(event.data)) for event in self._store.events(self.info.id, kinds)]

    def console(self) -> str:
        """Return what the program printed, as text."""
        lines = [line for event in self.events("console") for _, line in event.data["lines"]]
        return "\n".join(lines)

    @cached_property
    def used_artifacts(self) -> list[ArtifactUse]:
        """What it has used, by time: `.project .name .version` and more; see `Run.use_artifact`."""
        return self._store.uses(run=self.info.id)

    def read_artifact(self, name: str, *, version: int | None = None, step: int | None = None) -> dict[str, bytes]:
        """Return the files of an artifact that it has logged by their paths, verified by their checksums.

        Args:
            version: Which one of this name, from 0; the one that was logged last by default.
            step: Only what was logged for this training step.

        Raises:
            NotFound: The run has no such artifact, or only noted where its files were.
            CorruptData: A file is not what it was.

        Example:
            >>> with tracklib.start_run() as run:
            ...     run.log_text("first", "notes", step=10)
            ...     run.log_text("second", "notes", step=20)
            >>> tracklib.get_run(run).read_artifact("notes", version=0)
            {'notes.txt': b'first'}
            >>> tracklib.get_run(run).read_artifact("notes", step=20)
            {'notes.txt': b'second'}
        """
        from tracklib.artifacts.contents import Contents

        artifact = self._artifact(name, version, step)
        contents = Contents(self._store, artifact, elsewhere=False)
        try:
            if artifact.files or not artifact.is_reference:
                return {file.path: contents.read(file) for file in artifact.files}
        except NotFound:
            if not artifact.is_reference:
                raise
        raise NotFound(
            f"of the artifact {name!r} of run {self.info.id} only path, size and checksum were noted, and no copy was "
            f"made: look at {artifact.path}; `log_artifact` without copy=False keeps a copy"
        )

    def _artifact(self, name: str, version: int | None, step: int | None) -> Artifact:
        named = [artifact for artifact in self.artifacts if artifact.name == name]
        found = [each for each in named if version in (None, each.version) and step in (None, each.step)]
        if found:
            return found[-1]
        if not named:
            names = ", ".join(sorted({artifact.name for artifact in self.artifacts})) or "none"
            raise NotFound(f"run {self.info.id} has no artifact {name!r}; it has: {names}")
        wanted = " and ".join(f"{what} {at}" for what, at in (("version", version), ("step", step)) if at is not None)
        there = ", ".join(
            f"{each.version}" + (f" (step {each.step})" if each.step is not None else "") for each in named
        )
        raise NotFound(f"the artifact {name!r} of run {self.info.id} has no {wanted}; it has the versions: {there}")

    def __repr__(self) -> str:
        return f"<StoredRun {self.project}/{self.experiment}/{self.name} {self.info.id} {self.status}>"


def get_run(
    run: str | Run | StoredRun, *, store: str | os.PathLike[str] | None = None, project: str | None = None
) -> StoredRun:
    """Return a recorded run.

    Args:
        run: Its id, a unique prefix of it, `project/experiment/name`, a unique name, or `latest`; or the run as it
            was held or read before.
        store: URI of the store; by default the one that runs go to.
        project: Look among the runs of this project only.

    Raises:
        NotFound: There is no such run, or no store.
        AmbiguousName: Several runs are meant.

    Example:
        >>> with tracklib.start_run(project="digits", name="first") as run:
        ...     run.log({"loss": 0.3})
        >>> tracklib.get_run("digits/default/first").metrics["loss"].last
        0.3
    """
    wanted = checked_text("run", run if isinstance(run, str) else getattr(run, "id", run))
    if project is not None:
        checked_text("project", project)
    opened = open_for_reading(store)
    return StoredRun(opened, with_live_status(find_run(opened, wanted, project=project)))


def list_runs(
    query: RunQuery | None = None, *, store: str | os.PathLike[str] | None = None, **conditions: Any
) -> list[StoredRun]:
    """List recorded runs, the newest first.

    Args:
        query: Which ones, and in which order.
        store: URI of the store; by default the one that runs go to.
        conditions: The fields of `RunQuery`, as a shorter way to say it, or over those of `query`.

    Raises:
        NotFound: There is no store.
        ConfigError: A condition is unknown or cannot be meant.

    Example:
        >>> with tracklib.start_run(project="digits", tags={"team": "vision"}):
        ...     pass
        >>> [run.project for run in tracklib.list_runs(tags={"team": "vision"}, status="completed")]
        ['digits']
    """
    wanted = replace(query or RunQuery(), **checked_conditions(conditions))
    opened = open_for_reading(store)
    return runs_together(opened, live_runs(opened, wanted))


def runs_together(store: Store, infos: Sequence[RunInfo]) -> list[StoredRun]:
    """Return runs whose metrics are read together, once those of one of them are asked for."""
    listed = _Listed(store, [info.id for info in infos])
    return [StoredRun(store, info, listed) for info in infos]


def with_lost(store: Store, query: RunQuery, *, always: bool = False) -> RunQuery:
    """Return a query that knows which of the runs that are said to run are dead.

    Args:
        always: Also where it does not ask about what depends on that.
    """
    parts = [part for part in (query.where, *query.order) if part is not None]
    asked = {field.name for part in parts for field in fields_in(part) if isinstance(field, Attribute)}
    if not always and not query.status and asked.isdisjoint(_DERIVED):
        return query
    place = RunQuery(project=query.project, experiment=query.experiment, archived=None, status=(RunStatus.RUNNING,))
    running = map(with_live_status, store.runs(place))
    lost = tuple(info.id for info in running if info.status is not RunStatus.RUNNING)
    return replace(query, lost=lost, lost_reason=KILLED)


def live_runs(store: Store, query: RunQuery) -> list[RunInfo]:
    """List the runs that a query asks for, with the status that they have in truth."""
    with store.one_look():
        asked = with_lost(store, query)
        found = store.runs(asked)
    if asked is query:
        return [with_live_status(info) for info in found]
    # Who dies meanwhile lives for this answer, which would not fit the question otherwise.
    lost = set(asked.lost)
    return [_as_killed(info) if info.id in lost else info for info in found]


def read_together(runs: Iterable[StoredRun]) -> None:
    """Let the metrics of runs be read with one question to each store, once those of one of them are asked for.

    Of runs that were listed together, all are read at once anyway; but there may be many more of them than these.
    """
    waiting: dict[str, list[StoredRun]] = {}
    for run in runs:
        listed = run._listed  # noqa: SLF001 - one module
        if "metrics" not in vars(run) and (listed is None or "metrics" not in vars(listed)):
            waiting.setdefault(run.store, []).append(run)
    for together in waiting.values():
        listed = _Listed(together[0]._store, [run.id for run in together])  # noqa: SLF001
        for run in together:
            run._listed = listed  # noqa: SLF001


def open_for_reading(store: str | os.PathLike[str] | None = None) -> Store:
    """Open a store to read it, after shipping to it what dead processes of this machine left."""
    from tracklib.starting import effective_settings, resolve_spool, resolve_store

    settings = effective_settings(store=store)
    opened = resolve_store(settings)
    for recovered in recover(resolve_spool(settings, opened), open_store, store=opened.uri):
        if recovered.problem:
            _log.warning("the journal of run %s waits: %s", recovered.run, recovered.problem)
    return opened


def writer_is_live(run: str, writer: WriterInfo) -> bool:
    """Tell whether a process that did not say goodbye lives: by its journal, else by when it was last heard of."""
    live = journal_is_live(Path(writer.spool), run, writer.writer) if writer.host == platform.node() else None
    return bool(live) or (live is None and time.time() - writer.heartbeat_at < SILENT_SECONDS)


def with_live_status(info: RunInfo) -> RunInfo:
    """Return `info` with a status that is derived, not hoped for: running only where somebody lives to run it."""
    if info.status is not RunStatus.RUNNING:
        return info
    if any(writer_is_live(info.id, writer) for writer in main_writers(info.writers)):
        return info
    return _as_killed(info)


def _as_killed(info: RunInfo) -> RunInfo:
    return replace(info, status=RunStatus.KILLED, reason=info.reason or KILLED, end_time=info.heartbeat_at)
