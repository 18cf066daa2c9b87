"""The embedded store: one SQLite file, with the blobs and the spool in folders beside it.

Whoever starts a run opens a store to see whether it can be used, so what needs NumPy is imported where it is used.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from tracklib.errors import ConfigError, NotFound
from tracklib.stores.base import ArtifactQuery, RunQuery, Store, is_next
from tracklib.stores.connection import SqliteFile

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Mapping, Sequence
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
    from tracklib.stores.base import FieldNames, RunTime, StoredBlob
    from tracklib.stores.blobs import BlobFolder

__all__ = ["SqliteStore"]


class SqliteStore(Store):
    """Runs in one SQLite file that any SQL tool can read. `docs/store-format.md` describes its tables.

    Any number of processes of one machine read and write it at once (write-ahead log). It is refused on network
    file systems, where that log does not work.

    Example:
        >>> SqliteStore("sqlite:////tmp/runs/tracklib.db").path
        PosixPath('/tmp/runs/tracklib.db')
    """

    scheme: ClassVar[str] = "sqlite"

    def __init__(self, uri: str) -> None:
        """Parse the URI; nothing is opened yet.

        Raises:
            ConfigError: The URI has no path, or a host.
        """
        super().__init__(uri)
        path = uri.removeprefix("sqlite:///")
        if path == uri or not path or path.endswith("/"):
            raise ConfigError(
                f"the store {uri!r} names no file: write sqlite:///relative/path.db or, with four slashes, "
                "sqlite:////absolute/path.db"
            )
        # A relative path means what it means now, wherever the program or its children go later.
        self.path = Path(path).absolute()
        self.uri = f"sqlite:///{self.path}"
        self._file = SqliteFile(self.path)
        self._series: dict[int, dict[str, int]] = {}
        self._generation = -1

    @property
    def _blobs(self) -> BlobFolder:
        """The folder `blobs` beside the file."""
        from tracklib.stores.blobs import BlobFolder

        return BlobFolder(self.path.parent / "blobs")

    @property
    def spool(self) -> Path:
        """The folder `spool` beside the file."""
        return self.path.parent / "spool"

    # ---- writing

    def check(self) -> None:  # noqa: D102 - as in the base
        self._file.check()

    def position(self, run: str, writer: str) -> int:  # noqa: D102
        from tracklib.stores.fold import find_writer

        try:
            with self._file.reading() as connection:
                found = find_writer(connection, run, writer)
        except NotFound:  # There is no file yet.
            found = None
        return found.position if found else 0

    def append(self, batch: Batch) -> int:  # noqa: D102
        from tracklib.stores import points
        from tracklib.stores.claims import claim_in_tables, versioned
        from tracklib.stores.fold import add_writer, apply_record, find_writer

        with self._file.writing() as connection:
            self._forget_stale()
            found = find_writer(connection, batch.run, batch.writer)
            position = found.position if found else 0
            if not is_next(batch, position):
                return position
            run, writer, _ = found or add_writer(connection, batch)
            if not found:
                # The keys of a run that was deleted are given out again.
                self._series.pop(run, None)
            known = self._series.setdefault(run, {})
            points.series_ids(connection, run, batch.names, known)
            for record in versioned(batch, partial(claim_in_tables, connection)).records:
                apply_record(connection, run, (writer, batch.writer), record)
            points.add_points(connection, writer, batch, known)
            connection.execute(
                "UPDATE writer SET position = ?, heartbeat_at = max(heartbeat_at, ?) WHERE key = ?",
                (batch.end, batch.time, writer),
            )
        if batch.final:
            # What was shipped will be deleted from the journal, so it must be on the disk by then.
            self._series.pop(run, None)
            self._file.checkpoint()
        return batch.end

    def put_project(self, project: Project) -> None:  # noqa: D102
        from tracklib.stores import catalog

        with self._file.writing() as connection:
            catalog.put_project(connection, project)

    def put_experiment(self, experiment: Experiment) -> None:  # noqa: D102
        from tracklib.stores import catalog

        with self._file.writing() as connection:
            catalog.put_experiment(connection, experiment)

    def put_blob(self, source: BinaryIO) -> tuple[str, int]:  # noqa: D102
        return self._blobs.put(source)

    def keep_file(self, path: Path, checksum: str) -> None:  # noqa: D102
        self._blobs.take(path, checksum)

    def put_piece(self, content: bytes, checksum: str) -> None:  # noqa: D102
        self._blobs.put_piece(content, checksum)

    def put_recipe(self, checksum: str, recipe: bytes) -> None:  # noqa: D102
        self._blobs.put_recipe(checksum, recipe)

    def claim_blob(self, checksum: str) -> bool:  # noqa: D102
        return self._blobs.claim(checksum)

    def blobs(self) -> Iterator[StoredBlob]:  # noqa: D102
        return self._blobs.listed()

    def pieces_of(self, checksums: Sequence[str]) -> set[str]:  # noqa: D102
        return self._blobs.pieces_of(checksums)

    def delete_blobs(self, blobs: Sequence[StoredBlob]) -> list[StoredBlob]:  # noqa: D102
        return self._blobs.delete(blobs)

    def now(self) -> float:  # noqa: D102
        return self._blobs.now()

    def delete_run(self, run: str) -> None:  # noqa: D102
        from tracklib.stores.deletion import remove_run

        with self._file.reading() as connection:  # Where there is no file yet, none is made.
            _key(connection, run)
        with self._file.writing() as connection:
            key = _key(connection, run)
            remove_run(connection, key)
        self._series.pop(key, None)
        self._file.checkpoint()

    # ---- reading

    def projects(self, *, archived: bool | None = False) -> list[Project]:  # noqa: D102
        from tracklib.stores import catalog

        with self._file.reading() as connection:
            return catalog.list_projects(connection, archived=archived)

    def experiments(self, project: str | None = None, *, archived: bool | None = False) -> list[Experiment]:  # noqa: D102
        from tracklib.stores import catalog

        with self._file.reading() as connection:
            return catalog.list_experiments(connection, project, archived=archived)

    def runs(self, query: RunQuery) -> list[RunInfo]:  # noqa: D102
        from tracklib.stores import catalog
        from tracklib.stores.run_search import find_runs

        with self._file.reading() as connection:
            return catalog.read_runs(connection, find_runs(connection, query), whole=False)

    def run_times(self, query: RunQuery) -> list[RunTime]:  # noqa: D102
        from tracklib.stores.run_search import find_times

        with self._file.reading() as connection:
            return find_times(connection, query)

    def field_names(self, project: str | None = None, experiment: str | None = None) -> FieldNames:  # noqa: D102
        from tracklib.stores.run_names import find_names

        with self._file.reading() as connection:
            return find_names(connection, project, experiment)

    def run(self, run: str) -> RunInfo:  # noqa: D102
        from tracklib.stores import catalog

        with self._file.reading() as connection:
            return catalog.read_runs(connection, [_key(connection, run)], whole=True)[0]

    def summaries(self, runs: Sequence[str]) -> dict[str, dict[str, Summary]]:  # noqa: D102
        from tracklib.stores import points

        with self._file.reading() as connection:
            keys = {_key(connection, run): run for run in runs}
            return points.read_summaries(connection, keys)

    def series(self, run: str, name: str, *, every: bool = False) -> SeriesPoints:  # noqa: D102
        from tracklib.stores import points

        with self._file.reading() as connection:
            return points.read_series(connection, _key(connection, run), name, every=every)

    def artifacts(self, run: str) -> list[Artifact]:  # noqa: D102
        from tracklib.stores.artifact_catalog import find_artifacts

        with self._file.reading() as connection:
            _key(connection, run)
            return find_artifacts(connection, ArtifactQuery(run=run))

    def find_artifacts(self, query: ArtifactQuery) -> list[Artifact]:  # noqa: D102
        from tracklib.stores.artifact_catalog import find_artifacts

        with self._file.reading() as connection:
            return find_artifacts(connection, query)

    def aliases(self, project: str, name: str | None = None) -> list[Alias]:  # noqa: D102
        from tracklib.stores.artifact_catalog import list_aliases

        with self._file.reading() as connection:
            return list_aliases(connection, project, name)

    def uses(  # noqa: D102
        self, *, run: str | None = None, project: str | None = None, name: str | None = None
    ) -> list[ArtifactUse]:
        from tracklib.stores.artifact_catalog import list_uses

        with self._file.reading() as connection:
            return list_uses(connection, run=run, project=project, name=name)

    def named_blobs(self) -> set[str]:  # noqa: D102
        from tracklib.stores.artifact_catalog import named_blobs

        with self._file.reading() as connection:
            return named_blobs(connection)

    def events(self, run: str, kinds: Sequence[str] = ()) -> list[Event]:  # noqa: D102
        from tracklib.stores import catalog

        with self._file.reading() as connection:
            return catalog.list_events(connection, _key(connection, run), kinds)

    def export(self, run: str) -> Iterator[Batch]:  # noqa: D102
        from tracklib.stores.exporting import export_run

        with self._file.reading() as connection:
            _key(connection, run)
        # Through a connection of its own: others use this instance while the batches are being taken.
        return export_run(SqliteFile(self.path), run)

    def query(  # noqa: D102
        self, sql: str, arguments: Sequence[Any] | Mapping[str, Any] = (), *, limit: int | None = None
    ) -> SqlRows:
        from tracklib.stores.sql_reading import read_rows

        with self._file.reading():  # It is there, is ours, and has the tables of this version.
            pass
        return read_rows(self.path, sql, arguments, limit=limit)

    def open_blob(self, checksum: str) -> BinaryIO:  # noqa: D102
        return self._blobs.open(checksum)

    def close(self) -> None:  # noqa: D102
        self._file.close()

    def _forget_stale(self) -> None:
        """Drop ids that were read from a file that is no more, or in a transaction that did not come to pass."""
        if self._generation != self._file.generation:
            self._series.clear()
            self._generation = self._file.generation


def _key(connection: sqlite3.Connection, run: str) -> int:
    row = connection.execute("SELECT key FROM run WHERE id = ?", (run,)).fetchone()
    if row is None:
        raise NotFound(f"the store has no run {run!r}")
    return int(row[0])
