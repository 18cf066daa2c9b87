"""Tables that fit, plain text in pipes, JSON that every reader takes."""

from __future__ import annotations

import io
import json
import math
import sys
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from tracklib.cli import output
from tracklib.cli.output import Column
from tracklib.model import RunStatus, Summary

if TYPE_CHECKING:
    import pytest

COLUMNS = st.lists(
    st.builds(Column, title=st.just("t"), rank=st.integers(0, 9), least=st.sampled_from([0, 4, 10])),
    min_size=1,
    max_size=8,
)


@given(COLUMNS, st.data(), st.integers(0, 200))
def test_columns_fit(columns: list[Column], data: st.DataObject, room: int) -> None:
    """The chosen widths fit the room, unless only columns are left that must stay; none is cut below its least."""
    natural = data.draw(st.lists(st.integers(1, 60), min_size=len(columns), max_size=len(columns)))

    widths = output._fit(columns, natural, room)

    fits = sum(widths.values()) + 2 * (len(widths) - 1) <= room
    assert fits or not widths or all(columns[index].rank == 9 for index in widths)
    for index, width in widths.items():
        least = columns[index].least or natural[index]
        assert min(least, natural[index]) <= width <= natural[index]


def test_least_columns_go_first() -> None:
    """Flexible columns of low rank shrink first; then columns of low rank go."""
    columns = [Column(title="a", rank=9), Column(title="b", rank=2, least=5), Column(title="c", rank=4)]

    assert output._fit(columns, [10, 10, 10], 30) == {0: 10, 1: 6, 2: 10}
    assert output._fit(columns, [10, 10, 10], 22) == {0: 10, 2: 10}
    assert output._fit(columns, [10, 10, 10], 5) == {0: 10}


def test_table_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    """Off a terminal nothing is cut, wide characters count double, and empty columns are left out."""
    columns = [Column(title="name", least=4), Column(title="none"), Column(title="value", right=True)]

    output.table(columns, [["損失" * 50, "", "1"], ["b", "", "22"]], indent=2)

    first, second, third = capsys.readouterr().out.splitlines()
    assert first == "  name" + " " * 198 + "value"
    assert second == "  " + "損失" * 50 + "      1"
    assert third == "  b" + " " * 204 + "22"


def test_markup_and_escapes_are_text(capsys: pytest.CaptureFixture[str]) -> None:
    """What looks like markup or an escape sequence is shown as it is."""
    output.pairs([("[red]name[/]", "\x1b[31mred\nsecond :smile:")])

    assert capsys.readouterr().out == "  [red]name[/]  \\x1b[31mred\n                second :smile:\n"


def test_output_that_knows_ascii_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the output cannot say a character, a question mark stands for it, and JSON is escaped."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii", write_through=True))

    output.line("損失 ✔")
    output.print_json({"name": "損失"})

    lines = raw.getvalue().decode("ascii").split("\n", 1)
    assert lines[0] == "?? ?"
    assert json.loads(lines[1]) == {"name": "損失"}


def test_json_of_the_model() -> None:
    """Entities become objects, enumerations words, and numbers that JSON lacks texts."""
    summary = Summary(
        name="a", last=math.nan, min=-math.inf, max=math.inf, mean=1, count=1, first_step=0, last_step=0, last_time=0
    )

    told = output.plain({"status": RunStatus.KILLED, 1: (summary,)})

    assert told["status"] == "killed"
    assert [told["1"][0][key] for key in ("last", "min", "max")] == ["NaN", "-Infinity", "Infinity"]
    json.dumps(told, allow_nan=False)
