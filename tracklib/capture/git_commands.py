"""Runs git, through GitPython, for a reader who must not disturb.

Every command is bounded in time and output, and goes without locks, prompts and network.

Known trade-offs:
    * Filters of Git LFS are off, since they copy changed files into the repository. So a file that is kept there counts
      as changed whenever git has to look into it.
    * GitPython cannot be imported where the git program is missing, unless an environment variable is set. That would
      change the user's program and its children, so here it is not imported then.
"""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import subprocess
from time import monotonic
from typing import IO, TYPE_CHECKING, NamedTuple, cast

from tracklib.capture.redact import mask_text
from tracklib.capture.source_files import readable

if TYPE_CHECKING:
    from tracklib.capture.git_files import Repository

__all__ = ["GitOutput", "git_problem", "run_git"]

_ENVIRONMENT = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "",
    "SSH_ASKPASS": "",
    "GIT_OPTIONAL_LOCKS": "0",
    # A partial clone would fetch what it lacks: no way of transport is allowed.
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
}
_SETTINGS = (
    "core.fsmonitor=",
    "core.hooksPath=/dev/null",
    "credential.helper=",
    "diff.relative=false",
    "filter.lfs.clean=",
    "filter.lfs.process=",
    "filter.lfs.required=false",
)
_CHUNK_BYTES = 65_536
_LINGER_S = 1.0


class GitOutput(NamedTuple):
    """What a git command wrote.

    Attributes:
        data: Its output, or the first part of it.
        problem: Why that is not all; None for the whole output of a command that succeeded.
    """

    data: bytes
    problem: str | None = None


def git_problem() -> str | None:
    """Return why git cannot be run at all, or None."""
    name = os.environ.get("GIT_PYTHON_GIT_EXECUTABLE") or "git"
    if shutil.which(name) is None:
        return f"there is no program {name!r}"
    try:
        import git  # noqa: F401 - tried here, so that no command has to
    except ImportError as error:
        return f"GitPython cannot be used: {' '.join(str(error).split())}"
    return None


def run_git(repository: Repository, words: list[str], *, limit: int, timeout_s: float, big_file: int = 0) -> GitOutput:
    """Run `git` in the top folder of a repository, and return what it writes.

    Args:
        repository: Where.
        words: The command and its options.
        limit: Bytes of output after which git is stopped.
        timeout_s: Seconds after which it is stopped.
        big_file: Files of more bytes count as binary; 0 leaves that to git.
    """
    from git import Git, GitCommandNotFound

    settings = (*_SETTINGS, f"core.bigFileThreshold={big_file}") if big_file else _SETTINGS
    options = [word for setting in settings for word in ("-c", setting)]
    command = [Git.GIT_PYTHON_GIT_EXECUTABLE or "git", "--no-optional-locks", "--no-pager", *options, *words]
    try:
        handle = Git(repository.root).execute(
            command,
            as_process=True,
            env=_environment(repository),
            # A group of its own, to be stopped with all its children; and without a terminal to ask questions on.
            start_new_session=True,
        )
    except (GitCommandNotFound, OSError, ValueError) as error:
        return GitOutput(b"", f"git could not be started: {error}")
    process = cast("subprocess.Popen[bytes]", handle.proc)
    # Otherwise the handle would wait, without limit, for git to end when it is let go of.
    handle.proc = None
    try:
        return _read_output(process, limit=limit, timeout_s=timeout_s)
    finally:
        _end(process)


def _environment(repository: Repository) -> dict[str, str]:
    """Return what to change in the environment; one that names a repository, as in a hook, must name this one."""
    changes = dict(_ENVIRONMENT)
    if "GIT_DIR" in os.environ or "GIT_WORK_TREE" in os.environ:
        changes.update(GIT_DIR=str(repository.git_directory), GIT_WORK_TREE=str(repository.root))
    if "GIT_INDEX_FILE" in os.environ:
        changes.update(GIT_INDEX_FILE=str(repository.git_directory / "index"))
    return changes


def _read_output(process: subprocess.Popen[bytes], *, limit: int, timeout_s: float) -> GitOutput:
    deadline = monotonic() + timeout_s
    output, errors = bytearray(), bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(cast("IO[bytes]", process.stdout), selectors.EVENT_READ, output)
        selector.register(cast("IO[bytes]", process.stderr), selectors.EVENT_READ, errors)
        while selector.get_map():
            if (remaining := deadline - monotonic()) <= 0:
                return GitOutput(bytes(output), f"git took longer than {timeout_s:g} s")
            if len(output) > limit:
                return GitOutput(bytes(output[:limit]), f"git wrote more than {limit} bytes")
            _take(selector, remaining)
            del errors[_CHUNK_BYTES:]
    try:
        status = process.wait(max(_LINGER_S, deadline - monotonic()))
    except subprocess.TimeoutExpired:
        return GitOutput(bytes(output), f"git took longer than {timeout_s:g} s")
    if len(output) > limit:
        return GitOutput(bytes(output[:limit]), f"git wrote more than {limit} bytes")
    return GitOutput(bytes(output), _complaint(errors) if status else None)


def _take(selector: selectors.BaseSelector, timeout_s: float) -> None:
    """Take what there is to read; a stream that has ended is read no more."""
    for key, _ in selector.select(timeout_s):
        chunk = os.read(key.fd, _CHUNK_BYTES)
        key.data.extend(chunk)
        if not chunk:
            selector.unregister(key.fileobj)


def _complaint(errors: bytearray) -> str:
    lines = readable(bytes(errors)).strip().splitlines()
    first = next((line for line in lines if line.startswith(("fatal:", "error:"))), lines[0] if lines else "it failed")
    return mask_text(f"git says {first[:500]!r}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Stop git and its children if they still run, and let go of the pipes, without waiting long."""
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()
    if process.poll() is not None:
        return
    try:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(_LINGER_S)
    except (OSError, subprocess.TimeoutExpired):
        # Ended by itself in between, or stuck in a file system that does not answer: there is no more to be done.
        return
