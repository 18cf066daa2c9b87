"""What a store is, and how a URI becomes one."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from tracklib.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import BinaryIO, Self

    from tracklib.model import (
        Artifact,
        Batch,
        Event,
        Experiment,
        Project,
        RunInfo,
        RunStatus,
        SeriesPoints,
        Summary,
    )

__all__ = ["SCHEMES", "RunQuery", "Store", "default_uri", "is_next", "open_store"]

SCHEMES: dict[str, str] = {
    "sqlite": "tracklib.stores.sqlite:SqliteStore",
}
"""URI scheme to `module:Class`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunQuery:
    """Which runs to list, and in which order. A field that is None or empty asks for nothing.

    Attributes:
        ids: Whole ids.
        id_prefix: The first characters of ids.
        tags: All of these must be there with these values.
        archived: None lists archived runs too; False leaves them out.
        order_by: "created" or the name of a metric, whose last value is meant.
        limit: How many at the most.
        offset: How many to pass over.
    """

    project: str | None = None
    experiment: str | None = None
    name: str | None = None
    ids: tuple[str, ...] = ()
    id_prefix: str = ""
    parent: str | None = None
    status: tuple[RunStatus, ...] = ()
    tags: dict[str, str] = field(default_factory=dict)
    archived: bool | None = False
    order_by: str = "created"
    descending: bool = True
    limit: int | None = None
    offset: int = 0


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
        """

    @abstractmethod
    def put_project(self, project: Project) -> None:
        """Create the project of this name, or replace all of its fields but id and created_at."""

    @abstractmethod
    def put_experiment(self, experiment: Experiment) -> None:
        """Create the experiment of this project and name (and the project), or replace its fields likewise."""

    @abstractmethod
    def put_blob(self, source: BinaryIO) -> tuple[str, int]:
        """Keep the bytes of `source`; return their SHA-256 in hexadecimal and their number. Twice is once."""

    # ---- reading

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
    def events(self, run: str, kinds: Sequence[str] = ()) -> list[Event]:
        """List the kept records of a run by arrival, those of these kinds only if any are named."""

    @abstractmethod
    def open_blob(self, checksum: str) -> BinaryIO:
        """Open kept bytes for reading.

        Raises:
            NotFound: There is no blob of this checksum.
        """

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


def open_store(uri: str) -> Store:
    """Open the store that `uri` names, without touching it yet.

    Args:
        uri: `sqlite:///relative/path.db`, `sqlite:////absolute/path.db`, or just a path that ends in `.db`.

    Raises:
        ConfigError: The URI names no known kind of store, or cannot be meant.

    Example:
        >>> open_store("sqlite:////tmp/runs/tracklib.db")
        SqliteStore('sqlite:////tmp/runs/tracklib.db')
    """
    scheme, separator, _ = uri.partition("://")
    if not separator and uri.endswith((".db", ".sqlite", ".sqlite3")):
        scheme, uri = "sqlite", f"sqlite:///{uri}"
    target = SCHEMES.get(scheme)
    if target is None:
        known = ", ".join(f"{name}://" for name in sorted(SCHEMES))
        raise ConfigError(f"the store {uri!r} is of no known kind: give one of {known} or a path that ends in .db")
    module, _, name = target.partition(":")
    store: Store = getattr(importlib.import_module(module), name)(uri)
    return store
