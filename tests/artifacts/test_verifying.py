"""Verification: damaged and missing blobs are named, and so is what has changed elsewhere."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from tests.artifacts.records import kept, tell, writer
from tracklib.artifacts.stored import StoredArtifact, find_artifact
from tracklib.artifacts.verifying import Problem, Verifier
from tracklib.model import ArtifactFile
from tracklib.stores.pieces import Piece, write_recipe

if TYPE_CHECKING:
    from tracklib.stores.base import Store

FILES = {"a.bin": b"a", "b.bin": b"b"}


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def blob(content: bytes) -> str:
    return f"blobs/{sha(content)[:2]}/{sha(content)}"


def get(store: Store, name: str = "data") -> StoredArtifact:
    return find_artifact(store, name, "digits")


def noted(store: Store, path: Path) -> StoredArtifact:
    """Tell of a reference to the two files below a folder, which the store does not have."""
    files = tuple(ArtifactFile(path=name, size=1, checksum=sha(content)) for name, content in FILES.items())
    tell(store, writer(), "noted", files, path=str(path), metadata={"reference": True})
    return get(store, "noted")


def test_a_good_artifact_has_no_problem(store: Store) -> None:
    """All of its bytes are looked at."""
    tell(store, writer(), "data", FILES)
    counts: list[int] = []

    assert get(store).verify() == []
    assert Verifier(store, counts.append).problems(get(store).info) == []
    assert sum(counts) == 2


def test_damaged_and_missing_blobs_are_named(store: Store, tmp_path: Path) -> None:
    """With the artifact, the file, the key of the blob and what is wrong."""
    tell(store, writer(), "data", {**FILES, "c.bin": b"c"})
    (tmp_path / "store" / blob(b"a")).write_bytes(b"x")
    (tmp_path / "store" / blob(b"b")).unlink()

    damaged, missing = get(store).verify()
    assert damaged == Problem(
        artifact="digits/data:v0",
        path="a.bin",
        blob=blob(b"a"),
        text=f"the blob {blob(b'a')} is damaged: it has SHA-256 {sha(b'x')} and 1 bytes",
    )
    assert (missing.path, missing.blob) == ("b.bin", blob(b"b"))
    assert missing.text.startswith(f"there is no blob {sha(b'b')} in ")


def test_a_damaged_piece_is_named(store: Store, tmp_path: Path) -> None:
    """A file that is kept in pieces is as good as they are."""
    parts = [b"1" * 2000, b"2" * 2000]
    for part in parts:
        store.put_piece(part, sha(part))
    whole = b"".join(parts)
    store.put_recipe(sha(whole), write_recipe([Piece(len(part), sha(part)) for part in parts]))
    tell(store, writer(), "data", (ArtifactFile(path="weights.pt", size=len(whole), checksum=sha(whole)),))

    assert get(store).verify() == []
    assert get(store).read() == whole
    (tmp_path / "store" / blob(parts[1])).write_bytes(b"3" * 2000)
    (problem,) = get(store).verify()
    assert (problem.path, problem.blob) == ("weights.pt", blob(whole))
    assert sha(parts[1]) in problem.text


def test_what_several_artifacts_have_is_read_once(store: Store, tmp_path: Path) -> None:
    """And told of each of them."""
    tell(store, writer(), "one", FILES)
    tell(store, writer(), "two", {"other.bin": b"a"})
    (tmp_path / "store" / blob(b"a")).write_bytes(b"x")

    verifier = Verifier(store)
    (first,) = verifier.problems(get(store, "one").info)
    (tmp_path / "store" / blob(b"a")).unlink()
    (second,) = verifier.problems(get(store, "two").info)
    assert (second.artifact, second.path, second.text) == ("digits/two:v0", "other.bin", first.text)


def test_a_list_of_files_that_was_changed_is_said(store: Store) -> None:
    """By the checksum of the whole, and by paths that no list of ours has."""
    files = kept(store, FILES)
    tell(store, writer(), "data", files, checksum="ab" * 32)
    tell(store, writer(), "evil", (ArtifactFile(path="../a", size=1, checksum=files[0].checksum),))

    assert [(p.path, p.text[:34]) for p in get(store).verify()] == [("", "its list of files is damaged: it h")]
    (problem,) = get(store, "evil").verify()
    assert problem.text == "the artifact names a file '../a', which leads out of its folder by '..'"


def test_a_reference_is_compared_to_what_is_there_now(store: Store, tmp_path: Path) -> None:
    """What has changed, what is gone and what is new is said; nothing else is expected to be in the store."""
    folder = tmp_path / "data"
    folder.mkdir()
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    reference = noted(store, folder)

    assert reference.verify() == []
    (folder / "a.bin").write_bytes(b"changed")
    (folder / "b.bin").unlink()
    (folder / "c.bin").write_bytes(b"c")
    more, changed, gone = reference.verify()
    assert more.text == f"there is more at {folder} now than was noted: 'c.bin'"
    assert (changed.path, changed.blob) == ("a.bin", "")
    assert changed.text.startswith(f"{folder} has changed since it was noted: it has SHA-256 {sha(b'changed')} and 7")
    assert gone.text == f"{folder} has no file 'b.bin' any more"


def test_a_reference_to_nothing_is_said(store: Store, tmp_path: Path) -> None:
    """Of each of its files, also where the store happens to have them."""
    tell(store, writer(), "data", FILES)

    problems = noted(store, tmp_path / "gone").verify()
    assert [problem.path for problem in problems] == ["a.bin", "b.bin"]
    assert problems[0].text.startswith(f"there is nothing at {tmp_path}/gone on this machine")


def test_files_at_a_url_are_known_by_their_marks(store: Store) -> None:
    """They are not read."""
    import fsspec

    from tracklib.artifacts.remote import look_at_url

    fs = fsspec.filesystem("memory")
    for name, content in FILES.items():
        fs.pipe(f"/marks/{name}", content)
    found = look_at_url("memory://marks")
    metadata = {"reference": True, **found.metadata}
    tell(store, writer(), "data", found.files, path="memory://marks", checksum=found.identity, metadata=metadata)

    assert get(store).verify() == []
    fs.pipe("/marks/a.bin", b"a")
    (problem,) = get(store).verify()
    assert (problem.path, problem.text[:43]) == ("a.bin", "'a.bin' at memory://marks has changed since")
    fs.rm("/marks", recursive=True)
    assert [problem.path for problem in get(store).verify()] == ["a.bin", "b.bin"]
