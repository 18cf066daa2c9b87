"""Damaged journals: whatever happened to the bytes, recovery believes nothing false and finds what is whole."""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tracklib.errors import NotFound
from tracklib.recording.decode import Decoder
from tracklib.recording.format import CODE_SCHEMA, HEADER_SIZE, parse_tag
from tracklib.recording.journal import Journal
from tracklib.recording.recovery import Recovered, recover
from tracklib.records import RecordKind, new_id
from tracklib.stores.base import Store, is_next, open_store

if TYPE_CHECKING:
    from tracklib.model import RunInfo
    from tracklib.records import Batch, PointGroup

Point = tuple[str, int, float]

RUN = new_id(1e9)
SIZE = 4 * 4096


class Quiet:
    """An observer of a journal that nothing goes wrong with."""

    def skipped(self, name: str, value: object) -> str:
        raise AssertionError(name)

    def dropped(self, points: int, error: OSError | None) -> str:
        raise AssertionError(error)

    def refused(self) -> str:
        raise AssertionError


@dataclass(frozen=True)
class Sound:
    """A journal before it is damaged.

    Attributes:
        segments: The bytes of its files, as far as they are written.
        records: For each record of each segment: where it begins and ends, and the points in it.
    """

    segments: tuple[bytes, ...]
    records: tuple[tuple[tuple[int, int, tuple[Point, ...]], ...], ...]

    @cached_property
    def by_segment(self) -> tuple[frozenset[Point], ...]:
        return tuple(frozenset(point for _, _, points in records for point in points) for records in self.records)

    @cached_property
    def points(self) -> frozenset[Point]:
        return frozenset().union(*self.by_segment)

    def without(self, missing: set[int]) -> frozenset[Point]:
        """Return the points of all segments but these."""
        return frozenset().union(*(points for number, points in enumerate(self.by_segment) if number not in missing))

    def before(self, segment: int, offset: int) -> frozenset[Point]:
        """Return the points that lie whole before an offset of a segment, or in another segment."""
        own = (points for _, end, points in self.records[segment] if end <= offset)
        return self.without({segment}).union(*own)


@pytest.fixture(scope="module", name="sound")
def _sound(tmp_path_factory: pytest.TempPathFactory) -> Sound:
    """Return a journal of five segments with rows of several schemas and records between them."""
    folder = tmp_path_factory.mktemp("sound")
    # A fixed clock, so that the bytes are the same in each run of the tests.
    journal = Journal(
        folder, run=RUN, writer="0", store="sqlite:///runs.db", observer=Quiet(), segment_size=SIZE, clock=lambda: 1e9
    )
    journal.record(RecordKind.START, {"project": "p", "experiment": "e", "name": "n"})
    step = 0
    while len(journal.segments) < 5 or journal.current.committed < 7000:
        journal.log({"x": step, "y": step + 0.5}, step)
        if step % 5 == 0:
            journal.log({"x": -step - 1}, step, "eval")
        if step % 7 == 0:
            journal.log({f"m{index}": step + index / 16 for index in range(9)}, step)
        if step % 20 == 0:
            journal.record(RecordKind.NOTES, {"text": "note " * (step % 30)})
        step += 1
    segments = tuple(segment.read(0, segment.committed) for segment in journal.segments)
    journal.close(delete=True)
    return Sound(segments, tuple(tuple(_records_of(data)) for data in segments))


def _records_of(data: bytes) -> Iterator[tuple[int, int, tuple[Point, ...]]]:
    """Walk over the records of a segment one by one, without the decoder of whole stretches."""
    position, decoder = HEADER_SIZE, Decoder()
    while position < len(data):
        parsed = parse_tag(struct.unpack_from("<Q", data, position)[0])
        assert parsed is not None
        decoded = decoder.decode(data[position : position + parsed[0]])
        yield position, position + parsed[0], tuple(point for group in decoded.groups for point in _points_of(group))
        position += parsed[0]


def _points_of(group: PointGroup) -> Iterator[Point]:
    for step, row in zip(group.steps.tolist(), group.values.tolist(), strict=True):
        for name, value in zip(group.names, row, strict=True):
            yield name, step, value


class ListStore:
    """A store that keeps what it is given, and can do what a recovery needs."""

    stretch_bytes = Store.stretch_bytes

    def __init__(self) -> None:
        self.batches: list[Batch] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Keep everything."""

    def position(self, run: str, writer: str) -> int:
        return self.batches[-1].end if self.batches else 0

    def append(self, batch: Batch) -> int:
        if is_next(batch, self.position(batch.run, batch.writer)):
            self.batches.append(batch)
        return self.position(batch.run, batch.writer)

    def run(self, run: str) -> RunInfo:
        raise NotFound(run)

    def points(self) -> list[Point]:
        return [point for batch in self.batches for group in batch.groups for point in _points_of(group)]


@dataclass(frozen=True)
class Found:
    """What a recovery made of a journal: what the store got, and the files that are left."""

    result: Recovered | None
    points: list[Point]
    left: dict[str, bytes]


def recovered(files: dict[str, bytes]) -> Found:
    """Recover a journal of these files, twice."""
    store = ListStore()
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as home:
        folder = Path(home) / RUN
        folder.mkdir()
        for name, content in files.items():
            (folder / name).write_bytes(content)
        results = recover(Path(home), lambda _: cast("Store", store))
        assert recover(Path(home), lambda _: cast("Store", store)) == []
        left = {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}
    assert len(results) <= 1
    return Found(results[0] if results else None, store.points(), left)


def whole(sound: Sound) -> dict[str, bytes]:
    return {f"0-{number}.journal": data.ljust(SIZE, b"\0") for number, data in enumerate(sound.segments)}


def check(sound: Sound, files: dict[str, bytes], *, at_least: frozenset[Point]) -> Found:
    """See to it that nothing is made up, nothing is doubled, and what is whole before the damage is there."""
    found = recovered(files)
    assert found.result is not None
    assert found.result.problem in {None, "no header can be read"}
    assert len(found.points) == len(set(found.points))
    assert set(found.points) <= sound.points
    assert set(found.points) >= at_least
    return found


settings.register_profile("files", deadline=None, suppress_health_check=list(HealthCheck), max_examples=200)
many = settings(settings.get_profile("files"))

segments = st.integers(0, 4)


def damaged(name: str) -> str:
    return name.replace(".journal", ".damaged")


def test_a_sound_journal_is_read_whole(sound: Sound) -> None:
    """What the tests below compare with."""
    found = check(sound, whole(sound), at_least=sound.points)

    assert found.left == {}
    assert found.result is not None
    assert (found.result.points, found.result.set_aside) == (len(sound.points), ())


@many
@given(segments, st.data())
def test_truncated_at_any_byte(sound: Sound, segment: int, data: st.DataObject) -> None:
    """Everything before the cut is read, and the file is set aside as it is."""
    length = data.draw(st.integers(0, len(sound.segments[segment]) - 1))
    files = whole(sound)
    name = f"0-{segment}.journal"
    files[name] = files[name][:length]
    found = check(sound, files, at_least=sound.before(segment, length if length >= HEADER_SIZE else 0))

    assert found.left == {damaged(name): files[name]}


@many
@given(segments, st.integers(0, 3), st.booleans())
def test_zeros_from_any_page_on(sound: Sound, segment: int, page: int, one_only: bool) -> None:
    """Pages that never reached the disk are no records, nor are rows that end in them."""
    files, name, start = whole(sound), f"0-{segment}.journal", page * 4096
    behind = files[name][start + 4096 :] if one_only else b""
    files[name] = (files[name][:start] + bytes(4096) + behind).ljust(SIZE, b"\0")
    found = check(sound, files, at_least=sound.before(segment, start))

    harmless = start >= len(sound.segments[segment])
    assert found.left == ({} if harmless else {damaged(name): files[name]})


@many
@given(segments, st.integers(0, 400), st.integers(1, 255))
def test_any_byte_of_the_header_changed(sound: Sound, segment: int, offset: int, change: int) -> None:
    """The other segments are read as ever; of this one nothing is believed that was not logged."""
    files, name = whole(sound), f"0-{segment}.journal"
    content = bytearray(files[name])
    content[offset] ^= change
    files[name] = bytes(content)
    found = check(sound, files, at_least=sound.before(segment, 0))

    assert found.left in ({}, {damaged(name): files[name]})
    # What is not set aside must have been read whole.
    assert found.left or set(found.points) == sound.points


@many
@given(segments, st.data())
def test_any_size_changed(sound: Sound, segment: int, data: st.DataObject) -> None:
    """The tag of a record holds its size; it is never followed where it is not what it was."""
    start, _, _ = data.draw(st.sampled_from(sound.records[segment]))
    files, name = whole(sound), f"0-{segment}.journal"
    content = bytearray(files[name])
    content[start + data.draw(st.integers(0, 7))] ^= data.draw(st.integers(1, 255))
    files[name] = bytes(content)
    found = check(sound, files, at_least=sound.before(segment, start))

    assert set(found.points) == sound.before(segment, start)
    assert found.left == {damaged(name): files[name]}


@many
@given(segments, st.data())
def test_any_byte_of_a_schema_changed(sound: Sound, segment: int, data: st.DataObject) -> None:
    """Rows are never read under other names than they were logged under."""
    tags = (
        (start, end, parse_tag(int.from_bytes(sound.segments[segment][start : start + 8], "little")))
        for start, end, _ in sound.records[segment]
    )
    start, end = data.draw(st.sampled_from([(start, end) for start, end, tag in tags if tag and tag[1] == CODE_SCHEMA]))
    length = struct.unpack_from("<I", sound.segments[segment], start + 8)[0]
    files, name = whole(sound), f"0-{segment}.journal"
    content = bytearray(files[name])
    content[data.draw(st.integers(start, start + 16 + length - 1))] ^= data.draw(st.integers(1, 255))
    files[name] = bytes(content)
    found = check(sound, files, at_least=sound.before(segment, start))

    assert end > start
    assert set(found.points) == sound.before(segment, start)
    assert found.left == {damaged(name): files[name]}


@many
@given(st.sets(segments, min_size=1), st.binary(max_size=64), st.data())
def test_garbage_in_any_files(sound: Sound, which: set[int], garbage: bytes, data: st.DataObject) -> None:
    """Several files at once, overwritten with anything at any place of the header or at a record's tag."""
    files = whole(sound)
    for segment in which:
        name = f"0-{segment}.journal"
        starts = [start for start, _, _ in sound.records[segment]]
        at = data.draw(st.sampled_from([0, 16, 32, 128, *starts]))
        size = 8 if at >= HEADER_SIZE else 64
        content = bytearray(files[name])
        content[at : at + size] = garbage[:size].ljust(size, b"\xff")
        files[name] = bytes(content)
    check(sound, files, at_least=sound.without(which))


@many
@given(st.sets(segments))
def test_any_files_missing(sound: Sound, missing: set[int]) -> None:
    """What is there is read, in its order, and the gap does no harm."""
    files = {name: content for number, (name, content) in enumerate(whole(sound).items()) if number not in missing}
    if not files:
        return
    found = check(sound, files, at_least=sound.without(missing))

    assert found.left == {}


@given(st.binary(max_size=9000))
@many
def test_files_that_are_no_journals_at_all(content: bytes) -> None:
    """They are set aside whatever they hold."""
    found = recovered({"0-0.journal": content})

    assert found.left == {"0-0.damaged": content}
    assert found.points == []
    assert found.result is not None
    assert found.result.problem == "no header can be read"


@pytest.mark.parametrize("damage", ["cut", "header", "zeros", "tag"])
def test_a_real_store_gets_what_is_whole(sound: Sound, tmp_path: Path, damage: str) -> None:
    """The same with SQLite: the run is closed as killed, and its points are read by name."""
    folder = tmp_path / "spool" / RUN
    folder.mkdir(parents=True)
    for name, content in whole(sound).items():
        (folder / name).write_bytes(content)
    broken = bytearray(whole(sound)["0-1.journal"])
    at = sound.records[1][20][0]
    broken[at:] = b"" if damage == "cut" else bytes(len(broken) - at) if damage == "zeros" else broken[at:]
    broken[{"header": 20, "tag": at}.get(damage, 0)] ^= damage in {"header", "tag"}
    (folder / "0-1.journal").write_bytes(broken)
    (result,) = recover(tmp_path / "spool", open_store)
    expected = sound.before(1, 0 if damage == "header" else at)
    with open_store("sqlite:///runs.db") as store:
        found = store.series(RUN, "x", every=True)
        assert store.run(RUN).status == "killed"

    assert set(found.values.tolist()) == {value for name, _, value in expected if name == "x"}
    assert (result.closed, len(result.set_aside)) == (True, 1)
