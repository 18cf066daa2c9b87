"""Where a Trainer keeps its checkpoints, which run one belongs to, and which of its files are stored as the model.

Nothing is written beside a checkpoint, so that a training leaves the same files with tracklib as without. The run is
found by what the store knows: each run notes the paths of its checkpoints, and has their folder as a tag.
"""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any, Final, NamedTuple

import tracklib
from tracklib.integrations.kept_models import claim, is_terminated, part_of
from tracklib.integrations.transformers_reading import unwrapped

__all__ = ["FOLDER_TAG", "Checkpoints", "absolute", "checkpoint_path", "resumed_path", "run_of_checkpoint", "step_of"]

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


class _Best(NamedTuple):
    """The best checkpoint so far.

    Attributes:
        rank: Its score where higher is better, else its negative.
    """

    path: str
    rank: float
    metadata: dict[str, Any]


class Checkpoints:
    """What one training has saved so far: noted, or stored, as the setting `log_models` says.

    It holds plain values only, so that it can be pickled with its callback.

    Attributes:
        last: The path of the checkpoint that was saved last; empty if there is none.
    """

    def __init__(self, settings: tracklib.Settings | None = None) -> None:
        """Begin with a training.

        Args:
            settings: None leaves checkpoints alone.
        """
        self.last = ""
        self._policy = "off" if settings is None else settings.log_models
        self._keep = None if settings is None else settings.keep_checkpoints
        self._best: _Best | None = None
        self._class = ""

    def note(self, run: tracklib.Run, path: str, *, state: Any, model: Any) -> None:
        """Note a checkpoint that was just saved; the best one is known by now."""
        kind = type(unwrapped(model))
        self.last, self._class = path, f"{kind.__module__}.{kind.__qualname__}"
        if self._policy == "off":
            return
        claim(run, path)
        known = {"epoch": state.epoch, "best": path == absolute(state.best_model_checkpoint or "")}
        if self._policy != "all":
            run.log_artifact(path, "checkpoint", type="checkpoint", metadata=known, step=state.global_step, copy=False)
            return
        run.log_artifact(
            path,
            "checkpoint",
            type="checkpoint",
            metadata=known,
            step=state.global_step,
            score=self._best.rank if self._best is not None and self._best.path == path else None,
            keep_last=self._keep,
        )

    def take_best(self, args: Any, state: Any) -> None:
        """Remember which checkpoint is the best one."""
        self._best = None
        if state.best_model_checkpoint and state.best_metric is not None and math.isfinite(state.best_metric):
            score = float(state.best_metric)
            known = {"monitor": str(args.metric_for_best_model), "score": score, "best": True}
            rank = score if args.greater_is_better else -score
            self._best = _Best(absolute(state.best_model_checkpoint), rank, known)

    def store_models(self, run: tracklib.Run) -> None:
        """At the end of the training: store the models in the last checkpoint and in the best one, if still there."""
        if self._policy not in {"end", "all"} or is_terminated(run):
            return
        best, last = self._best, self.last
        if best is not None and os.path.isdir(best.path):  # noqa: PTH112 - a text
            self._store(run, best.path, aliases=("last",) if best.path == last else (), best=best)
        if os.path.isdir(last) and (best is None or best.path != last):  # noqa: PTH112 - a text
            self._store(run, last, aliases=("last",))

    def _store(self, run: tracklib.Run, path: str, *, aliases: tuple[str, ...], best: _Best | None = None) -> None:
        files = [name for name in os.listdir(path) if not name.startswith(_NO_MODEL)]  # noqa: PTH208 - names are wanted
        is_adapter = "adapter_config.json" in files
        metadata = {
            **({"format": "pretrained"} if is_adapter or "config.json" in files else {}),
            "framework": "peft" if is_adapter else "transformers",
            "class": self._class,
            "checkpoint": path,
            **(best.metadata if best is not None else {}),
        }
        score = None if best is None else best.rank
        with part_of(path, files) as folder:
            run.log_artifact(
                folder, "model", type="model", metadata=metadata, step=step_of(path), aliases=aliases, score=score
            )


def step_of(path: str) -> int | None:
    """Return the step that the name of a file or folder ends with.

    Example:
        >>> step_of("out/checkpoint-500"), step_of("out/final")
        (500, None)
    """
    number = path.replace("_", "-").rpartition("-")[2]
    return int(number) if number.isdigit() else None
