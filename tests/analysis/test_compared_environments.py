"""The difference between what two runs ran on and with, and between the artifacts that they read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import tracklib
from tracklib.records import RecordKind
from tracklib.testing.batches import WriterScript

if TYPE_CHECKING:
    from tracklib.analysis.compared_environments import EnvironmentDiff

pytestmark = pytest.mark.usefixtures("bare")


def package(folder: Path, name: str, version: str) -> None:
    """Install a distribution, as far as its description goes."""
    home = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    home.mkdir(parents=True)
    (home / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


def put(store: str, name: str, **environment: Any) -> str:
    """Put a run with an environment into a store, and return its id."""
    script = WriterScript(name=name)
    with tracklib.open_store(store) as opened:
        script.ship(opened, script.record(RecordKind.ENVIRONMENT, **environment), final=True)
    return script.run


def difference(old: dict[str, Any], new: dict[str, Any]) -> EnvironmentDiff:
    ids = [put("runs.db", name, **environment) for name, environment in (("a", old), ("b", new))]
    return tracklib.compare(ids, store="runs.db").environment_diff()


@pytest.mark.parametrize("store", ["runs.db", "file://{}/runs"], ids=["sqlite", "file"])
def test_packages_that_were_installed_meanwhile_are_told(
    store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As they were recorded; runs that were listed do not have them at hand."""
    store = store.format(tmp_path)
    for run, installed in (("a", {"Some-Thing": "1.0", "gone": "1"}), ("b", {"Some-Thing": "2.0", "come": "3"})):
        folder = tmp_path / f"packages of {run}"
        for name, version in installed.items():
            package(folder, name, version)
        with monkeypatch.context() as patch:
            patch.syspath_prepend(str(folder))
            with tracklib.start_run("digits", name=run, auto_log_env=True, store=store):
                pass

    found = tracklib.compare(tracklib.list_runs(store=store)).environment_diff("a", "b")

    assert found.packages_changed == {"some-thing": ("1.0", "2.0")}
    assert found.packages_added == {"come": "3"}
    assert found.packages_removed == {"gone": "1"}
    assert (found.facts, found.notes, found.same) == ({}, (), False)


def test_the_same_environment_is_no_difference() -> None:
    """And it says so."""
    runs = []
    for name in "ab":
        with tracklib.start_run("digits", name=name, auto_log_env=True) as run:
            runs.append(run)

    found = tracklib.compare(runs).environment_diff()

    assert found.same is True
    assert str(found) == "Both runs had the same environment."


def test_all_that_differs_of_a_machine_is_told() -> None:
    """Python, system, host, processors, GPUs, driver, CUDA, container, frameworks and variables."""
    gpu = {"uuid": "u1", "name": "A100", "index": 0, "memory_bytes": 80 * 2**30}
    old = {
        "python_version": "3.11.2",
        "os": "Debian 12",
        "hostname": "one",
        "cpu_model": "x",
        "cpu_count": 8,
        "gpus": [gpu, {**gpu, "uuid": "u2", "index": 1}],
        "driver_version": "550",
        "cuda_version": "12.4",
        "container": {"image": "train:1"},
        "frameworks": {"torch": "2.5"},
        "variables": {"CUDA_VISIBLE_DEVICES": "0,1"},
        "packages": {"torch": "2.5"},
    }
    new = {
        "python_version": "3.12.1",
        "os": "Debian 13",
        "hostname": "two",
        "cpu_model": "y",
        "cpu_count": 16,
        "gpus": [{**gpu, "uuid": "u3", "name": "H100"}],
        "driver_version": "560",
        "cuda_version": "12.6",
        "frameworks": {"torch": "2.6"},
        "packages": {"torch": "2.6"},
    }

    found = difference(old, new)

    assert found.facts == {
        "python_version": ("3.11.2", "3.12.1"),
        "os": ("Debian 12", "Debian 13"),
        "hostname": ("one", "two"),
        "cpu_model": ("x", "y"),
        "cpu_count": (8, 16),
        "driver_version": ("550", "560"),
        "cuda_version": ("12.4", "12.6"),
        "gpus": ("2 x A100, 80 GiB", "1 x H100, 80 GiB"),
        "frameworks.torch": ("2.5", "2.6"),
        "container.image": ("train:1", None),
        "variables.CUDA_VISIBLE_DEVICES": ("0,1", None),
    }
    assert found.packages_changed == {"torch": ("2.5", "2.6")}
    assert "gpus: 2 x A100, 80 GiB → 1 x H100, 80 GiB" in str(found)
    assert "container.image: train:1 → (none)" in str(found)
    assert json.loads(json.dumps(found.to_dict()))["facts"]["os"] == ["Debian 12", "Debian 13"]


def test_which_of_several_gpus_alike_it_was_is_no_difference() -> None:
    """Their names and memory count."""
    gpu = {"name": "A100", "index": 0, "memory_bytes": 2**30}
    packages = {"x": "1"}

    found = difference(
        {"gpus": [{**gpu, "uuid": "u1"}], "packages": packages}, {"gpus": [{**gpu, "uuid": "u2"}], "packages": packages}
    )

    assert found.same is True


def test_packages_that_were_not_recorded_are_no_difference() -> None:
    """It is said of which run."""
    found = difference({"packages": {"x": "1"}}, {})

    assert (found.packages_added, found.packages_removed, found.packages_changed) == ({}, {}, {})
    assert found.notes == ("no packages were recorded of run b",)
    assert found.same is None


def test_spellings_of_a_name_are_the_same_package() -> None:
    """As pip has it."""
    found = difference({"packages": {"Scikit_Learn": "1.4"}}, {"packages": {"scikit-learn": "1.5"}})

    assert found.packages_changed == {"scikit-learn": ("1.4", "1.5")}


@pytest.mark.parametrize("store", ["runs.db", "file://{}/runs"], ids=["sqlite", "file"])
def test_artifacts_that_were_read_are_compared(store: str, tmp_path: Path) -> None:
    """By their names and versions."""
    store = store.format(tmp_path)
    data = tmp_path / "data.txt"
    with tracklib.start_run("digits", name="maker", store=store) as maker:
        for text in ("one", "two"):
            data.write_text(text)
            maker.log_artifact(data, "data")
        maker.log_artifact(data, "labels")
        maker.log_artifact(data, "extra")
    for name, wanted in (("a", ["data:v0", "labels:v0"]), ("b", ["data:v1", "extra:v0"])):
        with tracklib.start_run("digits", name=name, store=store) as run:
            for reference in wanted:
                run.use_artifact(reference)

    comparison = tracklib.compare([tracklib.get_run(name, store=store) for name in "ab"])
    found = comparison.inputs_diff()

    assert found.changed == {"digits/data": (("v0",), ("v1",))}
    assert found.added == {"digits/extra": ("v0",)}
    assert found.removed == {"digits/labels": ("v0",)}
    assert str(found) == "~ digits/data v0 → v1\n+ digits/extra v0\n- digits/labels v0"
    assert json.loads(json.dumps(found.to_dict()))["same"] is False
    assert comparison.inputs_diff("a", "a").same is True
