"""Spans of time as people read them."""

from __future__ import annotations

import math

__all__ = ["duration_text"]


def duration_text(seconds: float | None) -> str:
    """Return a span of time in its two largest units; a dash where there is none.

    Example:
        >>> duration_text(0.012), duration_text(4.56), duration_text(75), duration_text(7_260), duration_text(None)
        ('12 ms', '4.6s', '1m 15s', '2h 01m', '-')
    """
    if seconds is None or not math.isfinite(seconds):
        return "-"
    if seconds < 0.9995:
        return f"{max(0.0, seconds) * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    for unit, length, smaller, part in (("d", 86_400, "h", 3_600), ("h", 3_600, "m", 60)):
        if whole >= length:
            return f"{whole // length}{unit} {whole % length // part:02d}{smaller}"
    return f"{whole // 60}m {whole % 60:02d}s"
