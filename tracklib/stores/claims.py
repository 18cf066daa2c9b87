"""Who gets which version: an artifact of a project is numbered when a store takes its record."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from tracklib.records import Record, RecordKind
from tracklib.stores.artifact_fold import is_deletion

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Collection

    from tracklib.records import Batch

__all__ = ["HIGHEST", "Wish", "claim_in_tables", "free_version", "versioned"]


HIGHEST: Final = (1 << 53) - 1
"""The highest number that can be wished for: whatever reads JSON knows it."""


class Wish(NamedTuple):
    """Content that needs a number.

    Attributes:
        checksum: Of the artifact.
        version: The number that it had elsewhere, if any.
        time: When it was told.
    """

    project: str
    name: str
    checksum: str
    version: int | None
    time: float


def versioned(batch: Batch, claim: Callable[[Wish], int]) -> Batch:
    """Return a batch whose artifacts of projects have the versions that `claim` gives them.

    Where it is not known what is in an artifact, it has none.
    """
    records = tuple(_versioned(record, claim) for record in batch.records)
    return batch if all(map(_is, records, batch.records)) else replace(batch, records=records)


def _is(one: object, other: object) -> bool:
    return one is other


def _versioned(record: Record, claim: Callable[[Wish], int]) -> Record:
    data = record.data
    if record.kind != RecordKind.ARTIFACT or is_deletion(record) or not data.get("project"):
        return record
    version = None
    if data.get("checksum"):
        wished = data.get("version")
        fits = isinstance(wished, int) and not isinstance(wished, bool) and 0 <= wished <= HIGHEST
        version = claim(Wish(data["project"], data["name"], data["checksum"], wished if fits else None, record.time))
    return replace(record, data={**data, "version": version})


def free_version(wished: int | None, taken: Collection[int]) -> int:
    """Return the number for new content: the wished one where that is free, else one more than the highest.

    Example:
        >>> free_version(None, []), free_version(5, [0, 1]), free_version(1, [0, 1, 7])
        (0, 5, 8)
    """
    if wished is not None and wished not in taken:
        return wished
    return max(taken, default=-1) + 1


def claim_in_tables(connection: sqlite3.Connection, wish: Wish) -> int:
    """Return the version of content, within the transaction that takes its record."""
    place = (wish.project, wish.name)
    row = connection.execute(
        "SELECT version FROM artifact_version WHERE project = ? AND name = ? AND checksum = ?", (*place, wish.checksum)
    ).fetchone()
    if row:
        return int(row[0])
    rows = connection.execute(
        "SELECT max(version) FROM artifact_version WHERE project = ?1 AND name = ?2"
        " UNION SELECT version FROM artifact_version WHERE project = ?1 AND name = ?2 AND version = ?3",
        (*place, wish.version),
    )
    version = free_version(wish.version, [row[0] for row in rows if row[0] is not None])
    connection.execute(
        "INSERT INTO artifact_version (project, name, version, checksum, claimed_at) VALUES (?, ?, ?, ?, ?)",
        (*place, version, wish.checksum, wish.time),
    )
    return version
