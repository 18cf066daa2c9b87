"""Runs of all kinds to search among, and random filters about them."""

from __future__ import annotations

import math
import random
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from hypothesis import strategies as st

from tracklib.model import RecordKind
from tracklib.queries.attributes import ATTRIBUTES, STATISTICS, AttributeType
from tracklib.records import new_id
from tracklib.testing.batches import EPOCH, WriterScript, points
from tracklib.testing.entities import ENVIRONMENT, RESOURCES, SOURCE
from tracklib.values import jsonable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracklib.records import Batch, Record

__all__ = ["filters", "orders", "zoo"]

_NAN, _INF = math.nan, math.inf
_PARAMS: Final = ("lr", "model.size", "q'uote\"", "ünï 文")
_METRICS: Final = ("loss", "eval/acc", "loss.min", "a'b\"")
_TAGS: Final = ("team", "my tag", "é'\"")
_TEXTS: Final = (
    "",
    "a",
    "A",
    "ab",
    "a%b_c",
    "true",
    "null",
    "nan",
    "1",
    "[1,2]",
    "résumé",
    "x\0y",
    "\U0010ffff",
    "a\n'",
)
_NUMBERS: Final = (
    *(0, 1, -1, 3, 2**53, 2**53 + 1, 2**63, -(2**63) - 1, 10**30, 10**400, -(10**400)),
    *(0.0, -0.0, 0.5, -0.5, 1e-3, 1e308, float(2**53), 5e-324, _INF, -_INF),
)
_LISTS: Final[tuple[Any, ...]] = ([], [1, 2], [1.0, 2], ["a", None, True, 1.5], [_INF, _NAN], [[1], {"a": 1}])
_VALUES: Final = (None, True, False, _NAN, *_NUMBERS, *_TEXTS, *_LISTS, {}, range(10**9))
_LOGGED: Final = (0.0, -0.0, 1.0, -1.0, 0.5, 3.0, 1e-3, 1e308, _NAN, _INF, -_INF)
_WIDE: Final = 70
"""More series than a store brings up to date at once."""


def zoo(count: int = 24, *, seed: int = 1) -> Iterator[Batch]:
    """Yield batches of runs whose params, tags and metrics are of all kinds, the same ones each time but for ids."""
    draw = random.Random(seed)  # noqa: S311 - it makes examples
    parent = None
    for number in range(count):
        # Several are made at one moment.
        at = EPOCH + number // 2
        script = WriterScript(run=new_id(at), clock=at, project=draw.choice("pq"), experiment=draw.choice("xy"))
        name = draw.choice(("", *_TEXTS[1:], "lr-1"))
        yield script.start(*_records(draw, script), name=name, parent=parent, host=draw.choice(["", "h1", "H2"]))
        for _ in range(draw.randint(0, 2)):
            yield script.batch(points(_columns(draw)))
        if draw.random() < 0.7:
            yield script.end(
                draw.choice(["completed", "failed", "killed"]),
                reason=draw.choice(["", "why"]),
                error=draw.choice([None, {"type": "ValueError", "message": "bad", "traceback": ""}]),
            )
        parent = draw.choice([None, script.run])


def _records(draw: random.Random, script: WriterScript) -> list[Record]:
    params: dict[str, Any] = {name: draw.choice(_VALUES) for name in _PARAMS if draw.random() < 0.8}
    nested = {"model": {"size": params.pop("model.size")}} if "model.size" in params else {}
    tags = {name: draw.choice(_TEXTS) for name in _TAGS if draw.random() < 0.6}
    records = [
        script.record(RecordKind.PARAMS, params=jsonable({**params, **nested})),
        script.record(RecordKind.TAGS, tags=tags),
    ]
    if draw.random() < 0.5:
        records += [
            script.record(RecordKind.SOURCE, **jsonable(asdict(SOURCE))),
            script.record(RecordKind.ENVIRONMENT, **jsonable(asdict(ENVIRONMENT))),
            script.record(RecordKind.RESOURCES, **jsonable(asdict(RESOURCES))),
            script.record(RecordKind.NOTES, text=draw.choice(_TEXTS)),
        ]
    if draw.random() < 0.2:
        records.append(script.record(RecordKind.ARCHIVE, archived_at=script.clock))
    return records


def _columns(draw: random.Random) -> dict[str, list[float]]:
    names = [name for name in _METRICS if draw.random() < 0.7] or [_METRICS[0]]
    if draw.random() < 0.3:
        names += [f"layer/{n}" for n in range(_WIDE)]
    return {name: [draw.choice(_LOGGED) for _ in range(2)] for name in names}


# ---- random filters

_texts = st.sampled_from([*_TEXTS, "b", "lr-1", "h1", "completed"]) | st.text(max_size=3)
_numbers = st.sampled_from([n for n in _NUMBERS if n == n and abs(n) != _INF] + [2**53 - 1, 2**60 + 1, 1e16])  # noqa: PLR0124 - NaN is none
_literals = st.one_of(
    _numbers.map(repr),
    st.just("1e999"),
    st.just("-1e999"),
    _texts.map(repr),
    st.sampled_from(["True", "False", "None"]),
)
_lists = st.lists(st.sampled_from(["1", "2", "1.0", "'a'", "None", "True", "1.5", "[1]"]), max_size=4).map(
    lambda items: f"[{', '.join(items)}]"
)
_params = st.sampled_from([*_PARAMS, "none"]).map(lambda name: f"params[{name!r}]")
_statistics = st.sampled_from(["", *(f".{name}" for name in STATISTICS if name != "last_time")])
_metrics = st.tuples(st.sampled_from([*_METRICS, "none"]), _statistics).map(
    lambda pair: f"metrics[{pair[0]!r}]{pair[1]}"
)
_tags = st.sampled_from([*_TAGS, "none"]).map(lambda name: f"tags[{name!r}]")


def _attributes(*types: AttributeType) -> st.SearchStrategy[str]:
    named = [name for name, attribute in ATTRIBUTES.items() if attribute.type in types and name != "status"]
    return st.sampled_from(named).map(lambda name: f"run.{name}")


_timed = _attributes(AttributeType.TIME, AttributeType.DURATION) | st.just("metrics.loss.last_time")
_numeric = st.one_of(_params, _metrics, _attributes(AttributeType.NUMBER, AttributeType.FLAG), _timed)
_textual = st.one_of(_params, _tags, _attributes(AttributeType.TEXT))
_fields = st.one_of(_numeric, _textual)
_untimed = st.one_of(_params, _metrics, _attributes(AttributeType.NUMBER, AttributeType.FLAG), _textual)
_moments = st.sampled_from([repr(EPOCH + 3), repr(EPOCH), "2", "now()", "None", "'2023-11-14 22:13:23'"])
_computed = st.recursive(
    _numeric | _numbers.map(repr),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/", "**"]), inner).map(lambda p: f"({p[0]} {p[1]} {p[2]})"),
        inner.map(lambda value: f"(-{value})"),
        inner.map(lambda value: f"abs({value})"),
    ),
    max_leaves=4,
)
_values = st.one_of(_fields, _computed, _textual.map(lambda value: f"lower({value})"))
_operators = st.sampled_from(["==", "!=", "<", "<=", ">", ">="])
_patterns = st.text(alphabet="%_aAbré'x\0", max_size=5).map(repr)
_expressions = st.sampled_from(["^a", "b$", "[aA]", "a.b", "é", "\\d", "(?i)A", ".", "^$"]).map(repr)


@st.composite
def _comparisons(draw: st.DrawFn) -> str:
    left, operator, right = draw(_untimed), draw(_operators), draw(st.one_of(_literals, _lists))
    return f"{left} {operator} {right}" if draw(st.booleans()) else f"{right} {operator} {left}"


def _says_field(text: str) -> bool:
    return "[" in text or "run." in text or "metrics." in text


def _tuples(template: str, *parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(*parts).map(lambda drawn: template.format(*drawn))


_simple = st.one_of(
    _comparisons(),
    _tuples("{} {} {}", _params, _operators, _literals),
    _tuples("{} {} {}", _metrics, _operators, _numbers.map(repr)),
    _tuples("{} {} {} {} {}", _literals, _operators, _params, _operators, _literals),
    _tuples("{} {} {}", _values, _operators, _computed),
    _tuples("{} {} {}", _textual, _operators, _textual),
    _tuples("{} {} {}", _params, _operators, _params),
    _tuples(
        "{} {} {}",
        _params,
        st.sampled_from(["in", "not in"]),
        st.lists(_literals, max_size=4).map(", ".join).map("[{}]".format),
    ),
    _tuples("{} in {}", _tags, st.lists(_texts.map(repr), max_size=4).map(", ".join).map("[{}]".format)),
    _tuples("{} in {}", _literals, _params | _tags),
    _tuples("{} is {}", _values, st.sampled_from(["None", "not None"])),
    _tuples("{}({})", st.sampled_from(["isnan", "isinf"]), _numeric | _computed.filter(_says_field)),
    _tuples("{} {} {}", _attributes(AttributeType.TIME), _operators, _moments),
    _tuples("{} {} {}", _attributes(AttributeType.DURATION), _operators, st.sampled_from(["'1s'", "0", "1.0"])),
    _tuples("{}({}, {})", st.sampled_from(["like", "ilike", "startswith", "endswith"]), _textual, _patterns),
    _tuples("matches({}, {})", _textual, _expressions),
    _tuples("lower({}) {} {}", _textual, _operators, _texts.map(repr)),
    _tuples("run.status {} {}", st.sampled_from(["==", "!="]), st.sampled_from(["'killed'", "'running'", "'failed'"])),
    _fields,
)

_filters = st.recursive(
    _simple,
    lambda inner: st.one_of(
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"({' and '.join(parts)})"),
        st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"({' or '.join(parts)})"),
        inner.map(lambda part: f"(not {part})"),
    ),
    max_leaves=5,
)

_orders = st.lists(
    st.tuples(_values, st.sampled_from(["", " asc", " desc"]))
    .map("".join)
    .filter(lambda text: "[" in text or "run." in text),
    max_size=2,
)


@st.composite
def filters(draw: st.DrawFn) -> str:
    """Draw the text of a filter: any expression that the language has, about the runs of `zoo`."""
    return draw(_filters)


@st.composite
def orders(draw: st.DrawFn) -> list[str]:
    """Draw the texts of an order."""
    return draw(_orders)
