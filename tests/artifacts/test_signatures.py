"""Signatures: as given, as seen on an example, and that looking at an example changes nothing."""

from __future__ import annotations

import random
from collections import OrderedDict, UserDict, namedtuple
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from sklearn.cluster import KMeans
from sklearn.linear_model import LogisticRegression
from torch import nn
from torch.nn.utils.prune import l1_unstructured

from tracklib.artifacts.signatures import checked_signature, signature_of
from tracklib.errors import ConfigError


def spec(*shape: int | None, dtype: str = "float32") -> dict[str, Any]:
    return {"shape": list(shape), "dtype": dtype}


class Two(nn.Module):
    """Takes two inputs, of which one may be left out, and gives a dict."""

    def forward(self, ids: torch.Tensor, mask: torch.Tensor | None = None) -> dict[str, Any]:
        return {"logits": ids.float() if mask is None else ids * mask, "loss": torch.tensor(0.0), "rest": None}


# ---- given


def test_a_signature_is_taken_as_it_is_given() -> None:
    """Shapes of tuples and dtypes of libraries become JSON; -1 is any size, too."""
    given = {
        "inputs": {"x": {"shape": (None, 3), "dtype": np.float32}, "y": {"shape": torch.Size([2]), "dtype": "str"}},
        "outputs": OrderedDict(z={"shape": [-1, 1], "dtype": torch.bfloat16}, scalar={"shape": []}),
    }

    assert checked_signature(given) == {
        "inputs": {"x": spec(None, 3), "y": spec(2, dtype="str")},
        "outputs": {"z": spec(None, 1, dtype="bfloat16"), "scalar": {"shape": []}},
    }


@pytest.mark.parametrize(
    ("signature", "error", "message"),
    [
        ([], TypeError, r"signature is \[\], but takes"),
        ({}, ConfigError, r'signature has \[\], but takes "inputs"'),
        ({"input": {}}, ConfigError, r"signature has \['input'\]"),
        ({"inputs": [1]}, ConfigError, r"signature\['inputs'\] is \[1\]"),
        ({"inputs": {"x": [1]}}, ConfigError, r"signature\['inputs'\]\['x'\] is \[1\]"),
        ({"inputs": {"x": {"size": 1}}}, ConfigError, r"\['x'\] is \{'size': 1\}"),
        ({"inputs": {"x": {"shape": "3"}}}, ConfigError, "has the shape '3'"),
        ({"inputs": {"x": {"shape": [1.5]}}}, ConfigError, "has the size 1.5"),
        ({"inputs": {"x": {"shape": [-2]}}}, ConfigError, "has the size -2"),
    ],
)
def test_a_signature_that_cannot_be_meant_is_told(signature: Any, error: type[Exception], message: str) -> None:
    """By its place in it."""
    with pytest.raises(error, match=message):
        checked_signature(signature)


# ---- inputs


Batch = namedtuple("Batch", "x y")  # noqa: PYI024 - what data loaders give


@dataclass
class Item:
    x: torch.Tensor
    weight: float = 1.0


@pytest.mark.parametrize(
    ("model", "example", "inputs"),
    [
        (nn.Linear(3, 1), torch.zeros(2, 3), {"input": spec(None, 3)}),
        (nn.Linear(3, 1), np.zeros((2, 3), np.float32), {"input": spec(None, 3)}),
        (Two(), (torch.zeros(2, 3), torch.zeros(2, 1)), {"ids": spec(None, 3), "mask": spec(None, 1)}),
        (Two(), {"ids": torch.zeros(2, 3), "mask": torch.zeros(2, 1)}, {"ids": spec(None, 3), "mask": spec(None, 1)}),
        (Two(), UserDict(ids=torch.zeros(2, 3, dtype=torch.long)), {"ids": spec(None, 3, dtype="int64")}),
        (Two(), torch.tensor(1.0), {"ids": spec()}),
        (nn.Identity(), [torch.zeros(2), "x"], {"input.0": spec(None), "input.1": spec(dtype="str")}),
        (nn.Identity(), {"a": {"b": torch.zeros(1, 2)}}, {"input.a.b": spec(None, 2)}),
        (nn.Identity(), Batch(torch.zeros(1), 3), {"input.x": spec(None), "input.y": spec(dtype="int")}),
        (nn.Identity(), Item(torch.zeros(1)), {"input.x": spec(None), "input.weight": spec(dtype="float")}),
    ],
    ids=[
        "tensor",
        "array",
        "tuple",
        "dict",
        "batch",
        "scalar",
        "list",
        "dict as one",
        "named tuple",
        "dataclass",
    ],
)
def test_inputs_have_the_names_that_forward_gives_them(model: nn.Module, example: Any, inputs: Any) -> None:
    """The first dimension is that of the batch: any size."""
    signature = signature_of(model, example)

    assert signature["inputs"] == inputs
    assert "problem" not in signature


def test_more_inputs_than_names_are_counted() -> None:
    """As they are of what takes any number."""

    class Sum(nn.Module):
        def forward(self, first: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
            return first + sum(rest)

    assert list(signature_of(Sum(), (torch.zeros(1),) * 3)["inputs"]) == ["first", "input_1", "input_2"]


def test_what_does_not_compute_has_inputs_alone() -> None:
    """A state dict, a tokenizer."""
    assert signature_of({"w": torch.zeros(1)}, torch.zeros(2, 3)) == {"inputs": {"input": spec(None, 3)}}
    assert signature_of(object(), {"text": "x"}) == {"inputs": {"text": spec(dtype="str")}}


# ---- outputs


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (lambda x: x, {"output": spec(None, 3)}),
        (lambda x: (x, [x[:, 0]]), {"output.0": spec(None, 3), "output.1.0": spec(None)}),
        (lambda x: {"a": x, "none": None, "text": "x"}, {"a": spec(None, 3), "text": spec(dtype="str")}),
        (Item, {"x": spec(None, 3), "weight": spec(dtype="float")}),
        (lambda _: object(), {}),
    ],
    ids=["tensor", "nested", "dict", "dataclass", "object"],
)
def test_outputs_are_seen(output: Any, expected: Any) -> None:
    """Whatever they lie in."""

    class Model(nn.Module):
        def forward(self, x: torch.Tensor) -> Any:
            return output(x)

    assert signature_of(Model(), torch.zeros(2, 3))["outputs"] == expected


def test_an_example_that_fails_is_told_and_breaks_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """The inputs are known all the same."""
    signature = signature_of(nn.Linear(3, 1), torch.zeros(2, 5))

    assert signature["inputs"] == {"input": spec(None, 5)}
    assert signature["problem"].startswith("the example raised RuntimeError: mat1 and mat2 shapes")
    assert "outputs" not in signature
    assert "the signature of the model lacks its outputs" in caplog.text


# ---- estimators


def fitted() -> Any:
    return LogisticRegression().fit([[0.0, 1.0], [1.0, 0.0]], [0, 1])


@pytest.mark.parametrize("example", [np.zeros((2, 2)), [[0.0, 1.0]]], ids=["array", "lists"])
def test_an_estimator_says_what_each_of_its_methods_gives(example: Any) -> None:
    """Predictions and their probabilities."""
    assert signature_of(fitted(), example) == {
        "inputs": {"X": spec(None, 2, dtype="float64")},
        "outputs": {"predict": spec(None, dtype="int64"), "predict_proba": spec(None, 2, dtype="float64")},
    }


@pytest.mark.parametrize("library", [pd, pl], ids=["pandas", "polars"])
def test_the_columns_of_a_frame_are_the_inputs(library: Any) -> None:
    """Each with its type."""
    frame = library.DataFrame({"age": [1, 2], "fare": [0.5, 1.5]})
    signature = signature_of(KMeans(1, n_init=1).fit(frame), frame)

    assert {name: each["dtype"].lower() for name, each in signature["inputs"].items()} == {
        "age": "int64",
        "fare": "float64",
    }
    assert signature["outputs"].keys() == {"predict", "transform"}


def test_an_estimator_that_is_not_fitted_is_told() -> None:
    """As any example that fails."""
    assert signature_of(LogisticRegression(), [[1.0]])["problem"].startswith("the example raised NotFittedError")


# ---- nothing changes


class Restless(nn.Module):
    """Changes all it can when it computes."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 3)
        self.norm = nn.BatchNorm1d(3, momentum=1.0)
        self.dropout = nn.Dropout(0.5)
        self.frozen = nn.BatchNorm1d(3).eval()
        self.calls = nn.Buffer(torch.zeros(1))
        self.register_buffer("cache", None)
        self.count = 0
        self.seen: Any = None

    def train(self, mode: bool = True) -> Restless:
        if not mode:
            raise AssertionError("modes are set without this")
        return super().train(mode)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls.add_(1)
        self.cache = torch.ones(2)
        self.register_buffer("late", torch.zeros(1))
        self.count += 1
        self.seen = x
        random.random()  # noqa: S311 - moves the generator that all share
        np.random.rand()  # noqa: NPY002 - the one that all share
        noise = torch.rand(1)
        x.mul_(2)
        result: torch.Tensor = self.dropout(self.norm(self.linear(x))) + noise
        return result


def state_of(model: Restless) -> Any:
    return (
        {key: value.clone() for key, value in model.state_dict().items()},
        [part.training for part in model.modules()],
        [parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None],
        (model.count, model.seen, model.cache),
        [list(vars(part)) for part in model.modules()],
        list(model._buffers),
        (random.getstate(), torch.get_rng_state().tolist(), repr(np.random.get_state())),  # noqa: NPY002 - as above
    )


@pytest.mark.parametrize("fails", [False, True])
def test_nothing_changes(*, fails: bool) -> None:
    """Neither modes, buffers, attributes, gradients, random states nor the example; whether it fails or not."""
    model = Restless()
    model.linear(torch.ones(2, 3)).sum().backward()
    example = torch.ones(2, 5 if fails else 3)
    before = state_of(model)
    signature = signature_of(model, example)
    after = state_of(model)

    assert ("problem" in signature) is fails
    assert repr(after) == repr(before)
    assert torch.equal(example, torch.ones_like(example))
    assert model.linear.training
    assert not model.frozen.training


def test_a_backward_pass_that_is_under_way_goes_on() -> None:
    """Nothing that it needs is written to."""
    model = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
    loss = model(torch.ones(2, 3)).sum()
    signature_of(model, torch.ones(2, 3))
    loss.backward()

    assert all(parameter.grad is not None for parameter in model.parameters())


def test_autocast_does_not_lose_gradients() -> None:
    """It would reuse weights that were cast while gradients were off."""
    model = nn.Linear(3, 1)
    with torch.autocast("cpu", torch.bfloat16):
        signature = signature_of(model, torch.ones(2, 3))
        model(torch.ones(2, 3)).sum().backward()

    assert signature["outputs"] == {"output": spec(None, 1, dtype="bfloat16")}
    assert model.weight.grad is not None
    assert torch.is_autocast_cache_enabled()


def test_hooks_do_not_run_but_for_those_that_compute_weights() -> None:
    """Those of users count, print and log."""
    model = nn.utils.parametrizations.weight_norm(nn.Linear(3, 1))
    pruned = nn.Sequential(model, nn.Linear(1, 4))
    l1_unstructured(pruned[1], "weight", 0.5)  # type: ignore[no-untyped-call] # torch has no types for it
    calls: list[str] = []
    pruned.register_forward_hook(lambda *_: calls.append("after"))
    model.register_forward_pre_hook(lambda *_: calls.append("before"))
    signature = signature_of(pruned, torch.ones(2, 3))
    pruned(torch.ones(2, 3))

    assert signature["outputs"] == {"output": spec(None, 4)}
    assert calls == ["before", "after"]


@pytest.mark.filterwarnings("ignore:.torch.jit.*:DeprecationWarning")
def test_nothing_is_compiled() -> None:
    """It would take a minute, and again for the training."""

    def compiler(*_: Any) -> Any:
        raise AssertionError("the compiler was called")

    model = nn.Linear(3, 1)
    model.compile(backend=compiler)
    inner: Any = torch.compile(nn.Linear(3, 1), backend=compiler)
    wrapped: Any = torch.compile(nn.Sequential(inner), backend=compiler)

    assert signature_of(model, torch.ones(2, 3))["outputs"] == {"output": spec(None, 1)}
    assert signature_of(wrapped, torch.ones(2, 3))["outputs"] == {"output": spec(None, 1)}
    assert model._compiled_call_impl is not None


@pytest.mark.filterwarnings("ignore:.torch.jit.*:DeprecationWarning")
def test_a_scripted_module_keeps_its_mode() -> None:
    """Its attributes are out of reach of Python."""
    scripted = torch.jit.script(nn.Sequential(nn.Linear(3, 1), nn.Dropout()))
    signature = signature_of(scripted, torch.ones(2, 3))

    assert signature["outputs"] == {"output": spec(None, 1)}
    assert scripted.training
    assert all(part.training for part in scripted.modules())
