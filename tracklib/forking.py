"""Not forking in the middle of an import.

A module that a thread is importing while another one forks stays half imported in the child, and locked by a thread
that is no more: whoever imports it there waits for ever. Threads of tracklib import NumPy and others a moment after a
run was started, which is just when programs fork their workers. So a fork waits for such an import, some 0.1 s.
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Final

__all__ = ["await_imports"]

PATIENCE_SECONDS: Final = 5.0
"""How long a fork waits at the most: an import may wait for a file system that is away."""

_OURS: Final = str(Path(__file__).parent)
_IMPORTING: Final = "<frozen importlib._bootstrap>"


def await_imports() -> None:
    """Wait until no other thread is importing for tracklib."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while _is_importing() and time.monotonic() < deadline:
        time.sleep(0.001)


def _is_importing() -> bool:
    me = threading.get_ident()
    return any(_imports_for_us(frame) for thread, frame in sys._current_frames().items() if thread != me)  # noqa: SLF001 - documented


def _imports_for_us(frame: FrameType | None) -> bool:
    importing = False
    while frame is not None:
        name = frame.f_code.co_filename
        if name == _IMPORTING:
            importing = True
        elif importing and name.startswith(_OURS):
            return True
        frame = frame.f_back
    return False
