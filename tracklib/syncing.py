"""Bringing home by hand what dead or offline processes left in their journals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tracklib.recording.recovery import Recovered, recover
from tracklib.stores.base import open_store

if TYPE_CHECKING:
    import os

__all__ = ["Recovered", "sync"]


def sync(
    *, store: str | os.PathLike[str] | None = None, spool: str | os.PathLike[str] | None = None
) -> list[Recovered]:
    """Ship every journal in the spool whose process is gone, each to its own store.

    Args:
        store: Ship only what goes to this store, and look where its runs have their journals.
        spool: The folder to look in; by default those that runs of the default store, and of stores elsewhere, use.

    Returns:
        What was done for each journal; `problem` says why one could not be shipped.

    Example:
        >>> tracklib.sync()
        []
    """
    from tracklib.starting import effective_settings, remote_spool, resolve_spool, resolve_store

    settings = effective_settings(store=store, spool=spool)
    opened = resolve_store(settings)
    folders = [Path(spool) if spool else resolve_spool(settings, opened)]
    if not (store or spool):
        folders.append(remote_spool(settings))
    uri = opened.uri if store else None
    return [result for folder in dict.fromkeys(folders) for result in recover(folder, open_store, store=uri)]
