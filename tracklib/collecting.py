"""Garbage: files in a store that nothing names any more, since the runs that named them were deleted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tracklib.errors import ConfigError
from tracklib.reading import open_for_reading
from tracklib.values import as_float

if TYPE_CHECKING:
    import os

    from tracklib.stores.base import Store, StoredBlob

__all__ = ["Garbage", "collect_garbage"]

LEAST_GRACE_SECONDS: Final = 3600.0
"""A file may be that old before its record gets to the store, and what was asked for again counts as new only then."""
GRACE_SECONDS: Final = 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Garbage:
    """What was found that nothing names.

    Attributes:
        blobs: How many files and pieces of files were deleted, or would be.
        bytes: Their size.
        young: How many more nothing names, which are too young to be deleted: somebody may be about to name them.
        young_bytes: Their size.
        named: How many are named, and stay.
        named_bytes: Their size.
    """

    blobs: int
    bytes: int
    young: int
    young_bytes: int
    named: int
    named_bytes: int


def collect_garbage(
    *, grace_s: float = GRACE_SECONDS, dry_run: bool = False, store: str | os.PathLike[str] | None = None
) -> Garbage:
    """Delete the files in a store that no artifact and no source names. It may go on beside runs that are written.

    Runs that are deleted leave their files, since others may have the same ones; so do checkpoints that were given up.

    Args:
        grace_s: Leave alone what was written, or asked for by a writer, within so many seconds: an hour at least.
        dry_run: Delete nothing, and tell what would be.
        store: URI of the store; by default the one that runs go to.

    Raises:
        ConfigError: The grace is shorter than an hour.
        NotFound: There is no store.
        CorruptData: Something cannot be read that may name files; nothing was deleted.

    Example:
        >>> with tracklib.start_run(name="first") as run:
        ...     run.log_text("hello", "notes")
        >>> tracklib.delete_run(run)
        >>> found = tracklib.collect_garbage(dry_run=True)
        >>> found.blobs, found.young, found.young_bytes
        (0, 1, 5)
    """
    grace = as_float(grace_s)
    if not grace >= LEAST_GRACE_SECONDS:
        raise ConfigError(
            f"grace_s is {grace_s!r}, but takes {LEAST_GRACE_SECONDS:.0f} seconds or more: a file that is just being "
            "brought to the store is named by nothing yet"
        )
    return collected(open_for_reading(store), grace, dry_run=dry_run)


def collected(store: Store, grace_s: float, *, dry_run: bool) -> Garbage:
    """Delete garbage in a store; see `collect_garbage`. The grace may be as short as one likes here."""
    # In this order: what comes in between is young, and what is named by then is kept.
    blobs = list(store.blobs())
    oldest = store.now() - grace_s
    kept = _named(store, blobs)
    unnamed = [blob for blob in blobs if blob.checksum not in kept]
    # What is made of pieces, and may soon be named, needs them all.
    wanted = store.pieces_of([blob.checksum for blob in unnamed if blob.is_recipe and blob.changed_at >= oldest])
    old = [blob for blob in unnamed if blob.changed_at < oldest and blob.checksum not in wanted]
    deleted = old if dry_run else store.delete_blobs(old)
    gone = {(blob.checksum, blob.is_recipe) for blob in deleted}
    young = [blob for blob in unnamed if (blob.checksum, blob.is_recipe) not in gone]
    named = [blob for blob in blobs if blob.checksum in kept]
    return Garbage(
        blobs=len(deleted),
        bytes=sum(blob.size for blob in deleted),
        young=len(young),
        young_bytes=sum(blob.size for blob in young),
        named=len(named),
        named_bytes=sum(blob.size for blob in named),
    )


def _named(store: Store, blobs: list[StoredBlob]) -> set[str]:
    """Return the SHA-256 of all that is named, and of the pieces that it is made of."""
    named = store.named_blobs()
    return named | store.pieces_of([blob.checksum for blob in blobs if blob.is_recipe and blob.checksum in named])
