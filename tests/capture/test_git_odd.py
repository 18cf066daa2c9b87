"""What is recorded where things are not as they should be: no git, no access, no repository, no answer."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracklib.capture.git import capture_source
from tracklib.capture.git_commands import run_git
from tracklib.capture.git_files import Repository, find_repository
from tracklib.model import SourceType

IDENTITY = {
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.com",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.com",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}


@pytest.fixture(autouse=True)
def _own_git(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the configuration of the machine, and of a hook that runs the tests, out of them."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    for name, value in IDENTITY.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit of one file."""
    root = tmp_path / "project"
    root.mkdir()
    git(root, "init", "--quiet", "--initial-branch=main")
    (root / "train.py").write_text("print('one')\n")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "one")
    return root


def git(directory: Path, *words: str | bytes) -> str:
    done = subprocess.run(["git", *words], cwd=directory, check=True, capture_output=True)
    return done.stdout.decode(errors="replace").strip()


def executable(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}")
    path.chmod(0o755)
    return path


def test_another_owner(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where git refuses to look, the files still tell where HEAD is, and the refusal is recorded."""
    git(repository, "remote", "add", "origin", "https://example.com/x.git")
    head = git(repository, "rev-parse", "HEAD")
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")

    source = capture_source(repository)

    assert (source.commit, source.branch, source.dirty) == (head, "main", None)
    assert source.repository_url == "https://example.com/x.git"
    assert "dubious ownership" in source.skipped["diff"]


def test_no_git_program(repository: Path, tmp_path: Path) -> None:
    """Without git the commit is known all the same; the environment and the user's imports are left alone."""
    program = (
        "import os, sys; from pathlib import Path; from tracklib.capture.git import capture_source; "
        "before = dict(os.environ); source = capture_source(Path('.')); "
        "print(source.commit, source.branch, source.dirty, source.skipped['diff']); "
        "print('git' in sys.modules, before == dict(os.environ))"
    )

    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=repository,
        env={**os.environ, "PATH": str(tmp_path)},
        check=True,
        capture_output=True,
        text=True,
    )

    head = git(repository, "rev-parse", "HEAD")
    assert done.stdout == f"{head} main None there is no program 'git'\nFalse True\n"


def test_damaged_repository(repository: Path) -> None:
    """With a broken index, what can be known is recorded, with git's complaint."""
    (repository / ".git" / "index").write_bytes(b"nonsense")

    source = capture_source(repository)

    assert source.branch == "main"
    assert source.dirty is None
    assert "git says" in source.skipped["diff"]


@pytest.mark.parametrize("content", [None, b"", b"gitdir: /nowhere", b"\xff\0"])
def test_no_valid_repository(tmp_path: Path, content: bytes | None) -> None:
    """What only looks like a repository is none, and that is said."""
    marker = tmp_path / ".git"
    if content is None:
        marker.mkdir()
    else:
        marker.write_bytes(content)

    source = capture_source(tmp_path)

    assert (source.source_type, source.commit) == (SourceType.LOCAL, None)
    assert source.skipped == {str(marker): "no valid repository"}


def test_pipe_in_the_place_of_a_repository(tmp_path: Path) -> None:
    """A pipe that nobody writes to is not waited for."""
    os.mkfifo(tmp_path / ".git")

    assert capture_source(tmp_path).skipped == {str(tmp_path / ".git"): "no valid repository"}


def test_outside_of_any_repository(tmp_path: Path) -> None:
    """A plain folder has a directory and a command line, and nothing is missing."""
    source = capture_source(tmp_path)

    assert source.source_type == SourceType.LOCAL
    assert (source.commit, source.dirty, source.diff, source.skipped) == (None, None, "", {})
    assert source.command_line


@pytest.mark.parametrize("directory", ["/does/not/exist", "a\0b", "gone"])
def test_directory_that_is_not_there(directory: str) -> None:
    """A directory that was deleted, or never was, is no reason to fail."""
    assert capture_source(Path(directory)).source_type == SourceType.LOCAL


def test_deleted_working_directory(tmp_path: Path) -> None:
    """A program whose folder was deleted under it gets a record all the same."""
    gone = tmp_path / "gone"
    gone.mkdir()
    program = (
        "import os, shutil; from pathlib import Path; shutil.rmtree(os.getcwd()); "
        "from tracklib.capture.git import capture_source; print(capture_source(Path('.')).source_type)"
    )

    done = subprocess.run([sys.executable, "-c", program], cwd=gone, check=True, capture_output=True, text=True)

    assert done.stdout == "local\n"


def test_repository_through_a_link(repository: Path, tmp_path: Path) -> None:
    """A directory reached through a link is where the link leads to."""
    (repository / "pkg").mkdir()
    (tmp_path / "link").symlink_to(repository / "pkg")

    source = capture_source(tmp_path / "link")

    assert source.branch == "main"
    assert source.directory == str(repository / "pkg")


def test_environment_of_a_hook(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables that a hook of git sets do not lead into another repository or index."""
    monkeypatch.setenv("GIT_DIR", ".git")
    monkeypatch.setenv("GIT_INDEX_FILE", ".git/next-index")
    (repository / "pkg").mkdir()

    source = capture_source(repository / "pkg")

    assert (source.branch, source.dirty, source.skipped) == ("main", False, {})


@pytest.fixture
def slow_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a git in front of the real one that starts a child and hangs with it; return where the child's id is."""
    folder = tmp_path / "bin"
    folder.mkdir()
    pid = tmp_path / "pid"
    executable(folder / "git", f"sleep 1000 & echo $! > '{pid}.new'; mv '{pid}.new' '{pid}'; echo some; wait\n")
    import git as _loaded  # noqa: F401 - GitPython tries the real git when it is imported

    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return pid


def is_running(pid: int) -> bool:
    """Tell whether a process is there, and no zombie that waits for its parent."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_git_that_hangs_is_stopped(repository: Path, slow_git: Path) -> None:
    """After the time-out what was written is returned, and neither git nor its children stay behind."""
    found = find_repository(repository)
    assert isinstance(found, Repository)

    output = run_git(found, ["status"], limit=1000, timeout_s=1.0)
    while not slow_git.exists():
        output = run_git(found, ["status"], limit=1000, timeout_s=2.0)

    assert output.problem in {"git took longer than 1 s", "git took longer than 2 s"}
    deadline = time.monotonic() + 60
    while is_running(int(slow_git.read_text())) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not is_running(int(slow_git.read_text()))


def test_git_that_writes_without_end_is_stopped(repository: Path) -> None:
    """Output beyond the limit is not read."""
    (repository / "large.txt").write_text("x" * 100_000)
    git(repository, "add", "large.txt")
    found = find_repository(repository)
    assert isinstance(found, Repository)

    output = run_git(found, ["diff", "HEAD"], limit=1000, timeout_s=60)

    assert len(output.data) == 1000
    assert output.problem == "git wrote more than 1000 bytes"


@settings(deadline=None)
@given(st.binary(max_size=300), st.binary(max_size=300))
def test_files_of_any_content(tmp_path_factory: pytest.TempPathFactory, head: bytes, config: bytes) -> None:
    """Whatever stands in the files of a repository, reading them does not fail."""
    folder = tmp_path_factory.mktemp("any") / ".git"
    folder.mkdir()
    (folder / "HEAD").write_bytes(head)
    (folder / "config").write_bytes(b'[remote "origin"]\n' + config)

    found = find_repository(folder.parent)

    assert found is not None
    assert found.root == folder.parent


def test_a_virtual_environment_that_git_does_not_ignore_is_left_out(tmp_path: Path) -> None:
    """Its thousands of files are named once, as a folder, and do not make the code dirty."""
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    library = tmp_path / "env" / "lib" / "package.py"
    library.parent.mkdir(parents=True)
    library.write_text("x = 1\n")
    (tmp_path / "env" / "pyvenv.cfg").write_text("home = /usr/bin\n")

    source = capture_source(tmp_path)

    assert source.untracked == {}
    assert source.skipped["env/"] == "installed packages"
    assert source.dirty is False
