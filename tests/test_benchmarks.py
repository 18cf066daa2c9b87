"""What the benchmarks are made of, as far as it can be wrong in silence."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tests.benchmarks import checkpoints, processes
from tests.benchmarks.keeping import KEEPERS
from tests.benchmarks.plan import QUICK
from tests.benchmarks.processes import Site
from tests.benchmarks.report import Report, Sample

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_checkpoints_differ_in_their_heads_alone(tmp_path: Path) -> None:
    """Else it would mean nothing how many bytes a tool keeps."""
    import torch

    checkpoints.main(str(tmp_path), "pt", "2", "2")
    first, second = (torch.load(tmp_path / f"epoch-{epoch}.pt", weights_only=True) for epoch in (1, 2))

    assert first.keys() == second.keys()
    assert [name for name in first if not torch.equal(first[name], second[name])] == ["fc.weight", "fc.bias"]


def test_both_formats_hold_the_same_tensors(tmp_path: Path) -> None:
    """The table has both beside each other."""
    import torch
    from safetensors.torch import load_file

    for kind in ("pt", "safetensors"):
        checkpoints.main(str(tmp_path), kind, "1", "2")
    one, other = torch.load(tmp_path / "epoch-1.pt", weights_only=True), load_file(tmp_path / "epoch-1.safetensors")

    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    sizes = [tensor.nbytes for tensor in one.values()]
    assert sum(sizes) == checkpoints.backbone_bytes(2) + checkpoints.head_bytes(2)


def test_the_model_is_resnet_50() -> None:
    """The page says so: 25,557,032 parameters, two buffers of 26,560 numbers each, and 53 counters."""
    size = checkpoints.backbone_bytes(64) + checkpoints.head_bytes(64)

    assert size == 4 * (25_557_032 + 2 * 26_560) + 8 * 53


def test_a_file_of_several_names_is_kept_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the harness itself writes into the folder is not counted."""
    monkeypatch.setattr(processes, "WORK", tmp_path)
    site = Site(tool="trackio", name="case")
    before = site.kept_bytes()
    (site.store / "blob").write_bytes(b"weights")
    (site.store / "name").hardlink_to(site.store / "blob")
    (site.folder / "home" / "cache").mkdir()
    (site.folder / "home" / "cache" / "copy").write_bytes(b"weights")
    (site.folder / "result-1.json").write_bytes(b"{}")

    assert site.kept_bytes() - before == 14


def test_what_was_measured_before_a_failure_stands_without_its_reason() -> None:
    """The reason is with the figures that are missing."""
    report = Report(QUICK, ["wandb"])
    figures = {"median_s": 0.25, "kept_mb": 12.0}
    report.samples.append(
        Sample(case="checkpoints-pt", tool="wandb", figures=figures, failure="offline there is nothing to ask")
    )
    (table,) = report._tables("", partial(report._cell, notes={}))
    cells = [line.split("|")[-2].strip() for line in table.splitlines()[2:]]

    assert cells == ["0.25", "- [1]", "- [1]", "- [1]", "- [1]", "12", "- [1]"]


def test_tools_that_keep_no_files_are_left_out() -> None:
    """Each of the others has a method of its own for it."""
    assert KEEPERS == ("tracklib", "tracklib-file", "tracklib-s3", "trackio", "wandb", "mlflow")
