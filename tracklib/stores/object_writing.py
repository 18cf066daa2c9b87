"""The writers' side of an object store: batches become objects under names that nobody else writes to."""

from __future__ import annotations

from dataclasses import replace
from threading import RLock
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from tracklib.errors import CorruptData, NotFound
from tracklib.records import RecordKind, RunStatus
from tracklib.stores.base import is_next
from tracklib.stores.claims import versioned
from tracklib.stores.layout import marker_key, new_marker, object_name, records_key, run_folder, segment_key
from tracklib.stores.object_claims import Claimer
from tracklib.stores.object_log import WriterLog, log_of, parse_records, shipping_time
from tracklib.stores.segments import Rows, decode_rows, encode_rows

if TYPE_CHECKING:
    from tracklib.records import Batch
    from tracklib.stores.bucket import Bucket
    from tracklib.stores.object_log import WriterState

__all__ = ["Appender"]

FORGET_SECONDS: Final = 300.0
"""What is known of objects that were written so long ago is looked up again: somebody may have merged them."""

_NEWS: Final = frozenset({RecordKind.START, RecordKind.END})


class Appender:
    """Appends batches to the objects of their writers.

    Points are written first, under the journal position at which their batch began. They count once the object of
    records says that the writer is behind that position: the one write of it takes the batch in whole. Versions of
    artifacts are claimed before that, so that records tell them and readers need no claims; a second time is harmless.
    """

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._claimer = Claimer(bucket)
        self._logs: dict[tuple[str, str], WriterLog] = {}
        self._owed: dict[tuple[str, str], None] = {}
        self._lock = RLock()

    def position(self, run: str, writer: str) -> int:
        """Return how far the bucket is in a writer's journal."""
        with self._lock:
            return self._log(run, writer).state.position

    def append(self, batch: Batch) -> int:
        """Add a batch; see `Store.append`."""
        key = batch.run, batch.writer
        with self._lock:
            log = self._log(*key)
            if is_next(batch, log.state.position):
                batch = versioned(batch, self._claimer.claim)
                # Whatever happens now, what is there afterwards is looked up again.
                self._logs.pop(key, None)
                before = log.state
                log = self._written(log.rolled().extended(batch, shipping_time()), batch)
                self._logs[key] = log
                silent = log.state.written - before.written > FORGET_SECONDS
                if silent or before.status != RunStatus.RUNNING or any(r.kind in _NEWS for r in batch.records):
                    self._owed[key] = None
            self._pay(*key)
            if batch.final:
                self._logs.pop(key, None)
            return log.state.position

    def _pay(self, run: str, writer: str) -> None:
        """Leave the marker by which readers see that a run begins, ends or goes on, if one is due."""
        if (run, writer) in self._owed:
            self._bucket.put(marker_key(new_marker(run)), b"")
            del self._owed[run, writer]

    def _written(self, log: WriterLog, batch: Batch) -> WriterLog:
        if batch.points:
            segment = segment_key(batch.run, batch.writer, log.state.segments - 1)
            self._bucket.put(segment, encode_rows(log.tail, batch.run))
        token = self._bucket.put(records_key(batch.run, batch.writer, log.number), log.text())
        return replace(log, token=token)

    def _log(self, run: str, writer: str) -> WriterLog:
        """Return what there is of a writer: as it was written here last if nobody else did since, else as it is."""
        known = self._logs.get((run, writer))
        fresh = known is not None and shipping_time() - known.state.written < FORGET_SECONDS
        if known is not None and fresh and self._is_current(run, writer, known):
            return known
        log = self._logs[run, writer] = self._loaded(run, writer)
        return log

    def _is_current(self, run: str, writer: str, log: WriterLog) -> bool:
        following = log.rolled()
        if (
            following.number != log.number
            and self._bucket.token(records_key(run, writer, following.number)) is not None
        ):
            return False
        return self._bucket.token(records_key(run, writer, log.number)) == log.token

    def _loaded(self, run: str, writer: str) -> WriterLog:
        objects = self._bucket.list(f"{run_folder(run)}/records", f"{quote(writer, safe='')}-")
        numbers = [name.first for key in objects if (name := object_name(key)) is not None and name.writer == writer]
        if not numbers:
            return WriterLog()
        number = max(numbers)
        key = records_key(run, writer, number)
        try:
            text = parse_records(self._bucket.get(key))
            tail = self._tail(run, writer, text.state) if text.state else Rows.none()
            log = log_of(number, text, tail, objects[key].token)
        except CorruptData as error:
            raise CorruptData(
                f"{self._bucket.name(key)} cannot be gone on with: {error}; move it away to ship this writer's "
                "journal anew"
            ) from error
        return log

    def _tail(self, run: str, writer: str, state: WriterState) -> Rows:
        """Return the points of the last segment that count; none where it is no more, since it was merged."""
        if not state.segments:
            return Rows.none()
        try:
            return decode_rows(self._bucket.get(segment_key(run, writer, state.segments - 1))).before(state.position)
        except NotFound:
            return Rows.none()
