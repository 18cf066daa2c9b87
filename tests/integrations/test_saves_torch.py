"""What torch saves, and that its functions remain what they are."""

from __future__ import annotations

import inspect
import os
import pickle
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed.checkpoint

import tracklib
from tracklib.integrations import imports
from tracklib.integrations import torch as torch_saves
from tracklib.integrations.patching import Patches

pytestmark = [pytest.mark.usefixtures("bare"), pytest.mark.filterwarnings("ignore")]

ORIGINAL = torch.save
dcp: Any = torch.distributed.checkpoint  # Its types do not say what it exports.


@pytest.fixture(autouse=True, name="patches")
def _patches(monkeypatch: pytest.MonkeyPatch) -> Iterator[Patches]:
    """Watch torch for as long as a test lasts, and note what it saves."""
    monkeypatch.setenv("TRACKLIB_LOG_MODELS", "reference")
    patches = Patches()
    torch_saves.install(patches)
    yield patches
    imports.forget()
    patches.undo()


def start() -> tracklib.Run:
    return tracklib.start_run(project="saves")


def saved() -> list[tuple[str, str]]:
    return sorted((artifact.name, artifact.type) for artifact in tracklib.get_run("latest").artifacts)


class Doubling(torch.nn.Module):
    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values * 2


LINEAR = torch.nn.Linear(2, 2)
OPTIMIZER = torch.optim.Adam(LINEAR.parameters())


# ---- torch.save


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (LINEAR, "model"),
        (LINEAR.state_dict(), "model"),
        (dict(LINEAR.state_dict()), "model"),
        ({"0.a": torch.ones(1)}, "model"),
        ({"state_dict": LINEAR.state_dict()}, "model"),
        ({"model": LINEAR, "epoch": 3}, "checkpoint"),
        ({"ema_state_dict": {}, "epoch": 3}, "checkpoint"),
        (OPTIMIZER, "optimizer"),
        (OPTIMIZER.state_dict(), "optimizer"),
        (torch.optim.lr_scheduler.StepLR(OPTIMIZER, 1), "file"),
        (torch.ones(3), "file"),
        ({"images": torch.ones(3), "labels": torch.ones(3)}, "file"),
        ({1: "one"}, "file"),
        ({}, "file"),
        (OrderedDict(), "file"),
        ([LINEAR], "file"),
        (None, "file"),
    ],
)
def test_what_is_saved_is_told_by_its_looks(value: Any, kind: str) -> None:
    """By types and keys alone."""
    assert torch_saves.classify(value) == kind


def test_arguments_may_be_given_by_name_and_paths_as_such() -> None:
    """In each way that torch takes them."""
    with start():
        torch.save(LINEAR, "a.pt")
        torch.save(obj=LINEAR, f=Path("b.pt"))
        torch.save(LINEAR, f="c.pt", _use_new_zipfile_serialization=False)
        torch.serialization.save(LINEAR, "d.pt")

    assert [name for name, _ in saved()] == ["a.pt", "b.pt", "c.pt", "d.pt"]


def test_a_checkpoint_says_what_is_in_it() -> None:
    """Its first keys, the function and the class."""
    with start():
        torch.save({"model": LINEAR.state_dict(), "epoch": 3}, "checkpoint.pt")

    (artifact,) = tracklib.get_run("latest").artifacts
    assert artifact.metadata == {
        "framework": "torch",
        "call": "torch.save",
        "class": "builtins.dict",
        "keys": ["model", "epoch"],
        "reference": True,
    }


def test_the_function_looks_as_before() -> None:
    """Name, documentation and signature are its own."""
    assert torch.save is not ORIGINAL
    assert torch.save.__name__ == "save"
    assert torch.save.__doc__ == ORIGINAL.__doc__
    assert inspect.signature(torch.save) == inspect.signature(ORIGINAL)
    assert inspect.getsource(torch.save) == inspect.getsource(ORIGINAL)


def test_the_function_can_be_pickled() -> None:
    """It stands under each of its names."""
    assert torch.save is torch.serialization.save
    assert pickle.loads(pickle.dumps(torch.save)) is torch.save  # noqa: S301 - our own
    assert pickle.loads(pickle.dumps(dcp.save)) is dcp.save  # noqa: S301 - as above


def test_everything_is_put_back(patches: Patches) -> None:
    """Under every name."""
    patched = (dcp.save, dcp.async_save, torch.jit.save)
    patches.undo()

    assert torch.save is ORIGINAL
    assert torch.serialization.save is ORIGINAL
    assert dcp.save is dcp.state_dict_saver.save
    assert all(
        now is not before for now, before in zip((dcp.save, dcp.async_save, torch.jit.save), patched, strict=True)
    )


def test_loading_is_left_alone() -> None:
    """Reading data must not cost more than it does."""
    assert not hasattr(torch.load, "__tracklib__")


def test_watching_twice_records_once() -> None:
    """Though somebody else watches as well."""
    more = Patches()
    torch_saves.install(more)
    with start():
        torch.save(LINEAR, "model.pt")
    more.undo()

    assert saved() == [("model.pt", "model")]


# ---- torch.distributed.checkpoint


def test_a_distributed_checkpoint_is_one_save() -> None:
    """Of its folder, whether the call names it or its writer does."""
    with start():
        dcp.save({"model": LINEAR.state_dict(), "step": 3}, checkpoint_id="by-id")
        dcp.save(state_dict=LINEAR.state_dict(), storage_writer=dcp.FileSystemWriter("by-writer"))

    assert saved() == [("by-id", "checkpoint"), ("by-writer", "model")]
    assert {artifact.name: artifact.step for artifact in tracklib.get_run("latest").artifacts}["by-id"] == 3


def test_an_asynchronous_checkpoint_is_one_save() -> None:
    """When it is done."""
    with start():
        dcp.async_save({"model": LINEAR.state_dict()}, checkpoint_id="later").result()

    (artifact,) = tracklib.get_run("latest").artifacts
    assert {file.path for file in artifact.files} == {file.name for file in Path("later").iterdir()}
    assert artifact.metadata["call"] == "torch.distributed.checkpoint.async_save"


def test_a_checkpoint_that_fails_is_none() -> None:
    """Neither at once nor later."""
    Path("blocked").write_text("")
    with start():
        with pytest.raises(dcp.CheckpointException, match="blocked"):
            dcp.save({"a": torch.ones(1)}, checkpoint_id="blocked/one")
        with pytest.raises(dcp.CheckpointException, match="blocked"):
            dcp.async_save({"a": torch.ones(1)}, checkpoint_id="blocked/two").result()
        with pytest.raises(TypeError):
            dcp.async_save()

    assert saved() == []
    assert not torch_saves._under_way


# ---- scripted and exported programs


def test_scripted_and_exported_programs_are_models() -> None:
    """Each is one save."""
    with start():
        scripted: Any = torch.jit.script(Doubling())
        torch.jit.save(scripted, "scripted.pt")
        scripted.save("method.pt")
        torch.export.save(torch.export.export(Doubling(), (torch.ones(2),)), "exported.pt2")

    assert saved() == [("exported.pt2", "model"), ("method.pt", "model"), ("scripted.pt", "model")]


# ---- when torch is imported

LATE = """
import tracklib
from tracklib.integrations import torch as torch_saves
from tracklib.integrations.patching import Patches
torch_saves.install(Patches())
import sys
assert "torch" not in sys.modules
import torch
from torch import save
with tracklib.start_run(project="saves"):
    save(torch.nn.Linear(2, 2), "late.pt")
"""


def test_torch_may_be_imported_afterwards() -> None:
    """Nothing is imported for the program, and names taken from torch are watched too."""
    subprocess.run([sys.executable, "-W", "ignore", "-c", LATE], check=True, env=dict(os.environ))

    assert saved() == [("late.pt", "model")]
