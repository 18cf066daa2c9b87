"""What an axis or a colour stands for: a param, a metric, a tag or an attribute of runs, named as in a search."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from tracklib.analysis.grids import shown
from tracklib.analysis.run_fields import FieldColumn, field_column
from tracklib.charts.units import unit_of
from tracklib.errors import ConfigError, NotFound
from tracklib.records import flatten_params

if TYPE_CHECKING:
    from tracklib.reading import StoredRun

__all__ = ["Column", "Kind", "column_of", "flat_params", "no_metric", "read_column"]

Kind = Literal["number", "category", "time"]

_PLACES: Final = ("params", "metrics", "tags", "run")
_TIMES: Final = frozenset({"created", "started", "ended"})
_UNITS: Final = {
    "duration": "seconds",
    "memory": "bytes",
    "gpu.memory": "bytes",
    "gpu_hours": "h",
    "cpu_hours": "h",
    "memory_gb_hours": "GB h",
    "storage_gb": "GB",
    "energy_kwh": "kWh",
}
_MOST_HINTS: Final = 10


class Column(NamedTuple):
    """One value of each run.

    Attributes:
        label: What they are.
        unit: "" where there is none.
        kind: number; category, whose values are text; or time, in milliseconds since the epoch (UTC).
        values: For each run, None where it has none. A number may be NaN or infinite.
    """

    label: str
    unit: str
    kind: Kind
    values: tuple[float | str | None, ...]

    @property
    def numbers(self) -> list[float]:
        """The finite numbers among the values."""
        return [value for value in self.values if isinstance(value, float) and math.isfinite(value)]

    @property
    def categories(self) -> list[str]:
        """The different texts among the values, in order."""
        return sorted({value for value in self.values if isinstance(value, str)})


def flat_params(run: StoredRun) -> dict[str, Any]:
    """Return the params of a run by their dotted names."""
    return dict(flatten_params(run.params))


def no_metric(name: str, runs: Sequence[StoredRun]) -> NotFound:
    """Return the error that says that none of these runs has a metric, and which ones there are."""
    return NotFound(f"none of these {len(runs)} runs has a metric {name!r}; {_hint(name, _known_metrics(runs))}")


def read_column(runs: Sequence[StoredRun], field: str) -> Column:
    """Return the values of a field, one for each run.

    Args:
        runs: At least one.
        field: `params.lr`, `metrics.loss`, `metrics['eval/loss'].min`, `tags.team` or `run.duration`; or the bare
            name of a param, of a metric, of an attribute of runs or of a tag, which are looked for in this order.

    Raises:
        ConfigError: It is no such text.
        NotFound: No run has such a thing; the message suggests near names.
    """
    if not isinstance(field, str) or not field.strip():
        raise ConfigError(f"a field is {field!r:.200}, but takes a name, as params.lr, metrics.loss or run.duration")
    text = field.strip()
    for column in _meant(text):
        values = [column.value(run) for run in runs]
        if any(value is not None for value in values):
            return _column(column, values)
    known = {"params": _known_params(runs), "metrics": _known_metrics(runs), "tags": {t for r in runs for t in r.tags}}
    place = next((place for place in known if text.startswith((f"{place}.", f"{place}["))), "")
    name = text.removeprefix(place).strip(".[]'\" ")
    names = known[place] if place else known["params"] | known["metrics"]
    raise NotFound(f"none of these {len(runs)} runs has {field!r:.200}; {_hint(name, names)}")


def _meant(text: str) -> Iterator[FieldColumn]:
    """Yield what a text may mean, the likeliest first."""
    if any(text.startswith((f"{place}.", f"{place}[")) for place in _PLACES):
        yield field_column(text)
        return
    yield field_column(f"params[{text!r}]")
    yield field_column(f"metrics[{text!r}]")
    metric, _, statistic = text.rpartition(".")
    for column in (f"metrics[{metric!r}].{statistic}", f"run.{text}"):
        try:
            yield field_column(column)
        except ConfigError:
            continue
    yield field_column(f"tags[{text!r}]")


def _column(column: FieldColumn, values: Sequence[Any]) -> Column:
    is_attribute = not column.text.startswith(("params", "metrics", "tags"))
    if is_attribute and column.title in _TIMES:
        moments = tuple(None if at is None else float(at) * 1000.0 for at in values)
        return Column(column.title, "UTC", "time", moments)
    return column_of(column.title, values, unit=_UNITS.get(column.title, "") if is_attribute else unit_of(column.title))


def column_of(label: str, values: Sequence[Any], *, unit: str = "") -> Column:
    """Return values as numbers where all of them are, else as text; None where there is none.

    Example:
        >>> column_of("seed", [1, None, 2.5]).values, column_of("fast", [True, "no"]).values
        ((1.0, None, 2.5), ('True', 'no'))
    """
    there = [value for value in values if value is not None]
    if there and all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in there):
        return Column(label, unit, "number", tuple(None if value is None else _number(value) for value in values))
    return Column(label, unit, "category", tuple(None if value is None else _text(value) for value in values))


def _number(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _text(value: Any) -> str:
    # A foreign object was kept by its `repr`.
    told = value["$repr"] if isinstance(value, Mapping) and "$repr" in value else value
    return told if isinstance(told, str) else shown(told)


def _known_params(runs: Sequence[StoredRun]) -> set[str]:
    return {name for run in runs for name in flat_params(run)}


def _known_metrics(runs: Sequence[StoredRun]) -> set[str]:
    known = {metric for run in runs for metric in run.metrics}
    return {metric for metric in known if not metric.startswith("system/")} or known


def _hint(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    near = difflib.get_close_matches(name, names, 3)
    if near:
        return f"did you mean {' or '.join(map(repr, near))}?"
    more = f" and {len(names) - _MOST_HINTS} more" if len(names) > _MOST_HINTS else ""
    return f"there are: {', '.join(names[:_MOST_HINTS]) or 'none'}{more}"
