"""What a script types: `start_run`, and the run's methods over the active run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracklib import active
from tracklib.errors import ConfigError, NoActiveRun
from tracklib.records import RunStatus
from tracklib.starting import defaults, effective_settings, open_run, tags_of

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from tracklib.run import Run
    from tracklib.settings import Settings

__all__ = [
    "active_run",
    "end_run",
    "init",
    "log",
    "log_artifact",
    "log_figure",
    "log_metric",
    "log_metrics",
    "log_model",
    "log_param",
    "log_params",
    "log_table",
    "log_text",
    "set_notes",
    "set_tag",
    "set_tags",
    "start_run",
]


def init(store: str | os.PathLike[str] | None = None, **settings: Any) -> None:
    """Set defaults for this process. It starts nothing.

    Args:
        store: URI of the default store.
        settings: Any other setting; see `tracklib.Settings`. Those that are None go back to what the environment says.

    Raises:
        ConfigError: A setting is unknown or cannot be meant.

    Example:
        >>> tracklib.init("sqlite:///runs.db", flush_interval=0.5)
        >>> tracklib.init()
    """
    given = {"store": None if store is None else os_text(store), **settings}
    fresh = {name: value for name, value in given.items() if value is not None}
    effective_settings(**fresh)
    defaults.clear()
    defaults.update(fresh)


def start_run(  # noqa: PLR0913 - what describes a run, all by keyword but the first two
    project: str | None = None,
    experiment: str | None = None,
    *,
    name: str | None = None,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | None = None,
    notes: str | None = None,
    resume: str | None = None,
    parent: Run | str | None = None,
    nested: bool = False,
    activate: bool = True,
    store: str | os.PathLike[str] | None = None,
    **settings: Any,
) -> Run:
    """Start a run and make it the active one. Use it with `with`, or end it with `finish`.

    A project or experiment that is missing is made. What surrounds the run (code version, environment, hardware,
    console) is recorded in the background.

    Args:
        project: By default the name of the repository or folder.
        experiment: By default `default`.
        name: By default made from the script's name and the time.
        params: The configuration, nested as you like.
        tags: Text by name.
        notes: Free text.
        resume: Id (or a unique prefix of one) of a run to go on with.
        parent: The run, or its id, that this one belongs to.
        nested: Take the active run as parent.
        activate: Make it the run that module-level functions act on.
        store: URI of the store, such as `sqlite:///runs.db`.
        settings: Any other setting, for this run; see `tracklib.Settings`.

    Raises:
        ConfigError: An argument cannot be meant.
        StoreError: The store cannot be used.
        NotFound: There is no run to resume.

    Example:
        >>> with tracklib.start_run(project="digits", params={"lr": 1e-3}) as run:
        ...     run.log({"loss": 0.3}, step=0)
        >>> run.status
        <RunStatus.COMPLETED: 'completed'>
    """
    chosen = effective_settings(
        project=project,
        experiment=experiment,
        run_name=name,
        store=None if store is None else os_text(store),
        **settings,
    )
    for argument, value in (("params", params), ("tags", tags)):
        if value is not None and not hasattr(value, "items") and not hasattr(value, "__dict__"):
            raise ConfigError(f"{argument} is {value!r:.200}, but takes a mapping of names to values")
    if chosen.mode == "disabled":
        return _disabled(chosen, activate=activate)
    run = open_run(chosen, parent=_parent_id(parent, nested=nested), resume=resume)
    if params is not None:
        run.log_params(params)
    all_tags = tags_of(chosen, tags)
    if all_tags:
        run.set_tags(all_tags)
    if notes is not None:
        run.set_notes(notes)
    if activate:
        active.push(run)
    return run


def os_text(path: str | os.PathLike[str]) -> str:
    """Return a URI or path as text."""
    import os

    return os.fspath(path)


def _disabled(settings: Settings, *, activate: bool) -> Run:
    from typing import cast

    from tracklib.disabled import DisabledRun

    run = cast(
        "Run",
        DisabledRun(project=settings.project or "", experiment=settings.experiment, name=settings.run_name or ""),
    )
    if activate:
        active.push(run)
    return run


def _parent_id(parent: Run | str | None, *, nested: bool) -> str | None:
    if parent is None and nested:
        return active_run().id
    if parent is None or isinstance(parent, str):
        return parent
    identity = getattr(parent, "id", None)
    if not isinstance(identity, str):
        raise ConfigError(f"parent is {parent!r:.200}, but takes a run or the id of one")
    return identity


def active_run() -> Run:
    """Return the run that is active here.

    Raises:
        NoActiveRun: There is none.
    """
    run = active.current()
    if run is None:
        raise NoActiveRun(
            "there is no active run: start one with tracklib.start_run(), or decorate a function with @tracklib.track"
        )
    return run


def end_run(status: str | RunStatus = RunStatus.COMPLETED, reason: str = "") -> bool:
    """End the active run; see `Run.finish`."""
    return active_run().finish(status, reason)


def log(values: Mapping[str, Any], step: int | None = None, context: str | None = None) -> None:
    """Keep one point for each name in the active run; see `Run.log`."""
    active_run().log(values, step, context)


def log_metric(key: str, value: Any, step: int | None = None, context: str | None = None) -> None:
    """Keep one point of one metric in the active run; see `Run.log`."""
    active_run().log({key: value}, step, context)


def log_metrics(metrics: Mapping[str, Any], step: int | None = None, context: str | None = None) -> None:
    """Keep one point for each name in the active run; see `Run.log`."""
    active_run().log(metrics, step, context)


def log_param(key: str, value: Any) -> None:
    """Keep one param of the active run; see `Run.log_param`."""
    active_run().log_param(key, value)


def log_params(params: Mapping[str, Any]) -> None:
    """Keep params of the active run; see `Run.log_params`."""
    active_run().log_params(params)


def set_tag(key: str, value: Any) -> None:
    """Set a tag of the active run; None removes it."""
    active_run().set_tag(key, value)


def set_tags(tags: Mapping[str, Any]) -> None:
    """Set tags of the active run; see `Run.set_tags`."""
    active_run().set_tags(tags)


def set_notes(text: str) -> None:
    """Replace the notes of the active run."""
    active_run().set_notes(text)


def log_artifact(path: str | os.PathLike[str], name: str | None = None, **options: Any) -> None:
    """Keep a file or folder in the active run; see `Run.log_artifact`."""
    active_run().log_artifact(path, name, **options)


def log_text(text: str, name: str, *, step: int | None = None) -> None:
    """Keep text as a file in the active run; see `Run.log_text`."""
    active_run().log_text(text, name, step=step)


def log_figure(figure: Any, name: str, *, step: int | None = None) -> None:
    """Keep a figure in the active run; see `Run.log_figure`."""
    active_run().log_figure(figure, name, step=step)


def log_table(table: Any, name: str, *, step: int | None = None) -> None:
    """Keep a table in the active run; see `Run.log_table`."""
    active_run().log_table(table, name, step=step)


def log_model(model: Any, name: str = "model", **options: Any) -> None:
    """Keep a model in the active run; see `Run.log_model`."""
    active_run().log_model(model, name, **options)
