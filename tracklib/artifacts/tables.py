"""Tables made into Parquet files."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from tracklib.artifacts.content import Content, file_name
from tracklib.errors import ConfigError, MissingDependency

__all__ = ["table_content"]


def table_content(table: Any, name: str) -> Content:
    """Return a table as Parquet: a list of dicts, a dict of columns, or a pandas, polars or Arrow table.

    Raises:
        TypeError: It is none of these.
        ConfigError: Its columns differ in length, or one mixes types.
        MissingDependency: pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise MissingDependency("log_table needs pyarrow: pip install 'tracklib-ml[tables]'") from error
    _check_kind(table)
    buffer = io.BytesIO()
    try:
        arrow = _arrow(table, pa)
        parquet.write_table(arrow, buffer)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise ConfigError(f"table {name!r} cannot be kept as Parquet: {error}") from error
    return Content(
        {file_name(name, "parquet"): buffer.getvalue()},
        {"rows": arrow.num_rows, "columns": {f.name: str(f.type) for f in arrow.schema}},
    )


def _check_kind(table: Any) -> None:
    is_rows = isinstance(table, Sequence) and all(isinstance(row, Mapping) for row in table)
    if not (_is_frame(table) or isinstance(table, Mapping) or (is_rows and not isinstance(table, (str, bytes)))):
        raise TypeError(
            f"table is {type(table).__name__}, but takes a list of dicts, a dict of columns, "
            "or a table of pandas, polars or Arrow"
        )


def _is_frame(table: Any) -> bool:
    return _is_pandas(table) or (hasattr(table, "__arrow_c_stream__") and hasattr(table, "columns"))


def _is_pandas(table: Any) -> bool:
    return hasattr(table, "columns") and hasattr(table, "iloc")


def _arrow(table: Any, pa: Any) -> Any:
    if _is_pandas(table):
        return pa.Table.from_pandas(table)
    if _is_frame(table):
        return pa.table(table)
    if isinstance(table, Mapping):
        return pa.table({str(name): _column(values) for name, values in table.items()})
    # The names of all rows: Arrow alone would take those of the first.
    names = dict.fromkeys(name for row in table for name in row)
    return pa.table({str(name): [row.get(name) for row in table] for name in names})


def _column(values: Any) -> Any:
    """Return a column as Arrow takes it; tensors as arrays."""
    return values.detach().cpu().numpy() if hasattr(values, "detach") else values
