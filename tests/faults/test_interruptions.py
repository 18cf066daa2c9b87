"""Calls in the middle of calls: signals, finalizers, values that log, and Ctrl-C at any place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Start = Callable[..., Any]

ALARMS = """
chance = random.Random(7)

def alarms(handler):
    # Interrupt the main thread thousands of times a second.
    def on_alarm(_number, frame):
        try:
            handler(frame)
        finally:
            signal.setitimer(signal.ITIMER_REAL, chance.uniform(2e-5, 5e-4))
    signal.signal(signal.SIGALRM, on_alarm)
    signal.setitimer(signal.ITIMER_REAL, 1e-4)

def no_alarms():
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    signal.setitimer(signal.ITIMER_REAL, 0)
"""


def test_ctrl_c_at_any_place_leaves_nothing_half_done(start: Start, records: Any) -> None:
    """Thousands of times: each call that returned is there, under its own names, and the run goes on."""
    program = start(
        ALARMS
        + """
def interrupt(frame):
    # Only what `work` calls is interrupted, so that the exception is caught.
    while frame is not None and frame.f_code is not work.__code__:
        frame = frame.f_back
    if frame is not None:
        told[1] += 1
        raise KeyboardInterrupt

def work():
    while True:
        step = told[0]
        # Names that change make schemas and segments change all the time.
        run.log({f"a{step % 300}": step, f"b{step % 300}": step} if step % 3 else {f"c{step % 500}": step}, step)
        told[0] = step + 1
        if step % 1000 == 0:
            run.set_tag("at", step)

run = start()
sys.unraisablehook = lambda _: None
deadline = time.monotonic() + 60
alarms(interrupt)
while told[1] < 3000 and time.monotonic() < deadline:
    try:
        work()
    except KeyboardInterrupt:
        pass
no_alarms()
run.log({"last": 1}, 0)
"""
    )

    assert program.wait() == 0, program.errors
    assert program.told(1) > 100
    run = records.run()
    seen: set[int] = set()
    for name in run.metrics:
        series = run.series(name, every=True)
        assert series.values.tolist() == series.steps.tolist() or name == "last"
        if name != "last":
            remainders = series.steps % (500 if name[0] == "c" else 300)
            assert set(remainders.tolist()) == {int(name[1:])}
            seen |= set(series.steps.tolist())
    assert seen >= set(range(program.told()))
    assert run.status == "completed"


@pytest.mark.parametrize("action", ["run.flush(0.01)", "run.set_tag('n', count)", "run.log({'new' + str(count): 1})"])
def test_a_signal_handler_may_do_anything(start: Start, records: Any, action: str) -> None:
    """It logs, tags and flushes in the middle of the program's own calls: nothing hangs, nothing is lost."""
    program = start(
        ALARMS
        + f"""
def handle(_frame):
    global count
    count += 1
    run.log({{"signal": count}}, count)
    {action}

run, count = start(), 0
alarms(handle)
deadline = time.monotonic() + 60
for step in range(30_000):
    run.log({{"x": step, f"y{{step % 100}}": step}}, step)
    if step % 1000 == 0:
        run.flush()
while count < 100 and time.monotonic() < deadline:
    time.sleep(0.01)
no_alarms()
told[1] = count
"""
    )

    assert program.wait() == 0, program.errors
    assert records.steps("x") == list(range(30_000))
    assert sorted(records.steps("signal")) == list(range(1, program.told(1) + 1))


def test_a_handler_may_finish_the_run_in_the_middle_of_a_call(start: Start, records: Any) -> None:
    """The end is written behind the call that it interrupted; it does not wait for itself."""
    program = start("""
class Impatient:
    def __float__(self):
        began = time.monotonic()
        told[1] = run.finish("killed", "enough")
        assert time.monotonic() - began < 30
        return 1.0

run = start()
run.log({"x": 0}, 0)
run.log({"x": Impatient()}, 1)
assert run.finish() is True
""")

    assert program.wait() == 0, program.errors
    assert program.told(1) == 0
    assert records.run().series("x").steps.tolist() == [0, 1]
    assert (records.run().status, records.run().reason) == ("killed", "enough")
    assert records.left() == []


def test_values_and_finalizers_may_log(start: Start, records: Any) -> None:
    """A value that logs when it is asked, garbage that logs when it is collected, to the end of the interpreter."""
    program = start("""
import gc
gc.set_threshold(5)

class Value:
    def __float__(self):
        run.log({"asked": 1}, 0)
        return 2.0

class Cycle:
    def __init__(self):
        self.me = self
    def __del__(self):
        run.log({"collected": 1}, 0)

run = start()
for step in range(1000):
    Cycle()
    run.log({f"x{step % 20}": Value()}, step)
gc.collect()
forever = Cycle()
""")

    assert program.wait() == 0, program.errors
    run = records.run()
    assert run.metrics["asked"].count >= 1000
    assert run.metrics["collected"].count == 1000
    assert sum(run.metrics[f"x{number}"].count for number in range(20)) == 1000


def test_a_log_handler_may_log_metrics(start: Start, records: Any) -> None:
    """A handler that counts warnings, in threads that log what makes warnings: no deadlock."""
    program = start("""
import logging

class Counting(logging.Handler):
    def emit(self, record):
        run.log({"warnings": 1}, 0)

def work(number):
    for step in range(300):
        run.log({f"bad{number}/{step}": "no number", "good": step}, step)
        logging.warning("hello")

logging.getLogger().addHandler(Counting())
run = tracklib.start_run("faults", "test", store=STORE, auto_log_git=False, auto_log_env=False, system_interval=0)
open("ids", "a").write(run.id)
threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
""")

    assert program.wait() == 0
    assert records.run().metrics["good"].count == 900
    assert records.run().metrics["warnings"].count >= 1800
    assert records.run().info.dropped == {"no number": 900}
