"""From the bytes of a journal segment back to records and columns of points."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from tracklib.recording.format import CODE_RECORD, CODE_ROW, CODE_SCHEMA, parse_body, parse_tag
from tracklib.records import PointGroup, Record, ScatteredPoints

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Decoded", "Decoder"]

_TAG = struct.Struct("<Q")
_TIME = struct.Struct("<d")
_LOOKAHEAD = 16
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
        view, tags = memoryview(data), self._tags
        records: list[Record] = []
        rows = _Rows()
        position = 0
        while position + 8 <= len(data):
            tag = _TAG.unpack_from(data, position)[0]
            size, code = tags.get(tag) or self._learn(tag)
            if not size or position + size > len(data):
                break
            if code >= CODE_ROW:
                position = self._take_rows(data, position, size, rows)
            elif self._take_body(code, view[position : position + size], records):
                position += size
            else:
                break
        offsets, codes = rows.arrays()
        if len(offsets) and self._is_torn(data, position, int(offsets[-1]), int(codes[-1])):
            position, offsets, codes = int(offsets[-1]), offsets[:-1], codes[:-1]
        groups, scattered = self._gather(data, offsets, codes)
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

    def _take_rows(self, data: bytes, position: int, size: int, rows: _Rows) -> int:
        """Take the rows of one size that follow each other at `position`, be they of one schema or of several.

        Returns:
            The offset behind them.
        """
        tags, offsets, codes = self._tags, rows.offsets, rows.codes
        # Few rows are faster one by one, many together.
        for _ in range(min(_LOOKAHEAD, (len(data) - position) // size)):
            tag = _TAG.unpack_from(data, position)[0]
            found, code = tags.get(tag) or self._learn(tag)
            if found != size or code < CODE_ROW:
                return position
            offsets.append(position)
            codes.append(code)
            position += size
        most, step = (len(data) - position) // size, _LOOKAHEAD * 4
        words = np.frombuffer(data, dtype="<u8", count=most * (size // 8), offset=position)[:: size // 8]
        count = 0
        while count < most:
            window = self._known_codes(words[count : count + step], size)
            rows.extend(position + size * np.arange(count, count + len(window), dtype=np.int64), window)
            count += len(window)
            if len(window) < step:
                break
            step *= 4
        return position + size * count

    def _known_codes(self, words: NDArray[np.uint64], size: int) -> NDArray[np.int64]:
        """Return the row codes of the tags in front, up to the first that is none of a row of this size."""
        tags, places = np.unique(words, return_inverse=True)
        learned = [self._tags.get(tag) or self._learn(tag) for tag in tags.tolist()]
        codes = np.array([code if size == found else 0 for found, code in learned], dtype=np.int64)[places]
        unknown = codes < CODE_ROW
        return codes[: int(unknown.argmax())] if unknown.any() else codes

    def _names(self, code: int) -> tuple[str, ...]:
        return self.schemas[code - CODE_ROW]

    def _is_torn(self, data: bytes, position: int, offset: int, code: int) -> bool:
        """Tell whether the row before `position` lost its end with a page: then its time is zero."""
        behind = offset + 24 + 8 * len(self._names(code))
        return behind == position and _TIME.unpack_from(data, position - 8)[0] == 0.0

    def _gather(
        self, data: bytes, offsets: NDArray[np.int64], codes: NDArray[np.int64]
    ) -> tuple[tuple[PointGroup, ...], ScatteredPoints | None]:
        """Turn the places of rows into columns: one group for each schema, single points of many names apart."""
        found, counts = np.unique(codes, return_counts=True)
        single = np.array([len(self._names(code)) == 1 for code in found.tolist()], dtype=bool)
        scattered = None
        if np.count_nonzero(single) >= _SCATTERED_NAMES:
            scattered = self._scattered(data, offsets, codes, found[single])
        else:
            single[:] = False
        by_code = np.split(np.argsort(codes, kind="stable"), np.cumsum(counts)[:-1]) if len(found) else []
        groups = [
            self._group(data, offsets[rows], code, rows)
            for code, rows, apart in zip(found.tolist(), by_code, single.tolist(), strict=True)
            if not apart
        ]
        return tuple(groups), scattered

    def _group(self, data: bytes, offsets: NDArray[np.int64], code: int, order: NDArray[np.int64]) -> PointGroup:
        names = self._names(code)
        matrix = _matrix(data, offsets, 3 + len(names))
        return PointGroup(
            names,
            matrix[:, 1].copy(),
            matrix[:, -1].copy().view(np.float64),
            matrix.view(np.float64)[:, 2:-1],
            order.astype(np.int64, copy=False),
        )

    def _scattered(
        self, data: bytes, offsets: NDArray[np.int64], codes: NDArray[np.int64], single: NDArray[np.int64]
    ) -> ScatteredPoints:
        order = np.flatnonzero(np.isin(codes, single))
        matrix = _matrix(data, offsets[order], 4)
        return ScatteredPoints(
            tuple(self._names(code)[0] for code in single.tolist()),
            np.searchsorted(single, codes[order]).astype(np.int64, copy=False),
            matrix[:, 1].copy(),
            matrix[:, 3].copy().view(np.float64),
            matrix[:, 2].copy().view(np.float64),
            order.astype(np.int64, copy=False),
        )


class _Rows:
    """Where rows begin, and their codes: gathered as numbers, which is fast for few, and as arrays, for many."""

    def __init__(self) -> None:
        self.offsets: list[int] = []
        self.codes: list[int] = []
        self._parts: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []

    def extend(self, offsets: NDArray[np.int64], codes: NDArray[np.int64]) -> None:
        """Add many rows behind those added before."""
        self._flush()
        self._parts.append((offsets, codes))

    def arrays(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return all offsets and codes, in their order."""
        self._flush()
        return np.concatenate([part[0] for part in self._parts]), np.concatenate([part[1] for part in self._parts])

    def _flush(self) -> None:
        self._parts.append((np.array(self.offsets, dtype=np.int64), np.array(self.codes, dtype=np.int64)))
        self.offsets.clear()
        self.codes.clear()


def _last_time(records: list[Record], groups: tuple[PointGroup, ...], scattered: ScatteredPoints | None) -> float:
    columns = [group.times for group in groups] + ([scattered.times] if scattered else [])
    return max([record.time for record in records] + [float(times.max()) for times in columns], default=0.0)


def _matrix(data: bytes, offsets: NDArray[np.int64], words: int) -> NDArray[np.int64]:
    """Return the rows at `offsets` as a matrix of words; without a copy where they follow each other."""
    first, count = int(offsets[0]), len(offsets)
    if int(offsets[-1]) - first == (count - 1) * words * 8:
        return np.frombuffer(data, dtype="<i8", count=count * words, offset=first).reshape(count, words)
    everything = np.frombuffer(data, dtype="<i8", count=len(data) // 8)
    rows: NDArray[np.int64] = everything[(offsets // 8)[:, None] + np.arange(words)]
    return rows
