"""What runs in a tool's environment: one measurement, its result written as JSON."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from . import measures, search_measures
from .adapters import adapter_class
from .adapters.base import UnsupportedError

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["SCRIPT", "main"]

SCRIPT = f"""\
import sys

# Only for this import: the folders beside the package must not hide anything that the tool imports.
sys.path.insert(0, {str(Path(__file__).resolve().parents[1])!r})
from benchmarks.child import main

del sys.path[0]
main()
"""
"""The program that a measurement is: a script of its own, as a user's training is."""


def main() -> None:
    """Do what the JSON in the first argument says: tool, action, root, result and the action's options."""
    task = json.loads(sys.argv[1])
    result = Path(task["result"])
    sys.excepthook = partial(_write_failure, result)
    adapter = adapter_class(task["tool"])(Path(task["root"]))
    home = search_measures if hasattr(search_measures, task["action"]) else measures
    figures = getattr(home, task["action"])(adapter, **task["options"])
    result.write_text(json.dumps(figures), encoding="utf-8")


def _write_failure(
    result: Path, kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    lines = str(error).strip().splitlines() or ["no message"]
    reason = lines[0] if issubclass(kind, UnsupportedError) else f"{kind.__name__}: {lines[0]}"
    result.write_text(json.dumps({"failure": reason}), encoding="utf-8")
    sys.__excepthook__(kind, error, traceback)
