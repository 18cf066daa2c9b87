"""References: their files are read from where they were noted, if they are still what they were."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.artifacts.records import XY, X, get, tell, tree, writer
from tracklib.errors import CorruptData, NotFound
from tracklib.model import ArtifactFile

if TYPE_CHECKING:
    from tests.servers.s3_server import S3Server
    from tracklib.artifacts.stored import StoredArtifact
    from tracklib.stores.base import Store

InChild = Callable[..., str]


def noted(store: Store, path: Path, files: dict[str, bytes]) -> StoredArtifact:
    """Tell of a reference to files that are not in the store."""
    listed = tuple(
        ArtifactFile(path=name, size=len(content), checksum=hashlib.sha256(content).hexdigest())
        for name, content in files.items()
    )
    tell(store, writer(), "noted", listed, path=str(path), metadata={"reference": True})
    return get(store, "noted")


def test_a_reference_is_copied_from_its_place(store: Store, tmp_path: Path) -> None:
    """A folder and a single file."""
    (tmp_path / "data/sub").mkdir(parents=True)
    for name, content in XY.items():
        (tmp_path / "data" / name).write_bytes(content)

    assert tree(noted(store, tmp_path / "data", XY).download("folder")) == XY
    assert tree(noted(store, tmp_path / "data/x.csv", X).download("file")) == X
    assert get(store, "noted").read("x.csv") == b"x"


def test_a_reference_that_has_changed_is_said(store: Store, tmp_path: Path) -> None:
    """By its SHA-256; so is one that is gone."""
    (tmp_path / "x.csv").write_bytes(b"z")
    reference = noted(store, tmp_path / "x.csv", X)

    with pytest.raises(
        CorruptData, match=r"'x.csv' of digits/noted:v0: .*x.csv has changed since it was noted: it has"
    ):
        reference.download("here")
    (tmp_path / "x.csv").unlink()
    with pytest.raises(NotFound, match=r"there is nothing at .*x.csv on this machine"):
        get(store, "noted").download("here")
    assert tree(Path("here")) == {}


def test_a_reference_whose_files_the_store_has_is_read_from_there(store: Store, tmp_path: Path) -> None:
    """Another run has kept them: they are the same."""
    tell(store, writer(), "other", X)

    assert noted(store, tmp_path / "gone.csv", X).read() == b"x"


def noted_url(store: Store, url: str) -> StoredArtifact:
    """Tell of a reference to a URL, as a run does that looks at it."""
    from tracklib.artifacts.remote import look_at_url

    found = look_at_url(url)
    metadata = {"reference": True, **found.metadata}
    tell(store, writer(), "remote", found.files, path=url, checksum=found.identity, metadata=metadata)
    return get(store, "remote")


@pytest.fixture(name="bucket")
def _bucket() -> Iterator[Any]:
    """Return a file system in memory with a folder of two files."""
    import fsspec

    fs = fsspec.filesystem("memory")
    for name, content in XY.items():
        fs.pipe(f"/bucket/data/{name}", content)
    yield fs
    fs.rm("/bucket", recursive=True)


def test_a_reference_to_a_url_is_fetched(store: Store, bucket: Any) -> None:
    """A folder and a single file, as long as they have not changed."""
    folder = noted_url(store, "memory://bucket/data")

    assert tree(folder.download("here")) == XY
    assert tree(folder.download("here")) == XY
    assert noted_url(store, "memory://bucket/data/x.csv").read() == b"x"
    bucket.pipe("/bucket/data/x.csv", b"z")
    with pytest.raises(CorruptData, match=r"'x.csv' at memory://bucket/data has changed since it was noted"):
        get(store, folder.reference).read("x.csv")
    bucket.rm("/bucket/data/x.csv")
    with pytest.raises(NotFound, match=r"memory://bucket/data has no file 'x.csv' any more"):
        get(store, folder.reference).download("there")


@pytest.mark.slow
def test_a_reference_to_a_bucket_is_known_by_etags(
    store: Store, s3_server: S3Server, s3_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files are fetched from a real server while their ETags are as they were."""
    import s3fs

    for variable, value in s3_server.environment().items():
        monkeypatch.setenv(variable, value)
    fs = s3fs.S3FileSystem(**s3_server.options(), skip_instance_cache=True)
    for name, content in XY.items():
        fs.pipe_file(f"{s3_prefix}/data/{name}", content)
    reference = noted_url(store, f"s3://{s3_prefix}/data")

    assert tree(reference.download("here")) == XY
    assert noted_url(store, f"s3://{s3_prefix}/data/x.csv").read() == b"x"
    assert reference.verify() == []
    fs.pipe_file(f"{s3_prefix}/data/x.csv", b"z")
    (problem,) = get(store, reference.reference).verify()
    assert problem.text.startswith(f"'x.csv' at s3://{s3_prefix}/data has changed since it was noted: ")
    with pytest.raises(CorruptData, match="has changed since it was noted"):
        get(store, reference.reference).download("there")


def test_files_that_were_not_read_in_time_are_known_by_their_size(store: Store, tmp_path: Path) -> None:
    """It is all that was noted of them."""
    (tmp_path / "x.csv").write_bytes(b"x")
    file = ArtifactFile(path="x.csv", size=1, checksum="")
    tell(store, writer(), "noted", (file,), checksum="", path=str(tmp_path / "x.csv"), metadata={"reference": True})

    assert get(store, "noted").download("here").joinpath("x.csv").read_bytes() == b"x"
    (tmp_path / "x.csv").write_bytes(b"xx")
    with pytest.raises(CorruptData, match=r"has changed since it was noted: it has .* and 2 bytes, and had 1 bytes"):
        get(store, "noted").download("here", force=True)


def test_a_place_that_cannot_be_read_is_said(store: Store, public_folder: Path, in_child: InChild) -> None:
    """It may be readable later, or for others."""
    (public_folder / "x.csv").write_bytes(b"x")
    reference = noted(store, public_folder / "x.csv", X)
    assert reference.files
    (public_folder / "x.csv").chmod(0)

    said = in_child(lambda: reference.verify()[0].text, unprivileged=True)
    assert said == f"{public_folder}/x.csv has no file 'x.csv' that can be read: it may not be read"
