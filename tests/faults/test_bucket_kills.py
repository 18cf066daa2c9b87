"""SIGKILL of programs that write to a bucket: every call that had returned is read back, once."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.servers.faulty_proxy import Fault, FaultyProxy

Start = Callable[..., Any]

LOGGING = """
run = start(flush_interval=0.01)
for step in itertools.count():
    run.log({"x": step, "y": step})
    if step % 100 == 50:
        run.set_tag("at", step)
        told[1] = step
    told[0] = step + 1
    time.sleep(0.0005)
"""

IN_GO = """
import atexit

def train():
    run = start(flush_interval=0.01)
    for step in itertools.count():
        run.log({"x": step, "y": step})
        told[0] = step + 1
        time.sleep(0.0005)

# Children of one program, which has imported everything: many kills in little time.
import s3fs, aiobotocore.session, pyarrow.parquet, tracklib.stores.objects, tracklib.stores.object_writing

seed = random.Random(os.environ["SEED"])
for number in range(int(os.environ["KILLS"])):
    told[0] = 0
    child = os.fork()
    if not child:
        train()
    wait_until(lambda: told[0])
    time.sleep(seed.uniform(0.0, 1.0))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    told[100 + number] = told[0]
"""


@pytest.fixture(name="records")
def _records(bucket_records: Any) -> Any:
    """Keep the runs of these tests in a bucket."""
    return bucket_records


def check_all_read(records: Any, run: str, returned: int) -> None:
    """See to it that each call that returned is there once, and at most the one that was interrupted besides."""
    steps = records.steps("x", run)
    assert steps in (list(range(returned)), list(range(returned + 1)))
    assert len(records.run(run).series("y", every=True).steps) - returned in {0, 1}
    assert records.run(run).status == "killed"
    assert records.run(run).reason.startswith("the process ended without a word")


def check_kills(start: Start, records: Any, kills: int, **environ: str) -> None:
    program = start(IN_GO, KILLS=str(kills), **environ)
    program.succeed()
    records.recover()
    ids = records.ids()

    assert len(ids) == kills
    assert records.left() == []
    for number, run in enumerate(ids):
        check_all_read(records, run, program.told(100 + number))


def test_kills_at_any_moment(start: Start, records: Any) -> None:
    """Of a program that ships all the time: what the next process finds is gone on with where the store is."""
    check_kills(start, records, 4, SEED="few")


@pytest.mark.slow
def test_many_kills_at_any_moment(start: Start, records: Any, faulty_proxy: FaultyProxy) -> None:
    """Most of them in the middle of a request, as each takes a while."""
    check_kills(start, records, 20, SEED="quick")
    faulty_proxy.throttle(latency_s=0.03)
    Path("ids").unlink()
    check_kills(start, records, 20, SEED="slow", AWS_ENDPOINT_URL=faulty_proxy.endpoint_url)


@pytest.mark.parametrize(
    ("part", "fault"), [("metrics", Fault.LOST_ANSWER), ("records", Fault.HANG), ("records", Fault.LOST_ANSWER)]
)
def test_a_kill_between_points_and_records(
    start: Start, records: Any, faulty_proxy: FaultyProxy, fault: Fault, part: str
) -> None:
    """A batch is points first and then records: one that has only the first of them counts as none of both."""
    program = start(LOGGING, AWS_ENDPOINT_URL=faulty_proxy.endpoint_url)
    program.await_told(300)
    faulty_proxy.fail(fault, method="PUT", path=f"/{part}/")
    seen = len(faulty_proxy.requests)
    deadline = time.monotonic() + 120
    while not any(r.method == "PUT" and f"/{part}/" in r.path for r in faulty_proxy.requests[seen:]):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    program.await_told(program.told() + 50)
    program.kill()

    tag = str(program.told(1))
    check_all_read(records, records.ids()[0], program.told())
    assert int(records.run().tags["at"]) - int(tag) in {0, 100}
    assert records.left() == []


def test_a_recovery_that_is_killed_as_well(start: Start, records: Any, chance: Random) -> None:
    """Whoever is killed while they ship what another left, leaves it to the next one."""
    program = start(LOGGING.replace("start(", "start(mode='offline', "))
    program.await_told(2000)
    program.kill()
    for _ in range(3):
        recovery = start("told[2] = 1\nprint(tracklib.sync(store=STORE))")
        recovery.await_told(place=2)
        time.sleep(chance.uniform(0.0, 0.6))
        recovery.kill()
        recovery.tell(0, place=2)

    check_all_read(records, records.ids()[0], program.told())
    assert records.left() == []
