"""Lines in Braille."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracklib.cli.plots import braille_plot


def dots(text: list[str]) -> int:
    """Return how many dots are set."""
    return sum((ord(character) - 0x2800).bit_count() for row in text for character in row if character != " ")


def test_rising_line() -> None:
    """It goes from below on the left to above on the right, without a gap."""
    assert braille_plot(range(8), range(8), width=4, height=2) == ["  ⡠⠊", "⡠⠊  "]


def test_level_line() -> None:
    """What differs by rounding only is level."""
    assert braille_plot([0, 1, 2], [0.1 + 0.2, 0.3, 0.3], width=2, height=1) == ["⠤⠤"]


def test_spike_is_kept() -> None:
    """Among a million points one that stands out is drawn."""
    values = np.zeros(1_000_000)
    values[123_456] = 1

    drawn = braille_plot(np.arange(1_000_000), values, width=20, height=3)

    assert len([character for character in drawn[0] if character != " "]) == 1


@pytest.mark.parametrize("values", [[], [math.nan], [math.inf, -math.inf]])
def test_nothing_to_draw(values: list[float]) -> None:
    """Without a number the plot is empty."""
    assert braille_plot(range(len(values)), values, width=3, height=2) == ["   ", "   "]


def test_single_point() -> None:
    """One point is one dot."""
    assert dots(braille_plot([5], [1.0], width=10, height=3)) == 1


def test_whole_range_of_floats() -> None:
    """The distance between the values may be more than a float can be."""
    drawn = braille_plot([0, 1], [-1.7e308, 1.7e308], width=1, height=1)

    assert drawn == ["⡜"]


@given(
    st.lists(st.floats(), max_size=60),
    st.integers(min_value=1, max_value=12),
    st.integers(min_value=1, max_value=5),
)
def test_any_values(values: list[float], width: int, height: int) -> None:
    """Any values give a picture of that size, which is empty only where there is no number."""
    drawn = braille_plot(range(len(values)), values, width=width, height=height)

    assert [len(row) for row in drawn] == [width] * height
    assert (dots(drawn) > 0) == any(map(math.isfinite, values))
