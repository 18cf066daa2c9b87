"""How versions of artifacts are said in text, and which version an alias means. No I/O.

A reference is a name with what it is the name of before it, and which version after it:

    train-data                  the latest of the current project
    digits/train-data:v3        a version of a project, or of an alias: `digits/train-data:reviewed`
    01JD4Q…/loss-curve:v3       what a run logged itself
    train-data@sha256:9a129038  by the first characters of its checksum

Names and projects may have `/` and `:` of their own. What is there decides: of the names that a reference may mean, the
longest one that exists is meant, and of equally long ones that of the current project.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tracklib.artifacts.labels import BEST, LATEST
from tracklib.records import is_id

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tracklib.model import Alias, Artifact

__all__ = ["Holder", "Reading", "holders", "readings", "reference_to"]

_MOST_SLASHES: Final = 8
_VERSION: Final = re.compile(r"v(\d{1,15})")
_CHECKSUM: Final = re.compile(r"(.+)@sha256:([0-9a-fA-F]{8,64})", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One thing that a reference may mean.

    Attributes:
        project: Whose artifact it is; empty where a run is named.
        run: Id of the run that logged it; empty where a project is named.
        version: None where it is named in another way.
        alias: `latest` where nothing else is said.
        checksum: How that of the artifact begins; empty where that is not said.
    """

    name: str
    project: str = ""
    run: str = ""
    version: int | None = None
    alias: str = LATEST
    checksum: str = ""


@dataclass(frozen=True, slots=True)
class _Suffix:
    version: int | None = None
    alias: str = LATEST
    checksum: str = ""


def readings(reference: str, project: str) -> list[Reading]:
    """Return what a reference may mean: the first of these that has a name that exists is meant.

    Args:
        project: The current one.

    Example:
        >>> [(each.project, each.name, each.version) for each in readings("digits/data:v3", "mine")][::3]
        [('mine', 'digits/data:v3', None), ('digits', 'data', 3)]
    """
    found = [
        Reading(
            project=place.project,
            run=place.run,
            name=place.name,
            version=suffix.version,
            alias=suffix.alias,
            checksum=suffix.checksum,
        )
        for text, suffix in _endings(reference)
        for place in _places(text, project)
    ]
    return sorted(found, key=lambda reading: (-len(reading.name), reading.project != project))


def _endings(reference: str) -> Iterator[tuple[str, _Suffix]]:
    """Yield the name and its place, and which version is meant."""
    yield reference, _Suffix()
    match = _CHECKSUM.fullmatch(reference)
    if match:
        yield match[1], _Suffix(checksum=match[2].lower())
    text, _, word = reference.rpartition(":")
    if not text or not word.strip() or set(word) & set("/@"):
        return
    version = _VERSION.fullmatch(word)
    yield text, _Suffix(version=int(version[1])) if version else _Suffix(alias=word)


def _places(text: str, project: str) -> Iterator[Reading]:
    if project:
        yield Reading(project=project, name=text)
    parts = text.split("/")
    for count in range(1, min(len(parts), _MOST_SLASHES)):
        place, name = "/".join(parts[:count]), "/".join(parts[count:])
        if place and name:
            yield Reading(project=place, name=name)
    if len(parts) > 1 and is_id(parts[0].upper()):
        yield Reading(run=parts[0].upper(), name="/".join(parts[1:]))


def reference_to(artifact: Artifact) -> str:
    """Return how an artifact is said in text, so that it is found again.

    Example:
        >>> from tracklib.model import Artifact
        >>> reference_to(Artifact(id="", run="", project="digits", name="train-data", type="dataset", version=3))
        'digits/train-data:v3'
    """
    place = artifact.project if artifact.project and artifact.version is not None else artifact.run
    return f"{place}/{artifact.name}" + ("" if artifact.version is None else f":v{artifact.version}")


@dataclass(frozen=True, slots=True)
class Holder:
    """The version that has an alias.

    Attributes:
        score: By which it got it; None if it was given without one.
        run: In whose records that stands.
    """

    version: int
    score: float | None = None
    run: str = ""


def holders(events: Iterable[Alias]) -> dict[str, Holder]:
    """Return which version of an artifact has each alias.

    The last word counts. But `best` goes to a version with a score only if the one that has it has none, or none that
    is better.

    Args:
        events: What was said of the aliases of one artifact, by time.

    Example:
        >>> from tracklib.model import Alias
        >>> scores = enumerate([0.7, 0.9, 0.8])
        >>> told = [Alias(project="p", name="m", alias="best", version=v, score=score) for v, score in scores]
        >>> holders(told)["best"].version
        1
    """
    found: dict[str, Holder] = {}
    for event in events:
        if event.version is None:
            found.pop(event.alias, None)
        elif _counts(event, found.get(event.alias)):
            found[event.alias] = Holder(event.version, event.score, event.run)
    return found


def _counts(event: Alias, holder: Holder | None) -> bool:
    # Of other aliases a score says nothing: they were given by hand, to a version that has one.
    if event.alias != BEST or event.score is None or holder is None or holder.score is None:
        return True
    return event.score >= holder.score
