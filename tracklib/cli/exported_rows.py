"""What `tracklib export` writes, as tables that come in parts: never more than one series is in memory."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final, Literal

from tracklib.cli.formats import value_text
from tracklib.errors import NotFound
from tracklib.model import flatten_params

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tracklib.reading import StoredRun

    Columns = list[Sequence[Any]]

__all__ = ["Exported", "Field", "metric_rows", "param_rows", "run_rows"]

Kind = Literal["text", "integer", "real", "flag"]

PART_ROWS: Final = 50_000
"""So many rows are handed on at once."""


@dataclass(frozen=True, slots=True)
class Field:
    """A column of a table.

    Attributes:
        kind: What stands in it, if anything does.
    """

    name: str
    kind: Kind = "text"


@dataclass(frozen=True, slots=True)
class Exported:
    """A table.

    Attributes:
        parts: Its rows, some at a time: the values of each column, where None says that there is none.
    """

    fields: tuple[Field, ...]
    parts: Iterator[Columns]


_PLACE: Final = (Field("run_id"), Field("project"), Field("experiment"), Field("run_name"))


# ---- metrics


def metric_rows(runs: Sequence[StoredRun], globs: Sequence[str], *, every: bool) -> Exported:
    """Return the points of metrics, run by run and metric by metric, each by step.

    Args:
        globs: Only metrics whose names fit one of them; all but those of the system where there are none.
        every: All points; by default the one that was logged last for each step.

    Raises:
        NotFound: No run has a metric that fits.
    """
    fields = (*_PLACE, Field("metric"), Field("step", "integer"), Field("time", "real"), Field("value", "real"))
    if globs and not any(_fitting(run, globs) for run in runs):
        known = sorted({name for run in runs for name in run.metrics if not name.startswith("system/")})
        some = ", ".join(known[:10]) + (", …" if len(known) > 10 else "")
        raise NotFound(f"none of these runs has a metric that fits {' or '.join(globs)}; there are: {some or 'none'}")
    return Exported(fields, _metric_parts(runs, globs, every))


def _fitting(run: StoredRun, globs: Sequence[str]) -> list[str]:
    if not globs:
        return sorted(name for name in run.metrics if not name.startswith("system/"))
    return sorted(name for name in run.metrics if any(fnmatchcase(name, glob) for glob in globs))


def _metric_parts(runs: Iterable[StoredRun], globs: Sequence[str], every: bool) -> Iterator[Columns]:
    for run in runs:
        for name in _fitting(run, globs):
            series = run.series(name, every=every)
            for start in range(0, len(series), PART_ROWS):
                part = slice(start, start + PART_ROWS)
                steps = series.steps[part].tolist()
                same: Columns = [[text] * len(steps) for text in (*_place(run), name)]
                yield [*same, steps, series.times[part].tolist(), series.values[part].tolist()]


def _place(run: StoredRun) -> tuple[str, str, str, str]:
    return run.id, run.project, run.experiment, run.name


# ---- params


def param_rows(runs: Iterable[StoredRun]) -> Exported:
    """Return the params of runs, a row for each: as text, and as a number where it is one."""
    fields = (*_PLACE, Field("param"), Field("value"), Field("number", "real"))
    return Exported(fields, _gathered(_param_rows(runs), len(fields)))


def _param_rows(runs: Iterable[StoredRun]) -> Iterator[tuple[Any, ...]]:
    for run in runs:
        for name, value in flatten_params(run.params):
            yield (*_place(run), name, value_text(value), _number(value))


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def _gathered(rows: Iterable[tuple[Any, ...]], width: int) -> Iterator[Columns]:
    columns: list[list[Any]] = [[] for _ in range(width)]
    for row in rows:
        for column, value in zip(columns, row, strict=True):
            column.append(value)
        if len(columns[0]) >= PART_ROWS:
            yield list(columns)
            columns = [[] for _ in range(width)]
    if columns[0]:
        yield list(columns)


# ---- runs


def run_rows(runs: Sequence[StoredRun]) -> Exported:
    """Return runs, a row for each: what they say of themselves, then params, last values of metrics, and tags."""
    columns: dict[str, list[Any]] = {name: [read(run) for run in runs] for name, read in _OF_RUNS.items()}
    kinds: dict[str, Kind] = {name: "real" if name in _REAL else "text" for name in columns}
    for prefix, read in (("params", _params), ("metrics", _last_values), ("tags", _tags)):
        for name, values in _spread([read(run) for run in runs]).items():
            kind = "real" if prefix == "metrics" else _kind_of(values)
            kinds[f"{prefix}.{name}"] = kind
            columns[f"{prefix}.{name}"] = (
                [None if v is None else value_text(v) for v in values] if kind == "text" else values
            )
    fields = tuple(Field(name, kinds[name]) for name in columns)
    return Exported(fields, _sliced(list(columns.values()), len(runs)))


_OF_RUNS: Final[dict[str, Callable[[StoredRun], Any]]] = {
    "id": lambda run: run.id,
    "project": lambda run: run.project,
    "experiment": lambda run: run.experiment,
    "name": lambda run: run.name,
    "status": lambda run: str(run.status),
    "reason": lambda run: run.reason or None,
    "started_at": lambda run: run.started_at,
    "ended_at": lambda run: run.ended_at,
    "duration": lambda run: run.duration,
    "parent": lambda run: run.info.parent,
    "created_by": lambda run: run.info.created_by or None,
    "notes": lambda run: run.notes or None,
    "git_commit": lambda run: run.source.commit,
    "hostname": lambda run: run.environment.hostname,
}
_REAL: Final = frozenset({"started_at", "ended_at", "duration"})


def _params(run: StoredRun) -> dict[str, Any]:
    return dict(flatten_params(run.params))


def _last_values(run: StoredRun) -> dict[str, Any]:
    return {name: summary.last for name, summary in run.metrics.items() if not name.startswith("system/")}


def _tags(run: StoredRun) -> dict[str, Any]:
    return run.tags


def _spread(rows: Sequence[dict[str, Any]]) -> dict[str, list[Any]]:
    """Return the values of each name that any row has, by name."""
    names = sorted({name for row in rows for name in row})
    return {name: [row.get(name) for row in rows] for name in names}


def _kind_of(values: Iterable[Any]) -> Kind:
    """Return what stands in a column of params; text where not all are of one kind."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        return "flag"
    if kinds == {int}:
        small = all(value is None or -(2**63) <= value < 2**63 for value in values)
        return "integer" if small else "text"
    return "real" if kinds and kinds <= {int, float} else "text"


def _sliced(columns: Sequence[list[Any]], rows: int) -> Iterator[Columns]:
    for start in range(0, rows, PART_ROWS):
        yield [column[start : start + PART_ROWS] for column in columns]
