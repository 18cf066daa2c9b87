"""The suite's tests of stores that many use at once: instances, threads, processes, and processes that are killed."""

from __future__ import annotations

import io
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tracklib.errors import NotFound
from tracklib.model import Project
from tracklib.records import RecordKind, new_id
from tracklib.stores.base import RunQuery
from tracklib.testing.batches import WriterScript, points, ship
from tracklib.testing.harness import StoreHarness

if TYPE_CHECKING:
    import subprocess

    from tracklib.stores.base import Store

__all__ = ["SharingContract"]

PATIENCE_SECONDS = 120.0
"""How long another process may take for anything: a busy machine is no error."""

_WRITES_MANY = """
from tracklib.records import RecordKind
from tracklib.testing.batches import WriterScript, points, ship

script = WriterScript(run=arguments[0], writer=arguments[1])
ship(store, [script.start()])
for step in range(50):
    steps = [2 * step, 2 * step + 1]
    ship(store, [script.batch(points({"own/" + arguments[1]: steps}, steps=steps))])
ship(store, [script.end()])
store.close()
"""
_WRITES_UNTIL_KILLED = """
from tracklib.testing.batches import WriterScript, points

script = WriterScript(run=arguments[0])
batch = script.start()
while True:
    print(store.append(batch), flush=True)
    step = script.position
    many = 5000 if step % 7000 == 0 else 3
    batch = script.batch(points({"a": [float(step)] * many, "b": [1.0] * many}, steps=range(step, step + many)))
"""


def _code(child: subprocess.Popen[str]) -> int:
    """Return the exit code of a process when it has ended."""
    with child:
        child.communicate(timeout=PATIENCE_SECONDS)
    return child.returncode


class SharingContract(StoreHarness):
    """What a store promises where it is not alone."""

    def test_instances_see_each_other(self, store: Store) -> None:
        """What one instance was given, another one on the same store has at once."""
        script = WriterScript()
        with self.reopen(store) as other:
            script.ship(store, points({"loss": [1.0]}))
            script.ship(other, points({"loss": [2.0]}, steps=[1]))
            script.ship(store, points({"loss": [3.0]}, steps=[2]))
            store.put_project(Project(id=new_id(), name="p"))
            checksum, _ = other.put_blob(io.BytesIO(b"shared"))

            for instance in (store, other):
                assert instance.position(script.run, "0") == script.position
                assert instance.series(script.run, "loss").values.tolist() == [1.0, 2.0, 3.0]
                assert {project.name for project in instance.projects()} == {"digits", "p"}
                with instance.open_blob(checksum) as file:
                    assert file.read() == b"shared"

    def test_what_was_written_outlives_the_instance(self, store: Store) -> None:
        """Closed and opened again, a store has everything, and goes on where it was."""
        script = WriterScript()
        script.ship(store, points({"loss": [1.0]}))
        store.close()

        with self.reopen(store) as again:
            assert again.position(script.run, "0") == script.position
            script.ship(again, points({"loss": [2.0]}, steps=[1]))
            assert again.series(script.run, "loss").values.tolist() == [1.0, 2.0]
            assert [info.id for info in again.runs(RunQuery())] == [script.run]

    def test_a_store_may_be_closed_twice(self, store: Store) -> None:
        """Closing is harmless, also before the first use and again."""
        unused = self.reopen(store)
        WriterScript().ship(store)
        for instance in (unused, unused, store, store):
            instance.close()

        with self.reopen(store) as again:
            assert len(again.runs(RunQuery())) == 1

    def test_an_instance_names_its_store(self, store: Store) -> None:
        """The URI of an instance leads to the same store, and its text says what it is."""
        with self.reopen(store) as other:
            assert other.uri == store.uri
            assert repr(store) == f"{type(store).__name__}({store.uri!r})"
            assert other.spool == store.spool

    def test_threads_may_share_an_instance(self, store: Store) -> None:
        """Writers of several runs and readers use one instance at once."""
        scripts = [WriterScript() for _ in range(4)]

        def write(script: WriterScript) -> None:
            for step in range(40):
                script.ship(store, points({"loss": [float(step)], "lr": [0.1]}, steps=[step]), final=step == 39)

        def read() -> int:
            return sum(info.heartbeat_at is not None for _ in range(20) for info in store.runs(RunQuery()))

        with ThreadPoolExecutor(6) as pool:
            scripts[0].ship(store)
            writing = [pool.submit(write, script) for script in scripts]
            reading = [pool.submit(read) for _ in range(2)]
            for read_all in reading:
                read_all.result(PATIENCE_SECONDS)
            for written in writing:
                written.result(PATIENCE_SECONDS)

        for script in scripts:
            assert store.series(script.run, "loss", every=True).values.tolist() == list(map(float, range(40)))

    def test_two_writers_of_one_run_work_side_by_side(self, store: Store) -> None:
        """Each with an instance of its own, writers of one run do not get into each other's way."""
        first = WriterScript()
        ship(store, [first.start()])
        scripts = [first.joined_by(str(rank), after_s=rank) for rank in range(1, 4)]

        def write(script: WriterScript) -> None:
            with self.reopen(store) as own:
                for step in range(40):
                    name = f"rank/{script.writer}"
                    script.ship(own, points({name: [1.0], "all": [1.0]}, steps=[step]), final=step == 39)

        with ThreadPoolExecutor(3) as pool:
            for future in [pool.submit(write, script) for script in scripts]:
                future.result(PATIENCE_SECONDS)

        summaries = store.summaries([first.run])[first.run]
        assert {name: summary.count for name, summary in summaries.items()} == {
            "all": 120,
            "rank/1": 40,
            "rank/2": 40,
            "rank/3": 40,
        }
        assert len(store.series(first.run, "all", every=True).steps) == 120

    @pytest.mark.parametrize("width", [1, 100])
    def test_a_reader_sees_each_batch_whole_or_not_yet(self, store: Store, *, width: int) -> None:
        """While a writer appends, a reader never sees half a batch, nor fewer points than before."""
        script, done = WriterScript(), Event()
        names = ("loss", *(f"series/{n}" for n in range(1, width)))
        script.ship(store, points(dict.fromkeys(names, np.zeros(3))))

        def write() -> None:
            try:
                with self.reopen(store) as own:
                    for number in range(1, 120):
                        size = 4500 if number == 60 else 3
                        group = points(dict.fromkeys(names, np.full(size, float(number))), steps=range(size))
                        script.ship(own, group, final=number == 119)
            finally:
                done.set()

        seen = [0]
        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(write)
            while not done.is_set():
                values = store.series(script.run, "loss", every=True).values
                summary = store.summaries([script.run])[script.run][names[-1]]
                assert np.unique(values, return_counts=True)[1].tolist() == _sizes(len(values))
                assert summary.count >= len(values) >= seen[-1]
                seen.append(len(values))
            writing.result(PATIENCE_SECONDS)

        assert len(store.series(script.run, "loss", every=True).values) == sum(_sizes(10**6))

    @pytest.mark.needs("processes")
    def test_processes_write_side_by_side(self, store: Store) -> None:
        """Processes that begin together write several runs and one in common, and nothing is lost."""
        shared, own = new_id(), [new_id() for _ in range(2)]
        jobs = [(shared, str(rank)) for rank in range(2)] + [(run, "0") for run in own]
        children = [self.spawn(store, _WRITES_MANY, *job) for job in jobs]

        assert [_code(child) for child in children] == [0] * 4
        for run, writer in jobs:
            assert store.series(run, f"own/{writer}").values.tolist() == list(map(float, range(100)))
        assert len(store.run(shared).writers) == 2

    @pytest.mark.needs("processes")
    @pytest.mark.parametrize("appends", [2, 5, 9, 40])
    def test_a_killed_writer_leaves_whole_batches(self, store: Store, appends: int) -> None:
        """A process that is killed in the middle of its work has each batch in the store that it was told of."""
        script = WriterScript()
        with self.spawn(store, _WRITES_UNTIL_KILLED, script.run) as child:
            assert child.stdout is not None
            told = [int(child.stdout.readline()) for _ in range(appends)]
            time.sleep(0.001 * appends)
            child.kill()
            told += [int(line) for line in child.stdout.read().splitlines()]

        position = store.position(script.run, "0")
        sizes = [5000 if start % 7000 == 0 else 3 for start in range(1000, position, 1000)]
        assert told == list(range(1000, told[-1] + 1, 1000))
        assert told[-1] <= position <= told[-1] + 1000
        assert len(store.series(script.run, "a", every=True).values) == sum(sizes)
        assert store.summaries([script.run])[script.run]["b"].count == sum(sizes)

    @pytest.mark.needs("processes")
    def test_what_another_process_wrote_can_be_gone_on_with(self, store: Store) -> None:
        """The batches of a dead process are followed by those that its journal still has."""
        script = WriterScript()
        code = _code(self.spawn(store, _WRITES_MANY, script.run, "0"))
        script.position = store.position(script.run, "0")
        script.ship(store, script.record(RecordKind.NOTES, text="after"), points({"own/0": [1.0]}, steps=[100]))

        assert code == 0
        assert len(store.series(script.run, "own/0").steps) == 101
        assert store.run(script.run).notes == "after"

    def test_an_unknown_run_stays_unknown_to_all(self, store: Store) -> None:
        """Asking for what is not there leaves nothing behind that another instance would find."""
        WriterScript().ship(store)
        unknown = new_id()
        with pytest.raises(NotFound):
            store.series(unknown, "loss")

        with self.reopen(store) as other, pytest.raises(NotFound):
            other.run(unknown)


def _sizes(points_seen: int) -> list[int]:
    """Return the sizes of the batches that so many points are."""
    sizes: list[int] = []
    while sum(sizes) < points_seen and len(sizes) < 120:
        sizes.append(4500 if len(sizes) == 60 else 3)
    return sizes
