"""Records the code that runs: where it comes from, its commit, and what was changed since."""

from __future__ import annotations

import os
import re
from pathlib import Path

from tracklib.capture.git_changes import Changes, read_changes
from tracklib.capture.git_files import Repository, find_repository
from tracklib.capture.program import command_line, entry_point, in_notebook
from tracklib.capture.redact import mask_text
from tracklib.capture.source_files import readable
from tracklib.model import Source, SourceType

__all__ = ["capture_source", "entry_point"]

_USER_INFO = re.compile(r"^(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<user>[^/@:]*)(?::[^/]*)?@", re.IGNORECASE)


def capture_source(directory: Path, *, diff_limit: int = 1_000_000) -> Source:
    """Record the code of a program that runs in `directory`.

    It disturbs nobody: the repository is only read, each git command has a time-out, none asks for a password or uses
    the network. What cannot be found out is left empty, with the reason in `skipped`.

    Args:
        directory: The working directory. It need not be in a repository, nor exist.
        diff_limit: Bytes of the diff that are kept, and as many of untracked files.

    Example:
        >>> capture_source(Path("/")).source_type.value
        'local'
    """
    directory = _resolved(directory)
    repository = find_repository(directory)
    changes = read_changes(repository, limit=max(0, diff_limit)) if repository else _no_changes(directory)
    return Source(
        source_type=_source_type(repository),
        repository_url=_public_url(repository.remote_url) if repository and repository.remote_url else None,
        commit=changes.commit,
        branch=readable(changes.branch) if changes.branch else None,
        tag=changes.tag,
        dirty=changes.dirty,
        diff=changes.diff,
        untracked=changes.untracked,
        skipped=changes.skipped,
        entry_point=entry_point(),
        command_line=command_line(),
        directory=readable(str(directory)),
    )


def _resolved(directory: Path) -> Path:
    """Return the directory without links: git looks for the repository above the real one."""
    try:
        return Path(os.path.realpath(directory))
    except (OSError, ValueError):  # Relative, to a working directory that was deleted.
        return directory


def _no_changes(directory: Path) -> Changes:
    """Return that there is no repository; where something looks like one, say so."""
    markers = (folder / ".git" for folder in (directory, *directory.parents))
    marker = next((marker for marker in markers if os.path.lexists(marker)), None)
    return Changes(skipped={readable(str(marker)): "no valid repository"} if marker else {})


def _source_type(repository: Repository | None) -> SourceType:
    if in_notebook():
        return SourceType.NOTEBOOK
    return SourceType.GIT if repository else SourceType.LOCAL


def _public_url(url: str) -> str:
    """Take the credentials off a remote's URL. Users of SSH are no credentials: they all are called git."""
    found = _USER_INFO.match(url)
    if found:
        scheme, user = found["scheme"], found["user"]
        is_web = scheme.lower() in {"http", "https"}
        url = f"{scheme}://{'' if is_web or not user else f'{user}@'}{url[found.end() :]}"
    return mask_text(readable(url))
