"""Stores that are locked, deleted, read-only, damaged or away: the training goes on, and later everything is there."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import tracklib
from tracklib.errors import StoreError

Start = Callable[..., Any]

WORKING = """
run = start()
run.log({"x": 0}, 0)
assert run.flush(60)
told[1] = 1
for step in itertools.count(1):
    run.log({"x": step}, step)
    told[0] = step + 1
    time.sleep(0.001)
    if told[2]:
        break
told[3] = run.finish()
"""
"""Tells that the store has a point (1), then how far it is (0) until it is told to end (2), then the answer (3)."""


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the database as another process would that is in the middle of a long transaction."""
    blocker = sqlite3.connect(path, timeout=60, isolation_level=None)
    blocker.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        blocker.close()


def warnings_of(program: Any, text: str) -> int:
    return sum(text in line for line in program.errors.splitlines())


def damage(folder: Path) -> None:
    """Put something else in the place of the database."""
    for path in folder.glob("runs.db-*"):
        path.unlink()
    (folder / "damaged").write_bytes(b"no database at all" * 1000)
    (folder / "damaged").replace(folder / "runs.db")


def check_locked_for(seconds: float, start: Start, records: Any) -> None:
    program = start(WORKING)
    program.await_told(place=1)
    with locked(records.folder / "runs.db"):
        before = program.told()
        time.sleep(seconds)
        program.await_told(before + 10)
    program.tell(1, place=2)

    assert program.wait() == 0, program.errors
    assert program.told(3) == 1
    assert warnings_of(program, "cannot be written to its store for now") <= 1
    assert records.left() == []
    assert records.steps("x") == list(range(program.told()))
    assert records.run().status == "completed"


def test_a_database_that_is_locked_for_seconds(start: Start, records: Any) -> None:
    """Longer than SQLite waits by itself: there is one warning, and then everything is there."""
    check_locked_for(7.0, start, records)


@pytest.mark.slow
def test_a_database_that_is_locked_for_a_minute(start: Start, records: Any) -> None:
    """As another program's backup may do."""
    check_locked_for(60.0, start, records)


def test_a_run_may_start_while_the_database_is_locked(start: Start, records: Any) -> None:
    """Starting and logging wait for nothing; the end waits until the lock is gone."""
    start("start().finish()").succeed()
    with locked(records.folder / "runs.db"):
        program = start("run = start(); run.log({'x': 0}); told[0] = 1; told[1] = run.finish()")
        program.await_told()

    assert program.wait() == 0
    assert program.told(1) == 1
    assert records.steps("x") == [0]


@pytest.mark.parametrize("with_log", [True, False], ids=["all files", "only the database"])
def test_a_deleted_database_is_made_anew(start: Start, records: Any, *, with_log: bool) -> None:
    """What the lost one held is shipped again from the journal: a running run's journal is kept."""
    program = start(WORKING)
    program.await_told(place=1)
    for path in records.folder.glob("runs.db*" if with_log else "runs.db"):
        path.unlink()
    program.await_told(program.told() + 100)
    program.tell(1, place=2)

    assert program.wait() == 0, program.errors
    assert program.told(3) == 1
    assert records.steps("x") == list(range(program.told()))
    assert (records.run().status, records.run().project) == ("completed", "faults")


def test_a_deleted_folder_costs_no_more_than_what_was_in_it(start: Start, records: Any) -> None:
    """Store, blobs and spool vanish at once: the run goes on and ends well."""
    program = start(WORKING.replace("start()", 'start(store=f"sqlite:///{os.getcwd()}/deep/er/runs.db")'))
    program.await_told(place=1)
    import shutil

    shutil.rmtree(records.folder / "deep")
    program.await_told(program.told() + 100)
    program.tell(1, place=2)

    assert program.wait() == 0, program.errors
    assert program.told(3) == 1
    run = tracklib.get_run(records.ids()[0], store=f"sqlite:///{records.folder}/deep/er/runs.db")
    assert run.series("x", every=True).steps.tolist() == list(range(program.told()))
    run._store.close()


def test_a_damaged_database_stops_nothing(start: Start, records: Any) -> None:
    """The run goes on and says so at its end; once the damaged file is moved away, a sync ships it all."""
    program = start(WORKING.replace("start()", "start(finish_timeout=1.0)"))
    program.await_told(place=1)
    damage(records.folder)
    program.await_told(program.told() + 200)
    program.tell(1, place=2)

    assert program.wait() == 0, program.errors
    assert program.told(3) == 0
    assert warnings_of(program, "cannot be written to its store for now") == 1
    assert "`tracklib sync` ships it" in program.errors
    for path in records.folder.glob("runs.db*"):
        path.rename(path.with_name(f"damaged-{path.name}"))
    (recovered,) = tracklib.sync(store=records.uri)
    assert (recovered.points, recovered.closed, recovered.problem) == (program.told(), False, None)
    assert records.steps("x") == list(range(program.told()))
    assert records.run().status == "completed"


def test_a_read_only_database_is_refused_or_spooled_for(start: Start, records: Any) -> None:
    """The default is to say so at the start; with `on_error="spool"` the journal keeps everything for a sync."""
    start("start().finish()").succeed()
    (records.folder / "runs.db").chmod(0o444)
    refused = start("start()", uncapped=False)
    assert refused.wait() == 1
    assert "StoreError" in refused.errors
    assert "cannot be written to" in refused.errors
    source = "run = start(on_error='spool', finish_timeout=0.5)\nrun.log({'x': 0})\ntold[0] = 1 + run.finish()"
    program = start(source, uncapped=False)

    assert program.wait() == 0, program.errors
    assert program.told() == 1
    (records.folder / "runs.db").chmod(0o644)
    assert [recovered.problem for recovered in tracklib.sync(store=records.uri)] == [None]
    assert records.steps("x") == [0]


def test_a_run_may_start_beside_a_damaged_database(start: Start, records: Any) -> None:
    """By default the start says so; where the user chose to spool, everything waits for a store that works."""
    damage(records.folder)
    refused = start("start()")
    program = start("run = start(on_error='spool', finish_timeout=0.5)\nrun.log({'x': 0})")

    assert refused.wait() == 1
    assert "is no SQLite database" in refused.errors
    assert program.wait() == 0, program.errors
    (records.folder / "runs.db").unlink()
    assert [recovered.problem for recovered in tracklib.sync(store=records.uri)] == [None]
    assert records.steps("x") == [0]


def test_the_end_waits_no_longer_than_it_may(start: Start, records: Any) -> None:
    """`finish` returns False within its time, says where the data is and what to do; so does the interpreter's end."""
    start("start().finish()").succeed()
    with locked(records.folder / "runs.db"):
        explicit = start("""
run = start(finish_timeout=0.5)
run.log({"x": 0})
began = time.monotonic()
assert run.finish() is False
assert run.finish() is False
assert time.monotonic() - began < 60
""")
        implicit = start("run = start(finish_timeout=0.5)\nrun.log({'x': 0})\n")
        assert (explicit.wait(), implicit.wait()) == (0, 0)

    for program in (explicit, implicit):
        assert "its store" in program.errors
        assert "has not got everything yet" in program.errors
        assert "Nothing is lost" in program.errors
        assert str(records.spool) in program.errors
        assert "`tracklib sync` ships it" in program.errors
    assert [records.steps("x", run) for run in records.ids()[1:]] == [[0], [0]]
    assert records.left() == []


def test_many_journals_for_a_store_that_is_away_cost_one_wait(start: Start, records: Any) -> None:
    """Whoever reads or syncs does not wait for the same lock again and again."""
    start("start().finish()").succeed()
    start("for _ in range(12): start(mode='offline').finish()").succeed()
    with locked(records.folder / "runs.db"):
        began = time.monotonic()
        problems = [recovered.problem for recovered in tracklib.sync(store=records.uri)]
        took = time.monotonic() - began

    assert len(problems) == 12
    assert all(problem and "locked" in problem for problem in problems)
    assert took < 40
    assert len(tracklib.sync(store=records.uri)) == 12
    assert [records.run(run).status for run in records.ids()] == ["completed"] * 13


def test_offline_runs_are_shipped_by_a_sync(start: Start, records: Any) -> None:
    """Offline nothing but the spool is touched; then everything is there, once."""
    program = start("""
run = start(mode="offline", tags={"where": "train"})
for step in range(1000):
    run.log({"x": step})
assert run.flush() is False
assert run.finish() is False
""")
    program.succeed()
    assert not (records.folder / "runs.db").exists()
    (recovered,) = tracklib.sync(store=records.uri)

    assert (recovered.points, recovered.closed, recovered.problem) == (1000, False, None)
    assert tracklib.sync(store=records.uri) == []
    assert records.steps("x") == list(range(1000))
    assert (records.run().status, records.run().tags) == ("completed", {"where": "train"})


def test_an_offline_process_that_was_killed_is_shipped_too(start: Start, records: Any) -> None:
    """As a killed run, with all that was logged."""
    program = start(
        "run = start(mode='offline')\nfor step in itertools.count(): run.log({'x': step}); told[0] = step + 1"
    )
    program.await_told(1000)
    program.kill()

    assert len(records.steps("x")) - program.told() in {0, 1}
    assert records.run().status == "killed"


def test_a_store_that_cannot_be_meant_is_told_at_the_start(start: Start) -> None:
    """A folder in the way is not found out at the end of the training."""
    Path("runs.db").mkdir()
    program = start("start()")

    assert program.wait() == 1
    assert StoreError.__name__ in program.errors
