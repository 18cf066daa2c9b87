"""Columns, batches and chunks come back bit for bit, and damage is told."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from tracklib.errors import CorruptData
from tracklib.stores.chunks import (
    ColumnGroup,
    decode_batch,
    decode_steps,
    decode_times,
    decode_values,
    encode_batch,
    encode_steps,
    encode_times,
    encode_values,
    merge_groups,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
WORDS = st_numpy.arrays(np.int64, st.integers(0, 50), elements=INT64)


class Point(NamedTuple):
    """A point as it arrived; its time and value as bits, since NaN equals nothing."""

    series: int
    step: int
    time: int
    value: int


def matrix(rows: int, width: int) -> st.SearchStrategy[NDArray[Any]]:
    return st_numpy.arrays(np.int64, (rows, width), elements=INT64).map(lambda words: words.view(np.float64))


@st.composite
def batches(draw: st.DrawFn) -> list[list[ColumnGroup]]:
    """Draw batches of groups whose calls stand in any order between them."""
    found = []
    for _ in range(draw(st.integers(0, 3))):
        lengths = draw(st.lists(st.integers(0, 4), max_size=4))
        places = draw(st.permutations(range(sum(lengths))))
        groups = []
        for rows in lengths:
            order = np.array(sorted(places[:rows]), dtype=np.int64)
            places = places[rows:]
            groups.append(draw(group_of(order)))
        found.append(groups)
    return found


@st.composite
def group_of(draw: st.DrawFn, order: NDArray[np.int64]) -> ColumnGroup:
    """Draw a group with calls at these places: of some series, or of one series each."""
    rows = len(order)
    steps = draw(st_numpy.arrays(np.int64, rows, elements=INT64))
    times = draw(st_numpy.arrays(np.int64, rows, elements=INT64)).view(np.float64)
    names = st.integers(1, 5)
    if draw(st.booleans()):
        series = draw(st.lists(names, min_size=1, max_size=3, unique=True))
        return ColumnGroup(np.array(series, dtype=np.int64), steps, times, draw(matrix(rows, len(series))), order)
    single = draw(st.lists(names, min_size=rows, max_size=rows))
    return ColumnGroup(np.array(single, dtype=np.int64), steps, times, draw(matrix(rows, 1))[:, 0], order)


def points_of(group: ColumnGroup) -> list[tuple[int, Point]]:
    """Return the points of a group, each with its place."""
    found = []
    for row, place in enumerate(group.order.tolist()):
        step, time = int(group.steps[row]), int(group.times.view(np.int64)[row])
        if group.scattered:
            found.append((place, Point(int(group.series[row]), step, time, int(group.values.view(np.int64)[row]))))
        else:
            words = np.ascontiguousarray(group.values).view(np.int64)
            found += [
                (place, Point(series, step, time, int(words[row, column])))
                for column, series in enumerate(group.series.tolist())
            ]
    return found


def by_series(parts: Sequence[Sequence[ColumnGroup]]) -> dict[int, list[Point]]:
    """Return the points of each series in the order of their arrival, one by one."""
    found: dict[int, list[Point]] = {}
    for groups in parts:
        arrived = [pair for group in groups for pair in points_of(group)]
        for _, point in sorted(arrived, key=lambda pair: pair[0]):
            found.setdefault(point.series, []).append(point)
    return found


def same(one: ColumnGroup, other: ColumnGroup) -> bool:
    return all(
        mine.shape == theirs.shape and mine.tobytes() == np.ascontiguousarray(theirs).tobytes()
        for mine, theirs in zip(map(np.ascontiguousarray, one), other, strict=True)
    )


@given(WORDS)
def test_any_steps_come_back(words: NDArray[np.int64]) -> None:
    """Every int64 in every order is kept."""
    assert decode_steps(encode_steps(words)).tolist() == words.tolist()


@given(WORDS)
def test_any_times_come_back(words: NDArray[np.int64]) -> None:
    """Every bit of every float64 is kept where differences are taken, those of each NaN too."""
    assert decode_times(encode_times(words.view(np.float64))).tobytes() == words.tobytes()


@given(WORDS)
def test_any_values_come_back(words: NDArray[np.int64]) -> None:
    """Every bit of every float64 is kept."""
    assert decode_values(encode_values(words.view(np.float64))).tobytes() == words.tobytes()


def test_slices_come_back() -> None:
    """Columns of a matrix are kept as well as arrays of their own, and so are those of the other byte order."""
    table = np.arange(12.0).reshape(4, 3)

    assert decode_values(encode_values(table[:, 1])).tolist() == [1.0, 4.0, 7.0, 10.0]
    assert decode_values(encode_values(table[::2, 0].astype(">f8"))).tolist() == [0.0, 6.0]


def test_what_was_decoded_can_be_changed() -> None:
    """Decoded columns belong to who decoded them."""
    for column in (decode_steps(encode_steps(np.arange(3))), decode_values(encode_values(np.zeros(3)))):
        column[0] = 7

        assert column[0] == 7


@given(batches())
def test_any_batch_comes_back(parts: list[list[ColumnGroup]]) -> None:
    """Groups of any shapes, single points among them, are kept with every bit and in their order."""
    for groups in parts:
        found = decode_batch(encode_batch(groups))

        assert len(found) == len(groups)
        assert all(same(one, other) for one, other in zip(found, groups, strict=True))


@given(batches())
def test_merging_puts_points_together_as_they_arrived(parts: list[list[ColumnGroup]]) -> None:
    """Each series stands in exactly one result, with all of its points in the order of their arrival."""
    merged = merge_groups(parts)

    found: dict[int, list[Point]] = {}
    for columns in merged:
        for column, series in enumerate(columns.series):
            assert series not in found
            words = (columns.steps, columns.times.view(np.int64), columns.values[:, column].copy().view(np.int64))
            found[series] = [Point(series, *row) for row in zip(*(w.tolist() for w in words), strict=True)]
    assert {series: points for series, points in found.items() if points} == by_series(parts)


def test_series_that_go_together_share_their_steps() -> None:
    """Series that were always logged together are one result, however many batches they come in."""
    group = ColumnGroup(np.array([1, 2, 3]), np.arange(2), np.zeros(2), np.zeros((2, 3)), np.arange(2))

    (merged,) = merge_groups([[group], [group]])
    assert merged.series == (1, 2, 3)
    assert merged.steps.tolist() == [0, 1, 0, 1]


def test_a_training_run_takes_few_bytes() -> None:
    """Steps one by one and times at an even pace cost next to nothing; values that were float32 half of their size."""
    count = 16_384
    values = np.random.default_rng(0).normal(size=count).astype(np.float32).astype(np.float64)
    times = np.linspace(1.7e9, 1.7e9 + 0.25 * (count - 1), count)

    assert len(encode_steps(np.arange(count))) < 100
    assert len(encode_times(times)) < 0.5 * count
    assert len(encode_values(values)) < 4.5 * count


@pytest.mark.parametrize("decode", [decode_steps, decode_times, decode_values, decode_batch])
@pytest.mark.parametrize("damage", ["cut", "empty", "text", "longer", "odd", "huge"])
def test_damage_is_told(decode: Any, damage: str) -> None:
    """Bytes that are no column, or not all of one, are refused and never read as numbers."""
    whole = encode_batch([ColumnGroup(np.array([1]), np.arange(9), np.zeros(9), np.zeros((9, 1)), np.arange(9))])
    data = {
        "cut": whole[:-5],
        "empty": b"",
        "text": b"these are no bytes of ours",
        "longer": b"\0" + whole,
        "odd": zstandard.ZstdCompressor().compress(b"12345"),
        "huge": b"\x28\xb5\x2f\xfd\xe0" + (1 << 60).to_bytes(8, "little") + b"\x01\x00\x00",
    }[damage]

    with pytest.raises(CorruptData, match="bytes"):
        decode(data)


@given(st.integers(0), st.integers(1, 255), batches())
def test_every_changed_byte_is_told(position: int, change: int, parts: list[list[ColumnGroup]]) -> None:
    """A byte that was changed on the disk never becomes another number: each frame has a checksum."""
    for groups in parts:
        data = bytearray(encode_batch(groups))
        data[position % len(data)] ^= change
        try:
            found = decode_batch(bytes(data))
        except CorruptData:
            continue
        # Some bits of a frame's head mean nothing.
        assert all(same(one, other) for one, other in zip(found, groups, strict=True))


@given(st.binary(max_size=200))
def test_nonsense_in_a_whole_frame_is_told(raw: bytes) -> None:
    """What is no batch inside is refused, or is one by chance; nothing else ever happens."""
    data = zstandard.ZstdCompressor().compress(raw)
    for decode in (decode_steps, decode_values, decode_batch):
        with suppress(CorruptData):
            decode(data)


# ---- what was written once is read for ever: bytes that the first version wrote

STEPS = [0, 1, 2, -5, (1 << 63) - 1, -(1 << 63)]
STEPS_BYTES = "28b52ffd2430ad000068000101f90401000000ff0080000200290d02e00509813ca8"
TIMES = [1.7e9, 1.7e9 + 0.25, 1.7e9 + 0.5, 0.0, -1.5, 1e300]
TIMES_BYTES = (
    "28b52ffd243081010000000000009c000000000075001010e00000400000bf0088fc000003003c540000ab00e4d9000026f83f410000bebf"
    "beb116185a"
)
VALUES = [0.5, -0.0, math.nan, math.inf, 5e-324, 0.1]
VALUES_BYTES = "28b52ffd2430fd0000a800000000019a009900e000f8f000b93f807f7f003f0300290940e0001801360897a5"
BATCH_BYTES = (
    "28b52ffd640800050300f4030a0002000001fd030402fa06ff0100404000fc005400d900419a00000099e0d0b9f83f3f3f7f050180404040"
    "0000fc0000540000d900010201f000083f40400d00600120831898c20ba840a3ddac20031d0484f3102d327679655a34002c7ab623f1"
)


def test_columns_of_the_first_version_are_read() -> None:
    """Steps, times and values that were written when the format was young."""
    assert decode_steps(bytes.fromhex(STEPS_BYTES)).tolist() == STEPS
    assert decode_times(bytes.fromhex(TIMES_BYTES)).tolist() == TIMES
    assert repr(decode_values(bytes.fromhex(VALUES_BYTES)).tolist()) == repr(VALUES)


def test_batches_of_the_first_version_are_read() -> None:
    """A batch of two calls with two names each and three of one name, likewise."""
    pairs, single = decode_batch(bytes.fromhex(BATCH_BYTES))

    assert (pairs.series.tolist(), pairs.steps.tolist(), pairs.order.tolist()) == ([3, 7], [0, 1], [0, 2])
    assert repr(pairs.values.tolist()) == "[[0.5, 0.1], [0.25, nan]]"
    assert pairs.times.tolist() == [1.7e9, 1.7e9 + 1]
    assert single.scattered
    assert (single.series.tolist(), single.steps.tolist()) == ([9, 3, 9], [5, 6, 7])
    assert (single.values.tolist(), single.order.tolist()) == ([1.0, 2.0, 3.0], [1, 3, 4])


def test_the_page_reads_the_same_bytes(page_functions: dict[str, Any]) -> None:
    """What the page about the format shows reads a batch of the first version as well."""
    series, steps, times, values, order = page_functions["batch_points"](bytes.fromhex(BATCH_BYTES))

    assert series.tolist() == [3, 3, 7, 7, 9, 3, 9]
    assert (steps.tolist(), order.tolist()) == ([0, 1, 0, 1, 5, 6, 7], [0, 2, 0, 2, 1, 3, 4])
    assert times.view("<f8").tolist() == [1.7e9 + second for second in (0, 1, 0, 1, 2, 3, 4)]
    assert repr(values.view("<f8").tolist()) == "[0.5, 0.25, 0.1, nan, 1.0, 2.0, 3.0]"
