"""Which runs a command is about: words that name them, or a filter, and options that narrow it down."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from tracklib.cli.options import named_values, project_option, store_option
from tracklib.errors import AmbiguousName, ConfigError, NotFound
from tracklib.model import RunStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracklib.reading import StoredRun
    from tracklib.stores.base import Store

__all__ = ["Choice", "Chosen", "choose_runs", "choosing_options"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What the command line says of the runs that are meant.

    Attributes:
        words: Words for runs, or one filter.
        store: URI of the store; None for the one that runs started here go to.
    """

    words: tuple[str, ...] = ()
    project: str | None = None
    experiment: str | None = None
    status: tuple[str, ...] = ()
    tags: dict[str, str] = field(default_factory=dict)
    archived: bool = False
    store: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The runs that are meant.

    Attributes:
        named: Whether they were named one by one.
        more: Whether there are more than were asked for.
    """

    store: Store
    runs: list[StoredRun]
    named: bool = False
    more: bool = False


def choosing_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the argument for runs and the options that narrow them down; they come as the argument `choice`."""

    @functools.wraps(function)
    def called(**given: Any) -> Any:
        choice = Choice(**{name: given.pop(name) for name in Choice.__dataclass_fields__})
        return function(choice=choice, **given)

    statuses = [str(status) for status in RunStatus]
    for decorate in (
        store_option,
        click.option("--archived", is_flag=True, help="Of archived runs instead of the others."),
        click.option(
            "--tag",
            "tags",
            multiple=True,
            metavar="NAME=VALUE",
            callback=named_values,
            help="Only runs with this tag; repeatable.",
        ),
        click.option("--status", multiple=True, type=click.Choice(statuses), help="Only those; repeatable."),
        click.option("--experiment", metavar="NAME", help="Only runs of experiments of this name."),
        project_option("Only runs of this project."),
        click.argument("words", metavar="[RUN...|FILTER]", nargs=-1),
    ):
        called = decorate(called)  # type: ignore[assignment]  # What click adds to is a function still.
    return called


def choose_runs(choice: Choice, *, limit: int | None = None) -> Chosen:
    """Return the runs that are meant, the newest first, or in the order in which they were named.

    Args:
        limit: How many of those that a filter finds, at the most.

    Raises:
        NotFound: There are none.
        AmbiguousName: A word means several.
        ConfigError: The filter cannot be understood.
    """
    from tracklib.cli.reaching import check_place, reach, safe_uri

    store, there = reach(choice.store)
    if not there:
        raise NotFound(f"there are no runs in {safe_uri(store.uri)} yet")
    check_place(store, choice.project, choice.experiment)
    named = _named(store, choice)
    if named:
        return Chosen(store=store, runs=named, named=True)
    found = _filtered(store, choice, limit)
    if not found:
        raise NotFound(f"no {'archived ' * choice.archived}runs in {safe_uri(store.uri)} fit this")
    return Chosen(store=store, runs=found[:limit], more=limit is not None and len(found) > limit)


def _named(store: Store, choice: Choice) -> list[StoredRun]:
    """Return the runs that words name; none where a single word may be a filter."""
    from tracklib.reading import StoredRun, find_run, read_together, with_live_status

    found = {}
    for word in choice.words:
        try:
            info = find_run(store, word, project=choice.project)
        except AmbiguousName:
            raise
        except NotFound:
            if len(choice.words) > 1:
                raise
            return []
        found[info.id] = StoredRun(store, with_live_status(info))
    runs = list(found.values())
    read_together(runs)
    return runs


def _filtered(store: Store, choice: Choice, limit: int | None) -> list[StoredRun]:
    from tracklib.analysis.search import search_runs
    from tracklib.cli.reaching import safe_uri

    text = choice.words[0] if choice.words else ""
    try:
        return list(
            search_runs(
                text,
                project=choice.project,
                experiment=choice.experiment,
                status=choice.status or None,
                tags=choice.tags,
                archived=choice.archived,
                limit=None if limit is None else limit + 1,
                store=store.uri,
            )
        )
    except ConfigError as error:
        # A single word is likelier the name of a run than a filter.
        if not re.fullmatch(r"[\w./-]+", text):
            raise
        raise NotFound(
            f"there is no run {text!r} in {safe_uri(store.uri)}, and it is no filter, such as 'params.lr < 0.1'"
        ) from error
