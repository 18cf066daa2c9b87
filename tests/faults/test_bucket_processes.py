"""Forks, threads, event loops and many processes at once, with runs that are kept in a bucket."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import tracklib
from tracklib.records import new_id
from tracklib.stores.object_format import read_format
from tracklib.stores.objects import ObjectStore

Start = Callable[..., Any]

FORKING = """
import multiprocessing

def child(number):
    run.log({"child": number}, number)

def leaves(_):
    pass

run = start(flush_interval=0.01)
stop = threading.Event()

def log():
    for step in itertools.count():
        run.log({"x": step}, step)
        told[0] = step + 1
        if stop.wait(0.002):
            break

logging = threading.Thread(target=log)
logging.start()
wait_until(lambda: told[0] > 100)

# In the middle of shipments, since the parent ships all the time: children that log and leave in every way.
for number in range(12):
    pid = os.fork()
    if not pid:
        if number % 3 != 2:
            run.log({"child": number}, number)
        sys.exit(0) if number % 3 else os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
forking = multiprocessing.get_context("fork")
with forking.Pool(2) as pool:
    pool.map(child, range(100, 110))
    pool.map(leaves, range(10))
    pool.close()
    pool.join()
workers = [forking.Process(target=child, args=(200 + number,)) for number in range(3)]
[worker.start() for worker in workers]
[worker.join() for worker in workers]
assert [worker.exitcode for worker in workers] == [0] * 3
stop.set()
logging.join()
assert run.flush(60)
run.finish()
"""

SPAWNING = """
import multiprocessing

def work(run, number):
    run.log({"child": number}, number)
    assert run.flush(60)

if __name__ == "__main__":
    run = start()
    run.log({"x": 0}, 0)
    spawning = multiprocessing.get_context("spawn")
    workers = [spawning.Process(target=work, args=(run, number)) for number in range(2)]
    [worker.start() for worker in workers]
    [worker.join() for worker in workers]
    assert [worker.exitcode for worker in workers] == [0] * 2
    assert run.finish()
"""

LOADING = """
import torch.utils.data

class Images(torch.utils.data.Dataset):
    def __len__(self):
        return 40

    def __getitem__(self, index):
        return index

run = start(flush_interval=0.01)
for epoch in range(3):
    for batch in torch.utils.data.DataLoader(Images(), batch_size=10, num_workers=2):
        run.log({"x": told[0]}, told[0])
        told[0] += 1
assert run.finish()
"""

IN_A_LOOP = """
import asyncio, fsspec.asyn

async def cell():
    run = start()
    run.log({"x": 0}, 0)
    await asyncio.sleep(0.3)
    assert run.flush(60)
    assert [each.id for each in tracklib.list_runs(store=STORE)] == [run.id]
    run.log({"x": 1}, 1)
    assert run.finish()

asyncio.run(cell())
# The loop in which everybody else's file systems work.
fsspec.asyn.sync(fsspec.asyn.get_loop(), cell)
import gc
gc.collect()
"""

INHERITING = """
run = start(flush_interval=0.01)
run.log({"x": 0}, 0)
assert run.flush(60)
assert len(tracklib.list_runs(store=STORE)) == 1
pid = os.fork()
if not pid:
    assert len(tracklib.list_runs(store=STORE)) == 1
    with start() as own:
        own.log({"own": 1}, 1)
    sys.exit(0)
assert os.waitpid(pid, 0)[1] == 0
assert run.finish()
"""


@pytest.fixture(name="records")
def _records(bucket_records: Any) -> Any:
    """Keep the runs of these tests in a bucket."""
    return bucket_records


def steps_of(records: Any, name: str, run: str) -> list[int]:
    return sorted(int(step) for step in records.run(run).series(name, every=True).steps)


def test_forks_in_the_middle_of_shipments(start: Start, records: Any) -> None:
    """Nothing hangs, and what parent and children have logged is there once."""
    program = start(FORKING)
    program.succeed()

    (run,) = records.ids()
    records.recover()
    assert steps_of(records, "x", run) == list(range(program.told()))
    direct = [number for number in range(12) if number % 3 != 2]
    assert steps_of(records, "child", run) == [*direct, *range(100, 110), 200, 201, 202]
    assert records.run().status == "completed"
    assert records.left() == []


def test_spawned_workers(start: Start, records: Any) -> None:
    """They get the run by its pickle, and open the store for themselves."""
    start(SPAWNING).succeed()

    (run,) = records.ids()
    assert steps_of(records, "child", run) == [0, 1]
    assert records.run().status == "completed"
    assert records.left() == []


def test_loaders_of_data(start: Start, records: Any) -> None:
    """Workers that only load leave no trace."""
    program = start(LOADING)
    program.succeed()

    assert records.steps("x") == list(range(12))
    assert len(records.run().info.writers) == 1
    assert records.left() == []


def test_a_forked_child_may_read_and_begin_a_run_of_its_own(start: Start, records: Any) -> None:
    """The parent's connections are not used by it."""
    start(INHERITING).succeed()

    first, second = records.ids()
    assert (records.run(first).status, records.run(second).status) == ("completed", "completed")
    assert steps_of(records, "own", second) == [1]
    assert records.left() == []


def test_notebooks_and_other_loops(start: Start, records: Any) -> None:
    """Within a running event loop a run begins, is read and ends as anywhere else."""
    start(IN_A_LOOP.replace("== [run.id]", "[:1] == [run.id]")).succeed()

    assert [steps_of(records, "x", run) for run in records.ids()] == [[0, 1], [0, 1]]
    assert records.left() == []


TOGETHER = """
# Children of one program, which has imported what takes long.
import s3fs, aiobotocore.session, pyarrow.parquet, tracklib.stores.objects, tracklib.stores.object_writing

def work(number):
    told[10 + number] = 1
    wait_until(lambda: sum(told[10 + each] for each in range(8)) == 8)
    run = begin(number)
    for step in range(200):
        run.log({"x": step}, step)
        time.sleep(0.002)
    assert run.finish()

children = []
for number in range(8):
    child = os.fork()
    if not child:
        work(number)
        sys.exit(0)
    children.append(child)
assert [os.waitpid(child, 0)[1] for child in children] == [0] * 8
"""
RANKS = """
def begin(number):
    os.environ.update(RANK=str(number), LOCAL_RANK=str(number))
    return start(all_ranks=True, flush_interval=0.05)
"""
RUNS = """
def begin(number):
    return start(flush_interval=0.05)
"""


def test_eight_processes_of_a_run(start: Start, records: Any) -> None:
    """They write side by side, each under names of its own, and nothing is lost."""
    run = new_id()
    start(RANKS + TOGETHER, TRACKLIB_RUN_ID=run, WORLD_SIZE="8", LOCAL_WORLD_SIZE="8").succeed()

    stored = records.run(run)
    names = ["x", *(f"rank{rank}/x" for rank in range(1, 8))]
    assert [stored.series(name, every=True).steps.tolist() for name in names] == [[*range(200)]] * 8
    assert stored.status == "completed"
    assert [each.id for each in tracklib.list_runs(store=records.uri)] == [run]
    assert records.left() == []


def test_eight_runs_in_a_cold_bucket(start: Start, records: Any) -> None:
    """All of them make the store at once, and it is a sound one afterwards."""
    start(RUNS + TOGETHER).succeed()

    assert len(records.ids()) == 8
    runs = tracklib.list_runs(store=records.uri)
    assert sorted(run.id for run in runs) == sorted(records.ids())
    assert {run.status for run in runs} == {"completed"}
    assert [records.steps("x", run) for run in records.ids()] == [[*range(200)]] * 8
    with ObjectStore(records.uri) as store:
        assert read_format(store.bucket).version == 1
    assert records.left() == []
