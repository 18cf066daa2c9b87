"""Many values as a histogram."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tracklib.artifacts.arrays import as_array, is_tensor
from tracklib.artifacts.content import Content, file_name
from tracklib.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["histogram_content"]

_MOST_BINS: Final = 10_000
_TINIEST: Final = 5e-324
_BLOCK: Final = 1 << 20
"""Values that are looked at together, so that a large tensor is not copied as a whole."""


def histogram_content(values: Any, name: str, *, bins: int = 64) -> Content:
    """Return the histogram of values as JSON.

    Its fields: edges (one more than counts), counts, count (of all values), nan, posinf and neginf (how many are not
    finite, which are in no bin), and min, max, mean and std of the finite ones, null where there are none. Bin i counts
    what is at least edge i and less than edge i+1; the last one has its upper edge too.

    Args:
        values: An array, a tensor, a list of them, or numbers; or a pair of counts and edges, as `numpy.histogram`
            returns it, of which min, max, mean and std are not known.
        bins: How many of one width, from the least to the greatest value.

    Raises:
        TypeError: It holds something else than real numbers.
        ConfigError: `bins` is not from 1 to 10,000, or a pair is no histogram.

    Example:
        >>> content = histogram_content([0.0, 1.0, 1.0, float("nan")], "gradients", bins=2)
        >>> content.files["gradients.histogram.json"][:44]
        b'{"edges": [0.0, 0.5, 1.0], "counts": [1, 2],'
        >>> content.metadata
        {'bins': 2, 'count': 4, 'nan': 1, 'posinf': 0, 'neginf': 0, 'min': 0.0, 'max': 1.0, 'mean': ..., 'std': ...}
    """
    if isinstance(bins, bool) or not isinstance(bins, int):
        raise TypeError(f"bins is {bins!r:.200}, but takes a whole number")
    if not 1 <= bins <= _MOST_BINS:
        raise ConfigError(f"bins is {bins}, but takes 1 to {_MOST_BINS:,}")
    drawn = _ready(values) or _counted(_arrays(values), bins)
    suffix = "json" if name.endswith(".json") else "histogram.json"
    text = json.dumps({"edges": drawn.edges, "counts": drawn.counts, **drawn.known})
    return Content({file_name(name, suffix): text.encode()}, {"bins": len(drawn.counts), **drawn.known})


class _Histogram(NamedTuple):
    edges: Sequence[float]
    counts: Sequence[float]
    known: dict[str, float | None]


def _ready(values: Any) -> _Histogram | None:
    """Return a histogram that was handed over as one; None if it is no pair of counts and edges."""
    if not isinstance(values, tuple) or len(values) != 2 or not all(hasattr(each, "__len__") for each in values):
        return None
    counts, edges = (as_array(each, part) for each, part in zip(values, ("counts", "edges"), strict=True))
    if counts.ndim != 1 or len(counts) == 0 or edges.shape != (len(counts) + 1,):
        return None
    for is_wrong, words in (
        (not _all_finite(counts) or counts.min() < 0, "has counts below 0, or such that are no numbers"),
        (not _all_finite(edges) or not (edges[1:] > edges[:-1]).all(), "has edges that do not rise"),
    ):
        if is_wrong:
            raise ConfigError(f"the histogram {words}: give counts and edges as numpy.histogram returns them")
    outside = dict.fromkeys(("nan", "posinf", "neginf"), 0)
    unknown = dict.fromkeys(("min", "max", "mean", "std"))
    return _Histogram(edges.tolist(), counts.tolist(), {"count": counts.sum().item(), **outside, **unknown})


def _all_finite(array: NDArray[Any]) -> bool:
    import numpy as np

    return bool(np.isfinite(array).all())


def _arrays(values: Any) -> list[NDArray[Any]]:
    if isinstance(values, (str, bytes, Mapping)):
        raise TypeError(f"values is {type(values).__name__}, but takes numbers, an array or a tensor")
    if hasattr(values, "__array__") or is_tensor(values):
        return [as_array(values, "values").reshape(-1)]
    parts = list(values) if isinstance(values, Iterable) else [values]
    if any(hasattr(part, "shape") for part in parts):
        return [as_array(part, f"part {index} of values").reshape(-1) for index, part in enumerate(parts)]
    return [as_array(parts, "values").reshape(-1)] if parts else []


def _counted(arrays: list[NDArray[Any]], bins: int) -> _Histogram:
    import numpy as np

    known = _known(arrays)
    if known["min"] is None or known["max"] is None:
        return _Histogram([], [], {**known, "mean": None, "std": None})
    spread = _Spread.over(known["min"], known["max"], bins)
    counts, moments = np.zeros(bins, np.int64), _Moments()
    for block in _blocks(arrays):
        scaled = block[np.isfinite(block)] / spread.scale
        part, edges = np.histogram(scaled, bins, (spread.low, spread.high))
        counts, moments = counts + part, moments.with_more(scaled)
    mean, std = moments.mean * spread.scale, math.sqrt(moments.squares / moments.number) * spread.scale
    edges *= spread.scale
    # What is very small beside the greatest value was rounded away.
    edges[0], edges[-1] = min(edges[0], known["min"]), max(edges[-1], known["max"])
    return _Histogram(edges.tolist(), counts.tolist(), {**known, "mean": mean, "std": std})


def _known(arrays: list[NDArray[Any]]) -> dict[str, float | None]:
    """Return what one look at all values tells."""
    import numpy as np

    count, nan, posinf, neginf, low, high = 0, 0, 0, 0, math.inf, -math.inf
    for block in _blocks(arrays):
        count += len(block)
        nan += int(np.isnan(block).sum())
        posinf += int(np.isposinf(block).sum())
        neginf += int(np.isneginf(block).sum())
        finite = block[np.isfinite(block)]
        low, high = min(low, float(finite.min(initial=low))), max(high, float(finite.max(initial=high)))
    numbers = {"min": None, "max": None} if low > high else {"min": low, "max": high}
    return {"count": count, "nan": nan, "posinf": posinf, "neginf": neginf, **numbers}


class _Spread(NamedTuple):
    """The range of the bins, divided by a power of two that brings it near 1, where nothing over- or underflows."""

    low: float
    high: float
    scale: float

    @classmethod
    def over(cls, low: float, high: float, bins: int) -> _Spread:
        if low == high:
            low, high = low - 0.5, high + 0.5
        scale = 2.0 ** (math.frexp(max(-low, high))[1] - 1)
        low, high = low / scale, high / scale
        narrowest = 4 * bins * max(sys.float_info.epsilon, _TINIEST / scale)
        if high - low < narrowest:  # There are not so many numbers in between.
            pad, limit = narrowest, sys.float_info.max / scale
            low, high = max(low - pad, -limit), min(high + pad, limit)
        return cls(low, high, scale)


class _Moments(NamedTuple):
    """Mean of so many values, and the sum of the squared differences from it."""

    number: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def with_more(self, values: NDArray[Any]) -> _Moments:
        if not len(values):
            return self
        mean, number = float(values.mean()), self.number + len(values)
        apart, share = mean - self.mean, len(values) / number
        squares = float(((values - mean) ** 2).sum()) + self.squares + apart * apart * self.number * share
        return _Moments(number, self.mean + apart * share, squares)


def _blocks(arrays: list[NDArray[Any]]) -> Iterator[NDArray[Any]]:
    """Yield all values in float64, so many at a time as memory has room for."""
    import numpy as np

    for array in arrays:
        for begin in range(0, len(array), _BLOCK):
            with np.errstate(over="ignore"):  # What is larger than any float64 is infinite.
                block = array[begin : begin + _BLOCK].astype(np.float64)
            yield block
