"""Getting at what a command is about: the store, projects, experiments."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, NamedTuple

import click

from tracklib.errors import AmbiguousName, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracklib.reading import StoredRun
    from tracklib.stores.base import Store

__all__ = ["Reached", "check_place", "found_runs", "home_of", "reach", "reach_existing", "safe_uri"]


class Reached(NamedTuple):
    """A store, and whether anything is there yet."""

    store: Store
    there: bool


def reach(store: str | None) -> Reached:
    """Open the store that is meant, for reading: whatever the command asks is answered from one look at it.

    One that nobody named and that is not there is an empty one: a first run makes it.

    Raises:
        NotFound: There is no store where one was named.
        StoreError: It cannot be used.
    """
    opened = reach_existing(store)
    context = click.get_current_context(silent=True)
    if context:
        context.with_resource(opened.one_look())
    try:
        opened.projects(archived=None)
    except NotFound:
        if store is not None:
            raise
        return Reached(opened, there=False)
    return Reached(opened, there=True)


def reach_existing(store: str | None) -> Store:
    """Open the store that is meant, for reading. It is closed with the command; that it is not there shows later.

    Raises:
        StoreError: It cannot be used.
    """
    from tracklib.reading import open_for_reading

    opened = open_for_reading(store)
    context = click.get_current_context(silent=True)
    if context:
        context.call_on_close(opened.close)
    return opened


def found_runs(store: Store, words: Iterable[str]) -> list[StoredRun]:
    """Return the runs that these words mean, each once.

    Raises:
        NotFound: One of them means none.
        AmbiguousName: One of them means several.
    """
    from tracklib.reading import StoredRun, find_run, with_live_status

    found = {info.id: info for info in (find_run(store, word) for word in words)}
    return [StoredRun(store, with_live_status(info)) for info in found.values()]


def check_place(store: Store, project: str | None, experiment: str | None) -> None:
    """See to it that a project and an experiment of these names are there.

    Raises:
        NotFound: One of them is not; the message suggests near names.
    """
    if project is not None:
        check_known("project", project, [entity.name for entity in store.projects(archived=None)])
    if experiment is not None:
        check_known("experiment", experiment, [entity.name for entity in store.experiments(project, archived=None)])


def check_known(what: str, name: str, known: Iterable[str]) -> None:
    """See to it that a name is among those that are known.

    Raises:
        NotFound: It is not.
    """
    known = sorted(set(known))
    if name not in known:
        near = difflib.get_close_matches(name, known, 3)
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"there are: {', '.join(known) or 'none'}"
        raise NotFound(f"there is no {what} {name!r}; {hint}")


def home_of(store: Store, experiment: str, project: str | None) -> str:
    """Return the project of an experiment: as given, or the only one that has such an experiment.

    Raises:
        NotFound: None has.
        AmbiguousName: Several have.
    """
    check_place(store, project, experiment)
    homes = [entity.project for entity in store.experiments(project, archived=None) if entity.name == experiment]
    if len(homes) > 1:
        raise AmbiguousName(
            f"several projects have an experiment {experiment!r}: name one with --project ({', '.join(homes)})"
        )
    return homes[0]


def safe_uri(uri: str) -> str:
    """Return a store's URI without secrets in it."""
    from tracklib.capture.redact import mask_text

    return mask_text(uri)
