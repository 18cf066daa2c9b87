"""From the text of an order to what runs are sorted by."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracklib.errors import FilterError
from tracklib.queries.orders import is_expression, parse_orders
from tracklib.queries.tree import Attribute, Computed, Lowered, Metric, Order, Param, Tag

UNDERSTOOD: list[tuple[Any, tuple[Order, ...]]] = [
    ("metrics['eval/loss']", (Order(Metric("eval/loss")),)),
    ("metrics.eval/loss", (Order(Metric("eval/loss")),)),
    ("-metrics.eval/loss.min", (Order(Metric("eval/loss", "min"), descending=True),)),
    ("params.batch-size desc", (Order(Param("batch-size"), descending=True),)),
    ("metrics.a/metrics.b", (Order(Computed("/", (Metric("a"), Metric("b")))),)),
    ("-metrics.acc", (Order(Metric("acc"), descending=True),)),
    ("- metrics.acc", (Order(Metric("acc"), descending=True),)),
    ("metrics.acc desc", (Order(Metric("acc"), descending=True),)),
    ("metrics.acc ASC", (Order(Metric("acc")),)),
    ("-tags.team", (Order(Tag("team"), descending=True),)),
    ("lower(run.name)", (Order(Lowered(Attribute("name"))),)),
    ("params.a, -params['b,c']", (Order(Param("a")), Order(Param("b,c"), descending=True))),
    (["params.a", "created desc"], (Order(Param("a")), Order(Attribute("created"), descending=True))),
    ("created", (Order(Attribute("created")),)),
    ("eval/loss", (Order(Metric("eval/loss")),)),
    ("-eval/loss", (Order(Metric("eval/loss"), descending=True),)),
    ("eval/loss desc", (Order(Metric("eval/loss"), descending=True),)),
    (Order(Tag("a")), (Order(Tag("a")),)),
    ([], ()),
]


@pytest.mark.parametrize(("text", "expected"), UNDERSTOOD)
def test_what_is_understood(text: Any, expected: tuple[Order, ...]) -> None:
    """Expressions, bare names of metrics, directions before and behind them, and several."""
    assert parse_orders(text) == expected


def test_a_direction_that_was_said_wins() -> None:
    """Where the highest come first by default, a minus says the same, and a word is obeyed."""
    ways = {
        text: parse_orders(text, descending=True)[0].descending for text in ("params.a", "-params.a", "params.a asc")
    }

    assert ways == {"params.a": True, "-params.a": True, "params.a asc": False}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("metrics.acc desc asc", "no expression"),
        ("run.statsu", "did you mean run.status?"),
        ("params.a, 5", "a part of an order is a field"),
        ("now() + 1", "an order is by a field"),
        ("params.a < 1", "a condition cannot be used as a value"),
        ("params.a,", "a part of an order is a field"),
        ("", "order_by is ''"),
        (5, "order_by is 5"),
        (["params.a", 5], "order_by is 5"),
        ("params.a" + ", params.a" * 20, "takes 16 at the most"),
        ("params." + "a" * 10_000, "characters, but takes"),
    ],
)
def test_what_is_not(text: Any, said: str) -> None:
    """It is said what is wrong."""
    with pytest.raises(FilterError, match=said):
        parse_orders(text)


def test_the_place_is_that_in_the_whole_text() -> None:
    """Also in the second of several parts."""
    with pytest.raises(FilterError) as caught:
        parse_orders("params.a,  run.statsu desc")

    assert caught.value.position == len("params.a,  run.")


@settings(deadline=None)
@given(
    st.text(max_size=30)
    | st.lists(st.sampled_from(["params.", "a", " ", ",", "-", "desc", "(", "'", "/"])).map("".join)
)
def test_no_text_raises_anything_else(text: str) -> None:
    """Whatever is written, it is an order or a `FilterError`."""
    with contextlib.suppress(FilterError):
        assert parse_orders(text)


def test_bare_names_are_told_from_expressions() -> None:
    """A metric may be called nearly anything."""
    names = ["loss", "eval/loss", "run", "params", "metrics/a", "runtime.x", "-loss"]

    assert not any(map(is_expression, names))
    assert all(map(is_expression, ["run.name", " -params['a']", "(metrics.a)", "abs(metrics.a)", "tags .a"]))
