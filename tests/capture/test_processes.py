"""What a tree of real processes uses."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tracklib.capture.processes import ProcessTree, TreeReading, _CpuTime

WAIT = "input()"
BURN = "import time\nwhile time.process_time() < 0.4: pass"
PARENT = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {WAIT!r}])"

Start = Callable[[str], "subprocess.Popen[bytes]"]


@pytest.fixture(name="start")
def _start() -> Iterator[Start]:
    """Return a function that starts a program, which ends when its input does."""
    started: list[subprocess.Popen[bytes]] = []

    def start(program: str) -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE))
        return started[-1]

    yield start
    for process in started:
        process.communicate()


def until(tree: ProcessTree, reached: Callable[[TreeReading], bool]) -> TreeReading:
    """Read until the reading is as wanted."""
    deadline = time.monotonic() + 60
    while not reached(reading := tree.read()):
        assert time.monotonic() < deadline, reading
        time.sleep(0.01)
    return reading


@pytest.mark.parametrize("proc", [Path("/proc"), Path("/nowhere")])
def test_descendants_are_found(start: Start, proc: Path) -> None:
    """Children and their children belong to the tree, found by the kernel's lists or by a scan."""
    parent = start(PARENT)
    tree = ProcessTree(parent.pid, proc=proc)

    reading = until(tree, lambda reading: len(reading.pids) == 2)
    assert reading.pids[0] == parent.pid
    assert psutil.Process(reading.pids[1]).ppid() == parent.pid
    assert reading.rss_bytes >= psutil.Process(reading.pids[1]).memory_info().rss
    assert reading.threads >= 2


@pytest.mark.parametrize("proc", [Path("/proc"), Path("/nowhere")])
def test_threads(proc: Path) -> None:
    """Threads of this process are counted."""
    tree, release = ProcessTree(proc=proc), threading.Event()
    before = tree.read().threads
    threads = [threading.Thread(target=release.wait) for _ in range(3)]
    for thread in threads:
        thread.start()

    assert tree.read().threads == before + 3
    release.set()
    for thread in threads:
        thread.join()


def test_child_of_a_thread(start: Start) -> None:
    """A child that a thread has started belongs to the tree as well."""
    program = f"import threading\nt = threading.Thread(target=lambda: exec({PARENT!r}))\nt.start()\nt.join()"
    tree = ProcessTree(start(program).pid)

    assert len(until(tree, lambda reading: len(reading.pids) == 2).pids) == 2


def test_cpu_time_of_ended_children() -> None:
    """The CPU time of a child counts while it runs and after it has ended."""
    tree = ProcessTree()
    child = subprocess.Popen([sys.executable, "-c", BURN])
    spent = until(tree, lambda reading: reading.cpu_time_s > 0.2).cpu_time_s
    child.wait()
    final = tree.read().cpu_time_s

    assert spent > 0.2
    assert final >= 0.38


def test_cpu_time_begins_at_zero() -> None:
    """What was used before the tree was watched is not counted."""
    assert time.process_time() > 0.1
    assert ProcessTree().read().cpu_time_s < time.process_time() / 2


def test_zombie(start: Start) -> None:
    """A child that has ended, and that nobody has waited for yet, does no harm."""
    child = start("pass")
    tree = ProcessTree()
    zombie = psutil.Process(child.pid)
    until(tree, lambda _: zombie.status() == psutil.STATUS_ZOMBIE)

    reading = tree.read()
    assert child.pid in reading.pids
    assert reading.rss_bytes > 0


def test_root_that_is_gone() -> None:
    """A tree without its root is empty, and keeps what it had spent."""
    child = subprocess.Popen([sys.executable, "-c", WAIT], stdin=subprocess.PIPE)
    tree = ProcessTree(child.pid)
    spent = tree.read().cpu_time_s
    child.communicate()

    assert tree.read() == TreeReading(pids=(), cpu_time_s=spent, rss_bytes=0, threads=0)


def test_root_that_never_was() -> None:
    """A process id that nobody has gives an empty tree."""
    assert ProcessTree(2_000_000_000).read() == TreeReading(pids=(), cpu_time_s=0.0, rss_bytes=0, threads=0)


def test_access_denied(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process whose memory may not be read is left out of the sum."""
    child, allowed = start(WAIT), psutil.Process.memory_info

    def memory_info(process: psutil.Process) -> object:
        if process.pid == child.pid:
            raise psutil.AccessDenied(process.pid)
        return allowed(process)

    monkeypatch.setattr(psutil.Process, "memory_info", memory_info)

    reading = ProcessTree().read()
    assert child.pid in reading.pids
    # Servers that other tests have started may be among them.
    others = sum(allowed(psutil.Process(pid)).rss for pid in reading.pids if pid != child.pid)
    assert reading.rss_bytes == pytest.approx(others, rel=0.2)


def test_processes_that_vanish() -> None:
    """Processes that come and go during a reading do not disturb it, and CPU time never falls."""
    tree, spent = ProcessTree(), 0.0
    children = [subprocess.Popen(["sleep", f"0.{n:02}"]) for n in range(20)]
    while any(child.poll() is None for child in children):
        reading = tree.read()
        assert reading.pids[0] == os.getpid()
        assert reading.cpu_time_s >= spent
        spent = reading.cpu_time_s


@pytest.mark.parametrize(
    ("totals", "expected"),
    [
        ([10, 11, 13], 3),
        # A child between its end and its parent's books is missed by one reading.
        ([10, 4, 12], 2),
        # A process left for good, with the time that it had used.
        ([10, 4, 4, 5], 1),
        # A process was adopted, with a long history: two CPUs have not worked so much in a second.
        ([10, 5000, 5001], 3.3),
    ],
)
def test_sum_over_changing_processes(totals: list[float], expected: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time that a tree spends is told from sums over whoever is in it."""
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    now = iter(range(100))
    time_spent = _CpuTime(lambda: float(next(now)))

    assert [time_spent.add(total) for total in totals][-1] == pytest.approx(expected)
