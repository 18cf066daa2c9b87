"""The thread that takes what the journal holds to the store, and the only part of a live run that waits for one."""

from __future__ import annotations

import contextlib
import logging
import random
import threading
import time
from typing import TYPE_CHECKING, Final

from tracklib.errors import StoreError, TracklibError
from tracklib.recording.journal import forget_segments
from tracklib.recording.uploader import Uploader
from tracklib.records import RecordKind

if TYPE_CHECKING:
    from tracklib.recording.journal import Journal
    from tracklib.recording.reader import SegmentReader
    from tracklib.recording.shared_store import SharedStore
    from tracklib.stores.base import Store

__all__ = ["Shipper"]

HEARTBEAT_SECONDS: Final = 15.0
LONGEST_PAUSE_SECONDS: Final = 30.0
SHORTEST_PAUSE_SECONDS: Final = 0.01
SYNC_SECONDS: Final = 1.0
"""How often the journal is brought to the disk, however seldom it is shipped: a power cut takes no more than that."""
PAUSE_PER_CPU_SECOND: Final = 20.0
"""After a shipment that took a second of the processor there is a pause of so many: the training has the rest."""
LONGEST_WAIT_SECONDS: Final = 1e6
"""Longer ones are no numbers that the system takes."""
KEEP_BYTES: Final = 256 * 1024 * 1024
"""How much of a running run's journal is kept although the store has it, in case the store is lost."""

_random = random.Random()  # noqa: S311 - no secret; that of the module belongs to the program, which may have seeded it
_log = logging.getLogger("tracklib")


class Shipper:
    """Ships one writer's journal in the background.

    Attributes:
        position: How much of the journal the store is known to hold.
        problem: Why the last attempt failed; None when it did not.
        uploader: What brings the writer's artifacts to the store.
    """

    def __init__(
        self, journal: Journal, store: SharedStore, *, interval_s: float | None, offline: bool = False
    ) -> None:
        """Prepare the thread.

        Args:
            store: Opens the store, in the thread.
            interval_s: Seconds between shipments; None leaves it to the store.
            offline: Ship nothing: `tracklib sync` will.
        """
        self.journal = journal
        self.uploader = Uploader(journal, store, offline=offline, idle=self._hear_idle)
        self.position = 0
        self.problem: Exception | None = None
        self._open_store = store
        self._store: Store | None = None
        self._interval_s = interval_s
        self._offline = offline
        self._readers: dict[int, SegmentReader] = {}
        self._failures = 0
        self._closing = False
        self._wanted = False
        self._shipped = threading.Condition()
        self._last_shipment = time.monotonic()
        self._cpu_s = 0.0
        # The first one comes soon in any case: it is what makes a run seen.
        self._due_at = time.monotonic() + _limited(min(SYNC_SECONDS, self._interval()))
        self._thread = threading.Thread(target=self._work, name=f"tracklib-shipper-{journal.run}", daemon=True)

    def start(self) -> None:
        """Begin to ship."""
        self._thread.start()

    def flush(self, timeout_s: float) -> bool:
        """Ship what was logged before this call; tell whether the store has it within the time.

        Offline nothing is shipped, so there is nothing to wait for.
        """
        target = self.journal.position
        # After a fork the thread is the parent's, and so is whoever holds the lock.
        if self._thread.is_alive() and not self._offline:
            self._wanted = True
            self._hurry()
            with self._shipped:
                self._shipped.wait_for(
                    lambda: self.position >= target or not self._thread.is_alive(), _limited(timeout_s)
                )
        return self.position >= target and not self._offline

    def finish(self, timeout_s: float) -> bool:
        """Ship the rest up to the end record and delete the journal; tell whether that came to pass in time.

        It waits for the end record too, which another thread may be about to write. Where it did not come to pass, the
        thread goes on for as long as the process lives, and the journal stays for the next one.
        """
        self._closing = True
        self._hurry()
        if not self.journal.interrupted():
            self._thread.join(_limited(timeout_s))
        return not self._thread.is_alive() and self.problem is None and not self._offline

    def _hurry(self) -> None:
        self._due_at = 0.0
        self.journal.rolled.set()

    def _hear_idle(self) -> None:
        """Hear that the last artifact was told."""
        if self._closing or self._wanted:
            self._hurry()

    # ---- in the thread

    def _work(self) -> None:
        while True:
            wait_s = min(self._due_at - time.monotonic(), SYNC_SECONDS)
            self.journal.rolled.wait(max(wait_s, SHORTEST_PAUSE_SECONDS))
            # Only behind the end record nothing more can come: what came later would be deleted unseen.
            closing = self._closing and self.journal.closed
            self.journal.prepare()
            self._beat()
            if not self._is_due(closing=closing):
                with contextlib.suppress(OSError):  # The shipment does it again, and tells what is wrong.
                    self._sync()
                continue
            began_s = time.thread_time()
            done = self._attempt(closing=closing)
            self._cpu_s = time.thread_time() - began_s
            self._due_at = time.monotonic() + self._pause_s()
            if done and closing:
                break
        with self._shipped:
            self._shipped.notify_all()

    def _is_due(self, *, closing: bool) -> bool:
        if time.monotonic() >= self._due_at:
            return True
        if self._failures:
            return False
        # So much waits that one batch would not take it.
        backlog = self._store is not None and self.journal.position - self.position > self._store.stretch_bytes
        return closing or self._wanted or backlog

    def _interval(self) -> float:
        if self._interval_s is not None:
            return self._interval_s
        return self._store.flush_interval if self._store is not None else SYNC_SECONDS

    def _pause_s(self) -> float:
        if not self._failures:
            return max(_limited(self._interval()), self._cpu_s * PAUSE_PER_CPU_SECOND, SHORTEST_PAUSE_SECONDS)
        longest = 1.0 if self._closing or self._wanted else LONGEST_PAUSE_SECONDS
        jitter = _random.uniform(0.5, 1.0)
        return min(longest, self._interval() + 0.25 * 2.0 ** min(self._failures, 10)) * jitter

    def _beat(self) -> None:
        """Show that the writer is alive when it has nothing else to say."""
        silent = time.monotonic() - self._last_shipment > HEARTBEAT_SECONDS
        if silent and self.journal.position <= self.position and not self.journal.closed:
            try:
                self.journal.record(RecordKind.HEARTBEAT, {})
            except (OSError, TracklibError) as error:
                _log.debug("no heartbeat: %s", error)

    def _attempt(self, *, closing: bool) -> bool:
        """Try to ship everything; tell whether there is nothing left to do."""
        try:
            done = self._keep(closing=closing) if self._offline else self._ship(closing=closing)
        except Exception as error:  # noqa: BLE001 - whatever it was, the journal keeps the data and the training goes on
            self._failed(error)
            return False
        if self._failures:
            _log.warning("run %s: the store can be reached again; nothing was lost", self.journal.run)
        self._failures, self.problem = 0, None
        self._wanted = False
        with self._shipped:
            self._shipped.notify_all()
        return done

    def _failed(self, error: Exception) -> None:
        self.problem = error
        self._failures += 1
        if self._failures == 1:
            _log.warning(
                "run %s cannot be written to its store for now, the journal in %s keeps everything: %s",
                self.journal.run,
                self.journal.directory,
                error,
            )

    def _keep(self, *, closing: bool) -> bool:
        self._sync()
        if closing:
            self.uploader.close()
            self.journal.close(delete=False)
        return True

    def _ship(self, *, closing: bool) -> bool:
        """Ship what there is; tell whether nothing is left to do, the files of artifacts included if it is the end."""
        self._sync()
        store = self._store = self._store or self._open_store()
        self.uploader.confirm(self.position)
        if self.journal.position > self.position or closing:
            self.uploader.renew()
            self._ship_segments(store)
            self.uploader.confirm(self.position)
            self._last_shipment = time.monotonic()
            forget_segments(self.journal, self.position, KEEP_BYTES)
        return self._ended(store) if closing else True

    def _ship_segments(self, store: Store) -> None:
        from tracklib.recording.reader import SegmentReader, ship_stretch

        # What comes meanwhile has its turn after the pause: where a store takes its time, there is always more.
        target = self.journal.position
        while self.position < target and (todo := self._next_segment()) is not None:
            self._retire_full()
            number, last = todo
            segment = self.journal.segments[number]
            reader = self._readers.setdefault(segment.info.segment, SegmentReader(segment))
            before = self.position
            self.position, decoded = ship_stretch(
                store,
                reader,
                run=self.journal.run,
                writer=self.journal.writer,
                position=max(before, segment.base),
                after_gap=segment.base > before,
                last=last,
                spooled=self.journal.spooled,
            )
            if self.position == before:
                raise StoreError(f"{store!r} took nothing of {segment.path} from {before} on ({decoded.damaged=})")
        current = self.journal.current.info.segment
        self._readers = {number: reader for number, reader in self._readers.items() if number == current}

    def _ended(self, store: Store) -> bool:
        """Delete the journal, if all artifacts are in the store as well; tell whether they are."""
        self._ship_late(store)
        if not self.uploader.is_idle:
            return False
        self.uploader.close()
        store.close()
        self.journal.close(delete=True)
        return True

    def _ship_late(self, store: Store) -> None:
        """Tell the store of artifacts that it got behind the end of the journal."""
        late = self.uploader.take_late()
        if not late:
            return
        from tracklib.recording.completing import behind_the_end

        batch = behind_the_end(self.journal.run, self.journal.writer, self.position, [data for _, data in late])
        self.position = store.append(batch)
        if self.position == batch.end:
            self.uploader.confirm_late(len(late))

    def _retire_full(self) -> None:
        """Unmap segments as they fill up: what is mapped counts as the program's memory."""
        for segment in self.journal.segments[:-1]:
            segment.retire()

    def _next_segment(self) -> tuple[int, bool] | None:
        """Return the index of the first kept segment that is not all shipped, and whether it is the last one."""
        segments = self.journal.segments
        for index, segment in enumerate(segments):
            if segment.position > self.position:
                return index, index == len(segments) - 1
        return None

    def _sync(self) -> None:
        self.journal.spooled.sync()
        for segment in list(self.journal.segments):
            segment.sync()


def _limited(seconds: float) -> float:
    return min(seconds, LONGEST_WAIT_SECONDS)
