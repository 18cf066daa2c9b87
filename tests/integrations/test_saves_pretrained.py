"""Saves by transformers, PEFT, accelerate, safetensors, Lightning and Fabric: one program does all, the tests look."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import tracklib

pytestmark = pytest.mark.slow

PROGRAM = """
import os, sys, tempfile
from pathlib import Path

import tracklib
from tracklib.integrations import pretrained, torch as torch_saves
from tracklib.integrations.patching import Patches

early = sys.argv[1] == "early"
if early:  # Before any of the libraries is imported.
    patches = Patches()
    torch_saves.install(patches)
    pretrained.install(patches)

import lightning
import pytorch_lightning
import safetensors.torch
import torch
from accelerate import Accelerator
from lightning.pytorch.demos.boring_classes import BoringModel
from peft import LoraConfig, get_peft_model
from pytorch_lightning.demos.boring_classes import BoringModel as OtherBoringModel
from pytorch_lightning.plugins.io import AsyncCheckpointIO
from tokenizers import Tokenizer, models
from transformers import (
    LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, Trainer, TrainingArguments, ViTImageProcessor,
)

originals = {
    "PreTrainedModel": LlamaForCausalLM.save_pretrained,
    "Trainer": Trainer.save_model,
    "save_file": safetensors.torch.save_file,
}
if not early:
    patches = Patches()
    torch_saves.install(patches)
    pretrained.install(patches)

torch.set_num_threads(1)
config = LlamaConfig(vocab_size=16, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2,
                     num_key_value_heads=2, max_position_embeddings=16)
model = LlamaForCausalLM(config)
tokenizer = PreTrainedTokenizerFast(
    tokenizer_object=Tokenizer(models.WordLevel({"a": 0, "b": 1, "<unk>": 2}, unk_token="<unk>")), unk_token="<unk>",
    pad_token="<unk>",
)
data = [{"input_ids": torch.tensor([1, 2, 3]), "labels": torch.tensor([1, 2, 3])}] * 4


def scenario(function):
    os.makedirs(function.__name__)
    os.chdir(function.__name__)
    with tracklib.start_run(project="saves", name=function.__name__, store=sys.argv[2]):
        function()
    os.chdir("..")


def trainer(*, save="steps", callbacks=()):
    arguments = TrainingArguments("out", max_steps=2, save_steps=2, save_strategy=save, report_to=[], use_cpu=True,
                                  disable_tqdm=True, logging_strategy="no", per_device_train_batch_size=1)
    return Trainer(model, arguments, train_dataset=data, processing_class=tokenizer, callbacks=list(callbacks))


@scenario
def model_alone():
    model.save_pretrained("model")


@scenario
def model_by_keyword():
    model.save_pretrained(save_directory=Path("model"))


@scenario
def shards():
    model.save_pretrained("model", max_shard_size="1KB")


@scenario
def not_the_main_process():
    model.save_pretrained("model", is_main_process=False)


@scenario
def model_and_tokenizer():
    model.save_pretrained("model")
    tokenizer.save_pretrained("model")


@scenario
def tokenizer_alone():
    tokenizer.save_pretrained("my-tokenizer")


@scenario
def processor():
    ViTImageProcessor().save_pretrained("pictures")


@scenario
def config_alone():
    config.save_pretrained("config")


@scenario
def checkpoints_of_a_trainer():
    trainer().train()


@scenario
def model_into_the_folder_of_checkpoints():
    one = trainer()
    one.train()
    one.save_model()


@scenario
def checkpoints_with_our_callback():
    from tracklib.integrations.transformers import TrackCallback
    trainer(callbacks=[TrackCallback()]).train()


@scenario
def model_of_a_trainer():
    trainer(save="no").save_model("final")


@scenario
def adapter():
    lora = get_peft_model(LlamaForCausalLM(config), LoraConfig(target_modules=["q_proj"], r=2))
    lora.save_pretrained("adapter")


@scenario
def optimizer_beside_a_model():
    model.save_pretrained("model")
    torch.save(torch.optim.SGD(model.parameters(), lr=0.1).state_dict(), "model/optimizer.pt")


accelerator = Accelerator(cpu=True)
prepared, optimizer = accelerator.prepare(torch.nn.Linear(2, 2), torch.optim.Adam(torch.nn.Linear(2, 2).parameters()))


@scenario
def state_of_accelerate():
    accelerator.save_state("state")


@scenario
def values_of_accelerate():
    accelerator.save(prepared.state_dict(), "plain.pt")
    accelerator.save(prepared.state_dict(), "safe.safetensors", safe_serialization=True)


@scenario
def model_of_accelerate():
    accelerator.save_model(prepared, "model")


@scenario
def tensors():
    safetensors.torch.save_file({"a": torch.ones(2)}, "tensors.safetensors")
    safetensors.torch.save_file(tensors={"a": torch.ones(2)}, filename=Path("more.safetensors"))


@scenario
def module_to_safetensors():
    safetensors.torch.save_model(torch.nn.Linear(2, 2), "linear.safetensors")


def fit(tree, boring, *callbacks, **options):
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu", "logger": False}
    one = tree.Trainer(max_steps=2, limit_val_batches=0, callbacks=list(callbacks), **{**quiet, **options})
    one.fit(boring)
    return one


@scenario
def lightning_by_hand():
    fit(lightning, BoringModel(), enable_checkpointing=False).save_checkpoint(filepath="by-hand.ckpt")


@scenario
def pytorch_lightning_by_hand():
    done = fit(pytorch_lightning, OtherBoringModel(), enable_checkpointing=False)
    done.save_checkpoint("by-hand.ckpt", weights_only=True)


@scenario
def lightning_by_callback():
    fit(lightning, BoringModel(), lightning.pytorch.callbacks.ModelCheckpoint("kept", filename="last"))


@scenario
def lightning_on_another_thread():
    fit(pytorch_lightning, OtherBoringModel(), pytorch_lightning.callbacks.ModelCheckpoint("kept", filename="last"),
        plugins=[AsyncCheckpointIO()])


@scenario
def lightning_with_our_logger():
    from tracklib.integrations.lightning import TrackLogger
    fit(lightning, BoringModel(), lightning.pytorch.callbacks.ModelCheckpoint("kept", filename="last"),
        logger=TrackLogger())


@scenario
def fabric():
    one = lightning.Fabric(accelerator="cpu", devices=1)
    one.save("fabric.ckpt", {"model": torch.nn.Linear(2, 2), "epoch": 1})


@scenario
def model_kept_by_us():
    tracklib.log_model(model, "kept")


@scenario
def failing():
    Path("file").write_text("")
    model.save_pretrained("file")  # It complains and returns.
    tokenizer.save_pretrained("file")
    try:
        safetensors.torch.save_file({"a": torch.ones(2)}, "missing/tensors.safetensors")
    except Exception as error:
        print("raised", type(error).__name__)


def loaded_back():
    with tracklib.start_run(project="loaded", store=sys.argv[2]):
        model.save_pretrained("model-1")
        tokenizer.save_pretrained("model-1")
        lora = get_peft_model(LlamaForCausalLM(config), LoraConfig(target_modules=["q_proj"], r=2))
        lora.save_pretrained("adapter")
        tokenizer.save_pretrained("words")
        safetensors.torch.save_file({"a.weight": torch.ones(2)}, "tensors-7.safetensors")
        accelerator.save_state("state")
    load = lambda name, **more: tracklib.load_model(f"loaded/{name}", store=sys.argv[2], **more)
    state = load("model").state_dict()
    assert all(torch.equal(state[name], tensor) for name, tensor in model.state_dict().items())
    assert load("model", into=PreTrainedTokenizerFast).get_vocab() == tokenizer.get_vocab()
    assert type(load("adapter", into=LlamaForCausalLM(config))).__name__.startswith("Peft")
    assert load("words-tokenizer").get_vocab() == tokenizer.get_vocab()
    assert load("tensors.safetensors")["a.weight"].tolist() == [1.0, 1.0]
    assert set(load("state")) == {"weight", "bias"}


if os.environ.get("TRACKLIB_LOG_MODELS") != "reference":
    loaded_back()

patches.undo()
if not early:
    assert LlamaForCausalLM.save_pretrained is originals["PreTrainedModel"]
    assert Trainer.save_model is originals["Trainer"]
    assert safetensors.torch.save_file is originals["save_file"]
    assert "save_pretrained" not in vars(ViTImageProcessor)
print("all done")
"""

EXPECTED: dict[str, list[tuple[str, str]]] = {
    "model_alone": [("model", "model")],
    "model_by_keyword": [("model", "model")],
    "shards": [("model", "model")],
    "not_the_main_process": [],
    "model_and_tokenizer": [("model", "model"), ("model-tokenizer", "tokenizer")],
    "tokenizer_alone": [("my-tokenizer", "tokenizer")],
    "processor": [("pictures-processor", "processor")],
    "config_alone": [],
    "checkpoints_of_a_trainer": [("checkpoint", "checkpoint")],
    "model_into_the_folder_of_checkpoints": [("checkpoint", "checkpoint"), ("out", "model")],
    "model_of_a_trainer": [("final", "model")],
    "adapter": [("adapter", "model")],
    "optimizer_beside_a_model": [("model", "model")],
    "state_of_accelerate": [("state", "checkpoint")],
    "values_of_accelerate": [("plain.pt", "model"), ("safe.safetensors", "model")],
    "model_of_accelerate": [("model", "model")],
    "tensors": [("more.safetensors", "model"), ("tensors.safetensors", "model")],
    "module_to_safetensors": [("linear.safetensors", "model")],
    "lightning_by_hand": [("by-hand.ckpt", "checkpoint")],
    "pytorch_lightning_by_hand": [("by-hand.ckpt", "model")],
    "lightning_by_callback": [("last.ckpt", "checkpoint")],
    "lightning_on_another_thread": [("last.ckpt", "checkpoint")],
    "fabric": [("fabric.ckpt", "checkpoint")],
    "model_kept_by_us": [("kept", "model")],
    "failing": [],
}


def run_program(folder: Path, order: str) -> str:
    """Run the program; return the URI of its store."""
    script, store = folder / "program.py", f"sqlite:///{folder}/runs.db"
    script.write_text(PROGRAM)
    quiet = {
        f"TRACKLIB_{name}": "0" for name in ("AUTO_LOG_GIT", "AUTO_LOG_ENV", "AUTO_LOG_CONSOLE", "SYSTEM_INTERVAL")
    }
    policy = {"early": "reference", "late": "end"}[order]
    environ = {**os.environ, **quiet, "HF_HUB_OFFLINE": "1", "TRACKLIB_LOG_MODELS": policy}
    work = folder / "work"
    work.mkdir()
    command = [sys.executable, "-W", "ignore", str(script), order, store]
    done = subprocess.run(command, cwd=work, env=environ, capture_output=True, text=True, check=False, timeout=280)
    assert "all done" in done.stdout, done.stdout + done.stderr
    assert "and the training goes on" not in done.stderr
    return store


@pytest.fixture(scope="module", params=["early", "late"], name="store")
def _store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the store of the program: with our hooks before and after the imports of the libraries.

    Saves are noted the first time, and the second time the last states are stored.
    """
    return run_program(tmp_path_factory.mktemp(request.param), request.param)


def saved(store: str, name: str) -> list[tuple[str, str]]:
    """Return names and types; what was noted before it was stored counts once."""
    artifacts = tracklib.get_run(f"saves/default/{name}", store=store).artifacts
    copies = [(each.path, each.type) for each in artifacts if not each.is_reference]
    kept = [each for each in artifacts if not each.is_reference or (each.path, each.type) not in copies]
    return sorted((each.name, each.type) for each in kept)


def test_each_save_is_recorded_once(store: str) -> None:
    """Neither files within a save are recorded, nor what was not saved."""
    assert {name: saved(store, name) for name in EXPECTED} == EXPECTED


@pytest.mark.parametrize("name", ["checkpoints_with_our_callback", "lightning_with_our_logger"])
def test_what_our_own_callback_reports_is_not_recorded_again(store: str, name: str) -> None:
    """There is one record of the one checkpoint."""
    checkpoints = [pair for pair in saved(store, name) if pair[1] == "checkpoint"]

    assert len(checkpoints) == 1


def test_all_files_of_a_folder_are_noted(store: str) -> None:
    """With the SHA-256 that they have on the disk, also the optimizer that was saved afterwards."""
    *_, artifact = tracklib.get_run("saves/default/optimizer_beside_a_model", store=store).artifacts
    on_disk = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in Path(artifact.path).iterdir()}

    assert {file.path: file.checksum for file in artifact.files} == on_disk
    assert {"optimizer.pt", "config.json", "model.safetensors"} <= on_disk.keys()


def test_a_checkpoint_knows_its_step_and_class(store: str) -> None:
    """Where the trainer that saves it knows them."""
    by_transformers = tracklib.get_run("saves/default/checkpoints_of_a_trainer", store=store).artifacts[0]
    by_lightning = tracklib.get_run("saves/default/lightning_by_hand", store=store).artifacts[0]

    assert (by_transformers.step, by_lightning.step) == (2, 2)
    assert by_transformers.metadata["class"] == "transformers.models.llama.modeling_llama.LlamaForCausalLM"
    assert by_lightning.metadata["framework"] == "lightning"


def test_a_checkpoint_that_another_thread_writes_is_noted_in_full(store: str) -> None:
    """It is waited for."""
    *_, artifact = tracklib.get_run("saves/default/lightning_on_another_thread", store=store).artifacts

    assert artifact.checksum
    assert "problem" not in artifact.metadata


def test_an_adapter_names_its_framework(store: str) -> None:
    """It is no full model."""
    *_, artifact = tracklib.get_run("saves/default/adapter", store=store).artifacts

    assert (artifact.metadata["framework"], artifact.metadata["adapter"]) == ("peft", True)


def test_a_model_is_stored_without_what_lies_in_its_folder(store: str) -> None:
    """A Trainer that is told no folder saves its model where its checkpoints are."""
    artifacts = tracklib.get_run("saves/default/model_into_the_folder_of_checkpoints", store=store).artifacts

    for artifact in (each for each in artifacts if each.name == "out" and not each.is_reference):
        assert {"config.json", "model.safetensors"} <= {file.path for file in artifact.files}
        assert not any("checkpoint" in file.path for file in artifact.files)
    assert len(artifacts) >= 2


def test_what_a_model_is_loaded_by_is_noted(store: str) -> None:
    """Whether it is a folder for `from_pretrained`, or a file of weights."""
    found = {}
    for name in ("model_alone", "model_and_tokenizer", "adapter", "tensors", "state_of_accelerate", "fabric"):
        artifacts = tracklib.get_run(f"saves/default/{name}", store=store).artifacts
        found[name] = {artifact.metadata.get("format") for artifact in artifacts}

    assert found == {
        "model_alone": {"pretrained"},
        "model_and_tokenizer": {"pretrained"},
        "adapter": {"pretrained"},
        "tensors": {"state_dict"},
        "state_of_accelerate": {None},
        "fabric": {None},
    }
