"""What becomes of the journals of processes that are gone."""

from __future__ import annotations

import os
import shutil
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tracklib.errors import StoreUnavailable
from tracklib.recording import recovery
from tracklib.recording.format import BASE, COMMITTED, DROPPED, HEADER_SIZE, parse_header, render_header
from tracklib.recording.journal import Journal
from tracklib.recording.reader import SegmentReader, ship_stretch
from tracklib.recording.recovery import Recovered, journal_is_live, recover
from tracklib.recording.segment import boot_id
from tracklib.records import RecordKind
from tracklib.stores.base import RunQuery, Store, open_store

NewJournal = Callable[..., Journal]

SMALL = 4 * 4096


@pytest.fixture(name="spool")
def _spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture(name="store")
def _store(tmp_path: Path) -> Iterator[Store]:
    with open_store(f"sqlite:///{tmp_path / 'runs.db'}") as store:
        yield store


@pytest.fixture(name="dead")
def _dead(new_journal: NewJournal) -> Callable[..., Journal]:
    """Return a function that makes the journal of a process that was killed after some steps."""

    def dead(steps: int = 100, *, ended: bool = False, primary: bool = True, **options: Any) -> Journal:
        journal = new_journal(**options)
        journal.record(RecordKind.START, {"project": "p", "experiment": "e", "name": "n", "primary": primary})
        for step in range(steps):
            journal.log({"x": step, "y": step}, step)
        if ended:
            journal.record(RecordKind.END, {"status": "completed"})
        journal.close(delete=False)
        return journal

    return dead


Dead = Callable[..., Journal]


def steps_in(store: Store, run: str) -> list[int]:
    points = store.series(run, "x", every=True)
    assert points.values.tolist() == points.steps.tolist()
    return [int(step) for step in points.steps]


def change_word(path: Path, word: int, value: int) -> None:
    with path.open("r+b") as file:
        os.pwrite(file.fileno(), struct.pack("<Q", value), 8 * word)


def files_in(spool: Path) -> list[str]:
    return sorted(path.name for path in spool.rglob("*") if path.is_file())


# ---- the usual


def test_a_dead_process_is_shipped_and_its_run_closed(dead: Dead, spool: Path, store: Store) -> None:
    """All of its points are in the store, the run ended with its last record, and the spool is empty."""
    journal = dead(clock=lambda: 1e9)
    (recovered,) = recover(spool, open_store)

    assert recovered == Recovered(
        run=journal.run, writer="0", store=store.uri, points=200, records=1, closed=True, set_aside=(), problem=None
    )
    assert steps_in(store, journal.run) == list(range(100))
    run = store.run(journal.run)
    assert (run.status, run.reason, run.end_time) == ("killed", recovery.KILLED, 1e9)
    assert list(spool.iterdir()) == []


def test_an_ended_run_is_not_closed_again(dead: Dead, spool: Path, store: Store) -> None:
    """Its process had said goodbye and only could not ship everything."""
    journal = dead(ended=True)
    (recovered,) = recover(spool, open_store)

    assert (recovered.points, recovered.closed) == (200, False)
    assert store.run(journal.run).status == "completed"


def test_journals_of_many_segments_are_shipped_in_order(dead: Dead, spool: Path, store: Store) -> None:
    """Whatever the order of their names and numbers."""
    journal = dead(3000, segment_size=SMALL, ended=True)
    assert len(journal.segments) > 6
    recover(spool, open_store)

    assert steps_in(store, journal.run) == list(range(3000))


def test_only_what_the_store_lacks_is_shipped(dead: Dead, spool: Path, store: Store) -> None:
    """A journal that comes back from a backup, or whose deletion was interrupted, changes nothing."""
    journal = dead(1000, segment_size=SMALL, ended=True)
    shutil.copytree(spool, spool.with_name("backup"))
    recover(spool, open_store)
    for keep in (slice(None), slice(1, None), slice(0, 1), slice(-1, None)):
        for path in sorted((spool.with_name("backup") / journal.run).iterdir())[keep]:
            (spool / journal.run).mkdir(parents=True, exist_ok=True)
            shutil.copy(path, spool / journal.run)
        (recovered,) = recover(spool, open_store)

        assert (recovered.points, recovered.records, recovered.closed) == (0, 0, False)
        assert steps_in(store, journal.run) == list(range(1000))
        assert store.run(journal.run).status == "completed"
        assert list(spool.iterdir()) == []


def test_a_killed_run_is_closed_once(dead: Dead, spool: Path, store: Store) -> None:
    """A recovery that was killed before it deleted the journal is repeated without a second end."""
    journal = dead()
    shutil.copytree(spool, spool.with_name("backup"))
    recover(spool, open_store)
    position = store.position(journal.run, "0")
    shutil.copytree(spool.with_name("backup"), spool, dirs_exist_ok=True)
    (recovered,) = recover(spool, open_store)

    assert (recovered.points, recovered.closed) == (0, False)
    assert store.position(journal.run, "0") == position


def test_the_living_are_left_alone(new_journal: NewJournal, spool: Path) -> None:
    """A journal whose lock is held is nobody else's business."""
    journal = new_journal()
    journal.log({"x": 0})
    before = files_in(spool)

    assert recover(spool, open_store) == []
    assert files_in(spool) == before
    assert journal_is_live(spool, journal.run, "0") is True
    journal.close(delete=False)
    assert journal_is_live(spool, journal.run, "0") is False
    assert journal_is_live(spool, journal.run, "1") is None


def test_looking_does_not_make_a_process_look_alive(dead: Dead, spool: Path) -> None:
    """Any number of readers may look at once."""
    journal, gate = dead(), threading.Barrier(8)
    answers: list[bool | None] = []

    def look() -> None:
        gate.wait()
        answers.extend(journal_is_live(spool, journal.run, "0") for _ in range(200))

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert set(answers) == {False}


def test_several_recoveries_at_once_take_each_journal_once(dead: Dead, spool: Path, store: Store) -> None:
    """Nothing is shipped twice, and no run is closed after another one shipped its end."""
    journals = [dead(500, segment_size=SMALL, ended=number % 2 == 0) for number in range(12)]
    results: list[Recovered] = []
    threads = [threading.Thread(target=lambda: results.extend(recover(spool, open_store))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(result.run for result in results if result.points) == sorted(journal.run for journal in journals)
    for number, journal in enumerate(journals):
        assert steps_in(store, journal.run) == list(range(500))
        assert store.run(journal.run).status == ("killed" if number % 2 else "completed")
    assert list(spool.iterdir()) == []


def test_a_writer_that_only_joined_does_not_end_the_run(dead: Dead, spool: Path, store: Store) -> None:
    """A worker's death is told of the worker."""
    journal = dead()
    recover(spool, open_store)
    other = dead(writer="1.abc", run=journal.run, primary=False, ended=True)
    recover(spool, open_store)
    killed = dead(50, writer="2.x-7", run=journal.run, primary=False)
    recover(spool, open_store)

    assert other.run == killed.run
    writers = {writer.writer: writer.status for writer in store.run(journal.run).writers}
    assert writers == {"0": "killed", "1.abc": "completed", "2.x-7": "killed"}
    assert len(steps_in(store, journal.run)) == 250


def test_what_had_no_room_is_counted_on_the_run(dead: Dead, spool: Path, store: Store) -> None:
    """The last header has the sum; a count beyond all reason is damage."""
    journal = dead(1000, segment_size=SMALL)
    change_word(journal.segments[1].path, DROPPED, 70)
    change_word(journal.segments[-1].path, DROPPED, 77)
    change_word(journal.segments[0].path, DROPPED, 1 << 63)
    recover(spool, open_store)

    assert store.run(journal.run).dropped == {"no room in the journal": 77}


# ---- stores


def test_only_journals_of_one_store_may_be_asked_for(dead: Dead, spool: Path, store: Store) -> None:
    """The others stay as they are."""
    wanted, other = dead(), dead(store=store.uri.replace("runs", "other"))
    results = recover(spool, open_store, store=store.uri)

    assert [result.run for result in results] == [wanted.run]
    assert files_in(spool) == ["0-0.journal"]
    assert [path.name for path in spool.iterdir()] == [other.run]


@pytest.mark.parametrize("uri", ["sqlite:////proc/no/such/place.db", "gopher://hole", "sqlite:////dev/null"])
def test_a_store_that_cannot_be_used_is_a_problem_to_tell(dead: Dead, spool: Path, uri: str) -> None:
    """The journal stays for another time, and other journals are shipped."""
    bad, good = dead(store=uri), dead()
    results = {result.run: result for result in recover(spool, open_store)}

    assert results[good.run].problem is None
    assert results[bad.run].problem is not None
    assert (results[bad.run].points, results[bad.run].closed) == (0, False)
    assert [path.name for path in spool.iterdir()] == [bad.run]


def test_a_store_that_is_away_is_asked_once(dead: Dead, spool: Path) -> None:
    """Each attempt may take as long as the store's patience."""
    asked = []

    def away(uri: str) -> Store:
        asked.append(uri)
        raise StoreUnavailable("the network is down")

    for _ in range(5):
        dead()
    results = recover(spool, away)

    assert [result.problem for result in results] == ["the network is down"] * 5
    assert len(asked) == 1
    assert len(files_in(spool)) == 5


# ---- odd spools


def test_a_spool_that_is_not_there_or_no_folder_is_no_error(tmp_path: Path) -> None:
    """There is nothing to recover."""
    (tmp_path / "file").write_text("")

    assert recover(tmp_path / "nowhere", open_store) == []
    assert recover(tmp_path / "file", open_store) == []


def test_strangers_in_the_spool_are_left_alone(dead: Dead, spool: Path) -> None:
    """Files and folders of other names stay; so do fresh files of others, but not what the dead had begun."""
    journal = dead()
    (spool / "notes.txt").write_text("")
    (spool / "folder").mkdir()
    (spool / "folder" / "0-0.journal.bak").write_text("")
    (spool / journal.run / "7-1.4711.tmp").write_text("")
    (spool / journal.run / f"{journal.writer}-1.4711.tmp").write_text("")
    recover(spool, open_store)

    assert files_in(spool) == ["0-0.journal.bak", "7-1.4711.tmp", "notes.txt"]


def test_what_a_killed_process_had_begun_to_make_is_swept_away(dead: Dead, spool: Path) -> None:
    """A dead writer makes nothing any more, and after an hour nobody does."""
    journal = dead()
    (spool / journal.run / "0-1.4711.tmp").write_text("")
    leftover = spool / journal.run / "1-0.4711.tmp"
    leftover.write_text("")
    os.utime(leftover, (time.time() - 4000, time.time() - 4000))
    recover(spool, open_store)

    assert list(spool.iterdir()) == []


def test_a_process_that_was_killed_before_it_wrote_leaves_no_run(
    dead: Dead, new_journal: NewJournal, spool: Path, store: Store
) -> None:
    """An empty journal is deleted, and nobody hears of it."""
    dead()
    new_journal().close(delete=False)
    recover(spool, open_store)

    assert len(store.runs(RunQuery())) == 1
    assert list(spool.iterdir()) == []


def test_a_segment_that_was_only_prepared_is_no_obstacle(dead: Dead, spool: Path, store: Store) -> None:
    """It has no records yet and no place among the others."""
    journal = dead(1000, segment_size=SMALL, ended=True)
    path = spool / journal.run / "0-99.journal"
    path.write_bytes(render_header(journal.segments[0].info).ljust(SMALL, b"\0"))
    recover(spool, open_store)

    assert steps_in(store, journal.run) == list(range(1000))
    assert store.run(journal.run).status == "completed"
    assert list(spool.iterdir()) == []


def test_segments_go_by_their_bases_not_by_their_numbers(dead: Dead, spool: Path, store: Store) -> None:
    """Two threads may each make a segment, so that the later number is used first."""
    journal = dead(1000, segment_size=SMALL)
    second, third = (segment.path for segment in journal.segments[1:3])
    second.rename(second.with_name("aside"))
    third.rename(second)
    second.with_name("aside").rename(third)
    recover(spool, open_store)

    assert steps_in(store, journal.run) == list(range(1000))


def test_journals_of_a_newer_version_are_left_alone(dead: Dead, spool: Path) -> None:
    """An older tracklib in another environment neither damages nor hides them."""
    import zlib

    journal = dead()
    path = journal.segments[0].path
    page = bytearray(path.read_bytes())
    page[8] = 2
    length = struct.unpack_from("<I", page, 16)[0]
    page[20:24] = struct.pack("<I", zlib.crc32(page[128 : 128 + length], zlib.crc32(page[:20])))
    path.write_bytes(page)
    (recovered,) = recover(spool, open_store)

    assert "pip install --upgrade tracklib-ml" in str(recovered.problem)
    assert path.read_bytes() == page


# ---- trust


def with_boot(path: Path, boot: str) -> None:
    """Make a segment one that was written before the machine was started anew."""
    import dataclasses

    page = path.read_bytes()[:HEADER_SIZE]
    other = render_header(dataclasses.replace(parse_header(page), boot=boot))
    with path.open("r+b") as file:
        file.write(other[:32])
        os.pwrite(file.fileno(), other[128:], 128)


def test_after_a_crash_of_the_machine_only_the_synced_part_is_trusted(
    dead: Dead, new_journal: NewJournal, spool: Path, store: Store
) -> None:
    """Behind it, pages may or may not have reached the disk."""
    assert boot_id()
    journal = new_journal(run=None)
    journal.record(RecordKind.START, {"project": "p"})
    for step in range(100):
        journal.log({"x": step}, step)
    journal.current.sync()
    for step in range(100, 200):
        journal.log({"x": step}, step)
    journal.close(delete=False)
    with_boot(journal.current.path, "another start")
    same = dead(200)
    recover(spool, open_store)

    assert steps_in(store, journal.run) == list(range(100))
    assert steps_in(store, same.run) == list(range(200))
    assert store.run(journal.run).status == "killed"


def test_what_the_store_has_beyond_the_synced_part_stays(dead: Dead, spool: Path, store: Store) -> None:
    """The store may have got more before the crash than the disk did; the run is closed all the same."""
    journal = dead()
    ship_stretch(store, SegmentReader(journal.current), run=journal.run, writer="0", position=0)
    with_boot(journal.current.path, "another start")
    (recovered,) = recover(spool, open_store)

    assert (recovered.points, recovered.closed) == (0, True)
    assert steps_in(store, journal.run) == list(range(100))
    assert store.run(journal.run).status == "killed"


def test_a_damaged_base_is_inferred_from_the_segment_before(dead: Dead, spool: Path, store: Store) -> None:
    """The file is set aside, but its records are shipped, to their place and once."""
    journal = dead(1000, segment_size=SMALL, ended=True)
    backup = shutil.copytree(spool, spool.with_name("backup"))
    recover(spool, open_store)
    for number in range(len(journal.segments)):
        shutil.copytree(backup, spool, dirs_exist_ok=True)
        change_word(spool / journal.run / f"0-{number}.journal", BASE, 4711)
        (recovered,) = recover(spool, open_store)

        assert (recovered.points, recovered.closed, recovered.problem) == (0, False, None)
        assert [Path(name).name for name in recovered.set_aside] == [f"0-{number}.damaged"]
        shutil.rmtree(spool / journal.run)
    assert steps_in(store, journal.run) == list(range(1000))


def test_a_base_that_cannot_be_inferred_loses_nothing(dead: Dead, spool: Path, store: Store) -> None:
    """Where the segment before is missing, what is there is shipped behind everything else."""
    journal = dead(1000, segment_size=SMALL)
    journal.segments[2].path.unlink()
    change_word(journal.segments[3].path, BASE, 4711)
    recover(spool, open_store)
    steps = steps_in(store, journal.run)

    assert len(steps) == len(set(steps))
    assert set(range(1000)) - set(steps)
    assert steps[-1] == 999


def test_two_damaged_files_of_one_name_are_both_kept(dead: Dead, spool: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What is set aside overwrites nothing, and is told."""
    journal = dead()
    path = journal.segments[0].path
    content = path.read_bytes()
    for damage in (b"first", b"second"):
        path.write_bytes(damage + content[len(damage) :])
        (recovered,) = recover(spool, open_store)
        assert len(recovered.set_aside) == 1

    kept = [path.read_bytes()[:5] for path in (spool / journal.run).iterdir()]
    assert sorted(kept) == [b"first", b"secon"]
    assert "is damaged and is kept as 0-0.damaged" in caplog.text


def test_a_length_that_was_set_back_is_noticed(dead: Dead, spool: Path, store: Store) -> None:
    """More than one whole record behind the committed length means that the length is wrong, so the file is kept."""
    journal = dead(100)
    change_word(journal.segments[0].path, COMMITTED, HEADER_SIZE)
    (recovered,) = recover(spool, open_store)

    assert len(recovered.set_aside) == 1
    assert store.position(journal.run, "0") == 0
