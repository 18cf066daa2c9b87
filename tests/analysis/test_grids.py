"""Tables of text that fit."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tracklib.analysis.grids import Grid, grid_html, grid_text, short_ids, shown

GRID = Grid(
    title="title",
    header=("name", "first", "second"),
    rows=(("a", "1", "2"), ("日本", "10", "20")),
    notes=("a note",),
    keep=2,
)


def test_columns_stand_below_each_other() -> None:
    """Also where characters take two places."""
    assert grid_text(GRID).splitlines() == [
        "title",
        "name  first  second",
        "a     1      2",
        "日本  10     20",
        "a note",
    ]


def test_columns_that_have_no_room_are_named() -> None:
    """Those to be kept stay, however narrow it is."""
    for width in (12, 5):
        lines = grid_text(GRID, width=width).splitlines()
        assert "name  first" in lines
        assert "noroomfor:second" in "".join(lines).replace(" ", "")


def test_html_is_escaped() -> None:
    """Wherever text stands."""
    text = grid_html(Grid(title="<t>", header=("<h>",), rows=(("<r>&",),), notes=("<n>",)))

    assert [part for part in ("<t>", "<h>", "<r>", "<n>") if part in text] == []
    assert "&lt;r&gt;&amp;" in text


@given(st.text())
def test_a_cell_is_one_short_line(text: str) -> None:
    """Whatever was recorded."""
    cell = shown(text)

    assert cell.isprintable()
    assert len(cell) <= 36


@given(st.sets(st.text(alphabet="01A", min_size=26, max_size=26), min_size=1, max_size=8))
def test_short_ids_tell_all_apart(ids: set[str]) -> None:
    """And begin as the whole ones do."""
    short = short_ids(sorted(ids))

    assert len(set(short.values())) == len(ids)
    assert all(whole.startswith(few) for whole, few in short.items())
    assert all(not other.startswith(short[whole]) for whole in ids for other in ids if other != whole)
