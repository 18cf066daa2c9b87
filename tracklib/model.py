"""The records and entities of tracklib as typed, frozen values. No I/O.

Times are float seconds since the Unix epoch (UTC), durations float seconds, sizes bytes.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "Artifact",
    "ArtifactFile",
    "Batch",
    "Environment",
    "Event",
    "Experiment",
    "ExperimentStatus",
    "Gpu",
    "PointGroup",
    "Project",
    "ProjectSettings",
    "Record",
    "RecordKind",
    "Resources",
    "RunError",
    "RunInfo",
    "RunStatus",
    "SeriesPoints",
    "Source",
    "SourceType",
    "Summary",
    "WriterInfo",
    "flatten_params",
    "id_time",
    "new_id",
]

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
ID_LENGTH = 26


def new_id(at: float | None = None) -> str:
    """Make a ULID: 26 characters that sort by the time of their making.

    The format is the ULID specification's: 48 bits of milliseconds, then 80 random bits, in Crockford's base 32.

    Args:
        at: Seconds since the epoch to stamp it with; now by default.

    Example:
        >>> a, b = new_id(1_700_000_000.0), new_id(1_700_000_001.0)
        >>> len(a), a < b
        (26, True)
    """
    milliseconds = int((time.time() if at is None else at) * 1000)
    number = (milliseconds << 80) | int.from_bytes(os.urandom(10), "big")
    return "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))


def id_time(run_id: str) -> float:
    """Return the seconds since the epoch at which `run_id` was made.

    Raises:
        ValueError: It is not a ULID.

    Example:
        >>> round(id_time(new_id(1_700_000_000.0)))
        1700000000
    """
    if not is_id(run_id):
        raise ValueError(f"{run_id!r} is not a run id: it takes {ID_LENGTH} characters of {_CROCKFORD}")
    number = 0
    for character in run_id[:10]:
        number = number * 32 + _CROCKFORD.index(character)
    return number / 1000


def is_id(text: str) -> bool:
    """Tell whether `text` has the form of a run id.

    Example:
        >>> is_id(new_id()), is_id("lr-sweep")
        (True, False)
    """
    return len(text) == ID_LENGTH and text[0] in "01234567" and all(character in _CROCKFORD for character in text)


def flatten_params(params: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of nested params under their dotted names.

    An empty mapping is a leaf, and so is a marked value (a mapping whose keys begin with `$`).

    Example:
        >>> dict(flatten_params({"model": {"hidden": 128}, "seed": 1}))
        {'model.hidden': 128, 'seed': 1}
    """
    for key, value in params.items():
        name = f"{prefix}.{key}" if prefix else str(key)
        if isinstance(value, dict) and value and not str(next(iter(value))).startswith("$"):
            yield from flatten_params(value, name)
        else:
            yield name, value


class RunStatus(StrEnum):
    """Where a run is in its life."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    KILLED = "killed"

    @property
    def ended(self) -> bool:
        """Whether nothing more is expected of such a run."""
        return self in {RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.KILLED}


class ExperimentStatus(StrEnum):
    """Where an experiment is in its life."""

    ACTIVE = "active"
    COMPLETED = "completed"
    ARCHIVED = "archived"


class SourceType(StrEnum):
    """Where the code of a run came from."""

    GIT = "git"
    LOCAL = "local"
    NOTEBOOK = "notebook"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectSettings:
    """How a project wants its experiments made, its metrics shown and its runs kept.

    Attributes:
        experiment_defaults: Fields given to experiments that are made without them.
        primary_metrics: Names of the metrics to show first.
        higher_is_better: Per metric name, whether larger values are better.
        chart_types: Per metric name, the chart that shows it ("line", "bar", …).
        auto_archive_days: Archive runs that ended more than so many days ago; None: never.
        keep_best_runs: How many best runs the archive policy leaves alone, by the first primary metric.
        keep_recent_runs: How many newest runs the archive policy leaves alone.
    """

    experiment_defaults: dict[str, Any] = field(default_factory=dict)
    primary_metrics: tuple[str, ...] = ()
    higher_is_better: dict[str, bool] = field(default_factory=dict)
    chart_types: dict[str, str] = field(default_factory=dict)
    auto_archive_days: float | None = None
    keep_best_runs: int = 0
    keep_recent_runs: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """What experiments are gathered under. Its name is unique in a store."""

    id: str
    name: str
    description: str = ""
    owner: str = ""
    team: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    settings: ProjectSettings = field(default_factory=ProjectSettings)
    created_at: float = 0.0
    updated_at: float = 0.0
    archived_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """A question that a set of runs answers. Its name is unique in its project."""

    id: str
    project: str
    name: str
    description: str = ""
    hypothesis: str = ""
    status: ExperimentStatus = ExperimentStatus.ACTIVE
    tags: dict[str, str] = field(default_factory=dict)
    created_by: str = ""
    created_at: float = 0.0
    updated_at: float = 0.0
    archived_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The code that ran.

    Attributes:
        repository_url: The remote, without credentials.
        commit: The full hash of HEAD; None in a repository without commits.
        branch: None when HEAD is detached.
        tag: A tag that points at HEAD.
        dirty: Whether tracked files were changed or untracked ones present.
        diff: What `git diff HEAD` says of tracked text files, cut at the limit that the settings give.
        untracked: Text of untracked files by path, up to the same limit.
        skipped: Paths (or the word "diff") left out of `diff` and `untracked`, each with the reason.
        entry_point: The script, module or notebook that was started.
        snapshot: SHA-256 of the blob with a zip of a small project that is in no repository.
        command_line: The words of the command, secrets masked.
        directory: The working directory.
    """

    source_type: SourceType = SourceType.LOCAL
    repository_url: str | None = None
    commit: str | None = None
    branch: str | None = None
    tag: str | None = None
    dirty: bool | None = None
    diff: str = ""
    untracked: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    entry_point: str | None = None
    snapshot: str | None = None
    command_line: tuple[str, ...] = ()
    directory: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One GPU, or one MIG instance of one, that the run may use."""

    uuid: str
    name: str
    index: int
    memory_bytes: int | None = None
    mig: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """What the code ran on and with.

    Attributes:
        packages: Version by name of every installed distribution.
        frameworks: Version by name of the training frameworks among them.
        container: Hints of Docker, Kubernetes or Singularity: image, pod, and so on.
        variables: The few environment variables that say how the program was placed (ranks, devices, jobs).
        cpu_count: Logical CPUs that the process may use.
        memory_bytes: Memory that the process may use (the control group's limit where there is one).
        driver_version: The NVIDIA driver's version.
        cuda_version: The highest CUDA version that the driver supports.
    """

    python_version: str = ""
    python_implementation: str = ""
    packages: dict[str, str] = field(default_factory=dict)
    frameworks: dict[str, str] = field(default_factory=dict)
    conda_environment: str | None = None
    container: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    os: str = ""
    platform: str = ""
    hostname: str = ""
    cpu_model: str | None = None
    cpu_count: int | None = None
    cpu_count_physical: int | None = None
    memory_bytes: int | None = None
    gpus: tuple[Gpu, ...] = ()
    driver_version: str | None = None
    cuda_version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What a run used. None where it could not be measured.

    Attributes:
        cost: By the prices in the settings, in the currency that they are in; None without prices.
    """

    gpu_hours: float | None = None
    cpu_hours: float | None = None
    memory_gb_hours: float | None = None
    storage_gb: float | None = None
    energy_kwh: float | None = None
    cost: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunError:
    """The exception that ended a run."""

    type: str
    message: str
    traceback: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WriterInfo:
    """One process that writes to a run.

    Attributes:
        writer: Its name within the run: the global rank, with a token behind it for a process that joined later.
        position: How much of its journal the store holds, as the journal counts.
        spool: The folder of its journal, on its host.
        status: running, completed (it said goodbye) or killed.
        heartbeat_at: When the store last heard of it.
        primary: Whether the end of this process is the end of the run.
    """

    writer: str
    rank: int = 0
    host: str = ""
    pid: int = 0
    spool: str = ""
    position: int = 0
    status: RunStatus = RunStatus.RUNNING
    started_at: float = 0.0
    heartbeat_at: float = 0.0
    primary: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """What a store knows of a run, apart from its points, artifacts and events.

    Attributes:
        params: As given, nested.
        reason: Why it ended as it did, in words.
        duration: Seconds that it ran, to the last sign of life where it has not ended; pauses before it was resumed
            do not count.
        dropped: How many records could not be kept, by reason.
        parent: The id of the run that this one is nested in.
        heartbeat_at: When the store last heard of it.
    """

    id: str
    project: str
    experiment: str
    name: str
    status: RunStatus = RunStatus.PENDING
    reason: str = ""
    start_time: float | None = None
    end_time: float | None = None
    duration: float | None = None
    params: dict[str, Any] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    notes: str = ""
    source: Source = field(default_factory=Source)
    environment: Environment = field(default_factory=Environment)
    resources: Resources = field(default_factory=Resources)
    writers: tuple[WriterInfo, ...] = ()
    dropped: dict[str, int] = field(default_factory=dict)
    error: RunError | None = None
    parent: str | None = None
    created_by: str = ""
    created_at: float = 0.0
    heartbeat_at: float | None = None
    archived_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What is kept of a series beside its points.

    Attributes:
        last: The value at the highest step; of several there, the one that arrived last.
        min: The lowest value that is a number (not NaN); NaN when there is none.
        max: The highest such value.
        mean: The mean of such values.
        count: How many points there are, NaN and repeated steps included.
    """

    name: str
    last: float
    min: float
    max: float
    mean: float
    count: int
    first_step: int
    last_step: int
    last_time: float

    @property
    def context(self) -> str:
        """The first segment of the name (train, eval, test …), or "" when there is just one."""
        head, slash, _ = self.name.partition("/")
        return head if slash else ""


class SeriesPoints(NamedTuple):
    """The points of one series, ordered by step.

    Attributes:
        steps: `(n,)` int64.
        times: `(n,)` float64, seconds since the epoch.
        values: `(n,)` float64.
    """

    steps: NDArray[np.int64]
    times: NDArray[np.float64]
    values: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactFile:
    """One file of an artifact.

    Attributes:
        path: Relative to the artifact, with forward slashes.
        size: Bytes.
        checksum: SHA-256 in hexadecimal: the name of its blob.
    """

    path: str
    size: int
    checksum: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A named set of files that a run made or used.

    Attributes:
        checksum: SHA-256 over the sorted `checksum path` lines of its files.
        step: The training step it belongs to, if any.
    """

    id: str
    run: str
    name: str
    type: str
    version: int = 0
    path: str = ""
    size: int = 0
    checksum: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    step: int | None = None
    created_at: float = 0.0
    files: tuple[ArtifactFile, ...] = ()


class RecordKind(StrEnum):
    """The kinds of journal records that are not points. Each says what its data hold."""

    START = "start"
    """A writer begins: project, experiment, name, parent, tags, notes, created_by, rank, host, pid, spool, primary."""
    PARAMS = "params"
    """params: nested, as given; merged over what is there."""
    TAGS = "tags"
    """tags: str to str, or to None to remove."""
    NOTES = "notes"
    """text: replaces what is there."""
    NAME = "name"
    """name: renames the run."""
    SOURCE = "source"
    """The fields of `Source`; those not given stay."""
    ENVIRONMENT = "environment"
    """The fields of `Environment`; those not given stay."""
    RESOURCES = "resources"
    """The fields of `Resources`; those not given stay."""
    ARTIFACT = "artifact"
    """The fields of `Artifact`."""
    CONSOLE = "console"
    """stream (stdout or stderr), lines: pairs of time and text."""
    MESSAGE = "message"
    """level, text: what tracklib itself has to say about the run."""
    DROPPED = "dropped"
    """counts: records that could not be kept, by reason; totals of this writer."""
    HEARTBEAT = "heartbeat"
    """Nothing: the writer is alive."""
    END = "end"
    """The writer ends: status, reason, error, duration."""


@dataclass(frozen=True, slots=True)
class Record:
    """A journal record that is not a point: its kind, its time and its data, JSON-able."""

    kind: str
    time: float
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Event:
    """A record that a store keeps as it came: console lines, messages, and the history of params, tags and notes."""

    kind: str
    time: float
    writer: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class PointGroup:
    """Points that were logged together: n calls with the same k names.

    Attributes:
        names: k names.
        steps: `(n,)` int64.
        times: `(n,)` float64.
        values: `(n, k)` float64.
        order: `(n,)` int64, the place of each call among all calls of its batch.
    """

    names: tuple[str, ...]
    steps: NDArray[np.int64]
    times: NDArray[np.float64]
    values: NDArray[np.float64]
    order: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A stretch of one writer's journal, decoded: what a store is given to append.

    Attributes:
        start: The journal position at which the stretch begins.
        end: The position behind its last record. Positions only grow: they number the batches.
        time: When its newest record was written.
        after_gap: Whether what came before `start` is lost, so that the batch is taken although some is missing.
        final: Whether the writer has ended and nothing will follow.
    """

    run: str
    writer: str
    start: int
    end: int
    time: float
    records: tuple[Record, ...] = ()
    groups: tuple[PointGroup, ...] = ()
    after_gap: bool = False
    final: bool = False

    @property
    def points(self) -> int:
        """How many points the batch holds."""
        return sum(group.values.size for group in self.groups)
