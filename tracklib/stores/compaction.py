"""Keeping an object store quick to read: a snapshot for new readers, and small segments put together."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from tracklib.errors import CorruptData, NotFound
from tracklib.records import id_time, is_id, new_id
from tracklib.stores.base import Compacted
from tracklib.stores.layout import (
    CHANGES,
    RUNS,
    SNAPSHOTS,
    Marker,
    first_id,
    object_name,
    segment_key,
    snapshot_key,
    tombstone_key,
)
from tracklib.stores.object_news import segments_of
from tracklib.stores.object_refresh import OVERLAP_SECONDS, STALE_SECONDS
from tracklib.stores.segments import Rows, decode_rows, encode_rows, joined
from tracklib.stores.snapshots import dump_snapshot

if TYPE_CHECKING:
    import sqlite3

    from tracklib.stores.bucket import Bucket, Listed
    from tracklib.stores.object_catalog import Catalog
    from tracklib.stores.object_refresh import Refresher

__all__ = ["compact"]

MERGED_ROWS: Final = 4_000_000
"""Segments are put together up to so many points: some 150 MB while it is done."""

KEPT_SNAPSHOTS: Final = 2
SNAPSHOT_SECONDS: Final = 86_400.0
"""Older snapshots are deleted after so long: somebody may be reading one."""

MARKER_SECONDS: Final = 2 * STALE_SECONDS + OVERLAP_SECONDS
"""Markers are deleted after so long: a reader that was away for longer begins with a snapshot."""


def compact(bucket: Bucket, catalog: Catalog, refresher: Refresher, *, settled_s: float) -> Compacted:
    """Write a snapshot, put segments together, and delete what nobody needs any more; see `Store.compact`.

    Every step can be broken off, and done by several at once: what is new is there before what is old goes.
    """
    refresher.refresh()
    with catalog.reading() as connection:
        runs = int(connection.execute("SELECT count(*) FROM run").fetchone()[0])
        snapshot = dump_snapshot(connection)
        settled = _settled(connection, time.time() - settled_s)
    bucket.put(snapshot_key(new_id()), snapshot)
    objects = bucket.list(RUNS)
    merged, replaced = _merge(bucket, refresher, objects, settled)
    old = [*replaced, *_leftovers(objects), *_old_snapshots(bucket), *_old_markers(bucket)]
    if old:
        bucket.delete(old)
    return Compacted(runs=runs, merged=merged, deleted=len(old))


def _settled(connection: sqlite3.Connection, before: float) -> dict[str, dict[str, int]]:
    """Return the runs that nobody writes to any more: by run and writer how far the writer is."""
    rows = connection.execute(
        "SELECT run.id, writer, position FROM run JOIN object_run ON object_run.id = run.id"
        " JOIN writer ON run_key = run.key WHERE NOT live AND written < ?",
        (before,),
    )
    found: dict[str, dict[str, int]] = {}
    for run, writer, position in rows:
        found.setdefault(run, {})[writer] = position
    return found


def _merge(
    bucket: Bucket, refresher: Refresher, objects: dict[str, Listed], settled: dict[str, dict[str, int]]
) -> tuple[int, list[str]]:
    """Put segments together; return how many, and the names of those that are needed no more."""
    by_run: dict[str, dict[str, Listed]] = {}
    for key, listed in objects.items():
        by_run.setdefault(key.split("/")[1], {})[key] = listed
    merged, replaced = 0, []
    for run, writers in settled.items():
        mine = by_run.get(run, {})
        for writer, position in writers.items():
            segments = segments_of(mine, writer)
            # What an earlier compaction had put together before it was broken off.
            replaced += [key for key in mine if _is_segment(key, writer) and key not in segments]
            for group in _groups(segments, mine):
                try:
                    _merge_group(bucket, run, group, position)
                except NotFound:  # Somebody else has just done it.
                    continue
                except CorruptData as error:
                    refresher.news.tell(group[0], mine[group[0]].token, f"{error}; its segments stay as they are")
                    continue
                merged += len(group)
                replaced += group
    return merged, replaced


def _is_segment(key: str, writer: str) -> bool:
    name = object_name(key)
    return name is not None and name.kind == "metrics" and name.writer == writer


def _groups(segments: list[str], objects: dict[str, Listed]) -> list[list[str]]:
    """Return neighbours that together are not too large, two at least."""
    most = MERGED_ROWS * 4  # Of bytes: a point takes four or more.
    groups: list[list[str]] = []
    size = most
    for key in segments:
        size += objects[key].size
        if size > most:
            groups.append([])
            size = objects[key].size
        groups[-1].append(key)
    return [group for group in groups if len(group) > 1]


def _merge_group(bucket: Bucket, run: str, group: list[str], position: int) -> None:
    parts: list[Rows] = [decode_rows(bucket.get(key)).before(position) for key in group]
    names = [object_name(key) for key in group]
    first, last = names[0], names[-1]
    assert first is not None
    assert last is not None  # They come from `segments_of`.
    bucket.put(segment_key(run, first.writer, first.first, last.last), encode_rows(joined(parts), run))


def _leftovers(objects: dict[str, Listed]) -> list[str]:
    """Return what was not deleted of runs that were."""
    deleted = {key.split("/")[1] for key in objects if key == tombstone_key(key.split("/")[1])}
    return [key for key in objects if (run := key.split("/")[1]) in deleted and key != tombstone_key(run)]


def _old_snapshots(bucket: Bucket) -> list[str]:
    keys = sorted(key for key in bucket.list(SNAPSHOTS) if is_id(_name(key)))
    return [key for key in keys[:-KEPT_SNAPSHOTS] if id_time(_name(key)) < time.time() - SNAPSHOT_SECONDS]


def _name(key: str) -> str:
    return key.rpartition("/")[2].removesuffix(".parquet")


def _old_markers(bucket: Bucket) -> list[str]:
    oldest = first_id(time.time() - MARKER_SECONDS)
    named = ((Marker.of(_name(key)), key) for key in bucket.list(CHANGES))
    return [key for marker, key in named if marker is not None and marker.id < oldest]
