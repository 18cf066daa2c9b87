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
        store: Ship only what goes to this store, and look beside it.
        spool: The folder to look in; by default the one that runs of the default store use.

    Returns:
        What was done for each journal; `problem` says why one could not be shipped.

    Example:
        >>> tracklib.sync()
        []
    """
    from tracklib.starting import effective_settings, resolve_spool, resolve_store

    settings = effective_settings(store=store, spool=spool)
    opened = resolve_store(settings)
    folder = Path(spool) if spool else resolve_spool(settings, opened)
    return recover(folder, open_store, store=opened.uri if store else None)
