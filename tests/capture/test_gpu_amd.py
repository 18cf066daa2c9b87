"""AMD GPUs from a tree of files like that of the kernel's driver."""

from __future__ import annotations

from pathlib import Path

import pytest

from tracklib.capture.gpu_amd import AmdGpus, amd_driver_version, visible_amd_gpus
from tracklib.capture.units import describe_metric

GB = 1_000_000_000


def write(folder: Path, **files: object) -> None:
    """Write files; two underscores in a name stand for a folder."""
    for name, content in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n")


def add_gpu(root: Path, node: int, **files: object) -> Path:
    """Add a GPU to the tree; returns the folder of its files."""
    facts = f"cpu_cores_count 0\nsimd_count 304\ndrm_render_minor {128 + node}\nunique_id {0xABC0 + node}"
    write(root / f"class/kfd/kfd/topology/nodes/{node}", properties=facts, gpu_id=5000 + node)
    folder = root / f"class/drm/renderD{128 + node}/device"
    write(folder, mem_info_vram_total=192 * GB, product_name=f"Instinct {node}", **files)
    return folder


@pytest.fixture(name="root")
def _root(tmp_path: Path) -> Path:
    """A machine with a CPU node, two GPUs whose numbers text would not sort, and the small graphics unit of a CPU."""
    write(tmp_path / "class/kfd/kfd/topology/nodes/0", properties="cpu_cores_count 64\nsimd_count 0", gpu_id=0)
    for node in (2, 10):
        add_gpu(tmp_path, node)
    add_gpu(tmp_path, 11)
    write(tmp_path / "class/drm/renderD139/device", mem_info_vram_total=GB // 2)
    return tmp_path


def names(root: Path, **environ: str) -> list[str]:
    return [gpu.name for gpu in visible_amd_gpus(environ, root=root)]


def test_gpus_are_found(root: Path) -> None:
    """GPUs are known by their unique id and numbered by node; small graphics units are left out."""
    gpus = visible_amd_gpus({}, root=root)

    assert [(gpu.uuid, gpu.name, gpu.physical_index, gpu.memory_bytes) for gpu in gpus] == [
        ("GPU-000000000000abc2", "Instinct 2", 0, 192 * GB),
        ("GPU-000000000000abca", "Instinct 10", 1, 192 * GB),
    ]


@pytest.mark.parametrize("variable", ["ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES"])
def test_visible_devices(root: Path, variable: str) -> None:
    """Each of the three variables chooses and orders; a wrong entry ends the list."""
    assert names(root, **{variable: "1,0"}) == ["Instinct 10", "Instinct 2"]
    assert names(root, **{variable: "1,7,0"}) == ["Instinct 10"]
    assert names(root, **{variable: "GPU-000000000000abca"}) == ["Instinct 10"]
    assert names(root, **{variable: ""}) == []


def test_variables_work_on_each_other(root: Path) -> None:
    """HIP counts what ROCR left; its own variable wins over CUDA's."""
    assert names(root, ROCR_VISIBLE_DEVICES="1", HIP_VISIBLE_DEVICES="0", CUDA_VISIBLE_DEVICES="5") == ["Instinct 10"]


def test_values(tmp_path: Path) -> None:
    """Values arrive in the units of their names, and each name is described."""
    folder = add_gpu(
        tmp_path,
        2,
        gpu_busy_percent=97,
        mem_busy_percent=30,
        mem_info_vram_used=48 * GB,
        hwmon__hwmon3__temp2_input=61000,
        hwmon__hwmon3__temp3_input=55000,
        hwmon__hwmon3__power1_average=600_000_000,
        hwmon__hwmon3__power1_cap=750_000_000,
        hwmon__hwmon3__freq1_input=2_100_000_000,
    )
    now = [0.0]
    gpus = AmdGpus(visible_amd_gpus({}, root=tmp_path), root=tmp_path, clock=lambda: now[0])
    gpus.read(())
    now[0] = 10.0
    (folder / "hwmon/hwmon3/power1_average").write_text("400000000\n")
    write(tmp_path / "class/kfd/kfd/proc/77", vram_5002=9 * GB)

    (values,) = gpus.read([77, 78]).values()
    assert values == {
        "util_pct": 97,
        "mem_util_pct": 30,
        "mem_used_bytes": 48 * GB,
        "mem_total_bytes": 192 * GB,
        "mem_used_pct": 25,
        "temp_c": 61,
        "mem_temp_c": 55,
        "power_w": pytest.approx(400),
        "power_limit_w": 750,
        "energy_j": pytest.approx(5000),
        "sm_clock_mhz": 2100,
        "proc_mem_bytes": 9 * GB,
    }
    assert all(describe_metric(f"system/gpu/0/{name}") for name in values)


def test_gpu_that_falls_asleep(tmp_path: Path) -> None:
    """A file that can no longer be read costs its value, not the others."""
    folder = add_gpu(tmp_path, 2, gpu_busy_percent=97)
    gpus = AmdGpus(visible_amd_gpus({}, root=tmp_path), root=tmp_path)
    (folder / "gpu_busy_percent").unlink()

    assert gpus.read(()) == {0: {"mem_total_bytes": 192 * GB}}


def test_no_driver(tmp_path: Path) -> None:
    """A machine without the driver has no such GPU."""
    assert visible_amd_gpus({}, root=tmp_path) == ()
    assert amd_driver_version(root=tmp_path) is None


def test_closed(root: Path) -> None:
    """Nothing is read after closing."""
    gpus = AmdGpus(visible_amd_gpus({}, root=root), root=root)
    gpus.close()

    assert gpus.read(()) == {}
