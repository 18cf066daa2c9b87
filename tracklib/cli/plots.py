"""Lines drawn in characters: each is eight dots of Braille, two across and four down."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    Point = tuple[int, int]

__all__ = ["braille_plot"]

_BLANK: Final = 0x2800
_DOTS: Final = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))


def braille_plot(xs: Sequence[float] | Any, ys: Sequence[float] | Any, *, width: int, height: int) -> list[str]:
    """Draw a line through points, as `height` texts of `width` characters. What is no number leaves a gap.

    Where several points share a column of dots, the lowest and the highest of them are drawn.

    Args:
        xs: In rising order, as a list or an array.
        ys: One for each of them.

    Example:
        >>> braille_plot([0, 1, 2], [0, 1, 2], width=2, height=1)
        ['⡠⠎']
        >>> braille_plot([0, 1, 2, 3], [1, float("nan"), float("nan"), 1], width=2, height=1)
        ['⠄⠠']
    """
    grid = [[0] * width for _ in range(height)]
    for stroke in _strokes(xs, ys, width * 2, height * 4):
        for across, down in _joined(stroke):
            grid[down // 4][across // 2] |= _DOTS[across % 2][down % 4]
    return ["".join(chr(_BLANK + dots) if dots else " " for dots in row) for row in grid]


def _strokes(xs: Any, ys: Any, columns: int, rows: int) -> Iterator[list[Point]]:
    """Yield the lines between gaps as dots to be joined."""
    import numpy as np

    xs, ys = np.asarray(xs, dtype=np.float64), np.asarray(ys, dtype=np.float64)
    finite = np.isfinite(ys)
    if not finite.any():
        return
    # Halved, since the range itself may be more than a float can be.
    low, high = float(ys[finite].min()) / 2, float(ys[finite].max()) / 2
    begin, span = float(xs[0]), float(xs[-1]) - float(xs[0])
    across = np.zeros(len(xs), dtype=np.int64) if span <= 0 else np.rint((xs - begin) / span * (columns - 1))
    edges = np.searchsorted(across, np.arange(columns + 1)).tolist()
    stroke: list[Point] = []
    for column in range(columns):
        part = slice(edges[column], edges[column + 1])
        known, values = finite[part], ys[part]
        if len(known) and not known.any():
            yield stroke
            stroke = []
        for value in _extremes(values[known]):
            stroke.append((column, _down(value / 2, low, high, rows)))
    yield stroke


def _extremes(values: Any) -> list[float]:
    """Return the lowest and the highest value in the order in which they come."""
    if not len(values):
        return []
    first, second = sorted((int(values.argmin()), int(values.argmax())))
    return [float(values[first]), float(values[second])]


def _down(value: float, low: float, high: float, rows: int) -> int:
    # What differs by rounding only is level.
    if high - low <= 1e-12 * max(abs(low), abs(high)):
        return rows // 2
    return math.floor((high - value) / (high - low) * (rows - 1) + 0.5)


def _joined(stroke: Sequence[Point]) -> Iterator[Point]:
    """Yield the dots of a line through some dots."""
    before: Point | None = None
    for point in stroke:
        steps = 0 if before is None else max(abs(point[0] - before[0]), abs(point[1] - before[1]))
        for step in range(1, steps + 1):
            share = step / steps
            assert before is not None
            yield tuple(round(a + (b - a) * share) for a, b in zip(before, point, strict=True))  # type: ignore[misc]
        yield point
        before = point
