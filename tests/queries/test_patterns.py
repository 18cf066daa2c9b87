"""Patterns of texts."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracklib.queries.patterns import compiled, like, matches
from tracklib.queries.times import read_date, read_duration


def is_like(text: str, pattern: str) -> bool:
    """Compare in the plainest way there is."""
    if not pattern:
        return not text
    if pattern[0] == "%":
        return any(is_like(text[at:], pattern[1:]) for at in range(len(text) + 1))
    return bool(text) and pattern[0] in {"_", text[0]} and is_like(text[1:], pattern[1:])


@settings(max_examples=500)
@given(st.text("ab.\n", max_size=6), st.text("ab%_.\n", max_size=6))
def test_like_is_what_sql_means_by_it(text: str, pattern: str) -> None:
    """A percent sign is any text, an underscore any one character, and everything else itself."""
    assert like(pattern, text) == is_like(text, pattern)


def test_no_pattern_takes_forever() -> None:
    """Of several percent signs each is settled where it fits first."""
    assert not like("%a" * 500 + "%b", "a" * 5000)


@pytest.mark.parametrize("expression", ["(a+)+", "(a*)*b", "((a+)b?)*", "(a|ab)*", "(?:x{2,}){3,}", "(?P<n>(a)+)+"])
def test_what_may_take_forever_is_refused(expression: str) -> None:
    """A repeat within a repeat, and a choice within one."""
    with pytest.raises(ValueError, match="may take forever"):
        compiled(expression)


@pytest.mark.parametrize("expression", ["^lr-[0-9]+$", "(foo|bar)", "(a{3})+", "a+b+c*", "(?i)x", "[ab]*", "(?=a+)b"])
def test_others_are_taken(expression: str) -> None:
    """What people write is nearly always harmless."""
    assert compiled(expression)


@pytest.mark.parametrize(
    ("expression", "said"), [("(", "missing"), ("a" * 1001, "characters"), ("a" * 900 + "[", "unterminated")]
)
def test_what_is_no_expression_is_refused(expression: str, said: str) -> None:
    """It is said why, and nothing else is raised."""
    with pytest.raises(ValueError, match=said):
        compiled(expression)


def test_of_a_long_text_the_beginning_counts() -> None:
    """A regular expression looks at 10,000 characters."""
    assert matches("b", "a" * 9_999 + "b")
    assert not matches("b", "a" * 10_000 + "b")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("2h30m", 9000), ("1.5d", 129_600), ("1w 2d", 777_600), ("500ms", 0.5), ("5 min", 300), ("1H", 3600)],
)
def test_durations(text: str, seconds: float) -> None:
    """Numbers with units, one behind the other."""
    assert read_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "h", "2x", "-1h", "1h,2m", "1e3s", "9" * 400 + "s", "1h 2"])
def test_what_is_no_duration(text: str) -> None:
    """A number without a unit, a unit without a number, and anything between them."""
    with pytest.raises(ValueError, match=r"is no duration|longer than any"):
        read_duration(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1970-01-02", 86_400), ("1970-01-01 00:01", 60), ("1970-01-01T00:00:00Z", 0), ("1970-01-01T00:00-01:00", 3600)],
)
def test_dates(text: str, seconds: float) -> None:
    """ISO 8601; without a time zone it is UTC."""
    assert read_date(text) == seconds
