"""What goes into the archive of a project that is in no repository, and what does not."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import pytest

from tracklib.capture.snapshot import snapshot_archive


def write(root: Path, *names: str, text: str = "x = 1\n") -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def names(archive: bytes | None) -> list[str]:
    assert archive is not None
    return zipfile.ZipFile(io.BytesIO(archive)).namelist()


def test_source_files(tmp_path: Path) -> None:
    """Code, configuration and notes are packed, sorted by name; weights and pictures are not."""
    write(
        tmp_path, "train.py", "conf/a.yaml", "Dockerfile", "README.md", "pkg/sub/x.py", "model.pt", "plot.png", "data"
    )

    assert names(snapshot_archive(tmp_path)) == ["Dockerfile", "README.md", "conf/a.yaml", "pkg/sub/x.py", "train.py"]


def test_what_is_left_out(tmp_path: Path) -> None:
    """Hidden files, environments, packages, data, results, links, secrets and binary files stay out."""
    write(tmp_path, ".git/x.py", ".hidden.py", ".tracklib/x.json", "__pycache__/x.py", "node_modules/x/y.json")
    write(tmp_path, "my-env/pyvenv.cfg", "my-env/lib/x.py", "conda/conda-meta/x.json", "conda/x.py", "a.egg-info/x.txt")
    write(tmp_path, "data/a.json", "data/prepare.py", "outputs/run/config.yaml", "credentials.json", "keep.py")
    write(tmp_path, *(f"texts/{number}.txt" for number in range(501)))
    (tmp_path / "binary.txt").write_bytes(b"\0")
    (tmp_path / "huge.json").write_text(" " * 500_001)
    (tmp_path / "link.py").symlink_to(tmp_path / "keep.py")
    (tmp_path / "loop").symlink_to(tmp_path)

    assert names(snapshot_archive(tmp_path)) == ["data/prepare.py", "keep.py"]


def test_same_files_make_the_same_bytes(tmp_path: Path) -> None:
    """Neither the order nor the time of writing shows in the archive."""
    write(tmp_path / "one", "a.py", "b/c.py")
    write(tmp_path / "two", "b/c.py", "a.py")
    os.utime(tmp_path / "two" / "a.py", (1, 1))

    assert snapshot_archive(tmp_path / "one") == snapshot_archive(tmp_path / "two")


def test_secrets_are_masked(tmp_path: Path) -> None:
    """Secrets in source files do not get into the archive."""
    write(tmp_path, "a.py", text="token = 'Zx81'\n")

    archive = snapshot_archive(tmp_path)

    assert archive is not None
    assert zipfile.ZipFile(io.BytesIO(archive)).read("a.py") == b"token = '***'\n"


def test_nothing_to_pack(tmp_path: Path) -> None:
    """A folder without source files makes no archive, nor does one that is not there."""
    write(tmp_path, "model.pt")

    assert snapshot_archive(tmp_path) is None
    assert snapshot_archive(tmp_path / "missing") is None
    assert snapshot_archive(Path("a\0b")) is None


def test_too_large(tmp_path: Path) -> None:
    """An archive beyond the limit is not made."""
    (tmp_path / "a.txt").write_text(os.urandom(4000).hex())

    assert snapshot_archive(tmp_path, limit=1000) is None
    assert snapshot_archive(tmp_path, limit=10_000) is not None


@pytest.mark.parametrize("count", [501, 5001])
def test_too_many_files(tmp_path: Path, count: int) -> None:
    """Neither very many source files nor very many entries are a small project."""
    suffix = "py" if count < 5000 else "bin"
    write(tmp_path, "train.py", *(f"{number}.{suffix}" for number in range(count)))

    assert snapshot_archive(tmp_path) is None


def test_folders_that_are_no_project(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The root, a home and the temporary folder are not packed."""
    write(tmp_path, "train.py")
    monkeypatch.setenv("HOME", str(tmp_path))

    assert snapshot_archive(tmp_path) is None
    assert snapshot_archive(Path("/")) is None


def test_deep_folders(tmp_path: Path) -> None:
    """The search ends at some depth."""
    write(tmp_path, "train.py", "1/2/3/4/5/6/in.py", "1/2/3/4/5/6/7/out.py")

    assert names(snapshot_archive(tmp_path)) == ["1/2/3/4/5/6/in.py", "train.py"]
