"""Limits of control groups, read from trees of files of both versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from tracklib.capture.cgroups import MemoryLimit, cpu_limit, memory_limit


def write(folder: Path, **files: object) -> None:
    """Write files; an underscore before a suffix of version 2 stands for a dot."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("_", ".", 1)).write_text(f"{content}\n")


@pytest.fixture(name="root")
def _root(tmp_path: Path) -> Path:
    return tmp_path / "cgroup"


def member(root: Path, text: str) -> Path:
    """Write a /proc/<pid>/cgroup."""
    root.mkdir(parents=True, exist_ok=True)
    path = root.parent / "membership"
    path.write_text(text)
    return path


def test_version_2(root: Path) -> None:
    """The limit of the process's group counts; file cache that can be dropped is not in use."""
    write(root / "job", memory_max=1000, memory_current=700, memory_stat="anon 500\ninactive_file 150\nfile 200")

    assert memory_limit(root, membership=member(root, "0::/job\n")) == MemoryLimit(1000, 550)


def test_tightest_group_counts(root: Path) -> None:
    """A limit further up binds too, and it is that group's use that it is held against."""
    write(root / "pod", memory_max=1000, memory_current=900)
    write(root / "pod/container", memory_max=2000, memory_current=100)
    write(root / "pod/container/inner", memory_max="max", memory_current=50)

    assert memory_limit(root, membership=member(root, "0::/pod/container/inner\n")) == MemoryLimit(1000, 900)


@pytest.mark.parametrize("path", ["/", "/docker/0123abcd", "/../../outside"])
def test_container(root: Path, path: str) -> None:
    """Inside a container the root is the container's group, whatever path the kernel tells."""
    write(root, memory_max=1000, memory_current=10)

    assert memory_limit(root, membership=member(root, f"0::{path}\n")) == MemoryLimit(1000, 10)


def test_version_1(root: Path) -> None:
    """The older version has a mount per controller, and other names."""
    job = root / "memory/job"
    write(job, memory_limit_in_bytes=1000, memory_usage_in_bytes=700, memory_stat="total_inactive_file 100")
    membership = member(root, "4:memory:/job\n3:cpuset:/\n0::/\n")

    assert memory_limit(root, membership=membership) == MemoryLimit(1000, 600)


@pytest.mark.parametrize(
    "files",
    [
        {"memory_max": "max", "memory_current": 5},
        {"memory_limit_in_bytes": 9223372036854771712, "memory_usage_in_bytes": 5},
        {"memory_max": "nonsense", "memory_current": 5},
        {},
    ],
)
def test_no_limit(root: Path, files: dict[str, object]) -> None:
    """What is no number, or as large as numbers get, is no limit."""
    write(root, **files)

    assert memory_limit(root, membership=member(root, "0::/\n")) is None


def test_not_linux(tmp_path: Path) -> None:
    """Without control groups there is no limit."""
    assert memory_limit(tmp_path / "none", membership=tmp_path / "nothing") is None
    assert cpu_limit(tmp_path / "none", membership=tmp_path / "nothing") is None


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"cpu_max": "250000 100000"}, 2.5),
        ({"cpu_max": "max 100000"}, None),
        ({"cpu_max": "garbage"}, None),
    ],
)
def test_cpus_version_2(root: Path, files: dict[str, object], expected: float | None) -> None:
    """A quota per period is so many CPUs."""
    write(root / "job", **files)

    assert cpu_limit(root, membership=member(root, "0::/job\n")) == expected


@pytest.mark.parametrize(("quota", "expected"), [(150000, 1.5), (-1, None)])
def test_cpus_version_1(root: Path, quota: int, expected: float | None) -> None:
    """So it is in the older version, where both controllers may share a mount."""
    write(root / "cpu,cpuacct/job", cpu_cfs_quota_us=quota, cpu_cfs_period_us=100000)

    assert cpu_limit(root, membership=member(root, "2:cpu,cpuacct:/job\n")) == expected
