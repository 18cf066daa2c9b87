"""Tables of any library: what goes in comes out, and what cannot is told by its column."""

from __future__ import annotations

import datetime as dt
import decimal
import io
import math
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from tracklib.artifacts.tables import table_content
from tracklib.errors import ConfigError

if TYPE_CHECKING:
    from tracklib.artifacts.content import Content

MOMENT = dt.datetime(2024, 2, 29, 12, 30, 15, 250_000, dt.UTC)


def stored(content: Content) -> io.BytesIO:
    (file,) = content.files.values()
    assert isinstance(file, bytes)
    return io.BytesIO(file)


def read(table: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = parquet.read_table(stored(table_content(table, "x"))).to_pylist()
    return rows


# ---- cells


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (MOMENT, MOMENT),
        (dt.date(2024, 2, 29), dt.date(2024, 2, 29)),
        (dt.timedelta(seconds=1.5), dt.timedelta(seconds=1.5)),
        (decimal.Decimal("1.50"), decimal.Decimal("1.50")),
        (b"\xff", b"\xff"),
        (None, None),
        ({"a": 1, "b": [1, 2]}, {"a": 1, "b": [1, 2]}),
        ([{"a": 1}, {"b": 2}], [{"a": 1, "b": None}, {"a": None, "b": 2}]),
        ([], []),
        (np.float32(0.5), 0.5),
        (np.datetime64("2024-02-29"), dt.date(2024, 2, 29)),
        (np.array([1, 2]), [1, 2]),
        (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (np.array(1.5), 1.5),
        (torch.tensor(1.5), 1.5),
        (torch.tensor([1.5, 2.5], requires_grad=True).bfloat16(), [1.5, 2.5]),
        (Path("a/b.png"), "a/b.png"),
        ("größe \ud800", "größe \\ud800"),
        (True, True),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_cell_may_hold_many_things(value: Any, expected: Any) -> None:
    """In rows and in columns."""
    assert read([{"a": value}, {"a": None}]) == read({"a": [value, None]}) == [{"a": expected}, {"a": None}]


def test_nan_is_a_number_and_none_is_nothing() -> None:
    """But to pandas they are the same."""
    for table in ([{"a": math.nan}, {"a": None}], {"a": [math.nan, None]}, pl.DataFrame({"a": [math.nan, None]})):
        first, second = (row["a"] for row in read(table))
        assert (math.isnan(first), second) == (True, None)
    assert read(pd.DataFrame({"a": [math.nan, None, 1.0]})) == [{"a": None}, {"a": None}, {"a": 1.0}]


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["a", "b", "größe"]), st.integers(-(1 << 63), (1 << 63) - 1) | st.none(), max_size=3
        ),
        max_size=5,
    )
)
def test_rows_come_back(rows: list[dict[str, int | None]]) -> None:
    """Whatever each of them has; what it lacks is null."""
    names = {name for row in rows for name in row}
    content = table_content(rows, "x")

    found = parquet.read_table(stored(content)).to_pylist()
    assert found == ([{name: row.get(name) for name in names} for row in rows] if names else [])
    assert set(content.metadata["columns"]) == names


@pytest.mark.parametrize(
    "values",
    [
        (1, 2),
        range(1, 3),
        {1: "x", 2: "y"}.keys(),
        (number for number in (1, 2)),
        np.array([1, 2]),
        torch.tensor([1, 2]),
        pd.Series([1, 2]),
        pl.Series([1, 2]),
        pa.array([1, 2]),
        pa.chunked_array([[1], [2]]),
    ],
    ids=lambda values: type(values).__name__,
)
def test_a_column_is_whatever_has_values(values: Any) -> None:
    """Of any library, side by side."""
    assert read({"a": values, "b": [3, 4]}) == [{"a": 1, "b": 3}, {"a": 2, "b": 4}]


@pytest.mark.parametrize(
    "values", [np.array([[1, 2], [3, 4]]), torch.tensor([[1, 2], [3, 4]])], ids=["array", "tensor"]
)
def test_a_column_of_vectors_is_one_of_lists(values: Any) -> None:
    """Such as embeddings."""
    assert read({"a": values}) == [{"a": [1, 2]}, {"a": [3, 4]}]


# ---- frames


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame({"a": pd.Categorical(["x", "y", "x"])}),
        pd.DataFrame({"a": pd.to_datetime(["2024-02-29", None])}),
        pd.DataFrame({"a": [1.5]}, index=pd.MultiIndex.from_tuples([("x", 1)], names=["k", "n"])),
        pd.DataFrame({"a": [1, 2]}, index=pd.to_datetime(["2024-01-01", "2024-01-02"])),
        pd.DataFrame({"a": pd.array([1, None], dtype="Int64"), "b": pd.array(["x", None], dtype="string")}),
        pd.DataFrame({"a": [1, 2]}, index=[5, 3]),
        pd.DataFrame({0: [1], 1: [2]}),
        pd.DataFrame({"a": []}),
    ],
    ids=str,
)
def test_a_pandas_frame_comes_back(frame: pd.DataFrame) -> None:
    """With its index and its kinds of values."""
    found = pd.read_parquet(stored(table_content(frame, "x")))

    pd.testing.assert_frame_equal(found, frame, check_freq=False)


POLARS = pl.DataFrame(
    {
        "text": ["x", None],
        "kind": pl.Series(["a", "b"], dtype=pl.Categorical),
        "small": pl.Series([1, 2], dtype=pl.UInt8),
        "when": [MOMENT, None],
        "long": [dt.timedelta(1), None],
        "list": [[1], []],
        "record": [{"a": 1}, {"a": None}],
        "nothing": [None, None],
    }
)


def test_a_polars_frame_comes_back() -> None:
    """With its kinds of values."""
    content = table_content(POLARS, "x")

    assert pl.read_parquet(stored(content)).equals(POLARS)
    assert content.metadata["rows"] == 2
    assert content.metadata["columns"]["small"] == "UInt8"
    assert parquet.read_table(stored(content)).to_pylist() == POLARS.to_dicts()


def test_a_polars_frame_needs_no_pyarrow() -> None:
    """It can write itself; for others the message says what to install."""
    program = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "import io, polars as pl\n"
        "from tracklib.artifacts.tables import table_content\n"
        "content = table_content(pl.DataFrame({'a': [1, 2]}), 'x')\n"
        "print(pl.read_parquet(io.BytesIO(content.files['x.parquet'])).to_dicts(), content.metadata)\n"
        "try: table_content(pl.DataFrame({'a': [object()]}), 'x')\n"
        "except ValueError as error: print(error)\n"
        "table_content([{'a': 1}], 'x')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert done.stdout.splitlines() == [
        "[{'a': 1}, {'a': 2}] {'rows': 2, 'columns': {'a': 'Int64'}}",
        "table 'x' cannot be kept as Parquet: column 'a' holds Python objects: convert them first, e.g. with str",
    ]
    assert "MissingDependency: log_table needs pyarrow: pip install 'tracklib-ml[tables]'" in done.stderr


@pytest.mark.parametrize(
    "table", [pa.table({"a": [1]}), pa.RecordBatch.from_pydict({"a": [1]})], ids=["table", "batch"]
)
def test_an_arrow_table_comes_back(table: Any) -> None:
    """Whole, or a part of one."""
    assert read(table) == [{"a": 1}]


def test_a_very_wide_table_is_kept_whole() -> None:
    """The metadata names the first two hundred columns, so that it stays small."""
    content = table_content({f"c{number:04}": [number] for number in range(3000)}, "wide")

    assert parquet.read_schema(stored(content)).names[-1] == "c2999"
    assert len(content.metadata["columns"]) == 200
    assert content.metadata["more_columns"] == 2800


@pytest.mark.parametrize("table", [[], (), {}, {"a": []}, [{}]], ids=repr)
def test_a_table_may_be_empty(table: Any) -> None:
    """It has no rows then, or no columns."""
    content = table_content(table, "empty")

    assert content.metadata["rows"] == 0
    assert parquet.read_table(stored(content)).num_rows == 0


def test_a_table_that_stayed_the_same_is_the_same_file() -> None:
    """So that the store keeps it once."""
    assert table_content([{"a": 1}], "x") == table_content({"a": [1]}, "x")


# ---- what cannot be kept


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            [{"a": 1, "b": 1}, {"a": 1, "b": "x"}],
            r"column 'b' mixes int \(row 0: 1\), str \(row 1: 'x'\): make them one type, e\.g\. \[str\(value\)",
        ),
        ({"a": [None, True, 1.5]}, r"column 'a' mixes bool \(row 1: True\), float \(row 2: 1\.5\)"),
        ({"a": [[1], {"b": 1}]}, r"column 'a' mixes list \(row 0: \[1\]\), dict"),
        (pd.DataFrame({"ok": [1, 2], "a": [1, "x"]}), r"column 'a' mixes int \(row 0: 1\), str"),
        ({"a": [object()]}, "column 'a' of object is not understood: .*; convert it first, e.g. with str"),
        ({"a": [1 + 2j]}, "column 'a' of complex is not understood"),
        ({"a": [1 << 70]}, "column 'a' of int is not understood: .*too large"),
        ({"a": [{"b": 1}, {"b": "x"}]}, "column 'a' of dict is not understood: .*'x'"),
        ([{"a": {}}], "column 'a' of struct<>: Cannot write struct type 'a' with no child field"),
        ({"a": [{"b": {}}]}, "column 'a' of struct<b: struct<>>"),
        ({"a": 5}, r"column 'a' is int 5, but takes a list of values; a table of one row is \[\{\.\.\.\}\]"),
        ({"a": "text"}, "column 'a' is str 'text', but takes a list"),
        ({"a": {"precision": 1.0}}, "column 'a' is dict .*, but takes a list"),
        ({"a": [1, 2], "b": [1]}, "Column 1 named b expected length 2 but got length 1"),
        ({1: [1], "1": [2]}, "two columns are called '1': rename one"),
        ([{1: 1}, {"1": 2}], "two columns are called '1': rename one"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), r"Duplicate column names found: \['a', 'a'\]"),
        (pa.table([[1], [2]], names=["a", "a"]), "two columns are called 'a': rename one"),
        (pl.DataFrame({"a": [object()]}), "column 'a' holds Python objects: convert them first"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_no_column_can_hold_is_told(table: Any, message: str) -> None:
    """By the table's and the column's name, with a value and the way out."""
    with pytest.raises(ConfigError, match=f"^table 'eval/odd' cannot be kept as Parquet: .*{message}"):
        table_content(table, "eval/odd")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (None, "table is NoneType, but takes a list of dicts"),
        ("a,b", "table is str"),
        (5, "table is int"),
        ([[1, 2]], "table is list"),
        ([{"a": 1}, None], "table is list"),
        (np.zeros((2, 2)), "table is ndarray"),
        (pd.Series([1]), r"table is Series, .*: call its to_frame\(\)"),
        (pl.Series([1]), r"table is Series, .*: call its to_frame\(\)"),
        (pl.LazyFrame({"a": [1]}), r"table is LazyFrame, .*: call its collect\(\)"),
        (({"a": each} for each in range(2)), "table is generator, .*: make it a list"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_table_is_refused(table: Any, message: str) -> None:
    """By its type, with what to do where that is known."""
    with pytest.raises(TypeError, match=message):
        table_content(table, "x")
