"""What is said where a search asks for params, metrics or tags that no run has: they are likely misspelt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tracklib.errors import NotFound
from tracklib.queries.complaints import nearest
from tracklib.queries.tree import Attribute, Comparison, Constant, Metric, Param, Tag, conjuncts, fields_in
from tracklib.records import flatten_params

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Sequence

    from tracklib.queries.tree import Condition, Order, Value
    from tracklib.reading import StoredRun
    from tracklib.stores.base import FieldNames, RunQuery, Store

__all__ = ["check_order_names", "unknown_names"]

_KINDS = {Param: "param", Metric: "metric", Tag: "tag"}
_SYSTEM = "system/"
MOST: Final = 5
"""So many names are told."""


def unknown_names(store: Store, query: RunQuery, found: Iterable[StoredRun]) -> Iterator[str]:
    """Yield a sentence for each name of a filter that no run of the project has, and for what never holds.

    Args:
        found: What the query found: what its runs have need not be looked for.
    """
    yield from _texts_and_numbers(query.where)
    unseen = _unseen(store, [query.where] if query.where else [], found)
    if not unseen:
        return
    names = store.field_names(query.project, query.experiment)
    # Several numbers of one metric are one name.
    unknown = {(type(field), field.name): field for field in unseen if field.name not in _known(names, field)}
    for field in [*unknown.values()][:MOST]:
        yield f"no run {_place(query)}has {_described(field)}{_hint(field, names)}"


def _texts_and_numbers(condition: Condition | None) -> Iterator[str]:
    """Yield a sentence for each text that is compared with a number: they are never equal."""
    for part in conjuncts(condition):
        if not isinstance(part, Comparison):
            continue
        for field, constant in ((part.left, part.right), (part.right, part.left)):
            is_number = isinstance(constant, Constant) and isinstance(constant.value, (int, float))
            if is_number and isinstance(constant, Constant) and isinstance(field, Tag):
                yield f"tags are texts: write '{constant.value}' to compare the tag {field.name!r} with it"


def check_order_names(store: Store, query: RunQuery, found: Sequence[StoredRun]) -> None:
    """See whether some run has what is sorted by.

    Raises:
        NotFound: None has a metric of this name; the message suggests near ones.
    """
    unseen = [field for field in _unseen(store, query.order, found) if isinstance(field, Metric)]
    if not unseen:
        return
    names = store.field_names(query.project, query.experiment)
    for field in unseen:
        # Where nothing was recorded yet, nothing is misspelt.
        is_anything_there = found or names.params or names.metrics or names.tags
        if is_anything_there and field.name not in names.metrics:
            raise NotFound(f"no run {_place(query)}has {_described(field)} to sort by{_hint(field, names)}")


def _unseen(
    store: Store, parts: Iterable[Condition | Value | Order], found: Iterable[StoredRun]
) -> list[Param | Metric | Tag]:
    """Return the fields that a query is about and the first run that was found does not have."""
    asked = {field: None for part in parts for field in fields_in(part) if not isinstance(field, Attribute)}
    run = next(iter(found), None)
    if asked and run is not None:
        # Metrics of all that was found are not read before somebody asks for them.
        is_about_metrics = any(isinstance(field, Metric) for field in asked)
        metrics = store.summaries([run.id])[run.id] if is_about_metrics else {}
        has: dict[type, Container[str]] = {Metric: metrics, Tag: run.tags, Param: dict(flatten_params(run.params))}
        asked = {field: None for field in asked if field.name not in has[type(field)]}
    return list(asked)


def _known(names: FieldNames, field: Param | Metric | Tag) -> tuple[str, ...]:
    return {Param: names.params, Metric: names.metrics, Tag: names.tags}[type(field)]


def _place(query: RunQuery) -> str:
    if query.project is not None and query.experiment is not None:
        return f"of {query.project}/{query.experiment} "
    if query.project is not None:
        return f"of the project {query.project!r} "
    return f"of the experiment {query.experiment!r} " if query.experiment is not None else ""


def _described(field: Param | Metric | Tag) -> str:
    return f"a {_KINDS[type(field)]} {field.name!r:.80}"


def _hint(field: Param | Metric | Tag, names: FieldNames) -> str:
    """Return which name is near, in this kind of names or another, or which names there are."""
    known = _known(names, field)
    ends = (f".{field.name}", f"/{field.name}")
    longer = (name for name in known if name.startswith(f"{field.name}.") or name.endswith(ends))
    near = nearest(field.name, known) or next(longer, None)
    if near:
        return f"; did you mean {near!r}?"
    for kind, others in (("param", names.params), ("metric", names.metrics), ("tag", names.tags)):
        if field.name in others:
            return f", but a {kind} of this name"
    shown = sorted(known, key=lambda name: (name.startswith(_SYSTEM), name))[:5]
    return f"; there are: {', '.join(shown)}" if shown else "; there are none"
