"""What is read off checkpoint callbacks: which of their files is the last, and which the best."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tracklib.integrations.lightning_checkpoints import (
    best_saved,
    described,
    is_same,
    last_saved,
    main_monitor,
    model_metadata,
    rank_of,
)


def checkpoint(last: str = "", *, step: int = 0, monitor: str | None = None, mode: str = "min", **scores: float) -> Any:
    """Return what a ModelCheckpoint looks like that has saved files with these scores, and make the files."""
    for name in filter(None, (last, *scores)):
        Path(name).touch()
    tensors = {name: torch.tensor(score) for name, score in scores.items()}
    best = (min if mode == "min" else max)(tensors, key=lambda name: tensors[name]) if tensors else last
    return SimpleNamespace(
        monitor=monitor,
        mode=mode,
        best_k_models=tensors,
        best_model_path=best,
        best_model_score=tensors.get(best),
        last_model_path="",
        _last_checkpoint_saved=last,
        _last_global_step_saved=step,
    )


def test_the_last_one_is_that_of_the_highest_step() -> None:
    """Of several callbacks."""
    last = last_saved([checkpoint("a", step=3), checkpoint("b", step=9), checkpoint("c", step=6)])

    assert last is not None
    assert (last.path, last.step) == ("b", 9)


def test_where_the_last_one_is_gone_the_newest_counts() -> None:
    """Of which it is not known of which step it is."""
    kept = checkpoint("c", step=9, monitor="loss", a=0.1, b=0.2, c=0.3)
    Path("c").unlink()
    os.utime("a", (1e9, 1e9))
    last = last_saved([kept])

    assert last is not None
    assert (last.path, last.step) == ("b", None)
    assert last_saved([checkpoint()]) is None


def test_a_remote_one_is_none_of_this_machine() -> None:
    """Nobody looks there."""
    remote = SimpleNamespace(_last_checkpoint_saved="s3://bucket/a.ckpt", _last_global_step_saved=8)

    assert last_saved([remote]) is None
    assert best_saved([remote]) == []


def test_there_is_a_best_one_by_each_value() -> None:
    """Of callbacks that monitor the same, the better one."""
    callbacks = [
        checkpoint("p"),
        checkpoint(monitor="loss", a=0.3, b=0.4),
        checkpoint(monitor="accuracy", mode="max", c=0.7, d=0.8),
        checkpoint(monitor="loss", e=0.2),
    ]

    found = best_saved(callbacks)
    assert [(best.path, best.monitor) for best in found] == [("e", "loss"), ("d", "accuracy")]
    assert [best.rank for best in found] == pytest.approx([-0.2, 0.8])
    assert main_monitor(callbacks) == "loss"
    assert main_monitor([checkpoint("p"), SimpleNamespace()]) is None


def test_what_has_no_number_has_no_rank() -> None:
    """Lightning puts an infinite one in the place of NaN."""
    assert rank_of(checkpoint(monitor="loss", a=float("inf")), "a") is None
    assert rank_of(checkpoint(monitor="loss", a=0.5), "other") is None
    assert rank_of(checkpoint("a"), "a") is None


def test_a_checkpoint_is_described_by_its_own_score() -> None:
    """And whether it is the best one."""
    kept = checkpoint(monitor="loss", a=0.5, b=0.25)

    assert described(kept, "a") == {"monitor": "loss", "score": 0.5, "best": False}
    assert described(kept, "b") == {"monitor": "loss", "score": 0.25, "best": True}


def test_a_link_leads_to_the_same() -> None:
    """As `save_last="link"` makes one."""
    Path("a").touch()
    Path("last").symlink_to("a")

    assert is_same("last", "a")
    assert not is_same("last", "gone")


class Model:
    """Has what a LightningModule has of its hyper-parameters."""

    def __init__(self, width: int, depth: int = 2) -> None:
        self.hparams_initial: dict[str, Any] = {"width": width, "depth": depth}
        self._hparams_name = "kwargs"


def test_what_a_class_is_called_with_is_noted() -> None:
    """Where that is known, so that a model can be made anew."""
    known = model_metadata(Model(3))

    assert known["class"].endswith("test_lightning_checkpoints.Model")
    assert known["init"] == {"width": 3, "depth": 2}


@pytest.mark.parametrize(
    ("kept", "name"),
    [
        ({"width": 3}, "config"),
        ({"width": 3, "more": 1}, "kwargs"),
        ({"width": float("nan")}, "kwargs"),
        ({}, "kwargs"),
    ],
)
def test_what_makes_no_model_is_not_noted(kept: dict[str, Any], name: str) -> None:
    """Hyper-parameters of another kind, too many or too few, or such as JSON cannot say."""
    module = Model(3)
    module.hparams_initial, module._hparams_name = kept, name

    assert "init" not in model_metadata(module)
