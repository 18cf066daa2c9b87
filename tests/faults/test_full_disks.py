"""A disk that is full: the training goes on, one warning is given, and what was lost is counted on the run."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tracklib
from tracklib.recording.recovery import recover
from tracklib.stores.base import open_store

Start = Callable[..., Any]

NO_ROOM = "there is no room for its journal"

LIMITED = """
import resource

def allow(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

run = start(finish_timeout=5.0)
run.log({"x": 0}, 0)
assert run.flush(60)
allow(16384)
for step in range(1, 100_000):
    run.log({"x": step}, step)
"""


@pytest.fixture(name="small_disk")
def _small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a folder on a file system of 6 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", folder], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("only root may mount")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_when_there_is_room_again_the_run_goes_on(start: Start, records: Any) -> None:
    """What was logged in between is counted by the run itself; before and after, everything is there."""
    program = start(
        LIMITED
        + """
allow(resource.RLIM_INFINITY)
wait_until(lambda: run._journal._prepared or len(run._journal.segments) > 2)
for step in range(200_000, 201_000):
    run.log({"x": step}, step)
told[0] = run.finish()
"""
    )

    assert program.wait() == 0, program.errors
    assert program.told() == 1
    assert program.errors.count(NO_ROOM) == 1
    run, steps = records.run(), records.steps("x")
    assert steps[-1000:] == list(range(200_000, 201_000))
    assert steps[:-1000] == list(range(len(steps) - 1000))
    assert run.info.dropped == {"no room in the journal": 100_000 - (len(steps) - 1000)}
    assert run.status == "completed"
    assert records.left() == []


def test_a_run_that_ends_without_room_keeps_its_end_and_its_count(start: Start, records: Any) -> None:
    """The last words have a place of their own; the store gets them when there is room again."""
    program = start(LIMITED.replace("5.0", "0.5") + "told[0] = 1 + run.finish('failed', 'disk full')")

    assert program.wait() == 0, program.errors
    assert program.told() == 1
    assert program.errors.count(NO_ROOM) == 1
    steps, run = records.steps("x"), records.run()
    assert steps == list(range(len(steps)))
    assert run.info.dropped == {"no room in the journal": 100_000 - len(steps)}
    assert (run.status, run.reason) == ("failed", "disk full")


def test_a_process_that_is_killed_without_room_leaves_its_count(start: Start, records: Any) -> None:
    """The count stands in the journal's header, where no kill can lose it."""
    program = start(LIMITED + "os.kill(os.getpid(), signal.SIGKILL)")

    assert program.wait() == -9
    steps, run = records.steps("x"), records.run()
    assert steps == list(range(len(steps)))
    assert run.info.dropped == {"no room in the journal": 100_000 - len(steps)}
    assert run.status == "killed"


def test_a_strict_run_raises_instead(start: Start, records: Any) -> None:
    """Whoever would rather stop than lose a point says so."""
    program = start(LIMITED.replace("finish_timeout=5.0", "finish_timeout=0.5, strict=True"))

    assert program.wait() == 1
    assert "DataLost" in program.errors
    steps = records.steps("x")
    assert 1 < len(steps) < 100_000
    assert records.run().status == "failed"


def test_a_start_without_room_says_so(start: Start) -> None:
    """There is nothing to lose yet, so the program is told at once and what to do."""
    program = start("""
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (16384, resource.RLIM_INFINITY))
start()
""")

    assert program.wait() == 1
    assert "StoreError" in program.errors
    assert "TRACKLIB_SPOOL" in program.errors


def test_a_full_file_system(start: Start, small_disk: Path) -> None:
    """Store and journal share a disk that fills up; room is made in the middle of the training."""
    program = start(f"""
os.chdir({str(small_disk)!r})
run = start(store="sqlite:///runs.db", finish_timeout=60.0)
ballast = os.open("ballast", os.O_WRONLY | os.O_CREAT)
run.log({{"x": 0}}, 0)
assert run.flush(60)
try:
    while True:
        os.write(ballast, bytes(4096))
except OSError:
    pass
for step in range(1, 100_000):
    run.log({{"x": step, "y": step / 3}}, step)
os.ftruncate(ballast, 0)
wait_until(lambda: run._journal._prepared or not run._journal._full)
for step in range(200_000, 201_000):
    run.log({{"x": step, "y": step / 3}}, step)
told[0] = run.finish()
""")

    assert program.wait() == 0, program.errors
    assert program.told() == 1
    assert program.errors.count(NO_ROOM) == 1
    (found,) = tracklib.list_runs(store=f"sqlite:///{small_disk}/runs.db")
    steps = found.series("x", every=True).steps.tolist()
    assert steps[-1000:] == list(range(200_000, 201_000))
    assert steps[:-1000] == list(range(len(steps) - 1000))
    assert found.info.dropped == {"no room in the journal": 2 * (100_000 - (len(steps) - 1000))}
    assert (found.status, list((small_disk / "spool").iterdir())) == ("completed", [])
    found._store.close()


def test_a_killed_process_on_a_full_file_system(start: Start, small_disk: Path) -> None:
    """A recovery without room for the store leaves the journal as it is; with room it ships it."""
    program = start(f"""
os.chdir({str(small_disk)!r})
run = start(store="sqlite:///runs.db", flush_interval=60)
for step in range(10_000):
    run.log({{"x": step, "y": random.random()}}, step)
with open("ballast", "wb", buffering=0) as ballast:
    try:
        while True:
            ballast.write(bytes(4096))
    except OSError:
        os.kill(os.getpid(), signal.SIGKILL)
""")
    assert program.wait() == -9
    (stuck,) = recover(small_disk / "spool", open_store)
    (small_disk / "ballast").unlink()
    (recovered,) = recover(small_disk / "spool", open_store)

    assert stuck.problem is not None
    assert "full" in stuck.problem
    assert (recovered.problem, recovered.points, recovered.closed) == (None, 20_000, True)


def test_a_file_that_has_no_room_leaves_the_room_to_others(start: Start, small_disk: Path) -> None:
    """It is lost as a whole, with one warning and a count; smaller ones are kept, and the training goes on."""
    program = start(f"""
os.makedirs("large")
for name, size in (("a", 1_000_000), ("b", 9_000_000)):
    with open(f"large/{{name}}", "wb") as file:
        file.write(os.urandom(size))
folder = os.getcwd()
os.chdir({str(small_disk)!r})
run = start(store="sqlite:///runs.db")
free = os.statvfs(".").f_bavail
run.log_artifact(f"{{folder}}/large")
run.log_artifact(f"{{folder}}/large/b", "large")
assert os.statvfs(".").f_bavail > free - 20
run.log_artifact(f"{{folder}}/large/a")
run.log({{"x": 0}}, 0)
told[0] = run.finish()
""")

    assert program.wait() == 0, program.errors
    assert program.told() == 1
    assert program.errors.count("'large' could not be kept") == 1
    (found,) = tracklib.list_runs(store=f"sqlite:///{small_disk}/runs.db")
    assert [(artifact.name, artifact.size) for artifact in found.artifacts] == [("a", 1_000_000)]
    assert len(found.read_artifact("a")["a"]) == 1_000_000
    assert found.info.dropped == {"artifact": 2}
    assert (found.series("x").steps.tolist(), list((small_disk / "spool").iterdir())) == ([0], [])
    found._store.close()


def test_an_artifact_that_has_no_room_leaves_nothing(start: Start, records: Any) -> None:
    """The room is needed; what was kept before stays."""
    program = start("""
import resource
run = start(mode="offline")
run.log_text("text", "small")
run.log_artifact(__file__, "program")
resource.setrlimit(resource.RLIMIT_FSIZE, (65536, resource.RLIM_INFINITY))
for name in (__file__, "errors0.txt"):
    run.log_artifact(name, "large", metadata={"larger than may be": "x" * 2_000_000})
told[0] = len(os.listdir(f"spool/{run.id}/0.blobs"))
""")

    assert program.wait() == 0, program.errors
    assert program.told() == 2
    run = records.run()
    assert [len(run.read_artifact(artifact.name)) for artifact in run.artifacts] == [1, 1]
    assert run.info.dropped == {"artifact": 2}
