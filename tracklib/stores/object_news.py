"""Reading the objects of runs: what is new in them since the last time, and what is wrong with them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from tracklib.errors import CorruptData, NotFound
from tracklib.stores.entities import parse_entity
from tracklib.stores.layout import object_name, records_key, tombstone_key
from tracklib.stores.object_catalog import Part
from tracklib.stores.object_fold import RunNews, WriterNews, digest_of
from tracklib.stores.object_log import estimated_state, parse_records
from tracklib.stores.segments import decode_rows, joined

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracklib.errors import TracklibError
    from tracklib.stores.bucket import Bucket, Listed
    from tracklib.stores.entities import EntityPut
    from tracklib.stores.object_log import RecordsText, ToldRecord, WriterState

    Listings = dict[str, dict[str, Listed]]

__all__ = ["ObjectNews", "missing_records", "records_keys", "segments_of"]

_log = logging.getLogger("tracklib")


class ObjectNews:
    """Reads objects, and says once of each damaged one that it is passed over."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._told: set[tuple[str, str]] = set()

    def of_runs(
        self, changed: dict[str, list[str]], listings: Listings, known: dict[str, dict[str, Part]]
    ) -> list[RunNews]:
        """Return what is new of runs, given with the names of their objects of records."""
        fresh = [
            key
            for run, keys in changed.items()
            for key in keys
            if key not in (parts := known.get(run, {})) or parts[key].token != listings[run][key].token
        ]
        texts = self._texts(fresh, listings)
        again = [run for run, keys in changed.items() if not _goes_on(keys, known.get(run, {}), texts)]
        # What is told from the beginning takes all of its objects.
        texts |= self._texts([key for run in again for key in changed[run] if key not in texts], listings)
        result = []
        for run, keys in changed.items():
            before = {} if run in again else known.get(run, {})
            writers = self._writers(keys, before, texts, listings[run])
            read = [key for key in keys if key in texts]
            parts = {key: _part(texts[key], listings[run][key].token) for key in read}
            result.append(RunNews(run, anew=not before, writers=writers, parts=parts))
        return result

    def whole(self, run: str, objects: dict[str, Listed]) -> dict[str, tuple[WriterState, list[ToldRecord]]]:
        """Return by writer its state and all of its records, read now."""
        keys = records_keys(run, objects)
        texts = self._texts(keys, {run: objects})
        return {news.writer: (news.state, news.records) for news in self._writers(keys, {}, texts, objects)}

    def of_entities(self, keys: Iterable[str]) -> list[EntityPut]:
        """Return what objects say of projects and experiments."""
        found = []
        for key, data in self._bucket.get_many(keys).items():
            try:
                found.append(parse_entity(_bytes(data)))
            except NotFound:
                continue
            except (ValueError, CorruptData) as error:
                self.tell(key, "", str(error))
        return found

    def tell(self, key: str, token: str, problem: str) -> None:
        """Say once that an object is damaged."""
        if (key, token) not in self._told:
            self._told.add((key, token))
            _log.warning("the object %s is damaged and is passed over: %s", self._bucket.name(key), problem)

    def _writers(
        self,
        keys: list[str],
        before: dict[str, Part],
        texts: dict[str, RecordsText],
        objects: dict[str, Listed],
    ) -> list[WriterNews]:
        """Return what is new of each writer of a run, whose objects are given in the order of their numbers."""
        found: dict[str, WriterNews] = {}
        for key in keys:
            text, name = texts.get(key), object_name(key)
            if text is None or name is None:  # It has not changed, or was deleted since it was listed.
                continue
            told = found.get(name.writer)
            skip = before[key].lines if key in before else 0
            records = [*(told.records if told else []), *text.records[skip:]]
            state = text.state or (told.state if told else self._estimated(name.writer, text, objects))
            found[name.writer] = WriterNews(name.writer, state, records)
        return list(found.values())

    def _estimated(self, writer: str, text: RecordsText, objects: dict[str, Listed]) -> WriterState:
        """Return what can be said of a writer whose state cannot be read: all of its points count."""
        segments = segments_of(objects, writer)
        rows = []
        for key, data in self._bucket.get_many(segments).items():
            try:
                rows.append(decode_rows(_bytes(data)))
            except (CorruptData, NotFound) as error:
                self.tell(key, objects[key].token, str(error))
        return estimated_state(text, joined(rows))

    def _texts(self, keys: list[str], listings: Listings) -> dict[str, RecordsText]:
        texts = {}
        for key, data in self._bucket.get_many(keys).items():
            try:
                texts[key] = parse_records(_bytes(data))
            except NotFound:  # It was deleted meanwhile.
                continue
            if texts[key].problems:
                self.tell(key, listings[key.split("/")[1]][key].token, "; ".join(texts[key].problems))
        return texts


def _part(text: RecordsText, token: str) -> Part:
    return Part(token, len(text.records), digest_of(text.records), "; ".join(text.problems))


def _bytes(data: bytes | TracklibError) -> bytes:
    if isinstance(data, bytes):
        return data
    raise data


def records_keys(run: str, objects: dict[str, Listed]) -> list[str]:
    """Return the names of a run's objects of records, in the order of their numbers; none of a run that was deleted."""
    if tombstone_key(run) in objects:
        return []
    named = ((object_name(key), key) for key in objects)
    return [key for _, key in sorted((name, key) for name, key in named if name is not None and name.kind == "records")]


def missing_records(keys: Iterable[str]) -> str | None:
    """Return the name of an object of records that must be there, since the writer wrote later ones; None if all are.

    Example:
        >>> missing_records([f"runs/r/records/0-{number}.jsonl" for number in (0, 2)])
        'runs/r/records/0-1.jsonl'
    """
    following: dict[str, int] = {}
    for key in keys:
        name = object_name(key)
        assert name is not None  # They come from `records_keys`.
        if name.first != following.get(name.writer, 0):
            return records_key(key.split("/")[1], name.writer, following.get(name.writer, 0))
        following[name.writer] = name.first + 1
    return None


def _goes_on(keys: list[str], known: dict[str, Part], texts: dict[str, RecordsText]) -> bool:
    """Tell whether what was read begins with what is in the tables: what was repaired stands before that."""
    return (
        bool(known)
        and known.keys() <= set(keys)
        and not _has_come_back(keys, known)
        and all(
            not part.problem and digest_of(texts[key].records[: part.lines]) == part.digest
            for key, part in known.items()
            if key in texts
        )
    )


def _has_come_back(keys: list[str], known: dict[str, Part]) -> bool:
    """Tell whether a writer has an object that was not there when later ones were read."""
    names = [object_name(key) for key in keys]
    pairs = zip(keys, keys[1:], names, names[1:], strict=False)
    return any(
        key not in known and later in known and name and other and name.writer == other.writer
        for key, later, name, other in pairs
    )


def segments_of(objects: Iterable[str], writer: str) -> list[str]:
    """Return a writer's segments of points in their order; those that were merged into another one are left out.

    Example:
        >>> segments_of([f"runs/r/metrics/0-{part}.parquet" for part in ("0", "1", "0_1", "2")], "0")
        ['runs/r/metrics/0-0_1.parquet', 'runs/r/metrics/0-2.parquet']
    """
    named = ((object_name(key), key) for key in objects)
    mine = [(name, key) for name, key in named if name and name.kind == "metrics" and name.writer == writer]
    # Of those that begin with the same number the longest comes first.
    mine.sort(key=lambda pair: (pair[0].first, -pair[0].last))
    chosen: list[str] = []
    reached = -1
    for name, key in mine:
        if name.last > reached:
            chosen.append(key)
            reached = name.last
    return chosen
