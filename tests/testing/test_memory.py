"""The store that others are compared to passes the suite itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tracklib.records import new_id
from tracklib.testing.memory import MemoryStore
from tracklib.testing.stores import StoreContract

if TYPE_CHECKING:
    from tracklib.stores.base import Store


class TestMemoryStore(StoreContract):
    raw = False
    processes = False

    @pytest.fixture
    def store(self) -> Store:
        return MemoryStore(f"reference://{new_id()}")

    def reopen(self, store: Store) -> Store:
        return MemoryStore(store.uri)
