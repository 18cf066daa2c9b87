"""Tables made into Parquet files."""

from __future__ import annotations

import io
import itertools
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from tracklib.artifacts.arrays import as_array, is_tensor
from tracklib.artifacts.content import Content, file_name
from tracklib.errors import ConfigError, MissingDependency
from tracklib.values import clean_text

__all__ = ["table_content"]

_MOST_COLUMNS: Final = 200
"""Of a wider table the metadata names so many columns; the file has them all."""


def table_content(table: Any, name: str) -> Content:
    """Return a table as Parquet: a list of dicts, a dict of columns, or a pandas, polars or Arrow table.

    The index of a pandas frame is kept. None is null; NaN stays NaN, but in a pandas frame, to which they are the same.
    Tensors, arrays and paths in the cells of dicts become numbers, lists and text. What a row does not have is null.
    The metadata has the types of the columns, as Arrow calls them, or polars those of its frames.

    Raises:
        TypeError: It is none of these.
        ConfigError: Its columns differ in length, one mixes types, or two have one name.
        MissingDependency: pyarrow is not installed; a polars frame does not need it.

    Example:
        >>> content = table_content([{"label": 3, "guess": 5}, {"label": 7}], "mistakes")
        >>> list(content.files), content.metadata
        (['mistakes.parquet'], {'rows': 2, 'columns': {'label': 'int64', 'guess': 'int64'}})
    """
    _check_kind(table)
    try:
        return _by_polars(table, name) if _is_polars(table) else _by_arrow(table, name)
    except (TypeError, ValueError, ArithmeticError, RuntimeError) as error:
        raise ConfigError(f"table {name!r} cannot be kept as Parquet: {error}") from error


def _content(name: str, parquet: bytes, rows: int, types: Mapping[str, str]) -> Content:
    more = len(types) - _MOST_COLUMNS
    columns = dict(itertools.islice(types.items(), _MOST_COLUMNS))
    metadata = {"rows": rows, "columns": columns, **({"more_columns": more} if more > 0 else {})}
    return Content({file_name(name, "parquet"): parquet}, metadata)


# ---- what it is


def _check_kind(table: Any) -> None:
    is_rows = isinstance(table, Sequence) and not isinstance(table, (str, bytes))
    if _is_frame(table) or isinstance(table, Mapping) or (is_rows and all(isinstance(row, Mapping) for row in table)):
        return
    advice = {"LazyFrame": ": call its collect()", "Series": ": call its to_frame()", "generator": ": make it a list"}
    raise TypeError(
        f"table is {type(table).__name__}, but takes a list of dicts, a dict of columns, "
        f"or a table of pandas, polars or Arrow{advice.get(type(table).__name__, '')}"
    )


def _is_frame(table: Any) -> bool:
    # In this order: asking a lazy frame for its columns would compute them.
    return _is_pandas(table) or (hasattr(table, "__arrow_c_stream__") and hasattr(table, "columns"))


def _is_pandas(table: Any) -> bool:
    return hasattr(table, "iloc") and hasattr(table, "columns")


def _is_polars(table: Any) -> bool:
    return type(table).__module__.partition(".")[0] == "polars" and hasattr(table, "write_parquet")


def _check_names(names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ConfigError(f"two columns are called {name!r}: rename one")
        seen.add(name)


# ---- through Arrow


def _by_arrow(table: Any, name: str) -> Content:
    try:
        import pyarrow as pa
    except ImportError as error:
        raise MissingDependency("log_table needs pyarrow: pip install 'tracklib-ml[tables]'") from error
    arrow = _arrow(table, pa)
    _check_names(arrow.schema.names)
    return _content(name, _parquet(arrow, pa), arrow.num_rows, {field.name: str(field.type) for field in arrow.schema})


def _arrow(table: Any, pa: Any) -> Any:
    if _is_pandas(table):
        return _from_pandas(table, pa)
    if _is_frame(table):
        return pa.table(table)
    if isinstance(table, Mapping):
        columns = {name: _checked_column(name, values) for name, values in table.items()}
    else:
        # The names of all rows: Arrow alone would take those of the first.
        names = dict.fromkeys(name for row in table for name in row)
        columns = {name: [row.get(name) for row in table] for name in names}
    _check_names(str(name) for name in columns)
    return pa.table({str(name): _array(name, values, pa) for name, values in columns.items()})


def _from_pandas(table: Any, pa: Any) -> Any:
    try:
        return pa.Table.from_pandas(table)
    except (TypeError, ValueError, ArithmeticError):
        # Says of all columns which is the first that cannot be kept, in words of ours.
        for position, name in enumerate(table.columns):
            column = table.iloc[:, position]
            if column.dtype == object:
                _array(name, column.where(column.notna(), None).tolist(), pa)
        raise


def _checked_column(name: Any, values: Any) -> Any:
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
        raise ConfigError(
            f"column {name!r} is {type(values).__name__} {values!r:.100}, but takes a list of values; "
            "a table of one row is [{...}]"
        )
    return as_array(values, f"column {name!r}") if is_tensor(values) else values


def _array(name: Any, values: Any, pa: Any) -> Any:
    """Return a column as Arrow has it; a second time with plain cells where Arrow does not know them."""
    if not hasattr(values, "dtype"):
        values = list(values)
    try:
        return pa.array(values)
    except (TypeError, ValueError, ArithmeticError):
        plain = [_plain(value) for value in values]
    try:
        return pa.array(plain)
    except (TypeError, ValueError, ArithmeticError) as error:
        raise ConfigError(_why_not(name, plain, error)) from error


def _plain(value: Any) -> Any:
    if is_tensor(value):
        return as_array(value, "a cell").tolist()
    if hasattr(value, "dtype") and hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    return clean_text(value) if isinstance(value, str) else value


def _why_not(name: Any, values: Sequence[Any], error: Exception) -> str:
    """Say what a column holds that no column can."""
    first: dict[str, int] = {}
    for row, value in enumerate(values):
        if value is not None:
            first.setdefault(type(value).__name__, row)
    if len(first) > 1 and first.keys() != {"int", "float"}:
        kinds = ", ".join(f"{kind} (row {row}: {values[row]!r:.50})" for kind, row in first.items())
        return f"column {name!r} mixes {kinds}: make them one type, e.g. [str(value) for value in column]"
    return f"column {name!r} of {next(iter(first), 'None')} is not understood: {error}; convert it first, e.g. with str"


def _parquet(arrow: Any, pa: Any) -> bytes:
    from pyarrow import parquet

    buffer = io.BytesIO()
    try:
        parquet.write_table(arrow, buffer)
    except pa.ArrowException:
        for name in arrow.schema.names:
            try:
                parquet.write_table(arrow.select([name]), io.BytesIO())
            except pa.ArrowException as error:
                raise ConfigError(f"column {name!r} of {arrow.schema.field(name).type}: {error}") from error
        raise
    return buffer.getvalue()


# ---- through polars


def _by_polars(table: Any, name: str) -> Content:
    """Have a frame write itself: Arrow's writer does not take all of its types."""
    from polars.exceptions import PolarsError

    types = {column: str(kind) for column, kind in table.schema.items()}
    for column, kind in types.items():
        if kind == "Object":
            raise ConfigError(f"column {column!r} holds Python objects: convert them first, e.g. with str")
    buffer = io.BytesIO()
    try:
        table.write_parquet(buffer)
    except PolarsError as error:
        raise ConfigError(str(error)) from error
    return _content(name, buffer.getvalue(), table.height, types)
