"""Models made into files: what each kind becomes, what is said of it, and what is told at once."""

from __future__ import annotations

import argparse
import json
import sys
import zipfile
from collections import OrderedDict, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from torch import nn

from tracklib.artifacts.models import ModelFormat, model_format, write_model
from tracklib.errors import ConfigError, MissingDependency, StoreError

IMPORTS_COMPILER = pytest.mark.filterwarnings("ignore:.torch.jit.script_method:DeprecationWarning")


class Net(nn.Module):
    """A head on a backbone, with a buffer."""

    def __init__(self, hidden: int = 3) -> None:
        super().__init__()
        self.backbone = nn.Linear(4, hidden)
        self.norm = nn.BatchNorm1d(hidden)
        self.head = nn.Linear(hidden, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.head(self.norm(self.backbone(x)))
        return result


def written(model: Any, folder: Path, **said: Any) -> dict[str, Any]:
    """Return a model's metadata, which is JSON."""
    folder.mkdir(exist_ok=True)
    metadata = write_model(model, folder, **said)
    assert json.loads(json.dumps(metadata)) == metadata
    return metadata


def read(folder: Path) -> Any:
    return torch.load(folder / "state_dict.pt", weights_only=True)


def compiled(model: nn.Module) -> nn.Module:
    """Return a module under the compiler's wrapper; nothing is compiled until it is called."""
    wrapped: Any = torch.compile(model)
    assert isinstance(wrapped, nn.Module)
    return wrapped


# ---- kinds


class Pretrained:
    """Saves itself as models of transformers and their like do."""

    def save_pretrained(self, folder: str) -> None:
        Path(folder, "config.json").write_text("{}", encoding="utf-8")


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        (nn.Linear(1, 1), ModelFormat.STATE_DICT),
        (nn.DataParallel(nn.Linear(1, 1)), ModelFormat.STATE_DICT),
        ({"w": torch.zeros(1)}, ModelFormat.STATE_DICT),
        ({"model": {"w": torch.zeros(1)}, "epoch": 3}, ModelFormat.STATE_DICT),
        (torch.optim.SGD([torch.zeros(1)]), ModelFormat.STATE_DICT),
        (Pretrained(), ModelFormat.PRETRAINED),
        (LogisticRegression(), ModelFormat.SKOPS),
        (make_pipeline(StandardScaler()), ModelFormat.SKOPS),
    ],
    ids=["module", "parallel", "state dict", "checkpoint", "optimizer", "pretrained", "estimator", "pipeline"],
)
def test_the_kind_is_told_without_work(model: Any, kind: str) -> None:
    """Nothing is written for it."""
    assert model_format(model) == kind


@pytest.mark.parametrize(
    "thing", [None, 5, "x", {}, {"a": 1}, [torch.zeros(1)], nn.Linear, LogisticRegression, torch.zeros(1)], ids=repr
)
def test_what_is_no_model_is_refused(thing: Any) -> None:
    """The message lists what is taken."""
    with pytest.raises(TypeError, match=r"model is \w+, but takes a torch module, a state dict.*save_pretrained.*path"):
        model_format(thing)


# ---- modules


def test_a_module_becomes_its_state_dict(tmp_path: Path) -> None:
    """With what is known about it."""
    model = Net()
    model.backbone.requires_grad_(requires_grad=False)
    metadata = written(model, tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["state_dict.pt"]
    assert read(tmp_path).keys() == model.state_dict().keys()
    assert (metadata["format"], metadata["framework"]) == ("state_dict", "torch")
    assert metadata["versions"]["torch"] == torch.__version__
    assert metadata["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert metadata["class"] == f"{__name__}.Net"
    assert (metadata["parameters"], metadata["trainable"]) == (29, 14)
    assert metadata["dtypes"] == {"float32": 35, "int64": 1}
    assert metadata["devices"] == {"cpu": 36}
    assert metadata["size_bytes"] == 35 * 4 + 8
    assert "(head): Linear(in_features=3" in metadata["architecture"]
    assert not metadata.keys() & {"signature", "init", "task"}


def test_the_text_of_a_large_model_is_cut(tmp_path: Path) -> None:
    """Of some models it is longer than their configuration by far."""

    class Wordy(nn.Linear):
        def extra_repr(self) -> str:
            return "x" * 200_000

    assert len(written(Wordy(1, 1), tmp_path)["architecture"]) == 100_000


def test_the_same_weights_make_the_same_bytes(tmp_path: Path) -> None:
    """So that an unchanged model makes no new version."""
    model, twin = Net(), Net()
    twin.load_state_dict(model.state_dict())
    written(model, tmp_path / "a")
    written(twin, tmp_path / "b")

    assert (tmp_path / "a/state_dict.pt").read_bytes() == (tmp_path / "b/state_dict.pt").read_bytes()


@IMPORTS_COMPILER
@pytest.mark.parametrize(
    "wrap",
    [
        nn.DataParallel,
        compiled,
        lambda model: compiled(nn.DataParallel(model)),
        lambda model: nn.DataParallel(compiled(model)),
    ],
    ids=["parallel", "compiled", "compiled parallel", "parallel compiled"],
)
def test_a_wrapper_leaves_no_trace(tmp_path: Path, wrap: Any) -> None:
    """The names are those of the module within."""
    model = Net()
    metadata = written(wrap(model), tmp_path)

    assert list(read(tmp_path)) == list(model.state_dict())
    assert metadata["class"] == f"{__name__}.Net"


def test_a_module_in_distributed_training_is_kept_without_its_wrapper(tmp_path: Path) -> None:
    """Nor are other processes asked for anything."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        written(nn.parallel.DistributedDataParallel(Net()), tmp_path / "model")
    finally:
        torch.distributed.destroy_process_group()

    assert list(read(tmp_path / "model")) == list(Net().state_dict())


@IMPORTS_COMPILER
def test_wrapped_parts_keep_their_own_names(tmp_path: Path) -> None:
    """Only the step through a wrapper goes; a module that is called like one stays."""
    inner = nn.Module()
    inner.add_module("_orig_mod", nn.BatchNorm1d(1))
    model = nn.Module()
    model.add_module("module", nn.Sequential(compiled(nn.Linear(1, 1)), inner))
    written(model, tmp_path)

    state = read(tmp_path)
    assert {"module.0.weight", "module.0.bias", "module.1._orig_mod.weight"} <= state.keys()
    assert not any("0._orig_mod" in key for key in state)
    assert state._metadata["module.1._orig_mod"] == {"version": 2}


def test_tensors_that_are_shared_stay_shared(tmp_path: Path) -> None:
    """They are written once, and are one again when they are read."""
    model = nn.Sequential(nn.Linear(100, 100), nn.Linear(100, 100))
    model[1].weight = model[0].weight
    metadata = written(model, tmp_path)

    state = read(tmp_path)
    assert state["0.weight"].data_ptr() == state["1.weight"].data_ptr()
    assert (tmp_path / "state_dict.pt").stat().st_size < 60_000
    assert metadata["parameters"] == 10_200


class Counting(nn.Linear):
    """Has state beside its tensors."""

    extra: Any = None

    def get_extra_state(self) -> Any:
        return self.extra

    def set_extra_state(self, state: Any) -> None:
        self.extra = state


def test_extra_state_is_kept_if_it_can_be_read_back(tmp_path: Path) -> None:
    """Numbers, text, lists and dicts can."""
    model = Counting(1, 1)
    model.extra = {"steps": [1, 2], "name": "x"}
    written(model, tmp_path)

    assert read(tmp_path)["_extra_state"] == model.extra


def test_extra_state_that_cannot_be_read_back_is_told_at_once(tmp_path: Path) -> None:
    """By its key."""
    inner = Counting(1, 1)
    inner.extra = {"options": argparse.Namespace(a=1)}
    model = nn.Sequential(inner)

    with pytest.raises(ConfigError, match=r"state\['0._extra_state'\]\['options'\] is argparse.Namespace.*vars"):
        written(model, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Linear(1, 1, device="meta"), r"state\['weight'\] is on the meta device, so there are no numbers to keep"),
        (nn.LazyLinear(1), r"state\['weight'\] has no shape yet: run a batch"),
    ],
    ids=["meta", "lazy"],
)
@pytest.mark.filterwarnings("ignore:Lazy modules:UserWarning")
def test_a_module_without_numbers_is_told(tmp_path: Path, model: nn.Module, message: str) -> None:
    """There is nothing to keep, and a file would only look like a model."""
    with pytest.raises(ConfigError, match=message):
        written(model, tmp_path)


def test_a_sharded_module_is_told(tmp_path: Path) -> None:
    """One process has a part of it only; the message says how to gather the whole."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        model = fully_shard(nn.Linear(2, 2), mesh=init_device_mesh("cpu", (1,)))
        with pytest.raises(ConfigError, match=r"state\['weight'\] is sharded.*full_state_dict=True"):
            written(model, tmp_path / "model")
    finally:
        torch.distributed.destroy_process_group()


# ---- state dicts


def test_a_checkpoint_is_kept_as_it_is(tmp_path: Path) -> None:
    """With optimizer, plain values and tensors that are shared."""
    model = Net()
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(2, 4)).sum().backward()
    optimizer.step()
    checkpoint = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "epoch": 3,
        "best": {"loss": 0.5, "at": (1, None)},
        "dtype": torch.float16,
        "rng": torch.get_rng_state(),
    }
    metadata = written(checkpoint, tmp_path)

    found = read(tmp_path)
    assert found.keys() == checkpoint.keys()
    assert (found["best"], found["dtype"]) == (checkpoint["best"], torch.float16)
    assert metadata["dtypes"].keys() == {"float32", "int64", "uint8"}
    assert "class" not in metadata


def test_a_state_dict_keeps_the_versions_that_torch_keeps_on_it(tmp_path: Path) -> None:
    """Without them torch would take it for one of old, and change it."""
    written(Net().state_dict(), tmp_path)

    assert read(tmp_path)._metadata["norm"] == {"version": 2}


@pytest.mark.parametrize(
    ("state", "place"),
    [
        ({"w": torch.zeros(1), "config": Path("x")}, r"state\['config'\] is pathlib"),
        ({"w": torch.zeros(1), "all": [{"loss": np.float32(1)}]}, r"state\['all'\]\[0\]\['loss'\] is numpy.float32"),
        ({"w": torch.zeros(1), "x": np.zeros(2)}, r"state\['x'\] is numpy.ndarray"),
        ({"w": torch.zeros(1), "x": defaultdict(list)}, r"state\['x'\] is collections.defaultdict"),
        ({"w": torch.zeros(1), "x": lambda: 1}, r"state\['x'\] is builtins.function"),
        ({"w": torch.zeros(1), "net": nn.Linear(1, 1)}, r"state\['net'\] is torch.nn.modules.linear.Linear"),
        ({"w": torch.zeros(1), "x": sys.stdout}, r"state\['x'\] is "),
        ({"w": torch.zeros(1), Path("k"): 1}, r"the key PosixPath\('k'\) of state is pathlib"),
        ({"w": torch.zeros(1), "x": nn.Linear(1, 1, device="meta").weight}, r"state\['x'\] is on the meta device"),
    ],
    ids=["path", "numpy scalar", "array", "defaultdict", "lambda", "module", "stream", "key", "meta"],
)
def test_what_cannot_be_read_back_is_told_at_once(tmp_path: Path, state: Any, place: str) -> None:
    """Not when the model is needed."""
    with pytest.raises(ConfigError, match=place):
        written(state, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_that_holds_itself_is_told(tmp_path: Path) -> None:
    """It has no end."""
    state: dict[str, Any] = {"w": torch.zeros(1)}
    state["again"] = [state]

    with pytest.raises(ConfigError, match=r"state\['again'\]\[0\] holds itself"):
        written(state, tmp_path)


class Marked(torch.Tensor):
    """A tensor of a class of one's own."""


def test_tensors_of_other_classes_are_read_back_before_they_are_kept(tmp_path: Path) -> None:
    """They have ways of their own to be written."""
    with pytest.raises(ConfigError, match=r"does not read the state dict back.*Marked"):
        written({"w": torch.zeros(2).as_subclass(Marked)}, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_mapping_of_another_class_is_kept_as_a_dict(tmp_path: Path) -> None:
    """Its class would have to be unpickled."""
    written(defaultdict(list, w=torch.zeros(1)), tmp_path)

    assert type(read(tmp_path)) is dict
    assert model_format(OrderedDict(w=torch.zeros(1))) == "state_dict"


# ---- what has save_pretrained


def test_what_has_save_pretrained_writes_its_own_files(tmp_path: Path) -> None:
    """Straight into the folder."""
    metadata = written(Pretrained(), tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]
    assert (metadata["format"], metadata["class"]) == ("pretrained", f"{__name__}.Pretrained")


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("shared tensors")])
def test_a_save_that_fails_is_an_error_of_the_store(tmp_path: Path, error: Exception) -> None:
    """Which a run takes without ending the training."""

    class Failing:
        def save_pretrained(self, folder: str) -> None:
            raise error

    with pytest.raises(StoreError, match=str(error.args[-1])):
        written(Failing(), tmp_path)


def test_a_folder_without_room_is_an_error_of_the_store(tmp_path: Path) -> None:
    """As above, for what we write ourselves."""
    with pytest.raises(StoreError, match="cannot be written to"):
        write_model(nn.Linear(1, 1), tmp_path / "missing")


# ---- estimators


def digits_pipeline() -> Any:
    x, y = load_digits(return_X_y=True)
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=200)).fit(x[:300], y[:300])


def test_an_estimator_becomes_a_skops_file(tmp_path: Path) -> None:
    """Without pickle."""
    metadata = written(digits_pipeline(), tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["model.skops"]
    assert (metadata["format"], metadata["framework"]) == ("skops", "sklearn")
    assert metadata["versions"].keys() >= {"python", "sklearn", "skops", "numpy"}
    assert metadata["class"] == "sklearn.pipeline.Pipeline"
    assert "LogisticRegression(max_iter=200)" in metadata["architecture"]
    assert "untrusted_types" not in metadata


def test_the_same_estimator_makes_the_same_bytes(tmp_path: Path) -> None:
    """As skops writes it there would be the time and addresses in memory in it."""
    written(digits_pipeline(), tmp_path / "a")
    written(digits_pipeline(), tmp_path / "b")

    assert (tmp_path / "a/model.skops").read_bytes() == (tmp_path / "b/model.skops").read_bytes()
    with zipfile.ZipFile(tmp_path / "a/model.skops") as archive:
        assert archive.namelist()[0] == "0.npy"


class Doubling(LogisticRegression):  # type: ignore[misc] # scikit-learn ships no types.
    """An estimator of one's own."""


def test_types_that_need_trust_are_noted(tmp_path: Path) -> None:
    """So that one knows before one needs the model."""
    assert written(Doubling(), tmp_path)["untrusted_types"] == [f"{__name__}.Doubling"]


def test_an_estimator_that_skops_cannot_write_is_told(tmp_path: Path) -> None:
    """With what it says."""
    estimator = FunctionTransformer(kw_args={"rows": (row for row in range(3))})

    with pytest.raises(ConfigError, match=r"skops cannot write the FunctionTransformer: .*generator"):
        written(estimator, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_without_skops_the_message_names_two_ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To install it, or to keep a pickle knowingly."""
    monkeypatch.setitem(sys.modules, "skops", None)

    with pytest.raises(MissingDependency, match=r"pip install 'tracklib-ml\[sklearn\]'.*joblib.dump.*log_artifact"):
        written(LogisticRegression(), tmp_path)


# ---- init and signature


def test_init_is_noted(tmp_path: Path) -> None:
    """As it is."""
    init = {"hidden": 3, "names": ["a"], "more": {"rate": 0.5, "none": None}}

    assert written(Net(), tmp_path, init=init)["init"] == init


@pytest.mark.parametrize(
    ("model", "init", "error", "message"),
    [
        (Net(), 5, TypeError, "init is 5, but takes a mapping"),
        (Net(), {1: 2}, TypeError, "takes a mapping of the names"),
        (Net(), {"size": (1, 2)}, ConfigError, r"init\['size'\] is \(1, 2\), which JSON cannot hold"),
        (Net(), {"x": {"y": torch.zeros(1)}}, ConfigError, r"init\['x'\] is"),
        (Net(), {"x": float("nan")}, ConfigError, r"init\['x'\] is nan"),
        ({"w": torch.zeros(1)}, {}, ConfigError, "init is for torch modules.*the model is dict"),
        (LogisticRegression(), {}, ConfigError, "the model is LogisticRegression"),
    ],
)
def test_an_init_that_would_not_build_the_model_is_told(
    tmp_path: Path, model: Any, init: Any, error: type[Exception], message: str
) -> None:
    """While one can still change it."""
    with pytest.raises(error, match=message):
        written(model, tmp_path, init=init)
    assert list(tmp_path.iterdir()) == []


def test_init_needs_a_class_that_can_be_found(tmp_path: Path) -> None:
    """One within a function cannot."""

    class Local(nn.Linear):
        pass

    with pytest.raises(ConfigError, match="Local is defined within a function"):
        written(Local(1, 1), tmp_path, init={})


def test_a_signature_is_given_or_taken_or_both(tmp_path: Path) -> None:
    """What is given goes before what is seen."""
    given = {"inputs": {"pixels": {"shape": (None, 4), "dtype": torch.float32}}}
    metadata = written(Net(), tmp_path, signature=given, example=torch.zeros(5, 4))

    assert metadata["signature"] == {
        "inputs": {"pixels": {"shape": [None, 4], "dtype": "float32"}},
        "outputs": {"output": {"shape": [None, 2], "dtype": "float32"}},
    }
