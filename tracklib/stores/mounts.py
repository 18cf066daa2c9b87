"""Which file system a path is on: SQLite's write-ahead log needs shared memory, which network file systems lack."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

__all__ = ["network_filesystem"]

MOUNT_TABLE: Final = Path("/proc/self/mounts")

_NETWORK: Final = frozenset(
    {
        *("nfs", "nfs3", "nfs4", "cifs", "smbfs", "smb2", "smb3", "afs", "ncpfs", "9p", "virtiofs"),
        *("lustre", "gpfs", "beegfs", "ceph", "glusterfs", "orangefs", "pvfs2", "panfs", "wekafs", "davfs", "moosefs"),
    }
)


def network_filesystem(path: Path, mount_table: Path = MOUNT_TABLE) -> str | None:
    """Return the type of the network file system that `path` is or would be on; None if it is a local one.

    FUSE file systems count as remote, but for those that are known to be local disks.

    Args:
        path: It need not exist.
        mount_table: Lines of device, mount point and type, as in `/proc/self/mounts`; where there is no such file,
            every path counts as local.
    """
    try:
        lines = mount_table.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    target = _existing(path).resolve()
    best, kind = -1, ""
    for line in lines:
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = Path(_unescaped(fields[1]))
        depth = len(point.parts)
        # Of several mounts on one point the last one is seen.
        if depth >= best and (target == point or point in target.parents):
            best, kind = depth, fields[2]
    return kind if _is_network(kind) else None


def _is_network(kind: str) -> bool:
    if kind.startswith("fuse"):
        return kind not in {"fuseblk", "fuse.fuse-overlayfs", "fuse.lxcfs", "fusectl"}
    return kind in _NETWORK


def _existing(path: Path) -> Path:
    """Return the nearest folder above `path` that exists, or itself."""
    path = path.absolute()
    # What may not be looked at counts as missing, which `Path.exists` raises for.
    while not os.path.exists(path) and path != path.parent:  # noqa: PTH110 - as said
        path = path.parent
    return path


def _unescaped(text: str) -> str:
    r"""Undo the octal escapes of the mount table.

    Example:
        >>> _unescaped("/mnt/my\\040disk")
        '/mnt/my disk'
    """
    for escaped, plain in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(escaped, plain)
    return text
