"""Which runs are meant: by a word, or by conditions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from tracklib.errors import AmbiguousName, ConfigError, NotFound
from tracklib.queries.tree import Condition, Order
from tracklib.records import RunStatus, is_id
from tracklib.stores.base import RunQuery

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tracklib.model import RunInfo
    from tracklib.stores.base import Store

__all__ = ["checked_conditions", "find_run"]

_MOST_SLASHES: Final = 8


def find_run(store: Store, text: str, *, project: str | None = None) -> RunInfo:
    """Return the run that `text` means; see `get_run`.

    Raises:
        NotFound: There is none.
        AmbiguousName: There are several.
    """
    if text == "latest":
        found = store.runs(RunQuery(project=project, limit=1))
        if not found:
            raise NotFound(f"there is no run in {store.uri} yet" + (f" in the project {project!r}" if project else ""))
        return store.run(found[0].id)
    for query in _readings(text, project):
        found = store.runs(replace(query, limit=6))
        if len(found) > 1:
            names = ", ".join(f"{info.id} ({info.name})" for info in found[:5])
            raise AmbiguousName(
                f"{text!r} means several runs: {names}{' …' if len(found) > 5 else ''}; give more of the id"
            )
        if found:
            return store.run(found[0].id)
    raise NotFound(f"there is no run {text!r} in {store.uri}: `tracklib runs` lists what there is")


def _readings(text: str, project: str | None) -> Sequence[RunQuery]:
    """Return what `text` may mean, the likeliest first."""
    parts = text.split("/")
    # Names may have slashes of their own.
    places = [
        RunQuery(
            project="/".join(parts[:first]),
            experiment="/".join(parts[first:second]),
            name="/".join(parts[second:]),
            archived=None,
        )
        for first in range(1, min(len(parts), _MOST_SLASHES))
        for second in range(first + 1, min(len(parts), _MOST_SLASHES))
    ]
    named = RunQuery(name=text, project=project, archived=None)
    if not text.isalnum():
        return [*places, named]
    begun = RunQuery(id_prefix=text.upper(), project=project, archived=None)
    # A short word such as "01" begins every id, but may be somebody's name.
    return [begun, named] if is_id(text.upper()) else [named, begun]


def checked_conditions(conditions: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a `RunQuery`; one text will do where several are taken.

    Raises:
        ConfigError: There is no such field, or it takes something else.

    Example:
        >>> checked_conditions({"status": "failed", "limit": 5})
        {'status': ('failed',), 'limit': 5}
    """
    unknown = sorted(conditions.keys() - _CONDITIONS.keys())
    if unknown:
        raise ConfigError(f"{unknown[0]!r} is no condition for runs; those are {', '.join(sorted(_CONDITIONS))}")
    checked = {
        name: (value,) if name in _LISTS and isinstance(value, str) else value
        for name, value in _parsed(conditions).items()
    }
    for name, value in checked.items():
        fits, words = _CONDITIONS[name]
        if not fits(value):
            raise ConfigError(f"{name} is {conditions[name]!r:.200}, but takes {words}")
    return {name: tuple(value) if name in _LISTS else value for name, value in checked.items()}


def _parsed(conditions: dict[str, Any]) -> dict[str, Any]:
    """Return conditions in which texts of the filter language are what they say."""
    from tracklib.queries.orders import is_expression, parse_orders
    from tracklib.queries.parser import parse

    found = dict(conditions)
    if isinstance(found.get("where"), str):
        found["where"] = parse(found["where"])
    if isinstance(found.get("order"), (str, list, Order)):
        found["order"] = parse_orders(found["order"])
    by = found.get("order_by")
    if isinstance(by, str) and is_expression(by):
        found["order"] = parse_orders(by, descending=bool(found.get("descending", True)))
        found["order_by"] = "created"
    return found


def _is_text_or_none(value: Any) -> bool:
    return value is None or isinstance(value, str)


def _are_texts(values: Any) -> bool:
    return isinstance(values, (list, tuple, set, frozenset)) and all(isinstance(value, str) for value in values)


def _are_statuses(values: Any) -> bool:
    return _are_texts(values) and all(str(value) in set(RunStatus) for value in values)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


_LISTS: Final = frozenset({"ids", "status"})
_TEXT: Final = (_is_text_or_none, "text")
_COUNT: Final = "a whole number that is not negative"
_FLAG: Final = "True or False"
_CONDITIONS: Final[dict[str, tuple[Callable[[Any], bool], str]]] = {
    **dict.fromkeys(("project", "experiment", "name", "parent"), _TEXT),
    "ids": (_are_texts, "ids of runs"),
    "id_prefix": (lambda value: isinstance(value, str), "the first characters of ids"),
    "status": (_are_statuses, f"some of {', '.join(RunStatus)}"),
    "tags": (
        lambda value: isinstance(value, dict) and _are_texts([*value, *value.values()]),
        "names and texts of tags",
    ),
    "archived": (lambda value: value in (True, False, None), f"{_FLAG}, or None for both"),
    "order_by": (lambda value: isinstance(value, str), '"created", the name of a metric, or what to sort by'),
    "where": (lambda value: value is None or isinstance(value, Condition), "a filter, as text"),
    "order": (
        lambda value: isinstance(value, tuple) and all(isinstance(each, Order) for each in value),
        "what to sort by, as text such as '-metrics.acc'",
    ),
    "descending": (lambda value: isinstance(value, bool), _FLAG),
    "limit": (lambda value: value is None or _is_count(value), f"{_COUNT}, or None for all"),
    "offset": (_is_count, _COUNT),
}
