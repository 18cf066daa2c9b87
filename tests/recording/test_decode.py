"""What a decoder makes of the bytes of a segment: what was written, in its order, and nothing else."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tracklib.recording.decode import Decoded, Decoder
from tracklib.recording.format import CODE_RECORD, CODE_SCHEMA, body_record, row_struct, row_tag
from tracklib.records import Record

Point = tuple[str, int, float]
Call = tuple[str, ...] | str
PointsOf = Callable[[Decoded], list[Point]]

SCHEMAS: tuple[tuple[str, ...], ...] = (("loss",), ("lr",), ("a", "b"), ("b", "a"), tuple(f"m{i}" for i in range(9)))

calls = st.lists(
    st.tuples(st.sampled_from(SCHEMAS), st.integers(1, 40)) | st.tuples(st.just("note"), st.integers(0, 3)), max_size=12
)


class Written:
    """Bytes of records, with what is in them and where each ends."""

    def __init__(self) -> None:
        self.data = b""
        self.points: list[Point] = []
        self.records: list[Record] = []
        self.ends = [0]
        self._codes: dict[tuple[str, ...], int] = {}
        self._count = 0

    def add(self, data: bytes) -> None:
        self.data += data
        self.ends.append(len(self.data))

    def note(self, length: int) -> None:
        self._count += 1
        self.records.append(Record("note", float(self._count), {"text": "x" * length}))
        self.add(
            body_record(CODE_RECORD, f'{{"k":"note","t":{self._count}.0,"d":{{"text":"{"x" * length}"}}}}'.encode())
        )

    def row(self, names: tuple[str, ...]) -> None:
        if names not in self._codes:
            self.add(body_record(CODE_SCHEMA, str(list(names)).replace("'", '"').encode()))
            self._codes[names] = len(self._codes)
        self._count += 1
        values = [self._count + index / 16 for index in range(len(names))]
        self.points += [(name, self._count, value) for name, value in zip(names, values, strict=True)]
        tag = row_tag(len(names), self._codes[names])
        self.add(row_struct(len(names)).pack(tag, self._count, *values, float(self._count)))


def written(what: list[tuple[Call, int]]) -> Written:
    result = Written()
    for names, count in what:
        if isinstance(names, str):
            result.note(count)
        else:
            for _ in range(count):
                result.row(names)
    return result


@given(calls)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_was_written_is_read(points_of: PointsOf, what: list[tuple[Call, int]]) -> None:
    """Rows of any schemas among records of any length come back whole and in order."""
    whole = written(what)
    decoded = Decoder().decode(whole.data)

    assert points_of(decoded) == whole.points
    assert list(decoded.records) == whole.records
    assert (decoded.end, decoded.damaged) == (len(whole.data), False)
    assert decoded.last_time == max(
        [float(step) for _, step, _ in whole.points] + [r.time for r in whole.records] + [0.0]
    )


@given(calls, st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_it_does_not_matter_where_reading_pauses(
    points_of: PointsOf, what: list[tuple[Call, int]], data: st.DataObject
) -> None:
    """A decoder that is given stretches, cut at any byte, goes on where it left off."""
    whole, decoder = written(what), Decoder()
    points: list[Point] = []
    records: list[Record] = []
    position = 0
    for cut in [*sorted(data.draw(st.lists(st.integers(0, len(whole.data)), max_size=4))), len(whole.data)]:
        decoded = decoder.decode(whole.data[position : max(cut, position)])
        position += decoded.end
        assert position in whole.ends
        points += points_of(decoded)
        records += decoded.records

    assert (points, records, position) == (whole.points, whole.records, len(whole.data))


def test_values_are_kept_to_the_last_bit() -> None:
    """NaN with its payload, infinities, negative zero, subnormals and the extremes of steps and values."""
    strange = struct.unpack("<d", b"\x01\0\0\0\0\0\xf8\x7f")[0]
    values = [strange, math.inf, -math.inf, -0.0, 5e-324, 1.7976931348623157e308]
    layout, tag = row_struct(6), row_tag(6, 0)
    data = body_record(CODE_SCHEMA, b'["a","b","c","d","e","f"]')
    data += layout.pack(tag, (1 << 63) - 1, *values, 1.0) + layout.pack(tag, -1 << 63, *values, 2.0)
    (group,) = Decoder().decode(data).groups

    assert group.values.tobytes() == struct.pack("<12d", *values, *values)
    assert group.steps.tolist() == [(1 << 63) - 1, -1 << 63]
    assert group.times.tolist() == [1.0, 2.0]


def test_single_points_of_many_names_are_one_group(points_of: PointsOf) -> None:
    """A program that logs each name in a call of its own does not make thousands of tiny groups."""
    whole = Written()
    for _ in range(3):
        for index in range(1000):
            whole.row((f"name{index}",))
    decoded = Decoder().decode(whole.data)

    assert decoded.groups == ()
    assert points_of(decoded) == whole.points


@pytest.mark.parametrize("cut", range(1, 40))
def test_a_torn_end_is_left_out(points_of: PointsOf, cut: int) -> None:
    """Whatever is missing of the last row, it is not made up, and those before it are read."""
    whole = written([(("a", "b"), 5)])
    decoded = Decoder().decode(whole.data[:-cut])

    assert points_of(decoded) == whole.points[:-2]
    assert (decoded.end, decoded.damaged) == (whole.ends[-2], True)


@pytest.mark.parametrize("lost", [8, 16, 24, 32, 40])
def test_a_row_whose_end_is_zeros_is_left_out(points_of: PointsOf, lost: int) -> None:
    """Where a page was lost, the row before it ends in zeros, and a time of zero tells."""
    whole = written([(("a", "b"), 5)])
    decoded = Decoder().decode(whole.data[:-lost] + bytes(lost + 4096))

    assert points_of(decoded) == whole.points[:-2]
    assert (decoded.end, decoded.damaged) == (whole.ends[-2], True)


@pytest.mark.parametrize(
    "stranger",
    [
        row_struct(1).pack(row_tag(1, 1), 0, 0.5, 1.0),
        row_struct(2).pack(row_tag(2, 0), 0, 0.5, 0.5, 1.0),
        body_record(CODE_RECORD, b"[]"),
        body_record(CODE_RECORD, b'{"k":"note"}'),
        body_record(CODE_SCHEMA, b"{}"),
        struct.pack("<Q", row_tag(-2, 0)),
    ],
    ids=["unknown schema", "other size", "no record", "half a record", "no schema", "size of one word"],
)
def test_what_has_no_meaning_ends_the_reading(points_of: PointsOf, stranger: bytes) -> None:
    """A whole record that cannot be meant is where trust ends; rows behind it are not guessed at."""
    whole = written([(("loss",), 3)])
    decoded = Decoder().decode(whole.data + stranger + whole.data)

    assert points_of(decoded) == whole.points
    assert (decoded.end, decoded.damaged) == (len(whole.data), True)


def test_nothing_is_decoded_of_nothing() -> None:
    """An empty stretch is whole; fewer bytes than a tag are not."""
    empty, short = Decoder().decode(b""), Decoder().decode(b"1234567")

    assert (empty.records, empty.groups, empty.end, empty.damaged, empty.last_time) == ((), (), 0, False, 0.0)
    assert (short.end, short.damaged) == (0, True)


def test_columns_stay_when_the_bytes_go(points_of: PointsOf) -> None:
    """Groups may look into the decoded bytes, which live as long as they do."""
    whole = written([(("a", "b"), 100)])
    data = bytes(whole.data)
    decoded = Decoder().decode(data)
    del data

    assert points_of(decoded) == whole.points
    assert all(isinstance(group.values, np.ndarray) and group.values.dtype == np.float64 for group in decoded.groups)
