"""The cases of files that tools keep, from the outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .adapters import ADAPTERS, adapter_class
from .adapters.base import Adapter
from .processes import ToolFailedError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from .driver import Bench
    from .processes import Site

__all__ = ["KEEPERS", "measure_checkpoints", "measure_large"]

KEEPERS = tuple(tool for tool in ADAPTERS if adapter_class(tool).keep_file is not Adapter.keep_file)
"""The tools that keep files."""

_SMALL_BYTES = 1_000


def measure_checkpoints(bench: Bench, site: Site, *, kind: str) -> dict[str, float]:
    paths = bench.originals.checkpoints(kind)
    figures = _keep(site, paths)
    try:
        return figures | site.run("fetch_files", paths=list(map(str, paths)), folder=str(site.folder / "fetched"))
    except ToolFailedError as error:
        raise ToolFailedError(str(error), figures) from error


def measure_large(bench: Bench, site: Site) -> dict[str, float]:
    small = _keep(site, [bench.originals.random("small", _SMALL_BYTES)])
    figures = _keep(site, [bench.originals.random("large", bench.plan.large_mb * 1_000_000)])
    return figures | {"added_mb": figures["memory_mb"] - small["memory_mb"]}


def _keep(site: Site, paths: Sequence[Path]) -> dict[str, float]:
    figures = site.run("keep_files", paths=list(map(str, paths)))
    return figures | {"kept_mb": site.kept_bytes() / 1e6}
