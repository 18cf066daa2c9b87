"""The command line of programs, as params: real programs with real parsers, and the words alone."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tracklib
from tracklib.integrations.argv import argv_params, typed

LISTENING = """
import atexit, sys
import tracklib
from tracklib.integrations import arguments, hydra
from tracklib.integrations.patching import Patches

before = set(sys.modules)
arguments.install(patches := Patches())
hydra.install(patches)
quiet = dict(system_interval=0, auto_log_git=False, auto_log_env=False)
run = tracklib.start_run(project="arguments", name="program", store="sqlite:///runs.db", **quiet)
atexit.register(arguments.fallback, run)
assert not {"click", "typer", "fire", "hydra", "omegaconf", "jsonargparse"} & (set(sys.modules) - before)
"""
Params = Callable[..., dict[str, Any]]


@pytest.fixture(name="params")
def _params(tmp_path: Path) -> Params:
    """Return a function that runs a program with these words and returns its params."""

    def params(source: str, *words: str, expect: int = 0) -> dict[str, Any]:
        done = run_program(tmp_path, source, *words)
        assert done.returncode == expect, done.stderr
        assert "tracklib" not in done.stderr, done.stderr
        return dict(tracklib.get_run("latest", store=f"sqlite:///{tmp_path}/runs.db").params)

    return params


def run_program(folder: Path, source: str, *words: str) -> subprocess.CompletedProcess[str]:
    (folder / "listening.py").write_text(LISTENING)
    (folder / "train.py").write_text(source)
    return subprocess.run(
        [sys.executable, "-W", "ignore", "train.py", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )


class TestArgparse:
    """Programs that use argparse, in the ways that there are."""

    def test_namespace(self, params: Params) -> None:
        """What is parsed is recorded with its types, defaults too, secrets masked; what a library parses is not."""
        found = params(
            """
import listening
import argparse, json.tool, sys
parser = argparse.ArgumentParser()
parser.add_argument("-b", "--batch-size", type=int, default=8)
parser.add_argument("--lr", type=float, dest="learning_rate")
parser.add_argument("--api-key")
parser.add_argument("--layers", type=int, nargs="*")
parser.add_argument("file")
unasked = argparse.ArgumentParser()
unasked.add_argument("--unasked")
assert unasked.parse_args(["--unasked", "1"]).unasked == "1"  # Not from the command line.
words, sys.argv[1:] = sys.argv[1:], ["-h"]
try:
    json.tool.main()  # A library's own parser.
except SystemExit:
    pass
sys.argv[1:] = words
args = parser.parse_args()
assert vars(args).keys() == {"batch_size", "learning_rate", "api_key", "layers", "file"}
late = argparse.ArgumentParser(add_help=False)
late.add_argument("--late", default=1)
late.parse_known_args()
""",
            *("--lr", "1e-3", "--api-key", "hunter2", "data.csv", "--layers", "3", "4"),
        )

        assert "hunter2" not in str(found.pop("api_key"))
        assert found == {"batch_size": 8, "learning_rate": 0.001, "layers": [3, 4], "file": "data.csv"}

    def test_two_stages(self, params: Params) -> None:
        """A second parser counts that parses what the first left over."""
        found = params(
            """
import listening
from argparse import ArgumentParser
first = ArgumentParser(add_help=False)
first.add_argument("--config")
config, rest = first.parse_known_args()
second = ArgumentParser(parents=[first])
second.add_argument("--lr", type=float)
second.add_argument("--epochs", type=int, default=3)
second.parse_args(rest)
""",
            *("--lr", "0.5", "--config", "a.yaml"),
        )

        assert found["lr"] == 0.5
        assert found["epochs"] == 3

    def test_subcommands(self, params: Params) -> None:
        """A subcommand and its options are in the namespace."""
        found = params(
            """
import listening
import argparse
parser = argparse.ArgumentParser()
commands = parser.add_subparsers(dest="command")
train = commands.add_parser("train")
train.add_argument("--lr", type=float)
parser.parse_args()
""",
            *("train", "--lr", "2"),
        )

        assert found == {"command": "train", "lr": 2.0}

    def test_wrong_use(self, tmp_path: Path) -> None:
        """The parser's own words and exit status reach the user, and the words alone are recorded."""
        done = run_program(
            tmp_path, "import listening, argparse\nargparse.ArgumentParser().parse_args()\n", "--lr", "1"
        )

        assert done.returncode == 2
        assert "unrecognized arguments: --lr 1" in done.stderr
        assert tracklib.get_run("latest", store=f"sqlite:///{tmp_path}/runs.db").params == {"lr": 1}

    def test_parsed_without_a_run(self, params: Params) -> None:
        """What was parsed before there was a run is given to the one that ends."""
        found = params(
            """
import listening, tracklib, argparse, atexit
tracklib.end_run()
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
parser.parse_args()
run = tracklib.start_run(project="arguments", store="sqlite:///runs.db", **listening.quiet)
listening.arguments.fallback(run)
""",
            *("--lr", "1"),
        )

        assert found == {"lr": 1.0}

    @pytest.mark.slow
    def test_dataclasses(self, params: Params) -> None:
        """What `HfArgumentParser` asks argparse for is the program's, not a library's."""
        found = params(
            """
import listening
from dataclasses import dataclass
from transformers.hf_argparser import HfArgumentParser

@dataclass
class Arguments:
    lr: float = 0.1
    fast: bool = False

arguments, = HfArgumentParser(Arguments).parse_args_into_dataclasses()
assert arguments.fast
""",
            *("--fast", "True"),
        )

        assert found == {"lr": 0.1, "fast": True}


CLICK = """
import listening
import click

@click.group()
@click.option("--seed", default=1)
def app(seed): ...

@app.command()
@click.option("--lr", type=float)
@click.argument("file")
@click.pass_context
def train(context, lr, file):
    context.invoke(other, unasked=3)
    other.main(["--unasked", "4"], standalone_mode=False)

@click.command()
@click.option("--unasked", type=int)
def other(unasked): ...

app()
"""
TYPER = """
import listening
from enum import Enum
from pathlib import Path
import typer

class Kind(str, Enum):
    small = "small"

app = typer.Typer()

@app.command()
def train(file: Path, lr: float = 0.1, kind: Kind = Kind.small, fast: bool = False):
    assert kind is Kind.small and fast

app()
"""
FIRE = """
import listening
import fire

class Trainer:
    def __init__(self, lr=0.1, layers=(1, 2)):
        self.lr = lr

    def fit(self, epochs, *files, **more):
        assert (self.lr, epochs, files, more) == (0.5, 3, ("a.csv",), {"seed": 7})

fire.Fire(Trainer)
"""


class TestCommands:
    """Programs whose functions are their commands."""

    def test_click(self, params: Params) -> None:
        """The params of the group and the command are recorded, and not those of what a command calls itself."""
        found = params(CLICK, "train", "--lr", "0.5", "data.csv")

        assert found == {"seed": 1, "lr": 0.5, "file": "data.csv"}

    def test_typer(self, params: Params) -> None:
        """So are those of typer, which brings a copy of click."""
        found = params(TYPER, "data.csv", "--fast")

        assert found == {"file": "data.csv", "lr": 0.1, "kind": "small", "fast": True}

    def test_fire(self, params: Params) -> None:
        """What fire calls a class and its method with is recorded, defaults too."""
        found = params(FIRE, "--lr", "0.5", "fit", "3", "a.csv", "--seed", "7")

        assert found == {"lr": 0.5, "layers": [1, 2], "epochs": 3, "files": ["a.csv"], "seed": 7}

    def test_fire_without_a_component(self, params: Params) -> None:
        """`fire.Fire()` still finds the functions of the program."""
        source = (
            "import listening, fire\ndef train(lr=1):\n    print(lr)\nif __name__ == '__main__':\n    fire.Fire()\n"
        )

        assert params(source, "train", "--lr", "3") == {"lr": 3}


HYDRA = """
import listening
import hydra, sys
import tracklib

@hydra.main(version_base=None, config_path=".", config_name="config")
def main(config):
    tracklib.log({"loss": config.model.lr}, step=0)
    if config.model.lr > 5:
        raise ValueError("too fast")

main()
"""
CONFIG = """
model:
  lr: 0.1
  double: ${model.depth}
  depth: 2
  broken: ???
hydra:
  output_subdir: null
  run: {dir: out}
  sweep: {dir: sweep}
"""


class TestHydra:
    """Programs with `@hydra.main`."""

    @pytest.fixture(autouse=True)
    def _config(self, tmp_path: Path) -> None:
        (tmp_path / "config.yaml").write_text(CONFIG)

    def test_one_run(self, params: Params) -> None:
        """The configuration is recorded, resolved, in place of the words."""
        found = params(HYDRA, "model.lr=0.5", "+seed=1")

        assert found == {"model": {"lr": 0.5, "double": 2, "depth": 2, "broken": "???"}, "seed": 1}

    def test_many_runs(self, tmp_path: Path) -> None:
        """Each job is a run that is nested in that of the program; one that raises has failed."""
        done = run_program(tmp_path, HYDRA, "--multirun", "model.lr=1,9")
        assert done.returncode == 1
        assert "too fast" in done.stderr

        store = f"sqlite:///{tmp_path}/runs.db"
        sweep = tracklib.get_run("program", store=store)
        jobs = list(tracklib.list_runs(store=store, parent=sweep.id, order_by="started_at", descending=False))
        assert sweep.params == {}
        assert [(job.name, job.params["model"]["lr"], job.metrics["loss"].last, str(job.status)) for job in jobs] == [
            ("model.lr=1", 1, 1.0, "completed"),
            ("model.lr=9", 9, 9.0, "failed"),
        ]

    def test_own_runs_of_many(self, tmp_path: Path) -> None:
        """A job that starts a run itself has just this one."""
        source = HYDRA.replace("    tracklib.log(", "    tracklib.start_run(name='mine')\n    tracklib.log(")
        run_program(tmp_path, source, "--multirun", "model.lr=1,2")

        store = f"sqlite:///{tmp_path}/runs.db"
        sweep = tracklib.get_run("program", store=store)
        jobs = list(tracklib.list_runs(store=store, parent=sweep.id, order_by="started_at", descending=False))
        assert [(job.name, job.params["model"]["lr"]) for job in jobs] == [("mine", 1), ("mine", 2)]
        assert len(list(tracklib.list_runs(store=store))) == 3

    def test_omegaconf(self, params: Params) -> None:
        """A configuration that a program makes of its command line itself counts too."""
        found = params("import listening\nfrom omegaconf import OmegaConf\nOmegaConf.from_cli()\n", "model.lr=0.5")

        assert found == {"model": {"lr": 0.5}}


LIGHTNING = """
import listening
from lightning.pytorch import LightningModule
from lightning.pytorch.cli import LightningCLI

class Model(LightningModule):
    def __init__(self, width: int = 4):
        super().__init__()

cli = LightningCLI(Model, run=False, save_config_callback=None, trainer_defaults={"logger": False})
"""


class TestConfiguredParsers:
    """Parsers of jsonargparse, alone and below Lightning."""

    def test_jsonargparse(self, params: Params) -> None:
        """What jsonargparse makes of the command line is recorded, nested."""
        source = (
            "import listening\nfrom jsonargparse import auto_cli\n"
            "def train(lr: float = 0.1, layers: list[int] = [1]): ...\nauto_cli(train)\n"
        )

        assert params(source, "--layers", "[2,3]") == {"config": None, "lr": 0.1, "layers": [2, 3]}

    @pytest.mark.slow
    @pytest.mark.parametrize("tree", ["lightning.pytorch", "pytorch_lightning"])
    def test_lightning_cli(self, params: Params, tree: str) -> None:
        """The configuration of a `LightningCLI` is recorded, of both packages."""
        found = params(
            LIGHTNING.replace("lightning.pytorch", tree), "--model.width", "8", "--trainer.accelerator", "cpu"
        )

        assert found["model"] == {"width": 8}
        assert found["trainer"]["accelerator"] == "cpu"
        assert found["trainer"]["max_epochs"] is None


def test_words_alone(params: Params) -> None:
    """A program that reads its command line itself gets the words as params."""
    found = params("import listening, sys\nassert len(sys.argv) == 4\n", "data.csv", "--lr=1e-3", "--fast")

    assert found == {"args": ["data.csv"], "lr": 0.001, "fast": True}


NAMES = st.from_regex(r"[a-z][a-z0-9]{0,8}(-[a-z]{1,4})?", fullmatch=True).filter(lambda name: name != "args")
VALUES = st.one_of(
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.from_regex(r"[a-z/][a-z/._ ]{0,10}", fullmatch=True).filter(lambda text: text not in {"true", "false"}),
)


class TestWords:
    """`argv_params`."""

    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            ((), {}),
            (("--lr", "1e-3"), {"lr": 0.001}),
            (("--lr", "-1"), {"lr": -1}),
            (("-b", "8", "-v"), {"b": 8, "v": True}),
            (("--no-cuda",), {"no_cuda": True}),
            (("--name=a=b",), {"name": "a=b"}),
            (("--tag", "a", "--tag", "b"), {"tag": ["a", "b"]}),
            (("--multirun", "model.lr=1", "++model.depth=2"), {"multirun": True, "model": {"lr": 1, "depth": 2}}),
            (("a.b=1", "a=2", "a.b.c=3"), {"a": 2, "a.b": 1, "a.b.c": 3}),
            (("--a..b", "1", "--c."), {"a..b": 1, "c.": True}),
            (("train", "7", "--", "--not", "x=1"), {"args": ["train", 7, "--not", "x=1"]}),
            (("s3://bucket?x=1", "007", "+5"), {"args": ["s3://bucket?x=1", "007", 5]}),
            (("--fast", "False"), {"fast": False}),
        ],
    )
    def test_examples(self, words: tuple[str, ...], expected: dict[str, Any]) -> None:
        """Each way to say a param is understood."""
        assert argv_params(words) == expected

    @given(st.dictionaries(NAMES, VALUES), st.sampled_from(["--{}={}", "--{} {}", "{}={}"]))
    def test_what_is_said_is_found(self, values: dict[str, Any], way: str) -> None:
        """Names and values that are written in any of the ways come back with their types."""
        words = []
        for name, value in values.items():
            option, *rest = way.split(" ")
            words += [option.format(name, value), *(each.format(value) for each in rest)]

        expected = {name.replace("-", "_"): value for name, value in values.items()}
        assert argv_params(words) == expected

    @given(st.lists(st.text()))
    def test_anything_goes(self, words: list[str]) -> None:
        """No command line is an error, and no word that stands alone is lost."""
        found = argv_params(words)

        assert isinstance(found, dict)
        assert all(isinstance(name, str) for name in found)

    @given(st.text())
    def test_text_stays(self, text: str) -> None:
        """What is no number or flag stays as it is."""
        value = typed(text)

        assert value == text if isinstance(value, str) else text.strip() == text
