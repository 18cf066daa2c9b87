"""Columns of values as the frames of pandas, of Polars and of Arrow, with the most natural type that holds them all."""

from __future__ import annotations

import json
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Literal

from tracklib.errors import MissingDependency
from tracklib.values import clean_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "FrameColumn",
    "Framed",
    "arrow_table",
    "column_of",
    "pandas_frame",
    "polars_frame",
    "text_of",
    "time_column",
]

Kind = Literal["integer", "number", "flag", "text", "time", "mixed"]

_LARGEST_INTEGER: Final = 2**63
_LARGEST_WHOLE_FLOAT: Final = 2**53
_FURTHEST_S: Final = 9e12
"""Seconds from the epoch: what lies further away has no microseconds in 64 bits."""

_INSTALL: Final = {
    "pandas": "pip install 'tracklib-ml[analysis]'",
    "polars": "pip install polars",
    "pyarrow": "pip install 'tracklib-ml[tables]'",
}


@dataclass(frozen=True, slots=True)
class FrameColumn:
    """A column before it belongs to a library.

    Attributes:
        kind: integer (64 bits), number (float64), flag, text, time (seconds since the epoch, UTC), or mixed.
        values: One for each row, None where there is none; or an array of integers or numbers.
    """

    name: str
    kind: Kind
    values: Sequence[Any] | NDArray[Any]


def column_of(name: str, values: Sequence[Any]) -> FrameColumn:
    """Return a column of the most natural kind: integers stay integers, and what fits no kind is mixed.

    Integers among fractions become fractions where that changes none of them. An object that was kept by its `repr`
    is that text.

    Example:
        >>> column_of("seed", [1, None, 2]).kind, column_of("lr", [1, 0.5]).kind, column_of("x", [1, "a"]).kind
        ('integer', 'number', 'mixed')
    """
    told = [value["$repr"] if isinstance(value, dict) and "$repr" in value else value for value in values]
    return FrameColumn(name, _kind_of(told), told)


def _kind_of(values: Sequence[Any]) -> Kind:
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {str}:
        return "text"
    if kinds == {bool}:
        return "flag"
    if kinds == {int}:
        fits = all(value is None or -_LARGEST_INTEGER <= value < _LARGEST_INTEGER for value in values)
        return "integer" if fits else "mixed"
    if kinds == {float}:
        return "number"
    if kinds == {int, float}:
        fits = all(type(value) is not int or abs(value) <= _LARGEST_WHOLE_FLOAT for value in values)
        return "number" if fits else "mixed"
    return "mixed"


def time_column(name: str, times: Sequence[float | None] | NDArray[np.float64]) -> FrameColumn:
    """Return a column of moments, which are given in seconds since the epoch."""
    return FrameColumn(name, "time", times)


def text_of(value: Any) -> str | None:
    """Return any value as text: text as it is, others as JSON says them; None stays None.

    Example:
        >>> text_of("adam"), text_of(True), text_of([1, {"a": None}]), text_of(2**70), text_of(float("inf"))
        ('adam', 'true', '[1, {"a": null}]', '1180591620717411303424', 'inf')
    """
    if value is None:
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return clean_text(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=repr))


def pandas_frame(columns: Iterable[FrameColumn]) -> Any:
    """Return a data frame of pandas: missing integers and flags are NA, numbers NaN, moments NaT.

    Raises:
        MissingDependency: pandas is not installed.
    """
    pandas = _needed("pandas")
    return pandas.DataFrame({column.name: _pandas_values(pandas, column) for column in columns})


def _pandas_values(pandas: Any, column: FrameColumn) -> Any:
    values = column.values
    if column.kind == "time":
        return pandas.DatetimeIndex(_microseconds(values).view("datetime64[us]")).tz_localize("UTC")
    if hasattr(values, "dtype"):
        return values
    if column.kind == "number":
        return pandas.Series(values, dtype="float64")
    if column.kind in {"integer", "flag"} and any(value is None for value in values):
        return pandas.Series(values, dtype="Int64" if column.kind == "integer" else "boolean")
    if column.kind == "mixed" or all(value is None for value in values):
        return pandas.Series(values, dtype="object")
    return pandas.Series(values)


def polars_frame(columns: Iterable[FrameColumn]) -> Any:
    """Return a data frame of Polars: missing values are null; mixed ones are text.

    Raises:
        MissingDependency: Polars is not installed.
    """
    polars = _needed("polars")
    kinds = {"integer": polars.Int64, "number": polars.Float64, "flag": polars.Boolean}
    made = []
    for column in columns:
        if column.kind == "time":
            moments = polars.Series(column.name, _whole_microseconds(column.values), dtype=polars.Int64)
            made.append(moments.cast(polars.Datetime("us", "UTC")))
        else:
            kind = kinds.get(column.kind, polars.String)
            made.append(polars.Series(column.name, _plain_values(column), dtype=kind))
    return polars.DataFrame(made)


def arrow_table(columns: Iterable[FrameColumn]) -> Any:
    """Return a table of Arrow: missing values are null; mixed ones are text.

    Raises:
        MissingDependency: pyarrow is not installed.
    """
    arrow = _needed("pyarrow")
    kinds = {"integer": arrow.int64(), "number": arrow.float64(), "flag": arrow.bool_()}
    made = {}
    for column in columns:
        if column.kind == "time":
            made[column.name] = arrow.array(_whole_microseconds(column.values), arrow.timestamp("us", tz="UTC"))
        else:
            # Not taken from pandas: NaN is a value here, and null what is missing.
            kind = kinds.get(column.kind, arrow.string())
            made[column.name] = arrow.array(_plain_values(column), kind, from_pandas=False)
    return arrow.table(made)


def _plain_values(column: FrameColumn) -> Sequence[Any] | NDArray[Any]:
    return [text_of(value) for value in column.values] if column.kind in {"text", "mixed"} else column.values


def _microseconds(times: Sequence[float | None] | NDArray[Any]) -> NDArray[np.int64]:
    """Return moments in microseconds, as NumPy counts them; what is none is NaT."""
    import numpy as np

    seconds = np.asarray(times, dtype=np.float64)
    known = np.abs(seconds) <= _FURTHEST_S
    made = np.full(len(seconds), np.iinfo(np.int64).min)
    made[known] = np.rint(seconds[known] * 1e6)
    return made


def _whole_microseconds(times: Sequence[float | None] | NDArray[Any]) -> list[int | None]:
    import numpy as np

    none = np.iinfo(np.int64).min
    return [None if value == none else value for value in _microseconds(times).tolist()]


def _needed(name: str) -> Any:
    """Import a library.

    Raises:
        MissingDependency: It is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        method = f"to_{name.removeprefix('py')}"
        raise MissingDependency(f"{method} needs {name}: {_INSTALL[name]}") from error


class Framed(ABC):
    """What turns into a frame of any of the three libraries."""

    __slots__ = ()

    @abstractmethod
    def _columns(self) -> Iterable[FrameColumn]:
        """Return the columns of such a frame."""

    def to_pandas(self) -> Any:
        """Return a data frame of pandas.

        Raises:
            MissingDependency: pandas is not installed.
        """
        return pandas_frame(self._columns())

    def to_polars(self) -> Any:
        """Return a data frame of Polars.

        Raises:
            MissingDependency: Polars is not installed.
        """
        return polars_frame(self._columns())

    def to_arrow(self) -> Any:
        """Return a table of Arrow.

        Raises:
            MissingDependency: pyarrow is not installed.
        """
        return arrow_table(self._columns())
