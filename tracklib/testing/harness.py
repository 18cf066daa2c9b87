"""What the suite must be told of a store, and what its tests share."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, ClassVar

import pytest

from tracklib.stores.base import open_store

if TYPE_CHECKING:
    from tracklib.stores.base import Store

__all__ = ["StoreHarness"]

_OPEN = """
import importlib, sys
module, name, uri = sys.argv[1:4]
arguments = sys.argv[4:]
store = getattr(importlib.import_module(module), name)(uri)
"""


class StoreHarness:
    """The part of the suite that a store's own test class fills in; see `tracklib.testing.stores.StoreContract`.

    Attributes:
        raw: Whether what the store keeps can be looked at past it, through `read_raw`, `read_raw_blob`,
            `write_raw_blob` and `overwrite_raw_blob`.
        processes: Whether other processes of the machine reach the same store by its class and URI.
    """

    raw: ClassVar[bool] = True
    processes: ClassVar[bool] = True

    @pytest.fixture
    def store(self) -> Store:
        """Give a store that holds nothing. A generator may close it behind the test."""
        raise NotImplementedError(f"give {type(self).__name__} a fixture `store` that returns an empty store")

    def reopen(self, store: Store) -> Store:
        """Return one more instance on the same store."""
        return open_store(store.uri)

    def read_raw(self, store: Store, run: str, name: str) -> list[tuple[int, float, float]]:
        """Return all points (step, time, value) of a series in any order, without calling any method of the store."""
        raise NotImplementedError(f"{type(self).__name__} has no way to read points past the store")

    def read_raw_blob(self, store: Store, checksum: str) -> bytes:
        """Return the bytes of a blob without calling any method of the store."""
        raise NotImplementedError(f"{type(self).__name__} has no way to read blobs past the store")

    def write_raw_blob(self, store: Store, content: bytes) -> None:
        """Put a blob where the store keeps them without calling any method of the store."""
        raise NotImplementedError(f"{type(self).__name__} has no way to write blobs past the store")

    def overwrite_raw_blob(self, store: Store, name: str, content: bytes) -> None:
        """Write other bytes over a blob, or a recipe, of this name without calling any method of the store."""
        raise NotImplementedError(f"{type(self).__name__} has no way to overwrite blobs past the store")

    def spawn(self, store: Store, script: str, *arguments: str, stdin: bool = False) -> subprocess.Popen[str]:
        """Start a process that runs a script with the variables `store`, its own instance, and `arguments`.

        Args:
            stdin: Whether it can be told something.
        """
        if not self.processes:
            raise NotImplementedError(f"no other process can reach {store!r}")
        kind = type(store)
        words = [sys.executable, "-c", _OPEN + script, kind.__module__, kind.__qualname__, store.uri, *arguments]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        given = subprocess.PIPE if stdin else None
        return subprocess.Popen(words, env=environment, stdin=given, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own words
