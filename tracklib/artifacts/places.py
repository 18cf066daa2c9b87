"""The files of a reference, of which no copy was made: where they were noted, as they are now."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from tracklib.artifacts.references import is_url
from tracklib.errors import ConfigError, CorruptData, NotFound, StoreUnavailable

if TYPE_CHECKING:
    from typing import BinaryIO

    from tracklib.artifacts.folders import Collected
    from tracklib.artifacts.references import FoundFiles
    from tracklib.model import Artifact

__all__ = ["NotedFiles"]


class NotedFiles:
    """What lies now at the place that a reference notes. It is looked at once, when it is first asked for.

    Attributes:
        place: The path or URL.
    """

    def __init__(self, artifact: Artifact) -> None:
        self.place = artifact.path
        self._artifact = artifact
        self._is_url = is_url(artifact.path)

    def open(self, path: str) -> BinaryIO:
        """Open a file as it is now.

        Args:
            path: As the manifest says it.

        Raises:
            NotFound: It is not there any more, at least not for this machine.
            CorruptData: It is another one, by its ETag or the like.
            StoreUnavailable: It cannot be read now.
        """
        if self._is_url:
            self.check_mark(path)
            return self._open_url(path)
        if path not in self._here.files:
            why = self._here.skipped.get(path)
            raise NotFound(f"{self.place} has no file {path!r} {f'that can be read: {why}' if why else 'any more'}")
        where = self._here.files[path]
        try:
            return where.open("rb")
        except FileNotFoundError as error:
            raise NotFound(f"there is nothing at {where} any more") from error
        except OSError as error:
            raise StoreUnavailable(f"{where} cannot be read: {error}") from error

    def paths(self) -> set[str]:
        """Return the paths of all files that are there now.

        Raises:
            NotFound: Nothing is there.
            StoreUnavailable: It cannot be looked at.
        """
        return {file.path for file in self._at_url.files} if self._is_url else set(self._here.files)

    def check_mark(self, path: str) -> None:
        """Compare the size and the ETag of a file at a URL, or what stands for that, to what was noted.

        Raises:
            NotFound: It is not there any more.
            CorruptData: It is another one.
        """
        marks = {file.path: str(self._at_url.metadata["marks"].get(file.path, "")) for file in self._at_url.files}
        noted = str(self._artifact.metadata.get("marks", {}).get(path, ""))
        if path not in marks:
            raise NotFound(f"{self.place} has no file {path!r} any more")
        was = next((file.size for file in self._artifact.files if file.path == path), None)
        now = next(file.size for file in self._at_url.files if file.path == path)
        if was is not None and was != now:
            raise CorruptData(f"{path!r} at {self.place} has changed since it was noted: {was:,} bytes became {now:,}")
        if noted and marks[path] != noted:
            raise CorruptData(f"{path!r} at {self.place} has changed since it was noted: {noted} became {marks[path]}")

    @property
    def is_url(self) -> bool:
        """Whether the place is a URL, the files of which are known by their marks."""
        return self._is_url

    @cached_property
    def _here(self) -> Collected:
        from tracklib.artifacts.folders import collect

        try:
            return collect(self.place)
        except (FileNotFoundError, ConfigError) as error:
            raise NotFound(f"there is nothing at {self.place} on this machine: {error}") from error
        except OSError as error:
            raise StoreUnavailable(f"{self.place} cannot be looked at: {error}") from error

    @cached_property
    def _at_url(self) -> FoundFiles:
        from tracklib.artifacts.remote import look_at_url

        found = look_at_url(self.place)
        if found.problem:
            raise NotFound(f"there is nothing to be read at {self.place}: {found.problem}")
        return found

    def _open_url(self, path: str) -> BinaryIO:
        from tracklib.stores.bucket import open_bucket

        bucket = open_bucket(self.place, {})
        is_folder = bucket.fs.isdir(bucket.path(""))
        return bucket.open(path if is_folder else "")
