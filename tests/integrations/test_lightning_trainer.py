"""What is read off a trainer: of real loaders, optimizers and schedules, held as a trainer holds them."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from tracklib.integrations.lightning_trainer import (
    StepClock,
    as_params,
    batch_size,
    data_params,
    learning_rates,
    model_params,
    optimizer_params,
)


class Endless(IterableDataset[Tensor]):
    def __iter__(self) -> Iterator[Tensor]:
        while True:
            yield torch.zeros(3)


def loader(samples: int, size: int = 4) -> Any:
    return DataLoader(TensorDataset(torch.zeros(samples, 3)), batch_size=size)


def adam(*groups: dict[str, Any]) -> torch.optim.Optimizer:
    return torch.optim.Adam([{"params": [nn.Parameter(torch.zeros(2))], **group} for group in groups], lr=0.1)


def with_data(train: Any, val: Any, batches: float = 4) -> Any:
    return SimpleNamespace(
        train_dataloader=train, val_dataloaders=val, num_training_batches=batches, num_val_batches=[2, 1]
    )


def test_sizes_of_several_loaders_are_added_up() -> None:
    """The batch size is given where it is the same everywhere."""
    found = data_params(with_data({"a": loader(16), "b": loader(8)}, [loader(8), loader(4, size=2)]))

    assert found == {
        "train": {"samples": 24, "batch_size": 4, "batches": 4},
        "val": {"samples": 12, "batches": 3},
    }


def test_data_without_a_length_have_none() -> None:
    """What is only iterated over does not know how long it is."""
    found = data_params(with_data(DataLoader(Endless(), batch_size=4), None, float("inf")))

    assert found == {"train": {"batch_size": 4, "batches": float("inf")}}


def test_learning_rates_are_named_by_what_tells_them_apart() -> None:
    """One has no more than its name; of several, the number of the optimizer and the name or number of the group."""
    one = SimpleNamespace(optimizers=[adam({})])
    many = SimpleNamespace(optimizers=[adam({"name": "net", "lr": 0.2}, {}), adam({})])

    assert learning_rates(one) == {"train/lr": 0.1}
    assert learning_rates(many) == {"train/lr/1/net": 0.2, "train/lr/1/2": 0.1, "train/lr/2": 0.1}


def test_optimizers_and_schedules_are_described_with_their_settings() -> None:
    """Of a warm-up, the rate that it leads to; of further groups, only what differs."""
    optimizer = adam({}, {"lr": 0.3, "weight_decay": 0.5})
    scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.1, total_iters=7)
    config = SimpleNamespace(scheduler=scheduler, interval="step", frequency=1, monitor=None)
    found = optimizer_params(SimpleNamespace(optimizers=[optimizer, adam({})], lr_scheduler_configs=[config]))

    assert set(found) == {"optimizer", "optimizer_2", "scheduler"}
    assert (found["optimizer"]["class"], found["optimizer"]["lr"]) == ("Adam", 0.1)
    assert found["optimizer"]["group_2"] == {"weight_decay": 0.5, "lr": 0.3}
    assert (found["scheduler"]["class"], found["scheduler"]["total_iters"]) == ("LinearLR", 7)
    assert (found["scheduler"]["interval"], "monitor" in found["scheduler"]) == ("step", False)


def test_a_model_with_parameters_to_come_is_described() -> None:
    """Lazy layers have no size yet, frozen ones are not trained."""
    module = nn.Sequential(nn.Linear(3, 2), nn.LazyLinear(5))
    module[0].requires_grad_(requires_grad=False)
    found = model_params(module)

    assert (found["parameters"], found["trainable_parameters"]) == (8, 0)
    assert found["layers"]["0"] == {"class": "Linear", "parameters": 8}


@pytest.mark.parametrize(
    ("batch", "samples"),
    [
        (torch.zeros(5, 2), 5),
        ([torch.zeros(4, 2), torch.zeros(4)], 4),
        ({"ids": None, "pixels": (torch.zeros(3, 1),)}, 3),
        ("text", 0),
        (torch.tensor(1.0), 0),
        ([], 0),
    ],
)
def test_a_batch_is_as_large_as_its_first_tensor(batch: Any, samples: int) -> None:
    """However it is nested; where there is none, nothing is said of samples."""
    assert batch_size(batch) == samples


def test_speed_is_that_of_training_alone() -> None:
    """Steps are of as many batches as are accumulated, samples of all processes."""
    clock = StepClock()
    for _ in range(4):
        clock.batch([torch.zeros(8, 2)])
    speeds = clock.speeds(2, 2)

    # 32 samples in each of two processes, in two steps.
    assert speeds["train/samples_per_second"] * speeds["train/step_time_s"] == pytest.approx(32)
    assert clock.speeds(2, 2) == {}


def test_hyper_parameters_of_all_kinds_become_mappings() -> None:
    """Configurations of OmegaConf are resolved, as far as they can be."""
    omegaconf = pytest.importorskip("omegaconf")
    config = omegaconf.OmegaConf.create({"a": {"b": 3}, "twice": "${a.b}"})
    open_config = omegaconf.OmegaConf.create({"later": "${not.there}"})

    assert "omegaconf" in sys.modules
    assert as_params(config) == {"a": {"b": 3}, "twice": 3}
    assert as_params({"inner": open_config}) == {"inner": {"later": "${not.there}"}}
    assert as_params(Namespace(a=1)) == {"a": 1}
    assert as_params(None) == {}


def test_the_callback_keeps_no_state_in_checkpoints() -> None:
    """So a checkpoint that was written with it loads without it, and the other way round."""
    from tracklib.integrations.lightning_callback import CallbackBehaviour

    assert not {"state_dict", "load_state_dict"} & set(dir(CallbackBehaviour))
