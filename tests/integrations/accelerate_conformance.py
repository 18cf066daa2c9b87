"""A plugin for pytest: the tests that accelerate has for registered trackers run with ours in place of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tracklib
from tracklib.integrations.accelerate import AccelerateTracker

if TYPE_CHECKING:
    import pytest


class StoredTracker(AccelerateTracker):
    """Tells what was stored, under the names that the tests ask for."""

    name = "my_registered_tracker"

    @property
    def config(self) -> dict[str, Any]:
        return self._stored().params

    @property
    def values(self) -> dict[str, float]:
        return {name: summary.last for name, summary in self._stored().metrics.items() if summary.last is not None}

    def _stored(self) -> tracklib.StoredRun:
        self.tracker_run.flush()
        return tracklib.get_run(self.tracker_run)

    def start(self) -> None:
        super().start()
        self.tracker_run = self.tracker


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        module: Any = getattr(item, "module", None)
        if hasattr(module, "MyRegisteredTracker"):
            module.MyRegisteredTracker = StoredTracker
