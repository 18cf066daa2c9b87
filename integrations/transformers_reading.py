"""What can be read off the logs, arguments and models of a Trainer: metrics by name, configuration, speed."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["StepClock", "configuration", "final_values", "is_training", "metric_values", "perplexity"]

_SPLITS: Final = ("eval", "test")
_LANGUAGE: Final = ("ForCausalLM", "LMHeadModel", "ForMaskedLM", "ForConditionalGeneration")
"""Ends of the names of classes whose loss is a mean cross-entropy over tokens."""


def metric_values(logs: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a Trainer logs under the names that other trackers give it, without what is no number.

    Example:
        >>> metric_values({"loss": 0.5, "epoch": 1.0, "reward": None})
        {'train/loss': 0.5, 'train/epoch': 1.0}
        >>> metric_values({"eval_loss": 0.4, "eval_runtime": 2.0, "epoch": 1.0})
        {'eval/loss': 0.4, 'eval/runtime': 2.0, 'train/epoch': 1.0}
    """
    prefix = _prefix(logs)
    return {
        _name(key, prefix): value for key, value in logs.items() if value is not None and not isinstance(value, str)
    }


def _prefix(logs: Mapping[str, Any]) -> str:
    """Return what all names of an evaluation begin with, as its caller chose it: each evaluation says its runtime."""
    return next((key.removesuffix("_runtime") for key in logs if key.endswith("_runtime")), "")


def _name(key: str, prefix: str) -> str:
    own = () if prefix in {"", "train"} or prefix.startswith(("eval_", "test_")) else (prefix,)
    for split in (*_SPLITS, *own):
        if key.startswith(f"{split}_"):
            return f"{split}/{key[len(split) + 1 :]}"
    return f"train/{key}"


def is_training(logs: Mapping[str, Any]) -> bool:
    """Tell whether these are the logs of training steps, and not of an evaluation or of the end.

    Example:
        >>> is_training({"loss": 0.5}), is_training({"eval_loss": 0.5}), is_training({"train_loss": 0.5})
        (True, False, False)
    """
    return "loss" in logs and _prefix(logs) in {"", "train"}


def final_values(logs: Mapping[str, Any], state: Any) -> dict[str, float]:
    """Return what the last logs of a training are to have and another callback may have taken out.

    Example:
        >>> from types import SimpleNamespace
        >>> final_values({"train_loss": 0.5}, SimpleNamespace(total_flos=1e9))
        {'train/total_flos': 1000000000.0}
    """
    return {"train/total_flos": state.total_flos} if "train_loss" in logs and "total_flos" not in logs else {}


def perplexity(logs: Mapping[str, Any], model: Any, args: Any) -> dict[str, float]:
    """Return the perplexity of an evaluation of a language model, by its name; nothing where there is none.

    A smoothed loss is no cross-entropy, and so gives none.
    """
    prefix = _prefix(logs)
    loss = logs.get(f"{prefix}_loss")
    if prefix in {"", "train"} or not isinstance(loss, (int, float)) or f"{prefix}_perplexity" in logs:
        return {}
    if getattr(args, "label_smoothing_factor", 0.0) or not _is_language_model(unwrapped(model)):
        return {}
    return {_name(f"{prefix}_perplexity", prefix): _exp(loss)}


def _exp(value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


def _is_language_model(model: Any) -> bool:
    return type(model).__name__.endswith(_LANGUAGE) or getattr(model, "loss_type", None) in _LANGUAGE


def unwrapped(model: Any) -> Any:
    """Return the model itself: not what trains it on many devices, compiles it or puts adapters into it."""
    for _ in range(8):  # More than ever stand around one, and an end where one says that it holds itself.
        inner = getattr(model, "module", None) or getattr(model, "_orig_mod", None)
        if inner is None:
            break
        model = inner
    base = getattr(model, "get_base_model", None)
    return base() if callable(base) else model


def configuration(args: Any, model: Any, dataloader: Any = None) -> dict[str, Any]:
    """Return what is known of a training at its start, as params.

    Args:
        args: The `TrainingArguments`.
        model: The model as the Trainer holds it; None if it holds none.
        dataloader: That of the training.
    """
    said: dict[str, Any] = {"training": args.to_dict()}
    if model is not None:
        base = unwrapped(model)
        config: Any = getattr(base, "config", None)
        settings = config.to_dict() if hasattr(config, "to_dict") else config
        said["model"] = {"class": type(base).__name__, **(settings if isinstance(settings, dict) else {})}
        said["parameters"] = _parameters(model)
        adapters = getattr(model, "peft_config", None)
        if isinstance(adapters, dict):
            said["peft"] = {name: each.to_dict() for name, each in adapters.items()}
    data: Any = getattr(dataloader, "dataset", None)
    if hasattr(data, "__len__"):
        said["data"] = {"train_examples": len(data)}
    return said


def _parameters(model: Any) -> dict[str, int]:
    """Count the parameters, also where a device holds only a part of each."""
    count = getattr(model, "get_nb_trainable_parameters", None)
    if callable(count):  # PEFT knows how many numbers a quantized byte holds.
        trainable, total = count()
        return {"total": int(total), "trainable": int(trainable)}
    sizes = [(getattr(each, "ds_numel", None) or each.numel(), each.requires_grad) for each in model.parameters()]
    return {"total": sum(size for size, _ in sizes), "trainable": sum(size for size, trained in sizes if trained)}


class StepClock:
    """Measures how long training steps take, with what loads their data, and without evaluations and saves.

    Times are means from one log to the next. The Trainer waits for the device just before it logs, so they hold where
    kernels run behind the program, too.
    """

    def __init__(self) -> None:
        self._steps = 0
        self._tokens: float | None = None
        self._since_s = self._last_s = time.perf_counter()

    def restart(self) -> None:
        """Begin anew: nothing before counts."""
        self.__init__()  # type: ignore[misc]  # Its state at the start is what it is to have.

    def step(self) -> None:
        """Note that a step has ended."""
        self._steps += 1
        self._last_s = time.perf_counter()

    def pause(self) -> None:
        """Note that what was done since the last step or log was no training."""
        now_s = time.perf_counter()
        self._since_s += now_s - self._last_s
        self._last_s = now_s

    def speeds(self, logs: Mapping[str, Any], samples_per_step: float) -> dict[str, float]:
        """Return the mean time of the steps since the last log, and what was trained on in a second of it."""
        now_s = time.perf_counter()
        elapsed_s, steps, before = now_s - self._since_s, self._steps, self._tokens
        self._since_s = self._last_s = now_s
        self._steps, self._tokens = 0, logs.get("num_input_tokens_seen")
        if not steps or elapsed_s <= 0:
            return {}
        speeds = {
            "train/step_time_s": elapsed_s / steps,
            "train/samples_per_second": samples_per_step * steps / elapsed_s,
        }
        if self._tokens is not None and before is not None:
            speeds["train/tokens_per_second"] = (self._tokens - before) / elapsed_s
        return speeds
