"""Trainers that derive from the one of transformers, models with adapters, and trainings in several processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import tracklib
from tracklib import StoredRun

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
PROGRAM = """
import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast, Seq2SeqTrainer, Seq2SeqTrainingArguments, T5Config
from transformers import BertConfig, BertForSequenceClassification, T5ForConditionalGeneration
from trl import GRPOConfig, GRPOTrainer, SFTConfig, SFTTrainer
from tiny_transformers import Lines, Trainer, tiny_arguments, tiny_model, tiny_trainer
from tracklib.integrations.transformers import TrackCallback

words = {word: number for number, word in enumerate(["<pad>", "<eos>", "<unk>", "a", "b", "c", "d"])}
plain = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
plain.pre_tokenizer = pre_tokenizers.Whitespace()
tokenizer = PreTrainedTokenizerFast(tokenizer_object=plain, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>")
usual = {"max_steps": 2, "logging_steps": 1, "use_cpu": True, "disable_tqdm": True, "save_strategy": "no",
         "report_to": "none", "bf16": False}

lora = LoraConfig(r=2, target_modules={"q_proj", "v_proj"}, task_type="CAUSAL_LM")
SFTTrainer(
    model=tiny_model(), processing_class=tokenizer, peft_config=lora,
    train_dataset=Dataset.from_dict({"text": ["a b c d"] * 8}), eval_dataset=Dataset.from_dict({"text": ["a b"] * 4}),
    args=SFTConfig(output_dir="sft", per_device_train_batch_size=2, eval_strategy="steps", eval_steps=2,
                   max_length=8, **{**usual, "save_strategy": "steps", "save_steps": 2}),
    callbacks=[TrackCallback(project="sft")],
).train()

GRPOTrainer(
    model=tiny_model(), processing_class=tokenizer, reward_funcs=lambda completions, **_: [0.5] * len(completions),
    train_dataset=Dataset.from_dict({"prompt": ["a b", "c d"] * 4}),
    args=GRPOConfig(output_dir="grpo", per_device_train_batch_size=2, num_generations=2, log_completions=True,
                    max_completion_length=3, **usual),
    callbacks=[TrackCallback(project="grpo")],
).train()

class Pairs(Lines):
    def __getitem__(self, index):
        return {"input_ids": self.ids[index], "labels": self.ids[index] % 2}

size = {"d_model": 8, "d_kv": 4, "d_ff": 8, "num_layers": 1, "num_heads": 2}
Seq2SeqTrainer(
    model=T5ForConditionalGeneration(T5Config(vocab_size=32, decoder_start_token_id=0, **size)),
    train_dataset=Pairs(), eval_dataset=Pairs(4),
    args=Seq2SeqTrainingArguments("seq2seq", eval_strategy="steps", eval_steps=2, **usual),
    callbacks=[TrackCallback(project="seq2seq")],
).train()

class Labelled(Lines):
    def __getitem__(self, index):
        return {"input_ids": self.ids[index], "labels": self.ids[index][0] % 2}

size = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
classifier = BertForSequenceClassification(BertConfig(vocab_size=32, **size))
Trainer(classifier, tiny_arguments("classes"), train_dataset=Labelled(), eval_dataset=Labelled(4),
        callbacks=[TrackCallback(project="classes")]).evaluate()

class Bare(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(8, 1)
    def forward(self, input_ids, labels=None):
        return {"loss": self.layer(input_ids.float()).pow(2).mean()}

Trainer(Bare(), tiny_arguments("bare", save_strategy="steps"), train_dataset=Lines(),
        callbacks=[TrackCallback(project="bare")]).train()
"""
IN_RANKS = """
from tiny_transformers import Lines, tiny_trainer
from tracklib.integrations.transformers import TrackCallback

trainer = tiny_trainer("ranks", TrackCallback(project="ranks"), eval_strategy="steps", eval_steps=2,
                       save_strategy="steps", save_steps=2)
trainer.evaluate()
trainer.train()
trainer.predict(Lines(8))
"""


def run_program(source: str, folder: Path, *before: str) -> None:
    silent = {f"TRACKLIB_{name}": "0" for name in ("AUTO_LOG_GIT", "AUTO_LOG_ENV", "AUTO_LOG_CONSOLE")}
    settings = {"TRACKLIB_STORE": store_of(folder), "TRACKLIB_SYSTEM_INTERVAL": "0", "HF_HUB_OFFLINE": "1", **silent}
    folder.joinpath("program.py").write_text(source)
    command = [sys.executable, "-W", "ignore", *before, "program.py"]
    environment = {**os.environ, "PYTHONPATH": str(HERE), **settings}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=280
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the training goes on" not in done.stderr, done.stderr


def store_of(folder: Path) -> str:
    return f"sqlite:///{folder}/runs.db"


@pytest.fixture(scope="module", name="folder")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kin")
    run_program(PROGRAM, folder)
    return folder


def run_of(folder: Path, project: str) -> StoredRun:
    (run,) = tracklib.list_runs(store=store_of(folder), project=project)
    return run


def test_supervised_fine_tuning_with_adapters(folder: Path) -> None:
    """TRL's trainer adds its own metrics; the adapters are params, and the trainable parameters are theirs."""
    run = run_of(folder, "sft")

    parameters = run.params["parameters"]
    assert {"train/loss", "train/mean_token_accuracy", "eval/loss", "eval/perplexity"} <= set(run.metrics)
    assert run.params["peft"]["default"]["target_modules"] == ["q_proj", "v_proj"]
    assert run.params["model"]["class"] == "LlamaForCausalLM"
    assert 0 < parameters["trainable"] < parameters["total"]
    assert "adapter_model.safetensors" in run.read_artifact("model")


def test_completions_are_noted_as_tables(folder: Path) -> None:
    """The tables that TRL writes of what was generated are references, by their steps; rewards are metrics."""
    run = run_of(folder, "grpo")

    tables = [artifact for artifact in run.artifacts if artifact.name == "completions"]
    assert [(table.type, table.step) for table in tables] == [("table", 1), ("table", 2)]
    assert tables[0].path == str(folder / "grpo" / "completions" / "completions_00001.parquet")
    assert run.metrics["train/reward"].last == pytest.approx(0.5)


def test_sequence_to_sequence_trainings_are_recorded(folder: Path) -> None:
    """Their Trainer is one like the others."""
    run = run_of(folder, "seq2seq")

    assert (run.status, run.params["model"]["class"]) == ("completed", "T5ForConditionalGeneration")
    assert run.metrics["eval/loss"].count == 1


def test_a_classifier_has_no_perplexity(folder: Path) -> None:
    """The exponential of its loss means nothing."""
    names = set(run_of(folder, "classes").metrics)

    assert "eval/loss" in names
    assert "eval/perplexity" not in names


def test_a_model_that_is_only_a_module_is_recorded(folder: Path) -> None:
    """What has no configuration has a class and a size."""
    run = run_of(folder, "bare")

    assert run.params["model"] == {"class": "Bare"}
    assert run.params["parameters"] == {"total": 9, "trainable": 9}
    assert (run.status, run.metrics["train/loss"].count) == ("completed", 4)


def test_processes_of_a_job_make_one_run(tmp_path: Path) -> None:
    """Of two processes the first one records, each value once, and the other is seen to take part."""
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    run_program(IN_RANKS, tmp_path, *torchrun)

    run = run_of(tmp_path, "ranks")
    assert run.status == "completed"
    assert run.series("train/loss", every=True).steps.tolist() == [1, 2, 3, 4]
    assert run.series("eval/loss", every=True).steps.tolist() == [0, 2, 4]
    assert [artifact.step for artifact in run.artifacts if artifact.type == "checkpoint"] == [2, 4]
    assert sorted({writer.rank for writer in run.info.writers}) == [0, 1]
    assert run.series("train/samples_per_second").values[0] * run.series("train/step_time_s").values[
        0
    ] == pytest.approx(8)
