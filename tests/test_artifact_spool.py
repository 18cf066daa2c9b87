"""Artifacts wait in the spool until the store has them, as points do: a program waits for no store."""

from __future__ import annotations

import io
import json
import time
import zipfile
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import tracklib
from tracklib.errors import NotFound
from tracklib.run import Run
from tracklib.stores.base import open_store

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.usefixtures("bare")

BLOBS = Path(".tracklib/blobs")


def spooled() -> list[str]:
    """Return the names of the artifacts in the spool, in the order in which they were logged."""
    texts = [path.read_text() for path in Path(".tracklib/spool").glob("*/*.blobs/*/artifact.json")]
    told = [json.loads(text)["data"] for text in texts]
    return [data["name"] for data in sorted(told, key=lambda data: data["created_at"])]


def checksum(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it never came to pass"
        time.sleep(0.01)


@pytest.fixture(name="away")
def _away() -> Callable[[], None]:
    """Take the store's blobs away before anything is logged; return a function that brings them back."""
    BLOBS.parent.mkdir()
    BLOBS.write_text("in the way")
    return BLOBS.unlink


def test_nobody_waits_for_a_store_that_is_away(away: Callable[[], None], caplog: pytest.LogCaptureFixture) -> None:
    """The call returns with a copy, so the original may change; the copy arrives when the store is back."""
    Path("weights").write_text("epoch 1")
    with tracklib.start_run(flush_interval=0.01) as run:
        run.log_artifact("weights", type="checkpoint")
        Path("weights").write_text("epoch 2")
        run.log_artifact("weights", type="checkpoint")
        run.log({"loss": 1})
        wait_until(lambda: "artifacts cannot be brought to its store for now" in caplog.text)
        assert spooled() == ["weights", "weights"]
        assert not run.flush(0.1)
        away()

    stored = tracklib.get_run(run)
    assert [stored.read_artifact("weights", version=number)["weights"] for number in (0, 1)] == [b"epoch 1", b"epoch 2"]
    assert (stored.info.dropped, stored.metrics["loss"].count) == ({}, 1)
    assert list(Path(".tracklib/spool").iterdir()) == []


def test_what_is_logged_beside_them_does_not_wait_for_artifacts(away: Callable[[], None]) -> None:
    """Metrics get to the store while the bytes cannot."""
    with tracklib.start_run(flush_interval=0.01) as run:
        run.log_text("hello", "notes")
        run.log({"loss": 1})
        wait_until(Path(".tracklib/tracklib.db").exists)
        assert run._shipper.flush(60)
        assert tracklib.get_run(run.id).metrics["loss"].count == 1
        assert tracklib.get_run(run.id).artifacts == []
        away()

    assert [artifact.name for artifact in tracklib.get_run(run).artifacts] == ["notes"]


def test_what_the_end_does_not_wait_for_comes_behind_it(away: Callable[[], None]) -> None:
    """The run has ended for every reader; its artifacts arrive for as long as the process lives."""
    with tracklib.start_run(finish_timeout=0.1) as run:
        run.log_text("hello", "notes")
    assert spooled() == ["notes"]
    wait_until(lambda: tracklib.get_run(run).status == "completed")
    away()
    wait_until(lambda: not list(Path(".tracklib/spool").iterdir()))

    assert tracklib.get_run(run).read_artifact("notes") == {"notes.txt": b"hello"}
    assert tracklib.get_run(run).status == "completed"


def test_an_artifact_that_is_seen_can_be_read() -> None:
    """While the run goes on, too: the store gets the bytes before the record."""
    with tracklib.start_run(flush_interval=0.001) as run:
        for number in range(50):
            run.log_text(str(number), f"notes{number}")
            if number % 10 == 0:
                assert run.flush(60)
            try:
                stored = tracklib.get_run(run)
            except NotFound:
                continue
            for artifact in stored.artifacts:
                stored.read_artifact(artifact.name)

    assert len(tracklib.get_run(run).artifacts) == 50


def test_the_same_content_again_and_again() -> None:
    """Before the store has it, and after."""
    with tracklib.start_run() as run:
        for number in range(6):
            run.log_text("same", f"notes{number}")
            if number % 2:
                assert run.flush(60)

    stored = tracklib.get_run(run)
    assert [stored.read_artifact(artifact.name) for artifact in stored.artifacts] == [
        {f"notes{number}.txt": b"same"} for number in range(6)
    ]
    assert [path.name for path in BLOBS.glob("*/*")] == [checksum("same")]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_two_writers_of_a_run_keep_the_same_content(order: tuple[int, int]) -> None:
    """Whichever of them is the first to ship it, and to end."""
    main = tracklib.start_run(flush_interval=60)
    other = Run(replace(main._identity, writer="0.other", primary=False), main._settings)
    for writer in (main, other):
        writer.log_text("same", writer._identity.writer)
    assert len(spooled()) == 2
    for number in order:
        assert (main, other)[number].finish()

    stored = tracklib.get_run(main)
    assert stored.read_artifact("0") == {"0.txt": b"same"}
    assert stored.read_artifact("0.other") == {"0.other": b"same"}
    assert list(Path(".tracklib/spool").iterdir()) == []


def test_offline_artifacts_wait_for_a_sync() -> None:
    """Nothing but the spool is touched before; then all is there, once."""
    with tracklib.start_run(mode="offline") as run:
        run.log_text("one", "notes")
        run.log_text("two", "notes")
    assert (len(spooled()), BLOBS.exists()) == (2, False)
    (recovered,) = tracklib.sync()

    assert (recovered.problem, recovered.set_aside) == (None, ())
    assert recovered.artifacts == 2
    assert tracklib.get_run(run).read_artifact("notes", version=0) == {"notes.txt": b"one"}
    assert list(Path(".tracklib/spool").iterdir()) == []


@pytest.mark.parametrize("damage", [lambda path: path.write_text("o"), Path.unlink], ids=["cut off", "deleted"])
def test_a_copy_that_is_not_whole_does_not_hold_up_the_others(damage: Callable[[Path], object]) -> None:
    """A power cut may do that; the artifact says which file it is, and the others are there."""
    with tracklib.start_run(mode="offline") as run:
        for text in ("one", "two"):
            run.log_text(text, text)
        run.log({"loss": 1})
    (copy,) = [path for path in Path(".tracklib/spool").glob("*/*.blobs/*/0") if path.read_text() == "one"]
    damage(copy)
    (recovered,) = tracklib.sync()

    assert (recovered.problem, recovered.set_aside) == (None, ())
    stored = tracklib.get_run(run)
    one, two = stored.artifacts
    assert one.metadata["problem"] == "not whole any more in the spool: one.txt"
    assert (one.checksum, two.metadata) == ("", {})
    assert stored.read_artifact("two") == {"two.txt": b"two"}
    assert (stored.metrics["loss"].count, stored.status) == (1, "completed")


def test_artifacts_do_not_need_their_journal() -> None:
    """Where a part of it is damaged, all of them get to the store all the same."""
    with tracklib.start_run(mode="offline") as run:
        run.log_text("one", "one")
        run.log({"loss": 1})
    (journal,) = Path(".tracklib/spool").glob("*/*.journal")
    content = journal.read_bytes()
    journal.write_bytes(content.replace(b'"completed"', b'"complet\xff"', 1))
    (recovered,) = tracklib.sync()

    assert [Path(name).name for name in recovered.set_aside] == ["0-0.damaged"]
    assert tracklib.get_run(run).read_artifact("one") == {"one.txt": b"one"}


def test_what_is_logged_after_the_end_leaves_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """It is refused before anything is copied."""
    with tracklib.start_run() as run:
        pass
    run.log_text("late", "notes")

    assert "has ended" in caplog.text
    assert (run.stored_bytes, tracklib.get_run(run).artifacts) == (0, [])
    assert list(Path(".tracklib/spool").iterdir()) == []


def test_what_cannot_be_read_is_left_out() -> None:
    """Of a folder, and the artifact says why; the rest is kept."""
    Path("folder").mkdir()
    Path("folder/a").write_text("fine")
    Path("folder/b").symlink_to("nowhere")
    with tracklib.start_run() as run:
        run.log_artifact("folder")

    stored = tracklib.get_run(run)
    assert stored.read_artifact("folder") == {"a": b"fine"}
    assert stored.artifacts[0].metadata == {"skipped": {"b": "it is a link that leads nowhere"}}
    assert stored.info.dropped == {}


def test_a_spool_without_room_costs_the_artifact_alone(caplog: pytest.LogCaptureFixture) -> None:
    """It is counted on the run, and nothing of it is left behind."""
    with tracklib.start_run() as run:
        (folder,) = Path(".tracklib/spool").glob("*")
        (folder / "0.blobs").write_text("in the way")
        run.log_text("hello", "notes")
        run.log({"loss": 1})
        (folder / "0.blobs").unlink()

    assert "the artifact 'notes' could not be kept" in caplog.text
    stored = tracklib.get_run(run)
    assert (stored.artifacts, stored.info.dropped, stored.metrics["loss"].count) == ([], {"artifact": 1}, 1)


@pytest.mark.parametrize("mode", ["online", "offline"])
def test_the_snapshot_of_a_source_goes_the_same_way(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small project in no repository is kept as a zip, by its own name in the store."""
    monkeypatch.setenv("TRACKLIB_AUTO_LOG_GIT", "1")
    Path("train.py").write_text("print(1)")
    with tracklib.start_run(mode=mode, flush_interval=0.01) as run:
        wait_until(lambda: any(Path(".tracklib/spool").glob("*/0.blobs")) or BLOBS.exists())
    tracklib.sync()

    stored = tracklib.get_run(run)
    with open_store(run.store) as store, store.open_blob(stored.source.snapshot or "") as blob:
        archive = zipfile.ZipFile(io.BytesIO(blob.read()))
    assert archive.read("train.py") == b"print(1)"
    assert list(Path(".tracklib/spool").iterdir()) == []
