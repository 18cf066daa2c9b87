"""From the bytes of a journal segment back to records and columns of points."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tracklib.recording.format import CODE_RECORD, CODE_ROW, CODE_SCHEMA, parse_body, parse_tag
from tracklib.records import PointGroup, Record, ScatteredPoints

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Decoded", "Decoder"]

_TAG = struct.Struct("<Q")
_TIME = struct.Struct("<d")
_LOOKAHEAD = 16
_SINGLE_ROW = 32
"""Bytes of a row with one value."""
_SCATTERED_NAMES = 8
"""From so many names on, single points are handed on together: a group for each would cost more than its points."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a stretch of a segment holds.

    Attributes:
        end: Offset behind the last record that is whole.
        damaged: Whether there is something behind `end` that is no record.
        last_time: When the newest record was written; 0 if there is none.
    """

    records: tuple[Record, ...]
    groups: tuple[PointGroup, ...]
    scattered: ScatteredPoints | None
    end: int
    damaged: bool
    last_time: float

    @property
    def points(self) -> int:
        """How many points there are."""
        single = len(self.scattered.steps) if self.scattered else 0
        return single + sum(group.values.size for group in self.groups)

    @property
    def rows(self) -> int:
        """How many calls of `log` there are."""
        single = len(self.scattered.steps) if self.scattered else 0
        return single + sum(len(group.steps) for group in self.groups)


@dataclass(slots=True)
class Decoder:
    """Decodes one segment, stretch by stretch: it remembers the schemas and tags seen so far."""

    schemas: list[tuple[str, ...]] = field(default_factory=list)
    _tags: dict[int, tuple[int, int]] = field(default_factory=dict)

    def decode(self, data: bytes) -> Decoded:
        """Decode `data`, which begins at a record. It stops at the first byte that cannot be trusted."""
        view = memoryview(data)
        records: list[Record] = []
        rows: list[_Rows] = []
        position = 0
        while position + 8 <= len(data):
            tag = _TAG.unpack_from(data, position)[0]
            size, code = self._tags.get(tag) or self._learn(tag)
            if not size or position + size > len(data):
                break
            if code >= CODE_ROW:
                rows.append(self._take_rows(data, position, size))
                position += size * len(rows[-1].offsets)
            elif self._take_body(code, view[position : position + size], records):
                position += size
            else:
                break
        position = _without_torn_row(data, position, rows)
        groups, scattered = self._gather(data, rows)
        return Decoded(
            tuple(records), groups, scattered, position, position != len(data), _last_time(records, groups, scattered)
        )

    def _learn(self, tag: int) -> tuple[int, int]:
        """Check a tag that was not met before; (0, 0) if it means nothing here."""
        parsed = parse_tag(tag)
        if parsed is None:
            return 0, 0
        size, code = parsed
        known = code < CODE_ROW or (
            code - CODE_ROW < len(self.schemas) and size == 24 + 8 * len(self.schemas[code - CODE_ROW])
        )
        if not known or size < 16:
            return 0, 0
        self._tags[tag] = size, code
        return size, code

    def _take_body(self, code: int, data: memoryview, records: list[Record]) -> bool:
        value = parse_body(data)
        if code == CODE_SCHEMA and isinstance(value, list):
            self.schemas.append(tuple(value))
            return True
        if code == CODE_RECORD and isinstance(value, dict) and value.keys() >= {"k", "t", "d"}:
            records.append(Record(value["k"], value["t"], value["d"]))
            return True
        return False

    def _take_rows(self, data: bytes, position: int, size: int) -> _Rows:
        """Find the rows of one size that follow each other at `position`, be they of one schema or of several."""
        most = (len(data) - position) // size
        words = np.frombuffer(data, dtype="<u8", count=most * (size // 8), offset=position)[:: size // 8]
        codes = [np.empty(0, dtype=np.int64)]
        count, step = 0, _LOOKAHEAD
        while count < most:
            window = self._known_codes(words[count : count + step], size)
            codes.append(window)
            count += len(window)
            if len(window) < step:
                break
            step *= 4
        return _Rows(size, position + size * np.arange(count, dtype=np.int64), np.concatenate(codes))

    def _known_codes(self, words: NDArray[np.uint64], size: int) -> NDArray[np.int64]:
        """Return the row codes of the tags in front, up to the first that is none of a row of this size."""
        tags, places = np.unique(words, return_inverse=True)
        learned = [self._tags.get(tag) or self._learn(tag) for tag in tags.tolist()]
        codes = np.array([code if size == found else 0 for found, code in learned], dtype=np.int64)[places]
        unknown = codes < CODE_ROW
        return codes[: int(unknown.argmax())] if unknown.any() else codes

    def _gather(self, data: bytes, rows: list[_Rows]) -> tuple[tuple[PointGroup, ...], ScatteredPoints | None]:
        """Turn the places of rows into columns: one group for each schema, single points of many names apart."""
        groups: list[PointGroup] = []
        scattered = None
        everything = np.concatenate([stretch.offsets for stretch in rows]) if rows else np.empty(0, dtype=np.int64)
        for size in sorted({stretch.size for stretch in rows}):
            offsets = np.concatenate([stretch.offsets for stretch in rows if stretch.size == size])
            codes = np.concatenate([stretch.codes for stretch in rows if stretch.size == size])
            found = np.unique(codes)
            if size == _SINGLE_ROW and len(found) >= _SCATTERED_NAMES:
                scattered = self._scattered(data, offsets, codes, everything)
                continue
            groups += [self._group(data, offsets[codes == code], code, everything) for code in found.tolist()]
        return tuple(group for group in groups if len(group.steps)), scattered

    def _group(self, data: bytes, offsets: NDArray[np.int64], code: int, everything: NDArray[np.int64]) -> PointGroup:
        names = self.schemas[code - CODE_ROW]
        matrix = _rows(data, offsets, 3 + len(names))
        return PointGroup(
            names,
            matrix[:, 1].copy(),
            matrix[:, -1].copy().view(np.float64),
            matrix.view(np.float64)[:, 2:-1],
            np.searchsorted(everything, offsets).astype(np.int64, copy=False),
        )

    def _scattered(
        self, data: bytes, offsets: NDArray[np.int64], codes: NDArray[np.int64], everything: NDArray[np.int64]
    ) -> ScatteredPoints:
        found, which = np.unique(codes, return_inverse=True)
        matrix = _rows(data, offsets, _SINGLE_ROW // 8)
        return ScatteredPoints(
            tuple(self.schemas[code - CODE_ROW][0] for code in found.tolist()),
            which.astype(np.int64, copy=False),
            matrix[:, 1].copy(),
            matrix[:, 3].copy().view(np.float64),
            matrix[:, 2].copy().view(np.float64),
            np.searchsorted(everything, offsets).astype(np.int64, copy=False),
        )


class _Rows(NamedTuple):
    """Rows of one size that follow each other: where each begins, and its code."""

    size: int
    offsets: NDArray[np.int64]
    codes: NDArray[np.int64]


def _last_time(records: list[Record], groups: tuple[PointGroup, ...], scattered: ScatteredPoints | None) -> float:
    columns = [group.times for group in groups] + ([scattered.times] if scattered else [])
    return max([record.time for record in records] + [float(times.max()) for times in columns], default=0.0)


def _without_torn_row(data: bytes, position: int, rows: list[_Rows]) -> int:
    """Drop the row before `position` if its end was lost with a page: then its time is zero."""
    last = rows[-1] if rows else None
    if last is None or not len(last.offsets) or last.offsets[-1] + last.size != position:
        return position
    if _TIME.unpack_from(data, position - 8)[0] != 0.0:
        return position
    rows[-1] = _Rows(last.size, last.offsets[:-1], last.codes[:-1])
    return position - last.size


def _rows(data: bytes, offsets: NDArray[np.int64], words: int) -> NDArray[np.int64]:
    """Return the rows at `offsets` as a matrix of words; without a copy where they follow each other."""
    first, count = int(offsets[0]), len(offsets)
    if int(offsets[-1]) - first == (count - 1) * words * 8:
        return np.frombuffer(data, dtype="<i8", count=count * words, offset=first).reshape(count, words)
    everything = np.frombuffer(data, dtype="<i8", count=len(data) // 8)
    rows: NDArray[np.int64] = everything[(offsets // 8)[:, None] + np.arange(words)]
    return rows
