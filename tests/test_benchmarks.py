"""What the benchmarks are made of, as far as it can be wrong in silence."""

from __future__ import annotations

import math
import sqlite3
import sys
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pytest

from tests.benchmarks import checkpoints, processes
from tests.benchmarks.adapters import adapter_class
from tests.benchmarks.adapters.base import Adapter, Question
from tests.benchmarks.adapters.mlflow_rows import insert_runs
from tests.benchmarks.cases import CASES
from tests.benchmarks.keeping import KEEPERS
from tests.benchmarks.plan import QUICK
from tests.benchmarks.processes import Site
from tests.benchmarks.report import Report, Sample
from tests.benchmarks.searched import (
    CHARTED,
    METRIC,
    QUESTIONS,
    TOP,
    charted_runs,
    questions,
    right_answer,
    searched_runs,
)
from tests.benchmarks.searching import SEARCHERS

if TYPE_CHECKING:
    from pathlib import Path


def test_checkpoints_differ_in_their_heads_alone(tmp_path: Path) -> None:
    """Else it would mean nothing how many bytes a tool keeps."""
    import torch

    checkpoints.main(str(tmp_path), "pt", "2", "2")
    first, second = (torch.load(tmp_path / f"epoch-{epoch}.pt", weights_only=True) for epoch in (1, 2))

    assert first.keys() == second.keys()
    assert [name for name in first if not torch.equal(first[name], second[name])] == ["fc.weight", "fc.bias"]


def test_both_formats_hold_the_same_tensors(tmp_path: Path) -> None:
    """The table has both beside each other."""
    import torch
    from safetensors.torch import load_file

    for kind in ("pt", "safetensors"):
        checkpoints.main(str(tmp_path), kind, "1", "2")
    one, other = torch.load(tmp_path / "epoch-1.pt", weights_only=True), load_file(tmp_path / "epoch-1.safetensors")

    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    sizes = [tensor.nbytes for tensor in one.values()]
    assert sum(sizes) == checkpoints.backbone_bytes(2) + checkpoints.head_bytes(2)


def test_the_model_is_resnet_50() -> None:
    """The page says so: 25,557,032 parameters, two buffers of 26,560 numbers each, and 53 counters."""
    size = checkpoints.backbone_bytes(64) + checkpoints.head_bytes(64)

    assert size == 4 * (25_557_032 + 2 * 26_560) + 8 * 53


def test_a_file_of_several_names_is_kept_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the harness itself writes into the folder is not counted."""
    monkeypatch.setattr(processes, "WORK", tmp_path)
    site = Site(tool="trackio", name="case")
    before = site.kept_bytes()
    (site.store / "blob").write_bytes(b"weights")
    (site.store / "name").hardlink_to(site.store / "blob")
    (site.folder / "home" / "cache").mkdir()
    (site.folder / "home" / "cache" / "copy").write_bytes(b"weights")
    (site.folder / "result-1.json").write_bytes(b"{}")

    assert site.kept_bytes() - before == 14


def test_what_was_measured_before_a_failure_stands_without_its_reason() -> None:
    """The reason is with the figures that are missing."""
    report = Report(QUICK, ["wandb"])
    figures = {"median_s": 0.25, "kept_mb": 12.0}
    report.samples.append(
        Sample(case="checkpoints-pt", tool="wandb", figures=figures, failure="offline there is nothing to ask")
    )
    (table,) = report._tables("", partial(report._cell, notes={}))
    cells = [line.split("|")[-2].strip() for line in table.splitlines()[2:]]

    assert cells == ["0.25", "- [1]", "- [1]", "- [1]", "- [1]", "12", "- [1]"]


def test_tools_that_keep_no_files_are_left_out() -> None:
    """Each of the others has a method of its own for it."""
    assert KEEPERS == ("tracklib", "tracklib-file", "tracklib-s3", "trackio", "wandb", "mlflow")


def test_searched_runs_have_twenty_params_and_twenty_metrics() -> None:
    """The page says so; and the first of many are the same as if there were only these."""
    runs = list(searched_runs(20, of=1_000))

    assert {(len(run.params), len(run.steps), len(run.steps[0])) for run in runs} == {(20, 1, 20)}
    assert list(searched_runs(10, of=1_000)) == runs[:10]


def test_two_questions_are_about_some_fifty_runs() -> None:
    """Their share stays the same of fewer runs: a tool that was stopped has less to find."""
    sweep, rare = questions(1_000)[1:3]
    found = [
        sum(QUESTIONS[question.name](run.params, run.steps[0], question.rare) for run in searched_runs(count, of=1_000))
        for question in (sweep, rare)
        for count in (1_000, 200)
    ]

    assert (sweep.name, rare.name) == ("sweep", "rare")
    assert found[0] == 50
    assert found[1] == 10
    assert 35 < found[2] < 65
    assert 3 < found[3] < 20


def test_the_right_answer_has_the_lowest_first() -> None:
    """It has as many lines as are asked for, where so many are found."""
    answer = right_answer(Question("filtered", 100), 100, of=100)
    values = [line.value for line in answer]

    assert len(answer) == TOP
    assert values == sorted(values)
    assert values[0] == min(run.steps[0][METRIC] for run in searched_runs(100, of=100) if run.params["lr"] < 0.01)


@pytest.mark.parametrize("tool", SEARCHERS)
def test_each_tool_that_is_searched_knows_all_questions(tool: str) -> None:
    """In its own words, in which no value of one is forgotten."""
    search = adapter_class(tool).search
    words = vars(sys.modules[search.__module__])["_HOLDS" if tool == "mlflow" else "_FILTERS"]

    assert search is not Adapter.search
    assert words.keys() == QUESTIONS.keys()


def test_only_named_cases_ask_aim() -> None:
    """The others name no tools, and do not ask it."""
    assert CASES["search-0"].asks("aim")
    assert not CASES["top"].asks("aim")
    assert CASES["top"].asks("mlflow")
    assert not CASES["search-0"].asks("wandb")


def test_runs_of_one_transaction_leave_the_rows_of_single_ones(tmp_path: Path) -> None:
    """What is searched is what `Store.append` writes; only ids and times differ."""
    adapters = [adapter_class("tracklib")(tmp_path / name) for name in ("together", "single")]
    runs = list(searched_runs(5, of=100))
    adapters[0].write_searched(runs, math.inf)
    adapters[1].write_runs(runs, math.inf)
    together, single = (_rows(adapter.root / "t.db") for adapter in adapters)

    assert together == single


def test_tracklib_gives_the_right_answers(tmp_path: Path) -> None:
    """The measurement itself checks this too, for each tool."""
    adapter = adapter_class("tracklib")(tmp_path)
    adapter.write_searched(searched_runs(120, of=120), math.inf)
    asked = questions(120)

    assert [adapter.search(each, TOP) for each in asked] == [right_answer(each, 120, of=120) for each in asked]


def test_tracklib_buckets_a_chart_as_the_others_do(tmp_path: Path) -> None:
    """Those read all points and cut them with numpy."""
    adapter = adapter_class("tracklib")(tmp_path)
    for name, values in charted_runs(2, 300):
        adapter.write_series(name, values, math.inf)
    names = ["run-001", "run-000"]
    own, cut = adapter.bucketed(names, CHARTED, 100), Adapter.bucketed(adapter, names, CHARTED, 100)

    assert [len(each.low) for each in own] == [100, 100]
    for one, other in zip(own, cut, strict=True):
        np.testing.assert_array_equal(one.low, other.low)
        np.testing.assert_array_equal(one.high, other.high)
        np.testing.assert_allclose(one.mean, other.mean)


def test_runs_put_into_tables_are_copies_with_values_of_their_own(tmp_path: Path) -> None:
    """What stands in columns that we do not know is that of the run which the tool itself has written."""
    path, (run,) = tmp_path / "mlflow.db", searched_runs(1, of=50)
    with closing(sqlite3.connect(path)) as database, database:
        database.executescript(_TABLES)
    inserted = insert_runs(path, [run])
    with closing(sqlite3.connect(path)) as database:
        _, (key, name, *rest) = database.execute("SELECT * FROM runs").fetchall()
        params = dict(database.execute("SELECT key, value FROM params WHERE run_uuid = ?", (key,)))
        latest = dict(database.execute("SELECT key, value FROM latest_metrics WHERE run_uuid = ?", (key,)))
        tags = database.execute("SELECT key, value FROM tags WHERE run_uuid = ?", (key,)).fetchall()

    assert inserted == 1
    assert (name, rest) == ("run-000000", ["FINISHED", 11, 21, f"/a/{key}/artifacts"])
    assert params == {name: str(value) for name, value in run.params.items()}
    assert latest == run.steps[0]
    assert tags == [("mlflow.runName", "run-000000")]


_TABLES = """
CREATE TABLE runs
(run_uuid TEXT, name TEXT, status TEXT, start_time INTEGER, end_time INTEGER, artifact_uri TEXT);
CREATE TABLE tags (key TEXT, value TEXT, run_uuid TEXT);
CREATE TABLE params (key TEXT, value TEXT, run_uuid TEXT);
CREATE TABLE metrics
(key TEXT, value REAL, timestamp INTEGER, run_uuid TEXT, step INTEGER, is_nan INTEGER);
CREATE TABLE latest_metrics
(key TEXT, value REAL, timestamp INTEGER, run_uuid TEXT, step INTEGER, is_nan INTEGER);
INSERT INTO runs VALUES ('abc', 'first', 'FINISHED', 10, 20, '/a/abc/artifacts');
INSERT INTO tags VALUES ('mlflow.runName', 'first', 'abc');
"""


def _rows(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Return what stands in the tables of a store, but for ids, times and what is packed."""
    questions = {
        "run": "SELECT key, name, status, duration, params FROM run",
        "param": "SELECT * FROM param",
        "series": "SELECT run_key, name, last, min, max, sum, count, nan_count, first_step, last_step FROM series",
        "writer": "SELECT key, run_key, writer, position, status, is_primary FROM writer",
        "chunk": "SELECT series_id, axis_id, count, min, max, sum, data FROM chunk",
        "axis": "SELECT id, writer_key, count, first_step, last_step, steps FROM axis",
        "batch": "SELECT writer_key, rows, points FROM batch",
    }
    with closing(sqlite3.connect(path)) as database:
        return {name: database.execute(question).fetchall() for name, question in questions.items()}
