"""Counts of runs and experiments over time."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

import tracklib
from tracklib.errors import ConfigError, FilterError
from tracklib.queries.times import read_date
from tracklib.records import RecordKind, new_id
from tracklib.stores.base import open_store
from tracklib.testing.batches import WriterScript, ship

RUNS = (
    ("2026-01-30T23:30:00", "completed", "a"),
    ("2026-01-31T00:10:00", "failed", "a"),
    ("2026-02-02T12:00:00", "completed", "b"),
    ("2026-03-29T00:30:00", "completed", "b"),
    ("2026-03-29T03:30:00", "killed", "a"),
)


@pytest.fixture(name="store")
def _store(tmp_path: Path) -> str:
    """Return a store with runs of some days, in two experiments."""
    uri = f"sqlite:///{tmp_path}/runs.db"
    with open_store(uri) as store:
        for text, status, experiment in RUNS:
            at = read_date(text)
            script = WriterScript(run=new_id(at), clock=at, project="p", experiment=experiment)
            params = script.record(RecordKind.PARAMS, params={"status": status})
            ship(store, [script.start(params), script.end(status)])
    return uri


def dates(counts: tracklib.RunCounts) -> list[str]:
    return [datetime.fromtimestamp(start, UTC).strftime("%m-%d %H") for start in counts.starts]


def test_days(store: str) -> None:
    """Each day from the first to the last is there, those without runs as well; experiments count when they began."""
    counts = tracklib.count_runs(store=store, until="2026-02-03")

    assert dates(counts) == ["01-30 00", "01-31 00", "02-01 00", "02-02 00"]
    assert counts.runs == (1, 1, 0, 1)
    assert counts.by_status == {"completed": (1, 0, 0, 1), "failed": (0, 1, 0, 0)}
    assert counts.experiments == (1, 0, 0, 1)
    assert (len(counts), counts.end) == (4, read_date("2026-02-03"))


def test_a_table_is_printed(store: str) -> None:
    """A line for each interval, with its runs by status; intervals begin by the clock of their place."""
    lines = str(tracklib.count_runs(store=store, until="2026-02-03")).splitlines()
    there = str(tracklib.count_runs(store=store, until="2026-02-03", timezone="Europe/Berlin"))

    assert lines[0] == "runs: 3, experiments: 2"
    assert lines[1].split() == ["day", "(UTC)", "runs", "completed", "failed", "experiments"]
    assert lines[3].split() == ["2026-01-31", "00:00", "1", "0", "1", "0"]
    assert "2026-01-31 00:00" in there


@pytest.mark.parametrize(
    ("per", "starts", "runs"),
    [
        ("month", ["01-01 00", "02-01 00", "03-01 00"], (2, 1, 2)),
        ("week", ["01-26 00", "02-02 00", "02-09 00"], (2, 1, 0)),
        ("hour", ["01-30 23", "01-31 00", "01-31 01"], (1, 1, 0)),
    ],
)
def test_other_intervals(store: str, per: str, starts: list[str], runs: tuple[int, ...]) -> None:
    """Months as the calendar has them, weeks from Monday on, and hours."""
    counts = tracklib.count_runs(store=store, per=per, until="2026-04-01")

    assert dates(counts)[:3] == starts
    assert counts.runs[:3] == runs
    assert sum(counts.runs) == len(RUNS)


def test_the_days_of_a_place(store: str) -> None:
    """A day is one of the time zone, also where clocks are changed in it."""
    counts = tracklib.count_runs(store=store, timezone="Europe/Berlin", since="2026-03-28T12:00", until="2026-03-31")

    assert dates(counts) == ["03-27 23", "03-28 23", "03-29 22", "03-30 22"]
    assert counts.runs == (0, 2, 0, 0)
    assert tracklib.count_runs(store=store, timezone="Europe/Berlin", until="2026-02-01").runs == (2, 0)


def test_hours_of_a_day_with_a_change_of_clocks(store: str) -> None:
    """An hour that comes twice is counted as two, and one that is left out as none."""
    spring = tracklib.count_runs(
        store=store, per="hour", timezone="Europe/Berlin", since="2026-03-29", until="2026-03-29T04:00"
    )
    autumn = tracklib.count_runs(
        store=store, per="hour", timezone="Europe/Berlin", since="2026-10-24T22:00", until="2026-10-25T23:00"
    )

    assert dates(spring) == ["03-29 00", "03-29 01", "03-29 02", "03-29 03"]
    assert spring.runs == (1, 0, 0, 1)
    assert len(autumn) == 25


def test_what_is_counted_can_be_narrowed_down(store: str) -> None:
    """By a filter and by conditions; the interval is the first thing that is said."""

    def total(*arguments: str, **conditions: object) -> int:
        return sum(tracklib.count_runs(*arguments, store=store, **conditions).runs)  # type: ignore[arg-type]

    assert total("params.status == 'completed'") == total(status="completed") == 3
    assert total("run.created > '2026-02-01'", experiment="b") == 2
    assert total(since="2026-02-01", until="2026-03-01") == 1
    assert total(project="none") == 0
    assert tracklib.count_runs(store=store, experiment="b", until="2026-04-01", per="month").experiments == (1, 0)


def test_nothing_yet(store: str) -> None:
    """Where nothing was made in the interval, its counts are zero; where none is known, there is none."""
    counts = tracklib.count_runs(store=store, since="2025-01-01", until="2025-01-03")
    empty = tracklib.count_runs(store=store, project="none", until="2026-01-01")

    assert (counts.runs, counts.by_status, counts.experiments) == ((0, 0), {}, (0, 0))
    assert (empty.starts, empty.runs) == ((), ())


def test_archived_runs_count_unless_they_are_left_out(store: str) -> None:
    """They were made all the same."""
    run = tracklib.search_runs(store=store, limit=1)[0]
    tracklib.archive_run(run.id, store=store)

    assert [sum(tracklib.count_runs(store=store, archived=which).runs) for which in (None, False, True)] == [5, 4, 1]


def test_counts_go_on_to_other_libraries(store: str) -> None:
    """As a data frame, and as plain data."""
    counts = tracklib.count_runs(store=store, per="month", until="2026-04-01")
    frame = counts.to_pandas()

    assert list(frame.columns) == ["start", "runs", "experiments", "completed", "failed", "killed"]
    assert frame["runs"].tolist() == [2, 1, 2]
    assert json.loads(json.dumps(counts.to_dict()))["by_status"]["killed"] == [0, 0, 1]


def test_until_now(store: str) -> None:
    """By default the count goes on until now."""
    before = time.time()

    assert before <= tracklib.count_runs(store=store, per="month", since="365d").end <= time.time()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"per": "year"}, "per is 'year', but takes one of hour, day, week, month"),
        ({"timezone": "Europe/Berln"}, "did you mean Europe/Berlin"),
        ({"timezone": 5}, "timezone is 5"),
        ({"since": "yesterday"}, "since is 'yesterday', but takes a date"),
        ({"until": []}, r"until is \[\]"),
        ({"since": 0, "per": "hour"}, "more than 100,000 intervals"),
    ],
)
def test_what_cannot_be_meant(store: str, given: dict[str, object], said: str) -> None:
    """It is said what is taken."""
    with pytest.raises(ConfigError, match=said):
        tracklib.count_runs(store=store, **given)  # type: ignore[arg-type]
    with pytest.raises(FilterError):
        tracklib.count_runs("params.", store=store)
