"""The threads that bring artifacts to the store, beside the one that ships the journal.

What they need is imported when there is an artifact: a program that starts a run would pay for it.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tracklib.errors import NotFound
from tracklib.recording.wakeup import Wakeup
from tracklib.records import RecordKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracklib.recording.journal import Journal
    from tracklib.recording.shared_store import SharedStore
    from tracklib.recording.spooled import Pending, SpooledFiles

__all__ = ["Uploader"]

LARGE_BYTES: Final = 8 << 20
"""Larger artifacts have a thread of their own, so that none of the small ones waits for them."""
LOOK_AGAIN_SECONDS: Final = 0.5
"""Between looks at what is noted and is not there yet, or is still being written."""
LONGEST_PAUSE_SECONDS: Final = 30.0
IDLE_SECONDS: Final = 3600.0
RENEW_SECONDS: Final = 600.0
"""Records that have waited longer for the store name bytes that are to be looked for again."""
LAST_WORD_SECONDS: Final = 1.0
"""For what is looked at when the time is over, to be told without its SHA-256."""
POLL_SECONDS: Final = 0.005

_random = random.Random()  # noqa: S311 - no secret; that of the module belongs to the program, which may have seeded it
_log = logging.getLogger("tracklib")


class _Told(NamedTuple):
    """An artifact whose record stands in the journal in front of a position.

    Attributes:
        at: When its bytes were known to be in the store, by the monotonic clock.
    """

    position: int
    pending: Pending
    at: float


class Uploader:
    """Brings one writer's artifacts to the store and then tells of them.

    A record that names files is written when the store has them. Until it has the record too, they stay in the spool:
    so nothing is lost however a process ends, and nobody else takes them for garbage.

    Attributes:
        problem: Why the last attempt failed; None when it did not.
        done_bytes: How many bytes were brought to the store so far.
    """

    def __init__(self, journal: Journal, store: SharedStore, *, offline: bool, idle: Callable[[], None]) -> None:
        """Prepare; threads are started when there is something to do.

        Args:
            offline: Bring nothing: `tracklib sync` will.
            idle: Called when there is nothing left to bring.
        """
        self.problem: Exception | None = None
        self.done_bytes = 0
        self._journal = journal
        self._spooled: SpooledFiles = journal.spooled
        self._store = store
        self._offline = offline
        self._idle = idle
        self._open: dict[str, Pending] = {}
        self._told: deque[_Told] = deque()
        self._late: deque[tuple[str, dict[str, Any]]] = deque()
        self._deadline = float("inf")
        self._counting = threading.Lock()
        # The end of a run may come from a signal handler.
        self._telling = threading.RLock()
        self._desks = {
            name: _Desk(f"tracklib-{name}-{journal.run}", handle, self._failed)
            for name, handle in (("small", self._bring), ("large", self._bring), ("noted", self._note))
        }

    # ---- in the threads of the program

    def add(self, pending: Pending) -> None:
        """Have an artifact brought to the store."""
        self._open[pending.id] = pending
        self._desk(pending).add(pending)

    def forget(self, artifact: str) -> bool:
        """Give up an artifact that was not told yet; tell whether that was so."""
        with self._telling:
            given_up = self._open.pop(artifact, None) is not None
        if given_up:
            self._spooled.forget(artifact)
        return given_up

    @property
    def waiting(self) -> list[Pending]:
        """What has yet to be brought to the store, without what is only noted."""
        return [pending for pending in list(self._open.values()) if not pending.source or pending.fetch]

    @property
    def _noted(self) -> list[Pending]:
        """What is only looked at, and was not yet."""
        return [pending for pending in list(self._open.values()) if pending.source and not pending.fetch]

    def drain(self, timeout_s: float) -> bool:
        """Wait until everything is in the store and told, for so long at the most; tell whether it is."""
        return self._await(lambda: not self.waiting, timeout_s)

    def finish(self, timeout_s: float) -> bool:
        """Look at what is only noted as it is now, and wait for the rest likewise. At a terminal, progress is shown."""
        self._deadline = time.monotonic() + timeout_s
        if not self._open:
            return True
        for desk in self._desks.values():
            desk.hurry()
        from tracklib.recording.completing import unseen
        from tracklib.recording.progress import shown_progress

        begun = self.done_bytes
        with shown_progress(sum(pending.size for pending in self.waiting)) as show:
            self._await(lambda: not self._open, timeout_s, lambda: show(self.done_bytes - begun))
        self._await(lambda: not self._noted, LAST_WORD_SECONDS)
        for pending in self._noted:  # Its disk hangs.
            self._tell(pending, unseen(pending))
        return not self._open

    def _await(self, condition: Callable[[], bool], timeout_s: float, watch: Callable[[], None] = lambda: None) -> bool:
        end = time.monotonic() + timeout_s
        for desk in self._desks.values():
            desk.wake.set()
        while not condition() and not self._is_in_vain() and time.monotonic() < end:
            time.sleep(POLL_SECONDS)
            watch()
        return condition()

    def _is_in_vain(self) -> bool:
        """Whether nobody will do what is left before the next `tracklib sync`."""
        return self._offline and all(not pending.source or pending.fetch for pending in list(self._open.values()))

    # ---- in the shipper

    @property
    def is_idle(self) -> bool:
        """Whether everything is told, and nothing that was told too late for the journal is left."""
        return not self._open and not self._late

    def confirm(self, position: int) -> None:
        """Hear that the store has the journal in front of a position."""
        while self._told and self._told[0].position <= position:
            self._spooled.forget(self._told.popleft().pending.id)

    def renew(self) -> None:
        """Make sure of the bytes of artifacts whose records have waited for the store for long.

        Nothing has named them there meanwhile, so somebody who collects garbage may have deleted them.

        Raises:
            StoreError: The store cannot take them now.
        """
        if not self._told:
            return
        from tracklib.recording.completing import brought

        for place, told in enumerate(list(self._told)):
            if time.monotonic() - told.at > RENEW_SECONDS and told.pending.files:
                brought(self._store(), self._spooled, told.pending)
                self._told[place] = told._replace(at=time.monotonic())

    def take_late(self) -> list[tuple[str, dict[str, Any]]]:
        """Return artifacts and their records for which the journal was closed too early; `confirm_late` follows."""
        return list(self._late)

    def confirm_late(self, count: int) -> None:
        """Hear that the store has so many of the late ones."""
        for _ in range(count):
            self._spooled.forget(self._late.popleft()[0])

    def abandon(self) -> None:
        """In a forked child: what waits is the parent's, and so are the threads."""
        self._open.clear()

    def close(self) -> None:
        """End the threads."""
        for desk in self._desks.values():
            desk.close()

    # ---- in the threads of its own

    def _desk(self, pending: Pending) -> _Desk:
        if pending.source:
            return self._desks["noted"]
        # What has the same name stays in order, for the sake of its versions.
        same = [pending, *(each for each in list(self._open.values()) if each.data["name"] == pending.data["name"])]
        return self._desks["large" if any(each.size > LARGE_BYTES for each in same) else "small"]

    def _bring(self, pending: Pending, _hurried: bool) -> bool:
        """Bring an artifact to the store; tell whether it is done."""
        from tracklib.recording.completing import brought

        if pending.id not in self._open or self._offline:
            return True
        self._tell(pending, brought(self._store(), self._spooled, pending, self._on_bytes))
        self.problem = None
        return True

    def _note(self, pending: Pending, hurried: bool) -> bool:
        """Look at what is only noted, or fetch it; tell whether it is done."""
        from tracklib.recording.completing import fetched, noted, unfetched

        if pending.id not in self._open:
            return True
        if pending.fetch:
            if self._offline:
                return True
            try:
                self.add(fetched(self._spooled, pending))
            except NotFound as error:
                self._tell(pending, unfetched(pending, error))
            return True
        found = noted(pending, lambda: time.monotonic() > self._deadline, last=hurried)
        if found is not None:
            self._tell(pending, found)
        return found is not None

    def _on_bytes(self, count: int) -> None:
        with self._counting:
            self.done_bytes += count

    def _tell(self, pending: Pending, data: dict[str, Any]) -> None:
        """Write the record of an artifact, unless another thread was faster or nobody wants it any more."""
        with self._telling:
            if pending.id not in self._open:
                return
            position = self._journal.offer(RecordKind.ARTIFACT, data)
            if position is None:
                self._late.append((pending.id, data))
            else:
                self._told.append(_Told(position, pending, time.monotonic()))
            del self._open[pending.id]
        if not self._open:
            self._idle()

    def _failed(self, error: Exception) -> None:
        if self.problem is None:
            _log.warning(
                "run %s: artifacts cannot be brought to its store for now, the spool in %s keeps them: %s",
                self._journal.run,
                self._spooled.folder,
                error,
            )
        self.problem = error


class _Desk:
    """A queue of artifacts, and the thread that takes care of them one after the other.

    It has the priority of all threads: one of a lower priority would be made to wait with the interpreter lock in its
    hands, and the training with it.

    Attributes:
        wake: Makes the thread look at once.
    """

    def __init__(self, name: str, handle: Callable[[Pending, bool], bool], failed: Callable[[Exception], None]) -> None:
        """Prepare; the thread is started for the first artifact.

        Args:
            handle: Does what is to be done for an artifact, and is told whether the end of the run waits for it; tells
                whether it is done, or is to be done again later.
            failed: Told what keeps it from that.
        """
        self.wake = Wakeup()
        self._handle = handle
        self._failed = failed
        self._queue: deque[Pending] = deque()
        self._failures = 0
        self._hurried = False
        self._closed = False
        self._starting = threading.RLock()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    def add(self, pending: Pending) -> None:
        self._queue.append(pending)
        self.wake.set()
        with self._starting:
            if self._thread.ident is None:
                self._thread.start()

    def hurry(self) -> None:
        """Make no long pauses from now on."""
        self._hurried = True
        self.wake.set()

    def close(self) -> None:
        self._closed = True
        self.wake.set()

    def _work(self) -> None:
        while not self._closed:
            self._round()
            self.wake.wait(self._pause_s())

    def _round(self) -> None:
        """Take care of each artifact once, and keep the others in their order."""
        # Once for all of them: else those would be told first that come behind the moment.
        hurried = self._hurried
        later: list[Pending] = []
        try:
            for _ in range(len(self._queue)):
                if not self._handle(self._queue[0], hurried):
                    later.append(self._queue[0])
                self._queue.popleft()
                self._failures = 0
        except Exception as error:  # noqa: BLE001 - whatever it was, the spool keeps the artifact and the training goes on
            self._failures += 1
            self._failed(error)
        self._queue.extendleft(reversed(later))

    def _pause_s(self) -> float:
        if not self._queue:
            return IDLE_SECONDS
        if not self._failures:
            return LOOK_AGAIN_SECONDS
        longest = 1.0 if self._hurried else LONGEST_PAUSE_SECONDS
        return min(longest, 0.25 * 2.0 ** min(self._failures, 10)) * _random.uniform(0.5, 1.0)
