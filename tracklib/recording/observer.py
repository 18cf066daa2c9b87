"""What could not be recorded: warned of once, counted, and in strict mode raised."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from tracklib.errors import DataLost, NotANumber, RunFinished

if TYPE_CHECKING:
    from tracklib.recording.journal import Journal

__all__ = ["Observer"]

_log = logging.getLogger("tracklib")


class Observer:
    """Hears what a run's journal and stores could not do, and returns what is to be said of it.

    Args:
        run: The run's id.
        strict: Raise instead of warning.
    """

    def __init__(self, run: str, *, strict: bool) -> None:
        self._run = run
        self._strict = strict
        self._warned: set[str] = set()
        self._counts: dict[str, int] = {}

    def reset(self) -> None:
        """Begin to count anew, in a forked child."""
        self._counts = {}

    def counts(self, journal: Journal) -> dict[str, int]:
        """Return how much was lost by reason, points that found no room in the journal among it."""
        room = journal.dropped
        return {**self._counts, **({"no room in the journal": room} if room else {})}

    def skipped(self, name: str, value: object) -> str:
        """Hear that a value that is no number was left out."""
        self._count("no number")
        text = (
            f"metric {name!r} of run {self._run}: a value of type {type(value).__name__} is no number and was left out"
        )
        if self._strict:
            raise NotANumber(text)
        return self._once(f"skipped {name}", text)

    def dropped(self, points: int, error: OSError | None) -> str:
        """Hear that points found no room in the journal."""
        text = (
            f"run {self._run}: there is no room for its journal ({error}); points are lost until there is, and counted"
        )
        if self._strict:
            raise DataLost(text)
        return self._once("dropped", text)

    def refused(self) -> str:
        """Hear that something was logged after the end."""
        text = (
            f"run {self._run} has ended: what is logged to it now is not kept; start_run(resume={self._run!r}) goes on"
        )
        if self._strict:
            raise RunFinished(text)
        return self._once("refused", text)

    def lost(self, kind: str, what: str, error: Exception) -> None:
        """Hear that something else than points could not be kept."""
        self._count(kind)
        text = f"run {self._run}: {what} could not be kept: {error}"
        if self._strict:
            raise DataLost(text) from error
        warning = self._once(what, text)
        if warning:
            _log.warning(warning)

    def _count(self, reason: str) -> None:
        self._counts[reason] = self._counts.get(reason, 0) + 1

    def _once(self, key: str, text: str) -> str:
        """Return `text` for the first of its kind, then "" for all others."""
        if key in self._warned:
            return ""
        self._warned.add(key)
        return text
