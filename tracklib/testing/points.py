"""The suite's tests of points: what was logged comes back, bit for bit, by step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pytest

from tracklib.errors import NotFound
from tracklib.testing.batches import EPOCH, WriterScript, points, scattered, ship
from tracklib.testing.harness import StoreHarness

if TYPE_CHECKING:
    from tracklib.records import SeriesPoints
    from tracklib.stores.base import Store

__all__ = ["ODD_NAMES", "PointContract"]

_TINY: Final = 5e-324
_VALUES: Final = (
    *(0.0, -0.0, 1.0, -1.0, 0.1 + 0.2, 1 / 3, 2.0**53 + 2, 1e-310, _TINY, -_TINY, 2.2250738585072014e-308),
    *(1.7976931348623157e308, -1.7976931348623157e308, float("inf"), float("-inf"), float("nan")),
)
_INT64: Final = (-(1 << 63), -(1 << 63) + 1, -(1 << 53) - 1, -1, 0, 1, (1 << 53) + 1, (1 << 63) - 2, (1 << 63) - 1)

ODD_NAMES: Final = (
    *("loss", "Loss", "train/loss", "train//loss", "/loss", "loss/", "a.b", ".", "..", "../../etc/passwd", "a:b"),
    *(" loss", "loss ", "lo ss", "lo\tss", "lo\nss", "lo\r\nss", "lo'ss", 'lo"ss', "lo`ss", "lo%ss", "lo?ss", "lo*ss"),
    *("损失", "потери", "🙂", "e\u0301", "\u00e9", "\u200b", "Ω/µ", "İ", "x" * 1000, "x" * 1001, "-", "--help"),
    *(
        "[0]",
        "{loss}",
        "a,b",
        "a=b",
        "a&b",
        "a#b",
        "NULL",
        "nan",
        "0",
        "true",
        "loss; --",
        "a\u2028b",
        "a\\b",
        "$x",
        "",
    ),
)
"""Names that a metric may have."""

_SEALED = pytest.mark.parametrize("sealed", [False, True], ids=["live", "ended"])
"""Both while the run goes on and when its writer has ended: a store may keep these points in different forms."""


def _bits(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> list[int]:
    return values.view(np.int64).tolist()


def _triples(series: SeriesPoints) -> list[tuple[int, float, float]]:
    return list(zip(series.steps.tolist(), series.times.tolist(), series.values.tolist(), strict=True))


class PointContract(StoreHarness):
    """What `Store.series` promises of the points that were appended."""

    @_SEALED
    def test_values_come_back_bit_for_bit(self, store: Store, *, sealed: bool) -> None:
        """NaN, infinities, the sign of zero, denormals and the last bit of each float64 are kept."""
        script = WriterScript()
        script.ship(store, points({"loss": _VALUES}), final=sealed)

        series = store.series(script.run, "loss")
        assert _bits(series.values) == _bits(np.array(_VALUES))
        assert [column.dtype.name for column in series] == ["int64", "float64", "float64"]

    @_SEALED
    def test_steps_are_whole_64_bit_numbers(self, store: Store, *, sealed: bool) -> None:
        """Negative steps, and steps that a float64 cannot say, come back."""
        script = WriterScript()
        script.ship(store, points({"loss": range(len(_INT64))}, steps=_INT64), final=sealed)

        assert store.series(script.run, "loss").steps.tolist() == list(_INT64)
        summary = store.summaries([script.run])[script.run]["loss"]
        assert (summary.first_step, summary.last_step) == (_INT64[0], _INT64[-1])

    @_SEALED
    def test_times_are_kept_to_the_last_bit(self, store: Store, *, sealed: bool) -> None:
        """Times come back as they were, also where they do not grow."""
        times = [EPOCH + 0.1, EPOCH + 0.1, EPOCH - 1000.000001, 0.0, -1.5, 4e9 + 1e-6]
        script = WriterScript()
        script.ship(store, points({"loss": range(6)}, times=times), final=sealed)

        assert store.series(script.run, "loss").times.tolist() == times

    @_SEALED
    def test_any_order_of_steps_is_taken_and_read_by_step(self, store: Store, *, sealed: bool) -> None:
        """Lower and negative steps after higher ones are kept, and a series is read from its lowest step on."""
        script = WriterScript()
        script.ship(store, points({"loss": [5.0, 1.0, -3.0, 2.0]}, steps=[5, 1, -3, 2]))
        script.ship(store, points({"loss": [0.0, 9.0]}, steps=[0, 9]), final=sealed)

        series = store.series(script.run, "loss")
        assert series.steps.tolist() == [-3, 0, 1, 2, 5, 9]
        assert series.values.tolist() == [-3.0, 0.0, 1.0, 2.0, 5.0, 9.0]

    @_SEALED
    def test_the_last_arrival_at_a_step_is_what_a_reader_sees(self, store: Store, *, sealed: bool) -> None:
        """A step that was logged again has the later value, within a batch and across batches."""
        script = WriterScript()
        script.ship(store, points({"loss": [1.0, 2.0, 3.0]}, steps=[7, 7, 8], times=[3.0, 2.0, 1.0]))
        script.ship(store, points({"loss": [4.0, 5.0]}, steps=[8, 6], times=[0.5, 0.25]), final=sealed)

        assert _triples(store.series(script.run, "loss")) == [(6, 0.25, 5.0), (7, 2.0, 2.0), (8, 0.5, 4.0)]

    @_SEALED
    def test_every_point_can_be_had(self, store: Store, *, sealed: bool) -> None:
        """With `every`, all points of a step come in the order of their arrival."""
        script = WriterScript()
        script.ship(store, points({"loss": [1.0, 2.0, 3.0]}, steps=[7, 7, 8]))
        script.ship(store, points({"loss": [4.0, 5.0]}, steps=[7, 6]), final=sealed)

        series = store.series(script.run, "loss", every=True)
        assert series.steps.tolist() == [6, 7, 7, 7, 8]
        assert series.values.tolist() == [5.0, 1.0, 2.0, 4.0, 3.0]

    @_SEALED
    def test_a_series_in_several_groups_keeps_its_order(self, store: Store, *, sealed: bool) -> None:
        """One name logged with different companions in one batch is still one series, by arrival."""
        script = WriterScript()
        alone = points({"loss": [1.0, 4.0]}, steps=[0, 1], order=[0, 3])
        paired = points({"loss": [2.0, 5.0], "lr": [0.1, 0.2]}, steps=[0, 1], order=[1, 4])
        other = points({"acc": [0.5], "loss": [3.0]}, steps=[1], order=[2])
        script.ship(store, alone, paired, other, final=sealed)

        assert store.series(script.run, "loss").values.tolist() == [2.0, 5.0]
        assert store.series(script.run, "loss", every=True).values.tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]
        assert store.series(script.run, "lr").values.tolist() == [0.1, 0.2]
        assert store.series(script.run, "acc").values.tolist() == [0.5]

    @_SEALED
    def test_points_may_be_logged_one_at_a_time(self, store: Store, *, sealed: bool) -> None:
        """Calls of one name each, between calls of several, keep their place in the order."""
        script = WriterScript()
        paired = points({"loss": [1.0, 4.0], "lr": [0.1, 0.2]}, steps=[0, 1], order=[0, 4])
        single = scattered([("loss", 0, 2.0), ("acc", 5, 0.5), ("loss", 1, 3.0), ("acc", 4, 0.25)], order=[1, 2, 3, 5])
        script.ship(store, paired, single)
        script.ship(store, scattered([("acc", 5, 0.75), ("new", 0, -1.0)]), final=sealed)

        assert store.series(script.run, "loss").values.tolist() == [2.0, 4.0]
        assert store.series(script.run, "loss", every=True).values.tolist() == [1.0, 2.0, 3.0, 4.0]
        assert store.series(script.run, "acc", every=True).values.tolist() == [0.25, 0.5, 0.75]
        assert store.series(script.run, "acc").times.tolist() == [EPOCH + 3, EPOCH]
        assert store.series(script.run, "new").values.tolist() == [-1.0]

    def test_groups_without_calls_do_no_harm(self, store: Store) -> None:
        """A group that holds no call, and single points of which there are none, are nothing."""
        script = WriterScript()
        script.ship(store, points({"loss": [1.0]}), points({"a": [], "b": []}), scattered([]))
        script.ship(store, points({"a": []}), final=True)

        assert store.series(script.run, "loss").values.tolist() == [1.0]
        assert set(store.summaries([script.run])[script.run]) == {"loss"}

    def test_series_come_and_go(self, store: Store) -> None:
        """A name may appear late, pause, and be logged with ever other companions."""
        script = WriterScript()
        for step in range(100):
            columns = {"always": float(step), **({"even": float(step)} if step % 2 == 0 else {"odd": float(step)})}
            script.ship(store, points(columns, steps=[step]))
        script.ship(store, points({"late": 1.0}, steps=[100]), final=True)

        assert store.series(script.run, "always").steps.tolist() == list(range(100))
        assert store.series(script.run, "even").steps.tolist() == list(range(0, 100, 2))
        assert store.series(script.run, "odd").steps.tolist() == list(range(1, 100, 2))
        assert store.series(script.run, "late").steps.tolist() == [100]

    @_SEALED
    def test_any_text_is_a_name(self, store: Store, *, sealed: bool) -> None:
        """Names differ in every character, and none of them means anything to the store."""
        script = WriterScript()
        script.ship(store, points({name: float(n) for n, name in enumerate(ODD_NAMES)}), final=sealed)

        found = {name: store.series(script.run, name).values.tolist() for name in ODD_NAMES}
        assert found == {name: [float(n)] for n, name in enumerate(ODD_NAMES)}
        assert set(store.summaries([script.run])[script.run]) == set(ODD_NAMES)

    @_SEALED
    def test_ten_thousand_names_are_kept(self, store: Store, *, sealed: bool) -> None:
        """A run may have ten thousand series."""
        names = [f"layer/{n}" for n in range(10_000)]
        script = WriterScript()
        for step in range(2):
            group = points({name: n + step / 2 for n, name in enumerate(names)}, steps=[step])
            script.ship(store, group, final=sealed and step == 1)

        summaries = store.summaries([script.run])[script.run]
        assert len(summaries) == 10_000
        assert [summaries[name].last for name in names[::1000]] == [n + 0.5 for n in range(0, 10_000, 1000)]
        assert store.series(script.run, "layer/9999").values.tolist() == [9999.0, 9999.5]

    @_SEALED
    def test_many_points_are_kept(self, store: Store, *, sealed: bool) -> None:
        """A hundred thousand points of a few series, in large and small batches, come back."""
        values = np.random.default_rng(0).normal(size=(100_000, 3))
        script = WriterScript()
        for first, last in ((0, 10), (10, 40_000), (40_000, 40_001), (40_001, 100_000)):
            part = values[first:last]
            group = points({"a": part[:, 0], "b": part[:, 1], "c": part[:, 2]}, steps=range(first, last))
            script.ship(store, group, final=sealed and last == len(values))

        for column, name in enumerate("abc"):
            series = store.series(script.run, name)
            assert (series.steps == np.arange(100_000)).all()
            assert (series.values == values[:, column]).all()

    def test_runs_share_names_and_nothing_else(self, store: Store) -> None:
        """Series of one name in two runs are two series."""
        first, second = WriterScript(), WriterScript()
        first.ship(store, points({"loss": [1.0]}))
        second.ship(store, points({"loss": [2.0], "only": [3.0]}))

        assert store.series(first.run, "loss").values.tolist() == [1.0]
        assert store.series(second.run, "loss").values.tolist() == [2.0]
        with pytest.raises(NotFound):
            store.series(first.run, "only")

    def test_what_is_not_there_is_not_found(self, store: Store) -> None:
        """A series of no run, and a name that no series of a run has, are told apart from an empty answer."""
        script = WriterScript()
        script.ship(store, points({"train/loss": [1.0]}))

        other = WriterScript().run
        with pytest.raises(NotFound, match=other):
            store.series(other, "train/loss")
        with pytest.raises(NotFound, match="'train/los'"):
            store.series(script.run, "train/los")

    def test_what_a_reader_was_given_does_not_change(self, store: Store) -> None:
        """Arrays that were read belong to who read them: later batches leave them alone, and so they may be changed."""
        script = WriterScript()
        script.ship(store, points({"loss": [1.0, 2.0]}))
        mine = store.series(script.run, "loss")
        mine.values[:] = 0.0
        script.ship(store, points({"loss": [3.0]}, steps=[2]))

        assert mine.values.tolist() == [0.0, 0.0]
        assert store.series(script.run, "loss").values.tolist() == [1.0, 2.0, 3.0]

    def test_what_was_appended_may_be_changed_afterwards(self, store: Store) -> None:
        """The arrays of a batch belong to who made it again as soon as `append` has returned."""
        script = WriterScript()
        group = points({"loss": [1.0, 2.0]})
        ship(store, [script.start(group)])
        group.values[:] = 0.0

        assert store.series(script.run, "loss").values.tolist() == [1.0, 2.0]

    @pytest.mark.needs("raw")
    @_SEALED
    def test_the_points_are_where_the_format_says(self, store: Store, *, sealed: bool) -> None:
        """Whoever reads the store's format without tracklib finds the same points."""
        script = WriterScript()
        for step in range(40):
            script.ship(store, points({"loss": step / 3, "odd name/'": -step}, steps=[step], times=[EPOCH + step]))
        script.ship(store, points({"loss": [7.0, 8.0]}, steps=[3, -3], times=[1.5, 2.5]), final=sealed)
        script.ship(store, scattered([("lr", 0, 0.5), ("loss", 41, 9.0)]), final=sealed)

        wanted = [*((step, EPOCH + step, step / 3) for step in range(40)), (3, 1.5, 7.0), (-3, 2.5, 8.0)]
        assert sorted(self.read_raw(store, script.run, "loss")) == sorted([*wanted, (41, EPOCH + 1, 9.0)])
        assert len(self.read_raw(store, script.run, "odd name/'")) == 40
