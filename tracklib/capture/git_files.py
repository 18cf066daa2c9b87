"""Reads the few files of a repository that say where its code stands, without any program.

Containers for training often have a checkout and no git. And where git refuses (another owner, a broken index), this
much is still known. What only git can tell comes from `tracklib.capture.git_changes`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

__all__ = ["Repository", "find_repository"]

_MAX_BYTES = 32_000_000
_HASH = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_MAX_LINKS = 5


class Repository(NamedTuple):
    """Where the code of a working tree stands, as its files tell.

    Attributes:
        root: The top folder of the working tree.
        git_directory: The folder with its HEAD and index: `.git`, or that of the linked worktree or submodule.
        commit: The full hash of HEAD; None without commits, or where references are kept in another format.
        branch: None when HEAD is detached.
        remote_url: As configured, credentials included: of `origin`, or of the first remote that has one.
    """

    root: Path
    git_directory: Path
    commit: str | None
    branch: str | None
    remote_url: str | None


def find_repository(directory: Path) -> Repository | None:
    """Return the repository whose working tree `directory` is in, or None.

    A folder `.git` that is none is passed over, as git does.
    """
    for root in (directory, *directory.parents):
        git_directory = _git_directory(root / ".git")
        if git_directory is not None:
            return _read_repository(root, git_directory)
    return None


def _git_directory(marker: Path) -> Path | None:
    """Follow `.git`, which is a folder, or in worktrees and submodules a file that names one."""
    try:
        if not marker.is_dir():
            kind, _, target = _text(marker).strip().partition(": ")
            marker = marker.parent / target if kind == "gitdir" and target else marker
        head = marker / "HEAD"
        return marker if head.is_symlink() or head.is_file() else None
    except (OSError, ValueError):  # A folder that may not be looked into, or no possible name.
        return None


def _read_repository(root: Path, git_directory: Path) -> Repository:
    common = _text(git_directory / "commondir").strip()
    shared = git_directory / common if common else git_directory
    head = _head(git_directory)
    branch = head.removeprefix("ref: refs/heads/") if head.startswith("ref: refs/heads/") else None
    return Repository(
        root=root,
        git_directory=git_directory,
        commit=_commit(head, git_directory, shared),
        # With the reftable format the file only holds this placeholder.
        branch=None if branch == ".invalid" else branch,
        remote_url=_remote_url(_text(shared / "config")),
    )


def _head(git_directory: Path) -> str:
    """Return the content of HEAD; in very old repositories it is a symbolic link to the branch."""
    path = git_directory / "HEAD"
    try:
        return f"ref: {path.readlink()}" if path.is_symlink() else _text(path).strip()
    except OSError:  # Gone between two looks.
        return ""


def _commit(head: str, git_directory: Path, shared: Path) -> str | None:
    for _ in range(_MAX_LINKS):
        if _HASH.fullmatch(head):
            return head
        if not head.startswith("ref: refs/"):
            return None
        name = head.removeprefix("ref: ")
        head = _text(git_directory / name).strip() or _text(shared / name).strip() or _packed(shared, name)
    return None


def _packed(shared: Path, name: str) -> str:
    """Return the hash of a reference from the file that git packs old references into."""
    found = re.search(rf"^([0-9a-f]+) {re.escape(name)}$", _text(shared / "packed-refs"), re.MULTILINE)
    return found[1] if found else ""


def _remote_url(config: str) -> str | None:
    urls: dict[str, str] = {}
    remote = None
    for line in config.splitlines():
        section = re.match(r'\s*\[\s*([\w.-]+)\s*(?:"((?:[^"\\]|\\.)*)")?\s*\]', line)
        if section:
            remote = section[2] if section[1].lower() == "remote" else None
        elif remote is not None and (url := re.match(r"\s*url\s*=\s*(.*?)\s*$", line, re.IGNORECASE)):
            urls.setdefault(remote, _config_value(url[1]))
    return urls.get("origin") or next((url for url in urls.values() if url), None)


def _config_value(text: str) -> str:
    """Take quotes and a comment off a value."""
    bare = re.match(r'"((?:[^"\\]|\\.)*)"|([^"#;]*)', text)
    value = (bare[1] if bare[1] is not None else bare[2]) if bare else ""
    return re.sub(r"\\(.)", r"\1", value).strip()


def _text(path: Path) -> str:
    try:
        if not path.is_file():  # Opening a pipe would wait for ever.
            return ""
        with path.open("rb") as file:
            return os.fsdecode(file.read(_MAX_BYTES))
    except (OSError, ValueError):  # Missing, not ours to read, or no possible name: it tells nothing.
        return ""
