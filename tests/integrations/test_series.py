"""Which saves are one thing at several moments, by their paths."""

from __future__ import annotations

import pytest

from tracklib.integrations.series import series_name, series_of


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("epoch_3.pt", "epoch.pt"),
        ("ckpt-500.pt", "ckpt.pt"),
        ("checkpoint-500", "checkpoint"),
        ("model_epoch=3-step=300.ckpt", "model_epoch-step.ckpt"),
        ("model-epoch=02-val_loss=0.32.ckpt", "model-epoch-val_loss.ckpt"),
        ("model_reward=-0.5.pt", "model_reward.pt"),
        ("epoch3.pt", "epoch.pt"),
        ("model_epoch3_best.pt", "model_epoch_best.pt"),
        ("global_step500", "global_step"),
        ("best 7.pt", "best.pt"),
        ("model_2026-05-01_12-30.pt", "model.pt"),
        ("weights.pt.3", "weights.pt"),
        ("weights.7", "weights"),
    ],
)
def test_a_counter_is_left_out(name: str, expected: str) -> None:
    """A number behind a separator, or behind a word that counts."""
    assert series_name(f"/out/{name}", "model") == expected
    assert series_of(f"/out/{name}") == f"/out/{expected}"


@pytest.mark.parametrize(
    "name",
    [
        "resnet50.pt",
        "llama-7b",
        "gpt2",
        "model-v2.pt",
        "fold_0.pt",
        "fold1.pt",
        "seed=3.pt",
        "mp_rank_00_model_states.pt",
        "model-00001-of-00002.safetensors",
        "last.ckpt",
        "model.pt",
        ".pt",
        "deepstep5.pt",
    ],
)
def test_other_numbers_stay(name: str) -> None:
    """Those that belong to a word, and those that tell things apart which exist side by side."""
    assert series_name(f"/out/{name}", "model") == name
    assert series_of(f"/out/{name}") == f"/out/{name}"


@pytest.mark.parametrize(("path", "name"), [("/out/500.pt", "model.pt"), ("/out/500", "model"), ("/out/500/", "model")])
def test_a_name_that_is_a_number_is_called_by_its_type(path: str, name: str) -> None:
    """There is nothing else in it."""
    assert series_name(path, "model") == name


def test_folders_count_too() -> None:
    """Also where only the folder of a file has a counter."""
    assert series_of("/out/checkpoint-1/model.pt") == series_of("/out/checkpoint-2/model.pt")
    assert series_of("/out/fold_1/model.pt") != series_of("/out/fold_2/model.pt")
    assert series_of("/out/500/model.pt") == series_of("/out/1000/model.pt")
    assert series_of("s3://bucket/epoch_1.pt") == "s3://bucket/epoch.pt"


def test_what_differs_by_more_is_not_one_series() -> None:
    """By the suffix, the word or the folder."""
    paths = ("/out/epoch_1.pt", "/out/epoch_1.onnx", "/out/step_1.pt", "/other/epoch_1.pt")

    assert len({series_of(path) for path in paths}) == 4
