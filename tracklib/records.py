"""What travels from a program to a store: ids, records, points and batches. No I/O.

Apart from the entities in `model`, because a program that starts a run pays for importing these.
Times are float seconds since the Unix epoch (UTC).
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "Batch",
    "Event",
    "PointGroup",
    "Record",
    "RecordKind",
    "RunStatus",
    "ScatteredPoints",
    "SeriesPoints",
    "flatten_params",
    "id_of_number",
    "id_time",
    "is_id",
    "is_mark",
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
    return id_of_number((milliseconds << 80) | int.from_bytes(os.urandom(10), "big"))


def id_of_number(number: int) -> str:
    """Return the id whose 128 bits are these: 48 of milliseconds, then 80 that make it unlike others.

    Example:
        >>> id_of_number(33)
        '00000000000000000000000011'
    """
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
    return len(text) == ID_LENGTH and text[0] in "01234567" and not text.strip(_CROCKFORD)


def is_mark(value: Mapping[str, Any]) -> bool:
    """Tell whether a mapping stands for what JSON cannot say: its keys begin with one `$`, those of users with two.

    Example:
        >>> is_mark({"$float": "nan"}), is_mark({"$$ref": 1}), is_mark({})
        (True, False, False)
    """
    key = str(next(iter(value), ""))
    return key.startswith("$") and not key.startswith("$$")


def flatten_params(params: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the leaves of nested params under their dotted names.

    An empty mapping is a leaf, and so is a mark. The `$` that `jsonable` put before a key is taken away.

    Example:
        >>> dict(flatten_params({"model": {"hidden": 128}, "seed": 1}))
        {'model.hidden': 128, 'seed': 1}
    """
    for key, value in params.items():
        own = str(key)[1:] if str(key).startswith("$$") else str(key)
        name = f"{prefix}.{own}" if prefix else own
        if isinstance(value, dict) and value and not is_mark(value):
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
    PLACE = "place"
    """project, experiment: moves the run there."""
    ARCHIVE = "archive"
    """archived_at: since when lists leave the run out, or None to bring it back."""
    SOURCE = "source"
    """The fields of `Source`; those not given stay."""
    ENVIRONMENT = "environment"
    """The fields of `Environment`; those not given stay."""
    RESOURCES = "resources"
    """The fields of `Resources`; those not given stay."""
    ARTIFACT = "artifact"
    """The fields of `Artifact`, once its files are known; told again, it replaces what was told before of its id.
    With deleted, the artifact of this id is gone."""
    ALIAS = "alias"
    """The fields of `Alias` but time and run: an alias was given to a version, or taken away."""
    USE = "use"
    """The fields of `ArtifactUse` but time and run: the run reads an artifact."""
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
    """A record that a store keeps as it came: console lines, messages, and the history of what can change."""

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


@dataclass(frozen=True, slots=True)
class ScatteredPoints:
    """Points that were logged one at a time, under many names.

    Attributes:
        names: The k names that occur.
        which: `(n,)` int64, for each point the index of its name.
        steps: `(n,)` int64.
        times: `(n,)` float64.
        values: `(n,)` float64.
        order: `(n,)` int64, the place of each among all calls of its batch, those of the groups included.
    """

    names: tuple[str, ...]
    which: NDArray[np.int64]
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
    scattered: ScatteredPoints | None = None
    after_gap: bool = False
    final: bool = False

    @property
    def points(self) -> int:
        """How many points the batch holds."""
        single = len(self.scattered.steps) if self.scattered else 0
        return single + sum(group.values.size for group in self.groups)

    @property
    def names(self) -> Iterator[str]:
        """The names of its metrics; one may come several times."""
        for group in self.groups:
            yield from group.names
        if self.scattered:
            yield from self.scattered.names
