"""The suite's tests of filters and orders: what is written about them, and that they mean the same in each store."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tracklib.model import RunStatus
from tracklib.queries.orders import parse_orders
from tracklib.queries.parser import parse
from tracklib.records import RecordKind, new_id
from tracklib.stores.base import FieldNames, RunQuery
from tracklib.testing.answering import answered
from tracklib.testing.batches import EPOCH, WriterScript, points, ship
from tracklib.testing.evaluating import Facts
from tracklib.testing.harness import StoreHarness
from tracklib.testing.memory import MemoryStore
from tracklib.testing.zoo import filters, orders, zoo
from tracklib.values import jsonable

if TYPE_CHECKING:
    from tracklib.stores.base import Store

__all__ = ["SearchContract"]

NOW: Final = EPOCH + 1000.0


def _run(store: Store, name: str, at: float = 0.0, **given: Any) -> str:
    """Ship a run with params, tags and last values of metrics, and return its id."""
    script = WriterScript(run=new_id(EPOCH + at), clock=EPOCH + at, name=name)
    records = [
        script.record(RecordKind.PARAMS, params=jsonable(given.get("params", {}))),
        script.record(RecordKind.TAGS, tags=given.get("tags", {})),
    ]
    metrics = given.get("metrics")
    ship(store, [script.start(*records, *([points(metrics)] if metrics else []))])
    return script.run


def _found(store: Store, text: str, order: str = "run.created", **conditions: Any) -> list[str]:
    """Return the names of the runs for which a filter holds, the oldest first."""
    query = RunQuery(where=parse(text, now=NOW), order=parse_orders(order), **conditions)
    return [info.name for info in store.runs(query)]


_PARAMS: Final[dict[str, Any]] = {
    "one": 1,
    "half": 0.5,
    "yes": True,
    "text": "1",
    "nan": math.nan,
    "none": None,
    "list": [1, "a"],
    "huge": 2**63 + 1,
}
_CASES: Final = [
    ("params.x == 1", "one yes"),
    ("params.x == '1'", "text"),
    ("params.x == True", "one yes"),
    ("params.x != 1", "absent half text nan none list huge"),
    ("params.x < 1", "half"),
    ("not params.x < 1", "absent one yes text nan none list huge"),
    ("0.1 < params.x <= 1", "one half yes"),
    ("params.x is None", "absent none"),
    ("params.x == None", "absent none"),
    ("params.x is not None", "one half yes text nan list huge"),
    ("isnan(params.x)", "nan"),
    ("params.x == params.x", "absent one half yes text none list huge"),
    ("params.x in [1, 'a', None]", "absent one yes none"),
    ("params.x not in [1, '1']", "absent half nan none list huge"),
    ("params.x == [1, 'a']", "list"),
    ("'a' in params.x", "list"),
    ("'1' in params.x", "text"),
    ("params.x == 9223372036854775809", "huge"),
    ("params.x == 9223372036854775808", ""),
    ("params.x > 9223372036854775808", "huge"),
    ("params.x > 9223372036854775809", ""),
    ("params.x", "one half yes text nan list huge"),
    ("params.x + 1 == 2", "one yes"),
    ("params.x / 0 > 0", ""),
    ("isnan(params.x / 0)", "one half yes nan huge"),
    ("-params.x == -0.5", "half"),
    ("params.x ** 2 == 0.25", "half"),
]


class SearchContract(StoreHarness):
    """What `Store.runs` promises of filters and orders.

    Attributes:
        filters: How many random filters are tried.
    """

    filters: ClassVar[int] = 150

    @pytest.mark.parametrize(("text", "expected"), _CASES)
    def test_values_of_all_kinds_are_compared_as_it_is_written(self, store: Store, text: str, expected: str) -> None:
        """Numbers, texts, flags, lists, None and NaN each have their rule, and no run is both found and not."""
        _run(store, "absent")
        for number, (name, value) in enumerate(_PARAMS.items(), 1):
            _run(store, name, number, params={"x": value})

        assert " ".join(_found(store, text)) == expected
        every = ["absent", *_PARAMS]
        assert sorted([*_found(store, text), *_found(store, f"not ({text})")]) == sorted(every)

    def test_metrics_are_compared_by_their_summaries(self, store: Store) -> None:
        """The last value counts, or the one that is named; a metric of such a name is meant by its whole name."""
        _run(store, "falling", 0, metrics={"loss": [3.0, 1.0]})
        _run(store, "rising", 1, metrics={"loss": [1.0, 3.0], "loss.min": [7.0, 7.0]})
        _run(store, "without", 2, metrics={"acc": [math.nan, math.nan]})

        assert _found(store, "metrics.loss < 2") == ["falling"]
        assert _found(store, "metrics.loss.min == 1 and metrics.loss.max == 3") == ["falling", "rising"]
        assert _found(store, "metrics['loss.min'] == 7") == ["rising"]
        assert _found(store, "metrics.loss.mean == 2 and metrics.loss.count == 2") == ["falling", "rising"]
        assert _found(store, "metrics.loss is None") == ["without"]
        assert _found(store, "isnan(metrics.acc) and isnan(metrics.acc.min)") == ["without"]
        assert _found(store, "metrics.acc == metrics.acc") == ["falling", "rising"]
        assert _found(store, "metrics['loss.min'] - metrics.loss > 3") == ["rising"]

    def test_texts_are_compared(self, store: Store) -> None:
        """Texts have an order, parts, beginnings and ends, and match patterns, letter by letter."""
        for number, text in enumerate(["resnet50", "ResNet", "a%b", "", "résumé"]):
            _run(store, str(number), number, tags={"my tag": text})

        assert _found(store, "tags['my tag'].like('res%')") == ["0"]
        assert _found(store, "ilike(tags['my tag'], 'RES%')") == ["0", "1"]
        assert _found(store, "like(tags['my tag'], 'r_s%')") == ["0", "4"]
        assert _found(store, "tags['my tag'].startswith('a%')") == ["2"]
        assert _found(store, "'e' in tags['my tag'] and not endswith(tags['my tag'], '50')") == ["1"]
        assert _found(store, "matches(tags['my tag'], r'\\d+$')") == ["0"]
        assert _found(store, "lower(tags['my tag']) == 'resnet'") == ["1"]
        assert _found(store, "tags['my tag'] > 's' or tags['my tag'] == ''") == ["3"]
        assert _found(store, "not tags['my tag']") == ["3"]

    def test_attributes_are_compared(self, store: Store) -> None:
        """What is known of each run can be asked for; times are compared with dates, durations with durations."""
        first, second = _run(store, "first", 0), _run(store, "second", 900)

        assert _found(store, f"run.id == '{first}' or run.name == 'second'") == ["first", "second"]
        assert _found(store, "run.project == 'digits' and run.experiment.startswith('sw')") == ["first", "second"]
        assert _found(store, "run.started > ago('5m')") == ["second"]
        assert _found(store, "run.created < '2023-11-14T22:20:00'") == ["first"]
        assert _found(store, "run.duration < '2h' and run.ended is None and not run.archived") == ["first", "second"]
        assert _found(store, "run.status == 'running'", lost=(second,)) == ["first"]
        assert _found(store, "run.status == 'killed' and run.ended - run.started < 60", lost=(second,)) == ["second"]
        assert _found(store, "run.reason == 'gone'", lost=(second,), lost_reason="gone") == ["second"]
        assert _found(store, "", status=(RunStatus.KILLED,), lost=(second,)) == ["second"]

    def test_what_is_missing_or_nan_comes_last(self, store: Store) -> None:
        """Either way; what is equal comes newest first, and several orders count one behind the other."""
        for number, value in enumerate([2.0, math.nan, None, 1.0, math.inf, 2.0]):
            metrics = {"loss": [value]} if value is not None else None
            _run(store, str(number), number, metrics=metrics, params={"odd": number % 2})

        assert _found(store, "", "metrics.loss") == ["3", "5", "0", "4", "2", "1"]
        assert _found(store, "", "-metrics.loss") == ["4", "5", "0", "3", "2", "1"]
        assert _found(store, "", "params.odd desc, metrics.loss") == ["3", "5", "1", "0", "4", "2"]
        assert _found(store, "", "metrics.loss", limit=2, offset=1) == ["5", "0"]
        assert _found(store, "", "metrics.loss", limit=9, offset=4) == ["2", "1"]

    def test_the_answer_follows_the_points(self, store: Store) -> None:
        """Few series or many: what was logged a moment ago counts."""
        narrow, wide = (WriterScript(run=new_id(EPOCH + n), clock=EPOCH + n, name=str(n)) for n in range(2))
        many = {f"series/{n}": [0.0] for n in range(100)}
        for value in (1.0, 3.0, 2.0):
            narrow.ship(store, points({"loss": [value]}, steps=[narrow.position]))
            wide.ship(store, points({"loss": [value + 0.5], **many}, steps=[wide.position]))

        assert _found(store, "metrics.loss == 2 or metrics.loss == 2.5") == ["0", "1"]
        assert _found(store, "metrics.loss.max >= 3 and metrics.loss.count == 3", "-metrics.loss.max") == ["1", "0"]
        assert _found(store, "metrics['series/7'] == 0", "metrics.loss", limit=1) == ["1"]

    @pytest.mark.parametrize("text", ["'; DROP TABLE run; --", "' OR '1'='1", '"a" = :a0', "%' ESCAPE '", "\0', '"])
    def test_nothing_in_a_text_is_a_command(self, store: Store, text: str) -> None:
        """Names and texts are what they are, whatever is in them."""
        _run(store, "one", 0, params={text: text}, tags={text: text}, metrics={text: [1.0]})
        _run(store, "other", 1)

        for condition in ("params[{0}] == {0}", "tags[{0}].startswith({0})", "{0} in tags[{0}]", "metrics[{0}] == 1"):
            assert _found(store, condition.format(repr(text))) == ["one"]
        assert _found(store, "", f"metrics[{text!r}]") == ["one", "other"]

    def test_many_conditions(self, store: Store) -> None:
        """A filter may be as long as a filter can be, and ask for as many fields."""
        _run(store, "one", 0, params={"p5": 5})

        assert _found(store, " or ".join(f"params.p{n}=={n}" for n in range(480))) == ["one"]
        assert _found(store, " and ".join(f"params.q{n} is None" for n in range(400))) == ["one"]
        assert _found(store, f"params.p5 in [{', '.join(map(str, range(1500)))}]") == ["one"]
        assert _found(store, f"{'not ' * 50}{'(' * 8}params.p5 == 5{')' * 8}") == ["one"]

    def test_names_are_told(self, store: Store) -> None:
        """The names of params, metrics and tags that runs have, of all of them or of a place."""
        _run(store, "one", params={"a": {"b": 1}, "c": []}, tags={"t": ""}, metrics={"m": [1.0]})
        script = WriterScript(project="other", experiment="e")
        ship(store, [script.start(script.record(RecordKind.TAGS, tags={"u": "v"}))])

        assert store.field_names() == FieldNames(params=("a.b", "c"), metrics=("m",), tags=("t", "u"))
        assert store.field_names("other") == store.field_names("other", "e") == FieldNames(tags=("u",))
        assert store.field_names("nobody's") == store.field_names(experiment="none") == FieldNames()

    def test_times_are_told(self, store: Store) -> None:
        """When each run was made, and what became of it."""
        first, second = _run(store, "first", 0, params={"a": 1}), _run(store, "second", 7)

        assert sorted(store.run_times(RunQuery())) == [(EPOCH, "running"), (EPOCH + 7, "running")]
        assert store.run_times(RunQuery(ids=(second,), lost=(second,))) == [(EPOCH + 7, "killed")]
        assert store.run_times(RunQuery(where=parse("params.a == 1"), limit=0)) == [(EPOCH, "running")]
        assert first

    def test_any_filter_means_the_same_here(self, store: Store) -> None:
        """Random filters and orders about runs of all kinds find what the plain evaluator finds, in the same order."""
        reference = MemoryStore(f"reference://{new_id()}")
        batches = list(zoo())
        for each in (store, reference):
            ship(each, batches)
        everything = RunQuery(archived=None)
        ids = [info.id for info in reference.runs(everything)]
        metrics = reference.summaries(ids)
        facts = [Facts(reference.run(run), metrics[run]) for run in ids]
        running = [each.info.id for each in facts if each.info.status == RunStatus.RUNNING]

        @settings(deadline=None, max_examples=self.filters, suppress_health_check=list(HealthCheck), database=None)
        @given(filters(), orders(), st.tuples(st.none() | st.integers(0, 9), st.integers(0, 5)), st.booleans())
        def search(text: str, order: list[str], part: tuple[int | None, int], dead: bool) -> None:
            query = RunQuery(where=parse(text, now=NOW), order=parse_orders(order), limit=part[0], offset=part[1])
            query = replace(query, archived=None if dead else False, lost=tuple(running[::2]) if dead else ())
            expected = answered(facts, query)
            found = [info.id for info in store.runs(query)]
            assert found == [info.id for info in expected][query.offset :][: query.limit], f"{text!r} by {order!r}"
            assert sorted(at for at, _ in store.run_times(query)) == sorted(info.created_at for info in expected)

        search()
