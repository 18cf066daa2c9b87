"""Projects and experiments in an object store: each description of one is an object, and the last one counts."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tracklib.model import Experiment, ExperimentStatus, Project, ProjectSettings
from tracklib.stores import catalog
from tracklib.stores.fold import dump, ensure_experiment

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

__all__ = ["EntityPut", "Place", "apply_entity", "parse_entity", "write_entity"]


class Place(NamedTuple):
    """What runs were gathered under: it is there even if nobody described it and the runs are no more."""

    project: str
    experiment: str
    created_at: float


class EntityPut(NamedTuple):
    """What somebody described, and when."""

    shipped: float
    entity: Project | Experiment | Place


def apply_entity(entity: Project | Experiment | Place, connection: sqlite3.Connection) -> None:
    """Put what somebody described into the tables."""
    if isinstance(entity, Project):
        catalog.put_project(connection, entity)
    elif isinstance(entity, Experiment):
        catalog.put_experiment(connection, entity)
    else:
        ensure_experiment(connection, entity.project, entity.experiment, entity.created_at)


def write_entity(entity: Project | Experiment | Place, shipped: float) -> bytes:
    """Return the object that describes something."""
    data = entity._asdict() if isinstance(entity, Place) else asdict(entity)
    return f"{dump({'kind': type(entity).__name__.lower(), 'shipped': shipped, 'data': data})}\n".encode()


def parse_entity(data: bytes) -> EntityPut:
    """Undo `write_entity`.

    Raises:
        ValueError: It is nothing of the kind.
    """
    try:
        said = json.loads(data)
        return EntityPut(float(said["shipped"]), _ENTITIES[said["kind"]](said["data"]))
    except (KeyError, TypeError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _project(fields: dict[str, Any]) -> Project:
    settings = catalog.only_known(ProjectSettings, fields["settings"])
    settings["primary_metrics"] = tuple(settings.get("primary_metrics", ()))
    return Project(**{**catalog.only_known(Project, fields), "settings": ProjectSettings(**settings)})


def _experiment(fields: dict[str, Any]) -> Experiment:
    return Experiment(**{**catalog.only_known(Experiment, fields), "status": ExperimentStatus(fields["status"])})


def _place(fields: dict[str, Any]) -> Place:
    return Place(str(fields["project"]), str(fields["experiment"]), float(fields["created_at"]))


_ENTITIES: Final[dict[str, Callable[[dict[str, Any]], Project | Experiment | Place]]] = {
    "project": _project,
    "experiment": _experiment,
    "place": _place,
}
