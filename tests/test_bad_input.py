"""Bad input to each public function: a clear error that names what is wrong and says what to do."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tracklib
from tracklib.errors import ConfigError, FilterError, NotFound, StillRunning, StoreError
from tracklib.records import id_of_number

pytestmark = pytest.mark.usefixtures("bare")

MISSING = id_of_number(1)


def two(t: Any) -> list[Any]:
    """Return two runs that are of no interest."""
    other = t.start_run("before", activate=False)
    other.finish()
    return [t.active_run(), other]


Case = tuple[Callable[..., Any], type[Exception], str]

# Each by the function's name; `t` is the module, with a run active.
CASES: dict[str, list[Case]] = {
    "align_series": [
        (lambda t: t.align_series(t.active_run()), ConfigError, "names is None, but takes the name of a metric"),
        (lambda t: t.align_series(t.active_run(), "loss"), NotFound, "none of these runs has a metric 'loss'"),
        (lambda t: t.align_series({}, by="epoch"), ConfigError, "by is 'epoch', but takes one of step, time, elapsed"),
        (lambda t: t.align_series({}, join="left"), ConfigError, "join is 'left', but takes one of outer, inner"),
        (lambda t: t.align_series({}, fill=0), ConfigError, "fill is 0, but takes one of None, previous, linear"),
        (lambda t: t.align_series({"a": [1]}), ConfigError, "but takes series by their names"),
    ],
    "archive_experiment": [(lambda t: t.archive_experiment("", project="p"), ConfigError, "name is ''")],
    "archive_project": [(lambda t: t.archive_project(5), ConfigError, "name is 5")],
    "archive_run": [
        (lambda t: t.archive_run(""), ConfigError, "run is ''"),
        (lambda t: t.archive_run(MISSING), NotFound, f"there is no run '{MISSING}'"),
        (lambda t: t.archive_run("x", store=5), ConfigError, "store is 5"),
    ],
    "artifact_lineage": [
        (lambda t: t.artifact_lineage(5), ConfigError, "reference is 5"),
        (lambda t: t.artifact_lineage("data", depth=-1), ConfigError, "depth is -1, but takes a number of steps"),
        (lambda t: t.artifact_lineage("data", depth="all"), ConfigError, "depth is 'all'"),
        (lambda t: t.artifact_lineage("data"), NotFound, "there is no artifact 'data' in .*; there are: none"),
    ],
    "autolog": [
        (lambda t: t.autolog(exclude=["keras"]), ValueError, "to leave 'keras' alone, but knows only arguments, "),
    ],
    "collect_garbage": [
        (lambda t: t.collect_garbage(grace_s=5), ConfigError, "grace_s is 5, but takes 3600 seconds or more"),
        (lambda t: t.collect_garbage(store="runs"), ConfigError, "the store 'runs' is of no known kind"),
    ],
    "count_runs": [
        (lambda t: t.count_runs("run.statsu == 'a'"), FilterError, "did you mean run.status"),
        (lambda t: t.count_runs(per="year"), ConfigError, "per is 'year', but takes one of hour, day, week, month"),
        (lambda t: t.count_runs(since="soon"), ConfigError, "since is 'soon', but takes a date"),
        (lambda t: t.count_runs(timezone="Berlin"), ConfigError, "timezone is 'Berlin'"),
        (lambda t: t.count_runs(tags=5), ConfigError, "tags is 5"),
        (lambda t: t.count_runs(store=5), ConfigError, "store is 5"),
    ],
    "search_runs": [
        (lambda t: t.search_runs(5), FilterError, "the filter is 5, but takes text"),
        (lambda t: t.search_runs("param.lr < 1"), FilterError, "did you mean params"),
        (lambda t: t.search_runs(order_by=5), FilterError, "order_by is 5"),
        (lambda t: t.search_runs(order_by="metrics.none"), NotFound, "no run has a metric 'none' to sort by"),
        (lambda t: t.search_runs(limit="5"), ConfigError, "limit is '5'"),
        (lambda t: t.search_runs(status="done"), ConfigError, "status is 'done'"),
        (lambda t: t.search_runs(store=5), ConfigError, "store is 5"),
    ],
    "compare": [
        (lambda t: t.compare("latest"), ConfigError, "runs is 'latest', but takes several runs"),
        (lambda t: t.compare(5), ConfigError, "runs is 5, but takes several runs"),
        (lambda t: t.compare([]), ConfigError, "runs has 0 runs, but a comparison takes two or more"),
        (lambda t: t.compare(["latest"]), ConfigError, "runs has 1 run, but a comparison takes two or more"),
        (lambda t: t.compare([5, "latest"]), ConfigError, "run is 5"),
        (lambda t: t.compare([MISSING, "latest"]), NotFound, f"there is no run '{MISSING}'"),
        (lambda t: t.compare(two(t), statistic="median"), ConfigError, "statistic is 'median', but takes one of last"),
        (lambda t: t.compare(two(t), baseline=5), ConfigError, "baseline is 5"),
        (lambda t: t.compare(two(t), baseline="x"), ConfigError, "baseline is 'x', but that is none of the 2 runs"),
        (lambda t: t.compare(two(t), metric=5), ConfigError, "metric is 5"),
        (lambda t: t.compare(two(t), metric="x"), NotFound, "none of the 2 runs has the metric 'x'; there are: none"),
        (lambda t: t.compare(two(t), higher_is_better=True), ConfigError, "higher_is_better is True, but no metric"),
        (lambda t: t.compare(two(t), higher_is_better={"x": 1}), ConfigError, "higher_is_better is {'x': 1}, but"),
    ],
    "compare_experiments": [
        (lambda t: t.compare_experiments(), ConfigError, "experiments and project are both None"),
        (lambda t: t.compare_experiments("default"), ConfigError, "experiments is 'default', but takes several"),
        (lambda t: t.compare_experiments([]), ConfigError, "experiments is empty"),
        (lambda t: t.compare_experiments([5]), ConfigError, "experiment is 5"),
        (lambda t: t.compare_experiments(["x"]), NotFound, "there is no experiment 'x'; there are: before/default"),
        (lambda t: t.compare_experiments(project=5), ConfigError, "project is 5"),
        (lambda t: t.compare_experiments(project="x"), NotFound, "there is no experiment in a project 'x'"),
        (lambda t: t.compare_experiments(project="before", metrics="x"), ConfigError, "metrics is 'x', but takes"),
        (lambda t: t.compare_experiments(project="before", metrics=[]), ConfigError, "metrics is empty"),
        (lambda t: t.compare_experiments(project="before", metrics=["x"]), NotFound, "none of the 0 runs has"),
        (lambda t: t.compare_experiments(project="before", status="done"), ConfigError, "status is 'done'"),
        (lambda t: t.compare_experiments(project="before", baseline="x"), ConfigError, "baseline is 'x', but that is"),
        (lambda t: t.compare_experiments(project="before", store=5), ConfigError, "store is 5"),
    ],
    "compare_groups": [
        (lambda t: t.compare_groups([1.0, 2.0]), ConfigError, "b is missing: give two groups, or a mapping"),
        (lambda t: t.compare_groups({"a": [1.0]}), ConfigError, r"groups is \['a'\], but takes two groups or more"),
        (lambda t: t.compare_groups({1: [1.0], 2: [2.0]}), ConfigError, "the group name 1 is no text"),
        (lambda t: t.compare_groups("latest", [1.0]), ConfigError, "the group 'a' is 'latest', but takes several runs"),
        (lambda t: t.compare_groups([1.0], 5), ConfigError, "the group 'b' is 5"),
        (lambda t: t.compare_groups([1.0, "x"], [2.0]), ConfigError, "the group 'a' has numbers and 'x'"),
        (lambda t: t.compare_groups([1.0], ["latest"], "x"), ConfigError, "some groups are of runs and some of numb"),
        (lambda t: t.compare_groups([MISSING], [], "x"), NotFound, f"there is no run '{MISSING}'"),
        (lambda t: t.compare_groups(["latest"], []), ConfigError, "metric is None, but takes the name of a metric"),
        (lambda t: t.compare_groups(["latest"], [], 5), ConfigError, "metric is 5"),
        (lambda t: t.compare_groups(["latest"], [], []), ConfigError, r"metric is \[\]"),
        (lambda t: t.compare_groups([1.0], [2.0], ["a", "b"]), ConfigError, "numbers are of one metric"),
        (lambda t: t.compare_groups([1.0], [2.0], confidence=95), ConfigError, "confidence is 95, but takes a number"),
        (lambda t: t.compare_groups([1.0], [2.0], correction="bh"), ConfigError, "correction is 'bh'.* of holm, none"),
        (lambda t: t.compare_groups([1.0], [2.0], statistic="best"), ConfigError, "statistic is 'best'"),
        (lambda t: t.compare_groups([1.0], [2.0], higher_is_better="yes"), ConfigError, "higher_is_better is 'yes'"),
    ],
    "copy_runs": [
        (lambda t: t.copy_runs(5, "b.db"), ConfigError, "from_store is 5, but takes the URI of a store"),
        (lambda t: t.copy_runs("a.db", None), ConfigError, "to_store is None"),
        (lambda t: t.copy_runs("a.db", "ftp://x"), ConfigError, "'ftp://x' is of no known kind"),
        (lambda t: t.copy_runs("a.db", Path("a.db")), ConfigError, "from_store and to_store are both 'sqlite:///"),
        (lambda t: t.copy_runs("a.db", "b.db"), NotFound, "there is no store at .*a.db"),
        (lambda t: t.copy_runs("a.db", "b.db", runs=5), ConfigError, "run is 5"),
        (lambda t: t.copy_runs("a.db", "b.db", runs=["x", ""]), ConfigError, "run is ''"),
        (lambda t: t.copy_runs("a.db", "b.db", project=5), ConfigError, "project is 5"),
    ],
    "current_settings": [(lambda t: t.current_settings(speed=1), ConfigError, "'speed'.* is no setting")],
    "delete_run": [
        (lambda t: t.delete_run(None), ConfigError, "run is None"),
        (lambda t: t.delete_run(MISSING), NotFound, f"there is no run '{MISSING}'"),
        (lambda t: t.delete_run("latest"), StillRunning, "still being written by process .* end that first"),
    ],
    "edit_run": [
        (lambda t: t.edit_run(5), ConfigError, "run is 5"),
        (lambda t: t.edit_run("latest", name=""), ConfigError, "name is ''"),
        (lambda t: t.edit_run("latest", project=5), ConfigError, "project is 5"),
        (lambda t: t.edit_run("latest", experiment=" "), ConfigError, "experiment is ' '"),
        (lambda t: t.edit_run("latest", tags="a"), TypeError, "tags is 'a', but takes a mapping"),
        (lambda t: t.edit_run("latest", notes=5), TypeError, "notes is 5, but takes text"),
        (lambda t: t.edit_run("x", name="y", store="ftp://x"), ConfigError, "the store 'ftp://x' is of no known kind"),
    ],
    "end_run": [
        (lambda t: t.end_run("over"), ConfigError, "status is 'over', but a run ends as completed, failed, killed")
    ],
    "get_artifact": [
        (lambda t: t.get_artifact(""), ConfigError, "reference is ''"),
        (lambda t: t.get_artifact(None), ConfigError, "reference is None"),
        (lambda t: t.get_artifact("data", project=5), ConfigError, "project is 5"),
        (lambda t: t.get_artifact("data", store=5), ConfigError, "store is 5"),
        (lambda t: t.get_artifact("p/data:v3"), NotFound, "there is no artifact 'p/data:v3' in .*; there are: none"),
    ],
    "get_experiment": [(lambda t: t.get_experiment("e", project=5), ConfigError, "project is 5")],
    "get_project": [(lambda t: t.get_project(None), ConfigError, "name is None")],
    "get_run": [
        (lambda t: t.get_run(""), ConfigError, "run is ''"),
        (lambda t: t.get_run(5), ConfigError, "run is 5"),
        (lambda t: t.get_run("x", project=5), ConfigError, "project is 5"),
        (
            lambda t: t.get_run("x", store="ftp://x"),
            ConfigError,
            "the store 'ftp://x' is of no known kind: give one of",
        ),
    ],
    "init": [
        (lambda t: t.init(5), ConfigError, "store is 5"),
        (lambda t: t.init("ftp://x"), ConfigError, "'ftp://x' is of no known kind"),
        (lambda t: t.init(mode="fast"), ConfigError, "mode is 'fast'.* one of online, offline, disabled"),
        (lambda t: t.init(speed=1), ConfigError, "'speed'.* is no setting"),
    ],
    "list_artifacts": [
        (lambda t: t.list_artifacts(5), ConfigError, "project is 5"),
        (lambda t: t.list_artifacts(name=""), ConfigError, "name is ''"),
        (lambda t: t.list_artifacts(type=5), ConfigError, "type is 5"),
        (lambda t: t.list_artifacts(run=5), ConfigError, "run is 5"),
        (lambda t: t.list_artifacts(run=MISSING), NotFound, f"there is no run '{MISSING}'"),
        (lambda t: t.list_artifacts(store=5), ConfigError, "store is 5"),
    ],
    "list_experiments": [(lambda t: t.list_experiments(store=5), ConfigError, "store is 5")],
    "list_projects": [(lambda t: t.list_projects(store=""), ConfigError, "store is ''")],
    "list_runs": [
        (lambda t: t.list_runs(project=5), ConfigError, "project is 5, but takes text"),
        (lambda t: t.list_runs(limit=-1), ConfigError, "limit is -1, but takes a whole number"),
        (lambda t: t.list_runs(offset=None), ConfigError, "offset is None"),
        (lambda t: t.list_runs(tags="a"), ConfigError, "tags is 'a', but takes names and texts of tags"),
        (lambda t: t.list_runs(tags={"a": 1}), ConfigError, "tags is"),
        (
            lambda t: t.list_runs(status=["done"]),
            ConfigError,
            r"status is \['done'\], but takes some of pending, running",
        ),
        (lambda t: t.list_runs(ids=5), ConfigError, "ids is 5"),
        (lambda t: t.list_runs(order_by=None), ConfigError, "order_by is None"),
        (lambda t: t.list_runs(descending="no"), ConfigError, "descending is 'no', but takes True or False"),
        (lambda t: t.list_runs(archived="no"), ConfigError, "archived is 'no'"),
        (lambda t: t.list_runs(colour=1), ConfigError, "'colour' is no condition for runs; those are archived, "),
    ],
    "load_model": [
        (lambda t: t.load_model(5), ConfigError, "reference is 5"),
        (lambda t: t.load_model("classifier:best"), NotFound, "there is no artifact 'classifier:best'"),
    ],
    "log": [
        (
            lambda t: t.log(3),
            TypeError,
            r"log takes a mapping of names to numbers, as in log\(\{'loss': 0.3\}\), not 3",
        ),
        (lambda t: t.log({1: 2}), TypeError, r"the metric name 1 is no text: write str\(name\)"),
        (lambda t: t.log({"a": 1}, step="x"), TypeError, "step is 'x', but takes a whole number"),
        (lambda t: t.log({"a": 1}, context=5), TypeError, "context is 5"),
    ],
    "log_artifact": [
        (lambda t: t.log_artifact("gone"), FileNotFoundError, "path is 'gone', but there is nothing there"),
        (lambda t: t.log_artifact(5), TypeError, "path is 5"),
    ],
    "log_audio": [
        (lambda t: t.log_audio(None, "x", sample_rate=8000), TypeError, "audio is NoneType"),
        (lambda t: t.log_audio([0.5], "x"), ConfigError, "sample_rate"),
    ],
    "log_figure": [
        (lambda t: t.log_figure(5, "x"), TypeError, "figure is int, but takes a matplotlib or plotly figure")
    ],
    "log_histogram": [(lambda t: t.log_histogram("x", "x"), TypeError, "values is str")],
    "log_html": [(lambda t: t.log_html(5, "x"), TypeError, "html is int")],
    "log_image": [(lambda t: t.log_image(5, "x"), ConfigError, "image is int, but takes")],
    "log_metric": [(lambda t: t.log_metric(5, 1), TypeError, "the metric name 5 is no text")],
    "log_metrics": [(lambda t: t.log_metrics([1]), TypeError, "log takes a mapping")],
    "log_model": [
        (lambda t: t.log_model("gone"), FileNotFoundError, "path is 'gone'"),
        (lambda t: t.log_model(5), TypeError, "model is int, but takes a torch module, a state dict"),
    ],
    "log_param": [(lambda t: t.log_param("", 1), ConfigError, "key is ''")],
    "log_params": [(lambda t: t.log_params(5), TypeError, "params is int, but takes a mapping")],
    "log_table": [(lambda t: t.log_table(5, "x"), TypeError, "table is int, but takes a list of dicts")],
    "log_text": [(lambda t: t.log_text(5, "x"), TypeError, "text is int, but takes str")],
    "open_store": [
        (lambda t: t.open_store("runs"), ConfigError, "the store 'runs' is of no known kind"),
        (lambda t: t.open_store("sqlite://"), ConfigError, "sqlite:///relative/path.db"),
    ],
    "remove_alias": [
        (lambda t: t.remove_alias(5, "production"), ConfigError, "reference is 5"),
        (lambda t: t.remove_alias("data", ""), ConfigError, "alias is ''"),
        (lambda t: t.remove_alias("data", "latest"), ConfigError, "alias is 'latest', which means a version as it is"),
        (lambda t: t.remove_alias("data", "production"), NotFound, "there is no artifact 'data'"),
    ],
    "restore_experiment": [(lambda t: t.restore_experiment("e", project=""), ConfigError, "project is ''")],
    "restore_project": [(lambda t: t.restore_project("gone"), NotFound, "no project 'gone'")],
    "restore_run": [(lambda t: t.restore_run(5), ConfigError, "run is 5")],
    "param_importance": [
        (lambda t: t.param_importance("latest", "loss"), ConfigError, "runs is 'latest', but takes several runs"),
        (lambda t: t.param_importance([MISSING], "loss"), NotFound, f"there is no run '{MISSING}'"),
        (lambda t: t.param_importance([], ""), ConfigError, "metric is ''"),
        (lambda t: t.param_importance([], 5), ConfigError, "metric is 5"),
        (lambda t: t.param_importance(["latest"], "loss"), NotFound, "no run has a metric 'loss'; there"),
        (lambda t: t.param_importance([], "loss", params="lr"), ConfigError, "params is 'lr', but takes a list of dot"),
        (lambda t: t.param_importance([], "loss", params=[5]), ConfigError, "a name in params is 5"),
        (lambda t: t.param_importance(["latest"], "loss", params=["lr"]), NotFound, "a param 'lr'; there are: none"),
        (lambda t: t.param_importance([], "loss", statistic="best"), ConfigError, "statistic is 'best'"),
        (lambda t: t.param_importance([], "loss", seed=-1), ConfigError, "seed is -1, but takes a whole number"),
    ],
    "process_rank": [(lambda t: t.process_rank(5), TypeError, "environ is 5, but takes a mapping")],
    "set_alias": [
        (lambda t: t.set_alias(5, "production"), ConfigError, "reference is 5"),
        (lambda t: t.set_alias("data", 5), ConfigError, "alias is 5"),
        (lambda t: t.set_alias("data", "v3"), ConfigError, "alias is 'v3', which means a version as it is"),
        (
            lambda t: t.set_alias("data", "a/b"),
            ConfigError,
            "alias is 'a/b', but takes a name without ':', '/' and '@'",
        ),
        (lambda t: t.set_alias("data", "production"), NotFound, "there is no artifact 'data'"),
    ],
    "set_experiment": [(lambda t: t.set_experiment("e", project="p", status="x"), ConfigError, "status is 'x'")],
    "set_notes": [(lambda t: t.set_notes(None), TypeError, "notes is None, but takes text")],
    "set_project": [(lambda t: t.set_project("p", settings={"x": 1}), ConfigError, "'x' is no setting of a project")],
    "set_tags": [(lambda t: t.set_tags("a"), TypeError, "tags is 'a', but takes a mapping")],
    "start_run": [
        (lambda t: t.start_run(5), ConfigError, "project is 5"),
        (lambda t: t.start_run(""), ConfigError, "project is ''"),
        (lambda t: t.start_run("x" * 501), ConfigError, "project has 501 characters .* 500 at the most"),
        (lambda t: t.start_run("p", " "), ConfigError, "experiment is ' '"),
        (lambda t: t.start_run(name=""), ConfigError, "run_name is ''"),
        (lambda t: t.start_run(parent="x"), ConfigError, "parent is 'x', but takes a run or the 26 characters"),
        (lambda t: t.start_run(resume=5), ConfigError, "resume is 5"),
        (lambda t: t.start_run(resume=MISSING), NotFound, f"there is no run '{MISSING}'"),
        (lambda t: t.start_run(flush_interval="soon"), ConfigError, r"flush_interval is 'soon' \(from an argument\)"),
        (lambda t: t.start_run(parms={}), ConfigError, "'parms'.* is no setting"),
    ],
    "sync": [(lambda t: t.sync(spool=5), ConfigError, "spool is 5")],
    "track": [(lambda t: t.track(5), TypeError, "track decorates functions and methods, not 5")],
    "use_artifact": [
        (lambda t: t.use_artifact("nothing"), NotFound, "'nothing'"),
        (lambda t: t.use_artifact(5), ConfigError, "reference is 5"),
    ],
    "write_report": [
        (lambda t: t.write_report(5, "x.html"), ConfigError, "project is 5"),
        (lambda t: t.write_report("nope", "x.html"), NotFound, "there is no project 'nope'"),
        (lambda t: t.write_report("before", 5), ConfigError, "path is 5, but takes the path of a file"),
        (lambda t: t.write_report("before", ""), ConfigError, "path is '', but takes the path of a file"),
        (lambda t: t.write_report("before", "no/x.html"), ConfigError, "lies in a folder that is not there"),
        (lambda t: t.write_report("before", "x.html", filter=5), ConfigError, "filter is 5"),
        (lambda t: t.write_report("before", "x.html", limit=-1), ConfigError, "limit is -1"),
        (lambda t: t.write_report("before", "x.html", store=5), ConfigError, "store is 5"),
    ],
}
TAKES_NOTHING_WRONG = {"active_run", "next_run_id", "parent_run_id", "set_tag"}
"""They have no arguments; and any key and value of a tag become text."""


def test_every_public_function_is_here() -> None:
    """A new one brings its bad input with it."""
    functions = {name for name in tracklib.__all__ if inspect.isfunction(getattr(tracklib, name))}

    assert functions == CASES.keys() | TAKES_NOTHING_WRONG


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [pytest.param(*case, id=f"{name}-{case[2]}") for name in CASES for case in CASES[name]],
)
def test_bad_input_is_said(call: Callable[..., Any], error: type[Exception], message: str) -> None:
    """With the argument and what it takes; the run that is active goes on."""
    with tracklib.start_run("before") as run:
        run.flush()
        with pytest.raises(error, match=message) as caught:
            call(tracklib)
        assert type(caught.value) is not Exception
        assert tracklib.active_run() is run
        run.log({"loss": 1})

    assert tracklib.get_run(run).metrics["loss"].count == 1


@pytest.mark.parametrize(
    "uri",
    [
        "",
        " ",
        "runs",
        "sqlite:",
        "sqlite://",
        "sqlite:///",
        "sqlite://host/runs.db",
        "sqlite:///folder/",
        "://",
        "ftp://x",
        "a\0.db",
    ],
    ids=repr,
)
def test_a_store_that_cannot_be_meant_is_refused(uri: str) -> None:
    """The message shows how stores are written; nothing is made."""
    for use in (
        tracklib.start_run,
        tracklib.list_runs,
        tracklib.list_projects,
        tracklib.sync,
        tracklib.init,
    ):
        with pytest.raises(ConfigError, match="store"):
            use(store=uri)

    assert list(Path.cwd().iterdir()) == []


@pytest.mark.parametrize("store", ["file/runs.db", "folder.db", f"{'x' * 300}.db"], ids=str)
def test_a_store_that_cannot_be_written_is_refused(store: str) -> None:
    """With its path, the reason and the way out."""
    Path("file").write_text("no folder")
    Path("folder.db").mkdir()

    with pytest.raises(StoreError, match=r"the store .* cannot be .*choose another"):
        tracklib.start_run(store=store)


@pytest.mark.parametrize(
    "content", [b"not a database, but a text that somebody wrote", b"SQLite format 3\0" + b"\xff" * 200]
)
def test_a_file_that_is_no_store_is_left_alone(content: bytes) -> None:
    """And the message says so."""
    Path("runs.db").write_bytes(content)

    with pytest.raises(StoreError, match=r"runs\.db"):
        tracklib.start_run(store="runs.db")
    assert Path("runs.db").read_bytes() == content


def test_a_spool_that_cannot_be_written_is_said() -> None:
    """With the setting that would help."""
    Path("file").write_text("no folder")

    with pytest.raises(StoreError, match=r"journal of the run cannot be written .*TRACKLIB_SPOOL"):
        tracklib.start_run(spool="file/spool")


def test_a_run_that_does_not_exist_is_not_found() -> None:
    """Wherever it is asked for."""
    with tracklib.start_run():
        pass

    for ask in (tracklib.get_run, lambda run: tracklib.start_run(resume=run)):
        with pytest.raises(NotFound, match=f"there is no run '{MISSING}'"):
            ask(MISSING)
    assert tracklib.list_runs(ids=MISSING) == []
