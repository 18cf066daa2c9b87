"""What is to be done to a module as soon as a program has imported it, or at once if it has already.

No order of imports is asked of the program, and nothing is imported for it.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import sys
import threading
from importlib.abc import MetaPathFinder
from typing import TYPE_CHECKING

from tracklib.integrations.session import guarded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType

    Action = Callable[[ModuleType], None]

__all__ = ["forget", "when_imported"]

_actions: dict[str, list[Action]] = {}
_followed: set[str] = set()
"""Modules whose loaders call the actions."""
_unfinished: dict[str, list[Action]] = {}
"""What is to be done to modules that were being executed when it was asked for, by loaders that do not know of it."""
_lock = threading.RLock()


def when_imported(name: str, action: Action) -> None:
    """Have `action` called with the module of this name, each time that it has been executed; at once if it has been.

    A fault in it is warned of and does not reach the import. A module that is just being executed, by an import that
    began before anybody asked, gets its turn at the next import of anything after that.
    """
    safe = guarded()(action)
    with _lock:
        _actions.setdefault(name, []).append(safe)
        if _finder not in sys.meta_path:
            sys.meta_path.insert(0, _finder)
        module = sys.modules.get(name)
        if module is None:
            return
        if _is_unfinished(module):
            if name not in _followed:
                _unfinished.setdefault(name, []).append(safe)
            return
    safe(module)


def forget() -> None:
    """Forget all actions: imports are as if we had never looked at them."""
    with _lock:
        _actions.clear()
        _unfinished.clear()
        if _finder in sys.meta_path:
            sys.meta_path.remove(_finder)


class _Finder(MetaPathFinder):
    """Finds nothing itself; has the others find, and puts the actions behind the execution of what they found."""

    def __init__(self) -> None:
        self._thread = threading.local()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if _unfinished:
            _act_on_finished()
        asked: set[str] = self._thread.__dict__.setdefault("asked", set())
        if fullname not in _actions or fullname in asked:
            return None
        asked.add(fullname)
        try:
            spec = _found(fullname, path, target)
        finally:
            asked.discard(fullname)
        if spec is not None and hasattr(spec.loader, "exec_module"):
            _act_after(spec)
        return spec

    def invalidate_caches(self) -> None:
        """Keep nothing."""


_finder = _Finder()


def _is_unfinished(module: ModuleType) -> bool:
    return bool(getattr(getattr(module, "__spec__", None), "_initializing", False))


def _act_on_finished() -> None:
    with _lock:
        modules = {name: sys.modules.get(name) for name in _unfinished}
        done = [name for name, module in modules.items() if module is None or not _is_unfinished(module)]
        actions = {name: _unfinished.pop(name) for name in done}
    for name, several in actions.items():
        module = modules[name]
        if module is not None:
            for action in several:
                action(module)


def _found(name: str, path: Sequence[str] | None, target: ModuleType | None) -> importlib.machinery.ModuleSpec | None:
    for finder in list(sys.meta_path):
        find = None if finder is _finder else getattr(finder, "find_spec", None)
        spec: importlib.machinery.ModuleSpec | None = find(name, path, target) if find else None
        if spec is not None:
            return spec
    return None


def _act_after(spec: importlib.machinery.ModuleSpec) -> None:
    """Let the loader call the actions when it has executed the module.

    The loader stays the object that it is, so that whoever asks it for source or resources gets them.
    """
    loader = spec.loader
    if loader is None or isinstance(loader, type):  # A class loads all built-in modules: it is not one module's.
        return
    execute = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        if module.__name__ != spec.name:
            execute(module)
            return
        with _lock:
            _followed.add(spec.name)
        try:
            execute(module)
        finally:
            with _lock:
                _followed.discard(spec.name)
                actions = list(_actions.get(spec.name, ()))
        # A module may have put another object in its own place.
        executed = sys.modules.get(spec.name, module)
        for action in actions:
            action(executed)

    try:
        loader.exec_module = exec_module  # type: ignore[method-assign]
    except AttributeError:  # A loader that takes no attributes: then the module is left alone.
        return
