"""Journals whose process is gone: their records are shipped, and their runs closed as killed."""

from __future__ import annotations

import logging
import os
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tracklib.errors import NotFound, StoreError, StoreUnavailable, StoreVersion, TracklibError
from tracklib.recording.format import HEADER_SIZE
from tracklib.recording.remains import Remains, lock_orphan, read_remains, segments_in, set_aside, sweep
from tracklib.recording.spooled import SpooledFiles
from tracklib.records import Batch, Record, RecordKind, RunStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tracklib.recording.format import SegmentInfo
    from tracklib.recording.reader import SegmentReader
    from tracklib.stores.base import Store

__all__ = ["Recovered", "await_recoveries", "journal_is_live", "recover", "recover_behind"]

TOGETHER: Final = 32
"""So many artifacts are told to the store at once."""
KILLED: Final = "the process ended without a word (SIGKILL, out of memory or a crash)"

_log = logging.getLogger("tracklib")
_recoveries: list[threading.Thread] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """What was done with one orphaned journal.

    Attributes:
        run: The run's id; the folder's name where no header could be read.
        points: How many points were shipped now.
        records: How many other records were shipped now.
        artifacts: How many artifacts were brought to the store now.
        closed: Whether the run was closed as killed.
        set_aside: Damaged files, as they are named now.
        problem: Why it could not be shipped; None when it was.
    """

    run: str
    writer: str
    store: str
    points: int = 0
    records: int = 0
    artifacts: int = 0
    closed: bool = False
    set_aside: tuple[str, ...] = ()
    problem: str | None = None


@dataclass(slots=True)
class _Tally:
    """What was found and done.

    Attributes:
        spooled: The writer's files of artifacts.
        seen: How far the journal could be read; 0 if there is nothing in it.
        ended: Whether the writer had ended before, by its journal or by the store.
        last_time: When its last record was written.
    """

    spooled: SpooledFiles
    points: int = 0
    records: int = 0
    artifacts: int = 0
    seen: int = 0
    ended: bool = False
    last_time: float = 0.0
    damaged: list[Remains] = field(default_factory=list)


def recover_behind(spool: Path, open_store: Callable[[str], Store], store: str) -> None:
    """Recover in a thread, what goes to `store` only, without keeping anybody waiting."""
    thread = threading.Thread(
        target=recover, args=(spool, open_store), kwargs={"store": store}, name="tracklib-recovery", daemon=True
    )
    _recoveries[:] = [*(other for other in _recoveries if other.is_alive()), thread]
    thread.start()


def await_recoveries(timeout_s: float) -> None:
    """Wait for recoveries that are under way, for so long at the most."""
    deadline = time.monotonic() + timeout_s
    while _recoveries:
        _recoveries.pop().join(max(0.0, deadline - time.monotonic()))


def journal_is_live(spool: Path, run: str, writer: str) -> bool | None:
    """Tell whether a process holds a writer's journal; None where there is no journal to tell by."""
    paths = segments_in(spool / run).get(writer)
    if not paths:
        return None
    lock = lock_orphan(paths[0], shared=True)
    if lock is None:
        return True
    os.close(lock)
    return False


def recover(spool: Path, open_store: Callable[[str], Store], *, store: str | None = None) -> list[Recovered]:
    """Ship every journal in `spool` whose process is gone.

    Any number of processes may do this at once: each journal is taken by one of them.

    Args:
        open_store: Opens the store of a URI.
        store: Ship only what goes to the store of this URI.

    Returns:
        What was done for each orphaned journal. Those of living processes are left alone and not listed.
    """
    recovery = _Recovery(open_store, store)
    results: list[Recovered] = []
    for folder in _folders(spool):
        for writer, paths in segments_in(folder).items():
            results += recovery.writer(folder.name, writer, paths)
        sweep(folder)
    return results


def _folders(spool: Path) -> list[Path]:
    try:
        return sorted(spool.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        _log.warning("the spool %s cannot be read: %s", spool, error)
        return []


class _Recovery:
    """One pass over a spool.

    Args:
        only: Ship only what goes to the store of this URI.
    """

    def __init__(self, open_store: Callable[[str], Store], only: str | None) -> None:
        self._open_store = open_store
        self._only = only
        self._away: dict[str, str] = {}

    def writer(self, run: str, writer: str, paths: list[Path]) -> Iterator[Recovered]:
        """Recover the journal of one writer unless somebody holds it."""
        # The owner holds the first segment for as long as it lives.
        lock = lock_orphan(paths[0])
        if lock is None:
            return
        try:
            files, unreadable = read_remains(paths)
            if not files:
                aside = set_aside(unreadable)
                yield Recovered(run=run, writer=writer, store="", set_aside=aside, problem="no header can be read")
            elif self._only is None or files[0].info.store == self._only:
                yield self._shipped(files, unreadable, paths)
        except FileNotFoundError:  # Another process was at it.
            return
        except (StoreVersion, OSError) as error:
            yield Recovered(run=run, writer=writer, store="", problem=str(error))
        finally:
            os.close(lock)

    def _shipped(self, files: list[Remains], unreadable: list[Path], paths: list[Path]) -> Recovered:
        info = files[0].info
        try:
            tally = self._ship(files, paths[0].parent)
        except (TracklibError, OSError) as error:
            if isinstance(error, StoreUnavailable):  # Waiting once for a store that is away is enough.
                self._away[info.store] = str(error)
            return Recovered(run=info.run, writer=info.writer, store=info.store, problem=str(error))
        damaged = [*unreadable, *(file.path for file in tally.damaged)]
        if not damaged:  # What it says of the rest may still be found out.
            tally.spooled.clear()
        # The first one goes last: as long as it is there and locked, no other process takes the rest for orphans.
        for path in reversed(paths):
            if path not in damaged:
                path.unlink(missing_ok=True)
        for begun in paths[0].parent.glob(f"{info.writer}-*.tmp"):
            begun.unlink(missing_ok=True)
        return Recovered(
            run=info.run,
            writer=info.writer,
            store=info.store,
            points=tally.points,
            records=tally.records,
            artifacts=tally.artifacts,
            closed=not tally.ended,
            set_aside=set_aside(damaged),
        )

    def _ship(self, files: list[Remains], folder: Path) -> _Tally:
        info = files[0].info
        if info.store in self._away:
            raise StoreUnavailable(self._away[info.store])
        with self._open_store(info.store) as store:
            tally = _Tally(SpooledFiles(folder, info.writer))
            position = _ship_files(store, files, tally)
            # A process that was killed before it wrote anything leaves no trace.
            tally.ended = tally.ended or not max(position, tally.seen) or _has_ended(store, info)
            if not tally.ended:
                _close_run(store, files, position, tally)
            _bring_artifacts(store, info, tally)
        return tally


def _ship_files(store: Store, files: list[Remains], tally: _Tally) -> int:
    """Ship what the store lacks; return its position."""
    from tracklib.recording.reader import SegmentReader, ship_stretch

    info = files[0].info
    position = store.position(info.run, info.writer)
    for file in files:
        reader = SegmentReader(file)
        # Read what the store has too: it tells whether the run had ended, and when its last record was written.
        known = reader.take()
        _count(tally, known.records, known.last_time)
        if known.damaged or file.damaged or _length_is_damaged(file, reader):
            tally.damaged.append(file)
        end = file.base + known.end
        tally.seen += known.end
        while position < end:
            before = position
            position, decoded = ship_stretch(
                store,
                reader,
                run=info.run,
                writer=info.writer,
                position=max(position, file.base),
                after_gap=file.base > position,
                last=True,
                spooled=tally.spooled,
            )
            tally.points += decoded.points
            tally.records += len(decoded.records)
            if position <= before:
                raise StoreError(f"the store {info.store} does not take the journal of run {info.run} at {before}")
    return position


def _bring_artifacts(store: Store, info: SegmentInfo, tally: _Tally) -> None:
    """Bring artifacts that were logged, and of which the store has not heard."""
    from tracklib.recording.completing import behind_the_end, completed

    waiting = tally.spooled.pending()
    for start in range(0, len(waiting), TOGETHER):
        part = waiting[start : start + TOGETHER]
        told = [completed(store, tally.spooled, pending) for pending in part]
        store.append(behind_the_end(info.run, info.writer, store.position(info.run, info.writer), told))
        for pending in part:
            tally.spooled.forget(pending.id)
        tally.artifacts += len(part)


def _count(tally: _Tally, records: tuple[Record, ...], last_time: float) -> None:
    for record in records:
        if record.kind in {RecordKind.START, RecordKind.END}:  # A run that had been said to stand may go on.
            tally.ended = record.kind == RecordKind.END
    tally.last_time = max(tally.last_time, last_time)


def _length_is_damaged(file: Remains, reader: SegmentReader) -> bool:
    """Tell whether more than one whole record follows the committed length.

    A kill between writing and committing leaves one at the most; more mean that the length itself was changed.
    """
    if file.committed != file.words.committed:
        return False
    behind = reader.peek(file.path.stat().st_size)
    return len(behind.records) + behind.rows > 1


def _has_ended(store: Store, info: SegmentInfo) -> bool:
    """Tell whether the store knows the writer's end: its process was killed while it deleted its journal."""
    try:
        writers = store.run(info.run).writers
    except NotFound:
        return False
    return any(writer.writer == info.writer and writer.status.ended for writer in writers)


def _close_run(store: Store, files: list[Remains], position: int, tally: _Tally) -> None:
    """Say that the run was killed, at the time of its last record."""
    info = files[0].info
    at = tally.last_time or info.created
    records = [Record(RecordKind.END, at, {"status": RunStatus.KILLED, "reason": KILLED, "end_time": at})]
    dropped = max(file.dropped for file in files)
    if dropped:
        records.insert(0, Record(RecordKind.DROPPED, at, {"counts": {"no room in the journal": dropped}}))
    batch = Batch(
        run=info.run,
        writer=info.writer,
        start=position,
        end=max([position, *(file.base + file.committed - HEADER_SIZE for file in files)]) + 1,
        time=at,
        records=tuple(records),
        final=True,
    )
    store.append(batch)
