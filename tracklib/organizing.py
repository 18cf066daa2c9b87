"""Projects and experiments: creating, changing, listing and archiving them."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, TypeVar

from tracklib.describing import tags_record, user_name
from tracklib.errors import ConfigError, NotFound
from tracklib.model import Experiment, ExperimentStatus, Project, ProjectSettings, new_id
from tracklib.values import checked_name, clean_text, jsonable

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from tracklib.stores.base import Store

    StoreName = str | os.PathLike[str] | None

T = TypeVar("T")

__all__ = [
    "archive_experiment",
    "archive_project",
    "get_experiment",
    "get_project",
    "list_experiments",
    "list_projects",
    "restore_experiment",
    "restore_project",
    "set_experiment",
    "set_project",
]


def set_project(  # noqa: PLR0913 - the fields of a project
    name: str,
    *,
    description: str | None = None,
    owner: str | None = None,
    team: str | None = None,
    tags: Mapping[str, Any] | None = None,
    settings: ProjectSettings | Mapping[str, Any] | None = None,
    store: StoreName = None,
) -> Project:
    """Create a project, or change those of its fields that are given.

    Args:
        tags: Merged over those that are there; a value of None removes one.
        settings: A `ProjectSettings`, or those of its fields that are to change.
        store: URI of the store; by default the one that runs go to.

    Raises:
        ConfigError: The name or a setting cannot be meant.
        TypeError: `tags` or `settings` is no mapping.

    Example:
        >>> tracklib.set_project("digits", owner="vision", settings={"primary_metrics": ["eval/accuracy"]}).owner
        'vision'
    """
    checked_name("name", name)
    with _writable(store) as opened:
        old = next((p for p in _projects(opened, archived=None) if p.name == name), None)
        now = time.time()
        base = old or Project(id=new_id(now), name=name, created_at=now)
        changed = replace(
            base,
            **_texts(description=description, owner=owner, team=team),
            tags=_merged_tags(base.tags, tags),
            settings=_merged_settings(base.settings, settings),
            updated_at=now,
        )
        opened.put_project(changed)
        return changed


def set_experiment(  # noqa: PLR0913 - the fields of an experiment
    name: str,
    *,
    project: str,
    description: str | None = None,
    hypothesis: str | None = None,
    status: str | ExperimentStatus | None = None,
    tags: Mapping[str, Any] | None = None,
    created_by: str | None = None,
    store: StoreName = None,
) -> Experiment:
    """Create an experiment (and its project), or change those of its fields that are given.

    Args:
        status: active, completed or archived.
        tags: Merged over those that are there; a value of None removes one.
        created_by: By default the user's name, for a new one.

    Raises:
        ConfigError: A name or the status cannot be meant.
        TypeError: `tags` is no mapping.

    Example:
        >>> tracklib.set_experiment("lr-sweep", project="digits", hypothesis="1e-3 is best").status
        <ExperimentStatus.ACTIVE: 'active'>
    """
    checked_name("name", name)
    checked_name("project", project)
    with _writable(store) as opened:
        old = next((e for e in _experiments(opened, project, archived=None) if e.name == name), None)
        now = time.time()
        base = old or _new_experiment(opened, project, name, now)
        chosen = base.status if status is None else _experiment_status(status)
        archived_at = (base.archived_at or now) if chosen is ExperimentStatus.ARCHIVED else None
        changed = replace(
            base,
            **_texts(description=description, hypothesis=hypothesis, created_by=created_by),
            status=chosen,
            tags=_merged_tags(base.tags, tags),
            updated_at=now,
            archived_at=archived_at,
        )
        opened.put_experiment(changed)
        return changed


def list_projects(*, archived: bool | None = False, store: StoreName = None) -> list[Project]:
    """List projects by name; archived ones too with `archived=None`, only those with True."""
    from tracklib.reading import open_for_reading

    with open_for_reading(store) as opened:
        return _projects(opened, archived=archived)


def list_experiments(
    project: str | None = None, *, archived: bool | None = False, store: StoreName = None
) -> list[Experiment]:
    """List experiments by project and name; see `list_projects`."""
    from tracklib.reading import open_for_reading

    with open_for_reading(store) as opened:
        return _experiments(opened, project, archived=archived)


def get_project(name: str, *, store: StoreName = None) -> Project:
    """Return a project.

    Raises:
        NotFound: There is none of this name.
    """
    checked_name("name", name)
    found = {project.name: project for project in list_projects(archived=None, store=store)}
    return _found(found, name, "project")


def get_experiment(name: str, *, project: str, store: StoreName = None) -> Experiment:
    """Return an experiment of a project.

    Raises:
        NotFound: There is none of this name.
    """
    checked_name("name", name)
    checked_name("project", project)
    found = {experiment.name: experiment for experiment in list_experiments(project, archived=None, store=store)}
    return _found(found, name, "experiment")


def archive_project(name: str, *, store: StoreName = None) -> Project:
    """Put a project out of the way: lists leave it out, nothing is deleted.

    Raises:
        NotFound: There is none of this name.
    """
    return _set_archived(name, time.time(), store)


def restore_project(name: str, *, store: StoreName = None) -> Project:
    """Bring an archived project back."""
    return _set_archived(name, None, store)


def archive_experiment(name: str, *, project: str, store: StoreName = None) -> Experiment:
    """Put an experiment out of the way; see `archive_project`."""
    get_experiment(name, project=project, store=store)
    return set_experiment(name, project=project, status=ExperimentStatus.ARCHIVED, store=store)


def restore_experiment(name: str, *, project: str, store: StoreName = None) -> Experiment:
    """Bring an archived experiment back."""
    get_experiment(name, project=project, store=store)
    return set_experiment(name, project=project, status=ExperimentStatus.ACTIVE, store=store)


def _writable(store: StoreName) -> Store:
    from tracklib.starting import effective_settings, resolve_store

    opened = resolve_store(effective_settings(store=store))
    opened.check()
    return opened


def _projects(store: Store, *, archived: bool | None) -> list[Project]:
    try:
        return store.projects(archived=archived)
    except NotFound:  # No store yet: nothing is in it.
        return []


def _experiments(store: Store, project: str | None, *, archived: bool | None) -> list[Experiment]:
    try:
        return store.experiments(project, archived=archived)
    except NotFound:
        return []


def _new_experiment(store: Store, project: str, name: str, now: float) -> Experiment:
    home = next((p for p in _projects(store, archived=None) if p.name == project), None)
    known = {f.name for f in fields(Experiment)} & {"description", "hypothesis", "tags", "created_by"}
    defaults = {
        key: value for key, value in (home.settings.experiment_defaults if home else {}).items() if key in known
    }
    chosen = {"created_by": user_name(), **defaults}
    return Experiment(id=new_id(now), project=project, name=name, created_at=now, **chosen)


def _set_archived(name: str, at: float | None, store: StoreName) -> Project:
    changed = replace(get_project(name, store=store), archived_at=at, updated_at=time.time())
    with _writable(store) as opened:
        opened.put_project(changed)
    return changed


def _experiment_status(status: str | ExperimentStatus) -> ExperimentStatus:
    try:
        return ExperimentStatus(status)
    except ValueError as error:
        raise ConfigError(f"status is {status!r}, but an experiment is active, completed or archived") from error


def _texts(**values: str | None) -> dict[str, Any]:
    return {name: clean_text(str(value)) for name, value in values.items() if value is not None}


def _merged_tags(old: Mapping[str, str], new: Mapping[str, Any] | None) -> dict[str, str]:
    changes = tags_record({} if new is None else new)[1]["tags"]
    return {key: value for key, value in {**old, **changes}.items() if value is not None}


def _merged_settings(old: ProjectSettings, new: ProjectSettings | Mapping[str, Any] | None) -> ProjectSettings:
    if new is None:
        return old
    given = {f.name: getattr(new, f.name) for f in fields(new)} if isinstance(new, ProjectSettings) else new
    if not isinstance(given, Mapping):
        raise TypeError(f"settings is {new!r:.200}, but takes a ProjectSettings or a mapping of its fields")
    for name, value in given.items():
        if name not in _FITS:
            raise ConfigError(f"{name!r} is no setting of a project; those are {', '.join(sorted(_FITS))}")
        fits, words = _FITS[name]
        if not fits(value):
            raise ConfigError(f"{name} is {value!r:.200}, but takes {words}")
    changes = jsonable(given)
    if "primary_metrics" in changes:
        changes["primary_metrics"] = tuple(changes["primary_metrics"])
    return replace(old, **changes)


def _is_mapping_of(kind: type) -> Callable[[Any], bool]:
    return lambda value: (
        isinstance(value, Mapping)
        and all(isinstance(name, str) and isinstance(item, kind) for name, item in value.items())
    )


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _are_names(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(name, str) for name in value)


def _is_age(value: Any) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < math.inf)


_FITS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "experiment_defaults": (_is_mapping_of(object), "a mapping of fields of an experiment to values"),
    "primary_metrics": (_are_names, "a list of names of metrics"),
    "higher_is_better": (_is_mapping_of(bool), "a mapping of names of metrics to True or False"),
    "chart_types": (_is_mapping_of(str), "a mapping of names of metrics to kinds of charts"),
    "auto_archive_days": (_is_age, "a number of days, or None for never"),
    "keep_best_runs": (_is_count, "a whole number that is not negative"),
    "keep_recent_runs": (_is_count, "a whole number that is not negative"),
}


def _found(entities: dict[str, T], name: str, what: str) -> T:
    if name not in entities:
        import difflib

        near = difflib.get_close_matches(name, entities, 3)
        hint = (
            f"did you mean {' or '.join(map(repr, near))}?"
            if near
            else f"there are: {', '.join(sorted(entities)) or 'none'}"
        )
        raise NotFound(f"there is no {what} {name!r}; {hint}")
    return entities[name]
