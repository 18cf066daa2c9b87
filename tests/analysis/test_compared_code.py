"""The difference between the code of two runs, recorded in repositories that git itself made."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import tracklib
from tracklib.analysis.git_differences import compare_url, diff_commits, public_url
from tracklib.errors import ConfigError
from tracklib.records import RecordKind
from tracklib.testing.batches import WriterScript

if TYPE_CHECKING:
    from tracklib.analysis.compared_code import CodeDiff

pytestmark = pytest.mark.usefixtures("bare")

IDENTITY = {
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.com",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.com",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}
FIRST = "1" * 40
SECOND = "2" * 40


@pytest.fixture(autouse=True)
def _own_git(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the configuration of the machine, and of a hook that runs the tests, out of them."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)
    for name, value in IDENTITY.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(params=["sqlite:///{}/runs.db", "file://{}/runs"], ids=["sqlite", "file"])
def _store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let runs go to each kind of store, outside of the repository."""
    monkeypatch.setenv("TRACKLIB_STORE", str(request.param).format(tmp_path))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, beside the store."""
    if "TRACKLIB_STORE" not in os.environ:
        monkeypatch.setenv("TRACKLIB_STORE", f"sqlite:///{tmp_path}/runs.db")
    root = tmp_path / "project"
    root.mkdir()
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def repository(project: Path) -> Path:
    """A repository with one commit, and the working directory."""
    git("init", "--quiet", "--initial-branch=main")
    commit("train.py", "rate = 0.1\nprint(rate)\n")
    return project


def git(*words: str) -> str:
    return subprocess.run(["git", *words], check=True, capture_output=True, text=True).stdout.strip()


def commit(name: str, text: str) -> str:
    Path(name).write_text(text)
    git("add", "--all")
    git("commit", "--quiet", "--message", "change")
    return git("rev-parse", "HEAD")


def run(name: str) -> str:
    """Record a run of the code as it is now, and return its id."""
    with tracklib.start_run("digits", name=name, auto_log_git=True) as started:
        started.log({"loss": 1.0})
    return started.id


def difference(first: str, second: str, repo: Path | None = None) -> CodeDiff:
    return tracklib.compare([first, second]).code_diff(repo=repo)


# ---- one commit


@pytest.mark.usefixtures("_store", "repository")
def test_the_same_clean_commit_is_no_difference() -> None:
    """And it says so."""
    found = difference(run("a"), run("b"))

    assert found.same is True
    assert (found.parts, found.notes, found.facts, found.url) == ((), (), {}, None)
    assert str(found) == "Both runs ran the same code."


@pytest.mark.usefixtures("_store")
def test_what_one_run_changed_is_its_patch(repository: Path) -> None:
    """As it was captured, although runs that were listed do not have it at hand."""
    first = run("a")
    (repository / "train.py").write_text("rate = 0.2\nprint(rate)\n")
    second = run("b")

    found = tracklib.compare(tracklib.list_runs()).code_diff("a", "b")

    assert (found.a, found.b, found.same) == (first, second, False)
    assert [part.title for part in found.parts] == ["Changes that were not committed, of run b only"]
    assert "-rate = 0.1\n+rate = 0.2\n" in found.text
    assert tracklib.compare([second, first]).code_diff().parts[0].title.endswith("of run b only")


def test_patches_of_the_same_file_are_compared(repository: Path) -> None:
    """Files that both changed alike are left out."""
    (repository / "other.py").write_text("x = 1\n")
    commit("other.py", "x = 1\n")
    (repository / "other.py").write_text("x = 2\n")
    (repository / "train.py").write_text("rate = 0.2\nprint(rate)\n")
    first = run("a")
    (repository / "train.py").write_text("rate = 0.3\nprint(rate)\n")
    second = run("b")

    found = difference(first, second)

    assert len(found.parts) == 1
    assert "both runs changed" in found.parts[0].title
    assert "-+rate = 0.2\n++rate = 0.3\n" in found.text
    assert "x = " not in found.text


def test_the_same_changes_are_no_difference(repository: Path) -> None:
    """To tracked files and beside them."""
    (repository / "train.py").write_text("rate = 0.2\n")
    (repository / "new.py").write_text("y = 1\n")

    assert difference(run("a"), run("b")).same is True


def test_files_that_git_did_not_track_are_compared(repository: Path) -> None:
    """One that came, one that went, one that changed, and an empty one."""
    for name, text in (("gone.py", "g = 1\n"), ("changed.py", "c = 1\nd = 1"), ("same.py", "s = 1\n")):
        (repository / name).write_text(text)
    first = run("a")
    (repository / "gone.py").unlink()
    for name, text in (("come.py", "n = 1\n"), ("changed.py", "c = 1\nd = 2"), ("empty.py", "")):
        (repository / name).write_text(text)
    second = run("b")

    found = difference(first, second)

    assert [part.title for part in found.parts] == ["Files that git did not track"]
    assert "--- a/gone.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-g = 1\n" in found.text
    assert "--- /dev/null\n+++ b/come.py\n@@ -0,0 +1 @@\n+n = 1\n" in found.text
    assert "-d = 1\n\\ No newline at end of file\n+d = 2\n\\ No newline at end of file\n" in found.text
    assert "+++ b/empty.py\n" in found.text
    assert "same.py" not in found.text


def test_what_was_not_kept_leaves_it_open(repository: Path) -> None:
    """A file too large to be kept may differ."""
    (repository / "large.py").write_text("x = 1\n" * 1000)
    runs = []
    for name in "ab":
        with tracklib.start_run("digits", name=name, auto_log_git=True, diff_limit=100) as started:
            runs.append(started.id)

    found = difference(runs[0], runs[1])

    assert found.same is None
    assert any("large.py" in note for note in found.notes)
    assert str(found).startswith("What differs is not all known.")


# ---- two commits


@pytest.mark.usefixtures("_store")
def test_two_commits_differ_as_git_says(repository: Path) -> None:
    """The changes of each that were not committed follow."""
    one = git("rev-parse", "HEAD")
    (repository / "train.py").write_text("rate = 0.1\nprint(rate, 'a')\n")
    first = run("a")
    git("checkout", "--quiet", ".")
    two = commit("train.py", "rate = 0.5\nprint(rate)\n")
    (repository / "train.py").write_text("rate = 0.5\nprint(rate, 'b')\n")
    second = run("b")

    found = difference(first, second)

    assert found.facts["commit"] == (one, two)
    assert [part.title for part in found.parts] == [
        f"From commit {one[:12]} to {two[:12]}",
        "Changes of run a that were not committed",
        "Changes of run b that were not committed",
    ]
    assert found.parts[0].text.strip() == git("diff", one, two)
    assert "+print(rate, 'a')" in found.parts[1].text
    assert "+print(rate, 'b')" in found.parts[2].text
    assert (found.same, found.notes) == (False, ())


def test_the_repository_may_be_elsewhere(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`repo` says where, or any folder in it."""
    git("remote", "add", "origin", "https://ada:secret@github.com/team/code.git")
    first = run("a")
    commit("train.py", "rate = 0.5\n")
    second = run("b")
    (repository / "folder").mkdir()
    monkeypatch.chdir(tmp_path)

    away, there = difference(first, second), difference(first, second, repository / "folder")

    one, two = there.facts["commit"]
    assert "+rate = 0.5" in there.text
    assert away.text == ""
    assert away.same is False
    assert away.url == f"https://github.com/team/code/compare/{one}...{two}"
    assert f"the working directory is in no git repository, so commit {one} cannot be compared with {two}" in str(away)
    assert "secret" not in str(away) + str(there)


def test_a_repository_without_the_commits_is_said(repository: Path, tmp_path: Path) -> None:
    """With those that it lacks."""
    first = run("a")
    commit("train.py", "rate = 0.5\n")
    second = run("b")
    other = tmp_path / "other"
    other.mkdir()
    git("init", "--quiet", str(other))

    found = difference(first, second, other)

    assert f"the repository at {other} does not have" in found.notes[0]
    assert repository.is_dir()


def test_a_folder_without_a_repository_is_refused(tmp_path: Path, repository: Path) -> None:
    """Where it was given as one."""
    first = run("a")
    commit("train.py", "rate = 0.5\n")
    comparison = tracklib.compare([first, run("b")])

    for folder in (tmp_path, repository / "nothing"):
        with pytest.raises(ConfigError, match=r"repo is .*, but there is no git repository there"):
            comparison.code_diff(repo=folder)


def test_what_is_no_commit_is_never_handed_to_git(repository: Path) -> None:
    """It could be an option, such as one that writes files."""
    found = diff_commits(f"--output={repository}/made", FIRST, repository=repository)

    assert found.problem == "what was recorded as commits are none"
    assert not (repository / "made").exists()


def test_programs_that_a_repository_names_are_not_run(repository: Path) -> None:
    """Neither for differences nor for texts."""
    one = git("rev-parse", "HEAD")
    two = commit(".gitattributes", "*.py diff=nasty\n")
    commit("train.py", "rate = 0.5\n")
    for key in ("diff.external", "diff.nasty.command", "diff.nasty.textconv"):
        git("config", key, f"touch {repository}/ran; cat")

    found = diff_commits(one, git("rev-parse", "HEAD"), repository=repository)

    assert "+rate = 0.5" in found.text
    assert two
    assert not (repository / "ran").exists()


def test_different_repositories_are_named(repository: Path) -> None:
    """Without credentials, and there is no page that shows both."""
    git("remote", "add", "origin", "https://token@github.com/team/one.git")
    first = run("a")
    commit("train.py", "rate = 0.5\n")
    git("remote", "set-url", "origin", "https://token@github.com/team/two.git")
    second = run("b")

    found = difference(first, second)

    assert found.url is None
    assert "different repositories: https://github.com/team/one.git, https://github.com/team/two.git" in str(found)
    assert "token" not in str(found)
    assert repository.is_dir()


# ---- projects without git


@pytest.mark.usefixtures("_store")
def test_projects_without_git_are_compared_file_by_file(project: Path) -> None:
    """From the copies that were kept with the runs."""
    (project / "train.py").write_text("rate = 0.1\n")
    (project / "same.py").write_text("s = 1\n")
    first = run("a")
    (project / "train.py").write_text("rate = 0.2\n")
    (project / "new.py").write_text("n = 1\n")
    second = run("b")

    found = difference(first, second)

    assert [part.title for part in found.parts] == ["Files of the project"]
    assert "-rate = 0.1\n+rate = 0.2\n" in found.text
    assert "+++ b/new.py" in found.text
    assert "same.py" not in found.text
    assert (found.same, found.notes) == (False, ())


@pytest.mark.usefixtures("_store")
def test_the_same_project_without_git_is_no_difference(project: Path) -> None:
    """Its copies are one."""
    (project / "train.py").write_text("rate = 0.1\n")

    assert difference(run("a"), run("b")).same is True


def test_a_copy_that_is_gone_is_said(project: Path) -> None:
    """The rest is compared."""
    (project / "train.py").write_text("rate = 0.1\n")
    first = run("a")
    (project / "train.py").write_text("rate = 0.2\n")
    second = run("b")
    for blob in (project.parent / "blobs").rglob("*"):
        if blob.is_file():
            blob.unlink()

    found = difference(first, second)

    assert found.same is False
    assert any("the code that was kept cannot be read" in note for note in found.notes)


def test_runs_of_which_no_code_was_kept_leave_it_open() -> None:
    """Nothing is said to be the same that nobody has seen."""
    for name in "ab":
        with tracklib.start_run("digits", name=name):
            pass

    found = difference("a", "b")

    assert found.same is None
    assert [note.partition(":")[0] for note in found.notes] == [
        "no code was kept of run a",
        "no code was kept of run b",
    ]


def test_a_commit_and_none_cannot_be_compared(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said."""
    first = run("a")
    loose = tmp_path / "loose"
    loose.mkdir()
    (loose / "train.py").write_text("rate = 0.1\n")
    monkeypatch.chdir(loose)
    second = run("b")

    found = difference(first, second)

    assert found.same is False
    assert "one of the runs came from a commit, the other did not" in found.notes
    assert repository.is_dir()


# ---- which runs, and what is shown


def test_of_more_than_two_runs_it_must_be_said_which() -> None:
    """The first is the baseline by default."""
    for name in "abc":
        with tracklib.start_run("digits", name=name):
            pass
    comparison = tracklib.compare(["a", "b", "c"])

    with pytest.raises(ConfigError, match="b is None, but there are 2 runs beside 'a': say which is meant"):
        comparison.code_diff()
    with pytest.raises(ConfigError, match="b is 'd', but that is none of the 3 runs: a, b, c"):
        comparison.code_diff(b="d")
    assert comparison.code_diff(b="c").b == comparison.runs[2].id


def test_how_a_run_was_started_is_compared() -> None:
    """Along with the rest of what was recorded; credentials that others recorded are not shown."""
    ids = []
    with tracklib.open_store("runs.db") as store:
        for name, words, url in (
            ("a", ["train.py", "--lr", "1"], "https://user:secret@gitlab.com/team/code?private_token=secret"),
            ("b", ["train.py", "--lr", "2 3"], "https://user:secret@gitlab.com/team/code"),
        ):
            script = WriterScript(name=name)
            commit_hash = FIRST if name == "a" else SECOND
            script.ship(
                store,
                script.record(
                    RecordKind.SOURCE,
                    commit=commit_hash,
                    branch=name,
                    dirty=False,
                    repository_url=url,
                    command_line=words,
                ),
                final=True,
            )
            ids.append(script.run)

    found = tracklib.compare(ids, store="runs.db").code_diff()

    assert found.facts["command line"] == ("train.py --lr 1", "train.py --lr '2 3'")
    assert found.facts["branch"] == ("a", "b")
    assert found.url == f"https://gitlab.com/team/code/-/compare/{FIRST}...{SECOND}"
    assert "secret" not in str(found) + str(found.to_dict())


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("https://u:p@host/x.git", "https://host/x.git"),
        ("https://token@host/x", "https://host/x"),
        ("https://git@host/x", "https://host/x"),
        ("https://u:p@ss@host/x", "https://host/x"),
        ("ssh://git@host:22/x", "ssh://git@host:22/x"),
        ("ssh://ada:secret@host/x", "ssh://host/x"),
        ("git@host:x/y.git", "git@host:x/y.git"),
        ("https://host/x?token=1#y", "https://host/x"),
        ("/local/path@home", "/local/path@home"),
        ("", ""),
    ],
)
def test_addresses_are_shown_without_credentials(url: str, public: str) -> None:
    """In all the forms that git takes."""
    assert public_url(url) == public


@pytest.mark.parametrize(
    ("url", "start"),
    [
        ("git@github.com:team/code.git", "https://github.com/team/code/compare/"),
        ("ssh://git@github.com/team/code.git", "https://github.com/team/code/compare/"),
        ("https://x@github.example.com/team/code/", "https://github.example.com/team/code/compare/"),
        ("git@gitlab.com:a/b/c.git", "https://gitlab.com/a/b/c/-/compare/"),
        ("https://example.com/team/code", None),
        ("https://notgithub.com/team/code", None),
        ("https://[broken/team", None),
        ("/srv/github/code.git", None),
        ("https://github.com", None),
        (None, None),
    ],
)
def test_hosts_that_compare_commits_are_known(url: str | None, start: str | None) -> None:
    """By the words of their names."""
    assert compare_url(url, FIRST, SECOND) == (start and f"{start}{FIRST}...{SECOND}")
