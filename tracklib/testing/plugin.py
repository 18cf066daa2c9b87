"""The pytest side of the store suite: what `@pytest.mark.needs("…")` does.

Put `pytest_plugins = ["tracklib.testing.plugin"]` into the topmost `conftest.py` of your tests.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

__all__ = ["pytest_collection_modifyitems", "pytest_configure"]

# A failed assertion of the suite is told as well as one in a test. What is imported already can no longer be rewritten.
_MODULES = (f"{__package__}.{path.stem}" for path in Path(__file__).parent.glob("*.py"))
pytest.register_assert_rewrite(*(name for name in _MODULES if name not in sys.modules))


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known."""
    config.addinivalue_line(
        "markers",
        "needs(capability): the store must have the capability; where it lacks it the test must raise "
        "NotImplementedError",
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Expect `NotImplementedError` of each test that needs what its store lacks.

    The expectation is strict: a gap is asserted, never skipped, and one that closes turns the suite red.

    Raises:
        UsageError: A test needs a capability that its class does not speak of.
    """
    for item in items:
        for mark in item.iter_markers("needs"):
            for capability in mark.args:
                if not _has(item, capability):
                    reason = f"the store lacks the capability {capability!r}"
                    item.add_marker(pytest.mark.xfail(reason=reason, raises=NotImplementedError, strict=True))


def _has(item: pytest.Item, capability: str) -> bool:
    owner = getattr(item, "cls", None)
    if not hasattr(owner, capability):
        raise pytest.UsageError(
            f"{item.nodeid} needs {capability!r}, but {getattr(owner, '__name__', owner)} has no such attribute: "
            "give it one that is True or False"
        )
    return bool(getattr(owner, capability))
