"""What is recorded of repositories in all their states, made with git itself."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from tracklib.capture.git import capture_source
from tracklib.capture.git_files import find_repository
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
