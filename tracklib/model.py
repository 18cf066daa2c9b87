"""The entities of tracklib as typed, frozen values, and by name the records of `records`. No I/O.

Times are float seconds since the Unix epoch (UTC), durations float seconds, sizes bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from tracklib.records import (
    Batch,
    Event,
    PointGroup,
    Record,
    RecordKind,
    RunStatus,
    ScatteredPoints,
    SeriesPoints,
    flatten_params,
    id_time,
    is_id,
    new_id,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "EDIT_PREFIX",
    "Alias",
    "Artifact",
    "ArtifactFile",
    "ArtifactUse",
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
    "ScatteredPoints",
    "SeriesPoints",
    "Source",
    "SourceType",
    "SqlRows",
    "Summary",
    "WriterInfo",
    "flatten_params",
    "id_time",
    "is_id",
    "main_writers",
    "new_id",
]

EDIT_PREFIX: Final = "edit."
"""What the names of writers begin with that are no processes of a run, but changes to what was recorded."""


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
        writer: Its name within the run: the global rank, with a token behind it for a process that joined later;
            `edit` and a token for a change from outside.
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

    @property
    def is_edit(self) -> bool:
        """Whether it is no process of the run, but a change that somebody made to what was recorded."""
        return self.writer.startswith(EDIT_PREFIX)


def main_writers(writers: Iterable[WriterInfo]) -> list[WriterInfo]:
    """Return the writers by whose life a run lives: its main processes, or its helpers where no main one is known yet.

    Example:
        >>> [w.writer for w in main_writers([WriterInfo(writer="0"), WriterInfo(writer="1", primary=False)])]
        ['0']
    """
    processes = [writer for writer in writers if not writer.is_edit]
    return [writer for writer in processes if writer.primary] or processes


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
        heartbeat_at: When the store last heard of its main processes.
        archived_at: Since when lists leave it out.
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
    """A named set of files that a run made.

    Attributes:
        project: The project that counts its versions, which stays the same where the run is moved; empty for what
            belongs to its run alone (a figure, say), whose versions the run counts.
        version: From 0; None where it has none, since nobody knows what is in its files. In a project the same files
            under the same name are the same version, whichever runs logged them.
        path: Where its files came from, if from a path or URL.
        checksum: SHA-256 over the sorted `checksum path` lines of its files; empty where one of them is not known.
        step: The training step it belongs to, if any.
        created_at: When it was logged.
        aliases: Further names that it was given when it was logged; `Alias` tells what became of them.
        score: How good it is, if anybody said so: higher is better.
    """

    id: str
    run: str
    name: str
    type: str
    project: str = ""
    version: int | None = None
    path: str = ""
    size: int = 0
    checksum: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    step: int | None = None
    created_at: float = 0.0
    files: tuple[ArtifactFile, ...] = ()
    aliases: tuple[str, ...] = ()
    score: float | None = None

    @property
    def is_reference(self) -> bool:
        """Whether only the place, sizes and checksums of its files were noted, and no copy was made."""
        return bool(self.metadata.get("reference"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Alias:
    """A word of somebody that a version has another name from now on.

    Attributes:
        version: None takes the alias away.
        score: Of the version, if it was given by a score: such a word counts only if no better one came before it.
        time: When it was said.
        run: The run in whose records it stands.
        checksum: Of the artifact, by which its version is known where a copy of it got another number.
    """

    project: str
    name: str
    alias: str
    version: int | None
    score: float | None = None
    time: float = 0.0
    run: str = ""
    checksum: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactUse:
    """A run that read an artifact.

    Attributes:
        project: Of the artifact; empty for one of a run alone.
        artifact: Id of the artifact.
        version: None for one without.
        checksum: Of the artifact.
        time: When the run asked for it.
        run: The run that read it.
    """

    artifact: str
    project: str
    name: str
    version: int | None
    checksum: str
    time: float
    run: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlRows:
    """What a question in SQL found.

    Attributes:
        columns: Their names; two may be the same.
        rows: A value for each column: None, a whole or a real number, text or bytes.
        more: Whether there are more rows than were asked for.
    """

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    more: bool = False
