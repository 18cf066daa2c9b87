"""Tables as files: CSV, JSON lines or Parquet, written part by part, and there as a whole or not at all."""

from __future__ import annotations

import csv
import json
import math
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Protocol

from tracklib.errors import ConfigError, MissingDependency, StoreError
from tracklib.records import new_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tracklib.cli.exported_rows import Field

__all__ = ["FORMATS", "TableWriter", "replaced_file", "table_writer"]

FORMATS: Final = {"csv": (".csv",), "jsonl": (".jsonl", ".ndjson"), "parquet": (".parquet", ".pq")}
"""Formats, and the ends of names that say so."""

GROUP_ROWS: Final = 100_000
"""So many rows a group of a Parquet file has at the least, if there are as many."""

_WORDS: Final = {math.inf: "Infinity", -math.inf: "-Infinity"}


class TableWriter(Protocol):
    """What takes the rows of a table."""

    def write(self, columns: Sequence[Sequence[Any]]) -> None:
        """Take some rows: the values of each column."""

    def close(self) -> None:
        """Write what is left."""


def table_writer(kind: str, stream: IO[bytes], fields: Sequence[Field]) -> TableWriter:
    """Return what writes a table to a stream.

    Args:
        kind: A key of `FORMATS`.

    Raises:
        MissingDependency: It needs a package that is not installed.
    """
    if kind == "parquet":
        return _Parquet(stream, fields)
    return _Csv(stream, fields) if kind == "csv" else _JsonLines(stream, fields)


class _Csv:
    """Numbers that are none are `nan`, `inf` and `-inf`, as pandas, NumPy and DuckDB read them; None is empty."""

    def __init__(self, stream: IO[bytes], fields: Sequence[Field]) -> None:
        self._stream = stream
        self._flags = [index for index, field in enumerate(fields) if field.kind == "flag"]
        self._rows([[field.name for field in fields]])

    def write(self, columns: Sequence[Sequence[Any]]) -> None:
        columns = [
            [_FLAGS.get(value) for value in column] if index in self._flags else column
            for index, column in enumerate(columns)
        ]
        self._rows(zip(*columns, strict=True))

    def close(self) -> None:
        pass

    def _rows(self, rows: Any) -> None:
        import io

        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows(rows)
        self._stream.write(text.getvalue().encode())


_FLAGS: Final = {True: "true", False: "false", None: None}


class _JsonLines:
    """An object for each row. Numbers that JSON lacks are texts, as in all JSON that tracklib prints."""

    def __init__(self, stream: IO[bytes], fields: Sequence[Field]) -> None:
        self._stream = stream
        self._names = [field.name for field in fields]
        self._reals = [index for index, field in enumerate(fields) if field.kind == "real"]

    def write(self, columns: Sequence[Sequence[Any]]) -> None:
        columns = [
            [_sayable(value) for value in column] if index in self._reals else column
            for index, column in enumerate(columns)
        ]
        lines = [
            json.dumps(dict(zip(self._names, row, strict=True)), ensure_ascii=False, allow_nan=False)
            for row in zip(*columns, strict=True)
        ]
        self._stream.write("".join(f"{line}\n" for line in lines).encode())

    def close(self) -> None:
        pass


def _sayable(value: float | None) -> float | str | None:
    return value if value is None or math.isfinite(value) else _WORDS.get(value, "NaN")


class _Parquet:
    """Numbers that are none are what they are."""

    def __init__(self, stream: IO[bytes], fields: Sequence[Field]) -> None:
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ImportError as error:
            raise MissingDependency(
                "Parquet needs pyarrow: pip install 'tracklib-ml[tables]', or write .csv or .jsonl"
            ) from error
        kinds = {"text": pa.string(), "integer": pa.int64(), "real": pa.float64(), "flag": pa.bool_()}
        self._schema = pa.schema([(field.name, kinds[field.kind]) for field in fields])
        self._writer = pq.ParquetWriter(stream, self._schema, compression="zstd")
        self._waiting: list[Any] = []
        self._rows = 0

    def write(self, columns: Sequence[Sequence[Any]]) -> None:
        import pyarrow as pa

        arrays = [pa.array(column, field.type) for column, field in zip(columns, self._schema, strict=True)]
        batch = pa.RecordBatch.from_arrays(arrays, schema=self._schema)
        self._waiting.append(batch)
        self._rows += batch.num_rows
        if self._rows >= GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        self._writer.write_table(pa.Table.from_batches(self._waiting, self._schema))
        self._waiting, self._rows = [], 0

    def close(self) -> None:
        if self._rows:
            self._flush()
        self._writer.close()


@contextmanager
def replaced_file(path: Path | None) -> Iterator[IO[bytes]]:
    """Open a file that takes the name of an older one when it is complete; None means standard output.

    Raises:
        ConfigError: There is no such folder, or it is one.
        StoreError: It cannot be written.
    """
    if path is None:
        sys.stdout.flush()
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise ConfigError(f"{str(path)!r} {'is a folder' if path.is_dir() else 'lies in a folder that is not there'}")
    waiting = path.with_name(f".{path.name}.{new_id()[-8:]}.tmp")
    try:
        with waiting.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        waiting.replace(path)
    except OSError as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(f"{str(path)!r} cannot be written: {error.strerror or error}") from error
    finally:
        waiting.unlink(missing_ok=True)
