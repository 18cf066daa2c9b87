"""Artifacts brought to a folder: all of it right, or nothing under its name."""

from __future__ import annotations

import hashlib
import re
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.artifacts.records import XY, X, blob_path, get, kept, tell, tree, writer
from tracklib.artifacts.stored import find_artifact
from tracklib.errors import ConfigError, CorruptData, NotFound, StoreError
from tracklib.model import ArtifactFile

if TYPE_CHECKING:
    from tracklib.stores.base import Store

InChild = Callable[..., str]


def test_a_download_has_all_files(store: Store) -> None:
    """In a folder that says what it is, or where one wants it."""
    tell(store, writer(), "raw/data", XY)

    told: list[int] = []
    assert get(store, "raw/data").download() == Path("artifacts/raw/data-v0")
    assert get(store, "raw/data").download("here", on_bytes=told.append) == Path("here")
    assert tree(Path("artifacts/raw/data-v0")) == tree(Path("here")) == XY
    assert sum(told) == 3


@pytest.mark.parametrize("name", ["..", "../../x", "/etc/passwd", "a//b", "C:\\x", ".", "...", "x" * 300])
def test_the_default_folder_stays_where_one_is(store: Store, name: str, tmp_path: Path) -> None:
    """Whatever the artifact is called."""
    tell(store, writer(), name, X)
    artifact = find_artifact(store, f"digits/{name}", "digits")

    if len(name) > 255:
        with pytest.raises(StoreError, match=r"cannot be written: .*too long"):
            artifact.download()
    else:
        folder = artifact.download().resolve()
        assert folder.is_relative_to(tmp_path / "artifacts")
        assert folder != tmp_path / "artifacts"


def test_a_download_goes_on(store: Store) -> None:
    """What is there already is not fetched again; other files stay."""
    tell(store, writer(), "data", XY)
    get(store, "data").download("here")
    Path("here/x.csv").unlink()
    Path("here/own.txt").write_text("mine")
    blob_path(store, b"yy").unlink()

    told: list[int] = []
    get(store, "data").download("here", on_bytes=told.append)
    assert tree(Path("here")) == {**XY, "own.txt": b"mine"}
    assert sum(told) == 3


@pytest.mark.parametrize("content", [b"z", b"longer"])
def test_other_files_are_not_overwritten(store: Store, content: bytes) -> None:
    """Unless one says so; nothing is fetched before."""
    tell(store, writer(), "data", XY)
    Path("here").mkdir()
    Path("here/x.csv").write_bytes(content)

    with pytest.raises(ConfigError, match=r"another file 'here/x.csv' already: .* force=True"):
        get(store, "data").download("here")
    assert tree(Path("here")) == {"x.csv": content}
    get(store, "data").download("here", force=True)
    assert tree(Path("here")) == XY


def test_a_damaged_blob_is_named(store: Store) -> None:
    """With the file and the artifact; nothing half-written stays."""
    tell(store, writer(), "data", XY)
    blob_path(store, b"yy").write_bytes(b"no")
    words = r"the file 'sub/y.csv' of digits/data:v0: the blob .*{} is damaged: it has SHA-256 \w+ and 2 bytes"
    pattern = words.format(re.escape(hashlib.sha256(b"yy").hexdigest()))

    with pytest.raises(CorruptData, match=pattern):
        get(store, "data").download("here")
    for read in (get(store, "data").read, get(store, "data").open):
        with pytest.raises(CorruptData, match=pattern):
            read("sub/y.csv")
    assert tree(Path("here")).items() <= {("x.csv", b"x")}


def test_a_missing_blob_is_named(store: Store) -> None:
    """Likewise."""
    tell(store, writer(), "data", X)
    blob_path(store, b"x").unlink()

    with pytest.raises(
        NotFound, match=rf"'x.csv' of digits/data:v0: there is no blob {hashlib.sha256(b'x').hexdigest()}"
    ):
        get(store, "data").download("here")
    assert tree(Path("here")) == {}


@pytest.mark.parametrize("path", ["../evil", "/etc/evil", "C:\\evil", "a/../../evil", "a\0b", ""])
def test_paths_of_a_manifest_cannot_leave_the_folder(store: Store, path: str) -> None:
    """Nothing at all is written then."""
    (good,) = kept(store, {"evil": b"evil"})
    files = (
        ArtifactFile(path="good", size=4, checksum=good.checksum),
        ArtifactFile(path=path, size=4, checksum=good.checksum),
    )
    tell(store, writer(), "data", files)

    with pytest.raises(CorruptData, match="the artifact names a file"):
        get(store, "data").download("here")
    assert tree(Path("here")) == {}


def test_a_download_does_not_follow_links(store: Store) -> None:
    """One that lies in the folder may lead anywhere."""
    tell(store, writer(), "data", XY)
    Path("here").mkdir()
    Path("elsewhere").mkdir()
    Path("here/sub").symlink_to("../elsewhere")

    with pytest.raises(ConfigError, match=r"'sub/y.csv' would go through 'here/sub', a link"):
        get(store, "data").download("here", force=True)
    assert tree(Path("elsewhere")) == {}


def test_places_that_take_no_files(store: Store) -> None:
    """A file where a folder is needed, or the other way round."""
    tell(store, writer(), "data", XY)
    Path("file").write_text("mine")
    Path("here/x.csv").mkdir(parents=True)
    Path("there").mkdir()
    Path("there/sub").write_text("mine")

    with pytest.raises(ConfigError, match=r"'file' cannot be written: .*choose another folder"):
        get(store, "data").download("file")
    with pytest.raises(ConfigError, match=r"a folder 'here/x.csv' where a file is to go"):
        get(store, "data").download("here", force=True)
    with pytest.raises(ConfigError, match=r"'there/sub/y.csv' cannot be written"):
        get(store, "data").download("there", force=True)


def test_many_files_are_fetched_side_by_side(store: Store) -> None:
    """A thousand come whole, and the callback is called by one thread at a time."""
    files = {f"{number // 100}/{number}.txt": b"%d" % number for number in range(1000)}
    tell(store, writer(), "data", files)
    busy = threading.Lock()
    counts: list[int] = []

    def on_bytes(count: int) -> None:
        assert busy.acquire(blocking=False)
        counts.append(count)
        busy.release()

    get(store, "data").download("here", on_bytes=on_bytes)
    assert tree(Path("here")) == files
    assert sum(counts) == sum(map(len, files.values()))


def test_a_callback_that_has_enough_ends_the_download(store: Store) -> None:
    """Its error is raised, and nothing half-written stays; the next call goes on."""
    tell(store, writer(), "data", {f"{number}.bin": bytes([number]) * 3_000_000 for number in range(6)})

    def enough(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(store, "data").download("here", on_bytes=enough)
    assert tree(Path("here")) == {}
    get(store, "data").download("here")
    assert len(tree(Path("here"))) == 6


def test_a_folder_that_has_all_need_not_be_writable(store: Store, public_folder: Path, in_child: InChild) -> None:
    """Others may share it, read only."""
    tell(store, writer(), "data", XY)
    artifact = get(store, "data")
    assert artifact.files
    artifact.download(public_folder / "here")
    store.close()

    assert in_child(lambda: artifact.download(public_folder / "here"), unprivileged=True) == str(public_folder / "here")


def test_a_folder_that_cannot_be_written_is_said(store: Store, public_folder: Path, in_child: InChild) -> None:
    """With its name and the reason."""
    (content,) = kept(store, X)
    tell(store, writer(), "data", (content,))
    artifact = get(store, "data")
    assert artifact.files
    store.close()

    said = in_child(lambda: artifact.download(public_folder / "here"), unprivileged=True)
    assert said.startswith(f"StoreError: '{public_folder}/here' cannot be written: ")
    assert "Permission denied" in said


def test_a_disk_without_room_is_said(store: Store, tmp_path: Path, in_child: InChild) -> None:
    """Nothing half-written stays."""
    tell(store, writer(), "data", {"large.bin": b"0" * 3_000_000})
    artifact = get(store, "data")
    assert artifact.files

    said = in_child(lambda: artifact.download(tmp_path / "here"), largest_file=2_000_000)
    assert said.startswith(f"StoreError: '{tmp_path}/here/large.bin' cannot be written: ")
    assert list((tmp_path / "here").iterdir()) == []


KILLED = """
import sys
from tracklib.artifacts.stored import find_artifact
from tracklib.stores.base import open_store

artifact = find_artifact(open_store(sys.argv[1]), "data", "digits")
print("ready", flush=True)
artifact.download("here")
"""


def test_a_download_that_is_killed_goes_on(store: Store) -> None:
    """Wherever it was killed, what has its own name is whole, and the next one brings the rest."""
    files = {f"{number}.bin": bytes([number]) * 400_000 for number in range(60)}
    tell(store, writer(), "data", files)

    for wait_for in (1, 20, 45):
        words = [sys.executable, "-c", KILLED, store.uri]
        with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            while process.poll() is None and len(list(Path().glob("here/*.bin"))) < wait_for:
                time.sleep(0.001)
            process.kill()
        assert {name: content for name, content in tree(Path("here")).items() if name in files}.items() <= files.items()
    get(store, "data").download("here")
    assert {name: content for name, content in tree(Path("here")).items() if name in files} == files


def test_a_large_file_takes_little_memory(store: Store, tmp_path: Path) -> None:
    """It goes through in blocks."""
    large = tmp_path / "large.bin"
    with large.open("wb") as file:
        file.truncate(400_000_000)
    with large.open("rb") as file:
        checksum, size = store.put_blob(file)
    tell(store, writer(), "data", (ArtifactFile(path="large.bin", size=size, checksum=checksum),))

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    get(store, "data").download("here")
    assert get(store, "data").verify() == []
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert Path("here/large.bin").stat().st_size == size
    assert after - before < 100_000
