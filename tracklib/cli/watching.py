"""A run as it is now, looked at again and again."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from tracklib.cli.as_json import summaries_by_name
from tracklib.errors import NotFound, StoreUnavailable
from tracklib.model import RunStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracklib.model import RunInfo, Summary
    from tracklib.series import Series
    from tracklib.stores.base import Store

__all__ = ["Frame", "Watcher", "find_watched", "frame_as_json"]

_GOING_ON = (RunStatus.PENDING, RunStatus.RUNNING)
_LOOKED_THROUGH = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What there is to show of a run.

    Attributes:
        at: When it was looked at.
        summaries: Of the metrics that are shown, those that matter most first.
        series: The points of those that are drawn.
        problem: Why what is shown is older than `at`; "" where it is not.
    """

    at: float
    info: RunInfo
    summaries: tuple[Summary, ...] = ()
    series: dict[str, Series] = field(default_factory=dict)
    problem: str = ""

    @property
    def has_ended(self) -> bool:
        """Whether nothing more is to be expected."""
        return self.info.status not in _GOING_ON

    @property
    def step(self) -> int | None:
        """The highest step that anything was logged at."""
        return max((each.last_step for each in self.summaries if each.last_step is not None), default=None)

    @property
    def elapsed(self) -> float | None:
        """For how many seconds the run has been going on; until its end where it has one."""
        if self.has_ended or self.info.start_time is None:
            return self.info.duration
        return max(self.info.duration or 0.0, self.at - self.info.start_time)


def find_watched(store: Store, word: str | None, project: str | None) -> RunInfo:
    """Return the run that a word means; where there is none, the newest that is going on.

    Raises:
        NotFound: There is no such run.
        AmbiguousName: There are several.
    """
    from tracklib.cli.reaching import safe_uri
    from tracklib.finding import find_run
    from tracklib.reading import with_live_status
    from tracklib.stores.base import RunQuery

    if word is not None:
        return find_run(store, word, project=project)
    running = store.runs(RunQuery(project=project, status=(RunStatus.RUNNING,), limit=_LOOKED_THROUGH))
    for info in map(with_live_status, running):
        if info.status is RunStatus.RUNNING:
            return info
    raise NotFound(f"no run is going on in {safe_uri(store.uri)}; name one: `tracklib watch latest`")


class Watcher:
    """Looks at one run."""

    def __init__(self, store: Store, run: RunInfo, globs: Sequence[str], *, drawn: int) -> None:
        """Say what is watched.

        Args:
            globs: Only metrics that fit one of them.
            drawn: Of how many metrics points are read.
        """
        self._store = store
        self._run = run.id
        self._globs = globs
        self._drawn = drawn
        self._series: dict[str, tuple[tuple[Any, ...], Series]] = {}
        self._primary = next(
            (each.settings.primary_metrics for each in store.projects(archived=None) if each.name == run.project), ()
        )
        self._last: Frame | None = None

    def look(self) -> Frame:
        """Return the run as it is now, or as it was while its store is away.

        Raises:
            NotFound: It was deleted.
            StoreError: It cannot be read; while a store that was there is away, that is no reason.
        """
        try:
            self._last = self._look()
        except StoreUnavailable as error:
            if self._last is None:
                raise
            self._last = replace(self._last, at=time.time(), problem=str(error))
        return self._last

    def _look(self) -> Frame:
        from tracklib.reading import StoredRun, with_live_status

        with self._store.one_look():
            run = StoredRun(self._store, with_live_status(self._store.run(self._run)))
            summaries = sorted((each for each in run.metrics.values() if self._is_shown(each.name)), key=self._order)
            series = {}
            for summary in summaries[: self._drawn]:
                state = (summary.count, summary.last_step, summary.last_time)
                known = self._series.get(summary.name)
                if known is None or known[0] != state:
                    known = self._series[summary.name] = (state, run.series(summary.name))
                series[summary.name] = known[1]
        return Frame(at=time.time(), info=run.info, summaries=tuple(summaries), series=series)

    def _is_shown(self, name: str) -> bool:
        if self._globs:
            return any(fnmatchcase(name, glob) for glob in self._globs)
        return not name.startswith("system/")

    def _order(self, summary: Summary) -> tuple[int, str]:
        primary = list(self._primary)
        return (primary.index(summary.name) if summary.name in primary else len(primary), summary.name)


def frame_as_json(frame: Frame) -> dict[str, Any]:
    """Return what `--json` prints of a frame; `docs/reference/cli.md` lists the keys."""
    return {
        "time": frame.at,
        "id": frame.info.id,
        "project": frame.info.project,
        "experiment": frame.info.experiment,
        "name": frame.info.name,
        "status": str(frame.info.status),
        "reason": frame.info.reason,
        "elapsed": frame.elapsed,
        "step": frame.step,
        "heartbeat_at": frame.info.heartbeat_at,
        "metrics": summaries_by_name(frame.summaries),
        "problem": frame.problem or None,
    }
