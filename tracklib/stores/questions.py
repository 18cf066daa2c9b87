"""What a store is asked for, and small answers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tracklib.model import RunStatus
    from tracklib.queries.tree import Condition, Order

__all__ = ["ArtifactQuery", "FieldNames", "RunQuery", "RunTime"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunQuery:
    """Which runs to list, and in which order. A field that is None or empty asks for nothing.

    Attributes:
        ids: Whole ids.
        id_prefix: The first characters of ids.
        tags: All of these must be there with these values.
        archived: None lists archived runs too; False leaves them out.
        where: What else must hold of them; see `tracklib.queries`.
        order_by: "created" or the name of a metric, whose last value is meant.
        order: What they are sorted by instead; those of which it says the same come newest first.
        limit: How many at the most.
        offset: How many to pass over.
        lost: Ids of runs that are stored as running and whose processes are gone: they count as killed when they were
            heard of last.
        lost_reason: Why those ended, where nothing else is said.
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
    where: Condition | None = None
    order_by: str = "created"
    order: tuple[Order, ...] = ()
    descending: bool = True
    limit: int | None = None
    offset: int = 0
    lost: tuple[str, ...] = ()
    lost_reason: str = ""


class RunTime(NamedTuple):
    """When a run was made, and its status."""

    created_at: float
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldNames:
    """The names of what runs have, sorted: params by their dotted names."""

    params: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactQuery:
    """Which artifacts to list. A field that is None or empty asks for nothing.

    Attributes:
        project: The project that counts their versions; "" for those that belong to their runs alone.
        ids: Whole ids.
        checksum: Of the artifact, not of a file.
        run: Id of the run that logged them.
        files: Whether their files are to be listed with them, of which there may be very many.
    """

    project: str | None = None
    name: str | None = None
    type: str | None = None
    version: int | None = None
    ids: tuple[str, ...] = ()
    checksum: str = ""
    run: str | None = None
    files: bool = True
