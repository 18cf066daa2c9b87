"""From the bytes of a journal segment back to records and columns of points."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from tracklib.recording.format import CODE_RECORD, CODE_ROW, CODE_SCHEMA, parse_body, parse_tag
from tracklib.records import PointGroup, Record

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Decoded", "Decoder"]

_TAG = struct.Struct("<Q")
_TIME = struct.Struct("<d")
_LOOKAHEAD = 16


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
    end: int
    damaged: bool
    last_time: float


@dataclass(slots=True)
class Decoder:
    """Decodes one segment, stretch by stretch: it remembers the schemas and tags seen so far."""

    schemas: list[tuple[str, ...]] = field(default_factory=list)
    _tags: dict[int, tuple[int, int]] = field(default_factory=dict)

    def decode(self, data: bytes) -> Decoded:
        """Decode `data`, which begins at a record. It stops at the first byte that cannot be trusted."""
        view = memoryview(data)
        records: list[Record] = []
        rows: dict[int, list[NDArray[np.int64]]] = {}
        position, last_row = 0, -1
        while position + 8 <= len(data):
            tag = _TAG.unpack_from(data, position)[0]
            size, code = self._tags.get(tag) or self._learn(tag)
            if not size or position + size > len(data):
                break
            if code >= CODE_ROW:
                count = _repeats(data, position, size)
                rows.setdefault(code, []).append(position + size * np.arange(count, dtype=np.int64))
                last_row = position + size * (count - 1)
                position += size * count
            else:
                if not self._take_body(code, view[position : position + size], records):
                    break
                position += size
                last_row = -1
        position = _without_torn_row(data, position, last_row, rows)
        groups = self._gather(data, rows)
        times = [record.time for record in records] + [float(group.times.max()) for group in groups]
        return Decoded(tuple(records), groups, position, position != len(data), max(times, default=0.0))

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
        if code == CODE_RECORD and isinstance(value, dict):
            records.append(Record(value["k"], value["t"], value["d"]))
            return True
        return False

    def _gather(self, data: bytes, rows: dict[int, list[NDArray[np.int64]]]) -> tuple[PointGroup, ...]:
        """Turn the offsets of rows into columns, one group for each schema that occurs."""
        found = {code: np.concatenate(parts) for code, parts in rows.items()}
        found = {code: offsets for code, offsets in found.items() if len(offsets)}
        everything = np.sort(np.concatenate(list(found.values()))) if len(found) > 1 else None
        groups = []
        for code, offsets in found.items():
            names = self.schemas[code - CODE_ROW]
            matrix = _rows(data, offsets, 3 + len(names))
            order = np.arange(len(offsets)) if everything is None else np.searchsorted(everything, offsets)
            groups.append(
                PointGroup(
                    names,
                    matrix[:, 1].copy(),
                    matrix[:, -1].copy().view(np.float64),
                    matrix.view(np.float64)[:, 2:-1],
                    order.astype(np.int64, copy=False),
                )
            )
        return tuple(groups)


def _repeats(data: bytes, position: int, size: int) -> int:
    """Count how many rows with the tag at `position` follow each other there, the first included."""
    most = (len(data) - position) // size
    step, count = _LOOKAHEAD, 1
    words = np.frombuffer(data, dtype="<u8", count=most * (size // 8), offset=position)[:: size // 8]
    if most < 2 or words[1] != words[0]:
        return 1
    while count < most:
        window = words[count : count + step] != words[0]
        different = int(window.argmax()) if window.any() else -1
        if different >= 0:
            return count + different
        count, step = min(most, count + step), step * 4
    return count


def _without_torn_row(data: bytes, position: int, last_row: int, rows: dict[int, list[NDArray[np.int64]]]) -> int:
    """Drop the row before `position` if its end was lost with a page: then its time is zero."""
    if last_row < 0 or _TIME.unpack_from(data, position - 8)[0] != 0.0:
        return position
    for parts in rows.values():
        if len(parts[-1]) and parts[-1][-1] == last_row:
            parts[-1] = parts[-1][:-1]
    return last_row


def _rows(data: bytes, offsets: NDArray[np.int64], words: int) -> NDArray[np.int64]:
    """Return the rows at `offsets` as a matrix of words; without a copy where they follow each other."""
    first, count = int(offsets[0]), len(offsets)
    if int(offsets[-1]) - first == (count - 1) * words * 8:
        return np.frombuffer(data, dtype="<i8", count=count * words, offset=first).reshape(count, words)
    everything = np.frombuffer(data, dtype="<i8", count=len(data) // 8)
    rows: NDArray[np.int64] = everything[(offsets // 8)[:, None] + np.arange(words)]
    return rows
