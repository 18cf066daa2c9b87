"""What users hand over becomes numbers, steps, names and JSON, or is refused in words."""

from __future__ import annotations

import argparse
import collections
import dataclasses
import datetime as dt
import json
import math
import pathlib
import types
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracklib.errors import ConfigError, NotANumber
from tracklib.values import (
    as_float,
    as_step,
    checked_name,
    checked_names,
    checked_text,
    clean_text,
    json_text,
    jsonable,
    restore,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**100), 10**100) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


class Colour(Enum):
    RED = (1, 2)


class Level(IntEnum):
    HIGH = 3


class Word(StrEnum):
    SAY = "said"


class Pair(NamedTuple):
    left: int
    right: float


@dataclasses.dataclass
class Config:
    rate: float
    inner: Any = None


class Silent:
    def __repr__(self) -> str:
        raise RuntimeError("I say nothing")


class Refuses:
    def __float__(self) -> float:
        raise RuntimeError("not now")


class Stub:
    """A value of a library that is not installed: what `vars` says of it is what it has."""

    def __init__(self, **attributes: Any) -> None:
        self.__dict__.update(attributes)


# ---- numbers


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        *((1, 1.0), (True, 1.0), (-0.5, -0.5), (Fraction(1, 4), 0.25), (Decimal("0.1"), 0.1), (Level.HIGH, 3.0)),
        *((math.inf, math.inf), (2**53 + 1, 2.0**53), (10**400, math.inf), (-(10**400), -math.inf)),
        *(
            (np.float32(0.5), 0.5),
            (np.int8(-3), -3.0),
            (np.bool_(True), 1.0),
            (np.array(2), 2.0),
            (np.ones((1, 1)), 1.0),
        ),
    ],
    ids=repr,
)
def test_numbers_are_taken(value: Any, wanted: float) -> None:
    """Whatever is one number counts as a float, arrays of one element too."""
    number = as_float(value)

    assert (number, type(number)) == (wanted, float)


def test_not_a_number_is_a_number() -> None:
    """NaN is a value as others are."""
    assert math.isnan(as_float(float("nan")))
    assert math.isnan(as_float(np.float16("nan")))


@pytest.mark.parametrize("number", ["0.5", "1", "nan"])
@pytest.mark.parametrize("kind", [str, str.encode, bytearray, memoryview, np.str_, np.array, np.bytes_])
def test_text_is_no_number(kind: Any, number: str) -> None:
    """Text that reads like a number is text, in whatever it comes."""
    value = kind(number.encode()) if kind in {bytearray, memoryview} else kind(number)

    with pytest.raises(NotANumber, match="is no number"):
        as_float(value)


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        1j,
        np.ones(2),
        np.array([]),
        np.datetime64("2024-01-01"),
        object(),
        Refuses(),
        dt.timedelta(1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_number_is_told(value: Any) -> None:
    """The message names the type, and the error is the one that a caller would catch."""
    with pytest.raises(TypeError, match=f"'{type(value).__name__}' is no number"):
        as_float(value)


def test_tensors_are_detached_before_they_are_asked() -> None:
    """A tensor of a graph gives its value without the warning that it would give by itself."""
    inner = Stub(item=lambda: 0.25)

    assert as_float(Stub(detach=lambda: inner)) == 0.25


@given(st.floats() | st.integers(-(2**53), 2**53))
def test_any_float_stays_what_it_is(value: float) -> None:
    """Floats, and integers that a float can say, come out as they went in."""
    assert as_float(value) == value or (math.isnan(value) and math.isnan(as_float(value)))
    assert math.copysign(1, as_float(float(value))) == math.copysign(1, value)


# ---- steps


@pytest.mark.parametrize(
    ("step", "wanted"),
    [
        *((0, 0), (-1, -1), (3.0, 3), (True, 1), (Fraction(4, 2), 2), (Decimal(7), 7)),
        *(
            (np.int64(5), 5),
            (np.float32(6), 6),
            (np.array(4), 4),
            ((1 << 63) - 1, (1 << 63) - 1),
            (-(1 << 63), -(1 << 63)),
        ),
    ],
    ids=repr,
)
def test_whole_numbers_are_steps(step: Any, wanted: int) -> None:
    """Any whole number of 64 bits is a step, whatever its type."""
    number = as_step(step)

    assert (number, type(number)) == (wanted, int)


@pytest.mark.parametrize(
    "step",
    [0.5, math.nan, math.inf, None, "5", b"5", [1], np.arange(2), object()],
    ids=lambda step: repr(step).partition(" at 0x")[0],
)
def test_what_is_no_whole_number_is_no_step(step: Any) -> None:
    """Anything else is refused as soon as it is seen, and the message shows it."""
    with pytest.raises(TypeError, match="takes a whole number"):
        as_step(step)


@pytest.mark.parametrize("step", [1 << 63, -(1 << 63) - 1, 1e300])
def test_steps_have_64_bits(step: Any) -> None:
    """A step that no store can keep is refused."""
    with pytest.raises(ValueError, match="64 bits"):
        as_step(step)


# ---- names and text


def test_names_get_their_context() -> None:
    """The context stands before each name; an empty one is none."""
    assert checked_names({"a": 1, "b/c": 2}, "eval") == ["eval/a", "eval/b/c"]
    assert checked_names({"a": 1}, None) == checked_names({"a": 1}, "") == ["a"]
    assert checked_names({}, "eval") == []


@pytest.mark.parametrize(
    ("values", "context", "match"),
    [
        (3, None, r"log takes a mapping.*not 3"),
        ([("a", 1)], None, "log takes a mapping"),
        ({1: 2}, None, r"the metric name 1 is no text: write str\(name\)"),
        ({"a": 1}, 7, "context is 7"),
    ],
)
def test_what_cannot_be_names_is_told(values: Any, context: Any, match: str) -> None:
    """Misuse that is visible at the call is told with what was given and what to do."""
    with pytest.raises(TypeError, match=match):
        checked_names(values, context)


@pytest.mark.parametrize("name", ["a", "ünï / 'x'", " a ", "x" * 500])
def test_names_are_taken_as_they_are(name: str) -> None:
    """A name may be any text that says something."""
    assert checked_name("project", name) == checked_text("project", name) == name


@pytest.mark.parametrize("name", ["", "  ", "\n", None, 3, b"a", "x" * 501])
def test_names_that_say_nothing_are_refused(name: Any) -> None:
    """The message names the argument, and is short however long the name."""
    with pytest.raises(ConfigError, match=r"^project ") as caught:
        checked_name("project", name)

    assert len(str(caught.value)) < 200


@given(st.text(st.characters(blacklist_categories=())))
def test_any_text_becomes_what_utf_8_can_say(text: str) -> None:
    """Lone surrogates become escapes; all other text stays."""
    clean = clean_text(text)

    assert clean.encode("utf-8").decode("utf-8") == clean
    assert clean == text or any("\ud800" <= character <= "\udfff" for character in text)


# ---- JSON


@given(JSON)
def test_what_json_can_say_comes_back(value: Any) -> None:
    """Whatever consists of JSON's own types, NaN and infinities too, is restored; and keys that look like marks."""
    kept = json.loads(json_text(jsonable(value)))

    assert repr(restore(kept)) == repr(clean_keys(value))


def clean_keys(value: Any) -> Any:
    """Return `value` with its text as UTF-8 can say it."""
    if isinstance(value, dict):
        return {clean_text(key): clean_keys(item) for key, item in value.items()}
    if isinstance(value, list):
        return [clean_keys(item) for item in value]
    return clean_text(value) if isinstance(value, str) else value


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (Config(0.1, Config(math.nan)), {"rate": 0.1, "inner": {"rate": {"$float": "nan"}, "inner": None}}),
        (Pair(1, -math.inf), {"left": 1, "right": {"$float": "-inf"}}),
        (argparse.Namespace(lr=0.1), {"lr": 0.1}),
        (types.SimpleNamespace(a={"b": (1,)}), {"a": {"b": [1]}}),
        (collections.OrderedDict({1: 2, None: 3}), {"1": 2, "None": 3}),
        (collections.deque([1, 2]), [1, 2]),
        pytest.param({"b", "a"}, ["a", "b"], id="a set"),
        (frozenset({1}), [1]),
        (range(3), [0, 1, 2]),
        ((Colour.RED, Level.HIGH, Word.SAY), [[1, 2], 3, "said"]),
        (pathlib.PurePosixPath("a/b"), "a/b"),
        (np.float32(0.5), 0.5),
        (np.arange(3), [0, 1, 2]),
        (np.array([math.inf]), {"$float": "inf"}),
        (np.array(["a", "b"]), ["a", "b"]),
        ("a\ud800b", "a\\ud800b"),
        ({"$float": "mine", "$$": 1}, {"$$float": "mine", "$$$": 1}),
        (True, True),
    ],
    ids=repr,
)
def test_what_has_a_form_in_json_gets_it(value: Any, wanted: Any) -> None:
    """Bundles of named values become objects, sequences arrays, scalars of libraries numbers."""
    kept = jsonable(value)

    assert kept == wanted
    assert json.loads(json.dumps(kept, allow_nan=False)) == kept


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1j, "1j"),
        (b"ab", "b'ab'"),
        (len, "<built-in function len>"),
        (Config, "<class "),
        (Silent(), "<Silent whose repr raised RuntimeError>"),
        (object(), "<object object>"),
        (range(10**9), "range(0, 1000000000)"),
        (np.zeros((40, 50)), "ndarray(shape=(40, 50), dtype=float64)"),
        (10**10_000, "int"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_json_cannot_say_is_marked(value: Any, text: str) -> None:
    """Anything else is kept by its words and its type, without its address in memory."""
    kept = jsonable({"x": value})["x"]

    assert kept.keys() == {"$repr", "$type"}
    assert text in (kept["$repr"], kept["$repr"][: len(text)], kept["$type"].rpartition(".")[2])
    assert restore(kept) == kept


def test_sets_are_kept_whatever_is_in_them() -> None:
    """A set is ordered by what is kept of it, so that two equal ones look the same."""
    assert [mark["$type"].rpartition(".")[2] for mark in jsonable({Silent()})] == ["Silent"]
    assert jsonable({3, "3", None}) == ["3", 3, None]


def test_structures_that_contain_themselves_end() -> None:
    """A structure that is part of itself, even several times over, is marked where it comes again."""
    loop: list[Any] = []
    loop += [loop, loop, 1]
    tree: dict[str, Any] = {"children": [{}, {}]}
    for child in tree["children"]:
        child["parent"] = tree

    first, second, one = jsonable(loop)
    assert (first["$type"], second["$type"], one) == ("builtins.list", "builtins.list", 1)
    assert [child["parent"]["$type"] for child in jsonable(tree)["children"]] == ["builtins.dict"] * 2


def test_very_deep_structures_end() -> None:
    """What is nested deeper than anybody means it is cut by a mark."""
    value: Any = 1
    for _ in range(500):
        value = [value]

    assert len(json.dumps(jsonable(value))) < 20_000


@pytest.mark.parametrize("value", [{"$float": "hello"}, {"$float": 1}, {"$float": ["nan"]}, {"$float": "nan", "b": 1}])
def test_what_only_looks_like_a_mark_is_left_alone(value: Any) -> None:
    """Data that somebody else wrote is not read as what it is not."""
    assert restore(value) == value
    assert restore([value]) == [value]
