"""Many points in few buckets, exactly: no point is left out, and none is made up.

What holds for each way to cut:

- A point is in one bucket, and buckets in which no point would be are left out.
- NaN is counted, and takes no part in the lowest, the highest and the mean value; a bucket of nothing else has NaN
  for all three. Infinities take part as the numbers that they are: a mean of both infinities is NaN.
- The mean is never outside the lowest and the highest value, and does not overflow where these do not.
- Steps may be negative, repeated, and as far apart as 64 bits allow.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from tracklib.errors import ConfigError
from tracklib.frames import FrameColumn, Framed, time_column
from tracklib.records import SeriesPoints

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "Aggregate",
    "BucketBy",
    "Buckets",
    "bucket_points",
    "checked_aggregate",
    "checked_by",
    "checked_count",
    "reduce_points",
]

BucketBy = Literal["step", "time", "points"]
"""What buckets share evenly: the steps from the first to the last, the time likewise, or the points."""

Aggregate = Literal["mean", "min", "max", "avg", "last"]
"""Which value stands for those of a bucket; avg is mean."""

_AGGREGATES: Final[tuple[str, ...]] = get_args(Aggregate)
_WAYS: Final[tuple[str, ...]] = get_args(BucketBy)
_MOST_BUCKETS: Final = 2**53


@dataclass(frozen=True, slots=True, kw_only=True)
class Buckets(Framed):
    """The points of a series in buckets, each `(n,)`, in the order of what they were cut by.

    As a frame they have a row for each bucket: first_step, last_step, first_time, last_time, count, ….

    Attributes:
        name: Of the metric.
        by: What the buckets share evenly: step, time or points.
        first_steps: int64, the lowest step in each bucket.
        last_steps: int64, the highest one.
        first_times: float64, the earliest time in each bucket, in seconds since the epoch (UTC).
        last_times: float64, the latest one.
        counts: int64, how many points there are in it, NaN included: 1 or more.
        nan_counts: int64, how many of them are NaN.
        min: float64, the lowest value that is no NaN; NaN where there is none.
        max: float64, the highest such value.
        mean: float64, the mean of such values.
        last: float64, the value of its last point, which may be NaN.
    """

    name: str
    by: BucketBy
    first_steps: NDArray[np.int64]
    last_steps: NDArray[np.int64]
    first_times: NDArray[np.float64]
    last_times: NDArray[np.float64]
    counts: NDArray[np.int64]
    nan_counts: NDArray[np.int64]
    min: NDArray[np.float64]
    max: NDArray[np.float64]
    mean: NDArray[np.float64]
    last: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.counts)

    def __repr__(self) -> str:
        return f"<Buckets of {self.name!r}: {len(self)} by {self.by}, of {int(self.counts.sum())} points>"

    def to_dict(self) -> dict[str, Any]:
        """Return name, by, and the arrays as lists."""
        arrays = {array: getattr(self, array).tolist() for array in _ARRAYS}
        return {"name": self.name, "by": self.by, **arrays}

    def _columns(self) -> Iterator[FrameColumn]:
        for array in _ARRAYS:
            # A column is named for what stands in one row.
            name = array.removesuffix("s") if array not in _SINGULAR else array
            values = getattr(self, array)
            if name.endswith("time"):
                yield time_column(name, values)
            else:
                yield FrameColumn(name, "integer" if values.dtype.kind == "i" else "number", values)


_ARRAYS: Final = tuple(f.name for f in fields(Buckets) if f.name not in {"name", "by"})
_SINGULAR: Final = {"min", "max", "mean", "last"}


def bucket_points(name: str, points: SeriesPoints, *, count: int, by: BucketBy) -> Buckets:
    """Put points into buckets.

    Args:
        count: How many buckets at the most.

    Raises:
        ConfigError: A time is no number, and the buckets are cut by time.
    """
    import numpy as np

    steps, times, values = ordered = _ordered(points, by)
    starts = _starts(ordered, count=count, by=by)
    counts = np.diff(starts, append=len(values))
    nan_counts = _reduced(np.add, np.isnan(values).astype(np.int64), starts)
    low, high = _reduced(np.fmin, values, starts), _reduced(np.fmax, values, starts)
    return Buckets(
        name=name,
        by=by,
        first_steps=_reduced(np.minimum, steps, starts),
        last_steps=_reduced(np.maximum, steps, starts),
        first_times=_reduced(np.minimum, times, starts),
        last_times=_reduced(np.maximum, times, starts),
        counts=counts,
        nan_counts=nan_counts,
        min=low,
        max=high,
        mean=np.clip(_means(values, starts, counts - nan_counts), low, high),
        last=values[starts + counts - 1],
    )


def reduce_points(points: SeriesPoints, *, count: int, by: BucketBy, aggregate: Aggregate) -> SeriesPoints:
    """Return one point for each bucket: with the step and time of its last point, or of the point that was chosen.

    Args:
        count: How many points at the most.

    Raises:
        ConfigError: A time is no number, and the buckets are cut by time.
    """
    import numpy as np

    steps, times, values = ordered = _ordered(points, by)
    starts = _starts(ordered, count=count, by=by)
    counts = np.diff(starts, append=len(values))
    chosen = starts + counts - 1
    if aggregate in {"min", "max"}:
        best = _reduced(np.fmin if aggregate == "min" else np.fmax, values, starts)
        hits = np.flatnonzero(values == np.repeat(best, counts))
        if len(hits):
            first = hits[np.minimum(np.searchsorted(hits, starts), len(hits) - 1)]
            # A bucket of NaN alone has no hit.
            chosen = np.where((first >= starts) & (first <= chosen), first, chosen)
        return SeriesPoints(steps[chosen], times[chosen], values[chosen])
    if aggregate == "last":
        return SeriesPoints(steps[chosen], times[chosen], values[chosen])
    low, high = _reduced(np.fmin, values, starts), _reduced(np.fmax, values, starts)
    known = counts - _reduced(np.add, np.isnan(values).astype(np.int64), starts)
    return SeriesPoints(steps[chosen], times[chosen], np.clip(_means(values, starts, known), low, high))


def _ordered(points: SeriesPoints, by: BucketBy) -> SeriesPoints:
    """Return points in the order of what they are cut by; those of one step or time stay as they came."""
    import numpy as np

    key = points.times if by == "time" else points.steps
    if by == "points" or len(key) < 2 or not (key[1:] < key[:-1]).any():
        return points
    order = np.argsort(key, kind="stable")
    return SeriesPoints(points.steps[order], points.times[order], points.values[order])


def _reduced(function: np.ufunc, values: NDArray[Any], starts: NDArray[np.intp]) -> NDArray[Any]:
    reduced: NDArray[Any] = function.reduceat(values, starts) if len(starts) else values[:0]
    return reduced


def _means(values: NDArray[np.float64], starts: NDArray[np.intp], known: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mean of what is no NaN; by rounding it may lie beside all of the values.

    Args:
        known: How many values of each bucket are no NaN.
    """
    import numpy as np

    nan = np.isnan(values)
    if nan.any():
        values = np.where(nan, 0.0, values)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        means: NDArray[np.float64] = _reduced(np.add, values, starts) / known
        retried = ~np.isfinite(means) & (known > 0)
        if retried.any():
            # A sum may overflow where the mean does not.
            share = np.repeat(np.maximum(known, 1), np.diff(starts, append=len(values)))
            means = np.where(retried, _reduced(np.add, values / share, starts), means)
    return means


def _starts(points: SeriesPoints, *, count: int, by: BucketBy) -> NDArray[np.intp]:
    """Return where in the points, which are in order, each bucket begins."""
    import numpy as np

    steps = points.steps
    if not len(steps):
        return np.zeros(0, np.intp)
    if by == "points":
        numbers = _shares(np.arange(len(steps), dtype=np.uint64), len(steps), count)
    elif by == "step":
        # The difference of two numbers of 64 bits is one without a sign, whatever overflows on the way.
        offsets = steps.view(np.uint64) - np.uint64(int(steps[0]) % 2**64)
        numbers = _shares(offsets, int(steps[-1]) - int(steps[0]) + 1, count)
    else:
        numbers = _time_shares(points.times, count)
    changes = np.flatnonzero(numbers[1:] != numbers[:-1]) + 1
    return np.concatenate([np.zeros(1, np.intp), changes])


def _shares(offsets: NDArray[np.uint64], whole: int, count: int) -> NDArray[Any]:
    """Return which of `count` equal parts of `whole` each offset lies in, in whole numbers and so exactly."""
    import numpy as np

    if whole * count < 2**64:
        shares: NDArray[np.uint64] = offsets * np.uint64(count) // np.uint64(whole)
        return shares
    exact: NDArray[Any] = offsets.astype(object) * count // whole
    return exact


def _time_shares(times: NDArray[np.float64], count: int) -> NDArray[Any]:
    import numpy as np

    if not np.isfinite(times).all():
        raise ConfigError("a point of this series has no time, so that by='time' cannot place it: take by='step'")
    # Halved, since the whole may be more than a float can be.
    first, last = times[0] / 2, times[-1] / 2
    if last == first:
        return np.zeros(len(times))
    shares: NDArray[np.float64] = np.floor((times / 2 - first) / (last - first) * count)
    return np.minimum(shares, count - 1)


def checked_count(argument: str, count: Any) -> int:
    """Return how many buckets or points are meant.

    Raises:
        ConfigError: It is no whole number of 1 or more.
    """
    try:
        number = int(count)
        good = number == count and not isinstance(count, (bool, str)) and 1 <= number <= _MOST_BUCKETS
    except (TypeError, ValueError, OverflowError):
        good = False
    if not good:
        raise ConfigError(f"{argument} is {count!r:.200}, but takes a whole number of 1 or more")
    return number


def checked_by(by: Any) -> BucketBy:
    """Return what buckets are cut by.

    Raises:
        ConfigError: There is no such way.
    """
    if by not in _WAYS:
        raise ConfigError(f"by is {by!r:.200}, but takes one of {', '.join(_WAYS)}")
    chosen: BucketBy = by
    return chosen


def checked_aggregate(aggregate: Any) -> Aggregate:
    """Return which value stands for a bucket.

    Raises:
        ConfigError: There is no such value.
    """
    if aggregate not in _AGGREGATES:
        raise ConfigError(f"aggregate is {aggregate!r:.200}, but takes one of {', '.join(_AGGREGATES)}")
    chosen: Aggregate = aggregate
    return chosen
