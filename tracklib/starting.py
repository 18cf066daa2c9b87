"""From what a user says, and what is silent, to a run."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracklib import jobs
from tracklib.errors import ConfigError, MissingDependency, NotFound, StoreError
from tracklib.ranks import process_rank
from tracklib.records import id_time, is_id, new_id
from tracklib.run import Run, RunIdentity
from tracklib.settings import Settings, defaults, load_settings, state_directory
from tracklib.stores.base import default_uri, open_store
from tracklib.values import checked_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracklib.model import Artifact, RunInfo, WriterInfo
    from tracklib.ranks import ProcessRank
    from tracklib.stores.base import Store

__all__ = [
    "defaults",
    "effective_settings",
    "join_run",
    "next_run_id",
    "open_run",
    "parent_run_id",
    "remote_spool",
    "resolve_spool",
    "resolve_store",
    "shared_settings",
    "store_uri",
    "working_directory",
]

_log = logging.getLogger("tracklib")


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
    return open_store(settings.store or default_uri(working_directory()), settings.store_options)


def store_uri(settings: Settings) -> str:
    """Return the URI of the store that the settings mean."""
    store = resolve_store(settings)
    store.close()
    return store.uri


def resolve_spool(settings: Settings, store: Store) -> Path:
    """Return the folder for journals: as set, beside a local store, else among the user's files; never on a network."""
    if settings.spool or store.spool is None:
        return remote_spool(settings)
    return _mappable(store.spool)


def remote_spool(settings: Settings) -> Path:
    """Return the folder for journals of stores that have no place for them beside them."""
    return _mappable(Path(settings.spool).absolute() if settings.spool else state_directory() / "spool")


def _mappable(spool: Path) -> Path:
    from tracklib.stores.mounts import network_filesystem

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
    jobs.announce(run.id, is_open=True)
    if settings.mode != "offline":
        recover_behind(spool, open_store, store.uri)
    return run


def next_run_id() -> str | None:
    """Return the id for the next run of this process, and tell its children.

    All processes of a job get the same one, in the order in which they ask. `start_run(run_id=…)` begins it.

    Returns:
        None in a process above rank 0 that cannot know what rank 0 has chosen.

    Example:
        >>> from tracklib.records import is_id
        >>> is_id(next_run_id() or "")
        True
    """
    place = process_rank()
    shared = jobs.shared_run_id(place)
    if place.rank:
        return shared
    run_id = shared or new_id()
    jobs.announce(run_id)
    return run_id


def shared_settings(settings: Settings, place: ProcessRank) -> Settings:
    """Return the settings with the id of the run that rank 0 shares with the other processes of its job, if any."""
    if settings.run_id is not None or place.world_size < 2:
        return settings
    return replace(settings, run_id=jobs.shared_run_id(place))


def parent_run_id() -> str | None:
    """Return the id of the run that the process which started this one has open; None if it has none.

    A program that starts others can so have their runs nested in its own: `start_run(parent=tracklib.parent_run_id())`.

    Example:
        >>> parent_run_id() is None
        True
    """
    job = jobs.current_job()
    return job.run_id if job is not None and job.owner else None


def join_run(settings: Settings, place: ProcessRank, *, parent: str | None, resume: str | None) -> Run | None:
    """Join, as a process above rank 0, the run that rank 0 makes or resumes; None where that is not known.

    Raises:
        StoreError: The store or the spool cannot be used, and `on_error` is not "spool".
        NotFound: There is no run to resume.
    """
    from tracklib.capturing import Surroundings
    from tracklib.rank_run import RankRun

    run_id = settings.run_id if resume is None else None
    if run_id is None and resume is None:
        run_id = jobs.shared_run_id(place)
        if run_id is None:
            return None
    store = resolve_store(settings)
    _check(store, settings)
    if run_id is None:
        from tracklib.finding import find_run

        info = find_run(store, resume or "")
        run_id = info.id
        settings = replace(settings, project=info.project, experiment=info.experiment, run_name=info.name)
    spool = resolve_spool(settings, store)
    plain = _fresh(store, spool, parent, replace(settings, run_id=run_id))
    first_step, first_sample = (0, 0) if settings.mode == "offline" else _next_steps(store, spool, run_id, place)
    store.close()
    identity = replace(
        plain,
        writer=_joining_writer(place.rank),
        rank=place.rank,
        node=place.node,
        primary=False,
        first_step=first_step,
        first_sample=first_sample,
    )
    chosen = replace(
        settings,
        auto_log_git=False,
        auto_log_env=False,
        auto_log_console=False,
        # The first machine is seen to by rank 0.
        system_interval=settings.system_interval if place.node and not place.local_rank else 0.0,
    )
    return RankRun(identity, chosen, lambda run: Surroundings(run, chosen, identity))


def _next_steps(store: Store, spool: Path, run_id: str, place: ProcessRank) -> tuple[int, int]:
    """Return where a process of a job goes on counting that was restarted: its steps, and samples of its machine."""
    from tracklib.recording.recovery import recover

    try:
        recover(spool, open_store, store=store.uri)
        summaries = store.summaries([run_id])[run_id]
    except (NotFound, StoreError):
        return 0, 0
    starts = f"rank{place.rank}/", f"system/node{place.node}/"
    first, sample = (
        max((each.last_step for name, each in summaries.items() if name.startswith(start)), default=-1) + 1
        for start in starts
    )
    return max(0, first), max(0, sample)


def _check(store: Store, settings: Settings) -> None:
    if settings.mode == "offline":  # Nobody looks for the store before `tracklib sync`.
        return
    try:
        store.check()
    except (StoreError, MissingDependency) as error:
        if settings.on_error != "spool":
            raise
        _log.warning("%s; the run goes on and its journal keeps everything", error)


def _fresh(store: Store, spool: Path, parent: str | None, settings: Settings) -> RunIdentity:
    if settings.run_id and not is_id(settings.run_id):
        raise ConfigError(f"run_id is {settings.run_id!r}, but takes the 26 characters of a run id")
    project, name = settings.project, settings.run_name
    run_id = settings.run_id or new_id()
    return RunIdentity(
        id=run_id,
        project=checked_name("project", default_project(working_directory()) if project is None else project),
        experiment=checked_name("experiment", settings.experiment),
        name=checked_name("name", _default_name(run_id) if name is None else name),
        store=store.uri,
        spool=spool,
        # Whoever was given the id may not be the only one.
        writer=_joining_writer() if settings.run_id else "0",
        parent=parent,
    )


def _joining_writer(rank: int = 0) -> str:
    return f"{rank}.{new_id()[-10:].lower()}"


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
        versions=_run_versions(artifacts),
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


def _default_name(run_id: str) -> str:
    """Return a name of the script and the time, the same in all processes that share an id."""
    main = sys.modules.get("__main__")
    script = Path(getattr(main, "__file__", None) or (sys.argv[0] if sys.argv else "") or "run").stem
    if script == "-m":  # The interpreter has not found the module yet.
        words = sys.orig_argv
        script = words[words.index("-m") + 1].rpartition(".")[2] if "-m" in words else "run"
    if script == "__main__":
        script = Path(getattr(main, "__file__", "run/__main__.py")).parent.name
    return f"{script if script not in {'', '-', '-c'} else 'run'}-{_stamp(run_id)}"


def _stamp(run_id: str) -> str:
    """Return the time that is in an id; one that was computed has none, and then its own end has to do."""
    at = id_time(run_id)
    return time.strftime("%m%d-%H%M%S", time.localtime(at)) if at else run_id[-6:].lower()


def _run_versions(artifacts: Sequence[Artifact]) -> dict[str, int]:
    """Return per name the highest version among artifacts that belong to their run alone."""
    counted = [(each.name, each.version) for each in artifacts if not each.project and each.version is not None]
    return dict(sorted(counted, key=lambda pair: pair[1]))
