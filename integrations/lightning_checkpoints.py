"""What the checkpoint callbacks of a Lightning trainer have saved: which is the last one, and which are the best.

A trainer may have several of them. The best one of all is that by the value which the first of them monitors: scores of
different values cannot be compared. Each further value has a best one of its own.
"""

from __future__ import annotations

import inspect
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "Best",
    "Last",
    "best_saved",
    "described",
    "is_remote",
    "is_same",
    "last_saved",
    "main_monitor",
    "model_metadata",
    "path_saved",
    "rank_of",
]


class Last(NamedTuple):
    """The checkpoint that was saved last."""

    path: str
    step: int | None
    metadata: dict[str, Any]


class Best(NamedTuple):
    """The best checkpoint by a monitored value.

    Attributes:
        rank: The value where higher is better, else its negative.
    """

    path: str
    monitor: str
    rank: float
    metadata: dict[str, Any]


def is_remote(path: str) -> bool:
    """Tell whether a path is a URL.

    Example:
        >>> is_remote("s3://bucket/last.ckpt"), is_remote("checkpoints/last.ckpt")
        (True, False)
    """
    return "://" in path


def path_saved(checkpoint: Any) -> str:
    """Return what a checkpoint callback has saved last; empty if nothing."""
    return str(getattr(checkpoint, "_last_checkpoint_saved", "") or getattr(checkpoint, "best_model_path", "") or "")


def last_saved(checkpoints: Iterable[Any]) -> Last | None:
    """Return the newest checkpoint that is still there on this machine; None if there is none."""
    found: list[tuple[int, int, Last]] = []
    for checkpoint in checkpoints:
        path = path_saved(checkpoint)
        kept = (path, getattr(checkpoint, "last_model_path", ""), *getattr(checkpoint, "best_k_models", ()))
        for each in dict.fromkeys(str(each) for each in kept if each):
            changed_ns = _changed_ns(each)
            if changed_ns is not None:
                # Of the others it is not known of which step they are. They count where that one was deleted.
                step = getattr(checkpoint, "_last_global_step_saved", None) if each == path else None
                found.append((-1 if step is None else step, changed_ns, Last(each, step, described(checkpoint, each))))
    return max(found, key=lambda each: each[:2])[-1] if found else None


def best_saved(checkpoints: Sequence[Any]) -> list[Best]:
    """Return the best checkpoint by each monitored value, by the order of the callbacks, as far as they are there."""
    found: dict[str, Best] = {}
    for checkpoint in checkpoints:
        path = str(getattr(checkpoint, "best_model_path", "") or "")
        rank = rank_of(checkpoint, path)
        if rank is None or _changed_ns(path) is None:
            continue
        best = Best(path, str(checkpoint.monitor), rank, described(checkpoint, path))
        if best.monitor not in found or found[best.monitor].rank < rank:
            found[best.monitor] = best
    return list(found.values())


def main_monitor(checkpoints: Iterable[Any]) -> str | None:
    """Return the name of the value that the first callback monitors which does so."""
    monitors = (getattr(checkpoint, "monitor", None) for checkpoint in checkpoints)
    return next((str(monitor) for monitor in monitors if monitor), None)


def is_same(one: str, other: str) -> bool:
    """Tell whether two paths lead to the same checkpoint.

    Example:
        >>> is_same("here.ckpt", "there.ckpt")
        False
    """
    try:
        return Path(one).samefile(other)
    except OSError:
        return False


def rank_of(checkpoint: Any, path: str) -> float | None:
    """Return how good a checkpoint is by the monitored value: higher is better. None if nothing says it."""
    if not path or not getattr(checkpoint, "monitor", None):
        return None
    best = getattr(checkpoint, "best_model_score", None) if path == checkpoint.best_model_path else None
    score = checkpoint.best_k_models.get(path, best)
    if score is None or not math.isfinite(score):
        return None
    return float(score) if checkpoint.mode == "max" else -float(score)


def described(checkpoint: Any, path: str) -> dict[str, Any]:
    """Return what is noted with a checkpoint."""
    scores = getattr(checkpoint, "best_k_models", {})
    best = path == getattr(checkpoint, "best_model_path", None)
    score = scores.get(path, getattr(checkpoint, "best_model_score" if best else "current_score", None))
    known = {"monitor": getattr(checkpoint, "monitor", None), "score": None if score is None else float(score)}
    return {**{name: value for name, value in known.items() if value is not None}, "best": best}


def model_metadata(module: Any) -> dict[str, Any]:
    """Return what is noted with a model: its class, and what that is called with, as far as Lightning knows it."""
    kind = type(module)
    known = {"framework": "lightning", "class": f"{kind.__module__}.{kind.__qualname__}"}
    init = {**getattr(module, "hparams_initial", {})} if getattr(module, "_hparams_name", None) == "kwargs" else None
    return {**known, "init": init} if init is not None and _makes(kind, init) else known


def _makes(kind: type, init: dict[str, Any]) -> bool:
    """Tell whether a class can be called with these arguments, and JSON can say them."""
    try:
        inspect.signature(kind).bind(**init)
        same: bool = json.loads(json.dumps(init, allow_nan=False)) == init
    except (TypeError, ValueError):
        return False
    return same


def _changed_ns(path: str) -> int | None:
    """Return when something on this machine was changed last; None if it is not there."""
    if not path or is_remote(path):
        return None
    try:
        own, inner = Path(path).stat(), Path(path).glob("*")
        return max(own.st_mtime_ns, *(each.stat().st_mtime_ns for each in inner), 0)
    except OSError:
        return None
