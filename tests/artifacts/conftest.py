"""A store that holds nothing yet, and processes in trouble."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stores.conftest import _in_child, _public_folder
from tracklib.stores.base import Store, open_store

__all__ = ["_in_child", "_public_folder"]


@pytest.fixture(name="store")
def _store(tmp_path: Path) -> Iterator[Store]:
    """Return a store beside which its blobs are."""
    with open_store(f"sqlite:///{tmp_path}/store/tracklib.db") as store:
        yield store
