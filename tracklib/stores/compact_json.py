"""JSON as the tables have it."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["dump"]


def dump(value: Any) -> str:
    """Return compact JSON; non-ASCII text stays readable."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
