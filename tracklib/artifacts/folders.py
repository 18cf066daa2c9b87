"""Which files lie in a folder, and why some of them cannot be kept."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from tracklib.artifacts.names import portable
from tracklib.errors import ConfigError
from tracklib.stores.open_databases import is_open_here

__all__ = ["Collected", "collect", "why_not"]

_OWN_FOLDER: Final = ".tracklib"
_EFFECTIVE: Final = os.access in os.supports_effective_ids
_MISSING: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG})
_REASONS: Final = {
    errno.EACCES: "it may not be read",
    errno.EPERM: "it may not be read",
    errno.ENOENT: "it vanished while it was looked at",
    errno.ENOTDIR: "it vanished while it was looked at",
    errno.ESTALE: "it vanished while it was looked at",
    errno.ELOOP: "it is a link in a circle",
    errno.ENAMETOOLONG: "its path is too long",
}
_OPEN: Final = "it is a store that is open here, which nobody but SQLite may read"
_KINDS: Final = {
    stat.S_IFSOCK: "a socket",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@dataclass(frozen=True, slots=True)
class Collected:
    r"""The files that were found at a path.

    Attributes:
        files: Where each is, by its relative path as a manifest says it; sorted.
        skipped: Why something was left out, in words, by its relative path; "." is the folder itself.
        renamed: Why a path is not quite that on the disk, in words, by the path in `files` or `skipped`.
    """

    files: dict[str, Path] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)


def collect(path: str | os.PathLike[str]) -> Collected:
    r"""Return a file, or all files of a folder but those of a store of ours.

    A link to a file counts as the file, and one to a folder as the folder. What has no content that could be read is
    skipped: links that lead nowhere or back to a folder that they lie in, sockets, pipes, devices, what may not be read
    and what vanishes meanwhile. Below a link to a folder, another link is not followed to what was seen before: such
    links among many folders would lead to more files than there are.

    Bytes of a name that are not UTF-8 are written as `\xff`, and so is what would make it a path that leads elsewhere
    on Windows.

    Raises:
        TypeError: It is no path.
        FileNotFoundError: There is nothing at the path.
        ConfigError: It is neither a file nor a folder.

    Example:
        >>> Path("model").mkdir()
        >>> _ = Path("model/config.json").write_text("{}")
        >>> Path("model/gone.json").symlink_to("nowhere")
        >>> found = collect("model")
        >>> list(found.files), found.skipped
        (['config.json'], {'gone.json': 'it is a link that leads nowhere'})
    """
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"path is {path!r:.200}, but takes the path of a file or folder")
    source = Path(path)
    try:
        found = source.stat()
    except (OSError, ValueError) as error:  # ValueError: a NUL.
        if isinstance(error, OSError) and error.errno not in _MISSING:
            return _single(source, why_not(error))
        raise FileNotFoundError(
            f"path is {str(path)!r}, but there is nothing there (the working directory is {Path.cwd()})"
        ) from error
    if os.fspath(path) == "":  # A Path of it would be the working directory.
        raise FileNotFoundError("path is '', but takes the path of a file or folder: write '.' for where you are")
    if stat.S_ISDIR(found.st_mode):
        return _Search(source).run(found)
    if stat.S_ISREG(found.st_mode):
        return _single(source, _OPEN if is_open_here(os.fspath(source)) else _why_unreadable(source))
    kind = _KINDS.get(stat.S_IFMT(found.st_mode), "something else")
    raise ConfigError(f"path is {str(source)!r}, which is neither a file nor a folder: it is {kind}")


def why_not(error: OSError) -> str:
    """Return in words why a file cannot be kept.

    Example:
        >>> why_not(PermissionError(13, "Permission denied", "secret.pt"))
        'it may not be read'
    """
    return _REASONS.get(error.errno or 0) or f"it cannot be read: {error.strerror or error}"


def _single(source: Path, reason: str) -> Collected:
    (name, renamed), *_ = _texts([source.name]).values()
    return Collected(
        {} if reason else {name: source},
        {name: reason} if reason else {},
        {name: renamed} if renamed else {},
    )


class _Identity(NamedTuple):
    """Which folder it is, by whatever path."""

    device: int
    inode: int


class _Folder(NamedTuple):
    """A folder that is being looked through."""

    entries: Iterator[tuple[str, os.DirEntry[str]]]
    prefix: str
    identity: _Identity
    linked: bool


class _Search:
    """A walk through a folder, without recursion: a tree may be deeper than the stack."""

    def __init__(self, source: Path) -> None:
        self._source = source
        self._found = Collected()
        self._open: list[_Folder] = []
        # Also those that the folder lies in: a link to one of them leads back to it.
        self._above = set(_folders_above(source))
        self._seen: dict[_Identity, str] = {}

    def run(self, status: os.stat_result) -> Collected:
        self._enter(self._source, "", _identity(status), linked=False)
        while self._open:
            folder = self._open[-1]
            for name, entry in folder.entries:
                self._look(folder, folder.prefix + name, entry)
                if self._open[-1] is not folder:
                    break
            else:
                self._open.pop()
                self._above.discard(folder.identity)
        files, skipped, renamed = (
            sorted(each) for each in (self._found.files, self._found.skipped, self._found.renamed)
        )
        return Collected(
            {place: self._found.files[place] for place in files},
            {place: self._found.skipped[place] for place in skipped},
            {place: self._found.renamed[place] for place in renamed},
        )

    def _look(self, folder: _Folder, place: str, entry: os.DirEntry[str]) -> None:
        try:
            if entry.is_dir():
                if entry.name != _OWN_FOLDER:
                    self._look_at_folder(folder, place, entry)
            elif entry.is_file():
                self._take(place, entry)
            else:
                self._skip(place, _why_no_file(entry))
        except OSError as error:
            self._skip(place, _why_not_found(entry, error))

    def _look_at_folder(self, folder: _Folder, place: str, entry: os.DirEntry[str]) -> None:
        identity, is_link = _identity(entry.stat()), entry.is_symlink()
        if identity in self._above:
            self._skip(place, "it leads back to a folder that it lies in")
        elif is_link and folder.linked and identity in self._seen:
            self._skip(place, f"it is a link to what is kept as {self._seen[identity]!r}")
        else:
            self._enter(Path(entry.path), place, identity, linked=folder.linked or is_link)

    def _enter(self, path: Path, place: str, identity: _Identity, *, linked: bool) -> None:
        try:
            with os.scandir(path) as listing:
                entries = {entry.name: entry for entry in listing}
        except OSError as error:
            self._skip(place or ".", why_not(error))
            return
        prefix = f"{place}/" if place else ""
        texts = _texts(entries)
        self._found.renamed.update({prefix + text: why for text, why in texts.values() if why})
        named = ((texts[name][0], entries[name]) for name in texts)
        self._open.append(_Folder(named, prefix, identity, linked))
        self._above.add(identity)
        self._seen.setdefault(identity, place or ".")

    def _take(self, place: str, entry: os.DirEntry[str]) -> None:
        if reason := _why_unreadable(entry):
            self._skip(place, reason)
        elif is_open_here(entry.path):
            self._skip(place, _OPEN)
        else:
            self._found.files[place] = Path(entry.path)

    def _skip(self, place: str, reason: str) -> None:
        self._found.skipped[place] = reason


def _identity(found: os.stat_result) -> _Identity:
    return _Identity(found.st_dev, found.st_ino)


def _folders_above(source: Path) -> Iterator[_Identity]:
    for folder in source.resolve().parents:
        with contextlib.suppress(OSError):  # Nobody says that we may look there.
            yield _identity(folder.stat())


def _why_unreadable(path: Path | os.DirEntry[str]) -> str:
    """Return why a file cannot be read, without opening it; empty if it can."""
    if os.access(path, os.R_OK, effective_ids=_EFFECTIVE):
        return ""
    try:
        Path(path).stat()
    except OSError as error:
        return why_not(error)
    return _REASONS[errno.EACCES]


def _why_no_file(entry: os.DirEntry[str]) -> str:
    try:
        found = entry.stat()
    except FileNotFoundError as error:
        return _why_not_found(entry, error)
    return f"it is {_KINDS.get(stat.S_IFMT(found.st_mode), 'neither a file nor a folder')}"


def _why_not_found(entry: os.DirEntry[str], error: OSError) -> str:
    if entry.is_symlink() and error.errno in {errno.ENOENT, errno.ENOTDIR}:
        return "it is a link that leads nowhere"
    return why_not(error)


def _texts(names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Return for each name of a folder what a manifest says instead, all different, and why if it differs; sorted."""
    order = sorted(names)
    texts = {name: (name, "") for name in order if portable(name) == name}
    taken = {text for text, _ in texts.values()}
    for name in order:
        if name in texts:
            continue
        text, number = portable(name), 2
        while text in taken:
            text, number = f"{portable(name)}~{number}", number + 1
        taken.add(text)
        texts[name] = text, _why_renamed(name)
    return {name: texts[name] for name in order}


def _why_renamed(name: str) -> str:
    try:
        name.encode()
    except UnicodeEncodeError:
        return "its name is not UTF-8"
    return f"its name is {name!r}, which would lead elsewhere on Windows"
