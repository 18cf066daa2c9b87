"""The SQLite store passes the suite of all stores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tracklib.stores.sqlite import SqliteStore
from tracklib.testing.stores import StoreContract


class TestSqliteStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[SqliteStore]:
        with SqliteStore(f"sqlite:///{tmp_path}/store/tracklib.db") as store:
            yield store
