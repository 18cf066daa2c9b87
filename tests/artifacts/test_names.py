"""The paths of a manifest: none leads out of the folder that it is read into."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracklib.artifacts.names import check_manifest, ignores_case, place, portable, safe_path
from tracklib.errors import ConfigError, CorruptData

PIECES = st.sampled_from(
    [
        "a",
        "B",
        "..",
        ".",
        "",
        "/",
        "//",
        "\\",
        "C:",
        "c:x",
        "\0",
        "\n",
        "\ud800",
        "\udce9",
        "~",
        "aux",
        "größe",
        " ",
        ":",
    ]
)
PATHS = st.one_of(
    st.text(max_size=40),
    st.lists(PIECES, max_size=6).map("".join),
    st.lists(PIECES, max_size=6).map("/".join),
)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("", "is empty"),
        ("..", "leads out"),
        ("a/../../b", "leads out"),
        ("a\\..\\..\\b", "leads out"),
        ("..\\b", "leads out"),
        ("/etc/passwd", "is absolute"),
        ("//server/share", "begins with the name of a machine"),
        ("\\\\server\\share", "begins with the name of a machine"),
        ("C:/x", "begins with the letter of a drive"),
        ("c:x", "begins with the letter of a drive"),
        ("a\0b", "has a NUL"),
        ("a//b", "has a segment that is empty"),
        ("a/", "has a segment that is empty"),
        (".", "has a segment that is empty or '.'"),
        ("a/./b", "has a segment that is empty or '.'"),
        ("./a", "has a segment that is empty or '.'"),
        ("b\udce9", "cannot be said in UTF-8"),
    ],
)
@pytest.mark.parametrize("windows", [False, True])
def test_a_path_that_leads_out_is_refused_everywhere(path: str, words: str, windows: bool) -> None:
    """The message names it and says why."""
    with pytest.raises(CorruptData, match=words) as error:
        safe_path(path, windows=windows)

    assert repr(path) in str(error.value)


@pytest.mark.parametrize(
    "path", ["a", "a/b.c", "...", "a..b/..c", "größe 🔥", "a\nb", "b\\xe9", "ab:c", ".hidden", "~", "aux", "x "]
)
def test_an_odd_name_is_a_name(path: str) -> None:
    """Only what leads elsewhere is refused."""
    assert safe_path(path, windows=False).as_posix() == path


@pytest.mark.parametrize(
    "path",
    ["b\\xe9", "ab:c", "a/aux", "NUL.txt", "com1", "lpt².log", "con .txt", "a/x.", "x /a", "a?", "a\nb", "CONIN$"],
)
def test_what_is_no_name_on_windows_is_refused_there(path: str) -> None:
    """With advice: the manifest is sound."""
    with pytest.raises(ConfigError, match="get it elsewhere"):
        safe_path(path, windows=True)


@pytest.mark.parametrize("path", ["auxiliary/console.txt", "a/com10", "nullable", ".con", "größe"])
def test_what_only_looks_like_a_device_is_a_name_on_windows(path: str) -> None:
    """The whole name up to its first dot counts."""
    assert safe_path(path, windows=True).as_posix() == path


@pytest.mark.parametrize("path", [None, 5, b"a", ["a"]])
def test_a_path_is_text(path: object) -> None:
    """A manifest is read from JSON, which may say anything."""
    with pytest.raises(CorruptData, match="which is no text"):
        safe_path(path)  # type: ignore[arg-type]  # that is the point


@given(PATHS, st.sampled_from([None, "", "a", "a/B", "B"]))
def test_whatever_a_path_says_it_stays_in_the_folder(path: str, link: str | None) -> None:
    """Also where a link out of it lies there: then it is refused, or goes past the link."""
    with tempfile.TemporaryDirectory() as home:
        folder, outside = Path(home, "folder"), Path(home, "outside")
        outside.mkdir()
        (folder / "a").mkdir(parents=True)
        if link:
            planted = folder / link
            if planted.is_dir():
                planted.rmdir()
            planted.symlink_to(outside)
        try:
            target = place(folder, path)
        except (CorruptData, ConfigError, OSError):
            return

        real = target.resolve()
        assert real != folder.resolve()
        assert real.is_relative_to(folder.resolve())


@given(PATHS)
def test_a_path_on_windows_stays_as_well(path: str) -> None:
    """Whatever its rules make of separators, drives and dots."""
    import ntpath

    try:
        segments = safe_path(path, windows=True).parts
    except (CorruptData, ConfigError):
        return

    joined = ntpath.normpath(ntpath.join("C:\\folder", *segments))
    assert joined.startswith("C:\\folder\\")
    assert len(joined.split("\\")) == 2 + len(segments)


@pytest.mark.parametrize("planted", ["a", "a/b", "a/b/c"])
def test_no_file_goes_through_a_link(planted: str) -> None:
    """Wherever on its way it lies, and wherever it leads."""
    Path("target").mkdir()
    Path("folder", planted).parent.mkdir(parents=True)
    Path("folder", planted).symlink_to(Path("target").absolute())

    with pytest.raises(ConfigError, match="a link that may lead anywhere: remove it, or choose another folder"):
        place("folder", "a/b/c")


def test_a_link_that_leads_nowhere_is_a_link() -> None:
    """Writing to it would make a file elsewhere."""
    Path("folder").mkdir()
    Path("folder/a").symlink_to("/nowhere/at/all")

    with pytest.raises(ConfigError, match="a link"):
        place("folder", "a")


def test_the_folder_itself_may_be_a_link() -> None:
    """It is the choice of whoever asks."""
    Path("real").mkdir()
    Path("folder").symlink_to("real")

    assert place("folder", "a/b") == Path("folder/a/b")
    assert place(Path("not/there/yet"), "a") == Path("not/there/yet/a")


@given(st.one_of(st.text(max_size=30), st.lists(PIECES, max_size=5).map("".join)))
def test_what_is_written_into_a_manifest_can_be_read_from_it(name: str) -> None:
    """On the kind of system that wrote it, and in whatever folder the file lies."""
    name = name.replace("/", "")

    assert safe_path(portable(name), windows=False).parts == (portable(name),)
    assert len(safe_path(f"a/{portable(name)}/b", windows=False).parts) == 3


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\\.:\0"), min_size=1, max_size=30))
def test_an_ordinary_name_stays_what_it_is(name: str) -> None:
    """Whatever its letters."""
    assert portable(name) == name


@pytest.mark.parametrize(
    "paths",
    [["a", "a"], ["a/b", "a"], ["a", "a/b/c"], ["x", "a/b/c/d", "a-b", "a/b"], ["a/b", "a\\b", "a/b"]],
    ids=str,
)
def test_two_files_do_not_share_a_place(paths: list[str]) -> None:
    """Neither twice the same, nor one that is the folder of another."""
    with pytest.raises(CorruptData, match="which is"):
        check_manifest(paths)


def test_a_manifest_with_a_path_that_leads_out_is_refused_whole() -> None:
    """Before anything is written."""
    with pytest.raises(CorruptData, match="'\\.\\./b'"):
        check_manifest(["a", "../b"])


@pytest.mark.parametrize(
    "paths", [[], ["a", "A"], ["a/b", "a-b", "a.b", "a b", "aa/b", "A/b"], ["é", "e\u0301"]], ids=str
)
def test_files_of_different_names_lie_side_by_side(paths: list[str]) -> None:
    """Where case tells names apart."""
    check_manifest(paths)


@pytest.mark.parametrize("paths", [["a", "A"], ["a/x", "A"], ["STRASSE", "straße"], ["é", "E\u0301"]], ids=str)
def test_names_that_differ_in_case_alone_are_told_where_it_matters(paths: list[str]) -> None:
    """The manifest is sound, but this is no place for it."""
    with pytest.raises(ConfigError, match="does not tell upper from lower case"):
        check_manifest(paths, ignore_case=True)


def test_a_file_system_is_asked_whether_it_ignores_case() -> None:
    """Nothing is left behind."""
    Path("folder").mkdir()
    Path("probe").touch()

    assert ignores_case("folder") == Path("PROBE").exists()
    assert os.listdir("folder") == []  # noqa: PTH208 - of a name that starts with a dot, too
