"""What `run.…` means in a filter, told from what is known of the run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tracklib.model import RunInfo

__all__ = ["attribute_of"]


def attribute_of(name: str, info: RunInfo) -> Any:
    """Return an attribute of a run; None where nothing is known, also instead of an empty text."""
    first, _, rest = name.partition(".")
    special = {"git": _of_git, "gpu": _of_gpu, "cpu": _of_cpu, "error": _of_error}.get(first)
    value = special(info, rest) if special else _plain(info, name)
    if isinstance(value, str):
        return str(value) or None
    return float(value) if isinstance(value, (bool, int, float)) else None


def _plain(info: RunInfo, name: str) -> Any:
    environment = info.environment
    known: dict[str, Any] = {
        "created": info.created_at,
        "started": info.start_time,
        "ended": info.end_time,
        "archived": info.archived_at is not None,
        "host": _host(info),
        "source": info.source.source_type,
        "entry_point": info.source.entry_point,
        "directory": info.source.directory,
        "python": environment.python_version,
        "os": environment.os,
        "platform": environment.platform,
        "memory": environment.memory_bytes,
        "cuda": environment.cuda_version,
    }
    if name in known:
        return known[name]
    return getattr(info.resources, name) if hasattr(info.resources, name) else getattr(info, name)


def _host(info: RunInfo) -> str | None:
    primary = sorted((writer for writer in info.writers if writer.primary), key=lambda writer: writer.started_at)
    return primary[-1].host if primary else None


def _of_git(info: RunInfo, name: str) -> Any:
    return getattr(info.source, "repository_url" if name == "repository" else name)


def _of_cpu(info: RunInfo, name: str) -> Any:
    return getattr(info.environment, f"cpu_{name}")


def _of_gpu(info: RunInfo, name: str) -> Any:
    gpus = info.environment.gpus
    if name == "count":
        return len(gpus)
    return getattr(gpus[0], "name" if name == "type" else "memory_bytes") if gpus else None


def _of_error(info: RunInfo, name: str) -> Any:
    return getattr(info.error, name) if info.error else None
