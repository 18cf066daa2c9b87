"""The paths of a manifest: how they are written, and that none of them leads out of the folder it is read into.

What a manifest says was written by somebody, perhaps to do harm. So each download asks `place` where a file goes, right
before it writes it, and `check_manifest` once before the first.

Known trade-offs: `place` looks for links, and then the file is written. Who can write to the folder at the same time
can plant a link in between, but such a one could change the files themselves as well.
"""

from __future__ import annotations

import itertools
import os
import re
import tempfile
import unicodedata
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Final

from tracklib.errors import ConfigError, CorruptData

__all__ = ["check_manifest", "ignores_case", "place", "portable", "safe_path"]

_NOWHERE: Final = (
    (re.compile(r"\A\Z"), "is empty"),
    (re.compile("\0"), "has a NUL"),
    (re.compile("[\ud800-\udfff]"), "cannot be said in UTF-8"),
    (re.compile(r"\A[A-Za-z]:"), "begins with the letter of a drive"),
    (re.compile(r"\A(\\\\|//)"), "begins with the name of a machine"),
    (re.compile(r"\A/"), "is absolute"),
    (re.compile(r"(\A|[\\/])\.\.([\\/]|\Z)"), "leads out of its folder by '..'"),
    (re.compile(r"(\A|/)\.?(/|\Z)"), "has a segment that is empty or '.'"),
)
"""What no path may be on any system, read as it would be here or on Windows."""

_NOT_ON_WINDOWS: Final = (
    (re.compile(r'[<>:"|?*\\\x00-\x1f]'), "has a character that Windows does not take in a name"),
    (re.compile(r"[. ](/|\Z)"), "has a name that ends with a dot or a space"),
    (
        re.compile(r"(\A|/)(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³]) *(\.[^/]*)?(/|\Z)", re.IGNORECASE),
        "has a name that Windows keeps for a device",
    ),
)


def safe_path(path: str, *, windows: bool = os.name == "nt") -> PurePosixPath:
    """Return the path of a manifest, if it stays in its folder.

    Elsewhere than on Windows a backslash is part of a name. On Windows it is refused, and so is what cannot be a name
    there: `aux`, `a:b` or a name that ends with a dot.

    Args:
        path: Relative, its segments separated by slashes.
        windows: Whether files are to be named on Windows.

    Raises:
        CorruptData: It is empty or absolute, leads out by `..`, names a drive or machine, or has an empty segment,
            a `.` or a NUL.
        ConfigError: It is a path, but cannot be one on Windows.

    Example:
        >>> safe_path("data/train.csv").parts
        ('data', 'train.csv')
        >>> safe_path("../.bashrc")
        Traceback (most recent call last):
        tracklib.errors.CorruptData: the artifact names a file '../.bashrc', which leads out of its folder by '..'
        >>> safe_path("aux.txt", windows=True)
        Traceback (most recent call last):
        tracklib.errors.ConfigError: the file 'aux.txt' has a name that Windows keeps for a device: get it elsewhere
    """
    if not isinstance(path, str):
        raise CorruptData(f"the artifact names a file {path!r:.200}, which is no text")
    for pattern, words in _NOWHERE:
        if pattern.search(path):
            raise CorruptData(f"the artifact names a file {path!r:.500}, which {words}")
    for pattern, words in _NOT_ON_WINDOWS if windows else ():
        if pattern.search(path):
            raise ConfigError(f"the file {path!r:.500} {words}: get it elsewhere")
    return PurePosixPath(path)


def check_manifest(paths: Iterable[str], *, ignore_case: bool = False) -> None:
    """Check that the files of a manifest can lie in one folder together.

    Args:
        paths: Of all its files.
        ignore_case: Whether names that differ in case alone are the same there; see `ignores_case`.

    Raises:
        CorruptData: A path is not safe, is there twice, or is that of a folder of another.
        ConfigError: Two paths are the same only where case makes no difference.

    Example:
        >>> check_manifest(["a/b", "a/B"])
        >>> check_manifest(["a/b", "a"])
        Traceback (most recent call last):
        tracklib.errors.CorruptData: the artifact names a file 'a', which is also the folder of 'a/b'
    """
    # By segments, so that a file that is also a folder stands right before what lies in it.
    order = sorted((safe_path(path).parts, path) for path in paths)
    _check_neighbours(order, CorruptData)
    if ignore_case:
        folded = sorted((safe_path(_folded(path)).parts, path) for _, path in order)
        _check_neighbours(folded, ConfigError)


def _check_neighbours(order: list[tuple[tuple[str, ...], str]], error: type[CorruptData | ConfigError]) -> None:
    where = "" if error is CorruptData else " on a file system that does not tell upper from lower case"
    for (parts, path), (next_parts, next_path) in itertools.pairwise(order):
        if parts == next_parts:
            raise error(f"the artifact names a file {path!r}, which is the same as {next_path!r}{where}")
        if parts == next_parts[: len(parts)]:
            raise error(f"the artifact names a file {path!r}, which is also the folder of {next_path!r}{where}")


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", path).casefold())


def ignores_case(folder: str | os.PathLike[str]) -> bool:
    """Tell whether a folder, which must be there, takes names that differ in case alone for the same.

    Example:
        >>> Path("weights").mkdir()
        >>> ignores_case("weights") == Path("WEIGHTS").exists()
        True
    """
    with tempfile.NamedTemporaryFile(prefix=".tracklib-Case-", dir=folder) as file:
        path = Path(file.name)
        return path.with_name(path.name.swapcase()).exists()


def place(folder: str | os.PathLike[str], path: str) -> Path:
    """Return where a file of a manifest goes below a folder; nothing is made there.

    Ask for each file right before it is written: a link may have been planted since.

    Args:
        folder: It may itself be a link, and need not be there.
        path: As the manifest says it.

    Raises:
        CorruptData: The path leads out of the folder.
        ConfigError: It goes through a link that lies in the folder, or cannot be a path on Windows.

    Example:
        >>> place("data", "train/0.csv").as_posix()
        'data/train/0.csv'
    """
    target = Path(folder)
    for part in safe_path(path).parts:
        target /= part
        if _is_link(target):
            raise ConfigError(
                f"the file {path!r:.500} would go through {str(target)!r:.500}, a link that may lead anywhere: "
                "remove it, or choose another folder"
            )
    return target


def _is_link(path: Path) -> bool:
    # A junction of Windows is a link by another name, which Python can tell from 3.12 on.
    is_junction = getattr(os.path, "isjunction", None)
    return path.is_symlink() or (is_junction is not None and is_junction(path))


def portable(name: str) -> str:
    r"""Return a file's name as a manifest can say it, such that `safe_path` takes it here.

    Bytes that are not UTF-8 and NULs become escapes. Of a name that would lead elsewhere as a path of Windows, the
    dots, colons and backslashes become escapes too.

    Example:
        >>> portable("größe: a\\b"), portable("b\udce9"), portable("..\\x"), portable("C:x")
        ('größe: a\\b', 'b\\xe9', '\\x2e\\x2e\\x5cx', 'C\\x3ax')
    """
    text = _said(name).replace("\0", r"\x00")
    if any(pattern.search(text) for pattern, _ in _NOWHERE):
        text = re.sub(r"[.:/\\]", lambda match: rf"\x{ord(match[0]):02x}", text)
    return text or "_"


def _said(name: str) -> str:
    bytes_said = re.sub("[\udc80-\udcff]", lambda match: rf"\x{ord(match[0]) - 0xDC00:02x}", name)
    return bytes_said.encode("utf-8", "backslashreplace").decode("utf-8")
