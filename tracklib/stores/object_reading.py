"""The readers' side of an object store: questions are asked of a local catalog, points of the objects themselves."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Final

from tracklib.errors import CorruptData, NotFound
from tracklib.stores import catalog as tables
from tracklib.stores import points
from tracklib.stores.layout import object_name, run_folder, tombstone_key
from tracklib.stores.object_catalog import Catalog
from tracklib.stores.object_export import WriterObjects, export_batches
from tracklib.stores.object_news import segments_of
from tracklib.stores.object_refresh import Refresher
from tracklib.stores.segments import decode_rows, read_points

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tracklib.model import Artifact, Batch, Event, Experiment, Project, RunInfo, SeriesPoints, Summary
    from tracklib.stores.base import RunQuery
    from tracklib.stores.bucket import Bucket, Listed
    from tracklib.stores.segments import Rows

__all__ = ["ObjectReader", "delete_objects"]

WHOLE_BYTES: Final = 8 << 20
"""A segment up to this size is fetched as it is; of a larger one, what is needed."""
_TOGETHER: Final = 16
"""So many segments are fetched side by side."""


class ObjectReader:
    """Answers what a store is asked.

    Attributes:
        catalog: The tables.
        refresher: What brings them up to date.
    """

    def __init__(self, bucket: Bucket, options: Mapping[str, Any]) -> None:
        self._bucket = bucket
        self.catalog = Catalog(_identity(bucket.uri, options), volatile=bucket.protocol == "memory")
        self.refresher = Refresher(bucket, self.catalog)

    def close(self) -> None:
        """Close the catalog."""
        self.catalog.close()

    # ---- of all runs

    def projects(self, *, archived: bool | None) -> list[Project]:
        """List projects."""
        self.refresher.refresh()
        with self.catalog.reading() as connection:
            return tables.list_projects(connection, archived=archived)

    def experiments(self, project: str | None, *, archived: bool | None) -> list[Experiment]:
        """List experiments."""
        self.refresher.refresh()
        with self.catalog.reading() as connection:
            return tables.list_experiments(connection, project, archived=archived)

    def runs(self, query: RunQuery) -> list[RunInfo]:
        """List runs."""
        self.refresher.refresh()
        with self.catalog.reading() as connection:
            return tables.read_runs(connection, tables.find_runs(connection, query), whole=False)

    def summaries(self, runs: Sequence[str]) -> dict[str, dict[str, Summary]]:
        """Return summaries by run and name."""
        if len(runs) == 1:
            self.refresher.refresh_run(runs[0])
        elif runs:
            self.refresher.refresh()
        with self.catalog.reading() as connection:
            return points.read_summaries(connection, {_key(connection, run): run for run in runs})

    # ---- of one run

    def run(self, run: str) -> RunInfo:
        """Return a run, whole."""
        self.refresher.refresh_run(run)
        with self.catalog.reading() as connection:
            return tables.read_runs(connection, [_key(connection, run)], whole=True)[0]

    def artifacts(self, run: str) -> list[Artifact]:
        """List the artifacts of a run."""
        self.refresher.refresh_run(run)
        with self.catalog.reading() as connection:
            return tables.list_artifacts(connection, _key(connection, run), run)

    def events(self, run: str, kinds: Sequence[str]) -> list[Event]:
        """List the kept records of a run."""
        self.refresher.refresh_run(run)
        with self.catalog.reading() as connection:
            return tables.list_events(connection, _key(connection, run), kinds)

    def series(self, run: str, name: str, *, every: bool) -> SeriesPoints:
        """Return a series by step."""
        while True:
            objects = self.refresher.refresh_run(run)
            with self.catalog.reading() as connection:
                key = _key(connection, run)
                points.check_series(connection, key, name)
                writers = connection.execute(
                    "SELECT writer, position FROM writer WHERE run_key = ? ORDER BY started_at, key", (key,)
                ).fetchall()
            wanted = [(segment, position) for writer, position in writers for segment in segments_of(objects, writer)]
            try:
                parts = [part for part in self._points(wanted, objects, name) if len(part.steps)]
            except NotFound:  # They were merged meanwhile: then there are others.
                continue
            return points.merged_points(parts, every=every)

    def _points(self, wanted: list[tuple[str, int]], objects: dict[str, Listed], name: str) -> Iterator[SeriesPoints]:
        for start in range(0, len(wanted), _TOGETHER):
            part = wanted[start : start + _TOGETHER]
            small = self._bucket.get_many(key for key, _ in part if objects[key].size <= WHOLE_BYTES)
            for key, position in part:
                data = small.get(key)
                if isinstance(data, Exception):
                    raise data
                try:
                    yield read_points(data, name, position) if data is not None else self._range(key, name, position)
                except CorruptData as error:
                    self.refresher.news.tell(key, objects[key].token, str(error))

    def _range(self, key: str, name: str, position: int) -> SeriesPoints:
        with self._bucket.open(key) as file:
            return read_points(file, name, position)

    # ---- copies

    def export(self, run: str) -> Iterator[Batch]:
        """Yield the batches of a run."""
        objects = self._bucket.list(run_folder(run))
        texts = self.refresher.news.whole(run, objects)
        if not texts:
            raise NotFound(f"the store has no run {run!r}")
        writers = []
        for writer, (state, records) in texts.items():
            segments = self._rows(segments_of(objects, writer), objects, state.position)
            writers.append(WriterObjects(writer, state, records, segments))
        yield from export_batches(run, writers)

    def _rows(self, segments: Iterable[str], objects: dict[str, Listed], position: int) -> Iterator[Rows]:
        for key in segments:
            try:
                rows = decode_rows(self._bucket.get(key)).before(position)
            except CorruptData as error:
                self.refresher.news.tell(key, objects[key].token, str(error))
                continue
            if len(rows):
                yield rows


def delete_objects(bucket: Bucket, run: str) -> None:
    """Delete the objects of a run, and leave one that says so.

    Raises:
        NotFound: There is no such run.
    """
    objects = bucket.list(run_folder(run))
    if not objects or tombstone_key(run) in objects:
        raise NotFound(f"the store has no run {run!r}")
    # First: from then on no reader sees a part of it, also where this is broken off.
    bucket.put(tombstone_key(run), b'{"deleted":true}\n')
    bucket.delete([key for key in objects if object_name(key) is not None])


def _identity(uri: str, options: Mapping[str, Any]) -> str:
    """Return what tells a root from others: the same name on two servers means two stores."""
    client = options.get("client_kwargs") or {}
    endpoint = options.get("endpoint_url") or client.get("endpoint_url")
    endpoint = endpoint or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
    return json.dumps([uri, str(endpoint)])


def _key(connection: sqlite3.Connection, run: str) -> int:
    row = connection.execute("SELECT key FROM run WHERE id = ?", (run,)).fetchone()
    if row is None:
        raise NotFound(f"the store has no run {run!r}")
    return int(row[0])
