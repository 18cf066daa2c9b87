"""The journal: where every call of a run lands, about a microsecond later, and from where nothing is lost.

A journal is a row of segment files in `<spool>/<run id>/`. The training thread packs a row into the mapped
segment and then moves the committed length behind it; a kill between the two loses that one row and nothing else.

A KeyboardInterrupt may come after any call of a function. What must change together is changed without one in between.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from tracklib.errors import NotANumber
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
from tracklib.recording.hot_path import RESERVE, Schemas, bind_hot_path
from tracklib.recording.segment import Segment, boot_id, create_segment
from tracklib.recording.spooled import SpooledFiles
from tracklib.recording.wakeup import Wakeup
from tracklib.records import RecordKind
from tracklib.values import as_float, as_step, checked_names, json_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["Journal", "JournalObserver", "forget_segments"]

SEGMENT_SIZE = 1024 * 1024
LARGEST_SEGMENT_SIZE = 16 * 1024 * 1024
_SIZE_PER_SCHEMA = 4096
_LAST_WORDS = frozenset({RecordKind.DROPPED, RecordKind.END})

_ATTEMPTS = 10
_PATIENCE_SECONDS = 1.0

_log = logging.getLogger("tracklib")


class JournalObserver(Protocol):
    """Who is told what a journal could not do.

    Calls come in any thread, within the journal's lock: an observer waits for nothing and writes no warnings itself.
    """

    def skipped(self, name: str, value: object) -> str:
        """Hear that a value that is no number was left out; return what to warn of, or "" for nothing."""

    def dropped(self, points: int, error: OSError | None) -> str:
        """Hear that points found no room; return likewise."""

    def refused(self) -> str:
        """Hear that something was logged after the end; return likewise."""


class Journal:
    """The writing end of one writer's journal.

    Attributes:
        log: `log(values, step=None, context=None)`: keep one point per name. See `tracklib.Run.log`.
        segments: The segments that are still kept, oldest first. The last one is written to.
        rolled: Set when the shipper has something to do at once: a segment was filled, or the end was written.
        closed: Whether it takes nothing any more.
        interrupted: `interrupted()`: whether the calling thread is in the middle of another call, as a signal handler
            may be: what it logs is written after its return.
        last_step: `last_step()`: the highest step of `log` so far, that of earlier processes included; None before.
        dropped: How many points found no room so far.
        spooled: The files of artifacts, which wait like records for the store.
        revive: Called when something is written after `abandon`: it must call `reopen` or `close`.
    """

    log: Callable[..., None]
    interrupted: Callable[[], bool]
    last_step: Callable[[], int | None]

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
        self.rolled = Wakeup()
        self.closed = False
        self.dropped = 0
        self.revive: Callable[[], None] | None = None
        self._observer = observer
        self._segment_size = segment_size
        self._clock = clock
        self._boot = boot_id()
        self._prepared: Segment | None = None
        self._full: OSError | None = None
        self._try_again_at = 0.0
        # Two threads may each make a segment: numbers only name files, the order is that of the bases.
        self._numbers = itertools.count()
        self._schemas: Schemas = {}
        self._contexts: dict[str, Schemas] = {}
        self._entered: Segment | None = None
        self._deferred: deque[Callable[[], None]] = deque()
        hot = bind_hot_path(
            self._schemas,
            self._contexts,
            slowly=self._log_slowly,
            deferred=self._deferred,
            clock=clock,
            first_step=first_step,
        )
        self.log, self.interrupted, self.last_step, self._exclusively, self._adopt, self._reset = hot
        self._begin()

    # ---- what the owner may ask

    @property
    def current(self) -> Segment:
        """The segment that is written to."""
        return self.segments[-1]

    @property
    def position(self) -> int:
        """The journal position behind the last committed record; 0 in a child that has logged nothing."""
        return self.segments[-1].position if self.segments else 0

    def log_aside(self, values: dict[str, float], step: int) -> None:
        """Keep points without moving the counter that calls of `log` without a step are numbered by."""
        self._exclusively(self._log_slowly, values, step, None, self._clock())

    def record(self, kind: str, data: dict[str, Any], *, at: float | None = None, last: bool = True) -> None:
        """Keep a record that is not a point. `data` must be what `jsonable` returns. After an end nothing is taken.

        Args:
            at: When it was; now by default.
            last: False for an end that says how the run stands, and behind which more may follow.

        Raises:
            OSError: There is no room for it.
            ValueError: It has 128 MiB or more.
        """
        last_words = kind in _LAST_WORDS
        if last_words and not self.segments:  # A forked child that logged nothing has nothing to end.
            self.closed = True
            return
        now = self._clock() if at is None else at
        body = _json_record(kind, now, data)
        if kind == RecordKind.END and last:
            brief = {name: value for name, value in data.items() if name not in {"reason", "error"}}
            self._exclusively(self._write_end, body, _json_record(kind, now, brief))
        else:
            self._exclusively(self._write_record, body, 0 if last_words else RESERVE)

    def offer(self, kind: str, data: dict[str, Any]) -> int | None:
        """Keep a record as `record` does; return the position behind it. After an end, nothing is kept or said."""
        behind: list[int] = []
        self._exclusively(self._write_offered, _json_record(kind, self._clock(), data), behind)
        return behind[0] if behind else None

    def claim(self) -> bool:
        """Tell whether a record would be taken, and have it said if not; a forked child opens a journal of its own.

        Raises:
            OSError: A child has no room for that.
        """
        if self.closed or not self.segments:
            self._exclusively(self._is_open)
            if not self.segments and not self.closed:
                raise OSError("the journal is just being opened, in the middle of another call")
        return not self.closed

    def prepare(self) -> None:
        """Make the next segment ahead of need, so that the training thread need not."""
        if self.closed or not self.segments:
            return
        wanted = self._full or self.current.committed * 2 > self.current.capacity
        if wanted and self._prepared is None:
            try:
                segment = self._create(self._next_size())
            except OSError as error:
                self._full = error
            else:
                self._exclusively(self._keep_prepared, segment)

    def _keep_prepared(self, segment: Segment) -> None:
        if self.closed:
            segment.delete()
        else:
            self._prepared, self._full = segment, None

    def close(self, *, delete: bool) -> None:
        """Take nothing any more and let go of the files; `delete` them when the store has everything."""
        self._exclusively(self._close, delete)

    def abandon(self) -> None:
        """In a forked child: let go of the parent's files without touching what is in them."""
        segments, self.segments = [*self.segments, *filter(None, [self._prepared])], []
        self._prepared = self._entered = self._full = None
        self._reset()
        self.rolled = Wakeup()
        for segment in segments:
            segment.close()

    def reopen(self, writer: str, start: dict[str, Any]) -> None:
        """Begin anew as another writer, in a forked child. To be called by `revive` only."""
        self.writer = writer
        self.dropped = 0
        self._begin()
        self._write_body(_json_record(RecordKind.START, self._clock(), start), RESERVE)

    # ---- the slow half of log(), within the lock

    def _log_slowly(self, values: Any, step: Any, context: str | None, now: float) -> int:
        """Log what the fast path refused: a new schema, a full segment, a value that is no number, or misuse."""
        names = checked_names(values, context)
        whole_step = as_step(step)
        if not self._is_open(len(names)):
            return whole_step
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
            self._warn(self._observer.skipped(name, value))
        return whole_step

    def _write_row(self, numbers: dict[str, float], step: int, now: float) -> None:
        names = tuple(numbers)
        layout = row_struct(len(names))
        schema = b"" if names in self.current.codes else _schema_record(names)
        segment = _with_room(self.current, len(schema) + layout.size + RESERVE)
        if segment is None:  # A segment that is begun now knows no schemas.
            schema = schema or _schema_record(names)
            segment = self._roll(len(schema) + layout.size)
        if segment is None:
            self._drop(len(names))
            return
        index = segment.codes.get(names, len(segment.codes))
        data = schema + layout.pack(row_tag(len(names), index), step, *numbers.values(), now)
        offset = segment.committed
        end = offset + len(data)
        segment.map[offset:end] = data
        # No call stands between these two: a schema is committed and known, or neither.
        segment.words[COMMITTED] = end
        segment.codes[names] = index

    def _remember(self, keys: tuple[str, ...], context: str | None, names: tuple[str, ...]) -> None:
        """Let the fast path write rows of these keys from now on."""
        if self._entered is not self.current:  # A KeyboardInterrupt came in the middle of `_switch`.
            self._enter()
        index = self.current.codes.get(names)
        if index is not None:
            layout = row_struct(len(names))
            table = self._schemas if context is None else self._contexts.setdefault(context, {})
            table[keys] = layout.pack_into, layout.size, row_tag(len(names), index)

    # ---- records and segments, within the lock

    def _write_record(self, body: bytes, reserve: int) -> None:
        if self._is_open():
            self._write_body(body, reserve)

    def _write_offered(self, body: bytes, behind: list[int]) -> None:
        if self.segments and not self.closed:
            self._write_body(body, RESERVE)
            behind += [self.position]

    def _write_end(self, body: bytes, brief: bytes) -> None:
        """Write an end record, without its reason where a full disk has no room for that, and take nothing more."""
        try:
            self._write_record(body, 0)
        except OSError:
            self._write_record(brief, 0)
        finally:
            self._seal()

    def _write_body(self, body: bytes, reserve: int) -> None:
        segment = _with_room(self.current, len(body) + reserve) or self._roll(len(body))
        if segment is None:
            raise self._full or OSError("no room for a record in the journal")
        segment.append(body)

    def _roll(self, size: int) -> Segment | None:
        """Begin a segment with room for `size` bytes; None if there is no room on the disk."""
        segment = self._following(HEADER_SIZE + size + RESERVE)
        if segment is not None:
            self._switch(segment)
        return segment

    def _following(self, needed: int) -> Segment | None:
        if self._prepared is not None and self._prepared.capacity >= needed:
            return self._prepared
        # A full disk costs the training thread one attempt a second.
        if self._full is not None and time.monotonic() < self._try_again_at:
            return None
        try:
            segment = self._create(max(self._next_size(), needed))
        except OSError as error:
            self._full, self._try_again_at = error, time.monotonic() + _PATIENCE_SECONDS
            return None
        self._full = None
        return segment

    def _next_size(self) -> int:
        """Return a segment's size: larger for many schemas, since each segment has to say anew what they are."""
        return min(max(self._segment_size, len(self.current.codes) * _SIZE_PER_SCHEMA), LARGEST_SEGMENT_SIZE)

    def _create(self, capacity: int) -> Segment:
        info = SegmentInfo(
            run=self.run,
            writer=self.writer,
            segment=next(self._numbers),
            boot=self._boot,
            store=self.store,
            created=self._clock(),
        )
        return _created(self.directory, info, -(-capacity // 4096) * 4096)

    def _begin(self) -> None:
        self._numbers = itertools.count()
        self.spooled = SpooledFiles(self.directory, self.writer)
        self._switch(self._create(self._segment_size))

    def _switch(self, segment: Segment) -> None:
        """Write to `segment` from now on. It knows no schemas yet.

        Where a KeyboardInterrupt ends this half-way, the fast path is shut, and the next call does what is left.
        """
        self._entered = None
        self._adopt(None)
        segment.begin(self.position)
        segment.words[DROPPED] = self.dropped
        # No call stands between these two: a segment is prepared or in use, never both.
        self._prepared = None if segment is self._prepared else self._prepared
        self.segments += [segment]
        self._enter()
        if len(self.segments) > 1:
            self.rolled.set()

    def _enter(self) -> None:
        """Let the fast path write to the current segment."""
        self._schemas.clear()
        self._contexts.clear()
        self._adopt(self.current)
        self._entered = self.current

    def _drop(self, points: int) -> None:
        self.dropped += points
        if self.segments:
            self.current.words[DROPPED] = self.dropped
        self._warn(self._observer.dropped(points, self._full))

    def _seal(self) -> None:
        self.closed = True
        self._adopt(None)
        self.rolled.set()

    def _close(self, delete: bool) -> None:
        self._seal()
        prepared, self._prepared = self._prepared, None
        if prepared is not None:
            prepared.delete()
        if delete and self.segments:  # A child without a journal of its own must leave those of the parent.
            self.spooled.clear()
        # The first one goes last: as long as it is there and locked, no other process takes the rest for orphans.
        for segment in reversed(self.segments):
            segment.delete() if delete else segment.close()
        if delete:
            with contextlib.suppress(OSError):  # Another writer's journal may be there.
                self.directory.rmdir()

    def _is_open(self, points: int = 0) -> bool:
        """Tell whether something can be written, in a forked child after opening a journal of its own."""
        if not self.segments and not self.closed and self.revive is not None:
            try:
                self.revive()
            except OSError as error:
                if not points:
                    raise
                self._full = error
                self._drop(points)
                return False
        if self.closed:
            self._warn(self._observer.refused())
        return not self.closed

    def _warn(self, text: str) -> None:
        """Have something said once the lock is free."""
        if text:
            self._deferred.append(partial(_log.warning, "%s", text))


def _created(directory: Path, info: SegmentInfo, capacity: int) -> Segment:
    """Create a segment, and its folder where need be."""
    for _ in range(_ATTEMPTS):
        try:
            return create_segment(directory, info, capacity)
        except FileNotFoundError:  # There is no folder yet, or a recovery found it empty and removed it.
            directory.mkdir(parents=True, exist_ok=True)
    return create_segment(directory, info, capacity)


def forget_segments(journal: Journal, position: int, keep_bytes: int) -> None:
    """Delete a journal's oldest segments whose records all lie before `position` where more than so much is kept.

    The first segment, which says what the run is, and the current one stay.
    """
    kept = sum(segment.capacity for segment in journal.segments)
    for segment in journal.segments[1:-1]:
        if kept <= keep_bytes or segment.position > position:
            return
        kept -= segment.capacity
        segment.delete()
        journal.segments.remove(segment)


def _with_room(segment: Segment, size: int) -> Segment | None:
    """Return a segment if it has so many bytes left."""
    return segment if segment.committed + size <= segment.capacity else None


def _schema_record(names: tuple[str, ...]) -> bytes:
    return body_record(CODE_SCHEMA, json.dumps(names, separators=(",", ":")).encode())


def _json_record(kind: str, at: float, data: dict[str, Any]) -> bytes:
    return body_record(CODE_RECORD, json_text({"k": kind, "t": at, "d": data}))
