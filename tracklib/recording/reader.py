"""Reading a journal's segments in order, from any position: for the shipper and for recovery."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from tracklib.recording.decode import Decoded, Decoder
from tracklib.recording.format import HEADER_SIZE
from tracklib.records import Batch, RecordKind

if TYPE_CHECKING:
    from tracklib.recording.spooled import SpooledFiles
    from tracklib.stores.base import Store

__all__ = ["ReadableSegment", "SegmentReader", "ship_stretch"]


class ReadableSegment(Protocol):
    """What is needed of a segment to read it."""

    @property
    def base(self) -> int:
        """The journal position of its first record."""

    @property
    def committed(self) -> int:
        """File offset up to which it can be read."""

    def read(self, start: int, end: int) -> bytes:
        """Return the bytes between two file offsets."""


@dataclass(slots=True)
class SegmentReader:
    """Reads one segment from front to back; going back begins anew, since the schemas stand at the front."""

    segment: ReadableSegment
    offset: int = HEADER_SIZE
    _decoder: Decoder = field(default_factory=Decoder)

    @property
    def position(self) -> int:
        """The journal position of what is read next."""
        return self.segment.base + self.offset - HEADER_SIZE

    def seek(self, position: int) -> None:
        """Go to a journal position within the segment."""
        target = position - self.segment.base + HEADER_SIZE
        if target < self.offset:
            self.offset, self._decoder = HEADER_SIZE, Decoder()
        if target > self.offset:
            self._take(target)

    def take(self, most: int | None = None) -> Decoded:
        """Decode what is committed and was not read yet: some `most` bytes of it, or a larger single record."""
        committed = self.segment.committed
        while most is not None and self.offset + most < committed:
            decoded = self._take(self.offset + most)
            if decoded.end:
                return decoded
            most *= 4
        return self._take(committed)

    def peek(self, end: int) -> Decoded:
        """Decode what follows, up to a file offset, without moving."""
        return Decoder(list(self._decoder.schemas)).decode(self.segment.read(self.offset, end))

    def _take(self, end: int) -> Decoded:
        decoded = self._decoder.decode(self.segment.read(self.offset, end))
        self.offset += decoded.end
        return decoded


def ship_stretch(  # noqa: PLR0913 - a batch is told by all of these
    store: Store,
    reader: SegmentReader,
    *,
    run: str,
    writer: str,
    position: int,
    after_gap: bool = False,
    last: bool = False,
    spooled: SpooledFiles | None = None,
) -> tuple[int, Decoded]:
    """Ship what a segment holds from `position` on; return the store's new position and what was read.

    Args:
        last: Whether an end record in it means that nothing will follow.
        spooled: Where the bytes are that its records name of the source; the store gets them first.
    """
    reader.seek(position)
    start = reader.position
    decoded = reader.take(store.stretch_bytes)
    if decoded.end == 0:
        return position, decoded
    batch = Batch(
        run=run,
        writer=writer,
        start=start,
        end=start + decoded.end,
        time=decoded.last_time,
        records=decoded.records,
        groups=decoded.groups,
        scattered=decoded.scattered,
        after_gap=after_gap or start != position,
        final=last and any(record.kind == RecordKind.END for record in decoded.records),
    )
    if spooled is not None:
        spooled.bring(store, batch.records)
    return store.append(batch), decoded
