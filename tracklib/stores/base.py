"""What a store is, and how a URI becomes one."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from tracklib.errors import ConfigError, CorruptData, StoreError
from tracklib.stores.questions import ArtifactQuery, FieldNames, RunQuery, RunTime

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import BinaryIO, Self

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

__all__ = [
    "OBJECTS",
    "SCHEMES",
    "ArtifactQuery",
    "Compacted",
    "FieldNames",
    "RunQuery",
    "RunTime",
    "Store",
    "StoredBlob",
    "default_uri",
    "is_next",
    "open_store",
]

OBJECTS: Final = "tracklib.stores.objects:ObjectStore"

SCHEMES: dict[str, str] = {
    "file": OBJECTS,
    "memory": OBJECTS,
    "s3": OBJECTS,
    "sqlite": "tracklib.stores.sqlite:SqliteStore",
}
"""URI scheme to `module:Class`. Other file systems that fsspec knows are object stores as well."""

_READ_ONLY: Final = frozenset(
    {"data", "ftp", "generic", "git", "github", "http", "https", "jlab", "jupyter", "reference", "zip"}
)
"""What fsspec knows and no run can be written to. Web addresses are meant for servers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBlob:
    """Bytes that a store keeps, or the recipe of a file that it keeps in pieces.

    Attributes:
        checksum: SHA-256 in hexadecimal of the bytes; of a recipe, that of the file.
        size: Bytes that it takes.
        changed_at: When it was written, or asked for by somebody about to name it, by the clock of the store.
        is_recipe: Whether it is a recipe.
    """

    checksum: str
    size: int
    changed_at: float
    is_recipe: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Compacted:
    """What was done to keep a store quick to read.

    Attributes:
        runs: How many runs the new snapshot holds; 0 where the store needs none.
        merged: How many segments of points became part of larger ones.
        deleted: How many objects were deleted that nobody needs any more.
    """

    runs: int = 0
    merged: int = 0
    deleted: int = 0


class Store(ABC):
    """Where runs live. Writers append to it, readers ask it; nobody else knows how it keeps things.

    **Atomicity.** `append` takes effect whole or not at all, also when the process dies in it.

    **Order and exactly-once.** A writer's batches are numbered by journal positions. The store remembers how far
    it is for each (run, writer) and takes a batch only where that one left off, so shipping twice is harmless.

    **Several writers.** A run is what the logs of its writers say together. The main writer that began last says how
    the run is: what an older one tells late does not override what was told after it, and what both logged at one
    step counts in the order in which they began.

    **Concurrency.** Any number of processes append side by side; a reader sees each batch whole or not yet.
    One instance may be used by several threads. An instance does not survive a fork: open a new one in the child.

    **Ownership.** Only the holder of a writer's journal appends for that writer.

    **Faults.** Methods raise `StoreUnavailable` when the same call may work later, `CorruptData` and `StoreVersion`
    when it will not, `NotFound` when asked for what is not there.
    """

    scheme: ClassVar[str]

    flush_interval: ClassVar[float] = 1.0
    """Seconds between shipments where nobody has said how many."""

    stretch_bytes: ClassVar[int] = 1 << 19
    """How much of a journal becomes one batch: few large ones where each costs much, many small ones to save memory."""

    def __init__(self, uri: str) -> None:
        self.uri = uri

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.uri!r})"

    @property
    @abstractmethod
    def spool(self) -> Path | None:
        """The folder for journals beside the store; None where the store is not on this machine."""

    # ---- writing

    @abstractmethod
    def check(self) -> None:
        """Make sure, at little cost and without writing runs, that the store can be written to.

        Raises:
            StoreError: It cannot; the message says why and what to do.
        """

    @abstractmethod
    def position(self, run: str, writer: str) -> int:
        """Return how far the store is in a writer's journal; 0 for one that it never heard of."""

    @abstractmethod
    def append(self, batch: Batch) -> int:
        """Add a batch, atomically.

        It is taken when it starts at the writer's position, or behind it with `batch.after_gap` set. Otherwise
        nothing happens. Either way the writer's position after the call is returned: where it is not `batch.end`,
        the caller goes on from there. A run whose start record was lost goes to the project `recovered`.

        An artifact of a project that has a checksum gets its version here: the one that its project and name have for
        that checksum, else the one that its record wishes for if that is free, else one more than the highest so far.
        Numbers are never given out twice, also not by writers side by side.
        """

    @abstractmethod
    def put_project(self, project: Project) -> None:
        """Create the project of this name, or replace all of its fields but id and created_at."""

    @abstractmethod
    def put_experiment(self, experiment: Experiment) -> None:
        """Create the experiment of this project and name (and the project), or replace its fields likewise."""

    # ---- files: whole or in pieces, by their SHA-256

    @abstractmethod
    def put_blob(self, source: BinaryIO) -> tuple[str, int]:
        """Keep the bytes of `source`; return their SHA-256 in hexadecimal and their number. Twice is once."""

    def keep_file(self, path: Path, checksum: str) -> None:
        """Keep the bytes of the file of this SHA-256 in hexadecimal, which may be moved away. Twice is once.

        A store that takes files faster than it takes bytes, or knows which it has, does so here.

        Raises:
            CorruptData: The file has another SHA-256.
            FileNotFoundError: There is no such file.
        """
        with path.open("rb") as file:
            actual, _ = self.put_blob(file)
        if actual != checksum:
            raise CorruptData(f"the file {path} is damaged: its content has SHA-256 {actual}, not {checksum}")

    @abstractmethod
    def put_piece(self, content: bytes, checksum: str) -> None:
        """Keep bytes whose SHA-256 in hexadecimal the caller has just taken. Twice is once."""

    @abstractmethod
    def put_recipe(self, checksum: str, recipe: bytes) -> None:
        """Keep how the file of this SHA-256 is put together; see `tracklib.stores.pieces`. Its pieces are there."""

    @abstractmethod
    def claim_blob(self, checksum: str) -> bool:
        """Tell whether a file or piece of this SHA-256 can be opened, and keep it for somebody about to name it.

        What is there counts as written now: `StoredBlob.changed_at` says so, and so do its pieces.
        """

    @abstractmethod
    def open_blob(self, checksum: str) -> BinaryIO:
        """Open a kept file or piece for reading, one kept in pieces as if it were whole.

        Raises:
            NotFound: There is none of this checksum, or one of its pieces is missing.
            CorruptData: While it is read: a piece is not what it was, which is named.
        """

    @abstractmethod
    def blobs(self) -> Iterator[StoredBlob]:
        """Yield all that is kept of files, in no order, whether anything names it or not."""

    @abstractmethod
    def pieces_of(self, checksums: Sequence[str]) -> set[str]:
        """Return the SHA-256 of all pieces that files are made of; nothing for one that is not kept in pieces.

        Raises:
            CorruptData: It cannot be told of one, which is named.
        """

    @abstractmethod
    def delete_blobs(self, blobs: Sequence[StoredBlob]) -> list[StoredBlob]:
        """Delete what has not changed since it was listed; return what was deleted."""

    @abstractmethod
    def now(self) -> float:
        """Return the time by the clock that `StoredBlob.changed_at` is told by."""

    @abstractmethod
    def delete_run(self, run: str) -> None:
        """Delete a run with its points, records and artifacts. Files stay: others may have the same ones.

        The versions that its artifacts had are not given out again.

        Whoever calls sees to it that nobody writes to the run any more.

        Raises:
            NotFound: There is no run of this id.
        """

    def compact(self, *, settled_s: float = 3600.0) -> Compacted:
        """Do what keeps the store quick to read; many processes may do so at once, also while runs are written.

        A store that keeps itself so does nothing.

        Args:
            settled_s: Points of runs that ended and were not heard of for so many seconds are put together.
        """
        return Compacted()

    # ---- reading

    @contextmanager
    def one_look(self) -> Iterator[None]:
        """Let everything that is asked meanwhile be answered from one look at the store, where looking costs something.

        What others write meanwhile may be seen or not.
        """
        yield

    @abstractmethod
    def projects(self, *, archived: bool | None = False) -> list[Project]:
        """List projects by name; `archived=None` lists archived ones too."""

    @abstractmethod
    def experiments(self, project: str | None = None, *, archived: bool | None = False) -> list[Experiment]:
        """List experiments by project and name."""

    @abstractmethod
    def runs(self, query: RunQuery) -> list[RunInfo]:
        """List runs. The bulky fields (source diff and untracked files, environment packages) are left empty."""

    @abstractmethod
    def run_times(self, query: RunQuery) -> list[RunTime]:
        """Return when each run that a query asks for was made; its order, limit and offset do not count."""

    @abstractmethod
    def field_names(self, project: str | None = None, experiment: str | None = None) -> FieldNames:
        """Return the names of all params, metrics and tags that runs have, or those of a project or experiment."""

    @abstractmethod
    def run(self, run: str) -> RunInfo:
        """Return a run, whole.

        Raises:
            NotFound: There is no run of this id.
        """

    @abstractmethod
    def summaries(self, runs: Sequence[str]) -> dict[str, dict[str, Summary]]:
        """Return, for each of these run ids, the summary of each series by name, unsealed points included.

        Raises:
            NotFound: There is no run of one of these ids.
        """

    @abstractmethod
    def series(self, run: str, name: str, *, every: bool = False) -> SeriesPoints:
        """Return a series by step: the value that was logged last for each step, or with `every` all of them.

        What several writers logged at one step counts in the order in which the writers began.

        Raises:
            NotFound: The run has no such series, or there is no such run.
        """

    @abstractmethod
    def artifacts(self, run: str) -> list[Artifact]:
        """List the artifacts of a run by time, with their files."""

    @abstractmethod
    def find_artifacts(self, query: ArtifactQuery) -> list[Artifact]:
        """List artifacts of all runs by time, with their files."""

    @abstractmethod
    def aliases(self, project: str, name: str | None = None) -> list[Alias]:
        """List by time what was said of the aliases of a project's artifacts, when they were logged and later."""

    @abstractmethod
    def uses(self, *, run: str | None = None, project: str | None = None, name: str | None = None) -> list[ArtifactUse]:
        """List by time which runs read which artifacts."""

    @abstractmethod
    def named_blobs(self) -> set[str]:
        """Return the SHA-256 of every file that an artifact or a source of any run names, references included.

        Raises:
            CorruptData: Something could not be read that may name others; it is named.
        """

    @abstractmethod
    def events(self, run: str, kinds: Sequence[str] = ()) -> list[Event]:
        """List the kept records of a run by arrival, those of these kinds only if any are named."""

    @abstractmethod
    def export(self, run: str) -> Iterator[Batch]:
        """Yield batches that make the same run in another store, which is then asked the same and answers the same.

        Of each writer they follow on each other without a gap from 0 to where the store is in its journal. They are
        the same ones each time as long as the run stands still, so that a copy that was broken off can go on.
        Bytes of artifacts are not in them.

        Raises:
            NotFound: There is no run of this id.
        """

    def query(
        self, sql: str, arguments: Sequence[Any] | Mapping[str, Any] = (), *, limit: int | None = None
    ) -> SqlRows:
        """Return what one SELECT finds in the tables of `docs/store-format.md`, and change nothing.

        A store that keeps runs otherwise has these tables of what it knows of them, without the points.

        Args:
            sql: One statement that reads.
            arguments: What stands in the place of `?` or `:name`.
            limit: How many rows at the most.

        Raises:
            ConfigError: The statement is wrong or does more than read.
            NotFound: There is no store yet.
            StoreError: This store has no tables.
        """
        raise StoreError(f"the store {self.uri} has no tables that could be asked in SQL")

    @abstractmethod
    def close(self) -> None:
        """Let go of files and connections. Twice is harmless."""


def is_next(batch: Batch, position: int) -> bool:
    """Tell whether a store that is at `position` of a writer takes this batch of it; see `Store.append`."""
    return batch.end > position and (batch.start == position or (batch.after_gap and batch.start > position))


def default_uri(directory: Path) -> str:
    """Return the store that is meant where none was chosen.

    It is `.tracklib/tracklib.db` in `directory` or the nearest folder above that has a `.tracklib`. On a network file
    system, where SQLite does not work, it is the object store in that folder.
    """
    from tracklib.stores.mounts import network_filesystem

    home = next((folder for folder in (directory, *directory.parents) if (folder / ".tracklib").is_dir()), directory)
    folder = home / ".tracklib"
    return f"file://{folder}" if network_filesystem(folder) else f"sqlite:///{folder / 'tracklib.db'}"


def open_store(uri: str, options: Mapping[str, Any] | None = None) -> Store:
    """Open the store that `uri` names, without touching it yet.

    Args:
        uri: `sqlite:///relative/path.db`, `sqlite:////absolute/path.db`, or just a path that ends in `.db`; or
            `file:///folder`, `s3://bucket/prefix`, or the same on any file system that fsspec knows.
        options: What the file system is opened with; by default what the store was last opened with in this process,
            or the setting `store_options`.

    Raises:
        ConfigError: The URI names no known kind of store, or cannot be meant.

    Example:
        >>> open_store("sqlite:////tmp/runs/tracklib.db")
        SqliteStore('sqlite:////tmp/runs/tracklib.db')
    """
    scheme, separator, _ = uri.partition("://")
    if not separator and uri.endswith((".db", ".sqlite", ".sqlite3")):
        scheme, uri = "sqlite", f"sqlite:///{uri}"
    target = SCHEMES.get(scheme) or (OBJECTS if separator and _is_file_system(scheme) else None)
    if target is None:
        known = ", ".join(f"{name}://" for name in sorted(SCHEMES))
        raise ConfigError(
            f"the store {_without_secrets(uri)!r} is of no known kind: give one of {known} or another that fsspec "
            "writes to, or a path that ends in .db"
        )
    module, _, name = target.partition(":")
    kind = getattr(importlib.import_module(module), name)
    store: Store = kind(uri, options) if target == OBJECTS else kind(uri)
    return store


def _is_file_system(scheme: str) -> bool:
    """Tell whether fsspec knows a scheme as a file system that can be written to."""
    if scheme in _READ_ONLY or "::" in scheme:
        return False
    try:
        from fsspec.registry import known_implementations, registry
    except ImportError:
        return False
    return scheme in known_implementations or scheme in registry


def _without_secrets(uri: str) -> str:
    scheme, separator, rest = uri.partition("://")
    return f"{scheme}{separator}…@{rest.rpartition('@')[2]}" if "@" in rest else uri
