"""The share of a process tree in a driver's table of processes."""

from __future__ import annotations

import logging
import os
import sys
from types import SimpleNamespace

import pytest

from tracklib.capture.gpu_processes import ProcessMemory

ME = os.getpid()
NOBODY = 2_000_000_000


def torch_with(reserved: int) -> SimpleNamespace:
    """Return a torch that has reserved so many bytes on one device."""
    cuda = SimpleNamespace(is_initialized=lambda: True, device_count=lambda: 1, memory_reserved=[reserved].__getitem__)
    return SimpleNamespace(cuda=cuda)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (None, None),
        ({}, 0),
        ({ME: 70, os.getppid(): 5}, 70),
        ({os.getppid(): 5}, 0),
        ({NOBODY: 5}, None),
        ({ME: None}, None),
        ({0: 5, (1 << 32) - 1: 5}, None),
    ],
)
def test_share(table: dict[int, int | None] | None, expected: int | None) -> None:
    """Zero is told only where the table is known to be about processes that we can see."""
    assert ProcessMemory(0).used_by([ME], table) == expected


def test_torch_is_said_once(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """That a value comes from torch is written to the log, once."""
    monkeypatch.setitem(sys.modules, "torch", torch_with(300))
    memory = ProcessMemory(0)
    caplog.set_level(logging.INFO, logger="tracklib")

    assert [memory.used_by([ME], {NOBODY: 5}) for _ in range(2)] == [300, 300]
    assert len(caplog.records) == 1


def test_torch_knows_only_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch is not asked about another process, nor about a device that it does not have."""
    monkeypatch.setitem(sys.modules, "torch", torch_with(300))

    assert ProcessMemory(0).used_by([os.getppid()], {NOBODY: 5}) is None
    assert ProcessMemory(1).used_by([ME], {NOBODY: 5}) is None


def test_half_imported_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A torch that another thread is just importing is left alone."""
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=SimpleNamespace()))

    assert ProcessMemory(0).used_by([ME], {}) == 0
