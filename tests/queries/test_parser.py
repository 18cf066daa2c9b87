"""From the text of a filter to a tree: what is understood, and how."""

from __future__ import annotations

import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracklib.errors import ConfigError, FilterError
from tracklib.queries.parser import parse
from tracklib.queries.tree import (
    All,
    Among,
    Anyone,
    Attribute,
    Comparison,
    Computed,
    Condition,
    Constant,
    Contains,
    IsNone,
    Lowered,
    Matching,
    Metric,
    Not,
    NumberTest,
    Param,
    Tag,
    Truth,
    fields_in,
)
from tracklib.testing.zoo import filters

NOW = 1_800_000_000.0
LR, LOSS, TEAM = Param("lr"), Metric("loss"), Tag("team")

UNDERSTOOD: list[tuple[str, Condition]] = [
    ("params.lr < 1", Comparison(LR, "<", Constant(1))),
    ("params['lr'] == 'a'", Comparison(LR, "==", Constant("a"))),
    ("params.a['b c'].d != None", Comparison(Param("a.b c.d"), "!=", Constant(None))),
    ("1e400 >= metrics.loss", Comparison(Constant(float("inf")), ">=", LOSS)),
    ("metrics['eval/loss'].min > -1_000", Comparison(Metric("eval/loss", "min"), ">", Constant(-1000))),
    ("metrics['loss.min'] > 1", Comparison(Metric("loss.min"), ">", Constant(1))),
    ("metrics.loss['min'] > 1", Comparison(Metric("loss.min"), ">", Constant(1))),
    ("metrics.min > 1", Comparison(Metric("min"), ">", Constant(1))),
    ("0.1 < params.lr <= 1", All((Comparison(Constant(0.1), "<", LR), Comparison(LR, "<=", Constant(1))))),
    ("tags.team in ['a', 'b']", Among(TEAM, ("a", "b"))),
    ("tags.team not in ('a',)", Not(Among(TEAM, ("a",)))),
    ("params.lr in {1, -2, None, True}", Among(LR, (1, -2, None, True))),
    ("'vis' in tags.team", Contains("vis", TEAM)),
    ("tags.team is not None", Not(IsNone(TEAM))),
    ("None is tags.team", IsNone(TEAM)),
    ("params.sizes == [1, [2, 'a']]", Comparison(Param("sizes"), "==", Constant((1, (2, "a"))))),
    ("like(tags.team, 'v%')", Matching("like", TEAM, "v%")),
    ("tags.team.lower().startswith('v')", Matching("startswith", Lowered(TEAM), "v")),
    (r"matches(tags.team, r'\d')", Matching("matches", TEAM, r"\d")),
    (r"tags.team.matches('\d')", Matching("matches", TEAM, r"\d")),
    ("isnan(metrics.loss)", NumberTest("nan", LOSS)),
    ("run.git.dirty", Truth(Attribute("git.dirty"))),
    ("run['git.commit'].startswith('3f')", Matching("startswith", Attribute("git.commit"), "3f")),
    ("run.start_time > now()", Comparison(Attribute("started"), ">", Constant(NOW))),
    ("run.started > ago('1w2d')", Comparison(Attribute("started"), ">", Constant(NOW - 9 * 86_400))),
    ("run.started in ['1970-01-02']", Among(Attribute("started"), (86_400.0,))),
    ("date('1970-01-01T01:00+01:00') == run.ended", Comparison(Constant(0.0), "==", Attribute("ended"))),
    ("run.duration < '1h30m'", Comparison(Attribute("duration"), "<", Constant(5400.0))),
    ("metrics.loss.last_time < '1970-01-02'", Comparison(Metric("loss", "last_time"), "<", Constant(86_400.0))),
    (
        "run.ended - run.started < '1m'",
        Comparison(Computed("-", (Attribute("ended"), Attribute("started"))), "<", Constant(60.0)),
    ),
    ("-params.lr < +1", Comparison(Computed("negative", (LR,)), "<", Constant(1))),
    (
        "abs(metrics.loss) ** 2 > 1",
        Comparison(Computed("**", (Computed("absolute", (LOSS,)), Constant(2))), ">", Constant(1)),
    ),
    ("not params.lr or True", Anyone((Not(Truth(LR)), Truth(Constant(value=True))))),
    ("params.lr \n == \t 1", Comparison(LR, "==", Constant(1))),
    ("tags.team == 'a' 'b'", Comparison(TEAM, "==", Constant("ab"))),
    ("tags.team == '\\ud800'", Comparison(TEAM, "==", Constant("\\ud800"))),
    ("params.größe == 'ß'", Comparison(Param("größe"), "==", Constant("ß"))),
]


@pytest.mark.parametrize(("text", "expected"), UNDERSTOOD)
def test_what_is_understood(text: str, expected: Condition) -> None:
    """Each form that a filter may have becomes a tree that says the same."""
    assert parse(text, now=NOW) == expected


def test_an_empty_filter_asks_for_nothing() -> None:
    """Blank text holds of every run."""
    assert parse("") is parse("  \n") is None


def test_only_texts_are_filters() -> None:
    """Anything else is refused."""
    with pytest.raises(FilterError, match="the filter is 5, but takes text"):
        parse(5)  # type: ignore[arg-type]


def test_it_is_now_where_nothing_else_is_said() -> None:
    """`now()` is the time of the call."""
    import time

    before = time.time()
    found = parse("run.started < now()")

    assert isinstance(found, Comparison)
    assert isinstance(found.right, Constant)
    assert before <= float(str(found.right.value)) <= time.time()


def test_the_fields_of_a_filter_are_told() -> None:
    """Wherever in the tree they are."""
    found = parse("params.a < 1 and (lower(tags.b) == 'x' or not abs(metrics.c) + params.d < 2 or 'x' in run.name)")

    assert found is not None
    assert list(fields_in(found)) == [Param("a"), Tag("b"), Metric("c"), Param("d"), Attribute("name")]


# ---- nothing but FilterError, whatever the text

_words = st.sampled_from(
    [
        *("params", "metrics", "tags", "run", ".", "lr", "loss", "status", "(", ")", "[", "]", "{", "}", ",", "'", '"'),
        *("1", "2.5", "1e9", "<", "<=", "==", "!=", "in", "not", "and", "or", "is", "None", "True", "like", "lower"),
        *("abs", "isnan", "date", "ago", "now", "matches", "duration", "'7d'", "'a'", '"b"', "+", "-", "*", "/", "**"),
        *("%", ":", "=", "!", "lambda", "if", "else", "for", "f''", "b''", "1j", "...", "@", "~", "\n", "\\", "#", ";"),
        *("é", "文", "\0", "\ud800", "\f"),
    ]
)


@settings(deadline=None, max_examples=400)
@given(st.one_of(st.text(max_size=40), st.lists(_words, max_size=25).map(" ".join), st.lists(_words).map("".join)))
def test_no_text_raises_anything_else(text: str) -> None:
    """Whatever is written, it is a filter or a `FilterError` whose place is within the text; no warning escapes."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        problem = None
        try:
            parse(text)
        except FilterError as error:
            problem = error
    assert problem is None or 0 <= problem.position <= len(problem.text)


@settings(deadline=None, max_examples=100)
@given(filters())
def test_random_filters_are_understood(text: str) -> None:
    """What the suite of stores makes up is part of the language, also in brackets and lines of its own."""
    assert parse(f"(\n{text}\n)", now=NOW) == parse(text, now=NOW)


@pytest.mark.parametrize(
    "text",
    [
        "(" * 10_000,
        "(" * 4000 + "params.a" + ")" * 4000,
        "not " * 2000 + "params.a",
        "-" * 5000 + "1 < params.a",
        "1+" * 3000 + "1 < params.a",
        "params" + ".a" * 4000 + " == 1",
        "[" * 90 + "]" * 90 + " == params.a",
        "9" * 5000 + " == params.a",
        "params.a == 1 or " * 700 + "params.a == 1",
        "x" * 100_000,
        "lower(" * 100 + "tags.a" + ")" * 100 + " == 'a'",
    ],
)
def test_what_is_too_long_or_too_deep_is_refused(text: str) -> None:
    """It crashes nothing."""
    with pytest.raises(FilterError, match=r"deep|characters, but takes|Exceeds"):
        parse(text)


def test_a_filter_error_is_what_one_would_catch() -> None:
    """It is a ConfigError and a ValueError, and it knows the text and the place."""
    with pytest.raises(ConfigError) as caught:
        parse("params.lr = 1")

    assert isinstance(caught.value, FilterError)
    assert isinstance(caught.value, ValueError)
    assert (caught.value.text, caught.value.position) == ("params.lr = 1", 10)
