"""The object store: runs as whole objects in a bucket or a folder, on any file system that fsspec knows.

There is no server and no lock: each writer writes under names of its own. `docs/object-format.md` describes them.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Any, ClassVar

from tracklib.errors import ConfigError, NotFound, StoreError, StoreUnavailable
from tracklib.records import new_id
from tracklib.settings import defaults, load_settings
from tracklib.stores.arrow import require_arrow
from tracklib.stores.base import Compacted, RunQuery, Store
from tracklib.stores.bucket import Bucket, open_bucket
from tracklib.stores.entities import Place
from tracklib.stores.layout import BLOBS, FORMAT, VERSION, entity_key, marker_key, new_marker

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import BinaryIO

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
    from tracklib.stores.base import ArtifactQuery, FieldNames, RunTime, StoredBlob
    from tracklib.stores.blobs import BlobFolder
    from tracklib.stores.bucket_blobs import BucketBlobs
    from tracklib.stores.object_reading import ObjectReader
    from tracklib.stores.object_writing import Appender

__all__ = ["ObjectStore"]

_given: dict[str, dict[str, Any]] = {}
"""The options that a root was last opened with in this process: whoever opens it again means the same ones."""


class ObjectStore(Store):
    """Runs as objects under one root: Parquet for points, JSON lines for everything else.

    Example:
        >>> ObjectStore("s3://bucket/team").uri
        's3://bucket/team'
    """

    scheme: ClassVar[str] = "file"
    flush_interval: ClassVar[float] = 10.0
    stretch_bytes: ClassVar[int] = 4 << 20

    def __init__(self, uri: str, options: Mapping[str, Any] | None = None) -> None:
        """Note what is meant; nothing is opened yet.

        Args:
            options: What the file system is opened with; by default as the same root was opened before in this
                process, or as the settings say.

        Raises:
            ConfigError: The URI names no root, or has a password or key in it.
        """
        _refuse_secrets(uri)
        bucket = open_bucket(uri, {})
        if options:
            _given[bucket.uri] = dict(options)
        chosen = _given.get(bucket.uri)
        if chosen is None:
            chosen = load_settings(**defaults).store_options
        self.bucket: Bucket = open_bucket(bucket.uri, chosen)
        self._options = chosen
        self._ready = False
        self._preparing = Lock()
        super().__init__(bucket.uri)

    @property
    def spool(self) -> Path | None:
        """None: the root may be on another machine, or on a file system that journals must not be on."""
        return None

    # ---- writing

    def check(self) -> None:  # noqa: D102 - as in the base
        require_arrow()  # Better now than in the background, where nobody waits for it.
        try:
            self._prepare(again=True)
        except StoreUnavailable:
            raise
        except StoreError:
            # Options with which it cannot be used are not what others should mean who give none.
            _given.pop(self.uri, None)
            raise

    def _prepare(self, *, again: bool = False) -> None:
        """Make sure that the store has our format; `again` writes that down anew, which tells whether one may write."""
        from tracklib.stores.object_format import Format, read_format

        with self._preparing:
            if self._ready and not again:
                return
            try:
                found, there = read_format(self.bucket), True
            except NotFound:
                found, there = Format(VERSION, new_id()), False
            if again or not there:
                self.bucket.put(FORMAT, found.text())
            self._ready = True

    @cached_property
    def _appender(self) -> Appender:
        from tracklib.stores.object_writing import Appender

        return Appender(self.bucket)

    def position(self, run: str, writer: str) -> int:  # noqa: D102
        return self._appender.position(run, writer)

    def append(self, batch: Batch) -> int:  # noqa: D102
        self._prepare()
        return self._appender.append(batch)

    def put_project(self, project: Project) -> None:  # noqa: D102
        self._put_entity(replace(project, id=project.id or new_id()))

    def put_experiment(self, experiment: Experiment) -> None:  # noqa: D102
        self._put_entity(replace(experiment, id=experiment.id or new_id()))

    def _put_entity(self, entity: Project | Experiment | Place) -> None:
        from tracklib.stores.entities import write_entity
        from tracklib.stores.object_log import shipping_time

        self._prepare()
        marker = new_marker()
        self.bucket.put(entity_key(marker.id), write_entity(entity, shipping_time()))
        self.bucket.put(marker_key(marker), b"")

    def delete_run(self, run: str) -> None:  # noqa: D102
        from tracklib.stores.object_reading import delete_objects

        info = self.run(run)
        # What the run was gathered under stays, also for readers that never saw the run.
        self._put_entity(Place(info.project, info.experiment, info.created_at))
        delete_objects(self.bucket, run)
        self.bucket.put(marker_key(new_marker(run)), b"")

    def compact(self, *, settled_s: float = 3600.0) -> Compacted:  # noqa: D102
        from tracklib.stores.compaction import compact

        return compact(self.bucket, self._reader.catalog, self._reader.refresher, settled_s=settled_s)

    # ---- blobs

    @cached_property
    def _blobs(self) -> BlobFolder | BucketBlobs:
        from tracklib.stores.blobs import BlobFolder
        from tracklib.stores.bucket import LocalBucket
        from tracklib.stores.bucket_blobs import BucketBlobs

        if isinstance(self.bucket, LocalBucket):
            return BlobFolder(self.bucket.folder / BLOBS)
        return BucketBlobs(self.bucket)

    def put_blob(self, source: BinaryIO) -> tuple[str, int]:  # noqa: D102
        self._prepare()
        return self._blobs.put(source)

    def keep_file(self, path: Path, checksum: str) -> None:  # noqa: D102
        self._prepare()
        self._blobs.take(path, checksum)

    def put_piece(self, content: bytes, checksum: str) -> None:  # noqa: D102
        self._prepare()
        self._blobs.put_piece(content, checksum)

    def put_recipe(self, checksum: str, recipe: bytes) -> None:  # noqa: D102
        self._prepare()
        self._blobs.put_recipe(checksum, recipe)

    def claim_blob(self, checksum: str) -> bool:  # noqa: D102
        return self._blobs.claim(checksum)

    def open_blob(self, checksum: str) -> BinaryIO:  # noqa: D102
        return self._blobs.open(checksum)

    def blobs(self) -> Iterator[StoredBlob]:  # noqa: D102
        return self._blobs.listed()

    def pieces_of(self, checksums: Sequence[str]) -> set[str]:  # noqa: D102
        return self._blobs.pieces_of(checksums)

    def delete_blobs(self, blobs: Sequence[StoredBlob]) -> list[StoredBlob]:  # noqa: D102
        return self._blobs.delete(blobs)

    def now(self) -> float:  # noqa: D102
        return self._blobs.now()

    # ---- reading

    @cached_property
    def _reader(self) -> ObjectReader:
        from tracklib.stores.object_reading import ObjectReader

        return ObjectReader(self.bucket, self._options)

    @contextmanager
    def one_look(self) -> Iterator[None]:  # noqa: D102
        with self._reader.refresher.once():
            yield

    def projects(self, *, archived: bool | None = False) -> list[Project]:  # noqa: D102
        return self._reader.projects(archived=archived)

    def experiments(self, project: str | None = None, *, archived: bool | None = False) -> list[Experiment]:  # noqa: D102
        return self._reader.experiments(project, archived=archived)

    def runs(self, query: RunQuery) -> list[RunInfo]:  # noqa: D102
        return self._reader.runs(query)

    def run_times(self, query: RunQuery) -> list[RunTime]:  # noqa: D102
        return self._reader.run_times(query)

    def field_names(self, project: str | None = None, experiment: str | None = None) -> FieldNames:  # noqa: D102
        return self._reader.field_names(project, experiment)

    def run(self, run: str) -> RunInfo:  # noqa: D102
        return self._reader.run(run)

    def summaries(self, runs: Sequence[str]) -> dict[str, dict[str, Summary]]:  # noqa: D102
        return self._reader.summaries(runs)

    def series(self, run: str, name: str, *, every: bool = False) -> SeriesPoints:  # noqa: D102
        return self._reader.series(run, name, every=every)

    def artifacts(self, run: str) -> list[Artifact]:  # noqa: D102
        return self._reader.artifacts(run)

    def find_artifacts(self, query: ArtifactQuery) -> list[Artifact]:  # noqa: D102
        return self._reader.find_artifacts(query)

    def aliases(self, project: str, name: str | None = None) -> list[Alias]:  # noqa: D102
        return self._reader.aliases(project, name)

    def uses(  # noqa: D102
        self, *, run: str | None = None, project: str | None = None, name: str | None = None
    ) -> list[ArtifactUse]:
        return self._reader.uses(run=run, project=project, name=name)

    def named_blobs(self) -> set[str]:  # noqa: D102
        return self._reader.named_blobs()

    def events(self, run: str, kinds: Sequence[str] = ()) -> list[Event]:  # noqa: D102
        return self._reader.events(run, kinds)

    def export(self, run: str) -> Iterator[Batch]:  # noqa: D102
        return self._reader.export(run)

    def query(  # noqa: D102
        self, sql: str, arguments: Sequence[Any] | Mapping[str, Any] = (), *, limit: int | None = None
    ) -> SqlRows:
        return self._reader.query(sql, arguments, limit=limit)

    def close(self) -> None:  # noqa: D102
        reader = self.__dict__.get("_reader")
        if reader is not None:
            reader.close()
        self.bucket.close()


def _refuse_secrets(uri: str) -> None:
    scheme, _, rest = uri.partition("://")
    if "@" in rest.partition("/")[0]:
        shown = rest.rpartition("@")[2]
        raise ConfigError(
            f"the store {scheme}://…@{shown} has a key or password in its URI, where others would see it: give it in "
            "TRACKLIB_STORE_OPTIONS (a JSON object), in the variables of your cloud (AWS_ACCESS_KEY_ID and "
            f"AWS_SECRET_ACCESS_KEY) or in a profile (AWS_PROFILE), and name the store {scheme}://{shown}"
        )
    if "?" in rest and scheme not in {"file", "local"}:
        raise ConfigError(
            f"the store {scheme}://{rest.partition('?')[0]} has options behind a question mark: give them in "
            "TRACKLIB_STORE_OPTIONS, as a JSON object"
        )
