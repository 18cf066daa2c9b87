"""Spans of time as people read them."""

from __future__ import annotations

import math

import pytest

from tracklib.durations import duration_text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 ms"),
        (0.9999, "1.0s"),
        (59.96, "1m 00s"),
        (3599.6, "1h 00m"),
        (86_399.9, "1d 00h"),
        (1e7, "115d 17h"),
        (math.nan, "-"),
        (None, "-"),
        (-5, "0 ms"),
    ],
)
def test_durations(seconds: float | None, text: str) -> None:
    """Spans are rounded before they are split, so that none has 60 seconds."""
    assert duration_text(seconds) == text
