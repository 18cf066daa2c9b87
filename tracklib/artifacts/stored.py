"""Artifacts as they were recorded: finding them, and what they say of themselves."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracklib.artifacts.aliases import reference_to
from tracklib.artifacts.contents import Contents
from tracklib.artifacts.versions import find_version, find_versions
from tracklib.errors import NotFound
from tracklib.stores.base import ArtifactQuery

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from typing import BinaryIO

    from tracklib.artifacts.verifying import Problem
    from tracklib.artifacts.versions import Version
    from tracklib.model import Artifact, ArtifactFile
    from tracklib.stores.base import Store

__all__ = ["StoredArtifact", "find_artifact", "list_artifacts"]


class StoredArtifact:
    """A version of an artifact. What it says of itself was read when it was made; its files are read when asked for.

    Every byte that it gives is one that was recorded: files are compared to their SHA-256 first.

    Attributes:
        aliases: The names of this version now, `latest` among them if it was logged last.
        logged_by: Ids of the runs that have logged it, the first one first.
    """

    aliases: tuple[str, ...]
    logged_by: tuple[str, ...]

    def __init__(self, store: Store, version: Version) -> None:
        self._told = version.info
        self.aliases = version.aliases
        self.logged_by = version.runs
        self._store = store

    @cached_property
    def info(self) -> Artifact:
        """All that was recorded of it; of several runs that logged the same files, by the first one with a copy.

        Raises:
            NotFound: It was deleted meanwhile.
        """
        found = self._store.find_artifacts(ArtifactQuery(ids=(self._told.id,)))
        if not found:
            raise NotFound(f"{self.reference} was deleted meanwhile")
        return found[0]

    @property
    def reference(self) -> str:
        """How it is said in text, such as `digits/train-data:v3`."""
        return reference_to(self._told)

    @property
    def project(self) -> str:
        """The project that counts its versions; empty for a figure or the like, which belongs to its run alone."""
        return self._told.project

    @property
    def name(self) -> str:
        """Its name, which all of its versions share."""
        return self._told.name

    @property
    def version(self) -> int | None:
        """Its number, from 0; None where nobody knows what was in its files."""
        return self._told.version

    @property
    def type(self) -> str:
        """dataset, model, checkpoint, figure, table, file, or another word."""
        return self._told.type

    @property
    def metadata(self) -> dict[str, Any]:
        """What was said of it when it was logged, and what was found out."""
        return self._told.metadata

    @property
    def size(self) -> int:
        """Bytes of all of its files."""
        return self._told.size

    @property
    def checksum(self) -> str:
        """SHA-256 over its files: the same files have the same one."""
        return self._told.checksum

    @property
    def files(self) -> tuple[ArtifactFile, ...]:
        """Its files: `.path .size .checksum`."""
        return self.info.files

    @property
    def created_at(self) -> float:
        """When it was logged, in seconds since the epoch (UTC)."""
        return self._told.created_at

    @property
    def step(self) -> int | None:
        """The training step that it belongs to."""
        return self._told.step

    @property
    def path(self) -> str:
        """Where its files came from, or for a reference where they are."""
        return self._told.path

    @property
    def score(self) -> float | None:
        """How good it is, if anybody said so: higher is better."""
        return self._told.score

    @property
    def run(self) -> str:
        """Id of the run that `info` comes from."""
        return self._told.run

    @property
    def problem(self) -> str:
        """What went wrong when it was logged; empty if nothing did."""
        return str(self._told.metadata.get("problem", ""))

    @property
    def is_reference(self) -> bool:
        """Whether no copy was made, but only noted where its files are."""
        return self._told.is_reference

    @property
    def store(self) -> str:
        """URI of its store."""
        return self._store.uri

    @cached_property
    def used_by(self) -> tuple[str, ...]:
        """Ids of the runs that have used it, the first one first."""
        uses = self._store.uses(project=self.project, name=self.name)
        mine = (use.run for use in uses if use.artifact == self._told.id or (self.project and self._is_of(use.version)))
        return tuple(dict.fromkeys(mine))

    def _is_of(self, version: int | None) -> bool:
        return version is not None and version == self.version

    @cached_property
    def _contents(self) -> Contents:
        return Contents(self._store, self.info)

    def download(
        self,
        to: str | os.PathLike[str] | None = None,
        *,
        force: bool = False,
        on_bytes: Callable[[int], object] | None = None,
    ) -> Path:
        """Bring its files to a folder, and return that.

        Each file is compared to its SHA-256 while it is written, and has its own name only when it is the right one.
        What is there already is not fetched again: so a download that was broken off goes on when it is called again.
        Of a reference, the files are copied from where they were noted, if they are still what they were.

        Args:
            to: The folder, which is made if it is missing; by default `artifacts/<name>-v<version>` where you are.
            force: Replace files of the same names that have other content.
            on_bytes: Told of bytes that are there, again and again, from several threads in turn. A negative number
                takes some back.

        Raises:
            CorruptData: A file is not what it was; it is named, with its blob. Or it would lie outside of the folder.
            NotFound: A file is missing.
            ConfigError: There are other files of these names, or the folder cannot be one.
            StoreError: They cannot be read, or not be written.

        Example:
            >>> Path("train.csv").write_text("x,y")
            3
            >>> with tracklib.start_run(project="digits") as run:
            ...     run.log_artifact("train.csv", "train-data")
            >>> folder = tracklib.get_artifact("digits/train-data").download()
            >>> folder.as_posix(), (folder / "train.csv").read_text()
            ('artifacts/train-data-v0', 'x,y')
        """
        from tracklib.artifacts.downloading import default_folder, download

        folder = default_folder(self._told) if to is None else Path(to)
        download(self._store, self.info, folder, force=force, on_bytes=on_bytes or _ignore)
        return folder

    def read(self, path: str | None = None) -> bytes:
        """Return the bytes of a file, verified.

        Args:
            path: Which one; not needed where there is only one.

        Raises:
            NotFound: There is no such file; the message suggests near names.
            ConfigError: There are several, and none was named.
            CorruptData: It is not what it was.
        """
        return self._contents.read(self._contents.file(path))

    def open(self, path: str | None = None) -> BinaryIO:
        """Return a file for reading. All of it is verified before: a large one is copied to the temporary folder.

        Args:
            path: Which one; not needed where there is only one.

        Raises:
            NotFound: There is no such file; the message suggests near names.
            ConfigError: There are several, and none was named.
            CorruptData: It is not what it was.
        """
        return self._contents.open(self._contents.file(path))

    def verify(self) -> list[Problem]:
        """Read all of its files, compare them to what was recorded, and return what is wrong.

        Of a reference, what lies now where it was noted is compared to what was noted; of files at a URL, that is size
        and ETag or the like, without reading them.
        """
        from tracklib.artifacts.verifying import Verifier

        return Verifier(self._store).problems(self.info)

    def __repr__(self) -> str:
        aliases = f" ({', '.join(self.aliases)})" if self.aliases else ""
        return f"<StoredArtifact {self.reference}{aliases} {self.type}>"


def _ignore(_: int) -> None:
    return None


def find_artifact(store: Store, reference: str, project: str, *, anywhere: bool = False) -> StoredArtifact:
    """Return the artifact that a reference means; see `tracklib.artifacts.aliases`.

    Args:
        project: The current one.
        anywhere: Where the current project has nothing of the kind, look for a name that only one project has.

    Raises:
        NotFound: There is no such artifact; the message suggests near names, versions or aliases.
        AmbiguousName: Several are meant.
        ConfigError: The reference is no text, or empty.
    """
    return StoredArtifact(store, find_version(store, reference, project, anywhere=anywhere))


def list_artifacts(store: Store, query: ArtifactQuery) -> list[StoredArtifact]:
    """Return each version of each artifact that is asked for, by project and name, the newest first.

    What belongs to its run alone is listed only where a run is asked for.
    """
    return [StoredArtifact(store, version) for version in find_versions(store, query)]
