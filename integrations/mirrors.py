"""What the modules share that listen to what a program tells another tracker.

The other tracker gets everything as before. What is heard goes to the active run; while a framework reports to its own
loggers nothing is, since the framework's integration records the same values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import tracklib
from tracklib.integrations.session import is_framework_speaking, open_run

if TYPE_CHECKING:
    from tracklib import Run

__all__ = ["describe", "flattened", "heard_by", "numbers"]

_LONGEST_NAME = 500
_given: dict[str, set[str]] = {}
"""By the id of a run that got place or name from another tracker, what the first run there has settled."""


def heard_by() -> Run | None:
    """Return the run that what a program tells another tracker goes to; None if it is not to be recorded."""
    return None if is_framework_speaking() else open_run()


def numbers(values: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the values that are numbers, also as arrays and tensors of one element. Others say nothing and warn not.

    Example:
        >>> numbers({"loss": 0.5, "epoch": 1, "best": None, "note": "good"})
        {'loss': 0.5, 'epoch': 1}
    """
    return {str(name): value for name, value in values.items() if _is_number(value)}


def _is_number(value: Any) -> bool:
    if isinstance(value, (int, float)):
        return True
    if isinstance(value, (str, bytes)) or not hasattr(value, "__float__"):
        return False
    count = getattr(value, "size", 1)  # An integer for arrays, a method for tensors.
    if callable(count):
        count = value.numel() if hasattr(value, "numel") else 1
    return bool(count == 1)


def flattened(values: Mapping[Any, Any], separator: str = ".") -> dict[str, Any]:
    """Return nested mappings as one, with the names joined.

    Example:
        >>> flattened({"eval": {"loss": 1, "f1": {"cat": 2}}})
        {'eval.loss': 1, 'eval.f1.cat': 2}
    """
    flat: dict[str, Any] = {}
    waiting = [("", values)]
    while waiting:
        above, mapping = waiting.pop()
        for name, value in mapping.items():
            if isinstance(value, Mapping):
                waiting.append((f"{above}{name}{separator}", value))
            else:
                flat[f"{above}{name}"] = value
    return flat


def describe(
    run: Run,
    *,
    place: Mapping[str, str | None] | None = None,
    begins: bool = False,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | None = None,
) -> None:
    """Record what a program says about its run in another tracker.

    A run that was begun unasked takes the place and the name; one that the program started itself keeps its own.

    Args:
        place: Some of project, experiment, name and notes; those that are empty do not count.
        begins: Whether it is said where a run begins there. Then it settles what it names, and the next one that
            begins changes none of it.
    """
    place = place or {}
    wanted = {kind: _short(kind, str(text)) for kind, text in place.items() if text and str(text).strip()}
    if run.provisional and wanted:
        run = tracklib.start_run(**wanted)  # type: ignore[arg-type]  # what takes text, and no settings
        _given[run.id] = set()
    elif run.id in _given:
        settled = _given[run.id] if begins else set()
        _rename(run, {kind: text for kind, text in wanted.items() if kind not in settled})
    if begins and run.id in _given:
        _given[run.id].update(place)
    if params:
        run.log_params(params)
    if tags:
        run.set_tags(tags)


def _short(kind: str, text: str) -> str:
    return text if kind == "notes" else text[:_LONGEST_NAME]


def _rename(run: Run, wanted: Mapping[str, str]) -> None:
    if "project" in wanted or "experiment" in wanted:
        run.move(wanted.get("project"), wanted.get("experiment"))
    if "name" in wanted:
        run.set_name(wanted["name"])
    if "notes" in wanted:
        run.set_notes(wanted["notes"])
