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
_lock = threading.Lock()


def when_imported(name: str, action: Action) -> None:
    """Have `action` called with the module of this name, each time that it has been executed; at once if it has been.

    A fault in it is warned of and does not reach the import.
    """
    safe = guarded()(action)
    with _lock:
        _actions.setdefault(name, []).append(safe)
        if _finder not in sys.meta_path:
            sys.meta_path.insert(0, _finder)
    module = sys.modules.get(name)
    # One that is being executed right now calls the action itself, if it was found after ours stood in the list.
    if module is not None and not getattr(module.__spec__, "_initializing", False):
        safe(module)


def forget() -> None:
    """Forget all actions: imports are as if we had never looked at them."""
    with _lock:
        _actions.clear()
        if _finder in sys.meta_path:
            sys.meta_path.remove(_finder)


class _Finder(MetaPathFinder):
    """Finds nothing itself; has the others find, and puts the actions behind the execution of what they found."""

    def __init__(self) -> None:
        self._asking = threading.local()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in _actions or getattr(self._asking, "name", None) == fullname:
            return None
        self._asking.name = fullname
        try:
            spec = _found(fullname, path, target)
        finally:
            self._asking.name = None
        if spec is not None and hasattr(spec.loader, "exec_module"):
            _act_after(spec)
        return spec

    def invalidate_caches(self) -> None:
        """Keep nothing."""


_finder = _Finder()


def _found(name: str, path: Sequence[str] | None, target: ModuleType | None) -> importlib.machinery.ModuleSpec | None:
    for finder in sys.meta_path:
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
    assert loader is not None
    execute = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        execute(module)
        if module.__name__ == spec.name:
            for action in list(_actions.get(spec.name, ())):
                action(module)

    try:
        loader.exec_module = exec_module  # type: ignore[method-assign]
    except AttributeError:  # A loader that takes no attributes: then the module is left alone.
        return
