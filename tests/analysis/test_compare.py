"""Runs side by side, as they were recorded into real stores."""

from __future__ import annotations

import json
import math
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import tracklib
from tracklib.errors import AmbiguousName, ConfigError, NotFound
from tracklib.records import RecordKind
from tracklib.testing.batches import WriterScript, points

pytestmark = pytest.mark.usefixtures("bare")


def record(name: str, params: dict[str, Any], **metrics: float) -> tracklib.Run:
    with tracklib.start_run("digits", name=name, params=params) as run:
        run.log(metrics)
    return run


def tags_of(text: str) -> set[str]:
    """Return the tags that a browser finds."""
    tags: set[str] = set()

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            tags.add(f"{tag}{attrs or ''}")

    Reader().feed(text)
    return tags


def many(count: int, *, params: int = 3, metrics: int = 3) -> list[str]:
    """Put runs into the store that runs go to, past recording, and return their ids."""
    ids = []
    with tracklib.open_store("many.db") as store:
        for index in range(count):
            script = WriterScript(name=f"run {index}")
            values = {f"metric {number}": [float(index + number)] for number in range(metrics)}
            given = {f"param {number}": index if number % 2 else "same" for number in range(params)}
            end = script.record(RecordKind.END, status="completed")
            script.ship(store, script.record(RecordKind.PARAMS, params=given), points(values), end)
            ids.append(script.run)
    return ids


@pytest.fixture(params=["sqlite:///runs.db", "file://{}/runs"], ids=["sqlite", "file"])
def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The store that runs go to."""
    uri = str(request.param).format(tmp_path)
    monkeypatch.setenv("TRACKLIB_STORE", uri)
    return uri


# ---- what is compared


@pytest.mark.usefixtures("store")
def test_params_and_metrics_stand_side_by_side() -> None:
    """Those that differ by run, those that do not once; metrics with their change to the first run."""
    first = record("first", {"lr": 0.1, "model": {"depth": 2}, "seed": None}, loss=0.5, accuracy=0.5)
    second = record("second", {"lr": 0.1, "model": {"depth": 3}}, loss=0.25)

    found = tracklib.compare([first, second])

    assert [run.id for run in found.runs] == [first.id, second.id]
    assert found.baseline is found.runs[0]
    assert found.params == {"model.depth": {first.id: 2, second.id: 3}, "seed": {first.id: None}}
    assert found.common_params == {"lr": 0.1}
    assert found.metrics["loss"].values == {first.id: 0.5, second.id: 0.25}
    change = found.metrics["loss"].change(second)
    assert change is not None
    assert (change.delta, change.percent, change.better) == (-0.25, -50.0, None)
    assert found.metrics["accuracy"].change(second.id) is None
    assert found.best is None
    assert found.metric is None


@pytest.mark.parametrize("statistic", ["last", "min", "max", "mean", "count"])
def test_any_number_of_a_summary_can_stand_for_a_metric(statistic: Any) -> None:
    """It is that of `StoredRun.metrics`."""
    for name, values in (("a", [3.0, 1.0, 2.0]), ("b", [5.0])):
        with tracklib.start_run("digits", name=name) as run:
            for value in values:
                run.log({"loss": value})

    found = tracklib.compare(tracklib.list_runs(), statistic=statistic)

    assert found.metrics["loss"].values == {
        run.id: getattr(run.metrics["loss"], statistic) for run in tracklib.list_runs()
    }


def test_runs_are_told_in_any_way() -> None:
    """By themselves, by id, by name, as they were read; one that comes twice counts once."""
    runs = [record(name, {"at": name}) for name in "abcd"]

    found = tracklib.compare([runs[0], runs[1].id, "digits/default/c", tracklib.get_run("d"), runs[0].id])

    assert [run.name for run in found.runs] == list("abcd")


def test_whole_ids_find_archived_runs_too() -> None:
    """As a single one does."""
    runs = [record(name, {"at": name}) for name in "ab"]
    tracklib.archive_run(runs[0].id)

    assert [run.name for run in tracklib.compare([run.id for run in runs]).runs] == ["a", "b"]


def test_runs_of_several_stores_are_compared() -> None:
    """Each is read from its own."""
    record("here", {"lr": 1}, loss=1.0)
    with tracklib.start_run("digits", name="there", store="other.db") as run:
        run.log({"loss": 2.0})

    found = tracklib.compare([tracklib.get_run("here"), tracklib.get_run("there", store="other.db")])

    assert list(found.metrics["loss"].values.values()) == [1.0, 2.0]


def test_one_run_is_no_comparison() -> None:
    """Nor is none, nor the same one twice."""
    run = record("a", {})

    too_few: list[list[tracklib.Run | str]] = [[], [run], [run, run.id]]
    for runs in too_few:
        with pytest.raises(ConfigError, match="but a comparison takes two or more"):
            tracklib.compare(runs)


# ---- the baseline


def test_the_baseline_is_told_in_any_way() -> None:
    """By the run, its id or the beginning of it, or its name."""
    runs = [record(name, {}) for name in ("a", "b")]

    for baseline in (runs[1], runs[1].id, tracklib.get_run(runs[1]), "b", "digits/default/b", runs[1].id[:-1].lower()):
        found = tracklib.compare(runs, baseline=baseline)
        assert found.baseline.id == runs[1].id


def test_a_baseline_must_be_one_of_the_runs() -> None:
    """The message names them."""
    runs = [record(name, {}) for name in ("a", "b", "c", "c")]

    with pytest.raises(ConfigError, match="baseline is 'c', but that is none of the 2 runs: a, b"):
        tracklib.compare(runs[:2], baseline="c")
    with pytest.raises(AmbiguousName, match="baseline is 'c', which 2 of the runs fit"):
        tracklib.compare(runs, baseline="c")


# ---- the best


def test_the_direction_comes_from_the_project() -> None:
    """And the first primary metric whose direction is known decides."""
    low, high = record("low", {}, loss=0.1, f1=0.2, x=1.0), record("high", {}, loss=0.9, f1=0.8, x=2.0)
    settings = {"primary_metrics": ["x", "gone", "f1"], "higher_is_better": {"loss": False, "f1": True, "gone": True}}
    tracklib.set_project("digits", settings=settings)

    found = tracklib.compare([low, high])

    assert (found.metric, found.best) == ("f1", found.runs[1])
    assert list(found.metrics) == ["x", "f1", "loss"]
    assert found.metrics["loss"].best == (low.id,)
    assert found.metrics["x"].best == ()
    assert tracklib.compare([low, high], metric="loss").best.name == "low"  # type: ignore[union-attr]
    assert tracklib.compare([low, high], metric="loss", higher_is_better=True).best.name == "high"  # type: ignore[union-attr]


def test_a_direction_is_never_guessed() -> None:
    """The message says how to give it."""
    runs = [record(name, {}, accuracy=0.5) for name in ("a", "b")]

    with pytest.raises(ConfigError, match=r"'accuracy' are better is not known: give higher_is_better=True or False"):
        tracklib.compare(runs, metric="accuracy")
    assert tracklib.compare(runs, higher_is_better={"accuracy": True}).metrics["accuracy"].best == tuple(
        run.id for run in runs
    )


def test_projects_that_contradict_each_other_say_nothing() -> None:
    """What one alone says does count."""
    for project, higher in (("one", {"m": True, "n": True}), ("two", {"m": False})):
        with tracklib.start_run(project, name=project) as run:
            run.log({"m": 1.0, "n": 1.0})
        tracklib.set_project(project, settings={"higher_is_better": higher})

    found = tracklib.compare(tracklib.list_runs())

    assert found.metrics["m"].higher_is_better is None
    assert found.metrics["n"].higher_is_better is True


def test_ties_nan_infinities_and_missing_values_are_never_the_best() -> None:
    """Of several best runs the first is named, and the metric knows all."""
    values = {"gone": None, "nan": math.nan, "inf": -math.inf, "a": 0.5, "b": 0.5, "c": 0.75}
    runs = [record(name, {}, **({} if value is None else {"loss": value})) for name, value in values.items()]

    found = tracklib.compare(runs, metric="loss", higher_is_better=False)

    assert found.best is found.runs[3]
    assert found.metrics["loss"].best == (runs[3].id, runs[4].id)
    nothing = tracklib.compare(runs[:3], metric="loss", higher_is_better=False)
    assert nothing.best is None


def test_a_metric_that_no_run_has_is_not_found() -> None:
    """The message has the nearest names."""
    runs = [record(name, {}, accuracy=0.5) for name in ("a", "b")]

    with pytest.raises(NotFound, match="none of the 2 runs has the metric 'acuracy'; there are: accuracy"):
        tracklib.compare(runs, metric="acuracy", higher_is_better=True)


# ---- what it is turned into


def test_a_comparison_becomes_a_data_frame() -> None:
    """A row for each run."""
    first, second = record("a", {"lr": 1, "x": None}, loss=0.5), record("b", {"lr": 2}, loss=0.25, f1=1.0)

    frame = tracklib.compare([first, second]).to_pandas()

    assert frame["id"].tolist() == [first.id, second.id]
    assert frame["params.lr"].tolist() == [1, 2]
    assert frame["metrics.loss"].tolist() == [0.5, 0.25]
    assert frame["percent.loss"].tolist() == [0.0, -50.0]
    assert frame["metrics.f1"].isna().tolist() == [True, False]
    assert frame["delta.f1"].isna().all()


def test_a_comparison_becomes_plain_data() -> None:
    """As JSON can say it; what a run lacks is left out."""
    first, second = record("a", {"lr": 1, "x": None}, loss=0.5), record("b", {"lr": 2}, loss=0.25)

    data = tracklib.compare([first, second], metric="loss", higher_is_better=False).to_dict()

    assert json.loads(json.dumps(data)) == data
    assert (data["baseline"], data["best"], data["metric"]) == (first.id, second.id, "loss")
    assert data["params"] == {"lr": {first.id: 1, second.id: 2}, "x": {first.id: None}}
    assert data["metrics"]["loss"]["percents"] == {first.id: 0.0, second.id: -50.0}
    assert data["metrics"]["loss"]["better"] == {first.id: None, second.id: True}


def test_few_runs_stand_beside_each_other() -> None:
    """A column for each; missing values are marked, and the best one too."""
    record("a", {"lr": 1, "seed": None, "same": 1}, loss=0.5, zero=0.0, nan=math.nan)
    record("b", {"lr": 2, "same": 1}, loss=0.25, zero=1.0, nan=1.0)

    found = tracklib.compare(["a", "b"], metric="loss", higher_is_better=False)

    lines = [line.split(maxsplit=1) for line in str(found).splitlines()]
    assert lines[0] == ["2", "runs, compared to a, best by loss: b"]
    assert [[line[0], *line[1].split()] for line in lines[4:9]] == [
        ["params.lr", "1", "2"],
        ["params.seed", "None", "—"],
        ["loss", "0.5", "0.25*", "(-50.0%", "better)"],
        ["nan", "nan", "1"],
        ["zero", "0", "1", "(+1)"],
    ]
    assert repr(found) == "<Comparison of 2 runs: 2 params differ, 3 metrics, baseline a, best by loss: b>"


@pytest.mark.parametrize("count", [2, 10, 1000])
def test_any_number_of_runs_prints_within_bounds(count: int) -> None:
    """And says what it leaves out."""
    runs = tracklib.list_runs(store="many.db") if many(count, params=12, metrics=12) else []

    found = tracklib.compare(runs, metric="metric 0", higher_is_better=True)
    text = str(found)

    assert max(len(line) for line in text.splitlines()) <= 120
    assert len(text.splitlines()) <= 60
    assert found.best is not None
    assert found.best.name == f"run {count - 1}"
    assert found.best.name in text
    assert ("… and 980 more runs" in text) == (count == 1000)
    assert len(found._repr_html_()) < 100_000


def test_nothing_that_was_recorded_becomes_markup_or_is_obeyed() -> None:
    """Neither in HTML nor on a terminal."""
    nasty = "<script>x</script>\x1b[31m[red]"
    for name in (nasty, "b"):
        record(name, {nasty: name}, **{nasty: 1.0})

    found = tracklib.compare(tracklib.list_runs())

    assert tags_of(found._repr_html_()) == {"div", "table", "thead", "tbody", "tr", "th", "td"}
    assert "\x1b" not in str(found)
    assert "[red]" in str(found)


# ---- how much is asked for


def test_a_thousand_runs_are_read_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids, and runs that were read one by one, take one question for all metrics."""
    from tracklib.stores.sqlite import SqliteStore

    ids = many(1000)
    asked: list[int] = []
    real = SqliteStore.summaries

    def counting(self: SqliteStore, runs: Any) -> Any:
        asked.append(len(runs))
        return real(self, runs)

    monkeypatch.setattr(SqliteStore, "summaries", counting)
    found = tracklib.compare(ids, store="many.db")
    alone = tracklib.compare([tracklib.get_run(each, store="many.db") for each in ids[:20]])
    few = tracklib.compare(tracklib.list_runs(store="many.db")[:5])

    assert asked == [1000, 20, 5]
    assert len(found.runs) == 1000
    assert len(found.metrics["metric 0"].values) == 1000
    assert len(alone.metrics["metric 0"].values) == 20
    assert len(few.metrics["metric 0"].values) == 5
