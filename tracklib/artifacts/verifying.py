"""Whether what is kept of artifacts is what was recorded, and what lies elsewhere still what was noted."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from tracklib.artifacts.content import manifest_checksum
from tracklib.artifacts.contents import Contents, blob_name
from tracklib.artifacts.names import check_manifest
from tracklib.errors import ConfigError, CorruptData, NotFound, StoreError
from tracklib.stores.lanes import Lanes
from tracklib.stores.retrying import retried

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tracklib.model import Artifact, ArtifactFile
    from tracklib.stores.base import Store

__all__ = ["Problem", "Verifier"]

_LANES: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What is wrong with a file of an artifact; its fields are keys of JSON.

    Attributes:
        artifact: As it is said in text.
        path: Of the file; empty for the whole.
        blob: Where the store keeps the file, relative to itself; empty where it does not.
        text: What is wrong, in words.
    """

    artifact: str
    path: str = ""
    blob: str = ""
    text: str


class Verifier:
    """Reads all files of artifacts and compares them to what was recorded. What several have is read once."""

    def __init__(self, store: Store, on_bytes: Callable[[int], object] = lambda _: None) -> None:
        """Note what is to be verified.

        Args:
            on_bytes: Told of bytes that were looked at, from several threads.
        """
        self._store = store
        self._on_bytes = on_bytes
        self._known: dict[str, str] = {}

    def problems(self, artifact: Artifact) -> list[Problem]:
        """Return what is wrong with an artifact: nothing if it can be had as it was recorded."""
        contents = Contents(self._store, artifact)
        found: dict[str, str] = {}
        with Lanes(_LANES) as lanes:
            for file in artifact.files:
                lanes.hand_over(partial(self._look, contents, file, found))
            lanes.settle()
        told = [Problem(artifact=contents.name, text=text) for text in self._of_manifest(contents)]
        for file in artifact.files:
            if file.path in found:
                blob = "" if contents.noted else blob_name(file.checksum)
                told.append(Problem(artifact=contents.name, path=file.path, blob=blob, text=found[file.path]))
        return told

    def _of_manifest(self, contents: Contents) -> Iterator[str]:
        """Yield what is wrong with an artifact as a whole."""
        artifact = contents.artifact
        try:
            check_manifest(file.path for file in artifact.files)
        except (CorruptData, ConfigError) as error:
            yield str(error)
        known = [(file.checksum, file.path) for file in artifact.files]
        if artifact.checksum and all(checksum for checksum, _ in known):
            actual = manifest_checksum(known)
            if actual != artifact.checksum:
                yield f"its list of files is damaged: it has SHA-256 {actual}, and had {artifact.checksum}"
        yield from self._of_place(contents)

    def _of_place(self, contents: Contents) -> Iterator[str]:
        if contents.noted is None:
            return
        try:
            more = contents.noted.paths() - {file.path for file in contents.artifact.files}
        except (NotFound, StoreError):  # Then that is told of each file.
            return
        if more:
            names = ", ".join(map(repr, sorted(more)[:3])) + (", …" if len(more) > 3 else "")
            yield f"there is more at {contents.noted.place} now than was noted: {names}"

    def _look(self, contents: Contents, file: ArtifactFile, found: dict[str, str]) -> None:
        key = "" if contents.noted else file.checksum
        if key in self._known:
            text = self._known[key]
            self._on_bytes(file.size)
        else:
            text = self._problem(contents, file)
            if key:
                self._known[key] = text
        if text:
            found[file.path] = text

    def _problem(self, contents: Contents, file: ArtifactFile) -> str:
        """Read a file; return what is wrong with it, in words."""
        try:
            if contents.noted is not None and contents.noted.is_url:
                contents.noted.check_mark(file.path)
                self._on_bytes(file.size)
            else:
                retried(partial(contents.compare, file, self._on_bytes))
        except (CorruptData, NotFound) as error:
            return str(error)
        return ""
