"""Folders that `save_pretrained` wrote: models, tokenizers and processors of transformers, pipelines, PEFT adapters.

They are loaded from the folder alone, never from the network, but for the base model of an adapter, which may lie in
the local cache. Code that lies in the folder is not run unless the user passes `trust_remote_code=True`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from tracklib.artifacts.load_options import LoadOptions
from tracklib.artifacts.rebuilding import made_by
from tracklib.artifacts.weights import check_torch_file
from tracklib.errors import ConfigError, MissingDependency, NotTrusted

__all__ = ["is_pretrained", "load_pretrained"]

_ADAPTER: Final = "adapter_config.json"
_MODEL: Final = "config.json"
_TOKENIZER: Final = ("tokenizer_config.json", "tokenizer.json")
_PREPROCESSOR: Final = "preprocessor_config.json"
# By the file that tells what it is: the class of transformers that reads it. The first that is there counts.
_AUTO: Final = (
    ("processor_config.json", "AutoProcessor"),
    ("video_preprocessor_config.json", "AutoVideoProcessor"),
    (_TOKENIZER[0], "AutoTokenizer"),
    (_TOKENIZER[1], "AutoTokenizer"),
    ("generation_config.json", "GenerationConfig"),
)
_MARKS: Final = frozenset({_ADAPTER, _MODEL, _PREPROCESSOR, *(name for name, _ in _AUTO)})
_TASKS: Final = {
    "CAUSAL_LM": "AutoModelForCausalLM",
    "FEATURE_EXTRACTION": "AutoModel",
    "QUESTION_ANS": "AutoModelForQuestionAnswering",
    "SEQ_2_SEQ_LM": "AutoModelForSeq2SeqLM",
    "SEQ_CLS": "AutoModelForSequenceClassification",
    "TOKEN_CLS": "AutoModelForTokenClassification",
}
_LIBRARIES: Final = frozenset({"diffusers", "megatron", "peft", "transformers"})
_WEIGHTS: Final = ("*.safetensors", "*.safetensors.index.json", "pytorch_model*", "adapter_model*")


def is_pretrained(folder: Path, options: LoadOptions) -> bool:
    """Tell whether a folder is for `from_pretrained`, and not for its weights to be loaded into a module."""
    if _own_loader(options.into):
        return not (folder / "state_dict.pt").is_file()
    if (folder / _ADAPTER).is_file():
        return True
    return options.into is None and any((folder / name).is_file() for name in _MARKS)


def load_pretrained(folder: Path, metadata: Mapping[str, Any], options: LoadOptions) -> Any:
    """Return what lies in a folder that `save_pretrained` wrote.

    Raises:
        NotTrusted: Its weights are a pickle, or its configuration names code that would be run.
        ConfigError: Nothing says which class it is of.
        MissingDependency: transformers or peft is missing.
    """
    for path in [*folder.glob("pytorch_model*.bin"), *folder.glob("adapter_model*.bin")]:
        check_torch_file(path, options)
    _check_code(folder, options)
    if _own_loader(options.into):
        return options.into.from_pretrained(str(folder), **_arguments(options, options.into))
    if (folder / _ADAPTER).is_file():
        return _load_adapter(folder, metadata, options)
    if isinstance(metadata.get("task"), str) and str(metadata.get("class")).startswith("transformers.pipelines."):
        return _load_pipeline(folder, str(metadata["task"]), options)
    return _from_pretrained(_class_of(folder), folder, options)


def _own_loader(into: Any) -> bool:
    return isinstance(into, type) and callable(getattr(into, "from_pretrained", None))


def _arguments(options: LoadOptions, loader: Any) -> dict[str, Any]:
    """Return the options for `from_pretrained`; those of transformers and peft are told to stay on this machine."""
    if str(getattr(loader, "__module__", "")).partition(".")[0] not in {"transformers", "peft"}:
        return dict(options.more)
    is_model = hasattr(loader, "base_model_prefix")
    pickled = {"weights_only": False} if options.allow_pickle and is_model else {}
    # The others run nothing, and would keep the word as one of their settings.
    trust = {"trust_remote_code": False} if is_model or loader.__name__.startswith("Auto") else {}
    return {"local_files_only": True, **trust, **pickled, **options.more}


def _from_pretrained(name: str, folder: Path | str, options: LoadOptions) -> Any:
    loader = getattr(_transformers(), name)
    return loader.from_pretrained(str(folder), **_arguments(options, loader))


def _transformers() -> Any:
    try:
        import transformers
    except ImportError as error:
        raise MissingDependency("transformers is needed to load this model: pip install transformers") from error
    return transformers


# ---- which class


def _class_of(folder: Path) -> str:
    """Return the class of transformers that reads a folder."""
    if (folder / _MODEL).is_file():
        config = _read(folder / _MODEL)
        return _model_class(config) if any(map(list, map(folder.glob, _WEIGHTS))) else "AutoConfig"
    own = _read(folder / _PREPROCESSOR) if (folder / _PREPROCESSOR).is_file() else {}
    if own and not any((folder / name).is_file() for name in ("processor_config.json", *_TOKENIZER)):
        return "AutoImageProcessor" if "image_processor_type" in own else "AutoFeatureExtractor"
    if own:
        return "AutoProcessor"
    return next(loader for name, loader in _AUTO if (folder / name).is_file())


def _model_class(config: Mapping[str, Any]) -> str:
    """Return the class of transformers that a configuration names.

    Raises:
        ConfigError: It names none.
    """
    transformers = _transformers()
    names = config.get("architectures")
    name = str(names[0]) if isinstance(names, list) and names else "AutoModel" if "model_type" in config else ""
    if name == "AutoModel":
        return name
    found = getattr(transformers, name, None) if name.isidentifier() else None
    # Looked at before it is used: the name may be that of anything in transformers.
    if not isinstance(found, type) or not issubclass(found, transformers.PreTrainedModel):
        raise ConfigError(
            f"config.json names {name or 'no class'}, which is no model of transformers: "
            "pass the class that has from_pretrained as into=, or a module that takes the weights"
        )
    return name


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{path.name} is no JSON: {error}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path.name} is {content!r:.100}, but is to be an object")
    return content


def _check_code(folder: Path, options: LoadOptions) -> None:
    """See that no configuration names code that transformers or peft would fetch or import.

    Raises:
        NotTrusted: One does.
    """
    if options.more.get("trust_remote_code"):
        return
    for name in (_MODEL, _ADAPTER):
        if (folder / name).is_file():
            for key, value in _members(_read(folder / name)):
                kernel = key.endswith("attn_implementation") and "/" in value
                library = key in {"megatron_core", "parent_library"} and value.partition(".")[0] not in _LIBRARIES
                if kernel or library:
                    raise NotTrusted(
                        f"{name} is not loaded: {key} is {value!r}, code that would be run. "
                        "If you know where it came from, pass trust_remote_code=True"
                    )


def _members(value: Any) -> Iterator[tuple[str, str]]:
    """Yield all members of a JSON value that are text, however deep they lie."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(inner, str):
            yield str(key), inner
        elif isinstance(inner, (dict, list)):
            yield from _members(inner)


# ---- adapters and pipelines


def _load_adapter(folder: Path, metadata: Mapping[str, Any], options: LoadOptions) -> Any:
    """Return an adapter on its base model: the one that was handed over, or the one that it names."""
    try:
        import peft
    except ImportError as error:
        raise MissingDependency("peft is needed to load this adapter: pip install peft") from error
    config = _read(folder / _ADAPTER)
    if not any(folder.glob("adapter_model*")):
        raise ConfigError("there are no weights beside adapter_config.json: peft writes adapter_model.safetensors")
    if options.into is not None:
        return peft.PeftModel.from_pretrained(made_by(options.into, metadata), str(folder), **dict(options.more))
    more = dict(options.more)
    on_adapter = {name: more.pop(name) for name in ("adapter_name", "is_trainable") if name in more}
    base = _base_model(config, options, more)
    _fit_vocabulary(base, folder)
    return peft.PeftModel.from_pretrained(base, str(folder), **on_adapter)


def _base_model(config: Mapping[str, Any], options: LoadOptions, more: dict[str, Any]) -> Any:
    mapping = config.get("auto_mapping")
    noted = mapping.get("base_model_class") if isinstance(mapping, dict) else None
    name = _TASKS.get(str(config.get("task_type"))) or (_model_class({"architectures": [noted]}) if noted else "")
    where = config.get("base_model_name_or_path")
    if not name or not isinstance(where, str) or not where:
        raise ConfigError("the adapter does not name its base model and its class: pass the base model as into=")
    loader = getattr(_transformers(), name)
    arguments = _arguments(LoadOptions(allow_pickle=options.allow_pickle, more=more), loader)
    if arguments["local_files_only"]:
        where = _local_base(where, config.get("revision"))
        _check_code(Path(where), options)
    elif config.get("revision"):
        arguments["revision"] = config["revision"]
    return loader.from_pretrained(where, **arguments)


def _local_base(where: str, revision: Any) -> str:
    """Return the folder of a model: it is one, or the model was fetched before. The network is not asked."""
    if Path(where).is_dir():
        return where
    from huggingface_hub import snapshot_download

    try:
        return str(snapshot_download(where, revision=revision, local_files_only=True))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"the base model of the adapter, {where!r}, is not on this machine: load it yourself and pass it as into=, "
            f"or let it be fetched by local_files_only=False ({error})"
        ) from error


def _fit_vocabulary(base: Any, folder: Path) -> None:
    """Give a base model the tokens that the tokenizer beside its adapter has beyond its own."""
    if not (folder / _TOKENIZER[0]).is_file() or not hasattr(base, "get_input_embeddings"):
        return
    tokenizer = _transformers().AutoTokenizer.from_pretrained(
        str(folder), local_files_only=True, trust_remote_code=False
    )
    if len(tokenizer) > base.get_input_embeddings().weight.shape[0]:
        base.resize_token_embeddings(len(tokenizer))


def _load_pipeline(folder: Path, task: str, options: LoadOptions) -> Any:
    """Return a pipeline of what lies in its folder."""
    parts: dict[str, Any] = {"model": _from_pretrained(_class_of(folder), folder, options)}
    own = LoadOptions()
    if any((folder / name).is_file() for name in _TOKENIZER):
        parts["tokenizer"] = _from_pretrained("AutoTokenizer", folder, own)
    kinds = _read(folder / _PREPROCESSOR) if (folder / _PREPROCESSOR).is_file() else {}
    if "image_processor_type" in kinds:
        parts["image_processor"] = _from_pretrained("AutoImageProcessor", folder, own)
    if "feature_extractor_type" in kinds:
        parts["feature_extractor"] = _from_pretrained("AutoFeatureExtractor", folder, own)
    return _transformers().pipeline(task, **parts)
