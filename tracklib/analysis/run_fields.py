"""What can stand in a column of a table of runs: a field by its text, its value of a run, its title."""

from __future__ import annotations

import re
from dataclasses import dataclass
from keyword import iskeyword
from typing import TYPE_CHECKING, Any, Final

from tracklib.errors import ConfigError, FilterError
from tracklib.model import main_writers
from tracklib.queries.attributes import ATTRIBUTES, STATISTICS
from tracklib.queries.complaints import did_you_mean
from tracklib.queries.names import field_of
from tracklib.queries.parser import read_tree
from tracklib.queries.tree import Attribute, Metric, Param, Tag
from tracklib.records import flatten_params

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracklib.model import RunInfo
    from tracklib.queries.tree import Field
    from tracklib.reading import StoredRun

__all__ = ["AllTags", "FieldColumn", "field_column", "field_text", "field_value"]

_GROUPS: Final = ("params", "metrics", "tags")
_ROOT: Final = re.compile(r"(params|metrics|tags|run)\b")
_WORD: Final = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")


@dataclass(frozen=True, slots=True)
class AllTags:
    """All tags of a run, in one cell."""


@dataclass(frozen=True, slots=True)
class FieldColumn:
    """A column of a table of runs.

    Attributes:
        text: As it was asked for, or as the search language has it.
    """

    text: str
    field: Field | AllTags

    @property
    def title(self) -> str:
        """What stands above it: of params, metrics and tags the name alone."""
        if isinstance(self.field, Metric) and self.field.statistic != "last":
            return f"{self.field.name} ({self.field.statistic})"
        return "tags" if isinstance(self.field, AllTags) else self.field.name

    def value(self, run: StoredRun) -> Any:
        """Return what a run has there; None where it has nothing."""
        if isinstance(self.field, AllTags):
            return " ".join(f"{name}={text}" for name, text in run.tags.items()) or None
        return field_value(run, self.field)


def field_column(text: Any) -> FieldColumn:
    """Return the column that a text means: a field as the search language has it, or `tags` for all of them.

    Raises:
        ConfigError: There is no such field; the message suggests a near one.

    Example:
        >>> [field_column(text).title for text in ("params.lr", "metrics['eval/loss'].min", "run.duration", "tags")]
        ['lr', 'eval/loss (min)', 'duration', 'tags']
    """
    if not isinstance(text, str) or not text.strip():
        raise ConfigError(
            f"a column is {text!r:.200}, but takes a field such as 'params.lr' or \"metrics['loss'].min\""
        )
    plain = text.strip()
    if plain == "tags":
        return FieldColumn(plain, AllTags())
    try:
        reader, node = read_tree(_in_full(plain), 0.0)
        return FieldColumn(plain, field_of(reader, node))
    except FilterError as error:
        if not _WORD.fullmatch(plain) or _ROOT.fullmatch(plain):
            raise
        raise ConfigError(
            f"the column {plain!r:.200} is no attribute of runs: write params.{plain}, metrics.{plain} or tags.{plain} "
            f"for what was logged{did_you_mean(plain, ATTRIBUTES)}"
        ) from error


def _in_full(text: str) -> str:
    """Return a field as a filter would have it: names that are no words of Python in brackets, attributes of `run`."""
    group, dot, name = text.partition(".")
    if dot and name and group in _GROUPS:
        words = name.split(".")
        if all(_WORD.fullmatch(word) and not iskeyword(word) for word in words):
            return text
        has_statistic = group == "metrics" and len(words) > 1 and words[-1] in STATISTICS
        rest = f".{words[-1]}" if has_statistic else ""
        return f"{group}[{name.removesuffix(rest)!r}]{rest}"
    return text if _ROOT.match(text) else f"run.{text}"


def field_text(field: Field) -> str:
    """Return a field as the search language has it, with brackets only where the name needs them.

    Example:
        >>> field_text(Metric("eval/loss", "min")), field_text(Metric("loss.min")), field_text(Param("model.size"))
        ('metrics.eval/loss.min', "metrics['loss.min']", 'params.model.size')
    """
    if isinstance(field, Metric):
        statistic = "" if field.statistic == "last" else f".{field.statistic}"
        _, dot, end = field.name.rpartition(".")
        return f"{_named('metrics', field.name, in_brackets=bool(dot) and end in STATISTICS)}{statistic}"
    if isinstance(field, Attribute):
        return field.name
    return _named("params" if isinstance(field, Param) else "tags", field.name)


def _named(group: str, name: str, *, in_brackets: bool = False) -> str:
    return f"{group}[{name!r}]" if in_brackets or name != name.strip() or not name else f"{group}.{name}"


def field_value(run: StoredRun, field: Field) -> Any:
    """Return what a run has in a field; None where it has nothing. Metrics are numbers, moments seconds."""
    if isinstance(field, Param):
        return next((value for name, value in flatten_params(run.params) if name == field.name), None)
    if isinstance(field, Metric):
        summary = run.metrics.get(field.name)
        return None if summary is None else getattr(summary, field.statistic)
    if isinstance(field, Tag):
        return run.tags.get(field.name)
    value = _VALUES[field.name](run.info)
    return None if value == "" else value


def _gpu(info: RunInfo, attribute: str) -> Any:
    gpus = info.environment.gpus
    return getattr(gpus[0], attribute) if gpus else None


def _host(info: RunInfo) -> str | None:
    writers = main_writers(info.writers)
    last = max(writers, key=lambda writer: writer.started_at).host if writers else ""
    return last or info.environment.hostname or None


def _error(info: RunInfo, attribute: str) -> Any:
    return getattr(info.error, attribute) if info.error is not None else None


_VALUES: Final[dict[str, Callable[[RunInfo], Any]]] = {
    "id": lambda info: info.id,
    "name": lambda info: info.name,
    "project": lambda info: info.project,
    "experiment": lambda info: info.experiment,
    "status": lambda info: str(info.status),
    "reason": lambda info: info.reason,
    "created": lambda info: info.created_at,
    "started": lambda info: info.start_time,
    "ended": lambda info: info.end_time,
    "duration": lambda info: info.duration,
    "archived": lambda info: info.archived_at is not None,
    "parent": lambda info: info.parent,
    "notes": lambda info: info.notes,
    "created_by": lambda info: info.created_by,
    "host": _host,
    "source": lambda info: str(info.source.source_type),
    "entry_point": lambda info: info.source.entry_point,
    "directory": lambda info: info.source.directory,
    "git.commit": lambda info: info.source.commit,
    "git.branch": lambda info: info.source.branch,
    "git.tag": lambda info: info.source.tag,
    "git.dirty": lambda info: info.source.dirty,
    "git.repository": lambda info: info.source.repository_url,
    "python": lambda info: info.environment.python_version,
    "os": lambda info: info.environment.os,
    "platform": lambda info: info.environment.platform,
    "cpu.model": lambda info: info.environment.cpu_model,
    "cpu.count": lambda info: info.environment.cpu_count,
    "memory": lambda info: info.environment.memory_bytes,
    "gpu.type": lambda info: _gpu(info, "name"),
    "gpu.count": lambda info: len(info.environment.gpus),
    "gpu.memory": lambda info: _gpu(info, "memory_bytes"),
    "cuda": lambda info: info.environment.cuda_version,
    "error.type": lambda info: _error(info, "type"),
    "error.message": lambda info: _error(info, "message"),
    "gpu_hours": lambda info: info.resources.gpu_hours,
    "cpu_hours": lambda info: info.resources.cpu_hours,
    "memory_gb_hours": lambda info: info.resources.memory_gb_hours,
    "storage_gb": lambda info: info.resources.storage_gb,
    "energy_kwh": lambda info: info.resources.energy_kwh,
    "cost": lambda info: info.resources.cost,
}
"""By the names of `tracklib.queries.attributes`."""
