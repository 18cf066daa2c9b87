"""Functions and methods of frameworks that are replaced for as long as something is recorded from them.

A replacement looks like the original (`functools.wraps`), passes arguments on untouched, and stands under every name
that the original had, so that it can be pickled by reference. What the original raises passes through; what we do
beside it is guarded.
"""

from __future__ import annotations

import functools
import inspect
import os
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Patches", "is_data_worker", "nested"]

_levels = threading.local()


class _Replaced(NamedTuple):
    owner: Any
    name: str
    original: Any
    replacement: Any


class Patches:
    """What was replaced, so that it can be put back.

    Example:
        >>> import json
        >>> patches = Patches()
        >>> patches.wrap(json, "dumps", lambda original, *a, **k: original(*a, **k).upper())
        >>> json.dumps("a")
        '"A"'
        >>> patches.undo()
        >>> json.dumps("a")
        '"a"'
    """

    def __init__(self) -> None:
        self._replaced: list[_Replaced] = []
        self._active = True
        self._owner = os.getpid()

    def wrap(self, owner: Any, name: str, around: Callable[..., Any], *aliases: tuple[Any, str]) -> None:
        """Replace a function of a module, or a method of a class, if it is there and was not replaced before.

        Args:
            around: Called as `around(original, *arguments, **keywords)`; what it returns is returned. It must call the
                original just once and let its exceptions pass.
            aliases: Other places where the same object stands.
        """
        static = inspect.getattr_static(owner, name, None)
        kind = type(static) if isinstance(static, (staticmethod, classmethod)) else None
        original = static.__func__ if kind else static
        if not callable(original) or _stands_already(original, around):
            return
        replacement: Any = self._replacement(original, around)
        if kind:
            replacement = kind(replacement)
        for place, alias in ((owner, name), *aliases):
            if inspect.getattr_static(place, alias, None) is static:
                self._put(place, alias, static, replacement)

    def _replacement(self, original: Callable[..., Any], around: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def replacement(*arguments: Any, **keywords: Any) -> Any:
            if not self.active or is_data_worker():
                return original(*arguments, **keywords)
            return around(original, *arguments, **keywords)

        marks = getattr(original, "__tracklib__", ())
        replacement.__tracklib__ = (*marks, _Mark(self, around, replacement))  # type: ignore[attr-defined]
        return replacement

    @property
    def active(self) -> bool:
        """Whether replacements do something: nothing was put back, and this is the process they were made in."""
        return self._active and os.getpid() == self._owner

    def _put(self, owner: Any, name: str, original: Any, replacement: Any) -> None:
        # A class may have a method from its base: then what is put there is removed again, not written over.
        own = name in vars(owner)
        setattr(owner, name, replacement)
        self._replaced.append(_Replaced(owner, name, original if own else _INHERITED, replacement))

    def undo(self) -> None:
        """Put everything back. What somebody else has replaced since stays, and ours within it only passes on."""
        self._active = False
        for owner, name, original, replacement in reversed(self._replaced):
            if vars(owner).get(name) is not replacement:
                continue
            if original is _INHERITED:
                delattr(owner, name)
            else:
                setattr(owner, name, _without_idle(original))
        self._replaced.clear()


_INHERITED = object()


class _Mark(NamedTuple):
    """What a replacement carries. Whoever wraps it with `functools.wraps` carries it on."""

    patches: Patches
    around: Callable[..., Any]
    replacement: Callable[..., Any]


def _stands_already(function: Any, around: Callable[..., Any]) -> bool:
    """Tell whether this was put around a function before, even if somebody else has wrapped the result since."""
    marks: tuple[_Mark, ...] = getattr(function, "__tracklib__", ())
    return any(mark.patches.active and _is_same(mark.around, around) for mark in marks)


def _is_same(one: Any, other: Any) -> bool:
    """Compare functions by where they are written and what they close over: one may be made anew at each call."""
    return one is other or _identity(one) == _identity(other)


def _identity(function: Any) -> tuple[int, ...]:
    cells = getattr(function, "__closure__", None) or ()
    return (id(getattr(function, "__code__", function)), *(id(cell.cell_contents) for cell in cells))


def _without_idle(function: Any) -> Any:
    """Return what is behind replacements that only pass on, because they could not be put back in their turn."""
    while (marks := getattr(function, "__tracklib__", ())) and marks[-1].replacement is function:
        if marks[-1].patches.active:
            break
        function = function.__wrapped__
    return function


def is_data_worker() -> bool:
    """Tell whether this process only loads data for another one."""
    data = sys.modules.get("torch.utils.data")
    info = getattr(data, "get_worker_info", None)
    return info is not None and info() is not None


@contextmanager
def nested(kind: str) -> Iterator[bool]:
    """Tell whether this is a call within another one of its kind, in this thread.

    Example:
        >>> with nested("save") as first, nested("save") as second:
        ...     print(first, second)
        False True
    """
    level = getattr(_levels, kind, 0)
    setattr(_levels, kind, level + 1)
    try:
        yield level > 0
    finally:
        setattr(_levels, kind, level)
