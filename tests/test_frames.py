"""Columns as the frames of pandas, Polars and Arrow: types, what is missing, and what no type holds."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracklib.frames import FrameColumn, arrow_table, column_of, pandas_frame, polars_frame, time_column
from tracklib.values import jsonable, restore

KINDS: dict[str, tuple[list[Any], str, str, str]] = {
    "whole": ([1, 2], "int64", "Int64", "int64"),
    "whole, some missing": ([1, None], "Int64", "Int64", "int64"),
    "fractions": ([0.5, None], "float64", "Float64", "double"),
    "whole and fractions": ([1, 0.5], "float64", "Float64", "double"),
    "flags": ([True, False], "bool", "Boolean", "bool"),
    "flags, some missing": ([True, None], "boolean", "Boolean", "bool"),
    "text": (["a", None], "str", "String", "string"),
    "nothing": ([None, None], "object", "String", "string"),
    "mixed": ([1, "a"], "object", "String", "string"),
    "flags and numbers": ([True, 1], "object", "String", "string"),
    "beyond 64 bits": ([2**70, 1], "object", "String", "string"),
    "beyond what floats tell apart": ([2**60 + 1, 0.5], "object", "String", "string"),
    "lists": ([[1, 2], None], "object", "String", "string"),
    "foreign objects": ([{"$repr": "<Optimizer>", "$type": "x.Y"}, None], "str", "String", "string"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_column_has_the_most_natural_type(kind: str) -> None:
    """In each library."""
    values, pandas, polars, arrow = KINDS[kind]
    column = column_of("x", values)

    # Before version 3 pandas has no type of its own for text.
    found = str(pandas_frame([column])["x"].dtype)
    assert found == pandas or (pandas == "str" and found == "object")
    assert str(polars_frame([column])["x"].dtype) == polars
    assert str(arrow_table([column]).schema.types[0]) == arrow


def test_mixed_values_become_text_that_can_be_read() -> None:
    """And stay what they are in pandas."""
    column = column_of("x", [1, "a", 2**70, [1, {"b": None}], None, True, math.inf, "\ud800"])

    expected = ["1", "a", str(2**70), '[1, {"b": null}]', None, "true", "inf", "\\ud800"]
    assert arrow_table([column])["x"].to_pylist() == expected
    assert polars_frame([column])["x"].to_list() == expected
    assert pandas_frame([column])["x"].tolist()[:4] == [1, "a", 2**70, [1, {"b": None}]]


def test_nan_is_a_value_and_none_is_not() -> None:
    """Where the library tells them apart."""
    column = column_of("x", [math.nan, None])

    assert arrow_table([column])["x"].null_count == 1
    assert polars_frame([column])["x"].null_count() == 1
    assert pandas_frame([column])["x"].isna().tolist() == [True, True]


def test_moments_are_in_utc_and_may_be_missing() -> None:
    """To the microsecond; what is no moment of any calendar is missing too."""
    column = time_column("at", [1.5, None, math.nan, 1e300, -1.0])

    assert [moment and moment.timestamp() for moment in arrow_table([column])["at"].to_pylist()] == [
        1.5,
        None,
        None,
        None,
        -1.0,
    ]
    assert pandas_frame([column])["at"].isna().tolist() == [False, True, True, True, False]
    assert polars_frame([column])["at"].null_count() == 3
    assert str(pandas_frame([column])["at"].dtype) == "datetime64[us, UTC]"


def test_a_frame_without_rows_has_its_columns() -> None:
    """And their types."""
    columns = [FrameColumn("a", "integer", []), time_column("b", []), FrameColumn("c", "number", [])]

    assert list(pandas_frame(columns)) == polars_frame(columns).columns == arrow_table(columns).column_names
    assert [str(kind) for kind in arrow_table(columns).schema.types] == ["int64", "timestamp[us, tz=UTC]", "double"]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@settings(deadline=None)
@given(st.lists(anything, max_size=6))
def test_no_param_is_too_odd_for_a_frame(values: list[Any]) -> None:
    """Whatever params hold, there is a table with a row for each."""
    column = column_of("x", restore(jsonable(values)))

    assert len(arrow_table([column])) == len(polars_frame([column])) == len(pandas_frame([column])) == len(values)


@pytest.mark.parametrize(
    ("library", "method", "install"),
    [
        ("pandas", "to_pandas", r"tracklib-ml\[analysis\]"),
        ("polars", "to_polars", "pip install polars"),
        ("pyarrow", "to_arrow", r"tracklib-ml\[tables\]"),
    ],
)
def test_a_missing_library_is_said(library: str, method: str, install: str) -> None:
    """With what to install."""
    function = {"pandas": "pandas_frame", "polars": "polars_frame", "pyarrow": "arrow_table"}[library]
    program = (
        f"import sys; sys.modules[{library!r}] = None\n"
        "from tracklib.errors import MissingDependency\n"
        f"from tracklib.frames import {function}\n"
        f"try: {function}([])\n"
        "except MissingDependency as error: print(error)"
    )

    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.startswith(f"{method} needs {library}: ")
    assert install.replace("\\", "") in done.stdout
