"""Files that are kept in spite of it all: stores that are away, kills, forks, and files larger than the memory."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

import tracklib

Start = Callable[..., Any]

KEEPING = """
def content(number):
    return f"file {number} ".encode() * (number % 7 * 20_000 + 1)

run = start(MODE)
for number in itertools.count():
    with open("original", "wb") as file:
        file.write(content(number))
    run.log_artifact("original", f"file{number}")
    run.log({"x": number})
    told[0] = number + 1
"""
"""Tells how many artifacts were logged."""


def content(number: int) -> bytes:
    return f"file {number} ".encode() * (number % 7 * 20_000 + 1)


def check_artifacts(records: Any, returned: int) -> None:
    """See to it that what was logged by calls that returned can be read, byte for byte, and that no rest is left."""
    run = records.run()
    found = {artifact.name for artifact in run.artifacts}
    assert found in ({f"file{n}" for n in range(returned)}, {f"file{n}" for n in range(returned + 1)})
    for number in range(len(found)):
        assert run.read_artifact(f"file{number}") == {"original": content(number)}
    assert run.status == "killed"
    assert records.left() == []
    assert not records.spool.exists() or not list(records.spool.iterdir())


MODES = pytest.mark.parametrize(
    "mode", ["mode='offline'", "flush_interval=0.01", "flush_interval=60"], ids=["offline", "often", "seldom"]
)


@MODES
def test_a_killed_process_loses_no_file(start: Start, records: Any, chance: Random, mode: str) -> None:
    """Whatever of it had reached the store: the next process brings the rest, and deletes half copies."""
    program = start(KEEPING.replace("MODE", mode))
    program.await_told(5)
    time.sleep(chance.uniform(0.0, 0.2))
    program.kill()

    check_artifacts(records, program.told())


@pytest.mark.slow
@MODES
def test_processes_killed_at_random_lose_no_file(start: Start, records: Any, chance: Random, mode: str) -> None:
    """Ten kills each, in the middle of copies and of shipments."""
    for _ in range(10):
        Path("told").unlink(missing_ok=True)
        program = start(KEEPING.replace("MODE", mode))
        program.await_told()
        time.sleep(chance.uniform(0.0, 0.4))
        program.kill()

        check_artifacts(records, program.told())


def test_a_kill_right_behind_the_call(start: Start, records: Any) -> None:
    """Once it has returned, neither the original nor the process is needed."""
    program = start("""
with open("original", "wb") as file:
    file.write(b"weights" * 1_000_000)
run = start(flush_interval=60)
run.log_artifact("original", "weights")
os.unlink("original")
os.kill(os.getpid(), signal.SIGKILL)
""")

    assert program.wait() == -9
    assert records.run().read_artifact("weights") == {"original": b"weights" * 1_000_000}
    assert records.left() == []


WAITING = """
run = start()
run.log({"x": 0}, 0)
assert run.flush(60)
told[1] = 1
wait_until(lambda: told[2])
run.log_text("hello", "notes")
run.log({"x": 1}, 1)
told[0] = 1
wait_until(lambda: told[3])
told[4] = run.finish()
"""
"""Logs an artifact (0) once it is told to (2), and ends when it is told to (3)."""


@pytest.mark.parametrize("what", ["database", "blobs"])
def test_a_store_that_cannot_be_written_gets_files_later(start: Start, records: Any, what: str) -> None:
    """The call has returned by then, records and bytes wait together, and nothing was lost."""
    program = start(WAITING)
    program.await_told(place=1)
    blocker = sqlite3.connect(records.folder / "runs.db", timeout=60, isolation_level=None)
    if what == "database":
        blocker.execute("BEGIN EXCLUSIVE")
    else:
        (records.folder / "blobs").write_text("in the way")
    program.tell(1, place=2)
    program.await_told()
    deadline = time.monotonic() + 60
    while what == "blobs" and "cannot be brought to its store" not in program.errors:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    if what == "blobs":
        assert sorted(Path(name).name for name in records.left()) == ["0", "0-0.journal", "artifact.json"]
        (records.folder / "blobs").unlink()
    blocker.close()
    program.tell(1, place=3)

    assert program.wait() == 0, program.errors
    assert program.told(4) == 1
    assert records.left() == []
    assert records.run().read_artifact("notes") == {"notes.txt": b"hello"}
    assert (records.steps("x"), records.run().info.dropped) == ([0, 1], {})


def test_a_deleted_folder_costs_no_later_file(start: Start, records: Any) -> None:
    """Store, blobs and spool vanish at once; what is logged then is kept."""
    program = start(WAITING.replace("start()", 'start(store=f"sqlite:///{os.getcwd()}/deep/runs.db")'))
    program.await_told(place=1)
    import shutil

    shutil.rmtree(records.folder / "deep")
    program.tell(1, place=2)
    program.await_told()
    program.tell(1, place=3)

    assert program.wait() == 0, program.errors
    assert program.told(4) == 1
    run = tracklib.get_run(records.ids()[0], store=f"sqlite:///{records.folder}/deep/runs.db")
    assert run.read_artifact("notes") == {"notes.txt": b"hello"}
    assert list((records.folder / "deep/spool").iterdir()) == []
    run._store.close()


@pytest.mark.parametrize("mode", ["mode='offline'", "flush_interval=0.01"], ids=["offline", "online"])
def test_forked_children_keep_files_of_their_own(start: Start, records: Any, mode: str) -> None:
    """Though they begin with one, though it is the same as the parent's, and though they are killed."""
    program = start(f"""
run = start({mode})
run.log_text("same", "parent")
for number in range(4):
    child = os.fork()
    if not child:
        run.log_text("same", f"child{{number}}")
        run.log_text(f"own {{number}}", f"own{{number}}")
        os.kill(os.getpid(), signal.SIGKILL) if number % 2 else sys.exit()
    os.waitpid(child, 0)
run.log_text("same", "again")
""")
    assert program.wait() == 0, program.errors
    records.recover()
    run = records.run()

    named = {artifact.name for artifact in run.artifacts}
    assert named == {"parent", "again", *(f"child{n}" for n in range(4)), *(f"own{n}" for n in range(4))}
    for name in named:
        (content,) = run.read_artifact(name).values()
        assert content == (f"own {name[-1]}".encode() if name.startswith("own") else b"same")
    assert records.left() == []


def test_spawned_workers_keep_files_of_their_own(start: Start, records: Any) -> None:
    """The same content, at the same time."""
    start("""
import multiprocessing

def work(arguments):
    run, number = arguments
    for name in ("same", f"own {number}"):
        run.log_text(name, f"{name} of {number}")

if __name__ == "__main__":
    with start(flush_interval=0.01) as run, multiprocessing.get_context("spawn").Pool(2) as pool:
        pool.map(work, [(run, number) for number in range(6)], chunksize=1)
        pool.close()
        pool.join()
""").succeed()
    records.recover()
    run = records.run()

    assert len(run.artifacts) == 12
    for artifact in run.artifacts:
        assert run.read_artifact(artifact.name) == {f"{artifact.name}.txt": artifact.name.partition(" of ")[0].encode()}
    assert records.left() == []


def test_a_file_larger_than_the_memory_may_be(start: Start, records: Any) -> None:
    """Copying and shipping 300 MB takes the memory of a few pieces, as many as 60 MB take."""
    program = start("""
def most():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))

with open("original", "wb") as file:
    os.truncate("original", 300_000_000)
run = start()
with open("pieces", "wb") as file:
    os.truncate("pieces", 60_000_000)
run.log_artifact("pieces")
assert run.flush(60)
before = most()
run.log_artifact("original", "large")
assert run.flush(100)
told[0], told[1] = before, most()
run.finish()
""")
    program.succeed()

    before, after = program.told(0), program.told(1)
    assert after < 120_000
    assert after - before < 50_000  # Five pieces of 8 MiB, one of them being read.
    (large,) = (artifact for artifact in records.run().artifacts if artifact.name == "large")
    with tracklib.open_store(records.uri) as store, store.open_blob(large.files[0].checksum) as file:
        assert (large.size, file.seek(0, 2)) == (300_000_000, 300_000_000)
    assert records.left() == []


def test_threads_that_log_files_while_others_fork(start: Start, records: Any) -> None:
    """A child does not wait for what a thread of its parent was doing."""
    start("""
run = start(flush_interval=0.01, finish_timeout=110)
stop = threading.Event()

def work(number):
    for step in itertools.count():
        if stop.is_set():
            return
        run.log_text(f"text {step % 3}", f"thread{number}")
        time.sleep(0.001)  # On a slow machine two threads that never rest leave more than can be shipped at the end.

threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
for thread in threads:
    thread.start()
for number in range(15):
    child = os.fork()
    if not child:
        run.log_text(f"text {number % 3}", f"child{number}")
        sys.exit()
    assert os.waitpid(child, 0)[1] == 0
stop.set()
for thread in threads:
    thread.join()
run.finish()
""").succeed()
    run = records.run()

    assert {artifact.name for artifact in run.artifacts} >= {f"child{number}" for number in range(15)}
    for artifact in run.artifacts:
        (text,) = run.read_artifact(artifact.name, version=artifact.version).values()
        assert text in {b"text 0", b"text 1", b"text 2"}
    assert records.left() == []
