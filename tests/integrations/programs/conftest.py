"""Programs that tests start; nothing here is a test."""

from __future__ import annotations

collect_ignore_glob = ["*.py"]
