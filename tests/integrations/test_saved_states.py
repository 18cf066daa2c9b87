"""What is stored of what a program saves: the last states, under the names of their series, and never in the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

import tracklib
from tracklib.integrations import imports, saves
from tracklib.integrations import torch as torch_saves
from tracklib.integrations.kept_models import claim, part_of
from tracklib.integrations.patching import Patches

if TYPE_CHECKING:
    from tracklib.model import Artifact

Script = Callable[..., Path]
Launch = Callable[..., subprocess.CompletedProcess[str]]

pytestmark = pytest.mark.usefixtures("bare")


@pytest.fixture(autouse=True)
def _patched() -> Iterator[None]:
    """Watch torch for as long as a test lasts."""
    patches = Patches()
    torch_saves.install(patches)
    yield
    imports.forget()
    patches.undo()


def weights(value: float = 1.0) -> dict[str, torch.Tensor]:
    return {"layer.weight": torch.full((1, 2), value), "layer.bias": torch.zeros(1)}


def start() -> tracklib.Run:
    return tracklib.start_run(project="saves")


def stored() -> list[Artifact]:
    return [artifact for artifact in tracklib.get_run("latest").artifacts if not artifact.is_reference]


def noted() -> list[Artifact]:
    return [artifact for artifact in tracklib.get_run("latest").artifacts if artifact.is_reference]


def folder_of(*files: str, old: bool = False, path: str = "model") -> str:
    """Make a folder with files, which were written long ago if they are old; return its path."""
    for file in files:
        place = Path(path, file)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(file)
        if old:
            os.utime(place, (1e9, 1e9))
    return str(Path(path).absolute())


def save(run: tracklib.Run, path: str, kind: str = "model") -> None:
    """Say that something was saved just now."""
    saves.record_save(run, saves.Saved(path, kind, {}, began=time.time()))


# ---- at the end of a run


def test_of_files_that_differ_by_a_counter_the_newest_is_stored() -> None:
    """Under the name of the series, as the others are noted."""
    with start():
        for epoch in range(5):
            torch.save(weights(epoch), f"epoch_{epoch}.pt")

    (last,) = stored()
    assert (last.name, last.path) == ("epoch.pt", str(Path("epoch_4.pt").absolute()))
    assert [artifact.files[0].path for artifact in noted()][:4] == [f"epoch_{epoch}.pt" for epoch in range(4)]
    assert {artifact.name for artifact in noted()} == {"epoch.pt"}
    latest = tracklib.get_artifact("saves/epoch.pt")
    assert (latest.files[0].path, latest.is_reference) == ("epoch_4.pt", False)


def test_what_is_still_there_counts() -> None:
    """A program that keeps the best ones deletes the others, the newest too."""
    with start():
        for epoch in range(3):
            torch.save(weights(epoch), f"epoch_{epoch}.pt")
        time.sleep(saves.LOOK_SECONDS * 2)
        Path("epoch_2.pt").unlink()

    assert [artifact.files[0].path for artifact in stored()] == ["epoch_1.pt"]


def test_files_with_names_of_their_own_are_all_stored() -> None:
    """The last state of each."""
    with start():
        for value in range(3):
            torch.save(weights(value), "last.pt")
        torch.save(weights(7), "best.pt")
        torch.save(weights(8), "resnet50.pt")

    assert sorted(artifact.name for artifact in stored()) == ["best.pt", "last.pt", "resnet50.pt"]
    assert tracklib.load_model("saves/last.pt")["layer.weight"].tolist() == [[2.0, 2.0]]


def test_what_is_no_model_is_only_noted() -> None:
    """Optimizers and plain files."""
    optimizer = torch.optim.Adam(torch.nn.Linear(2, 1).parameters())
    with start():
        torch.save(optimizer.state_dict(), "optimizer.pt")
        torch.save([1, 2], "numbers.pt")

    assert stored() == []
    assert sorted(artifact.name for artifact in noted()) == ["numbers.pt", "optimizer.pt"]


def test_the_run_of_a_program_that_fails_has_its_last_state() -> None:
    """It is what one would look at."""

    def train() -> None:
        with start():
            torch.save(weights(), "weights.pt")
            raise ValueError("a bad batch")

    with pytest.raises(ValueError, match="a bad batch"):
        train()
    assert (tracklib.get_run("latest").status, [artifact.name for artifact in stored()]) == ("failed", ["weights.pt"])


def test_what_a_framework_reports_is_not_stored_twice() -> None:
    """Its own integration takes care of it."""
    with start() as run:
        torch.save(weights(), "checkpoint.pt")
        claim(run, "checkpoint.pt")

    assert stored() == []


def test_two_of_one_name_are_told_apart_by_their_folders() -> None:
    """Else they would be versions of one thing."""
    with start():
        for part in ("encoder", "decoder"):
            Path(part).mkdir()
            torch.save(weights(), f"{part}/step_1.pt")
            torch.save(weights(), f"{part}/step_2.pt")

    assert sorted(artifact.name for artifact in stored()) == ["decoder/step.pt", "step.pt"]
    assert {artifact.name for artifact in noted()} == {"decoder/step.pt", "step.pt"}


def test_what_is_saved_to_one_path_has_one_name() -> None:
    """Though it is not always of the same type; what lies there in the end is stored."""
    with start():
        torch.save(weights(), "last.pt")
        torch.save({"model": weights(), "epoch": 3}, "last.pt")

    assert [(artifact.name, artifact.type) for artifact in stored()] == [("last.pt", "checkpoint")]
    assert {artifact.name for artifact in noted()} <= {"last.pt"}


@pytest.mark.parametrize(("policy", "copies"), [("reference", 0), ("end", 1), ("all", 3)])
def test_the_setting_says_what_is_stored(monkeypatch: pytest.MonkeyPatch, policy: str, copies: int) -> None:
    """Nothing, the last state, or each."""
    monkeypatch.setenv("TRACKLIB_LOG_MODELS", policy)
    with start():
        for epoch in range(3):
            torch.save(weights(epoch), f"epoch_{epoch}.pt")

    # A slow machine may have noted the last one before the end.
    assert len(stored()) == copies
    assert len(noted()) >= 3 - copies


def test_older_ones_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as are to be kept remain, of each series."""
    monkeypatch.setenv("TRACKLIB_LOG_MODELS", "all")
    monkeypatch.setenv("TRACKLIB_KEEP_CHECKPOINTS", "2")
    with start():
        for epoch in range(4):
            torch.save(weights(epoch), f"epoch_{epoch}.pt")
        torch.save(weights(), "best.pt")

    assert [artifact.files[0].path for artifact in stored()] == ["epoch_2.pt", "epoch_3.pt", "best.pt"]


def test_no_copy_is_begun_when_the_time_is_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """What would have been stored is noted."""
    monkeypatch.setenv("TRACKLIB_FINISH_TIMEOUT", "0")
    with start() as run:
        torch.save(weights(), "weights.pt")
    run.flush(60)

    assert (len(stored()), len(noted())) == (0, 1)


# ---- folders


def test_a_folder_is_stored_whole() -> None:
    """Where all of it was written by the program."""
    with start() as run:
        save(run, folder_of("config.json", "weights/a.bin"))

    (model,) = stored()
    assert [file.path for file in model.files] == ["config.json", "weights/a.bin"]
    assert (model.path, "path" in model.metadata) == (str(Path("model").absolute()), False)


def test_what_was_in_the_folder_before_is_left_out() -> None:
    """A model may be saved into the folder of the project."""
    folder_of("train.py", "data/images.bin", old=True)
    with start() as run:
        save(run, folder_of("tokenizer.json"), "tokenizer")
        save(run, folder_of("model.bin", "runs/events", ".tracklib/tracklib.db"))

    (model,) = stored()
    assert [file.path for file in model.files] == ["model.bin", "tokenizer.json"]
    assert (model.name, model.metadata["path"]) == ("model", str(Path("model").absolute()))


def test_other_saves_in_the_folder_are_left_out() -> None:
    """Those that were noted by themselves, and those that a framework reports."""
    with start() as run:
        for step in (1, 2):
            save(run, folder_of("model.bin", path=f"model/checkpoint-{step}"), "checkpoint")
        claim(run, folder_of("model.bin", path="model/reported"))
        save(run, folder_of("model.bin"))

    found = {artifact.name: [file.path for file in artifact.files] for artifact in stored()}
    assert found == {"model": ["model.bin"], "checkpoint": ["model.bin"]}


def test_where_clocks_are_too_far_apart_all_of_a_folder_counts() -> None:
    """A file server may live in another time."""
    with start() as run:
        save(run, folder_of("model.bin", "config.json", old=True))

    assert [file.path for file in stored()[0].files] == ["config.json", "model.bin"]


def test_a_tokenizer_beside_a_model_is_stored_with_it() -> None:
    """One by itself is stored, too."""
    with start() as run:
        save(run, folder_of("model.bin"))
        save(run, folder_of("tokenizer.json"), "tokenizer")
        save(run, folder_of("tokenizer.json", path="other"), "tokenizer")

    assert sorted(artifact.name for artifact in stored()) == ["model", "other-tokenizer"]


def test_a_part_of_a_folder_is_made_of_links() -> None:
    """It is gone afterwards, and what it leads to stays."""
    folder = folder_of("a/b.bin", "c.bin", "d.bin")
    with part_of(folder, ["a", "c.bin"]) as part:
        found = sorted(path.name for path in Path(part).rglob("*"))
        content = Path(part, "a", "b.bin").read_text()

    assert (found, content) == (["a", "c.bin"], "a/b.bin")
    assert not Path(part).exists()
    assert Path(folder, "c.bin").exists()


# ---- what becomes of it


def test_what_was_stored_is_loaded_back() -> None:
    """Into a module, or as it was saved."""
    module = torch.nn.Linear(3, 2)
    with start():
        torch.save({"model": module.state_dict(), "epoch": 3}, "ckpt-3.pt")
        torch.save(module.state_dict(), "weights.pt")

    other = tracklib.load_model("saves/weights.pt:latest", into=torch.nn.Linear(3, 2))
    assert torch.equal(other.weight, module.weight)
    checkpoint = tracklib.load_model("saves/ckpt.pt:latest")
    assert (checkpoint["epoch"], list(checkpoint["model"])) == (3, ["weight", "bias"])
    formats = {artifact.name: artifact.metadata.get("format") for artifact in stored()}
    assert formats == {"ckpt.pt": None, "weights.pt": "state_dict"}


TRAINING = """
import random, sys
import torch
torch.manual_seed(0)
model = torch.nn.Linear(4, 1)
optimizer = torch.optim.Adam(model.parameters())
for epoch in range(5):
    loss = model(torch.rand(8, 4)).pow(2).mean()
    optimizer.zero_grad(); loss.backward(); optimizer.step()
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, f"out/epoch_{epoch}.pt")
random.seed(0)
torch.save(model.state_dict(), "out/final.pt")
print(torch.rand(1).item(), random.random())
"""


@pytest.mark.slow
def test_a_plain_script_has_one_of_its_epochs_stored(script: Script, launch: Launch, finish: Launch) -> None:
    """And leaves the same files and random state as without us."""
    script(TRAINING)
    Path("out").mkdir()
    plain = finish([sys.executable, "train.py"])
    files = {path.name: path.read_bytes() for path in Path("out").iterdir()}

    done = launch("train.py")

    assert (done.returncode, done.stdout) == (0, plain.stdout)
    assert {path.name: path.read_bytes() for path in Path("out").iterdir()} == files
    assert sorted(artifact.name for artifact in stored()) == ["epoch.pt", "final.pt"]
    assert {artifact.name for artifact in tracklib.list_artifacts()} == {"epoch.pt", "final.pt"}
    run = tracklib.get_run("latest")
    assert run.read_artifact("epoch.pt") == {"epoch_4.pt": files["epoch_4.pt"]}


ENDED = """
import os, signal, sys, time
import torch, tracklib
from tracklib.integrations import saves, torch as torch_saves
from tracklib.integrations.patching import Patches
torch_saves.install(Patches())
saves.LOOK_SECONDS = 100.0
run = tracklib.start_run(project="saves")
torch.save({"layer.weight": torch.ones(2)}, "weights.pt")
if sys.argv[1] == "terminated":
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(200)
raise KeyboardInterrupt
"""


@pytest.mark.parametrize("policy", ["end", "all"])
def test_a_program_that_is_terminated_makes_no_copies(policy: str) -> None:
    """Nobody knows how much time there is: what it saved is noted."""
    environ = {**os.environ, "TRACKLIB_LOG_MODELS": policy}
    done = subprocess.run([sys.executable, "-c", ENDED, "terminated"], check=False, timeout=200, env=environ)

    assert done.returncode == -signal.SIGTERM
    assert stored() == []
    assert [(artifact.name, bool(artifact.checksum)) for artifact in noted()] == [("weights.pt", True)]


def test_a_program_that_is_interrupted_has_its_last_state_stored() -> None:
    """By Ctrl-C: another one would end the copy."""
    done = subprocess.run([sys.executable, "-c", ENDED, ""], check=False, timeout=200, stderr=subprocess.DEVNULL)

    assert done.returncode == -signal.SIGINT
    assert (tracklib.get_run("latest").status, [artifact.name for artifact in stored()]) == ("killed", ["weights.pt"])
