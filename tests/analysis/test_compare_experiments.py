"""Experiments side by side, as their runs were recorded into real stores."""

from __future__ import annotations

import json
import math
import statistics
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tracklib
from tracklib.analysis.experiment_statistics import statistics_of
from tracklib.errors import AmbiguousName, ConfigError, NotFound
from tracklib.records import RecordKind
from tracklib.testing.batches import WriterScript, points

pytestmark = pytest.mark.usefixtures("bare")

ACCURACIES = {"lenet": [0.7, 0.72, 0.74], "alexnet": [0.8, 0.82], "resnet": [0.9]}


def record(experiment: str, project: str = "images", **metrics: float) -> str:
    with tracklib.start_run(project, experiment) as run:
        run.log(metrics)
    return run.id


@pytest.fixture(params=["sqlite:///runs.db", "file://{}/runs"], ids=["sqlite", "file"])
def _images(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    bare: None,  # noqa: ARG001 - these runs are silent, too
) -> None:
    """Three experiments in each kind of store."""
    monkeypatch.setenv("TRACKLIB_STORE", str(request.param).format(tmp_path))
    for experiment, accuracies in ACCURACIES.items():
        for accuracy in accuracies:
            record(experiment, accuracy=accuracy, loss=1 - accuracy)
    tracklib.set_project(
        "images", settings={"primary_metrics": ["accuracy"], "higher_is_better": {"accuracy": True, "loss": False}}
    )


@pytest.mark.usefixtures("_images")
def test_each_experiment_has_its_statistics() -> None:
    """Those of the runs that have the metric."""
    found = tracklib.compare_experiments(project="images")

    assert found.experiments == ("lenet", "alexnet", "resnet")
    assert found.baseline == "lenet"
    assert found.metrics == ("accuracy", "loss")
    for name, values in ACCURACIES.items():
        row = found.row(name, "accuracy")
        assert (row.runs, row.count, row.best, row.worst) == (len(values), len(values), max(values), min(values))
        assert row.mean == pytest.approx(statistics.mean(values))
        assert row.median == pytest.approx(statistics.median(values))
        assert row.std == (pytest.approx(statistics.stdev(values)) if len(values) > 1 else None)
        assert row.best_run is not None
        assert tracklib.get_run(row.best_run).metrics["accuracy"].last == max(values)
        assert found.row(name, "loss").best == pytest.approx(1 - max(values))


@pytest.mark.usefixtures("_images")
def test_improvements_know_the_direction() -> None:
    """Of the mean and of the best; the baseline has none."""
    found = tracklib.compare_experiments(["lenet", "resnet"], project="images", baseline="lenet")

    for metric, delta in (("accuracy", 0.18), ("loss", -0.18)):
        change = found.row("resnet", metric).mean_change
        assert change is not None
        assert change.delta == pytest.approx(delta)
        assert change.improvement == pytest.approx(0.18)
        assert change.better is True
    best = found.row("resnet", "accuracy").best_change
    assert best is not None
    assert best.improvement_percent == pytest.approx(0.16 / 0.74 * 100)
    assert found.row("lenet", "accuracy").mean_change is None


def test_without_a_direction_there_is_no_best() -> None:
    """What needs none is there, and the table says why the rest is not."""
    record("a", x=1.0)
    record("a", x=3.0)
    record("b", x=4.0)

    found = tracklib.compare_experiments(project="images")
    row = found.row("b", "x")

    assert (row.best, row.worst, row.best_run, row.best_change) == (None, None, None, None)
    assert (row.min, row.max, row.mean) == (4.0, 4.0, 4.0)
    assert row.mean_change is not None
    assert (row.mean_change.delta, row.mean_change.percent, row.mean_change.better) == (2.0, 100.0, None)
    assert "no best, since it is not known whether higher is better: x" in str(found)
    assert tracklib.compare_experiments(project="images", metrics=["x"], higher_is_better=False).row("a", "x").best == 1


def test_what_is_no_number_does_not_count() -> None:
    """NaN, infinities and missing values; the count says how many are left."""
    for value in (1.0, 2.0, math.nan, math.inf):
        record("a", x=value)
    record("a", y=1.0)
    record("b", x=math.nan)

    found = tracklib.compare_experiments(project="images", higher_is_better={"x": True})

    row, nothing = found.row("a", "x"), found.row("b", "x")
    assert (row.runs, row.count, row.best, row.mean) == (5, 2, 2.0, 1.5)
    assert (nothing.runs, nothing.count, nothing.mean, nothing.std, nothing.best_run) == (1, 0, None, None, None)
    assert nothing.mean_change is None


def test_runs_that_failed_or_were_archived_do_not_count() -> None:
    """Unless they are asked for by their status."""
    record("a", x=1.0)
    tracklib.archive_run(record("a", x=5.0))
    run = tracklib.start_run("images", "a")
    run.log({"x": 9.0})
    run.finish("failed")

    def count(**given: Any) -> int:
        return tracklib.compare_experiments(project="images", **given).row("a", "x").count

    assert count() == 1
    assert count(status=["completed", "failed"]) == 2
    assert count(status=None) == 2
    assert count(status="failed") == 1


def test_experiments_are_told_in_any_way() -> None:
    """By name, by project and name, or as they were read; those of several projects have both in their names."""
    for project, experiment in (("one", "a"), ("one", "b"), ("two", "a"), ("two/x", "c")):
        record(experiment, project, x=1.0)

    found = tracklib.compare_experiments(
        ["b", "two/a", tracklib.get_experiment("a", project="one"), "one/b", "two/x/c"], baseline="one/a"
    )

    assert found.experiments == ("one/b", "two/a", "one/a", "two/x/c")
    assert found.baseline == "one/a"
    with pytest.raises(AmbiguousName, match="'a' means several experiments: one/a, two/a; give the project as well"):
        tracklib.compare_experiments(["a"])
    with pytest.raises(NotFound, match="there is no experiment 'c'; there are: a, b"):
        tracklib.compare_experiments(["c"], project="one")
    with pytest.raises(ConfigError, match="baseline is 'c', but that is none of the experiments: a, b"):
        tracklib.compare_experiments(project="one", baseline="c")


def test_all_of_a_project_come_oldest_first() -> None:
    """So that the first one, the baseline, is where one began; archived ones only by their names."""
    for experiment in ("z", "m", "a"):
        record(experiment, x=1.0)
    tracklib.archive_experiment("m", project="images")

    assert tracklib.compare_experiments(project="images").experiments == ("z", "a")
    assert tracklib.compare_experiments(["m", "a"], project="images").experiments == ("m", "a")
    with pytest.raises(NotFound, match="there is no experiment in a project 'nothing'"):
        tracklib.compare_experiments(project="nothing")


def test_a_metric_that_no_run_has_is_not_found() -> None:
    """Neither when it is asked for, nor in what was found."""
    record("a", accuracy=1.0)

    with pytest.raises(NotFound, match="none of the 1 runs has the metric 'acuracy'; there are: accuracy"):
        tracklib.compare_experiments(project="images", metrics=["acuracy"])
    with pytest.raises(NotFound, match="there is no metric 'x' of the experiment 'a' here"):
        tracklib.compare_experiments(project="images").row("a", "x")


def test_experiments_without_runs_have_nothing_to_say() -> None:
    """They are there all the same."""
    tracklib.set_experiment("empty", project="images")
    record("a", x=1.0)

    row = tracklib.compare_experiments(project="images").row("empty", "x")

    assert (row.runs, row.count, row.mean) == (0, 0, None)
    assert str(tracklib.compare_experiments(["empty"], project="images")).startswith("1 experiment")


@pytest.mark.usefixtures("_images")
def test_a_comparison_becomes_a_table_a_frame_and_plain_data() -> None:
    """Each has all rows."""
    found = tracklib.compare_experiments(project="images", metrics=["accuracy"])

    lines = str(found).splitlines()
    assert lines[0] == "3 experiments, compared to lenet"
    assert lines[2].split() == ["accuracy", "lenet", "3", "0.72", "0.02", "0.74", "0.7", "0.72", "baseline"]
    assert lines[4].split()[-4:] == ["+25.0%", "better", "+21.6%", "better"]
    assert repr(found) == "<ExperimentComparison of 3 experiments: 1 metrics, baseline lenet>"
    frame = found.to_pandas()
    assert frame["experiment"].tolist() == ["lenet", "alexnet", "resnet"]
    assert frame["std"].isna().tolist() == [False, False, True]
    assert frame["mean_improvement_percent"].round(1).tolist()[1:] == [12.5, 25.0]
    assert json.loads(json.dumps(found.to_dict())) == found.to_dict()
    assert "<td>resnet</td>" in found._repr_html_()


def test_nothing_that_was_recorded_becomes_markup() -> None:
    """Names of experiments and metrics are text."""
    with tracklib.start_run("images", "<b>bold</b>") as run:
        run.log({"<i>x</i>": 1.0})

    text = tracklib.compare_experiments(project="images")._repr_html_()

    assert "<b>" not in text
    assert "<i>" not in text
    assert "&lt;b&gt;bold&lt;/b&gt;" in text


def test_many_experiments_print_within_bounds() -> None:
    """And all their runs are read with one question."""
    with tracklib.open_store("many.db") as store:
        for index in range(1000):
            script = WriterScript(experiment=f"experiment {index % 100}", project="images")
            script.ship(store, points({"x": [float(index)]}), script.record(RecordKind.END, status="completed"))

    found = tracklib.compare_experiments(project="images", store="many.db", higher_is_better={"x": True})

    assert len(found.rows) == 100
    assert found.row("experiment 7", "x").best == 907.0
    assert "… and 40 more rows" in str(found)


@given(
    st.lists(st.floats(-1e6, 1e6) | st.sampled_from([math.nan, math.inf, -math.inf]), max_size=8),
    st.sampled_from([True, False, None]),
)
def test_statistics_are_those_of_the_standard_library(values: list[float], higher: bool | None) -> None:
    """Over the finite values."""
    finite = [value for value in values if math.isfinite(value)]

    row = statistics_of(
        {str(index): value for index, value in enumerate(values)},
        experiment="e",
        metric="m",
        runs=len(values),
        higher_is_better=higher,
    )

    assert row.count == len(finite)
    assert row.mean == (pytest.approx(statistics.fmean(finite), rel=1e-9, abs=1e-6) if finite else None)
    assert row.median == (pytest.approx(statistics.median(finite), rel=1e-9, abs=1e-9) if finite else None)
    assert row.std == (pytest.approx(statistics.stdev(finite), rel=1e-6, abs=1e-6) if len(finite) > 1 else None)
    best = (max if higher else min)(finite) if finite and higher is not None else None
    assert row.best == best
    assert (row.best_run is None) == (best is None)


def test_the_largest_numbers_do_no_harm() -> None:
    """Their sum is infinite, and that is what is said."""
    row = statistics_of({"a": 1.7e308, "b": 1.7e308}, experiment="e", metric="m", runs=2, higher_is_better=True)

    assert row.mean == math.inf
    assert row.best == 1.7e308
