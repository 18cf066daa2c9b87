"""That nothing runs which a file names: a pickle that writes a file when it is loaded, in every disguise."""

from __future__ import annotations

import io
import json
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import pytest
import skops.io
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import FunctionTransformer
from torch import nn

from tracklib.artifacts.loading import load_files
from tracklib.errors import ConfigError, MissingDependency, NotTrusted


class Evil:
    """Writes a file when it is unpickled."""

    def __reduce__(self) -> Any:
        return Path.write_text, (Path("evil"), "it ran")


def torch_zip(path: Path) -> None:
    torch.save({"w": torch.zeros(1), "x": Evil()}, path)


def torch_legacy(path: Path) -> None:
    torch.save({"w": torch.zeros(1), "x": Evil()}, path, _use_new_zipfile_serialization=False)


def zip_with_pickle(path: Path) -> None:
    """What torch writes, with its pickle replaced."""
    buffer = io.BytesIO()
    torch.save({"w": torch.zeros(1)}, buffer)
    with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            target.writestr(name, pickle.dumps(Evil()) if name.endswith("data.pkl") else source.read(name))


def plain(path: Path) -> None:
    path.write_bytes(pickle.dumps(Evil()))


def tar(path: Path) -> None:
    """The format of the first versions of torch."""
    with tarfile.open(path, "w") as archive:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            content = pickle.dumps(Evil())
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def module(path: Path) -> None:
    inner = nn.Linear(1, 1)
    inner.evil = Evil()  # type: ignore[assignment] # Of no use to a module.
    torch.save(inner, path)


@pytest.mark.parametrize("suffix", ["pt", "pth", "ckpt", "bin"])
@pytest.mark.parametrize("write", [torch_zip, torch_legacy, zip_with_pickle, plain, tar, module])
def test_a_file_of_torch_runs_nothing(tmp_path: Path, suffix: str, write: Callable[[Path], None]) -> None:
    """The error says why it is not loaded, and what would."""
    write(tmp_path / f"model.{suffix}")

    for into in (None, nn.Linear(1, 1), nn.Linear):
        with pytest.raises(NotTrusted, match=r"unpickling runs any code.*allow_pickle=True"):
            load_files(tmp_path, {"format": "state_dict"}, into=into)
    assert not Path("evil").exists()


@pytest.mark.parametrize("suffix", ["pkl", "pickle", "joblib", "PKL"])
@pytest.mark.parametrize("write", [plain, torch_zip, lambda path: joblib.dump(Evil(), path)])
def test_a_pickle_runs_nothing(tmp_path: Path, suffix: str, write: Callable[[Path], None]) -> None:
    """As above."""
    write(tmp_path / f"model.{suffix}")

    with pytest.raises(NotTrusted, match=r"it is a pickle, and unpickling runs any code.*allow_pickle=True"):
        load_files(tmp_path, {"format": "skops"})
    assert not Path("evil").exists()


@pytest.mark.parametrize("name", ["model.safetensors", "model.skops", "model.safetensors.index.json", "model.npz", "m"])
def test_a_pickle_under_another_name_runs_nothing(tmp_path: Path, name: str) -> None:
    """It is read as what it claims to be, even if pickles are allowed."""
    plain(tmp_path / name)

    for allow_pickle in (False, True):
        with pytest.raises((ValueError, OSError)):
            load_files(tmp_path, {"format": "state_dict"}, allow_pickle=allow_pickle)
    assert not Path("evil").exists()


def test_a_shard_that_is_a_pickle_runs_nothing(tmp_path: Path) -> None:
    """An index names it, not its suffix."""
    torch_zip(tmp_path / "part.bin")
    (tmp_path / "pytorch_model.bin.index.json").write_text('{"weight_map": {"w": "part.bin"}}')

    with pytest.raises(NotTrusted):
        load_files(tmp_path, {})
    assert not Path("evil").exists()


def evil_function(path: Path) -> None:
    skops.io.dump(FunctionTransformer(eval), path)


def evil_reduce(path: Path) -> None:
    """An estimator with an object that is made by a call."""
    estimator = LogisticRegression()
    estimator.coef_ = Evil()
    skops.io.dump(estimator, path)


def evil_schema(path: Path) -> None:
    """A file whose words were changed by hand."""
    buffer = io.BytesIO()
    skops.io.dump(LogisticRegression(), buffer)
    with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(path, "w") as target:
        schema = json.loads(source.read("schema.json"))
        target.writestr("schema.json", json.dumps({**schema, "__class__": "Popen", "__module__": "subprocess"}))


@pytest.mark.parametrize("write", [evil_function, evil_reduce, evil_schema])
def test_a_skops_file_makes_nothing_that_is_not_trusted(tmp_path: Path, write: Callable[[Path], None]) -> None:
    """The error names it."""
    write(tmp_path / "model.skops")

    with pytest.raises(NotTrusted, match=r"would make or call .*\. If you know where the file came from"):
        load_files(tmp_path, {}, allow_pickle=True)
    assert not Path("evil").exists()


def test_a_version_of_skops_that_could_be_tricked_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message says which one to install."""
    skops.io.dump(LogisticRegression(), tmp_path / "model.skops")
    monkeypatch.setattr("skops.__version__", "0.12.1")

    with pytest.raises(MissingDependency, match=r"skops 0.12.1 can be made to run code: pip install 'skops>=0.13'"):
        load_files(tmp_path, {})


def test_what_is_allowed_by_name_runs(tmp_path: Path) -> None:
    """So that the tests above prove something."""
    torch_zip(tmp_path / "model.pt")
    load_files(tmp_path, {}, allow_pickle=True)

    assert Path("evil").read_text() == "it ran"


def test_an_error_of_trust_is_an_error_of_what_was_said() -> None:
    """One catches it as such."""
    assert issubclass(NotTrusted, ConfigError)
