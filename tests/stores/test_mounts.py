"""Which file systems are on a network."""

from __future__ import annotations

from pathlib import Path

import pytest

from tracklib.stores.mounts import network_filesystem


def table(folder: Path, *lines: str) -> Path:
    """Return a mount table with a local root and these lines."""
    path = folder / "mounts"
    path.write_text("\n".join(["/dev/sda1 / ext4 rw,relatime 0 0", "proc /proc proc rw 0 0", *lines, ""]))
    return path


@pytest.mark.parametrize(
    "kind",
    [
        *("nfs", "nfs4", "cifs", "smb3", "lustre", "gpfs", "beegfs", "ceph", "9p", "virtiofs", "wekafs"),
        *("fuse", "fuse.sshfs", "fuse.s3fs", "fuse.gcsfuse", "fuse.glusterfs"),
    ],
)
def test_network_file_systems_are_known(tmp_path: Path, kind: str) -> None:
    """What is mounted over a network is told by its type."""
    assert network_filesystem(tmp_path, table(tmp_path, f"server:/x {tmp_path} {kind} rw 0 0")) == kind


@pytest.mark.parametrize(
    "kind", ["ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "fuseblk", "fuse.fuse-overlayfs", "squashfs", "apfs"]
)
def test_local_file_systems_are_known(tmp_path: Path, kind: str) -> None:
    """What is on this machine is fine, also where it comes through FUSE."""
    assert network_filesystem(tmp_path, table(tmp_path, f"/dev/sdb1 {tmp_path} {kind} rw 0 0")) is None


def test_the_nearest_mount_counts(tmp_path: Path) -> None:
    """A local disk below a network mount is local, and the other way round."""
    local, remote = tmp_path / "a" / "local", tmp_path / "b"
    for folder in (local, remote):
        folder.mkdir(parents=True)
    mounts = table(
        tmp_path,
        f"/dev/sdc1 {local} ext4 rw 0 0",
        f"server:/a {tmp_path / 'a'} nfs4 rw 0 0",
        f"server:/b {remote} nfs rw 0 0",
    )

    assert network_filesystem(local / "deep" / "deeper", mounts) is None
    assert network_filesystem(tmp_path / "a", mounts) == "nfs4"
    assert network_filesystem(remote / "file.db", mounts) == "nfs"
    assert network_filesystem(tmp_path, mounts) is None


def test_the_last_of_several_mounts_on_one_point_is_seen(tmp_path: Path) -> None:
    """An automounter's point, over which the real file system is mounted, is what lies on top."""
    lines = [f"auto {tmp_path} autofs rw 0 0", f"server:/x {tmp_path} nfs4 rw 0 0"]

    assert network_filesystem(tmp_path, table(tmp_path, *lines)) == "nfs4"
    assert network_filesystem(tmp_path, table(tmp_path, *reversed(lines))) is None


def test_names_that_begin_alike_are_two(tmp_path: Path) -> None:
    """A folder beside a mount whose name begins like it is not in it."""
    (tmp_path / "data").mkdir()
    (tmp_path / "database").mkdir()
    mounts = table(tmp_path, f"server:/x {tmp_path / 'data'} nfs rw 0 0")

    assert network_filesystem(tmp_path / "database", mounts) is None
    assert network_filesystem(tmp_path / "data", mounts) == "nfs"


def test_odd_names_of_mount_points_are_read(tmp_path: Path) -> None:
    """Spaces, tabs, line ends and backslashes stand as escapes in the table."""
    folder = tmp_path / "my disk\tand\\more"
    folder.mkdir()
    escaped = str(folder).replace("\\", "\\134").replace(" ", "\\040").replace("\t", "\\011")

    assert network_filesystem(folder / "x", table(tmp_path, f"server:/x {escaped} nfs rw 0 0")) == "nfs"


def test_links_are_followed(tmp_path: Path) -> None:
    """A link on a local disk that leads to a network mount is on the network."""
    remote = tmp_path / "remote"
    remote.mkdir()
    (tmp_path / "link").symlink_to(remote)

    assert network_filesystem(tmp_path / "link" / "x", table(tmp_path, f"s:/x {remote} nfs rw 0 0")) == "nfs"


def test_a_path_that_is_not_there_is_where_it_would_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders that are yet to be made lie where the nearest one that exists lies, also for a relative path."""
    mounts = table(tmp_path, f"s:/x {tmp_path} nfs rw 0 0")
    monkeypatch.chdir(tmp_path)

    assert network_filesystem(tmp_path / "not" / "there", mounts) == "nfs"
    assert network_filesystem(Path("not/there"), mounts) == "nfs"


@pytest.mark.parametrize("content", [None, "", "nonsense\n\nx y\n"])
def test_a_table_that_says_nothing_makes_everything_local(tmp_path: Path, content: str | None) -> None:
    """Where there is no table, or none that can be read, a store is not refused."""
    path = tmp_path / "mounts"
    if content is not None:
        path.write_text(content)

    assert network_filesystem(tmp_path, path) is None


def test_this_machine_has_a_table() -> None:
    """The real table is read without trouble."""
    assert network_filesystem(Path("/proc")) is None
