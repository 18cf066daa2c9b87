"""What `tracklib doctor` looks at of the store and the spool, as plain data."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tracklib.cli.formats import size
from tracklib.cli.reaching import safe_uri
from tracklib.errors import ConfigError, MissingDependency, NotFound, StoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracklib.settings import Settings
    from tracklib.stores.base import Store

__all__ = ["BROKEN", "FINE", "NOTE", "Check", "check_places"]

FINE: Final = "ok"
NOTE: Final = "note"
"""Worth knowing, and nothing that keeps runs from being recorded."""
BROKEN: Final = "broken"

MOST_RUNS: Final = 10_000
LITTLE_ROOM_BYTES: Final = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at.

    Attributes:
        state: ok, note or broken.
        text: What was found.
        value: The same for programs, where it is a number or a single word.
        fix: What to do about it.
    """

    section: str
    name: str
    state: str = FINE
    text: str = ""
    value: Any = None
    fix: str = ""


def check_places(store: str | None) -> Iterator[Check]:
    """Look at the settings, the store and the spool that a run started here would use.

    Args:
        store: The URI that was given on the command line.
    """
    from tracklib.starting import effective_settings, resolve_spool, resolve_store

    try:
        settings = effective_settings(store=store)
        opened = resolve_store(settings)
    except ConfigError as error:
        yield Check(section="Store", name="store", state=BROKEN, text=str(error), fix="correct the setting")
        return
    yield Check(
        section="Store",
        name="store",
        text=f"{safe_uri(opened.uri)} ({_origin(store)})",
        value=safe_uri(opened.uri),
    )
    yield from _check_store(opened)
    yield Check(section="Store", name="project", text=_project(settings), value=_project(settings))
    spool = resolve_spool(settings, opened)
    opened.close()
    yield from _check_spool(spool, Path(settings.spool).absolute() if settings.spool else opened.spool)


def _origin(store: str | None) -> str:
    """Tell where the choice of the store comes from."""
    from tracklib.settings import load_settings

    if store is not None:
        return "given by --store"
    chosen, in_file = load_settings().store, load_settings({}).store
    if chosen is None:
        return "the default: nothing chose another"
    return "from the project file" if chosen == in_file else "from TRACKLIB_STORE"


def _project(settings: Settings) -> str:
    from tracklib.starting import default_project

    return settings.project or default_project(Path.cwd())


# ---- the store


def _check_store(store: Store) -> Iterator[Check]:
    folder = store.spool.parent if store.spool else None
    if folder is not None and not folder.exists():
        # Looking must not make the folder, as `store.check` would.
        above = _existing(folder)
        yield _writable("Store", above, f"not there yet: a first run makes it in {above}")
        return
    try:
        if folder is None:
            store.projects()  # As above: where there is none, `check` would make it.
    except NotFound:
        if store.uri.startswith("file://"):
            yield _writable("Store", _existing(Path(store.uri.removeprefix("file://"))), "yes, once it is made")
            yield Check(section="Store", name="runs", text="none yet: a first run makes the store", value=0)
            return
        # Whether one may write to a bucket, or whether there is one, is only known to who writes.
    except (StoreError, MissingDependency) as error:
        yield Check(section="Store", name="usable", state=BROKEN, text=str(error), value=False)
        return
    try:
        store.check()
        yield Check(section="Store", name="writable", text="yes", value=True)
        yield from _check_content(store)
    except StoreError as error:
        yield Check(section="Store", name="usable", state=BROKEN, text=str(error), value=False)


def _check_content(store: Store) -> Iterator[Check]:
    from tracklib.stores.base import RunQuery

    try:
        count = len(store.runs(RunQuery(archived=None, limit=MOST_RUNS)))
    except NotFound:
        yield Check(section="Store", name="runs", text="none yet: a first run makes the store", value=0)
        return
    if store.scheme == "sqlite":
        from tracklib.stores.schema import VERSION

        # One that is older was brought up to date by reading it, and a newer one cannot be read.
        yield Check(section="Store", name="version", text=f"format {VERSION}, the newest that is known", value=VERSION)
    text = f"{count:,} or more" if count == MOST_RUNS else f"{count:,}"
    yield Check(section="Store", name="runs", text=text, value=count)


# ---- the spool


class _Journals(NamedTuple):
    live: int
    orphaned: int
    damaged: int


def _check_spool(spool: Path, wanted: Path | None) -> Iterator[Check]:
    from tracklib.stores.mounts import network_filesystem

    if wanted is not None and wanted != spool:
        text = f"{spool}, as {wanted} is on a network file system ({network_filesystem(wanted)})"
        yield Check(section="Spool", name="folder", state=NOTE, text=text, value=str(spool))
    else:
        yield Check(section="Spool", name="folder", text=f"{spool}, on a local disk", value=str(spool))
    above = _existing(spool)
    yield _writable("Spool", above, "yes")
    free = shutil.disk_usage(above).free
    yield Check(
        section="Spool",
        name="room",
        state=FINE if free >= LITTLE_ROOM_BYTES else NOTE,
        text=f"{size(free)} free",
        value=free,
        fix="" if free >= LITTLE_ROOM_BYTES else "free some room, or set TRACKLIB_SPOOL to a local disk that has it",
    )
    yield from _check_journals(_journals(spool))


def _check_journals(journals: _Journals) -> Iterator[Check]:
    yield Check(section="Spool", name="live journals", text=str(journals.live), value=journals.live)
    yield Check(
        section="Spool",
        name="orphaned journals",
        state=NOTE if journals.orphaned else FINE,
        text=f"{journals.orphaned}: their process is gone before all was shipped" if journals.orphaned else "0",
        value=journals.orphaned,
        fix="tracklib sync" if journals.orphaned else "",
    )
    if journals.damaged:
        text = f"{journals.damaged}: they were set aside as *.damaged"
        yield Check(section="Spool", name="damaged files", state=NOTE, text=text, value=journals.damaged)


def _journals(spool: Path) -> _Journals:
    """Count the journals in a spool by whether a process holds them."""
    from tracklib.recording.recovery import journal_is_live
    from tracklib.recording.remains import segments_in

    folders = list(spool.glob("*/"))
    counts = Counter(journal_is_live(spool, run.name, writer) for run in folders for writer in segments_in(run))
    return _Journals(counts[True], counts[False], len(list(spool.glob("*/*.damaged"))))


def _writable(section: str, folder: Path, text: str) -> Check:
    if os.access(folder, os.W_OK | os.X_OK):
        return Check(section=section, name="writable", text=text, value=True)
    return Check(
        section=section,
        name="writable",
        state=BROKEN,
        text=f"nothing can be written in {folder}",
        value=False,
        fix="change its rights, or choose another folder",
    )


def _existing(path: Path) -> Path:
    """Return the nearest folder that exists: itself, or one above."""
    return next(folder for folder in (path, *path.parents) if folder.exists())
