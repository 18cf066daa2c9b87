"""Points as Parquet: what comes back, in which order, and what it does not cost."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from tracklib.errors import CorruptData
from tracklib.stores import object_log, segments
from tracklib.stores.arrow import number_column, numbers_of
from tracklib.stores.object_log import WriterLog, shipping_time
from tracklib.stores.segments import Rows, decode_rows, encode_rows, in_order, read_points
from tracklib.testing.batches import WriterScript, points

RUN = "01JDZS3Q4Y5W6X7A8B9C0DEFGH"


def rows(names: list[str], steps: list[int], *, width: int = 2) -> Rows:
    """Return rows whose values count up; names are numbered in the order in which they come."""
    known = tuple(dict.fromkeys(names))
    count = len(steps)
    which = np.array([known.index(name) for name in names], dtype=np.int32)
    return Rows(
        known, which, np.array(steps), np.ones(count), np.arange(count, dtype=np.float64), np.arange(count) // width
    )


def test_rows_are_sorted_by_name_and_step() -> None:
    """Of one name and step what arrived first comes first."""
    found = in_order(rows(["b", "a", "b", "a", "b"], [1, 5, 0, 2, 1]))

    assert [found.names[index] for index in found.which] == ["a", "a", "b", "b", "b"]
    assert found.steps.tolist() == [2, 5, 0, 1, 1]
    assert found.values.tolist() == [3, 1, 2, 0, 4]


def test_rows_in_order_are_not_copied() -> None:
    """Sorting what is sorted costs no memory."""
    given = rows(["a", "a", "b"], [0, 1, 0])

    assert in_order(given) is given


def test_many_names_are_sorted_too() -> None:
    """More names than a short number can count."""
    count = 70_000
    given = Rows(
        tuple(f"m{number}" for number in range(count)),
        *(np.arange(count, dtype=np.int32), np.zeros(count, np.int64), np.ones(count), np.ones(count)),
        np.zeros(count, np.int64),
    )

    found = in_order(given)

    assert [found.names[index] for index in found.which] == sorted(given.names)


@pytest.mark.parametrize("name", ["a", "größe", "z", "none", ""])
def test_a_series_is_found_in_any_row_group(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Row groups that cannot have it are left out, and no other."""
    monkeypatch.setattr(segments, "GROUP_ROWS", 3)
    names = ["a"] * 5 + ["größe"] * 4 + ["z"] * 2
    data = encode_rows(rows(names, [*range(5), *range(4), *range(2)]), RUN)

    assert read_points(data, name).steps.tolist() == list(range(names.count(name)))


def test_a_series_ends_where_its_batches_do() -> None:
    """Points of batches that do not count are left out."""
    data = encode_rows(rows(["a"] * 6, [*range(6)]), RUN)

    assert read_points(data, "a", 2).steps.tolist() == [0, 1, 2, 3]
    assert decode_rows(data).before(2).steps.tolist() == [0, 1, 2, 3]


def test_missing_numbers_are_damage() -> None:
    """Nobody takes what is not there for a number."""
    import pyarrow as pa

    with pytest.raises(CorruptData, match="1 of its 2 numbers are missing"):
        numbers_of(pa.array([1, None]), np.int64)


def test_columns_of_other_types_are_changed() -> None:
    """What another program has written with fewer bits is read as well."""
    column = number_column(np.array([1.5, 2.5], dtype=np.float32))

    assert numbers_of(column, np.float64).tolist() == [1.5, 2.5]


def test_points_come_and_go_without_pandas() -> None:
    """Neither a training nor a reader pays for pandas, which Arrow imports where it can."""
    code = (
        "import sys, numpy as np\n"
        "from tracklib.stores.segments import Rows, decode_rows, encode_rows, read_points\n"
        "zeros = np.zeros(3, np.int64)\n"
        "data = encode_rows(Rows(('a',), zeros.astype(np.int32), np.arange(3), zeros * 1.0, zeros * 1.0, zeros), 'r')\n"
        "assert len(decode_rows(data)) == len(read_points(data, 'a').steps) == 3\n"
        "assert 'pandas' not in sys.modules\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr


def test_a_segment_that_was_written_often_is_not_gone_on_with(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each batch sends all of its segment over the network: a long one is left after some of them."""
    monkeypatch.setattr(object_log, "SEGMENT_BATCHES", 3)
    monkeypatch.setattr(object_log, "WORTH_ROWS", 8)
    script, log, sizes = WriterScript(), WriterLog(), []
    for number in range(8):
        batch = (script.batch if number else script.start)(points({"loss": np.arange(4.0)}))
        log = log.rolled().extended(batch, shipping_time())
        sizes.append(len(log.tail))

    assert sizes == [4, 8, 12, 4, 8, 12, 4, 8]
    assert log.state.segments == 3
