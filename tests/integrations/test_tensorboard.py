"""Programs that write with a `SummaryWriter`: what is recorded, and that TensorBoard gets what it always got."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import tracklib

PROGRAM = """
import json, sys
from pathlib import Path

store = sys.argv[1]
from torch.utils.tensorboard import SummaryWriter  # Before anybody listens.
import torch
torch.set_num_threads(1)

if store:
    import tracklib
    from tracklib.integrations import tensorboard
    from tracklib.integrations.patching import Patches
    from tracklib.integrations.session import speaking

    patches = Patches()
    tensorboard.install(patches)
    assert "tensorboardX" not in sys.modules, "nothing is imported for the program"
    unheard = SummaryWriter("unheard")
    unheard.add_scalar("before", 1.0, 0)  # There is no run yet.
    quiet = dict(system_interval=0, auto_log_git=False, auto_log_env=False)
    tracklib.start_run(project="mirrors", name="both", store=store, **quiet)

import tensorboardX  # After we began to listen.
import matplotlib
matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

class Mine(SummaryWriter):
    def add_scalar(self, *arguments, **keywords):
        return super().add_scalar(*arguments, **keywords)

def write(writer, prefix):
    for step in range(3):
        writer.add_scalar(f"{prefix}/loss", 1 / (step + 1), step, walltime=7.0)
        value = torch.tensor([step * 2.0])
        writer.add_scalar(tag=f"{prefix}/tensor", scalar_value=value, global_step=torch.tensor(step))
    writer.add_scalar(f"{prefix}/fraction", np.float32(0.5), 2.7, walltime=7.0)
    writer.add_scalar(f"{prefix}/uncounted", 1.5, walltime=7.0)
    writer.add_scalars(f"{prefix}/both", {"a": 1, "b": 2}, 4, walltime=7.0)
    writer.add_histogram(f"{prefix}/histogram", np.arange(10.0), 0)
    writer.add_image(f"{prefix}/image", np.zeros((3, 4, 4), dtype=np.uint8), 0)
    writer.add_text(f"{prefix}/note", "a word", 5)
    writer.add_text(f"{prefix}/book", "a word " * 10_000, 5)
    figure = plt.figure()
    figure.add_subplot().plot([1, 2, 3])
    writer.add_figure(f"{prefix}/figure", figure, 6)
    named = {"run_name": "session"} if isinstance(writer, SummaryWriter) else {"name": "session"}
    params = {f"{prefix}_lr": 0.1, f"{prefix}_optimizer": "adam", "api_key": "hunter2"}
    writer.add_hparams(params, {f"{prefix}/final": 0.9}, global_step=9, **named)
    try:
        writer.add_scalar(f"{prefix}/wrong", "no number", 0)
    except Exception as error:
        print(type(error).__name__, error)

for writer, prefix in ((Mine("logs/torch"), "torch"), (tensorboardX.SummaryWriter("logs/x"), "x")):
    write(writer, prefix)
    writer.close()

for folder, value in (("logs/train", 1.0), ("logs/val", 2.0)):
    with SummaryWriter(folder) as writer:
        writer.add_scalar("loss", value, 0, walltime=7.0)
        writer.add_scalar(f"only/{folder[5:]}", value, 0, walltime=7.0)

if store:
    with speaking():
        unheard.add_scalar("twice", 1.0, 0)
    patches.undo()
    unheard.add_scalar("after", 1.0, 0)
    assert not hasattr(SummaryWriter.add_scalar, "__tracklib__")
    tracklib.end_run()

from google.protobuf.json_format import MessageToJson
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
found = []
for path in sorted(Path("logs").rglob("events*")):
    for event in EventFileLoader(str(path)).Load():
        for value in event.summary.value:  # The hyperparameters in there come in any order.
            value.metadata.plugin_data.content = bytes(sorted(value.metadata.plugin_data.content))
        found.append([str(path.parent), event.step, MessageToJson(event.summary, sort_keys=True)])
Path("events.json").write_text(json.dumps(found))
"""


def finish(folder: Path, store: str) -> str:
    """Run the program in a folder of its own; return what it printed."""
    folder.mkdir()
    (folder / "program.py").write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "program.py", store],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    assert "tracklib" not in done.stderr, done.stderr
    return done.stdout


@pytest.fixture(scope="module", name="heard")
def _heard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the program that we listened to."""
    folder = tmp_path_factory.mktemp("tensorboard") / "heard"
    (folder.parent / "printed").write_text(finish(folder, f"sqlite:///{folder}.db"))
    return folder


@pytest.fixture(name="run")
def _run(heard: Path) -> tracklib.StoredRun:
    return tracklib.get_run("both", store=f"sqlite:///{heard}.db")


def points(run: tracklib.StoredRun, name: str) -> list[tuple[int, float]]:
    series = run.series(name)
    return list(zip(series.steps.tolist(), series.values.tolist(), strict=True))


@pytest.mark.slow
class TestSummaryWriter:
    """Torch's writer and that of tensorboardX, each used in all ways."""

    @pytest.mark.parametrize("kind", ["torch", "x"])
    def test_scalars(self, run: tracklib.StoredRun, kind: str) -> None:
        """Each scalar is one point under its tag, at its step."""
        assert points(run, f"{kind}/loss") == [(0, 1.0), (1, 0.5), (2, pytest.approx(1 / 3))]
        assert points(run, f"{kind}/tensor") == [(0, 0.0), (1, 2.0), (2, 4.0)]
        assert points(run, f"{kind}/fraction") == [(2, 0.5)]
        assert run.metrics[f"{kind}/uncounted"].count == 1

    @pytest.mark.parametrize("kind", ["torch", "x"])
    def test_groups_of_scalars(self, run: tracklib.StoredRun, kind: str) -> None:
        """Scalars that are added together get their common name and their own."""
        assert points(run, f"{kind}/both/a") == [(4, 1.0)]
        assert points(run, f"{kind}/both/b") == [(4, 2.0)]

    @pytest.mark.parametrize("kind", ["torch", "x"])
    def test_hyperparameters(self, run: tracklib.StoredRun, kind: str) -> None:
        """Hyperparameters are params, secrets masked, and their metrics are recorded once."""
        assert run.params[f"{kind}_lr"] == 0.1
        assert run.params[f"{kind}_optimizer"] == "adam"
        assert "hunter2" not in json.dumps(run.params)
        assert points(run, f"{kind}/final") == [(9, 0.9)]

    @pytest.mark.parametrize("kind", ["torch", "x"])
    def test_files(self, run: tracklib.StoredRun, kind: str) -> None:
        """Figures and short texts are kept; images, histograms and books are left to TensorBoard."""
        kept = {(each.name, each.type, each.step) for each in run.artifacts if each.name.startswith(f"{kind}/")}

        assert kept == {(f"{kind}/figure", "figure", 6), (f"{kind}/note", "text", 5)}

    def test_folders_that_share_a_tag(self, run: tracklib.StoredRun) -> None:
        """Where a second log folder has the same tag, its points get the folder's name before it."""
        assert points(run, "loss") == [(0, 1.0)]
        assert points(run, "val/loss") == [(0, 2.0)]
        assert points(run, "only/val") == [(0, 2.0)]

    def test_what_is_not_recorded(self, run: tracklib.StoredRun) -> None:
        """Nothing is heard before there is a run, while a framework speaks, or after the end; nor what is no number."""
        assert not {"before", "twice", "after"} & set(run.metrics)
        assert not [name for name in run.metrics if "wrong" in name]

    def test_tensorboard_gets_the_same(self, heard: Path, tmp_path: Path) -> None:
        """Event files, output and exceptions are those of a program that nobody listens to."""
        printed = finish(tmp_path / "alone", "")

        assert printed == (heard.parent / "printed").read_text()
        alone: Any = json.loads((tmp_path / "alone" / "events.json").read_text())
        assert len(alone) > 40
        assert json.loads((heard / "events.json").read_text()) == alone
