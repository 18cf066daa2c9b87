"""Many processes at once: side by side, spawned, with several runs and threads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

Start = Callable[..., Any]


def values_of(run: Any, name: str) -> list[float]:
    return sorted(run.series(name, every=True).values.tolist())


def test_eight_processes_share_a_store_that_does_not_exist_yet(start: Start, records: Any) -> None:
    """All begin at the same moment, each with 2,000 steps of 10 scalars: no error, no point lost."""
    source = """
told[10 + int(sys.argv[1])] = 1
wait_until(lambda: told[1])
with start(name=sys.argv[1]) as run:
    for step in range(2000):
        run.log({"x": step, **{f"m{i}": step * i for i in range(9)}})
"""
    programs = [start(source.replace("sys.argv[1]", repr(str(number)))) for number in range(8)]
    for number, program in enumerate(programs):
        program.await_told(place=10 + number)
    programs[0].tell(1, place=1)
    for program in programs:
        program.succeed()

    assert sorted(records.run(run).name for run in records.ids()) == [str(number) for number in range(8)]
    for run in records.ids():
        assert records.steps("x", run) == list(range(2000))
        for index in range(9):
            assert values_of(records.run(run), f"m{index}") == [float(step * index) for step in range(2000)]
        assert records.run(run).status == "completed"
    assert records.left() == []


def test_recoveries_side_by_side_ship_each_journal_once(start: Start, records: Any) -> None:
    """Whoever comes later finds nothing left to do, and the runs keep the status that they ended with."""
    start(
        "for _ in range(20):\n    run = start(mode='offline')\n    for step in range(500): run.log({'x': step})\n"
        "    run.finish('failed')\n"
    ).succeed()
    programs = [start("tracklib.sync(store=STORE)") for _ in range(4)]
    for program in programs:
        program.succeed()

    for run in records.ids():
        assert records.steps("x", run) == list(range(500))
        assert records.run(run).status == "failed"
    assert records.left() == []


# ---- spawn


def test_a_pickled_run_joins_from_a_spawned_process(start: Start, records: Any) -> None:
    """Each process is a writer of its own, however often it is handed the run."""
    start("""
import multiprocessing

def work(run, number):
    run.log({"x": number}, number)
    return id(run)

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    with start() as run:
        worker = context.Process(target=work, args=(run, 0))
        worker.start()
        worker.join()
        assert worker.exitcode == 0
        with context.Pool(1) as pool:
            assert len(set(pool.starmap(work, [(run, number) for number in range(1, 20)]))) == 1
            pool.close()
            pool.join()
        run.log({"x": 20}, 20)
""").succeed()

    assert records.steps("x") == list(range(21))
    assert records.run().status == "completed"
    assert len(records.run().info.writers) == 3
    assert records.left() == []


def test_a_run_that_was_pickled_in_its_own_process_is_itself(start: Start, records: Any) -> None:
    """A copy in one process would be a second writer for nothing."""
    start("""
import copy, pickle
run = start(activate=False)
assert pickle.loads(pickle.dumps(run)) is run
run.log({"x": 0}, 0)
pickle.loads(pickle.dumps(run)).log({"x": 1}, 1)
""").succeed()

    assert records.steps("x") == [0, 1]
    assert len(records.run().info.writers) == 1


# ---- several runs, several threads


def test_several_runs_in_one_process(start: Start, records: Any) -> None:
    """Side by side and nested, left open all at once."""
    start("""
runs = [start(name=str(number), activate=False) for number in range(10)]
for step in range(200):
    for number, run in enumerate(runs):
        run.log({"x": step, "number": number})
runs[3].finish()
with runs[4]:
    pass
""").succeed()

    for number, run in enumerate(records.ids()):
        assert records.steps("x", run) == list(range(200))
        assert set(values_of(records.run(run), "number")) == {float(number)}
        assert records.run(run).status == "completed"


def test_four_threads_log_into_one_run(start: Start, records: Any) -> None:
    """None is lost, while the run is flushed and finished by others."""
    start("""
def work(number):
    for step in range(5000):
        run.log({f"x{number}": step, "all": number}, step)
        if step % 1000 == 0:
            run.flush()

run = start()
threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
""").succeed()

    for number in range(4):
        assert values_of(records.run(), f"x{number}") == [float(step) for step in range(5000)]
    assert len(values_of(records.run(), "all")) == 20_000


def test_a_run_is_finished_once(start: Start, records: Any) -> None:
    """Twice, from two threads, while others log: every call that was not refused is kept; the first status counts."""
    program = start("""
def log(number):
    for step in itertools.count():
        run.log({"x": step}, step) if number == 0 else run.log({f"y{number}": step}, step)
        if run.is_open:
            told[number] = step + 1
        else:
            return

run = start()
threads = [threading.Thread(target=log, args=(number,)) for number in range(3)]
threads += [threading.Thread(target=run.finish, args=("failed",)) for _ in range(2)]
for thread in threads[:3]:
    thread.start()
wait_until(lambda: told[0] > 1000)
for thread in threads[3:]:
    thread.start()
for thread in threads:
    thread.join()
assert run.finish("completed") is True
assert run.flush() is True
run.log({"x": -1})
""")

    assert program.wait() == 0, program.errors
    steps = records.steps("x")
    assert steps == list(range(len(steps)))
    assert len(steps) >= program.told()
    assert records.run().status == "failed"
    assert program.errors.count("has ended") == 1
    assert records.left() == []


def test_a_run_is_finished_by_two_while_its_surroundings_are_recorded(start: Start, records: Any) -> None:
    """The second caller waits for the first one's end record, which takes as long as the last sample does."""
    program = start("""
run = tracklib.start_run("faults", "test", store=STORE, system_interval=0.1)
open("ids", "a").write(run.id)
run.log({"x": 0})
threads = [threading.Thread(target=run.finish, args=("failed", "first")) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
""")

    assert program.wait() == 0, program.errors
    assert records.steps("x") == [0]
    assert (records.run().status, records.run().reason) == ("failed", "first")
    assert records.left() == []


def test_a_journal_in_use_is_left_alone(start: Start, records: Any) -> None:
    """A recovery beside a living process takes nothing of it."""
    program = start("run = start(flush_interval=60)\nrun.log({'x': 0})\ntold[0] = 1\nwait_until(lambda: told[1])")
    program.await_told()
    before = records.left()
    records.recover()
    assert records.left() == before == [str(Path(records.ids()[0], "0-0.journal"))]
    program.tell(1, place=1)
    program.succeed()

    assert records.steps("x") == [0]
    assert records.run().status == "completed"
