"""The suite's tests of lists of runs: each field of a `RunQuery`, and the order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tracklib.model import RunStatus
from tracklib.records import RecordKind, new_id
from tracklib.stores.base import RunQuery
from tracklib.testing.batches import EPOCH, WriterScript, points, ship
from tracklib.testing.harness import StoreHarness

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracklib.stores.base import Store

__all__ = ["QueryContract"]

_NAN, _INF = float("nan"), float("inf")


def _run(store: Store, number: int, **fields: Any) -> str:
    """Return the id of a run that was made `number` seconds after the first."""
    start = {name: fields.pop(name) for name in ("parent",) if name in fields}
    script = WriterScript(run=new_id(EPOCH + number), clock=EPOCH + number, **fields)
    ship(store, [script.start(**start)])
    return script.run


def _runs_with(store: Store, values: Sequence[float | None], *, width: int = 1) -> list[str]:
    """Return the ids of runs that logged these last values of `loss`, one after the other; None: another metric."""
    found = []
    for number, value in enumerate(values):
        script = WriterScript(run=new_id(EPOCH + number), clock=EPOCH + number)
        columns = {"loss" if value is not None else "acc": [-1.0, 0.0 if value is None else value]}
        columns |= {f"series/{n}": [1.0, 1.0] for n in range(width - 1)}
        ship(store, [script.start(points(columns))])
        found.append(script.run)
    return found


def _listed(store: Store, **conditions: Any) -> list[str]:
    return [info.id for info in store.runs(RunQuery(**conditions))]


class QueryContract(StoreHarness):
    """What `Store.runs` promises."""

    def test_runs_are_listed_newest_first(self, store: Store) -> None:
        """Without conditions all runs come, in the reverse order of their making, or in that order."""
        late, early, middle = (_run(store, number) for number in (2, 0, 1))

        assert _listed(store) == [late, middle, early]
        assert _listed(store, descending=False) == [early, middle, late]

    def test_runs_of_a_project_and_experiment_are_found(self, store: Store) -> None:
        """Projects and experiments are found by their whole names; an experiment's name may occur in many projects."""
        places = (("a", "x"), ("a", "y"), ("b", "x"), ("a b", "x"), ("A", "x"))
        runs = [_run(store, n, project=project, experiment=name) for n, (project, name) in enumerate(places)]

        assert _listed(store, project="a", descending=False) == runs[:2]
        assert _listed(store, experiment="x", descending=False) == [runs[0], *runs[2:]]
        assert _listed(store, project="a", experiment="x") == runs[:1]
        assert _listed(store, project="none") == []
        assert _listed(store, project="") == []

    def test_runs_are_found_by_name(self, store: Store) -> None:
        """A name is meant as a whole, and several runs may have it."""
        names = ("lr-1e-3", "lr-1e-3", "lr", "LR-1e-3", "lr%", "l_")
        runs = [_run(store, n, name=name) for n, name in enumerate(names)]

        assert _listed(store, name="lr-1e-3", descending=False) == runs[:2]
        assert [_listed(store, name=name) for name in ("lr", "lr%", "l_")] == [[runs[2]], [runs[4]], [runs[5]]]

    def test_runs_are_found_by_id(self, store: Store) -> None:
        """Whole ids, and the beginning that several ids have; ids that nobody has find nothing."""
        runs = [_run(store, n) for n in (0, 100_000, 200_000)]

        assert _listed(store, ids=(runs[2], runs[0], new_id())) == [runs[2], runs[0]]
        assert _listed(store, ids=tuple(new_id() for _ in range(40_000))) == []
        assert _listed(store, id_prefix=runs[1]) == [runs[1]]
        assert _listed(store, id_prefix=runs[0][:2], descending=False) == runs
        assert _listed(store, id_prefix=runs[0] + "0") == []
        assert _listed(store, id_prefix="%") == []

    def test_runs_are_found_by_parent(self, store: Store) -> None:
        """The runs that are nested in another one are found by its id."""
        parent = _run(store, 0)
        children = [_run(store, n, parent=parent) for n in (1, 2)]
        _run(store, 3, parent=children[0])

        assert _listed(store, parent=parent, descending=False) == children
        assert _listed(store, parent=new_id()) == []

    def test_runs_are_found_by_status(self, store: Store) -> None:
        """One status or several."""
        runs = {}
        for number, status in enumerate(("running", "completed", "failed", "killed")):
            script = WriterScript(clock=EPOCH + number)
            ship(store, [script.start(), *([script.end(status)] if status != "running" else [])])
            runs[status] = script.run

        for status, run in runs.items():
            assert _listed(store, status=(RunStatus(status),)) == [run]
        both = (RunStatus.KILLED, RunStatus.RUNNING)
        assert _listed(store, status=both) == [runs["killed"], runs["running"]]
        assert _listed(store, status=(RunStatus.PENDING,)) == []

    def test_runs_are_found_by_tags(self, store: Store) -> None:
        """All of the tags must be there, each with its value."""
        runs = []
        for number, tags in enumerate(({"a": "1", "b": "2"}, {"a": "1"}, {"a": "2", "b": "2"}, {}, {"ü 'x'": ""})):
            script = WriterScript(clock=EPOCH + number)
            ship(store, [script.start(script.record(RecordKind.TAGS, tags=tags))])
            runs.append(script.run)

        assert _listed(store, tags={"a": "1"}, descending=False) == runs[:2]
        assert _listed(store, tags={"a": "1", "b": "2"}) == [runs[0]]
        assert _listed(store, tags={"ü 'x'": ""}) == [runs[4]]
        assert _listed(store, tags={"a": "3"}) == _listed(store, tags={"A": "1"}) == []

    def test_runs_that_nobody_archived_are_not(self, store: Store) -> None:
        """No run is archived by itself."""
        run = _run(store, 0)

        assert [_listed(store, archived=archived) for archived in (False, None, True)] == [[run], [run], []]

    def test_archived_runs_are_listed_on_request(self, store: Store) -> None:
        """They are left out, listed alone or with the others, as is asked for; the other conditions hold as well."""
        kept = _run(store, 0)
        script = WriterScript(run=new_id(EPOCH + 1), clock=EPOCH + 1, name="old")
        ship(store, [script.start(script.record(RecordKind.ARCHIVE, archived_at=EPOCH + 1))])

        assert [_listed(store, archived=archived) for archived in (False, None, True)] == [
            [kept],
            [script.run, kept],
            [script.run],
        ]
        assert _listed(store, name="old") == []
        assert _listed(store, name="old", archived=None) == _listed(store, ids=(script.run,), archived=True)

    def test_conditions_add_up(self, store: Store) -> None:
        """A run must meet every condition."""
        parent = _run(store, 0)
        wanted = _run(store, 1, project="p", experiment="e", name="n", parent=parent)
        _run(store, 2, project="p", experiment="e", name="n")
        _run(store, 3, project="p", experiment="e", parent=parent)

        conditions = {"project": "p", "experiment": "e", "name": "n", "parent": parent, "status": (RunStatus.RUNNING,)}
        assert _listed(store, **conditions, ids=(wanted,), id_prefix=wanted[:12]) == [wanted]
        assert _listed(store, **conditions, tags={"a": "b"}) == []

    def test_a_part_of_a_list_may_be_asked_for(self, store: Store) -> None:
        """So many runs, after so many others."""
        runs = [_run(store, n) for n in range(5)][::-1]

        assert _listed(store, limit=2) == runs[:2]
        assert _listed(store, limit=2, offset=2) == runs[2:4]
        assert _listed(store, offset=3) == runs[3:]
        assert _listed(store, limit=0) == _listed(store, offset=5) == _listed(store, limit=3, offset=9) == []

    @pytest.mark.parametrize("width", [1, 100])
    def test_runs_are_ordered_by_a_metric(self, store: Store, *, width: int) -> None:
        """The last value counts; runs without one and with NaN come at the end, whichever way the others go."""
        values = (2.0, None, _NAN, -_INF, 1.0, _INF, 0.0)
        runs = _runs_with(store, values, width=width)

        falling, rising = (_listed(store, order_by="loss", descending=way) for way in (True, False))
        assert falling[:5] == [runs[n] for n in (5, 0, 4, 6, 3)]
        assert rising[:5] == [runs[n] for n in (3, 6, 4, 0, 5)]
        assert set(falling[5:]) == set(rising[5:]) == {runs[1], runs[2]}

    def test_runs_of_one_value_are_ordered_by_time(self, store: Store) -> None:
        """Where the metric says nothing, the newer run comes first, or the older one in a rising order."""
        runs = _runs_with(store, (1.0, 0.5, 1.0, 1.0))

        assert _listed(store, order_by="loss") == [runs[n] for n in (3, 2, 0, 1)]
        assert _listed(store, order_by="loss", descending=False) == [runs[n] for n in (1, 0, 2, 3)]

    @pytest.mark.parametrize("width", [1, 100])
    def test_the_order_follows_the_points(self, store: Store, *, width: int) -> None:
        """A run that goes on finds its new place with its next value, in parts of a list too."""
        first, second = (WriterScript(clock=EPOCH + n) for n in range(2))
        names = ("loss", *(f"series/{n}" for n in range(1, width)))
        for script, value in ((first, 1.0), (second, 2.0), (first, 3.0)):
            script.ship(store, points(dict.fromkeys(names, value), steps=[script.position]))

        assert _listed(store, order_by="loss") == [first.run, second.run]
        assert _listed(store, order_by="loss", limit=1) == [first.run]
        assert _listed(store, order_by="loss", limit=1, offset=1) == [second.run]
        assert _listed(store, order_by="loss", limit=1, descending=False) == [second.run]

    def test_any_metric_may_order(self, store: Store) -> None:
        """A metric may be called as a word of the query; one that no run has leaves the order of time."""
        first, second = (WriterScript(clock=EPOCH + n) for n in range(2))
        for script, value in ((first, 2.0), (second, 1.0)):
            script.ship(store, points({"odd name/'\"": value, "run.id": value}))

        assert _listed(store, order_by="odd name/'\"") == [first.run, second.run]
        assert _listed(store, order_by="run.id") == [first.run, second.run]
        assert _listed(store, order_by="nobody's") == [second.run, first.run]
