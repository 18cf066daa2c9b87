"""The readers' side of an object store: questions are asked of a local catalog, points of the objects themselves."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from tracklib.errors import CorruptData, NotFound, StoreUnavailable
from tracklib.stores import artifact_catalog, points
from tracklib.stores import catalog as tables
from tracklib.stores.base import ArtifactQuery
from tracklib.stores.layout import object_name, run_folder, tombstone_key
from tracklib.stores.object_catalog import Catalog, damaged_part
from tracklib.stores.object_export import WriterObjects, export_batches
from tracklib.stores.object_news import missing_records, records_keys, segments_of
from tracklib.stores.object_refresh import Refresher
from tracklib.stores.run_names import find_names
from tracklib.stores.run_search import find_runs, find_times
from tracklib.stores.segments import decode_rows, read_points

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tracklib.model import (
        Alias,
        Artifact,
        ArtifactUse,
        Batch,
        Event,
        Experiment,
        Project,
        RunInfo,
        SeriesPoints,
        SqlRows,
        Summary,
    )
    from tracklib.stores.base import FieldNames, RunQuery, RunTime
    from tracklib.stores.bucket import Bucket, Listed
    from tracklib.stores.segments import Rows

__all__ = ["ObjectReader", "delete_objects"]

WHOLE_BYTES: Final = 8 << 20
"""A segment up to this size is fetched as it is; of a larger one, what is needed."""
_TRIES: Final = 10
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
        self._identity = _identity(bucket.uri, options)
        self.catalog = Catalog(self._identity, volatile=bucket.protocol == "memory")
        self.refresher = Refresher(bucket, self.catalog)

    def close(self) -> None:
        """Close the catalogs."""
        self.catalog.close()
        if "_apart" in self.__dict__:
            self._apart[0].close()

    @cached_property
    def _apart(self) -> tuple[Catalog, Refresher]:
        """A catalog for runs that the other one does not know yet.

        Who asks about one run need not wait until all are known; and if the run came into the tables before the others,
        what it is gathered under would seem to be made by it.
        """
        catalog = Catalog(f"{self._identity} {id(self)}", volatile=True)
        return catalog, Refresher(self._bucket, catalog, alone=True)

    @contextmanager
    def _look(self, run: str) -> Iterator[tuple[sqlite3.Connection, dict[str, Listed]]]:
        """Give the tables that have a run as it is now, and the run's objects."""
        catalog, refresher = (self.catalog, self.refresher) if self.refresher.knows(run) else self._apart
        objects = refresher.refresh_run(run)
        with catalog.reading() as connection:
            yield connection, objects

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
            return tables.read_runs(connection, find_runs(connection, query), whole=False)

    def run_times(self, query: RunQuery) -> list[RunTime]:
        """Return when runs were made."""
        self.refresher.refresh()
        with self.catalog.reading() as connection:
            return find_times(connection, query)

    def field_names(self, project: str | None, experiment: str | None) -> FieldNames:
        """Return the names of what runs have."""
        self.refresher.refresh()
        with self.catalog.reading() as connection:
            return find_names(connection, project, experiment)

    def summaries(self, runs: Sequence[str]) -> dict[str, dict[str, Summary]]:
        """Return summaries by run and name."""
        if len(runs) == 1:
            with self._look(runs[0]) as (connection, _):
                return points.read_summaries(connection, {_key(connection, runs[0]): runs[0]})
        if runs:
            self.refresher.refresh()
        with self.catalog.reading() as connection:
            return points.read_summaries(connection, {_key(connection, run): run for run in runs})

    def find_artifacts(self, query: ArtifactQuery) -> list[Artifact]:
        """List artifacts of all runs."""
        self.refresher.refresh_artifacts()
        with self.catalog.reading() as connection:
            return artifact_catalog.find_artifacts(connection, query)

    def aliases(self, project: str, name: str | None) -> list[Alias]:
        """List what was said of aliases."""
        self.refresher.refresh_artifacts()
        with self.catalog.reading() as connection:
            return artifact_catalog.list_aliases(connection, project, name)

    def uses(self, *, run: str | None, project: str | None, name: str | None) -> list[ArtifactUse]:
        """List which runs read which artifacts."""
        self.refresher.refresh_artifacts()
        with self.catalog.reading() as connection:
            return artifact_catalog.list_uses(connection, run=run, project=project, name=name)

    def named_blobs(self) -> set[str]:
        """Return the checksum of every file that is named anywhere, by what is in the bucket now.

        Raises:
            CorruptData: Records of some run are damaged or missing.
        """
        for run, objects in self.refresher.refresh_everything().items():
            missing = missing_records(records_keys(run, objects))
            if missing is not None:
                raise CorruptData(f"{self._bucket.name(missing)} is missing: what the run {run} names is not known")
        with self.catalog.reading() as connection:
            damaged = damaged_part(connection)
            if damaged is not None:
                key, problem = damaged
                raise CorruptData(
                    f"{self._bucket.name(key)} is damaged: {problem}; what it names is not known until it is repaired "
                    "or its run is deleted"
                )
            return artifact_catalog.named_blobs(connection)

    def query(self, sql: str, arguments: Sequence[Any] | Mapping[str, Any], *, limit: int | None) -> SqlRows:
        """Ask the tables in SQL, after bringing them up to date."""
        from tracklib.stores.sql_reading import read_rows

        self.refresher.refresh_artifacts()
        return read_rows(self.catalog.path, sql, arguments, limit=limit)

    # ---- of one run

    def run(self, run: str) -> RunInfo:
        """Return a run, whole."""
        with self._look(run) as (connection, _):
            return tables.read_runs(connection, [_key(connection, run)], whole=True)[0]

    def artifacts(self, run: str) -> list[Artifact]:
        """List the artifacts of a run."""
        with self._look(run) as (connection, _):
            _key(connection, run)
            return artifact_catalog.find_artifacts(connection, ArtifactQuery(run=run))

    def events(self, run: str, kinds: Sequence[str]) -> list[Event]:
        """List the kept records of a run."""
        with self._look(run) as (connection, _):
            return tables.list_events(connection, _key(connection, run), kinds)

    def series(self, run: str, name: str, *, every: bool) -> SeriesPoints:
        """Return a series by step."""
        for _ in range(_TRIES):
            with self._look(run) as (connection, objects):
                key = _key(connection, run)
                points.check_series(connection, key, name)
                writers = connection.execute(
                    "SELECT writer, position FROM writer WHERE run_key = ? ORDER BY started_at, key", (key,)
                ).fetchall()
            wanted = [(segment, position) for writer, position in writers for segment in segments_of(objects, writer)]
            try:
                parts = [part for part in self._points(wanted, objects, name) if len(part.steps)]
            except NotFound:  # They were put together meanwhile: then there are others.
                continue
            return points.merged_points(parts, every=every)
        raise StoreUnavailable(f"the points of run {run} are being put together again and again: try later")

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
            except NotFound as error:
                raise StoreUnavailable(f"{error}: it was just put together with others; call again") from error
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
