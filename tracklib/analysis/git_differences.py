"""What git says of the difference between two commits, in a repository of this machine.

The repository is only read: without locks, network, prompts, or programs that its configuration names.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from tracklib.errors import ConfigError

if TYPE_CHECKING:
    import os

__all__ = ["CommitDiff", "compare_url", "diff_commits", "public_url"]

_COMMIT: Final = re.compile(r"[0-9a-f]{7,64}\Z")
_TIMEOUT_S: Final = 60
_MOST_BYTES: Final = 10_000_000
_QUIET: Final = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
}
_DIFF: Final = (
    "--no-color",
    "--no-ext-diff",
    "--no-textconv",
    "--submodule=short",
    "--src-prefix=a/",
    "--dst-prefix=b/",
)
_USER: Final = re.compile(r"^(?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*://)?(?P<user>[^/]*)@")
_SHORT: Final = re.compile(r"^(?P<host>[\w.-]+):(?P<path>[^/].*)$")
_COMPARE: Final = {"github": "/compare/", "gitlab": "/-/compare/"}


@dataclass(frozen=True, slots=True)
class CommitDiff:
    """The difference of two commits.

    Attributes:
        text: What `git diff` says.
        problem: Why that is nothing, or not all; "" where it is all.
    """

    text: str = ""
    problem: str = ""


def diff_commits(first: str, second: str, *, repository: str | os.PathLike[str] | None = None) -> CommitDiff:
    """Return what changed from one commit to another, if a repository has both.

    Args:
        repository: A folder in it; by default the working directory.

    Raises:
        ConfigError: There is no repository in the folder that was given.
    """
    if not (_COMMIT.match(first) and _COMMIT.match(second)):  # Else it could be taken for an option.
        return CommitDiff(problem="what was recorded as commits are none")
    try:
        import git
    except ImportError as error:
        return CommitDiff(problem=f"git cannot be used here: {' '.join(str(error).split()):.200}")
    folder = Path.cwd() if repository is None else Path(repository)
    try:
        with git.Repo(folder, search_parent_directories=True) as opened:
            opened.git.update_environment(**_QUIET, GIT_DIR=str(opened.git_dir))
            return _diff(opened, first, second)
    except (git.InvalidGitRepositoryError, git.NoSuchPathError) as error:
        if repository is not None:
            raise ConfigError(f"repo is {str(folder)!r}, but there is no git repository there") from error
        return CommitDiff(problem="the working directory is in no git repository")
    except (git.CommandError, OSError) as error:
        return CommitDiff(problem=f"git failed: {' '.join(str(error).split()):.300}")


def _diff(repository: Any, first: str, second: str) -> CommitDiff:
    from git import GitCommandError

    missing = []
    for commit in dict.fromkeys((first, second)):
        try:
            repository.git.cat_file("-e", f"{commit}^{{commit}}")
        except GitCommandError:
            missing.append(commit)
    if missing:
        named = " and ".join(missing)
        return CommitDiff(problem=f"the repository at {repository.git.working_dir} does not have {named}")
    output: bytes = repository.git.diff(
        *_DIFF,
        first,
        second,
        "--",
        stdout_as_string=False,
        strip_newline_in_stdout=False,
        kill_after_timeout=_TIMEOUT_S,
    )
    problem = f"the difference is cut after {_MOST_BYTES:,} bytes" if len(output) > _MOST_BYTES else ""
    return CommitDiff(output[:_MOST_BYTES].decode("utf-8", "replace"), problem)


def public_url(url: str) -> str:
    """Return a remote's address without what could be a secret: users, passwords, queries.

    Example:
        >>> public_url("https://ada:secret@example.com/team/code.git?token=1")
        'https://example.com/team/code.git'
        >>> public_url("git@example.com:team/code.git")
        'git@example.com:team/code.git'
    """
    found = _USER.match(url)
    if found and (found["user"] != "git" or (found["scheme"] or "").startswith("http")):
        url = (found["scheme"] or "") + url[found.end() :]
    return re.split(r"[?#]", url, maxsplit=1)[0]


def compare_url(remote: str | None, first: str, second: str) -> str | None:
    """Return the page on which a host shows the difference of two commits; None for one whose pages are not known.

    Example:
        >>> compare_url("git@github.com:team/code.git", "1234567", "89abcde")
        'https://github.com/team/code/compare/1234567...89abcde'
        >>> compare_url("https://gitlab.example.com/team/code", "1234567", "89abcde")
        'https://gitlab.example.com/team/code/-/compare/1234567...89abcde'
    """
    if not (remote and _COMMIT.match(first) and _COMMIT.match(second)):
        return None
    address = public_url(remote).removeprefix("git@")
    short = _SHORT.match(address) if "://" not in address else None
    if short:
        host, path = short["host"], short["path"]
    else:
        try:
            parts = urlsplit(address)
            host, path = parts.hostname or "", parts.path
        except ValueError:  # Brackets that are no IPv6 address.
            return None
    page = next((page for name, page in _COMPARE.items() if name in host.split(".")), None)
    path = path.strip("/").removesuffix(".git")
    return f"https://{host}/{path}{page}{first}...{second}" if page and path else None
