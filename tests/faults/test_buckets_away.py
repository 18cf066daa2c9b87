"""S3 servers that stop, are slow, hang, reset and refuse: the training goes on, and everything arrives once."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import tracklib
from tests.servers.faulty_proxy import Fault, FaultyProxy

if TYPE_CHECKING:
    from tests.servers.s3_server import S3Server

Start = Callable[..., Any]

TRAINING = """
import statistics

def paced(until):
    # Log until it is told (place 2) that this part is over; note how many, and what a call has cost.
    costs = []
    while told[2] < until:
        step = told[0]
        began = time.perf_counter_ns()
        run.log({"x": step}, step)
        costs.append(time.perf_counter_ns() - began)
        told[0] = step + 1
        time.sleep(0.001)
    told[10 + until] = int(statistics.median(costs or [0]))
    told[20 + until] = max(costs or [0])

run = start(flush_interval=0.2, **json.loads(os.environ.get("OPTIONS", "{}")))
run.log({"x": 0}, 0)
assert run.flush(60)
told[0] = 1
told[1] = 1
paced(1)
paced(2)
paced(3)
told[3] = 1 + run.finish()
"""
"""Logs in three parts; it tells how far it is (0), that the store has a point (1), what `finish` said, plus 1 (3)."""

GONE = "cannot be written to its store for now"
BACK = "the store can be reached again"


@pytest.fixture(name="records")
def _records(bucket_records: Any) -> Any:
    """Keep the runs of these tests in a bucket."""
    return bucket_records


@pytest.fixture(name="through")
def _through(records: Any, faulty_proxy: FaultyProxy) -> dict[str, str]:
    """Return the environment of programs that reach the bucket through a proxy, which the test itself does not."""
    assert records.uri
    return {"AWS_ENDPOINT_URL": faulty_proxy.endpoint_url}


def lines_of(program: Any, text: str) -> int:
    return sum(text in line for line in program.errors.splitlines())


def sync(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the real command."""
    import os

    command = [str(Path(sys.executable).with_name("tracklib")), "sync", *words]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environ}, check=False)


def check_complete(records: Any, count: int, status: str = "completed") -> None:
    """See to it that a run has so many points of x, each once, and ended as it should."""
    assert records.steps("x") == list(range(count))
    assert records.run().status == status
    assert records.left() == []


def check_stopped_for(seconds: float, start: Start, records: Any, server: S3Server) -> None:
    program = start(TRAINING)
    program.await_told(place=1)
    program.await_told(300)
    program.tell(1, place=2)
    server.stop()
    try:
        before = program.told()
        time.sleep(seconds)
        program.await_told(before + 300)
        program.tell(2, place=2)
    finally:
        server.start()
    deadline = time.monotonic() + 120
    while not lines_of(program, BACK):
        assert time.monotonic() < deadline, program.errors
        time.sleep(0.05)
    program.tell(3, place=2)

    assert program.wait() == 0, program.errors
    assert program.told(3) == 2
    assert (lines_of(program, GONE), lines_of(program, BACK)) == (1, 1)
    assert len(program.errors.splitlines()) == 2, program.errors
    # Generous: what would be seen is a call that waits for the network.
    assert program.told(12) < 20 * program.told(11) + 1_000_000
    assert program.told(22) < 5e9
    check_complete(records, program.told())


def test_a_server_that_is_away_for_seconds(start: Start, records: Any, s3_server: S3Server) -> None:
    """The training does not notice: one line when it goes, one when it is back, and every point is there once."""
    check_stopped_for(4.0, start, records, s3_server)


@pytest.mark.slow
def test_a_server_that_is_away_for_a_minute(start: Start, records: Any, s3_server: S3Server) -> None:
    """As when it is moved to another machine."""
    check_stopped_for(60.0, start, records, s3_server)


ENDING = """
run = start(finish_timeout=1.0)
run.log({"x": 0}, 0)
assert run.flush(60)
told[0] = 1
wait_until(lambda: told[1])
run.log({"x": 1}, 1)
"""
FINISHING = """
began = time.monotonic()
assert run.finish() is False
assert time.monotonic() - began < 60
"""


@pytest.mark.parametrize("end", [FINISHING, ""], ids=["finish", "end of the program"])
def test_a_server_that_is_away_at_the_end(
    start: Start, records: Any, faulty_proxy: FaultyProxy, through: dict[str, str], end: str
) -> None:
    """The end waits no longer than it may and says what to do; the command `tracklib sync` then ships the rest."""
    program = start(ENDING + end, **through)
    program.await_told()
    faulty_proxy.refuse()
    program.tell(1, place=1)
    assert program.wait() == 0, program.errors
    assert "`tracklib sync` ships it" in program.errors
    assert records.left() != []
    if end == FINISHING:
        away = sync("--store", records.uri, **through)
        faulty_proxy.heal()
        back = sync("--store", records.uri, **through)
        assert (away.returncode, away.stderr) == (1, "")
        assert "cannot be reached now" in away.stdout
        assert (back.returncode, back.stderr) == (0, ""), back
        assert "shipped" in back.stdout
        assert records.left() == []

    check_complete(records, 2)


KILLED = """
run = start()
run.log({"x": 0}, 0)
assert run.flush(60)
told[1] = 1
for step in itertools.count(1):
    run.log({"x": step}, step)
    told[0] = step + 1
    time.sleep(0.0005)
"""


@pytest.mark.parametrize("how", ["another run", "the command"])
def test_a_training_that_is_killed_while_the_server_is_away(
    start: Start, records: Any, faulty_proxy: FaultyProxy, through: dict[str, str], how: str
) -> None:
    """The next run of the same user ships what it left, or `tracklib sync`, and the run is closed as killed."""
    program = start(KILLED, **through)
    program.await_told(place=1)
    faulty_proxy.refuse()
    program.await_told(program.told() + 500)
    program.kill()
    faulty_proxy.heal()
    if how == "the command":
        assert sync(**through, TRACKLIB_STORE=records.uri).returncode == 0
    else:
        start("run = start()\nrun.log({'y': 1})", **through).succeed()
    assert records.left() == []

    steps = records.steps("x", records.ids()[0])
    assert steps in (list(range(program.told())), list(range(program.told() + 1)))
    assert records.run(records.ids()[0]).status == "killed"
    assert tracklib.sync(store=records.uri) == []


@pytest.mark.parametrize("fault", [Fault.SLOW_DOWN, Fault.RESET, Fault.LOST_ANSWER, Fault.CUT_ANSWER])
def test_requests_that_fail_are_made_again(
    start: Start, records: Any, faulty_proxy: FaultyProxy, through: dict[str, str], fault: Fault
) -> None:
    """Also where the server has done what was asked and the client never heard of it: everything is there once."""
    program = start(TRAINING, **through)
    program.await_told(place=1)
    for part, method in enumerate(["PUT", "GET", "HEAD"], 1):
        faulty_proxy.fail(fault, times=2, method=method, path="/runs/")
        program.await_told(program.told() + 300)
        program.tell(part, place=2)

    assert program.wait() == 0, program.errors
    assert program.told(3) == 2
    check_complete(records, program.told())


def test_a_server_that_answers_nothing(
    start: Start, records: Any, faulty_proxy: FaultyProxy, through: dict[str, str]
) -> None:
    """Whoever waits does so no longer than the limits that were set; when it answers again, everything arrives."""
    options = '{"config_kwargs": {"read_timeout": 1, "connect_timeout": 1}}'
    program = start(TRAINING, **through, TRACKLIB_STORE_OPTIONS=options)
    program.await_told(place=1)
    faulty_proxy.fail(Fault.HANG)
    refused = start("start()", **through, TRACKLIB_STORE_OPTIONS=options)
    assert refused.wait() == 1
    assert refused.errors.splitlines()[-1].startswith("tracklib.errors.StoreUnavailable: s3://")
    program.await_told(program.told() + 500)
    waiting = start("run = start(on_error='spool', finish_timeout=1.0)\nrun.log({'x': 0}, 0)", **through)
    faulty_proxy.heal()
    assert waiting.wait() == 0
    for part in range(1, 4):
        program.tell(part, place=2)

    assert program.wait() == 0, program.errors
    assert program.told(3) == 2
    assert records.steps("x", records.ids()[0]) == list(range(program.told()))
    assert records.steps("x", records.ids()[1]) == [0]


def test_a_slow_line(start: Start, records: Any, faulty_proxy: FaultyProxy, through: dict[str, str]) -> None:
    """Calls cost what they cost without it, a run starts and reads as it should, and the end obeys its limit."""
    program = start(TRAINING, **through, OPTIONS='{"finish_timeout": 1.0}')
    program.await_told(place=1)
    program.await_told(500)
    program.tell(1, place=2)
    faulty_proxy.throttle(bytes_per_second=4000, latency_s=0.3)
    program.await_told(program.told() + 2000)
    program.tell(2, place=2)
    faulty_proxy.throttle(bytes_per_second=1000, latency_s=2.0)
    began = time.monotonic()
    program.tell(3, place=2)

    assert program.wait() == 0, program.errors
    assert program.told(3) == 1
    assert time.monotonic() - began < 60
    assert program.told(12) < 20 * program.told(11) + 1_000_000
    assert program.told(22) < 5e9
    faulty_proxy.heal()
    check_complete(records, program.told())


def test_a_store_that_takes_its_time_is_not_written_to_all_the_time(
    start: Start, records: Any, faulty_proxy: FaultyProxy, through: dict[str, str]
) -> None:
    """There is always more by the time that a shipment is done, and all the same a pause after it: requests cost."""
    program = start(TRAINING.replace("flush_interval=0.2", "flush_interval=1.0"), **through)
    program.await_told(place=1)
    faulty_proxy.throttle(latency_s=0.05)
    began, seen = time.monotonic(), len(faulty_proxy.requests)
    time.sleep(3.0)
    requests = [request for request in faulty_proxy.requests[seen:] if "/records/" in request.path]
    took = time.monotonic() - began
    faulty_proxy.heal()
    for part in range(1, 4):
        program.tell(part, place=2)

    assert program.wait() == 0, program.errors
    # One is written for each shipment, and one looked at before.
    assert len(requests) <= 2 * (took / 1.0 + 2)
    check_complete(records, program.told())


def test_a_run_starts_over_a_slow_line(
    start: Start, records: Any, faulty_proxy: FaultyProxy, through: dict[str, str]
) -> None:
    """It takes longer, and that is all."""
    faulty_proxy.throttle(bytes_per_second=8000, latency_s=0.3)
    start("run = start()\nrun.log({'x': 0}, 0)\nassert run.finish()", **through).succeed()

    check_complete(records, 1)


def test_the_names_of_hosts_are_looked_up_to_the_end(start: Start, records: Any, s3_server: S3Server) -> None:
    """An endpoint with a name needs threads for it, which an interpreter that ends does not give: all the same."""
    named = s3_server.endpoint_url.replace("127.0.0.1", "localhost")
    source = "run = start(flush_interval=60)\nfor step in range(100): run.log({'x': step}, step)"
    start(source, AWS_ENDPOINT_URL=named).succeed()

    assert records.left() == []
    check_complete(records, 100)


def test_a_bucket_after_another_store(start: Start, records: Any) -> None:
    """What closes connections at the end of the interpreter comes after the last shipment, whatever came first."""
    start("""
other = start(store=f"sqlite:///{os.getcwd()}/runs.db")
run = start(flush_interval=60)
for step in range(100):
    run.log({"x": step}, step)
""").succeed()

    assert records.left() == []
    assert tracklib.get_run(records.ids()[0], store=f"sqlite:///{records.folder}/runs.db").status == "completed"
    check_complete(records, 100)
