"""The journal: where every call of a run lands, about a microsecond later, and from where nothing is lost.

A journal is a row of segment files in `<spool>/<run id>/`. The training thread packs a row into the mapped
segment and then moves the committed length behind it; a kill between the two loses that one row and nothing else.

The lock is re-entrant, and a flag tells a call that arrived in the middle of another one of the same thread (a signal
handler or a finalizer that logs): such a call is put aside and written as soon as the outer one is done.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import time
from threading import Event, RLock
from typing import TYPE_CHECKING, Any, Protocol

from tracklib.errors import NotANumber, TracklibError
from tracklib.recording.format import (
    CODE_RECORD,
    CODE_SCHEMA,
    COMMITTED,
    DROPPED,
    HEADER_SIZE,
    SegmentInfo,
    body_record,
    row_struct,
    row_tag,
)
from tracklib.recording.segment import Segment, boot_id, create_segment
from tracklib.values import as_float, as_step, checked_names, json_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["Journal", "JournalObserver"]

SEGMENT_SIZE = 1024 * 1024
RESERVE = 4096
"""Bytes at the end of a segment that only records may use: a full disk must not keep a run from ending."""

_Schemas = dict[tuple[str, ...], tuple["Callable[..., None]", int, int]]
_log = logging.getLogger("tracklib")


class JournalObserver(Protocol):
    """Who is told what a journal could not do. Calls may come in any thread."""

    def skipped(self, name: str, value: object) -> None:
        """Hear that a value that is no number was left out."""

    def dropped(self, points: int, error: OSError | None) -> None:
        """Hear that points found no room."""

    def refused(self) -> None:
        """Hear that something was logged after the end."""


class Journal:
    """The writing end of one writer's journal.

    Attributes:
        log: `log(values, step=None, context=None)`: keep one point per name. See `tracklib.Run.log`.
        segments: The segments that are still kept, oldest first. The last one is written to.
        rolled: Set when the shipper has something to do at once: a segment was filled, or there is no room.
        revive: Called when something is written after `abandon`: it must call `reopen` or `close`.
    """

    log: Callable[..., None]

    def __init__(  # noqa: PLR0913 - all of it is the journal's identity
        self,
        directory: Path,
        *,
        run: str,
        writer: str,
        store: str,
        observer: JournalObserver,
        first_step: int = 0,
        segment_size: int = SEGMENT_SIZE,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Create the folder and the first segment.

        Raises:
            OSError: There is no room, or the folder cannot be written to.
        """
        self.directory = directory
        self.run = run
        self.writer = writer
        self.store = store
        self.segments: list[Segment] = []
        self.rolled = Event()
        self.closed = False
        self.revive: Callable[[], None] | None = None
        self._observer = observer
        self._segment_size = segment_size
        self._clock = clock
        self._boot = boot_id()
        self._prepared: Segment | None = None
        self._full: OSError | None = None
        # Two threads may each make a segment: numbers only name files, the order is that of the bases.
        self._numbers = itertools.count()
        self._schemas: _Schemas = {}
        self._contexts: dict[str, _Schemas] = {}
        self._codes: dict[tuple[str, ...], int] = {}
        self.log, self._exclusively, self._adopt, self._reset = _bind_hot_path(self, first_step)
        self._begin()

    # ---- what the owner may ask

    @property
    def current(self) -> Segment:
        """The segment that is written to."""
        return self.segments[-1]

    @property
    def position(self) -> int:
        """The journal position behind the last committed record."""
        return self.current.position

    @property
    def dropped(self) -> int:
        """How many points found no room so far."""
        return sum(segment.dropped for segment in self.segments)

    def log_aside(self, values: dict[str, float], step: int) -> None:
        """Keep points without moving the counter that calls of `log` without a step are numbered by."""
        self._exclusively(self._log_slowly, values, step, None, self._clock())

    def record(self, kind: str, data: dict[str, Any], *, at: float | None = None) -> None:
        """Keep a record that is not a point. `data` must be what `jsonable` returns.

        Raises:
            OSError: There is no room for it.
            ValueError: It has 128 MiB or more.
        """
        payload = json_text({"k": kind, "t": self._clock() if at is None else at, "d": data})
        self._exclusively(self._write_record, body_record(CODE_RECORD, payload))

    def prepare(self) -> None:
        """Make the next segment ahead of need, so that the training thread need not."""
        wanted = self.segments and self.current.committed * 2 > self.current.capacity
        if self._prepared is None and not self.closed and (wanted or self._full):
            try:
                segment = self._create(self._segment_size)
            except OSError as error:
                self._full = error
            else:
                self._exclusively(self._keep_prepared, segment)

    def _keep_prepared(self, segment: Segment) -> None:
        if self.closed:
            segment.path.unlink(missing_ok=True)
            segment.close()
        else:
            self._prepared = segment

    def forget(self, position: int, keep_bytes: int) -> None:
        """Delete the oldest segments whose records all lie before `position` where more than `keep_bytes` are kept.

        The first segment, which says what the run is, and the current one stay.
        """
        kept = sum(segment.capacity for segment in self.segments)
        for segment in self.segments[1:-1]:
            if kept <= keep_bytes or segment.position > position:
                return
            kept -= segment.capacity
            segment.path.unlink(missing_ok=True)
            segment.close()
            self.segments.remove(segment)

    def close(self, *, delete: bool) -> None:
        """Stop writing and let go of the files; `delete` them when the store has everything."""
        self._exclusively(self._close, delete)

    def abandon(self) -> None:
        """In a forked child: let go of the parent's files without touching what is in them."""
        segments, self.segments = [*self.segments, *filter(None, [self._prepared])], []
        self._prepared = None
        self._reset()
        self.rolled = Event()
        for segment in segments:
            segment.close()

    def reopen(self, writer: str, start: dict[str, Any]) -> None:
        """Begin anew as another writer, in a forked child. To be called by `revive` only."""
        self.writer = writer
        self._begin()
        payload = json_text({"k": "start", "t": self._clock(), "d": start})
        self._write_body(body_record(CODE_RECORD, payload))

    # ---- the slow half of log(), within the lock

    def _log_slowly(self, values: Any, step: Any, context: str | None, now: float) -> None:
        """Log what the fast path refused: a new schema, a full segment, a value that is no number, or misuse."""
        if not self._is_open():
            return
        names = checked_names(values, context)
        whole_step = as_step(step)
        numbers: dict[str, float] = {}
        skipped: list[tuple[str, object]] = []
        for name, value in zip(names, values.values(), strict=True):
            try:
                numbers[name] = as_float(value)
            except NotANumber:
                skipped.append((name, value))
        if numbers:
            self._write_row(numbers, whole_step, now)
        # A tensor within a graph warns when struct asks it for its value, so its rows stay on the slow path.
        if not skipped and not any(getattr(value, "requires_grad", False) for value in values.values()):
            self._remember((*values,), context, tuple(numbers))
        for name, value in skipped:
            self._observer.skipped(name, value)

    def _write_row(self, numbers: dict[str, float], step: int, now: float) -> None:
        names = tuple(numbers)
        layout = row_struct(len(names))
        schema = b"" if names in self._codes else body_record(CODE_SCHEMA, json.dumps(names).encode())
        room = self._room(len(schema) + layout.size, RESERVE)
        if room is None:
            self._drop(len(names))
            return
        if names not in self._codes:
            # A segment that was begun just now knows no schemas; it was made with room for this one.
            room.append(schema or body_record(CODE_SCHEMA, json.dumps(names).encode()))
            self._codes[names] = len(self._codes)
        offset = room.committed
        layout.pack_into(room.map, offset, row_tag(len(names), self._codes[names]), step, *numbers.values(), now)
        room.words[COMMITTED] = offset + layout.size

    def _remember(self, keys: tuple[str, ...], context: str | None, names: tuple[str, ...]) -> None:
        """Let the fast path write rows of these keys from now on."""
        index = self._codes.get(names)
        if index is not None:
            layout = row_struct(len(names))
            table = self._schemas if context is None else self._contexts.setdefault(context, {})
            table[keys] = layout.pack_into, layout.size, row_tag(len(names), index)

    # ---- records and segments, within the lock

    def _write_record(self, body: bytes) -> None:
        if self._is_open():
            self._write_body(body)

    def _write_body(self, body: bytes) -> None:
        segment = self._room(len(body), 0)
        if segment is None:
            raise self._full or OSError("no room for a record in the journal")
        segment.append(body)

    def _room(self, size: int, reserve: int) -> Segment | None:
        """Return a segment with `size` bytes left above the reserve, a new one if need be; None if there is no room."""
        segment = self.current
        if segment.committed + size + reserve <= segment.capacity:
            return segment
        following = self._following(HEADER_SIZE + 2 * size + RESERVE)
        if following is None:
            return None
        following.begin(segment.position)
        self._switch(following)
        return following

    def _following(self, needed: int) -> Segment | None:
        following, self._prepared = self._prepared, None
        if following is not None and following.capacity >= needed:
            self._full = None
            return following
        if following is not None:
            following.path.unlink(missing_ok=True)
            following.close()
        elif self._full is not None:  # The shipper tries again; the training thread does not wait for a full disk.
            return None
        try:
            return self._create(max(self._segment_size, needed))
        except OSError as error:
            self._full = error
            self.rolled.set()
            return None

    def _create(self, capacity: int) -> Segment:
        info = SegmentInfo(
            run=self.run,
            writer=self.writer,
            segment=next(self._numbers),
            boot=self._boot,
            store=self.store,
            created=self._clock(),
        )
        return create_segment(self.directory, info, -(-capacity // 4096) * 4096)

    def _begin(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        self._numbers = itertools.count()
        self._switch(self._create(self._segment_size))

    def _switch(self, segment: Segment) -> None:
        """Write to `segment` from now on. It knows no schemas yet."""
        self._schemas.clear()
        self._contexts.clear()
        self._codes.clear()
        self.segments.append(segment)
        self._adopt(segment)
        if len(self.segments) > 1:
            self.rolled.set()

    def _drop(self, points: int) -> None:
        self.current.words[DROPPED] += points
        self._observer.dropped(points, self._full)

    def _close(self, delete: bool) -> None:
        if self.closed:
            return
        self.closed = True
        self._adopt(None)
        for segment in [*self.segments, *filter(None, [self._prepared])]:
            if delete or segment is self._prepared:
                segment.path.unlink(missing_ok=True)
            segment.close()
        self._prepared = None
        if delete:
            with contextlib.suppress(OSError):  # Another writer's journal may be there.
                self.directory.rmdir()

    def _is_open(self) -> bool:
        if not self.segments and not self.closed and self.revive is not None:
            self.revive()
        if self.closed:
            self._observer.refused()
        return not self.closed


def _bind_hot_path(  # noqa: C901, PLR0915 - one scope for the functions that share the state
    journal: Journal, first_step: int
) -> tuple[Callable[..., None], ...]:
    """Return the functions that share the state of the hot path: log, exclusively, adopt, reset.

    They are closures because a closed-over variable costs a fifth of an attribute, and `log` is called a million times.
    """
    lock, busy, next_step = RLock(), False, first_step
    buffer: Any = b""
    words: Any = ()
    limit = 0
    schemas, contexts, clock, slowly = journal._schemas, journal._contexts, journal._clock, journal._log_slowly  # noqa: SLF001
    deferred: list[tuple[Callable[..., None], tuple[Any, ...]]] = []

    def log(values: Any, step: Any = None, context: str | None = None) -> None:
        nonlocal busy, next_step
        now = clock()
        with lock:
            if busy:
                deferred.append((log, (values, step, context)))
                return
            busy = True
            try:
                try:
                    if step is None:
                        step = next_step
                    if step >= next_step:
                        next_step = step + 1
                    pack, size, tag = (schemas if context is None else contexts[context])[(*values,)]
                    offset = words[COMMITTED]
                    end = offset + size
                    if fits := end <= limit:
                        pack(buffer, offset, tag, step, *values.values(), now)
                        words[COMMITTED] = end
                except Exception:  # noqa: BLE001 - whatever it was, the slow path records it or says what is wrong
                    fits = False
                if not fits:
                    slowly(values, step, context, now)
            finally:
                busy = False
        if deferred:
            drain()

    def exclusively(action: Callable[..., None], *arguments: Any) -> None:
        nonlocal busy
        with lock:
            if busy:
                deferred.append((action, arguments))
                return
            busy = True
            try:
                action(*arguments)
            finally:
                busy = False
        if deferred:
            drain()

    def drain() -> None:
        """Do what arrived in the middle of another call."""
        while deferred:
            action, arguments = deferred.pop(0)
            try:
                action(*arguments) if action is log else exclusively(action, *arguments)
            except (TracklibError, TypeError, ValueError, OSError) as error:
                _log.warning("a call within another log call was not recorded: %s", error)

    def adopt(segment: Segment | None) -> None:
        nonlocal buffer, words, limit
        buffer, words = (segment.map, segment.words) if segment else (b"", ())
        limit = segment.capacity - RESERVE if segment else 0

    def reset() -> None:
        """Forget the parent's lock, which a thread that is no more may hold."""
        nonlocal lock, busy
        lock, busy = RLock(), False
        deferred.clear()
        adopt(None)

    return log, exclusively, adopt, reset
