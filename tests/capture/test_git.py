"""What is recorded of repositories in all their states, made with git itself."""

from __future__ import annotations

import hashlib
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
    """A repository with one commit of one file, in which a secret is no part of."""
    root = tmp_path / "project"
    root.mkdir()
    git(root, "init", "--quiet", "--initial-branch=main")
    commit(root, "train.py", "print('one')\n")
    return root


def git(directory: Path, *words: str | bytes) -> str:
    done = subprocess.run(["git", *words], cwd=directory, check=True, capture_output=True)
    return done.stdout.decode(errors="replace").strip()


def commit(root: Path, name: str, text: str) -> str:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "change")
    return git(root, "rev-parse", "HEAD")


def executable(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}")
    path.chmod(0o755)
    return path


def fingerprint(folder: Path) -> dict[str, tuple[int, str]]:
    """Return of each file below a folder when it was written, and what it holds."""
    return {
        str(path): (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_clean_repository(repository: Path) -> None:
    """Of a clean checkout commit, branch and directory are known, and there is nothing else to tell."""
    source = capture_source(repository)

    assert source.source_type == SourceType.GIT
    assert source.commit == git(repository, "rev-parse", "HEAD")
    assert source.branch == "main"
    assert source.directory == str(repository)
    assert (source.dirty, source.diff, source.untracked, source.skipped) == (False, "", {}, {})
    assert (source.tag, source.repository_url) == (None, None)


def test_changes_and_untracked_files(repository: Path) -> None:
    """A diff and untracked text make the code that ran, from anywhere in the working tree."""
    (repository / "train.py").write_text("print('two')\n")
    (repository / "pkg").mkdir()
    (repository / "pkg" / "new.py").write_text("x = 1\n")

    source = capture_source(repository / "pkg")

    assert source.dirty is True
    assert "-print('one')\n+print('two')\n" in source.diff
    assert source.untracked == {"pkg/new.py": "x = 1\n"}
    assert source.skipped == {}


def test_the_diff_applies_to_the_commit(repository: Path, tmp_path: Path) -> None:
    """Commit and diff together give back the tracked files, whatever the user's configuration makes of diffs."""
    for name in ("a b.py", 'q"uote.py', "new\nline.py", "ünï.py", "gone.py"):
        commit(repository, name, "one\ntwo\n")
    for setting in ("color.ui=always", "diff.noprefix=true", "diff.renames=copies", "diff.external=false"):
        git(repository, "config", *setting.split("="))
    for name in ("a b.py", 'q"uote.py', "new\nline.py", "ünï.py"):
        (repository / name).write_text("one\nthree\n")
    (repository / "gone.py").unlink()
    (repository / "staged.py").write_text("no newline at the end")
    git(repository, "add", "staged.py")
    (repository / "train.py").chmod(0o755)

    source = capture_source(repository)

    git(tmp_path, "clone", "--quiet", str(repository), "copy")
    (tmp_path / "patch").write_text(source.diff)
    git(tmp_path / "copy", "apply", str(tmp_path / "patch"))
    git(tmp_path / "copy", "add", "--all")
    git(repository, "add", "--all")
    assert git(tmp_path / "copy", "write-tree") == git(repository, "write-tree")
    assert source.skipped == {}


def test_nothing_is_written(repository: Path) -> None:
    """The repository stays as it is to the byte, also where git would like to refresh its index."""
    os.utime(repository / "train.py", (1, 1))
    (repository / "new.py").write_text("")
    before = fingerprint(repository)

    capture_source(repository)

    assert fingerprint(repository) == before


def test_a_locked_index_is_no_obstacle(repository: Path) -> None:
    """Another git at work does not keep the state from being read."""
    (repository / ".git" / "index.lock").touch()
    (repository / "train.py").write_text("changed\n")

    assert "+changed" in capture_source(repository).diff


def test_programs_in_the_configuration_are_not_run(repository: Path, tmp_path: Path) -> None:
    """Monitors, hooks, pagers, drivers and the filters of Git LFS stay out of it."""
    marker = tmp_path / "ran"
    program = executable(tmp_path / "program", f"touch '{marker}'; cat\n")
    for name in ("core.fsmonitor", "core.pager", "diff.external", "diff.odd.textconv", "diff.odd.command"):
        git(repository, "config", name, str(program))
    git(repository, "config", "filter.lfs.clean", str(program))
    git(repository, "config", "filter.lfs.process", str(program))
    git(repository, "config", "filter.lfs.required", "true")
    (repository / ".gitattributes").write_text("*.py diff=odd filter=lfs\n")
    (repository / "train.py").write_text("changed\n")

    source = capture_source(repository)

    assert "+changed" in source.diff
    assert not marker.exists()


def test_files_of_git_lfs_are_left_out(repository: Path) -> None:
    """The pointer in the commit and the content on the disk are not compared."""
    commit(repository, "data.csv", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n")
    (repository / "data.csv").write_text("1,2\n")

    source = capture_source(repository)

    assert source.dirty is True
    assert source.skipped == {"data.csv": "kept by Git LFS"}


def test_repository_without_commits(tmp_path: Path) -> None:
    """Before the first commit, staged and other files are all kept as text."""
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    (tmp_path / "staged.py").write_text("staged\n")
    git(tmp_path, "add", "staged.py")
    (tmp_path / "other.py").write_text("other\n")

    source = capture_source(tmp_path)

    assert (source.commit, source.branch, source.tag, source.dirty) == (None, "main", None, True)
    assert source.untracked == {"staged.py": "staged\n", "other.py": "other\n"}
    assert (source.diff, source.skipped) == ("", {})


def test_detached_head_and_tags(repository: Path) -> None:
    """Off all branches there is none; of several tags the highest version is taken."""
    git(repository, "tag", "v1.9")
    git(repository, "tag", "--annotate", "--message", "release", "v1.10")
    git(repository, "tag", "v1.2")
    head = git(repository, "rev-parse", "HEAD")
    commit(repository, "later.py", "")
    git(repository, "checkout", "--quiet", head)

    source = capture_source(repository)

    assert (source.commit, source.branch, source.tag) == (head, None, "v1.10")


def test_linked_worktree(repository: Path, tmp_path: Path) -> None:
    """A linked worktree has a branch and changes of its own, and the remote of its repository."""
    git(repository, "remote", "add", "origin", "https://example.com/x.git")
    git(repository, "worktree", "add", "--quiet", "-b", "side", str(tmp_path / "side"))
    (tmp_path / "side" / "train.py").write_text("side\n")

    source = capture_source(tmp_path / "side")

    assert (source.branch, source.repository_url) == ("side", "https://example.com/x.git")
    assert "+side" in source.diff
    assert capture_source(repository).dirty is False


def test_submodule(repository: Path, tmp_path: Path) -> None:
    """Inside, a submodule is a repository; outside, its own changes are said to be missing."""
    git(tmp_path, "init", "--quiet", "outer")
    outer = tmp_path / "outer"
    git(outer, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(repository), "inner")
    commit(outer, "main.py", "")
    (outer / "inner" / "train.py").write_text("inner\n")

    inner_source, outer_source = capture_source(outer / "inner"), capture_source(outer)

    assert inner_source.commit == git(repository, "rev-parse", "HEAD")
    assert "+inner" in inner_source.diff
    assert outer_source.dirty is True
    assert outer_source.skipped == {"inner": "a submodule with changes of its own, which are not kept"}


def test_shallow_clone(repository: Path, tmp_path: Path) -> None:
    """A clone without history is as good as a whole one."""
    head = commit(repository, "more.py", "")
    git(tmp_path, "clone", "--quiet", "--depth=1", repository.as_uri(), "shallow")

    source = capture_source(tmp_path / "shallow")

    assert (source.commit, source.branch, source.dirty) == (head, "main", False)
    assert source.repository_url == repository.as_uri()


def test_packed_references(repository: Path) -> None:
    """References that git has packed into one file are found, by git and without it."""
    git(repository, "pack-refs", "--all")

    found = find_repository(repository)

    assert found is not None
    assert found.commit == capture_source(repository).commit == git(repository, "rev-parse", "HEAD")


@pytest.mark.parametrize(
    ("url", "recorded"),
    [
        ("https://user:s3cret@example.com/a/b.git", "https://example.com/a/b.git"),
        ("https://ghp_0123456789012345678901234567890123456789@github.com/a/b", "https://github.com/a/b"),
        ("git@github.com:a/b.git", "git@github.com:a/b.git"),
        ("ssh://git:s3cret@example.com:22/a", "ssh://git@example.com:22/a"),
        ("https://example.com/a?token=s3cret", "https://example.com/a?token=***"),
        ("../elsewhere", "../elsewhere"),
        ('https://example.com/with "quotes";#', 'https://example.com/with "quotes";#'),
    ],
)
def test_remote_without_credentials(repository: Path, url: str, recorded: str) -> None:
    """The remote is recorded so that others may use it, and nobody may misuse it."""
    git(repository, "config", "remote.origin.url", url)

    assert capture_source(repository).repository_url == recorded


def test_which_remote(repository: Path) -> None:
    """The remote called origin is taken, else the first one."""
    git(repository, "remote", "add", "upstream", "https://example.com/upstream")
    first = capture_source(repository).repository_url
    git(repository, "remote", "add", "origin", "https://example.com/origin")

    assert first == "https://example.com/upstream"
    assert capture_source(repository).repository_url == "https://example.com/origin"


def test_secrets_are_masked(repository: Path) -> None:
    """Secrets in changes do not get through, and files that hold nothing else are left out."""
    (repository / "train.py").write_text("api_key = 'Zx81Spectrum'\n")
    (repository / "new.yaml").write_text("password: Zx81Spectrum\n")
    (repository / ".env").write_text("ANYTHING=Zx81Spectrum\n")

    source = capture_source(repository)

    assert "Zx81Spectrum" not in repr(source)
    assert "+api_key = '***'" in source.diff
    assert source.untracked == {"new.yaml": "password: ***\n"}
    assert source.skipped == {
        ".env": "by its name it holds secrets",
        "new.yaml": "kept with secrets masked",
        "train.py": "kept with secrets masked",
    }


def test_binary_files_are_left_out(repository: Path) -> None:
    """Changed and untracked binary files are named with the reason."""
    (repository / "weights.bin").write_bytes(b"\0one")
    commit(repository, "more.py", "")
    (repository / "weights.bin").write_bytes(b"\0two")
    (repository / "new.bin").write_bytes(b"\0new")
    (repository / "latin.py").write_bytes(b"# caf\xe9\n")

    source = capture_source(repository)

    assert (source.diff, source.untracked) == ("", {})
    assert source.skipped == {
        "weights.bin": "binary, or larger than the limit",
        "new.bin": "binary",
        "latin.py": "not UTF-8 text",
    }


def test_bytes_that_are_no_text_are_replaced_in_a_diff(repository: Path) -> None:
    """A changed file in another encoding is shown as well as it can be, and said to be so."""
    (repository / "train.py").write_bytes(b"# caf\xe9\n")

    source = capture_source(repository)

    assert "+# caf\ufffd" in source.diff
    assert source.skipped == {"train.py": "kept without the bytes that are not UTF-8"}


def test_the_limit(repository: Path) -> None:
    """What does not fit is left out by whole files, and does not crowd out what fits."""
    commit(repository, "a_large.txt", "1\n" * 200)
    (repository / "a_large.txt").write_text("2\n" * 200)
    (repository / "train.py").write_text("small\n")
    (repository / "b_large.txt").write_text("3\n" * 600)
    (repository / "c_small.txt").write_text("4\n")

    source = capture_source(repository, diff_limit=1000)

    assert source.diff.startswith("diff --git a/train.py")
    assert list(source.untracked) == ["c_small.txt"]
    assert source.skipped["b_large.txt"] == "1200 bytes, and 1000 more would be kept"
    assert "would be kept" in source.skipped["a_large.txt"]
    assert capture_source(repository, diff_limit=0).diff == ""


def test_code_comes_before_data(repository: Path) -> None:
    """Where not all untracked files fit, those that people write are kept."""
    (repository / "a.log").write_text("x" * 900)
    (repository / "z.py").write_text("y" * 900)

    assert list(capture_source(repository, diff_limit=1000).untracked) == ["z.py"]


def test_very_many_files(repository: Path) -> None:
    """The list of what was left out stays short: the rest is counted."""
    for number in range(300):
        (repository / f"{number:03}.bin").write_bytes(b"\0")

    skipped = capture_source(repository).skipped

    assert len(skipped) == 201
    assert skipped["…"] == "100 more"


def test_links_and_pipes_are_not_followed(repository: Path, tmp_path: Path) -> None:
    """A link may lead anywhere, a pipe may never end, and another repository is not this one."""
    (tmp_path / "outside.txt").write_text("outside")
    (repository / "link.txt").symlink_to(tmp_path / "outside.txt")
    git(repository, "init", "--quiet", "nested")
    commit(repository / "nested", "x.py", "")

    source = capture_source(repository)

    assert source.untracked == {}
    assert source.skipped == {"link.txt": "a symbolic link", "nested/": "another repository"}


def test_ignored_and_own_files_do_not_count(repository: Path) -> None:
    """Ignored files, compiled code and the recorder's own store leave a checkout clean."""
    commit(repository, ".gitignore", "*.log\n")
    for name in ("a.log", ".tracklib/tracklib.db", "__pycache__/x.pyc", "pkg/__pycache__/x.pyc"):
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        (repository / name).write_text("x")

    source = capture_source(repository)

    assert (source.dirty, source.untracked, source.skipped) == (False, {}, {})


def test_odd_names(repository: Path) -> None:
    """Names with newlines and bytes that are no UTF-8 come out as text that can be stored."""
    odd = os.fsencode(repository) + b"/caf\xe9.py"
    for name in (odd, os.fsencode(repository / "new\nline.py")):
        Path(os.fsdecode(name)).write_text("one\n")
    git(repository, "add", b"caf\xe9.py")
    git(repository, "commit", "--quiet", "--message", "odd")
    Path(os.fsdecode(odd)).write_bytes(b"\0")

    source = capture_source(repository)

    assert source.untracked == {"new\nline.py": "one\n"}
    assert source.skipped == {"caf\\xe9.py": "binary, or larger than the limit"}
    repr(source).encode()


def test_unsolved_conflict(repository: Path) -> None:
    """In the middle of a merge the diff is still one."""
    git(repository, "checkout", "--quiet", "-b", "side")
    commit(repository, "train.py", "side\n")
    git(repository, "checkout", "--quiet", "main")
    commit(repository, "train.py", "main\n")
    subprocess.run(["git", "merge", "side"], cwd=repository, check=False, capture_output=True)

    source = capture_source(repository)

    assert source.dirty is True
    assert "+<<<<<<< HEAD" in source.diff
    assert "Unmerged" not in source.diff


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
