"""Where things are in an object store: the names of its objects, and what they tell."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Final, NamedTuple
from urllib.parse import quote, unquote

from tracklib.records import is_id, new_id

__all__ = [
    "BLOBS",
    "CHANGES",
    "ENTITIES",
    "FORMAT",
    "RUNS",
    "SNAPSHOTS",
    "VERSION",
    "Marker",
    "ObjectName",
    "blob_key",
    "content_key",
    "entity_key",
    "first_id",
    "has_id",
    "marker_key",
    "new_marker",
    "number_key",
    "number_of",
    "numbers_folder",
    "object_name",
    "recipe_key",
    "records_key",
    "run_folder",
    "segment_key",
    "snapshot_key",
    "time_prefixes",
    "tombstone_key",
]

VERSION: Final = 1
"""Of the format. It grows when an older tracklib could no longer read what a newer one writes."""

FORMAT: Final = "tracklib.json"
"""The object that says which version the store has."""

BLOBS: Final = "blobs"
RUNS: Final = "runs"
CHANGES: Final = "changes"
ENTITIES: Final = "entities"
SNAPSHOTS: Final = "snapshots"
VERSIONS: Final = "versions"

_CROCKFORD: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_TIME_LENGTH: Final = 10
_MOST_PREFIXES: Final = 4
_OBJECT: Final = re.compile(
    r"(?P<kind>records|metrics)/(?P<writer>[^/]+)-(?P<first>\d+)(?:_(?P<last>\d+))?\.(?:jsonl|parquet)"
)
_NUMBER: Final = re.compile(r"(\d{1,18})\.json")


class ObjectName(NamedTuple):
    """What the name of an object of a run tells.

    Attributes:
        kind: records or metrics.
        first: Its number; of merged metrics, the first of the numbers that it stands for.
        last: The last of them; the same where nothing was merged.
    """

    kind: str
    writer: str
    first: int
    last: int


class Marker(NamedTuple):
    """One sign that something has changed.

    Attributes:
        id: A ULID: when it was written.
        run: The run that has changed; empty where it is the entity with the id of the marker.
    """

    id: str
    run: str

    @classmethod
    def of(cls, name: str) -> Marker | None:
        """Return what a name in `changes/` says; None for a name that is none of ours."""
        marker, _, run = name.partition("-")
        return cls(marker, run if is_id(run) else "") if is_id(marker) and (is_id(run) or run == "entity") else None


def run_folder(run: str) -> str:
    """Return the folder of a run."""
    return f"{RUNS}/{run}"


def records_key(run: str, writer: str, number: int) -> str:
    """Return the name of a writer's object of records.

    Example:
        >>> records_key("01JD", "0", 2)
        'runs/01JD/records/0-2.jsonl'
    """
    return f"{RUNS}/{run}/records/{quote(writer, safe='')}-{number}.jsonl"


def segment_key(run: str, writer: str, first: int, last: int | None = None) -> str:
    """Return the name of a writer's segment of points, or of several that were merged.

    Example:
        >>> segment_key("01JD", "0", 2), segment_key("01JD", "0", 0, 3)
        ('runs/01JD/metrics/0-2.parquet', 'runs/01JD/metrics/0-0_3.parquet')
    """
    span = str(first) if last is None or last == first else f"{first}_{last}"
    return f"{RUNS}/{run}/metrics/{quote(writer, safe='')}-{span}.parquet"


def tombstone_key(run: str) -> str:
    """Return the name of the object that says that a run was deleted."""
    return f"{RUNS}/{run}/deleted.json"


def object_name(key: str) -> ObjectName | None:
    """Return what the name of an object of a run tells; None for one that is none of ours.

    Example:
        >>> object_name("runs/01JD/metrics/0-0_3.parquet")
        ObjectName(kind='metrics', writer='0', first=0, last=3)
    """
    match = _OBJECT.fullmatch(key.split("/", 2)[-1])
    if match is None:
        return None
    first = int(match["first"])
    return ObjectName(match["kind"], unquote(match["writer"]), first, int(match["last"] or first))


def marker_key(marker: Marker) -> str:
    """Return the name of a marker."""
    return f"{CHANGES}/{marker.id}-{marker.run or 'entity'}"


def new_marker(run: str = "") -> Marker:
    """Return a marker of now."""
    return Marker(new_id(), run)


def entity_key(marker: str) -> str:
    """Return the name of the object that describes a project or an experiment."""
    return f"{ENTITIES}/{marker}.json"


def snapshot_key(snapshot: str) -> str:
    """Return the name of a snapshot."""
    return f"{SNAPSHOTS}/{snapshot}.parquet"


def has_id(key: str) -> bool:
    """Tell whether an object is named by an id, as snapshots and entities are: others are none of ours.

    Example:
        >>> has_id(snapshot_key(new_id())), has_id("snapshots/notes.txt")
        (True, False)
    """
    return is_id(key.rpartition("/")[2].partition(".")[0])


def blob_key(checksum: str) -> str:
    """Return the name of a blob."""
    return f"{BLOBS}/{checksum[:2]}/{checksum}"


def recipe_key(checksum: str) -> str:
    """Return the name of the recipe of a file in pieces."""
    return f"{blob_key(checksum)}.recipe"


def numbers_folder(project: str, name: str) -> str:
    """Return the folder of the versions that were given to what has a name in a project."""
    return f"{_versions_folder(project, name)}/numbers"


def number_key(project: str, name: str, version: int) -> str:
    """Return the name of the object that says whose a version is.

    Example:
        >>> number_key("digits", "classifier", 3)[:18], number_key("digits", "classifier", 3)[-14:]
        ('versions/5d12f505e', 'numbers/3.json')
    """
    return f"{numbers_folder(project, name)}/{version}.json"


def number_of(key: str) -> int | None:
    """Return the version that such an object is about; None for one that is none of ours.

    Example:
        >>> number_of("versions/ab/numbers/12.json"), number_of("versions/ab/numbers/x.json")
        (12, None)
    """
    match = _NUMBER.fullmatch(key.rpartition("/")[2])
    return int(match[1]) if match else None


def content_key(project: str, name: str, checksum: str) -> str:
    """Return the name of the object by which the version of an artifact with this checksum is found."""
    return f"{_versions_folder(project, name)}/contents/{checksum}.json"


def _versions_folder(project: str, name: str) -> str:
    """Return a folder by a hash, since names are any text."""
    text = json.dumps([project, name], separators=(",", ":"))
    return f"{VERSIONS}/{hashlib.sha256(text.encode()).hexdigest()}"


def time_prefixes(begin: float, end: float) -> list[str]:
    """Return the first characters of all ULIDs that were made between two moments, and of few others.

    File systems can list names that begin alike, but not names from one on. There are four prefixes at the most.

    Args:
        begin: Seconds since the epoch.
        end: Likewise, and not before.

    Example:
        >>> time_prefixes(1_700_000_000.0, 1_700_000_900.0)
        ['01HF7Y', '01HF7Z']
    """
    low, high = (max(0, int(moment * 1000)) for moment in (begin, end))
    for length in range(_TIME_LENGTH, -1, -1):
        shift = 5 * (_TIME_LENGTH - length)
        first, last = low >> shift, high >> shift
        if last - first < _MOST_PREFIXES:
            return [_time_text(number, length) for number in range(first, last + 1)]
    return [""]


def first_id(moment: float) -> str:
    """Return what sorts before all ULIDs that are made from a moment on, and after all older ones.

    Example:
        >>> first_id(1_700_000_000.0) < new_id(1_700_000_000.0), first_id(1_700_000_000.0) > new_id(1_699_999_999.9)
        (True, True)
    """
    return _time_text(max(0, int(moment * 1000)), _TIME_LENGTH)


def _time_text(number: int, length: int) -> str:
    return "".join(_CROCKFORD[(number >> (5 * place)) & 31] for place in range(length - 1, -1, -1))
