"""Tables of runs: as sequences, on terminals, in notebooks, and as frames."""

from __future__ import annotations

import html
import io
import math
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

import tracklib
from tracklib.analysis.run_fields import field_column, field_text
from tracklib.analysis.run_table import MOST_ROWS
from tracklib.errors import ConfigError, FilterError, NotFound
from tracklib.queries.attributes import ATTRIBUTES
from tracklib.queries.tree import Attribute, Metric, Param, Tag

pytestmark = pytest.mark.usefixtures("bare")


def record(name: str, *, params: Any = None, tags: Any = None, project: str = "digits", **metrics: Any) -> str:
    with tracklib.start_run(project, "sweep", name=name, params=params or {}, tags=tags or {}) as run:
        for metric, values in metrics.items():
            for step, value in enumerate(values if isinstance(values, list) else [values]):
                run.log({metric.replace("__", "/"): value}, step=step)
    return run.id


@pytest.fixture(name="sweep")
def _sweep() -> tracklib.RunTable:
    ids = [
        record("small", params={"model": {"size": 1}, "seed": 7}, loss=[0.5, 0.25], eval__acc=0.5),
        record("large", params={"model": {"size": 10}, "seed": 7}, tags={"team": "vision"}, loss=[0.75, math.nan]),
        record("text", params={"model": {"size": "xl"}, "seed": 7}, loss=[1.0]),
    ]
    return tracklib.RunTable(ids)


# ---- a sequence


def test_a_table_is_a_sequence_of_runs(sweep: tracklib.RunTable) -> None:
    """In the order that was given; a slice is a table as well, with the same columns."""
    assert len(sweep) == 3
    assert [run.name for run in sweep] == ["small", "large", "text"]
    assert sweep[-1].name == "text"
    assert sweep[0] in sweep
    assert next(reversed(sweep)) is sweep[2]
    assert sweep.ids == [run.id for run in sweep]
    shorter = tracklib.RunTable(sweep, columns=["name"])[1:]
    assert isinstance(shorter, tracklib.RunTable)
    assert (len(shorter), shorter.columns) == (2, ["name"])
    with pytest.raises(IndexError):
        _ = sweep[3]


def test_a_table_knows_what_its_runs_have(sweep: tracklib.RunTable) -> None:
    """Params as they occur, metrics by the alphabet."""
    assert sweep.params == ["model.size", "seed"]
    assert sweep.metrics == ["eval/acc", "loss"]


# ---- what is shown


def test_params_that_are_the_same_are_not_shown(sweep: tracklib.RunTable) -> None:
    """Nor tags that nobody has, nor places that all runs share."""
    shown = ["name", "status", "started", "duration"]

    assert sweep.columns == [*shown, "params.model.size", "metrics.loss", "metrics.eval/acc", "tags"]
    assert sweep[0:1].columns == [*shown, "params.model.size", "params.seed", "metrics.eval/acc", "metrics.loss"]
    assert sweep[0:0].columns == shown


def test_the_primary_metrics_of_the_project_are_shown() -> None:
    """Whatever else most runs have; those of the machine are not."""
    tracklib.set_project("digits", settings={"primary_metrics": ["eval/acc", "gone"]})
    run = record("first", loss=1, eval__acc=2, system__cpu=3)

    assert [name for name in tracklib.RunTable([run]).columns if name.startswith("metrics")] == ["metrics.eval/acc"]


def test_without_primary_metrics_the_most_common_are_shown() -> None:
    """Not more than a table has room for."""
    many: dict[str, Any] = {f"m{i}": 1 for i in range(9)}
    runs = [record("a", **many), record("b", m5=1, m7=1)]

    shown = [name for name in tracklib.RunTable(runs).columns if name.startswith("metrics")]
    assert shown == ["metrics.m5", "metrics.m7", "metrics.m0", "metrics.m1"]


def test_what_tells_runs_apart_is_shown() -> None:
    """Ids where names are the same, places where they differ."""
    runs = [record("same", project="one"), record("same", project="two")]

    assert tracklib.RunTable(runs).columns == ["id", "name", "status", "started", "duration", "project"]


def test_a_table_prints_as_lines_of_text(sweep: tracklib.RunTable) -> None:
    """Each column as wide as it must be, numbers to the right; in a pipe nothing is left out."""
    table = tracklib.RunTable(sweep, columns=["name", "params.model.size", "metrics.loss.min", "metrics.loss", "tags"])

    assert str(table).splitlines() == [
        "name   model.size  loss (min)  loss  tags",
        "small  1                 0.25  0.25  -",
        "large  10                0.75   nan  team=vision",
        "text   xl                   1     1  -",
    ]
    assert repr(table) == str(table)


def test_a_narrow_terminal_gets_what_matters_most(sweep: tracklib.RunTable) -> None:
    """With a word about what there is no room for, and no line longer than it is wide."""
    for width in (20, 40, 60, 200):
        stream = io.StringIO()
        Console(file=stream, width=width).print(sweep)
        lines = stream.getvalue().splitlines()
        assert lines[0].startswith("name")
        assert all(len(line) <= width for line in lines if not line.startswith("no room for: "))
    assert "no room for" not in stream.getvalue()
    stream = io.StringIO()
    Console(file=stream, width=40).print(sweep)
    assert "loss" in stream.getvalue().splitlines()[0]
    assert "started" in stream.getvalue().splitlines()[-1]


def test_wide_characters_keep_columns_straight() -> None:
    """As terminals show them."""
    table = tracklib.RunTable([record("日本", loss=1), record("ab", loss=2)], columns=["name", "metrics.loss"])

    assert str(table).splitlines() == ["name  loss", "日本     1", "ab       2"]


def test_a_notebook_gets_a_table_in_which_nothing_is_markup() -> None:
    """Neither names nor params, tags and columns; there is no script."""
    evil = "<script>alert('x')</script>&\"\u202e"
    run = record(evil, params={evil: evil}, tags={evil: evil})

    shown = tracklib.RunTable([run])._repr_html_()
    assert "<script" not in shown
    assert "\u202e" not in shown
    assert html.escape("<script>alert(") in shown
    assert shown.count("<tr>") == 2


def test_long_values_are_cut_and_told_when_pointed_at() -> None:
    """Also on a terminal, where nothing can be pointed at; a line stays one."""
    table = tracklib.RunTable([record("a", params={"text": "x\n" * 500})], columns=["params.text"])

    assert 'title="x x x' in table._repr_html_()
    assert max(len(line) for line in str(table).splitlines()) == 40
    assert len(str(table).splitlines()) == 2


def test_a_long_table_says_how_much_longer_it_is() -> None:
    """And shows its first rows."""
    run = tracklib.get_run(record("a"))
    table = tracklib.RunTable([run] * (MOST_ROWS + 1234))

    assert str(table).splitlines()[-1] == "… and 1,234 more runs"
    assert table._repr_html_().count("<tr>") == MOST_ROWS + 1
    assert "… and 1,234 more runs" in table._repr_html_()


def test_an_empty_table_says_so() -> None:
    """And has the columns of a frame all the same."""
    table = tracklib.RunTable([])

    assert str(table) == "no runs"
    assert "no runs" in table._repr_html_()
    assert list(table.to_pandas()) == table.to_arrow().column_names == table.to_polars().columns
    assert next(iter(table.to_pandas())) == "id"


def test_a_table_is_shown_though_its_store_is_gone(sweep: tracklib.RunTable) -> None:
    """As far as it was read before."""
    _ = sweep.metrics
    for path in Path().iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()

    assert "small" in str(sweep)


# ---- frames


def test_a_frame_has_a_row_for_each_run(sweep: tracklib.RunTable) -> None:
    """With the most natural types; what is missing is missing."""
    frame = sweep.to_pandas()

    assert list(frame) == [
        *["id", "project", "experiment", "name", "status", "started_at", "ended_at", "duration"],
        *["params.model.size", "params.seed", "metrics.eval/acc", "metrics.loss", "tags.team"],
    ]
    assert frame["name"].tolist() == ["small", "large", "text"]
    assert frame["params.model.size"].tolist() == [1, 10, "xl"]
    assert str(frame["params.seed"].dtype) == "int64"
    assert frame["metrics.eval/acc"].isna().tolist() == [False, True, True]
    assert frame["tags.team"].isna().tolist() == [True, False, True]
    assert str(frame["started_at"].dt.tz) == "UTC"
    assert frame["started_at"].iloc[0].timestamp() == pytest.approx(sweep[0].started_at, abs=1e-5)
    assert frame["duration"].iloc[0] == sweep[0].duration


def test_a_frame_has_the_statistics_that_are_asked_for(sweep: tracklib.RunTable) -> None:
    """The last value is named as the metric is."""
    frame = sweep.to_pandas(statistics=("last", "min", "count", "last_time"))

    loss = [name for name in frame if name.startswith("metrics.loss")]
    assert loss == ["metrics.loss", "metrics.loss.min", "metrics.loss.count", "metrics.loss.last_time"]
    assert frame["metrics.loss.min"].tolist() == [0.25, 0.75, 1.0]
    assert frame["metrics.loss.count"].tolist() == [2, 2, 1]
    assert str(frame["metrics.eval/acc.count"].dtype) == "Int64"
    assert str(frame["metrics.loss.last_time"].dt.tz) == "UTC"
    assert "metrics.loss" not in sweep.to_arrow(statistics="max").column_names


def test_a_metric_that_is_named_like_a_statistic_keeps_its_column() -> None:
    """In brackets, as in a filter."""
    metrics: dict[str, Any] = {"loss": [1, 2], "loss.min": [5]}
    run = record("a", **metrics)

    frame = tracklib.RunTable([run]).to_pandas(statistics=("last", "min"))
    assert frame["metrics.loss.min"].tolist() == [1]
    assert frame["metrics['loss.min']"].tolist() == [5]


def test_a_frame_of_chosen_columns_has_these(sweep: tracklib.RunTable) -> None:
    """And the ids."""
    columns = ["name", "run.status", "metrics['eval/acc'].max", "tags.team", "started", "gpu.count", "tags", "cost"]
    table = tracklib.RunTable(sweep, columns=[*columns, "name"])

    assert table.columns == columns
    assert list(table.to_pandas()) == table.to_polars().columns == table.to_arrow().column_names == ["id", *columns]
    kinds = dict(zip(table.to_arrow().column_names, map(str, table.to_arrow().schema.types), strict=True))
    assert (kinds["started"], kinds["gpu.count"], kinds["cost"]) == ("timestamp[us, tz=UTC]", "int64", "double")


def test_arrow_and_polars_hold_whatever_params_hold() -> None:
    """What has no type of its own is text."""
    odd = {"a": 2**70, "b": [1, 2], "c": None, "d": object(), "e": math.inf, "f": {}, "g": True, "h": math.nan}
    runs = [record("a", params=odd), record("b", params={"b": 1, "g": 1, "c": "x"}), record("c")]
    table = tracklib.RunTable(runs)

    arrow, polars = table.to_arrow(), table.to_polars()
    assert arrow["params.a"].to_pylist() == polars["params.a"].to_list() == [str(2**70), None, None]
    assert arrow["params.b"].to_pylist() == polars["params.b"].to_list() == ["[1, 2]", "1", None]
    assert arrow["params.g"].to_pylist() == ["true", "1", None]
    assert arrow["params.e"].to_pylist() == [math.inf, None, None]
    assert table.to_pandas()["params.b"].tolist()[:2] == [[1, 2], 1]


def test_a_table_as_plain_data_holds_everything(sweep: tracklib.RunTable) -> None:
    """Params nested as they were given, and every number of a metric."""
    told = sweep.to_dict()

    assert told["columns"] == sweep.columns
    first = told["runs"][0]
    assert (first["name"], first["params"]) == ("small", {"model": {"size": 1}, "seed": 7})
    assert type(first["status"]) is str
    assert first["metrics"]["loss"] | {"last_time": 0, "mean": 0} == {
        "last": 0.25,
        "min": 0.25,
        "max": 0.5,
        "mean": 0,
        "count": 2,
        "first_step": 0,
        "last_step": 1,
        "last_time": 0,
    }


# ---- columns


names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


@settings(deadline=None)
@given(
    st.one_of(
        names.map(Param),
        names.map(Tag),
        st.builds(Metric, names, st.sampled_from(["last", "min", "count"])),
        st.sampled_from(sorted(ATTRIBUTES)).map(Attribute),
    )
)
def test_the_text_of_a_field_means_that_field(field: Any) -> None:
    """Whatever its name is."""
    found = field_column(field_text(field)).field

    assert found == field


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_each_attribute_can_be_shown(name: str, sweep: tracklib.RunTable) -> None:
    """With a value or without."""
    assert len(str(tracklib.RunTable(sweep, columns=[name])).splitlines()) == 4
    assert len(tracklib.RunTable(sweep, columns=[name]).to_arrow()) == 3


def test_a_param_and_a_metric_of_one_name_are_told_apart() -> None:
    """By their whole names."""
    table = tracklib.RunTable([record("a", params={"loss": "mse"}, loss=1)], columns=["params.loss", "metrics.loss"])

    assert str(table).splitlines()[0] == "params.loss  metrics.loss"


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ("name", "columns is 'name', but takes a list of fields"),
        (5, "columns is 5"),
        ([5], "a column is 5, but takes a field such as"),
        ([""], "a column is ''"),
        (["lr"], r"the column 'lr' is no attribute of runs: write params\.lr, metrics\.lr or tags\.lr"),
        (["statsu"], "did you mean status"),
        (["run.statsu"], r"did you mean run\.status"),
        (["params"], r"params has no value of its own: write params\.lr"),
        (["params['a'] + 1"], "a name begins with"),
        (["metrics['a"], "this quote is not closed"),
    ],
)
def test_a_column_that_cannot_be_meant_is_refused(columns: Any, message: str) -> None:
    """At once, with what was likely meant."""
    with pytest.raises(ConfigError, match=message):
        tracklib.RunTable([], columns=columns)


@pytest.mark.parametrize("statistics", ["median", [], 5, ["last", "p99"], [["last"]]])
def test_a_statistic_that_there_is_not_is_refused(sweep: tracklib.RunTable, statistics: Any) -> None:
    """With those that there are."""
    with pytest.raises(ConfigError, match=r"statistics is .*, but takes some of last, min, max, mean, count"):
        sweep.to_pandas(statistics=statistics)


@pytest.mark.parametrize(
    ("runs", "error"), [("latest", ConfigError), (5, ConfigError), ([5], ConfigError), (["gone"], NotFound)]
)
def test_what_are_no_runs_is_refused(runs: Any, error: type[Exception]) -> None:
    """As everywhere."""
    record("a")

    with pytest.raises(error):
        tracklib.RunTable(runs)
    assert issubclass(FilterError, ConfigError)


def test_times_far_away_are_shown_all_the_same() -> None:
    """As numbers, where no calendar goes so far."""
    from tracklib.analysis.table_text import moment_text

    assert moment_text(1e300) == "1e+300"
    assert moment_text(0.0) == time.strftime("%Y-%m-%d %H:%M", time.localtime(0))
