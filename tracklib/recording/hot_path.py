"""The functions that every call of `log` goes through.

The lock is re-entrant, and a flag tells a call that arrived in the middle of another one of the same thread (a signal
handler or a finalizer that logs): such a call is put aside and written as soon as the outer one is done. Warnings wait
likewise: whoever writes them may wait for a lock of another thread that is about to log.
"""

from __future__ import annotations

import logging
from functools import partial
from threading import RLock
from typing import TYPE_CHECKING, Any, NamedTuple

from tracklib.errors import TracklibError
from tracklib.recording.format import COMMITTED

if TYPE_CHECKING:
    from collections import deque
    from collections.abc import Callable

    from tracklib.recording.segment import Segment

__all__ = ["RESERVE", "HotPath", "Schemas", "bind_hot_path"]

RESERVE = 4096
"""Bytes at the end of a segment for the last words of a run: a full disk must not keep it from ending."""

Schemas = dict[tuple[str, ...], tuple["Callable[..., None]", int, int]]
"""By the keys of a logged mapping: what packs a row of it, the row's size and its tag."""

_log = logging.getLogger("tracklib")


class HotPath(NamedTuple):
    """What shares the state of the hot path.

    Attributes:
        log: `log(values, step, context)`.
        interrupted: Whether the calling thread is in the middle of another call.
        last_step: The highest step that was logged; None before the first one, and where all are negative.
        exclusively: `exclusively(action, *arguments)` does that while nobody logs.
        adopt: `adopt(segment)` has rows written there; None: nowhere.
        reset: Forgets, in a forked child, the lock that a thread of the parent may hold.
    """

    log: Callable[..., None]
    interrupted: Callable[[], bool]
    last_step: Callable[[], int | None]
    exclusively: Callable[..., None]
    adopt: Callable[[Segment | None], None]
    reset: Callable[[], None]


def bind_hot_path(  # noqa: C901, PLR0915 - closures that share variables, on purpose
    schemas: Schemas,
    contexts: dict[str, Schemas],
    *,
    slowly: Callable[[Any, Any, str | None, float], int],
    deferred: deque[Callable[[], None]],
    clock: Callable[[], float],
    first_step: int,
) -> HotPath:
    """Return the functions of the hot path.

    They are closures because a closed-over variable costs a fifth of an attribute, and `log` is called a million times.

    Args:
        contexts: Schemas by context.
        slowly: Logs what is not simply a row of a known schema; returns the step.
        deferred: Calls to make when the lock is free.
        first_step: What calls without a step are numbered from.
    """
    lock, busy, next_step = RLock(), False, first_step
    buffer: Any = b""
    words: Any = ()
    limit = 0

    def log(values: Any, step: Any = None, context: str | None = None) -> None:
        nonlocal busy, next_step
        now = clock()
        try:
            with lock:
                if busy:
                    deferred.append(partial(log, values, step, context))
                    return
                busy = True
                try:
                    try:
                        if step is None:
                            step = next_step
                        pack, size, tag = (schemas if context is None else contexts[context])[(*values,)]
                        offset = words[COMMITTED]
                        end = offset + size
                        if fits := end <= limit:
                            pack(buffer, offset, tag, step, *values.values(), now)
                            if step >= next_step:
                                next_step = step + 1 if step.__class__ is int else int(step) + 1
                            words[COMMITTED] = end
                    except Exception:  # noqa: BLE001 - whatever it was, the slow path records it or says what is wrong
                        fits = False
                    if not fits:
                        next_step = max(next_step, slowly(values, step, context, now) + 1)
                finally:
                    busy = False
        finally:
            if deferred and not busy:
                drain()

    def interrupted() -> bool:
        if not lock.acquire(blocking=False):
            return False
        try:
            return busy
        finally:
            lock.release()

    def last_step() -> int | None:
        return next_step - 1 if next_step else None

    def exclusively(action: Callable[..., None], *arguments: Any) -> None:
        nonlocal busy
        try:
            with lock:
                if busy:
                    deferred.append(partial(exclusively, action, *arguments))
                    return
                busy = True
                try:
                    action(*arguments)
                finally:
                    busy = False
        finally:
            if deferred and not busy:
                drain()

    def drain() -> None:
        """Do what arrived in the middle of another call."""
        while deferred:
            try:
                call = deferred.popleft()
            except IndexError:  # Another thread was faster.
                return
            try:
                call()
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

    return HotPath(log, interrupted, last_step, exclusively, adopt, reset)
