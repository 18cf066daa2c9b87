"""Files that are noted and not copied."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import fsspec
import pytest

import tracklib
from tracklib.artifacts.references import FRESH_SECONDS, is_url
from tracklib.errors import ConfigError, NotFound

pytestmark = pytest.mark.usefixtures("bare")

PATIENCE_SECONDS = 60.0
"""For whatever must come to pass; a slow machine is no failure."""


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def blobs() -> list[Path]:
    return [path for path in Path(".tracklib/blobs").rglob("*") if path.is_file()]


def await_found(run: tracklib.Run) -> tracklib.StoredRun:
    """Wait until a reader sees that the files of all artifacts of an open run were found."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        assert run.flush()
        seen = tracklib.get_run(run.id)
        if seen.artifacts and not any("problem" in artifact.metadata for artifact in seen.artifacts):
            return seen
        assert time.monotonic() < deadline, f"only {seen.artifacts} came"
        time.sleep(0.02)


def test_a_file_is_noted() -> None:
    """Its path, size and SHA-256, with what describes it; its bytes are not stored."""
    Path("last.ckpt").write_bytes(b"weights")
    with tracklib.start_run("references") as run:
        run.log_artifact("last.ckpt", type="checkpoint", step=7, metadata={"epoch": 2}, copy=False)

    (artifact,) = tracklib.get_run(run).artifacts
    assert (artifact.name, artifact.type, artifact.version, artifact.step) == ("last.ckpt", "checkpoint", 0, 7)
    assert (artifact.path, artifact.size) == (str(Path("last.ckpt").absolute()), 7)
    assert [(file.path, file.size, file.checksum) for file in artifact.files] == [("last.ckpt", 7, digest(b"weights"))]
    assert artifact.metadata == {"epoch": 2, "reference": True}
    assert (blobs(), run.stored_bytes) == ([], 0)


def test_a_reference_has_the_checksum_of_a_copy() -> None:
    """So the two can be told to be the same."""
    Path("folder/deep").mkdir(parents=True)
    Path("folder/a").write_bytes(b"a")
    Path("folder/deep/b").write_bytes(b"bb")
    with tracklib.start_run("references") as run:
        run.log_artifact("folder", "copy")
        run.log_artifact("folder", "noted", copy=False)

    copy, noted = sorted(tracklib.get_run(run).artifacts, key=lambda artifact: artifact.name)
    assert (noted.checksum, noted.size) == (copy.checksum, copy.size)
    assert [(file.path, file.checksum) for file in noted.files] == [(file.path, file.checksum) for file in copy.files]


def test_a_copy_and_a_reference_of_the_same_are_one_version() -> None:
    """Whoever was first."""
    Path("a").write_bytes(b"a")
    with tracklib.start_run("references") as run:
        for copy in (False, True, False):
            run.log_artifact("a", "model", copy=copy)

    artifacts = tracklib.get_run(run).artifacts
    assert [(each.version, each.is_reference) for each in artifacts] == [(0, True), (0, False), (0, True)]


@pytest.mark.parametrize("url", ["gs://b/last.ckpt/", "nosuch://b/last.ckpt"])
def test_of_a_url_that_nobody_can_look_at_the_words_are_kept(url: str) -> None:
    """And why: there is no package for it, or no such thing."""
    with tracklib.start_run("references") as run:
        run.log_artifact(url, copy=False)

    (artifact,) = tracklib.get_run(run).artifacts
    assert (artifact.path, artifact.name, artifact.files, artifact.checksum) == (url, "last.ckpt", (), "")
    assert artifact.version is None
    assert artifact.metadata["problem"].startswith("it cannot be looked at: ")


def remote(url: str, **files: bytes) -> None:
    """Put files below a URL, or one at it."""
    fs, root = fsspec.core.url_to_fs(url)
    for name, content in files.items():
        fs.pipe_file(f"{root}/{name}" if name else root, content)


def test_what_is_at_a_url_is_noted_with_sizes_and_marks() -> None:
    """Not read: data sets are large. The same files are the same version, others are not."""
    remote("memory://data/train", a=b"1", b=b"22")
    for number in range(3):
        with tracklib.start_run("references") as run:
            run.log_artifact("memory://data/train", copy=False)
        if number == 1:
            remote("memory://data/train", b=b"333")

    artifacts = tracklib.list_artifacts("references")
    newest = tracklib.get_run(run).artifacts[0]
    assert sorted(artifact.version or 0 for artifact in artifacts) == [0, 1]
    assert [(file.path, file.size, file.checksum) for file in newest.files] == [("a", 1, ""), ("b", 3, "")]
    assert (newest.name, newest.path, newest.is_reference) == ("train", "memory://data/train", True)
    assert set(newest.metadata["marks"]) == {"a", "b"}


@pytest.mark.parametrize(
    ("url", "files"), [("memory://x/one.bin", {"": b"abc"}), ("memory://x/many", {"a": b"a", "b": b"bb"})]
)
def test_what_is_at_a_url_is_fetched(url: str, files: dict[str, bytes]) -> None:
    """Behind the program, into the store; from then on the original is not needed."""
    remote(url, **files)
    with tracklib.start_run("references") as run:
        run.log_artifact(url, type="dataset")

    (artifact,) = tracklib.get_run(run).artifacts
    found = tracklib.get_run(run).read_artifact(artifact.name)
    assert found == {name or "one.bin": content for name, content in files.items()}
    assert (artifact.path, artifact.is_reference, artifact.version) == (url, False, 0)


def test_a_url_that_leads_nowhere_is_noted_as_such() -> None:
    """The training goes on, and so does the run."""
    with tracklib.start_run("references") as run:
        run.log_artifact("memory://nowhere/x")
        run.log({"loss": 1})

    (artifact,) = tracklib.get_run(run).artifacts
    assert artifact.metadata["problem"].startswith("it could not be fetched: ")
    assert tracklib.get_run(run).status == "completed"


class Quiet(SimpleHTTPRequestHandler):
    """A web server that says nothing of itself."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize("changed", ["changed,now\n", "c,d\n3,4\n"], ids=["other size", "same size"])
def test_what_is_on_the_web_is_noted_and_checked(changed: str) -> None:
    """By its size, and by the time that the server tells of it; a copy of it is one."""
    Path("web").mkdir()
    Path("web/data.csv").write_text("a,b\n1,2\n")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory="web")) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/data.csv"
        with tracklib.start_run("references") as run:
            run.log_artifact(url, "noted", copy=False)
            run.log_artifact(url, "fetched")
        noted, fetched = (tracklib.get_artifact(f"references/{name}") for name in ("noted", "fetched"))
        assert (noted.version, noted.verify()) == (0, [])
        Path("web/data.csv").write_text(changed)
        os.utime("web/data.csv", (time.time() + 100,) * 2)
        problems = [str(problem) for problem in tracklib.get_artifact("references/noted").verify()]
        server.shutdown()

    assert len(problems) == 1
    assert "has changed since it was noted" in problems[0]
    assert fetched.read() == b"a,b\n1,2\n"


def test_secrets_in_a_url_are_not_written_down() -> None:
    """Neither in the store nor in the spool's last word of it."""
    with tracklib.start_run("references") as run:
        run.log_artifact("nosuch://user:hunter2@host/x", copy=False)

    (artifact,) = tracklib.get_run(run).artifacts
    assert "hunter2" not in str(artifact)


def test_a_link_keeps_its_own_name() -> None:
    """As `last.ckpt` is one to the newest."""
    Path("epoch=3.ckpt").write_bytes(b"weights")
    Path("last.ckpt").symlink_to("epoch=3.ckpt")
    with tracklib.start_run("references") as run:
        run.log_artifact(Path("last.ckpt"), copy=False)

    (artifact,) = tracklib.get_run(run).artifacts
    assert (artifact.name, artifact.path) == ("last.ckpt", str(Path("last.ckpt").absolute()))
    assert artifact.files[0].checksum == digest(b"weights")


def test_it_is_seen_while_the_run_goes_on() -> None:
    """The thread does not wait for the end."""
    Path("a").write_bytes(b"a")
    run = tracklib.start_run("references")
    run.log_artifact("a", copy=False)

    seen = await_found(run)
    run.finish()
    assert seen.artifacts[0].files[0].checksum == digest(b"a")


def test_what_comes_later_is_waited_for() -> None:
    """A callback may name a file that another process is about to write."""
    run = tracklib.start_run("references")
    run.log_artifact("later.ckpt", copy=False)
    time.sleep(0.1)
    assert run.flush()
    before = tracklib.get_run(run.id).artifacts
    Path("later.tmp").write_bytes(b"weights")
    Path("later.tmp").rename("later.ckpt")
    seen = await_found(run)
    run.finish()

    assert before == []
    assert seen.artifacts[0].files[0].checksum == digest(b"weights")
    assert "problem" not in seen.artifacts[0].metadata


@pytest.mark.parametrize("comes", [True, False])
def test_a_kill_does_not_take_it(comes: bool) -> None:
    """The call has returned, so whoever recovers the run looks at it."""
    program = """
import os, signal, tracklib
run = tracklib.start_run("references")
run.log_artifact("later.ckpt", step=3, copy=False)
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", program], check=False, timeout=PATIENCE_SECONDS)
    if comes:
        Path("later.ckpt").write_bytes(b"weights")

    (artifact,) = tracklib.get_run("latest").artifacts
    assert (artifact.path, artifact.step) == (str(Path("later.ckpt").absolute()), 3)
    assert artifact.is_reference
    assert [file.checksum for file in artifact.files] == ([digest(b"weights")] if comes else [])
    assert ("problem" in artifact.metadata) is not comes


def test_what_never_comes_is_noted_at_the_end() -> None:
    """With what was wrong, and without waiting for it."""
    run = tracklib.start_run("references", finish_timeout=PATIENCE_SECONDS)
    run.log_artifact("never.ckpt", copy=False)
    time.sleep(0.1)
    began = time.monotonic()
    assert run.finish()

    (artifact,) = tracklib.get_run(run).artifacts
    assert time.monotonic() - began < PATIENCE_SECONDS / 2
    assert (artifact.name, artifact.files, artifact.size, artifact.checksum) == ("never.ckpt", (), 0, "")
    assert artifact.metadata["problem"].startswith("FileNotFoundError: it was not there")


def test_an_empty_folder_is_noted() -> None:
    """There is nothing in it that could be summed up."""
    Path("empty").mkdir()
    with tracklib.start_run("references") as run:
        run.log_artifact("empty", copy=False)

    (artifact,) = tracklib.get_run(run).artifacts
    assert (artifact.files, artifact.checksum, artifact.metadata) == ((), "", {"reference": True})


def test_what_is_being_written_is_waited_for() -> None:
    """Also while its writer pauses: a file is noted once, when it stands still."""
    with Path("slow.ckpt").open("wb") as file:
        run = tracklib.start_run("references")
        run.log_artifact("slow.ckpt", copy=False)
        longest, before = 0.0, time.monotonic()
        for _ in range(10):
            file.write(b"part")
            file.flush()
            time.sleep(0.05)
            longest, before = max(longest, time.monotonic() - before), time.monotonic()
    seen = await_found(run)
    run.finish()

    whole = [artifact.files[0].checksum for artifact in seen.artifacts] == [digest(b"part" * 10)]
    assert whole or longest > FRESH_SECONDS / 2  # A machine may pause for so long as to look like the end.


def test_the_time_of_another_clock_is_none() -> None:
    """A file of tomorrow stands still as well."""
    Path("a").write_bytes(b"a")
    os.utime("a", (time.time() + 86_400,) * 2)
    run = tracklib.start_run("references")
    run.log_artifact("a", copy=False)
    seen = await_found(run)
    run.finish()

    assert seen.artifacts[0].files[0].checksum == digest(b"a")


def test_the_call_waits_for_no_disk() -> None:
    """A large file is read by a thread."""
    with Path("large.ckpt").open("wb") as file:
        file.truncate(1 << 30)
    run = tracklib.start_run("references", finish_timeout=8.0)
    began = time.monotonic()
    for _ in range(20):
        run.log_artifact("large.ckpt", copy=False)
    took = time.monotonic() - began
    run.finish()

    artifacts = tracklib.get_run(run).artifacts
    assert took < 5.0
    assert len(artifacts) == 20


def test_the_end_of_a_run_does_not_wait_for_checksums() -> None:
    """What could not be read in time is noted with its size; the store gets everything."""
    for number in range(3):
        with Path(f"{number}.ckpt").open("wb") as file:
            file.truncate(200 << 30)  # Nobody reads so much in the time.
    run = tracklib.start_run("references", finish_timeout=4.0)
    run.log({"loss": 1.0})
    for number in range(3):
        run.log_artifact(f"{number}.ckpt", copy=False)
    time.sleep(0.1)
    began = time.monotonic()
    assert run.finish()

    seen = tracklib.get_run(run)
    assert time.monotonic() - began < PATIENCE_SECONDS
    assert [artifact.size for artifact in seen.artifacts] == [200 << 30] * 3
    assert {artifact.metadata["problem"] for artifact in seen.artifacts} == {"the run ended before it was read"}
    assert {file.checksum for artifact in seen.artifacts for file in artifact.files} == {""}
    assert seen.metrics["loss"].count == 1


def test_reading_says_that_there_is_no_copy() -> None:
    """Where the files were, and how to keep them."""
    Path("a.ckpt").write_bytes(b"a")
    with tracklib.start_run("references") as run:
        run.log_artifact("a.ckpt", copy=False)
        run.log_artifact("nosuch://bucket/b.ckpt", copy=False)
        run.log_artifact("never.ckpt", copy=False)
    seen = tracklib.get_run(run)

    for name, where in (
        ("a.ckpt", str(Path("a.ckpt").absolute())),
        ("b.ckpt", "nosuch://bucket/b.ckpt"),
        ("never.ckpt", "never"),
    ):
        with pytest.raises(NotFound, match="only path, size and checksum were noted") as raised:
            seen.read_artifact(name)
        assert where in str(raised.value)
        assert "`log_artifact` without copy=False keeps a copy" in str(raised.value)


def test_what_is_kept_elsewhere_can_be_read() -> None:
    """The checksum finds the same bytes, whoever has stored them."""
    Path("a.ckpt").write_bytes(b"a")
    with tracklib.start_run("references") as run:
        run.log_artifact("a.ckpt", copy=False)
    with tracklib.start_run("references") as other:
        other.log_artifact("a.ckpt")

    assert tracklib.get_run(run).read_artifact("a.ckpt") == {"a.ckpt": b"a"}


def test_a_copy_that_calls_itself_a_reference_is_read() -> None:
    """Metadata is the user's."""
    Path("a.ckpt").write_bytes(b"a")
    with tracklib.start_run("references") as run:
        run.log_artifact("a.ckpt", metadata={"reference": True})

    assert tracklib.get_run(run).read_artifact("a.ckpt") == {"a.ckpt": b"a"}


@pytest.mark.parametrize("path", [3, None, b"bytes", ["a"]], ids=repr)
def test_a_path_that_is_none_is_refused(path: object) -> None:
    """At the call."""
    with tracklib.start_run("references") as run, pytest.raises(TypeError):
        run.log_artifact(path, copy=False)  # type: ignore[arg-type]  # what a user may do


@pytest.mark.parametrize("words", [{"name": ""}, {"type": ""}, {"path": "/"}], ids=["name", "type", "root"])
def test_a_reference_needs_its_words(words: dict[str, str]) -> None:
    """A name and a type, as a copy does."""
    with tracklib.start_run("references") as run, pytest.raises(ConfigError):
        run.log_artifact(**{"path": "a.ckpt", "copy": False, **words})  # type: ignore[arg-type]  # of several kinds


def test_odd_paths_do_no_harm() -> None:
    """One that no file can have says so; the others are noted."""
    Path("good").write_bytes(b"a")
    Path("ünï 文.ckpt").write_bytes(b"b")
    with tracklib.start_run("references") as run:
        for path in ("nul\0", "ünï 文.ckpt", "good"):
            run.log_artifact(path, copy=False)

    found = {artifact.name: artifact.metadata.get("problem", "") for artifact in tracklib.get_run(run).artifacts}
    assert (found["good"], found["ünï 文.ckpt"]) == ("", "")
    assert found["nul\0"]


def test_a_forked_child_notes_its_own() -> None:
    """The thread is the parent's; the child gets one of its own."""
    program = """
import os, tracklib
open("a", "w").close()
with tracklib.start_run("references") as run:
    run.log_artifact("a", "before", copy=False)
    if os.fork() == 0:
        run.log_artifact("a", "child", copy=False)
        run.finish()
        os._exit(0)
    os.wait()
    run.log_artifact("a", "after", copy=False)
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True, timeout=PATIENCE_SECONDS)

    names = sorted(artifact.name for artifact in tracklib.get_run("latest").artifacts)
    assert names == ["after", "before", "child"]


def test_a_run_may_be_settled_before_its_references_are_found() -> None:
    """They belong to it all the same."""
    run = tracklib.start_run("references")
    run.log_artifact("later", copy=False)
    run.settle()
    Path("later").write_bytes(b"a")
    run.finish()

    (artifact,) = tracklib.get_run(run).artifacts
    assert artifact.files[0].checksum == digest(b"a")


@pytest.mark.parametrize(
    ("path", "expected"),
    [("s3://b/k", True), ("hf+x://a", True), ("C:/a", False), ("/a://b", False), ("a:b", False), ("://", False)],
)
def test_urls_are_told_from_paths(path: str, expected: bool) -> None:
    """A colon alone makes none."""
    assert is_url(path) is expected
