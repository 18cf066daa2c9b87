"""Folders as they are found: with links, loops, sockets, pipes and what may not be read."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracklib.artifacts.content import path_content
from tracklib.artifacts.folders import collect, why_not
from tracklib.artifacts.names import check_manifest, safe_path
from tracklib.errors import ConfigError

NOBODY = 65534


@contextlib.contextmanager
def without_power() -> Iterator[None]:
    """Act as an ordinary user, to whom permissions mean something."""
    if os.geteuid():
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def write(*paths: str) -> None:
    for path in paths:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(os.fsencode(path))


def test_a_folder_is_all_that_is_in_it() -> None:
    """In one order, by relative paths with slashes, and each path leads to its file."""
    write("in/b", "in/a/z", "in/a/.hidden", "in/a.txt")
    Path("in/empty").mkdir()

    found = collect("in")
    assert list(found.files) == ["a.txt", "a/.hidden", "a/z", "b"]
    assert {place: path.read_text() for place, path in found.files.items()} == {
        place: f"in/{place}" for place in found.files
    }
    assert (found.skipped, found.renamed) == ({}, {})


@pytest.mark.parametrize("path", [".", "in/..", Path()], ids=repr)
def test_the_working_directory_is_a_folder(path: str | Path) -> None:
    """However it is written."""
    write("x", "in/y")

    assert list(collect(path).files) == ["in/y", "x"]


def test_a_file_is_one_file() -> None:
    """Under its own name, which a link has too."""
    write("in/weights.pt")
    Path("last.pt").symlink_to("in/weights.pt")

    assert collect("in/weights.pt").files == {"weights.pt": Path("in/weights.pt")}
    assert collect(Path("last.pt").absolute()).files == {"last.pt": Path("last.pt").absolute()}


def test_our_own_stores_are_left_out() -> None:
    """Wherever they lie below; a file of that name is somebody else's."""
    write("in/.tracklib/tracklib.db", "in/deep/.tracklib/spool/x", "in/other/.tracklib", "in/a")

    found = collect("in")
    assert list(found.files) == ["a", "other/.tracklib"]
    assert found.skipped == {}


# ---- links


def test_a_link_counts_as_what_it_leads_to() -> None:
    """A cache of Hugging Face is full of them."""
    write("cache/blobs/abc", "elsewhere/data/1.csv")
    Path("cache/snapshots/main").mkdir(parents=True)
    Path("cache/snapshots/main/config.json").symlink_to("../../blobs/abc")
    Path("cache/data").symlink_to(Path("elsewhere/data").absolute())

    found = collect("cache")
    assert list(found.files) == ["blobs/abc", "data/1.csv", "snapshots/main/config.json"]
    assert found.files["snapshots/main/config.json"].read_text() == "cache/blobs/abc"
    assert found.skipped == {}


def test_a_link_that_leads_nowhere_is_skipped() -> None:
    """And so is one that leads to itself."""
    write("in/a")
    Path("in/gone").symlink_to("nowhere")
    Path("in/self").symlink_to("self")
    Path("in/through").symlink_to("a/b")

    found = collect("in")
    assert list(found.files) == ["a"]
    assert found.skipped == {
        "gone": "it is a link that leads nowhere",
        "self": "it is a link in a circle",
        "through": "it is a link that leads nowhere",
    }


@pytest.mark.parametrize("target", [".", "..", "../..", "/"], ids=repr)
def test_a_link_back_is_skipped(target: str) -> None:
    """To the folder itself, or to one that it lies in."""
    write("in/deep/a")
    Path("in/deep/back").symlink_to(target)

    found = collect("in")
    assert list(found.files) == ["deep/a"]
    assert found.skipped == {"deep/back": "it leads back to a folder that it lies in"}


def test_a_loop_through_another_folder_ends() -> None:
    """Where it comes back to the first."""
    write("in/a", "other/b")
    Path("in/out").symlink_to("../other")
    Path("other/in").symlink_to("../in")

    found = collect("in")
    assert list(found.files) == ["a", "out/b"]
    assert found.skipped == {"out/in": "it leads back to a folder that it lies in"}


def test_a_linked_folder_beside_its_original_is_kept_twice() -> None:
    """The store keeps the bytes once."""
    write("in/run-7/a")
    Path("in/latest").symlink_to("run-7")

    assert list(collect("in").files) == ["latest/a", "run-7/a"]


def test_folders_that_all_link_to_each_other_do_not_explode() -> None:
    """Each way through twelve of them would be half a billion files."""
    names = [f"d{number:02}" for number in range(12)]
    for name in names:
        write(f"in/{name}/file")
    for name in names:
        for other in set(names) - {name}:
            Path("in", name, other).symlink_to(f"../{other}")

    found = collect("in")
    assert {f"{name}/file" for name in names} <= found.files.keys()
    assert len(found.files) < 12**3
    assert found.skipped["d00/d01/d02/d00"] == "it leads back to a folder that it lies in"
    assert found.skipped["d01/d00/d02"] == "it is a link to what is kept as 'd00/d01/d02'"


# ---- what has no content


def test_what_has_no_content_is_skipped() -> None:
    """A pipe would be waited for in vain."""
    write("in/a")
    os.mkfifo("in/pipe")
    Path("in/null").symlink_to("/dev/null")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("in/socket")
        found = collect("in")

    assert list(found.files) == ["a"]
    assert found.skipped == {"null": "it is a device", "pipe": "it is a named pipe", "socket": "it is a socket"}


@pytest.mark.parametrize(
    ("path", "kind"), [("pipe", "a named pipe"), ("/dev/null", "a device"), ("socket", "a socket")]
)
def test_what_has_no_content_is_refused_by_itself(path: str, kind: str) -> None:
    """It is no file that anybody can keep."""
    os.mkfifo("pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")

        with pytest.raises(ConfigError, match=f"neither a file nor a folder: it is {kind}"):
            collect(path)


@pytest.mark.parametrize("path", ["gone", "file/x", "self", "", "a\0b", "x" * 300], ids=lambda path: repr(path)[:10])
def test_what_is_not_there_is_said(path: str) -> None:
    """As Python says it."""
    write("file")
    Path("self").symlink_to("self")

    with pytest.raises(FileNotFoundError, match="path is"):
        collect(path)


@pytest.mark.parametrize("path", [5, None, b"x", ["x"]])
def test_what_is_no_path_is_refused(path: object) -> None:
    """By its type."""
    with pytest.raises(TypeError, match="but takes the path of a file or folder"):
        collect(path)  # type: ignore[arg-type]  # that is the point


# ---- what may not be read


def test_what_may_not_be_read_is_skipped() -> None:
    """Files, folders, folders that may be listed but not entered, and links into others."""
    write("in/a", "in/secret", "in/closed/x", "in/listed/y", "away/z")
    Path("in/link").symlink_to("../away/z")
    for path, mode in (("in/secret", 0), ("in/closed", 0), ("in/listed", 0o444), ("away", 0)):
        Path(path).chmod(mode)
    Path.cwd().chmod(0o755)
    with without_power():
        found = collect("in")
    for path in ("in/closed", "in/listed", "away"):
        Path(path).chmod(0o755)

    assert list(found.files) == ["a"]
    assert found.skipped == dict.fromkeys(["closed", "link", "listed/y", "secret"], "it may not be read")


def test_a_file_or_folder_that_may_not_be_read_is_skipped_by_itself() -> None:
    """So that the training goes on."""
    write("secret", "closed/x")
    Path("secret").chmod(0)
    Path("closed").chmod(0)
    Path.cwd().chmod(0o755)
    with without_power():
        found = [collect(path) for path in ("secret", "closed", "closed/x")]
    Path("closed").chmod(0o755)

    assert [each.files for each in found] == [{}, {}, {}]
    assert [each.skipped for each in found] == [
        {"secret": "it may not be read"},
        {".": "it may not be read"},
        {"x": "it may not be read"},
    ]


def test_reasons_are_words() -> None:
    """Also for what nobody has thought of."""
    assert why_not(FileNotFoundError(2, "No such file")) == "it vanished while it was looked at"
    assert why_not(OSError(5, "Input/output error")) == "it cannot be read: Input/output error"
    assert why_not(OSError("odd")) == "it cannot be read: odd"


# ---- names


def test_names_that_are_no_text_are_escaped() -> None:
    """Each in its own way, and it is noted; the path leads to the file nevertheless."""
    odd, twin = os.fsdecode(b"b\xe9"), "b\\xe9"
    write(f"in/{odd}", f"in/{twin}", f"in/{odd}{odd}/{odd}")

    found = collect("in")
    assert list(found.files) == ["b\\xe9", "b\\xe9b\\xe9/b\\xe9", "b\\xe9~2"]
    assert found.files["b\\xe9"] == Path("in", twin)
    assert found.files["b\\xe9~2"] == Path("in", odd)
    assert found.renamed == dict.fromkeys(["b\\xe9b\\xe9", "b\\xe9b\\xe9/b\\xe9", "b\\xe9~2"], "its name is not UTF-8")


@pytest.mark.skipif(os.name == "nt", reason="Windows takes no such names")
def test_names_that_other_systems_take_for_paths_are_escaped() -> None:
    """What is only odd stays."""
    names = ["..\\..\\x", "C:x", "\\\\server\\x", "a\\b", "a\nb", "at: b", "\x01", " ", "..."]
    write(*(f"in/{name}" for name in names))

    found = collect("in")
    assert {place for place in found.files if place not in names} == {
        "\\x2e\\x2e\\x5c\\x2e\\x2e\\x5cx",
        "C\\x3ax",
        "\\x5c\\x5cserver\\x5cx",
    }
    assert found.renamed["C\\x3ax"] == "its name is 'C:x', which would lead elsewhere on Windows"


@given(st.sets(st.binary(min_size=1, max_size=6).filter(lambda name: not set(name) & {0, 47}), max_size=8))
def test_any_names_make_a_sound_manifest(names: set[bytes]) -> None:
    """As many files as there are, each under a path that every download takes."""
    with tempfile.TemporaryDirectory() as folder:
        for name in names - {b".", b".."}:
            Path(folder, os.fsdecode(name)).write_bytes(name)

        found = collect(folder)
        check_manifest(found.files)
        assert all(safe_path(place, windows=False) for place in found.files)
        assert {path.read_bytes() for path in found.files.values()} == names - {b".", b".."}


# ---- sizes


def nested(name: str, depth: int) -> None:
    """Make folders in folders, each with a file, also where the whole path would be too long."""
    home = Path.cwd()
    for _ in range(depth):
        Path(name).mkdir()
        Path("f").touch()
        os.chdir(name)
    os.chdir(home)


def test_a_very_deep_folder_is_walked() -> None:
    """Deeper than the stack of Python."""
    depth = sys.getrecursionlimit() + 100
    nested("d", depth)

    found = collect(".")
    assert len(found.files) == depth
    assert found.skipped == {}
    subprocess.run(["rm", "-r", "d"], check=True)  # Python removes no such folder.


def test_what_is_too_deep_for_the_system_is_skipped() -> None:
    """A path has an end."""
    nested("d" * 200, 25)

    found = collect(".")
    assert 10 < len(found.files) < 25
    assert list(found.skipped.values()) == ["its path is too long"]


def test_many_files_are_found() -> None:
    """Each of them."""
    for folder in range(20):
        Path("in", str(folder)).mkdir(parents=True)
        for number in range(100):
            Path("in", str(folder), str(number)).touch()

    assert len(collect("in").files) == 2_000


# ---- as content


def test_content_says_what_was_left_out() -> None:
    """And nothing where nothing was."""
    write("in/a", "whole/a")
    os.mkfifo("in/pipe")

    assert path_content("in").metadata == {"skipped": {"pipe": "it is a named pipe"}}
    assert path_content("in").path == "in"
    assert path_content("whole").metadata == {}


def test_content_names_the_first_of_very_many() -> None:
    """A record of a hundred thousand reasons would be in everybody's way."""
    Path("in").mkdir()
    for number in range(150):
        Path("in", f"{number:03}").symlink_to("nowhere")

    metadata = path_content("in").metadata
    assert list(metadata["skipped"]) == [f"{number:03}" for number in range(100)]
    assert metadata["more_skipped"] == 50
