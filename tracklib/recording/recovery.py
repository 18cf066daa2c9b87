"""Journals whose process is gone: their records are shipped, and their runs closed as killed."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import re
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tracklib.errors import CorruptData, StoreError, TracklibError
from tracklib.recording.format import HEADER_SIZE, HeaderWords, SegmentInfo, parse_header, parse_words
from tracklib.recording.segment import boot_id
from tracklib.records import Batch, Record, RecordKind, RunStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tracklib.recording.reader import SegmentReader
    from tracklib.stores.base import Store

__all__ = ["Recovered", "await_recoveries", "journal_is_live", "recover", "recover_behind"]

KILLED: Final = "the process ended without a word (SIGKILL, out of memory or a crash)"

_NAME = re.compile(r"(?P<writer>.+)-(?P<number>\d+)\.journal")
_log = logging.getLogger("tracklib")
_recoveries: list[threading.Thread] = []


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """What was done with one orphaned journal.

    Attributes:
        run: The run's id; the folder's name where no header could be read.
        points: How many points were shipped now.
        records: How many other records were shipped now.
        closed: Whether the run was closed as killed.
        set_aside: Damaged files, as they are named now.
        problem: Why it could not be shipped; None when it was.
    """

    run: str
    writer: str
    store: str
    points: int = 0
    records: int = 0
    closed: bool = False
    set_aside: tuple[str, ...] = ()
    problem: str | None = None


@dataclass(slots=True)
class _File:
    """A segment file of a dead process, as far as it can be trusted."""

    path: Path
    info: SegmentInfo
    words: HeaderWords
    base: int
    committed: int
    damaged: bool

    def read(self, start: int, end: int) -> bytes:
        with self.path.open("rb") as file:
            return os.pread(file.fileno(), max(0, end - start), start)


@dataclass(slots=True)
class _Tally:
    points: int = 0
    records: int = 0
    ended: bool = False
    last_time: float = 0.0
    damaged: list[_File] = field(default_factory=list)


def recover_behind(spool: Path, open_store: Callable[[str], Store], store: str) -> None:
    """Recover in a thread, what goes to `store` only, without keeping anybody waiting."""
    thread = threading.Thread(
        target=recover, args=(spool, open_store), kwargs={"store": store}, name="tracklib-recovery", daemon=True
    )
    _recoveries.append(thread)
    thread.start()


def await_recoveries(timeout_s: float) -> None:
    """Wait for recoveries that are under way, for so long at the most."""
    deadline = time.monotonic() + timeout_s
    while _recoveries:
        _recoveries.pop().join(max(0.0, deadline - time.monotonic()))


def journal_is_live(spool: Path, run: str, writer: str) -> bool | None:
    """Tell whether a process holds a writer's journal; None where there is no journal to tell by."""
    paths = _segments(spool / run).get(writer)
    if not paths:
        return None
    locked = _locked(paths[0])
    if locked is None:
        return True
    os.close(locked)
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
    results: list[Recovered] = []
    with contextlib.suppress(FileNotFoundError):
        for folder in sorted(spool.iterdir()):
            for writer, paths in _segments(folder).items():
                results += _recover_writer(folder.name, writer, paths, open_store, store)
            with contextlib.suppress(OSError):  # Not a folder, or there is still something in it.
                folder.rmdir()
    return results


def _segments(folder: Path) -> dict[str, list[Path]]:
    """Return a run's segment files by writer, in the order of their numbers."""
    found: dict[str, list[tuple[int, Path]]] = {}
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            match = _NAME.fullmatch(path.name)
            if match:
                found.setdefault(match["writer"], []).append((int(match["number"]), path))
    return {writer: [path for _, path in sorted(paths)] for writer, paths in sorted(found.items())}


def _locked(path: Path) -> int | None:
    """Lock a segment whose owner is gone and return its descriptor; None if it has an owner or is no more."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_nlink:
            return descriptor
    except OSError:
        pass  # Somebody lives, or another process recovers it.
    os.close(descriptor)
    return None


def _recover_writer(
    folder: str, writer: str, paths: list[Path], open_store: Callable[[str], Store], only: str | None
) -> Iterator[Recovered]:
    # The owner holds the first segment for as long as it lives.
    lock = _locked(paths[0])
    if lock is None:
        return
    try:
        files, unreadable = _files(paths)
        if not files:
            aside = _set_aside(unreadable)
            yield Recovered(run=folder, writer=writer, store="", set_aside=aside, problem="no header can be read")
        elif only is None or files[0].info.store == only:
            yield _ship(files, unreadable, open_store)
    finally:
        os.close(lock)


def _files(paths: list[Path]) -> tuple[list[_File], list[Path]]:
    """Read the headers; return the segments in the order of their bases, and the files without a readable header."""
    files, unreadable = [], []
    for path in paths:
        try:
            with path.open("rb") as file:
                page = file.read(HEADER_SIZE)
            files.append(_file(path, parse_header(page), parse_words(page)))
        except (CorruptData, OSError, TypeError, ValueError) as error:
            _log.warning("the journal segment %s cannot be read and is set aside: %s", path, error)
            unreadable.append(path)
    files.sort(key=lambda file: file.base)
    return files, unreadable


def _file(path: Path, info: SegmentInfo, words: HeaderWords) -> _File:
    size = path.stat().st_size
    # After a crash of the machine, pages that were not synced may be missing in any order.
    trusted = words.committed if info.boot == boot_id() else min(words.committed, words.synced)
    committed = max(HEADER_SIZE, min(trusted, size))
    base = words.base
    damaged = words.committed > size or words.committed < HEADER_SIZE or base is None
    if base is None:  # Numbers follow the bases but for a rare race, so the segment goes behind those before it.
        base = info.segment << 40
    return _File(path, info, words, base, committed, damaged)


def _ship(files: list[_File], unreadable: list[Path], open_store: Callable[[str], Store]) -> Recovered:
    info = files[0].info
    tally = _Tally()
    try:
        with open_store(info.store) as store:
            position = _ship_files(store, files, tally)
            if not tally.ended:
                _close_run(store, files, position, tally)
    except (TracklibError, OSError) as error:
        return Recovered(run=info.run, writer=info.writer, store=info.store, problem=str(error))
    aside = _set_aside(unreadable + [file.path for file in tally.damaged])
    for file in files:
        file.path.unlink(missing_ok=True)
    return Recovered(
        run=info.run,
        writer=info.writer,
        store=info.store,
        points=tally.points,
        records=tally.records,
        closed=not tally.ended,
        set_aside=aside,
    )


def _ship_files(store: Store, files: list[_File], tally: _Tally) -> int:
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
        while position < end:
            before = position
            position, decoded = ship_stretch(
                store,
                reader,
                run=info.run,
                writer=info.writer,
                position=max(position, file.base),
                after_gap=file.base > position,
            )
            tally.points += sum(group.values.size for group in decoded.groups)
            tally.records += len(decoded.records)
            if position <= before:
                raise StoreError(f"the store {info.store} does not take the journal of run {info.run} at {before}")
    return position


def _count(tally: _Tally, records: tuple[Record, ...], last_time: float) -> None:
    tally.ended = tally.ended or any(record.kind == RecordKind.END for record in records)
    tally.last_time = max(tally.last_time, last_time)


def _length_is_damaged(file: _File, reader: SegmentReader) -> bool:
    """Tell whether more than one whole record follows the committed length.

    A kill between writing and committing leaves one at the most; more mean that the length itself was changed.
    """
    if file.committed != file.words.committed:
        return False
    behind = reader.peek(file.path.stat().st_size)
    return len(behind.records) + sum(len(group.steps) for group in behind.groups) > 1


def _close_run(store: Store, files: list[_File], position: int, tally: _Tally) -> None:
    """Say that the run was killed, at the time of its last record."""
    info = files[0].info
    at = tally.last_time or info.created
    records = [Record(RecordKind.END, at, {"status": RunStatus.KILLED, "reason": KILLED, "end_time": at})]
    dropped = sum(file.words.dropped for file in files)
    if dropped:
        records.insert(0, Record(RecordKind.DROPPED, at, {"counts": {"no room in the journal": dropped}}))
    # One past the last byte: so a second recovery of the same journal finds this done.
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


def _set_aside(paths: list[Path]) -> tuple[str, ...]:
    names = []
    for path in paths:
        target = path.with_suffix(".damaged")
        with contextlib.suppress(FileNotFoundError):
            names.append(str(path.rename(target)))
    return tuple(names)
