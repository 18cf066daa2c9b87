"""From an artifact in the spool to the record that tells of it: its bytes brought to the store, or looked at."""

from __future__ import annotations

import contextlib
import time
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from tracklib.artifacts.content import manifest_checksum
from tracklib.artifacts.references import FoundFiles, is_fresh, is_url, look_at
from tracklib.errors import StoreUnavailable, TracklibError
from tracklib.model import ArtifactFile
from tracklib.recording.spooled import PendingFile
from tracklib.records import Batch, Record, RecordKind
from tracklib.stores.cutting import WHOLE_BYTES
from tracklib.stores.depositing import LONG_SECONDS, Deposited, Lanes, deposit
from tracklib.values import jsonable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tracklib.recording.spooled import Pending, SpooledFiles
    from tracklib.stores.base import Store

__all__ = ["behind_the_end", "brought", "completed", "fetched", "noted", "unfetched", "unseen"]

LANES: Final = 4
"""So many small files, or pieces of a large one, are on their way to the store at once."""


def brought(
    store: Store, spooled: SpooledFiles, pending: Pending, on_bytes: Callable[[int], None] = lambda _: None
) -> dict[str, Any]:
    """Bring the files of an artifact to the store; return what its record says.

    What the store has is not sent again, so it may be broken off and called again.

    Args:
        on_bytes: Told of bytes that the store has now.

    Raises:
        StoreError: The store cannot take them now.
        OSError: They cannot be read.
    """
    began = time.monotonic()
    with Lanes(LANES) as lanes:
        bringing = _Bringing(store, spooled.path(pending.id), lanes, on_bytes)
        done = bringing.run(pending.files)
    # What was brought so long ago, and is named by nothing yet, may have been taken for garbage.
    if time.monotonic() - began > LONG_SECONDS and not all(store.claim_blob(each.checksum) for each in done.values()):
        raise StoreUnavailable(f"files of an artifact are gone from {store.uri} again: they are brought once more")
    files = [
        ArtifactFile(path=file.path, size=done[file].size, checksum=done[file].checksum)
        for file in pending.files
        if file in done
    ]
    # The machine lost its power, and with it what the disk had not got.
    lost = sorted(file.path for file in pending.files if file not in done or done[file].size != file.size)
    return _completed(pending, files, problem=f"not whole any more in the spool: {', '.join(lost)}" if lost else "")


class _Bringing:
    """The files of one artifact on their way to the store: small ones side by side, large ones by their pieces."""

    def __init__(self, store: Store, folder: Path, lanes: Lanes, on_bytes: Callable[[int], None]) -> None:
        self._store = store
        self._folder = folder
        self._lanes = lanes
        self._on_bytes = on_bytes
        self._done: dict[PendingFile, Deposited] = {}

    def run(self, files: Sequence[PendingFile]) -> dict[PendingFile, Deposited]:
        """Return what was brought; files that are not there any more are left out."""
        small = [file for file in files if file.size < WHOLE_BYTES]
        for file in small:
            self._lanes.hand_over(partial(self._bring, file))
        self._lanes.settle()
        for file in files:
            if file.size >= WHOLE_BYTES:
                self._bring(file)
        return self._done

    def _bring(self, file: PendingFile) -> None:
        path = self._folder / file.spooled
        with contextlib.suppress(FileNotFoundError):
            self._done[file] = deposit(self._store, path, lanes=self._lanes, on_bytes=self._on_bytes)


def fetched(spooled: SpooledFiles, pending: Pending) -> Pending:
    """Copy what is at the URL of an artifact into the spool; return the artifact as it is to be brought then.

    Raises:
        TracklibError: It cannot be read.
        OSError: There is no room.
    """
    from tracklib.artifacts.remote import fetch

    folder = spooled.path(pending.id)
    files = tuple(
        PendingFile(copy.path, copy.name, (folder / copy.name).stat().st_size) for copy in fetch(pending.source, folder)
    )
    return replace(pending, files=files, source="", fetch=False)


def noted(pending: Pending, is_late: Callable[[], bool] = lambda: False, *, last: bool = True) -> dict[str, Any] | None:
    """Look at the files of an artifact where they are; return what its record says.

    Args:
        is_late: Asked now and then whether to give up.
        last: Whether to make do with what is there now.

    Returns:
        None where something is missing, or may still be being written, and it is not the last look.
    """
    if is_url(pending.source):
        from tracklib.artifacts.remote import look_at_url

        return _told(pending, look_at_url(pending.source))
    if not last and is_fresh(pending.source):
        return None
    found = look_at(pending.source, is_late)
    return None if found.problem and not last else _told(pending, found)


def unfetched(pending: Pending, error: Exception) -> dict[str, Any]:
    """Return what the record of an artifact says whose URL cannot be read."""
    return _completed(pending, (), problem=f"it could not be fetched: {error}")


def unseen(pending: Pending) -> dict[str, Any]:
    """Return what the record of an artifact says at which nobody could look in time."""
    return _completed(pending, (), problem="the run ended before it was looked at")


def completed(store: Store, spooled: SpooledFiles, pending: Pending) -> dict[str, Any]:
    """Do whatever is to be done for an artifact, now or never; return what its record says.

    Raises:
        StoreError: The store cannot take its files now.
        OSError: They cannot be read.
    """
    if pending.fetch:
        try:
            pending = fetched(spooled, pending)
        except (TracklibError, OSError, ValueError) as error:
            return unfetched(pending, error)
    found = noted(pending) if pending.source else None
    return brought(store, spooled, pending) if found is None else found


def behind_the_end(run: str, writer: str, position: int, told: Sequence[dict[str, Any]]) -> Batch:
    """Return a batch of artifacts that the store got when the journal of their writer had ended.

    Args:
        position: Where the store is in the journal: at its end, or behind an earlier batch of this kind.
        told: What their records say.
    """
    now = time.time()
    records = tuple(Record(RecordKind.ARTIFACT, now, data) for data in told)
    return Batch(run=run, writer=writer, start=position, end=position + 1, time=now, records=records, final=True)


def _told(pending: Pending, found: FoundFiles) -> dict[str, Any]:
    told = _completed(pending, found.files, problem=found.problem, identity=found.identity)
    return {**told, "metadata": {**told["metadata"], **jsonable(found.metadata)}}


def _completed(
    pending: Pending, files: Sequence[ArtifactFile], *, problem: str = "", identity: str = ""
) -> dict[str, Any]:
    whole = bool(files) and all(file.checksum for file in files) and not problem
    checksum = manifest_checksum([(file.checksum, file.path) for file in files]) if whole else identity
    metadata = pending.data["metadata"]
    return {
        **pending.data,
        "files": [asdict(file) for file in files],
        "size": sum(file.size for file in files),
        "checksum": checksum,
        "metadata": {**metadata, "problem": problem} if problem else metadata,
    }
