"""The whole catalog as one Parquet file: new readers begin with it, and other tools find params and summaries in it."""

from __future__ import annotations

import io
import json
from itertools import repeat
from typing import TYPE_CHECKING, Any, Final

from tracklib.errors import CorruptData
from tracklib.records import RunStatus
from tracklib.stores.arrow import parquet
from tracklib.stores.layout import VERSION
from tracklib.stores.object_catalog import LACKING, read_note, write_note
from tracklib.stores.param_rows import set_param_types

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

__all__ = ["dump_snapshot", "load_snapshot"]

_PLAIN: Final = {
    **dict.fromkeys(("run_id", "project", "experiment", "name", "status", "reason"), "string"),
    **dict.fromkeys(("start_time", "end_time", "duration"), "double"),
    **dict.fromkeys(("parent", "created_by"), "string"),
    **dict.fromkeys(("created_at", "archived_at"), "double"),
    **dict.fromkeys(("notes", "git_commit", "git_branch", "hostname"), "string"),
    **dict.fromkeys(("params_json", "source", "environment", "resources", "error", "dropped"), "string"),
}
"""Columns of plain values; the last six are JSON."""

_SUMS: Final = {
    **dict.fromkeys(("last", "min", "max", "mean", "sum"), "double"),
    **dict.fromkeys(("count", "nan_count", "first_step", "last_step"), "int64"),
    **dict.fromkeys(("last_time", "last_start"), "double"),
}
"""The fields of a metric's summary."""

_SERIES: Final = [name for name in _SUMS if name != "mean"]
"""Those that the table of series has too."""

_RUN_COLUMNS: Final = {"run_id": "id", "params_json": "params"}
"""Columns of the table of runs that have another name here."""

_WRITER: Final = (
    *("writer", "rank", "host", "pid", "spool", "position", "status", "started_at", "heartbeat_at", "is_primary"),
    *("dropped", "seconds"),
)
_ARTIFACT: Final = (
    *("id", "name", "type", "version", "path", "size", "checksum", "metadata", "step", "created_at"),
    *("project", "aliases", "score"),
)
_OLDER: Final = {"project": "", "aliases": "[]", "score": None}
"""What snapshots of older versions do not say of an artifact."""

_PARAM: Final = ("number", "text", "type")
"""Snapshots of older versions do not say the type."""

_FILE: Final = ("path", "size", "checksum")

_SAID: Final = {
    "aliases": ("artifact_alias", ("project", "name", "version", "checksum", "alias", "score", "time")),
    "uses": ("artifact_use", ("project", "name", "version", "checksum", "artifact", "time")),
}
"""By column, the table and its columns of what was said of artifacts; snapshots of older versions do not have them."""

_NOTES: Final = b"tracklib"


# ---- writing


def dump_snapshot(connection: sqlite3.Connection) -> bytes:
    """Return all runs of the catalog, one row each, as a Parquet file.

    Params, tags and metrics are maps by name: of a param its `text`, its `type` and, where it is one, its `number`;
    of a metric its summary. Its metadata hold projects, experiments and how far the catalog was.
    """
    pa, pq = parquet()
    keys = [row[0] for row in connection.execute("SELECT key FROM run ORDER BY id")]
    columns = _plain_columns(connection, pa)
    columns["params"] = _map(
        pa,
        keys,
        _params(connection),
        pa.struct([("number", pa.float64()), ("text", pa.string()), ("type", pa.string())]),
    )
    columns["tags"] = _map(pa, keys, _tags(connection), pa.string())
    columns["metrics"] = _map(pa, keys, _metrics(connection), _sums_type(pa))
    columns["writers"] = pa.array(_details(keys, _rows(connection, "writer", _WRITER)), pa.string())
    columns["artifacts"] = pa.array(_details(keys, _artifacts(connection)), pa.string())
    for column, (said, names) in _SAID.items():
        columns[column] = pa.array(_details(keys, _rows(connection, said, names)), pa.string())
    columns["written"] = pa.array(_written(connection), pa.float64())
    table = pa.table(columns).replace_schema_metadata({_NOTES: _notes(connection)})
    target = io.BytesIO()
    pq.write_table(table, target, compression="zstd", row_group_size=20_000, write_page_checksum=True)
    return target.getvalue()


def _plain_columns(connection: sqlite3.Connection, pa: Any) -> dict[str, Any]:
    names = ", ".join(
        f"{'project' if name == 'project' else 'experiment'}.name"
        if name in {"project", "experiment"}
        else f"run.{_RUN_COLUMNS.get(name, name)}"
        for name in _PLAIN
    )
    rows = connection.execute(
        f"SELECT {names} FROM run JOIN experiment ON experiment.id = run.experiment_id"  # noqa: S608 - our own names
        " JOIN project ON project.id = experiment.project_id ORDER BY run.id"
    ).fetchall()
    values: Sequence[Sequence[Any]] = list(zip(*rows, strict=True)) or [()] * len(_PLAIN)
    return {
        name: pa.array(column, getattr(pa, {"double": "float64"}.get(kind, kind))())
        for (name, kind), column in zip(_PLAIN.items(), values, strict=True)
    }


def _map(pa: Any, keys: list[int], entries: Iterable[tuple[int, str, Any]], kind: Any) -> Any:
    """Return a column of maps.

    Args:
        keys: Of the runs, in the order of the rows.
        entries: Key of the run, name and value, in any order.
    """
    by_run: dict[int, list[tuple[str, Any]]] = {}
    for run, name, value in entries:
        by_run.setdefault(run, []).append((name, value))
    offsets, names, values = [0], [], []
    for key in keys:
        for name, value in by_run.get(key, ()):
            names.append(name)
            values.append(value)
        offsets.append(len(names))
    return pa.MapArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(names, pa.string()), pa.array(values, kind))


def _params(connection: sqlite3.Connection) -> Iterable[tuple[int, str, Any]]:
    rows = connection.execute("SELECT run_key, name, number, text, type FROM param")
    return ((run, name, {"number": number, "text": text, "type": kind}) for run, name, number, text, kind in rows)


def _tags(connection: sqlite3.Connection) -> Iterable[tuple[int, str, Any]]:
    return connection.execute("SELECT run_key, name, value FROM tag")


def _metrics(connection: sqlite3.Connection) -> Iterable[tuple[int, str, Any]]:
    columns = ", ".join(_SERIES)
    nan = float("nan")
    for run, name, *row in connection.execute(f"SELECT run_key, name, {columns} FROM series WHERE count > 0"):  # noqa: S608 - our own names
        said = dict(zip(_SERIES, row, strict=True))
        # What the tables cannot hold is missing there.
        said.update({each: nan for each in ("last", "min", "max", "sum") if said[each] is None})
        numbers = said["count"] - said["nan_count"]
        yield run, name, {**said, "mean": said["sum"] / numbers if numbers else nan}


def _sums_type(pa: Any) -> Any:
    return pa.struct([(name, pa.float64() if kind == "double" else pa.int64()) for name, kind in _SUMS.items()])


def _details(keys: list[int], rows: Iterable[tuple[int, dict[str, Any]]]) -> list[str]:
    """Return for each run a JSON list."""
    found: dict[int, list[dict[str, Any]]] = {}
    for run, row in rows:
        found.setdefault(run, []).append(row)
    return [json.dumps(found.get(key, []), ensure_ascii=False) for key in keys]


def _rows(connection: sqlite3.Connection, table: str, columns: tuple[str, ...]) -> Iterable[tuple[int, dict[str, Any]]]:
    for run, *row in connection.execute(f"SELECT run_key, {', '.join(columns)} FROM {table} ORDER BY rowid"):  # noqa: S608 - our own names
        yield run, dict(zip(columns, row, strict=True))


def _artifacts(connection: sqlite3.Connection) -> Iterable[tuple[int, dict[str, Any]]]:
    files: dict[str, list[dict[str, Any]]] = {}
    for artifact, *file in connection.execute(f"SELECT artifact_id, {', '.join(_FILE)} FROM artifact_file"):  # noqa: S608 - our own names
        files.setdefault(artifact, []).append(dict(zip(_FILE, file, strict=True)))
    for run, *row in connection.execute(f"SELECT run_key, {', '.join(_ARTIFACT)} FROM artifact"):  # noqa: S608 - our own names
        yield run, {**dict(zip(_ARTIFACT, row, strict=True)), "files": files.get(row[0], [])}


def _written(connection: sqlite3.Connection) -> list[float]:
    rows = connection.execute("SELECT written FROM run JOIN object_run ON object_run.id = run.id ORDER BY run.id")
    return [row[0] for row in rows]


def _notes(connection: sqlite3.Connection) -> bytes:
    notes = {
        "format": VERSION,
        "cursor": read_note(connection, "cursor"),
        "seen": [row[0] for row in connection.execute("SELECT id FROM object_marker ORDER BY id")],
        "projects": _table(connection, "project"),
        "experiments": _table(connection, "experiment"),
    }
    return json.dumps(notes).encode()


def _table(connection: sqlite3.Connection, table: str) -> list[dict[str, Any]]:
    cursor = connection.execute(f"SELECT * FROM {table} ORDER BY id")  # noqa: S608 - our own names
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


# ---- reading


def load_snapshot(connection: sqlite3.Connection, data: bytes) -> None:
    """Fill the empty tables of a catalog with what a snapshot holds. Records are not in it, nor what is bulky.

    Raises:
        CorruptData: It is damaged.
    """
    pa, pq = parquet()
    try:
        file = pq.ParquetFile(io.BytesIO(data), page_checksum_verification=True)
        notes = json.loads((file.metadata.metadata or {})[_NOTES])
        _fill(connection, file.read(use_threads=False).combine_chunks(), notes)
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        raise CorruptData(f"it is no snapshot of a catalog: {type(error).__name__}: {error}") from error


def _fill(connection: sqlite3.Connection, table: Any, notes: dict[str, Any]) -> None:
    for name in ("project", "experiment"):
        for row in notes[f"{name}s"]:
            _insert(connection, name, list(row), [list(row.values())])
    ids = [*range(1, len(table) + 1)]
    _fill_runs(connection, table, ids)
    for column, target, fields in (("params", "param", _PARAM), ("metrics", "series", tuple(_SERIES))):
        owners, keys, items = _flat(table.column(column), ids)
        told = [field for field in fields if items.type.get_field_index(field) >= 0]
        values = [items.field(field).to_pylist() for field in told]
        _insert(connection, target, ["run_key", "name", *told], zip(owners, keys, *values, strict=True))
        if len(told) < len(fields):
            set_param_types(connection)
    owners, keys, items = _flat(table.column("tags"), ids)
    _insert(connection, "tag", ["run_key", "name", "value"], zip(owners, keys, items.to_pylist(), strict=True))
    _fill_details(connection, table, ids)
    running = {key for (key,) in connection.execute("SELECT run_key FROM writer WHERE status = ?", [RunStatus.RUNNING])}
    written = zip(ids, table.column("run_id").to_pylist(), table.column("written").to_pylist(), strict=True)
    rows = ((run, key in running, at, 0) for key, run, at in written)
    _insert(connection, "object_run", ["id", "live", "written", "whole"], rows)
    _insert(connection, "object_marker", ["id"], ((marker,) for marker in notes["seen"]))
    write_note(connection, "cursor", notes["cursor"])


def _fill_runs(connection: sqlite3.Connection, table: Any, ids: list[int]) -> None:
    homes = {
        (project, experiment): key
        for key, project, experiment in connection.execute(
            "SELECT experiment.id, project.name, experiment.name FROM experiment"
            " JOIN project ON project.id = project_id"
        )
    }
    places = zip(table.column("project").to_pylist(), table.column("experiment").to_pylist(), strict=True)
    columns: dict[str, Any] = {"key": ids, "experiment_id": [homes[place] for place in places]}
    columns |= {
        _RUN_COLUMNS.get(name, name): table.column(name).to_pylist()
        for name in _PLAIN
        if name not in {"project", "experiment"}
    }
    columns["source_documents"] = repeat("{}", len(ids))
    _insert(connection, "run", list(columns), zip(*columns.values(), strict=True))


def _flat(column: Any, ids: list[int]) -> tuple[list[int], list[str], Any]:
    """Return the entries of a column of maps: the keys of their runs, their names, and their values."""
    maps = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    offsets = maps.offsets.to_pylist()
    owners = [key for key, start, end in zip(ids, offsets, offsets[1:], strict=False) for _ in range(end - start)]
    return owners, maps.keys.to_pylist(), maps.items


def _fill_details(connection: sqlite3.Connection, table: Any, ids: list[int]) -> None:
    writers, artifacts, files = [], [], []
    details = zip(ids, table.column("writers").to_pylist(), table.column("artifacts").to_pylist(), strict=True)
    for key, told_writers, told_artifacts in details:
        writers += [(key, *(row[name] for name in _WRITER)) for row in json.loads(told_writers)]
        for row in json.loads(told_artifacts):
            artifacts.append((key, *({**_OLDER, **row}[name] for name in _ARTIFACT)))
            files += [(row["id"], *(file[name] for name in _FILE)) for file in row["files"]]
    _insert(connection, "writer", ["run_key", *_WRITER, "summarised"], ((*row, 0) for row in writers))
    _insert(connection, "artifact", ["run_key", *_ARTIFACT], artifacts)
    _insert(connection, "artifact_file", ["artifact_id", *_FILE], files)
    write_note(connection, LACKING, not _SAID.keys() <= set(table.column_names))
    for column, (target, names) in _SAID.items():
        if column in table.column_names:
            told = zip(ids, table.column(column).to_pylist(), strict=True)
            rows = ((key, *(row[name] for name in names)) for key, text in told for row in json.loads(text))
            _insert(connection, target, ["run_key", *names], rows)


def _insert(connection: sqlite3.Connection, table: str, columns: list[str], rows: Iterable[Sequence[Any]]) -> None:
    marks = ", ".join("?" * len(columns))
    connection.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", rows)  # noqa: S608 - our own names
