"""The page about the store's format, as a reader of it would use it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "store-format.md"


@pytest.fixture(scope="session", name="page")
def _page() -> str:
    return PAGE.read_text(encoding="utf-8")


@pytest.fixture(scope="session", name="page_code")
def _page_code(page: str) -> str:
    """Return the functions that the page shows, without what it shows of tracklib."""
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    return "\n\n".join(block for block in blocks if "import tracklib" not in block)


@pytest.fixture(scope="session", name="page_functions")
def _page_functions(page_code: str) -> dict[str, Any]:
    namespace: dict[str, Any] = {}
    exec(compile(page_code, str(PAGE), "exec"), namespace)  # noqa: S102 - it is what the page is for
    return namespace
