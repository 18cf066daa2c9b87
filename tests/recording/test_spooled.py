"""The files of artifacts between a program and its store."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracklib.errors import CorruptData
from tracklib.recording import spooled as module
from tracklib.recording.remains import sweep
from tracklib.recording.spooled import STALE_SECONDS, Pending, PendingFile, SpooledFiles, duplicate
from tracklib.records import Record, RecordKind, new_id
from tracklib.stores.sqlite import SqliteStore


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    """Return the folder of a run in a spool."""
    return tmp_path / "spool" / "run"


@pytest.fixture(name="files")
def _files(folder: Path) -> SpooledFiles:
    return SpooledFiles(folder, "0")


def stage(files: SpooledFiles, *contents: bytes, artifact: str = "", **data: Any) -> Pending:
    """Promise an artifact that has files of these contents, named by their numbers."""
    with files.staging(artifact or new_id()) as staging:
        for number, content in enumerate(contents):
            staging.write(str(number), content)
        return staging.publish({"created_at": time.time(), **data})


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def aged(path: Path, seconds: float) -> None:
    os.utime(path, (time.time() - seconds,) * 2)


# ---- into the spool


def test_what_is_promised_is_found_by_others(files: SpooledFiles, folder: Path) -> None:
    """Whoever has the folder knows what was logged, in the order in which it was."""
    first = stage(files, b"weights", b"", name="a")
    second = stage(files, name="b")

    assert SpooledFiles(folder, "0").pending() == [first, second]
    assert first.files == (PendingFile("0", "0", 7), PendingFile("1", "1", 0))
    assert (files.path(first.id) / "0").read_bytes() == b"weights"
    assert (first.size, second.size) == (7, 0)


def test_what_is_not_promised_leaves_no_trace(files: SpooledFiles, folder: Path) -> None:
    """A disk that fills up, or an exception of whoever makes the files, takes nothing but this artifact."""
    stage(files, b"other")
    before = names_in(folder)

    def fail() -> None:
        with files.staging(new_id()) as staging:
            staging.write("x", b"abc")
            raise OSError(errno.ENOSPC, "full")

    with pytest.raises(OSError, match="full"):
        fail()
    assert names_in(folder) == before


def test_a_file_is_copied(files: SpooledFiles, tmp_path: Path) -> None:
    """What becomes of the original later does not matter."""
    source = tmp_path / "weights"
    source.write_bytes(b"epoch 1")
    with files.staging(new_id()) as staging:
        assert staging.copy("weights", source)
        pending = staging.publish({})
    source.write_bytes(b"epoch 2, longer")

    assert (files.path(pending.id) / "0").read_bytes() == b"epoch 1"
    assert pending.files == (PendingFile("weights", "0", 7),)


def test_a_file_that_never_stands_still_is_copied_as_it_is(
    files: SpooledFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said that it changed; nobody waits for it for ever."""
    source = tmp_path / "log"
    source.write_bytes(b"x")

    def copying(original: Any, copy: Any) -> None:
        duplicate(original, copy)
        with source.open("ab") as file:
            file.write(b"more")

    monkeypatch.setattr(module, "duplicate", copying)
    with files.staging(new_id()) as staging:
        stood_still = staging.copy("log", source)
        pending = staging.publish({})

    assert not stood_still
    assert pending.size == (files.path(pending.id) / "0").stat().st_size > 1


def test_a_file_that_changed_once_is_copied_again(
    files: SpooledFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The copy is of the later state."""
    source = tmp_path / "weights"
    source.write_bytes(b"first")
    changes = [b"second, longer"]

    def copying(original: Any, copy: Any) -> None:
        duplicate(original, copy)
        if changes:
            source.write_bytes(changes.pop())

    monkeypatch.setattr(module, "duplicate", copying)
    with files.staging(new_id()) as staging:
        assert staging.copy("weights", source)
        pending = staging.publish({})

    assert (files.path(pending.id) / "0").read_bytes() == b"second, longer"


def test_what_was_written_to_a_folder_is_taken(files: SpooledFiles) -> None:
    """A model writes its own files; they are not copied once more."""
    with files.staging(new_id()) as staging:
        (staging.folder / "model" / "deep").mkdir(parents=True)
        (staging.folder / "model" / "deep" / "b").write_bytes(b"bb")
        (staging.folder / "model" / "a").write_bytes(b"a")
        staging.take("model")
        pending = staging.publish({})

    assert pending.files == (PendingFile("a", "model/a", 1), PendingFile("deep/b", "model/deep/b", 2))


def test_a_spool_that_was_deleted_is_made_anew(files: SpooledFiles, folder: Path) -> None:
    """Somebody may tidy up in the middle of a run."""
    stage(files, b"a")
    files.clear()
    pending = stage(files, b"b")

    assert files.pending() == [pending]
    assert folder.is_dir()


_SHARED_BYTES = """
import sys
from pathlib import Path
from tracklib.recording.spooled import duplicate
folder = Path(sys.argv[1])
(folder / "a").write_bytes(bytes(range(256)) * 4096)
with (folder / "a").open("rb") as source, (folder / "b").open("wb") as target:
    duplicate(source, target)
assert (folder / "b").read_bytes() == (folder / "a").read_bytes()
"""


def test_a_copy_may_share_its_bytes(tmp_path: Path) -> None:
    """On XFS the file system is asked to share them: no byte is copied.

    It needs mkfs.xfs and the right to mount; elsewhere the plain copy is what is tested.
    """
    mounted = _mounted_xfs(tmp_path)
    try:
        subprocess.run([sys.executable, "-c", _SHARED_BYTES, str(mounted or tmp_path)], check=True)
        if mounted is not None:
            extents = subprocess.run(["filefrag", "-v", str(mounted / "b")], capture_output=True, text=True, check=True)
            assert "shared" in extents.stdout
    finally:
        if mounted is not None:
            subprocess.run(["umount", str(mounted)], check=True)


def _mounted_xfs(tmp_path: Path) -> Path | None:
    image, place = tmp_path / "image", tmp_path / "mounted"
    with image.open("wb") as file:
        file.truncate(400 << 20)
    place.mkdir()
    try:
        subprocess.run(["mkfs.xfs", "-q", str(image)], check=True, capture_output=True)
        subprocess.run(["mount", "-o", "loop", str(image), str(place)], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return place


# ---- what is known of them


@given(
    st.builds(
        Pending,
        id=st.just("01JD0000000000000000000000"),
        data=st.dictionaries(st.text(), st.none() | st.booleans() | st.text() | st.integers() | st.lists(st.text())),
        files=st.lists(st.builds(PendingFile, st.text(), st.text(), st.integers(0))).map(tuple),
        source=st.text(),
        fetch=st.booleans(),
    )
)
def test_a_promise_is_read_as_it_was_written(pending: Pending) -> None:
    """Whatever names and metadata there are."""
    assert Pending.parse(pending.text()) == pending


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"id": 1}', '{"files": [[1]]}', "null"])
def test_what_is_no_promise_is_passed_over(files: SpooledFiles, text: str) -> None:
    """A machine that lost its power may have left half of one; the others are read."""
    whole = stage(files, b"x")
    broken = files.path(new_id())
    broken.mkdir()
    (broken / "artifact.json").write_text(text)

    with pytest.raises(CorruptData):
        Pending.parse(text)
    assert files.pending() == [whole]


# ---- out of it


def test_what_the_store_has_is_forgotten(files: SpooledFiles) -> None:
    """It alone."""
    first, second = stage(files, b"a"), stage(files, b"b")
    files.forget(first.id)
    files.forget(first.id)

    assert (files.pending(), files.path(first.id).exists()) == ([second], False)


def test_new_files_are_brought_to_the_disk(files: SpooledFiles) -> None:
    """Also when some of them are gone by then, which is no error."""
    first = stage(files, b"a")
    stage(files, b"b")
    files.forget(first.id)
    files.sync()

    assert not files._unsynced


@pytest.fixture(name="store")
def _store(tmp_path: Path) -> SqliteStore:
    return SqliteStore(f"sqlite:///{tmp_path / 'runs.db'}")


def source_record(checksum: str | None) -> Record:
    return Record(RecordKind.SOURCE, 0.0, {"snapshot": checksum})


def test_a_snapshot_of_the_source_goes_with_its_record(files: SpooledFiles, folder: Path, store: SqliteStore) -> None:
    """The store has it before it gets the record."""
    checksum = files.keep(b"source")
    assert checksum == sha256(b"source").hexdigest()
    files.bring(store, [source_record(None), source_record(checksum), source_record(checksum)])

    with store.open_blob(checksum) as file:
        assert file.read() == b"source"
    assert names_in(folder) == []


def test_other_records_bring_nothing(files: SpooledFiles, folder: Path, store: SqliteStore) -> None:
    """What artifacts name is in the store before they are told."""
    pending = stage(files, b"x")
    data = {"files": [{"path": "0", "size": 1, "checksum": sha256(b"x").hexdigest()}]}
    files.bring(store, [Record(RecordKind.ARTIFACT, 0.0, data), source_record("../../etc/passwd")])

    assert files.pending() == [pending]
    assert list(store.blobs()) == []
    assert names_in(folder) == ["0", "artifact.json"]


# ---- what is left behind


@pytest.mark.parametrize("make", [stage, lambda files: files.keep(b"x")], ids=["artifact", "snapshot"])
def test_what_a_kill_left_is_swept_some_time_later(
    files: SpooledFiles, folder: Path, make: Callable[[SpooledFiles], object]
) -> None:
    """Not at once: its owner may be about to begin."""
    make(files)
    sweep(folder)
    assert any(files.folder.iterdir())
    for path in files.folder.iterdir():
        aged(path, STALE_SECONDS + 60)
    sweep(folder)

    assert not folder.exists()


def test_files_beside_a_journal_are_left_alone(files: SpooledFiles, folder: Path) -> None:
    """Also beside a damaged one: they may still be wanted."""
    stage(files, b"x")
    (folder / "0-0.damaged").touch()
    for path in files.folder.iterdir():
        aged(path, STALE_SECONDS + 60)
    sweep(folder)

    assert len(files.pending()) == 1
