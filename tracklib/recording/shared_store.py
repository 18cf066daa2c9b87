"""One opened store for all threads of a run's process that talk to it."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracklib.stores.base import Store

__all__ = ["SharedStore"]


class SharedStore:
    """Opens a store when somebody first asks for it: what a store imports costs the program no time.

    Example:
        >>> from tracklib.stores.base import open_store
        >>> shared = SharedStore(lambda: open_store("sqlite:////tmp/runs/tracklib.db"))
        >>> shared() is shared()
        True
    """

    def __init__(self, opened: Callable[[], Store]) -> None:
        self._opened = opened
        self._store: Store | None = None
        self._lock = Lock()

    def __call__(self) -> Store:
        """Return the store.

        Raises:
            TracklibError: It cannot be opened.
        """
        with self._lock:
            if self._store is None:
                self._store = self._opened()
            return self._store
