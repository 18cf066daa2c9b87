"""Runs as they were recorded: what `get_run` and `list_runs` give."""

from __future__ import annotations

import logging
import platform
import time
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tracklib.errors import NotFound
from tracklib.finding import checked_conditions, find_run
from tracklib.model import main_writers
from tracklib.recording.recovery import KILLED, journal_is_live, recover
from tracklib.records import RunStatus
from tracklib.stores.base import RunQuery, open_store
from tracklib.values import checked_text, restore

if TYPE_CHECKING:
    import os

    import numpy as np
    from numpy.typing import NDArray

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
    from tracklib.stores.base import Store

__all__ = [
    "Series",
    "StoredRun",
    "find_run",
    "get_run",
    "list_runs",
    "open_for_reading",
    "with_live_status",
    "writer_is_live",
]

SILENT_SECONDS: Final = 120.0
"""A running run that was not heard of for so long counts as killed where its process cannot be looked at."""

_log = logging.getLogger("tracklib")


@dataclass(frozen=True, slots=True)
class Series:
    """The points of one metric of one run, by step.

    Attributes:
        steps: `(n,)` int64.
        times: `(n,)` float64, seconds since the epoch (UTC).
        values: `(n,)` float64.
    """

    name: str
    steps: NDArray[np.int64]
    times: NDArray[np.float64]
    values: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.steps)

    def to_pandas(self) -> Any:
        """Return a data frame with the columns step, time (UTC) and value.

        Raises:
            MissingDependency: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            from tracklib.errors import MissingDependency

            raise MissingDependency("to_pandas needs pandas: pip install 'tracklib-ml[analysis]'") from error
        return pd.DataFrame(
            {"step": self.steps, "time": pd.to_datetime(self.times, unit="s", utc=True), "value": self.values}
        )


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

    def series(self, name: str, *, every: bool = False) -> Series:
        """Return the points of a metric by step.

        Args:
            every: All points; by default the one that arrived last for each step.

        Raises:
            NotFound: The run has no such metric; the message suggests near names.
        """
        points = self._store.series(self.info.id, name, every=every)
        return Series(name, points.steps, points.times, points.values)

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
    found = [with_live_status(info) for info in opened.runs(wanted)]
    chosen = [info for info in found if not wanted.status or info.status in wanted.status]
    listed = _Listed(opened, [info.id for info in chosen])
    return [StoredRun(opened, info, listed) for info in chosen]


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
    return replace(info, status=RunStatus.KILLED, reason=info.reason or KILLED, end_time=info.heartbeat_at)
