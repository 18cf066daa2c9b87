"""What can be read off a Lightning trainer and its module: params, learning rates, speed.

Nothing here imports a framework, so that it serves `lightning` and `pytorch_lightning` alike.
"""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from collections.abc import Mapping
from typing import Any, Final

__all__ = [
    "StepClock",
    "as_params",
    "batch_size",
    "data_params",
    "hyperparams",
    "learning_rates",
    "model_params",
    "optimizer_params",
    "trainer_params",
]

_MOST_LAYERS: Final = 100
_NO_SETTINGS: Final = ("params", "initial_lr")
_TRAINER: Final = (
    "precision",
    "num_devices",
    "num_nodes",
    "world_size",
    "max_epochs",
    "max_steps",
    "accumulate_grad_batches",
    "gradient_clip_val",
    "gradient_clip_algorithm",
    "log_every_n_steps",
    "val_check_interval",
    "check_val_every_n_epoch",
    "overfit_batches",
)


def as_params(params: Any) -> Any:
    """Return hyper-parameters as a mapping, where they are one of the things that programs hand to a logger.

    Example:
        >>> as_params(Namespace(lr=0.1)), as_params(None)
        ({'lr': 0.1}, {})
    """
    if params is None:
        return {}
    if isinstance(params, Namespace):
        params = vars(params)
    omegaconf = sys.modules.get("omegaconf")
    if omegaconf is None:
        return params
    return _plain(params, omegaconf)


def _plain(value: Any, omegaconf: Any) -> Any:
    if not omegaconf.OmegaConf.is_config(value):
        return {key: _plain(item, omegaconf) for key, item in value.items()} if isinstance(value, dict) else value
    try:
        return omegaconf.OmegaConf.to_container(value, resolve=True)
    except omegaconf.errors.OmegaConfBaseException:  # A part that only a later step can fill in.
        return omegaconf.OmegaConf.to_container(value, resolve=False)


def hyperparams(trainer: Any, module: Any) -> dict[str, Any]:
    """Return what `save_hyperparameters` has kept of the module and the datamodule, as Lightning tells its loggers."""
    found: dict[str, Any] = {}
    for part in (module, trainer.datamodule):
        if getattr(part, "_log_hyperparams", False):
            found.update(as_params(part.hparams_initial))
    found.pop("_class_path", None)  # LightningCLI's own.
    return found


def trainer_params(trainer: Any) -> dict[str, Any]:
    """Return the settings of a trainer that say how it trains."""
    settings = {name: getattr(trainer, name, None) for name in _TRAINER}
    classes = {
        "strategy": type(trainer.strategy).__name__,
        "accelerator": type(trainer.accelerator).__name__,
    }
    return {**classes, **{name: value for name, value in settings.items() if value is not None}}


def model_params(module: Any) -> dict[str, Any]:
    """Return the class of a module, how many parameters it has, and the same of its parts."""
    sizes = [(_size(each), each.requires_grad) for each in module.parameters()]
    parts = list(module.named_children())[:_MOST_LAYERS]
    return {
        "class": _class_name(module),
        "parameters": sum(size for size, _ in sizes),
        "trainable_parameters": sum(size for size, trained in sizes if trained),
        "layers": {
            name: {"class": type(part).__name__, "parameters": sum(map(_size, part.parameters()))}
            for name, part in parts
        },
    }


def _size(parameter: Any) -> int:
    """Count the numbers in a parameter, also where this process holds a part of it or none yet."""
    if type(parameter).__name__.startswith("Uninitialized"):
        return 0
    return int(getattr(parameter, "ds_numel", None) or parameter.numel())


def _class_name(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def optimizer_params(trainer: Any) -> dict[str, Any]:
    """Return the optimizers and schedulers with their settings at the start: of further groups, what is different.

    They are called optimizer, optimizer_2 and so on, also scheduler, scheduler_2.
    """
    optimizers = [_optimizer(_unwrapped(each)) for each in trainer.optimizers]
    schedulers = [_scheduler(each) for each in trainer.lr_scheduler_configs]
    return {**_numbered("optimizer", optimizers), **_numbered("scheduler", schedulers)}


def _numbered(name: str, values: list[dict[str, Any]]) -> dict[str, Any]:
    return {name if number == 1 else f"{name}_{number}": value for number, value in enumerate(values, 1)}


def _unwrapped(optimizer: Any) -> Any:
    """Return the optimizer itself, as DeepSpeed puts its own around it."""
    return getattr(optimizer, "optimizer", optimizer)


def _optimizer(optimizer: Any) -> dict[str, Any]:
    first, *others = [_group(group) for group in optimizer.param_groups]
    groups = {
        f"group_{number}": {name: value for name, value in group.items() if first.get(name, ...) != value}
        for number, group in enumerate(others, 2)
    }
    return {"class": type(optimizer).__name__, **first, **groups}


def _group(group: Mapping[str, Any]) -> dict[str, Any]:
    plain = {name: value for name, value in group.items() if name not in _NO_SETTINGS and _is_plain(value)}
    return {**plain, "lr": _number(group.get("initial_lr", group["lr"]))}


def _scheduler(config: Any) -> dict[str, Any]:
    scheduler = config.scheduler
    own = {name: value for name, value in vars(scheduler).items() if not name.startswith("_") and _is_plain(value)}
    own.pop("last_epoch", None)
    given = {name: getattr(config, name, None) for name in ("interval", "frequency", "monitor")}
    return {
        "class": type(scheduler).__name__,
        **own,
        **{name: each for name, each in given.items() if each is not None},
    }


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return isinstance(value, (bool, int, float, str))


def _number(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def data_params(trainer: Any) -> dict[str, Any]:
    """Return how large the data sets of a training are, as far as they know it themselves."""
    loaders = {"train": (trainer.train_dataloader,), "val": _several(trainer.val_dataloaders)}
    found = {name: [_data(each) for each in _leaves(group)] for name, group in loaders.items()}
    batches = {"train": trainer.num_training_batches, "val": _total(trainer.num_val_batches)}
    return {
        name: {**_added_up(parts), "batches": batches[name]} for name, parts in found.items() if parts and batches[name]
    }


def _several(loaders: Any) -> Any:
    return () if loaders is None else loaders if isinstance(loaders, (list, tuple, dict)) else (loaders,)


def _leaves(loaders: Any) -> list[Any]:
    if isinstance(loaders, Mapping):
        loaders = list(loaders.values())
    if isinstance(loaders, (list, tuple)):
        return [leaf for each in loaders for leaf in _leaves(each)]
    return [] if loaders is None else [loaders]


def _total(counts: Any) -> float:
    return sum(counts) if isinstance(counts, (list, tuple)) else counts


def _data(loader: Any) -> dict[str, Any]:
    found = {"samples": _length(getattr(loader, "dataset", None)), "batch_size": getattr(loader, "batch_size", None)}
    return {name: value for name, value in found.items() if value is not None}


def _length(dataset: Any) -> int | None:
    try:
        return len(dataset)
    except (TypeError, NotImplementedError):  # One that is only iterated over.
        return None


def _added_up(parts: list[dict[str, Any]]) -> dict[str, Any]:
    samples = [part["samples"] for part in parts if "samples" in part]
    sizes = {part["batch_size"] for part in parts if "batch_size" in part}
    whole = {"samples": sum(samples)} if len(samples) == len(parts) else {}
    return {**whole, **({"batch_size": sizes.pop()} if len(sizes) == 1 else {})}


def learning_rates(trainer: Any) -> dict[str, Any]:
    """Return the learning rates by name: `train/lr`, or one for each optimizer and group of parameters.

    Of several optimizers, the number of each stands in the name, from 1; of several groups the name of each, if it has
    one, else its number.
    """
    optimizers = [_unwrapped(each) for each in trainer.optimizers]
    rates: dict[str, Any] = {}
    for number, optimizer in enumerate(optimizers, 1):
        groups = optimizer.param_groups
        for place, group in enumerate(groups, 1):
            parts = [str(number)] if len(optimizers) > 1 else []
            parts += [str(group.get("name", place))] if len(groups) > 1 else []
            rates["/".join(["train/lr", *parts])] = group["lr"]
    return rates


def batch_size(batch: Any) -> int:
    """Return how many samples are in a batch: the length of the first tensor in it; 0 where there is none.

    Example:
        >>> batch_size({"text": None, "ids": ([], [])}), batch_size(None)
        (0, 0)
    """
    for _ in range(8):  # More than a batch is ever nested.
        shape = getattr(batch, "shape", None)
        if shape is not None:
            return int(shape[0]) if len(shape) else 0
        values: Any = (
            batch.values() if isinstance(batch, Mapping) else batch if isinstance(batch, (list, tuple)) else ()
        )
        batch = next((value for value in values if value is not None), None)
    return 0


class StepClock:
    """Measures how long batches take, with what loads their data, and without validations."""

    def __init__(self) -> None:
        self._batches = 0
        self._samples = 0
        self._elapsed_s = 0.0
        self._last_s = time.perf_counter()

    def pause(self) -> None:
        """Note that what was done since the last batch was no training."""
        self._last_s = time.perf_counter()

    def batch(self, batch: Any) -> None:
        """Note that a batch has been trained on."""
        now_s = time.perf_counter()
        self._elapsed_s += now_s - self._last_s
        self._last_s = now_s
        self._batches += 1
        self._samples += batch_size(batch)

    def speeds(self, world_size: int, batches_per_step: float) -> dict[str, float]:
        """Return the mean time of a step since this was last asked, and the samples of all processes in a second."""
        elapsed_s, batches, samples = self._elapsed_s, self._batches, self._samples
        self._batches, self._samples, self._elapsed_s = 0, 0, 0.0
        if not batches or elapsed_s <= 0:
            return {}
        found = {"train/step_time_s": elapsed_s / batches * batches_per_step}
        return {**found, "train/samples_per_second": samples * world_size / elapsed_s} if samples else found
