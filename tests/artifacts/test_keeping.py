"""What a run says of the artifacts that it keeps: versions, aliases, scores, what it uses and what it gives up."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import tracklib
from tracklib.errors import ConfigError, NotFound

pytestmark = pytest.mark.usefixtures("bare")


def log(run: tracklib.Run, content: str, **options: Any) -> None:
    Path("model.pt").write_text(content)
    run.log_artifact("model.pt", "model", type="model", **options)


def versions(name: str = "digits/model") -> dict[str, int | None]:
    """Return what each alias of an artifact means."""
    artifact = tracklib.get_artifact(name)
    listed = [each for each in tracklib.list_artifacts("digits") if each.name == artifact.name]
    return {alias: each.version for each in listed for alias in each.aliases}


def test_versions_go_on_across_runs() -> None:
    """The same content is the same version, whoever logs it; the newest word says what is the latest."""
    for content in ("a", "b", "a"):
        with tracklib.start_run("digits") as run:
            log(run, content)

    assert [each.version for each in tracklib.list_artifacts("digits", name="model")] == [0, 1]
    assert versions() == {"latest": 0}
    assert tracklib.get_artifact("digits/model:v1").read() == b"b"


def test_projects_count_for_themselves() -> None:
    """And so do names."""
    for project in ("digits", "letters"):
        with tracklib.start_run(project) as run:
            log(run, project)
            run.log_artifact("model.pt", "other")

    assert [
        tracklib.get_artifact(f"{project}/{name}").version
        for project in ("digits", "letters")
        for name in ("model", "other")
    ] == [0] * 4


def test_the_best_one_is_the_best_of_the_project() -> None:
    """A score makes a candidate, which has to be better than the best one. A word without a score counts."""
    for content, score in (("a", 0.5), ("b", 0.9), ("c", 0.7)):
        with tracklib.start_run("digits") as run:
            log(run, content, score=score)
    assert versions() == {"best": 1, "latest": 2}
    with tracklib.start_run("digits") as run:
        log(run, "d", aliases="best")

    assert versions() == {"best": 3, "latest": 3}


def test_an_alias_moves() -> None:
    """To what was said last; several may mean the same."""
    with tracklib.start_run("digits") as run:
        log(run, "a", aliases=["production", "reviewed"])
        log(run, "b", aliases=["production"])

    assert versions() == {"reviewed": 0, "production": 1, "latest": 1}


@pytest.mark.parametrize("alias", ["latest", "v3", "3", "", " x", "a:b", "a/b", "a@b", 5, None])
def test_what_cannot_be_an_alias_is_refused(alias: Any) -> None:
    """At the call, with the reason; nothing is kept."""
    Path("x").touch()
    with tracklib.start_run("digits") as run, pytest.raises((ConfigError, TypeError), match="alias"):
        run.log_artifact("x", aliases=[alias])

    assert tracklib.get_run(run).artifacts == []


@pytest.mark.parametrize("score", [float("nan"), float("inf"), "good", [1, 2]])
def test_what_cannot_be_a_score_is_refused(score: Any) -> None:
    """It takes a finite number."""
    Path("x").touch()
    with tracklib.start_run("digits") as run, pytest.raises((ConfigError, TypeError, ValueError)):
        run.log_artifact("x", score=score)


def test_what_a_run_has_logged_it_can_use_at_once() -> None:
    """It is waited for."""
    with tracklib.start_run("digits", flush_interval=60) as run:
        log(run, "a")
        used = run.use_artifact("model")
        assert used.read() == b"a"
        log(run, "b")
        assert run.use_artifact("model:latest").read() == b"b"

    stored = tracklib.get_run(run)
    assert [(use.name, use.version) for use in stored.used_artifacts] == [("model", 0), ("model", 1)]


def test_what_is_not_there_cannot_be_used() -> None:
    """The program needs it, so it is told; the run goes on."""
    with tracklib.start_run("digits") as run:
        log(run, "a")
        with pytest.raises(NotFound, match="model"):
            run.use_artifact("modle")
        run.log({"x": 1})

    assert tracklib.get_run(run).used_artifacts == []


def test_a_disabled_run_gives_out_artifacts_too() -> None:
    """The program is the same; nothing is noted."""
    with tracklib.start_run("digits") as run:
        log(run, "a")
    with tracklib.start_run("digits", mode="disabled") as disabled:
        assert disabled.use_artifact("model").read() == b"a"

    assert len(tracklib.list_runs()) == 1


def test_older_ones_are_given_up() -> None:
    """But for the newest, the best and those with names of their own; numbers are not given out again."""
    with tracklib.start_run("digits") as run:
        for number in range(8):
            aliases = ["release"] if number == 1 else []
            log(run, str(number), step=number, score=-abs(number - 3), aliases=aliases, keep_last=2)
            assert run.flush()
    with tracklib.start_run("digits") as other:
        log(other, "new")

    assert [artifact.step for artifact in tracklib.get_run(run).artifacts] == [1, 3, 6, 7]
    assert tracklib.get_artifact("digits/model:latest").version == 8
    assert tracklib.get_artifact("digits/model:best").info.step == 3


def test_what_is_given_up_before_it_was_brought_never_comes() -> None:
    """Its bytes are deleted from the spool."""
    with tracklib.start_run("digits", mode="offline") as run:
        for number in range(8):
            log(run, str(number), step=number, keep_last=2)
    tracklib.sync()

    assert [artifact.step for artifact in tracklib.get_run(run).artifacts] == [6, 7]


@pytest.mark.parametrize("keep_last", ["x", 1.5])
def test_how_many_to_keep_is_a_whole_number(keep_last: Any) -> None:
    """Said at the call."""
    Path("x").touch()
    with tracklib.start_run("digits") as run, pytest.raises(TypeError):
        run.log_artifact("x", keep_last=keep_last)


def test_media_belong_to_their_run() -> None:
    """Each run counts its own, at their steps."""
    for _ in range(2):
        with tracklib.start_run("digits") as run:
            for step in range(3):
                run.log_text(str(step), "note", step=step)

    stored = tracklib.get_run(run)
    assert [(each.project, each.version, each.step) for each in stored.artifacts] == [("", n, n) for n in range(3)]
    assert stored.read_artifact("note", step=1) == {"note.txt": b"1"}


def test_a_run_that_moves_leaves_its_artifacts_where_they_are_counted() -> None:
    """Their names do not change under those who use them; what it logs then belongs to where it is."""
    with tracklib.start_run("digits") as run:
        log(run, "a")
        run.flush()
        run.move(project="letters")
        log(run, "b")

    assert tracklib.get_artifact("digits/model").read() == b"a"
    assert tracklib.get_artifact("letters/model").read() == b"b"


def test_threads_may_log_at_once() -> None:
    """Each content is one version."""
    with tracklib.start_run("digits") as run:

        def work(number: int) -> None:
            for content in range(20):
                path = Path(f"{number}-{content}")
                path.write_text(str(content))
                run.log_artifact(path, "shared")

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    kept = tracklib.get_run(run).artifacts
    assert len(kept) == 80
    # The file's own name is a part of what is kept.
    assert {each.version for each in kept} == set(range(80))


def test_a_forked_child_keeps_files_of_its_own() -> None:
    """In its own part of the spool; parent and child lose nothing."""
    program = """
import os, pathlib, tracklib
run = tracklib.start_run("digits")
pathlib.Path("parent").write_text("parent")
run.log_artifact("parent")
if os.fork() == 0:
    pathlib.Path("child").write_text("child")
    run.log_artifact("child")
    run.finish()
    os._exit(0)
os.wait()
run.finish()
"""
    environ = {**os.environ, "PYTHONWARNINGS": "ignore"}
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120, env=environ)

    (run,) = tracklib.list_runs()
    assert {each.name: run.read_artifact(each.name) for each in run.artifacts} == {
        "parent": {"parent": b"parent"},
        "child": {"child": b"child"},
    }
