"""How much device memory a process tree uses, as far as the driver and we speak of the same processes.

In a container the driver tells the process ids of the host, which mean nothing inside. Then torch, where this process
uses it, tells what it has reserved; otherwise nothing is told rather than a wrong zero.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Collection, Mapping

__all__ = ["ProcessMemory"]

logger = logging.getLogger("tracklib")

_NO_PID = 1 << 31


class ProcessMemory:
    """Picks the share of a process tree from a driver's table of processes.

    Args:
        index: The device's index as CUDA, and so torch, counts.

    Example:
        >>> ProcessMemory(0).used_by([7, 8], {7: 100, 8: 20, 9: 3})
        120
    """

    def __init__(self, index: int) -> None:
        self._index = index
        self._said = False

    def used_by(self, pids: Collection[int], table: Mapping[int, int | None] | None) -> int | None:
        """Return the bytes that processes use, None when that cannot be known.

        Args:
            pids: The processes.
            table: Bytes by process id, None where the driver keeps a share to itself; no table when it has none.
        """
        shares = [table[pid] for pid in pids if pid in table] if table else []
        known = [share for share in shares if share is not None]
        if known and len(known) == len(shares):
            return sum(known)
        reserved = _reserved_by_torch(self._index) if os.getpid() in pids else None
        if reserved is not None:
            self._say(reserved)
            return reserved
        return 0 if table is not None and not shares and _is_ours(table) else None

    def _say(self, reserved: int) -> None:
        if reserved and not self._said:
            self._said = True
            logger.info(
                "The driver does not list our processes on GPU %d, as in a container: "
                "proc_mem_bytes is the memory that torch has reserved in this process",
                self._index,
            )


def _is_ours(table: Mapping[int, int | None]) -> bool:
    """Tell whether the table's ids mean processes that we could see; an empty table says nothing against it."""
    import psutil

    # Ids of 0 or -1 are put where a process is hidden.
    return not table or any(0 < pid < _NO_PID and psutil.pid_exists(pid) for pid in table)


def _reserved_by_torch(index: int) -> int | None:
    """Ask torch, if it is imported and has begun to use CUDA; never make it do either."""
    cuda = getattr(sys.modules.get("torch"), "cuda", None)
    if cuda is None or not getattr(cuda, "is_initialized", bool)():
        return None
    return int(cuda.memory_reserved(index)) if index < cuda.device_count() else None
