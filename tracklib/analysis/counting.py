"""How many runs and experiments were made, over time."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tracklib.analysis.search import run_query
from tracklib.errors import ConfigError
from tracklib.frames import column_of, pandas_frame, time_column
from tracklib.queries.complaints import did_you_mean
from tracklib.queries.times import read_date, read_duration
from tracklib.reading import open_for_reading, with_lost
from tracklib.records import RunStatus

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping, Sequence

    from tracklib.stores.base import RunTime

__all__ = ["RunCounts", "count_runs"]

INTERVALS: Final = ("hour", "day", "week", "month")
MOST: Final = 100_000
"""So many intervals are counted at the most."""


@dataclass(frozen=True, slots=True)
class RunCounts:
    """How many runs and experiments were made in each interval, one behind the other.

    Attributes:
        per: hour, day, week (from Monday) or month.
        timezone: Whose days, weeks and months they are.
        starts: When each interval begins, in seconds since the epoch (UTC).
        end: When the last one ends.
        runs: How many runs were made in each.
        by_status: The same by what became of the runs, for each status that one of them has.
        experiments: How many experiments were made in each.
    """

    per: str
    timezone: str
    starts: tuple[float, ...]
    end: float
    runs: tuple[int, ...]
    by_status: dict[str, tuple[int, ...]]
    experiments: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.starts)

    def __str__(self) -> str:
        from datetime import UTC, datetime
        from zoneinfo import ZoneInfo

        from tracklib.analysis.grids import Grid, grid_text

        zone = UTC if self.timezone == "UTC" else ZoneInfo(self.timezone)
        header = (f"{self.per} ({self.timezone})", "runs", *self.by_status, "experiments")
        columns = (self.runs, *self.by_status.values(), self.experiments)
        rows = (
            (f"{datetime.fromtimestamp(start, zone):%Y-%m-%d %H:%M}", *map(str, counts))
            for start, *counts in zip(self.starts, *columns, strict=True)
        )
        title = f"runs: {sum(self.runs):,}, experiments: {sum(self.experiments):,}"
        return grid_text(Grid(title=title, header=header, rows=tuple(rows)))

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as plain data."""
        return {
            "per": self.per,
            "timezone": self.timezone,
            "starts": list(self.starts),
            "end": self.end,
            "runs": list(self.runs),
            "by_status": {status: list(counts) for status, counts in self.by_status.items()},
            "experiments": list(self.experiments),
        }

    def to_pandas(self) -> Any:
        """Return a data frame with the columns start (UTC), runs, experiments, and one for each status.

        Raises:
            MissingDependency: pandas is not installed.
        """
        columns = [time_column("start", list(self.starts)), column_of("runs", list(self.runs))]
        columns.append(column_of("experiments", list(self.experiments)))
        columns += [column_of(status, list(counts)) for status, counts in self.by_status.items()]
        return pandas_frame(columns)


def count_runs(  # noqa: PLR0913 - each is a way to narrow the count down, and most need one or two
    filter: str = "",  # noqa: A002 - as in `search_runs`
    *,
    per: str = "day",
    since: str | float | datetime | None = None,
    until: str | float | datetime | None = None,
    timezone: str = "UTC",
    project: str | None = None,
    experiment: str | None = None,
    status: str | Iterable[str] | None = None,
    tags: Mapping[str, str] | None = None,
    archived: bool | None = None,
    store: str | os.PathLike[str] | None = None,
) -> RunCounts:
    """Count the runs and experiments that were made in each hour, day, week or month.

    Args:
        filter: Only runs for which this expression holds; see `search_runs`. Experiments are counted whatever it says.
        per: hour, day, week (from Monday) or month.
        since: From which interval on: a date (`2026-11-01`), how long ago (`30d`), or seconds since the epoch; by
            default from the first run or experiment on.
        until: Up to which moment, which is not counted any more; now by default.
        timezone: Whose days, weeks and months are meant, such as `Europe/Berlin`.
        project: Only runs and experiments of this project.
        experiment: Only runs of experiments of this name, and those experiments.
        status: Only runs with this status, or one of these.
        tags: Only runs with all of these tags.
        archived: Whether archived runs and experiments are meant, or the others; both by default.
        store: URI of the store; by default the one that runs go to.

    Raises:
        FilterError: The filter cannot be understood.
        NotFound: There is no store.
        ConfigError: Something else cannot be meant.

    Example:
        >>> with tracklib.start_run(project="digits"):
        ...     pass
        >>> counts = tracklib.count_runs(per="week", since="14d")
        >>> len(counts), counts.runs[-1], counts.by_status["completed"][-1]
        (3, 1, 1)
    """
    if per not in INTERVALS:
        raise ConfigError(f"per is {per!r:.200}, but takes one of {', '.join(INTERVALS)}")
    zone, now = _zone(timezone), datetime.now(UTC).timestamp()
    begin = None if since is None else _moment("since", since, now)
    end = now if until is None else _moment("until", until, now)
    query = run_query(filter, status=status, tags=tags, project=project, experiment=experiment, archived=archived)
    opened = open_for_reading(store)
    with opened.one_look():
        times = opened.run_times(with_lost(opened, query, always=True))
        made = [
            each.created_at
            for each in opened.experiments(project, archived=archived)
            if experiment is None or each.name == experiment
        ]
    starts = _starts(per, zone, begin, end, [*(time.created_at for time in times), *made])
    return _counted(per, timezone, (starts, end), times, made)


def _zone(name: Any) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError):
        from zoneinfo import available_timezones

        hint = did_you_mean(str(name), available_timezones())
        raise ConfigError(f"timezone is {name!r:.200}, but takes a name such as 'Europe/Berlin'{hint}") from None


def _moment(name: str, value: Any, now: float) -> float:
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e11:
        return float(value)
    for read, sign in ((read_date, 0), (read_duration, -1)):
        try:
            return now - read_duration(value) if sign else read(value)
        except (ValueError, OverflowError, TypeError, AttributeError):
            continue
    raise ConfigError(f"{name} is {value!r:.200}, but takes a date such as '2026-11-01', or how long ago, as '30d'")


def _starts(per: str, zone: tzinfo, begin: float | None, end: float, made: Sequence[float]) -> list[float]:
    """Return when the intervals begin, from the one of the first moment to the one that the end is in."""
    first = min((at for at in made if at < end), default=end) if begin is None else begin
    starts: list[float] = []
    start = _floor(per, datetime.fromtimestamp(first, zone))
    while (at := start.timestamp()) < end:
        starts.append(at)
        if len(starts) > MOST:
            raise ConfigError(f"there are more than {MOST:,} intervals: count per day or month, or give since")
        start = _next(per, start)
    return starts


def _floor(per: str, moment: datetime) -> datetime:
    start = moment.replace(minute=0, second=0, microsecond=0)
    if per == "hour":
        return start
    start = start.replace(hour=0, fold=0)
    if per == "week":
        return start - timedelta(days=start.weekday())
    return start.replace(day=1) if per == "month" else start


def _next(per: str, start: datetime) -> datetime:
    if per == "hour":
        # Where clocks are set back an hour comes twice: only UTC knows the next one.
        return (start.astimezone(UTC) + timedelta(hours=1)).astimezone(start.tzinfo)
    if per == "month":
        return start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
    return start + timedelta(days=7 if per == "week" else 1)


def _counted(
    per: str, timezone: str, span: tuple[list[float], float], times: Sequence[RunTime], made: Sequence[float]
) -> RunCounts:
    starts, end = span

    def place(at: float) -> int | None:
        return bisect_right(starts, at) - 1 if starts and starts[0] <= at < end else None

    counts: dict[str, Counter[int]] = {}
    for time in times:
        at = place(time.created_at)
        if at is not None:
            counts.setdefault(str(time.status), Counter())[at] += 1
    experiments = Counter(at for each in made if (at := place(each)) is not None)
    row = range(len(starts))
    return RunCounts(
        per=per,
        timezone=timezone,
        starts=tuple(starts),
        end=end,
        runs=tuple(sum(count[at] for count in counts.values()) for at in row),
        by_status={str(status): tuple(counts[status][at] for at in row) for status in RunStatus if status in counts},
        experiments=tuple(experiments[at] for at in row),
    )
