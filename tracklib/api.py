"""What a script types: `start_run`, and the run's methods over the active run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracklib import active
from tracklib.describing import notes_record, params_record, tags_record
from tracklib.errors import ConfigError, NoActiveRun
from tracklib.ranks import ProcessRank, process_rank
from tracklib.records import RunStatus, is_id
from tracklib.settings import load_settings
from tracklib.starting import (
    defaults,
    effective_settings,
    join_run,
    next_run_id,
    open_run,
    parent_run_id,
    resolve_store,
    shared_settings,
    store_uri,
    working_directory,
)
from tracklib.values import checked_text

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from tracklib.artifacts.stored import StoredArtifact
    from tracklib.run import Run
    from tracklib.settings import Settings

__all__ = [
    "ProcessRank",
    "active_run",
    "current_settings",
    "end_run",
    "init",
    "log",
    "log_artifact",
    "log_audio",
    "log_figure",
    "log_histogram",
    "log_html",
    "log_image",
    "log_metric",
    "log_metrics",
    "log_model",
    "log_param",
    "log_params",
    "log_table",
    "log_text",
    "next_run_id",
    "parent_run_id",
    "process_rank",
    "set_notes",
    "set_tag",
    "set_tags",
    "start_run",
    "use_artifact",
]


def init(store: str | os.PathLike[str] | None = None, **settings: Any) -> None:
    """Set defaults for this process. It starts nothing.

    Args:
        store: URI of the default store.
        settings: Any other setting; see `tracklib.Settings`. Those that are None go back to what the environment says.

    Raises:
        ConfigError: A setting is unknown or cannot be meant; then nothing is changed.

    Example:
        >>> tracklib.init("sqlite:///runs.db", flush_interval=0.5)
        >>> tracklib.init()
    """
    fresh = {name: value for name, value in {"store": store, **settings}.items() if value is not None}
    chosen = load_settings({}, working_directory(), **fresh)
    if chosen.store:
        # A relative path means what it means now, wherever the program goes later.
        fresh["store"] = resolve_store(chosen).uri
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
    resume: Run | str | None = None,
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
        name: By default made from the script's name and the time. A run that is resumed is renamed.
        params: The configuration, nested as you like: a mapping, a dataclass or a namespace.
        tags: Text by name.
        notes: Free text.
        resume: A run to go on with, in its own project and experiment: its id or a unique prefix of it.
        parent: The run that this one belongs to, or its id. Of a run, project, experiment and store are taken over
            where none are given.
        nested: Take the active run as parent.
        activate: Make it the run that module-level functions act on.
        store: URI of the store, such as `sqlite:///runs.db`.
        settings: Any other setting, for this run; see `tracklib.Settings`.

    Raises:
        ConfigError: An argument cannot be meant.
        TypeError: `params`, `tags` or `notes` are of no use.
        StoreError: The store cannot be used.
        NotFound: There is no run to resume.
        NoActiveRun: `nested` is true, and there is no active run.

    Example:
        >>> with tracklib.start_run(project="digits", params={"lr": 1e-3}) as run:
        ...     run.log({"loss": 0.3}, step=0)
        >>> run.status
        <RunStatus.COMPLETED: 'completed'>
    """
    above = active_run() if nested and parent is None else parent
    given = {"project": project, "experiment": experiment, "run_name": name, "store": store, **settings}
    chosen = effective_settings(**{**_taken_over(above), **_without_none(given)})
    described = _described(chosen, params, tags, notes)
    if chosen.mode == "disabled":
        return _disabled(chosen, activate=activate)
    run = None
    if resume is None and above is None and not settings:
        run = _taken_up(chosen, given)
    if run is None:
        run = _opened(chosen, parent=_id_of("parent", above), resume=_wanted(resume))
        if run is None:
            return _disabled(chosen, activate=activate)
        if resume is not None and name is not None:
            run.set_name(name)
    for kind, data in described:
        run.record_event(kind, data)
    if activate:
        active.push(run)
    return run


def _opened(settings: Settings, *, parent: str | None, resume: str | None) -> Run | None:
    """Make or resume a run, or join that of the job; None where a process of a job cannot know which it is."""
    place = process_rank()
    if place.rank:
        return join_run(settings, place, parent=parent, resume=resume)
    chosen = settings if resume is not None else shared_settings(settings, place)
    return open_run(chosen, parent=parent, resume=resume)


def _taken_up(settings: Settings, given: Mapping[str, Any]) -> Run | None:
    """Return the run that was begun unasked, now with the place and name that are asked for; None without one."""
    run = active.current()
    if run is None or not run.provisional or (given["store"] is not None and run.store != store_uri(settings)):
        return None
    run.provisional = False
    if given["project"] is not None or given["experiment"] is not None:
        run.move(given["project"], given["experiment"])
    if given["run_name"] is not None:
        run.set_name(given["run_name"])
    return run


def current_settings(**arguments: Any) -> Settings:
    """Return the settings as they are for a run that would start now.

    Args:
        arguments: Settings by name that win over all others; those that are None do not count.

    Raises:
        ConfigError: One cannot be meant.

    Example:
        >>> tracklib.current_settings(flush_interval=0.5).flush_interval
        0.5
    """
    return effective_settings(**arguments)


def _described(
    settings: Settings, params: Mapping[str, Any] | None, tags: Mapping[str, Any] | None, notes: str | None
) -> list[tuple[str, dict[str, Any]]]:
    """Return the records of what is said about a run at its start; wrong words are found before it begins."""
    records = []
    if params is not None:
        records.append(params_record(params))
    kind, data = tags_record({} if tags is None else tags)
    merged = {**settings.tags, **data["tags"]}
    if merged:
        records.append((kind, {"tags": merged}))
    if notes is not None:
        records.append(notes_record(notes))
    return records


def _without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _taken_over(above: Run | str | None) -> dict[str, Any]:
    """Return the settings that a run has from the one that it is nested in."""
    if getattr(above, "id", None) == "":
        return {"mode": "disabled"}
    return _without_none({name: getattr(above, name, None) for name in ("project", "experiment", "store")})


def _id_of(argument: str, run: Run | str | None) -> str | None:
    if run is None or getattr(run, "id", None) == "":  # A disabled run was never there.
        return None
    identity = run if isinstance(run, str) else getattr(run, "id", None)
    if not isinstance(identity, str) or not is_id(identity):
        raise ConfigError(f"{argument} is {run!r:.200}, but takes a run or the 26 characters of a run's id")
    return identity


def _wanted(resume: Run | str | None) -> str | None:
    """Return what names the run that is to be resumed."""
    return checked_text("resume", resume) if isinstance(resume, str) else _id_of("resume", resume)


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


def end_run(status: str | RunStatus | None = None, reason: str = "") -> bool:
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


def log_html(html: Any, name: str, *, step: int | None = None) -> None:
    """Keep HTML in the active run; see `Run.log_html`."""
    active_run().log_html(html, name, step=step)


def log_figure(figure: Any, name: str, *, step: int | None = None, formats: Sequence[str] = ()) -> None:
    """Keep a figure in the active run; see `Run.log_figure`."""
    active_run().log_figure(figure, name, step=step, formats=formats)


def log_image(image: Any, name: str, *, step: int | None = None) -> None:
    """Keep an image in the active run; see `Run.log_image`."""
    active_run().log_image(image, name, step=step)


def log_audio(audio: Any, name: str, *, sample_rate: int | None = None, step: int | None = None) -> None:
    """Keep sound in the active run; see `Run.log_audio`."""
    active_run().log_audio(audio, name, sample_rate=sample_rate, step=step)


def log_histogram(values: Any, name: str, *, step: int | None = None, bins: int = 64) -> None:
    """Keep how numbers are distributed in the active run; see `Run.log_histogram`."""
    active_run().log_histogram(values, name, step=step, bins=bins)


def log_table(table: Any, name: str, *, step: int | None = None) -> None:
    """Keep a table in the active run; see `Run.log_table`."""
    active_run().log_table(table, name, step=step)


def log_model(model: Any, name: str = "model", **options: Any) -> None:
    """Keep a model in the active run; see `Run.log_model`."""
    active_run().log_model(model, name, **options)


def use_artifact(reference: str) -> StoredArtifact:
    """Note that the active run reads an artifact, and return it; see `Run.use_artifact`."""
    return active_run().use_artifact(reference)
