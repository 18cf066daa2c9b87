"""From files back to models, each kind; and that the weights fit or the message says why not."""

from __future__ import annotations

import importlib
import logging
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import pytest
import torch
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from tracklib.artifacts.loading import load_files
from tracklib.artifacts.models import write_model
from tracklib.errors import ConfigError, CorruptData, MissingDependency, NotTrusted


class Net(nn.Module):
    """A small classifier of handwritten digits."""

    def __init__(self, hidden: int = 16, *, dropout: float = 0.5) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(64, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, 10))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.layers(pixels)
        return result


@pytest.fixture(name="digits", scope="module")
def _digits() -> Any:
    pixels, digits = load_digits(return_X_y=True)
    return torch.tensor(pixels[:300] / 16, dtype=torch.float32), torch.tensor(digits[:300])


@pytest.fixture(name="trained", scope="module")
def _trained(digits: Any) -> Net:
    torch.manual_seed(0)
    model = Net(hidden=12)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(40):
        optimizer.zero_grad()
        loss: Any = nn.functional.cross_entropy(model(digits[0]), digits[1])
        loss.backward()
        optimizer.step()
    return model.eval()


def accuracy(model: Any, digits: Any) -> float:
    pixels, truth = digits
    return float((model(pixels).argmax(1) == truth).double().mean())


def same(ours: nn.Module, theirs: Any) -> bool:
    found = theirs.state_dict()
    return all(torch.equal(value, found[key]) for key, value in ours.state_dict().items())


# ---- modules


def test_a_module_is_built_anew_if_its_arguments_are_known(tmp_path: Path, trained: Net, digits: Any) -> None:
    """And gives the same accuracy: it is in evaluation mode, and on the CPU."""
    metadata = write_model(trained, tmp_path, init={"hidden": 12})
    again = load_files(tmp_path, metadata)

    assert type(again) is Net
    assert not again.training
    assert accuracy(again, digits) == accuracy(trained, digits) > 0.9


def test_weights_go_into_a_module_that_is_handed_over(tmp_path: Path, trained: Net) -> None:
    """Which stays in the mode that it was in."""
    metadata = write_model(trained, tmp_path)
    module = Net(12)

    assert load_files(tmp_path, metadata, into=module) is module
    assert module.training
    assert same(trained, module)


@pytest.mark.parametrize(
    "into", [Net, lambda hidden: Net(hidden=hidden, dropout=0.1), lambda **_: Net(12)], ids=["class", "function", "any"]
)
def test_weights_go_into_what_is_made_for_them(tmp_path: Path, trained: Net, into: Callable[..., Net]) -> None:
    """It is called with the arguments that were noted."""
    again = load_files(tmp_path, write_model(trained, tmp_path, init={"hidden": 12}), into=into)

    assert same(trained, again)
    assert not again.training


def test_without_anything_that_takes_them_the_weights_are_returned(tmp_path: Path, trained: Net) -> None:
    """As torch loads them."""
    state = load_files(tmp_path, write_model(trained, tmp_path))

    assert state.keys() == trained.state_dict().keys()


def test_what_is_no_module_takes_its_state(tmp_path: Path) -> None:
    """Optimizers have one, too."""
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.25)
    again = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.5)
    load_files(tmp_path, write_model(optimizer, tmp_path), into=again)

    assert again.param_groups[0]["lr"] == 0.25


@pytest.mark.filterwarnings("ignore:.torch.jit.*:DeprecationWarning")
def test_weights_go_into_what_is_wrapped(tmp_path: Path, trained: Net) -> None:
    """As a whole or in part."""
    metadata = write_model(trained, tmp_path)
    parallel: Any = nn.DataParallel(Net(12))
    inner = Net(12)
    parts: Any = inner.layers
    inner.layers = torch.compile(parts)  # type: ignore[assignment] # It is a module.
    load_files(tmp_path, metadata, into=inner)

    assert same(trained, load_files(tmp_path, metadata, into=parallel).module)
    assert torch.equal(parts[0].weight, trained.state_dict()["layers.0.weight"])


@pytest.mark.parametrize(
    "stored",
    [
        lambda state: {"epoch": 3, "state_dict": state, "optimizer": {"lr": torch.zeros(1)}},
        lambda state: {f"module.{key}": value for key, value in state.items()},
        lambda state: {"model": {f"_orig_mod.{key}": value for key, value in state.items()}},
        lambda state: {"state_dict": {f"model.{key}": value for key, value in state.items()}, "hyper": {}},
    ],
    ids=["checkpoint", "parallel", "compiled", "lightning"],
)
def test_a_checkpoint_gives_the_part_that_fits(tmp_path: Path, trained: Net, stored: Any) -> None:
    """If it does so key by key."""
    torch.save(stored(trained.state_dict()), tmp_path / "last.ckpt")

    assert same(trained, load_files(tmp_path, {}, into=Net(12)))


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (lambda: Net(13), r"(?s)the weights do not fit Net: .*size mismatch for layers.0.weight"),
        (lambda: nn.Linear(64, 12), "lacks bias, weight; the module lacks layers.0.bias.*strict=False"),
        (lambda: nn.ModuleList([Net() for _ in range(3)]), r"lacks 0.layers.0.bias, .* … \(12 in all\)"),
    ],
    ids=["shape", "keys", "many"],
)
def test_weights_that_do_not_fit_are_told(tmp_path: Path, trained: Net, module: Any, message: str) -> None:
    """By name, and in one message."""
    with pytest.raises(ConfigError, match=message):
        load_files(tmp_path, write_model(trained, tmp_path), into=module())


def test_what_fits_can_be_loaded_alone(tmp_path: Path, trained: Net) -> None:
    """If one says so."""
    more = Net(12)
    more.head = nn.Linear(1, 1)
    again = load_files(tmp_path, write_model(trained, tmp_path), into=more, options={"strict": False})

    assert same(trained, again)


@pytest.mark.parametrize(
    ("into", "message"), [(5, "into is 5, but takes a module"), (dict, "into made dict, but is to make a module")]
)
def test_what_takes_no_weights_is_told(tmp_path: Path, trained: Net, into: Any, message: str) -> None:
    """The message names the argument."""
    with pytest.raises(ConfigError, match=message):
        load_files(tmp_path, write_model(trained, tmp_path), into=into)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"options": {"dtype": 1}}, r"the options \['dtype'\] mean nothing here: weights take \['assign', 'file'"),
        ({"allow_pickle": "yes"}, "allow_pickle is 'yes'"),
        ({"trusted": "a.B"}, "trusted is 'a.B', but takes a list"),
        ({"trusted": [5]}, r"trusted is \[5\]"),
    ],
)
def test_options_that_mean_nothing_are_told(tmp_path: Path, trained: Net, said: Any, message: str) -> None:
    """With those that do."""
    with pytest.raises(TypeError, match=message):
        load_files(tmp_path, write_model(trained, tmp_path), **said)


def test_weights_are_put_where_one_says(tmp_path: Path, trained: Net) -> None:
    """On another device, say."""
    metadata = write_model(trained, tmp_path)

    state = load_files(tmp_path, metadata, options={"map_location": "meta"})
    assert {tensor.device.type for tensor in state.values()} == {"meta"}


# ---- classes by name


OWN_PACKAGE = """
import torch
class Outer:
    class Net(torch.nn.Linear): ...
class NoModule(dict): ...
def function(**arguments): raise AssertionError("called")
"""


@pytest.fixture(name="package")
def _package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the code of a user, which lies in the folder that the program works in."""
    (tmp_path / "ownmodels").mkdir()
    (tmp_path / "ownmodels/nets.py").write_text(OWN_PACKAGE, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("ownmodels.nets")
    for name in ("ownmodels", "ownmodels.nets"):
        sys.modules.pop(name, None)


def test_the_class_is_imported_in_another_process(tmp_path: Path, package: Any) -> None:
    """Also one within a class."""
    (tmp_path / "model").mkdir()
    metadata = write_model(package.Outer.Net(2, 1), tmp_path / "model", init={"in_features": 2, "out_features": 1})
    for name in ("ownmodels", "ownmodels.nets"):
        sys.modules.pop(name, None)
    again = load_files(tmp_path / "model", metadata)

    assert type(again).__qualname__ == "Outer.Net"
    assert type(again).__module__ == "ownmodels.nets"


def test_a_class_of_the_program_itself_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the program that runs, which need not be the one that logged the model."""
    main = sys.modules["__main__"]
    monkeypatch.setattr(main, "MainNet", type("MainNet", (nn.Linear,), {"__module__": "__main__"}), raising=False)
    metadata = write_model(main.MainNet(2, 1), tmp_path, init={"in_features": 2, "out_features": 1})

    assert type(load_files(tmp_path, metadata)) is main.MainNet
    monkeypatch.delattr(main, "MainNet")
    assert isinstance(load_files(tmp_path, metadata), dict)


def test_classes_of_torch_are_built_anew(tmp_path: Path) -> None:
    """They are known to be harmless."""
    metadata = write_model(nn.Linear(2, 1), tmp_path, init={"in_features": 2, "out_features": 1})

    assert type(load_files(tmp_path, metadata)) is nn.Linear


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("ownmodels.nets.Gone", "there is no ownmodels.nets.Gone in this program"),
        ("ownmodels.nets.NoModule", "is no torch.nn.Module"),
        ("ownmodels.nets.function", "is no torch.nn.Module"),
        ("ownmodels.gone.Net", "there is no"),
        ("gone.Net", "not trusted|installed"),
        ("", "installed"),
        ("..", "installed"),
        ("Net", "installed"),
        ("subprocess.Popen", "of an installed package"),
        ("builtins.exec", "of an installed package"),
        ("antigravity.Fly", "of an installed package"),
        ("torch.hub.load", "of an installed package"),
        ("torch.nn.modules.module.torch.hub.load", "is no torch.nn.Module"),
        ("torch.nn.functional.relu", "is no torch.nn.Module"),
        ("torchmetrics.Accuracy", r"trusted=\['torchmetrics.Accuracy'\]"),
    ],
)
@pytest.mark.usefixtures("package")
def test_nothing_but_a_module_is_called(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, reason: str
) -> None:
    """Whatever the metadata names: they may come from anybody. The weights are returned, and the log says why."""
    (tmp_path / "model").mkdir()
    metadata = write_model(nn.Linear(2, 1), tmp_path / "model")
    evil = {"args": ["touch", "evil"]}
    with caplog.at_level(logging.WARNING, "tracklib"):
        state = load_files(tmp_path / "model", {**metadata, "class": name, "init": evil})

    assert state.keys() == {"weight", "bias"}
    assert "antigravity" not in sys.modules
    assert not Path("evil").exists()
    assert len(caplog.messages) == 1
    assert any(word in caplog.text for word in reason.replace("\\", "").split("|"))


def test_a_class_of_a_package_is_built_if_it_is_trusted(tmp_path: Path) -> None:
    """By its full name."""
    from torchmetrics import MeanMetric

    metadata = write_model({"x": torch.zeros(1)}, tmp_path)
    noted = {**metadata, "class": "torchmetrics.aggregation.MeanMetric", "init": {}}

    assert isinstance(load_files(tmp_path, noted), dict)
    for trust in (MeanMetric, "torchmetrics.aggregation.MeanMetric"):
        again = load_files(tmp_path, noted, trusted=[trust], options={"strict": False})
        assert type(again) is MeanMetric


def test_arguments_that_the_class_does_not_take_are_told(tmp_path: Path, trained: Net) -> None:
    """The class may have changed since."""
    metadata = write_model(trained, tmp_path, init={"width": 12})

    with pytest.raises(ConfigError, match=r"Net does not take what was noted as init, \{'width': 12\}"):
        load_files(tmp_path, metadata)


# ---- estimators


class OwnScaler(StandardScaler):  # type: ignore[misc] # scikit-learn ships no types.
    """An estimator of one's own."""


def test_an_estimator_comes_back(tmp_path: Path, digits: Any) -> None:
    """And predicts the same."""
    x, y = digits
    pipeline = make_pipeline(StandardScaler(), LogisticRegression(max_iter=200)).fit(x.numpy(), y.numpy())
    again = load_files(tmp_path, write_model(pipeline, tmp_path))

    assert type(again) is type(pipeline)
    assert (again.predict_proba(x.numpy()) == pipeline.predict_proba(x.numpy())).all()


def test_types_of_ones_own_must_be_trusted(tmp_path: Path) -> None:
    """The message says how."""
    name = f"{__name__}.OwnScaler"
    metadata = write_model(make_pipeline(OwnScaler()).fit([[1.0], [3.0]]), tmp_path)

    with pytest.raises(NotTrusted, match=r"OwnScaler, which skops has not on its list.*pass trusted=\['.*OwnScaler'\]"):
        load_files(tmp_path, metadata)
    assert load_files(tmp_path, metadata, trusted=[name])[0].mean_ == [2.0]
    assert load_files(tmp_path, metadata, trusted=[OwnScaler])[0].mean_ == [2.0]


def test_an_estimator_goes_into_nothing(tmp_path: Path) -> None:
    """It is whole."""
    with pytest.raises(ConfigError, match="into is for weights"):
        load_files(tmp_path, write_model(StandardScaler(), tmp_path), into=StandardScaler)


def test_without_skops_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for each format."""
    metadata = write_model(StandardScaler(), tmp_path)
    monkeypatch.setitem(sys.modules, "skops", None)

    with pytest.raises(MissingDependency, match=r"skops is needed to load model.skops: pip install 'tracklib-ml"):
        load_files(tmp_path, metadata)


# ---- files that were kept as they were


@pytest.mark.parametrize("name", ["a.pt", "a.pth", "a.ckpt", "deep/a.bin"])
@pytest.mark.parametrize("legacy", [False, True])
def test_files_of_torch_are_read_as_weights(tmp_path: Path, trained: Net, name: str, *, legacy: bool) -> None:
    """Also those of old versions."""
    (tmp_path / "deep").mkdir()
    torch.save(trained.state_dict(), tmp_path / name, _use_new_zipfile_serialization=not legacy)
    (tmp_path / "README.md").write_text("not this one", encoding="utf-8")

    assert same(trained, load_files(tmp_path, {}, into=Net(12)))


def test_safetensors_are_read(tmp_path: Path, trained: Net) -> None:
    """Whole, or in shards that an index names."""
    save_file(trained.state_dict(), tmp_path / "weights.safetensors")
    assert same(trained, load_files(tmp_path, {}, into=Net(12)))

    names = {}
    for index, (key, tensor) in enumerate(trained.state_dict().items()):
        names[key] = f"part-{index}.safetensors"
        save_file({key: tensor}, tmp_path / names[key])
    (tmp_path / "model.safetensors.index.json").write_text(f'{{"weight_map": {names}}}'.replace("'", '"'))
    assert same(trained, load_files(tmp_path, {}, into=Net(12)))


@pytest.mark.parametrize("name", ["../weights.safetensors", "/etc/passwd", "gone.safetensors", "..", "model/w.pt"])
def test_an_index_names_files_beside_it_alone(tmp_path: Path, name: str) -> None:
    """It may come from anybody."""
    (tmp_path / "model/model").mkdir(parents=True)
    save_file({"w": torch.zeros(1)}, tmp_path / "weights.safetensors")
    torch.save({"w": torch.zeros(1)}, tmp_path / "model/model/w.pt")
    (tmp_path / "model/model.safetensors.index.json").write_text(f'{{"weight_map": {{"w": "{name}"}}}}')

    with pytest.raises(CorruptData, match=r"names '.*', which is not beside it"):
        load_files(tmp_path / "model", {})


def test_one_of_several_files_is_named(tmp_path: Path) -> None:
    """The message lists them."""
    torch.save({"w": torch.ones(1)}, tmp_path / "best.pt")
    torch.save({"w": torch.zeros(1)}, tmp_path / "last.pt")

    with pytest.raises(ConfigError, match=r"several files: best.pt, last.pt; say which one, as in file='best.pt'"):
        load_files(tmp_path, {})
    with pytest.raises(ConfigError, match=r"file is '../x', but the model has best.pt, last.pt"):
        load_files(tmp_path, {}, options={"file": "../x"})
    assert load_files(tmp_path, {}, options={"file": "best.pt"})["w"] == 1


@pytest.mark.parametrize("names", [[], ["model.onnx", "notes.txt"]])
def test_what_is_no_model_is_told(tmp_path: Path, names: list[str]) -> None:
    """With what is there instead."""
    for name in names:
        (tmp_path / name).write_bytes(b"x")

    with pytest.raises(ConfigError, match=", ".join(names) or "no file"):
        load_files(tmp_path, {})


@pytest.mark.parametrize("name", ["a.pt", "a.safetensors", "a.skops", "model.safetensors.index.json"])
@pytest.mark.parametrize("cut", ["empty", "half", "noise"])
def test_a_damaged_file_is_told(tmp_path: Path, name: str, cut: str) -> None:
    """Whatever reads it; it has its name in the message."""
    path = tmp_path / name
    write: Any = save_file if path.suffix == ".safetensors" else torch.save
    write({"w": torch.zeros(1000)}, path)
    content = path.read_bytes()
    path.write_bytes({"empty": b"", "half": content[: len(content) // 2], "noise": b"noise" * 100}[cut])

    with pytest.raises((ConfigError, CorruptData), match=name):
        load_files(tmp_path, {})


@pytest.mark.parametrize("dump", [joblib.dump, lambda value, path: path.write_bytes(pickle.dumps(value))])
@pytest.mark.parametrize("suffix", ["pkl", "pickle", "joblib"])
def test_pickles_are_loaded_if_that_is_allowed(tmp_path: Path, dump: Any, suffix: str) -> None:
    """By name, and not otherwise."""
    dump(LogisticRegression(C=3.0), tmp_path / f"model.{suffix}")

    with pytest.raises(NotTrusted, match=r"model.\w+ is not loaded: it is a pickle.*runs any code.*allow_pickle=True"):
        load_files(tmp_path, {})
    assert load_files(tmp_path, {}, allow_pickle=True).C == 3.0


def test_a_whole_module_is_loaded_if_that_is_allowed(tmp_path: Path, trained: Net) -> None:
    """What `torch.save` wrote with its class."""
    torch.save(trained, tmp_path / "model.pt")

    with pytest.raises(NotTrusted, match=r"model.pt is not loaded: it holds more than weights \(it needs .*Net"):
        load_files(tmp_path, {})
    assert same(trained, load_files(tmp_path, {}, allow_pickle=True))
    with pytest.raises(ConfigError, match="into takes weights, but the file holds Net"):
        load_files(tmp_path, {}, allow_pickle=True, into=Net(12))


@pytest.mark.filterwarnings("ignore:.torch.jit.*:DeprecationWarning")
def test_a_scripted_module_is_told(tmp_path: Path) -> None:
    """It is a program, which torch loads by another function."""
    scripted: Any = torch.jit.script(nn.Linear(1, 1))
    scripted.save(str(tmp_path / "model.pt"))

    with pytest.raises(ConfigError, match=r"model.pt is TorchScript, a program.*torch.jit.load"):
        load_files(tmp_path, {})
