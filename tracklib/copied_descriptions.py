"""What projects and experiments say of themselves, on its way from one store to another."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tracklib.errors import NotFound
from tracklib.model import Experiment, Project

if TYPE_CHECKING:
    from collections.abc import Collection

    from tracklib.stores.base import Store

__all__ = ["copy_descriptions"]


def copy_descriptions(
    source: Store, target: Store, *, project: str | None = None, places: Collection[tuple[str, str]] | None = None
) -> None:
    """Copy the descriptions that are newer than those in the target, or that it does not have.

    Args:
        project: Only that of this project and of its experiments.
        places: Only those of these projects and experiments.
    """
    names = None if places is None else {name for name, _ in places}
    known = {entity.name: entity for entity in _projects(target)}
    for each in _projects(source):
        wanted = project in (None, each.name) and (names is None or each.name in names)
        if wanted and _is_news(each, known.get(each.name)):
            target.put_project(each)
    there = {(entity.project, entity.name): entity for entity in _experiments(target, project)}
    for entity in _experiments(source, project):
        place = entity.project, entity.name
        if (places is None or place in places) and _is_news(entity, there.get(place)):
            target.put_experiment(entity)


def _projects(store: Store) -> list[Project]:
    try:
        return store.projects(archived=None)
    except NotFound:  # There is no such store yet.
        return []


def _experiments(store: Store, project: str | None) -> list[Experiment]:
    try:
        return store.experiments(project, archived=None)
    except NotFound:
        return []


def _is_news(mine: Project | Experiment, theirs: Project | Experiment | None) -> bool:
    """Tell whether a description is to replace the one in the target."""
    if theirs is None:
        return True
    if _said(mine) == _said(theirs):
        return False
    # One that a first run has made, and of which nobody has said anything since, is no newer description.
    return mine.updated_at > theirs.updated_at or _said(theirs) == _said(_blank(theirs))


def _said(entity: Project | Experiment) -> Project | Experiment:
    """Return an entity without what differs from store to store."""
    return replace(entity, id="", created_at=0.0, updated_at=0.0)


def _blank(entity: Project | Experiment) -> Project | Experiment:
    if isinstance(entity, Project):
        return Project(id="", name=entity.name)
    return Experiment(id="", project=entity.project, name=entity.name)
