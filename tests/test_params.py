"""Params: kept as they are given, flat for search, changed with a history, and with secrets masked."""

from __future__ import annotations

import argparse
import dataclasses
import enum
import math
import types
from collections import OrderedDict
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tracklib
from tracklib.errors import ConfigError
from tracklib.records import flatten_params

pytestmark = pytest.mark.usefixtures("bare")


class Color(enum.Enum):
    RED = "red"
    PAIR = (1, 2)


class Level(enum.IntEnum):
    LOW = 1


class Mode(enum.StrEnum):
    FAST = "fast"


class Size(NamedTuple):
    width: int
    height: int


@dataclasses.dataclass
class Optimizer:
    lr: float
    betas: tuple[float, float] = (0.9, 0.99)


@dataclasses.dataclass(frozen=True, slots=True)
class Config:
    optimizer: Optimizer
    seed: int = 0


class Odd:
    def __repr__(self) -> str:
        raise RuntimeError("no words")


class Settings(argparse.Namespace):
    pass


def kept(params: Any) -> dict[str, Any]:
    with tracklib.start_run(params=params) as run:
        pass
    return tracklib.get_run(run).params


PLAIN: list[tuple[Any, Any]] = [
    (None, None),
    (True, True),
    (3, 3),
    (2**70, 2**70),
    (0.1, 0.1),
    ("größe 🔥", "größe 🔥"),
    ("", ""),
    (math.inf, math.inf),
    (-math.inf, -math.inf),
    ([1, [2, {"a": 3}]], [1, [2, {"a": 3}]]),
    ((1, 2), [1, 2]),
    ({3, 1, 2}, [1, 2, 3]),
    (frozenset({"a"}), ["a"]),
    (range(3), [0, 1, 2]),
    ({}, {}),
    ([], []),
    (OrderedDict(b=1, a=2), {"b": 1, "a": 2}),
    (types.MappingProxyType({"a": 1}), {"a": 1}),
    ({1: "a", None: "b", (1, 2): "c"}, {"1": "a", "None": "b", "(1, 2)": "c"}),
    (Color.RED, "red"),
    (Color.PAIR, [1, 2]),
    (Level.LOW, 1),
    (Mode.FAST, "fast"),
    (Path("data") / "train.csv", "data/train.csv"),
    (PurePosixPath("/a"), "/a"),
    (np.float32(0.5), 0.5),
    (np.int64(3), 3),
    (np.bool_(True), True),
    (np.float64(math.inf), math.inf),
    (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
    (np.array([0.5]), 0.5),
    (torch.tensor(0.5), 0.5),
    (torch.tensor([1, 2]), [1, 2]),
    (torch.tensor([0.5, 1.0], requires_grad=True), [0.5, 1.0]),
    (torch.Size([2, 3]), [2, 3]),
    (Optimizer(0.1), {"lr": 0.1, "betas": [0.9, 0.99]}),
    (Config(Optimizer(0.1)), {"optimizer": {"lr": 0.1, "betas": [0.9, 0.99]}, "seed": 0}),
    (argparse.Namespace(lr=0.1, data=Path("x")), {"lr": 0.1, "data": "x"}),
    (Settings(lr=0.1), {"lr": 0.1}),
    (types.SimpleNamespace(a=Color.RED), {"a": "red"}),
    (Size(2, 3), {"width": 2, "height": 3}),
    ({"$float": "abc", "$ref": [{"$$x": 1}]}, {"$float": "abc", "$ref": [{"$$x": 1}]}),
    ({"$float": "nan"}, {"$float": "nan"}),
]


@pytest.mark.parametrize(("given_value", "expected"), PLAIN, ids=repr)
def test_a_value_comes_back_as_what_it_means(given_value: Any, expected: Any) -> None:
    """Within a mapping and within a list."""
    assert kept({"x": given_value, "y": [given_value]}) == {"x": expected, "y": [expected]}


def test_nan_comes_back_as_nan() -> None:
    """JSON has none, so it takes a way of its own."""
    params = kept({"x": math.nan, "y": [np.float32("nan")]})

    assert math.isnan(params["x"])
    assert math.isnan(params["y"][0])


@pytest.mark.parametrize(
    ("value", "text", "kind"),
    [
        (b"ab", "b'ab'", "builtins.bytes"),
        (1 + 2j, "(1+2j)", "builtins.complex"),
        (Optimizer, "<class 'test_params.Optimizer'>", "builtins.type"),
        (torch.float16, "torch.float16", "torch.dtype"),
        (torch.device("cpu"), "device(type='cpu')", "torch.device"),
        (range(10**12), "range(0, 1000000000000)", "builtins.range"),
        (np.zeros((300, 200)), "ndarray(shape=(300, 200), dtype=float64)", "numpy.ndarray"),
        (torch.zeros(2, 1000), "Tensor(shape=(2, 1000), dtype=torch.float32)", "torch.Tensor"),
        (Odd(), "<Odd whose repr raised RuntimeError>", "test_params.Odd"),
        (torch.nn.ReLU(), "ReLU()", "torch.nn.modules.activation.ReLU"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_json_cannot_say_is_kept_by_its_repr(value: Any, text: str, kind: str) -> None:
    """It is marked as such; of large arrays shape and type are enough."""
    marked = kept({"x": value})["x"]

    assert marked["$repr"] == text.replace("test_params", Optimizer.__module__)
    assert marked["$type"] == kind.replace("test_params", Odd.__module__)


def test_a_repr_has_no_addresses() -> None:
    """Or each run would seem to have another value."""
    first, second = (kept({"x": lambda: 0, "y": object()}) for _ in range(2))

    assert first == second
    assert first["y"]["$repr"] == "<object object>"


def test_models_of_pydantic_are_their_fields() -> None:
    """As dataclasses are."""
    pydantic = pytest.importorskip("pydantic")
    model = pydantic.create_model("Model", lr=(float, 0.1), size=(tuple[int, int], (1, 2)))

    assert kept({"x": model()}) == {"x": {"lr": 0.1, "size": [1, 2]}}


def test_classes_of_attrs_are_their_fields() -> None:
    """As dataclasses are."""
    attrs = pytest.importorskip("attrs")
    kind = attrs.make_class("Kind", ["lr", "size"])

    assert kept({"x": kind(0.1, (1, 2))}) == {"x": {"lr": 0.1, "size": [1, 2]}}


@pytest.mark.parametrize(
    "params",
    [Optimizer(0.1), argparse.Namespace(lr=0.1, betas=(0.9, 0.99)), types.SimpleNamespace(lr=0.1, betas=[0.9, 0.99])],
)
def test_params_may_be_an_object_of_named_values(params: Any) -> None:
    """A dataclass or a namespace, at the start and later."""
    assert kept(params) == {"lr": 0.1, "betas": [0.9, 0.99]}
    with tracklib.start_run() as run:
        run.log_params(params)
    assert tracklib.get_run(run).params == {"lr": 0.1, "betas": [0.9, 0.99]}


def test_params_are_nested_as_given_and_flat_for_search() -> None:
    """Dots join the levels; the first segment is the group."""
    params = kept({"model": {"hidden": [1, 2], "name": "mlp"}, "training.lr": 0.1, "seed": 1})

    assert params == {"model": {"hidden": [1, 2], "name": "mlp"}, "training.lr": 0.1, "seed": 1}
    assert dict(flatten_params(params)) == {
        "model.hidden": [1, 2],
        "model.name": "mlp",
        "training.lr": 0.1,
        "seed": 1,
    }


def test_params_change_and_their_history_stays() -> None:
    """What is logged later goes over what was there, name by name."""
    with tracklib.start_run(params={"model": {"hidden": 64, "name": "mlp"}, "seed": 1}) as run:
        run.log_params({"model": {"hidden": 128}})
        run.log_param("model.dropout", 0.5)
        tracklib.log_param("seed", 2)
        tracklib.log_params({"model": {"name": {"family": "cnn"}}})

    stored = tracklib.get_run(run)
    assert stored.params == {"model": {"hidden": 128, "name": {"family": "cnn"}, "dropout": 0.5}, "seed": 2}
    history = [event.data["params"] for event in stored.events("params")]
    assert history[:2] == [{"model": {"hidden": 64, "name": "mlp"}, "seed": 1}, {"model": {"hidden": 128}}]
    assert history[2:] == [{"model": {"dropout": 0.5}}, {"seed": 2}, {"model": {"name": {"family": "cnn"}}}]


def test_the_history_has_infinities_too() -> None:
    """It is read back like the params."""
    with tracklib.start_run(params={"x": math.inf, "$y": 1}) as run:
        pass

    assert tracklib.get_run(run).events("params")[0].data == {"params": {"x": math.inf, "$y": 1}}


def test_params_of_ten_megabytes_are_kept() -> None:
    """Nothing is cut, neither one long text nor many values."""
    params = {"text": "x" * 5_000_000, "lines": "a b c\n" * 500_000, "list": list(range(300_000))}

    assert kept(params) == params


def test_thousands_of_params_are_kept() -> None:
    """Each under its own name."""
    params: dict[str, dict[str, int]] = {f"group{number % 10}": {} for number in range(10)}
    for number in range(5000):
        params[f"group{number % 10}"][f"p{number}"] = number

    assert kept(params) == params


def test_an_integer_of_five_thousand_digits_is_marked() -> None:
    """Python does not turn it into text, and the other params are kept."""
    params = kept({"x": 10**5000, "y": 10**400})

    assert params["y"] == 10**400
    assert params["x"]["$type"] == "builtins.int"


def test_a_structure_that_contains_itself_has_an_end() -> None:
    """However often it does."""
    inner: dict[str, Any] = {"lr": 0.1}
    inner["self"] = inner
    inner["selves"] = [inner, inner]

    params = kept({"x": inner})
    assert params["x"]["lr"] == 0.1
    assert params["x"]["self"]["$type"] == "builtins.dict"
    assert len(params["x"]["selves"]) == 2


def test_a_deep_structure_is_cut_where_it_is_too_deep() -> None:
    """What lies below is kept by its repr."""
    value: Any = 1
    for _ in range(500):
        value = {"a": value}

    assert kept({"x": value, "y": 2})["y"] == 2


SECRETS = {"api_key": "k", "hub": {"token": ["a", "b"], "password": "p"}, "url": "https://me:pw@host/x"}


def test_secrets_are_masked() -> None:
    """By their name and by their shape, before anything is written."""
    with tracklib.start_run(params={**SECRETS, "max_tokens": 5, "tokenizer": "bpe"}) as run:
        run.log_param("aws.secret_access_key", "s3cr3t-in-the-file")

    assert tracklib.get_run(run).params == {
        "api_key": "***",
        "hub": {"token": ["***", "***"], "password": "***"},
        "url": "https://***@host/x",
        "max_tokens": 5,
        "tokenizer": "bpe",
        "aws": {"secret_access_key": "***"},
    }
    files = [path for path in Path(".tracklib").rglob("*") if path.is_file()]
    assert files
    assert not any(b"s3cr3t-in-the-file" in path.read_bytes() for path in files)


def test_params_given_are_not_changed() -> None:
    """Masking and flattening happen to a copy."""
    params = {"api_key": "k", "a": {"b": (1, 2)}}
    kept(params)

    assert params == {"api_key": "k", "a": {"b": (1, 2)}}


@pytest.mark.parametrize("params", [5, "lr=1", [("lr", 1)], None, {1}, 0.5, object(), math.nan, Color.RED])
def test_params_that_are_no_mapping_are_refused(params: Any) -> None:
    """With a word on what would do."""
    with tracklib.start_run() as run, pytest.raises(TypeError, match=r"params is .*takes a mapping"):
        run.log_params(params)


@pytest.mark.parametrize("key", ["", " ", 5, None], ids=repr)
def test_a_param_has_a_name(key: Any) -> None:
    """Anything else than text is refused by name."""
    with tracklib.start_run() as run, pytest.raises(ConfigError, match="key is"):
        run.log_param(key, 1)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab.$/ ", max_size=5), inner, max_size=4),
    max_leaves=20,
)


@given(value=json_values)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_json_can_say_comes_back(value: Any) -> None:
    """Also where its keys look like marks of ours."""
    assert kept({"x": value}) == {"x": value}
