"""Versions: what the records of several runs say together of the same files under the same name."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from tracklib.artifacts.aliases import holders, readings, reference_to
from tracklib.artifacts.labels import LATEST
from tracklib.errors import AmbiguousName, NotFound
from tracklib.stores.base import ArtifactQuery
from tracklib.values import checked_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tracklib.artifacts.aliases import Holder, Reading
    from tracklib.model import Alias, Artifact
    from tracklib.stores.base import Store

__all__ = ["Version", "find_version", "find_versions", "key_of"]

_MOST_NAMED: Final = 8
_ONE_BY_ONE: Final = 20
"""So many names are asked for one by one, rather than all that a project has."""


@dataclass(frozen=True, slots=True)
class Version:
    """What is known of one version: several runs may have logged the same files.

    Attributes:
        info: The record that is taken for all of them, without its files.
        records: All of them, by time. What belongs to its run alone has only one, and so has what is in no known files.
        aliases: Its names now.
    """

    info: Artifact
    records: tuple[Artifact, ...]
    aliases: tuple[str, ...] = ()

    @property
    def last(self) -> Artifact:
        """The record that was logged last."""
        return self.records[-1]

    @property
    def runs(self) -> tuple[str, ...]:
        """Ids of the runs that logged it, the first one first."""
        return tuple(dict.fromkeys(record.run for record in self.records))


def key_of(artifact: Artifact) -> str:
    """Return what all records of the same version have in common, and no others.

    Example:
        >>> from tracklib.model import Artifact
        >>> key_of(Artifact(id="01A", run="", project="digits", name="train-data", type="dataset", version=3))
        'digits/train-data:v3'
    """
    return reference_to(artifact) if artifact.project and artifact.version is not None else artifact.id


def find_version(store: Store, reference: str, project: str, *, anywhere: bool = False) -> Version:
    """Return the version that a reference means; see `tracklib.artifacts.stored.find_artifact`."""
    text = checked_text("reference", reference)
    wanted = readings(text, project)
    for reading in wanted:
        records = store.find_artifacts(_query(reading))
        if records:
            return _chosen(store, reading, records)
    if anywhere:
        for reading in (each for each in wanted if project and each.project == project):
            same = store.find_artifacts(ArtifactQuery(name=reading.name, files=False))
            records = [record for record in same if record.project]
            if records:
                return _chosen(store, replace(reading, project=_only_project(records, text)), records)
    raise NotFound(f"there is no artifact {text!r} in {store.uri}{_hint(store, text, project)}")


def _query(reading: Reading) -> ArtifactQuery:
    project = None if reading.run else reading.project
    return ArtifactQuery(project=project, run=reading.run or None, name=reading.name, files=False)


def _only_project(records: Sequence[Artifact], text: str) -> str:
    projects = sorted({record.project for record in records})
    if len(projects) > 1:
        several = ", ".join(f"{project}/{records[0].name}" for project in projects)
        raise AmbiguousName(f"{text!r} means artifacts of several projects: {several}; say of which one")
    return projects[0]


def _hint(store: Store, text: str, project: str) -> str:
    """Return near names, or those that there are, as the end of a message."""
    import difflib

    projects = [entity.name for entity in store.projects(archived=None)]
    names = {
        f"{each}/{name}": name if each == project else f"{each}/{name}"
        for each in projects
        for name in sorted({record.name for record in store.find_artifacts(ArtifactQuery(project=each, files=False))})
    }
    place, bare = f"{project}/{text.partition(':')[0]}", text.partition(":")[0]
    near = [*difflib.get_close_matches(place, names, 3), *difflib.get_close_matches(bare, names, 3)]
    if near:
        return f"; did you mean {' or '.join(repr(names[name]) for name in dict.fromkeys(near))}?"
    return f"; there are: {_listed(names.values())}"


def _listed(names: Iterable[str]) -> str:
    every = list(names)
    return ", ".join(every[:_MOST_NAMED]) + (", …" if len(every) > _MOST_NAMED else "") or "none"


# ---- which version is meant


def _chosen(store: Store, reading: Reading, records: Sequence[Artifact]) -> Version:
    """Return the version that is meant of what is there under a name.

    Raises:
        NotFound: There is no such version or alias.
        AmbiguousName: Several checksums begin so.
    """
    key = _chosen_key(store, reading, records)
    own = [record for record in records if key_of(record) == key]
    info = _representative(own)
    if not info.project or info.version is None:
        return Version(info, tuple(own))
    name = ArtifactQuery(project=info.project, name=info.name, files=False)
    everything = store.find_artifacts(name) if reading.run else records
    version = _versions(everything, store.aliases(info.project, info.name))[key]
    return replace(version, info=info)


def _representative(records: Sequence[Artifact]) -> Artifact:
    """Return the first record of which the store has the bytes, or just the first one."""
    return next((record for record in records if not record.is_reference), records[0])


def _chosen_key(store: Store, reading: Reading, records: Sequence[Artifact]) -> str:
    name = f"{reading.run or reading.project}/{reading.name}"
    numbered = [record for record in records if record.version is not None]
    if reading.checksum:
        return _by_checksum(reading, name, records)
    if reading.version is not None:
        found = [record for record in records if record.version == reading.version]
        if not found:
            raise NotFound(f"{name} has no version v{reading.version}; it has: {_numbers(numbered)}")
        return key_of(found[-1])
    if reading.alias == LATEST:
        return key_of(records[-1] if reading.run or not numbered else numbered[-1])
    return _by_alias(store, reading, name, numbered)


def _numbers(records: Iterable[Artifact]) -> str:
    numbers = sorted({record.version for record in records if record.version is not None}, reverse=True)
    return _listed(f"v{number}" for number in numbers)


def _by_checksum(reading: Reading, name: str, records: Sequence[Artifact]) -> str:
    found = {record.checksum: key_of(record) for record in records if record.checksum.startswith(reading.checksum)}
    if len(found) > 1:
        raise AmbiguousName(f"{len(found)} versions of {name} have a checksum that begins so: {reading.checksum}")
    if not found:
        raise NotFound(f"{name} has no version whose checksum begins with {reading.checksum}")
    return next(iter(found.values()))


def _by_alias(store: Store, reading: Reading, name: str, records: Sequence[Artifact]) -> str:
    import difflib

    places = {record.project: record for record in records if record.project}
    found: dict[str, Artifact | int] = {}
    for project in places:
        said = [a for a in store.aliases(project, reading.name) if not reading.run or a.run == reading.run]
        numbers = {record.version: record for record in records if record.project == project}
        found |= {alias: numbers.get(each.version, each.version) for alias, each in holders(said).items()}
    holder = found.get(reading.alias)
    if isinstance(holder, int):
        raise NotFound(f"the alias {reading.alias!r} of {name} means v{holder}, which was deleted")
    if holder is not None:
        return key_of(holder)
    if reading.alias.isdigit():
        raise NotFound(f"{name} has no alias {reading.alias!r}: a version is written v{int(reading.alias)}")
    near = difflib.get_close_matches(reading.alias, [*found, LATEST], 3)
    hint = f"did you mean {' or '.join(map(repr, near))}?" if near else f"it has: {_listed([LATEST, *sorted(found)])}"
    raise NotFound(f"{name} has no alias {reading.alias!r}; {hint}")


# ---- all versions


def find_versions(store: Store, query: ArtifactQuery) -> list[Version]:
    """Return the versions that are asked for; see `tracklib.artifacts.stored.list_artifacts`."""
    own = [] if query.run is None else store.find_artifacts(replace(query, files=False))
    keys = {key_of(record) for record in own}
    found = [Version(record, (record,)) for record in own if not record.project]
    for project, name in _names(store, query, own):
        records = store.find_artifacts(ArtifactQuery(project=project, name=name, files=False))
        every = _versions(records, store.aliases(project, name))
        found += [version for key, version in every.items() if _is_wanted(version, query, key, keys)]
    newest_first = sorted(found, key=lambda version: (-version.last.created_at, version.last.id))
    return sorted(newest_first, key=lambda version: (version.info.project, version.info.name))


def _names(store: Store, query: ArtifactQuery, own: Sequence[Artifact]) -> list[tuple[str, str | None]]:
    """Return the projects to look at, and which name in each; None for all at once."""
    if query.run is None:
        projects = [query.project] if query.project else [entity.name for entity in store.projects()]
        return [(project, query.name) for project in projects]
    names = {(record.project, record.name) for record in own if record.project}
    if len(names) <= _ONE_BY_ONE:
        return list(names)
    return [(project, None) for project in {project for project, _ in names}]


def _is_wanted(version: Version, query: ArtifactQuery, key: str, keys: set[str]) -> bool:
    if query.run is not None:
        return key in keys
    return (query.type is None or any(record.type == query.type for record in version.records)) and (
        query.version is None or version.info.version == query.version
    )


def _versions(records: Iterable[Artifact], events: Iterable[Alias]) -> dict[str, Version]:
    """Return the versions of a project by their keys, with their aliases.

    Args:
        records: By time.
        events: What was said of aliases of the same names, by time.
    """
    together: dict[str, list[Artifact]] = {}
    latest: dict[str, str] = {}
    for record in records:
        key = key_of(record)
        together.setdefault(key, []).append(record)
        if record.version is not None:
            latest[record.name] = key
    said: dict[str, list[Alias]] = defaultdict(list)
    for event in events:
        said[event.name].append(event)
    named = {name: holders(events) for name, events in said.items()}
    return {
        key: Version(_representative(own), tuple(own), _aliases(own[0], named, latest)) for key, own in together.items()
    }


def _aliases(record: Artifact, named: dict[str, dict[str, Holder]], latest: dict[str, str]) -> tuple[str, ...]:
    if record.version is None:
        return ()
    own = [alias for alias, holder in named.get(record.name, {}).items() if holder.version == record.version]
    return tuple([LATEST] * (latest[record.name] == key_of(record)) + sorted(own))
