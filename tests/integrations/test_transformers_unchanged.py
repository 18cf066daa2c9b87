"""A training does the same with tracklib as without: events, weights and files, also where the store is of no use."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import tracklib

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
PROGRAM = """
import hashlib, json, os, pathlib, re, sys
import torch
from transformers import EarlyStoppingCallback, TrainerCallback, TrainingArguments, set_seed
from tiny_transformers import Lines, Trainer, tiny_trainer
from tracklib.integrations.transformers import TrackCallback

SAVES = {"eval_strategy": "steps", "eval_steps": 2, "save_strategy": "steps", "save_steps": 2}
SETS = {
    "plain": {},
    "accumulated": {"gradient_accumulation_steps": 3, "max_steps": 3},
    "epochs": {"max_steps": -1, "num_train_epochs": 1.5, "eval_strategy": "epoch", "save_strategy": "epoch"},
    "saved": SAVES,
    "best": {**SAVES, "load_best_model_at_end": True, "save_total_limit": 1},
    "rotated": {**SAVES, "save_steps": 1, "save_total_limit": 2, "save_only_model": True},
    "batch": {"auto_find_batch_size": True},
    "smoothed": {**SAVES, "label_smoothing_factor": 0.1, "eval_on_start": True},
    "tokens": {"include_num_input_tokens_seen": "all", "logging_steps": 3, "logging_first_step": True},
    "quiet": {"logging_strategy": "no", "eval_strategy": "steps", "eval_steps": 3},
    "nan": {"logging_nan_inf_filter": False, "max_grad_norm": 0.0, "warmup_steps": 2},
    "stopped": {**SAVES, "load_best_model_at_end": True, "callbacks": True},
    "resumed": SAVES,
    "bars": {"disable_tqdm": False},
}

class Runs(Trainer):
    def training_step(self, *arguments, **keywords):
        if self.args.auto_find_batch_size and self._train_batch_size > 2 and self.state.global_step:
            raise RuntimeError("CUDA out of memory. Tried to allocate")
        return super().training_step(*arguments, **keywords)

EVENTS = [name for name in vars(TrainerCallback) if name.startswith("on_")]
TIMES = re.compile(r"runtime|per_second|preparation_time|compilation_time")

class Watching(TrainerCallback):
    def __init__(self):
        self.seen = []

def watch(event):
    def hook(self, args, state, control, **keywords):
        logs = keywords.get("logs") or keywords.get("metrics") or {}
        said = {name: value for name, value in logs.items() if not TIMES.search(name)}
        self.seen.append([event, state.global_step, repr(said), repr(vars(control))])
    return hook

for event in EVENTS:
    setattr(Watching, event, watch(event))

def digest(path):
    content = path.read_bytes()
    if path.name == "trainer_state.json":
        content = json.dumps(without_times(json.loads(content))).encode()
    if path.name == "training_args.bin":
        content = repr(torch.load(path, weights_only=False)).encode()
    if path.suffix in {".pt", ".pth"}:
        content = repr(torch.load(path, weights_only=False)).encode()
    return hashlib.sha256(content).hexdigest()

def without_times(value):
    if isinstance(value, dict):
        return {name: without_times(each) for name, each in value.items() if not TIMES.search(name)}
    return [without_times(each) for each in value] if isinstance(value, list) else value

def once(name, chosen, tracked, folder=""):
    set_seed(7)
    home = pathlib.Path(folder or ("tracked" if tracked else "plain"), name).absolute()
    home.mkdir(parents=True)
    os.chdir(home)
    watching = Watching()
    chosen = dict(chosen)
    others = [EarlyStoppingCallback(1, 10.0)] if chosen.pop("callbacks", False) else []
    own = [TrackCallback(project=name)] if tracked else []
    trainer = tiny_trainer("out", *own, watching, *others, kind=Runs, **chosen)
    trainer.evaluate()
    trainer.train()
    if name == "resumed":
        trainer.args.max_steps = 6
        trainer.train(resume_from_checkpoint=True)
    trainer.predict(Lines(8))
    trainer.save_model("final")
    os.chdir("../..")
    return {
        "events": watching.seen,
        "weights": {key: hashlib.sha256(value.numpy().tobytes()).hexdigest()
                    for key, value in trainer.model.state_dict().items()},
        "files": {str(path.relative_to(home)): digest(path) for path in sorted(home.rglob("*")) if path.is_file()},
        "random": torch.rand(1).item(),
    }

found = {name: [once(name, chosen, False), once(name, chosen, True)] for name, chosen in SETS.items()}
os.environ["TRACKLIB_STORE"] = "sqlite:////proc/nope/x.db"
for name in ("best", "batch"):
    found[f"{name} without a store"] = [found[name][0], once(name, SETS[name], True, "lost")]
pathlib.Path("found.json").write_text(json.dumps(found))
"""
NAMES = [
    "plain",
    "accumulated",
    "epochs",
    "saved",
    "best",
    "rotated",
    "batch",
    "smoothed",
    "tokens",
    "quiet",
    "nan",
    "stopped",
    "resumed",
    "bars",
]


@pytest.fixture(scope="module", name="folder")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unchanged")
    folder.joinpath("program.py").write_text(PROGRAM)
    settings = {"TRACKLIB_STORE": f"sqlite:///{folder}/runs.db", "TRACKLIB_SPOOL": str(folder / "spool")}
    settings |= {"TRACKLIB_FINISH_TIMEOUT": "2", "TRACKLIB_AUTO_LOG_GIT": "0", "HF_HUB_OFFLINE": "1"}
    environment = {**os.environ, "PYTHONPATH": str(HERE), **settings}
    command = [sys.executable, "-W", "ignore", "program.py"]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=280
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module", name="found")
def _found(folder: Path) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = json.loads(folder.joinpath("found.json").read_text())
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_training_is_the_same_with_tracklib(found: dict[str, list[dict[str, Any]]], name: str) -> None:
    """The events with what they tell, the weights, the files with their content, and the random state are the same."""
    without, tracked = found[name]

    assert without["events"] == tracked["events"]
    assert without["weights"] == tracked["weights"]
    assert without["files"] == tracked["files"]
    assert without["random"] == tracked["random"]


def test_all_of_these_trainings_were_recorded(folder: Path) -> None:
    """Each of them is a completed run, so the comparison was one of something."""
    runs = tracklib.list_runs(store=f"sqlite:///{folder}/runs.db")

    assert {(run.project, str(run.status)) for run in runs} == {(name, "completed") for name in NAMES}
    assert len(runs) == len(NAMES)


@pytest.mark.parametrize("name", ["best", "batch"])
def test_a_training_is_the_same_where_the_store_is_of_no_use(found: dict[str, list[dict[str, Any]]], name: str) -> None:
    """With a store that cannot be written, the training goes on as if nobody had asked for tracking."""
    without, tracked = found[f"{name} without a store"]

    assert without == tracked
