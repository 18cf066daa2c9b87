"""Files, text, figures, tables and models: what is kept of them, and that it is whole."""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import re
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import polars as pl
import pyarrow as pa
import pytest
import torch
from matplotlib.figure import Figure
from pyarrow import parquet

import tracklib
from tracklib.errors import ConfigError, CorruptData, NotFound

if TYPE_CHECKING:
    from tracklib.model import Artifact

pytestmark = pytest.mark.usefixtures("bare")


def kept(run: tracklib.Run) -> tuple[Artifact, dict[str, bytes]]:
    """Return the only artifact of a run that has ended, and its files."""
    stored = tracklib.get_run(run)
    (artifact,) = stored.artifacts
    return artifact, stored.read_artifact(artifact.name)


def blobs() -> list[Path]:
    return sorted(path for path in Path(".tracklib/blobs").rglob("*") if path.is_file())


# ---- files and folders


def test_a_file_is_kept_whole() -> None:
    """Under the SHA-256 of its content, with name, type, size, path, step and metadata."""
    Path("train.csv").write_bytes(b"a,b\n1,2\n")
    checksum = hashlib.sha256(b"a,b\n1,2\n").hexdigest()
    with tracklib.start_run() as run:
        run.log_artifact("train.csv", "data/train", type="dataset", metadata={"rows": 1, "limit": math.inf}, step=3)
        Path("train.csv").write_bytes(b"changed")

    artifact, files = kept(run)
    assert files == {"train.csv": b"a,b\n1,2\n"}
    assert (artifact.name, artifact.type, artifact.size, artifact.path) == ("data/train", "dataset", 8, "train.csv")
    assert (artifact.project, artifact.version) == (run.project, 0)
    assert (artifact.step, artifact.metadata, artifact.run) == (3, {"rows": 1, "limit": math.inf}, run.id)
    assert [(file.path, file.size, file.checksum) for file in artifact.files] == [("train.csv", 8, checksum)]
    assert blobs() == [Path(f".tracklib/blobs/{checksum[:2]}/{checksum}")]
    assert artifact.created_at >= (tracklib.get_run(run).started_at or math.inf)


def test_the_same_content_is_stored_once() -> None:
    """Under however many names and in however many runs."""
    Path("a").write_bytes(b"same")
    Path("b").write_bytes(b"same")
    for _ in range(2):
        with tracklib.start_run() as run:
            run.log_artifact("a")
            run.log_artifact("b", "other")
            run.log_text("same", "c")

    assert len(blobs()) == 1
    assert [artifact.name for artifact in tracklib.get_run(run).artifacts] == ["a", "other", "c"]


def test_a_folder_is_kept_with_all_that_is_in_it() -> None:
    """By relative paths; the checksum is that of the list of its files."""
    for name, content in (
        ("model/a.txt", "1"),
        ("model/deep/er/b.txt", "2"),
        ("model/empty", ""),
        ("model/.hidden", "3"),
    ):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(content)
    with tracklib.start_run() as run:
        run.log_artifact(Path("model"))

    artifact, files = kept(run)
    assert files == {"a.txt": b"1", "deep/er/b.txt": b"2", "empty": b"", ".hidden": b"3"}
    assert (artifact.name, artifact.type, artifact.size) == ("model", "file", 3)
    lines = "".join(f"{file.checksum} {json.dumps(file.path)}\n" for file in artifact.files)
    assert artifact.checksum == hashlib.sha256(lines.encode()).hexdigest()


@pytest.mark.parametrize(
    ("path", "name"), [(".", "here"), ("../here", "here"), ("inner/..", "here"), ("inner/", "inner")]
)
def test_a_folder_has_a_name_however_it_is_written(path: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the folder of a store is no part of what is kept."""
    Path("here/inner").mkdir(parents=True)
    monkeypatch.chdir("here")
    Path("inner/x").write_text("x")
    with tracklib.start_run() as run:
        run.log_artifact(path)

    artifact, files = kept(run)
    assert artifact.name == name
    assert list(files.values()) == [b"x"]


def test_a_link_is_what_it_leads_to() -> None:
    """Under its own name; one that leads nowhere is passed over."""
    Path("epoch-7.ckpt").write_text("weights")
    Path("folder").mkdir()
    Path("last.ckpt").symlink_to("epoch-7.ckpt")
    Path("folder/good").symlink_to("../epoch-7.ckpt")
    Path("folder/gone").symlink_to("nowhere")
    with tracklib.start_run() as run:
        run.log_artifact("last.ckpt", type="checkpoint")
        run.log_artifact("folder")

    stored = tracklib.get_run(run)
    assert stored.read_artifact("last.ckpt") == {"last.ckpt": b"weights"}
    assert stored.read_artifact("folder") == {"good": b"weights"}


def test_an_empty_folder_is_an_artifact_without_files() -> None:
    """It is said that there was one."""
    Path("empty").mkdir()
    with tracklib.start_run() as run:
        run.log_artifact("empty")

    assert kept(run)[0].files == ()
    assert kept(run)[1] == {}


def test_a_path_that_leads_nowhere_is_said_at_once() -> None:
    """With the folder where it was looked for."""
    with (
        tracklib.start_run() as run,
        pytest.raises(FileNotFoundError, match=f"path is 'gone'.*{re.escape(str(Path.cwd()))}"),
    ):
        run.log_artifact("gone")


def test_what_is_neither_a_file_nor_a_folder_is_refused() -> None:
    """A pipe has no content to keep, and would be waited for in vain."""
    os.mkfifo("pipe")
    with tracklib.start_run() as run, pytest.raises(ConfigError, match="neither a file nor a folder"):
        run.log_artifact("pipe")


def test_names_of_files_may_be_odd() -> None:
    """Also such as are no text to the system."""
    Path("folder").mkdir()
    for name in ("größe 🔥", "a\nb", os.fsdecode(b"b\xe9")):
        Path("folder", name).write_text("x")
    with tracklib.start_run() as run:
        run.log_artifact("folder", "oddities/größe")

    assert sorted(kept(run)[1]) == ["a\nb", "b\\xe9", "größe 🔥"]


def test_an_artifact_may_be_logged_again() -> None:
    """It has versions; the newest is read unless another is asked for. A run that goes on counts on."""
    with tracklib.start_run() as run:
        for text in ("one", "two"):
            run.log_text(text, "notes")
        run.log_text("else", "other")
    with tracklib.start_run(resume=run) as again:
        again.log_text("three", "notes")

    stored = tracklib.get_run(run)
    found = [(artifact.name, artifact.version) for artifact in stored.artifacts]
    assert found == [("notes", 0), ("notes", 1), ("other", 0), ("notes", 2)]
    assert stored.read_artifact("notes") == {"notes.txt": b"three"}
    assert stored.read_artifact("notes", version=1) == {"notes.txt": b"two"}
    with pytest.raises(NotFound, match=r"'notes' of run .* has no version 3; it has the versions: 0, 1, 2"):
        stored.read_artifact("notes", version=3)


def test_a_damaged_file_is_not_given_out() -> None:
    """Its checksum tells."""
    with tracklib.start_run() as run:
        run.log_text("hello", "notes")
    (blob,) = blobs()
    blob.write_bytes(b"hellO")

    with pytest.raises(CorruptData, match=blob.name):
        tracklib.get_run(run).read_artifact("notes")


def test_an_artifact_that_is_not_there_is_not_found() -> None:
    """The message says which are."""
    with tracklib.start_run() as run:
        run.log_text("hello", "notes")

    with pytest.raises(NotFound, match="no artifact 'note'; it has: notes"):
        tracklib.get_run(run).read_artifact("note")


def test_the_module_functions_keep_files_in_the_active_run() -> None:
    """All five of them."""
    Path("x").write_text("x")
    with tracklib.start_run() as run:
        tracklib.log_artifact("x", type="dataset")
        tracklib.log_text("x", "text")
        tracklib.log_figure(go.Figure(), "figure")
        tracklib.log_table([{"a": 1}], "table")
        tracklib.log_model(torch.nn.Linear(1, 1), "model", metadata={"a": 1})

    found = {artifact.name: artifact.type for artifact in tracklib.get_run(run).artifacts}
    assert found == {"x": "dataset", "text": "text", "figure": "figure", "table": "table", "model": "model"}


def test_secrets_in_metadata_are_masked() -> None:
    """As in params."""
    with tracklib.start_run() as run:
        run.log_model({"w": torch.zeros(1)}, metadata={"hub_token": "s3cr3t", "url": "https://a:b@c/d"})

    metadata = kept(run)[0].metadata
    assert (metadata["hub_token"], metadata["url"]) == ("***", "https://***@c/d")


# ---- text


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("notes", "notes.txt"),
        ("notes.md", "notes.md"),
        ("v1.2", "v1.2.txt"),
        ("a/b/c", "c.txt"),
        ("..", "file.txt"),
        ("a/", "a.txt"),
    ],
)
def test_text_is_a_file(name: str, file: str) -> None:
    """A suffix in its name is kept."""
    with tracklib.start_run() as run:
        run.log_text("größe 🔥\n\ud800", name, step=1)

    artifact, files = kept(run)
    assert files == {file: "größe 🔥\n\\ud800".encode()}
    assert (artifact.name, artifact.type, artifact.step) == (name, "text", 1)


# ---- figures


@pytest.mark.parametrize(
    ("name", "file", "magic"),
    [
        ("confusion", "confusion.png", b"\x89PNG"),
        ("eval/lr_0.1", "lr_0.1.png", b"\x89PNG"),
        ("plot.svg", "plot.svg", b"<?xml"),
        ("plot.PDF", "plot.PDF", b"%PDF"),
        ("plot.jpg", "plot.jpg", b"\xff\xd8"),
        ("plot.gif", "plot.gif.png", b"\x89PNG"),
    ],
)
def test_a_figure_of_matplotlib_is_an_image(name: str, file: str, magic: bytes) -> None:
    """PNG, or what the name asks for."""
    figure = Figure()
    figure.add_subplot().plot([1, 2], [3, 4])
    with tracklib.start_run() as run:
        run.log_figure(figure, name)

    artifact, files = kept(run)
    assert files[file].startswith(magic)
    assert (artifact.type, artifact.metadata) == ("figure", {"library": "matplotlib"})


def test_a_figure_of_plotly_is_its_json() -> None:
    """From which it is made again."""
    figure = go.Figure(go.Scatter(x=[1, 2], y=[3, 4]), {"title": {"text": "größe"}})
    with tracklib.start_run() as run:
        run.log_figure(figure, "scatter")

    artifact, files = kept(run)
    assert go.Figure(json.loads(files["scatter.plotly.json"])) == figure
    assert artifact.metadata == {"library": "plotly"}


# ---- tables


TABLES: dict[str, Any] = {
    "rows": [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}],
    "columns": {"a": [1, 2], "b": ["x", "y"]},
    "arrays": {"a": np.array([1, 2]), "b": ("x", "y")},
    "tensor": {"a": torch.tensor([1, 2]), "b": ["x", "y"]},
    "pandas": pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}),
    "polars": pl.DataFrame({"a": [1, 2], "b": ["x", "y"]}),
    "arrow": pa.table({"a": [1, 2], "b": ["x", "y"]}),
}


@pytest.mark.parametrize("kind", TABLES)
def test_a_table_of_any_library_is_kept_as_parquet(kind: str) -> None:
    """With its rows and columns as metadata."""
    with tracklib.start_run() as run:
        run.log_table(TABLES[kind], "eval/predictions", step=2)

    artifact, files = kept(run)
    table = parquet.read_table(io.BytesIO(files["predictions.parquet"]))
    assert table.to_pydict() == {"a": [1, 2], "b": ["x", "y"]}
    assert (artifact.type, artifact.step, artifact.metadata["rows"]) == ("table", 2, 2)
    assert list(artifact.metadata["columns"]) == ["a", "b"]


def test_rows_may_have_different_names() -> None:
    """No column is lost, and what is missing is null."""
    with tracklib.start_run() as run:
        run.log_table([{"a": 1}, {"b": 2.5, 3: None}], "rows")

    table = parquet.read_table(io.BytesIO(kept(run)[1]["rows.parquet"]))
    assert table.to_pydict() == {"a": [1, None], "b": [None, 2.5], "3": [None, None]}


def test_the_index_of_pandas_is_kept() -> None:
    """Reading gives the same frame."""
    frame = pd.DataFrame({"a": [1.5, 2.5]}, index=pd.Index(["x", "y"], name="key"))
    with tracklib.start_run() as run:
        run.log_table(frame, "frame.parquet")

    pd.testing.assert_frame_equal(pd.read_parquet(io.BytesIO(kept(run)[1]["frame.parquet"])), frame)


@pytest.mark.parametrize(
    "table", [[], {}, pd.DataFrame(), pl.DataFrame(), pa.table({})], ids=lambda table: type(table).__name__
)
def test_a_table_may_be_empty(table: Any) -> None:
    """It has no rows then."""
    with tracklib.start_run() as run:
        run.log_table(table, "empty")

    assert kept(run)[0].metadata == {"rows": 0, "columns": {}}


@pytest.mark.parametrize(
    "table",
    [{"a": [1, 2], "b": [1]}, {"a": 5}, [{"a": 1}, {"a": "x"}], {"a": [object()]}, pd.DataFrame({"a": [1, "x"]})],
    ids=lambda table: type(table).__name__,
)
def test_a_table_that_is_none_is_refused(table: Any) -> None:
    """By name, with what Arrow has against it."""
    with tracklib.start_run() as run, pytest.raises(ConfigError, match="table 'odd' cannot be kept as Parquet: "):
        run.log_table(table, "odd")


# ---- models


def loaded(content: bytes) -> Any:
    return torch.load(io.BytesIO(content), weights_only=True)


def test_a_torch_module_is_kept_as_its_state() -> None:
    """Which torch loads without running code of anybody's."""
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    model[0].bias.requires_grad_(False)
    with tracklib.start_run() as run:
        run.log_model(model, "classifier", metadata={"task": "digits"}, step=7)

    artifact, files = kept(run)
    twin = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    twin.load_state_dict(loaded(files["state_dict.pt"]))
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(twin.parameters(), model.parameters(), strict=True))
    assert (artifact.type, artifact.step) == ("model", 7)
    known = artifact.metadata
    assert (known["parameters"], known["trainable"], known["task"]) == (12, 10, "digits")
    assert known["class"] == "torch.nn.modules.container.Sequential"
    assert (known["framework"], known["versions"]["torch"]) == ("torch", torch.__version__)
    assert "Linear(in_features=3" in known["architecture"]


@pytest.mark.parametrize(
    ("state", "parameters"),
    [
        (torch.nn.Linear(3, 2).state_dict(), 8),
        (OrderedDict(w=torch.zeros(2, 2), extra=5), 4),
        ({"model": {"w": torch.zeros(3)}, "optimizer": [torch.zeros(1)], "epoch": 3}, 4),
    ],
    ids=["state dict", "with extra state", "checkpoint"],
)
def test_a_state_dict_is_kept(state: dict[str, Any], parameters: int) -> None:
    """Also a checkpoint, which holds several."""
    with tracklib.start_run() as run:
        run.log_model(state)

    artifact, files = kept(run)
    assert loaded(files["state_dict.pt"]).keys() == state.keys()
    assert (artifact.name, artifact.metadata["parameters"]) == ("model", parameters)


class Pretrained:
    """Saves itself as models of transformers and their like do."""

    def save_pretrained(self, folder: str) -> None:
        Path(folder, "config.json").write_text('{"hidden": 1}')
        Path(folder, "tokenizer").mkdir()
        Path(folder, "tokenizer", "vocab.txt").write_text("a")


def test_what_has_save_pretrained_saves_itself() -> None:
    """Its folder is kept, and nothing is left behind."""
    with tracklib.start_run() as run:
        run.log_model(Pretrained(), "bert")

    artifact, files = kept(run)
    assert files == {"config.json": b'{"hidden": 1}', "tokenizer/vocab.txt": b"a"}
    assert (artifact.metadata["format"], artifact.path) == ("pretrained", "")


def test_a_saved_model_is_kept_by_its_path() -> None:
    """A file or a folder."""
    Path("saved").mkdir()
    Path("saved/model.onnx").write_bytes(b"onnx")
    with tracklib.start_run() as run:
        run.log_model("saved", "exported")
        run.log_model(Path("saved/model.onnx"), "file")

    stored = tracklib.get_run(run)
    assert stored.read_artifact("exported") == stored.read_artifact("file") == {"model.onnx": b"onnx"}
    assert {artifact.type for artifact in stored.artifacts} == {"model"}


def test_a_model_that_cannot_be_written_costs_nobody_the_training(caplog: pytest.LogCaptureFixture) -> None:
    """A full disk is told, and counted on the run."""

    class Large:
        def save_pretrained(self, folder: str) -> None:
            raise OSError(28, "No space left on device")

    with tracklib.start_run() as run:
        run.log_model(Large(), "large")
        run.log({"loss": 1})

    assert "'large' could not be kept" in caplog.text
    assert "No space left" in caplog.text
    assert tracklib.get_run(run).info.dropped == {"artifact": 1}


# ---- misuse


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda run: run.log_artifact(5), "path is 5"),
        (lambda run: run.log_artifact(None), "path is None"),
        (lambda run: run.log_text(5, "name"), "text is int"),
        (lambda run: run.log_figure("x", "name"), "figure is str, but takes a matplotlib or plotly figure"),
        (lambda run: run.log_figure(None, "name"), "figure is NoneType"),
        (lambda run: run.log_table("x", "name"), "table is str"),
        (lambda run: run.log_table([[1, 2]], "name"), "table is list, but takes a list of dicts"),
        (lambda run: run.log_table(np.zeros((2, 2)), "name"), "table is ndarray"),
        (lambda run: run.log_model(5), "model is int, but takes a torch module"),
        (lambda run: run.log_model({}), "model is dict"),
        (lambda run: run.log_model({"a": 1}), "model is dict"),
        (lambda run: run.log_model(torch.nn.Linear), "model is type"),
        (lambda run: run.log_text("x", "name", step=0.5), "step is 0.5"),
        (lambda run: run.log_artifact(".", metadata=[1]), r"metadata is \[1\]"),
    ],
)
def test_a_thing_of_the_wrong_kind_is_refused(call: Any, message: str) -> None:
    """The message names the argument and says what it takes."""
    with tracklib.start_run() as run, pytest.raises(TypeError, match=message):
        call(run)


@pytest.mark.parametrize("name", ["", " ", 5, None, "x" * 501], ids=lambda name: repr(name)[:10])
@pytest.mark.parametrize("kind", ["text", "figure", "table", "model"])
def test_an_artifact_has_a_name(kind: str, name: Any) -> None:
    """Whatever it is."""
    thing = {"text": "x", "figure": go.Figure(), "table": [{"a": 1}], "model": {"w": torch.zeros(1)}}[kind]
    with tracklib.start_run() as run, pytest.raises(ConfigError, match=r"^name (is|has)"):
        getattr(run, f"log_{kind}")(thing, name)


@pytest.mark.parametrize("given", [{"name": ""}, {"type": ""}, {"type": None}, {"name": 5}], ids=str)
def test_a_file_has_a_name_and_a_type(given: dict[str, Any]) -> None:
    """Where they are given they must say something."""
    Path("x").touch()
    with tracklib.start_run() as run, pytest.raises(ConfigError, match=f"{next(iter(given))} is"):
        run.log_artifact("x", **given)
