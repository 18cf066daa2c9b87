"""What `save_pretrained` writes and `from_pretrained` reads: transformers and PEFT, tiny and from scratch, offline."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tracklib.artifacts.loading import load_files
from tracklib.artifacts.models import write_model
from tracklib.artifacts.signatures import signature_of
from tracklib.errors import ConfigError, NotTrusted

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "cat", "sat", "on", "mat"]

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="module")
def transformers() -> Iterator[Any]:
    os.environ["HF_HUB_OFFLINE"] = "1"  # Read when the library is imported.
    import transformers

    yield transformers
    del os.environ["HF_HUB_OFFLINE"]


def bert(transformers: Any, **more: Any) -> Any:
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=len(WORDS),
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        max_position_embeddings=16,
        **more,
    )
    return transformers.BertForSequenceClassification(config).eval()


def llama(transformers: Any) -> Any:
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(WORDS),
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        tie_word_embeddings=True,
    )
    return transformers.LlamaForCausalLM(config).eval()


def tokenizer(transformers: Any) -> Any:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    made = Tokenizer(WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="[UNK]"))  # noqa: S106 - a word
    made.pre_tokenizer = Whitespace()
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made, pad_token="[PAD]", unk_token="[UNK]")  # noqa: S106 - words


IDS = torch.tensor([[4, 5, 6], [4, 8, 1]])


def same(ours: Any, theirs: Any) -> bool:
    with torch.no_grad():
        return torch.equal(ours(input_ids=IDS).logits, theirs(input_ids=IDS).logits)


# ---- there and back


def test_a_model_comes_back_as_what_it_was(transformers: Any, tmp_path: Path) -> None:
    """By the class that its configuration names; ready to be used, not to be trained."""
    model = bert(transformers, num_labels=3)
    metadata = write_model(model, tmp_path)
    again = load_files(tmp_path, metadata)

    assert type(again) is transformers.BertForSequenceClassification
    assert same(model, again)
    assert not again.training
    assert (metadata["format"], metadata["framework"]) == ("pretrained", "transformers")
    assert metadata["versions"].keys() >= {"python", "torch", "transformers", "safetensors"}
    assert metadata["parameters"] == model.num_parameters()
    assert {"config.json", "model.safetensors"} == {path.name for path in tmp_path.iterdir()}


def test_weights_go_into_a_model_that_one_has(transformers: Any, tmp_path: Path) -> None:
    """Also those that share tensors, of which the file has one."""
    model, again = llama(transformers), llama(transformers)
    with torch.no_grad():
        again.model.embed_tokens.weight.zero_()
    metadata = write_model(model, tmp_path)

    assert load_files(tmp_path, metadata, into=again) is again
    assert same(model, again)
    assert same(model, load_files(tmp_path, metadata, into=lambda: llama(transformers)))
    assert same(model, load_files(tmp_path, metadata, into=transformers.AutoModelForCausalLM))


def test_shards_are_one_model(transformers: Any, tmp_path: Path) -> None:
    """For `from_pretrained`, and for a module that takes the weights."""
    model = llama(transformers)
    model.save_pretrained(tmp_path, max_shard_size="1KB")

    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    assert same(model, load_files(tmp_path, {}))
    assert same(model, load_files(tmp_path, {}, into=llama(transformers).train()))


def test_options_are_those_of_from_pretrained(transformers: Any, tmp_path: Path) -> None:
    """Here the type of the numbers."""
    write_model(bert(transformers), tmp_path)

    assert load_files(tmp_path, {}, options={"dtype": torch.float16}).dtype == torch.float16


def test_a_tokenizer_comes_back(transformers: Any, tmp_path: Path) -> None:
    """It alone, and beside a model only if one asks for it."""
    words = tokenizer(transformers)
    (tmp_path / "words").mkdir()
    metadata = write_model(words, tmp_path / "words")
    shutil.copytree(tmp_path / "words", tmp_path / "both")
    write_model(bert(transformers), tmp_path / "both")

    assert load_files(tmp_path / "words", metadata)("the cat").input_ids == [4, 5]
    assert isinstance(load_files(tmp_path / "both", {}), transformers.BertForSequenceClassification)
    assert load_files(tmp_path / "both", {}, into=transformers.AutoTokenizer)("the cat").input_ids == [4, 5]
    assert metadata["framework"] == "transformers"


def test_configurations_and_processors_come_back(transformers: Any, tmp_path: Path) -> None:
    """By the files that are there."""
    things = [
        transformers.BertConfig(hidden_size=8, num_attention_heads=2),
        transformers.GenerationConfig(max_length=7),
        transformers.WhisperFeatureExtractor(feature_size=4),
    ]
    for thing in things:
        folder = tmp_path / type(thing).__name__
        folder.mkdir()
        again = load_files(folder, write_model(thing, folder))

        assert type(again) is type(thing)
        assert {**again.to_dict(), "_name_or_path": ""} == {"_name_or_path": "", **thing.to_dict()}


def test_a_processor_comes_back_with_all_its_parts(transformers: Any, tmp_path: Path) -> None:
    """Here one for sound and one for text."""
    (tmp_path / "vocab.json").write_text(json.dumps({"<pad>": 0, "<s>": 1, "</s>": 2, "<unk>": 3, "|": 4, "A": 5}))
    words = transformers.Wav2Vec2CTCTokenizer(str(tmp_path / "vocab.json"))
    sounds = transformers.Wav2Vec2FeatureExtractor(sampling_rate=8000)
    (tmp_path / "both").mkdir()
    metadata = write_model(transformers.Wav2Vec2Processor(sounds, words), tmp_path / "both")
    again = load_files(tmp_path / "both", metadata)

    assert again.tokenizer("A").input_ids == [5]
    assert again.feature_extractor.sampling_rate == 8000


def test_a_pipeline_comes_back(transformers: Any, tmp_path: Path) -> None:
    """Model and tokenizer, for the same task."""
    pipeline = transformers.pipeline(
        "text-classification", model=bert(transformers), tokenizer=tokenizer(transformers), device="cpu"
    )
    metadata = write_model(pipeline, tmp_path)
    again = load_files(tmp_path, metadata)

    assert metadata["task"] == "text-classification"
    assert metadata["parameters"] == pipeline.model.num_parameters()
    assert again("the cat sat") == pipeline("the cat sat")


def test_the_signature_of_a_batch_is_that_of_its_tensors(transformers: Any) -> None:
    """Outputs that are no tensors, as caches of keys, are left out."""
    model = llama(transformers).train()
    signature = signature_of(model, tokenizer(transformers)(["the cat", "on mat"], return_tensors="pt"))

    assert signature["inputs"]["input_ids"] == {"shape": [None, 2], "dtype": "int64"}
    assert signature["outputs"] == {"logits": {"shape": [None, 2, len(WORDS)], "dtype": "float32"}}
    assert model.training


# ---- adapters


def adapted(base: Any, **more: Any) -> Any:
    import peft

    torch.manual_seed(1)
    model = peft.get_peft_model(base, peft.LoraConfig(r=2, init_lora_weights=False, **more))
    return model.eval()


def test_an_adapter_goes_on_the_base_that_it_names(transformers: Any, tmp_path: Path) -> None:
    """Which lies on this machine; the adapter is small."""
    base, folder = tmp_path / "base", tmp_path / "adapter"
    llama(transformers).save_pretrained(base)
    folder.mkdir()
    model = adapted(transformers.LlamaForCausalLM.from_pretrained(base), task_type="CAUSAL_LM")
    metadata = write_model(model, folder)

    assert metadata["framework"] == "peft"
    assert metadata["trainable"] < metadata["parameters"] / 2
    assert (folder / "adapter_model.safetensors").is_file()
    assert not (folder / "model.safetensors").exists()
    assert same(model, load_files(folder, metadata))
    assert same(model, load_files(folder, metadata, into=llama(transformers)))
    assert same(model, load_files(folder, metadata, into=lambda: llama(transformers)))


def test_an_adapter_without_a_task_names_the_class_of_its_base(transformers: Any, tmp_path: Path) -> None:
    """It is one of transformers, or nothing is loaded."""
    base, folder = tmp_path / "base", tmp_path / "adapter"
    bert(transformers).save_pretrained(base)
    folder.mkdir()
    model = adapted(transformers.BertForSequenceClassification.from_pretrained(base), target_modules=["query"])
    write_model(model, folder)
    again = load_files(folder, {})
    config = json.loads((folder / "adapter_config.json").read_text())

    assert same(model, again)
    for name in ("Popen", "pipeline", "Trainer"):
        config["auto_mapping"]["base_model_class"] = name
        (folder / "adapter_config.json").write_text(json.dumps(config))
        with pytest.raises(ConfigError, match=f"config.json names {name}, which is no model of transformers"):
            load_files(folder, {})


def test_an_adapter_without_its_base_says_what_to_do(transformers: Any, tmp_path: Path) -> None:
    """Nothing is fetched."""
    write_model(adapted(llama(transformers), task_type="CAUSAL_LM"), tmp_path)
    with pytest.raises(ConfigError, match="pass the base model as into="):
        load_files(tmp_path, {})

    config = json.loads((tmp_path / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = "nobody/nothing"
    (tmp_path / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigError, match=r"'nobody/nothing', is not on this machine: .* pass it as into="):
        load_files(tmp_path, {})

    (tmp_path / "adapter_model.safetensors").unlink()
    with pytest.raises(ConfigError, match=r"there are no weights beside adapter_config.json"):
        load_files(tmp_path, {})


# ---- what is not run


class Evil:
    """Writes a file when it is unpickled."""

    def __reduce__(self) -> Any:
        return Path.write_text, (Path("evil"), "it ran")


def assert_nothing_ran() -> None:
    assert not Path("evil").exists()


@pytest.mark.parametrize("legacy", [False, True])
def test_weights_that_are_a_pickle_are_not_loaded(transformers: Any, tmp_path: Path, *, legacy: bool) -> None:
    """Whatever they are called, and whoever is to read them."""
    model = bert(transformers)
    model.config.save_pretrained(tmp_path)
    for name in ("pytorch_model.bin", "adapter_model.bin"):
        torch.save({**model.state_dict(), "x": Evil()}, tmp_path / name, _use_new_zipfile_serialization=not legacy)

    for into in (None, bert(transformers), transformers.BertForSequenceClassification, transformers.AutoModel):
        with pytest.raises(NotTrusted, match=r"_model.bin is not loaded: it holds more.*allow_pickle=True"):
            load_files(tmp_path, {}, into=into)
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    with pytest.raises(NotTrusted):
        load_files(tmp_path, {}, into=bert(transformers))
    assert_nothing_ran()


def test_weights_of_torch_are_loaded_if_they_are_weights_alone(transformers: Any, tmp_path: Path) -> None:
    """As older models have them."""
    model = bert(transformers)
    model.config.architectures = ["BertForSequenceClassification"]
    model.config.save_pretrained(tmp_path)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    (tmp_path / "training_args.bin").write_bytes(pickle.dumps(Evil()))

    assert same(model, load_files(tmp_path, {}))
    assert same(model, load_files(tmp_path, {}, into=bert(transformers)))
    assert_nothing_ran()


def test_code_beside_a_model_is_not_run(transformers: Any, tmp_path: Path) -> None:
    """A configuration may name classes of files that lie beside it."""
    write_model(bert(transformers), tmp_path)
    (tmp_path / "evil.py").write_text("from pathlib import Path\nPath('evil').write_text('it ran')\nclass M: ...\n")
    config = json.loads((tmp_path / "config.json").read_text())
    names = {"AutoModel": "evil.M", "AutoConfig": "evil.M", "AutoModelForSequenceClassification": "evil.M"}

    for more in ({}, {"model_type": "evil"}, {"model_type": "evil", "architectures": None}):
        (tmp_path / "config.json").write_text(json.dumps({**config, "auto_map": names, **more}))
        for into in (None, transformers.AutoModelForSequenceClassification):
            with contextlib.suppress(ValueError):
                load_files(tmp_path, {}, into=into)
    assert_nothing_ran()


@pytest.mark.parametrize(
    ("file", "members"),
    [
        ("config.json", {"architectures": ["Popen"]}),
        ("config.json", {"architectures": ["__class__"]}),
        ("config.json", {"architectures": ["models.auto"]}),
        ("config.json", {"architectures": ["AutoTokenizer"]}),
        ("config.json", {"architectures": []}),
        ("config.json", {"attn_implementation": "nobody/evil"}),
        ("config.json", {"text_config": {"_attn_implementation": "nobody/evil"}}),
        ("adapter_config.json", {"auto_mapping": {"base_model_class": "Popen", "parent_library": "subprocess"}}),
        ("adapter_config.json", {"megatron_config": {"x": 1}, "megatron_core": "evil"}),
    ],
)
def test_names_of_other_code_are_refused(transformers: Any, tmp_path: Path, file: str, members: Any) -> None:
    """Only models of transformers are made, and no kernel is fetched."""
    (tmp_path / "model.safetensors").write_bytes(b"")
    (tmp_path / file).write_text(json.dumps(members))

    with pytest.raises(ConfigError, match=r"which is no model of transformers|code that would be run"):
        load_files(tmp_path, {})
    assert transformers


def test_a_class_of_ones_own_reads_its_own_folder(tmp_path: Path) -> None:
    """As those do that mix in what the hub's library offers."""
    from huggingface_hub import PyTorchModelHubMixin

    class Own(torch.nn.Module, PyTorchModelHubMixin):
        def __init__(self, size: int = 2) -> None:
            super().__init__()
            self.linear = torch.nn.Linear(size, 1)

    model = Own(size=3)
    metadata = write_model(model, tmp_path)

    assert torch.equal(load_files(tmp_path, metadata, into=Own).linear.weight, model.linear.weight)
    with pytest.raises(ConfigError, match=r"config.json names no class.*into="):
        load_files(tmp_path, metadata)
