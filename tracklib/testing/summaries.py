"""The suite's tests of summaries: what a table of runs shows without reading points is what the points say."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tracklib.errors import NotFound
from tracklib.model import Summary
from tracklib.testing.batches import EPOCH, WriterScript, points, scattered
from tracklib.testing.harness import StoreHarness

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tracklib.stores.base import Store

__all__ = ["SummaryContract", "same_summary", "summary_of"]

_NAN, _INF = float("nan"), float("inf")
_WIDTHS = pytest.mark.parametrize("width", [1, 3, 64, 65, 200])
"""How many series are logged together: a store may bring summaries of few up to date at once, of many later."""


def summary_of(name: str, steps: NDArray[np.int64], times: NDArray[np.float64], values: NDArray[np.float64]) -> Summary:
    """Return what NumPy says of the points of one writer, given in the order of their arrival."""
    numbers = values[~np.isnan(values)]
    final = int(np.flatnonzero(steps == steps.max())[-1])
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        mean = float(np.mean(numbers)) if numbers.size else _NAN
    return Summary(
        name=name,
        last=float(values[final]),
        min=float(numbers.min()) if numbers.size else _NAN,
        max=float(numbers.max()) if numbers.size else _NAN,
        mean=mean,
        count=len(values),
        first_step=int(steps.min()),
        last_step=int(steps[final]),
        last_time=float(times[final]),
    )


def same_summary(found: Summary, wanted: Summary) -> bool:
    """Tell whether two summaries say the same: NaN is NaN, and means may differ by the order of addition."""
    whole = ("name", "count", "first_step", "last_step", "last_time")
    exact = ("last", "min", "max")
    return (
        all(getattr(found, field) == getattr(wanted, field) for field in whole)
        and all(_same(getattr(found, field), getattr(wanted, field)) for field in exact)
        and (_same(found.mean, wanted.mean) or math.isclose(found.mean, wanted.mean, rel_tol=1e-9, abs_tol=1e-12))
    )


def _same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))


class SummaryContract(StoreHarness):
    """What `Store.summaries` promises."""

    @_WIDTHS
    @pytest.mark.parametrize("seed", range(3))
    def test_summaries_say_what_the_points_say(self, store: Store, *, width: int, seed: int) -> None:
        """At every moment of a run, and when it has ended, a summary is what NumPy makes of the same points."""
        random = np.random.default_rng(seed)
        script, name = WriterScript(), f"series/{width - 1}"
        steps, times, values = np.empty(0, np.int64), np.empty(0), np.empty(0)
        for number in range(6):
            count = int(random.integers(1, 50))
            matrix = random.normal(size=(count, width))
            matrix[random.random(matrix.shape) < 0.2] = _NAN
            where = random.integers(-20, 20, size=count)
            when = EPOCH + random.random(count)
            columns = {f"series/{column}": matrix[:, column] for column in range(width)}
            script.ship(store, points(columns, steps=where.tolist(), times=when.tolist()), final=number == 5)

            steps, times = np.append(steps, where), np.append(times, when)
            values = np.append(values, matrix[:, -1])
            found = store.summaries([script.run])[script.run]
            assert len(found) == width
            assert same_summary(found[name], summary_of(name, steps, times, values))

    @pytest.mark.parametrize(
        ("values", "low", "high", "mean"),
        [
            ((1.0, _NAN, 3.0), 1.0, 3.0, 2.0),
            ((_NAN, _NAN), _NAN, _NAN, _NAN),
            ((_NAN,), _NAN, _NAN, _NAN),
            ((1.0, _INF), 1.0, _INF, _INF),
            ((-_INF, 1.0, _NAN), -_INF, 1.0, -_INF),
            ((_INF, -_INF, 0.0), -_INF, _INF, _NAN),
            ((1e308, 1e308, 1e308), 1e308, 1e308, _INF),
            ((5e-324, 0.0), 0.0, 5e-324, 0.0),
        ],
    )
    @pytest.mark.parametrize("split", [False, True], ids=["at once", "one by one"])
    @pytest.mark.parametrize("width", [1, 65])
    def test_numbers_that_are_none_and_beyond(  # noqa: PLR0913 - a table of cases
        self, store: Store, *, values: tuple[float, ...], low: float, high: float, mean: float, split: bool, width: int
    ) -> None:
        """NaN counts as a point but not as a number; infinities count as both; a sum may leave float64."""
        script = WriterScript()
        parts = [(value,) for value in values] if split else [values]
        for number, part in enumerate(parts):
            columns = {f"series/{column}": part for column in range(width)}
            script.ship(store, points(columns, steps=range(number, number + len(part))))
        live = store.summaries([script.run])[script.run]["series/0"]
        script.ship(store, final=True)
        ended = store.summaries([script.run])[script.run]["series/0"]

        for summary in (live, ended):
            assert summary.count == len(values)
            assert [_same(summary.min, low), _same(summary.max, high), _same(summary.last, values[-1])] == [True] * 3
            assert _same(summary.mean, mean)

    @_WIDTHS
    def test_last_is_the_value_at_the_highest_step(self, store: Store, *, width: int) -> None:
        """A lower step that arrives later is not the last value; the same step again is, NaN or not."""
        script = WriterScript()
        lasts = []
        for step, value in ((5, 1.0), (3, 2.0), (5, _NAN), (5, 3.0), (-1, 4.0)):
            script.ship(store, points({f"series/{n}": value for n in range(width)}, steps=[step], times=[step + 0.5]))
            lasts.append(store.summaries([script.run])[script.run]["series/0"].last)

        assert [repr(last) for last in lasts] == ["1.0", "1.0", "nan", "3.0", "3.0"]
        summary = store.summaries([script.run])[script.run]["series/0"]
        assert (summary.first_step, summary.last_step, summary.last_time) == (-1, 5, 5.5)

    def test_last_within_a_batch_goes_by_arrival(self, store: Store) -> None:
        """Where one batch has a step several times, in one group or in several, the last call of it counts."""
        script = WriterScript()
        one = points({"loss": [1.0, 4.0, 2.0]}, steps=[9, 9, 8], order=[0, 3, 4])
        two = points({"loss": [2.0, 3.0], "lr": [0.1, 0.2]}, steps=[9, 9], order=[1, 2])
        script.ship(store, one, two)

        summary = store.summaries([script.run])[script.run]["loss"]
        assert (summary.last, summary.count, summary.mean) == (4.0, 5, 2.4)

    @pytest.mark.parametrize("width", [3, 100])
    def test_points_logged_one_at_a_time_are_summed_up(self, store: Store, *, width: int) -> None:
        """Calls of one name each count as any others, and where they share a step with them the last call counts."""
        script = WriterScript()
        grouped = points({"loss": [1.0, 5.0]}, steps=[7, 6], order=[0, width + 3])
        calls = [(f"series/{n}", n, float(n)) for n in range(width)]
        script.ship(
            store, grouped, scattered([*calls, ("loss", 7, 3.0), ("series/0", 9, _NAN)], order=range(1, width + 3))
        )
        live = store.summaries([script.run])[script.run]
        script.ship(store, scattered([("loss", 7, 2.0)]), final=True)
        ended = store.summaries([script.run])[script.run]

        assert [(found["loss"].last, found["loss"].count, found["loss"].mean) for found in (live, ended)] == [
            (3.0, 3, 3.0),
            (2.0, 4, 2.75),
        ]
        for found in (live, ended):
            assert len(found) == width + 1
            assert (found["series/0"].count, found["series/0"].mean, repr(found["series/0"].last)) == (2, 0.0, "nan")

    def test_narrow_and_wide_batches_take_turns(self, store: Store) -> None:
        """Few and many series, in small and large batches, in any order, are all counted once."""
        script = WriterScript()
        wide = {f"series/{n}": 1.0 for n in range(100)}
        tall = {"loss": np.full(5000, 2.0)}
        counts = []
        for columns in ({"loss": 1.0}, {"loss": 1.0}, tall, wide, {"loss": 1.0}, wide, tall, wide, wide):
            script.ship(store, points(columns))
            found = store.summaries([script.run])[script.run]
            counts.append((found["loss"].count, found["series/0"].count if "series/0" in found else 0))

        loss = (1, 2, 5002, 5002, 5003, 5003, 10_003, 10_003, 10_003)
        assert counts == list(zip(loss, (0, 0, 0, 1, 1, 2, 2, 3, 4), strict=True))

    def test_writers_are_summed_up_together(self, store: Store) -> None:
        """The summary of a series that several writers log is that of all their points."""
        first = WriterScript()
        first.ship(store, points({"loss": [1.0, 2.0]}))
        second = first.joined_by("1")
        second.ship(store, points({"loss": [6.0]}, steps=[1]))
        first.ship(store, points({"loss": [7.0]}, steps=[2]))

        summary = store.summaries([first.run])[first.run]["loss"]
        assert (summary.count, summary.mean, summary.min, summary.max) == (4, 4.0, 1.0, 7.0)
        assert (summary.first_step, summary.last_step, summary.last) == (0, 2, 7.0)

    def test_several_runs_are_answered_at_once(self, store: Store) -> None:
        """Each run that was asked for has its answer, also one without points; others have none."""
        scripts = [WriterScript() for _ in range(4)]
        for number, script in enumerate(scripts[:3]):
            script.ship(store, points({"loss": float(number)}))
        scripts[3].ship(store)

        found = store.summaries([script.run for script in (scripts[2], scripts[0], scripts[3])])
        assert set(found) == {scripts[2].run, scripts[0].run, scripts[3].run}
        assert (found[scripts[2].run]["loss"].last, found[scripts[3].run]) == (2.0, {})
        assert store.summaries([]) == {}

    def test_a_run_that_is_not_there_is_not_found(self, store: Store) -> None:
        """Asking for the summaries of an unknown run is a mistake that is told."""
        script, unknown = WriterScript(), WriterScript().run
        script.ship(store, points({"loss": 1.0}))

        with pytest.raises(NotFound, match=unknown):
            store.summaries([script.run, unknown])

    def test_names_have_a_context(self, store: Store) -> None:
        """The first segment of a name is its context."""
        script = WriterScript()
        script.ship(store, points({"eval/acc/top5": 1.0, "loss": 1.0, "/odd": 1.0}))

        found = store.summaries([script.run])[script.run]
        assert {name: summary.context for name, summary in found.items()} == {
            "eval/acc/top5": "eval",
            "loss": "",
            "/odd": "",
        }
