"""From what a user says, and what is silent, to a run."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracklib.errors import ConfigError, NotFound, StoreError
from tracklib.records import is_id, new_id
from tracklib.run import Run, RunIdentity
from tracklib.settings import Settings, load_settings, state_directory
from tracklib.stores.base import default_uri, open_store
from tracklib.values import checked_name

if TYPE_CHECKING:
    from tracklib.model import RunInfo, WriterInfo
    from tracklib.stores.base import Store

__all__ = ["defaults", "effective_settings", "open_run", "resolve_spool", "resolve_store", "working_directory"]

_log = logging.getLogger("tracklib")

defaults: dict[str, Any] = {}
"""What `init` set for this process."""


def effective_settings(**arguments: Any) -> Settings:
    """Return the settings for a call: its arguments, then those of `init`, the environment, the project file."""
    given = {name: value for name, value in arguments.items() if value is not None}
    return load_settings(directory=working_directory(), **{**defaults, **given})


def working_directory() -> Path:
    """Return the working directory, or the root where it was deleted: that alone must keep nobody from working."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return Path("/")


def resolve_store(settings: Settings) -> Store:
    """Return the store that the settings mean.

    Raises:
        ConfigError: The URI cannot be meant.
    """
    return open_store(settings.store or default_uri(working_directory()))


def resolve_spool(settings: Settings, store: Store) -> Path:
    """Return the folder for journals: as set, beside a local store, else among the user's files; never on a network."""
    from tracklib.stores.mounts import network_filesystem

    spool = Path(settings.spool).absolute() if settings.spool else store.spool or state_directory() / "spool"
    if network_filesystem(spool):
        # A mapped page of a network file can raise SIGBUS, which nothing survives.
        return Path(tempfile.gettempdir()) / f"tracklib-spool-{os.getuid()}"
    return spool


def open_run(settings: Settings, *, parent: str | None, resume: str | None) -> Run:
    """Make or resume a run as the settings say.

    Raises:
        StoreError: The store or the spool cannot be used, and `on_error` is not "spool".
        NotFound: There is no run to resume.
    """
    from tracklib.capturing import Surroundings
    from tracklib.recording.recovery import recover_behind

    store = resolve_store(settings)
    _check(store, settings)
    spool = resolve_spool(settings, store)
    identity = _resumed(store, spool, resume, settings) or _fresh(store, spool, parent, settings)
    store.close()
    run = Run(identity, settings, lambda run: Surroundings(run, settings, identity))
    if settings.mode != "offline":
        recover_behind(spool, open_store, store.uri)
    return run


def _check(store: Store, settings: Settings) -> None:
    if settings.mode == "offline":  # Nobody looks for the store before `tracklib sync`.
        return
    try:
        store.check()
    except StoreError as error:
        if settings.on_error != "spool":
            raise
        _log.warning("%s; the run goes on and its journal keeps everything", error)


def _fresh(store: Store, spool: Path, parent: str | None, settings: Settings) -> RunIdentity:
    if settings.run_id and not is_id(settings.run_id):
        raise ConfigError(f"run_id is {settings.run_id!r}, but takes the 26 characters of a run id")
    project, name = settings.project, settings.run_name
    return RunIdentity(
        id=settings.run_id or new_id(),
        project=checked_name("project", default_project(working_directory()) if project is None else project),
        experiment=checked_name("experiment", settings.experiment),
        name=checked_name("name", _default_name() if name is None else name),
        store=store.uri,
        spool=spool,
        # Whoever was given the id may not be the only one.
        writer=_joining_writer() if settings.run_id else "0",
        parent=parent,
    )


def _joining_writer() -> str:
    return f"0.{new_id()[-10:].lower()}"


def _resumed(store: Store, spool: Path, resume: str | None, settings: Settings) -> RunIdentity | None:
    """Return the identity of a run to go on with; None if there is none and none was asked for by name."""
    wanted = resume or settings.run_id
    if not wanted or (settings.mode == "offline" and not resume):
        return None
    from tracklib.finding import find_run
    from tracklib.recording.recovery import recover

    try:
        recover(spool, open_store, store=store.uri)
        info = find_run(store, wanted)
        summaries = store.summaries([info.id])[info.id]
        artifacts = store.artifacts(info.id)
    except (NotFound, StoreError) as error:
        if resume or (isinstance(error, StoreError) and settings.on_error != "spool"):
            raise
        return None
    live = _live_writer(info)
    if resume and live:
        raise ConfigError(
            f"run {info.id} is still being written by process {live.pid} on {live.host}: end that first, "
            "or start a run of your own with parent= it"
        )
    steps = {name: summary.last_step for name, summary in summaries.items()}
    samples = [step for name, step in steps.items() if name.startswith("system/")]
    logged = [step for name, step in steps.items() if not name.startswith("system/")]
    return RunIdentity(
        id=info.id,
        project=info.project,
        experiment=info.experiment,
        name=info.name,
        store=store.uri,
        spool=spool,
        writer=_joining_writer(),
        parent=info.parent,
        primary=not live,
        first_step=max([-1, *logged]) + 1,
        first_sample=max([-1, *samples]) + 1,
        used={name: value for name, value in asdict(info.resources).items() if value is not None},
        versions={artifact.name: artifact.version for artifact in sorted(artifacts, key=lambda each: each.version)},
    )


def _live_writer(info: RunInfo) -> WriterInfo | None:
    """Return the process of this machine that the run still belongs to, if there is one."""
    from tracklib.recording.recovery import journal_is_live

    for writer in info.writers:
        if writer.primary and journal_is_live(Path(writer.spool), info.id, writer.writer):
            return writer
    return None


def default_project(directory: Path) -> str:
    """Return the name of the repository that `directory` is in, or its own."""
    home = next((folder for folder in (directory, *directory.parents) if (folder / ".git").exists()), directory)
    return home.name or "default"


def _default_name() -> str:
    main = sys.modules.get("__main__")
    script = Path(getattr(main, "__file__", None) or (sys.argv[0] if sys.argv else "") or "run").stem
    if script == "__main__":
        script = Path(getattr(main, "__file__", "run/__main__.py")).parent.name
    return f"{script if script not in {'', '-', '-c'} else 'run'}-{time.strftime('%m%d-%H%M%S')}"
