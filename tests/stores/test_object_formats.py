"""The pieces of the object format: names, segments of points, records as text, and what survives damage to them."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracklib.errors import CorruptData
from tracklib.records import Batch, Record, id_of_number, is_id, new_id
from tracklib.stores.layout import (
    Marker,
    first_id,
    marker_key,
    object_name,
    records_key,
    segment_key,
    time_prefixes,
)
from tracklib.stores.object_log import ToldRecord, WriterLog, WriterState, parse_records
from tracklib.stores.object_news import segments_of
from tracklib.stores.segments import Rows, decode_rows, encode_rows, joined, read_points, rows_of
from tracklib.testing.batches import logged
from tracklib.testing.states import calls

names = st.text(min_size=1, max_size=8).filter(lambda text: text.isprintable() or "\n" in text)
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
values = st.floats(width=64)
leaves = (
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | words
)
documents = st.dictionaries(
    words, st.recursive(leaves, lambda inner: st.lists(inner, max_size=3), max_leaves=4), max_size=4
)
moments = st.floats(0, 4e9, allow_nan=False)


def batch_of(drawn: Any, start: int = 0) -> Batch:
    parts: Any = logged(drawn)
    groups = tuple(part for part in parts if hasattr(part, "values") and part.values.ndim == 2)
    scattered = next((part for part in parts if part.values.ndim == 1), None)
    return Batch(run="r", writer="0", start=start, end=start + 10, time=1.0, groups=groups, scattered=scattered)


ID = id_of_number(1)

# ---- names


@given(writer=names.filter(lambda text: not any(0xD800 <= ord(c) < 0xE000 for c in text)), number=st.integers(0, 10**6))
def test_names_of_objects_tell_what_they_are(writer: str, number: int) -> None:
    """Whatever a writer is called."""
    run = new_id()
    records, segment = object_name(records_key(run, writer, number)), object_name(segment_key(run, writer, number))
    merged = object_name(segment_key(run, writer, number, number + 5))

    assert records == ("records", writer, number, number)
    assert segment == ("metrics", writer, number, number)
    assert merged == ("metrics", writer, number, number + 5)
    assert records_key(run, writer, number).count("/") == 3


@pytest.mark.parametrize(
    "key",
    [
        "runs/r/metrics/0.parquet",
        "runs/r/metrics/0-x.parquet",
        "runs/r/other/0-1.jsonl",
        "runs/r/deleted.json",
        "x",
        "",
    ],
)
def test_other_names_are_none_of_ours(key: str) -> None:
    """They tell nothing."""
    assert object_name(key) is None


@pytest.mark.parametrize("name", ["readme", "", "-", f"{ID}-", f"{ID}-other", f"x-{ID}"])
def test_other_names_are_no_markers(name: str) -> None:
    """They are passed over."""
    assert Marker.of(name) is None


def test_markers_name_runs_and_entities() -> None:
    """Their names say all that there is in them."""
    marker, run = new_id(), new_id()

    assert Marker.of(marker_key(Marker(marker, run)).removeprefix("changes/")) == (marker, run)
    assert Marker.of(marker_key(Marker(marker, "")).removeprefix("changes/")) == (marker, "")


@given(begin=st.floats(0, 4e9), length=st.floats(0, 1e8), at=st.floats(0, 1))
def test_prefixes_find_every_id_of_their_time(begin: float, length: float, at: float) -> None:
    """Few prefixes, and none of the ids between two moments escapes them."""
    prefixes = time_prefixes(begin, begin + length)

    assert 1 <= len(prefixes) <= 4
    assert new_id(begin + at * length).startswith(tuple(prefixes))


@given(moment=st.floats(1, 4e9))
def test_an_id_sorts_behind_the_moment_of_its_making(moment: float) -> None:
    """And before the next one."""
    assert first_id(moment) < new_id(moment) < first_id(moment + 0.002)
    assert is_id(new_id(moment))


def test_merged_segments_take_the_place_of_those_in_them() -> None:
    """Whatever is left of them, each number counts once."""
    keys = [segment_key("r", "0", *span) for span in ((0,), (1,), (0, 1), (2,), (2, 3), (0, 3), (4,), (10,))]
    others = [segment_key("r", "0.a", 0), records_key("r", "0", 0)]

    assert segments_of([*keys, *others], "0") == [segment_key("r", "0", *span) for span in ((0, 3), (4,), (10,))]
    assert segments_of(keys[:2], "0") == keys[:2]


# ---- points


@settings(deadline=None)
@given(drawn=st.lists(calls(), min_size=1, max_size=3))
def test_points_come_back_from_a_segment(drawn: Any) -> None:
    """Every bit of them, sorted by name and step, those of one step in the order of their arrival."""
    batches = [batch_of(each, 10 * number) for number, each in enumerate(drawn)]
    rows = joined([rows_of(batch) for batch in batches])
    data = encode_rows(rows, "01JD")
    found = decode_rows(data)

    wanted = [
        (name, step, float(100 * number + place), value, 10 * number)
        for number, each in enumerate(drawn)
        for place, (logged_values, step) in enumerate(each)
        for name, value in logged_values.items()
    ]
    wanted.sort(key=lambda row: (row[0].encode(), row[1]))
    assert [found.names[index] for index in found.which] == [row[0] for row in wanted]
    assert found.steps.tolist() == [row[1] for row in wanted]
    assert found.values.tobytes() == np.array([row[3] for row in wanted], dtype=np.float64).tobytes()
    assert found.batches.tolist() == [row[4] for row in wanted]
    for name in found.names:
        points = read_points(data, name)
        mine = found.which == found.names.index(name)
        assert points.values.tobytes() == found.values[mine].tobytes()
        confirmed = read_points(data, name, 10)
        assert len(confirmed.steps) == int((found.batches[mine] < 10).sum())


def test_a_segment_without_points_is_one() -> None:
    """It is read as such."""
    assert len(decode_rows(encode_rows(Rows.none(), "r"))) == 0


@settings(deadline=None)
@given(cut=st.integers(0, 400), data=st.data())
def test_damaged_segments_are_told(cut: int, data: st.DataObject) -> None:
    """What is cut off or overwritten is an error that says so, or was not needed."""
    whole = encode_rows(rows_of(batch_of([({"loss": 1.0}, 1), ({"loss": 2.0}, 2)])), "r")
    place = data.draw(st.integers(0, len(whole) - 5))
    for damaged in (whole[: min(cut, len(whole) - 1)], whole[:place] + b"\xff\x00\xff\x00" + whole[place + 4 :]):
        with contextlib.suppress(CorruptData):
            assert len(decode_rows(damaged)) <= 2
    with pytest.raises(CorruptData, match="no Parquet file of points"):
        decode_rows(whole[: len(whole) // 2])


def test_overwritten_points_are_told() -> None:
    """Pages have checksums: zeros in their middle would be points too."""
    rows = rows_of(batch_of([({"loss": math.sin(step)}, step) for step in range(1000)]))
    whole = encode_rows(rows, "r")

    for place in range(len(whole) // 3, len(whole) * 2 // 3, 211):
        with pytest.raises(CorruptData, match="no Parquet file of points"):
            decode_rows(whole[:place] + bytes(8) + whole[place + 8 :])


# ---- records


@settings(deadline=None)
@given(
    told=st.lists(st.tuples(words, moments, documents, st.integers(0, 2**62), moments), max_size=5),
    sums=st.dictionaries(words, st.lists(values | st.none() | st.integers(0, 99), min_size=9, max_size=9), max_size=3),
    numbers=st.tuples(st.integers(0, 2**62), moments, moments, moments, moments),
)
def test_records_come_back_from_their_text(told: Any, sums: Any, numbers: Any) -> None:
    """Line by line, with the state at the end."""
    records = [ToldRecord(Record(f"k{kind}", at, data), batch, ship) for kind, at, data, batch, ship in told]
    position, began, shipped, heartbeat, written = numbers
    state = WriterState(
        position=position, began=began, shipped=shipped, heartbeat=heartbeat, written=written, segments=3, sums=sums
    )
    log = WriterLog(state=state, lines=tuple(record.line() for record in records))

    text = parse_records(log.text())

    assert text.problems == []
    assert text.records == records
    assert text.state is not None
    assert repr(text.state) == repr(state)
    assert log.text().count(b"\n") == len(records) + 1


@settings(deadline=None)
@given(lines=st.lists(st.binary(max_size=30), max_size=5), cut=st.integers(0, 300))
def test_damaged_text_is_read_as_far_as_it_goes(lines: list[bytes], cut: int) -> None:
    """Lines that are no records are named and passed over; the others are there."""
    good = ToldRecord(Record("tags", 1.0, {"tags": {}}), 0, 2.0)
    state = WriterState(position=5, shipped=1.0)
    noise = [line.replace(b"\n", b"") for line in lines]
    whole = good.line() + b"\n".join([*noise, b""]) + good.line() + state.line()

    text = parse_records(whole)
    assert text.records.count(good) == 2
    assert text.state == state
    assert bool(text.problems) == any(noise)
    half = parse_records(whole[:cut])
    assert half.state is None or cut >= len(whole) - 1
    assert bool(half.problems) or half.state == state or any(noise)


def test_numbers_that_json_cannot_say_are_texts() -> None:
    """In the state, which other tools read as well."""
    state = WriterState(shipped=1.0, sums={"a": [math.nan, -math.inf, math.inf, 1.0, 2, 1, 0, 5, 3.0]})

    assert b"NaN" not in state.line()
    assert repr(parse_records(state.line()).state) == repr(state)


def test_what_should_not_come_is_json_all_the_same() -> None:
    """A bare NaN becomes a mark, and half a character an escape."""
    told = ToldRecord(Record("params", 1.0, {"params": {"x": [math.nan, {"y": -math.inf}], "half": "\ud800"}}), 0, 2.0)
    text = parse_records(told.line() + WriterState(shipped=1.0).line())

    assert text.problems == []
    assert text.records[0].record.data == {
        "params": {"x": [{"$float": "nan"}, {"y": {"$float": "-inf"}}], "half": "\ud800"}
    }
