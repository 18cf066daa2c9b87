"""Copying runs from one store to another, of whatever kinds the two are.

A copy that was broken off is gone on with by calling again: the target says how far it is with each writer of a run,
and which files it has. Files go before the records that name them, so that what can be seen can be read.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tracklib.copied_descriptions import copy_descriptions
from tracklib.copied_files import FileCopier
from tracklib.errors import ConfigError, NotFound, StoreUnavailable, TracklibError
from tracklib.finding import find_run
from tracklib.reading import open_for_reading, with_live_status
from tracklib.recording.recovery import journal_is_live
from tracklib.records import RunStatus
from tracklib.stores.base import RunQuery
from tracklib.values import checked_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tracklib.model import RunInfo
    from tracklib.reading import StoredRun
    from tracklib.records import Batch
    from tracklib.run import Run
    from tracklib.stores.base import Store

__all__ = ["Copied", "CopyOutcome", "CopyProgress", "copy_between", "copy_runs"]

_PAGE: Final = 500


class CopyOutcome(StrEnum):
    """What became of a run that was to be copied."""

    COPIED = "copied"
    """All of it is in the target now."""
    THERE = "there"
    """The target had all of it before."""
    RUNNING = "running"
    """It was left out, as a process still writes to it."""
    FAILED = "failed"
    """It could not be copied, or not all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """What was done with one run.

    Attributes:
        run: The run's id, which is the same in both stores.
        name: The run's name.
        project: Name of its project.
        outcome: What became of it: copied, there, running or failed.
        points: How many points were copied now.
        records: How many other records were copied now.
        files: How many files of artifacts were copied now; those that the target had are not counted.
        size_bytes: How much is in these files.
        problem: Why it, or a file of it, could not be copied; None when all is well.
    """

    run: str
    name: str
    project: str
    outcome: CopyOutcome
    points: int = 0
    records: int = 0
    files: int = 0
    size_bytes: int = 0
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyProgress:
    """How far a copy is.

    Attributes:
        done: How many runs are done with.
        total: How many runs are to be copied.
        name: The name of the run that is being copied; "" when all are done with.
        points: How many points were copied so far, of all runs.
        size_bytes: How much of files was copied so far, of all runs.
    """

    done: int
    total: int
    name: str
    points: int
    size_bytes: int


def copy_runs(
    from_store: str | os.PathLike[str],
    to_store: str | os.PathLike[str],
    *,
    runs: str | Run | StoredRun | Iterable[str | Run | StoredRun] | None = None,
    project: str | None = None,
    on_progress: Callable[[CopyProgress], object] | None = None,
) -> list[Copied]:
    """Copy recorded runs to another store, with their artifacts and the descriptions of their projects.

    Runs keep their ids, so that nested ones stay nested, and a second call copies what has come since and nothing
    twice. That also goes for a call that was broken off. Runs that are still being written are left out. A
    description that is newer in the target stays.

    Args:
        from_store: URI of the store to read.
        to_store: URI of the store to write to; one that is not there yet is made.
        runs: Which ones, each as for `get_run`; all of them by default, archived ones too.
        project: Only runs of this project.
        on_progress: Called with a `CopyProgress` now and then.

    Returns:
        What was done with each run, the oldest first; `problem` says why one could not be copied.

    Raises:
        ConfigError: A store cannot be meant, or both are the same.
        NotFound: There is no store to read, or no such run.
        AmbiguousName: A word means several runs.
        StoreError: One of the stores cannot be used now. What was copied until then stays: call again to go on.

    Example:
        >>> with tracklib.start_run(project="digits", name="first") as run:
        ...     run.log({"loss": 0.3})
        >>> home = tracklib.get_run(run).store
        >>> [(copied.name, str(copied.outcome)) for copied in tracklib.copy_runs(home, "backup.db")]
        [('first', 'copied')]
        >>> tracklib.get_run("first", store="backup.db").metrics["loss"].last
        0.3
    """
    from tracklib.starting import effective_settings, resolve_store

    for name, uri in (("from_store", from_store), ("to_store", to_store)):
        if not isinstance(uri, (str, os.PathLike)):
            raise ConfigError(f"{name} is {uri!r}, but takes the URI of a store, such as sqlite:///runs.db")
    wanted = _words(runs)
    if project is not None:
        checked_text("project", project)
    with resolve_store(effective_settings(store=to_store)) as target, open_for_reading(from_store) as source:
        if source.uri == target.uri:
            raise ConfigError(f"from_store and to_store are both {source.uri!r}: give two stores")
        return copy_between(source, target, runs=wanted, project=project, on_progress=on_progress)


def _words(runs: object) -> list[str] | None:
    """Return the words that mean runs.

    Raises:
        ConfigError: Something else was given.
    """
    if runs is None:
        return None
    several = runs if isinstance(runs, Iterable) and not isinstance(runs, str) else [runs]
    return [checked_text("run", run if isinstance(run, str) else getattr(run, "id", run)) for run in several]


def copy_between(
    source: Store,
    target: Store,
    *,
    runs: Sequence[str] | None = None,
    project: str | None = None,
    on_progress: Callable[[CopyProgress], object] | None = None,
) -> list[Copied]:
    """Copy runs between stores that are open; see `copy_runs`."""
    target.check()
    if runs is None:
        infos = source.runs(RunQuery(project=project, archived=None, descending=False))
    else:
        found = {info.id: info for info in (find_run(source, word, project=project) for word in runs)}
        infos = sorted(found.values(), key=lambda info: (info.created_at, info.id))
    places = None if runs is None else {(info.project, info.experiment) for info in infos}
    copy_descriptions(source, target, project=project, places=places)
    return _Copy(source, target, infos, on_progress).run()


class _Diverged(TracklibError):
    """What the target has of a run is no beginning of what the source has."""


class _Copy:
    """A copy under way."""

    def __init__(
        self,
        source: Store,
        target: Store,
        infos: Sequence[RunInfo],
        on_progress: Callable[[CopyProgress], object] | None,
    ) -> None:
        self._source = source
        self._target = target
        self._infos = infos
        self._on_progress = on_progress
        self._there = _positions(target, infos)
        self._files = FileCopier(source, target, self._tell)
        self._done = 0
        self._name = ""
        self._points = 0
        self._records = 0

    def run(self) -> list[Copied]:
        """Copy all runs that are not there."""
        copied = []
        for info in self._infos:
            self._name = info.name
            self._tell()
            copied.append(self._copy(info))
            self._done += 1
        self._name = ""
        self._tell()
        return copied

    def _tell(self) -> None:
        if self._on_progress is not None:
            self._on_progress(
                CopyProgress(
                    done=self._done,
                    total=len(self._infos),
                    name=self._name,
                    points=self._points,
                    size_bytes=self._files.size_bytes,
                )
            )

    def _copy(self, info: RunInfo) -> Copied:
        there = self._there.get(info.id, {})
        if _is_written(info):
            return Copied(run=info.id, name=info.name, project=info.project, outcome=CopyOutcome.RUNNING)
        if all(there.get(writer.writer, 0) >= writer.position for writer in info.writers):
            return Copied(run=info.id, name=info.name, project=info.project, outcome=CopyOutcome.THERE)
        points, records = self._points, self._records
        files, size_bytes = self._files.count, self._files.size_bytes
        outcome, problem = CopyOutcome.COPIED, None
        try:
            problem = self._files.copy(info)
            self._take_batches(info.id)
        except StoreUnavailable:
            raise  # It would be the same for all that follow.
        except TracklibError as error:
            outcome, problem = CopyOutcome.FAILED, str(error)
        return Copied(
            run=info.id,
            name=info.name,
            project=info.project,
            outcome=outcome,
            points=self._points - points,
            records=self._records - records,
            files=self._files.count - files,
            size_bytes=self._files.size_bytes - size_bytes,
            problem=problem,
        )

    def _take_batches(self, run: str) -> None:
        positions: dict[str, int] = {}
        for batch in self._source.export(run):
            position = positions.get(batch.writer)
            if position is None:
                position = self._target.position(run, batch.writer)
            positions[batch.writer] = position if batch.end <= position else self._append(batch, position)

    def _append(self, batch: Batch, position: int) -> int:
        """Append a batch; return where the target is then: further than the batch goes, if another copies as well."""
        reached = self._target.append(batch) if position == batch.start else position
        if reached < batch.end:
            raise _Diverged(
                f"run {batch.run} is another one in {self._target.uri}: of the process {batch.writer!r} it has "
                f"something up to position {reached} that {self._source.uri} does not have, so nothing can be added; "
                f"delete it there with `tracklib rm`, and copy again"
            )
        self._points += batch.points
        self._records += len(batch.records)
        self._tell()
        return reached


def _positions(target: Store, infos: Sequence[RunInfo]) -> dict[str, dict[str, int]]:
    """Return by run and writer how far the target is."""
    found: dict[str, dict[str, int]] = {}
    for first in range(0, len(infos), _PAGE):
        ids = tuple(info.id for info in infos[first : first + _PAGE])
        try:
            runs = target.runs(RunQuery(ids=ids, archived=None))
        except NotFound:  # There is no such store yet.
            break
        found.update({info.id: {writer.writer: writer.position for writer in info.writers} for info in runs})
    return found


def _is_written(info: RunInfo) -> bool:
    """Tell whether more is to come of a run: it is running, or a journal of it is on this machine."""
    if with_live_status(info).status is RunStatus.RUNNING:
        return True
    here = [writer for writer in info.writers if writer.spool and writer.host == platform.node()]
    return any(journal_is_live(Path(writer.spool), info.id, writer.writer) is not None for writer in here)
