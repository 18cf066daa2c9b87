"""Several runs as one table: to look at, to go through, and to hand on to other libraries."""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, overload

from tracklib.analysis.compared_params import compare_params
from tracklib.analysis.directions import read_directions
from tracklib.analysis.run_fields import AllTags, FieldColumn, field_column, field_text
from tracklib.analysis.selecting import stored_runs
from tracklib.analysis.table_text import ShownTable, moment_text, value_text
from tracklib.durations import duration_text
from tracklib.errors import ConfigError, TracklibError
from tracklib.frames import FrameColumn, arrow_table, column_of, pandas_frame, polars_frame, time_column
from tracklib.queries.attributes import ATTRIBUTES, STATISTICS, AttributeType
from tracklib.queries.tree import Attribute, Metric, Param, Tag
from tracklib.reading import StoredRun, read_together
from tracklib.records import flatten_params

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.console import Console, ConsoleOptions

    from tracklib.queries.tree import Field
    from tracklib.run import Run

__all__ = ["RunTable"]

MOST_ROWS: Final = 60
MOST_PARAMS: Final = 6
MOST_METRICS: Final = 4
_SYSTEM: Final = "system/"

_FRAME_ATTRIBUTES: Final = {
    "id": "id",
    "project": "project",
    "experiment": "experiment",
    "name": "name",
    "status": "status",
    "started_at": "started",
    "ended_at": "ended",
    "duration": "duration",
}
"""Columns of frames, each with the attribute that it holds."""

_RANKS: Final = {"id": 8, "name": 7, "status": 4, "started": 2, "duration": 1}


class RunTable(Sequence[StoredRun]):
    """Runs in an order, which show themselves as a table in notebooks and on terminals.

    It is a sequence that does not change: `len`, `in`, iteration, an index for a run, a slice for a shorter table.

    Args:
        runs: What `list_runs` gives, or ids and names of runs.
        columns: What to show, as the search language has it: `params.lr`, `metrics['eval/loss'].min`, `tags.team`,
            `run.duration`; `tags` for all tags. By default the name, status, start and duration of the runs, the
            params that differ between them, the metrics that come first in the project, and the tags.

    Raises:
        ConfigError: A column is no field of a run.

    Example:
        >>> for lr in (0.1, 0.01):
        ...     with tracklib.start_run(project="digits", name=f"lr-{lr}", params={"lr": lr, "seed": 1}) as run:
        ...         run.log({"loss": lr * 2})
        >>> table = tracklib.RunTable(tracklib.list_runs(), columns=["name", "params.lr", "metrics.loss.min"])
        >>> print(table)
        name       lr  loss (min)
        lr-0.01  0.01        0.02
        lr-0.1    0.1         0.2
        >>> table[0].name, len(table[1:])
        ('lr-0.01', 1)
    """

    def __init__(self, runs: Iterable[StoredRun | Run | str], *, columns: Sequence[str] | None = None) -> None:
        if columns is not None and (isinstance(columns, (str, bytes)) or not isinstance(columns, Sequence)):
            raise ConfigError(f"columns is {columns!r:.200}, but takes a list of fields such as ['name', 'params.lr']")
        self._runs = tuple(stored_runs(runs))
        self._chosen = None if columns is None else tuple(field_column(text) for text in dict.fromkeys(columns))

    # ---- a sequence

    def __len__(self) -> int:
        return len(self._runs)

    def __iter__(self) -> Iterator[StoredRun]:
        return iter(self._runs)

    @overload
    def __getitem__(self, index: int) -> StoredRun: ...
    @overload
    def __getitem__(self, index: slice) -> RunTable: ...
    def __getitem__(self, index: int | slice) -> StoredRun | RunTable:
        if not isinstance(index, slice):
            return self._runs[index]
        shorter = RunTable(self._runs[index])
        shorter._chosen = self._chosen
        return shorter

    # ---- what is in it

    @property
    def ids(self) -> list[str]:
        """The ids of the runs, in their order."""
        return [run.id for run in self._runs]

    @property
    def columns(self) -> list[str]:
        """What is shown of each run, as the search language has it."""
        return [column.text for column in self._shown_columns(self._runs[:MOST_ROWS])]

    @cached_property
    def params(self) -> list[str]:
        """The dotted names of all params of the runs, in the order in which they first occur."""
        return list(dict.fromkeys(name for flat in self._flat_params for name in flat))

    @cached_property
    def metrics(self) -> list[str]:
        """The names of all metrics of the runs by the alphabet, those of the machine last."""
        read_together(self._runs)
        names = {name for run in self._runs for name in run.metrics}
        return sorted(names, key=lambda name: (name.startswith(_SYSTEM), name))

    @cached_property
    def _flat_params(self) -> list[dict[str, Any]]:
        return [dict(flatten_params(run.params)) for run in self._runs]

    # ---- as frames

    def to_pandas(self, *, statistics: Sequence[str] = ("last",)) -> Any:
        """Return a data frame of pandas with a row for each run, and a type for each column.

        Its columns are `id`, `project`, `experiment`, `name`, `status`, `started_at` and `ended_at` (UTC), `duration`
        (seconds), `params.NAME`, `metrics.NAME` and `tags.NAME`; or the id and the chosen columns, where the table was
        made with `columns=`. What a run does not have is NaN, NA or NaT. Integers stay integers; params of several
        types stay the objects that they are.

        Args:
            statistics: Which numbers of a metric to give: "last" is named as the metric is, and others such as "min"
                `metrics.NAME.min`.

        Raises:
            MissingDependency: pandas is not installed.
            ConfigError: There is no such number.

        Example:
            >>> with tracklib.start_run(project="digits", params={"lr": 0.1}) as run:
            ...     run.log({"loss": 0.5}, step=0)
            >>> frame = tracklib.RunTable([tracklib.get_run(run)]).to_pandas(statistics=["last", "min"])
            >>> frame[["params.lr", "metrics.loss", "metrics.loss.min"]].to_dict("records")
            [{'params.lr': 0.1, 'metrics.loss': 0.5, 'metrics.loss.min': 0.5}]
        """
        return pandas_frame(self._frame_columns(statistics))

    def to_polars(self, *, statistics: Sequence[str] = ("last",)) -> Any:
        """Return the same as a data frame of Polars; params of several types become text, as do lists.

        Raises:
            MissingDependency: Polars is not installed.
            ConfigError: There is no such number of a metric.
        """
        return polars_frame(self._frame_columns(statistics))

    def to_arrow(self, *, statistics: Sequence[str] = ("last",)) -> Any:
        """Return the same as a table of Arrow; params of several types become text, as do lists.

        Raises:
            MissingDependency: pyarrow is not installed.
            ConfigError: There is no such number of a metric.
        """
        return arrow_table(self._frame_columns(statistics))

    def to_dict(self) -> dict[str, Any]:
        """Return the runs as plain data: what is shown of them, and all of their params, tags and metrics."""
        read_together(self._runs)
        return {"columns": self.columns, "runs": [_plain_run(run) for run in self._runs]}

    def _frame_columns(self, statistics: Any) -> list[FrameColumn]:
        wanted = _checked_statistics(statistics)
        if self._chosen is not None:
            texts = {"id": field_column("id"), **{column.text: column for column in self._chosen}}
            return [self._frame_column(text, column) for text, column in texts.items()]
        named: dict[str, Field] = {name: Attribute(attribute) for name, attribute in _FRAME_ATTRIBUTES.items()}
        tags = dict.fromkeys(name for run in self._runs for name in run.tags)
        fields: list[Field] = [Param(name) for name in self.params]
        fields += [Metric(name, statistic) for name in self.metrics for statistic in wanted]
        fields += [Tag(name) for name in tags]
        named |= {field_text(field): field for field in fields}
        return [self._frame_column(name, FieldColumn(name, field)) for name, field in named.items()]

    def _frame_column(self, name: str, column: FieldColumn) -> FrameColumn:
        values = self._values(column, self._runs)
        if _is_time(column.field):
            return time_column(name, values)
        if all(value is None for value in values) and _is_number(column.field):
            return FrameColumn(name, "number", values)
        return column_of(name, values)

    def _values(self, column: FieldColumn, runs: Sequence[StoredRun]) -> list[Any]:
        if isinstance(column.field, Param):
            return [flat.get(column.field.name) for flat in self._flat_params[: len(runs)]]
        if isinstance(column.field, Metric):
            read_together(runs)
        return [column.value(run) for run in runs]

    # ---- to look at

    def __repr__(self) -> str:
        return self._shown().as_text(shutil.get_terminal_size().columns if sys.stdout.isatty() else None)

    def _repr_html_(self) -> str:
        return self._shown().as_html()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Any]:
        from rich.text import Text

        yield Text(self._shown().as_text(options.max_width), no_wrap=True, overflow="ignore")

    def _shown(self) -> ShownTable:
        runs = self._runs[:MOST_ROWS]
        if not runs:
            return ShownTable(titles=(), numeric=(), ranks=(), rows=(), notes=("no runs",))
        columns = self._shown_columns(runs)
        values = [self._values(column, runs) for column in columns]
        texts = [[_text(column.field, value) for value in each] for column, each in zip(columns, values, strict=True)]
        more = len(self) - len(runs)
        return ShownTable(
            titles=_titles(columns),
            numeric=[_is_numeric(column.field, each) for column, each in zip(columns, values, strict=True)],
            ranks=[_rank(column.field) if self._chosen is None else 0 for column in columns],
            rows=list(zip(*texts, strict=True)) if columns else [() for _ in runs],
            notes=[f"… and {more:,} more runs"] if more else [],
        )

    def _shown_columns(self, runs: Sequence[StoredRun]) -> tuple[FieldColumn, ...]:
        """Return the chosen columns, or those by default, for which only the runs that are shown are looked at."""
        if self._chosen is not None:
            return self._chosen
        names = ["name", "status", "started", "duration"]
        if len({run.name for run in runs}) < len(runs):
            names.insert(0, "id")
        names += [place for place in ("project", "experiment") if len({getattr(run, place) for run in runs}) > 1]
        columns = [field_column(name) for name in names]
        fields: list[Field] = [Param(name) for name in _shown_params(runs)]
        fields += [Metric(name) for name in _shown_metrics(runs)]
        columns += [FieldColumn(field_text(field), field) for field in fields]
        return (*columns, field_column("tags")) if any(run.tags for run in runs) else tuple(columns)


def _shown_params(runs: Sequence[StoredRun]) -> list[str]:
    compared = compare_params({run.id: run.params for run in runs})
    return list(compared.differing if len(runs) > 1 else compared.common)[:MOST_PARAMS]


def _shown_metrics(runs: Sequence[StoredRun]) -> list[str]:
    """Return the metrics that come first in the projects, else those that most of the runs have."""
    read_together(runs)
    counts = Counter(name for run in runs for name in run.metrics if not name.startswith(_SYSTEM))
    if not counts:
        return []
    try:
        primary = read_directions(None, metrics=(), places=[(run.store, run.project) for run in runs]).primary
    except TracklibError:  # The store is away; what was read of it can be shown all the same.
        primary = ()
    known = [name for name in primary if name in counts]
    return (known or sorted(counts, key=lambda name: (-counts[name], name)))[:MOST_METRICS]


def _rank(field: Field | AllTags) -> int:
    """Return how much a column is wanted where there is little room: names and metrics most, tags least."""
    if isinstance(field, Attribute):
        return _RANKS.get(field.name, 3)
    return 6 if isinstance(field, Metric) else 5 if isinstance(field, Param) else 0


def _titles(columns: Sequence[FieldColumn]) -> list[str]:
    """Return short titles; of those that are the same the whole field, as of a param and a metric of one name."""
    counts = Counter(column.title for column in columns)
    return [column.title if counts[column.title] == 1 else column.text for column in columns]


def _is_time(field: Field | AllTags) -> bool:
    if isinstance(field, Attribute):
        return ATTRIBUTES[field.name].type is AttributeType.TIME
    return isinstance(field, Metric) and field.statistic == "last_time"


def _is_number(field: Field | AllTags) -> bool:
    if isinstance(field, Attribute):
        return ATTRIBUTES[field.name].type in {AttributeType.NUMBER, AttributeType.DURATION}
    return isinstance(field, Metric)


def _is_numeric(field: Field | AllTags, values: Sequence[Any]) -> bool:
    if isinstance(field, Param):
        return all(value is None or type(value) in {int, float} for value in values)
    return _is_number(field) and not _is_time(field)


def _text(field: Field | AllTags, value: Any) -> str:
    if _is_time(field):
        return moment_text(value)
    if isinstance(field, Attribute) and ATTRIBUTES[field.name].type is AttributeType.DURATION:
        return duration_text(value)
    return value_text(value)


def _checked_statistics(statistics: Any) -> tuple[str, ...]:
    chosen = (statistics,) if isinstance(statistics, str) else statistics
    if not isinstance(chosen, Sequence) or not chosen or not all(each in tuple(STATISTICS) for each in chosen):
        raise ConfigError(f"statistics is {statistics!r:.200}, but takes some of {', '.join(STATISTICS)}")
    return tuple(chosen)


def _plain_run(run: StoredRun) -> dict[str, Any]:
    metrics = {
        name: {statistic: getattr(summary, statistic) for statistic in STATISTICS}
        for name, summary in run.metrics.items()
    }
    fields = {name: field_column(attribute).value(run) for name, attribute in _FRAME_ATTRIBUTES.items()}
    return {**fields, "params": run.params, "metrics": metrics, "tags": run.tags}
