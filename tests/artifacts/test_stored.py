"""Artifacts read back: which one is meant, and every byte verified."""

from __future__ import annotations

from typing import Any

import pytest

from tests.artifacts.records import XY, X, get, kept, say_alias, tell, use, writer
from tracklib.artifacts.stored import list_artifacts
from tracklib.errors import AmbiguousName, ConfigError, NotFound
from tracklib.stores.base import ArtifactQuery, Store


def versions(store: Store, **conditions: Any) -> list[str]:
    return [artifact.reference for artifact in list_artifacts(store, ArtifactQuery(**conditions))]


# ---- which one is meant


def test_what_an_artifact_says_of_itself(store: Store) -> None:
    """All that was logged, and how it is said in text."""
    script = writer()
    tell(store, script, "data", XY, metadata={"rows": 3}, step=7)

    data = get(store, "data")
    assert (data.reference, data.project, data.name, data.version) == ("digits/data:v0", "digits", "data", 0)
    assert (data.type, data.metadata, data.size, data.step) == ("dataset", {"rows": 3}, 3, 7)
    assert [file.path for file in data.files] == ["sub/y.csv", "x.csv"]
    assert (data.run, data.logged_by, data.used_by) == (script.run, (script.run,), ())
    assert (data.aliases, data.problem, data.is_reference) == (("latest",), "", False)
    assert (data.checksum, data.created_at, data.store) == (data.info.checksum, data.info.created_at, store.uri)
    assert repr(data) == "<StoredArtifact digits/data:v0 (latest) dataset>"


@pytest.mark.parametrize(
    ("reference", "version"),
    [
        ("data", 1),
        ("data:latest", 1),
        ("data:v0", 0),
        ("digits/data:v1", 1),
        ("digits/data:production", 0),
        ("data:best", 0),
        ("CHECKSUM", 0),
    ],
)
def test_a_version_is_named_in_many_ways(store: Store, reference: str, version: int) -> None:
    """By number, alias, checksum, or not at all; with and without its project."""
    script = writer()
    tell(store, script, "data", X, aliases=["best", "production"], score=0.9)
    tell(store, script, "data", XY, aliases=["best"], score=0.8)
    checksum = get(store, "data:v0").checksum

    found = get(store, reference.replace("CHECKSUM", f"data@sha256:{checksum[:12].upper()}"))
    assert found.version == version
    assert found.aliases == (("best", "production"), ("latest",))[version]


def test_the_longest_name_that_exists_is_meant(store: Store) -> None:
    """Names may have slashes and colons, and look like those of other projects."""
    tell(store, writer(project="digits"), "data", X)
    mine = writer(project="mine")
    tell(store, mine, "data", X, aliases=["v1.5"])

    assert get(store, "digits/data", project="mine").project == "digits"
    tell(store, mine, "digits/data", XY)
    assert get(store, "digits/data", project="mine").project == "mine"
    assert get(store, "mine/digits/data", project="digits").name == "digits/data"
    assert get(store, "data:v1.5", project="mine").version == 0
    tell(store, mine, "data:v1.5", XY)
    assert get(store, "data:v1.5", project="mine").name == "data:v1.5"


def test_a_name_that_one_project_alone_has(store: Store) -> None:
    """It is found wherever one is, if nobody has said in which project."""
    tell(store, writer(project="letters"), "data", X)

    with pytest.raises(NotFound, match=r"no artifact 'data' .* did you mean 'letters/data'\?"):
        get(store, "data")
    assert get(store, "data:v0", anywhere=True).project == "letters"
    tell(store, writer(project="words"), "data", X)
    with pytest.raises(AmbiguousName, match="several projects: letters/data, words/data; say of which one"):
        get(store, "data", anywhere=True)


def test_what_a_run_has_logged(store: Store) -> None:
    """A run's id before the name leads to what that run logged: figures too, and aliases that it gave itself."""
    first, second = writer(), writer()
    tell(store, first, "data", X, aliases=["mine"])
    tell(store, first, "data", XY)
    second.clock = first.clock + 100
    tell(store, second, "data", {"z": b"z"}, aliases=["mine"])
    for number in range(2):
        tell(store, first, "loss", {"loss.png": b"%d" % number}, project="", type="figure", version=number)

    assert get(store, f"{first.run}/data").version == 1
    assert get(store, f"{first.run.lower()}/data:mine").version == 0
    assert get(store, "data:mine").version == 2
    assert get(store, f"{first.run}/loss").read() == b"1"
    assert get(store, f"{first.run}/loss:v0").read() == b"0"
    assert get(store, f"{first.run}/loss:v0").reference == f"{first.run}/loss:v0"
    with pytest.raises(NotFound, match=f"{first.run}/data has no version v2; it has: v1, v0"):
        get(store, f"{first.run}/data:v2")


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("dta", "there is no artifact 'dta' in sqlite:.*; did you mean 'data'"),
        ("zzzzzz", "there are: data"),
        ("digits/dat:v0", "did you mean 'data'"),
        ("data:v7", "digits/data has no version v7; it has: v1, v0"),
        ("data:prodution", r"digits/data has no alias 'prodution'; did you mean 'production'\?"),
        ("data:x", "digits/data has no alias 'x'; it has: latest, production"),
        ("data:1", "digits/data has no alias '1': a version is written v1"),
        ("data@sha256:00000000", "digits/data has no version whose checksum begins with 00000000"),
    ],
)
def test_what_is_not_there_is_not_found(store: Store, reference: str, words: str) -> None:
    """The message says what there is."""
    script = writer()
    tell(store, script, "data", X, aliases=["production"])
    tell(store, script, "data", XY)

    with pytest.raises(NotFound, match=words):
        get(store, reference)


def test_an_alias_of_a_deleted_version_is_said(store: Store) -> None:
    """It does not fall to another version in silence."""
    script = writer()
    first = tell(store, script, "data", X)
    tell(store, script, "data", XY)
    say_alias(store, script, "data", "production", 0)
    tell(store, script, "data", id=first, deleted=True)

    with pytest.raises(NotFound, match="'production' of digits/data means v0, which was deleted"):
        get(store, "data:production")
    assert versions(store, project="digits") == ["digits/data:v1"]


def test_the_same_files_of_several_runs_are_one_version(store: Store) -> None:
    """All of them are told; the first copy stands for them, and the last word says what is the latest."""
    noted, first, second = writer(), writer(), writer()
    tell(store, noted, "data", kept(store, X), metadata={"reference": True}, path="/data/x.csv")
    first.clock = noted.clock + 100
    tell(store, first, "data", X)
    tell(store, first, "data", XY)
    second.clock = first.clock + 100
    tell(store, second, "data", X)

    data = get(store, "data")
    assert (data.version, data.run, data.is_reference) == (0, first.run, False)
    assert data.logged_by == (noted.run, first.run, second.run)
    assert get(store, f"{second.run}/data").run == second.run
    assert get(store, f"{noted.run}/data").logged_by == data.logged_by


def test_what_nobody_knows_the_content_of(store: Store) -> None:
    """It has no version and is found where there is nothing better, with what went wrong."""
    script = writer()
    tell(store, script, "data", metadata={"problem": "it was not there"})

    lost = get(store, "data")
    assert (lost.version, lost.problem, lost.aliases) == (None, "it was not there", ())
    assert lost.reference == f"{script.run}/data"
    assert get(store, lost.reference).info == lost.info
    with pytest.raises(NotFound, match=r"/data has no files: it was not there"):
        lost.download()
    with pytest.raises(NotFound, match=r"it has: none \(it was not there\)"):
        lost.read()
    tell(store, script, "data", X)
    tell(store, script, "data", metadata={"problem": "again"})
    assert get(store, "data").version == 0


def test_listing(store: Store) -> None:
    """Each version of each name once, the newest first; figures only where their run is asked for."""
    script, other = writer(), writer(project="letters")
    tell(store, script, "data", X)
    tell(store, script, "data", XY)
    tell(store, script, "classifier", X, type="model")
    tell(store, script, "loss", X, project="", version=0, type="figure")
    tell(store, other, "data", X)
    other.clock += 100
    tell(store, other, "data", X)

    everything = ["digits/classifier:v0", "digits/data:v1", "digits/data:v0", "letters/data:v0"]
    assert versions(store) == everything
    assert versions(store, project="digits") == everything[:3]
    assert versions(store, name="data") == everything[1:]
    assert versions(store, type="model") == ["digits/classifier:v0"]
    assert versions(store, run=script.run) == [f"{script.run}/loss:v0", *everything[:3]]
    assert versions(store, run=script.run, type="figure") == [f"{script.run}/loss:v0"]
    assert versions(store, project="nobody") == []
    assert [a.aliases for a in list_artifacts(store, ArtifactQuery(name="data"))] == [("latest",), (), ("latest",)]


def test_who_uses_it(store: Store) -> None:
    """Each run once, the first one first; of figures by their id."""
    script, reader, other = writer(), writer(), writer()
    tell(store, script, "data", X)
    tell(store, script, "data", XY)
    tell(store, script, "loss", X, project="", version=0)
    old, figure = get(store, "data:v0"), get(store, f"{script.run}/loss")
    for each in (reader, other, reader):
        use(store, each, old.info)
    use(store, other, figure.info)

    assert get(store, "data:v0").used_by == (reader.run, other.run)
    assert (get(store, "data:v1").used_by, figure.used_by) == ((), (other.run,))


# ---- single files


def test_a_file_can_be_read(store: Store) -> None:
    """By its path; or without it, where there is only one."""
    tell(store, writer(), "one", X)
    tell(store, writer(), "two", XY)

    assert get(store, "one").read() == get(store, "two").read("x.csv") == b"x"
    with get(store, "two").open("sub/y.csv") as file:
        assert file.read(1) == b"y"
        file.seek(0)
        assert file.read() == b"yy"
    with pytest.raises(
        ConfigError, match=r"digits/two:v0 has 2 files: give the path of one of them \('sub/y.csv', 'x.csv'\)"
    ):
        get(store, "two").read()
    with pytest.raises(NotFound, match=r"digits/two:v0 has no file 'x.cvs'; it has: 'x.csv', …"):
        get(store, "two").read("x.cvs")
