"""Reads what a working tree has beside its commit: changes of tracked files, and untracked files.

A patch that is cut in a file cannot be applied, so each file's diff is kept whole or left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from time import monotonic
from typing import TYPE_CHECKING

from tracklib.capture.git_commands import GitOutput, git_problem, run_git
from tracklib.capture.redact import is_secret_file, mask_text
from tracklib.capture.source_files import is_source_file, read_source, readable

if TYPE_CHECKING:
    from tracklib.capture.git_files import Repository

__all__ = ["Changes", "read_changes"]

_TIMEOUT_S = 10.0
_DIFF_TIMEOUT_S = 20.0
_UNTRACKED_TIME_S = 5.0
_LIST_BYTES = 8_000_000
_MAX_FILES = 2000
_MAX_SKIPPED = 200
# What a run itself leaves behind makes no code dirty.
_OWN_FOLDERS = frozenset({".tracklib", "__pycache__"})
# Whatever the user's configuration says, the patch has the form that `git apply` takes.
_DIFF = [
    "diff",
    "--no-color",
    "--no-ext-diff",
    "--no-textconv",
    "--no-renames",
    "--full-index",
    "--submodule=short",
    "--src-prefix=a/",
    "--dst-prefix=b/",
    "--unified=3",
    "HEAD",
    "--",
]
_STATUS = ["status", "--porcelain=v2", "--branch", "--no-ahead-behind", "--no-renames", "--untracked-files=no", "-z"]
_ESCAPES = {b"a": b"\a", b"b": b"\b", b"t": b"\t", b"n": b"\n", b"v": b"\v", b"f": b"\f", b"r": b"\r"}


@dataclass(slots=True, kw_only=True)
class Changes:
    """What git says of a working tree. What it could not say is None or empty, with the reason in `skipped`.

    Attributes:
        commit: The full hash of HEAD; None without commits.
        branch: None when HEAD is detached.
        tag: The tag at HEAD; of several the one with the highest version.
        dirty: Whether tracked files were changed or untracked ones present.
        diff: Of tracked text files, each whole or not at all, with secrets masked.
        untracked: Text of untracked files by path, with secrets masked.
        skipped: What was left out of `diff` and `untracked`, or changed in them, by path, each with the reason.
    """

    commit: str | None = None
    branch: str | None = None
    tag: str | None = None
    dirty: bool | None = None
    diff: str = ""
    untracked: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def skip(self, path: str, reason: str) -> None:
        """Note that a path is left out. Of very many, the rest is only counted."""
        if not reason:
            return
        if path in self.skipped:
            self.skipped[path] += f"; {reason}"
        elif len(self.skipped) < _MAX_SKIPPED or path in {"diff", "untracked"}:
            self.skipped[path] = reason
        else:
            count = int(self.skipped.get("…", "0").split()[0]) + 1
            self.skipped["…"] = f"{count} more"


def read_changes(repository: Repository, *, limit: int) -> Changes:
    """Ask git about a working tree. Nothing is raised, and nothing is written to the repository.

    Args:
        repository: Which.
        limit: Bytes of diff, and as many of untracked files, that are kept.
    """
    changes = Changes(commit=repository.commit, branch=repository.branch)
    problem = git_problem() or _read_status(repository, changes)
    if problem:
        changes.skip("diff", problem)
        changes.skip("untracked", problem)
        return changes
    if changes.commit:
        changes.tag = _tag(repository)
        if changes.dirty:
            _read_diff(repository, changes, limit)
    _read_untracked(repository, changes, limit)
    return changes


def _read_status(repository: Repository, changes: Changes) -> str | None:
    """Fill in where HEAD is and whether tracked files were changed; return a problem if there is one."""
    output = run_git(repository, _STATUS, limit=_LIST_BYTES, timeout_s=_TIMEOUT_S)
    for line in output.data.split(b"\0"):
        kind, _, value = line.partition(b" ")
        if kind == b"#":
            _read_header(changes, readable(value))
        elif line:
            changes.dirty = True
    if output.problem is None and changes.dirty is None:
        changes.dirty = False
    # Cut short, it still tells that much was changed.
    return None if changes.dirty else output.problem


def _read_header(changes: Changes, header: str) -> None:
    name, _, value = header.partition(" ")
    if name == "branch.oid":
        changes.commit = None if value == "(initial)" else value
    elif name == "branch.head":
        changes.branch = None if value == "(detached)" else value


def _tag(repository: Repository) -> str | None:
    words = ["for-each-ref", "--points-at=HEAD", "--sort=-version:refname", "--format=%(refname:strip=2)", "refs/tags"]
    output = run_git(repository, words, limit=_LIST_BYTES, timeout_s=_TIMEOUT_S)
    return readable(output.data.partition(b"\n")[0]) or None


def _read_diff(repository: Repository, changes: Changes, limit: int) -> None:
    output = run_git(
        repository,
        _DIFF,
        # Files that are too large to be kept are read past, so that they do not crowd out the others.
        limit=1_000_000 + 8 * limit,
        timeout_s=_DIFF_TIMEOUT_S,
        big_file=max(limit, 1),
    )
    if output.problem:
        changes.skip("diff", f"{output.problem}; kept is what came before")
    kept: list[str] = []
    room = limit
    for section in _sections(output):
        path, reason = _path(section), _unfit(section)
        if not reason and len(section) > room:
            reason = f"its diff has {len(section)} bytes, and {room} more would be kept"
        if reason:
            changes.skip(path, reason)
        else:
            room -= len(section)
            kept.append(_section_text(changes, path, section))
    changes.diff = "".join(kept)


def _sections(output: GitOutput) -> list[bytes]:
    """Split a diff into the parts for each file. Of one that was cut short the last part is not whole."""
    starts = [match.start() for match in re.finditer(rb"^diff --git ", output.data, re.MULTILINE)]
    ends = [*starts[1:], len(output.data)]
    sections = [output.data[start:end] for start, end in zip(starts, ends, strict=True)]
    return sections[:-1] if output.problem else sections


def _path(section: bytes) -> str:
    """Return the path that a part of a diff is about, from its first line: without renames it stands there twice."""
    names = section.partition(b"\n")[0].removeprefix(b"diff --git ")
    if names.startswith(b'"'):
        names = re.sub(rb'\\([0-7]{3}|.)|"', _unquoted, names)
    # a/<path> b/<path>
    return readable(names[2 : 2 + (len(names) - 5) // 2])


def _unquoted(match: re.Match[bytes]) -> bytes:
    escape = match[1]
    if escape is None:
        return b""
    return bytes([int(escape, 8) & 0xFF]) if len(escape) == 3 else _ESCAPES.get(escape, escape)


def _unfit(section: bytes) -> str:
    """Return why a part of a diff is not kept, whatever its size; empty if it is."""
    header = section.partition(b"\n@@")[0]
    if re.search(rb"^Binary files .* differ$", header, re.MULTILINE):
        return "binary, or larger than the limit"
    if b"\n-version https://git-lfs.github.com/spec/" in section:
        return "kept by Git LFS"
    return "by its name it holds secrets" if is_secret_file(PurePosixPath(_path(section)).name) else ""


def _section_text(changes: Changes, path: str, section: bytes) -> str:
    # Lines about a conflict that is not solved stand between the parts.
    text = re.sub(rb"^\* Unmerged path .*\n", b"", section, flags=re.MULTILINE).decode("utf-8", "replace")
    if "\ufffd" in text and "\ufffd".encode() not in section:
        changes.skip(path, "kept without the bytes that are not UTF-8")
    if re.search(r"^\+Subproject commit \w+-dirty$", text, re.MULTILINE):
        changes.skip(path, "a submodule with changes of its own, which are not kept")
    masked = mask_text(text)
    if masked != text:
        changes.skip(path, "kept with secrets masked")
    return masked


def _read_untracked(repository: Repository, changes: Changes, limit: int) -> None:
    # Without a commit to compare with, files that are only staged are as good as untracked.
    staged = [] if changes.commit else ["--cached"]
    words = ["ls-files", "-z", "--others", "--exclude-standard", *staged]
    output = run_git(repository, words, limit=_LIST_BYTES, timeout_s=_TIMEOUT_S)
    names = {name for name in output.data.split(b"\0") if name and not _OWN_FOLDERS.intersection(_parts(name))}
    names = _without_installed(changes, names)
    if output.problem:
        changes.skip("untracked", output.problem)
    if names:
        changes.dirty = True
    elif output.problem and not changes.dirty:
        changes.dirty = None
    _keep_untracked(repository, changes, limit, names)


def _without_installed(changes: Changes, names: set[bytes]) -> set[bytes]:
    """Leave out virtual environments and `node_modules` that nobody told git to ignore: they are no code of the run."""
    markers = (b"/pyvenv.cfg", b"node_modules/.package-lock.json")
    folders = tuple(name[: name.rindex(b"/") + 1] for name in names if name.endswith(markers))
    for folder in folders:
        changes.skip(readable(folder), "installed packages")
    return {name for name in names if not name.startswith(folders)} if folders else names


def _parts(name: bytes) -> list[str]:
    return readable(name).split("/")


def _keep_untracked(repository: Repository, changes: Changes, limit: int, names: set[bytes]) -> None:
    # What people wrote comes before what programs wrote.
    ordered = sorted(names, key=lambda name: (not is_source_file(readable(name)), name))
    deadline = monotonic() + _UNTRACKED_TIME_S
    room = limit
    for index, name in enumerate(ordered):
        if index >= _MAX_FILES or monotonic() > deadline:
            changes.skip("untracked", f"{len(ordered) - index} of {len(ordered)} files were not looked at")
            return
        room -= _keep_file(repository, changes, name, room)


def _keep_file(repository: Repository, changes: Changes, name: bytes, room: int) -> int:
    """Keep an untracked file, or note why not; return how many bytes it takes."""
    path = readable(name)
    if name.endswith(b"/"):
        changes.skip(path, "another repository")
        return 0
    found = read_source(repository.root / name.decode("utf-8", "surrogateescape"), limit=room)
    changes.skip(path, found.remark)
    if found.text is None:
        return 0
    changes.untracked[path] = found.text
    return len(found.text.encode())
