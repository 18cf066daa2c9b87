"""What is recorded of an environment, read from trees that look like machines and containers."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from tracklib.capture import environment
from tracklib.capture.container import container_hints
from tracklib.capture.environment import capture_environment
from tracklib.capture.hardware import cpu_count, cpu_model, memory_bytes, operating_system, physical_cpu_count

CONTAINER_ID = "0123456789abcdef" * 4


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def distribution(folder: Path, name: str, text: str, file: str = "METADATA") -> None:
    path = folder / name
    path.mkdir(parents=True)
    (path / file).write_text(text)


def test_this_environment() -> None:
    """The real thing is whole, ordered, and can be stored as JSON."""
    found = capture_environment()

    assert found.python_version == platform.python_version()
    assert found.packages["numpy"] == found.frameworks["numpy"]
    assert list(found.packages) == sorted(found.packages)
    assert found.hostname == platform.node()
    assert found.cpu_count is not None
    assert found.cpu_count >= 1
    assert found.memory_bytes is not None
    assert found.memory_bytes > 1_000_000
    assert all((found.os, found.platform, found.python_implementation))
    assert json.loads(json.dumps(asdict(found)))["gpus"] == []


def test_no_framework_is_imported() -> None:
    """To know what is installed nothing of it is loaded."""
    program = (
        "import sys; from tracklib.capture.environment import capture_environment; capture_environment(); "
        "print({'torch', 'numpy', 'git', 'sklearn', 'pandas'} & set(sys.modules))"
    )

    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)

    assert done.stdout == "set()\n"


def test_a_machine_that_tells_nothing(tmp_path: Path) -> None:
    """Where all files are missing the fields about the machine are None, and nothing fails."""
    found = capture_environment(tmp_path, environ={})

    assert (found.cpu_model, found.cpu_count_physical, found.memory_bytes) == (None, None, None)
    assert (found.container, found.variables) == ({}, {})


# ---- packages


def test_packages(tmp_path: Path) -> None:
    """Names are normalized and sorted; of a package that is there twice the first folder counts."""
    first, second = tmp_path / "first", tmp_path / "second"
    distribution(
        first, "Typing_Extensions-4.1.dist-info", "Metadata-Version: 2.1\nName: Typing_Extensions\nVersion: 4.1\n"
    )
    distribution(second, "typing.extensions-3.0.dist-info", "Name: typing.extensions\nVersion: 3.0\n\nbody\n")
    distribution(second, "old.egg-info", "Name: old\nVersion: 1.0+local\nVersion: 2\n\nName: body\n", "PKG-INFO")
    (second / "older-0.1.egg-info").write_text("Name: older\nVersion: 0.1\n")

    packages = environment._packages([str(first), str(second)])

    assert packages == {"old": "1.0+local", "older": "0.1", "typing-extensions": "4.1"}
    assert list(packages) == sorted(packages)


def test_broken_packages(tmp_path: Path) -> None:
    """Damaged metadata costs its own package and no other; a missing version is empty."""
    for name in ("empty", "nameless", "binary", "folder"):
        distribution(tmp_path, f"{name}-1.dist-info", "Version: 1\n" if name == "nameless" else "")
    (tmp_path / "binary-1.dist-info" / "METADATA").write_bytes(b"Name: \xff\xfe\n")
    (tmp_path / "folder-1.dist-info" / "METADATA").unlink()
    (tmp_path / "folder-1.dist-info" / "METADATA").mkdir()
    distribution(tmp_path, "good-1.dist-info", "Name: good\nVersion: 1\n")
    distribution(tmp_path, "unversioned-1.dist-info", "Name: unversioned\n")

    packages = environment._packages([str(tmp_path), str(tmp_path / "missing"), "a\0b"])

    assert packages == {"good": "1", "unversioned": ""}


def test_finder_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """An import hook of another tool that cannot list its packages does no harm."""

    class Finder:
        def find_distributions(self, context: object) -> list[object]:
            raise AttributeError("not of this version")

        def find_spec(self, *_: object) -> None:
            return None

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder()])

    assert "numpy" in environment._packages()


def test_conda_environment(tmp_path: Path) -> None:
    """The environment that Python belongs to is meant, not one that merely is active."""
    prefix = tree(tmp_path / "envs" / "train", {"conda-meta/history": ""})
    plain = tmp_path / "usr"
    active = {"CONDA_PREFIX": str(prefix), "CONDA_DEFAULT_ENV": "named"}

    assert environment._conda_environment(active, (prefix, prefix)) == "named"
    assert environment._conda_environment({}, (plain, prefix)) == "train"
    assert environment._conda_environment(active, (plain, plain)) is None


# ---- variables


def test_variables(tmp_path: Path) -> None:
    """Only the variables on the list are recorded, sorted, and without secrets."""
    environ = {
        "WORLD_SIZE": "8",
        "RANK": "0",
        "SLURM_JOB_ID": "12",
        "NCCL_DEBUG": "INFO",
        "SLURM_JWT": "Zx81Spectrum",
        "NCCL_NET": "http://me:Zx81Spectrum@proxy/",
        "HF_TOKEN": "Zx81Spectrum",
        "PATH": "/bin",
        "HOME": "/home/me",
    }

    variables = capture_environment(tmp_path, environ=environ).variables

    assert variables == {
        "NCCL_DEBUG": "INFO",
        "NCCL_NET": "http://***@proxy/",
        "RANK": "0",
        "SLURM_JOB_ID": "12",
        "SLURM_JWT": "***",
        "WORLD_SIZE": "8",
    }
    assert list(variables) == sorted(variables)


# ---- containers


@pytest.mark.parametrize(
    ("files", "hints"),
    [
        ({}, {}),
        ({"proc/self/cgroup": "0::/user.slice/session.scope\n"}, {}),
        ({".dockerenv": "", "proc/self/cgroup": "0::/\n"}, {"engine": "docker"}),
        (
            {"proc/self/cgroup": f"4:cpu:/docker/{CONTAINER_ID}\n"},
            {"engine": "docker", "id": CONTAINER_ID},
        ),
        (
            {
                ".dockerenv": "",
                "proc/self/mountinfo": f"1 2 0:1 /var/lib/docker/containers/{CONTAINER_ID}/hostname /x",
            },
            {"engine": "docker", "id": CONTAINER_ID},
        ),
        (
            {"run/.containerenv": f'engine="podman-4"\nname="box"\nid="{CONTAINER_ID}"\nimage="docker.io/a:1"\n'},
            {"engine": "podman", "id": CONTAINER_ID, "image": "docker.io/a:1", "name": "box"},
        ),
        ({"run/.containerenv": ""}, {"engine": "podman"}),
        ({"run/systemd/container": "lxc\n"}, {"engine": "lxc"}),
        (
            {
                "proc/self/cgroup": f"0::/kubepods.slice/cri-containerd-{CONTAINER_ID}.scope\n",
                "etc/hostname": "train-0\n",
                "var/run/secrets/kubernetes.io/serviceaccount/namespace": "research",
            },
            {"engine": "kubernetes", "id": CONTAINER_ID, "namespace": "research", "pod": "train-0"},
        ),
    ],
)
def test_containers_by_their_files(tmp_path: Path, files: dict[str, str], hints: dict[str, str]) -> None:
    """Each engine leaves its own traces."""
    assert container_hints(tree(tmp_path, files), environ={}) == hints


@pytest.mark.parametrize(
    ("environ", "hints"),
    [
        (
            {"SINGULARITY_NAME": "a.sif", "SINGULARITY_CONTAINER": "/a.sif"},
            {"engine": "singularity", "image": "/a.sif", "name": "a.sif"},
        ),
        ({"APPTAINER_CONTAINER": "/b.sif"}, {"engine": "apptainer", "image": "/b.sif"}),
        (
            {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "HOSTNAME": "pod-1", "NODE_NAME": "n", "POD_NAMESPACE": "ns"},
            {"engine": "kubernetes", "namespace": "ns", "node": "n", "pod": "pod-1"},
        ),
        (
            {"container": "podman", "CONTAINER_IMAGE": "https://me:pw@reg/a"},
            {"engine": "podman", "image": "https://***@reg/a"},
        ),
        ({"CONTAINER_IMAGE": "a", "HOSTNAME": "h", "NODE_NAME": "n"}, {}),
    ],
)
def test_containers_by_their_variables(tmp_path: Path, environ: dict[str, str], hints: dict[str, str]) -> None:
    """Singularity and Kubernetes tell by variables; without a container none is made up."""
    assert container_hints(tmp_path, environ=environ) == hints


# ---- hardware


@pytest.mark.parametrize(
    ("text", "model"),
    [
        ("processor\t: 0\nmodel name\t: Intel(R) Xeon(R)\n\nprocessor\t: 1\nmodel name\t: other\n", "Intel(R) Xeon(R)"),
        ("processor\t: 0\nHardware\t: BCM2835\nModel\t\t: Raspberry Pi 4\n", "Raspberry Pi 4"),
        ("CPU implementer\t: 0x41\nCPU part\t: 0xd0c\n", f"{platform.machine()} implementer 0x41 part 0xd0c"),
        ("processor: 0\ncpu\t\t: POWER9\n", "POWER9"),
        ("", None),
    ],
)
def test_cpu_model(tmp_path: Path, text: str, model: str | None) -> None:
    """The model is found under the names that the architectures have for it."""
    assert cpu_model(tree(tmp_path, {"proc/cpuinfo": text})) == model


@pytest.mark.parametrize(
    ("files", "count"),
    [
        ({}, 8),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "max 100000\n"}, 8),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"}, 2),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "1000 100000\n"}, 1),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "6400000 100000\n"}, 8),
        (
            {
                "proc/self/cgroup": "0::/a/b\n",
                "sys/fs/cgroup/a/b/x": "",
                "sys/fs/cgroup/a/cpu.max": "300000 100000",
            },
            3,
        ),
        (
            {
                "proc/self/cgroup": "3:cpu,cpuacct:/docker/x\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "400000\n",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            },
            4,
        ),
    ],
)
def test_cpu_count(tmp_path: Path, files: dict[str, str], count: int) -> None:
    """Affinity and the tightest quota over the process decide, in both versions of control groups."""
    assert cpu_count(tree(tmp_path, files), usable=8) == count


def test_physical_cpus(tmp_path: Path) -> None:
    """Logical CPUs that share a core count once."""
    folder = "sys/devices/system/cpu"
    siblings = {"cpu0": "0,2", "cpu1": "1,3", "cpu2": "0,2", "cpu3": "1,3", "cpufreq": "9"}
    tree(tmp_path, {f"{folder}/{cpu}/topology/core_cpus_list": cpus for cpu, cpus in siblings.items()})

    assert physical_cpu_count(tmp_path) == 2


def test_memory(tmp_path: Path) -> None:
    """The machine's memory is meant, unless a control group has less."""
    tree(tmp_path, {"proc/meminfo": "MemTotal:       16384 kB\nMemFree: 1 kB\n", "proc/self/cgroup": "0::/\n"})
    machine = memory_bytes(tmp_path)
    tree(tmp_path, {"sys/fs/cgroup/memory.max": "max\n", "sys/fs/cgroup/memory.current": "5\n"})
    unlimited = memory_bytes(tmp_path)
    tree(tmp_path, {"sys/fs/cgroup/memory.max": "4096\n"})

    assert (machine, unlimited, memory_bytes(tmp_path)) == (16_777_216, 16_777_216, 4096)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ('NAME="Debian GNU/Linux"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n', "Debian GNU/Linux 12 (bookworm)"),
        ("NAME=\"Alpine\"\nVERSION='3'\n", "Alpine 3"),
        ("", f"{platform.system()} {platform.release()}"),
    ],
)
def test_operating_system(tmp_path: Path, text: str, name: str) -> None:
    """The system's own name for itself is taken, else the kernel's."""
    assert operating_system(tree(tmp_path, {"etc/os-release": text})) == name


@pytest.mark.skipif(not os.path.exists("/proc/cpuinfo"), reason="only Linux has these files")  # noqa: PTH110 - at import
def test_this_machine() -> None:
    """The files of a real machine are understood."""
    assert cpu_model() is None or len(str(cpu_model())) < 200
    assert (physical_cpu_count() or 1) >= 1
    assert operating_system()
