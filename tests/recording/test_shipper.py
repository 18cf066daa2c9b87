"""The thread between a journal and its store."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tracklib.errors import StoreError, StoreUnavailable
from tracklib.recording import shipper as module
from tracklib.recording.journal import Journal
from tracklib.recording.recovery import recover
from tracklib.recording.shared_store import SharedStore
from tracklib.recording.shipper import Shipper
from tracklib.records import Batch, RecordKind
from tracklib.stores.base import Store, open_store
from tracklib.stores.sqlite import SqliteStore

NewJournal = Callable[..., Journal]

PATIENCE_SECONDS = 60.0
SMALL = 4 * 4096


class Moody(SqliteStore):
    """A store that can be away, or slow."""

    def __init__(self, uri: str) -> None:
        super().__init__(uri)
        self.mood: Exception | None = None
        self.batches: list[Batch] = []
        self.gate = threading.Event()
        self.gate.set()

    def append(self, batch: Batch) -> int:
        assert self.gate.wait(PATIENCE_SECONDS)
        if self.mood is not None:
            raise self.mood
        self.batches.append(batch)
        return super().append(batch)


@pytest.fixture(name="store")
def _store(tmp_path: Path) -> Iterator[Moody]:
    store = Moody(f"sqlite:///{tmp_path / 'runs.db'}")
    yield store
    store.close()


@pytest.fixture(name="ship")
def _ship(store: Moody) -> Iterator[Callable[..., Shipper]]:
    """Return a function that starts a shipper; at the end of the test each is ended."""
    shippers: list[Shipper] = []

    def ship(journal: Journal, **options: Any) -> Shipper:
        shippers.append(Shipper(journal, SharedStore(lambda: store), **{"interval_s": 0.02, **options}))
        shippers[-1].start()
        return shippers[-1]

    yield ship
    store.mood = None
    store.gate.set()
    for shipper in shippers:
        if not shipper.journal.closed:
            finish(shipper, wait_s=PATIENCE_SECONDS)
        shipper._thread.join(PATIENCE_SECONDS)
        assert not shipper._thread.is_alive()


Ship = Callable[..., Shipper]


@pytest.fixture(name="journal")
def _journal(new_journal: NewJournal) -> Journal:
    """Return a journal that says what run it is of."""
    return started(new_journal())


def started(journal: Journal) -> Journal:
    journal.record(RecordKind.START, {"project": "p", "experiment": "e", "name": "n"})
    return journal


def finish(shipper: Shipper, *, wait_s: float) -> bool:
    shipper.journal.record(RecordKind.END, {"status": "completed"})
    return shipper.finish(wait_s)


def steps_in(store: Store, journal: Journal) -> list[int]:
    return [int(step) for step in store.series(journal.run, "x", every=True).steps]


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def held_files() -> set[Path]:
    """Return the files that this process has open."""
    held = set()
    for link in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # It was closed meanwhile.
            held.add(link.readlink())
    return held


# ---- the usual


def test_points_arrive_by_themselves(journal: Journal, store: Moody, ship: Ship) -> None:
    """Nobody has to flush."""
    shipper = ship(journal)
    journal.log({"x": 1}, 7)
    wait_until(lambda: shipper.position == journal.position)

    assert steps_in(store, journal) == [7]


def test_a_flush_waits_for_what_was_logged_before(journal: Journal, store: Moody, ship: Ship) -> None:
    """However long the interval is."""
    shipper = ship(journal, interval_s=3600)
    for step in range(5):
        journal.log({"x": step}, step)
        assert shipper.flush(PATIENCE_SECONDS)
        assert steps_in(store, journal) == list(range(step + 1))


def test_many_segments_are_shipped_and_deleted(new_journal: NewJournal, store: Moody, ship: Ship) -> None:
    """With the end of the run the store has all of it, and nothing is left."""
    journal = started(new_journal(segment_size=SMALL))
    shipper = ship(journal)
    for step in range(20_000):
        journal.log({"x": step}, step)
    assert finish(shipper, wait_s=PATIENCE_SECONDS)

    assert steps_in(store, journal) == list(range(20_000))
    assert store.run(journal.run).status == "completed"
    assert store.batches[-1].final
    assert not any(batch.final for batch in store.batches[:-1])
    assert not journal.directory.exists()


def test_what_is_shipped_can_be_read_while_the_run_goes_on(new_journal: NewJournal, store: Moody, ship: Ship) -> None:
    """The journal keeps it nevertheless, in case the store is lost; descriptors and maps are let go of."""
    journal = started(new_journal(segment_size=SMALL))
    shipper = ship(journal)
    for step in range(5000):
        journal.log({"x": step}, step)
    assert shipper.flush(PATIENCE_SECONDS)
    wait_until(lambda: all(segment.retired for segment in journal.segments[:-2]))

    assert steps_in(store, journal) == list(range(5000))
    assert len(list(journal.directory.iterdir())) >= len(journal.segments) > 8
    assert len([path for path in held_files() if path.parent == journal.directory]) <= 4
    assert finish(shipper, wait_s=PATIENCE_SECONDS)


def test_nothing_is_decoded_twice(new_journal: NewJournal, store: Moody, ship: Ship) -> None:
    """Readers of segments that are done with are forgotten, with their schemas."""
    journal = started(new_journal(segment_size=SMALL))
    shipper = ship(journal)
    for step in range(3000):
        journal.log({f"x{step % 50}": step}, step)
    assert shipper.flush(PATIENCE_SECONDS)
    wait_until(lambda: len(shipper._readers) <= 1)

    assert [batch.start for batch in store.batches[1:]] == [batch.end for batch in store.batches[:-1]]


def test_a_silent_run_shows_that_it_lives(
    journal: Journal, store: Moody, ship: Ship, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Heartbeats come when there is nothing else to ship, and end with the run."""
    monkeypatch.setattr(module, "HEARTBEAT_SECONDS", 0.01)
    shipper = ship(journal)
    wait_until(lambda: sum(len(batch.records) for batch in store.batches) > 3)
    assert finish(shipper, wait_s=PATIENCE_SECONDS)

    kinds = [record.kind for batch in store.batches for record in batch.records]
    assert kinds == ["start", *["heartbeat"] * (len(kinds) - 2), "end"]


def test_an_interval_of_zero_is_not_taken_literally(journal: Journal, ship: Ship) -> None:
    """The thread would take the processor from the training."""
    shipper = ship(journal, interval_s=0.0)

    assert shipper._pause_s() > 0


def test_any_number_of_seconds_is_a_time(journal: Journal, store: Moody, ship: Ship) -> None:
    """Longer waits than the system can count are long ones."""
    shipper = ship(journal, interval_s=1e300)
    journal.log({"x": 1}, 1)
    assert shipper.flush(1e300)
    assert finish(shipper, wait_s=1e300)

    assert steps_in(store, journal) == [1]


# ---- stores that are away


def test_a_store_that_is_away_is_waited_for(
    journal: Journal, store: Moody, ship: Ship, caplog: pytest.LogCaptureFixture
) -> None:
    """One warning when it goes, one when it is back; nothing is lost or doubled."""
    store.mood = StoreUnavailable("the network is down")
    shipper = ship(journal)
    for step in range(100):
        journal.log({"x": step}, step)
    wait_until(lambda: shipper._failures > 2)
    assert not shipper.flush(0.01)
    store.mood = None
    assert finish(shipper, wait_s=PATIENCE_SECONDS)

    assert steps_in(store, journal) == list(range(100))
    assert len(caplog.messages) == 2
    assert "the network is down" in caplog.messages[0]
    assert str(journal.directory) in caplog.messages[0]
    assert "nothing was lost" in caplog.messages[1]


@pytest.mark.parametrize(
    "mood", [StoreError("no"), OSError(28, "full"), MemoryError(), ValueError("a bug"), KeyError(1)]
)
def test_whatever_a_store_raises_the_thread_goes_on(
    journal: Journal, store: Moody, ship: Ship, mood: Exception
) -> None:
    """Also what no store should raise."""
    store.mood = mood
    shipper = ship(journal)
    journal.log({"x": 1}, 1)
    wait_until(lambda: shipper._failures > 1)
    assert repr(shipper.problem) == repr(mood)
    store.mood = None
    assert shipper.flush(PATIENCE_SECONDS)

    assert shipper.problem is None
    assert steps_in(store, journal) == [1]


def test_a_store_that_cannot_be_opened_is_tried_again(journal: Journal, store: Moody) -> None:
    """Opening is a part of shipping."""
    attempts = iter([StoreUnavailable("not yet"), ImportError("no such module"), None])

    def opened() -> Store:
        error = next(attempts)
        if error:
            raise error
        return store

    shipper = Shipper(journal, SharedStore(opened), interval_s=0.01)
    shipper.start()
    journal.log({"x": 1}, 1)
    assert finish(shipper, wait_s=PATIENCE_SECONDS)

    assert steps_in(store, journal) == [1]


def test_pauses_grow_and_have_a_limit(journal: Journal, ship: Ship) -> None:
    """A store that is away is not hammered; whoever waits for it is not kept waiting longer than needed."""
    shipper = ship(journal, interval_s=3600)
    shipper._interval_s = 1.0
    pauses = []
    for failures in range(1, 40):
        shipper._failures = failures
        pauses.append(shipper._pause_s())
    shipper._wanted = True

    assert pauses[0] < 3
    assert max(pauses) <= module.LONGEST_PAUSE_SECONDS
    assert min(pauses[10:]) >= module.LONGEST_PAUSE_SECONDS / 2
    assert shipper._pause_s() <= 1.0
    shipper._failures = 0


def test_the_end_gives_up_in_time_and_keeps_the_journal(journal: Journal, store: Moody, ship: Ship) -> None:
    """The answer is no; when the store is back before the process ends, it is shipped after all."""
    store.mood = StoreUnavailable("away")
    shipper = ship(journal)
    journal.log({"x": 1}, 1)

    assert not finish(shipper, wait_s=0.05)
    assert not shipper.finish(0.05)
    assert journal.directory.exists()
    store.mood = None
    assert shipper.finish(PATIENCE_SECONDS)
    assert not journal.directory.exists()
    assert steps_in(store, journal) == [1]


def test_a_store_that_hangs_holds_up_nobody(journal: Journal, store: Moody, ship: Ship) -> None:
    """Logging, a flush with a limit and an end with a limit all return."""
    store.gate.clear()
    shipper = ship(journal)
    for step in range(1000):
        journal.log({"x": step}, step)

    assert not shipper.flush(0.05)
    assert not finish(shipper, wait_s=0.05)


# ---- stores that forget


def test_a_store_that_lost_everything_gets_it_again(new_journal: NewJournal, store: Moody, ship: Ship) -> None:
    """From the journal, which is kept while the run goes on."""
    journal = started(new_journal(segment_size=SMALL))
    shipper = ship(journal)
    for step in range(2000):
        journal.log({"x": step}, step)
    assert shipper.flush(PATIENCE_SECONDS)
    for path in store.path.parent.glob("runs.db*"):
        path.unlink()
    journal.log({"x": 2000}, 2000)
    assert finish(shipper, wait_s=PATIENCE_SECONDS)

    assert steps_in(store, journal) == list(range(2001))
    assert store.run(journal.run).project == "p"


def test_a_store_that_went_back_gets_what_it_lacks(
    new_journal: NewJournal, store: Moody, ship: Ship, tmp_path: Path
) -> None:
    """Somebody put back a copy of yesterday."""
    journal = started(new_journal(segment_size=SMALL))
    shipper = ship(journal)
    for step in range(500):
        journal.log({"x": step}, step)
    assert shipper.flush(PATIENCE_SECONDS)
    import sqlite3

    copy = sqlite3.connect(tmp_path / "copy.db")
    with sqlite3.connect(store.path) as source:
        source.backup(copy)
    source.close()
    copy.close()
    for step in range(500, 2500):
        journal.log({"x": step}, step)
    assert shipper.flush(PATIENCE_SECONDS)
    for path in store.path.parent.glob("runs.db*"):
        path.unlink()
    (tmp_path / "copy.db").rename(store.path)
    assert finish(shipper, wait_s=PATIENCE_SECONDS)

    assert steps_in(store, journal) == list(range(2500))


def test_what_was_forgotten_leaves_a_gap(
    new_journal: NewJournal, store: Moody, ship: Ship, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a very long run the oldest part is no longer in the journal; a store that lost it gets the rest."""
    monkeypatch.setattr(module, "KEEP_BYTES", 3 * SMALL)
    journal = started(new_journal(segment_size=SMALL))
    shipper = ship(journal)
    for step in range(5000):
        journal.log({"x": step}, step)
    assert shipper.flush(PATIENCE_SECONDS)
    wait_until(lambda: len(journal.segments) <= 5)
    for path in store.path.parent.glob("runs.db*"):
        path.unlink()
    assert finish(shipper, wait_s=PATIENCE_SECONDS)
    steps = steps_in(store, journal)

    assert steps == sorted(set(steps))
    assert steps[0] == 0
    assert steps[-1] == 4999
    assert len(steps) < 4000


# ---- ends


def test_it_ends_behind_the_end_record_only(journal: Journal, store: Moody, ship: Ship) -> None:
    """Whoever asks for the end waits for the record of it, which another thread is about to write."""
    shipper = ship(journal)
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(shipper.finish(PATIENCE_SECONDS)))
    thread.start()
    for step in range(100):
        journal.log({"x": step}, step)
        time.sleep(0.001)
    assert thread.is_alive()
    assert finish(shipper, wait_s=PATIENCE_SECONDS)
    thread.join()

    assert answers == [True]
    assert steps_in(store, journal) == list(range(100))
    assert store.run(journal.run).status == "completed"


def test_after_the_end_everything_still_answers(journal: Journal, ship: Ship) -> None:
    """A second end and a flush are true at once."""
    shipper = ship(journal)
    assert finish(shipper, wait_s=PATIENCE_SECONDS)

    assert shipper.finish(0.0)
    assert shipper.flush(0.0)


def test_offline_nothing_is_shipped(new_journal: NewJournal, store: Moody, ship: Ship) -> None:
    """A flush and the end say so at once; the journal stays, synced, for a recovery."""
    journal = started(new_journal(segment_size=SMALL))
    shipper = ship(journal, offline=True)
    for step in range(1000):
        journal.log({"x": step}, step)

    assert not shipper.flush(PATIENCE_SECONDS)
    assert not finish(shipper, wait_s=PATIENCE_SECONDS)
    assert not store.path.exists()
    (recovered,) = recover(journal.directory.parent, open_store)
    assert (recovered.points, recovered.closed) == (1000, False)
    assert steps_in(store, journal) == list(range(1000))


def test_what_is_synced_is_noted(journal: Journal, ship: Ship) -> None:
    """The header says up to where the disk has it, for a crash of the machine."""
    shipper = ship(journal)
    for step in range(100):
        journal.log({"x": step}, step)
    before = journal.current.committed
    assert shipper.flush(PATIENCE_SECONDS)

    assert journal.current.words[5] >= before


def test_a_journal_that_cannot_be_synced_is_a_problem_and_no_crash(
    journal: Journal, ship: Ship, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A disk with errors is told once; the thread goes on trying, offline too."""
    broken = [True]
    sync = os.fdatasync

    def fdatasync(descriptor: int) -> None:
        if broken:
            raise OSError(5, "Input/output error")
        sync(descriptor)

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    shipper = ship(journal, offline=True)
    journal.log({"x": 1}, 1)
    wait_until(lambda: shipper._failures > 2)
    broken.clear()
    finish(shipper, wait_s=PATIENCE_SECONDS)

    assert not shipper._thread.is_alive()
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
