"""Forks at any moment: children are writers of their own, or do no harm."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

Start = Callable[..., Any]


def values_of(run: Any, name: str) -> list[float]:
    return sorted(run.series(name, every=True).values.tolist())


def test_a_forked_child_is_another_writer_of_the_run(start: Start, records: Any) -> None:
    """What children and grandchildren log is kept with what the parent logs before and after."""
    start("""
def fork(work):
    child = os.fork()
    if not child:
        work()
        os._exit(0) if told[1] else sys.exit(0)
    return child

def child():
    run.log({"x": 100}, 100)
    os.waitpid(fork(lambda: run.log({"x": 200}, 200)), 0)
    run.log({"x": 101}, 101)

run = start()
run.log({"x": 0}, 0)
os.waitpid(fork(child), 0)
told[1] = 1
os.waitpid(fork(child), 0)
run.log({"x": 1}, 1)
""").succeed()

    assert records.steps("x") == [0, 1, 100, 100, 101, 101, 200, 200]
    assert records.run().status == "completed"
    assert sorted(writer.primary for writer in records.run().info.writers) == [False] * 4 + [True]
    assert records.left() == []


def test_children_that_do_not_log_do_no_harm(start: Start, records: Any) -> None:
    """They leave by every door, collect garbage, flush and finish, and the run is the parent's alone."""
    start("""
import gc

def fork(work):
    child = os.fork()
    if not child:
        try:
            with run:
                work()
        finally:
            os._exit(0)
    os.waitpid(child, 0)

with start() as run:
    for step in range(100):
        run.log({"x": step})
        if step % 20 == 0:
            fork(gc.collect)
            fork(run.flush)
            fork(run.finish)
            fork(sys.exit)
            fork(lambda: 1 / 0)
            child = os.fork()
            if not child:
                sys.exit(0)
            os.waitpid(child, 0)
""").succeed()

    assert records.steps("x") == list(range(100))
    assert records.run().status == "completed"
    assert len(records.run().info.writers) == 1


def test_a_fork_at_any_moment_does_no_harm(start: Start, records: Any) -> None:
    """Threads log, the shipper ships, and the main thread forks: no child hangs, and nothing is lost."""
    program = start("""
def work(number):
    for step in itertools.count():
        run.log({"x": step}, step) if number else run.log({f"y{step % 100}": step}, step)
        told[number] = step + 1
        if told[9]:
            return

run = start(flush_interval=0.01)
threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
for thread in threads:
    thread.start()
for number in range(100):
    child = os.fork()
    if not child:
        run.log({"child": number}, number)
        os._exit(0)
    os.waitpid(child, 0)
told[9] = 1
for thread in threads:
    thread.join()
""")
    program.succeed()
    run = records.run()

    assert values_of(run, "child") == [float(number) for number in range(100)]
    assert records.steps("x") == list(range(program.told(1)))
    assert run.status == "completed"


def test_children_may_import_what_threads_of_the_run_are_importing(start: Start, chance: Random) -> None:
    """A fork a moment after the start, when the threads of the run load their libraries: no child hangs in one."""
    source = """
run = tracklib.start_run("faults", "test", store=STORE, flush_interval=0.01, system_interval=0.05)
time.sleep(DELAY)
child = os.fork()
if not child:
    import numpy, psutil, traceback, email.message, importlib.metadata, git, zstandard
    numpy.zeros(3)
    run.log({"x": 1})
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""
    for _ in range(12):
        program = start(source.replace("DELAY", str(chance.uniform(0.0, 0.15))))
        assert program.wait() == 0, program.errors


def test_a_worker_that_is_terminated_at_once_dies(start: Start) -> None:
    """A signal that arrives before the child is set up is not lost to the handler that the parent has for its run."""
    start("""
import multiprocessing
context = multiprocessing.get_context("fork")
with start() as run:
    for _ in range(300):
        worker = context.Process(target=time.sleep, args=(100,))
        worker.start()
        worker.terminate()
        worker.join()
        assert worker.exitcode == -signal.SIGTERM
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()
""").succeed()


def test_a_child_outlives_its_parent(start: Start, records: Any) -> None:
    """It does not keep the dead parent's journal: that is recovered while the child goes on writing its own."""
    program = start("""
run = start()
run.log({"x": 0}, 0)
if not os.fork():
    told[1] = os.getpid()
    for step in itertools.count(1):
        run.log({"x": step}, step)
        told[0] = step
        time.sleep(0.001)
        if told[2]:
            sys.exit(0)
wait_until(lambda: told[0] > 10)
os.kill(os.getpid(), signal.SIGKILL)
""")
    assert program.wait() == -signal.SIGKILL
    middle = records.run()
    assert (middle.status, middle.reason[:32]) == ("killed", "the process ended without a word")
    program.tell(1, place=2)
    deadline = time.monotonic() + 60
    while records.left() and time.monotonic() < deadline:
        time.sleep(0.02)

    assert records.steps("x") == list(range(program.told() + 1))
    assert records.run().status == "killed"


def test_a_child_lets_go_of_runs_that_have_ended_too(start: Start, records: Any) -> None:
    """One of them may still be waiting for its store when the parent forks and dies."""
    program = start("""
run = start(finish_timeout=0.1)
run.log({"x": 0}, 0)
assert run.flush(60)
told[0] = 1
wait_until(lambda: told[1])
run.finish()
if not os.fork():
    wait_until(lambda: told[2])
    os._exit(0)
os.kill(os.getpid(), signal.SIGKILL)
""")
    program.await_told()
    with sqlite3.connect(records.folder / "runs.db") as blocker:
        blocker.execute("BEGIN EXCLUSIVE")
        program.tell(1, place=1)
        assert program.wait() == -signal.SIGKILL
    blocker.close()

    assert len(records.left()) == 1
    assert records.steps("x") == [0]
    assert records.run().status == "completed"
    assert records.left() == []
    program.tell(1, place=2)


def test_a_child_that_was_killed_is_recovered_by_the_next_process(start: Start, records: Any) -> None:
    """The parent goes on, and its run is not ended by the child's death."""
    program = start("""
run = start()
run.log({"x": 0}, 0)
assert run.flush(60)
for number in range(1, 4):
    child = os.fork()
    if not child:
        run.log({"x": number}, number)
        os.kill(os.getpid(), signal.SIGKILL) if number % 2 else os._exit(1)
    os.waitpid(child, 0)
told[0] = 1
wait_until(lambda: told[1])
run.log({"x": 4}, 4)
""")
    program.await_told()
    assert records.steps("x") == [0, 1, 2, 3]
    assert records.run().status == "running"
    program.tell(1, place=1)
    program.succeed()

    assert records.steps("x") == [0, 1, 2, 3, 4]
    assert records.run().status == "completed"


def test_a_descriptor_that_was_passed_on_keeps_no_lock(start: Start, records: Any) -> None:
    """Programs that the training starts live on after it was killed; its journal is recovered nevertheless."""
    program = start("""
run = start()
run.log({"x": 0}, 0)
child = subprocess.Popen(["sleep", "60"], close_fds=False)
told[1] = child.pid
os.kill(os.getpid(), signal.SIGKILL)
""")
    assert program.wait() == -signal.SIGKILL
    try:
        assert records.steps("x") == [0]
        assert records.run().status == "killed"
    finally:
        os.kill(program.told(1), signal.SIGKILL)


@pytest.mark.parametrize("end", ["os._exit(0)", "sys.exit(0)", "pass"])
def test_a_fork_within_a_forked_worker_of_the_standard_library(start: Start, records: Any, end: str) -> None:
    """Pools and processes of `multiprocessing` by fork: each worker's points are kept, whichever way it leaves."""
    source = """
import multiprocessing

def work(number):
    run.log({"x": number}, number)
    END

if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    run = start()
    workers = [context.Process(target=work, args=(number,)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    with context.Pool(2) as pool:
        pool.map(ident, range(20))
"""
    source = source.replace("END", end).replace("def work", "def ident(number):\n    return number\n\ndef work")
    start(source).succeed()

    assert records.steps("x") == [0, 1, 2, 3]
    assert records.run().status == "completed"
    assert records.left() == []


def test_workers_of_a_data_loader(start: Start, records: Any) -> None:
    """PyTorch's forked workers, which never log and are killed at the end, and some that do log."""
    pytest.importorskip("torch")
    program = start("""
import torch

class Data(torch.utils.data.Dataset):
    def __init__(self, talks):
        self.talks = talks
    def __len__(self):
        return 64
    def __getitem__(self, index):
        if self.talks:
            run.log({"x": index}, index)
        return torch.tensor(index)

run = start()
for talks in (False, True):
    for batch in torch.utils.data.DataLoader(Data(talks), batch_size=8, num_workers=2, multiprocessing_context="fork"):
        run.log({"y": batch.float().mean()})
""")

    assert program.wait() == 0, program.errors
    assert records.steps("x") == list(range(64))
    assert len(values_of(records.run(), "y")) == 16
    assert records.run().status == "completed"
    assert records.left() == []
