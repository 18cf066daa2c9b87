"""The writing end: what every call of `log` leaves behind, whatever it was given and whatever interrupts it."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tracklib.recording.decode import Decoded
from tracklib.recording.hot_path import RESERVE
from tracklib.recording.journal import Journal, forget_segments
from tracklib.records import RecordKind

Point = tuple[str, int, float]
Logged = Callable[[Journal], list[Point]]
Decode = Callable[[Journal], list[Decoded]]
NewJournal = Callable[..., Journal]

SMALL = 4 * 4096


def kinds(decoded: list[Decoded]) -> list[str]:
    return [record.kind for part in decoded for record in part.records]


# ---- what may be logged


def test_points_come_back_in_order(journal: Journal, logged: Logged) -> None:
    """Each name of each call is a point with the call's step; a context stands before the name."""
    journal.log({"loss": 0.5, "lr": 1e-3}, step=7)
    journal.log({"loss": 0.25}, 9, "eval")
    journal.log({"loss": 0.5, "lr": 1e-3}, step=8, context="")

    assert logged(journal) == [
        ("loss", 7, 0.5),
        ("lr", 7, 1e-3),
        ("eval/loss", 9, 0.25),
        ("loss", 8, 0.5),
        ("lr", 8, 1e-3),
    ]


def test_steps_are_counted_where_none_is_given(journal: Journal, logged: Logged) -> None:
    """A call without a step has one more than the highest so far; lower ones do not set it back."""
    for step in (None, None, 10, None, 3, None, -5, None):
        journal.log({"x": 0}, step)

    assert [step for _, step, _ in logged(journal)] == [0, 1, 10, 11, 3, 12, -5, 13]


def test_counting_begins_where_a_resumed_run_left_off(new_journal: NewJournal, logged: Logged) -> None:
    """The first step without one is given."""
    journal = new_journal(first_step=100)
    journal.log({"x": 0})

    assert logged(journal) == [("x", 100, 0.0)]


@pytest.mark.parametrize("step", [1.5, math.inf, math.nan, "7", [1], object()])
def test_a_step_that_is_no_whole_number_is_refused(journal: Journal, logged: Logged, step: Any) -> None:
    """It raises at once, and the counter of steps goes on as if the call had not been made."""
    with pytest.raises(TypeError, match="step is"):
        journal.log({"x": 0}, step)
    journal.log({"x": 0})

    assert logged(journal) == [("x", 0, 0.0)]


@pytest.mark.parametrize("step", [1 << 63, -(1 << 63) - 1])
def test_a_step_beyond_64_bits_is_refused(journal: Journal, logged: Logged, step: int) -> None:
    """It raises at once, and the next call goes on."""
    with pytest.raises(ValueError, match="64 bits"):
        journal.log({"x": 0}, step)
    journal.log({"x": 0})

    assert logged(journal) == [("x", 0, 0.0)]


@pytest.mark.parametrize("step", [5, 5.0, np.int64(5), np.uint8(5), np.array(5), True + 4])
def test_whole_numbers_of_any_type_are_steps(journal: Journal, logged: Logged, step: Any) -> None:
    """Known and new names alike, and the next step is counted from there."""
    for _ in range(2):
        journal.log({"x": 0}, step)
    journal.log({"x": 0})

    assert [step for _, step, _ in logged(journal)] == [5, 5, 6]


@pytest.mark.parametrize("values", [3, "loss", [("loss", 1)], {"loss"}, None, {1: 2}, {None: 1}, np.zeros(3)])
def test_what_is_no_mapping_of_names_is_refused(journal: Journal, logged: Logged, values: Any) -> None:
    """Misuse that is visible at the call raises at once."""
    with pytest.raises(TypeError, match=r"log takes a mapping|is no text"):
        journal.log(values)

    assert logged(journal) == []


def test_a_context_that_is_no_text_is_refused(journal: Journal) -> None:
    """As is one that cannot be hashed."""
    for context in (3, ["eval"]):
        with pytest.raises(TypeError, match="context is"):
            journal.log({"loss": 1}, context=context)


class Odd:
    """A number to whoever asks."""

    def __init__(self, value: float) -> None:
        self.value = value

    def __float__(self) -> float:
        return self.value


@pytest.mark.parametrize(
    "value", [2, 2.0, True + 1, np.float32(2), np.int8(2), np.array(2), np.array([2.0]), np.array([[2]]), Odd(2.0)]
)
def test_numbers_of_any_type_are_values(journal: Journal, logged: Logged, value: Any) -> None:
    """Also arrays of one element; by the slow path at first and by the fast one then."""
    for _ in range(3):
        journal.log({"x": value, "y": 1.0})

    assert logged(journal) == [(name, step, number) for step in range(3) for name, number in (("x", 2.0), ("y", 1.0))]


def test_torch_numbers_are_values(journal: Journal, logged: Logged) -> None:
    """Scalars, one-element tensors, half precision, and tensors within a graph, without a warning."""
    torch = pytest.importorskip("torch")
    values = [torch.tensor(2.0), torch.tensor([2]), torch.tensor(2.0, dtype=torch.bfloat16)]
    values.append(torch.tensor(2.0, requires_grad=True) * 1)
    for value in values * 2:
        journal.log({"x": value})

    assert [value for _, _, value in logged(journal)] == [2.0] * 8


@pytest.mark.parametrize("value", [None, "0.5", b"1", [1], {}, np.zeros(2), 1j, object(), Odd])
def test_what_is_no_number_is_left_out_and_told(
    journal: Journal, heard: Any, logged: Logged, value: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The other values of the call are kept, each time."""
    for _ in range(2):
        journal.log({"good": 1.0, "bad": value, "better": 2.0})

    assert [name for name, _, _ in logged(journal)] == ["good", "better"] * 2
    assert heard.skips == ["bad", "bad"]
    assert caplog.messages == ["bad was skipped"] * 2


def test_a_value_that_raises_is_left_out(journal: Journal, heard: Any, logged: Logged) -> None:
    """Whatever the value's own code does, the training goes on."""

    class Broken:
        def __float__(self) -> float:
            raise RuntimeError("device lost")

    journal.log({"x": 1.0, "y": 1.0})
    journal.log({"x": Broken(), "y": 2.0})

    assert logged(journal) == [("x", 0, 1.0), ("y", 0, 1.0), ("y", 1, 2.0)]
    assert heard.skips == ["x"]


def test_an_empty_call_is_no_point_but_counts(journal: Journal, logged: Logged) -> None:
    """Nothing is kept of it; the next call has the next step."""
    journal.log({})
    journal.log({"x": 1})

    assert logged(journal) == [("x", 1, 1.0)]


def test_any_mapping_will_do(journal: Journal, logged: Logged) -> None:
    """What is needed is names and values, not a dict."""

    class Two(Mapping[str, float]):
        def __getitem__(self, name: str) -> float:
            return {"a": 1.0, "b": 2.0}[name]

        def __iter__(self) -> Iterator[str]:
            return iter("ab")

        def __len__(self) -> int:
            return 2

    for _ in range(2):
        journal.log(Two(), 0)

    assert logged(journal) == [("a", 0, 1.0), ("b", 0, 2.0)] * 2


@given(
    st.lists(
        st.tuples(
            st.dictionaries(st.text(max_size=3), st.floats(), max_size=4),
            st.none() | st.integers(-(1 << 63), (1 << 62)),
            st.none() | st.sampled_from(["", "train", "eval"]),
        ),
        max_size=30,
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_everything_comes_back(
    new_journal: NewJournal, logged: Logged, what: list[tuple[dict[str, float], int | None, str | None]]
) -> None:
    """Any names, values, steps and contexts, in segments of the smallest size."""
    journal, expected, following = new_journal(segment_size=SMALL), [], 0
    for values, step, context in what:
        journal.log(values, step, context)
        at = following if step is None else step
        following = max(following, at + 1)
        expected += [(f"{context}/{name}" if context else name, at, value) for name, value in values.items()]

    assert repr(logged(journal)) == repr(expected)
    journal.close(delete=True)


# ---- records and segments


def test_records_keep_their_place_among_points(journal: Journal, decode: Decode) -> None:
    """Records and points are one log; a record says when it was written unless told otherwise."""
    journal.record(RecordKind.NOTES, {"text": "a"}, at=1.0)
    journal.log({"x": 1})
    journal.record("something else", {"ü": [None, "\u2028"]})
    (decoded,) = decode(journal)

    assert [(record.kind, record.data) for record in decoded.records] == [
        ("notes", {"text": "a"}),
        ("something else", {"ü": [None, "\u2028"]}),
    ]
    assert decoded.records[0].time == 1.0
    assert decoded.records[1].time == pytest.approx(time.time(), abs=600)


def test_segments_are_filled_many_times(new_journal: NewJournal, logged: Logged, decode: Decode) -> None:
    """Schemas are written anew in each segment, and no row is lost or doubled where one follows another."""
    journal = new_journal(segment_size=SMALL)
    for step in range(2000):
        journal.log({"a": step, "b": -step} if step % 3 else {"c": step}, step)
        if step % 100 == 0:
            journal.record(RecordKind.NOTES, {"text": str(step)})
    expected = [
        point
        for step in range(2000)
        for point in ([("a", step, step), ("b", step, -step)] if step % 3 else [("c", step, step)])
    ]

    assert len(journal.segments) > 4
    assert logged(journal) == expected
    assert [record.data["text"] for part in decode(journal) for record in part.records] == [
        str(step) for step in range(0, 2000, 100)
    ]


def test_rows_wider_than_a_segment_get_one_of_their_size(new_journal: NewJournal, logged: Logged) -> None:
    """Wide and narrow rows may alternate; the names of a wide row may take more room than its values."""
    journal = new_journal(segment_size=SMALL)
    wide = {f"a rather long name of a metric {index}": float(index) for index in range(3000)}
    for step in range(3):
        journal.log({"x": step}, step)
        journal.log(wide, step)
    points = [
        point
        for step in range(3)
        for point in [("x", step, step), *((name, step, value) for name, value in wide.items())]
    ]

    assert logged(journal) == points


def test_a_known_wide_row_finds_room_for_its_names_again(new_journal: NewJournal, logged: Logged) -> None:
    """A new segment must hold the schema too, although the one before knew it already."""
    journal = new_journal(segment_size=1 << 20)
    wide = {f"{index:0300}": float(index) for index in range(2000)}
    for step in range(60):
        journal.log(wide, step)

    assert len(journal.segments) > 1
    assert logged(journal) == [(name, step, value) for step in range(60) for name, value in wide.items()]


def test_ten_thousand_names_one_at_a_time(new_journal: NewJournal, logged: Logged) -> None:
    """Each name in a call of its own, again and again."""
    journal = new_journal()
    for step in range(3):
        for index in range(10_000):
            journal.log({f"layer{index}/norm": index}, step)

    assert logged(journal) == [(f"layer{index}/norm", step, index) for step in range(3) for index in range(10_000)]


def test_records_larger_than_a_segment_get_one_of_their_size(new_journal: NewJournal, decode: Decode) -> None:
    """Their neighbours are not disturbed."""
    journal = new_journal(segment_size=SMALL)
    for length in (10, 100_000, 10, 20_000):
        journal.record(RecordKind.NOTES, {"text": "x" * length})

    assert [len(record.data["text"]) for part in decode(journal) for record in part.records] == [
        10,
        100_000,
        10,
        20_000,
    ]


def test_a_prepared_segment_is_used_next(new_journal: NewJournal, logged: Logged) -> None:
    """The next file is made ahead of need, once the current one is half full, and once only."""
    journal = new_journal(segment_size=SMALL)
    journal.prepare()
    assert len(list(journal.directory.iterdir())) == 1
    while journal.current.committed * 2 <= journal.current.capacity:
        journal.log({"x": 0})
    journal.prepare()
    journal.prepare()
    made = sorted(journal.directory.iterdir())
    while len(journal.segments) < 2:
        journal.log({"x": 0})

    assert [path.name for path in made] == ["0-0.journal", "0-1.journal"]
    assert sorted(journal.directory.iterdir()) == made
    assert len(logged(journal)) == journal.current.info.segment + len(logged(journal)) - 1


def test_closing_deletes_everything_or_nothing(new_journal: NewJournal) -> None:
    """The files go with the folder, or stay as they are but for a segment that was only prepared."""
    for delete in (True, False):
        journal = new_journal(segment_size=SMALL)
        for step in range(700):
            journal.log({"x": step})
        journal.prepare()
        journal.close(delete=delete)
        journal.close(delete=delete)

        assert journal.directory.exists() != delete
        assert delete or len(list(journal.directory.iterdir())) == len(journal.segments)


def test_nothing_is_taken_after_the_end(journal: Journal, heard: Any, logged: Logged) -> None:
    """Whatever came after the end record would be deleted unseen; so it is refused, and that is told."""
    journal.log({"x": 1})
    journal.record(RecordKind.END, {"status": "completed"})
    journal.log({"x": 2})
    journal.log({"new": 2})
    journal.record(RecordKind.NOTES, {"text": "late"})

    assert logged(journal) == [("x", 0, 1.0)]
    assert heard.refusals == 3
    assert journal.closed


def test_old_segments_are_forgotten_when_they_are_many(new_journal: NewJournal) -> None:
    """What the store has may go, but not the first segment, which holds the lock and says what the run is."""
    journal = new_journal(segment_size=SMALL)
    while len(journal.segments) < 6:
        journal.log({"x": 0})
    shipped = journal.segments[3].position
    forget_segments(journal, shipped, keep_bytes=journal.segments[0].capacity)

    assert [segment.info.segment for segment in journal.segments] == [0, 4, 5]
    assert sorted(path.name for path in journal.directory.iterdir()) == ["0-0.journal", "0-4.journal", "0-5.journal"]


def test_two_processes_cannot_write_as_the_same_writer(new_journal: NewJournal) -> None:
    """The second one fails before it could overwrite anything."""
    journal = new_journal()

    with pytest.raises(OSError, match="same writer"):
        new_journal(run=journal.run)
    assert [path.name for path in journal.directory.iterdir()] == ["0-0.journal"]


def test_the_folder_may_vanish_at_any_time(new_journal: NewJournal, logged: Logged) -> None:
    """A recovery of another process removes a run's folder when it finds it empty, which it is for a moment."""
    journal = new_journal(segment_size=SMALL)
    journal.current.path.unlink()
    journal.directory.rmdir()
    for step in range(700):
        journal.log({"x": step})

    assert [value for _, _, value in logged(journal)] == list(range(700))


def test_a_clock_that_jumps_does_no_harm(new_journal: NewJournal, decode: Decode, logged: Logged) -> None:
    """Times are what the clock said, also where it went back; the newest one counts as the last sign of life."""
    times = itertools.cycle([1e9, 5e8, 2e9, -1.0, 1e9])
    journal = new_journal(clock=lambda: next(times))
    for _ in range(100):
        journal.log({"x": 0})
    (decoded,) = decode(journal)

    assert len(logged(journal)) == 100
    assert decoded.last_time == 2e9


# ---- no room


@contextmanager
def no_room(journal: Journal) -> Iterator[None]:
    """Make it impossible to create files in the journal's folder."""
    away = journal.directory.with_name("away")
    journal.directory.rename(away)
    journal.directory.write_text("in the way")
    yield
    journal.directory.unlink()
    away.rename(journal.directory)


def test_without_room_points_are_dropped_and_counted(new_journal: NewJournal, heard: Any, logged: Logged) -> None:
    """The training goes on, what finds no room is counted, and when there is room again it is used."""
    journal = new_journal(segment_size=SMALL)
    with no_room(journal):
        for step in range(1000):
            journal.log({"x": step, "y": step}, step)
        kept = len(logged(journal)) // 2
        assert (journal.dropped, heard.drops) == (2 * (1000 - kept), 2 * (1000 - kept))
        journal.prepare()
    journal.prepare()
    journal.log({"x": 1000, "y": 1000}, 1000)

    assert 0 < kept < 1000
    assert logged(journal)[-2:] == [("x", 1000, 1000.0), ("y", 1000, 1000.0)]
    assert journal.current.words[6] == journal.dropped == 2 * (1000 - kept)


def test_without_room_the_end_is_recorded(new_journal: NewJournal, decode: Decode) -> None:
    """A part of each segment is kept for the last words of a run; no other record takes it."""
    journal = new_journal(segment_size=SMALL)
    with no_room(journal):
        with suppress(NotADirectoryError):
            while True:
                journal.record(RecordKind.CONSOLE, {"stream": "stdout", "lines": [[1.0, "text"]]})
        for _ in range(1000):
            journal.log({"x": 1})
        journal.record(RecordKind.DROPPED, {"counts": {"no room in the journal": journal.dropped}})
        journal.record(RecordKind.END, {"status": "completed", "reason": "x" * (RESERVE // 2)})

    assert kinds(decode(journal))[-2:] == ["dropped", "end"]


def test_without_room_an_end_is_recorded_at_least_in_brief(new_journal: NewJournal, decode: Decode) -> None:
    """A traceback that is longer than the room that was kept for the end must not cost the status."""
    journal = new_journal(segment_size=SMALL)
    with no_room(journal):
        for _ in range(1000):
            journal.log({"x": 1})
        journal.record(RecordKind.END, {"status": "failed", "reason": "", "error": {"traceback": "x" * 100_000}})
    (decoded,) = decode(journal)

    assert decoded.records[-1].data == {"status": "failed"}
    assert journal.closed


def test_without_room_the_training_thread_does_not_try_at_each_call(new_journal: NewJournal, logged: Logged) -> None:
    """A row too wide for any segment there is costs one attempt a second, and is taken when there is room again."""
    journal = new_journal(segment_size=SMALL)
    wide = {f"m{index}": 1.0 for index in range(5000)}
    with no_room(journal):
        for _ in range(21):
            journal.log(wide)
        assert journal.dropped == 21 * 5000
    deadline = time.monotonic() + 60
    while not logged(journal) and time.monotonic() < deadline:
        time.sleep(0.05)
        journal.log(wide)

    assert len(logged(journal)) == 5000


# ---- calls in the middle of calls
