"""Saves by libraries that stand on torch: transformers, PEFT, accelerate, safetensors, Lightning and Fabric.

Where one of our own callbacks or loggers reports a framework's checkpoints, they are not recorded a second time here.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from tracklib.integrations.imports import when_imported
from tracklib.integrations.saves import Saved, class_name, quiet, save_hook, text_path
from tracklib.integrations.session import guarded
from tracklib.integrations.torch import classify, format_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import ModuleType

    from tracklib.integrations.patching import Patches

__all__ = ["install"]


def install(patches: Patches) -> None:
    """Watch these libraries as soon as the program has imported them."""
    for module_name, places in _PLACES.items():
        when_imported(module_name, _wrapping(patches, places))


def _wrapping(patches: Patches, places: Mapping[str, Callable[..., Any]]) -> Callable[[ModuleType], None]:
    def on_import(module: ModuleType) -> None:
        for place, around in places.items():
            owner_name, _, name = place.rpartition(".")
            owner = getattr(module, owner_name, None) if owner_name else module
            if owner is not None and hasattr(owner, name):
                patches.wrap(owner, name, around)

    return on_import


def _saved(call: str, value: Any, target: Any, kind: str, **more: Any) -> Saved | None:
    path = text_path(target)
    if path is None:
        return None
    framework = call.partition(".")[0]
    known = {"framework": framework, "call": call, "class": class_name(value)}
    form = {"format": "pretrained"} if _is_pretrained(path) else {}
    return Saved(path, kind, {**form, **known, **more})


def _is_pretrained(path: str) -> bool:
    """Tell whether a folder is one that `from_pretrained` takes."""
    marks = ("config.json", "adapter_config.json", "tokenizer_config.json", "preprocessor_config.json")
    return any(os.path.isfile(os.path.join(path, mark)) for mark in marks)  # noqa: PTH113, PTH118 - on the training thread


def _is_ours(values: Iterable[Any]) -> bool:
    """Tell whether one of these callbacks or loggers is ours, or of a class that was made from ours."""
    return any(kind.__module__.startswith("tracklib.integrations.") for value in values for kind in type(value).__mro__)


# ---- transformers and PEFT


def _is_written(arguments: Mapping[str, Any]) -> bool:
    """Tell whether anything was written: not by other processes, nor where a file is in the way."""
    return bool(arguments.get("is_main_process", True)) and os.path.isdir(arguments["save_directory"])  # noqa: PTH112 - on the training thread


def _of_model(arguments: Mapping[str, Any], _: Any) -> Saved | None:
    if not _is_written(arguments):
        return None
    call = "transformers.PreTrainedModel.save_pretrained"
    return _saved(call, arguments["self"], arguments["save_directory"], "model")


def _of_adapter(arguments: Mapping[str, Any], _: Any) -> Saved | None:
    if not _is_written(arguments):
        return None
    model = arguments["self"]
    base = next((config.base_model_name_or_path for config in model.peft_config.values()), None)
    call = "peft.PeftModel.save_pretrained"
    return _saved(call, model, arguments["save_directory"], "model", adapter=True, base_model=base or None)


def _of_tokenizer(arguments: Mapping[str, Any], _: Any) -> Saved | None:
    if not _is_written(arguments):
        return None
    call = "transformers.PreTrainedTokenizerBase.save_pretrained"
    return _saved(call, arguments["self"], arguments["save_directory"], "tokenizer")


def _of_processor(arguments: Mapping[str, Any], _: Any) -> Saved | None:
    call = "transformers.ProcessorMixin.save_pretrained"
    return _saved(call, arguments["self"], arguments["save_directory"], "processor")


def _of_trainer_model(arguments: Mapping[str, Any], _: Any) -> Saved | None:
    trainer = arguments["self"]
    if not trainer.args.should_save:
        return None
    target = arguments.get("output_dir") or trainer.args.output_dir
    saved = _saved("transformers.Trainer.save_model", trainer.model, target, "model")
    return saved and saved._replace(step=trainer.state.global_step)


def _of_trainer_checkpoint(arguments: Mapping[str, Any], _: Any) -> Saved | None:
    trainer = arguments["self"]
    if not trainer.args.should_save or _is_ours(trainer.callback_handler.callbacks):
        return None
    step = trainer.state.global_step
    folder = os.path.join(trainer._get_output_dir(arguments.get("trial")), f"checkpoint-{step}")  # noqa: PTH118, SLF001 - only it knows the folder of a trial
    saved = _saved("transformers.Trainer._save_checkpoint", trainer.model, folder, "checkpoint")
    return saved and saved._replace(step=step)


# ---- accelerate and safetensors


def _of_state(arguments: Mapping[str, Any], result: Any) -> Saved | None:
    call = "accelerate.Accelerator.save_state"
    return _saved(call, arguments["self"], result or arguments.get("output_dir"), "checkpoint")


def _of_accelerated(arguments: Mapping[str, Any], _: Any) -> Saved | None:
    value = arguments["obj"]
    return _saved("accelerate.Accelerator.save", value, arguments["f"], classify(value), **format_of(value))


def _of_accelerated_model(arguments: Mapping[str, Any], _: Any) -> Saved | None:
    call = "accelerate.Accelerator.save_model"
    return _saved(call, arguments["model"], arguments["save_directory"], "model")


def _of_tensors(arguments: Mapping[str, Any], _: Any) -> Saved | None:
    call = "safetensors.torch.save_file"
    return _saved(call, arguments["tensors"], arguments["filename"], "model", format="state_dict")


def _of_safe_model(arguments: Mapping[str, Any], _: Any) -> Saved | None:
    call = "safetensors.torch.save_model"
    return _saved(call, arguments["model"], arguments["filename"], "model", format="state_dict")


# ---- Lightning and Fabric


def _of_lightning(arguments: Mapping[str, Any], _: Any) -> Saved | None:
    trainer = arguments["self"]
    kind = "model" if arguments.get("weights_only") else "checkpoint"
    saved = _saved("lightning.Trainer.save_checkpoint", trainer.lightning_module, arguments["filepath"], kind)
    # A plugin may write it on another thread.
    return saved and saved._replace(step=trainer.global_step, late=True)


def _of_fabric(arguments: Mapping[str, Any], _: Any) -> Saved | None:
    state = arguments["state"]
    keys = [str(key) for key in state] if isinstance(state, dict) else []
    return _saved("lightning.Fabric.save", state, arguments["path"], "checkpoint", keys=keys)


def _model_checkpoint(original: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
    """Leave the checkpoints of Lightning's own callback to our logger or callback, where the trainer has one."""
    if _reports_itself(arguments, keywords):
        return quiet(original, *arguments, **keywords)
    return original(*arguments, **keywords)


@guarded(default=False)
def _reports_itself(arguments: tuple[Any, ...], keywords: dict[str, Any]) -> bool:
    trainer = keywords["trainer"] if "trainer" in keywords else arguments[1]
    return _is_ours([*trainer.loggers, *trainer.callbacks])


_LIGHTNING: Final = {"Trainer.save_checkpoint": save_hook(_of_lightning)}
_CALLBACK: Final = {"ModelCheckpoint._save_checkpoint": _model_checkpoint}
_FABRIC: Final = {"Fabric.save": save_hook(_of_fabric)}
_TOKENIZER: Final = save_hook(_of_tokenizer)
_PROCESSOR: Final = save_hook(_of_processor)

_PLACES: Final[dict[str, dict[str, Callable[..., Any]]]] = {
    "safetensors.torch": {"save_file": save_hook(_of_tensors), "save_model": save_hook(_of_safe_model)},
    "transformers.modeling_utils": {"PreTrainedModel.save_pretrained": save_hook(_of_model)},
    "transformers.tokenization_utils_base": {"PreTrainedTokenizerBase.save_pretrained": _TOKENIZER},
    "transformers.tokenization_utils_tokenizers": {"TokenizersBackend.save_pretrained": _TOKENIZER},
    "transformers.processing_utils": {"ProcessorMixin.save_pretrained": _PROCESSOR},
    "transformers.feature_extraction_utils": {"FeatureExtractionMixin.save_pretrained": _PROCESSOR},
    "transformers.image_processing_base": {"ImageProcessingMixin.save_pretrained": _PROCESSOR},
    "transformers.video_processing_utils": {"BaseVideoProcessor.save_pretrained": _PROCESSOR},
    "transformers.trainer": {
        "Trainer.save_model": save_hook(_of_trainer_model),
        "Trainer._save_checkpoint": save_hook(_of_trainer_checkpoint),
    },
    "peft.peft_model": {"PeftModel.save_pretrained": save_hook(_of_adapter)},
    "accelerate.accelerator": {
        "Accelerator.save": save_hook(_of_accelerated),
        "Accelerator.save_state": save_hook(_of_state),
        "Accelerator.save_model": save_hook(_of_accelerated_model),
    },
    "lightning.pytorch.trainer.trainer": _LIGHTNING,
    "pytorch_lightning.trainer.trainer": _LIGHTNING,
    "lightning.pytorch.callbacks.model_checkpoint": _CALLBACK,
    "pytorch_lightning.callbacks.model_checkpoint": _CALLBACK,
    "lightning.fabric.fabric": _FABRIC,
    "lightning_fabric.fabric": _FABRIC,
}
"""By module, the functions in it and what is put around them."""
