"""Recorded runs: changing what they say of themselves, archiving and deleting them.

A change is told to the store like everything else, by a writer of its own, so that every store can do it, and that
what the run's processes still tell meanwhile is neither lost nor in the way.
"""

from __future__ import annotations

import math
import os
import platform
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tracklib.describing import notes_record, tags_record
from tracklib.errors import StillRunning
from tracklib.finding import find_run
from tracklib.model import EDIT_PREFIX
from tracklib.reading import StoredRun, open_for_reading, with_live_status, writer_is_live
from tracklib.recording.recovery import journal_is_live
from tracklib.recording.remains import segments_in
from tracklib.records import Batch, Record, RecordKind, RunStatus, new_id
from tracklib.values import checked_name, checked_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tracklib.model import RunInfo, WriterInfo
    from tracklib.run import Run
    from tracklib.stores.base import Store

    StoreName = str | os.PathLike[str] | None
    Change = tuple[str, dict[str, Any]]

__all__ = ["append_changes", "archive_run", "check_deletable", "delete_run", "edit_run", "restore_run"]

_CHANGING: Final = (RecordKind.TAGS, RecordKind.NOTES, RecordKind.NAME, RecordKind.PLACE, RecordKind.ARCHIVE)


def edit_run(  # noqa: PLR0913 - what can be changed of a run
    run: str | Run | StoredRun,
    *,
    name: str | None = None,
    tags: Mapping[str, Any] | None = None,
    notes: str | None = None,
    project: str | None = None,
    experiment: str | None = None,
    store: StoreName = None,
) -> StoredRun:
    """Change what is given of a recorded run; its params, points and files stay as they were logged.

    Args:
        run: As for `get_run`: its id, a unique prefix of it, `project/experiment/name`, a unique name, or `latest`.
        name: A new name.
        tags: Merged over those that are there; a value of None removes one.
        notes: Replace those that are there.
        project: Move the run there; a project that is missing is made.
        experiment: Move the run there, likewise.
        store: URI of the store; by default the one that `run` is in, or that runs go to.

    Returns:
        The run as it is now.

    Raises:
        NotFound: There is no such run, or no store.
        AmbiguousName: Several runs are meant.
        ConfigError: A name cannot be meant.
        TypeError: `tags` is no mapping, or `notes` no text.

    Example:
        >>> with tracklib.start_run(project="digits", name="first", tags={"stage": "pilot"}) as run:
        ...     run.log({"loss": 0.3})
        >>> tracklib.edit_run("first", name="baseline", tags={"stage": None, "team": "vision"}).tags
        {'team': 'vision'}
    """
    changes = _described(name, tags, notes)
    places = {
        key: checked_name(key, value)
        for key, value in (("project", project), ("experiment", experiment))
        if value is not None
    }
    opened, info = _found(run, store)
    if places:
        here = {"project": info.project, "experiment": info.experiment}
        changes.append((RecordKind.PLACE, {**here, **places}))
    return append_changes(opened, info, changes)


def archive_run(run: str | Run | StoredRun, *, store: StoreName = None) -> StoredRun:
    """Put a recorded run out of the way: lists leave it out, nothing is deleted.

    It is still found by its id and its name.

    Raises:
        NotFound: There is no such run, or no store.

    Example:
        >>> with tracklib.start_run(name="first") as run:
        ...     run.log({"loss": 0.3})
        >>> archived = tracklib.archive_run(run)
        >>> len(tracklib.list_runs()), len(tracklib.list_runs(archived=True))
        (0, 1)
    """
    opened, info = _found(run, store)
    changes: list[Change] = [] if info.archived_at else [(RecordKind.ARCHIVE, {"archived_at": time.time()})]
    return append_changes(opened, info, changes)


def restore_run(run: str | Run | StoredRun, *, store: StoreName = None) -> StoredRun:
    """Bring an archived run back.

    Raises:
        NotFound: There is no such run, or no store.

    Example:
        >>> with tracklib.start_run(name="first") as run:
        ...     run.log({"loss": 0.3})
        >>> archived = tracklib.archive_run(run)
        >>> tracklib.restore_run(archived).info.archived_at is None
        True
    """
    opened, info = _found(run, store)
    changes: list[Change] = [(RecordKind.ARCHIVE, {"archived_at": None})] if info.archived_at else []
    return append_changes(opened, info, changes)


def delete_run(run: str | Run | StoredRun, *, store: StoreName = None) -> None:
    """Delete a recorded run with its points, records and artifacts, for ever.

    Its files stay among the blobs of the store, since other runs may have the same ones, and so do its project and
    its experiment. Runs that are nested in it stay as well.

    Raises:
        NotFound: There is no such run, or no store.
        AmbiguousName: Several runs are meant.
        StillRunning: A process writes to it, or has left a journal of it that cannot be shipped.

    Example:
        >>> with tracklib.start_run(name="a mistake") as run:
        ...     run.log({"loss": 0.3})
        >>> tracklib.delete_run("a mistake")
        >>> tracklib.list_runs()
        []
    """
    opened, info = _found(run, store)
    check_deletable(opened, info)
    opened.delete_run(info.id)


def check_deletable(store: Store, info: RunInfo) -> None:
    """See to it that nothing more will come of a run, so that it does not come back after it was deleted.

    Raises:
        StillRunning: A process writes to it, or a journal of it waits in the spool.
    """
    from tracklib.starting import effective_settings, resolve_spool

    live = next((writer for writer in info.writers if _writes(info, writer)), None)
    if live:
        raise StillRunning(
            f"run {info.id} is still being written by process {live.pid} on {live.host or 'an unknown host'}: end that "
            "first, or archive the run"
        )
    if info.status is RunStatus.RUNNING:
        raise StillRunning(f"run {info.id} is still running: end it first, or archive it")
    spool = resolve_spool(effective_settings(store=store.uri), store)
    if segments_in(spool / info.id):
        raise StillRunning(
            f"a journal of run {info.id} waits in {spool / info.id} and would bring it back: `tracklib sync` ships it, "
            "or says why it cannot"
        )


def _writes(info: RunInfo, writer: WriterInfo) -> bool:
    if not writer.status.ended:
        return writer_is_live(info.id, writer)
    # A run of which the program has said how it stands may still be logged to.
    return writer.host == platform.node() and journal_is_live(Path(writer.spool), info.id, writer.writer) is True


def _described(name: str | None, tags: Mapping[str, Any] | None, notes: str | None) -> list[Change]:
    changes: list[Change] = []
    if name is not None:
        changes.append((RecordKind.NAME, {"name": checked_name("name", name)}))
    if tags is not None:
        changes.append(tags_record(tags))
    if notes is not None:
        changes.append(notes_record(notes))
    return changes


def _found(run: str | Run | StoredRun, store: StoreName) -> tuple[Store, RunInfo]:
    """Return the run that is meant with its store: a run that was read or recorded knows where it is."""
    wanted = checked_text("run", run if isinstance(run, str) else getattr(run, "id", run))
    home = getattr(run, "store", None) if store is None and not isinstance(run, str) else store
    opened = open_for_reading(home)
    return opened, with_live_status(find_run(opened, wanted))


def append_changes(store: Store, info: RunInfo, changes: Sequence[Change], *, after: float = 0.0) -> StoredRun:
    """Tell the store of changes to a run, all of them or none; return the run as it is then.

    Args:
        changes: The kinds and data of records.
        after: A moment that they come after, whatever the clock here says.
    """
    if not changes:
        return StoredRun(store, info)
    # Later than all that is known, although the clocks of machines differ.
    known = [after, *(event.time for event in store.events(info.id, _CHANGING))]
    at = max(time.time(), math.nextafter(max(known), math.inf))
    start = {
        # Where a store tells runs anew from their parts, this may be the first one that it comes upon.
        **{key: getattr(info, key) for key in ("project", "experiment", "name", "parent", "created_by", "created_at")},
        "primary": False,
        "rank": 0,
        "host": platform.node(),
        "pid": os.getpid(),
    }
    told = [(RecordKind.START, start), *changes, (RecordKind.END, {"status": RunStatus.COMPLETED})]
    batch = Batch(
        run=info.id,
        writer=f"{EDIT_PREFIX}{new_id()[-10:].lower()}",
        start=0,
        end=1,
        time=at,
        records=tuple(Record(kind, at, data) for kind, data in told),
        final=True,
    )
    store.append(batch)
    return StoredRun(store, with_live_status(store.run(info.id)))
