"""What stands in charts in letters."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from tracklib.charts.text import escaped, labels, shortened, wrapped

if TYPE_CHECKING:
    from tests.charts.conftest import Record


@given(st.text())
def test_escaped_text_is_no_markup_and_says_the_same(text: str) -> None:
    """Only what cannot be printed is replaced."""
    shown = escaped(text)

    assert not re.search(r"[<>{$]|&(?!amp;|lt;|gt;|#\d+;)", shown)
    assert html.unescape(shown) == "".join(c if c.isprintable() or c == "\u200d" else " " for c in text)


@given(st.text(max_size=80), st.integers(3, 60))
def test_shortened_text_fits(text: str, most: int) -> None:
    """What fits stays as it is; of what does not, beginning and end stay."""
    short = shortened(text, most)

    assert len(short) <= most
    assert short == text if len(text) <= most else text.startswith(short.partition("…")[0])


def test_runs_of_one_name_have_their_ids(record: Record) -> None:
    """Each label is one run's alone, and a run can be found by what it says."""
    runs = [record("same"), record("same"), record("other")]
    names = labels(runs)

    assert names[runs[2].id] == "other"
    assert len(set(names.values())) == 3
    for run in runs[:2]:
        start = names[run.id].removeprefix("same (").removesuffix(")")
        assert len(start) >= 10
        assert run.id.startswith(start)


def test_long_names_that_begin_alike_are_told_apart(record: Record) -> None:
    """After they were shortened."""
    runs = [record("a" * 60 + "x" + "b" * 60), record("a" * 60 + "y" + "b" * 60)]

    assert len(set(labels(runs).values())) == 2


def test_notes_are_wrapped_and_escaped() -> None:
    """No line is longer than a chart is wide."""
    lines = wrapped(["<b> " + "word " * 60])

    assert len(lines) > 1
    assert lines[0].startswith("&lt;b&gt; word")
