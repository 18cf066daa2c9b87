"""Where a Trainer keeps its checkpoints, which run one belongs to, and which of its files are the model.

Nothing is written beside a checkpoint, so that a training leaves the same files with tracklib as without. The run is
found by what the store knows: each run notes the paths of its checkpoints, and has their folder as a tag.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any, Final

import tracklib

__all__ = ["FOLDER_TAG", "SavedModel", "absolute", "checkpoint_path", "resumed_path", "run_of_checkpoint"]

FOLDER_TAG: Final = "checkpoint_folder"
"""The tag of a run that says in which folder its checkpoints are."""

_LATEST: Final = 50
"""How many runs with the same folder are looked through: a folder is used again, but not for ever."""

_NO_MODEL: Final = ("optimizer", "scheduler", "scaler", "rng_state", "trainer_state", "training_args", "global_step")
"""Beginnings of the names of files and folders in a checkpoint that only a training needs again."""


def absolute(path: str | os.PathLike[str]) -> str:
    """Return a path as artifacts have it.

    Example:
        >>> absolute("/runs/../runs/checkpoint-5")
        '/runs/checkpoint-5'
    """
    return os.path.abspath(path)  # noqa: PTH100 - a link keeps its own name, and ".." goes


def checkpoint_path(args: Any, state: Any) -> str:
    """Return the path of the checkpoint that was just saved. Trials of a search have folders of their own."""
    name = f"checkpoint-{state.global_step}"
    plain = Path(args.output_dir, name)
    if state.is_hyper_param_search:
        best: str | None = state.best_model_checkpoint
        if best and Path(best).name == name and Path(best).is_dir():
            return absolute(best)
        found = [path for path in Path(args.output_dir).glob(f"*/{name}") if path.is_dir()]
        plain = max(found, key=lambda path: path.stat().st_mtime, default=plain)
    return absolute(plain)


def resumed_path(args: Any, state: Any) -> str | None:
    """Return the checkpoint that a training goes on from; None if it begins with the first step.

    A callback is not told the path that `train` was given: it is in the arguments, or else where the same training
    would have saved it.
    """
    if state.global_step == 0:
        return None
    given = args.resume_from_checkpoint
    if isinstance(given, str) and Path(given).is_dir():
        return absolute(given)
    return absolute(Path(args.output_dir, f"checkpoint-{state.global_step}"))


def run_of_checkpoint(path: str, store: str | os.PathLike[str] | None) -> str | None:
    """Return the id of the run that saved a checkpoint, as the store knows it; None if it knows of none."""
    try:
        runs = tracklib.list_runs(store=store, tags={FOLDER_TAG: os.path.dirname(path)}, limit=_LATEST)  # noqa: PTH120 - a text
        for run in runs:
            if any(artifact.path == path and artifact.type == "checkpoint" for artifact in run.artifacts):
                return str(run.id)
    except tracklib.TracklibError:
        return None
    # A run that was killed may not have got to note its last checkpoint.
    return str(runs[0].id) if runs else None


class SavedModel:
    """The model in a checkpoint, to be kept without what only a training needs.

    Attributes:
        path: That of the checkpoint.
    """

    def __init__(self, path: str) -> None:
        self.path = absolute(path)

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Put the files of the model into a folder, as links: whoever asks for them reads them at once."""
        for source in Path(self.path).iterdir():
            if source.name.startswith(_NO_MODEL):
                continue
            target = Path(folder, source.name)
            if source.is_dir():
                shutil.copytree(source, target, copy_function=os.symlink)
            else:
                target.symlink_to(source)
