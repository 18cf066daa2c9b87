"""Values as people read them."""

from __future__ import annotations

import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tracklib.cli import formats


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (-0.0, "0"),
        (1 / 3, "0.33333"),
        (-128.0, "-128"),
        (999_999.0, "999999"),
        (123_456.7, "123457"),
        (1_234_567.8, "1,234,568"),
        (-999_999_999_999.0, "-999,999,999,999"),
        (1e12, "1e12"),
        (1.7e308, "1.7e308"),
        (5e-324, "4.9407e-324"),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
    ],
)
def test_numbers(value: float, text: str) -> None:
    """Numbers of all sizes come in few characters, whole ones whole."""
    assert formats.number(value) == text


@given(st.floats(max_value=1.7e308, min_value=-1.7e308) | st.just(math.nan))
def test_numbers_stay_near(value: float) -> None:
    """What is printed is the number, to five significant digits, in a few characters."""
    text = formats.number(value)

    assert len(text) <= 16
    back = float(text.replace(",", ""))
    assert math.isnan(back) if math.isnan(value) else math.isclose(back, value, rel_tol=6e-5)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (999_600, "1 MB"),
        (25.3e9, "25.3 GB"),
        (2e18, "2e+03 PB"),
        (None, "-"),
    ],
)
def test_sizes(count: float | None, text: str) -> None:
    """Sizes take the unit that leaves at most three digits before it."""
    assert formats.size(count) == text


def test_moments() -> None:
    """The year stands where it is not this one, the clock time where it is."""
    at = time.mktime((2026, 3, 5, 14, 7, 9, 0, 0, -1))

    assert formats.when(at, now=at) == " 5 Mar 14:07"
    assert formats.when(at, now=at + 86_400 * 365) == " 5 Mar 2026"
    assert formats.when(at, full=True).startswith("2026-03-05 14:07:09")
    assert formats.when(None) == "-"


@given(st.lists(st.text("0AB", min_size=12, max_size=12), unique=True, max_size=20))
def test_short_ids(ids: list[str]) -> None:
    """Each short id begins exactly one of the ids."""
    short = formats.short_ids(ids)

    assert set(short) == set(ids)
    for name, beginning in short.items():
        assert [other for other in ids if other.startswith(beginning)] == [name]
        assert len(beginning) >= 10


@given(st.lists(st.floats(), max_size=30))
def test_sparklines(values: list[float]) -> None:
    """Whatever the values, there is one cell for each."""
    assert cell_len(formats.sparkline(values)) == len(values)


def test_level_sparkline() -> None:
    """Values that differ by rounding only are drawn as a level line."""
    assert formats.sparkline([0.1 + 0.2, 0.3, 0.3]) == "───"


@given(st.text(st.characters(codec="utf-8")))
def test_clean_text_cannot_move_the_cursor(text: str) -> None:
    """Nothing that is left is a control character, but newlines and tabs where lines may be several."""
    assert all(ord(c) >= 32 and not 127 <= ord(c) < 160 for c in formats.clean(text, line=True))
    assert all(c in "\n\t" or ord(c) >= 32 for c in formats.clean(text))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("", '""'),
        (1e-5, "1e-5"),
        (2.0, "2"),
        (math.inf, "inf"),
        ([math.nan, "é"], '[nan, "é"]'),
        ({}, "{}"),
        ({"$repr": "<Adam>", "$type": "torch.Adam"}, "<Adam>"),
    ],
)
def test_params(value: object, text: str) -> None:
    """Params are shown as one would type them."""
    assert formats.value_text(value) == text


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("system/memory/used_bytes", 2.5e9, "2.5 GB"),
        ("system/network/sent_bytes_per_s", 1500.0, "1.5 kB/s"),
        ("system/cpu/util_pct", 12.345, "12.3%"),
        ("system/cpu/proc_time_s", 75.0, "1m 15s"),
        ("system/gpu/0/temp_c", 61.0, "61 °C"),
        ("system/process/threads", 4.0, "4"),
        ("system/gpu/0/power_w", math.nan, "nan"),
        ("system/of another version", 4.5, "4.5"),
    ],
)
def test_quantities(name: str, value: float, text: str) -> None:
    """System metrics are shown in the unit that their name has; unknown ones as plain numbers."""
    assert formats.quantity(name, value) == text
