"""The points of one metric: a range of them, smoothed, in buckets, and as the frames of other libraries."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from tracklib.bucketing import (
    Aggregate,
    BucketBy,
    Buckets,
    bucket_points,
    checked_aggregate,
    checked_by,
    checked_count,
    reduce_points,
)
from tracklib.errors import ConfigError
from tracklib.frames import FrameColumn, Framed, time_column
from tracklib.records import SeriesPoints
from tracklib.values import as_step

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Aggregate", "BucketBy", "Buckets", "Series", "checked_aggregate"]

_STEP_LIMIT: Final = 1 << 63


@dataclass(frozen=True, slots=True)
class Series(Framed):
    """The points of one metric of one run, by step. As a frame they have the columns step, time (UTC) and value.

    Attributes:
        name: Of the metric.
        steps: `(n,)` int64.
        times: `(n,)` float64, seconds since the epoch (UTC).
        values: `(n,)` float64.
        smoothing: The weight that the values were smoothed with; 0: they are as they were logged.
        of_points: How many points these few stand for, where there were more than were asked for; else None.
        aggregate: Which value stands for many then: mean, min, max or last.
    """

    name: str
    steps: NDArray[np.int64]
    times: NDArray[np.float64]
    values: NDArray[np.float64]
    smoothing: float = 0.0
    of_points: int | None = None
    aggregate: str | None = None

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def is_reduced(self) -> bool:
        """Whether each point may stand for several."""
        return self.of_points is not None

    def between(self, first_step: int | None = None, last_step: int | None = None) -> Series:
        """Return the points of these steps, both ends included; None leaves an end open.

        Raises:
            ConfigError: A step is no whole number, or the first one is above the last.

        Example:
            >>> with tracklib.start_run() as run:
            ...     for step in range(10):
            ...         run.log({"loss": 1 / (step + 1)}, step=step)
            >>> tracklib.get_run(run).series("loss").between(3, 5).steps.tolist()
            [3, 4, 5]
        """
        first, last = _checked_step("first_step", first_step), _checked_step("last_step", last_step)
        if first is not None and last is not None and first > last:
            raise ConfigError(f"first_step is {first} and last_step is {last}: give the lower one first")
        if first is None and last is None:
            return self
        lowest = -_STEP_LIMIT if first is None else first
        highest = _STEP_LIMIT - 1 if last is None else last
        kept = (self.steps >= lowest) & (self.steps <= highest)
        return replace(self, steps=self.steps[kept], times=self.times[kept], values=self.values[kept])

    def smoothed(self, weight: float) -> Series:
        """Return the series with values that follow its course and not each turn, as TensorBoard's charts draw them.

        That is an exponential moving average, corrected for beginning at 0: each value is
        `last = last * weight + (1 - weight) * value`, divided by `1 - weight ** n`, where `n` counts the values up to
        it. NaN and infinities stay where they are and do not count; a series of one and the same value stays as it
        is.

        Args:
            weight: From 0, which changes nothing, to below 1.

        Raises:
            ConfigError: The weight is no such number.

        Example:
            >>> with tracklib.start_run() as run:
            ...     for step, loss in enumerate([1.0, 3.0, 2.0]):
            ...         run.log({"loss": loss}, step=step)
            >>> tracklib.get_run(run).series("loss").smoothed(0.5).values.round(4).tolist()
            [1.0, 2.3333, 2.1429]
        """
        checked = _checked_weight(weight)
        if checked == 0:
            return self
        return replace(self, values=_smooth(self.values, checked), smoothing=checked)

    def buckets(self, count: int, *, by: BucketBy = "step") -> Buckets:
        """Return what is in each of `count` even parts of the series: how many points, their min, max, mean and last.

        No point is left out, and parts without points are. NaN is counted apart; `Buckets` says what else holds.

        Args:
            count: How many at the most.
            by: What the parts share evenly: the steps ("step"), the time ("time") or the points ("points").

        Raises:
            ConfigError: There is no such way, or the count is no whole number of 1 or more.

        Example:
            >>> with tracklib.start_run() as run:
            ...     for step in range(10):
            ...         run.log({"loss": 10 - step}, step=step)
            >>> buckets = tracklib.get_run(run).series("loss").buckets(2)
            >>> buckets.min.tolist(), buckets.max.tolist(), buckets.mean.tolist(), buckets.counts.tolist()
            ([6.0, 1.0], [10.0, 5.0], [8.0, 3.0], [5, 5])
        """
        return bucket_points(self.name, self._points(), count=checked_count("count", count), by=checked_by(by))

    def reduced(self, max_points: int, aggregate: Aggregate = "mean", *, by: BucketBy = "step") -> Series:
        """Return at most so many points, each for all those of its bucket; a series that is short enough as it is.

        With "min", "max" and "last" these are points that were logged. A "mean" (or "avg") stands at the step and
        time of the last point that it is of. `of_points` of what is returned says of how many points it was made.

        Raises:
            ConfigError: There is no such aggregate or way, or the number is no whole one of 1 or more.

        Example:
            >>> with tracklib.start_run() as run:
            ...     for step in range(100):
            ...         run.log({"loss": 100 - step}, step=step)
            >>> few = tracklib.get_run(run).series("loss").reduced(4, "min")
            >>> few.steps.tolist(), few.values.tolist(), few.of_points
            ([24, 49, 74, 99], [76.0, 51.0, 26.0, 1.0], 100)
        """
        most, chosen, way = checked_count("max_points", max_points), checked_aggregate(aggregate), checked_by(by)
        if len(self) <= most:
            return self
        made = reduce_points(self._points(), count=most, by=way, aggregate=chosen)
        told = "mean" if chosen == "avg" else chosen
        of_points = len(self) if self.of_points is None else self.of_points
        return Series(self.name, *made, smoothing=self.smoothing, of_points=of_points, aggregate=told)

    def elapsed(self, since: float | None = None) -> NDArray[np.float64]:
        """Return how many seconds after a moment each point was logged.

        Args:
            since: Seconds since the epoch; the time of its own earliest point by default.
        """
        if since is None:
            since = float(self.times.min()) if len(self) else 0.0
        return self.times - since

    def to_dict(self) -> dict[str, Any]:
        """Return what it holds as plain values and lists."""
        return {
            "name": self.name,
            "steps": self.steps.tolist(),
            "times": self.times.tolist(),
            "values": self.values.tolist(),
            "smoothing": self.smoothing,
            "of_points": self.of_points,
            "aggregate": self.aggregate,
        }

    def _points(self) -> SeriesPoints:
        return SeriesPoints(self.steps, self.times, self.values)

    def _columns(self) -> tuple[FrameColumn, ...]:
        times = time_column("time", self.times)
        return FrameColumn("step", "integer", self.steps), times, FrameColumn("value", "number", self.values)


def _checked_step(argument: str, step: Any) -> int | None:
    try:
        return None if step is None else as_step(step)
    except (TypeError, ValueError):
        raise ConfigError(
            f"{argument} is {step!r:.200}, but takes a whole number of 64 bits, or None for no end"
        ) from None


def _checked_weight(weight: Any) -> float:
    try:
        number = float(weight)
    except (TypeError, ValueError):
        number = -1.0
    if isinstance(weight, (str, bytes)) or not 0 <= number < 1:
        raise ConfigError(
            f"the weight of smoothing is {weight!r:.200}, but takes a number from 0 (none) to below 1, such as 0.6"
        )
    return number


def _smooth(values: NDArray[np.float64], weight: float) -> NDArray[np.float64]:
    """Smooth as `classicSmoothing` does in TensorBoard's charts (webapp/widgets/line_chart_v2/data_transformer.ts)."""
    import numpy as np

    finite = np.isfinite(values)
    known = values if finite.all() else values[finite]
    if not len(known) or (len(known) == len(values) and (known == known[0]).all()):
        return values
    averages = _moving_average(known, weight)
    # 1 - weight ** n, without losing digits where the weight is next to 1.
    averages /= -np.expm1(np.arange(1, len(known) + 1) * np.log(weight))
    if len(known) == len(values):
        return averages
    smoothed = values.copy()
    smoothed[finite] = averages
    return smoothed


def _moving_average(values: NDArray[np.float64], weight: float) -> NDArray[np.float64]:
    """Return `last = last * weight + (1 - weight) * value` for each value, from 0 on.

    The values are laid out in rows. All rows are averaged at once, column by column, as if each began at 0; then
    each is given what the row before it ended with. So the loops are as long as the root of the number of values.
    """
    import numpy as np

    length = int(np.sqrt(len(values)))
    rows = -(-len(values) // length)
    padded = np.zeros(rows * length)
    np.multiply(values, 1 - weight, out=padded[: len(values)])
    columns = np.ascontiguousarray(padded.reshape(rows, length).T)
    for number in range(1, length):
        columns[number] += columns[number - 1] * weight
    decay = weight**length
    carried = itertools.accumulate(columns[-1, :-1].tolist(), lambda last, end: last * decay + end, initial=0.0)
    columns += np.outer(weight ** np.arange(1, length + 1), np.fromiter(carried, np.float64, rows))
    return columns.T.reshape(-1)[: len(values)]
