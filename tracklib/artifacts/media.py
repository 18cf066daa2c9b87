"""Files of pictures and sounds that are kept as they are: what they are is told by how they begin."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from tracklib.artifacts.folders import collect
from tracklib.errors import ConfigError

__all__ = ["MediaFile", "media_file"]

_HEAD: Final = 4096
_OTHER_SUFFIXES: Final = {
    "aiff": ("aif", "aifc"),
    "heic": ("heif",),
    "jpg": ("jpeg", "jpe"),
    "m4a": ("mp4", "m4b"),
    "ogg": ("oga", "opus"),
    "tiff": ("tif",),
    "wav": ("wave",),
}


@dataclass(frozen=True, slots=True)
class MediaFile:
    """A file that somebody has handed over.

    Attributes:
        content: Its bytes, or where they are.
        kind: The usual suffix of such files.
        path: Where it came from, if from a path.
    """

    content: bytes | Path
    kind: str
    path: str = ""

    def open(self) -> BinaryIO:
        """Open it for reading."""
        return io.BytesIO(self.content) if isinstance(self.content, bytes) else self.content.open("rb")

    def suffix(self, name: str) -> str:
        """Return the suffix that a name has already, if it is another one for the same kind, else the usual one.

        Example:
            >>> MediaFile(b"", "jpg").suffix("cat.jpeg"), MediaFile(b"", "jpg").suffix("cat.png")
            ('jpeg', 'jpg')
        """
        others = (each for each in _OTHER_SUFFIXES.get(self.kind, ()) if name.lower().endswith(f".{each}"))
        return next(others, self.kind)


def media_file(media: Any, argument: str, kinds: Mapping[str, re.Pattern[bytes]]) -> MediaFile | None:
    """Return the file that a path or bytes are; None for anything else.

    Args:
        argument: What it is called in a message.
        kinds: How files begin, by their usual suffixes.

    Raises:
        FileNotFoundError: There is nothing at the path.
        ConfigError: It is a file of another kind, or one that cannot be read.

    Example:
        >>> media_file(b"GIF89a...", "image", {"gif": re.compile(rb"GIF8[79]a")})
        MediaFile(content=b'GIF89a...', kind='gif', path='')
    """
    if isinstance(media, (bytes, bytearray, memoryview)):
        content = bytes(media)
        return MediaFile(content, _kind(content[:_HEAD], f"{argument} is {len(content):,} bytes", kinds))
    if not isinstance(media, (str, os.PathLike)):
        return None
    what = f"{argument} is {os.fspath(media)!r}"
    if Path(media).is_dir():
        raise ConfigError(f"{what}, but takes the path of a file: keep a folder with log_artifact")
    found = collect(media)
    for file in found.files.values():
        with file.open("rb") as opened:
            return MediaFile(file, _kind(opened.read(_HEAD), what, kinds), str(Path(media)))
    raise ConfigError(f"{what}, which cannot be kept: {', '.join(found.skipped.values())}")


def _kind(head: bytes, what: str, kinds: Mapping[str, re.Pattern[bytes]]) -> str:
    for kind, magic in kinds.items():
        if magic.match(head):
            return kind
    raise ConfigError(f"{what}, which is none of {', '.join(kinds)}: keep other files with log_artifact")
